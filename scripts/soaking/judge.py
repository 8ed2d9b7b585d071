"""Judges the run. A fault is a kind and an example."""

from bounds import MAX_DESCRIPTORS, MAX_MEMORY_KIB, MAX_THREADS, WORKERS
from clients import CLIENTS
from record import FINE, UNREACHABLE
from size import fifths, median

# A size is flat if it has grown by at most a tenth and this amount. The allocator keeps up to 8 MiB in each of its arenas, of
# which there are 2 on two cores: memory grows slowly towards that, for longer than the run.
ROOM = {"rss_kib": 32 * 1024, "threads": 10, "descriptors": 10}
# The mirror may keep two connections to upstreams for each worker.
ROOM_AFTER_REST = {"threads": 10, "descriptors": 10 + 2 * WORKERS}


def faults_of_responses(begun, records, absences):
    faults = [
        (kind, f"{record.started - begun:.1f} s into the run, {example}")
        for record in records
        for kind, example in faults_of_response(record, absences)
    ]
    for client in sorted({client for client, _ in CLIENTS}):
        if not any(record.client == client and record.outcome == FINE for record in records):
            faults.append((f"{client}: nothing went well", "none of its requests did"))
    for name, recovery_s in absences.recoveries.items():
        if recovery_s == float("inf"):
            faults.append(("second: not back", f"no right response after it was {name}"))
    return faults


def faults_of_response(record, absences):
    if record.outcome != FINE and not (record.outcome == UNREACHABLE and absences.excuse(record)):
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
    # The system reports the peak of memory. The other peaks are those of the measurements.
    faults += [
        (f"{name} at its peak", f"{peak}, allowed are {most}")
        for name, peak, most in (
            ("rss_kib", after.peak_kib, MAX_MEMORY_KIB),
            ("threads", max(size.threads for size in sizes), MAX_THREADS),
            ("descriptors", max(size.descriptors for size in sizes), MAX_DESCRIPTORS),
        )
        if peak > most
    ]
    faults += [
        (f"{name} left", f"{getattr(before, name)} before the run, {getattr(after, name)} after a rest")
        for name, room in ROOM_AFTER_REST.items()
        if getattr(after, name) > 1.1 * getattr(before, name) + room
    ]
    return faults


def faults_of_process(mirror):
    """Ends the mirror by SIGTERM, and returns its faults."""
    if not mirror.is_alive():
        return [("the mirror died", f"exit code {mirror.process.returncode}\n{mirror.end_of_log()}")]
    faults = []
    for name in ("prometheusmirror_panics_total", "prometheusmirror_accept_failures_total"):
        total = mirror.metric(name)
        if total != "0":
            faults.append((name, f"{total}; the first warning of the log:\n{mirror.first_warning()}"))
    exit_code = mirror.terminate()
    if exit_code != 0:
        faults.append(("exit code after SIGTERM", f"{exit_code}\n{mirror.end_of_log()}"))
    return faults
