# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""At-least-once destinations, from outside: an ack means durable, and what is durable is delivered.

Publishers and backends are played by hand where it matters which datagram comes when, and are
processes with a ledger where it matters that nothing is missing."""

import collections
import contextlib
import os
import random
import sqlite3
import time

from harness import (ADDRESS, MemifLab, appliance_mac, backend, destination, message, pb2, peer_mac,
                     port, sink_backend, table)
from harness.cli import Cli
from harness.client import sluice
from harness.durable import HandBackend, HandPublisher
from harness.faults import Faults
from harness.journal import DEAD, MESSAGE
from harness.ledger import ACKED, DELIVERED
from harness.patience import Deadline, patience, wait_until
from harness.postgres import Postgres
from harness.standstill import Standstill

# Quick to find what is missing; the tests wait for it.
SHORT = {"requeue_after_ms": 500}


def idents(journal):
    """The ids (low halves) of the messages in a journal, in their order."""
    return [int.from_bytes(m.data[19:27], "little") for m in journal.messages]


def bits(*sequences):
    """What is selective of an ack that has nothing else."""
    return sum(1 << sequence - 2 for sequence in sequences).to_bytes(3, "little")


# Publishers.

def test_an_ack_means_it_is_in_the_journal(durable):
    """Without any backend; at the moment the ack comes the record is in the file, and whole."""
    with durable.appliance(), HandPublisher(durable) as source:
        for n in range(1, 21):
            source.send(n)
            source.wait_ack(lambda ack: ack.cumulative == n)
            assert idents(durable.journal()) == list(range(1, n + 1))
        [first, *_] = durable.journal().messages
        assert first.session == source.session
        kept = pb2.Message.FromString(first.data)
        assert (kept.id_low, kept.sequence, kept.payload) == (1, 1, b"by hand")


def test_an_ack_says_what_there_is_to_say(durable):
    with durable.appliance(durable.config(publishers={"window": 256})), \
            HandPublisher(durable) as source:
        source.send(1, 2, 3)
        ack = source.wait_acked(1, 2, 3)
        assert (ack.session, ack.cumulative, ack.highest) == (source.session, 3, 3)
        assert ack.credit_limit == 3 + 256 and ack.selective == b""
        assert 0 < ack.echo_timestamp_ns <= time.time_ns()


def test_a_duplicate_of_a_durable_message_is_acknowledged_again(durable):
    with durable.appliance(), HandPublisher(durable) as source, \
            HandPublisher(durable) as second, HandBackend(durable) as kitchen:
        source.send(1, 2, 3)
        source.wait_acked(1, 2, 3)
        source.poll(0.2)
        source.send(2)
        source.wait_acked(1, 2, 3)
        # The same messages in another session: acknowledged there, and delivered once.
        second.send(1, 2, ids=(2, 3))
        second.wait_acked(1, 2)
        kitchen.take(3)
        kitchen.ack(3)
        kitchen.poll(0.3)
        assert sorted({ident for _, _, ident in kitchen.got}) == [1, 2, 3]
        assert idents(durable.journal()) == [1, 2, 3]


def test_a_duplicate_of_a_message_that_is_not_durable_is_not_acknowledged(durable):
    """As long as the disk has not said that it has it."""
    faults = Faults(durable.dir, durable.journal_dir)
    with durable.appliance(env=faults.env), HandPublisher(durable) as source, \
            HandPublisher(durable) as second:
        source.send(1)
        source.wait_acked(1)
        faults.begin("hold-sync")
        source.send(2)
        second.send(1, ids=(2,))
        source.send(2)
        source.nothing(0.3)
        second.nothing(0.1)
        faults.end("hold-sync")
        source.wait_acked(1, 2)
        second.wait_acked(1)
        assert idents(durable.journal()) == [1, 2]


def test_several_gaps_are_told_in_one_ack(durable):
    with durable.appliance(), HandPublisher(durable) as source:
        source.send(1, 3, 5, 6, 9)
        ack = source.wait_acked(1, 3, 5, 6, 9)
        assert (ack.cumulative, ack.highest) == (1, 9)
        assert ack.selective.rstrip(b"\0") == bytes([0b0100_1101])
        source.send(2, 4)
        assert source.wait_acked(1, 2, 3, 4, 5, 6, 9).cumulative == 6


def test_no_more_is_taken_than_the_window(durable):
    config = durable.config(publishers={"window": 64})
    with durable.appliance(config), HandPublisher(durable) as source:
        source.send(1)
        assert source.wait_acked(1).credit_limit == 65
        source.send(5000)
        source.send(2)
        source.wait_acked(1, 2)
        source.send(66)
        source.wait_acked(1, 2, 66)
        source.poll(0.2)
        assert idents(durable.journal()) == [1, 2, 66]


def test_an_unknown_session_far_from_its_begin_is_refused(durable):
    with durable.appliance(), HandPublisher(durable) as source, \
            HandPublisher(durable) as second:
        source.send(100000, ids=(7,))
        ack = source.wait_ack(lambda ack: True)
        assert (ack.session, ack.cumulative, ack.credit_limit) == (source.session, 0, 0)
        second.send(1, ids=(7,))
        second.wait_acked(1)
        assert idents(durable.journal()) == [7]


def test_a_silent_session_is_gone_on_with_or_refused(durable):
    """It may be forgotten; but whoever goes on with it is told so, or acknowledged."""
    config = durable.config(publishers={"idle_ms": 1000, "window": 64})
    with durable.appliance(config), HandPublisher(durable) as source:
        for begin in range(1, 1201, 50):
            source.send(*range(begin, begin + 50))
            source.wait_ack(lambda ack: ack.cumulative == begin + 49)
        time.sleep(2.5)
        source.send(1201)
        source.wait_ack(lambda ack: ack.cumulative == 1201 or
                        (ack.cumulative, ack.credit_limit) == (0, 0))


def test_too_many_sessions_of_one_address(durable):
    """The sessions over the limit get nothing; those that are there go on."""
    config = durable.config(publishers={"sessions_per_address_max": 2})
    with durable.appliance(config), HandPublisher(durable) as one, \
            HandPublisher(durable) as two, HandPublisher(durable) as three:
        for source in (one, two):
            source.send(1, ids=(source.session & 0xFFFF,))
            source.wait_acked(1)
        three.send(1, ids=(99,))
        time.sleep(0.3)
        assert all(ack.credit_limit == 0 for ack in three.poll())
        one.send(2)
        one.wait_acked(1, 2)


# Backends.

def test_what_is_not_acknowledged_comes_again(durable):
    with durable.appliance(), HandPublisher(durable) as source, HandBackend(durable) as kitchen:
        source.send(*range(1, 11))
        source.wait_ack(lambda ack: ack.cumulative == 10)
        got = kitchen.take(10)
        assert got == {n: n for n in range(1, 11)}
        wait_until(lambda: kitchen.poll(0.05) and len(kitchen.got) >= 11, 5, "some come again")
        # The same session, sequences and ids.
        assert len(kitchen.sessions) == 1 and kitchen.of(kitchen.sessions[0]) == got
        kitchen.ack(10)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")
        kitchen.poll(0.1)
        assert kitchen.poll(0.5) == []


def test_only_what_is_missing_comes_again(durable):
    with durable.appliance(), HandPublisher(durable) as source, HandBackend(durable) as kitchen:
        source.send(*range(1, 9))
        kitchen.take(8)
        kitchen.ack(2, highest=8, selective=bytes([0b0001_1101]))  # not 3, 5
        wait_until(lambda: len(durable.journal().undelivered()) == 2, 5, "the others are done")
        # What came again before that was on its way.
        kitchen.poll(0.02)
        before = len(kitchen.got)
        wait_until(lambda: kitchen.poll(0.05) or len(kitchen.got) > before + 1, 5, "3 and 5")
        kitchen.poll(0.5)
        again = {sequence for _, sequence, _ in kitchen.got[before:]}
        assert again <= {3, 5} and again
        kitchen.ack(8)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def test_acks_of_what_was_never_sent_are_not_believed(durable):
    with durable.appliance(), HandPublisher(durable) as source, HandBackend(durable) as kitchen:
        source.send(1, 2, 3)
        kitchen.take(3)
        kitchen.ack(1000)
        kitchen.ack(2, highest=3, selective=b"\xff" * 128)
        kitchen.ack(3, session=kitchen.sessions[0] ^ 1)
        time.sleep(0.2)
        assert len(durable.journal().undelivered()) == 3
        kitchen.ack(3)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def test_only_the_backend_itself_acknowledges(durable):
    """Somebody who knows the session, at its address or at its port, is not enough."""
    with durable.appliance() as sluice, HandPublisher(durable) as source, \
            HandBackend(durable) as kitchen, HandBackend(durable, 1, port=9002) as neighbour, \
            HandBackend(durable, 2) as stranger:
        source.send(1, 2, 3)
        kitchen.take(3)
        for other in (neighbour, stranger):
            other.appliance = kitchen.appliance
            other.ack(3, session=kitchen.sessions[0])
        sluice.wait_for(frames_dropped={"ack_wrong_sender": 2})
        assert len(durable.journal().undelivered()) == 3
        kitchen.ack(3)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def hostile_acks(rng, sessions):
    """Acks as nobody should send them: of sessions that are none, some of them nearly those of
    @sessions, jumps, old epochs, bits of what was never sent."""
    while True:
        cumulative = rng.choice((0, 1, rng.randrange(1 << 16), rng.randrange(1 << 64), 2**64 - 1))
        yield pb2.Datagram(magic=0x31434C53, epoch=rng.choice((0, 1, 2**32 - 1)), session=0,
                           ack=pb2.Ack(
            session=rng.choice((0, 1, rng.getrandbits(64), rng.choice(sessions) ^
                                (1 << rng.randrange(64)))), cumulative=cumulative,
            highest=rng.choice((cumulative, 0, min(cumulative + 1024, 2**64 - 1), 2**64 - 1)),
            selective=rng.randbytes(rng.choice((0, 1, 128))),
            credit_limit=rng.choice((0, 1, 2**64 - 1)), echo_timestamp_ns=rng.getrandbits(64),
            ack_delay_ns=rng.getrandbits(32))).SerializeToString()


def test_a_flood_of_acks_costs_only_itself(durable):
    """By somebody who knows no session's number, which is what an ack is believed for."""
    seed = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.getrandbits(32)
    print(f"SLUICE_TEST_SEED={seed}")
    with durable.appliance() as sluice, sluice.control() as control, durable.backend(1), \
            contextlib.closing(durable.udp_socket()) as stranger, \
            durable.publisher(rate=2000) as source:
        wait_until(lambda: durable.ledger.count(DELIVERED) > 500, 10, "deliveries")
        sessions = [int(row["session"], 16) for row in control.show("sessions") +
                    control.show("publishers")]
        acks = hostile_acks(random.Random(seed), sessions)
        delivered, begin = durable.ledger.count(DELIVERED), time.monotonic()
        deadline = Deadline(6)
        while time.monotonic() < begin + 2 or durable.ledger.count(DELIVERED) < delivered + 2000:
            assert not deadline.has_passed(), "they were held up"
            for _ in range(50):
                stranger.sendto(next(acks), (ADDRESS, 7500))
            time.sleep(0.002)
        source.stop()
        durable.wait_drained().check(drained=True, duplicates=0)


