# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Posts through one gateway thread of HTTP, and nginx, which answers 202 and does nothing, with the
same client (ab, kept connections). Client and server share a CPU; the path's lcore has the other."""

import contextlib
import os
import re
import shutil
import subprocess

from gateway_json import Run
from rig import GEN_CORE, BenchError, PATH_MAC, median
from scraper import free_port

CONNECTIONS, POSTS, LINES = 16, 40_000, 100
RATIO_MIN = 0.5  # Of nginx's posts a second, one message each.


class HttpRun(Run):
    """The same appliance, with a gateway of HTTP."""

    def __enter__(self):
        rig, path = self.rig, self.rig.path("http.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(f"""node: bench
ports: [{{name: net0, device: net_null0, address: 10.77.0.1/16}}]
lcores: [{{lcore: 1, roles: [rx, worker]}}]
mbufs: 131072
neighbours: [{{address: 10.77.1.1, mac: "02:00:00:00:03:01"}}]
gateways:
  threads: 1
  listeners: [{{name: web, protocol: http, address: 127.0.0.1, port: {self.port}}}]
destinations: [{{name: table1, backends: [{{name: b, address: 10.77.1.1, port: 9000}}]}}]
""")
        args = [arg for arg in rig.eal("http", "server", PATH_MAC, f"{GEN_CORE},1", 1024)
                if not arg.startswith("--vdev")]
        self.process = rig.start("sluice", [
            rig.sluice, *args, "--vdev=net_null0,no-rx=1", "--", "--config", path,
            "--control-socket", "none", "--http", f"127.0.0.1:{self.http}"], " ready: ")
        return self


@contextlib.contextmanager
def nginx(rig):
    """Answers 202 to whatever it is sent. Yields its port."""
    program, port = shutil.which("nginx") or "/usr/sbin/nginx", free_port()
    if not os.path.exists(program):
        raise BenchError("nginx is missing: apt-get install nginx-light apache2-utils")
    path = rig.path("nginx.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""daemon off; worker_processes 1; pid {rig.path("nginx.pid")};
error_log {rig.path("nginx.log")};
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port} backlog=1024;
    location / {{ default_type application/json; return 202 '{{"id":"0123456789abcdef"}}'; }} }} }}
""")
    process = subprocess.Popen(["taskset", "-c", str(GEN_CORE), program, "-p", rig.dir, "-c", path])
    try:
        subprocess.run(["sleep", "0.5"], check=True)
        yield port
    finally:
        rig.stop(process)


def posts(rig, port, body, kind, count):
    """Posts a second, by ab: each has to be answered, with 2xx."""
    path = rig.path("body")
    with open(path, "w", encoding="ascii") as f:
        f.write(body)
    said = subprocess.run(
        ["taskset", "-c", str(GEN_CORE), "ab", "-q", "-l", "-k", "-c", str(CONNECTIONS), "-n",
         str(count), "-p", path, "-T", kind,
         f"http://127.0.0.1:{port}/v1/destinations/table1/messages"],
        capture_output=True, text=True, check=True).stdout
    failed = re.search(r"(?:Failed requests|Non-2xx responses): +([1-9].*)", said)
    if failed:
        raise BenchError(f"ab: {failed.group(0)}")
    return float(re.search(r"Requests per second: +([0-9.]+)", said).group(1))


def measure(rig, rounds):
    runs = {"nginx": [], "single": [], "lines": []}
    one, text = '{"order":7,"dish":"eggs and bacon"}', "text/plain"
    many = LINES * '{"payload":{"order":7,"dish":"eggs and bacon"}}\n'
    for _ in range(rounds):
        with nginx(rig) as port:
            runs["nginx"].append(posts(rig, port, one, text, POSTS))
        with HttpRun(rig, "queue") as run:
            runs["single"].append(posts(rig, run.port, one, text, POSTS))
            runs["lines"].append(LINES * posts(rig, run.port, many, "application/x-ndjson",
                                               POSTS // 10))
    return {"rounds": runs, **{name: median(of) for name, of in runs.items()},
            "ratio": median(a / b for a, b in zip(runs["single"], runs["nginx"]))}


def report(bench, say):
    say(f"\nHTTP: posts of {CONNECTIONS} kept connections through one gateway thread, and nginx "
        f"(202, nothing kept) with the same client; {bench.rounds} rounds in turn")
    result = bench.results["gateway_http"] = measure(bench.rig, bench.rounds)
    say(f"  {'one message a post':<46} {result['single'] / 1e3:>7.1f} k posts/s, "
        f"{result['ratio']:.2f} of nginx (at least {RATIO_MIN})"
        + bench.check("HTTP posts to nginx", result["ratio"], f">= {RATIO_MIN}",
                      result["ratio"] >= RATIO_MIN))
    say(f"  {f'{LINES} lines a post':<46} {result['lines'] / 1e3:>7.0f} k messages/s")
