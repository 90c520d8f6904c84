# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Priorities under congestion: a destination that may take half of what is offered to it.

sluice-gen measures from a message's being sent to its arrival, so these are figures of the whole
way. What else the machine has to do only ever adds to a latency and takes from a share: of several
rounds the best one shows what the appliance does.
"""

import pytest

from harness import MemifLab, destination, sink_backend

OFFERED = 100_000  # messages a second
LIMIT = OFFERED // 2
SHARES = {1: 25, 2: 45, 3: 30}  # percent of the load, by class
MIN_SHARE = {2: 10, 3: 8}  # percent of the limit
MAX_WAIT_MS = 100
SECONDS = 2
ROUNDS = 3

CLASSES = [
    {"level": 1, "name": "high"},
    {"level": 2, "name": "medium", "min_share_percent": MIN_SHARE[2]},
    {"level": 3, "name": "low", "min_share_percent": MIN_SHARE[3], "max_wait_ms": MAX_WAIT_MS},
]


def run(limit, rounds=ROUNDS):
    """The reports of @rounds runs, and the appliance's statistics after the last."""
    cables = MemifLab()
    config = cables.config(
        destination("table1", sink_backend(1), rate_msgs_per_s=limit, queue_capacity=8192),
        classes=CLASSES, idle={"nap": "off"},
        dedup={"window_ms": 2000, "capacity": 1 << 20})
    mix = ",".join(f"{level}:{share}" for level, share in SHARES.items())
    reports = []
    with cables, cables.appliance(config) as sluice:
        for seed in range(rounds):
            reports.append(cables.generate(
                "--destinations", 1, "--sources", 16, "--source-first", 1 + 100 * seed,
                "--classes", mix, "--rate", OFFERED, "--seconds", SECONDS, "--seed", seed,
                "--allow-loss"))
        stats = sluice.wait_for(queued=0)
    for report in reports:
        assert report.is_clean, report.said
    return reports, stats


@pytest.fixture(scope="module")
def uncongested():
    reports, stats = run(limit=0)
    assert stats.dropped == {}
    return reports


@pytest.fixture(scope="module")
def congested():
    return run(limit=LIMIT)


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


def test_class_1_is_as_quick_as_without_congestion(uncongested, congested):
    free, busy = best_us(uncongested, 1, "p99"), best_us(congested[0], 1, "p99")
    assert busy <= 2 * free, f"p99 of class 1: {busy} us, uncongested {free} us"


def test_lower_classes_get_their_minimum_share(congested):
    reports, _ = congested
    for level, percent in MIN_SHARE.items():
        shares = [100 * got / report["delivered"] for got, report in
                  zip(of_class(reports, level, "delivered"), reports)]
        assert max(shares) >= 0.98 * percent, f"class {level} got {shares} %, not {percent} %"


def test_nothing_of_class_3_waits_longer_than_its_maximum(congested):
    reports, stats = congested
    # Beside the wait in the queue there is the way to it and from it.
    allowed_us = 1000 * (MAX_WAIT_MS + 10)
    assert best_us(reports, 3, "max") <= allowed_us
    assert stats["by_class"]["3"]["latency_us"]["max"] <= allowed_us
    assert stats.dropped["max_wait"] > 0


def test_the_order_of_the_classes(congested):
    reports, _ = congested
    got = {level: sum(of_class(reports, level, "delivered")) / sum(of_class(reports, level, "sent"))
           for level in SHARES}
    assert got[1] == 1.0 and got[1] > got[2] > got[3], got
    assert best_us(reports, 1, "p99") < best_us(reports, 2, "p99")
