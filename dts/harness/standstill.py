# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""How long this machine did nothing at all, for tests of promises in seconds, and beside failures."""

import os
import threading
import time

TICK_S, LATE_S = 0.01, 0.05


def stolen_s():
    """Seconds, of all CPUs together, for which something could run on this virtual machine and the
    hypervisor ran others (proc(5): steal)."""
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


class Standstill:
    """`with Standstill() as still:` a promise of 3 s is kept within 3 + still.seconds: the time
    for which nobody here was given a CPU, seen by a thread that wants one all the time. What the
    appliance does has no part in it."""

    def __init__(self):
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._last = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _watch(self):
        while not self._is_over.wait(TICK_S):
            self._tick()
        self._tick()

    def _tick(self):
        now = time.monotonic()
        late, self._last = now - self._last - TICK_S, now
        if late > LATE_S:
            self.seconds += late
