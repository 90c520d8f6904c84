# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Crowds, and clients that mean no good, on every listener: memory stays bounded, all is counted,
and a client that behaves does not notice."""

import contextlib
import multiprocessing
import os
import random
import resource
import select
import socket
import statistics
import struct
import time

import pytest

from harness import Lab, LineClient, destination, line_listener, make_config
from harness.standstill import Standstill
from harness.lines import HOST, connect, subscriber
from harness.patience import patience, wait_until

PORTS = {"broker": 8080, "chat": 8081, "web": 8082, "orders": 9000}
OUTPUT_MAX = 64 << 10
RSS_SPARE = 64 << 20
ROUND_TRIP_S, ROUND_TRIPS = 2.0, 10
SEED = 5

UPGRADE = (b"GET /chat/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
POST = (b"POST /v1/destinations/steady/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n"
        b"Content-Type: application/x-ndjson\r\n\r\n")


def listener(name, protocol, **keys):
    return {"name": name, "protocol": protocol, "address": HOST, "port": PORTS[name],
            "output_max": OUTPUT_MAX, "input_max": 65536, **keys}


def config(**keys):
    return make_config(
        destination("flood", kind="topic"), destination("steady", kind="topic"),
        gateways={"listeners": [
            line_listener(keep_open=True, output_max=OUTPUT_MAX, input_max=65536),
            listener("chat", "rooms"), listener("web", "http"), listener("orders", "json")]},
        **keys)


class Bench:
    def __init__(self, lab, sluice):
        self.lab, self.sluice = lab, sluice

    def connect(self, name, **options):
        return connect(self.lab.inside, PORTS[name], **options)

    def shown(self, name):
        with self.sluice.control() as control:
            return control.show("ingress", name)

    def reasons(self):
        """Of all listeners together."""
        shown = [self.shown(name)["reasons"] for name in PORTS]
        return {reason: sum(one[reason] for one in shown) for reason in shown[0]}

    def clients(self):
        return sum(self.shown(name)["clients"] for name in PORTS)


def beat(inside, is_over, result):
    """What it publishes comes back to it, again and again. Times of round trips."""
    times = []
    with subscriber(inside, "steady") as client, Standstill() as still:
        while len(times) <= ROUND_TRIPS or not is_over.is_set():
            begin = time.monotonic() - still.seconds
            client.send(f"PUBLISH|steady|{len(times)}")
            assert sorted(client.lines(2)) == sorted(["ACK", str(len(times))])
            times.append(time.monotonic() - still.seconds - begin)
            time.sleep(0.005)
    result.put(times)


@contextlib.contextmanager
def undisturbed(bench):
    """A client in a process of its own does not notice what happens within, memory stays bounded,
    and nobody is left behind."""
    context = multiprocessing.get_context("fork")
    is_over, result = context.Event(), context.Queue()
    before, clients = bench.sluice.rss(), bench.clients()
    steady = context.Process(target=beat, args=(bench.lab.inside, is_over, result))
    steady.start()
    try:
        yield
        assert bench.sluice.rss() - before < RSS_SPARE
    finally:
        is_over.set()
        times = result.get(timeout=patience(20))
        steady.join()
    assert max(times) < ROUND_TRIP_S, max(times)
    assert statistics.median(times) < 0.1, statistics.median(times)
    wait_until(lambda: bench.clients() == clients, what="all others are gone")
    assert bench.sluice.buffered() == 0


@pytest.fixture(scope="module", name="bench")
def fixture_bench():
    """It has 1,000 files to begin with: what it may have, it takes itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Lab() as lab:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
        with lab.appliance(config()) as sluice:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            yield Bench(lab, sluice)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def many(bench, count, names=tuple(PORTS), **options):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(bench.connect(names[i % len(names)], **options))
               for i in range(count)]


def test_ten_thousand_idle_clients(bench):
    before = bench.clients()
    with undisturbed(bench), many(bench, 10_000) as crowd:
        wait_until(lambda: bench.clients() == before + 10_001, what="all are in")
        crowd[0].sendall(b"PING\n")
        assert crowd[0].recv(100) == b"PONG\n"
    assert bench.reasons()["too_many_clients"] == 0


