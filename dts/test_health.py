# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Backends that die in every way: who is sent messages, and how soon no more."""

import contextlib
import itertools
import time

import pytest

from harness import Server, backend, connect, destination, make_config, message
from harness.patience import Deadline, wait_until
from harness.standstill import Standstill

INTERVAL, FAST, TIMEOUT, FALL, RISE = 200, 150, 400, 3, 2
BOUND_S = (INTERVAL + FALL * FAST + TIMEOUT) / 1000

HEALTH = {"interval_ms": INTERVAL, "fast_interval_ms": FAST, "down_interval_ms": INTERVAL,
          "timeout_ms": TIMEOUT, "rise": RISE, "fall": FALL, "notify_after": 5,
          "checks": [{"kind": "http", "path": "/health"}]}

_ids = itertools.count(1)


@pytest.fixture
def managed(lab):
    """The bench with a second cable, between the kernels: what checks from sockets go over."""
    connect(lab.inside, "mgmt0", "02:00:00:00:99:01", lab.outside, "mgmt1", "02:00:00:00:99:02")
    lab.inside.ip("address", "add", "10.78.0.1/24", "dev", "mgmt0")
    lab.outside.ip("address", "add", "10.78.0.2/24", "dev", "mgmt1")
    lab.inside.ip("route", "add", "10.77.0.0/24", "via", "10.78.0.2")
    return lab


class Kitchens:
    """Destination table1 and its backends, and a source that sends steadily."""

    def __init__(self, lab, stack, count, **health):
        addresses = [f"10.77.0.{11 + n}" for n in range(count)]
        for address in addresses:
            lab.ensure_address(address)
        self.lab = lab
        self.servers = [stack.enter_context(Server(lab.outside, address, 9001, late_s=1.0))
                        for address in addresses]
        backends = [backend(f"kitchen{n + 1}", address) for n, address in enumerate(addresses)]
        self.config = make_config(destination("table1", *backends, health={**HEALTH, **health}))
        self.sluice = stack.enter_context(lab.appliance(self.config))
        self.sent = 0

    def wait_up(self):
        """Until every backend has been sent a message."""
        self.send_until(lambda: all(server.arrivals for server in self.servers), "all are up")

    def send(self, seconds):
        """A message every 2 ms."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.lab.send(message(next(_ids)))
            self.sent += 1
            time.sleep(0.002)

    def wait_said(self, backend_name, state):
        """Until the log has a backend come to a state, while messages go on."""
        self.send_until(lambda: f"-> {state}" in self.last_change(backend_name), state)

    def last_change(self, backend_name):
        """The last line about a backend's state."""
        lines = [line for line in self.sluice.stderr.splitlines()
                 if f"backend {backend_name} of table1: " in line and " -> " in line]
        return lines[-1] if lines else ""

    def send_until(self, condition, what):
        """Send until @condition() is true."""
        deadline = Deadline(10)
        while not condition():
            assert not deadline.has_passed(), f"{what}: {self.sluice.stderr}"
            self.send(0.05)

    def arrivals(self):
        return sum(len(s.arrivals) for s in self.servers)

    def wait_settled(self):
        """Wait until everything sent is where it goes: at a backend, or in the queue."""
        stats = self.sluice.wait_for(received=self.sent, dropped={})
        wait_until(lambda: self.arrivals() >= stats["delivered"], what="what is delivered has come")

    def assert_all_arrived(self):
        """Every message came once, at one backend."""
        self.sluice.wait_for(received=self.sent, delivered=self.sent, dropped={})
        wait_until(lambda: self.arrivals() >= self.sent, what="what is delivered has come")
        total = sum((s.ledger for s in self.servers), start=type(self.servers[0].ledger)())
        assert len(total) == self.sent and set(total.values()) == {1}


@pytest.fixture
def kitchens(managed):
    with contextlib.ExitStack() as stack:
        yield lambda count=2, **health: Kitchens(managed, stack, count, **health)


