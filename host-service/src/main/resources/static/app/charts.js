/** Drawings: lines and bars as SVG and lists, pages of a region on a canvas. */

import { Component, createRef, h } from "./lib.js";
import * as api from "./api.js";
import { count, pages, rate, some } from "./format.js";

/** A line of values, the newest at the right. Its label tells what the eye sees. */
export function Spark({ values, length = 60, label }) {
    const most = Math.max(1, ...values);
    const points = values.slice(-length).map((value, i, all) => {
        const x = ((length - all.length + i) / (length - 1)) * 100;
        return `${x.toFixed(2)} ${(30 - (value / most) * 28).toFixed(2)}`;
    });
    const line = points.length > 1 ? `M${points.join("L")}` : "M0 30H100";
    const under = points.length > 1 ? `${line}L100 31L${points[0].split(" ")[0]} 31Z` : "";
    return h("svg", { class: "spark", viewBox: "0 0 100 32", preserveAspectRatio: "none", role: "img", "aria-label": label },
        under && h("path", { class: "under", d: under }),
        h("path", { d: line }));
}

export function RateChart({ values, now }) {
    const most = Math.max(0, ...values);
    return h("div", { class: "chart" },
        h("span", { class: "most" }, `${rate(Math.max(1, most))} per second`),
        h(Spark, {
            values, length: 120,
            label: `Faults in the last two minutes: now ${rate(now)} per second, at most ${rate(most)}`,
        }),
        h("div", { class: "times", "aria-hidden": "true" }, h("span", null, "2 min ago"), h("span", null, "now")));
}

const BOUNDS = [2, 5, 10, 20, 50, 100, 500, 1000, 10000];

/** How long the driver took for the last faults. */
export function Durations({ faults }) {
    const names = ["≤2", "≤5", "≤10", "≤20", "≤50", "≤100", "≤500", "≤1 ms", "≤10 ms", "more"];
    const counts = Array(names.length).fill(0);
    faults.forEach(({ driverMicros }) => {
        const at = BOUNDS.findIndex((bound) => driverMicros <= bound);
        counts[at < 0 ? BOUNDS.length : at]++;
    });
    const most = Math.max(1, ...counts);
    return h("ul", { class: "bars" }, counts.map((value, i) =>
        h("li", { key: i },
            h("i", { style: { height: `${(value / most) * 100}%` }, "aria-hidden": "true" }),
            h("span", null, names[i], h("span", { class: "unseen" }, ` µs: ${some(value, "fault")}`)))));
}

/** So few cells are one row of a fixed height. */
const FEW = 16;

/** All pages of a region, cell by cell; what has just been mapped is bright. */
export class PagesOfRegion extends Component {
    canvas = createRef();
    before = null;
    under = "";

    componentDidMount() {
        this.paint();
    }

    componentDidUpdate() {
        this.paint();
    }

    columns() {
        const cells = this.props.region.resident.length;
        const wide = window.innerWidth > 640 ? 128 : 64;
        return cells <= FEW ? cells : Math.min(wide, Math.max(16, 2 ** Math.ceil(Math.log2(Math.sqrt(cells) * 2))));
    }

    paint() {
        const { resident, pagesPerCell } = this.props.region;
        const canvas = this.canvas.current;
        const columns = this.columns();
        const rows = Math.ceil(resident.length / columns);
        const size = columns <= FEW ? 90 : 9;
        const height = columns <= FEW ? 20 : size;
        canvas.width = columns * size;
        canvas.height = rows * height;
        const style = getComputedStyle(canvas);
        const hue = style.getPropertyValue("--hue");
        const pen = canvas.getContext("2d");
        resident.forEach((mapped, i) => {
            const x = (i % columns) * size;
            const y = Math.floor(i / columns) * height;
            pen.globalAlpha = 1;
            pen.fillStyle = style.getPropertyValue("--sunk");
            pen.fillRect(x, y, size - 1, height - 1);
            if (mapped > 0) {
                const isNew = this.before?.length === resident.length && this.before[i] < mapped;
                pen.globalAlpha = isNew ? 1 : 0.2 + 0.4 * (mapped / pagesPerCell);
                pen.fillStyle = hue;
                pen.fillRect(x, y, size - 1, height - 1);
            }
        });
        this.before = resident;
    }

