/** The memory of a parent: maps of its pools, and whether one more device of a type fits. */

import { h } from "./lib.js";
import * as actions from "./actions.js";
import { count, pages, short, some, words } from "./format.js";
import { explain } from "./live.js";
import { changed, hueOf, mayAdminister, mayOperate, mdevOf, rateOf, state } from "./store.js";

/** More pieces than these are drawn together with their neighbours: they would be thinner than a line. */
const MOST_SEGMENTS = 240;

/** Pools with less than this part of the largest are drawn small. */
const MINOR = 0.25;

export function Pools({ capacity }) {
    const largest = Math.max(...capacity.pools.map((pool) => pool.totalPages));
    const moving = movingIn(capacity.parent);
    return capacity.pools.map((pool) =>
        h(Pool, { key: pool.pool, pool, minor: pool.totalPages < largest * MINOR, moving }));
}

/** The devices that the open explanations would move. */
function movingIn(parent) {
    const fits = [...state.fits.values()].filter((fit) => fit.parent === parent && !fit.fits && fit.plan);
    return new Set(fits.flatMap((fit) => fit.plan.moves.map((move) => move.mdev)));
}

function Pool({ pool, minor, moving }) {
    return h("div", { class: minor ? "pool minor" : "pool" },
        h("div", { class: "title" },
            h("span", null, h("b", null, pool.pool), ` ${pages(pool.totalPages)}`),
            h("span", null, `${pages(pool.freePages)} free`)),
        pool.guaranteedPages > 0 && h("p", { class: "small soft" },
            `Elastic shares: ${pages(pool.guaranteedPages)} guaranteed, ${pages(pool.usedPages)} used, `
                + `${pages(pool.reclaimablePages)} can be taken back, ${pages(pool.storedPages)} swapped out`),
        h("div", { class: "map", role: "group", "aria-label": `Map of pool ${pool.pool}: ${summary(pool)}` },
            together(pool.extents, pool.totalPages).map((extent) =>
                h(Segment, { key: extent.firstPage, extent, total: pool.totalPages, minor, isMoving: moving.has(extent.mdev) }))));
}

function summary(pool) {
    const sum = (use) => pool.extents.filter((it) => it.use === use).reduce((all, it) => all + it.pages, 0);
    const parts = ["device", "free", "shared", "scrubbing", "quarantined"].map((use) => [use, sum(use)]).filter(([, npages]) => npages > 0);
    return parts.map(([use, npages]) => `${pages(npages)} ${use === "device" ? "of devices" : use}`).join(", ");
}

/** Joins pieces that are too small to be seen with the larger one beside them. */
function together(extents, total) {
    if (extents.length <= MOST_SEGMENTS) {
        return extents;
    }
    const least = total / MOST_SEGMENTS;
    const joined = [];
    for (const extent of extents) {
        const last = joined.at(-1);
        if (last && last.joined < least) {
            const larger = extent.pages > last.larger ? extent : last;
            joined[joined.length - 1] = {
                ...larger, firstPage: last.firstPage, pages: last.pages + extent.pages,
                joined: last.joined + extent.pages, larger: Math.max(last.larger, extent.pages),
            };
        } else {
            joined.push({ ...extent, joined: extent.pages, larger: extent.pages });
        }
    }
    return joined;
}

function Segment({ extent, total, minor, isMoving }) {
    const style = { flexGrow: extent.pages };
    const range = `pages ${count(extent.firstPage)} to ${count(extent.firstPage + extent.pages - 1)}, ${pages(extent.pages)}`;
    if (!extent.mdev) {
        // Of a device that the caller does not see.
        const use = extent.use === "device" ? "another's" : extent.use;
        return h("span", { class: `seg ${extent.use}`, style, title: `${use}: ${range}` });
    }
    const mdev = mdevOf(extent.mdev);
    const level = mdev?.state.heldPages ? Math.min(1, mdev.residentPages / mdev.state.heldPages) : 0;
    const granting = rateOf(extent.mdev).now > 0;
    const title = `${short(extent.mdev)}${mdev?.machine ? ` in ${mdev.machine}` : ""}: ${range}; ${Math.round(level * 100)} % mapped`;
    const classes = ["seg device", granting && "granting", isMoving && "moving", extent.use !== "device" && extent.use];
    const label = extent.pages / total > 0.08;
    return h("a", {
        class: classes.filter(Boolean).join(" "), style, title, "data-hue": hueOf(extent.mdev),
        href: `#/devices/${extent.mdev}`, "aria-label": title, tabIndex: minor ? -1 : 0,
    },
        h("span", { class: "level", style: { height: `${level * 100}%` } }),
        label && h("span", { class: "name" }, mdev?.machine ?? short(extent.mdev)));
}

export function Legend({ capacity }) {
    const uses = new Set(capacity.pools.flatMap((pool) => pool.extents.map((extent) => extent.use)));
    const devices = state.mdevs.filter((it) => it.parent === capacity.parent && it.state.heldPages > 0);
    const named = devices.slice(0, 8);
    return h("ul", { class: "legend" },
        named.map((mdev) => h("li", { key: mdev.uuid },
            h("span", { class: "chip", "data-hue": hueOf(mdev.uuid) }),
            h("a", { href: `#/devices/${mdev.uuid}`, class: "mono" }, short(mdev.uuid)),
            h("span", null, mdev.machine ?? "idle"))),
        devices.length > named.length && h("li", null, `and ${devices.length - named.length} more`),
        ["free", "shared", "scrubbing", "quarantined"].filter((use) => uses.has(use)).map((use) =>
            h("li", { key: use }, h("span", { class: `chip ${use}` }), use)),
        devices.length > 0 && h("li", null, "the level shows how much is mapped now"));
}

