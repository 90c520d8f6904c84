# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""JSON lines through one gateway thread. The clients, which send lines that are made before, have
the CPU that the path's lcore has not, together with the gateway's thread: all of it are two CPUs."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

from api import view
from rig import GEN_CORE, PATH_CORE, PATH_MAC, BenchError, median
from scraper import free_port

RATE_MIN = 400_000  # Lines a second.
PACE = 75_000       # Of each client, where a consumer has to read them, too.

CONNECTIONS, DESTINATIONS = 4, 4
WINDOW = 1 << 15  # Less than a client's lines: what comes again is new again.
LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway_load.py")
WARM_UP_S = 0.5


def write_config(path, port, kind):
    """To backends that nobody is (the port drops what is sent), or to consumers of the gateway, at
    a pace: from a topic's slow subscriber nobody who sends is held back."""
    pace = f", rate_msgs_per_s: {PACE}" if kind == "topic" else ""
    backends = "[]" if kind == "topic" else "[{name: b, address: 10.77.1.1, port: 9000}]"
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports: [{{name: net0, device: net_null0, address: 10.77.0.1/16}}]
lcores: [{{lcore: 1, roles: [rx, worker]}}]
dedup: {{window_ms: 60000, capacity: {WINDOW}}}
mbufs: 131072
neighbours: [{{address: 10.77.1.1, mac: "02:00:00:00:03:01"}}]
gateways:
  threads: 1
  listeners: [{{name: json, protocol: json, address: 127.0.0.1, port: {port}{pace}}}]
destinations:
""")
        for i in range(1, DESTINATIONS + 1):
            f.write(f"  - {{name: table{i}, kind: {kind}, backends: {backends}}}\n")


@contextlib.contextmanager
def load(protocol, port, destinations, connections=CONNECTIONS):
    """Messages, as many as are taken. Yields a list that holds their number when it is over."""
    sender = subprocess.Popen(["taskset", "-c", str(GEN_CORE), sys.executable, LOAD, protocol,
                               str(port), str(connections), *destinations], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    sent = []
    try:
        if not sender.stdout.readline().startswith("ready"):
            raise BenchError("gateway_load.py did not start")
        yield sent
        sent.append(int(sender.communicate(timeout=30)[0]))
    finally:
        sender.kill()
        sender.wait()


class Consumer(threading.Thread):
    """Subscribes, and counts lines."""

    def __init__(self, port, destinations):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.lines = 0
        for name in destinations:
            self.socket.sendall(json.dumps({"subscribe": name}).encode() + b"\n")
        answers = b""
        self.socket.settimeout(10)
        while answers.count(b"\n") < len(destinations):
            answers += self.socket.recv(1 << 16)
        self.socket.settimeout(None)
        self.start()

    def run(self):
        os.sched_setaffinity(threading.get_native_id(), {GEN_CORE})
        with contextlib.suppress(OSError):
            while data := self.socket.recv(1 << 20):
                self.lines += data.count(b"\n")


def thread_time(pid, name):
    """Where the kernel tells how long a thread ran."""
    for task in os.scandir(f"/proc/{pid}/task"):
        with open(f"{task.path}/comm", encoding="ascii") as f:
            if f.read().strip() == name:
                return f"{task.path}/schedstat"
    raise BenchError(f"sluice has no thread {name}")


class Run:
    """An appliance with a gateway, and what it counts."""

    def __init__(self, rig, kind):
        self.rig, self.kind = rig, kind
        self.port, self.http = free_port(), free_port()

    def __enter__(self):
        rig, path = self.rig, self.rig.path("json.yaml")
        write_config(path, self.port, self.kind)
        args = [arg for arg in rig.eal("json", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024)
                if not arg.startswith("--vdev")]
        self.process = rig.start("sluice", [
            rig.sluice, *args, "--vdev=net_null0,no-rx=1", "--", "--config", path,
            "--control-socket", "none", "--http", f"127.0.0.1:{self.http}"], " ready: ")
        self.thread = thread_time(self.process.pid, "sl-gateway-0")
        return self

    def __exit__(self, *_):
        self.rig.stop(self.process)

    def read(self):
        stats = view(self.http, "stats")
        [gateway] = view(self.http, "ingress")["gateways"]
        with open(self.thread, encoding="ascii") as f:
            ran_ns = int(f.read().split()[0])
        return {"at": time.perf_counter(), "ran_ns": ran_ns, "gateway": gateway, "stats": stats,
                "accepted": gateway["accepted"], "delivered": gateway["delivered"],
                "busy": stats["cycles"]["busy"]}


def settled(run, lines):
    """When all lines have been taken, and have left the path."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        last = run.read()
        stats, reasons = last["stats"], last["gateway"]["reasons"]
        gone = stats["delivered"] + stats["duplicates"] + sum(stats["dropped"].values())
        if last["accepted"] + sum(reasons.values()) >= lines and gone >= stats["received"]:
            return last
        time.sleep(0.05)
    raise BenchError(f"of {lines} lines {last['accepted']} were taken, {reasons}")


