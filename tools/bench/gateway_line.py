# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Publishers of the line protocol on connections that are kept open, through one gateway thread;
NATS, whose protocol is lines with an answer each, too, has the same clients in the same run.

The client has the CPU that the appliance's lcore has not, together with the gateway's thread: all
of it are two CPUs. It publishes lines that are made before, and counts answers and what is
delivered; each connection has WINDOW lines without an answer at most."""

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import time

from durable import journal_in
from rig import GEN_CORE, PATH_CORE, PATH_MAC, BenchError, median
from scraper import free_port

RATE_MIN = 300_000  # Publishes acknowledged a second, with one subscriber.
RATIO_MIN = 0.4     # Of those of NATS.

CASES = {"sluice": "Sluice, a topic with one subscriber", "nats": "NATS, one subscriber",
         "sluice_nobody": "Sluice, nobody has subscribed", "nats_nobody": "NATS, nobody",
         "durable": "Sluice, a durable queue with one consumer"}

PUBLISHERS = 16
BLOCK, WINDOW = 64, 512  # Lines.
PAYLOAD = b"x" * 64
READ = 1 << 18
WARM_UP_S = 0.5
SETTLE_S = 2.0


class Line:
    """The line protocol as the appliance speaks it."""

    GREETING = b""
    LINES_A_MESSAGE = 1

    @staticmethod
    def publish(topic):
        return b"PUBLISH|%s|%s\n" % (topic, PAYLOAD)

    @staticmethod
    def subscribe(topic):
        return b"SUBSCRIBE|%s\nPING\n" % topic, b"PONG\n"


class Nats:
    """NATS with `verbose` on: +OK behind each message that was taken."""

    GREETING = b'CONNECT {"verbose":true,"pedantic":false}\r\nPING\r\n'
    LINES_A_MESSAGE = 2

    @staticmethod
    def publish(topic):
        return b"PUB %s %d\r\n%s\r\n" % (topic, len(PAYLOAD), PAYLOAD)

    @staticmethod
    def subscribe(topic):
        return b"SUB %s 1\r\nPING\r\n" % topic, b"+OK\r\nPONG\r\n"


class Peer:
    def __init__(self, protocol, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unanswered = self.lines = 0
        if protocol.GREETING:
            self.ask(protocol.GREETING, b"PONG\r\n")

    def ask(self, question, end):
        self.socket.sendall(question)
        text = b""
        while not text.endswith(end):
            more = self.socket.recv(READ)
            if not more:
                raise BenchError(f"closed by {self.socket.getpeername()}: {text!r}")
            text += more


class Clients:
    """Publishers to one topic, and its subscribers."""

    def __init__(self, protocol, port, topic, nb_subscribers):
        self.protocol = protocol
        self.publishers = [Peer(protocol, port) for _ in range(PUBLISHERS)]
        self.subscribers = [Peer(protocol, port) for _ in range(nb_subscribers)]
        self.block = memoryview(protocol.publish(topic) * BLOCK)
        self.selector = selectors.EpollSelector()
        for peer in self.subscribers:
            peer.ask(*protocol.subscribe(topic))
        for peer in self.publishers + self.subscribers:
            peer.socket.setblocking(False)
            self.selector.register(peer.socket, selectors.EVENT_READ, peer)
        self.answered = self.sent = 0

    def close(self):
        self.selector.close()
        for peer in self.publishers + self.subscribers:
            peer.socket.close()

    def send(self, peer):
        """Whole blocks: the window is smaller than a socket's buffer."""
        while peer.unanswered <= WINDOW - BLOCK:
            if peer.socket.send(self.block) != len(self.block):
                raise BenchError("a socket's buffer is smaller than the window")
            peer.unanswered += BLOCK
            self.sent += BLOCK

    def turn(self, is_publishing, timeout=0.1):
        for key, _ in self.selector.select(timeout):
            peer = key.data
            data = peer.socket.recv(READ)
            if not data:
                raise BenchError("a client was closed")
            lines = data.count(b"\n")
            if peer in self.subscribers:
                peer.lines += lines
                continue
            if b"ERR" in data:
                raise BenchError(f"a line was refused: {data[:100]!r}")
            peer.unanswered -= lines
            self.answered += lines
            if is_publishing:
                self.send(peer)

    def run(self, seconds):
        """Answers a second."""
        for peer in self.publishers:
            self.send(peer)
        end = time.perf_counter() + WARM_UP_S
        while time.perf_counter() < end:
            self.turn(True)
        begin, before = time.perf_counter(), self.answered
        end = begin + seconds
        while (now := time.perf_counter()) < end:
            self.turn(True)
        rate = (self.answered - before) / (now - begin)
        self.settle()
        return rate

    def delivered(self):
        return [peer.lines // self.protocol.LINES_A_MESSAGE for peer in self.subscribers]

    def settle(self):
        """Until all has come, or nothing has for a while."""
        last, come = time.perf_counter(), -1
        while time.perf_counter() - last < SETTLE_S and (
                self.answered < self.sent or any(n < self.sent for n in self.delivered())):
            self.turn(False)
            if come != (come := self.answered + sum(self.delivered())):
                last = time.perf_counter()
        if self.answered < self.sent:
            raise BenchError(f"{self.sent - self.answered} of {self.sent} lines have no answer")


def write_config(path, port, journal=None):
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports: [{{name: net0, device: net_null0, address: 10.77.0.1/24}}]
lcores: [{{lcore: 1, roles: [rx, worker]}}]
gateways:
  threads: 1
  listeners:
    - {{name: broker, protocol: line, address: 127.0.0.1, port: {port}, keep_open: true,
       output_max: 16M}}
""")
        if journal:
            f.write(f"""destinations: [{{name: orders, guarantee: at-least-once, backends: []}}]
journal: {{directory: {journal}, max_bytes: 4G, retention_bytes: 512M, retention: 0s}}
""")
        else:
            f.write("destinations: [{name: news, kind: topic, backends: []}]\n")


@contextlib.contextmanager
def sluice(rig, journal=None):
    port, path = free_port(), rig.path("line.yaml")
    write_config(path, port, journal)
    args = [arg for arg in rig.eal("line", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024)
            if not arg.startswith("--vdev")]
    process = rig.start("sluice", [rig.sluice, *args, "--vdev=net_null0,no-rx=1", "--", "--config",
                                   path, "--control-socket", rig.path("control.sock"), "--http",
                                   "none"], " ready: ")
    try:
        yield port, process.pid
    finally:
        rig.stop(process)


@contextlib.contextmanager
def nats():
    program = shutil.which("nats-server", path="/usr/sbin:/usr/bin")
    if program is None:
        raise BenchError("nats-server is not there; apt-get install nats-server")
    port = free_port()
    process = subprocess.Popen([program, "-a", "127.0.0.1", "-p", str(port)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_for(port):
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise BenchError(f"nothing listens on port {port}")


def gateway_s(pid):
    """CPU time of the appliance's gateway thread, in seconds."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as f:
            if f.read() != "sl-gateway-0\n":
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0]) / 1e9
    raise BenchError("the appliance has no gateway thread")


