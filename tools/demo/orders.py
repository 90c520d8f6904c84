# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What the processes of the demo have in common: the menu, and how latencies are counted."""

import json
import pathlib
import signal
import sys

DTS = pathlib.Path(__file__).resolve().parents[2] / "dts"
sys.path[1:1] = [str(DTS), str(DTS / "harness")]

SERVERS = ("server1", "server2", "server3", "server4")
TABLES = ("table1", "table2", "table3", "table4")
TYPES = ("breakfast", "lunch", "dinner")
VIP = "table1"
CLASS_NAMES = {1: "high", 2: "medium", 3: "low"}


def served_class(table, type):
    """The class restaurant.yaml gives an order: by its type, and one better for the VIP."""
    return max(1, 1 + TYPES.index(type) - (table == VIP))


def latency_step(microseconds):
    """Latencies are counted in steps at most 1/32 wide, named by their lower end."""
    microseconds = max(0, int(microseconds))
    shift = max(0, microseconds.bit_length() - 6)
    return microseconds >> shift << shift


def mean(steps):
    count = sum(steps.values())
    return sum(step * n for step, n in steps.items()) / count if count else 0.0


def quantile(steps, share):
    """The latency that @share of those counted in @steps do not exceed."""
    left = share * sum(steps.values())
    for step in sorted(steps):
        left -= steps[step]
        if left <= 0:
            return step
    return 0


class Stop:
    """True once somebody has asked this process to end."""

    def __init__(self):
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_):
        self._asked = True

    def __bool__(self):
        return self._asked


def report(**fields):
    """One line of JSON to whoever started this process."""
    print(json.dumps(fields), flush=True)
