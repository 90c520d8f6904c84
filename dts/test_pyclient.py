# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client in Python: its guarantees, over networks that lose, double and reorder, with ends that
refuse, forget and restart. The other end is the fake appliance, the judge an outside ledger."""

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import uuid

import pytest

from harness import BUILD, ROOT, encode, message, name_key, pb2
from harness.client import PYTHON_CLIENT, sluice
from harness.fake import FakeAppliance
from harness.journal import Journal
from harness.ledger import ACKED, DELIVERED, SENT, Ledger
from harness.patience import patience, wait_until
from harness.relay import BadNetwork
from harness.sockets import free_udp_port

HOST = "127.0.0.1"
PYTHON = "/usr/bin/python3"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(PYTHON_CLIENT)}


def entry_of(source, ident, destination):
    """What the ledger calls a message by."""
    return struct.pack("<QBQBQBQ", source, 0x11, ident >> 64, 0x19, ident & (1 << 64) - 1, 0x21,
                       destination)


class LedgerPublisher:
    """A Publisher that keeps the ledger."""

    def __init__(self, ledger, *appliances, name="pub1", **options):
        self.publisher = sluice.Publisher(*appliances, source=name, **options)
        self.sent = ledger.writer(SENT, name)
        self.acked = ledger.writer(ACKED, name)
        self.source, self.destination = name_key(name), name_key("table1")

    def __enter__(self):
        self.publisher.__enter__()
        return self

    def __exit__(self, *error):
        self.publisher.__exit__(*error)

    def send(self, ident, payload=b""):
        entry = entry_of(self.source, ident, self.destination)
        self.sent.add([entry])
        future = self.publisher.submit("table1", payload or b"%d" % ident, id=ident)
        future.add_done_callback(
            lambda done: self.acked.add([entry]) if done.exception() is None else None)
        return future


class LedgerConsumer:
    """A Consumer in a thread of its own that keeps the ledger."""

    def __init__(self, ledger, port, name="kitchen1", **options):
        self.consumer = sluice.Consumer(HOST, port, **options)
        self.got = []
        self._delivered = ledger.writer(DELIVERED, name)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.consumer.close()
        self._thread.join(patience(5))

    def _run(self):
        for m in self.consumer:
            self._delivered.add([entry_of(m.source, m.id, m.destination)])
            self.got.append(m)


class Bench:
    def __init__(self, tmp_path, **options):
        self.ledger = Ledger(tmp_path / "ledger")
        self.journal_dir = tmp_path / "journal"
        self.journal_dir.mkdir()
        self.port = free_udp_port()
        self.options = options

    def fake(self, to=None, **options):
        return FakeAppliance(self.journal_dir, {"table1": [to or (HOST, self.port)]},
                             **{**self.options, **options})

    def report(self):
        return self.ledger.report(lambda: Journal(self.journal_dir))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


# Both ends and the fake appliance.

@pytest.mark.parametrize("seed", range(6))
def test_a_bad_network_loses_nothing(bench, seed):
    with BadNetwork((HOST, bench.port), seed, loss=0.1) as way_out, \
            bench.fake(way_out.address) as fake, \
            BadNetwork(fake.address, seed + 100, loss=0.1) as way_in, \
            LedgerConsumer(bench.ledger, bench.port) as kitchen:
        with LedgerPublisher(bench.ledger, way_in.address) as source:
            for ident in range(1, 801):
                source.send(ident, b"%d eggs" % ident)
        wait_until(fake.is_drained, 20, "drained")
        assert way_in.counts["lost"] > 0 and way_out.counts["lost"] > 20
        report = bench.report()
        report.check(drained=True, duplicates=0)
        assert (report.sent, report.acked, report.delivered) == (800, 800, 800)
        assert all(m.payload == b"%d eggs" % m.id for m in kitchen.got)
        assert [m.sequence for m in kitchen.got] == list(range(1, 801))


def test_order_is_kept_where_nothing_is_lost(bench):
    with bench.fake() as fake, LedgerConsumer(bench.ledger, bench.port):
        with LedgerPublisher(bench.ledger, fake.address) as source:
            for ident in range(1, 1001):
                source.send(ident)
        wait_until(fake.is_drained, 10, "drained")
    bench.report().check(drained=True, duplicates=0, reordered=0)


@pytest.mark.parametrize("after", [20, 1500], ids=["near its begin", "far from it"])
def test_a_restarted_appliance_gets_it_all_again_under_the_same_ids(bench, after):
    with bench.fake() as fake, LedgerConsumer(bench.ledger, bench.port):
        with LedgerPublisher(bench.ledger, fake.address) as source:
            for ident in range(1, 2001):
                source.send(ident)
                if ident == after:
                    wait_until(lambda: bench.ledger.count(ACKED) > after / 2, what="acks")
                    fake.restart()
                elif ident % 50 == 0:
                    time.sleep(0.01)
            source.publisher.flush(patience(20))
            assert source.publisher.stats["sessions"] >= 2
        wait_until(fake.is_drained, 20, "drained")
        bench.report().check(drained=True, duplicates=0)


def test_an_appliance_that_is_away_for_a_while(bench):
    fake = bench.fake()
    with fake, LedgerConsumer(bench.ledger, bench.port), \
            LedgerPublisher(bench.ledger, fake.address) as source:
        source.send(1).result(patience(5))
        fake.crash()
        futures = [source.send(ident) for ident in range(2, 50)]
        time.sleep(0.5)
        assert not any(f.done() for f in futures)
        fake.start()
        source.publisher.flush(patience(10))
        wait_until(fake.is_drained, 20, "drained")
    bench.report().check(drained=True, duplicates=0)


def test_fail_over_to_the_next_appliance(bench, tmp_path):
    """What the first did not acknowledge is sent to the second, and from there to the first again
    when that is the one that is left."""
    second = FakeAppliance(tmp_path, {"table1": [(HOST, bench.port)]})
    with bench.fake() as first, LedgerConsumer(bench.ledger, bench.port), second, \
            LedgerPublisher(bench.ledger, first.address, second.address,
                            failover_s=0.3) as source:
        source.send(1).result(patience(5))
        first.crash()
        for ident in range(2, 100):
            source.send(ident)
        source.publisher.flush(patience(10))
        assert source.publisher.stats["appliance"] == second.address
        first.start()
        second.crash()
        source.send(100).result(patience(10))
        assert source.publisher.stats["failovers"] >= 2
        assert source.publisher.stats["appliance"] == first.address
        second.start()
        wait_until(lambda: first.is_drained() and second.is_drained(), 20, "drained")
    bench.ledger.report().check(drained=True)


def test_a_name_that_is_not_found_is_passed_over(bench):
    """The first is gone, the second is an interface that there is not, and then the first is back."""
    with bench.fake() as fake, LedgerConsumer(bench.ledger, bench.port), \
            LedgerPublisher(bench.ledger, fake.address, "[fe80::1%nowhere]:7500",
                            failover_s=0.3) as source:
        source.send(1).result(patience(5))
        fake.crash()
        future = source.send(2)
        wait_until(lambda: source.publisher.stats["failovers"] >= 1, 10, "it has looked for it")
        fake.start()
        future.result(patience(10))


def test_a_name_that_moves_to_another_address_is_followed(bench, monkeypatch):
    """It is the only one. The system's resolver is played: what it says of the name changes."""
    look_up, at = socket.getaddrinfo, []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **how: look_up(
        *(at[0] if host == "moving" else (host, port)), **how))
    with bench.fake() as first, bench.fake() as second, \
            LedgerConsumer(bench.ledger, bench.port):
        at[:] = [first.address]
        with LedgerPublisher(bench.ledger, "moving", failover_s=0.3) as source:
            source.send(1).result(patience(5))
            first.crash()
            at[:] = [second.address]
            source.send(2).result(patience(10))
            assert source.publisher.stats["failovers"] >= 1


