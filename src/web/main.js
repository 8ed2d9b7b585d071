// The explorer sends the requests that StackState sends, and shows the responses. This file connects events to actions.

import {showAgain, showResponse} from "./response.js";
import {fill, share} from "./address.js";
import {listen} from "./chart.js";
import {copy} from "./commands.js";
import {addLabel, completeNames} from "./completion.js";
import {checkDetails, testConnection} from "./connection.js";
import {byId, element, say, showError} from "./dom.js";
import {METHODS, arrange, checked, clock, connectionDetails, field, form, metricsQuery, needAddress, value} from "./form.js";
import {facts, latest, post, unreachable} from "./mirror.js";
import {UNITS, parseTime} from "./units.js";

const next = latest();

/** Does something, and shows the elapsed seconds meanwhile. */
async function withProgress(signal, act) {
  const begun = Date.now();
  const show = () => say("progress", `Querying … ${Math.round((Date.now() - begun) / 1e3)} s`, "quiet");
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
  needAddress();
  const request = {_type: "MetricsRequest", connectionDetails: connectionDetails(), query: metricsQuery()};
  share();
  const signal = next();
  await withProgress(signal, async () => {
    try {
      const response = await post("api/metric", request, {explain: true, signal});
      if (!signal.aborted) showResponse(request, response);
    } catch (error) {
      if (signal.aborted) return;
      const {title, details} = unreachable(error);
      showError(title, details);
    }
  });
}

/** Offers the ways to choose a Prometheus that this mirror allows. */
async function loadFacts() {
  const {version, requiresKey, namedUpstreamsOnly, upstreams = []} = await facts();
  byId("version").textContent = `Version ${version}`;
  byId("access").hidden = !requiresKey;
  const by = field("by");
  const before = by.value;
  const named = upstreams.map((name) => element("option", {value: `upstream:${name}`}, `Named upstream: ${name}`));
  const given = [["url", "URL"], ["host", "Host and port"]].map(([kind, text]) => element("option", {value: kind}, text));
  by.replaceChildren(...named, ...(namedUpstreamsOnly && named.length ? [] : given));
  by.value = before;
  // Choose a named upstream, unless the user has chosen another way that is possible.
  if (!by.value || (before === "url" && !value("url"))) by.selectedIndex = 0;
}

/** The time zone of the times in the form. */
let zoneBefore = "utc";

/** Fills the form from the address. */
function refill() {
  fill();
  zoneBefore = value("zone");
}

/** Rewrites the times in the form after a change of the time zone. */
function changeZone() {
  for (const name of ["from", "to"]) {
    const ms = parseTime(value(name), zoneBefore);
    if (ms !== null) field(name).value = clock(ms);
  }
  zoneBefore = value("zone");
  showAgain();
}

/** Shows one of the tabs. */
function openTab(tab) {
  for (const one of document.querySelectorAll("[role=tab]")) {
    const isOpen = one === tab;
    one.setAttribute("aria-selected", isOpen);
    one.tabIndex = isOpen ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !isOpen;
  }
}

/** Moves between tabs with the arrow keys. */
function tabKey(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!step) return;
  const tab = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  openTab(tab);
  tab.focus();
}

function addListeners() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    checked(run);
  });
  form.addEventListener("change", arrange);
  field("zone").addEventListener("change", changeZone);
  byId("connection").addEventListener("input", checkDetails);
  byId("connection").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    checked(testConnection);
  });
  byId("test").addEventListener("click", () => checked(testConnection));
  byId("add-label").addEventListener("click", () => addLabel().focus());
  byId("key").addEventListener("change", () => loadFacts().then(arrange, () => {}));
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(button.dataset.copy));
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => openTab(tab));
    tab.addEventListener("keydown", tabKey);
  }
  addEventListener("hashchange", refill);
}

async function start() {
  field("method").append(...Object.keys(METHODS).map((method) => element("option", {value: method}, method)));
  field("method").value = "MEAN";
  const now = Date.now();
  [field("from").value, field("to").value] = [clock(now - UNITS.h - (now % 1e3)), clock(now - (now % 1e3))];
  completeNames();
  listen();
  addListeners();
  refill();
  try {
    await loadFacts();
  } catch (error) {
    const {title, details} = unreachable(error);
    showError(title, details);
  }
  refill();
  // Focus the first empty field, but not the name of the metric, since its focus sends a query for suggestions.
  const first = byId("access").hidden ? ["url", "host"].map(field).find((one) => one.checkVisibility() && !one.value) : byId("key");
  first?.focus({preventScroll: true});
}

start();
