"""The work of scripts/soak: python3 soak.py MIRROR MINUTES, with nothing but Python's standard library.

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

import collections
import contextlib
import http.client
import json
import math
import multiprocessing
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import astuple, dataclass

SEED = 3
KEY = "soak"
KEY_HEADER = "X-MIRROR-API-KEY"
WORKERS = 8

REQUEST_TIMEOUT_MS = 5_000
SILENT_TIMEOUT_MS = 500
# So much longer than its requestTimeout a request may take.
SLACK_S = 0.5
PROBE_BOUND_S = 1.0
CLOSING_BOUND_S = 30.0
# A client waits longer than any bound, so that what is late can be told from what never comes.
PATIENCE_S = 40.0

OUTAGE_INTERVAL_S = 45.0
OUTAGE_S = 2.0
REST_S = 15.0

# Each fifth of the run has so many measurements, which makes one every five seconds in a run of ten minutes.
MEASUREMENTS_A_FIFTH = 24
# What is flat has grown by no more than a tenth and so much.
ROOM = {"rss_kib": 5 * 1024, "threads": 10, "descriptors": 10}
# The mirror visits itself five times a second, which keeps as many of tiny_http's threads from ending as there are
# visits in the five seconds that one of them waits. And two connections a worker may be kept to upstreams.
ROOM_AFTER_REST = {"threads": 10 + 5 * 5, "descriptors": 10 + 2 * WORKERS}


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


# What is judged. A fault is its kind and an example of it.


def faults_of_answers(begun, records, outages):
    faults = [
        (kind, f"{record.started - begun:.1f} s into the run, {example}")
        for record in records
        for kind, example in faults_of_answer(record, outages)
    ]
    for client in sorted({client for client, _ in CLIENTS}):
        if not any(record.client == client and record.outcome == FINE for record in records):
            faults.append((f"{client}: nothing went well", "none of its requests did"))
    return faults


def faults_of_answer(record, outages):
    ended = record.started + record.took
    is_away = any(gone <= ended and record.started <= back for gone, back in outages)
    if record.outcome != FINE and not (record.outcome == UNREACHABLE and is_away):
        yield f"{record.client}: {record.outcome}", f"{record.what}: {record.details}"
    if record.took > record.bound:
        yield f"{record.client}: late", f"{record.what}: after {record.took:.3f} s, allowed are {record.bound} s"


def faults_of_size(before, sizes, after):
    second, last = fifths(sizes)
    faults = [
        (f"{name} not flat", f"{median(second, name):.0f} in the second fifth, {median(last, name):.0f} in the last")
        for name, room in ROOM.items()
        if median(last, name) > 1.1 * median(second, name) + room
    ]
    faults += [
        (f"{name} left", f"{getattr(before, name)} before the run, {getattr(after, name)} after a rest")
        for name, room in ROOM_AFTER_REST.items()
        if getattr(after, name) > 1.1 * getattr(before, name) + room
    ]
    return faults


def faults_of_process(mirror):
    """Ends the mirror, as it should have to be ended."""
    if not mirror.is_alive():
        return [("the mirror died", f"exit code {mirror.process.returncode}\n{mirror.end_of_log()}")]
    faults = []
    for name in ("prometheusmirror_panics_total", "prometheusmirror_listener_restarts_total"):
        total = mirror.metric(name)
        if total != "0":
            faults.append((name, f"{total}; the first warning of the log:\n{mirror.first_warning()}"))
    exit_code = mirror.terminate()
    if exit_code != 0:
        faults.append(("exit code after SIGTERM", f"{exit_code}\n{mirror.end_of_log()}"))
    return faults


def fifths(sizes):
    """The second and the last fifth of the run."""
    fifth = max(1, len(sizes) // 5)
    return sizes[fifth : 2 * fifth] or sizes, sizes[-fifth:]


def median(sizes, name):
    return statistics.median(getattr(size, name) for size in sizes)


# What is printed.

HEAD = [
    "minute | good bad slow vanishing away faulty | p50 p99 max | probes p50 p99 max | RSS threads fds CPU".split(),
    "- | - - - - - - | ms ms ms | - ms ms ms | MiB - - s".split(),
]


def report_minutes(begun, records, outages, before, sizes):
    """Requests are counted where they went well, else as `away` (no Prometheus just then) or `faulty`."""
    rows = list(HEAD)
    sizes_by_minute = by_minute(sizes, begun, lambda size: size.at)
    for minute, some in sorted(by_minute(records, begun, lambda record: record.started).items()):
        fine = collections.Counter(record.client for record in some if record.outcome == FINE)
        unreachable = sum(record.outcome == UNREACHABLE for record in some)
        faulty = sum(any(True for _ in faults_of_answer(record, outages)) for record in some)
        now = sizes_by_minute.get(minute) or sizes[-1:]
        rows.append(
            [minute + 1, "|", fine["good"], fine["bad"], fine["slow"], fine["vanishing"], unreachable, faulty]
            + ["|", *latencies(some, "good"), "|", fine["probe"], *latencies(some, "probe"), "|"]
            + [f"{median(now, 'rss_kib') / 1024:.1f}", int(median(now, "threads")), int(median(now, "descriptors"))]
            + [f"{now[-1].cpu_s - before.cpu_s:.1f}"]
        )
        before = now[-1]
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows)]
    for row in rows:
        print("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)))


def by_minute(things, begun, time_of):
    minutes = collections.defaultdict(list)
    for thing in things:
        minutes[int((time_of(thing) - begun) / 60)].append(thing)
    return minutes


def latencies(records, client):
    """The median, the 99th percentile and the longest of what went well, in milliseconds."""
    took = sorted(1000 * record.took for record in records if record.client == client and record.outcome == FINE)
    if not took:
        return ["-"] * 3
    return [f"{took[math.ceil(share * len(took)) - 1]:.1f}" for share in (0.5, 0.99, 1)]


def report_sizes(before, sizes, after):
    second, last = fifths(sizes)
    print("\n            before  second fifth  last fifth  after a rest")
    for name in ROOM:
        cells = getattr(before, name), median(second, name), median(last, name), getattr(after, name)
        print(f"{name:11} {cells[0]:6.0f} {cells[1]:13.0f} {cells[2]:11.0f} {cells[3]:13.0f}")


def report_verdict(records, faults):
    if not faults:
        print(f"\nverdict: sound, in {len(records)} requests and connections")
        return
    print(f"\nverdict: {len(faults)} faults in {len(records)} requests and connections")
    examples = collections.defaultdict(list)
    for kind, example in faults:
        examples[kind].append(example)
    for kind, some in examples.items():
        print(f"  {kind}: {len(some)}")
        for example in some[:3]:
            print(f"    {example[:2000]}")


# What is recorded: of each request, or connection, what came of it.

FINE = "fine"
UNREACHABLE = "unreachable"
WRONG = "wrong answer"
KEYLESS = "answer without the key"
MISSING = "no answer"


@dataclass(frozen=True)
class Record:
    client: str
    what: str
    started: float
    took: float
    bound: float
    outcome: str
    details: str


@dataclass(frozen=True)
class Scene:
    """What clients have to know."""

    work: pathlib.Path
    parent: int
    end: float
    mirror_port: int
    prometheus_port: int
    history: "History"
    upstreams: "BadUpstreams"

    def goes_on(self):
        return time.monotonic() < self.end and os.getppid() == self.parent

    def details(self, port=None, host="127.0.0.1", timeout_ms=REQUEST_TIMEOUT_MS, **more):
        return {"host": host, "port": port or self.prometheus_port, "requestTimeout": timeout_ms, **more}


class Clients:
    """A process for each client, which writes what it sees into a file of its own."""

    def __init__(self, scene):
        self.scene = scene
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=self.run, args=(number,)) for number in range(len(CLIENTS))]

    def start(self):
        for process in self.processes:
            process.start()

    def stop(self):
        end_all(self.processes)

    def run(self, number):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        client, behave = CLIENTS[number]
        with open(self.scene.work / f"{number}.records", "w", encoding="utf-8") as file:

            def record(what, started, ended, bound, outcome, details=""):
                one = Record(client, what, started, ended - started, bound, outcome, details[:500])
                # Line by line, for the process may be ended at any time.
                file.write(json.dumps(astuple(one)) + "\n")
                file.flush()

            behave(self.scene, random.Random(f"{SEED} {number}"), record)

    def finish(self):
        """Has all of them end, those that are stuck in the middle of something too; what they have recorded."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000 + 2 * SLACK_S
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
        exit_codes = [process.exitcode for process in self.processes]
        self.stop()
        records = []
        for number, (client, _) in enumerate(CLIENTS):
            lines = (self.scene.work / f"{number}.records").read_text(encoding="utf-8").splitlines()
            records += [Record(*json.loads(line)) for line in lines]
            # Only slow ones may have been in the middle of something.
            if exit_codes[number] != 0 and not (exit_codes[number] is None and client == "slow"):
                why = "it failed, as it has printed" if exit_codes[number] else "it was still waiting at the end"
                records.append(Record(client, "the client itself", self.scene.end, 0, 0, MISSING, why))
        return records