def measure_one(protocol, port, topic, nb_subscribers, seconds, pid=None):
    clients = Clients(protocol, port, topic, nb_subscribers)
    try:
        before = gateway_s(pid) if pid else 0
        result = {"rate": clients.run(seconds), "published": clients.sent,
                  "delivered": clients.delivered()}
        if pid:
            result["gateway_us"] = (gateway_s(pid) - before) / clients.sent * 1e6
        return result
    finally:
        clients.close()


def measure(rig, rounds, journal_dir):
    """Rounds of all cases in turn, and the medians of their rates."""
    results = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, nb_subscribers in (("", 1), ("_nobody", 0)):
            with sluice(rig) as (port, pid):
                results["sluice" + name].append(
                    measure_one(Line, port, b"news", nb_subscribers, rig.seconds, pid))
            with nats() as port:
                results["nats" + name].append(
                    measure_one(Nats, port, b"news", nb_subscribers, rig.seconds))
        with journal_in(journal_dir) as journal, sluice(rig, journal) as (port, pid):
            results["durable"].append(measure_one(Line, port, b"orders", 1, rig.seconds, pid))
    return {"rounds": results,
            "gateway_us": {name: median(r["gateway_us"] for r in runs)
                           for name, runs in results.items() if "gateway_us" in runs[0]},
            **{name: median(r["rate"] for r in runs) for name, runs in results.items()}}