def test_a_restarted_consumer_gets_what_was_not_done(bench):
    with bench.fake() as fake, LedgerPublisher(bench.ledger, fake.address) as source:
        for ident in range(1, 601):
            source.send(ident)
        first = sluice.Consumer(HOST, bench.port, credit=64)
        done = [next(first).id for _ in range(300)]
        held = next(first).id  # the 300 are done now, this one is not
        with pytest.raises(RuntimeError), first:
            raise RuntimeError("the application fails")
        with sluice.Consumer(HOST, bench.port, credit=64) as second:
            rest = [second.get(patience(5)).id for _ in range(600 - 300)]
        assert held == rest[0]
        assert done + rest == list(range(1, 601))
        wait_until(fake.is_drained, 5, "drained")


def test_redeliveries_are_handed_out_once(bench):
    """The fake sends some messages twice, the second time with another sequence."""
    with bench.fake(fault="twice") as fake, LedgerConsumer(bench.ledger, bench.port) as kitchen:
        with LedgerPublisher(bench.ledger, fake.address) as source:
            for ident in range(1, 501):
                source.send(ident)
        wait_until(fake.is_drained, 10, "drained")
        assert kitchen.consumer.stats["redelivered"] > 0
    bench.report().check(drained=True, duplicates=0)


def test_acks_by_hand_and_in_any_order(bench):
    with bench.fake() as fake, LedgerPublisher(bench.ledger, fake.address) as source:
        for ident in range(1, 21):
            source.send(ident)
        source.publisher.flush(patience(5))
        with sluice.Consumer(HOST, bench.port, auto_ack=False) as kitchen:
            got = [kitchen.get(patience(5)) for _ in range(20)]
            time.sleep(0.2)
            assert len(Journal(bench.journal_dir).undelivered()) == 20
            for m in got[::-2]:
                m.ack()
                m.ack()
            wait_until(lambda: len(Journal(bench.journal_dir).undelivered()) == 10, 5, "half done")
            assert kitchen.get(0.1) is None and kitchen.stats["done"] == 10
        with sluice.Consumer(HOST, bench.port) as kitchen:
            assert [kitchen.get(patience(5)).id for _ in range(10)] == [m.id for m in got[::2]]


