"""Sends a request to the mirror, and judges the response."""

import contextlib
import http.client
import json
import time
from dataclasses import dataclass

from bounds import KEY, KEY_HEADER, PATIENCE_S, REQUEST_TIMEOUT_MS, SLACK_S
from record import FINE, KEYLESS, MISSING, UNREACHABLE, WRONG

# How long a client keeps an idle connection. The mirror keeps it for 75 s.
KEPT_S = 60


@dataclass(frozen=True)
class MirrorRequest:
    """A request. `check` says what is wrong with a response, or returns None."""

    what: str
    path: str
    body: object
    check: object
    bound: float = REQUEST_TIMEOUT_MS / 1000 + SLACK_S
    verb: str = "POST"


@dataclass(frozen=True)
class MirrorResponse:
    status: int
    headers: object
    text: bytes

    def json(self):
        return json.loads(self.text)


class MirrorConnection:
    """Sends requests to the mirror, on one connection or each on a new one."""

    def __init__(self, port, keeps):
        self.keeps = keeps
        self.used = time.monotonic()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def send(self, request, record):
        body = request.body
        if isinstance(body, dict):
            body = json.dumps(body)
        headers = {} if self.keeps else {"Connection": "close"}
        started = time.monotonic()
        if started > self.used + KEPT_S:
            self.connection.close()
        try:
            # The mirror may refuse a request, and close the connection, before the whole request is sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.connection.request(request.verb, request.path, body, headers)
            received = self.connection.getresponse()
            response = MirrorResponse(received.status, received.headers, received.read())
        except (OSError, http.client.HTTPException) as error:
            record(request.what, started, time.monotonic(), request.bound, MISSING, repr(error))
            self.connection.close()
            return
        self.used = time.monotonic()
        record(request.what, started, self.used, request.bound, *judged(response, request.check))
        # The mirror has not read the rest of a body that was too large.
        if not self.keeps or response.status == 413:
            self.connection.close()


def judged(response, check):
    if response.headers[KEY_HEADER] != KEY:
        return KEYLESS, shown(response)
    try:
        wrong = check(response)
    except (ValueError, LookupError, TypeError) as error:
        wrong = repr(error)
    if not wrong:
        return FINE, ""
    is_unreachable = response.status in (200, 500) and b'"_type":"MetricStoreConnectionError"' in response.text
    return UNREACHABLE if is_unreachable else WRONG, f"{wrong}: {shown(response)}"


def shown(response):
    return f"{response.status} {response.text[:200].decode('utf-8', 'replace')}"
