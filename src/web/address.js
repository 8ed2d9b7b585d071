// The address of the page, which contains the query but no credentials.

import {byId} from "./dom.js";
import {arrange, clock, field, labels, value} from "./form.js";
import {addLabel} from "./completion.js";
import {parseTime, timeText} from "./units.js";

const SHARED = ["by", "url", "host", "port", "requestTimeout", "scrapeInterval", "nan_interpretation", "partialResponse", "source", "name", "method",
  "bucket", "limit", "range", "zone"];

/** A URL, well-formed or not, without the part that may be credentials. */
export function withoutCredentials(url, instead = "") {
  const at = url.lastIndexOf("@");
  return at < 0 ? url : (url.match(/^[a-z]+:\/\//i)?.[0] ?? "") + instead + url.slice(at + 1);
}

/** Writes the form into the address. */
export function share() {
  const shared = new URLSearchParams();
  for (const name of SHARED) if (value(name)) shared.set(name, name === "url" ? withoutCredentials(value(name)) : value(name));
  if (field("latest").checked) shared.set("latest", "true");
  for (const [name, text] of labels()) shared.append("label", `${name}=${text}`);
  // In UTC, so that the link means the same time in another time zone.
  if (!value("range")) {
    for (const name of ["from", "to"]) shared.set(name, `${timeText(parseTime(value(name), value("zone")), "utc").replace(" ", "T")}Z`);
  }
  history.replaceState(null, "", `#${shared}`);
}

/** Fills the form from the address. Does not send a query: a link alone must not make a mirror query an upstream. */
export function fill() {
  const shared = new URLSearchParams(location.hash.slice(1));
  for (const name of SHARED) if (shared.has(name)) field(name).value = name === "url" ? withoutCredentials(shared.get(name)) : shared.get(name);
  if (shared.has("from")) field("range").value = "";
  for (const name of ["from", "to"]) {
    const ms = parseTime(shared.get(name) ?? "", "utc");
    if (ms !== null) field(name).value = clock(ms);
  }
  field("latest").checked = shared.get("latest") === "true";
  byId("labels").replaceChildren();
  for (const label of shared.getAll("label")) {
    const at = label.indexOf("=");
    if (at > 0) addLabel(label.slice(0, at), label.slice(at + 1));
  }
  // Replace values that the page does not offer.
  for (const [name, instead] of [["by", field("by").options[0].value], ["method", "MEAN"], ["zone", "utc"]]) if (!value(name)) field(name).value = instead;
  arrange();
}