export function Types({ parent }) {
    return h("ul", { class: "types" }, parent.types.map((type) => h(Type, { key: type.id, parent, type })));
}

function Type({ parent, type }) {
    const key = `${parent.name} ${type.id}`;
    const fit = state.fits.get(key);
    const demand = type.demands.filter((it) => it.npages > 1).map((it) => `${pages(it.npages)} ${it.pool}`).join(", ");
    const made = state.mdevs.filter((it) => it.parent === parent.name && it.type === type.id && it.state.heldPages > 0).length;
    const left = type.availableInstances;
    const toggle = async () => {
        if (fit) {
            state.fits.delete(key);
        } else {
            await explain(parent.name, type.id);
        }
        changed();
    };
    return h("li", null,
        h("div", { class: "type" },
            h("div", null, h("b", null, type.id), " ", h("span", { class: "soft small" }, demand)),
            h("div", { class: "room" },
                h("span", { class: "small soft" }, `${some(made, "device")} · `,
                    left > 0 ? `${count(left)} more ${left === 1 ? "fits" : "fit"}` : "none fits"),
                h("span", { class: "meter", "aria-hidden": "true" },
                    h("i", { style: { width: `${made + left ? (made / (made + left)) * 100 : 0}%` } }))),
            h("div", { class: "acts" },
                h("button", { class: "small plain", "aria-expanded": Boolean(fit), onClick: toggle, "aria-label": `Explain ${type.id}` }, "Explain"),
                mayOperate() && parent.presence === "present" && h("button", {
                    class: "small", disabled: left === 0, "aria-label": `Create a device of ${type.id}`,
                    onClick: () => actions.createDevice(parent.name, type.id),
                }, "Create"))),
        fit && h(Why, { fit }));
}

const REASONS = {
    idle: "is idle and can move",
    assigned: "is in use and cannot move",
    not_movable: "cannot move: its driver moves no devices",
    elastic: "are of an elastic share and do not move",
    foreign: "belongs to another program",
    unsettled: "is being created or ended, or is lost",
    scrubbing: "are being scrubbed",
    quarantined: "are quarantined",
};

function Why({ fit }) {
    if (fit.fits) {
        return h("div", { class: "why" },
            h("p", null, `One more ${fit.type} fits.`),
            h(Givers, { givers: fit.givers }));
    }
    return h("div", { class: "why", role: "status" },
        fit.shortages.length === 0 && h("p", null, fit.text),
        fit.shortages.map((shortage) => h(Shortage, { key: shortage.usage.pool, shortage })),
        h(Givers, { givers: fit.givers }),
        fit.plan && h("p", null, h("strong", null, "What would move: "),
            fit.plan.moves.map((move) => `${short(move.mdev)} (${pages(move.pages)})`).join(", "),
            `. ${pages(fit.plan.pages)} are copied in all.`),
        fit.plan && mayAdminister() && h("div", null,
            h("button", { class: "main small", onClick: () => actions.makeRoom(fit) }, "Make room")));
}

/** Who would be asked for what, in that order. */
function Givers({ givers }) {
    return givers.length > 0 && h("div", null,
        h("p", null, h("strong", null, "Who would give pages back: ")),
        h("ol", { class: "givers" }, givers.map((giver, i) =>
            h("li", { key: i },
                h("span", { class: "chip", "data-hue": giver.mdev && hueOf(giver.mdev) }),
                h("span", null,
                    giver.mdev
                        ? h("a", { href: `#/devices/${giver.mdev}`, class: "mono" }, short(giver.mdev))
                        : "a device of another tenant",
                    ` ${pages(giver.pages)} of ${giver.pool}`)))));
}

function Shortage({ shortage }) {
    const { demand, usage, fragmented, blockers } = shortage;
    const need = `${pages(demand.minPages)}${demand.contiguous ? " in one piece" : ""}`;
    return h("div", null,
        h("p", null, `It needs ${need} of ${usage.pool}. `,
            fragmented
                ? `${pages(usage.freePages)} are free, but in the wrong places: the largest piece has ${pages(usage.largestFreePages)}.`
                : `Only ${pages(usage.freePages)} are free.`),
        blockers.length > 0 && h("ul", null, blockers.slice(0, 12).map((blocker, i) =>
            h("li", { key: i },
                h("span", { class: "chip", "data-hue": blocker.mdev && hueOf(blocker.mdev) }),
                h("span", null,
                    blocker.mdev && h("a", { href: `#/devices/${blocker.mdev}`, class: "mono" }, short(blocker.mdev)),
                    ` ${pages(blocker.pages)} ${REASONS[blocker.reason] ?? words(blocker.reason)}`,
                    blocker.detail && h("span", { class: "soft" }, ` (${blocker.detail})`))))));
}
