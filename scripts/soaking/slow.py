"""Slow clients, and those that vanish."""

import json
import re
import socket
import struct
import time

from bounds import KEY, KEY_HEADER, PATIENCE_S
from good import LARGE_POINTS, raw_gauge
from phases import is_loud
from programs import waited
from query import metrics_query, of
from record import FINE, KEYLESS, MISSING

CLOSING_BOUND_S = 30.0
STALLED_AT_ONCE = 10


def head_of(length, path="/api/metric"):
    return f"POST {path} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n\r\n".encode()


# What a client sends at once, and what it then sends every 200 ms.
STALLS = {
    "nothing": (b"", b""),
    "half a head": (head_of(100)[:30], b""),
    "half a short body": (head_of(100) + b"{", b""),
    "half a long body": (head_of(100_000) + b"{", b""),
    "a body in drops": (head_of(100_000) + b"{", b" "),
}


def stall(what):
    """Begins a request and waits until the mirror closes the connection."""
    sent, drop = STALLS[what]

    def behave(scene, rng, record):
        while scene.goes_on(is_loud):
            stalled = {connected(scene): b"" for _ in range(STALLED_AT_ONCE)}
            started = time.monotonic()
            for one in stalled:
                one.sendall(sent)
                one.setblocking(False)
            while stalled and (now := time.monotonic()) < started + PATIENCE_S:
                time.sleep(0.2)
                for one in list(stalled):
                    is_open, stalled[one] = looked_at(one, stalled[one], drop)
                    # While drops arrive, the mirror cannot close the connection, so its response counts as the end.
                    if not is_open or (drop and stalled[one]):
                        record(what, started, now, CLOSING_BOUND_S, *judged_head(stalled.pop(one)))
                        one.close()
            for one in stalled:
                record(what, started, now, CLOSING_BOUND_S, MISSING, "the connection stays open")
                one.close()

    return behave


def looked_at(stalled, received, drop):
    """Whether a connection is still open, and all bytes received from it."""
    try:
        if drop:
            stalled.send(drop)
        some = stalled.recv(65536)
        return some != b"", received + some
    except BlockingIOError:
        return True, received
    except OSError:
        return False, received


def judged_head(received):
    """A response must carry the key. The mirror may also close an incomplete request without a response."""
    has_key = f"\r\n{KEY_HEADER}: {KEY}\r\n".encode() in received
    return (FINE, "") if has_key or not received else (KEYLESS, repr(received[:200]))


def unread(scene, rng, record):
    """Queries more than a connection buffers, and reads nothing before the mirror must have given up."""
    start, end = scene.history.start, scene.history.start + 2 * LARGE_POINTS
    details = scene.details(scrapeInterval=1, timeout_ms=20_000)
    query = metrics_query(of("~", "vector(42)"), start, end)
    body = json.dumps({"connectionDetails": details, "query": query}).encode()
    while scene.goes_on(is_loud):
        unread_connections = [connected(scene, receives=4096) for _ in range(2)]
        started = time.monotonic()
        for one in unread_connections:
            one.sendall(head_of(len(body)) + body)
        waited(CLOSING_BOUND_S - 10, scene.goes_on)
        for one in unread_connections:
            if scene.goes_on():
                outcome = drained(one)
                record("unread", started, time.monotonic(), CLOSING_BOUND_S, *outcome)
            one.close()


def drained(one):
    """Reads until the connection is closed, or a short response is whole: the mirror keeps the connection after an error."""
    received, length = b"", 0
    one.settimeout(5)
    try:
        while not is_whole(received, length) and (some := one.recv(1 << 20)):
            received = received or some
            length += len(some)
    except TimeoutError:
        return MISSING, "the connection stays open"
    except ConnectionError:
        pass
    return judged_head(received)


def is_whole(begin, length):
    """Whether the response that begins like this has the announced length: then the connection may stay open."""
    head, end, _ = begin.partition(b"\r\n\r\n")
    announced = re.search(rb"\r\nContent-Length: (\d+)", head)
    return bool(end and announced) and length == len(head) + len(end) + int(announced[1])


def vanishing(scene, rng, record):
    body = json.dumps(raw_gauge(scene, rng).body).encode()
    request = head_of(len(body)) + body
    while scene.goes_on(is_loud):
        started = time.monotonic()
        one = connected(scene)
        # Closing resets the connection, even with unsent data.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(request[: rng.choice([0, 30, len(request) - 20, len(request)])])
        time.sleep(rng.choice([0, 0.002, 0.02]))
        one.close()
        record("vanishing", started, time.monotonic(), PATIENCE_S, FINE)
        time.sleep(rng.uniform(0, 0.1))


def connected(scene, receives=None):
    one = socket.socket()
    if receives:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    one.settimeout(PATIENCE_S)
    one.connect(("127.0.0.1", scene.mirror_port))
    return one
