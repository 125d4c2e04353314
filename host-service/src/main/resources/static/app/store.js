/** What the page knows, and how it learns more. Views read `state`; `changed` draws them again. */

/** Samples of a rate that are kept: two minutes. */
const SAMPLES = 120;
const EVENTS = 300;
const HUES = 8;

export const state = {
    session: null,
    signIn: null,
    live: "connecting",
    /** Whether the figures have come at least once: a host may have nothing to show. */
    known: false,
    parents: [],
    capacities: new Map(),
    mdevs: [],
    machines: [],
    events: [],
    doctor: null,
    rates: new Map(),
    detail: null,
    fits: new Map(),
    filter: "",
    shown: 60,
    dialog: null,
    notes: [],
    route: { view: "overview", id: null },
};

let draw = () => {};
let queued = false;

export function onChange(listener) {
    draw = listener;
}

/** Draws once for all changes before the next frame; also where no frame comes, in a hidden tab. */
export function changed() {
    if (!queued) {
        queued = true;
        queueMicrotask(() => {
            queued = false;
            draw();
        });
    }
}

const hues = new Map();

/** A colour for each device, as different from the others as eight can be. */
export function hueOf(uuid) {
    if (!hues.has(uuid)) {
        const used = Array(HUES).fill(0);
        state.mdevs.forEach((mdev) => hues.has(mdev.uuid) && used[hues.get(mdev.uuid)]++);
        hues.set(uuid, used.indexOf(Math.min(...used)));
    }
    return hues.get(uuid);
}

export const mdevOf = (uuid) => state.mdevs.find((mdev) => mdev.uuid === uuid);

const NO_RATE = { values: [], now: 0 };

export const rateOf = (uuid) => state.rates.get(uuid) ?? NO_RATE;

/** The faults a second of all devices. */
export function totalRate() {
    const values = Array(SAMPLES).fill(0);
    for (const { values: some } of state.rates.values()) {
        some.forEach((value, i) => (values[SAMPLES - some.length + i] += value));
    }
    return { values: values.slice(-60), now: values.at(-1) };
}

export function sample(mdevs, now) {
    const known = new Set();
    mdevs.toSorted((a, b) => (a.created ?? "~").localeCompare(b.created ?? "~")).forEach((mdev) => hueOf(mdev.uuid));
    for (const mdev of mdevs) {
        known.add(mdev.uuid);
        const old = state.rates.get(mdev.uuid);
        if (!old) {
            state.rates.set(mdev.uuid, { faults: mdev.faults, time: now, values: [], now: 0 });
            continue;
        }
        const seconds = (now - old.time) / 1000;
        if (seconds < 0.2) {
            continue;
        }
        old.now = Math.max(0, mdev.faults - old.faults) / seconds;
        old.values.push(old.now);
        if (old.values.length > SAMPLES) {
            old.values.shift();
        }
        old.faults = mdev.faults;
        old.time = now;
    }
    for (const uuid of state.rates.keys()) {
        if (!known.has(uuid)) {
            state.rates.delete(uuid);
            hues.delete(uuid);
        }
    }
}

export function addEvents(items) {
    const last = state.events[0]?.id ?? 0;
    const fresh = items.filter((it) => it.id > last).reverse();
    state.events = [...fresh, ...state.events].slice(0, EVENTS);
    return fresh.length > 0;
}

let said = 0;

/** Says something for a while, also to a screen reader. */
export function say(message, tone = "good") {
    const note = { key: ++said, message, tone };
    state.notes = [...state.notes.slice(-2), note];
    document.getElementById("said").textContent = message;
    setTimeout(() => {
        state.notes = state.notes.filter((it) => it !== note);
        changed();
    }, tone === "bad" ? 9000 : 5000);
    changed();
}

/** Whether the caller may change and look into devices. */
export function mayOperate() {
    return state.session.role === "operator" || state.session.role === "admin";
}

/** Whether the caller may make tokens: within the own reach. */
export function mayManageTokens() {
    return state.session.role === "admin";
}

/** Whether the caller may change what is the whole host's. */
export function mayAdminister() {
    const { role, tenant, parents, machines } = state.session;
    return role === "admin" && !tenant && !parents?.length && !machines?.length;
}
