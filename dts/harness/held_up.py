# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A pytest plugin: a test that failed while this virtual machine was not given its CPUs says nothing
about what it tests. It is run once more, and the summary names it with what it said the first time
and for how long the CPUs had been taken away. On a machine of its own nothing is run twice."""

import os

import pytest
from _pytest.runner import runtestprotocol

STOLEN_MIN_S = 0.1  # By all CPUs together, while the test ran.
TESTS_MAX = 3       # More in one run are no accident.

_again = pytest.StashKey()


def stolen_s(stat="/proc/stat"):
    """Seconds for which something could run here and the hypervisor ran others (proc(5): steal)."""
    with open(stat, encoding="ascii") as f:
        fields = f.readline().split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def _failure(reports):
    return next((r for r in reports if r.failed), None)


def pytest_configure(config):
    config.stash[_again] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    again = item.config.stash[_again]
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    before = stolen_s()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed, stolen = _failure(reports), stolen_s() - before
    if failed is not None and stolen >= STOLEN_MIN_S and len(again) < TESTS_MAX:
        again.append((item.nodeid, stolen, failed))
        item._initrequest()  # Fixtures of its own, made anew.
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter, config):
    for name, stolen, failed in config.stash[_again]:
        terminalreporter.section(f"run again: {name}: its CPUs were taken away for {stolen:.1f} s")
        failed.toterminal(terminalreporter._tw)
