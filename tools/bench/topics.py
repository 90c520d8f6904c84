# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Fan-out: what a copy for a subscriber costs, by their number and by payload."""

import subprocess

import config
from rig import GEN_MAC, PATH_CORE, BenchError, median

SUBSCRIBERS = (1, 4, 16, 100, 1000)
SIZES = (16, 128, 512, 1024)
BASE_SUBSCRIBERS, BASE_SIZE = 16, 128
# Less than it can do, so that none is dropped.
COPIES_PER_S = 2_000_000
COPIES_PER_S_BY_SIZE = 1_000_000
GROWTH_MAX = 1.6


def measure(bench, subscribers, size, rate):
    path = bench.rig.path("topic.yaml")
    config.write_topic(path, GEN_MAC, subscribers)
    run = bench.rig.sluice_run(path, {"size": size, "destinations": 1, "sources": 64,
                                      "classes": "1:20,2:30,3:50",
                                      "rate": rate // subscribers})
    stats = run["stats"]
    return {"cycles": stats["cycles"]["busy"] / max(1, stats["delivered"]),
            "delivered_share": stats["delivered"] / (stats["received"] + stats["copied"])}


def table(bench, say, title, values, case):
    say(f"\n{title}")
    runs = {value: [] for value in values}
    for _ in range(bench.rounds):
        for value in values:
            runs[value].append(measure(bench, **case(value)))
    result = {}
    for value in values:
        result[value] = {key: median(run[key] for run in runs[value]) for key in runs[value][0]}
        say(f"  {value:>6,} {result[value]['cycles']:>7.0f} cycles a copy, "
            f"{result[value]['delivered_share']:.2%} delivered")
    return result


def copies(bench, say, program):
    """Where copying a datagram whole is dearer than sharing its payload."""
    say("\na copy for one more subscriber, whole or sharing the payload")
    done = subprocess.run(
        [program, "-l", str(PATH_CORE), "--in-memory", "--no-pci", "--no-telemetry",
         "--log-level=4"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        check=False)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise BenchError("bench_copy: " + done.stderr.strip()[-400:])
    for line in lines:
        say("  " + line)
    names = ("bytes", "waiting", "copied_ns", "shared_ns")
    return [dict(zip(names, map(float, line.split()))) for line in lines[1:]]


def report(bench, say, program):
    by_subscribers = table(
        bench, say, f"a topic by subscribers, {BASE_SIZE}-byte payloads, {COPIES_PER_S / 1e6:g} M "
        "copies/s", SUBSCRIBERS,
        lambda value: {"subscribers": value, "size": BASE_SIZE, "rate": COPIES_PER_S})
    growth = by_subscribers[SUBSCRIBERS[-1]]["cycles"] / by_subscribers[SUBSCRIBERS[0]]["cycles"]
    say(f"  from {SUBSCRIBERS[0]} to {SUBSCRIBERS[-1]:,}: {growth:.2f} times (at most {GROWTH_MAX})"
        + bench.check("growth with subscribers", growth, f"<= {GROWTH_MAX}",
                      growth <= GROWTH_MAX))
    bench.results["topics"] = {
        "by_subscribers": by_subscribers, "growth": growth,
        "by_size": table(
            bench, say, f"a topic of {BASE_SUBSCRIBERS} subscribers by payload (bytes), "
            f"{COPIES_PER_S_BY_SIZE / 1e6:g} M copies/s", SIZES,
            lambda value: {"subscribers": BASE_SUBSCRIBERS, "size": value,
                           "rate": COPIES_PER_S_BY_SIZE}),
        "copies": copies(bench, say, program)}
