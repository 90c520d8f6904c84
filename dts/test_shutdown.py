# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The end: a signal drains what is queued and leaves with 0, a second one leaves at once."""

import signal
import time

import pytest

from harness import backend, destination, make_config, message, table
from harness.standstill import Standstill


def wait_draining(sluice):
    """Wait until the signal has come, and the path takes nothing more in."""
    sluice.wait_said("delivering what is queued")
    # Who answers has done what it said.
    with sluice.control() as control:
        assert control.explain(destination="table1")["outcome"] == "not received"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_signal_delivers_what_is_queued(lab, number):
    # All of them wait, and go at 200 a second from right before the signal on.
    config = make_config(destination("table1", backend("kitchen1", "10.77.0.11", state="drain"),
                                     rate_msgs_per_s=200, burst_msgs=1), drain_timeout_ms=10000)
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice, sluice.control() as control:
        for i in range(301):
            lab.send(message(i))
        sluice.wait_for(received=301, queued=301)
        control.change(("SET", "BACKEND", {"destination": "table1", "backend": "kitchen1",
                                           "settings": {"state": "ready"}}))
        final = sluice.stop(number)
        assert (final["received"], final["delivered"], final["queued"]) == (301, 301, 0)
        assert final.dropped == {}
        assert [m.id_low for m in kitchen.take(301)] == list(range(301))
        assert "301" in sluice.stderr, "the final statistics are printed"


def test_draining_takes_nothing_more_in(lab):
    config = make_config(table(1, rate_msgs_per_s=20, burst_msgs=1), drain_timeout_ms=10000)
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice:
        for i in range(60):
            lab.send(message(i))
        sluice.wait_for(received=60)
        sluice.send_signal(signal.SIGTERM)
        wait_draining(sluice)
        for i in range(60, 70):
            lab.send(message(i))
        assert sluice.wait_exit() == 0
        final = sluice.stats()
        assert (final["received"], final["delivered"]) == (60, 60)
        assert {m.id_low for m in kitchen.take(60)} == set(range(60))


def test_draining_ends_in_bounded_time(lab):
    """What cannot be delivered in time is a counted drop."""
    config = make_config(table(1, rate_msgs_per_s=10, burst_msgs=1), drain_timeout_ms=500)
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice:
        for i in range(100):
            lab.send(message(i))
        sluice.wait_for(received=100)
        with Standstill() as still:
            started = time.monotonic()
            final = sluice.stop()
            took = time.monotonic() - started
        assert 0.4 < took < 5 + still.seconds
        assert final["queued"] == 0
        assert set(final.dropped) == {"shutdown"}
        assert final["delivered"] + final.dropped["shutdown"] == 100
        kitchen.take(final["delivered"])


def test_a_second_signal_ends_it_at_once(lab):
    config = make_config(table(1, rate_msgs_per_s=1, burst_msgs=1), drain_timeout_ms=60000)
    with lab.appliance(config) as sluice:
        for i in range(50):
            lab.send(message(i))
        sluice.wait_for(received=50)
        sluice.send_signal(signal.SIGTERM)
        # Two that come before it looks would be one.
        wait_draining(sluice)
        assert sluice.process.poll() is None, "it drains"
        with Standstill() as still:
            started = time.monotonic()
            sluice.send_signal(signal.SIGTERM)
            sluice.wait_exit()
            took = time.monotonic() - started
        assert took < 2 + still.seconds


def test_an_idle_appliance_stops_at_once(lab):
    with lab.appliance(make_config(drain_timeout_ms=60000)) as sluice:
        with Standstill() as still:
            started = time.monotonic()
            final = sluice.stop()
            took = time.monotonic() - started
        assert took < 3 + still.seconds
        assert final["received"] == 0
