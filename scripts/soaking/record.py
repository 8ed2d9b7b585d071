"""What is recorded: of each request, or connection, what came of it."""

from dataclasses import dataclass

FINE = "fine"
UNREACHABLE = "unreachable"
WRONG = "wrong answer"
KEYLESS = "answer without the key"
MISSING = "no answer"


@dataclass(frozen=True)
class Record:
    client: str
    what: str
    started: float
    took: float
    bound: float
    outcome: str
    details: str
