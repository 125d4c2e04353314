/** The verbs of the page. Each asks first, then calls the service. */

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { pages, short, some } from "./format.js";
import { explain } from "./live.js";
import { state } from "./store.js";

const NAME = { pattern: "[A-Za-z0-9._\\-]{1,64}", required: true, title: "letters, digits, dots, dashes and underscores" };
const GRACE = "10s";

const here = (uuid, ...more) => api.path("mdevs", uuid, ...more);

export function createDevice(parent, type) {
    const types = state.parents.flatMap((it) => it.types.map((each) => [`${it.name} ${each.id}`, words(it, each)]));
    ask({
        title: "Create a device",
        verb: "Create",
        fields: [
            { name: "what", label: "What", kind: "choice", options: types, value: parent && `${parent} ${type}` },
            { name: "uuid", label: "UUID", hint: "Leave it empty to get a new one.", pattern: "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", title: "a UUID" },
            { name: "persist", label: "Define it", kind: "check", hint: "It survives a restart of the service, empty." },
            { name: "autostart", label: "Start it with its parent", kind: "check", hint: "Defines it, too." },
        ],
        run: async ({ what, uuid, persist, autostart }) => {
            const [inParent, ofType] = what.split(" ");
            const body = { parent: inParent, type: ofType };
            if (uuid) {
                body.uuid = uuid;
            }
            if (persist || autostart) {
                body.persist = true;
                body.autostart = autostart;
            }
            const made = await api.post("mdevs", body);
            return `Created ${short(made.uuid)}.`;
        },
    });
}

function words(parent, type) {
    const left = type.availableInstances === 1 ? "1 fits" : `${type.availableInstances} fit`;
    return `${parent.name} · ${type.name || type.id} · ${left}`;
}

export function attach(mdev) {
    ask({
        title: `Attach ${short(mdev.uuid)}`,
        text: ["Attaching only reserves its BARs: each page is mapped at its first access."],
        verb: "Attach",
        fields: [{ name: "machine", label: "Machine", kind: "choice", options: state.machines.map((it) => [it.name, it.name]) }],
        run: async ({ machine }) => {
            await api.put(api.path("machines", machine, "devices", mdev.uuid));
            return `Attached ${short(mdev.uuid)} to ${machine}.`;
        },
    });
}

export function detach(uuid, machine) {
    ask({
        title: `Detach ${short(uuid)} from ${machine}?`,
        text: ["The guest loses the device at once. Its content stays."],
        verb: "Detach",
        danger: true,
        run: async () => {
            await api.remove(api.path("machines", machine, "devices", uuid));
            return `Detached ${short(uuid)} from ${machine}.`;
        },
    });
}

export function revoke(mdev) {
    ask({
        title: `Revoke all mappings of ${short(mdev.uuid)}?`,
        text: [`${some(mdev.residentPages, "page")} (${pages(mdev.residentPages)}) are mapped. The guest goes on: its next access to each page faults, and the driver is asked again. The content stays.`],
        verb: "Revoke",
        run: async () => {
            const { residentBefore, residentAfter } = await api.post(here(mdev.uuid, "revoke"));
            return `Revoked ${short(mdev.uuid)}: ${residentBefore} pages before, ${residentAfter} after.`;
        },
    });
}

export function reset(mdev) {
    ask({
        title: `Reset ${short(mdev.uuid)}?`,
        text: ["The device is as after its creation: its content is lost, all mappings are revoked."],
        verb: "Reset",
        danger: true,
        run: async () => {
            await api.post(here(mdev.uuid, "reset"));
            return `Reset ${short(mdev.uuid)}.`;
        },
    });
}

export function start(mdev) {
    ask({
        title: `Start ${short(mdev.uuid)}?`,
        text: [`It is defined: ${mdev.type} in ${mdev.parent}.`],
        verb: "Start",
        run: async () => {
            await api.post(here(mdev.uuid, "start"));
            return `Started ${short(mdev.uuid)}.`;
        },
    });
}

