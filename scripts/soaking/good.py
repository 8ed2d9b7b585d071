"""Good clients: requests of every method, and the responses that follow from the samples."""

import math
import time

from history import METHODS, SHARDS
from mirror_request import MirrorConnection, MirrorRequest
from query import condition, metrics_query, of

LARGE_POINTS = 200_000


def good(keeps):
    def behave(scene, rng, record):
        connection = MirrorConnection(scene.mirror_port, keeps)
        kinds, weights = zip(*GOOD_REQUESTS)
        while scene.goes_on():
            (kind,) = rng.choices(kinds, weights)
            connection.send(kind(scene, rng), record)
            time.sleep(rng.uniform(0, 0.1))

    return behave


def test_connection(scene, rng):
    body = {"_type": "TestConnectionRequest", "connectionDetails": scene.details()}
    right = exactly({"status": "OK", "_type": "TestConnectionResponse"})
    return MirrorRequest("connection", "/api/connection", body, right, scene.bound)


def field_names(scene, rng):
    query = {"conditions": [condition("__gauge__", "soak_gauge")], "startTime": 0, "endTime": 0}
    body = {"connectionDetails": scene.details(), "query": query}
    names = ["__counter__", "__gauge__", "~", "shard"]
    descriptor = {"_type": "FieldDescriptor", "classified": False, "fieldType": "STRING"}
    fields = [{**descriptor, "fieldName": name} for name in names]
    return MirrorRequest(
        "field names",
        "/api/field/name",
        body,
        exactly({"fields": fields, "isPartial": False, "_type": "FieldNamesResponse"}),
        scene.bound,
    )


def field_values(scene, rng):
    field, prefix, values = rng.choice(
        [
            # A metric without a declared type is offered as both.
            ("__gauge__", "soak_", ["soak_counter_total", "soak_gauge"]),
            ("__counter__", "soak_", ["soak_counter_total", "soak_gauge"]),
            ("shard", "", ["a", "b"]),
            ("shard", "b", ["b"]),
            ("~", "", []),
        ]
    )
    query = {"conditions": [], "field": {"fieldName": field}, "fieldValuePrefix": prefix, "limit": 1000}
    body = {"connectionDetails": scene.details(), "query": query}
    complete = [{"value": value, "_type": "CompleteValue"} for value in values]
    return MirrorRequest(
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
    # The first sample has no predecessor.
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
    # Percentiles are only checked for one series.
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
    increase = history.PER_SECOND * history.INTERVAL_MS / 1000
    points = []
    for at in range(start, end - bucket + 1, bucket):
        count = len(shards) * len(history.between(at, at + bucket - 1))
        value = {"SUM": increase * count, "EVENT_COUNT": count}.get(method, rate)
        points.append([value, at, at + bucket])
    conditions = of("__counter__", "soak_counter_total", shards[0] if len(shards) == 1 else None)
    return metrics(scene, f"counter {method}", conditions, start, end, points, bucket=(method, bucket))


def expression_buckets(scene, rng):
    start, end = scene.history.some_range(rng)
    method = rng.choice(["MEAN", "MAX", "MIN", "PERCENTILE_90"])
    points = [[42.0, at, at + 60_000] for at in range(start, end - 60_000 + 1, 60_000)]
    return metrics(scene, f"~ {method}", of("~", "vector(42)"), start, end, points, bucket=(method, 60_000))


def live_gauge(scene, rng):
    """The values of recent scrapes are unknown, but their form is known."""
    end = int(time.time() * 1000)
    conditions = [*of("__gauge__", "process_resident_memory_bytes"), condition("job", "prometheus")]
    return live(scene, "live gauge", conditions, end - 60_000, end, None)


def live_counter(scene, rng):
    end = int(time.time() * 1000)
    conditions = [*of("__counter__", "process_cpu_seconds_total"), condition("job", "prometheus")]
    return live(scene, "live counter", conditions, end - 60_000, end, rng.choice([None, ("MEAN", 5_000)]))


# Each with its relative frequency.
GOOD_REQUESTS = [
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


def some_limit(rng):
    return {"limit": rng.choice([None, 1, 50, 2147483647]), "latest_first": rng.random() < 0.3}


def metrics(scene, what, conditions, start, end, points, bucket=None, limit=None, latest_first=False, details=None):
    """A request whose points are known."""
    query = {**metrics_query(conditions, start, end, bucket), "limit": limit, "latestFirst": latest_first}
    kept = (points[::-1] if latest_first else points)[:limit]

    def check(response):
        telemetry = response.json()["telemetry"]
        if telemetry["isPartial"] != (len(kept) < len(points)):
            return f"isPartial is {telemetry['isPartial']} for {len(kept)} of {len(points)} points"
        return differing(telemetry["points"], kept)

    body = {"connectionDetails": scene.details(**(details or {})), "query": query}
    return MirrorRequest(f"{what} {start} to {end}, {bucket or 'raw'}, limit {limit}", "/api/metric", body, check, scene.bound)


def live(scene, what, conditions, start, end, bucket):
    """A request with some points, of which only the form is known."""

    def check(response):
        points = response.json()["telemetry"]["points"]
        times = [point[1] for point in points]
        if not times or times != sorted(set(times)):
            return f"the times of {len(points)} points do not ascend"
        if not all(start <= point[1] and point[-1] <= end and point[0] >= 0 for point in points):
            return f"a point outside of {start} to {end}, or negative"
        if bucket and not all((low - start) % bucket[1] == 0 and high - low == bucket[1] for _, low, high in points):
            return "a point that is not on a bucket"
        return None

    body = {"connectionDetails": scene.details(), "query": metrics_query(conditions, start, end, bucket)}
    return MirrorRequest(what, "/api/metric", body, check)


def differing(points, expected):
    if len(points) != len(expected):
        return f"{len(points)} points instead of {len(expected)}"
    for point, right in zip(points, expected):
        # Rates are results of divisions.
        if point[1:] != right[1:] or not math.isclose(point[0], right[0], rel_tol=1e-9, abs_tol=1e-9):
            return f"{point} instead of {right}"
    return None


def exactly(expected):
    return lambda response: None if response.status == 200 and response.json() == expected else "not the expected response"