def test_a_thousand_connects_a_second(bench):
    """Three seconds of them; the last of each hundred says something and is answered."""
    said = {"broker": (b"PING\n", b"PONG\n"),
            "web": (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200")}
    before = {name: bench.shown(name)["connections"] for name in said}
    with undisturbed(bench):
        begin = time.monotonic()
        for i in range(3000):
            name = ("broker", "web")[i // 100 % 2]
            with bench.connect(name) as client:
                if i % 100 == 99:
                    client.sendall(said[name][0])
                    assert client.recv(1000).startswith(said[name][1])
            time.sleep(max(0, begin + i / 1000 - time.monotonic()))
        for name, count in before.items():
            wait_until(lambda name=name, all_=count + 1500:
                       bench.shown(name)["connections"] >= all_, what="all")


def test_who_does_not_read_loses_its_own_and_costs_no_more(bench):
    before = bench.reasons()["output_full"]
    payload = "x" * 500
    with undisturbed(bench), contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(bench.connect("broker", receive_buffer=4096))
            client.sendall(b"SUBSCRIBE|flood\n")
        quick = stack.enter_context(subscriber(bench.lab.inside, "flood"))
        sender = stack.enter_context(LineClient(bench.lab.inside))
        while bench.reasons()["output_full"] < before + 1000:
            sender.send(*[f"PUBLISH|flood|{payload}"] * 500)
            assert sender.lines(500) == ["ACK"] * 500
            assert quick.lines(500) == [payload] * 500
        assert bench.sluice.buffered() <= 21 * OUTPUT_MAX


def test_slow_writers_wait_for_themselves_alone(bench):
    """A byte at a time, of lines and requests that never end."""
    begun = {8080: b"PUBLISH|steady|" + b"y" * 1000, 8081: UPGRADE[:-2] + b"A: " + b"y" * 1000,
             8082: POST + b"y" * 1000, 9000: b'{"messageId": "' + b"y" * 1000}
    with undisturbed(bench), many(bench, 300) as crowd:
        for i in range(100):
            for client in crowd:
                client.send(begun[client.getpeername()[1]][i:i + 1])
        assert bench.sluice.buffered() <= 300 * 1024
        for client in crowd:
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)


def test_half_open_and_reset_in_the_middle(bench):
    half = {8080: b"PUBLISH|steady|ha", 8081: UPGRADE[:100], 8082: POST + b"{",
            9000: b'{"messageId": "ha'}
    before = bench.reasons()["reset"]
    with undisturbed(bench):
        with many(bench, 300) as crowd:
            for client in crowd:
                client.sendall(half[client.getpeername()[1]])
                client.shutdown(socket.SHUT_WR)
            for client in crowd:
                with contextlib.suppress(ConnectionResetError):
                    while client.recv(1000):
                        pass
        wait_until(lambda: bench.reasons()["reset"] >= before + 300, what="those half closed")
        with many(bench, 300) as crowd:
            for client in crowd:
                client.sendall(half[client.getpeername()[1]])
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: bench.reasons()["reset"] == before + 600, what="resets")


def frames(rng):
    """A request that is right, and frames that are not."""
    return UPGRADE + rng.randbytes(rng.randrange(2, 4000))


def lines(rng):
    words = [b"PUBLISH|", b"SUBSCRIBE|", b"REPLICATE|", b"|||", b"PING", b"flood", b"{", b'"a":',
             b"\x00", b"\xff\xfe", b'{"subscribe":7}', b"[" * 70]
    return b"".join(rng.choice(words) + rng.randbytes(rng.randrange(9)) + b"\n" * rng.randrange(2)
                    for _ in range(300))


def requests(rng):
    """A request whose body is not what it says, and what is none."""
    return POST + rng.randbytes(2000) + rng.randbytes(rng.randrange(2, 4000))


def test_garbage_of_all_kinds(bench):
    rng = random.Random(SEED)
    kinds = (lines, frames, requests, lambda rng: rng.randbytes(rng.randrange(1, 20000)),
             lambda rng: b"x" * 200_000)
    before = bench.reasons()
    with undisturbed(bench):
        for kind in kinds:
            with many(bench, 80, receive_buffer=4096) as crowd:
                for client in crowd:
                    client.setblocking(False)
                    with contextlib.suppress(OSError):
                        client.send(kind(rng))
                # What they are answered, they do not read to the end.
                select.select(crowd, [], [], 0.05)
        wait_until(lambda: (now := bench.reasons())["bad_input"] - before["bad_input"] > 1000 and
                   now["too_long"] - before["too_long"] >= 20, what="it is counted")


def test_without_files_it_says_so_and_goes_on(lab):
    """The hard limit is the end: those who wait come in when others go."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with lab.appliance(config()) as sluice:
        bench = Bench(lab, sluice)
        used = len(os.listdir(f"/proc/{sluice.process.pid}/fd"))
        resource.prlimit(sluice.process.pid, resource.RLIMIT_NOFILE, (used + 64 + 20, hard))
        with subscriber(lab.inside, "steady") as old, contextlib.ExitStack() as stack:
            with many(bench, 40):
                sluice.wait_said("connections wait: Too many open files; allow more")
                late = stack.enter_context(LineClient(lab.inside, "PING"))
                late.nothing(within=1.0)
                old.ping()
                assert bench.reasons()["too_many_clients"] > 0
            assert late.line() == "PONG"


def test_a_limit_below_clients_max_is_told_at_the_start(lab):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    appliance = lab.appliance(config())
    appliance.argv = ["prlimit", "--nofile=4096:4096", *appliance.argv]
    with appliance as sluice:
        sluice.wait_said("but it may have 4096: allow more (LimitNOFILE=")
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
