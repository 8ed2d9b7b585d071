"""Bad clients: requests that fail, and the errors that say why."""

import time

from bounds import REQUEST_TIMEOUT_MS, SLACK_S
from mirror_request import MirrorConnection, MirrorRequest
from phases import is_loud
from query import metrics_query, of

SILENT_TIMEOUT_MS = 500

NO_REQUESTS = ["unknown path", "unknown verb", "no JSON", "a list", "large body", "large chunked body"]
NO_METRICS = ["unknown metric", "several series", "broken PromQL"]
NO_UPSTREAMS = ["nobody listens", "no such name", "endless garbage"]


def bad(names, pause_s):
    """Sends requests that fail, on a kept connection or on new ones."""

    def behave(scene, rng, record):
        connections = [MirrorConnection(scene.mirror_port, keeps) for keeps in (True, False)]
        requests = bad_requests(scene)
        while scene.goes_on(is_loud):
            rng.choice(connections).send(requests[rng.choice(names)], record)
            time.sleep(rng.uniform(0, 2 * pause_s))

    return behave


def bad_requests(scene):
    upstreams = scene.upstreams
    lost, remote = "MetricStoreConnectionError", "RemoteMirrorError"

    def malformed(what, status, path, body, verb="POST"):
        return MirrorRequest(what, path, body, refused(status, remote), verb=verb)

    def failing(what, types, conditions, timeout_ms=REQUEST_TIMEOUT_MS, **where):
        query = metrics_query(conditions, scene.history.start, scene.history.start + 60_000)
        body = {"connectionDetails": scene.details(timeout_ms=timeout_ms, **where), "query": query}
        return MirrorRequest(what, "/api/metric", body, refused(500, *types), timeout_ms / 1000 + SLACK_S)

    one = of("~", "vector(42)")
    silent = {"conditions": one, "timeout_ms": SILENT_TIMEOUT_MS}
    requests = [
        malformed("unknown path", 404, "/api/nothing", b"{}"),
        malformed("unknown verb", 405, "/api/metric", b"{}", "BREW"),
        malformed("no JSON", 400, "/api/metric", b'{"connectionDetails": nothing'),
        malformed("a list", 400, "/api/field/name", b"[1]"),
        malformed("large body", 413, "/api/metric", b" " * (2 << 20)),
        # http.client sends a body of unknown length in chunks.
        malformed("large chunked body", 413, "/api/metric", [b" " * 65536] * 32),
        failing("unknown metric", ["MetricNotFoundError"], of("__gauge__", "soak_nothing")),
        failing("several series", [remote], of("__gauge__", "soak_gauge")),
        failing("broken PromQL", [remote], of("~", "sum by (")),
        failing("nobody listens", [lost], one, port=upstreams.absent),
        failing("no such name", [lost], one, host="soak.invalid"),
        failing("never responds", [lost], **silent, port=upstreams.silent),
        failing("never connects", [lost], **silent, port=upstreams.full),
        # The body is too long or too late, whichever comes first.
        failing("endless body", [remote, lost], one, port=upstreams.endless_body),
        failing("endless garbage", [lost], one, port=upstreams.endless_garbage),
    ]
    return {request.what: request for request in requests}


def refused(status, *types):
    def check(response):
        if response.status == status and response.json()["_type"] in types:
            return None
        return f"not a {status} with {' or '.join(types)}"

    return check
