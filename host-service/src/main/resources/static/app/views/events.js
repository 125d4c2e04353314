/** What happened. */

import { h } from "../lib.js";
import { clock, short, words } from "../format.js";
import { hueOf, state } from "../store.js";

const TROUBLES = new Set(["mdev_taken", "mdev_lost", "start_failed", "definition_quarantined", "restore_failed",
    "pages_quarantined", "journal_trouble", "callback_slow", "callback_overdue", "grant_refused", "driver_failed",
    "driver_report", "eviction_refused", "backing_store_failed", "thrashing"]);

export function Feed({ events, brief = false }) {
    return events.length === 0
        ? h("p", { class: "none" }, "Nothing has happened yet.")
        : h("ol", { class: brief ? "feed brief" : "feed" }, events.map((event) => h(Item, { key: event.id, event })));
}

function Item({ event }) {
    const [kind, name] = split(event.subject);
    return h("li", { class: TROUBLES.has(event.kind) ? "bad" : "", "data-hue": kind === "mdevs" ? hueOf(name) : undefined },
        h("span", null, h("span", { class: "what" }, sentence(event.kind)), " ", h(Subject, { kind, name })),
        h("time", { dateTime: event.time }, clock(event.time)),
        event.detail && h("span", { class: "detail" }, event.detail));
}

function split(subject) {
    const at = subject.indexOf("/");
    return at < 0 ? ["", subject] : [subject.slice(0, at), subject.slice(at + 1)];
}

function Subject({ kind, name }) {
    if (kind === "mdevs") {
        return h("a", { href: `#/devices/${encodeURIComponent(name)}`, class: "mono" }, short(name));
    }
    return kind === "machines" ? h("a", { href: "#/machines" }, name) : name;
}

function sentence(kind) {
    const text = words(kind).replace("mdev ", "device ");
    return text[0].toUpperCase() + text.slice(1);
}

export function Events() {
    return h("div", { class: "stack" },
        h("div", { class: "head" }, h("h1", { tabIndex: -1 }, "Events"),
            h("span", { class: "soft small" }, `the last ${state.events.length}, the newest first`)),
        h("section", { class: "panel" }, h(Feed, { events: state.events })));
}
