# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What clients of the gateways, who send as much as is taken, leave of the UDP path's rate. A
capture is fed to the path over and over, more than its lcore can take; all protocols of the gateways
are one thread's, on the other CPU, with who loads them."""

import contextlib
import time

import config
from api import view
from beside import WINDOW, spread, write_capture
from durable import worker_of
from gateway_json import load, thread_time
from rig import GEN_CORE, PATH_CORE, PATH_MAC, median
from scraper import free_port

RATE_MIN = 0.8

DESTINATIONS, SIZE = 100, 128
ORDERS, ROOMS = 4, 4
CLIENTS = {"json": 4, "line": 4, "rooms": 4, "http": 4}
TURN_S = 1.0


def write_config(path, ports):
    """The UDP path's tables, and what the clients of the gateways send to."""
    config.write_one_port(path, "net_pcap0", DESTINATIONS, WINDOW)
    with open(path, "a", encoding="ascii") as f:
        for name in [f"order{i}" for i in range(1, ORDERS + 1)] + ["news"]:
            f.write(f"  - {{name: {name}, backends: [{{name: b, address: 10.77.1.1, "
                    "port: 8999}]}\n")
        f.write("gateways:\n  threads: 1\n  listeners:\n")
        for name, port in ports.items():
            more = {"line": ", keep_open: true", "rooms": f", rooms: {ROOMS}, prefix: room-"}
            f.write(f"    - {{name: {name}, protocol: {name}, address: 127.0.0.1, port: {port}"
                    f"{more.get(name, '')}}}\n")


def ran_s(path):
    with open(path, encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


class Beside:
    def __init__(self, rig):
        self.rig = rig
        self.http = free_port()
        self.ports = {name: free_port() for name in CLIENTS}

    @contextlib.contextmanager
    def running(self):
        rig, path, capture = self.rig, self.rig.path("beside.yaml"), self.rig.path("beside.pcap")
        write_capture(capture, DESTINATIONS, SIZE)
        write_config(path, self.ports)
        args = [arg for arg in rig.eal("beside", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024)
                if not arg.startswith("--vdev")]
        process = rig.start("sluice", [
            rig.sluice, *args, f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1", "--",
            "--config", path, "--control-socket", "none", "--http", f"127.0.0.1:{self.http}"],
            " ready: ")
        self.thread = thread_time(process.pid, "sl-gateway-0")
        self.worker = worker_of(process.pid)
        try:
            yield
        finally:
            rig.stop(process)

    @contextlib.contextmanager
    def load(self):
        orders = [f"order{i}" for i in range(1, ORDERS + 1)]
        destinations = {"json": orders, "line": ["news"],
                        "rooms": [str(i) for i in range(1, ROOMS + 1)], "http": orders}
        with contextlib.ExitStack() as stack:
            for name, nb in CLIENTS.items():
                stack.enter_context(load(name, self.ports[name], destinations[name], nb))
            time.sleep(0.2)
            yield

    def read(self):
        stats = view(self.http, "stats")
        gateways = view(self.http, "ingress")["gateways"]
        return {"at": time.perf_counter(), "gateway_s": ran_s(self.thread),
                "worker_s": ran_s(self.worker),
                "udp": sum(d["delivered"] for name, d in stats["by_destination"].items()
                           if name.startswith("table")),
                **{gateway["name"]: gateway["accepted"] for gateway in gateways}}

    def turn(self):
        """What each does a second."""
        before = self.read()
        time.sleep(TURN_S)
        after = self.read()
        seconds = after.pop("at") - before.pop("at")
        return {name: (n - before[name]) / seconds for name, n in after.items()}

    def compare(self, turns):
        """@turns with them, each between two without."""
        each = []
        with self.running():
            self.turn()
            last = self.turn()
            for _ in range(turns):
                with self.load():
                    this = self.turn()
                time.sleep(0.2)
                following = self.turn()
                each.append({"without": last, "with": this, "after": following})
                last = following
        def keep(of):
            return median(2 * of(t["with"]) / (of(t["without"]) + of(t["after"])) for t in each)

        return {"keep": keep(lambda turn: turn["udp"]),
                "keep_by_cpu": keep(lambda turn: turn["udp"] / turn["worker_s"]),
                "cpu": median(min(turn["worker_s"] for turn in t.values()) for t in each),
                "gateway_cpu": median(t["with"]["gateway_s"] for t in each),
                "messages_per_s": {name: median(t["with"][name] for t in each) for name in CLIENTS},
                "udp_per_s": median(t["with"]["udp"] for t in each), "turns": each,
                "null_spread": spread([{key: [turn["udp"]] for key, turn in t.items()}
                                       for t in each])}


def report(bench, say):
    turns = 4 * bench.rounds
    say(f"\nthe UDP path flat out, and beside it clients of the gateways who send all that is taken: "
        f"{turns} turns, each between two without")
    result = bench.results["gateway_beside"] = Beside(bench.rig).compare(turns)
    keep = result["keep"]
    say(f"  it keeps {keep:.2f} of its rate (at least {RATE_MIN}); two turns without differ by "
        f"{result['null_spread']:.3f}"
        + bench.check("UDP beside saturated gateways", keep, f">= {RATE_MIN}", keep >= RATE_MIN))
    say("  messages a second: " + ", ".join(
        f"{n / 1e6:.2f} M by {name}" for name, n in
        {"UDP": result["udp_per_s"], **result["messages_per_s"]}.items()))
    if result["cpu"] < 0.95:
        say(f"  (the worker had {result['cpu']:.0%} of its CPU, somebody else the rest; of its rate "
            f"by the CPU it had, it keeps {result['keep_by_cpu']:.2f})")
