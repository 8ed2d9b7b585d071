// The explorer: builds the requests that StackState sends, and shows what it gets.
//
// In this order: small tools, time, the form and the request made of it, asking, the address, completion, the chart, the other views,
// and what happens on which event. Texts of others enter the page as text, never as HTML.
"use strict";

const METHODS = ["MEAN", "MAX", "MIN", "SUM", "EVENT_COUNT", "SUM_NO_ZEROS", "EVENT_COUNT_NO_ZEROS", "PERCENTILE_25", "PERCENTILE_50",
  "PERCENTILE_75", "PERCENTILE_90", "PERCENTILE_95", "PERCENTILE_98", "PERCENTILE_99"];
/** The longest timeout that a request may have, and a little more. */
const PATIENCE_MS = 610_000;
const MAX_SUGGESTIONS = 100;
const MAX_ROWS = 1_000;
/** More of a response is not shown. */
const MAX_SHOWN_CHARACTERS = 200_000;

// --- Tools

const byId = (id) => document.getElementById(id);
const form = byId("form");
const field = (name) => form.elements[name];
const value = (name) => field(name).value.trim();

/** An element with attributes, listeners (functions) and children. */
function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "rect", "circle", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, content] of Object.entries(attributes)) {
    if (typeof content === "function") made.addEventListener(name, content);
    else made.setAttribute(name, content);
  }
  made.append(...children);
  return made;
}

function table(heads, rows) {
  const cells = (tag, texts) => texts.map((text) => element(tag, tag === "th" ? {scope: "col"} : {}, text ?? ""));
  const body = rows.map((row) => element("tr", {}, ...cells("td", row)));
  return element("table", {}, element("thead", {}, element("tr", {}, ...cells("th", heads))), element("tbody", {}, ...body));
}

/** Shows a text of one of the classes "good" and "bad". */
function say(id, text, kind = "") {
  byId(id).textContent = text;
  byId(id).className = kind;
}

// --- Time

const UNITS = {ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5};

/** Milliseconds of a duration such as 5m or 1h30m, or null. */
function duration(text) {
  const parts = text.match(/^(\d+(ms|s|m|h|d|w))+$/) && text.match(/\d+(ms|[smhdw])/g);
  return parts ? parts.reduce((sum, part) => sum + parseInt(part, 10) * UNITS[part.replace(/\d+/, "")], 0) || null : null;
}

const two = (number) => String(number).padStart(2, "0");

/** A time as `2026-01-31 13:00:00`, with milliseconds if it has any, on the clock that is chosen. */
function clock(ms, zone = value("zone")) {
  const shifted = new Date(zone === "utc" ? ms : ms - new Date(ms).getTimezoneOffset() * UNITS.m);
  const text = shifted.toISOString().replace("T", " ").replace("Z", "");
  return text.replace(/\.000$/, "");
}

/** The milliseconds of such a time, or null. A `T` in the middle and a `Z` at the end are fine. */
function parseClock(text, zone = value("zone")) {
  const match = text.match(/^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?))?(Z?)$/);
  if (!match) return null;
  const ms = Date.parse(`${match[1]}T${match[2] ?? "00:00"}${match[3] || zone === "utc" ? "Z" : ""}`);
  return Number.isNaN(ms) ? null : ms;
}

// --- The form and the request

/** What is wrong with a field. */
class Wrong extends Error {
  constructor(name, message) {
    super(message);
    this.field = name;
  }
}

function wholeNumber(name, label) {
  const text = value(name);
  if (text === "") return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new Wrong(name, `${label} must be a whole number, not “${text}”.`);
  return Number(text);
}

function connectionDetails() {
  const by = value("by");
  const details = {};
  if (by.startsWith("upstream:")) {
    details.upstream = by.slice("upstream:".length);
  } else if (by === "url") {
    details.url = value("url");
    if (!/^https?:\/\/[^/]/i.test(details.url)) throw new Wrong("url", "URL must begin with http:// or https:// and have a host, such as http://prometheus:9090.");
  } else {
    details.host = value("host");
    details.port = wholeNumber("port", "Port");
    if (!details.host || details.host.includes("/")) throw new Wrong("host", "Host must be a name or an address, such as prometheus.monitoring.svc.");
    if (!(details.port > 0 && details.port < 65536)) throw new Wrong("port", "Port must be a number from 1 to 65535, such as 9090.");
  }
  details.requestTimeout = wholeNumber("requestTimeout", "Request timeout");
  details.scrapeInterval = wholeNumber("scrapeInterval", "Scrape interval");
  details.nan_interpretation = value("nan_interpretation") || undefined;
  details.partialResponse = value("partialResponse") || undefined;
  return details;
}

