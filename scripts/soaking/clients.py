"""All clients, each in a process of its own."""

import json
import multiprocessing
import random
import signal
import time
from dataclasses import astuple

from attacks import ATTACKS
from bad import NO_METRICS, NO_REQUESTS, NO_UPSTREAMS, bad
from bounds import SLACK_S
from control import control
from good import good
from probe import probe
from programs import end_all
from record import MISSING, Record
from second import TIMEOUTS_MS, second
from slow import STALLS, stall, unread, vanishing

SEED = 3

# All clients: the name under which each is judged, and what it does.
CLIENTS = [
    *[("good", good(keeps=True))] * 4,
    *[("good", good(keeps=False))] * 2,
    ("bad", bad(NO_REQUESTS, 0.1)),
    ("bad", bad(NO_METRICS, 0.1)),
    ("bad", bad(NO_UPSTREAMS, 0.2)),
    ("bad", bad(["never responds", "never connects"], 0.5)),
    ("bad", bad(["endless body"], 1.0)),
    *[("slow", stall(what)) for what in STALLS],
    ("slow", unread),
    ("vanishing", vanishing),
    ("probe", probe),
    *[("second", second)] * 30,
    *[("attack", attack) for attack in ATTACKS],
    *[("control", control)] * 2,
]


class Clients:
    """A process for each client, which writes its records into a separate file."""

    def __init__(self, scene):
        self.scene = scene
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=self.run, args=(number,)) for number in range(len(CLIENTS))]

    def start(self):
        for process in self.processes:
            process.start()

    def stop(self):
        end_all(self.processes)

    def run(self, number):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        client, behave = CLIENTS[number]
        with open(self.scene.work / f"{number}.records", "w", encoding="utf-8") as file:

            def record(what, started, ended, bound, outcome, details=""):
                one = Record(client, what, started, ended - started, bound, outcome, details[:500])
                # Flush each line, since the process may be killed at any time.
                file.write(json.dumps(astuple(one)) + "\n")
                file.flush()

            behave(self.scene, random.Random(f"{SEED} {number}"), record)

    def finish(self):
        """Waits until all clients end, kills those that are stuck, and returns all records."""
        deadline = time.monotonic() + max(TIMEOUTS_MS) / 1000 + 2 * SLACK_S
        for process in self.processes:
            process.join(max(0, deadline - time.monotonic()))
        exit_codes = [process.exitcode for process in self.processes]
        self.stop()
        records = []
        for number, (client, _) in enumerate(CLIENTS):
            lines = (self.scene.work / f"{number}.records").read_text(encoding="utf-8").splitlines()
            records += [Record(*json.loads(line)) for line in lines]
            # Only slow clients may be stuck.
            if exit_codes[number] != 0 and not (exit_codes[number] is None and client == "slow"):
                why = "it failed, as it has printed" if exit_codes[number] else "it was still waiting at the end"
                records.append(Record(client, "the client itself", self.scene.schedule.end, 0, 0, MISSING, why))
        return records
