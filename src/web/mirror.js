// Sends requests to the mirror, as StackState does.

import {byId} from "./dom.js";

/** A little more than the longest timeout of a request. */
const PATIENCE_MS = 610_000;

/** The header with the key, if the user has given one. */
const keyHeader = () => (hasKey() ? {"X-MIRROR-API-KEY": byId("key").value} : {});

export const hasKey = () => byId("key").value !== "";

/** Posts a request. Returns the HTTP status, and the body as text and as JSON. */
export async function post(path, body, {explain = false, signal} = {}) {
  const headers = {"Content-Type": "application/json", ...keyHeader(), ...(explain ? {"X-MIRROR-EXPLAIN": "true"} : {})};
  const response = await fetch(path, {method: "POST", headers, body: JSON.stringify(body), signal: withPatience(signal)});
  const text = await response.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // A proxy may respond with a page of its own.
  }
  return {status: response.status, text, json};
}

function withPatience(signal) {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  return signal ? AbortSignal.any([signal, patience]) : patience;
}

/** The version of the mirror, its requirements, and the names of its upstreams. */
export const facts = async () => (await fetch("explorer.json", {headers: keyHeader()})).json();

/** Makes a function whose calls return a signal for a new request, and abort the previous request. */
export function latest() {
  let controller = new AbortController();
  return () => {
    controller.abort();
    controller = new AbortController();
    return controller.signal;
  };
}

/** The title and details of an error, as StackState shows them. */
export function errorOf({status, json, text}) {
  if (!json?._type) return {title: `HTTP ${status}`, details: text.slice(0, 300) || "The response has no body."};
  const {summary, metric, mirrorType, details = ""} = json;
  return {title: summary ?? (metric ? `Metric not found: ${metric}` : mirrorType ? `Unsupported type: ${mirrorType}` : json._type), details};
}

/** The title and details if there is no response. */
export const unreachable = (error) => ({title: "The mirror does not answer.", details: `${error.message}. See whether it runs, and what it logs.`});