@pytest.mark.parametrize("mode, reason", [
    ("dead", "connection refused"),
    ("hang", "timeout after 400 ms waiting for the end of the header"),
    ("late", "timeout after 400 ms waiting for the end of the header"),
    ("wrong", "status 503, wanted 200-399"),
])
def test_no_more_messages_within_the_bound(kitchens, mode, reason):
    bench = kitchens()
    bench.wait_up()
    with Standstill() as still:
        died = time.monotonic()
        bench.servers[0].mode = mode
        bench.send(BOUND_S + 0.5)
        bench.wait_said("kitchen1", "DOWN")
        bench.send(0.2)
        bench.wait_settled()
    took = bench.servers[0].last_arrival() - died
    print(f"{mode}: no more messages {took * 1000:.0f} ms after death, "
          f"the bound is {BOUND_S * 1000:.0f} ms")
    assert took <= BOUND_S + still.seconds
    assert f"-> DOWN: {reason}" in bench.last_change("kitchen1")
    bench.assert_all_arrived()


def test_a_down_backend_gets_nothing_while_another_is_up(kitchens):
    bench = kitchens()
    bench.wait_up()
    bench.servers[0].mode = "dead"
    bench.wait_said("kitchen1", "DOWN")
    bench.send(0.1)
    bench.wait_settled()
    before = len(bench.servers[0].arrivals)
    bench.send(1.0)
    bench.wait_settled()
    assert len(bench.servers[0].arrivals) == before
    bench.servers[0].mode = "well"
    bench.wait_said("kitchen1", "UP")
    bench.send_until(lambda: len(bench.servers[0].arrivals) > before, "it gets messages again")
    bench.assert_all_arrived()


def test_a_flapping_backend_stays_chosen(kitchens):
    # What it says counts, and not when: an answer that is late would be a failure more.
    bench = kitchens(timeout_ms=10000)
    bench.wait_up()
    bench.servers[0].mode = "flap"
    asked = bench.servers[0].questions
    bench.send_until(lambda: bench.servers[0].questions > asked + 6, "it is asked")
    assert "DOWN" not in bench.last_change("kitchen1")
    before = len(bench.servers[0].arrivals)
    bench.send_until(lambda: len(bench.servers[0].arrivals) > before, "it gets messages")
    bench.assert_all_arrived()


def test_with_all_down_messages_wait_for_the_first_to_come_back(kitchens):
    bench = kitchens()
    bench.wait_up()
    for server in bench.servers:
        server.mode = "dead"
    for name in ("kitchen1", "kitchen2"):
        bench.wait_said(name, "DOWN")
    bench.wait_settled()
    before = bench.arrivals()

    def queue(stats):
        bench.send(0.05)
        return stats["queued"] > 50

    bench.sluice.wait_for(queue)
    bench.wait_settled()
    assert bench.arrivals() - before < 50
    bench.servers[1].mode = "well"
    bench.assert_all_arrived()


def test_panic_uses_all_loudly(kitchens):
    bench = kitchens(panic_threshold_percent=60)
    bench.wait_up()
    bench.servers[0].mode = "dead"
    bench.wait_said("kitchen1", "DOWN")
    bench.sluice.wait_said("destination table1: PANIC: 1 of 2 backends are down")
    bench.wait_settled()
    before = len(bench.servers[0].arrivals)
    bench.send_until(lambda: len(bench.servers[0].arrivals) > before, "it is used")
    bench.servers[0].mode = "well"
    bench.sluice.wait_said("destination table1: panic is over")
    bench.assert_all_arrived()


def test_a_failing_backend_is_told_once_and_its_recovery_once(kitchens):
    bench = kitchens()
    bench.wait_up()
    bench.servers[0].mode = "dead"
    bench.sluice.wait_said("backend kitchen1 of table1: 5 failures in a row: connection refused")
    time.sleep(1.0)
    bench.servers[0].mode = "well"
    bench.sluice.wait_said("backend kitchen1 of table1 has recovered")
    assert bench.sluice.stderr.count("5 failures in a row") == 1
    assert bench.sluice.stderr.count("has recovered") == 1


def test_a_drained_backend_finishes_and_takes_nothing_new(kitchens):
    bench = kitchens()
    bench.wait_up()
    bench.config["destinations"][0]["backends"][0]["state"] = "drain"
    bench.sluice.reload(bench.config)
    bench.wait_said("kitchen1", "DRAINING")
    bench.send(0.1)
    bench.wait_settled()
    before, asked = len(bench.servers[0].arrivals), bench.servers[0].questions
    bench.send(0.6)
    bench.send_until(lambda: bench.servers[0].questions > asked, "it is asked")
    bench.wait_settled()
    assert len(bench.servers[0].arrivals) == before
    bench.assert_all_arrived()
