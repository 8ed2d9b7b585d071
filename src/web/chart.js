// The chart: draws points as a line and buckets as steps, and leaves gaps open.

import {byId, element} from "./dom.js";
import {clock, value} from "./form.js";
import {TIME_STEPS, ahead, axisText, ticks, zoneText} from "./units.js";

const HEIGHT = 340;
const MARGIN = {right: 16, top: 30, bottom: 44};
/** Approximate width of a character of an axis, in pixels. */
const CHARACTER = 7.2;
/** Up to this number of points, each has a dot. */
const MAX_DOTS = 120;

/** The state of the chart: points `{value, start, end}` oldest first, the time range, its visible part, and the index of the chosen point. */
const chart = {points: [], bucket: null, unit: "", range: [0, 1], view: [0, 1], chosen: null};

/** The left edge of the plot in the last drawing. It depends on the length of the numbers. */
let left = 0;

/** Draws points. `bucket` is the length of their buckets in milliseconds, or null. */
export function showChart(points, bucket, unit, range) {
  const sorted = [...points].sort((a, b) => a.start - b.start);
  Object.assign(chart, {points: sorted, bucket, unit, range, view: range, chosen: null});
  byId("readout").textContent = "";
  draw();
}

/** The longest distance between two points that a line joins. A missing bucket or a pause in the samples is longer. */
function longestStep(points, bucket) {
  if (bucket) return bucket;
  const steps = points.slice(1).map((point, index) => point.start - points[index].start).sort((a, b) => a - b);
  return steps.length ? 3 * steps[Math.floor(steps.length / 2)] : Infinity;
}

/** The path of points. It breaks where two are farther apart than `longest`. A bucket is a horizontal line, a single point is a dot. */
function pathOf(points, {bucket, longest, x, y}) {
  const follows = points.map((point, index) => index > 0 && point.start - points[index - 1].start <= longest);
  return points.map((point, index) => {
    const isAlone = !follows[index] && !follows[index + 1];
    const move = `${follows[index] ? "L" : "M"}${x(point.start)} ${y(point.value)}`;
    return move + (bucket ? `H${x(point.end)}` : isAlone ? "h0" : "");
  }).join("");
}

/** Fewer points that look the same: the first, the least, the greatest and the last of those in one pixel. */
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

/** The least and the greatest number of the vertical axis. */
function extent(points) {
  const [low, high] = points.reduce(([least, most], {value: one}) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
  if (low > high) return [0, 1];
  const pad = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 && low - pad < 0 ? 0 : low - pad, high + pad];
}

/** Draws the chart. */
function draw() {
  const {points, bucket, unit, view, chosen} = chart;
  const width = Math.max(280, byId("chart").clientWidth);
  const inside = points.filter((point) => point.end >= view[0] && point.start <= view[1]);
  const [low, high] = extent(inside);
  const written = axisText(Math.max(Math.abs(low), Math.abs(high)));
  const numbers = ticks(low, high, 8).map((number) => [number, written(number)]);
  left = Math.ceil(Math.max(3, ...numbers.map(([, text]) => text.length)) * CHARACTER) + 14;
  const right = width - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const x = (time) => +(left + ((time - view[0]) / (view[1] - view[0])) * (right - left)).toFixed(2);
  const y = (number) => +(bottom - ((number - low) / (high - low)) * (bottom - MARGIN.top)).toFixed(2);
  const label = (at, level, text, anchor) => element("text", {x: at, y: level, "text-anchor": anchor}, text);
  const upright = (name, at) => element("line", {class: name, x1: at, x2: at, y1: MARGIN.top, y2: bottom});

  const svg = element("svg", {height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img",
    "aria-label": `${points.length} points from ${clock(view[0])} to ${clock(view[1])}${unit && `, in ${unit}`}`,
    "data-low": low, "data-high": high, "data-top": MARGIN.top, "data-bottom": bottom, "data-from": view[0], "data-to": view[1],
    "data-left": left, "data-right": right});
  svg.append(label(left, 16, unit, "start"));
  for (const [number, text] of numbers) {
    svg.append(element("line", {class: "grid", x1: left, x2: right, y1: y(number), y2: y(number)}), label(left - 8, y(number) + 4, text, "end"));
  }
  // Round times in the chosen time zone.
  const offset = ahead(view[0], value("zone"));
  for (const tick of ticks(view[0] + offset, view[1] + offset, width / 95, TIME_STEPS).map((one) => one - offset)) {
    const text = clock(tick);
    const shown = text.endsWith("00:00:00") ? text.slice(5, 10) : text.slice(11, text.endsWith(":00") ? 16 : 19);
    svg.append(upright("grid", x(tick)));
    if (x(tick) - left > 8 && right - x(tick) > 8) svg.append(label(x(tick), bottom + 18, shown, "middle"));
  }
  const days = [...new Set(view.map((time) => clock(time).slice(0, 10)))].join(" … ");
  svg.append(label(left, HEIGHT - 6, `${days}, ${zoneText(view[0], value("zone"))}`, "start"));

  // The inner SVG clips points outside of the visible part.
  const plot = element("svg", {x: left, y: 0, width: right - left, height: HEIGHT, viewBox: `${left} 0 ${right - left} ${HEIGHT}`});
  const longest = longestStep(points, bucket);
  plot.append(element("path", {class: "line", d: pathOf(thinned(inside, width), {bucket, longest, x, y})}));
  if (!bucket && inside.length <= MAX_DOTS) plot.append(...inside.map((point) => element("circle", {class: "dot", cx: x(point.start), cy: y(point.value), r: 2.2})));
  const point = points[chosen];
  if (inside.includes(point)) {
    const at = x((point.start + point.end) / 2);
    plot.append(upright("cursor", at), element("circle", {class: "dot", cx: at, cy: y(point.value), r: 4.5}));
  }
  svg.append(plot);
  byId("chart").replaceChildren(svg);
}

/** The time under a pointer. */
function timeAt(event) {
  const box = byId("chart").getBoundingClientRect();
  const share = (event.clientX - box.left - left) / (box.width - left - MARGIN.right);
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

/** Where a drag began: its position on the screen, and its time. */
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
  else draw();
}

function key(event) {
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

/** Adds the listeners for pointer and keyboard. */
export function listen() {
  const box = byId("chart");
  box.addEventListener("pointerdown", (event) => {
    dragFrom = {x: event.clientX, time: timeAt(event)};
  });
  box.addEventListener("pointermove", drag);
  addEventListener("pointerup", drop);
  box.addEventListener("dblclick", () => zoom(...chart.range));
  box.addEventListener("keydown", key);
  new ResizeObserver(() => box.hidden || draw()).observe(box);
}
