/** One device: its faults, its pages, what it shows. */

import { h } from "../lib.js";
import * as actions from "../actions.js";
import { Durations, PagesOfRegion, RateChart, Screen } from "../charts.js";
import { ago, bytes, clock, count, micros, pages, rate, short, some, words } from "../format.js";
import { hueOf, mayAdminister, mayOperate, mdevOf, rateOf, say, state } from "../store.js";
import { Feed } from "./events.js";
import { DeviceBadge } from "./overview.js";

const SHOWN_FAULTS = 40;

export function Device({ uuid }) {
    const mdev = mdevOf(uuid);
    if (!mdev) {
        return h("div", { class: "stack" },
            h("h1", { tabIndex: -1 }, "No such device"),
            h("p", { class: "panel none" }, "It may have ended. ", h("a", { href: "#/" }, "See all devices")));
    }
    const detail = state.detail?.uuid === uuid ? state.detail : {};
    return h("div", { class: "stack", "data-hue": hueOf(uuid) },
        h(Head, { mdev }),
        mdev.state.trouble && h("p", { class: "trouble", role: "alert" }, mdev.state.trouble),
        mdev.overdue && h("p", { class: "warning", role: "alert" }, `A callback exceeds its deadline: ${mdev.overdue}`),
        mdev.created && h("div", { class: "pair" },
            h("div", { class: "stack" }, h(Rate, { mdev, faults: detail.faults }), h(DriverTime, { faults: detail.faults })),
            mayOperate() && h(Picture, { mdev })),
        mdev.created && h(Residency, { mdev, residency: detail.residency }),
        h("div", { class: "pair" }, h(Facts, { mdev, counters: detail.counters }), h(Events, { uuid })),
        mdev.created && h(Recent, { faults: detail.faults }));
}

function Head({ mdev }) {
    const copy = async () => {
        await navigator.clipboard.writeText(mdev.uuid);
        say("Copied the UUID.");
    };
    return h("div", null,
        h("p", { class: "trail" }, h("a", { href: "#/" }, "Overview"), " / ", mdev.parent),
        h("div", { class: "head" },
            h("span", { class: "chip" }),
            h("h1", { class: "mono", tabIndex: -1, "aria-label": `Device ${mdev.uuid}` }, mdev.uuid),
            h(DeviceBadge, { mdev }),
            navigator.clipboard && h("button", { class: "small plain", onClick: copy }, "Copy"),
            mayOperate() && h(Verbs, { mdev })));
}

function Verbs({ mdev }) {
    const { active, owner, activity, defined } = mdev.state;
    const isOurs = owner !== "foreign";
    const verb = (words, run, classes = "") => h("button", { key: words, class: classes, onClick: run }, words);
    return h("div", { class: "acts" },
        activity === "inactive" && verb("Start", () => actions.start(mdev), "main"),
        !isOurs && mayAdminister() && verb("Adopt", () => actions.adopt(mdev), "main"),
        active && isOurs && !mdev.machine && state.machines.length > 0 && verb("Attach", () => actions.attach(mdev), "main"),
        active && mdev.machine && hasIt(mdev) && verb("Detach", () => actions.detach(mdev.uuid, mdev.machine)),
        active && isOurs && verb("Revoke", () => actions.revoke(mdev)),
        active && isOurs && verb("Reset", () => actions.reset(mdev)),
        active && isOurs && defined && verb("Stop", () => actions.end(mdev, true)),
        isOurs && verb("Delete", () => actions.end(mdev, false), "danger"));
}

const hasIt = (mdev) => state.machines.some((it) => it.name === mdev.machine);

function Rate({ mdev, faults }) {
    const { values, now } = rateOf(mdev.uuid);
    return h("section", { class: "panel", "aria-labelledby": "rate" },
        h("header", null, h("h2", { id: "rate" }, "Faults"),
            h("span", { class: "soft small" }, `${rate(now)} per second, ${count(mdev.faults)} in all`)),
        h(RateChart, { values, now }),
        faults && h("dl", { class: "outcomes" }, Object.entries(faults.outcomes).map(([outcome, value]) =>
            h("div", { key: outcome, class: value > 0 && (outcome === "refused" || outcome === "failed") ? "bad" : "" },
                h("dt", null, outcome), h("dd", null, count(value))))));
}