# Asking.


@dataclass(frozen=True)
class Question:
    """What is asked, and what of the answer shows that it is right: `check` gives what is wrong with it, or nothing."""

    what: str
    path: str
    body: object
    check: object
    bound: float = REQUEST_TIMEOUT_MS / 1000 + SLACK_S
    verb: str = "POST"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: object
    text: bytes

    def json(self):
        return json.loads(self.text)


# So long a client counts on an idle connection; the mirror closes it after eight seconds.
KEPT_S = 5


class Line:
    """The way to the mirror, by one connection for all requests or by one for each."""

    def __init__(self, port, keeps):
        self.keeps = keeps
        self.used = time.monotonic()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(self, question, record):
        body = question.body
        if isinstance(body, dict):
            body = json.dumps(body)
        headers = {} if self.keeps else {"Connection": "close"}
        started = time.monotonic()
        if started > self.used + KEPT_S:
            self.connection.close()
        try:
            # What is refused early is answered, and perhaps closed, before all of it is sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.connection.request(question.verb, question.path, body, headers)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            record(question.what, started, time.monotonic(), question.bound, MISSING, repr(error))
            self.connection.close()
            return
        self.used = time.monotonic()
        record(question.what, started, self.used, question.bound, *judged(answer, question.check))
        # What was too large has not been read to its end.
        if not self.keeps or answer.status == 413:
            self.connection.close()


