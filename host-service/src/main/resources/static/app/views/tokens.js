/** Who may use this service: the tokens that an administrator makes and revokes. */

import { Component, h } from "../lib.js";
import * as api from "../api.js";
import { ask } from "../dialog.js";
import { ago } from "../format.js";
import { beginWith } from "../session.js";
import { say, state } from "../store.js";

const NAME = {
    pattern: "[A-Za-z0-9][A-Za-z0-9._:\\-]{0,63}",
    title: "letters, digits, dots, colons, dashes and underscores, with a letter or a digit first",
};

const ROLES = [
    ["viewer", "viewer: sees everything"],
    ["operator", "operator: also creates, uses and removes"],
    ["admin", "admin: also manages tokens and the host"],
];

const REACH = [
    { name: "tenant", label: "Tenant", hint: "Its holder sees what is the tenant's only. Empty for yours.", ...NAME },
    { name: "parents", label: "Parents", hint: "Names with commas between. Empty for all." },
    { name: "machines", label: "Machines", hint: "Names with commas between. Empty for all." },
];

export class Tokens extends Component {
    state = { tokens: null, made: null, trouble: null };

    componentDidMount() {
        this.load();
    }

    async load() {
        try {
            this.setState({ tokens: await api.list("tokens"), trouble: null });
        } catch (e) {
            if (!("status" in e)) {
                throw e;
            }
            this.setState({ trouble: e.message });
        }
    }

    make() {
        const isFirst = state.session.means === "address";
        ask({
            title: "Make a token",
            text: ["Who has it acts with its role, within its reach. You see it once.",
                ...(isFirst ? ["It is the first: from now on, the service refuses callers without a token. This page goes on with it."] : [])],
            verb: "Make",
            fields: [
                { name: "name", label: "Name", hint: "Whose it is. The audit log names it.", required: true, ...NAME },
                { name: "role", label: "Role", kind: "choice", options: isFirst ? ROLES.slice(-1) : ROLES },
                ...(isFirst ? [] : REACH),
                { name: "expires", label: "Valid until", hint: "In your time. Empty for no end.", kind: "datetime-local" },
            ],
            run: async (values) => {
                const make = () => api.post("tokens", requestOf(values));
                const made = await (isFirst ? beginWith(make) : make());
                this.setState({ made });
                await this.load();
                return `Made the token ${made.name}.`;
            },
        });
    }

    revoke(token) {
        ask({
            title: `Revoke the token ${token.name}?`,
            text: ["Its sessions end, and every request with it is refused from now on. Devices and machines stay."],
            verb: "Revoke",
            danger: true,
            run: async () => {
                await api.remove(api.path("tokens", token.id));
                await this.load();
                return `Revoked the token ${token.name}.`;
            },
        });
    }

    render(_, { tokens, made, trouble }) {
        return h("div", { class: "stack" },
            h("div", { class: "head" }, h("h1", { tabIndex: -1 }, "Tokens"),
                h("div", { class: "acts" }, h("button", { class: "main", onClick: () => this.make() }, "New token"))),
            trouble && h("p", { class: "warning", role: "alert" }, trouble),
            made && h(Made, { key: made.id, made, done: () => this.setState({ made: null }) }),
            tokens && h("section", { class: "panel", "aria-label": "All tokens" },
                tokens.length === 0
                    ? h("p", { class: "none" }, h("strong", null, "No tokens yet."), " Each person and program gets one of its own.")
                    : h(Table, { tokens, revoke: (token) => this.revoke(token) })));
    }
}

function requestOf({ name, role, tenant = "", parents = "", machines = "", expires }) {
    return {
        name,
        role,
        tenant: tenant || undefined,
        parents: namesIn(parents),
        machines: namesIn(machines),
        expires: expires ? new Date(expires).toISOString() : undefined,
    };
}

function namesIn(text) {
    const names = text.split(/[\s,]+/).filter(Boolean);
    return names.length > 0 ? names : undefined;
}

/** The secret, until it is put away. The service itself knows only its hash. */
function Made({ made, done }) {
    const copy = async () => {
        await navigator.clipboard.writeText(made.token);
        say("Copied the token.");
    };
    return h("section", { class: "panel", "aria-labelledby": "made" },
        h("header", null, h("h2", { id: "made" }, `The token ${made.name}`),
            h("div", { class: "acts" },
                navigator.clipboard && h("button", { class: "small", onClick: copy }, "Copy"),
                h("button", { class: "small plain", onClick: done }, "Put it away"))),
        h("p", { class: "soft" }, "Nobody can show it again."),
        h("pre", { tabIndex: 0, "aria-label": "Secret" }, made.token));
}

function Table({ tokens, revoke }) {
    return h("div", { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Table of the tokens" }, h("table", null,
        h("thead", null, h("tr", null,
            ["Name", "Role", "Reach", "Made", "Valid", ""].map((it) => h("th", { key: it, scope: "col" }, it || h("span", { class: "unseen" }, "Action"))))),
        h("tbody", null, tokens.map((token) => h("tr", { key: token.id },
            h("td", null, token.name), h("td", null, token.role), h("td", null, reachOf(token)),
            h("td", null, ago(token.created)), h("td", null, validityOf(token)),
            h("td", { class: "number" }, h("button", {
                class: "small danger", "aria-label": `Revoke token ${token.name}`, onClick: () => revoke(token),
            }, "Revoke")))))));
}

function reachOf({ tenant, parents, machines }) {
    const parts = [tenant && `tenant ${tenant}`, ...parents.map((it) => `parent ${it}`), ...machines.map((it) => `machine ${it}`)];
    return parts.filter(Boolean).join(", ") || "everything";
}

function validityOf({ expires, expired }) {
    if (!expires) {
        return "without end";
    }
    return expired ? "expired" : `until ${new Date(expires).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })}`;
}
