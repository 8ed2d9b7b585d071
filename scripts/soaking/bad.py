"""Bad clients: questions without an answer, and the errors that name why."""

import time

from asking import Line, Question
from bounds import REQUEST_TIMEOUT_MS, SLACK_S
from phases import is_loud
from query import metrics_query, of

SILENT_TIMEOUT_MS = 500

NO_REQUESTS = ["unknown path", "unknown verb", "no JSON", "a list", "large body", "large chunked body"]
NO_METRICS = ["unknown metric", "several series", "broken PromQL"]
NO_UPSTREAMS = ["nobody listens", "no such name", "endless garbage"]


def bad(names, pause_s):
    """Asks what cannot be answered, on kept connections and new ones by turns."""

    def behave(scene, rng, record):
        lines = [Line(scene.mirror_port, keeps) for keeps in (True, False)]
        questions = bad_questions(scene)
        while scene.goes_on(is_loud):
            rng.choice(lines).ask(questions[rng.choice(names)], record)
            time.sleep(rng.uniform(0, 2 * pause_s))

    return behave


def bad_questions(scene):
    upstreams = scene.upstreams
    lost, remote = "MetricStoreConnectionError", "RemoteMirrorError"

    def no_request(what, status, path, body, verb="POST"):
        return Question(what, path, body, refused(status, remote), verb=verb)

    def no_answer(what, types, conditions, timeout_ms=REQUEST_TIMEOUT_MS, **where):
        query = metrics_query(conditions, scene.history.start, scene.history.start + 60_000)
        body = {"connectionDetails": scene.details(timeout_ms=timeout_ms, **where), "query": query}
        return Question(what, "/api/metric", body, refused(500, *types), timeout_ms / 1000 + SLACK_S)

    one = of("~", "vector(42)")
    silent = {"conditions": one, "timeout_ms": SILENT_TIMEOUT_MS}
    questions = [
        no_request("unknown path", 404, "/api/nothing", b"{}"),
        no_request("unknown verb", 405, "/api/metric", b"{}", "BREW"),
        no_request("no JSON", 400, "/api/metric", b'{"connectionDetails": nothing'),
        no_request("a list", 400, "/api/field/name", b"[1]"),
        no_request("large body", 413, "/api/metric", b" " * (2 << 20)),
        # A body of unknown length is sent in chunks.
        no_request("large chunked body", 413, "/api/metric", [b" " * 65536] * 32),
        no_answer("unknown metric", ["MetricNotFoundError"], of("__gauge__", "soak_nothing")),
        no_answer("several series", [remote], of("__gauge__", "soak_gauge")),
        no_answer("broken PromQL", [remote], of("~", "sum by (")),
        no_answer("nobody listens", [lost], one, port=upstreams.absent),
        no_answer("no such name", [lost], one, host="soak.invalid"),
        no_answer("never answers", [lost], **silent, port=upstreams.silent),
        no_answer("never connects", [lost], **silent, port=upstreams.full),
        # It may be too long or too late, whichever comes first.
        no_answer("endless body", [remote, lost], one, port=upstreams.endless_body),
        no_answer("endless garbage", [lost], one, port=upstreams.endless_garbage),
    ]
    return {question.what: question for question in questions}


def refused(status, *types):
    def check(answer):
        if answer.status == status and answer.json()["_type"] in types:
            return None
        return f"not a {status} with {' or '.join(types)}"

    return check
