"""What clients need to know: ports, samples, and the schedule."""

import os
import pathlib
import time
from dataclasses import dataclass

from bounds import REQUEST_TIMEOUT_MS, SLACK_S
from history import History
from phases import Schedule
from upstreams import BadUpstreams


@dataclass(frozen=True)
class Scene:
    """What clients need to know. Requests query `prometheus_port` with the timeout `timeout_ms`."""

    work: pathlib.Path
    parent: int
    schedule: Schedule
    mirror_port: int
    prometheus_port: int
    second_port: int
    relay_port: int
    history: History
    upstreams: BadUpstreams
    timeout_ms: int = REQUEST_TIMEOUT_MS

    def goes_on(self, in_phase=lambda phase: True):
        """Waits for a phase of this kind. Returns whether one came before the end of the run."""
        while time.monotonic() < self.schedule.end and os.getppid() == self.parent:
            if in_phase(self.schedule.now()):
                return True
            time.sleep(0.1)
        return False

    @property
    def bound(self):
        """How long a response may take, in seconds."""
        return self.timeout_ms / 1000 + SLACK_S

    def details(self, port=None, host="127.0.0.1", timeout_ms=None, **more):
        timeout_ms = timeout_ms or self.timeout_ms
        return {"host": host, "port": port or self.prometheus_port, "requestTimeout": timeout_ms, **more}
