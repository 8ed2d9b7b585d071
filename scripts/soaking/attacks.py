"""Attacks: small requests that once cost much memory, many threads or a connection."""

import json
import time

from bad import refused
from bounds import KEY, KEY_HEADER, PATIENCE_S
from mirror_request import MirrorConnection, MirrorRequest
from name_server import SILENT_LABEL
from phases import ATTACKED
from query import metrics_query, of
from record import FINE, KEYLESS, MISSING, WRONG
from slow import connected, head_of

SIPPERS = 40
SIP_BYTES = 200
SIP_INTERVAL_S = 0.5
SIPPED_POINTS = 1_000_000
ZEROS = 524_000


def in_attack(phase):
    return phase.name == ATTACKED


def sip(scene, rng, record):
    """Clients that each query a million points from the second Prometheus, and receive them very slowly."""
    start = scene.history.start
    details = scene.details(port=scene.second_port, scrapeInterval=1, timeout_ms=15_000)
    query = metrics_query(of("~", "vector(42)"), start, start + SIPPED_POINTS - 1)
    body = json.dumps({"connectionDetails": details, "query": query}).encode()
    while scene.goes_on(in_attack):
        sippers = [connected(scene, receives=4096) for _ in range(SIPPERS)]
        started = time.monotonic()
        for one in sippers:
            one.sendall(head_of(len(body)) + body)
            one.setblocking(False)
        beginnings = {one: b"" for one in sippers}
        while sippers and in_attack(scene.schedule.now()):
            time.sleep(SIP_INTERVAL_S)
            for one in list(sippers):
                try:
                    some = one.recv(SIP_BYTES)
                except BlockingIOError:
                    continue
                except OSError:
                    some = b""
                beginnings[one] = beginnings[one] or some
                if not some:
                    sippers.remove(one)
        for one, beginning in beginnings.items():
            is_keyed = not beginning or f"{KEY_HEADER}: {KEY}".encode() in beginning
            outcome = FINE if is_keyed else KEYLESS
            record("a million points sipped", started, time.monotonic(), 2 * PATIENCE_S, outcome, repr(beginning))
            one.close()


def zeros(scene, rng, record):
    """Sets of half a million numbers, in a body of almost the maximum length."""
    connection = MirrorConnection(scene.mirror_port, keeps=True)
    of_set = {"key": "k", "value": {"value": "ZEROS"}}
    query = metrics_query([*of("__gauge__", "soak_gauge"), of_set], scene.history.start, scene.history.start + 60_000)
    body = json.dumps({"connectionDetails": scene.details(), "query": query})
    body = body.replace('"ZEROS"', "[" + ",".join("0" * ZEROS) + "]").encode()
    request = MirrorRequest("half a million zeros", "/api/metric", body, refused(500, "RemoteMirrorError"))
    while scene.goes_on(in_attack):
        connection.send(request, record)
        time.sleep(rng.uniform(0, 0.4))


def silent_names(scene, rng, record):
    """New names about which the name server is silent, with a very short timeout."""
    connection = MirrorConnection(scene.mirror_port, keeps=True)
    while scene.goes_on(in_attack):
        host = f"{SILENT_LABEL}-{rng.randrange(1 << 32)}.example"
        body = {"_type": "TestConnectionRequest", "connectionDetails": scene.details(host=host, timeout_ms=1)}
        connection.send(MirrorRequest("a silent name", "/api/connection", body, is_lost), record)
        time.sleep(rng.uniform(0, 0.02))


def is_lost(response):
    return None if response.json()["error"]["_type"] == "MetricStoreConnectionError" else "another error"


READY = b"GET /-/ready HTTP/1.1\r\nHost: soak\r\n"
CHUNKED = b"POST /api/metric HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n"
# Each with the status line of its only response.
HEADS = {
    "a byte above 127": (READY + b"X-User: J\xe4ger\r\n\r\n", b"HTTP/1.1 400"),
    "unrequested HTTP/2": (b"GET / HTTP/2.0\r\n\r\n", b"HTTP/1.1 400"),
    "a head that is too long": (READY + b"a:\r\n" * 20000, b"HTTP/1.1 431"),
    "a trailer that reads as a request": (CHUNKED + b"2\r\n{}\r\n0\r\nGGET /-/ready HTTP/1.1\r\n\r\n", b"HTTP/1.1 400"),
    "a chunked body, and a request behind it": (CHUNKED + b"2\r\n{}\r\n0\r\n\r\n" + READY + b"\r\n", b"HTTP/1.1 400"),
}


def heads(scene, rng, record):
    """Heads that tiny_http would drop, misread, or read without a bound."""
    while scene.goes_on(in_attack):
        what, (request, status) = rng.choice(list(HEADS.items()))
        started = time.monotonic()
        one = connected(scene)
        one.sendall(request)
        one.settimeout(PATIENCE_S)
        record(what, started, time.monotonic(), PATIENCE_S, *judged_rest(rest_of(one), status))
        one.close()
        time.sleep(rng.uniform(0, 0.05))


def rest_of(one):
    """All bytes until the connection is closed, or None if it stays open."""
    received = b""
    try:
        while some := one.recv(65536):
            received += some
    except TimeoutError:
        return None
    except OSError:
        pass
    return received


def judged_rest(received, status):
    if received is None:
        return MISSING, "the connection stays open"
    is_one = received.startswith(status) and b"ok\n" not in received
    return (FINE, "") if is_one else (WRONG, repr(received[:400]))


ATTACKS = [sip, *[zeros] * 3, *[silent_names] * 4, heads]
