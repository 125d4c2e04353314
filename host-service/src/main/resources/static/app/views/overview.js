/** The whole host at a glance. */

import { h } from "../lib.js";
import * as actions from "../actions.js";
import { Screen, Spark } from "../charts.js";
import { pages, rate, short, some } from "../format.js";
import { Legend, Pools, Types } from "../memory.js";
import { changed, hueOf, mayAdminister, mayOperate, rateOf, state, totalRate } from "../store.js";
import { Feed } from "./events.js";

/** Displays beyond these would ask the drivers too often. */
const MOST_SCREENS = 8;

export function Overview() {
    return h("div", { class: "stack" },
        h(Head),
        h(Troubles),
        h(Figures),
        h("div", { class: "columns" },
            h("div", { class: "stack" }, h(Parents), h(Devices)),
            h("section", { class: "panel", "aria-labelledby": "latest" },
                h("header", null, h("h2", { id: "latest" }, "Latest events"),
                    h("a", { class: "small", href: "#/events" }, "all")),
                h(Feed, { events: state.events.slice(0, 16), brief: true }))));
}

function Head() {
    const engine = state.doctor?.engines.find((it) => it.inUse);
    return h("div", { class: "head" },
        h("h1", { tabIndex: -1 }, "Overview"),
        engine && h("span", { class: "badge" }, `engine ${engine.name}`),
        mayOperate() && h("div", { class: "acts" },
            h("button", { onClick: actions.createMachine }, "New machine"),
            hasTypes() && h("button", { class: "main", onClick: () => actions.createDevice() }, "New device")));
}

const hasTypes = () => state.parents.some((it) => it.types.length > 0);

function Troubles() {
    const doctor = state.doctor;
    const found = [
        ...(doctor?.lost ?? []).map((it) => `Lost: ${it}`),
        ...(doctor?.overdue ?? []).map((it) => `A driver does not answer: ${it}`),
        ...(doctor?.drivers ?? []).filter((it) => it.trouble).map((it) => `Driver ${it.name}: ${it.trouble}`),
        ...(doctor?.troubles ?? []).map((it) => `${it.mdev}: ${it.kind}: ${it.detail}`),
        ...(doctor?.missingParents ?? []).map((it) => `A parent is missing: ${it}`),
        ...(doctor?.documents ?? []).map((it) => `Not as a document says: ${it}`),
        ...(doctor?.state?.trouble ? [`The state directory: ${doctor.state.trouble}`] : []),
        ...(doctor?.state?.quarantined ?? []).map((it) => `Damaged definition ${it.file}: ${it.reason}`),
    ];
    return found.length > 0 && h("div", { class: "warning", role: "alert" },
        h("ul", null, found.map((it) => h("li", { key: it }, it))));
}

function Figures() {
    const active = state.mdevs.filter((it) => it.state.active);
    const resident = active.reduce((sum, it) => sum + it.residentPages, 0);
    const held = active.reduce((sum, it) => sum + it.state.heldPages, 0);
    const total = totalRate();
    const used = active.filter((it) => it.machine).length;
    return h("dl", { class: "panel figures" },
        h("div", null, h("dt", null, "Devices"), h("dd", null, active.length, h("small", null, ` ${used} in use`))),
        h("div", null, h("dt", null, "Machines"), h("dd", null, state.machines.length)),
        h("div", null, h("dt", null, "Faults per second"), h("dd", null, rate(total.now)),
            h("dd", null, h(Spark, { values: total.values, label: `Faults per second in the last minute, now ${rate(total.now)}` }))),
        h("div", null, h("dt", null, "Mapped now"), h("dd", null, pages(resident), h("small", null, ` of ${pages(held)}`))));
}

function Parents() {
    return state.parents.length === 0
        ? h("p", { class: "panel none" }, h("strong", null, "No parents."),
            " No driver has found a device to split, or none that you may see. ",
            h("code", null, "mdev doctor"), " names the drivers and their troubles.")
        : state.parents.map((parent) => h(Parent, { key: parent.name, parent }));
}

