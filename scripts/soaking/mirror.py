"""The mirror under test, with its metrics, its log, and measurements by the system."""

import contextlib
import http.client
import os
import pathlib
import subprocess
import time
import urllib.request

from bounds import KEY, PATIENCE_S, WORKERS
from programs import end_of, free_port, kill, launched, until_ready
from size import Size


class Mirror:
    def __init__(self, work, binary, resolv_conf):
        self.log = work / "mirror.log"
        self.binary = binary
        self.resolv_conf = resolv_conf
        self.port = free_port()
        self.process = None

    def start(self):
        # In a separate mount namespace, in which resolv.conf names the name server of the soak.
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", script, self.resolv_conf]
        command += [self.binary, "--listen", "127.0.0.1", "--port", str(self.port), "--workers", str(WORKERS)]
        self.process = launched(command, self.log, API_KEY=KEY)
        until_ready("the mirror", self.port, self.process, self.log)

    def stop(self):
        kill(self.process)

    def is_alive(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        return self.process.returncode

    def size(self):
        """Its memory, threads, descriptors and CPU time, as the system reports them."""
        of_process = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (of_process / "status").read_text().splitlines())
        # The name may contain anything. After it come the state and, ten fields later, the CPU time in ticks.
        ticks = (of_process / "stat").read_text().rpartition(")")[2].split()[11:13]
        return Size(
            at=time.monotonic(),
            rss_kib=int(status["VmRSS"].split()[0]),
            peak_kib=int(status["VmHWM"].split()[0]),
            threads=int(status["Threads"]),
            descriptors=len(os.listdir(of_process / "fd")),
            cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        )

    def metrics(self):
        """The lines of /metrics."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=PATIENCE_S) as response:
                return response.read().decode().splitlines()
        except (OSError, http.client.HTTPException) as error:
            return [repr(error)]

    def metric(self, name):
        lines = self.metrics()
        return next((line.split()[1] for line in lines if line.startswith(f"{name} ")), "not there")

    def first_warning(self):
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            return next((line.rstrip() for line in lines if "level=warn" in line or "level=error" in line), "nothing")

    def end_of_log(self):
        return end_of(self.log)
