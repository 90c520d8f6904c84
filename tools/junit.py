#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Count the tests of JUnit reports: prints "PASSED FAILED" on stdout; on stderr what failed, and the
end of what it said.

    junit.py REPORT...       of a suite that several have, the last counts
    junit.py --bad REPORT    prints the names of the suites in which something failed

A test that was skipped has failed: whatever a test needs has to be there.
"""

import sys
import xml.etree.ElementTree as ElementTree

LINES, COLUMNS = 8, 300  # of what a test said, at most


def last_lines(*texts):
    """Of the first of @texts that is not empty."""
    text = next((t for t in texts if t and t.strip()), "")
    return [f"    {line[:COLUMNS]}" for line in text.strip().splitlines()[-LINES:]]


def suites_of(path):
    try:
        return {suite.get("name", ""): suite for suite in ElementTree.parse(path).iter("testsuite")}
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"{path}: {error}")


def trouble_of(case):
    return next((child for child in case if child.tag in ("failure", "error", "skipped")), None)


def count(suites):
    passed = failed = 0
    for suite in suites.values():
        for case in suite.iter("testcase"):
            trouble = trouble_of(case)
            if trouble is None:
                passed += 1
                continue
            failed += 1
            # cmocka's tests say on stderr what was wrong; the report has that once for a program.
            print(f"{trouble.tag}: {case.get('classname')} {case.get('name')}",
                  *last_lines(trouble.get("message"), trouble.text,
                              suite.findtext("system-err")), sep="\n", file=sys.stderr)
    print(passed, failed)


def main():
    if sys.argv[1:2] == ["--bad"]:
        # Meson puts the project's name in front.
        print(*(name.rpartition(".")[2] for name, suite in suites_of(sys.argv[2]).items()
                if any(trouble_of(case) is not None for case in suite.iter("testcase"))))
        return
    suites = {}
    for path in sys.argv[1:]:
        suites.update(suites_of(path))
    count(suites)


if __name__ == "__main__":
    main()
