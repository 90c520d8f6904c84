# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Fixtures of the end-to-end suites, and the appliance's own words beside every failure."""

import json
import os
import shutil

import pytest

from harness import SLUICE, Lab, appliance, remove_leftovers
from harness.durable import DurableLab
from harness.standstill import stolen_s

NEEDED = ("ip", "ethtool", "ping", "protoc")


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: of memory or of long work, and not for a build with "
                            "sanitizers")


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end suites make network namespaces: run them as root", 2)
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        pytest.exit(f"missing: {', '.join(missing)}; tools/test.sh installs what is needed", 2)
    if not SLUICE.exists():
        pytest.exit(f"{SLUICE} is not there: build it (ninja -C build) or set SLUICE_BUILD", 2)
    remove_leftovers()


@pytest.fixture
def lab():
    """A bench whose peer side is an ordinary kernel."""
    with Lab() as bench:
        yield bench


@pytest.fixture
def wire_lab():
    """A bench whose peer side is silent: the test sends and sees every frame itself."""
    with Lab(addresses=()) as bench:
        yield bench


@pytest.fixture
def durable():
    """A bench with a journal that outlives appliances, and a ledger."""
    with DurableLab() as bench:
        yield bench


_stolen_before = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    item.stash[_stolen_before] = stolen_s()
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        stolen = stolen_s() - item.stash[_stolen_before]
        report.sections.append(("machine", f"CPUs taken away meanwhile for {stolen:.1f} s"))
        for number, sluice in enumerate(appliance.history):
            report.sections.append((f"appliance {number}: said", sluice.stderr))
            if sluice.last_stats is not None:
                report.sections.append((f"appliance {number}: last statistics",
                                        json.dumps(sluice.last_stats.happened())))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Forget the appliances that have ended; those of a module's fixture run on."""
    for sluice in list(appliance.history):
        if sluice.process is None or sluice.process.poll() is not None:
            sluice.close()
            appliance.history.remove(sluice)
