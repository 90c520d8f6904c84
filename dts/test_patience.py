# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""How the suites wait: for long where something may yet come, and no longer than it takes."""

import time
import types

import pytest

from harness import patience
from harness.patience import FACTOR, Deadline, wait_until


def test_what_comes_is_returned_at_once():
    values = iter((0, "", "it"))
    begin = time.monotonic()
    assert wait_until(lambda: next(values), 1000) == "it"
    assert time.monotonic() - begin < 1000


def test_what_never_comes_is_told_with_the_time_it_had():
    looks = []
    with pytest.raises(AssertionError, match=f"not within {FACTOR * 0.01:g} s: after [1-9]"):
        wait_until(lambda: looks.append(0), 0.01, lambda: f"after {len(looks)}")
    with pytest.raises(AssertionError, match="s: eggs"):
        wait_until(lambda: False, 0, "eggs")


def test_who_stood_still_looks_once_more(monkeypatch):
    """It has come while nobody here was given a CPU, and the time is over now."""
    now = [0.0]

    def stand_still(seconds):
        now[0] += 1000
    monkeypatch.setattr(patience, "time", types.SimpleNamespace(monotonic=lambda: now[0],
                                                                sleep=stand_still))
    assert wait_until(lambda: now[0] > 0, 10)


def test_a_deadline_says_what_is_left():
    deadline = Deadline(1000)
    assert not deadline.has_passed() and 0 < deadline.left() <= FACTOR * 1000
    passed = Deadline(0)
    assert passed.has_passed() and passed.left() == 0
