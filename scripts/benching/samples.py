"""The samples that Prometheus holds, and what the answers have to be."""

import math
import random
import time

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Scrapes hardly ever fall on a whole second.
OFFSET_MS = 781


class Metric:
    """One series of values that look like those of a busy machine."""

    def __init__(self, name, interval_ms, start, end, increment=None):
        self.name = name
        self.times = range(start + OFFSET_MS, end, interval_ms)
        rng = random.Random(name)
        if increment:
            self.values, total = [], 0.0
            for _ in self.times:
                total += rng.uniform(0, increment)
                self.values.append(round(total, 2))
        else:
            wave = (50 + 40 * math.sin(n / 700) + rng.uniform(-9, 9) for n in range(len(self.times)))
            self.values = [round(value, 2) for value in wave]

    def between(self, start, end):
        """The number of the first and of the last sample of a range, both of its ends included."""
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
        yield f"# TYPE {self.name.removesuffix('_total')} {kind}\n"
        for at, value in zip(self.times, self.values):
            yield f'{self.name}{{instance="10.1.2.3:9100",job="node"}} {value} {at // 1000}.{at % 1000:03d}\n'


class History:
    """Four days of a gauge and of a counter, a sample every 15 seconds, and a million samples of a dense gauge."""

    def __init__(self):
        self.end = int(time.time() * 1000) // HOUR_MS * HOUR_MS
        self.start = self.end - 4 * DAY_MS
        # The first rate needs a sample before it, and so does a bucket.
        before = self.start - HOUR_MS
        self.gauge = Metric("bench_load", 15_000, before, self.end)
        self.counter = Metric("bench_seconds_total", 15_000, before, self.end, increment=15)
        self.dense = Metric("bench_dense", 1_000, self.end - 1_000_000 * 1_000, self.end)

    def openmetrics(self):
        yield from self.gauge.openmetrics("gauge")
        yield from self.counter.openmetrics("counter")
        yield from self.dense.openmetrics("gauge")
        yield "# EOF\n"
