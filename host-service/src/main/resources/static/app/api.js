/** Calls of the service. All paths are below `api/v1/`, relative to the page. */

const ROOT = new URL("api/v1/", document.baseURI);

/** What a session sends with a change, so that no other page can send it: a `header` and its `token`. */
let csrf = null;

export function useCsrf(given) {
    csrf = given ?? null;
}

/** A refusal of the service, or no answer at all (`status` 0). */
export class Refusal extends Error {
    constructor(status, code, detail) {
        super(detail);
        this.status = status;
        this.code = code;
    }
}

export const url = (path) => new URL(path, ROOT);

/** Parts of a path, each as one segment. */
export const path = (...parts) => parts.map(encodeURIComponent).join("/");

async function send(method, where, { body, accept = "application/json", signal } = {}) {
    const headers = { Accept: accept };
    if (body !== undefined) {
        headers["Content-Type"] = "application/json";
    }
    if (method !== "GET" && csrf) {
        headers[csrf.header] = csrf.token;
    }
    let response;
    try {
        response = await fetch(url(where), {
            method,
            headers,
            signal,
            body: body === undefined ? undefined : JSON.stringify(body),
            credentials: "same-origin",
            cache: "no-store",
        });
    } catch (e) {
        if (e.name === "AbortError") {
            throw e;
        }
        throw new Refusal(0, "unreachable", "The service does not answer.");
    }
    if (!response.ok) {
        throw await refusalOf(response);
    }
    return response;
}

async function refusalOf(response) {
    try {
        const problem = await response.json();
        const parts = (problem.violations ?? []).map((it) => `${it.pointer} ${it.detail}`.trim());
        return new Refusal(response.status, String(problem.code), [problem.detail, ...parts].filter(Boolean).join("; "));
    } catch {
        return new Refusal(response.status, "garbled", `The service answered ${response.status} without a reason.`);
    }
}

async function json(method, where, options) {
    const response = await send(method, where, options);
    if (response.status === 204) {
        return null;
    }
    try {
        return await response.json();
    } catch {
        throw new Refusal(response.status, "garbled", "The answer is no JSON: does a proxy answer in the service's place?");
    }
}

export const get = (where, options) => json("GET", where, options);
/** All parts of a list. */
export async function list(where) {
    const items = [];
    let part = where;
    do {
        const answer = await get(part);
        items.push(...answer.items);
        part = answer.next && `${where}?after=${encodeURIComponent(answer.next)}`;
    } while (part);
    return items;
}

export const post = (where, body) => json("POST", where, { body });
export const put = (where, body) => json("PUT", where, { body });
export const remove = (where) => json("DELETE", where);
export const text = async (where) => (await send("GET", where, { accept: "text/plain, application/problem+json" })).text();
export const picture = async (where, signal) =>
    (await send("GET", where, { accept: "image/png, application/problem+json", signal })).blob();
