"""When an upstream may be unreachable, so that connection errors are right."""

from phases import ATTACKED, BACK, FAULTS
from record import FINE


class Absences:
    """The outages of Prometheus, and the times from each fault of the second upstream until its first right response after it."""

    def __init__(self, schedule, records, outages):
        self.outages = outages
        self.bad_times = []
        # The longest time from the end of each fault until the first right response, in seconds; infinite if there was none.
        self.recoveries = {}
        ends = sorted(ended(record) for record in records if record.client == "second" and record.outcome == FINE)
        for phase, following in zip(schedule.phases, [*schedule.phases[1:], None]):
            if phase.name not in (*FAULTS, ATTACKED):
                continue
            until = phase.end
            if following and following.name == BACK:
                until = next((end for end in ends if following.start <= end <= following.end), following.end)
                recovery = until - phase.end if until < following.end else float("inf")
                self.recoveries[phase.name] = max(recovery, self.recoveries.get(phase.name, 0))
            self.bad_times.append((phase.start, until))

    def excuse(self, record):
        times = self.bad_times if record.client == "second" else self.outages
        return any(gone <= ended(record) and record.started <= back for gone, back in times)


def ended(record):
    return record.started + record.took