def test_a_consumer_takes_no_more_than_its_credit(bench):
    with bench.fake() as fake, LedgerPublisher(bench.ledger, fake.address) as source, \
            sluice.Consumer(HOST, bench.port, credit=16, auto_ack=False) as kitchen:
        for ident in range(1, 101):
            source.send(ident)
        source.publisher.flush(patience(5))
        first = [kitchen.get(patience(5)) for _ in range(16)]
        assert kitchen.get(0.2) is None
        first[0].ack()
        assert kitchen.get(patience(5)).id == 17 and kitchen.get(0.2) is None


def test_messages_without_a_session_are_handed_out_too():
    with sluice.Consumer(HOST, free_udp_port()) as kitchen, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(encode(message(1, payload=b"once"), message(1)), kitchen.address)
        assert kitchen.get(patience(5)).payload == b"once" and kitchen.get(patience(5)).payload == b""


def test_it_may_end_while_somebody_wakes_it():
    """A consumer's thread sees that it is closed by itself, too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        is_over = threading.Event()
        loop = sluice.address.Loop("a loop", lambda _: None if is_over.is_set() else (quiet, 0.01),
                                   lambda: None)
        wake_write = loop._wake_write

        class Interrupted:
            """The thread has ended, or has to wait, before the byte is sent."""

            @staticmethod
            def send(byte):
                is_over.set()
                loop._thread.join(0.2)
                return wake_write.send(byte)

            close = wake_write.close

        loop._wake_write = Interrupted()
        loop.start()
        while not is_over.is_set():
            loop.wake()
        loop.join()
        loop.wake()
        assert wake_write.fileno() == -1


def test_a_probe_is_answered():
    with sluice.Consumer(HOST, free_udp_port()) as kitchen, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.settimeout(patience(5))
        question = pb2.Datagram(magic=sluice.wire.MAGIC, epoch=1, session=0,
                                probe=pb2.Probe(nonce=77, reply=False))
        out.sendto(question.SerializeToString(), kitchen.address)
        answer = pb2.Datagram.FromString(out.recv(2048)).probe
        assert (answer.nonce, answer.reply, answer.in_flight) == (77, True, 0)


def from_epoch(epoch, ident, session, sequence=1):
    """A datagram as an appliance of that epoch sends it to a backend."""
    return encode(message(ident, sequence=sequence, flags=1), epoch=epoch, session=session)


def test_a_high_epoch_that_anybody_claims_silences_nobody(bench):
    """One datagram from the appliance's own host; it is counted what is below it."""
    with bench.fake() as fake, LedgerConsumer(bench.ledger, bench.port) as kitchen, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(from_epoch(2**32 - 1, 999, session=77), (HOST, bench.port))
        wait_until(lambda: kitchen.consumer.stats["done"] == 1, what="the one that claims it")
        with LedgerPublisher(bench.ledger, fake.address) as source:
            for ident in range(1, 21):
                source.send(ident)
        wait_until(fake.is_drained, 10, "drained")
        assert [m.id for m in kitchen.got[1:]] == list(range(1, 21))
        assert kitchen.consumer.stats["old_epochs"] >= 1