function timeRange() {
  const last = value("range");
  if (last) {
    const endTime = Date.now();
    return {startTime: endTime - duration(last), endTime};
  }
  const time = (name, label) => {
    const ms = parseClock(value(name));
    if (ms === null) throw new Wrong(name, `${label} must be a time such as 2026-01-31 13:00:00.`);
    return ms;
  };
  const range = {startTime: time("from", "From"), endTime: time("to", "To")};
  if (range.endTime <= range.startTime) throw new Wrong("to", "To must be later than From.");
  return range;
}

const condition = (key, text) => ({_type: "EqualityCondition", key, value: {_type: "StringValue", value: text}});

/** The rows of labels that have a name, as pairs. */
const labels = () => [...document.querySelectorAll(".label")].map((row) => [...row.querySelectorAll("input")].map((input) => input.value.trim()))
  .filter(([name]) => name);

/** The conditions on labels. A label with several values is one condition. */
function labelConditions() {
  const values = new Map();
  for (const [name, text] of labels()) values.set(name, [...(values.get(name) ?? []), text]);
  return [...values].map(([name, texts]) => {
    if (texts.length === 1) return condition(name, texts[0]);
    const set = texts.map((text) => ({_type: "StringValue", value: text}));
    return {_type: "EqualityCondition", key: name, value: {_type: "InSetValue", value: set}};
  });
}

function metricsQuery() {
  if (!value("name")) throw new Wrong("name", `${byId("name-label").textContent} is missing.`);
  const query = {_type: "MetricsQuery", conditions: [condition(value("source"), value("name")), ...labelConditions()], ...timeRange()};
  query.latestFirst = field("latest").checked;
  query.limit = wholeNumber("limit", "Limit");
  if (value("method")) {
    const bucketSizeMillis = duration(value("bucket"));
    if (!bucketSizeMillis) throw new Wrong("bucket", `Bucket must be a number with ms, s, m, h, d or w, such as 5m, not “${value("bucket")}”.`);
    query.aggregation = {_type: "Aggregation", method: value("method"), bucketSizeMillis};
  }
  return query;
}

/** Does something with the form. What is wrong with a field is shown, and the field is marked. */
async function checked(act) {
  for (const marked of form.querySelectorAll("[aria-invalid]")) marked.removeAttribute("aria-invalid");
  showError("");
  try {
    await act();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    field(error.field).setAttribute("aria-invalid", "true");
    field(error.field).focus();
    showError(error.message);
  }
}

// --- Asking

/** Posts a request; gives the HTTP status, the body as text and as JSON. */
async function post(path, body, {explain = false, signal} = {}) {
  const headers = {"Content-Type": "application/json"};
  if (byId("key").value) headers["X-MIRROR-API-KEY"] = byId("key").value;
  if (explain) headers["X-MIRROR-EXPLAIN"] = "true";
  const response = await fetch(path, {method: "POST", headers, body: JSON.stringify(body), signal: withPatience(signal)});
  const text = await response.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // A proxy between may answer with a page of its own.
  }
  return {status: response.status, text, json};
}

function withPatience(signal) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  return signal ? AbortSignal.any([signal, patience]) : patience;
}

/** What an error says, as StackState's admin would read it. */
function errorText({status, json, text}) {
  if (!json?._type) return `HTTP ${status}: ${text.slice(0, 300) || "no body"}`;
  const {summary, metric, mirrorType, details} = json;
  const title = summary ?? (metric ? `Metric not found: ${metric}` : mirrorType ? `Unsupported type: ${mirrorType}` : json._type);
  return details ? `${title}\n${details}` : title;
}

function showError(text) {
  byId("error").textContent = text;
  byId("error").hidden = !text;
}

/** Of several requests of a kind only the last counts: each call ends the one before. */
function latest() {
  let controller = new AbortController();
  return () => {
    controller.abort();
    controller = new AbortController();
    return controller.signal;
  };
}

