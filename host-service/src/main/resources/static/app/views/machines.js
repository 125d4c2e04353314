/** The machines, their devices, and who is connected. */

import { Component, h } from "../lib.js";
import * as api from "../api.js";
import * as actions from "../actions.js";
import { ago, bytes, count, pages, short, some } from "../format.js";
import { hueOf, mayOperate, mdevOf, rateOf, say, state } from "../store.js";
import { rate } from "../format.js";

export function Machines() {
    return h("div", { class: "stack" },
        h("div", { class: "head" },
            h("h1", { tabIndex: -1 }, "Machines"),
            mayOperate() && h("div", { class: "acts" },
                h("button", { class: "main", onClick: actions.createMachine }, "New machine"))),
        state.machines.length === 0
            ? h("p", { class: "panel none" }, h("strong", null, "No machines yet."), " A machine uses devices: one of this service, or a QEMU of yours.")
            : state.machines.map((machine) => h(Machine, { key: machine.name, machine })));
}

function Machine({ machine }) {
    const isExternal = machine.kind === "external";
    return h("section", { class: "panel", "aria-labelledby": `machine-${machine.name}` },
        h("header", null,
            h("h2", { id: `machine-${machine.name}` }, machine.name),
            h("span", { class: "soft small" }, isExternal
                ? "another program runs it"
                : [machine.engine, `${bytes(machine.ramBytes)} RAM`, some(machine.vcpus.length, "processor"),
                    machine.smm && `system management mode (${machine.smm})`].filter(Boolean).join(", ")),
            mayOperate() && h("div", { class: "acts" },
                h("button", { class: "small danger", "aria-label": `Delete machine ${machine.name}`, onClick: () => actions.deleteMachine(machine) }, "Delete"))),
        h("div", { class: "slots" },
            !isExternal && h("ul", { class: "cpus", "aria-label": "Processors" }, machine.vcpus.map((it) =>
                h("li", { key: it.id, class: it.busy ? "busy" : "", "aria-label": wordsOf(it) }, it.id))),
            machine.devices.length === 0 && h("p", { class: "none" }, "No devices. Attach one from its page."),
            machine.devices.map((device) => h(Slot, { key: device.mdev, machine, device })),
            isExternal && machine.devices.length > 0 && h(QemuCommand, { name: machine.name })));
}

function wordsOf({ id, busy, inSmm }) {
    return [`processor ${id}`, busy ? "runs a program" : "idle", inSmm && "in system management mode"].filter(Boolean).join(", ");
}

function Slot({ machine, device }) {
    const mdev = mdevOf(device.mdev);
    return h("div", { class: "slot", "data-hue": hueOf(device.mdev) },
        h("div", { class: "row" },
            h("span", { class: "chip" }),
            h("a", { class: "mono", href: `#/devices/${device.mdev}` }, short(device.mdev)),
            h("span", { class: "soft small" }, [mdev?.type, device.address].filter(Boolean).join(" at ")),
            h("span", { class: "small" }, `${rate(rateOf(device.mdev).now)} faults/s`),
            mayOperate() && h("div", { class: "acts" },
                h("button", { class: "small", "aria-label": `Detach ${device.mdev}`, onClick: () => actions.detach(device.mdev, machine.name) }, "Detach"))),
        device.socket ? h(Connection, { device }) : h(Bars, { device }));
}

function Bars({ device }) {
    return h("p", { class: "small soft" }, device.bars.map((bar) => `BAR ${bar.bar} ${bar.name} ${bytes(bar.sizeBytes)} at ${bar.gpa}`).join(" · "));
}

function Connection({ device }) {
    const { connection } = device;
    const requests = Object.values(connection?.requests ?? {}).reduce((sum, it) => sum + it, 0);
    return h("div", { class: "small" },
        h("p", null, connection
            ? `Connected: process ${connection.pid || "of another namespace"}, user ${connection.uid}, ${ago(connection.since)}; `
                + `${some(requests, "request")}, ${some(connection.errors, "error")}; reaches ${bytes(connection.dma.bytes)} of guest memory in ${some(connection.dma.maps, "piece")}`
            : "Nobody is connected."),
        h("p", { class: "soft" }, `${pages(device.residentPages)} of its BARs mapped now`),
        h("p", { class: "soft mono" }, device.socket),
        device.refused > 0 && h("p", { class: "soft" }, `${count(device.refused)} refused`),
        device.lastFailure && h("p", { class: "soft" }, `Last failure: ${device.lastFailure}`));
}

class QemuCommand extends Component {
    state = { text: null };

    async toggle() {
        if (this.state.text !== null) {
            this.setState({ text: null });
            return;
        }
        try {
            this.setState({ text: await api.text(api.path("machines", this.props.name, "qemu")) });
        } catch (e) {
            say(e.message, "bad");
        }
    }

    render({ name }, { text }) {
        const copy = async () => {
            await navigator.clipboard.writeText(text);
            say("Copied the command.");
        };
        return h("div", { class: "slots" },
            h("div", { class: "acts" },
                h("button", { class: "small", "aria-expanded": text !== null, "aria-label": `QEMU command of ${name}`, onClick: () => this.toggle() }, "QEMU command"),
                text !== null && navigator.clipboard && h("button", { class: "small plain", onClick: copy }, "Copy")),
            text !== null && h("pre", { tabIndex: 0 }, text));
    }
}
