/** Shows the OpenAPI document of this service. All texts become text nodes, never HTML. */

const DOCUMENT = new URL("docs/openapi.json", document.baseURI);
const METHODS = ["get", "post", "put", "patch", "delete"];

/** An element with children: elements, or texts. */
function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
        element.setAttribute(key, value);
    }
    element.append(...children.flat().filter((it) => it !== null && it !== undefined));
    return element;
}

const nameOf = (reference) => reference.split("/").at(-1);
const pretty = (value) => make("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));

/** A type in words, with links to named ones. */
function typeOf(schema) {
    if (!schema) {
        return ["bytes"];
    }
    if (schema.$ref) {
        const name = nameOf(schema.$ref);
        return [make("a", { href: `#schema-${name}` }, name)];
    }
    if (schema.oneOf) {
        return schema.oneOf.flatMap((it, i) => [...(i ? [" or "] : []), ...typeOf(it)]);
    }
    if (schema.enum) {
        return [schema.enum.map((it) => `"${it}"`).join(" | ")];
    }
    if (schema.type === "array") {
        return ["list of ", ...typeOf(schema.items)];
    }
    return [schema.format ? `${schema.type} (${schema.format})` : (schema.type ?? "anything")];
}

function limitsOf(schema) {
    const words = { minimum: "at least", maximum: "at most", minItems: "items at least", maxItems: "items at most",
        maxLength: "characters at most", pattern: "matches", default: "default" };
    return Object.entries(words).filter(([key]) => schema[key] !== undefined && schema[key] !== "")
        .map(([key, word]) => `${word} ${schema[key]}`).join("; ");
}

function row(name, schema, description, isRequired) {
    return make("tr", {},
        make("td", {}, make("code", {}, name), isRequired ? " *" : ""),
        make("td", {}, ...typeOf(schema)),
        make("td", {}, [description, limitsOf(schema ?? {})].filter(Boolean).join(" ")));
}

function table(title, rows) {
    return rows.length === 0 ? null : make("div", {}, make("h4", {}, title),
        make("table", {}, make("tbody", {}, ...rows)));
}

function contentOf(title, content) {
    return Object.entries(content ?? {}).map(([type, it]) => make("div", {},
        make("h4", {}, `${title}: `, make("code", {}, type)),
        make("p", {}, ...typeOf(it.schema)),
        it.example === undefined ? null : pretty(it.example)));
}

function call(path, method, it, api) {
    const parameters = (it.parameters ?? []).map((p) =>
        row(`${p.name} (${p.in})`, p.schema, p.description, p.required));
    const answers = Object.entries(it.responses).map(([status, response]) => {
        const named = response.$ref ? api.components.responses[nameOf(response.$ref)] : response;
        return make("tr", {}, make("td", {}, status), make("td", {}, named.description ?? ""));
    });
    const successes = Object.entries(it.responses).filter(([status]) => status < 300)
        .flatMap(([status, response]) => contentOf(`Answer ${status}`, response.content));
    return make("details", { id: it.operationId },
        make("summary", {}, make("span", { class: "method" }, method.toUpperCase()), " ", make("code", {}, path), " ",
            make("span", { class: "effect" }, it.summary)),
        make("div", {},
            table("Parameters", parameters),
            ...contentOf("Body", it.requestBody?.content),
            ...successes,
            table("Statuses", answers)));
}

function schema(name, it) {
    const required = it.required ?? [];
    const rows = Object.entries(it.properties ?? {}).map(([key, property]) =>
        row(key, property, property.description, required.includes(key)));
    return make("details", { id: `schema-${name}` },
        make("summary", {}, make("code", {}, name), " ", make("span", { class: "effect" }, it.description ?? "")),
        make("div", {}, rows.length ? table("Fields (* always)", rows) : make("p", {}, ...typeOf(it))));
}

function show(api) {
    const tags = new Map();
    for (const [path, item] of Object.entries(api.paths)) {
        for (const method of METHODS.filter((it) => item[it])) {
            const tag = item[method].tags[0];
            tags.set(tag, [...(tags.get(tag) ?? []), call(path, method, item[method], api)]);
        }
    }
    const main = document.getElementById("docs");
    main.replaceChildren(
        make("h1", {}, "REST interface"),
        make("p", {}, api.info.description),
        make("p", {}, make("a", { href: "docs/openapi.json" }, "The OpenAPI document"), " for generators of clients."),
        make("div", { id: "calls" }, ...[...tags].flatMap(([tag, calls]) => [make("h2", {}, tag), ...calls])),
        make("h2", {}, "Objects"),
        ...Object.entries(api.components.schemas).map(([name, it]) => schema(name, it)));
    openTarget();
}

/** A link to something that is closed opens it. */
function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
        target.open = true;
        target.scrollIntoView();
    }
}

addEventListener("hashchange", openTarget);

try {
    const response = await fetch(DOCUMENT);
    show(await response.json());
} catch (e) {
    document.getElementById("docs").replaceChildren(make("p", {}, `The document cannot be read: ${e.message}`));
}
