// Requests to the mirror, the same that StackState makes.

import {byId} from "./dom.js";

/** The longest timeout that a request may have, and a little more. */
const PATIENCE_MS = 610_000;

/** The header with the key, if there is one. */
const keyHeader = () => (hasKey() ? {"X-MIRROR-API-KEY": byId("key").value} : {});

export const hasKey = () => byId("key").value !== "";

/** Posts a request; gives the HTTP status, the body as text and as JSON. */
export async function post(path, body, {explain = false, signal} = {}) {
  const headers = {"Content-Type": "application/json", ...keyHeader(), ...(explain ? {"X-MIRROR-EXPLAIN": "true"} : {})};
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

/** What the mirror says of itself: its version, and the upstreams that may be chosen. */
export const facts = async () => (await fetch("explorer.json", {headers: keyHeader()})).json();

/** Of several requests of a kind only the last counts: each call ends the one before. */
export function latest() {
  let controller = new AbortController();
  return () => {
    controller.abort();
    controller = new AbortController();
    return controller.signal;
  };
}

/** What an error says, as StackState's admin would read it: a title, and details. */
export function errorOf({status, json, text}) {
  if (!json?._type) return {title: `HTTP ${status}`, details: text.slice(0, 300) || "The response has no body."};
  const {summary, metric, mirrorType, details = ""} = json;
  return {title: summary ?? (metric ? `Metric not found: ${metric}` : mirrorType ? `Unsupported type: ${mirrorType}` : json._type), details};
}

/** What to say when no answer comes at all. */
export const unreachable = (error) => ({title: "The mirror does not answer.", details: `${error.message}. See whether it runs, and what it logs.`});
