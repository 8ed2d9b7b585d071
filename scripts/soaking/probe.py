"""The probe: whether the mirror is well, and says so at once."""

import time

from asking import Line, Question

PROBE_BOUND_S = 1.0


def probe(scene, rng, record):
    line = Line(scene.mirror_port, keeps=False)
    healthy = Question("/-/healthy", "/-/healthy", None, holds(b"ok\n"), PROBE_BOUND_S, "GET")
    page = Question("/metrics", "/metrics", None, holds(b"prometheusmirror_requests_total{"), PROBE_BOUND_S, "GET")
    while scene.goes_on():
        for question in (healthy, page):
            line.ask(question, record)
        time.sleep(1)


def holds(text):
    return lambda answer: None if answer.status == 200 and text in answer.text else "not the page"