function Picture({ mdev }) {
    return h("section", { class: "panel", "aria-labelledby": "picture" },
        h("header", null, h("h2", { id: "picture" }, "Display")),
        h(Screen, { key: mdev.uuid, uuid: mdev.uuid, every: 1000, label: `What ${short(mdev.uuid)} shows` }));
}

function Residency({ mdev, residency }) {
    const mapped = new Set(mdev.regions.filter((it) => it.areas.some((area) => area.kind !== "trapped")).map((it) => it.index));
    return h("section", { class: "panel", "aria-labelledby": "residency" },
        h("header", null, h("h2", { id: "residency" }, "Mapped pages"),
            h("span", { class: "soft small" }, `${pages(mdev.residentPages)} now; each page is mapped at its first access`)),
        residency
            ? h("div", { class: "regions" }, residency.regions.filter((it) => mapped.has(it.index)).map((region) =>
                h(PagesOfRegion, { key: region.index, region })))
            : h("p", { class: "none" }, "…"));
}

function DriverTime({ faults }) {
    const asked = (faults?.recent ?? []).filter((it) => it.outcome !== "failed");
    return h("section", { class: "panel", "aria-labelledby": "durations" },
        h("header", null, h("h2", { id: "durations" }, "The driver's time"),
            h("span", { class: "soft small" }, `µs for each of the last ${some(asked.length, "fault")}`)),
        asked.length ? h(Durations, { faults: asked }) : h("p", { class: "none" }, "No faults yet."));
}

function Facts({ mdev, counters }) {
    const fact = (name, value) => [h("dt", { key: name }, name), h("dd", { key: `${name}=` }, value)];
    return h("section", { class: "panel", "aria-labelledby": "facts" },
        h("header", null, h("h2", { id: "facts" }, "Facts")),
        h("dl", { class: "facts" },
            fact("Type", mdev.type), fact("Parent", mdev.parent),
            mdev.created && fact("Created", `${clock(mdev.created)}, ${ago(mdev.created)}`),
            fact("Owner", mdev.state.owner),
            fact("Defined", mdev.state.defined ? (mdev.state.autostart ? "yes, starts with its parent" : "yes") : "no"),
            mdev.share.map((it) => fact(`Pool ${it.pool}`, `${pages(it.pages)} in ${some(it.extents, "piece")}`)),
            mdev.regions.map((it) => fact(`BAR ${it.index}`, `${it.name}, ${bytes(it.sizeBytes)}, ${kinds(it)}`)),
            Object.entries(counters?.counters ?? {}).map(([name, value]) => fact(words(name), count(value)))));
}

const kinds = (region) => [...new Set(region.areas.map((area) => area.kind))].join(", ") || "trapped";

function Recent({ faults }) {
    const recent = (faults?.recent ?? []).slice(0, SHOWN_FAULTS);
    return h("section", { class: "panel", "aria-labelledby": "recent" },
        h("header", null, h("h2", { id: "recent" }, "Last faults"),
            h("span", { class: "soft small" }, "what the host asked, and the driver's answer")),
        recent.length === 0
            ? h("p", { class: "none" }, "No faults yet.")
            : h("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Table of the last faults" }, h("table", null,
                h("thead", null, h("tr", null,
                    ["Time", "BAR"].map((it) => h("th", { key: it, scope: "col" }, it)),
                    h("th", { scope: "col", class: "number" }, "Page"),
                    ["Access", "Why", "Outcome"].map((it) => h("th", { key: it, scope: "col" }, it)),
                    h("th", { scope: "col", class: "number" }, "Driver"),
                    h("th", { scope: "col" }, "Answer"))),
                h("tbody", null, recent.map((it, i) => h("tr", { key: i },
                    h("td", null, clock(it.time)), h("td", null, it.region),
                    h("td", { class: "number" }, count(it.page)),
                    h("td", null, it.access), h("td", null, words(it.reason)),
                    h("td", null, it.outcome), h("td", { class: "number" }, micros(it.driverMicros)),
                    h("td", { class: "mono soft" }, it.answer)))))));
}

function Events({ uuid }) {
    const events = state.events.filter((it) => it.subject === `mdevs/${uuid}`).slice(0, 12);
    return events.length > 0 && h("section", { class: "panel", "aria-labelledby": "events" },
        h("header", null, h("h2", { id: "events" }, "Its events")), h(Feed, { events }));
}
