"""What clients find: where to ask, what is known of it, and until when."""

import os
import pathlib
import time
from dataclasses import dataclass

from bounds import REQUEST_TIMEOUT_MS
from history import History
from upstreams import BadUpstreams


@dataclass(frozen=True)
class Scene:
    """What clients have to know."""

    work: pathlib.Path
    parent: int
    end: float
    mirror_port: int
    prometheus_port: int
    history: History
    upstreams: BadUpstreams

    def goes_on(self):
        return time.monotonic() < self.end and os.getppid() == self.parent

    def details(self, port=None, host="127.0.0.1", timeout_ms=REQUEST_TIMEOUT_MS, **more):
        return {"host": host, "port": port or self.prometheus_port, "requestTimeout": timeout_ms, **more}
