# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""An ACK of the line protocol means durable, also when the appliance is killed."""

import contextlib
import random
import threading
import time

import pytest

from harness import LineClient, destination, line_listener, line_subscriber
from harness.lines import HOST
from harness.patience import patience, wait_until
from test_json_gateway import PORT, Client

KILLS = 4
BATCH = 50
IN_FLIGHT = 1024  # The default of a destination.


class Ledger:
    """What was sent, acknowledged and delivered: numbers, noted in memory of this process, which
    nobody kills. `sent` is noted before, `acked` and `delivered` behind."""

    def __init__(self):
        self.sent, self.acked, self.delivered = [], [], []

    def check(self):
        assert set(self.delivered) <= set(self.sent)
        assert len(self.acked) == len(set(self.acked)) and set(self.acked) <= set(self.sent)
        assert set(self.acked) <= set(self.delivered)
        # Again comes what was in flight when it was killed.
        assert len(self.delivered) - len(set(self.delivered)) <= KILLS * IN_FLIGHT


class Peer(threading.Thread):
    """Goes on with new connections until it is stopped."""

    def __init__(self, work, *args):
        super().__init__(daemon=True)
        self.work, self.args = work, args
        self.is_stopped = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.is_stopped.is_set():
                with contextlib.suppress(ConnectionError, TimeoutError):
                    self.work(self.is_stopped, *self.args)
                time.sleep(0.01)
        except Exception as error:
            self.error = error
            raise

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_stopped.set()
        self.join(patience(20))
        assert not self.is_alive() and self.error is None, self.error


def publish(is_stopped, lab, ledger, to="orders"):
    """Pipelined, on one connection; what has no ACK when it breaks is never sent again."""
    with LineClient(lab.inside, timeout=15) as client:
        while not is_stopped.is_set():
            numbers = range(len(ledger.sent), len(ledger.sent) + BATCH)
            ledger.sent.extend(numbers)
            client.send(*(f"PUBLISH|{to}|{number}" for number in numbers))
            for number in numbers:
                line = client.line()
                if line is None:
                    return
                assert line == "ACK"
                ledger.acked.append(number)


def subscribe(is_stopped, lab, ledger):
    with LineClient(lab.inside, "SUBSCRIBE|orders") as client:
        while not is_stopped.is_set():
            with contextlib.suppress(TimeoutError):
                line = client.line(timeout=0.2)
                if line is None:
                    return
                ledger.delivered.append(int(line))


def follow(is_stopped, lab, ledger):
    """A durable subscriber, away whenever the appliance is; it speaks JSON, because it needs a name."""
    with Client(lab) as client:
        client.send({"subscribe": "news", "as": "kitchen", "acks": True})
        answer = client.line()
        assert answer is None or answer == {"subscribed": "news", "as": "kitchen"}
        while answer is not None and not is_stopped.is_set():
            # None: it has ended, or is silent; then it comes again.
            answer = client.line(1)
            if answer is not None:
                ledger.delivered.append(int(answer["payload"]["text"]))
                client.send({"received": answer["messageId"]})


def config(lab, **listener):
    return lab.config(destination("orders"), destination("news", kind="topic"),
                      gateways={"threads": 1, "listeners": [line_listener(**listener), {
                          "name": "json", "protocol": "json", "address": HOST, "port": PORT}]})


@pytest.mark.parametrize("take, to", [(subscribe, "orders"), (follow, "news")])
def test_what_was_acknowledged_is_delivered_though_the_appliance_is_killed(durable, take, to):
    """To who reads a queue; and of a topic, to its durable subscriber."""
    rng, ledger = random.Random(5), Ledger()
    with durable.appliance(config(durable, keep_open=True)) as sluice, contextlib.ExitStack() as stack:
        if take is follow:
            with Client(durable) as client:
                assert "subscribed" in client.ask(**{"subscribe": to, "as": "kitchen"})
        stack.enter_context(Peer(take, durable, ledger))
        with Peer(publish, durable, ledger, to):
            for _ in range(KILLS):
                acked = len(ledger.acked)
                wait_until(lambda: len(ledger.acked) > acked + 2 * BATCH, 20, "acks")
                time.sleep(rng.random() * 0.2)
                sluice.crash()
                sluice.restart()
            acked = len(ledger.acked)
            wait_until(lambda: len(ledger.acked) > acked + 2 * BATCH, 20, "acks at the end")
        wait_until(lambda: set(ledger.acked) <= set(ledger.delivered), 30,
                   "what was acknowledged is delivered")
        ledger.check()
        assert len(ledger.acked) > KILLS * 2 * BATCH


def test_an_ack_comes_when_the_message_is_in_the_journal(durable):
    with durable.appliance(config(durable)) as sluice:
        with LineClient(durable.inside, "PUBLISH|orders|kept") as client:
            assert client.rest() == ["ACK"]
        sluice.crash()
        assert len(durable.journal().undelivered()) == 1
        sluice.restart()
        with LineClient(durable.inside, "SUBSCRIBE|orders") as client:
            assert client.line() == "kept"


def test_topics_may_be_durable_too(durable):
    with durable.appliance(config(durable, guarantee="at-least-once")), \
            line_subscriber(durable.inside, "made") as one, \
            line_subscriber(durable.inside, "made") as two, \
            LineClient(durable.inside) as publisher:
        publisher.send(*(f"PUBLISH|made|{i}" for i in range(300)))
        assert publisher.rest() == ["ACK"] * 300
        for client in (one, two):
            assert client.lines(300) == [str(i) for i in range(300)]
            client.nothing()
