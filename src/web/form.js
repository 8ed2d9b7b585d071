// Reads the form, and makes requests from it.

import {byId, showError} from "./dom.js";
import {duration, parseTime, timeText} from "./units.js";

export const form = byId("form");
export const field = (name) => form.elements[name];
export const value = (name) => field(name).value.trim();

/** The aggregation methods, and what they make of a counter: a rate, an increase, or a number of events. */
export const METHODS = {MEAN: "rate", MAX: "rate", MIN: "rate", SUM: "increase", EVENT_COUNT: "events", SUM_NO_ZEROS: "increase",
  EVENT_COUNT_NO_ZEROS: "events", PERCENTILE_25: "rate", PERCENTILE_50: "rate", PERCENTILE_75: "rate", PERCENTILE_90: "rate",
  PERCENTILE_95: "rate", PERCENTILE_98: "rate", PERCENTILE_99: "rate"};

/** A time in the chosen time zone. */
export const clock = (ms) => timeText(ms, value("zone"));

/** The error of a field. */
class Wrong extends Error {
  constructor(name, message) {
    super(message);
    this.field = name;
  }
}

/** Marks a field of the form, or of a part of it, as wrong, and clears the other marks there. */
export function mark(name, part = form) {
  for (const marked of part.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
  if (name && field(name)) field(name).setAttribute("aria-invalid", "true");
}

/** Does something with the form. If a field is wrong, shows the error and marks the field. */
export async function checked(act) {
  mark(null);
  showError("");
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    mark(error.field);
    field(error.field).focus();
    showError(error.message);
  }
}

/** The number in a text; otherwise the text, which the mirror checks. */
const number = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text || undefined);

/** The Connection Details in the form, which may be wrong: the mirror checks them. */
export function connectionDetails() {
  const by = value("by");
  const optional = {
    requestTimeout: number(value("requestTimeout")),
    scrapeInterval: number(value("scrapeInterval")),
    nan_interpretation: value("nan_interpretation") || undefined,
    partialResponse: value("partialResponse") || undefined,
  };
  if (by.startsWith("upstream:")) return {upstream: by.slice("upstream:".length), ...optional};
  if (by === "url") return {url: value("url"), ...optional};
  return {host: value("host"), port: number(value("port")), ...optional};
}

/** Whether the form says which Prometheus to query. */
export const hasAddress = () => value("by").startsWith("upstream:") || value(value("by")) !== "";

/** Throws if the form does not say which Prometheus to query. */
export function needAddress() {
  if (hasAddress()) return;
  const named = byId("access").hidden ? "" : " If the mirror has named upstreams, type its key to see them.";
  if (value("by") === "url") throw new Wrong("url", `The URL is missing: type the address of Prometheus, such as http://prometheus:9090.${named}`);
  throw new Wrong("host", `The host is missing: type the name or address of Prometheus, such as prometheus.monitoring.svc.${named}`);
}

export function timeRange() {
  const last = value("range");
  if (last) {
    const endTime = Date.now();
    return {startTime: endTime - duration(last), endTime};
  }
  const time = (name, label) => {
    const ms = parseTime(value(name), value("zone"));
    if (ms === null) throw new Wrong(name, `${label} must be a time such as 2026-01-31 13:00:00.`);
    return ms;
  };
  const range = {startTime: time("from", "From"), endTime: time("to", "To")};
  if (range.endTime <= range.startTime) throw new Wrong("to", "To must be later than From.");
  return range;
}

export const condition = (key, text) => ({_type: "EqualityCondition", key, value: {_type: "StringValue", value: text}});

/** The rows of labels that have a name, as pairs. */
export const labels = () => [...document.querySelectorAll(".label")].map((row) => [...row.querySelectorAll("input")].map((input) => input.value.trim()))
  .filter(([name]) => name);

/** The conditions on labels. Several values of a label are one condition. */
export function labelConditions() {
  if (value("source") === "~") return [];
  const values = new Map();
  for (const [name, text] of labels()) values.set(name, [...(values.get(name) ?? []), text]);
  return [...values].map(([name, texts]) => {
    if (texts.length === 1) return condition(name, texts[0]);
    const set = texts.map((text) => ({_type: "StringValue", value: text}));
    return {_type: "EqualityCondition", key: name, value: {_type: "InSetValue", value: set}};
  });
}

const isRaw = () => value("method") === "raw";

export function metricsQuery() {
  if (!value("name")) throw new Wrong("name", `${byId("name-label").textContent} is missing.`);
  const limit = number(value("limit"));
  if (typeof limit === "string") throw new Wrong("limit", `Limit must be a whole number, not “${limit}”.`);
  const query = {_type: "MetricsQuery", conditions: [condition(value("source"), value("name")), ...labelConditions()], ...timeRange()};
  query.latestFirst = field("latest").checked;
  query.limit = limit;
  if (isRaw()) return query;
  const bucketSizeMillis = duration(value("bucket"));
  if (!bucketSizeMillis) throw new Wrong("bucket", `Bucket must be longer than 0, in ms, s, m, h, d or w, such as 5m, not “${value("bucket")}”.`);
  return {...query, aggregation: {_type: "Aggregation", method: value("method"), bucketSizeMillis}};
}

/** Shows only the fields that have an effect. */
export function arrange() {
  for (const part of document.querySelectorAll("[data-by]")) part.hidden = part.dataset.by !== value("by");
  for (const part of document.querySelectorAll("[data-range]")) part.hidden = value("range") !== "";
  const isExpression = value("source") === "~";
  byId("name-label").textContent = isExpression ? "PromQL" : "Metric";
  field("name").placeholder = isExpression ? "sum(rate(http_requests_total[2m]))" : "Type a few letters to search";
  byId("labels").hidden = byId("add-label").hidden = isExpression;
  byId("bucket").hidden = isRaw();
}