def test_only_those_who_are_accepted_are_heard():
    with sluice.Consumer("", free_udp_port(), accept_from="127.0.0.2,localhost") as kitchen, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.3", 0))
        stranger.sendto(from_epoch(2**32 - 1, 1, session=7), (HOST, kitchen.address[1]))
        wait_until(lambda: kitchen.stats["not_accepted"] == 1, what="it is counted")
        out.sendto(from_epoch(1, 2, session=8), (HOST, kitchen.address[1]))
        assert kitchen.get(patience(5)).id == 2
        assert (kitchen.stats["received"], kitchen.stats["old_epochs"]) == (1, 0)
    with pytest.raises(OSError):
        sluice.Consumer(HOST, free_udp_port(), accept_from=["no.such.host.invalid"])


def test_the_epoch_of_who_is_accepted_is_believed_until_nobody_claims_it():
    """So an appliance that has another above it is not heard; one whose epoch was lowered is."""
    with sluice.Consumer(HOST, free_udp_port(), accept_from=[HOST],
                         session_idle_s=4.0) as kitchen, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(from_epoch(9, 1, session=7), kitchen.address)
        out.sendto(from_epoch(8, 2, session=8), kitchen.address)
        assert kitchen.get(patience(5)).id == 1
        wait_until(lambda: kitchen.stats["old_epochs"] == 1, what="the other is not heard")
        assert kitchen.stats["received"] == 1

        def again():
            out.sendto(from_epoch(8, 2, session=8), kitchen.address)
            return kitchen.get(0.05)
        assert wait_until(again, 10, "the epoch is forgotten").id == 2


class HandAppliance:
    """The receiving end of a publisher, whose every ack the test decides."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.address = self._socket.getsockname()
        self.got = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def take(self, within=None):
        """One datagram: (session, its sequences). @within: of one that need not come."""
        self._socket.settimeout(patience(5) if within is None else within)
        data, self.peer = self._socket.recvfrom(65536)
        datagram = pb2.Datagram.FromString(data)
        self.got.append((datagram.session, [m.sequence for m in datagram.messages]))
        return self.got[-1]

    def take_beyond(self, sequence):
        """The next datagram with anything behind @sequence. (What is up to there may have been sent
        again, when it was not acknowledged in time.)"""
        while max(self.take()[1], default=0) <= sequence:
            pass
        return self.got[-1]

    def drop(self):
        """What has come is not looked at."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.take(0)

    def take_until(self, sequence):
        while True:
            session, sequences = self.take()
            if sequence in sequences:
                return session

    def ack(self, session, cumulative, limit, highest=None, selective=b"", epoch=0):
        ack = pb2.Ack(session=session, cumulative=cumulative, highest=highest or cumulative,
                      selective=selective, credit_limit=limit, echo_timestamp_ns=0, ack_delay_ns=0)
        self._socket.sendto(pb2.Datagram(magic=sluice.wire.MAGIC, epoch=epoch, session=0,
                                         ack=ack).SerializeToString(), self.peer)


