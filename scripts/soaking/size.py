"""Measures memory, threads and descriptors of the mirror during a run."""

import contextlib
import statistics
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    at: float
    rss_kib: int
    peak_kib: int
    threads: int
    descriptors: int
    cpu_s: float


class Measuring:
    """Measures the mirror at an interval, as long as it runs."""

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
        # A dead process has no size.
        with contextlib.suppress(OSError, KeyError):
            while not self.is_over.wait(self.interval_s):
                self.sizes.append(self.mirror.size())


def fifths(sizes):
    """The second and the last fifth of the run."""
    fifth = max(1, len(sizes) // 5)
    return sizes[fifth : 2 * fifth] or sizes, sizes[-fifth:]


def median(sizes, name):
    return statistics.median(getattr(size, name) for size in sizes)
