# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""How long something is waited for before it is called a hang."""

import time

FACTOR = 6


def patience(seconds):
    """How long to wait for something before it is called a hang: @seconds are plenty on a machine
    that is given its CPUs and its disk. There are others, whose CPUs are taken away half of the
    time and on which a sync takes most of a second: what is slow there is not wrong. It costs
    nothing when nothing hangs. Never for a promise in seconds, for which there is standstill.py,
    and never for what is not to come, which is waited for as long as it says."""
    return FACTOR * seconds


class Deadline:
    """`deadline = Deadline(10)`, and later `assert not deadline.has_passed()`; @seconds as those of
    patience(), which it asks itself."""

    def __init__(self, seconds):
        self.seconds = patience(seconds)
        self._end = time.monotonic() + self.seconds

    def left(self):
        """Seconds, 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())

    def has_passed(self):
        return self.left() == 0


def wait_until(condition, timeout=10.0, what="it", every=0.01):
    """Wait until @condition() is true; its value is returned. @what it is that is waited for, or a
    function that says how it is by then. It is looked at @every so many seconds."""
    deadline = Deadline(timeout)
    while True:
        # Who stands still behind a look at the condition has another one.
        was_last = deadline.has_passed()
        if value := condition():
            return value
        assert not was_last, \
            f"not within {deadline.seconds:g} s: {what() if callable(what) else what}"
        time.sleep(every)
