"""The work of scripts/bench: python3 -B scripts/benching MIRROR ROUNDS, with nothing but Python's standard library.

What is measured
    rows        The same query is sent *directly* to Prometheus, through *nginx* and through the *mirror*, for two seconds each, in
                turns, ROUNDS times. A ratio is the median of the ratios of the rounds; the spread is the smallest and the largest
                of them. Each row has a goal. Prometheus has no percentile of several series: it gets the query for one series, and
                each response of the mirror counts as many times as the query has series.
    prometheus  The CPU of Prometheus for a direct query and for the mirror, and the bytes of its responses.
    latency     What nginx and the mirror add to the median latency of a single client.
    points      How the duration of a query, and the CPU of the mirror for it, grow with the points.
    credentials The cost of credentials and TLS: the same query to named upstreams, and to an upstream with a given address.
                Upstreams behind nginx are compared with one behind nginx. *Of plain* is the throughput of the mirror with
                credentials, divided by that without; *added CPU* is the additional CPU of the mirror for a response. The row `none`
                is a named upstream without credentials: its distance from 1 and 0 is the noise, and differences of that size in
                other rows mean nothing.
    clients     How throughput and latency change from 1 client to 256.
    size        The peak memory of the mirror after the rows, the size of its binary, and its time from the start to the first
                response.

What is not measured
    All programs share one machine, including wrk, so the mirror takes CPU away from Prometheus. On separate machines, both would be
    faster.
"""

import contextlib
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

from load import run
from programs import stop_when_interrupted
from queries import Queries
from samples import History
from servers import WORKERS, Mirror, Nginx, Prometheus, start_to_response_ms
from tables import printed, spread

RUN_S = 2
STARTS = 11


def main(binary, rounds):
    stop_when_interrupted()
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))

        def started(one):
            # Also stop a program that fails to start completely.
            stack.callback(one.stop)
            one.start()
            return one

        history = History()
        queries = Queries(history)
        prometheus = started(Prometheus(work, history))
        nginx = started(Nginx(work, prometheus))
        bench = Bench(work, prometheus, nginx, started(Mirror(work, binary)), rounds)
        for query in queries.all()[:6]:
            query.check(bench.mirror.port, prometheus.port)
        machine()
        bench.rows(queries)
        bench.latency(queries.hour)
        bench.size(binary, queries.hour)
        bench.mirror = started(Mirror(work, binary, "--upstreams-file", str(upstreams_file(work, prometheus, nginx))))
        bench.credentials(queries.hour)
        # A new mirror, so that the peak memory of the first is only that of the rows. By default, the queue is too small for
        # this number of clients.
        bench.mirror = started(Mirror(work, binary, "--queue-size", "400"))
        bench.clients(queries.hour)
        bench.mirror = started(Mirror(work, binary))
        for query in queries.growing:
            query.check(bench.mirror.port, prometheus.port)
        bench.points(queries.growing)
    return 0


# Credentials of the named upstreams. Prometheus ignores them.
CREDENTIALS = {
    "none": "timeout: 20s",
    "basic": "basic_auth: {username: u, password: p}",
    "bearer": "authorization: {credentials: token}",
    "tenant": "http_headers: {X-Scope-OrgID: {values: [t]}}, query_parameters: {namespace: [n]}",
    "sigv4": "sigv4: {region: eu-west-1, access_key: k, secret_key: s}",
}


def upstreams_file(work, prometheus, nginx):
    """A file with an upstream for each kind of credentials, and two behind nginx."""
    url = f"http://127.0.0.1:{prometheus.port}"
    lines = ["upstreams:"]
    lines += [f"- {{name: {name}, url: '{url}', {keys}}}" for name, keys in CREDENTIALS.items()]
    lines.append(f"- {{name: behind-nginx, url: 'http://127.0.0.1:{nginx.port}'}}")
    lines.append(f"- {{name: tls, url: 'https://127.0.0.1:{nginx.tls_port}', tls_config: {{ca_file: {nginx.certificate}}}}}")
    path = work / "upstreams.yaml"
    path.write_text("\n".join(lines))
    return path


class MeasuredRun:
    """A run, and what each of its responses cost Prometheus."""

    def __init__(self, found, prometheus_cpu_ms, prometheus_bytes):
        self.found = found
        self.prometheus_cpu_ms = prometheus_cpu_ms
        self.prometheus_bytes = prometheus_bytes

    def __getattr__(self, name):
        return getattr(self.found, name)


