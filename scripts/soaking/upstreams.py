"""Upstreams that are absent, silent or endless."""

import contextlib
import multiprocessing
import os
import signal
import socket
import threading

from bounds import PATIENCE_S
from programs import end_all


class BadUpstreams:
    """Misbehaving upstreams, each at a port of this machine."""

    def __init__(self):
        self.sockets = [socket.socket() for _ in range(5)]
        for one in self.sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in self.sockets]
        self.absent, self.silent, self.full, self.endless_body, self.endless_garbage = ports
        self.processes = []

    def start(self):
        _, silent, full, body, garbage = self.sockets
        # The system completes connections while the queue has room, but no program accepts them.
        silent.listen(4096)
        full.listen(0)
        with contextlib.suppress(OSError):
            for _ in range(2):
                filling = socket.socket()
                self.sockets.append(filling)
                filling.setblocking(False)
                filling.connect_ex(full.getsockname())
        context = multiprocessing.get_context("fork")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
        begins = [(body, head + b'{"status":"success","data":"'), (garbage, b"")]
        self.processes = [context.Process(target=respond_endlessly, args=args, daemon=True) for args in begins]
        for process in self.processes:
            process.start()

    def stop(self):
        end_all(self.processes)
        for one in self.sockets:
            one.close()


def respond_endlessly(listening, beginning):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def respond(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(beginning)
            while True:
                connection.sendall(b"x" * 65536)

    listening.listen()
    listening.settimeout(1)
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            connection, _ = listening.accept()
            connection.settimeout(PATIENCE_S)
            threading.Thread(target=respond, args=(connection,), daemon=True).start()
