// Shows a response: the points, their table, the request and the response as JSON, or the error.

import {byId, element, reveal, scrolling, showError, table} from "./dom.js";
import {showChart} from "./chart.js";
import {ask, curl, shown} from "./commands.js";
import {explained} from "./explanation.js";
import {markDetail} from "./connection.js";
import {METHODS, clock} from "./form.js";
import {errorOf} from "./mirror.js";
import {durationText} from "./units.js";

const MAX_ROWS = 1_000;
/** The rest of a longer response is not shown. */
const MAX_SHOWN_CHARACTERS = 200_000;

let lastShown = null;

export function showResponse(request, response) {
  const {explanation, ...body} = response.json ?? {};
  lastShown = {request, response};
  byId("welcome").hidden = true;
  byId("result").hidden = false;
  byId("request").textContent = JSON.stringify(shown(request), null, 2);
  byId("response").textContent = readable(response.json ? body : null, response.text);
  byId("explanation").replaceChildren(...explained(explanation, body.telemetry?.points?.length));
  byId("curl").textContent = curl(request);
  byId("ask").textContent = ask(request);
  if (!body.telemetry) showFailure(response);
  showPoints(request.query, body.telemetry);
  reveal("view");
}

/** Shows the last response again, after a change of the time zone. */
export function showAgain() {
  if (lastShown) showResponse(lastShown.request, lastShown.response);
}

function showFailure(response) {
  const {title, details} = errorOf(response);
  showError(title, details);
  markDetail(details);
  if (response.status === 401) byId("key").focus();
}

/** JSON with one line for each point; or the text, if it is not JSON. */
function readable(json, text) {
  const whole = json ? JSON.stringify(json, null, 1).replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inner) => `[${inner.replace(/\s+/g, " ")}]`) : text;
  const more = whole.length - MAX_SHOWN_CHARACTERS;
  return more > 0 ? `${whole.slice(0, MAX_SHOWN_CHARACTERS)}\n… and ${more} characters more` : whole;
}

/** The unit of the points. By Prometheus's conventions, the name of a metric ends with it. */
function unitOf({conditions: [{key, value: {value: name}}], aggregation}) {
  if (key === "~") return "";
  const made = METHODS[aggregation?.method] ?? "rate";
  if (made === "events") return "events";
  const [, ending] = name.match(/_(bytes|seconds|celsius|ratio|percent|meters|grams|joules|volts|amperes|hertz)(?:_total)?$/) ?? [];
  const unit = ending === "celsius" ? "°C" : (ending ?? "");
  return key === "__counter__" && made === "rate" ? `${unit} per second`.trim() : unit;
}

function showPoints(query, telemetry) {
  const bucket = query.aggregation?.bucketSizeMillis ?? null;
  const points = (telemetry?.points ?? []).map(([number, start, end]) => ({value: number, start, end: end ?? start}));
  const kind = query.aggregation ? `${query.aggregation.method} in buckets of ${durationText(bucket)}` : "raw";
  byId("title").textContent = `${query.conditions[0].value.value}, ${kind}`;
  byId("summary").textContent = summaryOf(query, points, telemetry);
  byId("summary").className = telemetry?.isPartial ? "bad" : "";
  const heads = bucket ? ["From", "To", "Value"] : ["Time", "Value"];
  const rows = points.slice(0, MAX_ROWS).map((point) => [clock(point.start), ...(bucket ? [clock(point.end)] : []), String(point.value)]);
  const more = points.length > MAX_ROWS ? [element("p", {class: "quiet"}, `The first ${MAX_ROWS} of ${points.length} points; the response has all.`)] : [];
  byId("table").replaceChildren(scrolling("Points", table(heads, rows, ["Value"])), ...more);
  for (const part of document.querySelectorAll(".with-points")) part.hidden = !points.length;
  showChart(points, bucket, unitOf(query), [query.startTime, query.endTime]);
}

/** Why a query has no points, and what to change. */
function nothing({conditions: [{key}], aggregation}) {
  if (key === "~") return "in this range, the expression has no values that count. Check the names in it, choose a longer range";
  if (aggregation) return "no whole bucket of this range has samples that count. Choose a longer range, or shorter buckets";
  return "there are no samples in this range that count. Choose a longer one";
}

function summaryOf(query, points, telemetry) {
  if (!telemetry) return "No points.";
  if (!points.length) return `0 points: ${nothing(query)}, or see in the explanation what was read.`;
  return `${points.length} points.${telemetry.isPartial ? " Some were left out (isPartial): raise the limit or choose a shorter time range." : ""}`;
}
