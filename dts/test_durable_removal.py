# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""At-least-once destinations and subscribers that go while messages of theirs are on their way: to
a backend that was there before, to the dead letters, on disk. Each has its outcome, others do not
notice, and the appliance goes on. And the path that stops then, and starts again."""

from harness import backend, destination, table, wire
from harness.durable import HandBackend, HandPublisher
from harness.faults import Faults
from harness.journal import DEAD, DELIVERED
from harness.patience import wait_until

NEWS = "news"
# Longer than a test: what is in flight does not go elsewhere by itself.
LONG = {"requeue_after_ms": 60000}


def subscribe(reader, leave=False):
    reader.send(wire.subscribe(NEWS, "reader", credit=100, leave=leave))


def ports(sluice, name):
    with sluice.control() as control:
        return [row["port"] for row in control.show("backends", name)]


def outcomes(durable):
    return [outcome for outcome, _ in durable.journal().done().values()]


def test_a_subscriber_that_has_moved_leaves_with_messages_at_its_old_place(durable):
    config = durable.config(destination(NEWS, kind="topic", **LONG), subscriptions={"accept": True})
    with durable.appliance(config) as sluice, HandPublisher(durable, destination=NEWS) as source, \
            HandBackend(durable, 1) as before, HandBackend(durable, 1, port=9002) as after:
        subscribe(before)
        wait_until(lambda: ports(sluice, NEWS) == [9001], what="it is there")
        source.send(*range(1, 11))
        assert sorted(before.take(10).values()) == list(range(1, 11))
        subscribe(after)
        wait_until(lambda: ports(sluice, NEWS) == [9002], what="it has moved")
        subscribe(after, leave=True)
        wait_until(lambda: ports(sluice, NEWS) == [], what="it has left")
        before.ack(5)
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
        before.ack(10)
        # Whoever comes next has its place, and only what is new.
        subscribe(after)
        wait_until(lambda: ports(sluice, NEWS) == [9002], what="it is back")
        source.send(11)
        wait_until(lambda: 11 in [ident for *_, ident in after.poll(0.05)], what="what is new")


def test_what_leaves_takes_nothing_from_others(durable):
    """Table 1's backend is drained, acknowledges nothing yet, and nobody else gets what it has."""
    slow = destination("table1", backend("slow", "10.77.0.12", state="ready"),
                       backend("spare", "10.77.0.13", state="drain"), max_attempts=1, **LONG)
    config = durable.config(destination(NEWS, kind="topic", **LONG), slow,
                            subscriptions={"accept": True})
    with durable.appliance(config) as sluice, HandPublisher(durable, destination=NEWS) as news, \
            HandPublisher(durable) as source, HandBackend(durable, 1) as before, \
            HandBackend(durable, 1, port=9002) as after, HandBackend(durable, 2) as drained, \
            HandBackend(durable, 3) as spare, sluice.control() as control:
        subscribe(before)
        wait_until(lambda: ports(sluice, NEWS) == [9001], what="it is there")
        news.send(*range(1, 11))
        before.take(10)
        source.send(*range(1, 11), ids=range(101, 111))
        drained.take(10)
        control.change(*[("SET", "BACKEND", {"destination": "table1", "backend": name,
                                             "settings": {"state": state}})
                         for name, state in (("spare", "ready"), ("slow", "drain"))])
        subscribe(after)
        wait_until(lambda: ports(sluice, NEWS) == [9002], what="it has moved")
        subscribe(after, leave=True)
        wait_until(lambda: len(outcomes(durable)) == 10, what="outcomes")
        drained.ack(10)
        wait_until(lambda: not durable.journal().undelivered(), what="the others' outcomes")
        assert sorted(outcomes(durable)) == 10 * [DELIVERED] + 10 * [DEAD]
        assert spare.poll(0.1) == []


