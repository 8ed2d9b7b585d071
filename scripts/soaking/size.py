"""How large the mirror is, measured in the course of a run."""

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


def fifths(sizes):
    """The second and the last fifth of the run."""
    fifth = max(1, len(sizes) // 5)
    return sizes[fifth : 2 * fifth] or sizes, sizes[-fifth:]


def median(sizes, name):
    return statistics.median(getattr(size, name) for size in sizes)
