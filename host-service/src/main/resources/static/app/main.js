/** The frame of the page, and which view is shown. */

import { h, render } from "./lib.js";
import { Dialog } from "./dialog.js";
import { refresh } from "./live.js";
import { begin, signOut } from "./session.js";
import { changed, mayManageTokens, onChange, state } from "./store.js";
import { Device } from "./views/device.js";
import { Events } from "./views/events.js";
import { Machines } from "./views/machines.js";
import { Overview } from "./views/overview.js";
import { SignIn } from "./views/sign-in.js";
import { Tokens } from "./views/tokens.js";

const PLACES = [["overview", "#/", "Overview"], ["machines", "#/machines", "Machines"], ["events", "#/events", "Events"],
    ["tokens", "#/tokens", "Tokens"]];

const LIVE = {
    live: ["live", "live"],
    polling: ["live", "live, by asking"],
    connecting: ["", "connecting"],
    down: ["down", "no answer"],
};

function routeOf(hash) {
    const [view, id] = hash.replace(/^#\/?/, "").split("/").map(decoded);
    if (view === "devices" && id) {
        return { view: "device", id };
    }
    return { view: PLACES.some(([name]) => name === view) ? view : "overview", id: null };
}

/** A link may be damaged: then there is nothing of this name. */
function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}

function Page() {
    return [
        h(Top),
        h("main", { id: "main", tabIndex: -1 }, state.signIn ? h(SignIn) : state.session ? h(View) : h("p", { class: "waiting" }, "One moment…")),
        state.dialog && h(Dialog, { key: state.dialog.key, question: state.dialog }),
        h("div", { class: "notes", "aria-hidden": "true" }, state.notes.map((it) =>
            h("p", { key: it.key, class: `note ${it.tone}` }, it.message))),
    ];
}

function who() {
    const { name, role, means, tenant } = state.session;
    return means === "address" ? "no sign-in needed" : `${name}, ${role}${tenant ? ` of ${tenant}` : ""}`;
}

function places() {
    return PLACES.filter(([view]) => view !== "tokens" || mayManageTokens());
}

function Top() {
    const [tone, words] = LIVE[state.live];
    return h("header", { class: "top" },
        h("a", { class: "brand", href: "#/" }, h("img", { src: "favicon.svg", alt: "" }), "mdev"),
        state.session && h("nav", { "aria-label": "Pages" }, h("ul", null, places().map(([view, href, name]) =>
            h("li", { key: view }, h("a", { href, "aria-current": state.route.view === view ? "page" : undefined }, name))))),
        h("div", { class: "rest" },
            state.session && h("span", { class: `pulse ${tone}` }, words),
            state.session && h("span", { class: "small soft" }, who()),
            state.session?.means === "session" && h("button", { class: "small plain", onClick: signOut }, "Sign out")));
}

function View() {
    const { view, id } = state.route;
    if (!state.known) {
        return h("p", { class: "waiting" }, state.live === "down" ? "The service does not answer." : "One moment…");
    }
    switch (view) {
        case "device": return h(Device, { key: id, uuid: id });
        case "machines": return h(Machines);
        case "events": return h(Events);
        case "tokens": return mayManageTokens() ? h(Tokens) : h(Overview);
        default: return h(Overview);
    }
}

const root = document.getElementById("page");
let begun = false;

onChange(() => {
    if (!begun) {
        begun = true;
        root.replaceChildren();
    }
    render(h(Page), root);
});

addEventListener("hashchange", () => {
    state.route = routeOf(location.hash);
    state.detail = null;
    refresh();
    changed();
    // After the view is drawn, so that a screen reader hears where it is.
    setTimeout(() => {
        scrollTo(0, 0);
        document.querySelector("h1")?.focus({ preventScroll: true });
    });
});

state.route = routeOf(location.hash);
begin().catch((e) => {
    root.textContent = e.message;
});
