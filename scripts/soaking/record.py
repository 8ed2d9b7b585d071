"""A record of each request or connection, with its outcome."""

from dataclasses import dataclass

FINE = "fine"
UNREACHABLE = "unreachable"
WRONG = "wrong response"
KEYLESS = "response without the key"
MISSING = "no response"


@dataclass(frozen=True)
class Record:
    client: str
    what: str
    started: float
    took: float
    bound: float
    outcome: str
    details: str
