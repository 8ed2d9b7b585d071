"""Asking: a question, the way to the mirror, and whether the answer is right."""

import contextlib
import http.client
import json
import time
from dataclasses import dataclass

from bounds import KEY, KEY_HEADER, PATIENCE_S, REQUEST_TIMEOUT_MS, SLACK_S
from record import FINE, KEYLESS, MISSING, UNREACHABLE, WRONG

# So long a client counts on an idle connection; the mirror keeps it for 75 s.
KEPT_S = 60


@dataclass(frozen=True)
class Question:
    """What is asked, and what of the answer shows that it is right: `check` gives what is wrong with it, or nothing."""

    what: str
    path: str
    body: object
    check: object
    bound: float = REQUEST_TIMEOUT_MS / 1000 + SLACK_S
    verb: str = "POST"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: object
    text: bytes

    def json(self):
        return json.loads(self.text)


class Line:
    """The way to the mirror, by one connection for all requests or by one for each."""

    def __init__(self, port, keeps):
        self.keeps = keeps
        self.used = time.monotonic()
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def ask(self, question, record):
        body = question.body
        if isinstance(body, dict):
            body = json.dumps(body)
        headers = {} if self.keeps else {"Connection": "close"}
        started = time.monotonic()
        if started > self.used + KEPT_S:
            self.connection.close()
        try:
            # What is refused early is answered, and perhaps closed, before all of it is sent.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.connection.request(question.verb, question.path, body, headers)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            record(question.what, started, time.monotonic(), question.bound, MISSING, repr(error))
            self.connection.close()
            return
        self.used = time.monotonic()
        record(question.what, started, self.used, question.bound, *judged(answer, question.check))
        # What was too large has not been read to its end.
        if not self.keeps or answer.status == 413:
            self.connection.close()


def judged(answer, check):
    if answer.headers[KEY_HEADER] != KEY:
        return KEYLESS, shown(answer)
    try:
        wrong = check(answer)
    except (ValueError, LookupError, TypeError) as error:
        wrong = repr(error)
    if not wrong:
        return FINE, ""
    is_unreachable = answer.status in (200, 500) and b'"_type":"MetricStoreConnectionError"' in answer.text
    return UNREACHABLE if is_unreachable else WRONG, f"{wrong}: {shown(answer)}"


def shown(answer):
    return f"{answer.status} {answer.text[:200].decode('utf-8', 'replace')}"