def measure_one(rig, kind):
    destinations = [f"table{i}" for i in range(1, DESTINATIONS + 1)]
    with Run(rig, kind) as run:
        consumer = Consumer(run.port, destinations) if kind == "topic" else None
        with load("json", run.port, destinations) as sent:
            time.sleep(WARM_UP_S)
            before = run.read()
            time.sleep(rig.seconds)
            after = run.read()
        last = settled(run, sent[0])
        stats = last["stats"]
        if consumer:
            deadline = time.monotonic() + 5
            while consumer.lines < sent[0] and time.monotonic() < deadline:
                time.sleep(0.02)
            consumer.socket.shutdown(socket.SHUT_RDWR)
            consumer.join()
    if last["accepted"] != sent[0] or stats["received"] != sent[0]:
        raise BenchError(f"of {sent[0]} lines {last['accepted']} were accepted, and the path has "
                         f"had {stats['received']}: {last['gateway']['reasons']}")
    seconds, lines = after["at"] - before["at"], after["accepted"] - before["accepted"]
    return {"lines_per_s": lines / seconds, "lines": sent[0],
            "out_per_s": (after["delivered"] - before["delivered"]) / seconds,
            "gateway_ns": (after["ran_ns"] - before["ran_ns"]) / lines,
            "gateway_share": (after["ran_ns"] - before["ran_ns"]) / 1e9 / seconds,
            "path_cycles": (after["busy"] - before["busy"]) / lines,
            "by_node": {name: (node["cycles"] - before["stats"]["by_node"][name]["cycles"]) / lines
                        for name, node in after["stats"]["by_node"].items()
                        if name in before["stats"]["by_node"]},
            "consumed": consumer.lines if consumer else 0, "duplicates": stats["duplicates"],
            "dropped": {reason: n for reason, n in stats["dropped"].items() if n}}


def report(bench, say):
    say(f"\nJSON lines of {CONNECTIONS} clients through one gateway thread, who share a CPU, and a "
        f"worker; {bench.rounds} rounds")
    result = bench.results["gateway_json"] = measure(bench.rig, bench.rounds)
    into, through = result["in"], result["out"]
    rate, wanted = into["lines_per_s"], PACE * CONNECTIONS
    say(f"  {'in, as many as are taken':<46} {rate / 1e6:>6.3f} M lines/s (at least "
        f"{RATE_MIN / 1e6:g} M), {into['gateway_ns']:.0f} ns of the gateway's thread a line"
        + bench.check("JSON lines a second", rate, f">= {RATE_MIN}", rate >= RATE_MIN))
    say(f"  {f'in at {wanted / 1e6:g} M/s, and out to a consumer':<46} "
        f"{through['lines_per_s'] / 1e6:>6.3f} M lines/s in, {through['out_per_s'] / 1e6:.3f} M out, "
        f"{through['gateway_ns']:.0f} ns a line")
    lost = sum(r["lines"] - r["consumed"] for r in result["rounds"]["out"])
    say(f"  of {sum(r['lines'] for r in result['rounds']['out']):,} lines the consumer missed {lost:,}"
        + bench.check("JSON lines a consumer missed", lost, "0", lost == 0))


def measure(rig, rounds):
    """Medians of {in, out}, and the rounds."""
    runs = {"in": [], "out": []}
    for _ in range(rounds):
        runs["in"].append(measure_one(rig, "queue"))
        runs["out"].append(measure_one(rig, "topic"))
    names = ("lines_per_s", "out_per_s", "gateway_ns", "gateway_share", "path_cycles")
    return {"rounds": runs, **{case: {name: median(r[name] for r in of) for name in names}
                               for case, of in runs.items()}}
