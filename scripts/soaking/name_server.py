"""A name server that is silent about some names, and responds to all others that they do not exist (RFC 1035)."""

import multiprocessing
import os
import random
import signal
import socket

from programs import end_all

SILENT_LABEL = "silent"
NAME_ERROR = b"\x81\x83"
HEADER_BYTES = 12


class NameServer:
    """It listens at a separate address, since `resolv.conf` does not support ports other than 53."""

    def __init__(self, work):
        self.resolv_conf = work / "resolv.conf"
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.processes = []

    def start(self):
        address = "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))
        self.socket.bind((address, 53))
        self.resolv_conf.write_text(f"nameserver {address}\n")
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=self.respond, daemon=True)]
        self.processes[0].start()

    def stop(self):
        end_all(self.processes)
        self.socket.close()

    def respond(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        parent = os.getppid()
        self.socket.settimeout(1)
        while os.getppid() == parent:
            try:
                query, client = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            if SILENT_LABEL.encode() in query.lower():
                continue
            # The question section and all that follows it, such as EDNS, but no records.
            self.socket.sendto(query[:2] + NAME_ERROR + query[4:], client)
