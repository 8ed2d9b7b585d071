"""The slowest responses of the good upstream: how much slower they are while the second upstream is bad.

The load generator, both upstreams and the mirror share the machine, and others may use it, too. Therefore the control, which
queries the good upstream without the mirror, shows how much slower the machine was in a phase than undisturbed. The limit for
the mirror is raised by that factor."""

import math
from dataclasses import dataclass

from phases import ATTACKED, BACK, FAULTS, UNDISTURBED
from record import FINE

# The p99 during a fault may be this multiple of the undisturbed p99.
MAX_TIMES = 1.2
# A p99 of fewer responses is not significant, so it is not judged.
MIN_RESPONSES = 1_000
# How long Prometheus is slower than usual after a restart.
WARMING_S = 3.0


@dataclass(frozen=True)
class Tail:
    """Latencies of a phase in milliseconds, and their number. `times` is the p99 divided by the undisturbed p99, `noise` the same
    for the control."""

    phase: str
    is_calm: bool
    count: int
    p50: float
    p99: float
    longest: float
    times: float
    noise: float

    @property
    def is_judged(self):
        return self.is_calm and self.phase in FAULTS and self.count >= MIN_RESPONSES

    @property
    def is_too_long(self):
        return self.is_judged and self.times > MAX_TIMES * max(1, self.noise)


def tails(schedule, records, outages):
    took = {}
    for record in records:
        ended = record.started + record.took
        is_away = any(gone <= ended and record.started <= back + WARMING_S for gone, back in outages)
        if record.client in ("good", "control") and record.outcome == FINE and not is_away:
            phase = schedule.at(record.started)
            took.setdefault((record.client, phase.is_calm, phase.name), []).append(1000 * record.took)
    return [
        tail(took, phase, is_calm)
        for is_calm in (True, False)
        for phase in (UNDISTURBED, *FAULTS, BACK, ATTACKED)
        if all(took.get((client, is_calm, of)) for client in ("good", "control") for of in (UNDISTURBED, phase))
    ]


def tail(took, phase, is_calm):
    def share(client, name, of):
        ordered = sorted(took[client, is_calm, name])
        return ordered[math.ceil(of * len(ordered)) - 1]

    p99 = {(client, name): share(client, name, 0.99) for client in ("good", "control") for name in (phase, UNDISTURBED)}
    return Tail(
        phase,
        is_calm,
        len(took["good", is_calm, phase]),
        share("good", phase, 0.5),
        p99["good", phase],
        share("good", phase, 1),
        p99["good", phase] / p99["good", UNDISTURBED],
        p99["control", phase] / p99["control", UNDISTURBED],
    )


def faults_of_tails(all_tails):
    return [
        (
            f"slower beside {tail.phase}",
            f"p99 {tail.p99:.1f} ms, {tail.times:.2f} times of undisturbed; the control {tail.noise:.2f} times",
        )
        for tail in all_tails
        if tail.is_too_long
    ]
