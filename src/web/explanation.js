// Shows the explanation of a response.

import {element, scrolling, table} from "./dom.js";
import {clock} from "./form.js";
import {short} from "./units.js";

/** The elements that show an explanation of a response with this number of points. */
export function explained(explanation, pointsTotal) {
  if (!explanation) return [element("p", {class: "quiet"}, "Prometheus was not queried, so there is nothing to explain.")];
  const {rule, calls = [], series = [], seriesTotal, points = [], notes = [], graph} = explanation;
  const parts = [];
  if (rule) parts.push(element("p", {class: "rule"}, `${rule}.`.replace(/\.\.$/, ".")));
  parts.push(facts(explanation));
  parts.push(...notes.map((note) => element("p", {}, note)));
  if (/^https?:/.test(graph ?? "")) {
    const link = element("a", {href: graph, target: "_blank", rel: "noopener noreferrer"}, "Compare in Prometheus’s own graph");
    parts.push(element("p", {}, link, ", which computes about the same."));
  }
  const section = (title, heads, rows, numbers) => {
    if (rows.length) parts.push(element("h3", {}, title), scrolling(title, table(heads, rows, numbers)));
  };
  section(titleOf("Points", points, pointsTotal), ["Time", "Value", "Computed from"],
    points.map((point) => [clock(point.time), String(point.value), madeOf(point)]), ["Value"]);
  section(titleOf("Series", series, seriesTotal), ["Labels", "Samples", "First", "Last", "Spacing (ms)"],
    series.map((one) => [labelText(one.labels), String(one.samples), clock(one.first), clock(one.last), String(one.medianSpacingMillis ?? "")]),
    ["Samples", "Spacing (ms)"]);
  section("Calls", ["Endpoint", "Query", "Status", "ms", "Bytes", "Samples"],
    calls.map((call) => [call.path, call.query, `${call.status ?? ""} ${call.outcome}`, short(call.milliseconds), String(call.bytes), String(call.samples ?? "")]),
    ["ms", "Bytes", "Samples"]);
  return parts;
}

/** The title of a list, which may have only the first of all items. */
const titleOf = (title, {length}, total) => length < total ? `First ${length} of ${total} ${title.toLowerCase()}` : title;

/** What was queried and read, as pairs of name and value. */
function facts({upstream, replica, source, seriesTotal, samplesTotal, leftOut, scrapeInterval}) {
  const list = element("dl");
  const add = (name, text) => text && list.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
  add("Upstream", upstream && `${upstream}${replica ? `, replica ${replica}` : ""}`);
  add("Source", source);
  add("Samples", samplesTotal !== undefined && `${samplesTotal} in ${seriesTotal} series`);
  add("Left out", leftOut && `${leftOut.nan} not a number, ${leftOut.infinite} infinite${leftOut.tooLarge ? `, ${leftOut.tooLarge} points too large` : ""}`);
  add("Scrape interval", scrapeInterval && `${scrapeInterval.milliseconds} ms, ${scrapeInterval.from}`);
  return list;
}

const labelText = (all) => Object.entries(all).map(([name, text]) => `${name}="${text}"`).join(", ");

function madeOf({madeOf: shares, omitted}) {
  const sample = ([time, number]) => `${number} at ${clock(time).slice(11)}`;
  const grown = ({from, to, increase}) => `+${increase} (${sample(from)} → ${sample(to)})`;
  const share = ({series, samples = [], increments = [], lastKnown}) =>
    `#${series + 1}: ${[...samples.map(sample), ...increments.map(grown), ...(lastKnown ? [`last known rate, of ${grown(lastKnown)}`] : [])].join("; ")}`;
  return [...(shares ?? []).map(share), ...(omitted ? [`${omitted} more`] : [])].join("\n");
}