def test_credit_is_kept_to_and_asked_for():
    """No more than the credit is sent, but for one message when nothing else is on its way: the ack
    that gives more may have been lost."""
    with HandAppliance() as appliance, \
            sluice.Publisher(appliance.address, source="server1") as publisher:
        first = publisher.submit("table1", b"x")
        session = appliance.take_until(1)
        appliance.ack(session, 1, limit=70)
        first.result(patience(5))
        futures = [first] + [publisher.submit("table1", b"x") for _ in range(99)]
        appliance.take_until(70)
        appliance.ack(session, 70, limit=70)
        assert [appliance.take_beyond(70) for _ in range(3)] == [(session, [71])] * 3
        assert futures[69].done() and not futures[70].done()
        appliance.ack(session, 71, limit=100)
        appliance.take_until(100)
        appliance.ack(session, 100, limit=100)
        publisher.flush(patience(5))


def test_several_gaps_are_filled_and_nothing_else_is_sent_again():
    with HandAppliance() as appliance, \
            sluice.Publisher(appliance.address, source="server1", mtu=130) as publisher:
        for _ in range(12):
            publisher.submit("table1")
        session = appliance.take_until(10)
        # All but 3 and 6 have come.
        appliance.ack(session, 2, limit=1000, highest=10, selective=bytes([0b0111_1011]))
        # What was sent before that was heard does not count.
        wait_until(lambda: publisher.stats["durable"] == 8, what="the ack is heard")
        appliance.drop()
        missing = set()
        while not {3, 6, 11, 12} <= missing:
            missing |= set(appliance.take()[1])
        while True:
            try:
                missing |= set(appliance.take(0.1)[1])
            except TimeoutError:
                break
        assert missing == {3, 6, 11, 12}
        appliance.ack(session, 12, limit=1000)
        publisher.flush(patience(5))


def test_refused_again_and_again_it_does_not_flood():
    with HandAppliance() as appliance, \
            sluice.Publisher(appliance.address, source="server1") as publisher:
        future = publisher.submit("table1", b"x")
        sessions, begin = set(), time.monotonic()
        while time.monotonic() - begin < 0.5 or len(sessions) < 3:
            session, sequences = appliance.take()
            assert sequences == [1]
            sessions.add(session)
            appliance.ack(session, 0, limit=0)
        assert len(sessions) <= 12
        session, _ = appliance.take()
        appliance.ack(session, 1, limit=10)
        assert future.result(patience(5))


def test_an_appliance_whose_epoch_was_lowered_is_believed_after_a_silence():
    """It is the only one, and what it says is of no use before."""
    with HandAppliance() as appliance, \
            sluice.Publisher(appliance.address, source="server1", failover_s=0.3) as publisher:
        first = publisher.submit("table1")
        appliance.ack(appliance.take_until(1), 1, limit=70, epoch=5)
        first.result(patience(5))
        begin = time.monotonic()
        second = publisher.submit("table1")
        while not second.done():
            try:
                session, _ = appliance.take(0.1)
            except TimeoutError:
                continue  # it is just being settled
            appliance.ack(session, 2, limit=70, epoch=4)
        assert time.monotonic() - begin > 0.25


def test_a_message_for_nobody_is_given_up_and_holds_the_others_up_no_more(bench):
    """The window is full behind it; then they go on in another session."""
    with bench.fake(window=64) as fake, LedgerConsumer(bench.ledger, bench.port), \
            LedgerPublisher(bench.ledger, fake.address, failover_s=0.2,
                            message_timeout_s=5.0) as source:
        with pytest.raises(sluice.GivenUp, match="not durable within 5.0 s"):
            source.publisher.publish("nowhere", b"x", id=1)
        for ident in range(2, 302):
            source.send(ident)
        source.publisher.flush(patience(10))
        stats = source.publisher.stats
        assert (stats["durable"], stats["failed"], stats["pending"]) == (300, 1, 0)
        assert stats["sessions"] >= 2
        wait_until(fake.is_drained, 10, "drained")
    bench.report().check(drained=True, duplicates=0)


