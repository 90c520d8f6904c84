# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Time for upper bounds: a machine that stands still lets nobody be in time."""

import threading
import time

TICK_S, STILL_S = 0.01, 0.1


class Clock:
    """`with Clock() as clock: clock.now()`: seconds, but where this process stood still for longer
    than STILL_S, no more than that is counted."""

    def __init__(self):
        self._now = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()

    def _run(self):
        last = time.monotonic()
        while not self._is_over.wait(TICK_S):
            now = time.monotonic()
            self._now += min(now - last, STILL_S)
            last = now

    def now(self):
        return self._now