def test_no_more_is_sent_than_the_credit(durable):
    config = durable.config(table(1, in_flight=16))
    with durable.appliance(config), HandPublisher(durable) as source, \
            HandBackend(durable) as kitchen:
        source.send(*range(1, 41))
        kitchen.take(16)
        kitchen.poll(0.3)
        assert max(sequence for _, sequence, _ in kitchen.got) == 16
        kitchen.ack(16, limit=20)
        kitchen.take(20)
        kitchen.poll(0.3)
        assert max(sequence for _, sequence, _ in kitchen.got) == 20


def test_a_refused_session_is_begun_anew_with_what_is_left(durable):
    with durable.appliance(), HandPublisher(durable) as source, HandBackend(durable) as kitchen:
        source.send(*range(1, 6))
        kitchen.take(5)
        kitchen.ack(2)
        wait_until(lambda: len(durable.journal().undelivered()) == 3, 5, "two of them done")
        kitchen.refuse()
        wait_until(lambda: kitchen.poll(0.05) is not None and len(kitchen.sessions) == 2, 5,
                   "another session")
        assert kitchen.take(3) == {1: 3, 2: 4, 3: 5}


def test_a_dead_backends_messages_go_to_another(durable):
    pair = destination("table1", backend("kitchen1", "10.77.0.11"),
                       backend("kitchen2", "10.77.0.12"), **SHORT)
    with durable.appliance(durable.config(pair)), durable.backend(1), \
            durable.backend(2) as dying, durable.publisher(rate=4000, count=6000) as source:
        wait_until(lambda: durable.ledger.count(DELIVERED, "kitchen2") > 500, 10, "deliveries")
        dying.crash()
        source.wait()
        report = durable.wait_drained()
        report.check(drained=True)
        assert report.acked == 6000
        # Twice came at most what was on its way to the one that died.
        assert report.duplicates <= 1024


