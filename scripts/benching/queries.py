"""The queries: as requests to Prometheus, as requests of StackState to the mirror, and with the expected points."""

import json
import math
import urllib.parse
import urllib.request
from dataclasses import dataclass

from samples import DAY_MS, HOUR_MS, mean_rates, percentiles

PATIENCE_S = 60
TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class Query:
    name: str
    # The endpoint of Prometheus, and the form that the mirror sends there.
    endpoint: str
    form: dict
    # The query as StackState sends it.
    mirror_query: dict
    points: list
    # How many of these direct queries the query of the mirror stands for, if PromQL cannot express it.
    times: int = 1

    def to_prometheus(self):
        """The path, content type and body of a request."""
        # The mirror adds these parameters to each query. Prometheus ignores the second.
        form = {**self.form, "timeout": f"{TIMEOUT_MS / 1000:.3f}", "nocache": "1"}
        return f"/api/v1/{self.endpoint}", "application/x-www-form-urlencoded", urllib.parse.urlencode(form)

    def to_mirror(self, prometheus_port):
        return self.to_upstream({"host": "127.0.0.1", "port": prometheus_port})

    def to_upstream(self, upstream):
        """A request of StackState with these Connection Details."""
        details = {**upstream, "requestTimeout": TIMEOUT_MS}
        request = {"connectionDetails": details, "query": self.mirror_query, "_type": "MetricsRequest"}
        return "/api/metric", "application/json", json.dumps(request)

    def check(self, mirror_port, prometheus_port):
        """Exits if the response is wrong: measuring a wrong mirror is pointless."""
        path, content_type, body = self.to_mirror(prometheus_port)
        url = f"http://127.0.0.1:{mirror_port}{path}"
        request = urllib.request.Request(url, body.encode(), {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            found = json.load(response)["telemetry"]["points"]
        same = len(found) == len(self.points) and all(
            one[1:] == other[1:] and math.isclose(one[0], other[0], rel_tol=1e-9)
            for one, other in zip(found, self.points)
        )
        if not same:
            raise SystemExit(f"{self.name}: the response has {len(found)} points, but not the expected ones")


def raw_gauge(name, metric, start, end):
    form = {"query": f'{metric.name}[{end - start + 1}ms]', "time": seconds(end)}
    return Query(name, "query", form, metrics_query("__gauge__", metric, start, end), metric.samples(start, end))


def raw_counter(name, metric, start, end):
    # Five more minutes, for the first rate.
    form = {"query": f'{metric.name}[{end - start + 300_001}ms]', "time": seconds(end)}
    return Query(name, "query", form, metrics_query("__counter__", metric, start, end), metric.rates(start, end))


def buckets_of_gauge(name, metric, start, end, bucket):
    # Prometheus before 3.0 includes the left end of a range.
    form = {"query": f"max_over_time({metric.name}[{bucket - 1}ms])", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__gauge__", metric, start, end)
    query["aggregation"] = {"method": "MAX", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    return Query(name, "query_range", form, query, metric.maxima(start, end, bucket))


def mean_of_counters(name, counters, start, end, bucket):
    form = {"query": f"sum(rate({counters[0].name}[{bucket}ms]))", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__counter__", counters[0], start, end)
    query["aggregation"] = {"method": "MEAN", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    return Query(name, "query_range", form, query, mean_rates(counters, start, end, bucket))


def percentile_of_gauges(name, gauges, start, end, bucket):
    # PromQL has no percentile over several series, so the direct query is for one of them.
    selector = f'{gauges[0].name}{{pod="shop-0"}}'
    form = {"query": f"quantile_over_time(0.95, {selector}[{bucket - 1}ms])", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__gauge__", gauges[0], start, end)
    query["aggregation"] = {"method": "PERCENTILE_95", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    points = percentiles(gauges, 95, start, end, bucket)
    return Query(name, "query_range", form, query, points, times=len(gauges))


def seconds(ms):
    return f"{ms // 1000}.{ms % 1000:03d}"


def metrics_query(key, metric, start, end):
    condition = {"key": key, "value": {"value": metric.name, "_type": "StringValue"}, "_type": "EqualityCondition"}
    return {"conditions": [condition], "startTime": start, "endTime": end, "_type": "MetricsQuery"}


class Queries:
    def __init__(self, history):
        start, end, gauge, counter = history.start, history.end, history.gauge, history.counter
        self.hour = raw_gauge("raw gauge, 1 h", gauge, end - HOUR_MS, end - 1)
        self.long = raw_gauge("raw gauge, 46 h", gauge, end - 46 * HOUR_MS, end - 1)
        self.counter = raw_counter("raw counter, 46 h", counter, end - 46 * HOUR_MS, end - 1)
        self.buckets = buckets_of_gauge("MAX of 1 h over 4 days", gauge, start, end, HOUR_MS)
        self.mean = mean_of_counters(
            f"MEAN of 5 min over 6 h, {len(history.counters)} counters", history.counters, end - 6 * HOUR_MS, end, 300_000
        )
        self.percentile = percentile_of_gauges(
            f"PERCENTILE_95 of 1 h over 1 day, {len(history.gauges)} gauges", history.gauges, end - DAY_MS, end, HOUR_MS
        )
        self.growing = [
            raw_gauge(f"{count:,} points", history.dense, end - count * 1_000, end - 1)
            for count in (1_000, 10_000, 100_000, 1_000_000)
        ]

    def all(self):
        return [self.hour, self.long, self.counter, self.buckets, self.mean, self.percentile, *self.growing]
