"""Starts programs and processes, waits for them, and ends them."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request


def stop_when_interrupted():
    """Exits on SIGINT, SIGTERM and SIGHUP, so that programs are stopped and temporary files removed."""

    def stop(number, _):
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        sys.exit(128 + number)

    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, stop)


def launched(command, log, **environment):
    """Starts a program that the kernel kills when this one ends."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
        )


def kill(process):
    if process:
        process.kill()
        process.wait()


def end_all(clients):
    for process in clients:
        if process.is_alive():
            process.kill()
            process.join()


def waited(seconds, as_long_as):
    """Waits, and returns whether a condition held until the end."""
    deadline = time.monotonic() + seconds
    while as_long_as():
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, 0.2))
    return False


def until_ready(what, port, process, log):
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
            return
        time.sleep(0.02)
    sys.exit(f"{what} is not ready; its log ends with\n{end_of(log)}")


def end_of(log):
    return "\n".join(log.read_text(errors="replace").splitlines()[-20:])


def free_port():
    """A free port. It is outside of the range that the kernel assigns to connections, so that none takes it later."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
