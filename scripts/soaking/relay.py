"""The second upstream: a relay to a Prometheus, which in some phases is silent, slow, resetting or a black hole."""

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import struct
import threading
import time

from phases import ATTACKED, BLACK_HOLE, RESETTING, SILENT, SLOW
from programs import end_all

BACKLOG = 4096
DRIP_INTERVAL_S = 0.25
STEP_S = 0.05


class Relay:
    def __init__(self, schedule, target_port):
        self.schedule = schedule
        self.target_port = target_port
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.processes = []

    def start(self):
        self.listening.listen(BACKLOG)
        context = multiprocessing.get_context("fork")
        self.processes = [context.Process(target=self.relay, daemon=True)]
        self.processes[0].start()

    def stop(self):
        end_all(self.processes)
        self.listening.close()

    def relay(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        parent = os.getppid()
        self.listening.settimeout(STEP_S)
        while os.getppid() == parent:
            if self.behaviour() == BLACK_HOLE:
                self.drop_connections()
            with contextlib.suppress(TimeoutError):
                connection, _ = self.listening.accept()
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def behaviour(self):
        name = self.schedule.now().name
        return SILENT if name == ATTACKED else name

    def drop_connections(self):
        """Fills the queue of the socket until this phase ends, so that the system drops packets to it."""
        self.listening.listen(0)
        filling = [socket.socket() for _ in range(2)]
        for one in filling:
            one.setblocking(False)
            one.connect_ex(self.listening.getsockname())
        while self.behaviour() == BLACK_HOLE:
            time.sleep(STEP_S)
        for one in filling:
            one.close()
        self.listening.listen(BACKLOG)

    def serve(self, connection):
        """Forwards bytes in both directions, or misbehaves as the phase requires."""
        with connection, contextlib.suppress(OSError), socket.socket() as target:
            target.connect(("127.0.0.1", self.target_port))
            other = {connection: target, target: connection}
            while True:
                behaviour = self.behaviour()
                if behaviour in (SILENT, BLACK_HOLE):
                    time.sleep(STEP_S)
                    continue
                ready, _, _ = select.select([connection, target], [], [], STEP_S)
                for one in ready:
                    if behaviour == RESETTING:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    drips = behaviour == SLOW and one is target
                    some = one.recv(1 if drips else 65536)
                    if not some:
                        return
                    other[one].sendall(some)
                    if drips:
                        time.sleep(DRIP_INTERVAL_S)
