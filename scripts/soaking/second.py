"""The clients of the second upstream: enough of them to hold all the workers that one upstream may have."""

import time
from dataclasses import replace

from good import counter_buckets, field_names, gauge_buckets, raw_gauge, test_connection
from mirror_request import MirrorConnection
from phases import RECOVERING, UNDISTURBED

REQUESTS = [test_connection, field_names, raw_gauge, gauge_buckets, counter_buckets]
TIMEOUTS_MS = 5_000, 20_000


def second(scene, rng, record):
    connection = MirrorConnection(scene.mirror_port, keeps=True)
    while scene.goes_on(lambda phase: phase.name not in (UNDISTURBED, RECOVERING)):
        toward = replace(scene, prometheus_port=scene.relay_port, timeout_ms=rng.randint(*TIMEOUTS_MS))
        connection.send(rng.choice(REQUESTS)(toward, rng), record)
        time.sleep(rng.uniform(0.2, 1.0))
