#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sluice's main job on real traffic, in two network namespaces joined by a veth pair.

Four senders and four receivers are processes of their own with ordinary UDP sockets; between them
stands the appliance with a net_af_packet port. Ends with the statistics of all three sides and
exits with 1 when they disagree or anything was lost.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import yaml

import orders
import table
from harness import (ADDRESS, HttpClient, Lab, Relay, listen_args, memory_arguments,
                     remove_leftovers)
from harness.netns import child_options
from harness.wire import PORT

HERE = pathlib.Path(__file__).resolve().parent
CLEAR = "\x1b[H\x1b[J"
PAGE_PORT = 8090  # of this side; the appliance listens in its own namespace


class Child:
    """One sender or receiver; `last` is the newest of what it reported."""

    def __init__(self, namespace, script, *args):
        self.name = f"{script} {' '.join(map(str, args))}"
        argv = namespace.exec_args(sys.executable, HERE / script, *args)
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        text=True, **child_options())
        self.last = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.last = json.loads(line)

    def wait_report(self, timeout=20):
        deadline = time.monotonic() + timeout
        while not self.last:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: did not start")
            time.sleep(0.02)

    def finish(self, timeout):
        """Wait until it has ended and said all it had to say. Returns its final report."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        if code != 0 or not self.last.get("done"):
            raise RuntimeError(f"{self.name}: ended with exit code {code}")
        return self.last

    def stop(self):
        self.process.terminate()
        return self.finish(10)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Demo:
    def __init__(self, args):
        self.args = args
        self.children = []
        self.sluice = None

    def spawn(self, *args):
        self.children.append(Child(*args))
        return self.children[-1]

    def run(self):
        remove_leftovers()
        try:
            with Lab() as lab:
                return self.traffic(lab)
        finally:
            for child in self.children:
                child.kill()
            if self.sluice is not None:
                self.sluice.close()

    def traffic(self, lab):
        args = self.args
        kitchens = {}
        for number, name in enumerate(orders.TABLES, 1):
            lab.add_address(f"10.77.0.{10 + number}/24")
            kitchens[name] = self.spawn(lab.outside, "receiver.py", "--table", name,
                                        "--bind", f"10.77.0.{10 + number}:9001")
        for kitchen in kitchens.values():
            kitchen.wait_report()
        with lab.appliance(yaml.safe_load((HERE / "restaurant.yaml").read_text()),
                           memory=memory_arguments(),
                           args=listen_args(), stats_interval=0.25) as self.sluice, \
                Relay(HttpClient(lab.inside), PAGE_PORT) as page:
            self.page = page.url
            print(f"the appliance is ready; look at it: {self.page}\n"
                  "four servers begin to send", flush=True)
            servers = {name: self.spawn(lab.outside, "sender.py", "--name", name, "--to",
                                        f"{ADDRESS}:{PORT}", "--rate", args.rate, "--seconds",
                                        args.seconds, "--duplicates", args.duplicates, "--seed",
                                        args.seed) for name in orders.SERVERS}
            self.watch(servers, kitchens)
            sent = {name: server.finish(10) for name, server in servers.items()}
            self.settle(sent)
            stats = self.sluice.stop()
        got = {name: kitchen.stop() for name, kitchen in kitchens.items()}
        ledger = table.Ledger(stats, sent, got)
        print("\n".join(ledger.lines()), flush=True)
        return 1 if ledger.problems else 0

    def watch(self, servers, kitchens):
        """Show the live table until the senders are done."""
        before = self.sluice.stats()
        started = last = time.monotonic()
        while any(server.process.poll() is None for server in servers.values()):
            if self.sluice.process.poll() is not None:
                raise RuntimeError(f"the appliance is gone:\n{self.sluice.stderr}")
            time.sleep(0.1)
            now = time.monotonic()
            if now - last < self.args.interval:
                continue
            stats = self.sluice.stats()
            title = f"Sluice demo, after {now - started:.0f} s; live page: {self.page}"
            lines = table.live(stats, before, now - last, {n: s.last for n, s in servers.items()},
                               {n: k.last for n, k in kitchens.items()}, title)
            print((CLEAR if sys.stdout.isatty() else "") + "\n".join(lines), flush=True)
            before, last = stats, now

    def settle(self, sent):
        """Wait, at most 5 s, until the appliance has seen all that was sent and queues nothing."""
        everything = table.total(sent.values(), "sent") + table.total(sent.values(), "duplicates")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            stats = self.sluice.stats()
            if stats["received"] >= everything and stats["queued"] == 0:
                return
            time.sleep(0.05)


def end(number, _):
    """A signal ends the demo by the same way out as everything else."""
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(prog="demo.sh", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long to send (20)")
    parser.add_argument("--rate", type=float, default=2000,
                        help="messages a second of each of the four senders (2000)")
    parser.add_argument("--duplicates", type=float, default=0.03,
                        help="share of the messages that is sent twice (0.03)")
    parser.add_argument("--interval", type=float, default=1 if sys.stdout.isatty() else 2,
                        help="seconds between two tables (1, without a terminal 2)")
    parser.add_argument("--seed", default="1", help="of the orders (1)")
    args = parser.parse_args()
    if args.seconds <= 0 or args.rate <= 0 or not 0 <= args.duplicates <= 1:
        parser.error("--seconds and --rate have to be above 0, --duplicates from 0 to 1")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    demo = Demo(args)
    try:
        sys.exit(demo.run())
    except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