def judged(answer, check):
    if answer.headers[KEY_HEADER] != KEY:
        return KEYLESS, shown(answer)
    try:
        wrong = check(answer)
    except (ValueError, LookupError, TypeError) as error:
        wrong = repr(error)
    if not wrong:
        return FINE, ""
    is_unreachable = answer.status in (200, 500) and b'"_type":"MetricStoreConnectionError"' in answer.text
    return UNREACHABLE if is_unreachable else WRONG, f"{wrong}: {shown(answer)}"


def shown(answer):
    return f"{answer.status} {answer.text[:200].decode('utf-8', 'replace')}"


# Good clients.


def good(keeps):
    def behave(scene, rng, record):
        line = Line(scene.mirror_port, keeps)
        kinds, weights = zip(*GOOD_QUESTIONS)
        while scene.goes_on():
            (kind,) = rng.choices(kinds, weights)
            line.ask(kind(scene, rng), record)
            time.sleep(rng.uniform(0, 0.1))

    return behave


def test_connection(scene, rng):
    body = {"_type": "TestConnectionRequest", "connectionDetails": scene.details()}
    return Question("connection", "/api/connection", body, exactly({"status": "OK", "_type": "TestConnectionResponse"}))


def field_names(scene, rng):
    query = {"conditions": [condition("__gauge__", "soak_gauge")], "startTime": 0, "endTime": 0}
    body = {"connectionDetails": scene.details(), "query": query}
    names = ["__counter__", "__gauge__", "~", "shard"]
    descriptor = {"_type": "FieldDescriptor", "classified": False, "fieldType": "STRING"}
    fields = [{**descriptor, "fieldName": name} for name in names]
    return Question(
        "field names",
        "/api/field/name",
        body,
        exactly({"fields": fields, "isPartial": False, "_type": "FieldNamesResponse"}),
    )