def test_a_backend_that_was_avoided_is_tried_at_once_when_it_is_the_only_one(durable):
    """And has all there is as soon as it acknowledges; not when its next turn would have come."""
    pair = destination("table1", backend("kitchen1", "10.77.0.11"),
                       backend("kitchen2", "10.77.0.12", state="drain"), requeue_after_ms=3000)
    with durable.appliance(durable.config(pair)) as sluice, HandPublisher(durable) as source, \
            HandBackend(durable, 1) as silent, HandBackend(durable, 2) as other:
        cli = Cli(sluice)
        source.send(1)
        silent.take(1)
        cli.ok("set backend table1 kitchen2 state ready")
        other.take(1, timeout=10)
        other.ack(1)
        with Standstill() as still:
            avoided = time.monotonic()
            cli.ok("set backend table1 kitchen2 state drain")
            source.send(*range(2, 22))
            wait_until(lambda: silent.poll(0.01) and len(silent.sessions) == 2, 10, "it is tried")
            took = time.monotonic() - avoided
        assert took < 2.5 + still.seconds, "it had to wait for its turn"
        assert len(silent.of(silent.sessions[1])) == 1
        silent.ack(1)
        # After two timeouts, if this took long, 16 are on their way until more is acknowledged.
        silent.take(17)
        silent.ack(17)
        assert len(silent.take(20)) == 20