    look(event) {
        const { region } = this.props;
        const box = this.canvas.current.getBoundingClientRect();
        const columns = this.columns();
        const rows = Math.ceil(region.resident.length / columns);
        const cell = Math.floor(((event.clientY - box.top) / box.height) * rows) * columns
            + Math.floor(((event.clientX - box.left) / box.width) * columns);
        const mapped = region.resident[cell];
        this.under = mapped === undefined ? "" : this.words(cell, mapped);
        this.forceUpdate();
    }

    words(cell, mapped) {
        const { pages: all, pagesPerCell } = this.props.region;
        const first = cell * pagesPerCell;
        const last = Math.min(all, first + pagesPerCell) - 1;
        return first === last
            ? `page ${count(first)}: ${mapped ? "mapped" : "not mapped"}`
            : `pages ${count(first)} to ${count(last)}: ${count(mapped)} mapped`;
    }

    render({ region }) {
        const mapped = region.resident.reduce((sum, it) => sum + it, 0);
        const words = `${count(mapped)} of ${some(region.pages, "page")} mapped`;
        const cell = region.pagesPerCell === 1 ? "a cell is a page" : `a cell has ${region.pagesPerCell} pages`;
        return h("div", { class: "region" },
            h("div", { class: "title" },
                h("span", null, h("b", null, `BAR ${region.index} `), h("span", { class: "soft" }, region.name)),
                h("span", null, words, h("span", { class: "soft" }, ` · ${pages(mapped)} of ${pages(region.pages)}`))),
            h("canvas", {
                ref: this.canvas, class: region.resident.length <= FEW ? "few" : "", role: "img", "aria-label": `BAR ${region.index}, ${region.name}: ${words}`,
                onMouseMove: (event) => this.look(event),
                onMouseLeave: () => {
                    this.under = "";
                    this.forceUpdate();
                },
            }),
            h("p", { class: "under", "aria-hidden": "true" }, this.under || cell));
    }
}

/** What a display shows, looked at again and again while it is in sight. */
export class Screen extends Component {
    canvas = createRef();
    state = { trouble: "…" };

    componentDidMount() {
        this.abort = new AbortController();
        this.rest = this.props.every;
        this.next();
    }

    componentWillUnmount() {
        this.abort.abort();
        clearTimeout(this.timer);
    }

    async next() {
        if (!document.hidden) {
            await this.show();
        }
        if (!this.abort.signal.aborted && this.rest > 0) {
            this.timer = setTimeout(() => this.next(), this.rest);
        }
    }

    async show() {
        this.rest = this.props.every;
        try {
            const blob = await api.picture(`mdevs/${encodeURIComponent(this.props.uuid)}/picture`, this.abort.signal);
            const image = await createImageBitmap(blob);
            if (this.state.trouble !== null) {
                await new Promise((done) => this.setState({ trouble: null }, done));
            }
            const canvas = this.canvas.current;
            if (canvas) {
                canvas.width = image.width;
                canvas.height = image.height;
                canvas.getContext("2d").drawImage(image, 0, 0);
            }
        } catch (e) {
            // Two others are on their way: what is there stays.
            if (e.name !== "AbortError" && e.status !== 503) {
                // What is no display never becomes one.
                this.rest = e.status === 404 ? 0 : this.props.every * 3;
                this.setState({ trouble: e.status === 404 ? "no display" : e.status === 409 ? "shows nothing" : "no picture" });
            }
        }
    }

    render({ label }, { trouble }) {
        return trouble === null
            ? h("canvas", { ref: this.canvas, class: "screen", role: "img", "aria-label": label })
            : h("div", { class: "screen dark" }, trouble);
    }
}