const nextRun = latest();
const nextTest = latest();

/** Does something while the seconds that it takes are shown. */
async function withProgress(signal, act) {
  const begun = Date.now();
  const show = () => say("progress", `Asking … ${Math.round((Date.now() - begun) / 1e3)} s`);
  show();
  const timer = setInterval(show, 1_000);
  try {
    return await act();
  } finally {
    clearInterval(timer);
    if (!signal.aborted) say("progress", "");
  }
}

async function run() {
  const request = {_type: "MetricsRequest", connectionDetails: connectionDetails(), query: metricsQuery()};
  share();
  const signal = nextRun();
  await withProgress(signal, async () => {
    try {
      const answer = await post("api/metric", request, {explain: true, signal});
      if (!signal.aborted) showAnswer(request, answer);
    } catch (error) {
      if (!signal.aborted) showError(`The mirror does not answer: ${error.message}. See whether it runs, and what it logs.`);
    }
  });
}

async function testConnection() {
  const request = {_type: "TestConnectionRequest", connectionDetails: connectionDetails()};
  const signal = nextTest();
  say("verdict", "Asking …");
  try {
    const answer = await post("api/connection", request, {signal});
    if (answer.json?.status === "OK") say("verdict", "OK: Prometheus answers queries.", "good");
    else say("verdict", errorText({...answer, json: answer.json?.error ?? answer.json}), "bad");
  } catch (error) {
    if (!signal.aborted) say("verdict", `The mirror does not answer: ${error.message}`, "bad");
  }
}

// --- The address, which holds the query and never a credential

const SHARED = ["by", "url", "host", "port", "requestTimeout", "scrapeInterval", "nan_interpretation", "partialResponse", "source", "name", "method",
  "bucket", "limit", "range", "zone"];

