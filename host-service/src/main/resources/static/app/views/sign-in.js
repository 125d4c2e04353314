/** Signing in with a token. */

import { Component, h } from "../lib.js";
import { signIn } from "../session.js";
import { state } from "../store.js";

export class SignIn extends Component {
    state = { busy: false, trouble: null };

    async submit(event) {
        event.preventDefault();
        const token = new FormData(event.target).get("token").trim();
        this.setState({ busy: true, trouble: null });
        try {
            await signIn(token);
        } catch (e) {
            this.setState({ busy: false, trouble: e.status === 401 ? "The service does not know this token." : e.message });
        }
    }

    render(_, { busy, trouble }) {
        return h("form", { class: "panel sign-in", onSubmit: (event) => this.submit(event) },
            h("h1", { tabIndex: -1 }, "Sign in"),
            h("p", { class: "soft" }, state.signIn.message),
            h("div", { class: "field" }, h("label", { htmlFor: "token" }, "Token"),
                h("input", { id: "token", name: "token", type: "password", required: true, autocomplete: "current-password", spellcheck: false })),
            trouble && h("p", { class: "trouble", role: "alert" }, trouble),
            h("div", { class: "acts" }, h("button", { class: "main", type: "submit", disabled: busy }, busy ? "Working…" : "Sign in")));
    }
}
