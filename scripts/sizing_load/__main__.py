"""The work of scripts/sizing: python3 -B scripts/sizing_load MIRROR STREAMS, with nothing but Python's standard library.

A stream is a query that StackState sends again every minute. 75 % of the streams aggregate the last 15 minutes into buckets of a
minute, 15 % are raw over the last 15 minutes, 7 % aggregate 20 series, and 3 % aggregate two days into buckets of an hour.
"""

import contextlib
import http.client
import json
import pathlib
import random
import statistics
import sys
import tempfile
import threading
import time

from programs import stop_when_interrupted
from samples import DAY_MS, HOUR_MS, Metric
from servers import Mirror, Prometheus
from tables import printed

MINUTE_MS = 60_000
CLIENTS = 32
WARM_UP_S = 10
MEASURED_S = 60
SATURATED_S = 20
METHODS = ["MEAN", "MAX", "MIN", "SUM", "EVENT_COUNT", "PERCENTILE_95"]


class Fleet:
    """The samples in Prometheus: 1,000 gauges and 1,000 counters for four hours, and some for two days."""

    def __init__(self):
        self.end = int(time.time() * 1000) // MINUTE_MS * MINUTE_MS
        hours, days = self.end - 4 * HOUR_MS, self.end - 2 * DAY_MS - HOUR_MS
        self.gauges = [Metric("fleet_depth", 15_000, hours, self.end, pod=pod) for pod in range(1000)]
        self.counters = [Metric("fleet_jobs_total", 15_000, hours, self.end, increment=9, pod=pod) for pod in range(1000)]
        self.long = [Metric("fleet_load", 15_000, days, self.end, pod=pod) for pod in range(20)]

    def openmetrics(self):
        for kind, metrics in (("gauge", self.gauges), ("counter", self.counters), ("gauge", self.long)):
            for metric in metrics:
                yield from metric.openmetrics(kind)
        yield "# EOF\n"


def condition(key, value, kind="StringValue"):
    return {"key": key, "value": {"value": value, "_type": kind}, "_type": "EqualityCondition"}


def some_query(fleet, rng):
    """The query of a random stream."""
    is_counter = rng.random() < 0.5
    key, metric = ("__counter__", "fleet_jobs_total") if is_counter else ("__gauge__", "fleet_depth")
    pods = condition("pod", f"shop-{rng.randrange(1000)}")
    start, end, aggregation = fleet.end - 15 * MINUTE_MS, fleet.end, {"bucketSizeMillis": MINUTE_MS}
    dice = rng.random()
    if dice < 0.15:
        aggregation = None
    elif dice < 0.22:
        first = rng.randrange(980)
        pods = condition("pod", [f"shop-{pod}" for pod in range(first, first + 20)], "InSetValue")
    elif dice < 0.25:
        key, metric, pods = "__gauge__", "fleet_load", condition("pod", f"shop-{rng.randrange(20)}")
        start, aggregation = fleet.end - 2 * DAY_MS, {"bucketSizeMillis": HOUR_MS}
    query = {"conditions": [condition(key, metric), pods], "startTime": start, "endTime": end, "limit": 10_000}
    if aggregation:
        query["aggregation"] = {"method": rng.choice(METHODS), **aggregation}
    return query


class Load:
    """Clients on kept connections. Each sends the next request when it is due."""

    def __init__(self, mirror, bodies):
        self.port = mirror.port
        self.bodies = bodies
        self.next = 0
        self.lock = threading.Lock()
        self.took_ms = []
        self.errors = 0

    def run(self, seconds, per_second):
        """Sends this number of requests per second, or as many as possible if it is None."""
        self.next, self.took_ms, self.errors = 0, [], 0
        self.began, self.seconds, self.per_second = time.monotonic(), seconds, per_second
        clients = [threading.Thread(target=self.client) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        return sorted(self.took_ms)

    def client(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while True:
            with self.lock:
                nth, self.next = self.next, self.next + 1
            due = self.began + nth / self.per_second if self.per_second else time.monotonic()
            if due > self.began + self.seconds:
                connection.close()
                return
            time.sleep(max(0, due - time.monotonic()))
            connection.request("POST", "/api/metric", self.bodies[nth % len(self.bodies)], {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            took_ms = 1000 * (time.monotonic() - due)
            with self.lock:
                self.took_ms.append(took_ms)
                self.errors += response.status != 200 or b'"points":[[' not in body


def percentile(values, percent):
    return values[min(len(values) - 1, len(values) * percent // 100)]


def main(binary, streams):
    stop_when_interrupted()
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sizing-")))

        def started(one):
            # Also stop a program that fails to start completely.
            stack.callback(one.stop)
            one.start()
            return one

        fleet, rng = Fleet(), random.Random("streams")
        prometheus = started(Prometheus(work, fleet))
        mirror = started(Mirror(work, binary))
        details = {"host": "127.0.0.1", "port": prometheus.port, "requestTimeout": 14_000}
        bodies = [json.dumps({"connectionDetails": details, "query": some_query(fleet, rng)}) for _ in range(streams)]
        load = Load(mirror, bodies)
        load.run(WARM_UP_S, streams / 60)
        lines = []
        for name, seconds, per_second in (
            (f"{streams} streams, each once a minute", MEASURED_S, streams / 60),
            ("as fast as it goes", SATURATED_S, None),
        ):
            calls = mirror.metric("prometheusmirror_upstream_requests_total")
            cpu = mirror.cpu_s(), prometheus.cpu_s()
            took = load.run(seconds, per_second)
            calls = mirror.metric("prometheusmirror_upstream_requests_total") - calls
            cpu = mirror.cpu_s() - cpu[0], prometheus.cpu_s() - cpu[1]
            lines.append(
                [name, f"{len(took) / seconds:.0f}", f"{calls / len(took):.3f}"]
                + [f"{1000 * one / len(took):.3f}" for one in cpu]
                + [f"{100 * one / seconds:.0f}" for one in cpu]
                + [f"{statistics.median(took):.2f}", f"{percentile(took, 99):.2f}", f"{mirror.peak_mib():.0f}", load.errors]
            )
        head = "load,queries/s,calls/query,mirror CPU ms,Prometheus CPU ms,mirror % of a core,Prometheus % of a core"
        printed("Streams", (head + ",p50 ms,p99 ms,mirror peak MiB,errors").split(","), lines)
        per_core = 60_000 / float(lines[0][3])
        print(f"\nAt this cost, a core that does nothing else carries {per_core:.0f} streams polled once a minute.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
