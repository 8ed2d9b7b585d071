"""The samples in Prometheus, and the aggregation of their values."""

import math
import time

SHARDS = ["a", "b"]


class History:
    """An hour of samples, one every five seconds, of a gauge and a counter in two shards."""

    INTERVAL_MS = 5_000
    COUNT = 720
    PER_SECOND = 3.0

    def __init__(self):
        self.start = (int(time.time()) // 3600 - 3) * 3_600_000

    def gauge(self, shard, n):
        # The values vary, and differ between the shards.
        return float((37 * n + 11 * SHARDS.index(shard)) % 101)

    def counter(self, n):
        return self.PER_SECOND * n * self.INTERVAL_MS / 1000

    def newest(self, at):
        return (at - self.start) // self.INTERVAL_MS

    def between(self, start, end):
        """The indices and times of the samples in a range, which includes both ends."""
        first = max(0, -(-(start - self.start) // self.INTERVAL_MS))
        last = min(self.COUNT - 1, (end - self.start) // self.INTERVAL_MS)
        return [(n, self.start + n * self.INTERVAL_MS) for n in range(first, last + 1)]

    def some_range(self, rng, lead_ms=600_000):
        """A random range of up to half an hour that begins at least `lead_ms` after the first sample and ends before the last."""
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


def quantile(share, values):
    """Interpolates between the two nearest ranks, as Prometheus does."""
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
