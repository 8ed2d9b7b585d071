"""The work of scripts/soak: python3 -B scripts/soaking MIRROR MINUTES, with nothing but Python's standard library.

What is done
    A Prometheus scrapes itself every second, and holds an hour of samples whose values are known. A mirror with few
    workers stands before it. Clients, each a process of its own and with a seed of its own, ask all at once:
    good        all four methods, raw and aggregated, gauges, counters and `~`, on kept and on new connections;
    bad         what is no request, metrics that do not exist, upstreams that are absent, silent or endless;
    slow        half a head, half a body, a byte now and then, nothing at all, a reader that does not read;
    vanishing   connections reset before, within and after a request;
    probe       /-/healthy and /metrics every second.
    Every 45 seconds Prometheus is killed, and started again on the same data.

What is judged
    answers     Each carries the key and comes within its bound. A good one holds exactly the values that follow from
                the samples, a bad one the error that names its cause. While Prometheus is away, and only then, either
                may be a MetricStoreConnectionError instead. A probe takes a second at most.
    connections A stalled one is closed within half a minute.
    process     It lives through all of it, without a panic and without having to accept connections anew, and ends with
                exit code 0 upon SIGTERM.
    size        Memory, threads and descriptors are flat from the second fifth of the run to its last; and threads and
                descriptors are, after a rest, near what they were before the run.
"""

import contextlib
import os
import pathlib
import sys
import tempfile
import time

from clients import Clients
from judge import faults_of_answers, faults_of_process, faults_of_size
from mirror import Mirror
from programs import stop_when_interrupted, waited
from prometheus import Prometheus
from report import report_minutes, report_sizes, report_verdict
from scene import Scene
from size import Measuring
from upstreams import BadUpstreams

OUTAGE_INTERVAL_S = 45.0
REST_S = 15.0

# Each fifth of the run has so many measurements, which makes one every five seconds in a run of fifteen minutes.
MEASUREMENTS_A_FIFTH = 36


def main(binary, minutes):
    stop_when_interrupted()
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))

        def started(one):
            # What began to start is to be stopped, too.
            stack.callback(one.stop)
            one.start()
            return one

        prometheus = started(Prometheus(work))
        mirror = started(Mirror(work, binary))
        upstreams = started(BadUpstreams())
        before = mirror.size()

        begun = time.monotonic()
        end = begun + 60 * minutes
        scene = Scene(work, os.getpid(), end, mirror.port, prometheus.port, prometheus.history, upstreams)
        clients = started(Clients(scene))
        measuring = started(Measuring(mirror, 60 * minutes / (5 * MEASUREMENTS_A_FIFTH)))
        while waited(min(OUTAGE_INTERVAL_S, end - time.monotonic()), mirror.is_alive) and time.monotonic() < end:
            prometheus.crash_and_return()
        measuring.stop()
        records = clients.finish()

        waited(REST_S, mirror.is_alive)
        after = mirror.size() if mirror.is_alive() else measuring.sizes[-1]
        faults = faults_of_answers(begun, records, prometheus.outages) + faults_of_size(before, measuring.sizes, after)
        faults += faults_of_process(mirror)
    report_minutes(begun, records, prometheus.outages, before, measuring.sizes)
    report_sizes(before, measuring.sizes, after)
    report_verdict(records, faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
