"""Prints the results."""

import collections
import math

from judge import ROOM, faults_of_response
from record import FINE, UNREACHABLE
from size import fifths, median

COUNTED = ["good", "bad", "slow", "vanishing", "second", "attack", "control"]
HEAD = [
    [*"minute |".split(), *COUNTED, *"away faulty | p50 p99 max | probes p50 p99 max | RSS threads fds CPU".split()],
    "- | - - - - - - - - - | ms ms ms | - ms ms ms | MiB - - s".split(),
]


def report_minutes(begun, records, absences, before, sizes):
    """The columns of clients count good responses. `away` counts connection errors, `faulty` counts faults."""
    rows = list(HEAD)
    sizes_by_minute = by_minute(sizes, begun, lambda size: size.at)
    for minute, some in sorted(by_minute(records, begun, lambda record: record.started).items()):
        fine = collections.Counter(record.client for record in some if record.outcome == FINE)
        unreachable = sum(record.outcome == UNREACHABLE for record in some)
        faulty = sum(any(True for _ in faults_of_response(record, absences)) for record in some)
        now = sizes_by_minute.get(minute) or sizes[-1:]
        rows.append(
            [minute + 1, "|", *(fine[client] for client in COUNTED), unreachable, faulty]
            + ["|", *latencies(some, "good"), "|", fine["probe"], *latencies(some, "probe"), "|"]
            + [f"{median(now, 'rss_kib') / 1024:.1f}", int(median(now, "threads")), int(median(now, "descriptors"))]
            + [f"{now[-1].cpu_s - before.cpu_s:.1f}"]
        )
        before = now[-1]
    print_table(rows)


def print_table(rows):
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows)]
    for row in rows:
        print("  ".join(str(cell).rjust(width) for cell, width in zip(row, widths)))


def report_tails(all_tails):
    """The responses of the good upstream by phase. `control` is how many times slower the machine was, by its p99."""
    rows = ["rounds|phase|responses|p50 ms|p99 ms|max ms|p99, times undisturbed|control|judged".split("|")]
    for tail in all_tails:
        numbers = [f"{number:.1f}" for number in (tail.p50, tail.p99, tail.longest)]
        judged = "too slow" if tail.is_too_long else "fine" if tail.is_judged else "-"
        times = f"{tail.times:.2f}", f"{tail.noise:.2f}"
        rows.append(["calm" if tail.is_calm else "loud", tail.phase, tail.count, *numbers, *times, judged])
    print()
    print_table(rows)


def report_recoveries(absences):
    print("\nlongest time from the end of a fault to the first right response of the second upstream:")
    print("  " + ", ".join(f"{name} {recovery_s:.1f} s" for name, recovery_s in absences.recoveries.items()))


def report_errors(lines):
    """The errors that the mirror counted, by code."""
    print("\nerrors by code, as the mirror counts them:")
    name = "prometheusmirror_errors_total{"
    counts = [line.removeprefix(name).split() for line in lines if line.startswith(name)]
    print("  " + ", ".join(f"{count} {label}" for label, count in counts if count != "0"))


def by_minute(things, begun, time_of):
    minutes = collections.defaultdict(list)
    for thing in things:
        minutes[int((time_of(thing) - begun) / 60)].append(thing)
    return minutes


def latencies(records, client):
    """The median, the 99th percentile and the maximum latency of good responses, in milliseconds."""
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
    peaks = after.peak_kib / 1024, max(size.threads for size in sizes), max(size.descriptors for size in sizes)
    print("peaks: {:.0f} MiB, {} threads, {} descriptors".format(*peaks))


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
