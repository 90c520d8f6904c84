# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A failure counts, unless the machine was not given its CPUs meanwhile and it does not come again."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from harness import held_up

DTS = pathlib.Path(held_up.__file__).parents[1]
SUITE = """
    runs = []

    def test_first_time():
        runs.append(1)
        assert len(runs) > 1, "held up"

    def test_each_time():
        assert False, "broken"

    def test_good():
        pass
"""


def run(tmp_path, stolen):
    """pytest's exit code and words for SUITE, while that much is stolen in each test."""
    (tmp_path / "conftest.py").write_text(textwrap.dedent(f"""
        import itertools
        from harness import held_up
        times = itertools.count(0, {stolen})
        held_up.stolen_s = lambda: next(times)
    """) + 'pytest_plugins = ["harness.held_up"]\n')
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    done = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "."],
                          cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(DTS)}, text=True,
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout


def test_what_was_held_up_is_run_again_and_told(tmp_path):
    code, said = run(tmp_path, 1.5)
    assert code == 1 and "1 failed, 2 passed" in said
    assert "run again: test_suite.py::test_first_time: its CPUs were taken away for 1.5 s" in said
    assert "AssertionError: held up" in said
    assert "FAILED test_suite.py::test_each_time - AssertionError: broken" in said


@pytest.mark.parametrize("stolen", [0, held_up.STOLEN_MIN_S / 2])
def test_on_a_machine_with_all_its_time_each_failure_counts(tmp_path, stolen):
    code, said = run(tmp_path, stolen)
    assert code == 1 and "2 failed, 1 passed" in said and "run again" not in said


def test_stolen_time_is_that_of_the_kernel():
    fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    least = int(fields[8]) / os.sysconf("SC_CLK_TCK")
    assert least <= held_up.stolen_s() < least + 60
