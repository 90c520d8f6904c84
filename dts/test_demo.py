# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""tools/demo.sh as a user runs it, without a terminal."""

import os
import re
import signal
import subprocess
import time

import pytest

from harness import ROOT

DEMO = ROOT / "tools" / "demo.sh"


def namespaces_of(pid):
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in names.stdout.splitlines() if line.startswith(f"sluice-{pid}-")]


def start(*args):
    return subprocess.Popen([DEMO, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def counts(output, what):
    """The numbers of a row of the final statistics."""
    [row] = re.findall(rf"^{re.escape(what)} +([\d, ]+)$", output.split("DELIVERY STATISTICS")[1],
                       re.M)
    return [int(n.replace(",", "")) for n in row.split()]


def test_the_ledgers_agree():
    demo = start("--seconds", "5", "--interval", "1")
    output, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, output
    assert output.count("DELIVERY STATISTICS") == 1
    assert re.search(r"look at it: http://127\.0\.0\.1:\d+/$", output, re.M)
    sent, delivered, received = counts(output, "total delivered")
    assert sent == delivered == received > 4000
    sent_twice, filtered = counts(output, "duplicates filtered")
    assert sent_twice == filtered > 0.01 * sent
    by_class = [counts(output, f"priority {level}")
                for level in ("1 (high)", "2 (medium)", "3 (low)")]
    assert all(len(set(row)) == 1 and row[0] > 0 for row in by_class)
    assert sum(row[0] for row in by_class) == sent
    assert len(counts(output, "average latency, us")) == 2
    assert len(counts(output, "p99 latency, us")) == 2
    # Without a terminal: blocks of lines, one an interval, and nothing that moves a cursor.
    assert output.count("Sluice demo,") >= 3 and "\x1b" not in output
    assert namespaces_of(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_leaves_nothing_behind(number):
    demo = start("--seconds", "60", "--interval", "1")
    for line in demo.stdout:
        if "Sluice demo," in line:
            break
    assert len(namespaces_of(demo.pid)) == 2
    os.kill(demo.pid, number)
    demo.communicate(timeout=30)
    assert demo.returncode == 128 + number
    assert namespaces_of(demo.pid) == []
    time.sleep(0.2)
    alive = subprocess.run(["pgrep", "-f", f"sluice-{demo.pid}-"], capture_output=True, text=True)
    assert alive.stdout == ""


def test_wrong_arguments_are_refused():
    demo = start("--seconds", "0")
    output, _ = demo.communicate(timeout=180)
    assert demo.returncode == 2 and "--seconds" in output
