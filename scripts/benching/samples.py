"""The samples in Prometheus, and the expected points."""

import math
import random
import time

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Scrapes rarely fall on a whole second.
OFFSET_MS = 781


class Metric:
    """One series of values that look like those of a busy machine."""

    def __init__(self, name, interval_ms, start, end, increment=None, pod=None):
        self.name = name
        self.pod = pod
        # Targets are scraped at different times.
        self.times = range(start + OFFSET_MS + 37 * (pod or 0), end, interval_ms)
        rng = random.Random(f"{name} {pod}")
        if increment:
            self.values, total = [], 0.0
            for _ in self.times:
                total += rng.uniform(0, increment)
                self.values.append(round(total, 2))
        else:
            wave = (50 + 40 * math.sin(n / 700) + rng.uniform(-9, 9) for n in range(len(self.times)))
            self.values = [round(value, 2) for value in wave]

    def between(self, start, end):
        """The indices of the first and the last sample of a range, which includes both ends."""
        first = -(-(start - self.times.start) // self.times.step)
        last = (end - self.times.start) // self.times.step
        return max(0, first), min(len(self.times) - 1, last)

    def samples(self, start, end):
        first, last = self.between(start, end)
        return [[self.values[n], self.times[n]] for n in range(first, last + 1)]

    def rates(self, start, end):
        first, last = self.between(start, end)
        seconds = self.times.step / 1000
        return [[(self.values[n] - self.values[n - 1]) / seconds, self.times[n]] for n in range(first, last + 1)]

    def maxima(self, start, end, bucket):
        return [
            [max(value for value, _ in self.samples(at, at + bucket - 1)), at, at + bucket]
            for at in range(start, end, bucket)
        ]

    def openmetrics(self, kind):
        if not self.pod:
            yield f"# TYPE {self.name.removesuffix('_total')} {kind}\n"
        pod = "" if self.pod is None else f',pod="shop-{self.pod}"'
        for at, value in zip(self.times, self.values):
            yield f'{self.name}{{instance="10.1.2.3:9100",job="node"{pod}}} {value} {at // 1000}.{at % 1000:03d}\n'


def mean_rates(counters, start, end, bucket):
    """For each bucket, the sum of the mean rates of the counters: increase divided by time, over the intervals in the bucket."""

    def mean(counter, at):
        first, last = counter.between(at, at + bucket - 1)
        seconds = (last - first + 1) * counter.times.step / 1000
        return (counter.values[last] - counter.values[first - 1]) / seconds

    return [[sum(mean(one, at) for one in counters), at, at + bucket] for at in range(start, end, bucket)]


def percentiles(gauges, percent, start, end, bucket):
    """For each bucket, a percentile of the samples of all gauges."""

    def percentile(values):
        rank = percent / 100 * (len(values) - 1)
        lower, weight = int(rank), rank % 1
        upper = min(lower + 1, len(values) - 1)
        return values[lower] * (1 - weight) + values[upper] * weight

    def pooled(at):
        return sorted(value for one in gauges for value, _ in one.samples(at, at + bucket - 1))

    return [[percentile(pooled(at)), at, at + bucket] for at in range(start, end, bucket)]


class History:
    """Four days of a gauge and of a counter, a sample every 15 seconds, a million samples of a dense gauge, a day of 20 gauges,
    and seven hours of 50 counters."""

    def __init__(self):
        self.end = int(time.time() * 1000) // HOUR_MS * HOUR_MS
        self.start = self.end - 4 * DAY_MS
        # The first rate needs a sample before it, and so does a bucket.
        before = self.start - HOUR_MS
        self.gauge = Metric("bench_load", 15_000, before, self.end)
        self.counter = Metric("bench_seconds_total", 15_000, before, self.end, increment=15)
        self.dense = Metric("bench_dense", 1_000, self.end - 1_000_000 * 1_000, self.end)
        self.gauges = [Metric("bench_depth", 15_000, self.end - DAY_MS, self.end, pod=pod) for pod in range(20)]
        hours = self.end - 7 * HOUR_MS
        self.counters = [Metric("bench_jobs_total", 15_000, hours, self.end, increment=9, pod=pod) for pod in range(50)]

    def openmetrics(self):
        yield from self.gauge.openmetrics("gauge")
        yield from self.counter.openmetrics("counter")
        yield from self.dense.openmetrics("gauge")
        for gauge in self.gauges:
            yield from gauge.openmetrics("gauge")
        for counter in self.counters:
            yield from counter.openmetrics("counter")
        yield "# EOF\n"
