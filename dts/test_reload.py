# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Reloads under traffic: destinations that stay lose no message and reorder none, those that go
deliver what they have accepted, and every picture of the counters adds up.

SLUICE_RELOADS and SLUICE_RELOAD_RATE make more of it: 1,000 and 1,000,000 for the figures in
docs/performance.md.
"""

import os
import random
import time

import pytest

from harness import MemifLab, VethLab, destination, sink_backend
from harness.patience import Deadline

RELOADS = int(os.environ.get("SLUICE_RELOADS", 200))
RATE = int(os.environ.get("SLUICE_RELOAD_RATE", 0))
# And how fast: others may have the CPU of an lcore for two seconds of a busy machine, and what
# comes meanwhile has to find room. A memif whose ring is full holds the generator back, and an lcore that
# does everything reads no more than it can keep. Between two lcores there is a ring, of RING
# messages at most. A queue of net_af_packet has FRAMES, then the kernel hands frames to the other
# queue, which reorders them, or drops them.
LAYOUTS = {
    "one does everything": ([{"lcore": 1, "roles": ["rx", "worker"]}], 100000),
    "rx and worker apart": ([{"lcore": 1, "roles": ["rx"]}, {"lcore": 2, "roles": ["worker"]}],
                            30000),
    "two workers": ([{"lcore": 1, "roles": ["rx", "worker"]}, {"lcore": 2, "roles": ["worker"]}],
                    8000),
}
RING = 65536
MBUFS = 100000 + max(100000, RATE) // 4
NB_STAY = 8
DEDUP = {"window_ms": 10000, "capacity": 1 << 20}


def reload(sluice, config):
    """Give the appliance another configuration, which it takes over."""
    said = sluice.reload(config)
    assert "refused" not in said, said


def some_backends(rng, first):
    """One that stays, for those that are new have to be found by ARP first, and some others."""
    numbers = [first] + rng.sample(range(first + 1, first + 12), rng.randint(0, 6))
    rng.shuffle(numbers)
    return [sink_backend(n, weight=rng.randint(1, 100)) for n in numbers]


def some_destinations(rng, partitions):
    """Those that stay have any weights and policy; others come and go between them."""
    stay = [destination(f"table{n}", *some_backends(rng, 20 * n), partitions=partitions,
                        policy=rng.choice(["round-robin", "weighted-round-robin"]),
                        queue_capacity=rng.choice([200000, 300000]))
            for n in range(1, NB_STAY + 1)]
    others = [destination(f"other{n}", *some_backends(rng, 300 + 20 * n),
                          partitions=1 + n % 5)
              for n in rng.sample(range(40), rng.randint(0, 20))]
    mixed = stay + others
    rng.shuffle(mixed)
    return mixed


@pytest.mark.parametrize("layout, rate", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("partitions", [1, 4])
def test_who_stays_loses_and_reorders_nothing(layout, rate, partitions):
    rng = random.Random(f"{layout} {partitions}")
    nb_workers = sum("worker" in lcore["roles"] for lcore in layout)
    # A memif has only as many queues as its other end asks for.
    with MemifLab() if nb_workers == 1 else VethLab(nb_queues=2) as cables:
        rate = min(RATE, rate) if nb_workers > 1 and RATE else RATE or rate

        def config():
            return cables.config(*some_destinations(rng, partitions), lcores=layout, dedup=DEDUP,
                                 rings={"size": RING}, mbufs=MBUFS)

        with cables.appliance(config(), nb_lcores=len(layout),
                              memory=("--no-huge", "-m", str(512 + MBUFS // 200))) as sluice:
            with cables.generating("--rate", rate, "--sources", 32, "--destinations", NB_STAY,
                                   "--duplicates", "1%", "--seed", 7) as run:
                sluice.wait_for(lambda stats: stats["delivered"] > 0)
                for _ in range(RELOADS):
                    reload(sluice, config())
                    sluice.stats()
            print(run.report.said)
            assert run.report.is_clean, run.report.said
            stats = sluice.wait_for(delivered=run.report["delivered"], queued=0, dropped={})
            assert stats["duplicates"] == run.report["tx"]["copies"] > 0
            assert run.report["delivered"] > 0.2 * rate


def slow_and_fast(**slow):
    return (destination("table1", sink_backend(1)),
            destination("table2", sink_backend(2), queue_capacity=10000, **slow))


def test_who_goes_delivers_what_it_has():
    fast, slow = slow_and_fast(rate_msgs_per_s=300, burst_msgs=10)
    timeout = {"drain_timeout_ms": 20000}
    with MemifLab() as cables, cables.appliance(cables.config(fast, slow, **timeout)) as sluice:
        with cables.generating("--count", 3000, "--rate", 100000, "--destinations", 2,
                               "--drain-ms", 1000, "--seed", 1, ends_itself=True) as run:
            stats = sluice.wait_for(received=3000)
            assert stats["queued"] > 500
            reload(sluice, cables.config(fast, **timeout))
        assert run.report.is_clean, run.report.said
        stats = sluice.wait_for(delivered=3000, queued=0, dropped={})
        assert list(stats["by_destination"]) == ["table1"]
        cables.generate("--count", 100, "--destinations", 1, "--destination-first", 2,
                        "--allow-loss", "--seed", 2,
                        until=lambda: sluice.wait_for(received=3100))
        sluice.wait_for(delivered=3000, queued=0, dropped={"no_destination": 100})


def test_who_goes_has_only_so_long():
    fast, slow = slow_and_fast(rate_msgs_per_s=1, burst_msgs=1)
    with MemifLab() as cables, cables.appliance(
            cables.config(fast, slow, drain_timeout_ms=300)) as sluice:
        report = cables.generate("--count", 1000, "--rate", 100000, "--destinations", 2,
                                 "--allow-loss", "--per-destination", "--seed", 3,
                                 until=lambda: sluice.wait_for(received=1000))
        to_slow = report["by_destination"]["table2"]["sent"]
        stats = sluice.wait_for(lambda s: s["by_destination"]["table2"]["queued"] == s["queued"])
        left = stats["queued"]
        assert 0 < left == to_slow - stats["by_destination"]["table2"]["delivered"] < to_slow
        reload(sluice, cables.config(fast, drain_timeout_ms=300))
        stats = sluice.wait_for(queued=0)
        assert set(stats.dropped) == {"destination_removed"}
        assert left - 1 <= stats["dropped"]["destination_removed"] <= left
        # Its place is free for another, which begins at nothing.
        other = destination("table3", sink_backend(3))
        reload(sluice, cables.config(fast, other))
        assert cables.generate("--count", 100, "--destinations", 1, "--destination-first", 3,
                               "--seed", 4).is_clean
        sluice.wait_for(lambda s: s["by_destination"]["table3"] ==
                        {"delivered": 100, "duplicates": 0, "queued": 0, "dropped": 0})


def test_who_comes_back_keeps_the_order():
    """Removed with a queue, and back before that is empty: what comes now is behind it."""
    fast, slow = slow_and_fast(rate_msgs_per_s=5000, burst_msgs=1)
    _, faster = slow_and_fast()
    with MemifLab() as cables, cables.appliance(cables.config(fast, slow)) as sluice:
        # It stays for longer than the appliance may stand still: what is lost was dropped.
        with cables.generating("--rate", 20000, "--destinations", 2, "--sources", 4,
                               "--allow-loss", "--drain-ms", 2500, "--seed", 5) as run:
            for _ in range(10):
                sluice.wait_for(lambda stats: stats["queued"] > 200)
                reload(sluice, cables.config(fast))
                reload(sluice, cables.config(fast, faster))
                reload(sluice, cables.config(fast, slow))
        assert run.report.is_clean, run.report.said
        stats = sluice.wait_for(queued=0)
        assert set(stats.dropped) <= {"no_destination"}
        assert run.report["lost"] == sum(stats.dropped.values())


def test_a_backend_that_goes_gets_nothing_more():
    def config(cables, *numbers):
        return cables.config(destination("table1", *[sink_backend(n) for n in numbers]))

    with MemifLab() as cables, cables.appliance(config(cables, 1, 2)) as sluice:
        assert cables.generate("--count", 1000, "--destinations", 1, "--seed", 1).is_clean
        reload(sluice, config(cables, 2, 3))
        # What goes to 1 now counts as other frames there, and as lost.
        report = cables.generate("--count", 1000, "--destinations", 1, "--seed", 2, "--sink-net",
                                 "198.19.1.2/31")
        assert report.is_clean, report.said


@pytest.mark.parametrize("what, nb_destinations, nb_backends", [
    ("shards", 1100, 0), ("backends", 20, 60)])
def test_without_room_nothing_changes(what, nb_destinations, nb_backends):
    """A file that says nothing of limits has room for twice of what it has, and 1,024."""
    def others(prefix, count, backends):
        return [destination(f"{prefix}{n}", *[sink_backend(n + m) for m in range(backends)])
                for n in range(count)]

    table = destination("table1", sink_backend(1))
    with MemifLab() as cables, cables.appliance(cables.config(table)) as sluice:
        too_many = cables.config(table, *others("other", nb_destinations, nb_backends))
        for seed in range(3):
            said = sluice.reload(too_many)
            assert "refused" in said and f"limits.{what}: 1026 are too few" in said
            assert list(sluice.stats()["by_destination"]) == ["table1"]
            assert cables.generate("--count", 100, "--destinations", 1, "--seed", seed).is_clean
        # All that was taken in vain has been given back: as much as fits, fits, and once what was
        # removed is gone, as much of others.
        for prefix in ("one", "two", "three"):
            fits = cables.config(table, *others(prefix, 1000, 1))
            deadline = Deadline(10)
            while "refused" in (said := sluice.reload(fits)):
                assert not deadline.has_passed(), said
                time.sleep(0.05)
            reload(sluice, cables.config(table))
        sluice.wait_for(delivered=300, queued=0, dropped={})


def test_a_refused_topic_keeps_no_slot():
    """One whose subscribers find no queue: also those that had slots for them already."""
    room = {"limits": {"shards": 3, "backends": 8}}
    table = destination("table1", sink_backend(1))
    news = destination("news", *[sink_backend(n) for n in (2, 3, 4)], kind="topic")
    with MemifLab() as cables, cables.appliance(cables.config(table, **room)) as sluice:
        for _ in range(10):
            said = sluice.reload(cables.config(table, news, **room))
            assert "refused" in said and "limits.shards: 3 are too few" in said
        # All but that of the table are free.
        table2 = destination("table2", *[sink_backend(n) for n in range(2, 9)])
        reload(sluice, cables.config(table, table2, **room))
        assert cables.generate("--count", 100, "--destinations", 2, "--seed", 1).is_clean


def test_rules_and_classes_change():
    classes = [{"level": 1, "name": "high"}, {"level": 3, "name": "low"}]
    table = destination("table1", sink_backend(1))
    with MemifLab() as cables, cables.appliance(
            cables.config(table, classes=classes)) as sluice:
        assert cables.generate("--count", 100, "--destinations", 1, "--classes", "3",
                               "--sources", 1, "--seed", 1).is_clean
        classes[1]["max_wait_ms"] = 50
        rules = [{"source": "server1", "class": 1}]
        table["default_class"] = 3
        reload(sluice, cables.config(table, classes=classes, rules=rules))
        assert cables.generate("--count", 100, "--destinations", 1, "--classes", "3",
                               "--sources", 1, "--seed", 2).is_clean
        stats = sluice.wait_for(delivered=200)
        assert [stats["by_class"][c]["delivered"] for c in "13"] == [100, 100]
        # Nobody to send to: what waits for longer than its class may goes.
        reload(sluice, 
            cables.config(destination("table1"), classes=classes))
        cables.generate("--count", 100, "--destinations", 1, "--classes", "3", "--sources", 1,
                        "--source-first", 2, "--allow-loss", "--seed", 3,
                        until=lambda: sluice.wait_for(received=300))
        sluice.wait_for(delivered=200, queued=0, dropped={"max_wait": 100})