@contextlib.contextmanager
def draining(durable, count=5, requeue_after_ms=60000):
    """(publisher, backend that is drained, another): @count messages, from 5 on, are on their way
    to the first, whose acks took up to 0.25 s so far."""
    config = durable.config(destination(
        "table1", backend("slow", "10.77.0.11"), backend("other", "10.77.0.12", state="drain"),
        requeue_after_ms=requeue_after_ms))
    with durable.appliance(config) as sluice, HandPublisher(durable) as source, \
            HandBackend(durable, 1) as slow, HandBackend(durable, 2) as other:
        for n, delay in enumerate((0.0, 0.04, 0.1, 0.25), 1):
            source.send(n)
            slow.take(n)
            time.sleep(delay)
            slow.ack(n)
        with sluice.control() as control:
            source.send(*range(5, 5 + count))
            slow.take(4 + count)
            # At once: what has been sent is given up after three timeouts.
            control.change(*(("SET", "BACKEND", {"destination": "table1", "backend": name,
                                                 "settings": {"state": state}})
                             for name, state in (("other", "ready"), ("slow", "drain"))))
        yield sluice, source, slow, other


def test_a_drained_backend_that_acks_slowly_keeps_what_it_has(durable):
    """It is asked again before its ack comes, and nothing goes to the other for that."""
    with draining(durable) as (_, source, slow, other):
        before = len(slow.got)
        wait_until(lambda: slow.poll(0.01) or len(slow.got) > before, 5, "it is asked again")
        slow.ack(9)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")
        source.send(10)
        other.take(1)
        other.poll(0.2)
        assert {ident for _, _, ident in other.got} == {10} and len(slow.sessions) == 1


def test_what_a_drained_backend_does_not_acknowledge_goes_to_another(durable):
    """In order, and long before requeue_after_ms."""
    with draining(durable) as (_, _, slow, other):
        assert other.take(5, timeout=10) == {n: n + 4 for n in range(1, 6)}
        other.ack(5)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")
        slow.poll()
        assert len(slow.sessions) == 1


