// The request as commands for a shell, without a password or a key.

import {byId, say} from "./dom.js";
import {withoutCredentials} from "./address.js";
import {hasKey} from "./mirror.js";

/** The request without a password. */
export function shown(request) {
  const {url} = request.connectionDetails;
  return url ? {...request, connectionDetails: {...request.connectionDetails, url: withoutCredentials(url, "USER:PASSWORD@")}} : request;
}

const quoted = (text) => (/^[\w./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const mirror = () => new URL(".", location.href).href.replace(/\/$/, "");

/** The request as a command of curl. */
export function curl(request) {
  const key = hasKey() ? ' -H "X-MIRROR-API-KEY: $API_KEY"' : "";
  return `curl -sS${key} -H 'Content-Type: application/json' ${quoted(`${mirror()}/api/metric`)} -d ${quoted(JSON.stringify(shown(request)))}`;
}

/** The request as `prometheusmirror ask`. */
export function ask(request) {
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

/** Copies a text. Without TLS, browsers have no clipboard API, but can copy the selection. */
export async function copy(id) {
  getSelection().selectAllChildren(byId(id));
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(byId(id).textContent);
    else if (!document.execCommand("copy")) throw new Error();
    say("copied", "Copied.", "good");
  } catch {
    say("copied", "The browser does not let the page copy. The text is selected: copy it by hand.", "bad");
  }
}