def test_what_was_never_sent_is_given_up_as_well():
    """There is credit for one; each fails by itself, and makes room."""
    with HandAppliance() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1", max_pending=4,
                                     failover_s=60, message_timeout_s=2.5)
        first = publisher.submit("table1")
        session = appliance.take_until(1)
        appliance.ack(session, 1, limit=2)
        first.result(patience(5))
        futures = [publisher.submit("table1", b"%d" % n) for n in range(8)]
        for future in futures:
            assert isinstance(future.exception(patience(10)), sluice.GivenUp)
        publisher.flush(patience(5))
        assert {sequence for _, sequences in appliance.got for sequence in sequences} <= {1, 2}
        # What is acknowledged after all changes nothing.
        appliance.take()
        appliance.ack(session, 2, limit=100)
        publisher.submit("table1")
        appliance.take_until(3)
        appliance.ack(session, 3, limit=100)
        publisher.close(patience(5))
        stats = publisher.stats
        assert (stats["durable"], stats["failed"], stats["pending"]) == (2, 8, 0)


def test_publish_waits_for_room_and_for_the_ack():
    with HandAppliance() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1", max_pending=2)
        with pytest.raises(TimeoutError):
            publisher.publish("table1", b"x", timeout=0.05)
        publisher.submit("table1", b"y")
        third = threading.Thread(target=publisher.submit, args=("table1", b"z"), daemon=True)
        third.start()
        third.join(0.2)
        assert third.is_alive() and publisher.stats["pending"] == 2
        session = appliance.take_until(2)
        appliance.ack(session, 1, limit=100)
        third.join(patience(5))
        assert not third.is_alive()
        appliance.take_until(3)
        appliance.ack(session, 3, limit=100)
        publisher.close(patience(5))
        with pytest.raises(sluice.Closed):
            publisher.submit("table1")


def test_closing_in_time_tells_what_is_not_durable():
    with HandAppliance() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1")
        future = publisher.submit("table1", b"x")
        with pytest.raises(TimeoutError, match="1 messages"):
            publisher.close(0.1)
        with pytest.raises(sluice.Closed):
            future.result(patience(1))


def test_ids_and_what_is_no_message():
    with HandAppliance() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1")
        unique = uuid.UUID(int=5 << 64 | 6)
        futures = [publisher.submit("table1", b"", id=ident) for ident in (7, unique, "order-1")]
        futures += [publisher.submit("table1"), publisher.submit("table1")]
        session = appliance.take_until(5)
        appliance.ack(session, 5, limit=100)
        ids = [f.result(patience(5)) for f in futures]
        assert ids[:3] == [7, 5 << 64 | 6, sluice.text_id("order-1")]
        assert ids[3] != ids[4]
        for wrong, words in (({"payload": bytes(1400)}, "do not fit"), ({"id": -1}, "128 bits"),
                             ({"priority": 9}, "priority 9")):
            with pytest.raises(ValueError, match=words):
                publisher.submit("table1", **wrong)
        publisher.close()
    for wrong in ("[::1", "host:http", "host:0", "[::1]7500"):
        with pytest.raises(ValueError, match=re.escape(wrong)):
            sluice.Publisher(wrong, source="server1")


