"""A Prometheus as upstream of the mirror, and its outages."""

import json
import subprocess
import time
import urllib.request

from bounds import PATIENCE_S
from programs import free_port, kill, launched, until_ready

OUTAGE_S = 2.0


class Prometheus:
    """A real Prometheus, which scrapes itself and has the samples of the history."""

    def __init__(self, work, history):
        work.mkdir()
        self.work = work
        self.port = free_port()
        self.history = history
        # The beginning and the end of each outage.
        self.outages = []
        self.process = None

    def start(self):
        samples, config = self.work / "samples", self.work / "prometheus.yml"
        samples.write_text("".join(self.history.openmetrics()))
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: prometheus\n"
            f'    static_configs: [{{targets: ["127.0.0.1:{self.port}"]}}]\n'
        )
        load = ["promtool", "tsdb", "create-blocks-from", "openmetrics", samples, self.work / "data"]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        self.launch()
        deadline = time.monotonic() + 60
        while not self.has_scraped() and time.monotonic() < deadline:
            time.sleep(0.2)

    def stop(self):
        kill(self.process)

    def launch(self):
        command = ["prometheus", f"--config.file={self.work / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={self.work / 'data'}", "--storage.tsdb.retention.time=1y"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        self.process = launched(command, self.work / "prometheus.log")
        until_ready("Prometheus", self.port, self.process, self.work / "prometheus.log")

    def has_scraped(self):
        """Whether there are enough samples for rates."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?query=count_over_time(up[1m])>=10"
        with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
            return json.load(response)["data"]["result"] != []

    def crash_and_return(self):
        gone = time.monotonic()
        kill(self.process)
        time.sleep(OUTAGE_S)
        self.launch()
        self.outages.append((gone, time.monotonic()))
