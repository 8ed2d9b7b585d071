"""The probe: checks that pages of the mirror are fast and right."""

import time

from mirror_request import MirrorConnection, MirrorRequest

PROBE_BOUND_S = 1.0


def probe(scene, rng, record):
    connection = MirrorConnection(scene.mirror_port, keeps=False)
    healthy = MirrorRequest("/-/healthy", "/-/healthy", None, holds(b"ok\n"), PROBE_BOUND_S, "GET")
    page = MirrorRequest("/metrics", "/metrics", None, holds(b"prometheusmirror_requests_total{"), PROBE_BOUND_S, "GET")
    while scene.goes_on():
        for request in (healthy, page):
            connection.send(request, record)
        time.sleep(1)


def holds(text):
    return lambda response: None if response.status == 200 and text in response.text else "not the page"