@pytest.mark.parametrize("seed", range(3))
def test_noise_does_not_disturb(bench, seed):
    """Anybody may send anything to a consumer's port, and what comes from the appliance's to a
    publisher: broken datagrams, acks of other sessions, acks of what was never sent."""
    rng = random.Random(seed)
    with bench.fake() as fake, LedgerConsumer(bench.ledger, bench.port) as kitchen, \
            LedgerPublisher(bench.ledger, fake.address) as source, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        publisher_address = source.publisher._socket.getsockname()
        good = encode(message(1, sequence=1), session=5)
        for ident in range(1, 301):
            source.send(ident)
            noise = bytearray(good[:rng.randrange(len(good))] + rng.randbytes(rng.randrange(80)))
            out.sendto(noise, (HOST, bench.port))
            fake._socket.sendto(noise, publisher_address)
            ack = bytearray(sluice.wire.put_ack(sluice.wire.Ack(
                rng.choice((rng.getrandbits(64), source.publisher._sender.session)) or 1,
                1 << 40, 1 << 40, b"", 1 << 41)))
            ack[6:10] = (1).to_bytes(4, "little")  # the epoch of the appliance
            fake._socket.sendto(ack, publisher_address)
        source.publisher.flush(patience(10))
        wait_until(fake.is_drained, 10, "drained")
        assert source.publisher.stats["bad_acks"] > 0 and kitchen.consumer.stats["bad_datagrams"]
    bench.report().check(drained=True, duplicates=0)


# With the client library in C: both read the same page, and nothing of each other.

SLUICE_PUB = BUILD / "app" / "sluice-pub" / "sluice-pub"
SLUICE_SUB = BUILD / "app" / "sluice-sub" / "sluice-sub"