function Parent({ parent }) {
    const capacity = state.capacities.get(parent.name);
    const quarantined = capacity?.pools.some((pool) => pool.extents.some((it) => it.use === "quarantined"));
    return h("section", { class: "panel", "aria-labelledby": `parent-${parent.name}` },
        h("header", null,
            h("h2", { id: `parent-${parent.name}` }, parent.name),
            h("span", { class: "soft small" }, parent.description || parent.driver),
            parent.presence !== "present" && h("span", { class: "badge warn" }, parent.presence),
            mayAdminister() && quarantined && h("div", { class: "acts" },
                h("button", { class: "small", onClick: () => actions.repair(parent.name) }, "Repair"))),
        capacity && h(Pools, { capacity }),
        capacity && h(Legend, { capacity }),
        h(Types, { parent }));
}

function Devices() {
    const word = state.filter.toLowerCase();
    const found = state.mdevs.filter((it) =>
        [it.uuid, it.parent, it.type, it.machine ?? "", it.state.activity].some((text) => text.toLowerCase().includes(word)));
    const shown = found.slice(0, state.shown);
    return h("section", { class: "stack", "aria-labelledby": "devices" },
        h("div", { class: "head" },
            h("h2", { id: "devices" }, "Devices"),
            state.mdevs.length > 6 && h("input", {
                class: "filter", type: "search", "aria-label": "Filter devices", placeholder: "Filter", value: state.filter,
                onInput: (event) => {
                    state.filter = event.target.value;
                    changed();
                },
            })),
        state.mdevs.length === 0
            ? h("p", { class: "panel none" }, h("strong", null, "No devices yet."),
                mayOperate() && hasTypes() ? " Create one of a type above." : "")
            : h("ul", { class: "cards" }, shown.map((mdev, i) => h(Device, { key: mdev.uuid, mdev, screen: i < MOST_SCREENS }))),
        found.length > shown.length && h("p", null, `${shown.length} of ${some(found.length, "device")}. `,
            h("button", {
                class: "small",
                onClick: () => {
                    state.shown += 120;
                    changed();
                },
            }, "Show more")));
}

export function DeviceBadge({ mdev }) {
    const { activity, trouble, owner } = mdev.state;
    if (activity === "lost" || trouble) {
        return h("span", { class: "badge bad", title: trouble }, activity === "lost" ? "lost" : "trouble");
    }
    if (owner === "foreign") {
        return h("span", { class: "badge warn" }, "foreign");
    }
    if (activity !== "active") {
        return h("span", { class: "badge" }, activity === "inactive" ? "defined, not active" : activity);
    }
    return mdev.machine ? h("span", { class: "badge used" }, mdev.machine) : h("span", { class: "badge" }, "idle");
}

function Device({ mdev, screen }) {
    const faults = rateOf(mdev.uuid);
    const held = mdev.state.heldPages;
    return h("li", { class: "card", "data-hue": hueOf(mdev.uuid) },
        h("div", { class: "row" },
            h("span", { class: "chip" }),
            h("h3", null, h("a", { href: `#/devices/${mdev.uuid}`, "aria-label": `Device ${mdev.uuid}` }, short(mdev.uuid))),
            h(DeviceBadge, { mdev })),
        h("p", { class: "small soft" }, `${mdev.type} in ${mdev.parent}`),
        mdev.created && h("div", { class: "body" },
            screen && mayOperate()
                ? h(Screen, { uuid: mdev.uuid, every: 4000, label: `What ${short(mdev.uuid)} shows` })
                : h("div", { class: "screen dark" }, "…"),
            h("div", { class: "rate" },
                h("span", null, h("b", null, rate(faults.now)), h("span", { class: "small soft" }, " faults/s")),
                h(Spark, { values: faults.values, label: `Faults per second in the last minute, now ${rate(faults.now)}` }))),
        mdev.created && h("div", { class: "level" },
            h("span", { class: "small soft" }, `${pages(mdev.residentPages)} of ${pages(held)} mapped`),
            h("span", { class: "meter", "aria-hidden": "true" },
                h("i", { style: { width: `${held ? Math.min(100, (mdev.residentPages / held) * 100) : 0}%` } }))));
}
