"""The questions: as they are put to Prometheus, and as StackState puts them to the mirror, with what has to come of them."""

import json
import math
import urllib.parse
import urllib.request
from dataclasses import dataclass

from samples import DAY_MS, HOUR_MS, mean_rates, percentiles

PATIENCE_S = 60
TIMEOUT_MS = 30_000


@dataclass(frozen=True)
class Question:
    name: str
    # Where Prometheus is asked, and the form that the mirror sends there.
    endpoint: str
    form: dict
    # The query of StackState.
    query: dict
    points: list
    # By how much more the mirror answers than Prometheus is asked for, where Prometheus has no such answer.
    times: int = 1

    def to_prometheus(self):
        """Path, type and body of a request."""
        # What the mirror adds to each question; Prometheus ignores the second.
        form = {**self.form, "timeout": f"{TIMEOUT_MS / 1000:.3f}", "nocache": "1"}
        return f"/api/v1/{self.endpoint}", "application/x-www-form-urlencoded", urllib.parse.urlencode(form)

    def to_mirror(self, prometheus_port):
        return self.to_upstream({"host": "127.0.0.1", "port": prometheus_port})

    def to_upstream(self, upstream):
        """The same of an upstream that is named, or whose address is given."""
        details = {**upstream, "requestTimeout": TIMEOUT_MS}
        request = {"connectionDetails": details, "query": self.query, "_type": "MetricsRequest"}
        return "/api/metric", "application/json", json.dumps(request)

    def check(self, mirror_port, prometheus_port):
        """A mirror that is wrong is not worth a measurement."""
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
            raise SystemExit(f"{self.name}: the answer of {len(found)} points is not the right one")


def raw_gauge(name, metric, start, end):
    form = {"query": f'{metric.name}[{end - start + 1}ms]', "time": seconds(end)}
    return Question(name, "query", form, metrics_query("__gauge__", metric, start, end), metric.samples(start, end))


def raw_counter(name, metric, start, end):
    # Five minutes more, for the first rate.
    form = {"query": f'{metric.name}[{end - start + 300_001}ms]', "time": seconds(end)}
    return Question(name, "query", form, metrics_query("__counter__", metric, start, end), metric.rates(start, end))


def buckets_of_gauge(name, metric, start, end, bucket):
    # Prometheus before 3.0 includes the left end of a range.
    form = {"query": f"max_over_time({metric.name}[{bucket - 1}ms])", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__gauge__", metric, start, end)
    query["aggregation"] = {"method": "MAX", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    return Question(name, "query_range", form, query, metric.maxima(start, end, bucket))


def mean_of_counters(name, counters, start, end, bucket):
    form = {"query": f"sum(rate({counters[0].name}[{bucket}ms]))", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__counter__", counters[0], start, end)
    query["aggregation"] = {"method": "MEAN", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    return Question(name, "query_range", form, query, mean_rates(counters, start, end, bucket))


def percentile_of_gauges(name, gauges, start, end, bucket):
    # PromQL has no percentile over several series: it is asked for that of one of them.
    selector = f'{gauges[0].name}{{pod="shop-0"}}'
    form = {"query": f"quantile_over_time(0.95, {selector}[{bucket - 1}ms])", "step": seconds(bucket)}
    form |= {"start": seconds(start + bucket - 1), "end": seconds(end - 1)}
    query = metrics_query("__gauge__", gauges[0], start, end)
    query["aggregation"] = {"method": "PERCENTILE_95", "bucketSizeMillis": bucket, "_type": "Aggregation"}
    points = percentiles(gauges, 95, start, end, bucket)
    return Question(name, "query_range", form, query, points, times=len(gauges))


def seconds(ms):
    return f"{ms // 1000}.{ms % 1000:03d}"


def metrics_query(key, metric, start, end):
    condition = {"key": key, "value": {"value": metric.name, "_type": "StringValue"}, "_type": "EqualityCondition"}
    return {"conditions": [condition], "startTime": start, "endTime": end, "_type": "MetricsQuery"}


class Questions:
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