def field_values(scene, rng):
    field, prefix, values = rng.choice(
        [
            ("__gauge__", "soak_", ["soak_gauge"]),
            ("__counter__", "soak_", ["soak_counter_total", "soak_gauge"]),
            ("shard", "", ["a", "b"]),
            ("shard", "b", ["b"]),
            ("~", "", []),
        ]
    )
    query = {"conditions": [], "field": {"fieldName": field}, "fieldValuePrefix": prefix, "limit": 1000}
    body = {"connectionDetails": scene.details(), "query": query}
    complete = [{"value": value, "_type": "CompleteValue"} for value in values]
    return Question(
        f"values of {field}",
        "//api/field/value",
        body,
        exactly({"values": complete, "isPartial": False, "_type": "FieldValuesResponse"}),
    )


def raw_gauge(scene, rng):
    history = scene.history
    shard, (start, end) = rng.choice(SHARDS), history.some_range(rng, lead_ms=-60_000)
    points = [[history.gauge(shard, n), at] for n, at in history.between(start, end)]
    return metrics(scene, "raw gauge", of("__gauge__", "soak_gauge", shard), start, end, points, **some_limit(rng))


def raw_counter(scene, rng):
    history = scene.history
    shard, (start, end) = rng.choice(SHARDS), history.some_range(rng, lead_ms=-60_000)
    # The first sample has none before it.
    points = [[history.PER_SECOND, at] for n, at in history.between(start, end) if n > 0]
    conditions = of("__counter__", "soak_counter_total", shard)
    return metrics(scene, "raw counter", conditions, start, end, points, **some_limit(rng))


def raw_expression(scene, rng):
    history = scene.history
    start, end = history.some_range(rng)
    step = rng.choice([1_000, 5_000, 7_777])
    points = [[2 * history.gauge("a", history.newest(at)), at] for at in range(start, end + 1, step)]
    conditions = of("~", '2 * soak_gauge{shard="a"}')
    return metrics(scene, "raw expression", conditions, start, end, points, details={"scrapeInterval": step})


def large_expression(scene, rng):
    start, end = scene.history.start, scene.history.start + LARGE_POINTS - 1
    points = [[42.0, at] for at in range(start, end + 1)]
    conditions = of("~", "vector(42)")
    return metrics(scene, "large expression", conditions, start, end, points, details={"scrapeInterval": 1})


def gauge_buckets(scene, rng):
    history, bucket = scene.history, rng.choice([7_000, 10_000, 60_000, 300_000])
    start, end = history.some_range(rng)
    method = rng.choice(list(METHODS))
    # There is no percentile of several series.
    shards = [rng.choice(SHARDS)] if method.startswith("PERCENTILE") or rng.random() < 0.5 else SHARDS
    points = []
    for at in range(start, end - bucket + 1, bucket):
        values = [history.gauge(shard, n) for shard in shards for n, _ in history.between(at, at + bucket - 1)]
        points.append([METHODS[method](values), at, at + bucket])
    conditions = of("__gauge__", "soak_gauge", shards[0] if len(shards) == 1 else None)
    return metrics(scene, f"gauge {method}", conditions, start, end, points, bucket=(method, bucket), **some_limit(rng))


def counter_buckets(scene, rng):
    history, bucket = scene.history, rng.choice([7_000, 10_000, 60_000, 300_000])
    start, end = history.some_range(rng)
    method = rng.choice(["MEAN", "MAX", "MIN", "PERCENTILE_75", "SUM", "EVENT_COUNT"])
    shards = rng.choice([["a"], SHARDS])
    rate = history.PER_SECOND * len(shards)
    points = []
    for at in range(start, end - bucket + 1, bucket):
        count = len(shards) * len(history.between(at, at + bucket - 1))
        value = {"SUM": rate * bucket / 1000, "EVENT_COUNT": count}.get(method, rate)
        points.append([value, at, at + bucket])
    conditions = of("__counter__", "soak_counter_total", shards[0] if len(shards) == 1 else None)
    return metrics(scene, f"counter {method}", conditions, start, end, points, bucket=(method, bucket))


def expression_buckets(scene, rng):
    start, end = scene.history.some_range(rng)
    method = rng.choice(["MEAN", "MAX", "MIN", "PERCENTILE_90"])
    points = [[42.0, at, at + 60_000] for at in range(start, end - 60_000 + 1, 60_000)]
    return metrics(scene, f"~ {method}", of("~", "vector(42)"), start, end, points, bucket=(method, 60_000))


