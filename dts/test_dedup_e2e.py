# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Deduplication, seen from outside: what was sent more than once arrives once, to the message."""

import time

import pytest

from harness import ADDRESS, MemifLab, destination, encode, make_config, message, \
    sink_backend, table


def tables(count, **keys):
    return [destination(f"table{n}", sink_backend(n), **keys) for n in range(1, count + 1)]


@pytest.mark.parametrize("duplicates", [
    ["--duplicates", 10],
    ["--second-feed", 10],
    ["--duplicates", 20, "--second-feed", 30, "--batch", 5, "--size", "0-200"],
    ["--duplicates", 100, "--duplicate-distance", 1],
], ids=["sent again", "second feed", "both, in batches", "everything twice"])
def test_every_message_arrives_once(duplicates):
    with MemifLab() as cables, cables.appliance(cables.config(
            *tables(4), dedup={"window_ms": 60000, "capacity": 1 << 18})) as sluice:
        report = cables.generate("--count", 50000, "--rate", 50000, "--seed", 5, *duplicates,
                                 "--drain-ms", 3000)
        assert report.is_clean, report.said
        sent, copies = report["sent"], report["tx"]["copies"]
        assert sent == 50000 and copies > 0
        stats = sluice.wait_for(received=sent + copies, delivered=sent, duplicates=copies,
                                queued=0, dropped={})
        assert sum(d["duplicates"] for d in stats["by_destination"].values()) == copies


def test_what_makes_a_message_the_same(lab):
    """Source, id and destination do, both halves of the id; nothing else does."""
    with lab.receiver(1) as one, lab.receiver(2) as two, \
            lab.appliance(make_config(table(1), table(2))) as sluice:
        first = message(1 << 64 | 1, payload=b"first", type="lunch", priority=1)
        lab.send(first)
        lab.send(message(1 << 64 | 1, payload=b"other", type="dinner", priority=3, sequence=5))
        lab.send(message(1 << 64 | 2))
        lab.send(message(2 << 64 | 1))
        lab.send(message(1 << 64 | 1, source="server2"))
        lab.send(message(1 << 64 | 1, destination="table2"))
        assert [m.payload for m in one.take(4)][0] == b"first"
        two.take(1)
        sluice.wait_for(received=6, delivered=5, duplicates=1)


def test_twice_in_one_datagram(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice:
        lab.send(*[message(i // 2) for i in range(10)])
        assert [m.id_low for m in kitchen.take(5)] == list(range(5))
        sluice.wait_for(received=10, delivered=5, duplicates=5)


def test_by_the_same_bytes_and_by_another_socket(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice:
        data = encode(message(1))
        for _ in range(3):
            lab.send_bytes(data)
        second = lab.udp_socket()
        second.sendto(data, (ADDRESS, 7500))
        second.close()
        kitchen.take(1)
        sluice.wait_for(received=4, delivered=1, duplicates=3)
        kitchen.nothing(0.1)


def test_the_window_ends(lab):
    """Within the window a message is a duplicate; long behind it, it is a new one."""
    config = make_config(dedup={"window_ms": 5000, "capacity": 65536})
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice:
        for i in range(100):
            lab.send(message(i))
        kitchen.take(100)
        time.sleep(0.5)
        for i in range(100):
            lab.send(message(i))
        sluice.wait_for(received=200, delivered=100, duplicates=100)
        time.sleep(5.5)
        for i in range(100):
            lab.send(message(i))
        sluice.wait_for(received=300, delivered=200, duplicates=100)
        kitchen.take(100)