export function adopt(mdev) {
    ask({
        title: `Adopt ${short(mdev.uuid)}?`,
        text: ["Another program made it. After this, the service owns it and may end it."],
        verb: "Adopt",
        run: async () => {
            await api.post(here(mdev.uuid, "adopt"));
            return `Adopted ${short(mdev.uuid)}.`;
        },
    });
}

/** Ends a device; with `keep`, its definition stays. */
export function end(mdev, keep) {
    const used = mdev.machine
        ? [`${mdev.machine} has it, and is asked to release it. After ${GRACE.replace("s", " seconds")}, it loses the device.`]
        : [];
    ask({
        title: `${keep ? "Stop" : "Delete"} ${short(mdev.uuid)}?`,
        text: [...used, "The host scrubs its pages before another device gets them. Its content is lost.",
            ...(keep ? ["Its definition stays."] : mdev.state.defined ? ["Its definition is deleted, too."] : [])],
        verb: keep ? "Stop" : "Delete",
        danger: true,
        run: async () => {
            const grace = mdev.machine ? `?grace=${GRACE}` : "";
            if (keep) {
                await api.post(here(mdev.uuid, "stop") + grace);
                return `Stopped ${short(mdev.uuid)}.`;
            }
            await (mdev.state.activity === "inactive"
                ? api.remove(api.path("definitions", mdev.uuid))
                : api.remove(here(mdev.uuid) + grace));
            if (state.route.id === mdev.uuid) {
                location.hash = "#/";
            }
            return `Deleted ${short(mdev.uuid)}.`;
        },
    });
}

export function createMachine() {
    ask({
        title: "Create a machine",
        verb: "Create",
        fields: [
            { name: "name", label: "Name", ...NAME },
            {
                name: "kind", label: "Who runs it", kind: "choice", options: [
                    ["internal", "this service, with guest programs"], ["external", "another program, such as QEMU"]],
            },
            { name: "ramMib", label: "RAM in MiB", hint: "Only if this service runs it.", kind: "number", min: 0, max: 1048576, value: 16 },
            { name: "vcpus", label: "Processors", kind: "number", min: 1, max: 64, value: 1 },
            {
                name: "smm", label: "System management mode", hint: "Memory that only its handlers see.", kind: "choice", options: [
                    ["off", "none"], ["address-space", "with an address space of its own"], ["slot-flag", "with hidden slots, a former design"]],
            },
        ],
        run: async ({ name, kind, ramMib, vcpus, smm }) => {
            await api.post("machines", kind === "external" ? { name, kind } : { name, ramMib, vcpus, smm });
            return `Created ${name}.`;
        },
    });
}

export function deleteMachine(machine) {
    const devices = machine.devices.length;
    ask({
        title: `Delete ${machine.name}?`,
        text: [devices ? `It stops, and ${some(devices, "device")} of it become idle. They keep their content.` : "It stops. It has no devices."],
        verb: "Delete",
        danger: true,
        run: async () => {
            await api.remove(api.path("machines", machine.name));
            return `Deleted ${machine.name}.`;
        },
    });
}

export function makeRoom(fit) {
    ask({
        title: `Make room for ${fit.type}?`,
        text: [`${some(fit.plan.moves.length, "idle device")} move: ${pages(fit.plan.pages)} are copied. Each move is atomic, and the content stays.`],
        verb: "Move them",
        run: async () => {
            await api.post(api.path("parents", fit.parent, "types", fit.type, "defragment"), { plan: fit.plan.id });
            await explain(fit.parent, fit.type);
            return `Made room for ${fit.type}.`;
        },
    });
}

export function repair(parent) {
    ask({
        title: `Try the quarantined pages of ${parent} again?`,
        text: ["Pages that read back as zero become free."],
        verb: "Scrub them",
        run: async () => {
            await api.post(api.path("parents", parent, "repair"));
            return `Scrubbed the quarantined pages of ${parent} again.`;
        },
    });
}

export function rescan(parent) {
    ask({
        title: `Look for devices of other programs in ${parent}?`,
        verb: "Look",
        run: async () => {
            await api.post(api.path("parents", parent, "rescan"));
            return `Looked for devices in ${parent}.`;
        },
    });
}
