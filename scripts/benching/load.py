"""Load on a server by wrk, which sends the same request repeatedly on several connections."""

import json
import subprocess
from dataclasses import dataclass

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = %s
wrk.body = %s
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format('\\n{"responses": %%d, "took_us": %%d, "errors": %%d, "p50_us": %%d, "p99_us": %%d}\\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Run:
    responses: int
    errors: int
    per_second: float
    p50_ms: float
    p99_ms: float


def run(work, port, request, clients, seconds):
    path, content_type, body = request
    script = work / "wrk.lua"
    # A string of JSON is also one of Lua, unless it has \\u.
    script.write_text(SCRIPT % (json.dumps(content_type), json.dumps(body)))
    # One thread is enough: on few cores, more would take CPU from the measured programs.
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{seconds}s"]
    command += ["--timeout", "30s", "--script", script, f"http://127.0.0.1:{port}{path}"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(output.splitlines()[-1])
    return Run(
        responses=found["responses"],
        errors=found["errors"],
        per_second=1e6 * found["responses"] / found["took_us"],
        p50_ms=found["p50_us"] / 1000,
        p99_ms=found["p99_us"] / 1000,
    )