def test_what_a_drained_backend_has_not_done_in_time_goes_to_another(durable):
    """It acknowledges one after the other, and would for two seconds: it has one."""
    with draining(durable, count=16, requeue_after_ms=1000) as (sluice, _, slow, other):
        for done in range(5, 20):
            slow.ack(done)
            if other.poll(0.12):
                break
        first = other.take(1)[1]
        # Its last ack may have come just too late; more of them, if the appliance stood still.
        assert 5 < first <= done + 1
        with sluice.control() as control:
            [had] = [b["delivered"] for b in control.show("backends") if b["name"] == "slow"]
        assert first == had + 1
        assert other.take(21 - first) == {n: n + first - 1 for n in range(1, 22 - first)}
        other.ack(21 - first)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def test_a_message_that_is_tried_too_often_is_given_up(durable):
    with durable.appliance(durable.config(table(1, max_attempts=3, **SHORT))), \
            HandPublisher(durable) as source, durable.backend(1, mute=True):
        source.send(1, 2, 3)
        source.wait_acked(1, 2, 3)
        wait_until(lambda: not durable.journal().undelivered(), 20, "outcomes in the journal")
        assert [outcome for outcome, _ in durable.journal().done().values()] == [DEAD] * 3


def test_what_is_given_up_goes_to_the_dead_letters(durable):
    """Under the same ids, to the destination that is named for that."""
    tables = [table(1, max_attempts=3, dead_letter="grave", **SHORT),
              destination("grave", backend("digger", "10.77.0.19"), guarantee="at-least-once")]
    with durable.appliance(durable.config(*tables)), HandPublisher(durable) as source, \
            durable.backend(1, mute=True), HandBackend(durable, 9) as digger:
        source.send(1, 2, 3)
        source.wait_acked(1, 2, 3)
        got = digger.take(3, timeout=20)
        assert sorted(got.values()) == [1, 2, 3]
        digger.ack(3)
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def test_what_is_given_up_was_sent_as_often_as_it_says(durable):
    """The first is lost twice, and those from 5 on once, in the same moment: that the first is given
    up costs the others no attempt. Who stands still meanwhile has others given up, by timeouts; what
    is said of them holds as well."""
    tables = [table(1, max_attempts=2, dead_letter="grave"),
              destination("grave", backend("digger", "10.77.0.19"), guarantee="at-least-once")]
    with durable.appliance(durable.config(*tables)), HandPublisher(durable) as source, \
            HandBackend(durable) as kitchen, HandBackend(durable, 9) as digger:
        def wait_seen(count):
            def is_seen():
                kitchen.poll(0.01)
                return len({ident for _, _, ident in kitchen.got}) == count
            wait_until(is_seen, 5, f"{count} came")

        source.send(*range(1, 21))
        wait_seen(20)
        first = kitchen.sessions[0]
        kitchen.ack(0, highest=4, selective=bits(2, 3, 4), session=first)
        wait_until(lambda: kitchen.poll(0.01) or len(kitchen.got) > 20, 5, "1 comes again")
        # More than a round trip, and less than a timeout.
        time.sleep(0.01)
        source.send(*range(21, 25))
        wait_seen(24)
        kitchen.ack(0, highest=24, selective=bits(2, 3, 4, *range(21, 25)), session=first)
        wait_until(lambda: len(durable.journal().done()) == 24, 10, "an outcome of each")
        dead = [attempts for outcome, attempts in durable.journal().done().values()
                if outcome == DEAD]
        buried = digger.take(len(dead)).values()
        digger.ack(len(dead))
        kitchen.poll(0.1)
        seen = collections.Counter(ident for _, _, ident in kitchen.got)
        assert {1, *range(5, 21)} <= set(buried)
        assert {ident: seen[ident] for ident in buried} == dict.fromkeys(buried, 2)
        assert dead == [2] * len(buried)


def test_a_silent_backend_costs_the_others_nothing(durable):
    """Table 1 takes messages and acknowledges none; table 2 gets all of its own meanwhile, and more
    of table 1's are accepted than its queue has room for."""
    tables = [table(1, queue_capacity=256), table(2, queue_capacity=256)]
    with durable.appliance(durable.config(*tables)), durable.backend(2):
        silent = durable.backend(1, mute=True)
        with durable.publisher(count=10000, destinations="table1,table2") as source:
            source.wait()
            wait_until(lambda: durable.ledger.count(DELIVERED, "kitchen2") == 5000, 20, "table 2")
        silent.crash()
        with durable.backend(1):
            report = durable.wait_drained()
        report.check(drained=True)
        assert report.acked == 10000


