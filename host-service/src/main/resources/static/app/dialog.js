/** Questions to the operator. The browser's own dialog keeps the focus inside, and gives it back. */

import { Component, createRef, h } from "./lib.js";
import { changed, say, state } from "./store.js";
import { refresh } from "./live.js";

/**
 * Asks, and does it.
 *
 * @param title a question or a verb
 * @param text what will happen, a paragraph each
 * @param fields `name`, `label`, `hint`, `kind` (`text`, `number`, `choice`, `check`), `value`,
 *     `options` ([value, words]) and more attributes of the field
 * @param verb the words of the button
 * @param danger whether something is lost
 * @param run gets the values by name; its result is said
 */
export function ask(question) {
    state.dialog = { fields: [], text: [], ...question, key: Date.now() };
    changed();
}

export class Dialog extends Component {
    element = createRef();
    state = { busy: false, trouble: null };

    componentDidMount() {
        this.element.current.showModal();
    }

    close() {
        this.element.current.close();
    }

    async submit(event) {
        event.preventDefault();
        const { question } = this.props;
        const form = new FormData(event.target);
        const values = Object.fromEntries(question.fields.map((field) => [field.name, valueOf(field, form)]));
        this.setState({ busy: true, trouble: null });
        try {
            const message = await question.run(values);
            this.close();
            if (message) {
                say(message);
            }
            refresh();
        } catch (e) {
            if (!("status" in e)) {
                throw e;
            }
            this.setState({ busy: false, trouble: e.message });
        }
    }

    render({ question }, { busy, trouble }) {
        return h("dialog", {
            ref: this.element, "aria-labelledby": "question",
            onClose: () => {
                state.dialog = null;
                changed();
            },
        },
            h("form", { onSubmit: (event) => this.submit(event) },
                h("h2", { id: "question" }, question.title),
                question.text.map((text, i) => h("p", { key: i, class: "soft" }, text)),
                question.fields.map((field) => h(Field, { key: field.name, ...field })),
                trouble && h("p", { class: "trouble", role: "alert" }, trouble),
                h("div", { class: "acts" },
                    h("button", { type: "button", onClick: () => this.close() }, "Cancel"),
                    h("button", { type: "submit", class: question.danger ? "main danger" : "main", disabled: busy },
                        busy ? "Working…" : question.verb))));
    }
}

function valueOf(field, form) {
    const value = form.get(field.name);
    if (field.kind === "check") {
        return value !== null;
    }
    return field.kind === "number" ? Number(value) : String(value ?? "").trim();
}

function Field({ name, label, hint, kind = "text", value, options, ...more }) {
    const id = `field-${name}`;
    const known = { id, name, "aria-describedby": hint && `${id}-hint`, ...more };
    const words = h("label", { htmlFor: id }, label);
    const hinted = hint && h("span", { class: "hint", id: `${id}-hint` }, hint);
    if (kind === "check") {
        return h("div", { class: "field check" }, h("input", { type: "checkbox", defaultChecked: value, ...known }), words, hinted);
    }
    if (kind === "choice") {
        return h("div", { class: "field" }, words, h("select", known, options.map(([key, text]) =>
            h("option", { key, value: key, selected: key === value }, text))), hinted);
    }
    return h("div", { class: "field" }, words,
        h("input", { type: kind, defaultValue: value, autocomplete: "off", spellcheck: false, ...known }), hinted);
}
