"""The work of scripts/soak: python3 -B scripts/soaking MIRROR MINUTES, with nothing but Python's standard library.

What runs
    A Prometheus scrapes itself every second, and has an hour of samples with known values. A mirror with the default number of
    workers queries it. A second Prometheus with the same samples is behind a relay, which misbehaves in different ways. Clients
    send queries at the same time, each in a separate process with its own seed:
    good        all four kinds of query, raw and aggregated, gauges, counters and `~`, on kept and on new connections;
    second      30 clients of the second upstream, with timeouts of 5 to 20 s: enough to hold its share of the workers;
    bad         malformed requests, unknown metrics, upstreams that are absent, silent or endless;
    slow        half a head, half a body, a byte now and then, nothing at all, a reader that does not read;
    vanishing   connections reset before, within and after a request;
    attack      40 clients that slowly read responses of a million points, sets of 524,000 zeros, heads with the byte E4, chunked
                bodies with trailers, and names for which the name server is silent, with a timeout of 1 ms;
    control     queries to the first Prometheus itself, without the mirror;
    probe       /-/healthy and /metrics every second.

When (phases.py)
    The run has five rounds of equal length. In each round, the second upstream is first silent (it accepts connections, but never
    responds), then slow (a byte every 250 ms), then resetting (RST), then a black hole (the queue of its socket is full, so that
    the kernel drops the SYN). Before each fault there is an undisturbed phase without clients of the second upstream, and after
    each fault a phase in which it responds again. At the start of that phase, the first Prometheus is killed, and restarted on the
    same data. The attacks are at the end of each round, while the second upstream is silent; then the mirror recovers. Bad, slow
    and vanishing clients run in the second, fourth and fifth round (loud); the first and the third round are calm.

What is checked
    responses   Each response carries the key, and arrives within its timeout and half a second. A response to a good query has
                exactly the values that follow from the samples, a response to a bad query has the right error. Only while an
                upstream is down or misbehaves may its responses be a MetricStoreConnectionError. After each fault, the second
                upstream works again before the next phase. A probe takes at most a second.
    tails       In calm rounds, the p99 latency of the good clients during a fault is at most 1.2 times the undisturbed p99. The
                load generator and other programs share the machine, so the p99 varies by itself. The control shows how much slower
                the first Prometheus and the machine were in that phase, and the limit is raised by that factor. Loud rounds are
                printed but not checked, because they have other bad upstreams, too.
    connections A stalled connection is closed within half a minute.
    process     The mirror survives without a panic and without a restart of its listener, and exits with 0 on SIGTERM.
    size        The peak of memory is at most the 512 MiB of the chart. Threads and descriptors have bounds (bounds.py). All three
                are flat from the second round to the last. After a rest, threads and descriptors are near their numbers before the
                run.
"""

import contextlib
import os
import pathlib
import sys
import tempfile
import time

from absences import Absences
from clients import Clients
from history import History
from judge import faults_of_process, faults_of_responses, faults_of_size
from mirror import Mirror
from name_server import NameServer
from phases import BACK, ROUNDS, Schedule
from programs import stop_when_interrupted, waited
from prometheus import Prometheus
from relay import Relay
from report import report_errors, report_minutes, report_recoveries, report_sizes, report_tails, report_verdict
from scene import Scene
from size import Measuring
from tails import faults_of_tails, tails
from upstreams import BadUpstreams

REST_S = 15.0

# The number of measurements in each fifth of the run. In a run of 15 minutes, there is one every five seconds.
MEASUREMENTS_A_FIFTH = 36


def main(binary, minutes):
    stop_when_interrupted()
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))

        def started(one):
            # Also stop a program that fails to start completely.
            stack.callback(one.stop)
            one.start()
            return one

        history = History()
        prometheus = started(Prometheus(work / "good", history))
        second = started(Prometheus(work / "second", history))
        mirror = started(Mirror(work, binary, started(NameServer(work)).resolv_conf))
        upstreams = started(BadUpstreams())
        before = mirror.size()

        begun = time.monotonic()
        schedule = Schedule(begun, minutes)
        relay = started(Relay(schedule, second.port))
        ports = mirror.port, prometheus.port, second.port, relay.port
        clients = started(Clients(Scene(work, os.getpid(), schedule, *ports, history, upstreams)))
        measuring = started(Measuring(mirror, 60 * minutes / (ROUNDS * MEASUREMENTS_A_FIFTH)))
        for phase in schedule.phases:
            if phase.name == BACK:
                prometheus.crash_and_return()
            if not waited(phase.end - time.monotonic(), mirror.is_alive):
                break
        measuring.stop()
        records = clients.finish()

        waited(REST_S, mirror.is_alive)
        after = mirror.size() if mirror.is_alive() else measuring.sizes[-1]
        absences = Absences(schedule, records, prometheus.outages)
        all_tails = tails(schedule, records, prometheus.outages)
        errors = mirror.metrics()
        faults = faults_of_responses(begun, records, absences) + faults_of_size(before, measuring.sizes, after)
        faults += faults_of_tails(all_tails) + faults_of_process(mirror)
    report_minutes(begun, records, absences, before, measuring.sizes)
    report_tails(all_tails)
    report_recoveries(absences)
    report_errors(errors)
    report_sizes(before, measuring.sizes, after)
    report_verdict(records, faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