class Bench:
    def __init__(self, work, prometheus, nginx, mirror, rounds):
        self.work = work
        self.prometheus = prometheus
        self.nginx = nginx
        self.mirror = mirror
        self.rounds = rounds

    def measure(self, server, query, clients, seconds=RUN_S):
        to_mirror = server is self.mirror
        request = query.to_mirror(self.prometheus.port) if to_mirror else query.to_prometheus()
        cpu, sent = self.prometheus.cpu_s(), self.prometheus.sent_bytes()
        found = run(self.work, server.port, request, clients, seconds)
        cpu, sent = self.prometheus.cpu_s() - cpu, self.prometheus.sent_bytes() - sent
        return MeasuredRun(found, 1000 * cpu / found.responses, sent / found.responses)

    def in_turns(self, query, clients):
        """The runs of each server, one in each round. The server that begins changes from round to round."""
        servers = [self.prometheus, self.nginx, self.mirror]
        runs = {server: [] for server in servers}
        for server in servers:
            self.measure(server, query, clients, 1)
        for nth in range(self.rounds):
            for server in servers[nth % 3 :] + servers[: nth % 3]:
                runs[server].append(self.measure(server, query, clients))
        return runs

    def rows(self, queries):
        lines, costs = [], []
        for query, clients, of_direct, of_nginx in (
            (queries.hour, 16, 0.95, 1.15),
            (queries.long, 4, 3.0, 3.5),
            (queries.counter, 4, 2.5, 3.0),
            (queries.buckets, 16, 1.3, 1.3),
            (queries.mean, 16, 1.5, 1.5),
            (queries.percentile, 4, 1.0, ""),
        ):
            cpu, calls = self.mirror.cpu_s(), self.upstream_requests()
            runs = self.in_turns(query, clients)
            direct, nginx, mirror = runs.values()
            calls = self.upstream_requests() - calls
            lines.append(
                [query.name, len(query.points), clients]
                + [f"{statistics.median(one.per_second for one in some):.0f}" for some in runs.values()]
                + [*ratio(mirror, direct, query.times), of_direct, *ratio(nginx, direct)]
                + [*ratio(mirror, nginx, query.times), of_nginx]
                + [f"{1000 * (self.mirror.cpu_s() - cpu) / calls:.3f}"]
                + [sum(one.errors for some in runs.values() for one in some)]
            )
            cpu_ms = [statistics.median(one.prometheus_cpu_ms for one in some) for some in (direct, mirror)]
            sent = [statistics.median(one.prometheus_bytes for one in some) for some in (direct, mirror)]
            costs.append([query.name, *(f"{ms:.3f}" for ms in cpu_ms), f"{cpu_ms[1] / cpu_ms[0] / query.times:.2f}"])
            costs[-1] += [f"{size:.0f}" for size in sent]
        head = "query,points,clients,direct/s,nginx/s,mirror/s,of direct,spread,goal,nginx of direct,spread"
        head += ",of nginx,spread,goal,CPU s/1000,errors"
        printed("Responses per second", split(head), lines)
        head = "query,direct CPU ms,for the mirror,of direct,direct bytes,for the mirror"
        printed("Cost for Prometheus", split(head), costs)

    def latency(self, query):
        runs = self.in_turns(query, 1)
        direct, *others = runs.values()
        p50 = [statistics.median(one.p50_ms for one in some) for some in runs.values()]
        lines = [["direct", f"{p50[0]:.3f}", "", "", ""]]
        for name, some, middle, goal in zip(("nginx", "mirror"), others, p50[1:], ("", "0.10")):
            added = [one.p50_ms - base.p50_ms for one, base in zip(some, direct)]
            lines.append([name, f"{middle:.3f}", f"{statistics.median(added):.3f}", spread(added, 3), goal])
        printed(f"Latency of one client: {query.name}", ["", "p50 ms", "added ms", "spread", "goal"], lines)

    def size(self, binary, query):
        starts = [start_to_response_ms(self.work, binary, query, self.prometheus) for _ in range(STARTS)]
        lines = [
            [f"peak memory with {WORKERS} workers, MiB", f"{self.mirror.peak_mib():.1f}", "", "24"],
            ["start to first response, ms", f"{statistics.median(starts):.1f}", spread(starts, 1), "50"],
            ["binary, MB", f"{pathlib.Path(binary).stat().st_size / 1e6:.2f}", "", "4.5"],
        ]
        calls, accepted = self.upstream_requests(), self.prometheus.accepted()
        self.measure(self.mirror, query, 16, 5)
        calls, accepted = self.upstream_requests() - calls, self.prometheus.accepted() - accepted
        # One of the connections was for the page with this metric.
        reused = f"{calls:.0f} requests on {accepted - 1:.0f} new connections"
        lines.append(["calls to Prometheus for 16 clients", reused, "", ""])
        printed("Size", ["", "", "spread", "under"], lines)

    def credentials(self, query):
        given, behind = {"host": "127.0.0.1", "port": self.prometheus.port}, {"upstream": "behind-nginx"}
        lines = []
        for clients in (1, 16):
            for name, base in (*((name, given) for name in CREDENTIALS), ("tls", behind)):
                runs = []
                for nth in range(self.rounds):
                    pair = [(base, 0), ({"upstream": name}, 1)]
                    found = [None, None]
                    for upstream, place in pair if nth % 2 else pair[::-1]:
                        cpu = self.mirror.cpu_s()
                        one = run(self.work, self.mirror.port, query.to_upstream(upstream), clients, RUN_S)
                        found[place] = one, 1e6 * (self.mirror.cpu_s() - cpu) / one.responses
                    runs.append(found)
                ratios = [one.per_second / plain.per_second for (plain, _), (one, _) in runs]
                added = [cpu - plain for (_, plain), (_, cpu) in runs]
                lines.append([name, clients, f"{statistics.median(ratios):.3f}", spread(ratios, 2)])
                lines[-1] += [f"{statistics.median(added):.1f}", spread(added, 1)]
                lines[-1] += [sum(one.errors for pair in runs for one, _ in pair)]
        head = "upstream,clients,of plain,spread,added CPU us,spread,errors"
        printed(f"Credentials: {query.name}", split(head), lines)

    def clients(self, query):
        lines = []
        for clients in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            line = [clients]
            for server in (self.prometheus, self.nginx, self.mirror):
                one = self.measure(server, query, clients, 3)
                line += [f"{one.per_second:.0f}", f"{one.p50_ms:.2f}", f"{one.p99_ms:.2f}", one.errors]
            lines.append(line)
        columns = [f"{name} {what}" for name in ("direct", "nginx", "mirror") for what in ("/s", "p50", "p99", "errors")]
        printed(f"Clients (latency in ms): {query.name}", ["clients", *columns], lines)

    def points(self, queries):
        lines = []
        for query in queries:
            count = len(query.points)
            seconds = 3 if count < 100_000 else 12
            direct = self.measure(self.prometheus, query, 1, seconds)
            nginx = self.measure(self.nginx, query, 1, seconds)
            cpu = self.mirror.cpu_s()
            mirror = self.measure(self.mirror, query, 1, seconds)
            cpu = (self.mirror.cpu_s() - cpu) / mirror.responses
            errors = [one.errors for one in (direct, nginx, mirror)]
            took = [one.p50_ms for one in (direct, nginx, mirror)]
            lines.append([count, *(f"{one:.2f}" for one in took), f"{took[2] / took[0]:.2f}"])
            lines[-1] += [f"{1e9 * cpu / count:.0f}", f"{self.mirror.peak_mib():.1f}", sum(errors)]
        head = "points,direct p50 ms,nginx p50 ms,mirror p50 ms,of direct,mirror CPU ns/point,peak MiB,errors"
        printed("Points of a response, one client", split(head), lines)

    def upstream_requests(self):
        return self.mirror.metric("prometheusmirror_upstream_requests_total")


def split(head):
    return head.split(",")


def ratio(some, others, times=1):
    ratios = [times * one.per_second / other.per_second for one, other in zip(some, others)]
    return f"{statistics.median(ratios):.3f}", spread(ratios, 2)


def line_of(path, start):
    with open(path, encoding="utf-8") as file:
        return next(line for line in file if line.startswith(start))


def machine():
    cpu = line_of("/proc/cpuinfo", "model name")
    memory = line_of("/proc/meminfo", "MemTotal")
    cores = subprocess.run(["nproc"], check=True, capture_output=True, text=True).stdout.strip()
    prometheus = subprocess.run(["prometheus", "--version"], capture_output=True, text=True)
    version = (prometheus.stdout or prometheus.stderr).split(" (")[0]
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip().removeprefix("nginx version: ")
    print(f"{cores} cores of {cpu.split(': ')[1].strip()}, {int(memory.split()[1]) // 1024} MiB, {platform.system()}")
    print(f"{version}; {nginx}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