def test_a_queue_goes_with_messages_at_a_backend_it_had_before(durable):
    """One that acknowledges too little to be given up, and nothing after it was replaced."""
    def config(*tables):
        return durable.config(*tables, table(2), drain_timeout_ms=100)

    kept = destination("table1", backend("new", "10.77.0.13"), **LONG)
    with durable.appliance(config(table(1, **LONG))) as sluice, \
            HandPublisher(durable) as source, HandBackend(durable, 1) as old:
        source.send(*range(1, 11))
        old.take(10)
        old.ack(1)
        sluice.reload(config(kept))
        old.ack(2)
        sluice.reload(config())
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
        old.ack(10)
        assert DEAD in outcomes(durable)
        with sluice.control() as control:
            assert [row["name"] for row in control.show("destinations")] == ["table2"]


def test_dead_letters_go_with_what_is_given_up_to_them(durable):
    """Empty as it is, their destination is gone long before the one that names it."""
    tables = [table(1, max_attempts=3, dead_letter="grave", requeue_after_ms=500),
              destination("grave", backend("digger", "10.77.0.19"), guarantee="at-least-once")]
    with durable.appliance(durable.config(*tables, table(2), drain_timeout_ms=2000)) as sluice, \
            HandPublisher(durable) as source, HandBackend(durable, 1) as mute:
        source.send(1, 2, 3)
        mute.take(3)
        sluice.reload(durable.config(table(2), drain_timeout_ms=2000))
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
        assert set(outcomes(durable)) == {DEAD}
        # A stranger that has the place now gets none of them.
        with HandBackend(durable, 4) as stranger:
            sluice.reload(durable.config(table(2), table(4), drain_timeout_ms=2000))
            assert stranger.poll(0.5) == []


def test_more_than_the_ring_holds_goes_while_the_path_is_stopped(durable):
    """Outcomes of so many find room in the ring only when it is written meanwhile."""
    count, ring = 70_000, {"ring_bytes": "1M"}
    with durable.appliance(durable.config(table(1, queue_capacity=64), table(2), journal=ring,
                                          drain_timeout_ms=100)) as sluice:
        durable.publish(count)
        with sluice.control() as control:
            control.path("STOP")
        sluice.reload(durable.config(table(2), journal=ring, drain_timeout_ms=100))
        wait_until(lambda: not durable.journal(check_all=False).undelivered(), 20, "outcomes")
        with sluice.control() as control:
            control.path("START")


def test_what_is_being_read_back_goes_while_the_path_is_stopped(durable):
    """Each read of a slow disk takes 20 ms: some are under way at the stop."""
    faults = Faults(durable.dir, durable.journal_dir)
    with durable.appliance(durable.config(table(1, queue_capacity=64, **LONG), table(2),
                                          drain_timeout_ms=100), env=faults.env) as sluice, \
            HandBackend(durable, 1) as kitchen, sluice.control() as control:
        durable.publish(2000)
        kitchen.take(64)
        faults.begin("slow")
        kitchen.ack(64)
        kitchen.take(65)
        control.path("STOP")
        sluice.reload(durable.config(table(2), drain_timeout_ms=100))
        faults.end("slow")
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
        control.path("START")


def test_what_is_being_read_back_stays_in_its_place_when_the_path_stops(durable):
    """It is behind what is queued and was never sent, and comes behind that."""
    faults = Faults(durable.dir, durable.journal_dir)
    with durable.appliance(durable.config(table(1, queue_capacity=64, **LONG)),
                           env=faults.env) as sluice, HandBackend(durable, 1) as kitchen, \
            HandPublisher(durable) as source, sluice.control() as control:
        for n in range(1, 801):
            source.send(n, payload=bytes(1000))
            source.wait_ack(lambda ack, n=n: ack.cumulative == n)
        kitchen.take(64)
        faults.begin("slow")
        kitchen.ack(64, limit=70)
        kitchen.take(70)
        control.path("STOP")
        faults.end("slow")
        control.path("START")

        def has_all():
            for session, sequence, _ in kitchen.poll(0.05):
                kitchen.ack(sequence, session=session)
            return len({ident for *_, ident in kitchen.got}) == 800

        wait_until(has_all, what="all of them")
        assert list(dict.fromkeys(ident for *_, ident in kitchen.got)) == list(range(1, 801))