def live_gauge(scene, rng):
    """What is scraped just now is not known, but how it has to look."""
    end = int(time.time() * 1000)
    conditions = [*of("__gauge__", "process_resident_memory_bytes"), condition("job", "prometheus")]
    return live(scene, "live gauge", conditions, end - 60_000, end, None)


def live_counter(scene, rng):
    end = int(time.time() * 1000)
    conditions = [*of("__counter__", "process_cpu_seconds_total"), condition("job", "prometheus")]
    return live(scene, "live counter", conditions, end - 60_000, end, rng.choice([None, ("MEAN", 5_000)]))


# Each with how often it is asked for.
GOOD_QUESTIONS = [
    (test_connection, 10),
    (field_names, 10),
    (field_values, 10),
    (raw_gauge, 15),
    (raw_counter, 15),
    (raw_expression, 10),
    (large_expression, 0.2),
    (gauge_buckets, 15),
    (counter_buckets, 15),
    (expression_buckets, 10),
    (live_gauge, 10),
    (live_counter, 10),
]

SHARDS = ["a", "b"]
LARGE_POINTS = 200_000


def quantile(share, values):
    """As Prometheus computes it: between the two nearest ranks."""
    ordered, rank = sorted(values), share * (len(values) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


METHODS = {
    "MEAN": lambda values: sum(values) / len(values),
    "MAX": max,
    "MIN": min,
    "SUM": sum,
    "EVENT_COUNT": len,
    "PERCENTILE_50": lambda values: quantile(0.5, values),
    "PERCENTILE_90": lambda values: quantile(0.9, values),
}


class History:
    """An hour of samples, one every five seconds, of a gauge and a counter in two shards."""

    INTERVAL_MS = 5_000
    COUNT = 720
    PER_SECOND = 3.0

    def __init__(self):
        self.start = (int(time.time()) // 3600 - 3) * 3_600_000

    def gauge(self, shard, n):
        # Up and down, and another way in each shard.
        return float((37 * n + 11 * SHARDS.index(shard)) % 101)

    def counter(self, n):
        return self.PER_SECOND * n * self.INTERVAL_MS / 1000

    def newest(self, at):
        return (at - self.start) // self.INTERVAL_MS

    def between(self, start, end):
        """Number and time of the samples of a range, both of its ends included."""
        first = max(0, -(-(start - self.start) // self.INTERVAL_MS))
        last = min(self.COUNT - 1, (end - self.start) // self.INTERVAL_MS)
        return [(n, self.start + n * self.INTERVAL_MS) for n in range(first, last + 1)]

    def some_range(self, rng, lead_ms=600_000):
        """Up to half an hour that begins so long after the first sample at the earliest and ends before the last."""
        start = self.start + rng.randrange(lead_ms, 1_500_000)
        return start, start + rng.randrange(0, 1_800_000)

    def openmetrics(self):
        for name, kind, value in (
            ("soak_gauge", "gauge", self.gauge),
            ("soak_counter", "counter", lambda _, n: self.counter(n)),
        ):
            yield f"# TYPE {name} {kind}\n"
            suffix = "_total" if kind == "counter" else ""
            for shard in SHARDS:
                for n, at in self.between(self.start, self.start + 3_600_000):
                    yield f'{name}{suffix}{{shard="{shard}"}} {value(shard, n)} {at / 1000:.3f}\n'
        yield "# EOF\n"


def condition(key, value):
    return {"key": key, "value": {"value": value, "_type": "StringValue"}, "_type": "EqualityCondition"}


def of(key, value, shard=None):
    return [condition(key, value)] + ([condition("shard", shard)] if shard else [])


def some_limit(rng):
    return {"limit": rng.choice([None, 1, 50, 2147483647]), "latest_first": rng.random() < 0.3}


def metrics_query(conditions, start, end, bucket=None):
    query = {"_type": "MetricsQuery", "conditions": conditions, "startTime": start, "endTime": end}
    if bucket:
        query["aggregation"] = {"method": bucket[0], "bucketSizeMillis": bucket[1], "_type": "Aggregation"}
    return query


def metrics(scene, what, conditions, start, end, points, bucket=None, limit=None, latest_first=False, details={}):
    """A question whose points are known."""
    query = {**metrics_query(conditions, start, end, bucket), "limit": limit, "latestFirst": latest_first}
    kept = (points[::-1] if latest_first else points)[:limit]

    def check(answer):
        telemetry = answer.json()["telemetry"]
        if telemetry["isPartial"] != (len(kept) < len(points)):
            return f"isPartial is {telemetry['isPartial']} for {len(kept)} of {len(points)} points"
        return differing(telemetry["points"], kept)

    body = {"connectionDetails": scene.details(**details), "query": query}
    return Question(f"{what} {start} to {end}, {bucket or 'raw'}, limit {limit}", "/api/metric", body, check)


def live(scene, what, conditions, start, end, bucket):
    """A question of which only the form of its points is known, and that there are some."""

    def check(answer):
        points = answer.json()["telemetry"]["points"]
        times = [point[1] for point in points]
        if not times or times != sorted(set(times)):
            return f"the times of {len(points)} points do not ascend"
        if not all(start <= point[1] and point[-1] <= end and point[0] >= 0 for point in points):
            return f"a point outside of {start} to {end}, or negative"
        if bucket and not all((low - start) % bucket[1] == 0 and high - low == bucket[1] for _, low, high in points):
            return "a point that is not on a bucket"
        return None

    body = {"connectionDetails": scene.details(), "query": metrics_query(conditions, start, end, bucket)}
    return Question(what, "/api/metric", body, check)


def differing(points, expected):
    if len(points) != len(expected):
        return f"{len(points)} points instead of {len(expected)}"
    for point, right in zip(points, expected):
        # Rates come by way of divisions.
        if point[1:] != right[1:] or not math.isclose(point[0], right[0], rel_tol=1e-9, abs_tol=1e-9):
            return f"{point} instead of {right}"
    return None


def exactly(expected):
    return lambda answer: None if answer.status == 200 and answer.json() == expected else "not the answer"


# Bad clients.


def bad(names, pause_s):
    """Asks what cannot be answered, on kept connections and new ones by turns."""

    def behave(scene, rng, record):
        lines = [Line(scene.mirror_port, keeps) for keeps in (True, False)]
        questions = bad_questions(scene)
        while scene.goes_on():
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


class BadUpstreams:
    """What no Prometheus should be, each at a port of this machine."""

    def __init__(self):
        self.sockets = [socket.socket() for _ in range(5)]
        for one in self.sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in self.sockets]
        self.absent, self.silent, self.full, self.endless_body, self.endless_garbage = ports
        self.processes = []

    def start(self):
        _, silent, full, body, garbage = self.sockets
        # The system takes connections as long as the queue has room; nobody here ever does.
        silent.listen(4096)
        full.listen(0)
        with contextlib.suppress(OSError):
            for _ in range(2):
                filling = socket.socket()
                self.sockets.append(filling)
                filling.setblocking(False)
                filling.connect_ex(full.getsockname())
        context = multiprocessing.get_context("fork")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        begins = [(body, head + b'{"status":"success","data":"'), (garbage, b"")]
        self.processes = [context.Process(target=answer_endlessly, args=args, daemon=True) for args in begins]
        for process in self.processes:
            process.start()

    def stop(self):
        end_all(self.processes)
        for one in self.sockets:
            one.close()


def answer_endlessly(listening, beginning):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(beginning)
            while True:
                connection.sendall(b"x" * 65536)

    listening.listen()
    listening.settimeout(1)
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE_S)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


# Slow clients, and those that vanish.

STALLED_AT_ONCE = 10


def head_of(length, path="/api/metric"):
    return f"POST {path} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n\r\n".encode()


# What is sent, and what then comes every now and then.
STALLS = {
    "nothing": (b"", b""),
    "half a head": (head_of(100)[:30], b""),
    "idle after a request": (b"GET /-/healthy HTTP/1.1\r\nHost: soak\r\n\r\n", b""),
    "half a short body": (head_of(100) + b"{", b""),
    "half a long body": (head_of(100_000) + b"{", b""),
    "a body in drops": (head_of(100_000) + b"{", b" "),
}


def stall(what):
    """Begins something and waits until the mirror closes the connection."""
    sent, drop = STALLS[what]

    def behave(scene, rng, record):
        while scene.goes_on():
            stalled = {connected(scene): b"" for _ in range(STALLED_AT_ONCE)}
            started = time.monotonic()
            for one in stalled:
                one.sendall(sent)
                one.setblocking(False)
            while stalled and (now := time.monotonic()) < started + PATIENCE_S:
                time.sleep(0.2)
                for one in list(stalled):
                    is_open, stalled[one] = looked_at(one, stalled[one], drop)
                    # As long as drops come, the answer is the end that the mirror can make.
                    if not is_open or (drop and stalled[one]):
                        record(what, started, now, CLOSING_BOUND_S, *judged_head(stalled.pop(one)))
                        one.close()
            for one in stalled:
                record(what, started, now, CLOSING_BOUND_S, MISSING, "the connection stays open")
                one.close()

    return behave


def looked_at(stalled, received, drop):
    """Whether a connection is still open, and all that has come from it."""
    try:
        if drop:
            stalled.send(drop)
        some = stalled.recv(65536)
        return some != b"", received + some
    except BlockingIOError:
        return True, received
    except OSError:
        return False, received


def judged_head(received):
    """Nothing needs no key: what is no whole request may be closed without a word."""
    has_key = f"\r\n{KEY_HEADER}: {KEY}\r\n".encode() in received
    return (FINE, "") if has_key or not received else (KEYLESS, repr(received[:200]))


def unread(scene, rng, record):
    """Asks for far more than connections hold, and reads none of it before the mirror must have given up."""
    start, end = scene.history.start, scene.history.start + 2 * LARGE_POINTS
    details = scene.details(scrapeInterval=1, timeout_ms=20_000)
    query = metrics_query(of("~", "vector(42)"), start, end)
    body = json.dumps({"connectionDetails": details, "query": query}).encode()
    while scene.goes_on():
        asking = [connected(scene, receives=4096) for _ in range(2)]
        started = time.monotonic()
        for one in asking:
            one.sendall(head_of(len(body)) + body)
        waited(CLOSING_BOUND_S - 10, scene.goes_on)
        for one in asking:
            if scene.goes_on():
                outcome = drained(one)
                record("unread", started, time.monotonic(), CLOSING_BOUND_S, *outcome)
            one.close()


def drained(one):
    """What is left to be read until the connection turns out to be closed."""
    received = b""
    one.settimeout(5)
    try:
        while some := one.recv(1 << 20):
            received = received or some
    except TimeoutError:
        return MISSING, "the connection stays open"
    except ConnectionError:
        pass
    return judged_head(received)


def vanishing(scene, rng, record):
    body = json.dumps(raw_gauge(scene, rng).body).encode()
    request = head_of(len(body)) + body
    while scene.goes_on():
        started = time.monotonic()
        one = connected(scene)
        # Unsent data and all: the other side sees a reset.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(request[: rng.choice([0, 30, len(request) - 20, len(request)])])
        time.sleep(rng.choice([0, 0.002, 0.02]))
        one.close()
        record("vanishing", started, time.monotonic(), PATIENCE_S, FINE)
        time.sleep(rng.uniform(0, 0.1))


def connected(scene, receives=None):
    one = socket.socket()
    if receives:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    one.settimeout(PATIENCE_S)
    one.connect(("127.0.0.1", scene.mirror_port))
    return one


# Probes.


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


NO_REQUESTS = ["unknown path", "unknown verb", "no JSON", "a list", "large body", "large chunked body"]
NO_METRICS = ["unknown metric", "several series", "broken PromQL"]
NO_UPSTREAMS = ["nobody listens", "no such name", "endless garbage"]

# All of them: a name under which it is judged, and what it does.
CLIENTS = [
    *[("good", good(keeps=True))] * 4,
    *[("good", good(keeps=False))] * 2,
    ("bad", bad(NO_REQUESTS, 0.1)),
    ("bad", bad(NO_METRICS, 0.1)),
    ("bad", bad(NO_UPSTREAMS, 0.2)),
    ("bad", bad(["never answers", "never connects"], 0.5)),
    ("bad", bad(["endless body"], 1.0)),
    *[("slow", stall(what)) for what in STALLS],
    ("slow", unread),
    ("vanishing", vanishing),
    ("probe", probe),
]


# The two programs.


def launched(command, log, **environment):
    """Starts a program that ends at the latest when this one does, however that may come about."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )


def kill(process):
    if process:
        process.kill()
        process.wait()


def end_all(clients):
    for process in clients:
        if process.is_alive():
            process.kill()
            process.join()


class Prometheus:
    """A real one, which scrapes itself and holds the history."""

    def __init__(self, work):
        self.work = work
        self.port = free_port()
        self.history = History()
        # When it was gone, and when it was back.
        self.outages = []
        self.process = None

    def start(self):
        samples, config = self.work / "samples", self.work / "prometheus.yml"
        samples.write_text("".join(self.history.openmetrics()))
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: prometheus\n"
            f'    static_configs: [{{targets: ["127.0.0.1:{self.port}"]}}]\n'
        )
        load = ["promtool", "tsdb", "create-blocks-from", "openmetrics", samples, self.work / "data"]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        self.launch()
        deadline = time.monotonic() + 60
        while not self.has_scraped() and time.monotonic() < deadline:
            time.sleep(0.2)

    def stop(self):
        kill(self.process)

    def launch(self):
        command = ["prometheus", f"--config.file={self.work / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={self.work / 'data'}", "--storage.tsdb.retention.time=1y"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = launched(command, self.work / "prometheus.log")
        until_ready("Prometheus", self.port, self.process, self.work / "prometheus.log")

    def has_scraped(self):
        """Whether there are rates by now."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?query=count_over_time(up[1m])>=10"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return json.load(response)["data"]["result"] != []

    def crash_and_return(self):
        gone = time.monotonic()
        kill(self.process)
        time.sleep(OUTAGE_S)
        self.launch()
        self.outages.append((gone, time.monotonic()))


@dataclass(frozen=True)
class Size:
    at: float
    rss_kib: int
    threads: int
    descriptors: int
    cpu_s: float


class Mirror:
    def __init__(self, work, binary):
        self.log = work / "mirror.log"
        self.binary = binary
        self.port = free_port()
        self.process = None

    def start(self):
        command = [self.binary, "--listen", "127.0.0.1", "--port", str(self.port), "--workers", str(WORKERS)]
        self.process = launched(command, self.log, API_KEY=KEY)
        until_ready("the mirror", self.port, self.process, self.log)

    def stop(self):
        kill(self.process)

    def is_alive(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        return self.process.returncode

    def size(self):
        """How large it is, by what the system knows of it."""
        of_process = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (of_process / "status").read_text().splitlines())
        # Behind the name, which may hold anything, come the state and, ten places on, the time in ticks.
        ticks = (of_process / "stat").read_text().rpartition(")")[2].split()[11:13]
        return Size(
            at=time.monotonic(),
            rss_kib=int(status["VmRSS"].split()[0]),
            threads=int(status["Threads"]),
            descriptors=len(os.listdir(of_process / "fd")),
            cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        )

    def metric(self, name):
        """What it tells of itself, as it is written."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE_S) as response:
                lines = response.read().decode().splitlines()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        return next((line.split()[1] for line in lines if line.startswith(f"{name} ")), "not there")

    def first_warning(self):
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            return next((line.rstrip() for line in lines if "level=warn" in line or "level=error" in line), "nothing")

    def end_of_log(self):
        return end_of(self.log)


class Measuring:
    """Measures the mirror now and then, for as long as it lives."""

    def __init__(self, mirror, interval_s):
        self.mirror = mirror
        self.interval_s = interval_s
        self.sizes = [mirror.size()]
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def start(self):
        self.thread.start()

    def stop(self):
        self.is_over.set()
        self.thread.join()

    def run(self):
        # What has died has no size any more.
        with contextlib.suppress(OSError, KeyError):
            while not self.is_over.wait(self.interval_s):
                self.sizes.append(self.mirror.size())


# Waiting, and ending.


def waited(seconds, as_long_as):
    """Waits, and tells whether what has to hold did so until the end."""
    deadline = time.monotonic() + seconds
    while as_long_as():
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, 0.2))
    return False


def until_ready(what, port, process, log):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
            return
        time.sleep(0.02)
    sys.exit(f"soak: {what} is not ready; its log ends with\n{end_of(log)}")


def end_of(log):
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def free_port():
    """A port on which nobody listens. It is none of those that connections begin at, for one might take it later."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def stop_when_interrupted():
    """Whatever asks for the end, what was started is stopped and what was written removed."""

    def stop(number, _):
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        sys.exit(128 + number)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
