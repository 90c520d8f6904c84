# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Topics: each message to every subscriber, and none of them waits for another."""

import contextlib

import pytest

from harness import MemifLab, backend, destination, make_config, message, sink_backend

NEWS = "news"


def subscribers(n, **keys):
    return [backend(f"reader{i}", f"10.77.0.{10 + i}", **keys) for i in range(1, n + 1)]


def news(*readers, **keys):
    return destination(NEWS, *readers, kind="topic", **keys)


def post(number, **keys):
    return message(number, destination=NEWS, **keys)


@contextlib.contextmanager
def readers(lab, n):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(lab.receiver(i)) for i in range(1, n + 1)]


@pytest.mark.parametrize("length", [0, 20, 219, 220, 221, 600, 1350])
def test_every_subscriber_gets_the_same_bytes(lab, length):
    """Short messages are copied, long ones shared; the kernel checks the sums of both."""
    text = bytes(i % 251 for i in range(length))
    with readers(lab, 3) as all_of_them, lab.appliance(make_config(news(*subscribers(3)))) as sluice:
        lab.send(post(1, payload=text, priority=1))
        for reader in all_of_them:
            [got] = reader.take(1)
            assert (got.id_low, got.payload, got.sequence) == (1, text, 0)
        sluice.wait_for(received=1, copied=2, delivered=3, dropped={})


def test_many_in_one_datagram_reach_all_in_order(lab):
    """Short ones and long ones, in datagrams of several and of one."""
    with readers(lab, 2) as all_of_them, lab.appliance(make_config(news(*subscribers(2)))):
        for first in range(0, 200, 10):
            lab.send(*[post(n, payload=b"x" * n) for n in range(first, first + 8)][:4])
            lab.send(post(first + 8, payload=b"y" * 600), post(first + 9, payload=b"z" * 600))
        sent = [first + n for first in range(0, 200, 10) for n in (0, 1, 2, 3, 8, 9)]
        for reader in all_of_them:
            assert [m.id_low for m in reader.take(len(sent))] == sent


def test_a_duplicate_is_nobody_s(lab):
    with readers(lab, 2) as all_of_them, lab.appliance(make_config(news(*subscribers(2)))) as sluice:
        lab.send(post(1), post(1), post(2))
        for reader in all_of_them:
            assert [m.id_low for m in reader.take(2)] == [1, 2]
            reader.nothing()
        sluice.wait_for(received=3, duplicates=1, copied=2, delivered=4)


def test_without_subscribers_a_message_is_dropped_and_counted(lab):
    with lab.appliance(make_config(news())) as sluice:
        lab.send(post(1), post(2))
        sluice.wait_for(received=2, copied=0, dropped={"no_subscriber": 2})


def test_a_slow_subscriber_fills_its_own_queue_and_delays_nobody(lab):
    # So slow that it drops most, however long the others take.
    slow = backend("reader1", "10.77.0.11", rate_msgs_per_s=1)
    config = make_config(news(slow, *subscribers(2)[1:], queue_capacity=200, burst_msgs=1))
    with readers(lab, 2) as (late, quick), lab.appliance(config) as sluice:
        for first in range(0, 1000, 100):
            for part in range(first, first + 100, 10):
                lab.send(*[post(n) for n in range(part, part + 10)])
            assert [m.id_low for m in quick.take(100)] == list(range(first, first + 100))
        stats = sluice.wait_for(received=1000, copied=1000)
        assert stats["queued"] <= 200 and sum(stats.dropped.values()) >= 700
        with sluice.control() as control:
            backends = {b["name"]: b for b in control.show("backends", NEWS)}
        assert backends["reader2"]["dropped"] == 0 and backends["reader1"]["dropped"] >= 700
        assert late.take(1)[0].id_low == 0


def test_subscribers_come_and_go_while_messages_do(lab):
    def config(*numbers):
        return make_config(news(*[subscribers(3)[n - 1] for n in numbers]))

    with readers(lab, 3) as (one, two, three), lab.appliance(config(1, 2)) as sluice:
        for reader in (2, 3):
            lab.ensure_address(f"10.77.0.{10 + reader}")
        lab.send(post(1))
        assert [r.take(1)[0].id_low for r in (one, two)] == [1, 1]
        sluice.reload(config(2, 3))
        lab.send(post(2))
        assert [r.take(1)[0].id_low for r in (two, three)] == [2, 2]
        one.nothing()
        sluice.reload(config(1, 2, 3))
        lab.send(post(3))
        assert [r.take(1)[0].id_low for r in (one, two, three)] == [3, 3, 3]
        sluice.reload(make_config(destination("table1")))
        lab.send(post(4))
        sluice.wait_for(received=4, dropped={"no_destination": 1})


def test_a_topic_can_be_partitioned(lab):
    """A source's messages stay in order; the subscriber's session or queue is one for each part."""
    config = make_config(news(*subscribers(2), partitions=4))
    with readers(lab, 2) as all_of_them, lab.appliance(config):
        for n in range(1, 41):
            lab.send(post(n, source=f"server{n % 7}"))
        for reader in all_of_them:
            got = reader.take(40)
            for source in range(7):
                mine = [m.id_low for m in got if m.id_low % 7 == source]
                assert mine == [n for n in range(1, 41) if n % 7 == source]


def test_a_thousand_subscribers_get_each_message(lab):
    """All at one address, told apart by their ports; read as frames."""
    crowd = [backend(f"reader{i}", "10.77.0.11", port=10000 + i) for i in range(1000)]
    config = make_config(news(*crowd))
    lab.ensure_address("10.77.0.11")
    with lab.appliance(config) as sluice:
        lab.send(post(1, payload=b"a" * 40))
        sluice.wait_for(received=1, delivered=1000, copied=999, dropped={})
        lab.send(post(2, payload=b"b" * 900))
        sluice.wait_for(received=2, delivered=2000, copied=1998, dropped={})


def test_nothing_is_lost_at_speed():
    """Over memif, every message to four subscribers; sluice-gen's ledger counts one of them."""
    cables = MemifLab()
    others = [sink_backend(n) for n in (2, 3, 4)]
    config = cables.config(destination("table1", sink_backend(1), *others, kind="topic"))
    with cables, cables.appliance(config) as sluice:
        cables.generate("--count", 200_000, "--destinations", 1, "--rate", 100_000, "--allow-loss",
                        until=lambda: sluice.wait_for(received=200_000, timeout=60))
        stats = sluice.stop()
    assert stats["received"] == 200_000 and stats["copied"] == 600_000
    assert stats["delivered"] + sum(stats["dropped"].values()) == 800_000
