// Formats and parses times, durations and numbers.

/** The units of durations in milliseconds. */
export const UNITS = {ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5};

/** A duration such as 5m or 1h30m in milliseconds, or null. */
export function duration(text) {
  const parts = text.match(/^(\d+(ms|s|m|h|d|w))+$/) && text.match(/\d+(ms|[smhdw])/g);
  return parts ? parts.reduce((sum, part) => sum + parseInt(part, 10) * UNITS[part.replace(/\d+/, "")], 0) || null : null;
}

/** A duration such as 90m, in the largest unit of which it is a multiple. */
export function durationText(ms) {
  const [unit, length] = Object.entries(UNITS).findLast(([, one]) => ms % one === 0);
  return `${ms / length}${unit}`;
}

/** How far a zone, "utc" or "local", is ahead of UTC at a time, in milliseconds. */
export const ahead = (ms, zone) => (zone === "utc" ? 0 : -new Date(ms).getTimezoneOffset() * UNITS.m);

/** A time in a zone as `2026-01-31 13:00:00`, with milliseconds if they are not 0. */
export function timeText(ms, zone) {
  const text = new Date(ms + ahead(ms, zone)).toISOString().replace("T", " ").replace("Z", "");
  return text.replace(/\.000$/, "");
}

/** Such a time in milliseconds, or null. It may have a `T` in the middle and a `Z` at the end. */
export function parseTime(text, zone) {
  const match = text.match(/^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?(Z?)$/);
  if (!match) return null;
  const ms = Date.parse(`${match[1]}T${match[2] ?? "00:00"}${match[3] || zone === "utc" ? "Z" : ""}`);
  return Number.isNaN(ms) ? null : ms;
}

/** The name of a zone at a time: `UTC` or `UTC+02:00`. */
export function zoneText(ms, zone) {
  const minutes = ahead(ms, zone) / UNITS.m;
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return minutes ? `UTC${minutes < 0 ? "−" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}` : "UTC";
}

/** A number with at most six significant digits. */
export const short = (number) => Number(number.toPrecision(6)).toString();

const PREFIXES = [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3], ["", 1], ["m", 1e-3], ["µ", 1e-6], ["n", 1e-9]];

/** A function that formats the numbers of an axis up to `greatest`, with an SI prefix if they would be long. */
export function axisText(greatest) {
  const isShort = greatest === 0 || (greatest < 1e4 && greatest >= 1e-2);
  const [prefix, factor] = PREFIXES.find(([name, one]) => (isShort ? name === "" : greatest >= one)) ?? PREFIXES.at(-1);
  return (number) => (number === 0 ? "0" : short(number / factor) + (prefix && ` ${prefix}`));
}

/** At most `count` + 1 round numbers from `low` to `high`: multiples of one of `steps`, or else of 1, 2 or 5 times a power of ten. */
export function ticks(low, high, count, steps = []) {
  const least = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = steps.find((one) => one >= least) ?? [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least);
  const first = Math.ceil(low / step);
  return Array.from({length: Math.max(0, Math.floor(high / step) - first + 1)}, (_, index) => (first + index) * step);
}

const {s, m, h, d} = UNITS;
/** The steps of a time axis. */
export const TIME_STEPS = [s, 5 * s, 10 * s, 30 * s, m, 2 * m, 5 * m, 10 * m, 15 * m, 30 * m, h, 2 * h, 3 * h, 6 * h, 12 * h, d, 2 * d, 7 * d, 14 * d, 30 * d,
  90 * d, 365 * d];
