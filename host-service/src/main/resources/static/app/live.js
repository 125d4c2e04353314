/** Keeps the state fresh: events come by themselves, figures are asked for while somebody looks. */

import * as api from "./api.js";
import { addEvents, changed, sample, state } from "./store.js";

/** The time between two looks at the figures. A slow service is asked less often. */
const LEAST_MILLIS = 1000;
const SLOW_FACTOR = 4;
/** What changes only with an event is looked at again after so many rounds. */
const ROUNDS_OF_STRUCTURE = 10;
export const CELLS = 4096;
const RECENT = 256;

let epoch = null;
let cursor = "0";
let round = 0;
let dirty = true;
let stream = null;
let timer = null;
/** Counts the times that it was started: what an earlier time asked for no longer matters. */
let life = 0;
let running = false;

/** Asks for everything in the next round, which begins now. */
export function refresh() {
    dirty = true;
    if (timer !== null) {
        clearTimeout(timer);
        timer = null;
        run();
    }
}

document.addEventListener("visibilitychange", () => running && !document.hidden && refresh());

export function start() {
    running = true;
    life++;
    listen();
    run();
}

export function stop() {
    running = false;
    life++;
    clearTimeout(timer);
    timer = null;
    stream?.close();
    stream = null;
}

/** Opens the stream of events. A browser opens it again by itself, from the last event it got. */
function listen() {
    stream = new EventSource(api.url("events"), { withCredentials: true });
    stream.onopen = () => {
        state.live = "live";
        refresh();
        changed();
    };
    stream.onmessage = (message) => take(JSON.parse(message.data));
    stream.addEventListener("gap", refresh);
    stream.onerror = () => {
        if (state.live === "live") {
            state.live = "connecting";
            changed();
        }
    };
}

function take(event) {
    if (addEvents([event])) {
        refresh();
        changed();
    }
}

async function run() {
    timer = null;
    const mine = life;
    const began = performance.now();
    if (!document.hidden) {
        try {
            await look();
            state.live = stream?.readyState === EventSource.OPEN ? "live" : "polling";
        } catch (e) {
            if (mine !== life) {
                return;
            }
            if (e.status === 401) {
                stop();
                state.session = null;
                state.signIn ??= { message: "The session has ended. Sign in again." };
            }
            state.live = "down";
        }
        changed();
    }
    if (running && mine === life && timer === null) {
        const took = performance.now() - began;
        timer = setTimeout(run, Math.max(LEAST_MILLIS, took * SLOW_FACTOR));
    }
}

async function look() {
    const everything = dirty || round % ROUNDS_OF_STRUCTURE === 0;
    dirty = false;
    round++;
    try {
        const asked = [api.list("mdevs"), api.list("machines"), ...(everything ? structure() : [])];
        const [mdevs, machines] = await Promise.all(asked);
        state.mdevs = mdevs;
        state.machines = machines;
        state.known = true;
        sample(mdevs, performance.now());
        await detail();
    } catch (e) {
        dirty ||= everything;
        throw e;
    }
}

function structure() {
    return [parents(), doctor(), pastEvents(), fits()];
}

async function parents() {
    const list = await api.list("parents");
    const capacities = await Promise.all(
        list.map((parent) => api.get(api.path("parents", parent.name, "capacity")).catch(() => null)),
    );
    state.parents = list;
    state.capacities = new Map(capacities.filter(Boolean).map((it) => [it.parent, it]));
}

async function doctor() {
    // Not everybody may ask.
    state.doctor = await api.get("doctor").catch((e) => {
        if (e.status === 403) {
            return null;
        }
        throw e;
    });
}

async function pastEvents() {
    const page = await api.get(`events?after=${cursor}&limit=1000`);
    // The service has begun to count anew.
    if (page.epoch !== epoch) {
        epoch = page.epoch;
        state.events = [];
    }
    cursor = page.next ?? page.lastId;
    addEvents(page.items);
}

/** The open explanations, which change with the devices. */
async function fits() {
    for (const key of [...state.fits.keys()]) {
        await explain(...key.split(" "));
    }
}

export async function explain(parent, type) {
    const fit = await api.get(api.path("parents", parent, "types", type, "explain")).catch(() => null);
    if (fit) {
        state.fits.set(`${parent} ${type}`, fit);
    } else {
        state.fits.delete(`${parent} ${type}`);
    }
}

/** The figures of the device that is looked at. */
async function detail() {
    const { view, id } = state.route;
    if (view !== "device") {
        state.detail = null;
        return;
    }
    const mdev = state.mdevs.find((it) => it.uuid === id);
    if (!mdev?.created) {
        state.detail = { uuid: id };
        return;
    }
    const here = api.path("mdevs", id);
    const refused = (e) => {
        if (e.status === 409 || e.status === 404) {
            return null;
        }
        throw e;
    };
    const [faults, residency] = await Promise.all([
        api.get(`${here}/faults?limit=${RECENT}`).catch(refused),
        api.get(`${here}/residency?cells=${CELLS}`).catch(refused),
    ]);
    const counters = round % 3 === 1 ? await api.get(`${here}/counters`).catch(() => null) : state.detail?.counters;
    if (state.route.id === id) {
        state.detail = { uuid: id, faults, residency, counters };
    }
}