def test_backends_behind_a_link_that_is_down_cost_the_others_nothing(durable):
    """What they have cannot be sent again, and they are more than a worker has in hand at once. It
    is on a tap, whose link is what the kernel says of the interface."""
    far = [destination(f"far{n}", backend("kitchen", "10.78.0.11", 9001 + n)) for n in range(70)]
    config = durable.config(
        table(1), *far, ports=[port(), port("net1", "net_tap0", "10.78.0.1/24")],
        neighbours=[{"address": "10.78.0.11", "mac": peer_mac(1)}])
    devices = [*durable.devices, f"net_tap0,iface=tap0,mac={appliance_mac(1)}"]
    with durable.appliance(config, vdevs=devices) as sluice, sluice.control() as control, \
            HandPublisher(durable) as source, HandBackend(durable) as near:
        def retransmitted():
            return [row["retransmitted"] for row in control.show("sessions")
                    if row["destination"].startswith("far") and row["in_flight"] == 1]

        for n in range(len(far)):
            source.destination = f"far{n}"
            source.send(n + 1)
        wait_until(lambda: len(retransmitted()) == len(far), 5, "each has one")
        durable.inside.ip("link", "set", "tap0", "down")
        sluice.wait_said("port net1: its link is down")
        # Longer than the longest timeout: all of them are to be sent again.
        time.sleep(1.5)
        before = retransmitted()
        source.destination = "table1"
        source.send(len(far) + 1)
        near.take(1)
        wait_until(lambda: near.poll(0.05) or len(near.got) > 1, 5, "it comes again")
        near.ack(1)
        assert retransmitted() == before
        durable.inside.ip("link", "set", "tap0", "up")
        wait_until(lambda: all(now > was for was, now in zip(before, retransmitted(), strict=True)),
                   5, "they are asked again")


def test_what_waits_on_disk_keeps_its_order(durable):
    config = durable.config(table(1, queue_capacity=64))
    with durable.appliance(config):
        with durable.publisher(count=5000) as source:
            source.wait()
        assert len(durable.journal().undelivered()) == 5000
        with durable.backend(1), durable.publisher("pub2", id_high=2, count=2000) as second:
            second.wait()
            report = durable.wait_drained()
        report.check(drained=True, duplicates=0, reordered=0)
        assert report.delivered == 7000


def test_lost_acks_make_no_second_delivery(durable):
    """A backend whose every third ack is lost sees retransmissions, all in the same session."""
    with durable.appliance(), durable.backend(1, ack_loss=0.33, seed=5) as kitchen, \
            durable.publisher(count=3000) as source:
        source.wait()
        durable.wait_drained().check(drained=True, duplicates=0)
        assert kitchen.stop()["acks_lost"] > 0


def test_at_most_once_beside_it_is_as_before(durable):
    fast = {**table(2), "guarantee": "at-most-once"}
    with durable.appliance(durable.config(table(1), fast)), durable.receiver(2) as kitchen, \
            HandPublisher(durable) as source:
        durable.send(*[message(n, destination="table2") for n in range(10)])
        got = kitchen.take(10)
        assert {m.sequence for m in got} == {0} and {d.session for d in kitchen.datagrams} == {0}
        source.send(1)
        source.wait_acked(1)
        assert [r.kind for r in durable.journal().records].count(MESSAGE) == 1


# The clients.

def test_the_python_client(durable):
    """Ten lines of each kind, against the appliance."""
    with durable.appliance():
        durable.ensure_address("10.77.0.11")
        with durable.outside.entered():
            publisher = sluice.Publisher("10.77.0.1", source="server1")
            consumer = sluice.Consumer("10.77.0.11", 9001)
        with publisher, consumer:
            publisher.publish("table1", b"eggs", timeout=patience(5))
            assert consumer.get(patience(5)).payload == b"eggs"
            futures = [publisher.submit("table1", b"%d" % n) for n in range(2000)]
            got = [consumer.get(patience(5)).payload for _ in range(2000)]
            assert got == [b"%d" % n for n in range(2000)]
            assert len({f.result(patience(5)) for f in futures}) == 2000
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")


def test_a_python_consumer_that_is_restarted(durable):
    with durable.appliance():
        durable.ensure_address("10.77.0.11")
        with durable.outside.entered():
            publisher = sluice.Publisher("10.77.0.1", source="server1")
        with publisher:
            got = []
            for _ in range(5):
                for n in range(400):
                    publisher.submit("table1", b"x", id=len(got) * 1000 + n)
                with durable.outside.entered():
                    consumer = sluice.Consumer("10.77.0.11", 9001, credit=64)
                with consumer:
                    got += [consumer.get(patience(10)).id for _ in range(300)]
            publisher.flush(patience(10))
            with durable.outside.entered():
                consumer = sluice.Consumer("10.77.0.11", 9001, credit=64)
            with consumer:
                while len(set(got)) < 2000:
                    got.append(consumer.get(patience(10)).id)
        assert len(got) == 2000


