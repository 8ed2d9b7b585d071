"""The phases of a run: how the second upstream behaves, and which clients run. They depend only on the time."""

import time
from dataclasses import dataclass

UNDISTURBED = "undisturbed"
SILENT = "silent"
SLOW = "slow"
RESETTING = "resetting"
BLACK_HOLE = "black hole"
BACK = "back"
ATTACKED = "attacked"
RECOVERING = "recovering"
FAULTS = [SILENT, SLOW, RESETTING, BLACK_HOLE]

# Each with its share of a round's time.
ROUND = [
    *[part for fault in FAULTS for part in ((UNDISTURBED, 3), (fault, 4), (BACK, 3))],
    (ATTACKED, 4),
    (RECOVERING, 4),
]
ROUND_SHARES = sum(share for _, share in ROUND)

# Each of the five rounds has all phases. Bad, slow and vanishing clients do not run in calm rounds, nor while the mirror recovers
# from the attacks at the end of each round. The second and the last round, whose sizes are compared, are not calm.
ROUNDS = 5
CALM_ROUNDS = {0, 2}


@dataclass(frozen=True)
class Phase:
    name: str
    start: float
    end: float
    is_calm: bool


def is_loud(phase):
    return not phase.is_calm


class Schedule:
    def __init__(self, begun, minutes):
        unit = 60 * minutes / (ROUNDS * ROUND_SHARES)
        self.phases = []
        start = begun
        for number in range(ROUNDS):
            for name, share in ROUND:
                end = start + share * unit
                self.phases.append(Phase(name, start, end, number in CALM_ROUNDS or name == RECOVERING))
                start = end
        self.end = start

    def at(self, time_s):
        """The phase at a time. Before the run it is the first one, after the run the last."""
        return next((phase for phase in self.phases if time_s < phase.end), self.phases[-1])

    def now(self):
        return self.at(time.monotonic())
