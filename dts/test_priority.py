# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Priorities under congestion: a destination that may take half of what is offered to it.

sluice-gen measures from a message's being sent to its arrival, so these are figures of the whole
way. What else the machine has to do only ever adds to a latency and takes from a share: of several
rounds the best one shows what the appliance does.
"""

import pytest

from harness import MemifLab, destination, sink_backend

OFFERED = 400_000  # messages a second
LIMIT = OFFERED // 2
SHARES = {1: 25, 2: 45, 3: 30}  # percent of the load, by class
MIN_SHARE = {2: 10, 3: 8}  # percent of the limit
ATTEMPTS = 8
MAX_WAIT_MS = 25

CLASSES = [
    {"level": 1, "name": "high"},
    {"level": 2, "name": "medium", "min_share_percent": MIN_SHARE[2]},
    {"level": 3, "name": "low", "min_share_percent": MIN_SHARE[3], "max_wait_ms": MAX_WAIT_MS},
]


def run(limit, seconds, rounds):
    """The reports of @rounds runs, and the appliance's statistics at their end."""
    cables = MemifLab()
    # Napping when there is nothing to do: net_memif unmaps its rings under a worker that polls them
    # in the moment the other end leaves.
    config = cables.config(
        destination("table1", sink_backend(1), rate_msgs_per_s=limit, queue_capacity=8192),
        classes=CLASSES, idle={"nap": "on"}, dedup={"window_ms": 2000, "capacity": 1 << 21})
    mix = ",".join(f"{level}:{share}" for level, share in SHARES.items())
    # On two CPUs sluice-gen shares one with the control thread: no statistics in between.
    with cables, cables.appliance(config, stats_interval=60) as sluice:
        # The first messages wait for the sink's address; that is not what is measured here.
        assert cables.generate("--count", 100, "--destinations", 1, "--classes", "1:1").is_clean
        reports = [cables.generate(
            "--destinations", 1, "--sources", 16, "--source-first", 1000 * number,
            "--classes", mix, "--rate", OFFERED, "--count", round(seconds * OFFERED),
            "--seed", number, "--drain-ms", 600, "--allow-loss")
            for number in range(1, rounds + 1)]
        stats = sluice.stop()
    for report in reports:
        assert report.is_clean, report.said
    return reports, stats


@pytest.fixture(scope="module")
def congested():
    return run(LIMIT, seconds=1, rounds=3)


def of_class(reports, level, what):
    return [report["by_class"][str(level)][what] for report in reports]


def best_us(reports, level, which):
    return min(latency[which] for latency in of_class(reports, level, "latency_us"))


def test_there_is_congestion(congested):
    reports, stats = congested
    delivered = sum(report["delivered"] for report in reports)
    sent = sum(report["sent"] for report in reports)
    assert 0.4 < delivered / sent < 0.65
    assert sum(stats["dropped"].values()) == sent - delivered
    assert set(stats.dropped) <= {"pushed_out", "queue_full", "max_wait"}


def test_class_1_loses_nothing(congested):
    reports, stats = congested
    assert of_class(reports, 1, "delivered") == of_class(reports, 1, "sent")
    assert stats["by_class"]["1"]["dropped"] == 0


def test_class_1_is_as_quick_as_without_congestion():
    """Short rounds, so that some fall between two interruptions of either process; and more of them
    while the machine is busy with something else, which can only add to a latency."""
    free, busy = [], []
    for _ in range(ATTEMPTS):
        reports, stats = run(limit=0, seconds=0.15, rounds=4)
        # Without a limit only a machine that stands still has any wait for so long.
        assert set(stats.dropped) <= {"max_wait"}
        free += reports
        reports, stats = run(LIMIT, seconds=0.15, rounds=4)
        assert sum(stats["dropped"].values()) > 0
        busy += reports
        free_us, busy_us = best_us(free, 1, "p99"), best_us(busy, 1, "p99")
        if busy_us <= 2 * free_us:
            return
    pytest.fail(f"p99 of class 1: {busy_us} us, uncongested {free_us} us")


def test_lower_classes_get_their_minimum_share(congested):
    reports, _ = congested
    for level, percent in MIN_SHARE.items():
        shares = [100 * got / report["delivered"] for got, report in
                  zip(of_class(reports, level, "delivered"), reports)]
        assert max(shares) >= 0.95 * percent, f"class {level} got {shares} %, not {percent} %"


def test_nothing_of_class_3_waits_longer_than_its_maximum():
    """Of all messages of a round: short ones again, for one that nothing interrupted."""
    # Beside the wait in the queue there is the way to it and from it.
    bound_us, best = 1000 * (MAX_WAIT_MS + 5), []
    for _ in range(ATTEMPTS):
        reports, stats = run(LIMIT, seconds=0.15, rounds=4)
        assert stats.dropped["max_wait"] > 0
        best.append(best_us(reports, 3, "max"))
        if best[-1] <= bound_us:
            return
    pytest.fail(f"longest way of a round of class 3, at best: {best} us, not {bound_us} us")


def test_the_order_of_the_classes(congested):
    reports, _ = congested
    got = {level: sum(of_class(reports, level, "delivered")) / sum(of_class(reports, level, "sent"))
           for level in SHARES}
    assert got[1] == 1.0 and got[1] > got[2] > got[3], got
    assert best_us(reports, 1, "p99") < best_us(reports, 2, "p99")