/** A URL without what may be credentials, well-formed or not. */
function withoutCredentials(url, instead = "") {
  const at = url.lastIndexOf("@");
  return at < 0 ? url : (url.match(/^[a-z]+:\/\//i)?.[0] ?? "") + instead + url.slice(at + 1);
}

function share() {
  const shared = new URLSearchParams();
  for (const name of SHARED) if (value(name)) shared.set(name, name === "url" ? withoutCredentials(value(name)) : value(name));
  if (field("latest").checked) shared.set("latest", "true");
  for (const [name, text] of labels()) shared.append("label", `${name}=${text}`);
  // Absolute, so that it is the same time on another clock.
  if (!value("range")) for (const name of ["from", "to"]) shared.set(name, clock(parseClock(value(name)), "utc").replace(" ", "T") + "Z");
  history.replaceState(null, "", `#${shared}`);
}

/** The clock of the times that stand in the form. */
let zoneBefore = "utc";

/** Fills the form from the address. Nothing is asked before someone presses a button: a link must not have a mirror ask by itself. */
function fill() {
  const shared = new URLSearchParams(location.hash.slice(1));
  for (const name of SHARED) if (shared.has(name)) field(name).value = name === "url" ? withoutCredentials(shared.get(name)) : shared.get(name);
  if (shared.has("from")) field("range").value = "";
  for (const name of ["from", "to"]) {
    const ms = parseClock(shared.get(name) ?? "", "utc");
    if (ms !== null) field(name).value = clock(ms);
  }
  field("latest").checked = shared.get("latest") === "true";
  byId("labels").replaceChildren();
  for (const label of shared.getAll("label")) {
    const at = label.indexOf("=");
    if (at > 0) addLabel(label.slice(0, at), label.slice(at + 1));
  }
  zoneBefore = value("zone");
  if (!value("by")) field("by").selectedIndex = 0;
  arrange();
}

/** Shows the fields that matter for what is chosen. */
function arrange() {
  for (const part of document.querySelectorAll("[data-by]")) part.hidden = part.dataset.by !== value("by");
  for (const part of document.querySelectorAll("[data-range]")) part.hidden = value("range") !== "";
  const isExpression = value("source") === "~";
  byId("name-label").textContent = isExpression ? "PromQL" : "Metric";
  byId("labels").hidden = byId("add-label").hidden = isExpression;
  byId("bucket").hidden = !value("method");
}

// --- Completion by the methods that StackState completes with

const nextCompletion = latest();
let completionTimer;

/** Completes a list when typing pauses. */
function complete(list, ask) {
  clearTimeout(completionTimer);
  completionTimer = setTimeout(async () => {
    const signal = nextCompletion();
    try {
      const {items, isPartial} = await ask(signal);
      list.replaceChildren(...items.map((text) => element("option", {value: text})));
      say("hint", isPartial ? `The first ${items.length} of more: type to see others.` : "");
    } catch (error) {
      if (!signal.aborted) say("hint", `No suggestions: ${error.message}`);
    }
  }, 200);
}

async function fieldItems(path, type, extra, signal, read) {
  const query = {_type: `${type}Query`, ...timeRange(), limit: MAX_SUGGESTIONS, ...extra};
  const answer = await post(path, {_type: `${type}Request`, connectionDetails: connectionDetails(), query}, {signal});
  if (answer.status !== 200) throw new Error(errorText(answer));
  return {items: read(answer.json), isPartial: answer.json.isPartial};
}

const fieldValues = (fieldName, fieldValuePrefix, conditions, signal) => fieldItems("api/field/value", "FieldValues",
  {field: {_type: "FieldDescriptor", fieldName, fieldType: "STRING", classified: false}, fieldValuePrefix, conditions}, signal,
  (json) => json.values.map((item) => item.value));

const fieldNames = (conditions, signal) => fieldItems("api/field/name", "FieldNames", {conditions}, signal,
  (json) => json.fields.map((item) => item.fieldName).filter((name) => !["__gauge__", "__counter__", "~"].includes(name)));

/** The metric that is chosen, as a condition; none while there is no name. */
const sourceCondition = () => (value("name") ? [condition(value("source"), value("name"))] : []);

function completeName() {
  if (value("source") === "~") byId("names").replaceChildren();
  else complete(byId("names"), (signal) => fieldValues(value("source"), value("name"), labelConditions(), signal));
}

let labelCount = 0;

function addLabel(name = "", text = "") {
  const number = ++labelCount;
  const [names, values] = ["label-names", "label-values"].map((id) => element("datalist", {id: `${id}-${number}`}));
  const nameInput = element("input", {list: names.id, spellcheck: "false"});
  const valueInput = element("input", {list: values.id, spellcheck: "false"});
  [nameInput.value, valueInput.value] = [name, text];
  const completeNames = () => complete(names, (signal) => fieldNames(sourceCondition(), signal));
  const completeValues = () => complete(values, (signal) => fieldValues(nameInput.value.trim(), valueInput.value, sourceCondition(), signal));
  nameInput.addEventListener("focus", completeNames);
  for (const event of ["focus", "input"]) valueInput.addEventListener(event, () => nameInput.value.trim() && completeValues());
  const remove = () => {
    row.remove();
    byId("add-label").focus();
  };
  const row = element("div", {class: "label"}, element("label", {}, "Label", nameInput, names), element("label", {}, "Value", valueInput, values),
    element("button", {type: "button", click: remove, "aria-label": `Remove label ${number}`}, "Remove"));
  byId("labels").append(row);
  return nameInput;
}

// --- The chart

const MARGIN = {left: 64, right: 12, top: 10, bottom: 26};
const HEIGHT = 320;
/** Points are told apart as dots up to this number. */
const MAX_DOTS = 200;

/** What is drawn: points `{value, start, end}` oldest first, the range, what part of it is shown, and which point is chosen. */
const chart = {points: [], bucket: null, range: [0, 1], view: [0, 1], chosen: null};

/** At most `count` round numbers from `low` to `high`, one each `steps[i]` or 1, 2 or 5 times a power of ten. */
function ticks(low, high, count, steps = []) {
  const least = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = steps.find((one) => one >= least) ?? [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least);
  const first = Math.ceil(low / step);
  return Array.from({length: Math.max(0, Math.floor(high / step) - first + 1)}, (_, index) => (first + index) * step);
}

const TIME_STEPS = [1, 5, 10, 30].map((n) => n * UNITS.s).concat([1, 2, 5, 10, 15, 30].map((n) => n * UNITS.m), [1, 2, 3, 6, 12].map((n) => n * UNITS.h),
  [1, 2, 7, 14, 30, 90, 365].map((n) => n * UNITS.d));

const short = (number) => Number(number.toPrecision(6)).toString();

/** The longest distance of two points that a line may cross: neither a missing bucket nor a silence. */
function longestStep(points, bucket) {
  if (bucket) return bucket;
  const steps = points.slice(1).map((point, index) => point.start - points[index].start).sort((a, b) => a - b);
  return steps.length ? 3 * steps[Math.floor(steps.length / 2)] : Infinity;
}

/** The path of points, broken at gaps. A bucket is a step as long as it is. */
function pathOf(points, bucket, x, y) {
  const longest = longestStep(points, bucket);
  let path = "";
  points.forEach((point, index) => {
    const follows = index > 0 && point.start - points[index - 1].start <= longest;
    path += `${follows ? "L" : "M"}${x(point.start)} ${y(point.value)}`;
    if (bucket) path += `H${x(point.end)}`;
  });
  return path;
}

/** Fewer points that look the same: of those in one pixel the first, the least, the greatest and the last. */
function thinned(points, width) {
  if (points.length <= 4 * width) return points;
  const perPixel = Math.ceil(points.length / width);
  const kept = [];
  for (let at = 0; at < points.length; at += perPixel) {
    const part = points.slice(at, at + perPixel);
    const least = part.reduce((a, b) => (b.value < a.value ? b : a));
    const greatest = part.reduce((a, b) => (b.value > a.value ? b : a));
    kept.push(...[...new Set([part[0], least, greatest, part.at(-1)])].sort((a, b) => a.start - b.start));
  }
  return kept;
}

function draw() {
  const {points, bucket, view, chosen} = chart;
  const width = Math.max(280, byId("chart").clientWidth);
  const inside = points.filter((point) => point.end >= view[0] && point.start <= view[1]);
  let [low, high] = inside.reduce(([least, most], {value: one}) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
  if (low > high) [low, high] = [0, 1];
  const pad = (high - low) * 0.05 || Math.abs(high) * 0.1 || 1;
  [low, high] = [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
  const right = width - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const x = (time) => +(MARGIN.left + ((time - view[0]) / (view[1] - view[0])) * (right - MARGIN.left)).toFixed(2);
  const y = (number) => +(bottom - ((number - low) / (high - low)) * (bottom - MARGIN.top)).toFixed(2);
  const svg = element("svg", {height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${points.length} points from ${clock(view[0])} to ${clock(view[1])}`,
    "data-low": low, "data-high": high, "data-top": MARGIN.top, "data-bottom": bottom});
  for (const tick of ticks(low, high, 6)) {
    svg.append(element("line", {class: "grid", x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick)}));
    svg.append(element("text", {x: MARGIN.left - 6, y: y(tick) + 4, "text-anchor": "end"}, short(tick)));
  }
  const offset = value("zone") === "utc" ? 0 : new Date(view[0]).getTimezoneOffset() * UNITS.m;
  for (const tick of ticks(view[0] - offset, view[1] - offset, width / 90, TIME_STEPS).map((one) => one + offset)) {
    const text = clock(tick);
    const midnight = text.endsWith("00:00:00");
    svg.append(element("line", {class: "grid", x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: bottom}));
    if (x(tick) < right - 20) svg.append(element("text", {x: x(tick), y: HEIGHT - 8, "text-anchor": "middle"}, midnight ? text.slice(5, 10) : text.slice(11, text.endsWith(":00") ? 16 : 19)));
  }
  // Cuts off what lies beside the part that is shown.
  const plot = element("svg", {x: MARGIN.left, y: 0, width: right - MARGIN.left, height: HEIGHT, viewBox: `${MARGIN.left} 0 ${right - MARGIN.left} ${HEIGHT}`});
  plot.append(element("path", {class: "line", d: pathOf(thinned(inside, width), bucket, x, y)}));
  if (!bucket && inside.length <= MAX_DOTS) plot.append(...inside.map((point) => element("circle", {class: "dot", cx: x(point.start), cy: y(point.value), r: 2.5})));
  if (chosen !== null && inside.includes(points[chosen])) {
    const at = x((points[chosen].start + points[chosen].end) / 2);
    plot.append(element("line", {class: "cursor", x1: at, x2: at, y1: MARGIN.top, y2: bottom}));
    plot.append(element("circle", {class: "dot", cx: at, cy: y(points[chosen].value), r: 4}));
  }
  svg.append(plot);
  byId("chart").replaceChildren(svg);
}

/** The time under a pointer. */
function timeAt(event) {
  const box = byId("chart").getBoundingClientRect();
  const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
  return chart.view[0] + Math.min(1, Math.max(0, share)) * (chart.view[1] - chart.view[0]);
}

function choose(index) {
  chart.chosen = chart.points.length ? Math.min(chart.points.length - 1, Math.max(0, index)) : null;
  const point = chart.points[chart.chosen];
  byId("readout").textContent = point ? `${clock(point.start)}${chart.bucket ? ` to ${clock(point.end)}` : ""}: ${point.value}` : "";
  draw();
}

function nearest(time) {
  const distance = ({start, end}) => (time < start ? start - time : time > end ? time - end : 0);
  return chart.points.reduce((best, point, index) => (distance(point) < distance(chart.points[best]) ? index : best), 0);
}

function zoom(from, to) {
  if (to - from < 2) return;
  chart.view = [from, to];
  draw();
}

let dragFrom = null;

function drag(event) {
  if (dragFrom === null) return choose(nearest(timeAt(event)));
  const svg = byId("chart").querySelector("svg");
  svg.querySelector(".zoom")?.remove();
  const [a, b] = [dragFrom.x, event.clientX].map((at) => at - byId("chart").getBoundingClientRect().left);
  svg.append(element("rect", {class: "zoom", x: Math.min(a, b), width: Math.abs(a - b), y: MARGIN.top, height: HEIGHT - MARGIN.top - MARGIN.bottom}));
}

function drop(event) {
  if (dragFrom === null) return;
  const {x, time} = dragFrom;
  dragFrom = null;
  const [from, to] = [time, timeAt(event)].sort((a, b) => a - b);
  if (Math.abs(event.clientX - x) > 5) zoom(from, to);
}

function chartKey(event) {
  const {points, chosen, view, range} = chart;
  const middle = () => (chosen === null ? (view[0] + view[1]) / 2 : points[chosen].start);
  const quarter = (view[1] - view[0]) / 4;
  const acts = {
    ArrowLeft: () => choose((chosen ?? points.length) - 1),
    ArrowRight: () => choose((chosen ?? -1) + 1),
    Home: () => choose(0),
    End: () => choose(points.length - 1),
    "+": () => zoom(middle() - quarter, middle() + quarter),
    Escape: () => zoom(...range),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

// --- The other views

function showAnswer(request, answer) {
  const {explanation, ...response} = answer.json ?? {};
  byId("result").hidden = false;
  byId("request").textContent = JSON.stringify(shown(request), null, 2);
  const text = answer.json ? JSON.stringify(response, null, 1).replace(/\[\s+([^[\]]*?)\s+\]/g, (_, inner) => `[${inner.replace(/\s+/g, " ")}]`) : answer.text;
  byId("response").textContent = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}\n… and ${text.length - MAX_SHOWN_CHARACTERS} characters more` : text;
  byId("explanation").replaceChildren(...explained(explanation));
  byId("curl").textContent = curl(request);
  byId("ask").textContent = ask(request);
  const telemetry = response.telemetry;
  if (!telemetry) {
    showError(errorText(answer));
    if (answer.status === 401) byId("key").focus();
  }
  showPoints(request.query, telemetry);
}

function showPoints(query, telemetry) {
  const bucket = query.aggregation?.bucketSizeMillis ?? null;
  const points = (telemetry?.points ?? []).map(([number, start, end]) => ({value: number, start, end: end ?? start}));
  const partial = telemetry?.isPartial ? " Some were left out (isPartial): raise the limit or narrow the range." : "";
  byId("summary").textContent = telemetry ? `${points.length} points.${partial}` : "No points.";
  const rows = points.slice(0, MAX_ROWS).map((point) => [clock(point.start), ...(bucket ? [clock(point.end)] : []), String(point.value)]);
  const more = points.length > MAX_ROWS ? [element("p", {}, `The first ${MAX_ROWS} of ${points.length} points; the response has all.`)] : [];
  byId("table").replaceChildren(table(bucket ? ["From", "To", "Value"] : ["Time", "Value"], rows), ...more);
  const range = [query.startTime, query.endTime];
  Object.assign(chart, {points: points.sort((a, b) => a.start - b.start), bucket, range, view: range, chosen: null});
  byId("readout").textContent = "";
  for (const part of ["chart", "readout"]) byId(part).hidden = !points.length;
  document.querySelector(".help").hidden = !points.length;
  draw();
}

/** The elements that tell how an answer came to be. */
function explained(explanation) {
  if (!explanation) return [element("p", {}, "There is none.")];
  const {upstream, replica, source, rule, calls, series = [], seriesTotal, samplesTotal, leftOut, scrapeInterval, points = [], notes = []} = explanation;
  const text = (content) => element("p", {}, content);
  const parts = [];
  if (rule) parts.push(text(`${rule}.`.replace(/\.\.$/, ".")));
  if (upstream) parts.push(text(`Asked: ${upstream}${replica ? `, replica ${replica}` : ""}${source ? `, by ${source}` : ""}.`));
  if (samplesTotal !== undefined) parts.push(text(`Read: ${samplesTotal} samples of ${seriesTotal} series.`));
  if (leftOut) parts.push(text(`Left out: ${leftOut.nan} not a number, ${leftOut.infinite} infinite.`));
  if (scrapeInterval) parts.push(text(`Scrape interval: ${scrapeInterval.milliseconds} ms, ${scrapeInterval.from}.`));
  parts.push(...notes.map(text));
  if (/^https?:/.test(explanation.graph ?? "")) {
    parts.push(element("p", {}, element("a", {href: explanation.graph, target: "_blank", rel: "noopener noreferrer"}, "The same in Prometheus’s own graph"), " computes about the same."));
  }
  const section = (title, heads, rows) => rows.length && parts.push(element("h2", {}, title), element("div", {class: "scroll", tabindex: "0", role: "group", "aria-label": title}, table(heads, rows)));
  section("Calls", ["Endpoint", "Query", "Status", "ms", "Bytes", "Samples"],
    calls.map((call) => [call.path, call.query, `${call.status ?? ""} ${call.outcome}`, short(call.milliseconds), String(call.bytes), String(call.samples ?? "")]));
  section("Series", ["Labels", "Samples", "First", "Last", "Spacing (ms)"],
    series.map((one) => [labelText(one.labels), String(one.samples), clock(one.first), clock(one.last), String(one.medianSpacingMillis ?? "")]));
  section("First points", ["Time", "Value", "Made of"], points.map((point) => [clock(point.time), String(point.value), madeOf(point)]));
  return parts;
}

const labelText = (all) => Object.entries(all).map(([name, text]) => `${name}="${text}"`).join(", ");

function madeOf({madeOf: shares, omitted}) {
  const sample = ([time, number]) => `${number} at ${clock(time).slice(11)}`;
  const grown = ({from, to, increase}) => `+${increase} (${sample(from)} → ${sample(to)})`;
  const share = ({series, samples = [], increments = [], lastKnown}) =>
    `#${series + 1}: ${[...samples.map(sample), ...increments.map(grown), ...(lastKnown ? [`last known ${grown(lastKnown)}`] : [])].join("; ")}`;
  return [...(shares ?? []).map(share), ...(omitted ? [`${omitted} more`] : [])].join("\n");
}

// --- Commands to paste

/** The request without a password. */
function shown(request) {
  const {url} = request.connectionDetails;
  return url ? {...request, connectionDetails: {...request.connectionDetails, url: withoutCredentials(url, "USER:PASSWORD@")}} : request;
}

const quoted = (text) => (/^[\w./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const mirror = () => new URL(".", location.href).href.replace(/\/$/, "");
const hasKey = () => byId("key").value !== "";

function curl(request) {
  const key = hasKey() ? ' -H "X-MIRROR-API-KEY: $API_KEY"' : "";
  return `curl -sS${key} -H 'Content-Type: application/json' ${quoted(`${mirror()}/api/metric`)} -d ${quoted(JSON.stringify(shown(request)))}`;
}

function ask(request) {
  const {connectionDetails: details, query} = shown(request);
  const words = ["--mirror", mirror()];
  const add = (flag, content) => content !== undefined && words.push(`--${flag}`, String(content));
  const millis = (number) => (number === undefined ? undefined : `${number}ms`);
  const host = details.host?.includes(":") && !details.host.startsWith("[") ? `[${details.host}]` : details.host;
  add("url", details.url ?? (host && `http://${host}:${details.port}`));
  add("upstream", details.upstream);
  add("timeout", millis(details.requestTimeout));
  add("scrape-interval", millis(details.scrapeInterval));
  add("nan", details.nan_interpretation);
  add("partial-response", details.partialResponse);
  const [source, ...others] = query.conditions;
  add({__gauge__: "gauge", __counter__: "counter", "~": "expression"}[source.key], source.value.value);
  for (const {key, value: {value: one}} of others) {
    for (const text of Array.isArray(one) ? one.map((item) => item.value) : [one]) add("label", `${key}=${text}`);
  }
  add("start", query.startTime);
  add("end", query.endTime);
  add("method", query.aggregation?.method);
  add("bucket", millis(query.aggregation?.bucketSizeMillis));
  add("limit", query.limit);
  if (query.latestFirst) words.push("--latest-first");
  return `${hasKey() ? 'API_KEY="$API_KEY" ' : ""}prometheusmirror ask ${words.map(quoted).join(" ")}`;
}

/** Copies a text. Without TLS browsers offer no clipboard, but copy what is selected. */
async function copy(id) {
  getSelection().selectAllChildren(byId(id));
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(byId(id).textContent);
    else if (!document.execCommand("copy")) throw new Error();
    say("copied", "Copied.");
  } catch {
    say("copied", "The browser does not let the page copy. The text is selected: copy it by hand.");
  }
}

// --- Events

/** What the mirror says of itself: its version, and the upstreams that may be chosen. */
async function loadFacts() {
  const headers = byId("key").value ? {"X-MIRROR-API-KEY": byId("key").value} : {};
  const facts = await (await fetch("explorer.json", {headers})).json();
  byId("version").textContent = `Version ${facts.version}.`;
  byId("access").hidden = !facts.requiresKey;
  const by = field("by");
  const before = by.value;
  const named = (facts.upstreams ?? []).map((name) => element("option", {value: `upstream:${name}`}, `Named upstream: ${name}`));
  const given = [["url", "URL"], ["host", "Host and port"]].map(([kind, text]) => element("option", {value: kind}, text));
  by.replaceChildren(...named, ...(facts.namedUpstreamsOnly && named.length ? [] : given));
  by.value = before;
  // A named upstream comes first, unless another way is chosen and possible.
  if (!by.value || (before === "url" && !value("url"))) by.selectedIndex = 0;
}

async function start() {
  field("method").append(...METHODS.map((method) => element("option", {value: method}, method)));
  const now = Date.now();
  [field("from").value, field("to").value] = [clock(now - UNITS.h - (now % 1e3)), clock(now - (now % 1e3))];
  fill();
  try {
    await loadFacts();
  } catch (error) {
    showError(`The mirror does not answer: ${error.message}. Reload the page.`);
  }
  fill();
}

/** The same times on another clock. */
function changeZone() {
  for (const name of ["from", "to"]) {
    const ms = parseClock(value(name), zoneBefore);
    if (ms !== null) field(name).value = clock(ms);
  }
  zoneBefore = value("zone");
  draw();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  checked(run);
});
form.addEventListener("change", arrange);
field("zone").addEventListener("change", changeZone);
byId("test").addEventListener("click", () => checked(testConnection));
byId("add-label").addEventListener("click", () => addLabel().focus());
byId("key").addEventListener("change", () => loadFacts().then(arrange, () => {}));
for (const event of ["focus", "input"]) field("name").addEventListener(event, completeName);
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button.dataset.copy));
addEventListener("hashchange", fill);

const chartBox = byId("chart");
chartBox.addEventListener("pointerdown", (event) => {
  dragFrom = {x: event.clientX, time: timeAt(event)};
});
chartBox.addEventListener("pointermove", drag);
addEventListener("pointerup", drop);
chartBox.addEventListener("dblclick", () => zoom(...chart.range));
chartBox.addEventListener("keydown", chartKey);
new ResizeObserver(() => byId("result").hidden || draw()).observe(byId("result"));

start();
