/** Values as words. */

export const PAGE_BYTES = 4096;

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
    let unit = 0;
    let left = value;
    while (left >= 1024 && unit < UNITS.length - 1) {
        left /= 1024;
        unit++;
    }
    return `${+left.toFixed(left >= 100 ? 0 : 1)} ${UNITS[unit]}`;
}

export const pages = (count) => bytes(count * PAGE_BYTES);

export function count(value) {
    return Math.round(value).toLocaleString("en");
}

export function some(value, word) {
    return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

/** Faults a second, with a digit after the point where it matters. */
export function rate(value) {
    return value > 0 && value < 10 ? value.toFixed(1) : count(value);
}

export const short = (uuid) => uuid.slice(0, 8);

export function clock(time) {
    return new Date(time).toLocaleTimeString("en-GB");
}

export function ago(time) {
    const seconds = Math.max(0, (Date.now() - new Date(time).getTime()) / 1000);
    if (seconds < 60) {
        return `${Math.floor(seconds)} s ago`;
    }
    if (seconds < 3600) {
        return `${Math.floor(seconds / 60)} min ago`;
    }
    return seconds < 86400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86400)} d ago`;
}

export function micros(value) {
    return value < 1000 ? `${value} µs` : value < 1e6 ? `${+(value / 1000).toFixed(1)} ms` : `${+(value / 1e6).toFixed(1)} s`;
}

/** A word of the interface, such as `first_touch`, for people. */
export function words(name) {
    return name.replaceAll("_", " ");
}
