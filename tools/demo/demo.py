#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sluice's main job on real traffic, in two network namespaces joined by a veth pair.

Four senders and four receivers are processes of their own with ordinary UDP sockets; between them
stands the appliance with a net_af_packet port. Beside the senders there are four message servers,
which the appliance connects to and gets JSON lines from. Ends with the statistics of all three sides
and exits with 1 when they disagree or anything was lost. Meanwhile the appliance has a page on this
machine's loopback and takes commands from sluicectl.
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
import relay
import table
from harness import ADDRESS, BUILD, Lab, memory_arguments, remove_leftovers
from harness.netns import child_options
from harness.wire import PORT

HERE = pathlib.Path(__file__).resolve().parent
CLEAR = "\x1b[H\x1b[J"
HTTP = ("127.0.0.1", 8090)  # in the appliance's namespace
MESSAGE_SERVERS = HERE.parent / "message-servers"  # on the ports of restaurant.yaml
SLUICECTL = BUILD / "app" / "sluicectl" / "sluicectl"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

signals = []  # that have asked for the end


class Child:
    """A sender, a receiver or the message servers; `last` is the newest of what it reported."""

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
        self.sluice = self.message_servers = None

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
        kitchens = {}
        for number, name in enumerate(orders.TABLES, 1):
            lab.add_address(f"10.77.0.{10 + number}/24")
            kitchens[name] = self.spawn(lab.outside, "receiver.py", "--table", name,
                                        "--bind", f"10.77.0.{10 + number}:9001")
        for kitchen in kitchens.values():
            kitchen.wait_report()
        if self.args.json_rate:
            self.message_servers = self.serve_messages(lab)
        with lab.appliance(yaml.safe_load((HERE / "restaurant.yaml").read_text()),
                           memory=memory_arguments(), stats_interval=0.25,
                           args=("--http", f"{HTTP[0]}:{HTTP[1]}")) as self.sluice, \
                relay.Relay(lab.inside, HTTP, self.args.http_port) as page:
            hints = self.hints(page)
            self.wait_up()
            print("\n".join([*hints, "the appliance is ready; four servers begin to send" +
                             (", and four message servers" if self.message_servers else "")]),
                  flush=True)
            servers = self.open(lab)
            self.watch(servers, kitchens, hints)
            sent = {name: server.finish(10) for name, server in servers.items()}
            if self.message_servers:
                sent["message servers"] = self.wait_all_sent()
            self.settle(sent)
            if self.args.keep:
                self.wait_told(kitchens)
                got = {name: kitchen.last for name, kitchen in kitchens.items()}
                code = self.balance(self.sluice.stats(), sent, got)
                self.keep(hints)
                return code
            stats = self.sluice.stop()
        return self.balance(stats, sent, {name: k.stop() for name, k in kitchens.items()})

    def serve_messages(self, lab):
        """Four message servers; they begin when the appliance connects, and stay behind the end."""
        args = self.args
        names = ",".join(f"messages{number}" for number in range(1, 5))
        child = self.spawn(lab.inside, MESSAGE_SERVERS, "--json", "--stay", "--names", names, "--rate",
                           args.json_rate, "--seconds", args.seconds, "--duplicates",
                           args.duplicates, "--seed", args.seed, "--interval", 0.5)
        child.wait_report()
        return child

    def wait_all_sent(self):
        """What the message servers have sent, when it is all."""
        deadline = time.monotonic() + self.args.seconds + 20
        while not self.message_servers.last["all_sent"]:
            if self.message_servers.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the message servers do not come to their end")
            time.sleep(0.1)
        return self.message_servers.last

    def connectors(self):
        """What `show ingress` has of the message servers."""
        with self.sluice.control() as control:
            return [server for connector in control.show("ingress")["connectors"]
                    for server in connector["servers"]] if self.message_servers else []

    def open(self, lab):
        """The four servers begin to send."""
        args = self.args
        return {name: self.spawn(lab.outside, "sender.py", "--name", name, "--to",
                                 f"{ADDRESS}:{PORT}", "--rate", args.rate, "--seconds",
                                 args.seconds, "--duplicates", args.duplicates, "--seed",
                                 args.seed) for name in orders.SERVERS}

    def hints(self, page):
        """Where to look at the appliance while it runs."""
        return [f"live page: {page.url}",
                f"commands:  {SLUICECTL} --socket {self.sluice.control_socket} show backends"]

    def wait_up(self):
        """Wait until every kitchen has answered its first probe."""
        deadline = time.monotonic() + 10
        with self.sluice.control() as control:
            while rest := [f"{row['destination']} {row['state']}" for row in
                           control.show("backends") if row["state"] != "UP"]:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"no answer to probes from {', '.join(rest)}")
                time.sleep(0.1)

    @staticmethod
    def balance(stats, sent, got):
        """Compare the ledgers of the three sides. Returns the exit code."""
        ledger = table.Ledger(stats, sent, got)
        print("\n".join(ledger.lines()), flush=True)
        return 1 if ledger.problems else 0

    def wait_told(self, kitchens):
        """Wait, at most 5 s, until the kitchens have reported all that was delivered to them."""
        delivered = self.sluice.stats()["delivered"]
        deadline = time.monotonic() + 5
        while table.total((k.last for k in kitchens.values()), "received") < delivered and \
                time.monotonic() < deadline:
            time.sleep(0.05)

    def keep(self, hints):
        """Leave all as it is until somebody ends it."""
        ended = threading.Event()
        for number in SIGNALS:
            signal.signal(number, lambda *_: ended.set())
        print("\n".join([*hints, "the appliance is kept running; Ctrl-C ends it"]), flush=True)
        while not ended.wait(0.5) and self.sluice.process.poll() is None:
            pass

    def watch(self, servers, kitchens, hints):
        """Show the live table until the senders are done."""
        before, known = self.sluice.stats(), self.connectors()
        started = last = time.monotonic()
        while any(server.process.poll() is None for server in servers.values()):
            if self.sluice.process.poll() is not None:
                raise RuntimeError(f"the appliance is gone:\n{self.sluice.stderr}")
            if signals:  # Python ignores an exception that is raised while it forks.
                sys.exit(128 + signals[0])
            time.sleep(0.1)
            now = time.monotonic()
            if now - last < self.args.interval:
                continue
            stats = self.sluice.stats()
            title = f"Sluice demo, after {now - started:.0f} s"
            senders = {name: server.last for name, server in servers.items()}
            if self.message_servers:
                senders["message servers"] = self.message_servers.last
            lines = table.live(stats, before, now - last, senders,
                               {n: k.last for n, k in kitchens.items()}, title)
            connectors = self.connectors()
            lines += table.connectors(connectors, known, now - last)
            if sys.stdout.isatty():
                lines = [CLEAR + hints[0], *hints[1:], *lines]
            print("\n".join(lines), flush=True)
            before, known, last = stats, connectors, now

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
    signals.append(number)
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(prog="demo.sh", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="how long to send (20)")
    parser.add_argument("--rate", type=float, default=2000,
                        help="messages a second of each of the four senders (2000)")
    parser.add_argument("--json-rate", type=float, default=500,
                        help="messages a second of each of the four message servers (500); 0: there "
                        "are none")
    parser.add_argument("--duplicates", type=float, default=0.03,
                        help="share of the messages that is sent twice (0.03)")
    parser.add_argument("--interval", type=float, default=1 if sys.stdout.isatty() else 2,
                        help="seconds between two tables (1, without a terminal 2)")
    parser.add_argument("--seed", default="1", help="of the orders (1)")
    parser.add_argument("--http-port", type=int, default=8090, help="of the live page on this "
                        "machine's loopback (8090; another if that is taken)")
    parser.add_argument("--keep", action="store_true", help="when all is sent, leave the appliance "
                        "running until Ctrl-C")
    args = parser.parse_args()
    if args.seconds <= 0 or args.rate <= 0 or not 0 <= args.duplicates <= 1:
        parser.error("--seconds and --rate have to be above 0, --duplicates from 0 to 1")
    if args.json_rate < 0:
        parser.error("--json-rate is below 0")
    if not 0 <= args.http_port <= 65535:
        parser.error("--http-port has to be from 0 (any) to 65535")
    for number in SIGNALS:
        signal.signal(number, end)
    demo = Demo(args)
    try:
        sys.exit(demo.run())
    except (RuntimeError, AssertionError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
