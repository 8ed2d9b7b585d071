"""The measured servers: Prometheus, nginx as a plain proxy before it, and the mirror."""

import http.client
import os
import pathlib
import signal
import subprocess
import time
import urllib.request

from programs import end_of, free_port, kill, launched, until_ready

WORKERS = 20


class Server:
    """A program that listens, and the measurements of its processes."""

    def __init__(self, work, name):
        self.name = name
        self.log = work / f"{name}.log"
        self.port = free_port()
        self.process = None

    def launch(self, command, **environment):
        self.process = launched(command, self.log, **environment)
        until_ready(self.name, self.port, self.process, self.log)

    def stop(self):
        kill(self.process)

    def processes(self):
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [str(pid), *children]

    def cpu_s(self):
        """The CPU time of its processes, on all cores."""
        ticks = 0
        for pid in self.processes():
            # The name may contain anything. After it come the state and, ten fields later, the CPU time in ticks.
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, stat[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


class Prometheus(Server):
    def __init__(self, work, history):
        super().__init__(work, "prometheus")
        self.work = work
        self.history = history

    def start(self):
        samples, config, data = self.work / "samples", self.work / "prometheus.yml", self.work / "data"
        with open(samples, "w", encoding="ascii") as file:
            file.writelines(self.history.openmetrics())
        # Scrapes would disturb the measurement.
        config.write_text("scrape_configs: []\n")
        load = ["promtool", "tsdb", "create-blocks-from", "openmetrics", samples, data]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        samples.unlink()
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
        command += ["--storage.tsdb.retention.time=1y", "--log.level=warn"]
        self.launch([*command, f"--web.listen-address=127.0.0.1:{self.port}"])

    def page(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            return page.read().decode().splitlines()

    def accepted(self):
        """How many connections it has accepted."""
        name = 'net_conntrack_listener_conn_accepted_total{listener_name="http"} '
        return next(float(line.removeprefix(name)) for line in self.page() if line.startswith(name))

    def sent_bytes(self):
        """The bytes of all its responses, except those of /metrics."""
        name = "prometheus_http_response_size_bytes_sum{"
        sizes = (line for line in self.page() if line.startswith(name) and 'handler="/metrics"' not in line)
        return sum(float(line.rsplit(" ", 1)[1]) for line in sizes)


class Nginx(Server):
    """Configured for speed: kept connections on both sides, buffers for whole responses, no access log."""

    def __init__(self, work, prometheus):
        super().__init__(work, "nginx")
        self.work = work
        self.prometheus = prometheus
        self.tls_port = free_port()
        self.certificate = work / "certificate.pem"

    def start(self):
        key = self.work / "key.pem"
        issue = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
        issue += ["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
        subprocess.run([*issue, "-keyout", key, "-out", self.certificate], check=True, stderr=subprocess.DEVNULL)
        config = self.work / "nginx.conf"
        config.write_text(
            f"""
            daemon off;
            worker_processes auto;
            pid {self.work}/nginx.pid;
            error_log stderr warn;
            events {{ worker_connections 2048; }}
            http {{
                access_log off;
                tcp_nodelay on;
                keepalive_requests 100000000;
                client_body_temp_path {self.work}/nginx-body;
                proxy_temp_path {self.work}/nginx-proxy;
                fastcgi_temp_path {self.work}/nginx-fastcgi;
                uwsgi_temp_path {self.work}/nginx-uwsgi;
                scgi_temp_path {self.work}/nginx-scgi;
                upstream prometheus {{
                    server 127.0.0.1:{self.prometheus.port};
                    keepalive 256;
                    keepalive_requests 100000000;
                }}
                server {{
                    listen 127.0.0.1:{self.port};
                    listen 127.0.0.1:{self.tls_port} ssl;
                    ssl_certificate {self.certificate};
                    ssl_certificate_key {key};
                    location / {{
                        proxy_pass http://prometheus;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                        proxy_buffer_size 16k;
                        proxy_buffers 16 64k;
                        proxy_busy_buffers_size 256k;
                        proxy_max_temp_file_size 0;
                    }}
                }}
            }}
            """
        )
        self.launch(["nginx", "-e", "stderr", "-c", config])

    def stop(self):
        # Not killed, since the first process must end the others.
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)


class Mirror(Server):
    def __init__(self, work, binary, *flags):
        super().__init__(work, "mirror")
        self.binary = binary
        self.flags = flags

    def command(self):
        address = ["--listen", "127.0.0.1", "--port", str(self.port)]
        return [self.binary, *address, "--workers", str(WORKERS), *self.flags]

    def start(self):
        self.launch(self.command(), API_KEY="bench")

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024

    def metric(self, name):
        """The sum of all series of a counter or gauge."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


def start_to_response_ms(work, binary, query, prometheus):
    """The time from the start of a mirror to its first response to a query, in milliseconds."""
    mirror = Mirror(work, binary)
    path, content_type, body = query.to_mirror(prometheus.port)
    began = time.monotonic()
    mirror.process = launched(mirror.command(), mirror.log, API_KEY="bench")
    try:
        while mirror.process.poll() is None and time.monotonic() < began + 10:
            connection = http.client.HTTPConnection("127.0.0.1", mirror.port, timeout=10)
            try:
                connection.request("POST", path, body, {"Content-Type": content_type})
                response = connection.getresponse()
                response.read()
            except ConnectionRefusedError:
                time.sleep(0.0005)
                continue
            finally:
                connection.close()
            if response.status == 200:
                return 1000 * (time.monotonic() - began)
            break
    finally:
        mirror.stop()
    raise SystemExit(f"the mirror does not answer; its log ends with\n{end_of(mirror.log)}")
