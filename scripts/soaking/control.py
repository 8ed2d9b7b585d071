"""The control: queries Prometheus directly. It is slow whenever the machine or Prometheus is slow."""

import http.client
import time
import urllib.parse

from bounds import PATIENCE_S
from record import FINE, UNREACHABLE


def control(scene, rng, record):
    connection = http.client.HTTPConnection("127.0.0.1", scene.prometheus_port, timeout=PATIENCE_S)
    while scene.goes_on():
        _, end = scene.history.some_range(rng)
        form = urllib.parse.urlencode({"query": "soak_gauge[15m]", "time": end / 1000})
        started = time.monotonic()
        try:
            connection.request("GET", f"/api/v1/query?{form}")
            outcome = FINE if b'"success"' in connection.getresponse().read() else UNREACHABLE
        except (OSError, http.client.HTTPException):
            connection.close()
            outcome = UNREACHABLE
        record("control", started, time.monotonic(), PATIENCE_S, outcome)
        time.sleep(rng.uniform(0, 0.1))