@pytest.mark.parametrize("seed", range(3))
def test_from_c_to_python(bench, seed):
    with BadNetwork((HOST, bench.port), seed, loss=0.05) as way_out, \
            bench.fake(way_out.address) as fake, \
            BadNetwork(fake.address, seed + 100, loss=0.05) as way_in, \
            sluice.Consumer(HOST, bench.port) as kitchen:
        lines = "".join(f"order {n}\n" for n in range(500))
        pub = subprocess.Popen([SLUICE_PUB, "-h", f"{HOST}:{way_in.address[1]}", "-d", "table1",
                                "-s", "server1", "-l", "-i", "order"], stdin=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        _, said = pub.communicate(lines, timeout=patience(20))
        assert pub.returncode == 0, said
        got = [kitchen.get(patience(5)) for _ in range(500)]
        assert kitchen.get(0.1) is None
        assert sorted(m.payload for m in got) == sorted(lines.encode().splitlines())
        assert {m.source for m in got} == {name_key("server1")}
        # The ids of texts are the same in both.
        assert all(m.id == sluice.text_id(m.id_text) for m in got)
        wait_until(fake.is_drained, 10, "drained")


@pytest.mark.parametrize("seed", range(3))
def test_from_python_to_c(bench, seed):
    sub = subprocess.Popen([SLUICE_SUB, "-h", HOST, "-p", str(bench.port), "-C", "500", "-j", "-W",
                            "20"], stdout=subprocess.PIPE, text=True)
    with BadNetwork((HOST, bench.port), seed, loss=0.05) as way_out, \
            bench.fake(way_out.address) as fake, \
            BadNetwork(fake.address, seed + 100, loss=0.05) as way_in:
        with sluice.Publisher(way_in.address, source="server1") as publisher:
            for n in range(500):
                publisher.submit("table1", f"order {n}", id=f"order-{n}")
        said, _ = sub.communicate(timeout=patience(30))
        assert sub.returncode == 0
        got = [json.loads(line) for line in said.splitlines()]
        assert sorted(m["payload"] for m in got) == sorted(f"order {n}" for n in range(500))
        assert len({m["id"] for m in got}) == 500


# The commands, the documents, the package.

def run_client(*args, **options):
    return subprocess.run([PYTHON, "-m", "sluice", *map(str, args)], env=ENVIRONMENT, text=True,
                          capture_output=True, timeout=patience(20), **options)


def test_messages_from_a_shell(bench):
    with bench.fake() as fake:
        sub = subprocess.Popen([PYTHON, "-m", "sluice", "sub", "-h", f"{HOST}:{bench.port}", "-C",
                                "4", "-j", "-W", "30"], env=ENVIRONMENT, text=True,
                               stdout=subprocess.PIPE)
        common = ("pub", "-h", HOST, "-p", fake.address[1], "-s", "server1", "-d", "table1")
        assert run_client(*common, "-m", "eggs", "-t", "breakfast", "-i", "order-1").returncode == 0
        assert run_client(*common, "-l", input="one\ntwo\n").returncode == 0
        assert run_client(*common, "-f", "-", input="three\n").returncode == 0
        said, _ = sub.communicate(timeout=patience(40))
        assert sub.returncode == 0
        got = [json.loads(line) for line in said.splitlines()]
        assert [m["payload"] for m in got] == ["eggs", "one", "two", "three\n"]
        assert got[0]["id_text"] == "order-1" and int(got[0]["type"], 16) == name_key("breakfast")
        wait_until(fake.is_drained, 5, "drained")


def test_what_goes_wrong_in_a_shell(bench):
    common = ("pub", "-s", "server1", "-d", "table1", "-m", "x")
    late = run_client(*common, "-h", f"{HOST}:{bench.port}", "-W", "0.2")
    assert late.returncode == 1 and "not durable" in late.stderr
    wrong = run_client(*common, "-h", "host:no")
    assert wrong.returncode == 1 and "no port" in wrong.stderr
    idle = run_client("sub", "-h", HOST, "-p", bench.port, "-W", "0.2", "-C", "1")
    assert idle.returncode == 1 and "0 of 1 messages" in idle.stderr
    assert run_client("sub", "-h", HOST, "-p", bench.port, "-W", "0.2").returncode == 0
    assert run_client("pub").returncode == 2
    with sluice.Consumer(HOST, bench.port):
        used = run_client("sub", "-h", f"{HOST}:{bench.port}")
        assert used.returncode == 1 and str(bench.port) in used.stderr


def programs():
    """The Python programs of docs/python.md by the names they are given there."""
    text = (ROOT / "docs" / "python.md").read_text()
    return dict(re.findall(r"`(\w+\.py)[^`]*`[^\n]*:\n\n```python\n(.*?)^```", text, re.M | re.S))


def test_the_programs_of_the_documentation(bench, tmp_path):
    found = programs()
    assert {"publish.py", "consume.py"} <= found.keys()
    for name in ("publish.py", "consume.py"):
        (tmp_path / name).write_text(found[name])
        assert len(found[name].splitlines()) <= 10, name
    with bench.fake() as fake:
        consume = subprocess.Popen([PYTHON, "-u", tmp_path / "consume.py", HOST, str(bench.port)],
                                   env=ENVIRONMENT, text=True, stdout=subprocess.PIPE)
        try:
            done = subprocess.run([PYTHON, tmp_path / "publish.py", f"{HOST}:{fake.address[1]}"],
                                  env=ENVIRONMENT, text=True, capture_output=True, timeout=patience(20))
            assert done.returncode == 0, done.stderr
            assert "durable" in done.stdout
            assert "eggs" in consume.stdout.readline()
            wait_until(fake.is_drained, 5, "drained")
        finally:
            consume.send_signal(signal.SIGKILL)
            consume.wait()
            consume.stdout.close()


def test_the_package_installs(tmp_path):
    source = tmp_path / "source"
    subprocess.run(["cp", "-r", PYTHON_CLIENT, source], check=True)
    done = subprocess.run([PYTHON, "-m", "pip", "install", "--no-build-isolation", "--no-deps",
                           "--no-index", "--target", tmp_path / "site", source],
                          capture_output=True, text=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
    said = subprocess.run([PYTHON, "-m", "sluice", "--help"], cwd=tmp_path / "site",
                          capture_output=True, text=True, timeout=patience(20), check=True).stdout
    assert "pub" in said and "sub" in said
    installed = {p.name for p in (tmp_path / "site" / "sluice").glob("*.py")}
    assert installed == {p.name for p in (PYTHON_CLIENT / "sluice").glob("*.py")}
    meson = (PYTHON_CLIENT / "meson.build").read_text()
    assert installed == set(re.findall(r"sluice/(\w+\.py)", meson))