# The generator's session, over memif.

def test_acked_messages_of_the_generator_are_durable_and_delivered(tmp_path):
    """A session from the generator, others to its sink, and every message in the journal between."""
    tables = [destination(f"table{n}", sink_backend(n), guarantee="at-least-once")
              for n in range(1, 5)]
    journal = {"directory": str(tmp_path / "journal"), "segment_bytes": "1M", "ring_bytes": "4M",
               "max_bytes": "256M"}
    with MemifLab() as cables, cables.appliance(
            cables.config(*tables, journal=journal)) as sluice:
        report = cables.generate("--count", 20000, "--destinations", 4, "--acked", 1024,
                                 "--batch", 4, "--size", "0-200", "--seed", 5)
        assert report.is_clean, report.said
        assert report["acked"]["messages"] == 20000 == report["delivered"]
        assert report["acked"]["not_acked"] == report["acked"]["bad_acks"] == 0
        sluice.wait_for(delivered=20000, queued=0, dropped={})


def test_without_acks_the_generators_report_is_not_clean():
    """An at-most-once sink for a session: nobody answers, and it does not wait for ever."""
    with MemifLab() as cables, cables.appliance(
            cables.config(destination("table1", sink_backend(1)))):
        report = cables.generate("--count", 100, "--destinations", 1, "--acked", 64,
                                 "--drain-ms", 300, "--drain-max-ms", 1500)
        assert not report.is_clean
        assert report["acked"]["not_acked"] == report["sent"] == 64


# Sinks.

def test_a_sink_of_the_appliance_has_every_message_once(durable):
    """Names where they are known, and the outcome of each."""
    config = durable.config_with_sink(table(1))
    path = config["sinks"][0]["path"]

    def rows():
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute("SELECT destination, status, count(*), count(DISTINCT id) "
                              "FROM sluice_messages GROUP BY 1, 2").fetchall()

    with durable.appliance(config), durable.backend(1):
        durable.publisher(count=3000).wait()
        durable.wait_drained().check(drained=True)
        # At the end it has less than a second, and goes on after the next start.
        wait_until(lambda: rows() == [("table1", "DELIVERED", 3000, 3000)], 20, "all outcomes")
    assert rows() == [("table1", "DELIVERED", 3000, 3000)]


def test_postgresql_is_killed_and_only_its_sink_notices(durable):
    """And started again, while messages come and go; then the appliance is killed, too. Every
    message is a row, once."""
    with Postgres() as server:
        schema = server.schema()
        sink = {"name": "orders", "kind": "postgresql", "batch_ms": 50,
                "conninfo": f"host={server.path} port={server.port} dbname=sluice user=sluice "
                            f"options='-c search_path={schema}'"}
        sluice = durable.appliance(durable.config(sinks=[sink]))

        def is_running(control):
            return control.show("sinks")[0]["state"] == "running"

        def rows(what="count(*)"):
            return int(server.admin(f"SELECT {what} FROM sluice_messages", schema=schema)[0][0])

        with sluice, durable.backend(1), durable.publisher(rate=2000) as source:
            with sluice.control() as control:
                wait_until(lambda: is_running(control), 20, "the sink runs")
                server.stop("immediate")
                before = {kind: durable.ledger.count(kind) for kind in (ACKED, DELIVERED)}
                wait_until(lambda: not is_running(control), 10, "the sink notices")
                wait_until(lambda: all(durable.ledger.count(kind) > n + 1000
                                       for kind, n in before.items()), 5, "the others do not")
                server.start()
                wait_until(lambda: is_running(control), 20, "the sink runs")
            sluice.crash()
            sluice.restart()
            source.stop(60)
            report = durable.wait_drained()
            report.check(drained=True)
            sluice.stop()
            sluice.restart()
            wait_until(lambda: rows() >= report.sent, 20, "all rows")
            wait_until(lambda: rows("count(*) FILTER (WHERE status = 'DELIVERED')") == report.sent,
                       20, "all outcomes")
            assert rows() == rows("count(DISTINCT id)") == report.sent
