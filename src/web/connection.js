// Connection Details: the mirror checks them while the user types, and tests them on demand.

import {byId, say} from "./dom.js";
import {connectionDetails, field, hasAddress, mark, needAddress, value} from "./form.js";
import {errorOf, latest, post, unreachable} from "./mirror.js";

/** How long the user must stop typing before the details are checked. */
const PAUSE_MS = 300;
const PASSWORD = "The password goes to the mirror only. It is in no address and no command that you copy from this page.";

const next = latest();
let timer;

/** Marks the field of Connection Details that an error names, if it names one. */
export const markDetail = (details = "") => mark(details.match(/^connectionDetails\.(\w+)/)?.[1], byId("connection"));

/** Shows what is wrong with Connection Details, and marks the field that the mirror names. */
function showFault(response) {
  const {title, details} = errorOf(response);
  say("fault", details || title, "bad");
  markDetail(details);
}

/** Checks the details when the user stops typing. The mirror does so by its rules for StackState's requests, without a call to Prometheus. */
export function checkDetails() {
  const signal = next();
  clearTimeout(timer);
  say("verdict", "");
  timer = setTimeout(async () => {
    try {
      const response = hasAddress() ? await post("api/connection/check", {connectionDetails: connectionDetails()}, {signal}) : null;
      if (response?.json?.status === "FAILURE") return showFault({...response, json: response.json.error});
    } catch {
      // The next query shows whether the mirror answers.
      return;
    }
    markDetail();
    say("fault", value("by") === "url" && value("url").includes("@") ? PASSWORD : "", "quiet");
  }, PAUSE_MS);
}

/** Tests the connection. On success, moves the focus to the metric. */
export async function testConnection() {
  needAddress();
  const signal = next();
  clearTimeout(timer);
  say("fault", "");
  say("verdict", "Querying …");
  try {
    const response = await post("api/connection", {_type: "TestConnectionRequest", connectionDetails: connectionDetails()}, {signal});
    if (response.json?.status === "OK") {
      say("verdict", "OK: Prometheus answers queries.", "good");
      if (!value("name")) field("name").focus();
      return;
    }
    const {title, details} = errorOf({...response, json: response.json?.error ?? response.json});
    say("verdict", details ? `${title}\n${details}` : title, "bad");
    markDetail(details);
  } catch (error) {
    if (!signal.aborted) say("verdict", unreachable(error).details, "bad");
  }
}
