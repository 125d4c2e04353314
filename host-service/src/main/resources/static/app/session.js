/** Who is signed in. Where the service asks nobody, its answer is an administrator. */

import * as api from "./api.js";
import * as live from "./live.js";
import { changed, state } from "./store.js";

export async function begin() {
    try {
        open(await api.get("session"));
    } catch (e) {
        if (e.status !== 401) {
            throw e;
        }
        state.signIn = { message: "This service asks who you are. Your administrator gives you a token." };
    }
    changed();
}

function open(session) {
    state.session = session;
    api.useCsrf(session.csrf);
    state.signIn = null;
    live.start();
}

export async function signIn(token) {
    open(await api.post("session", { token }));
    changed();
}

/** Makes the first token of a service that asked nobody so far, and goes on with it. */
export async function beginWith(make) {
    live.stop();
    try {
        const made = await make();
        await signIn(made.token);
        return made;
    } catch (e) {
        live.start();
        throw e;
    }
}

export async function signOut() {
    live.stop();
    await api.remove("session");
    location.reload();
}
