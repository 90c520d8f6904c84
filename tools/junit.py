#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Count the tests of a JUnit report: prints "PASSED FAILED" on stdout; on stderr what failed, and the
end of what it said.

A test that was skipped has failed: whatever a test needs has to be there.
"""

import sys
import xml.etree.ElementTree as ElementTree

LINES, COLUMNS = 8, 300  # of what a test said, at most


def last_lines(*texts):
    """Of the first of @texts that is not empty."""
    text = next((t for t in texts if t and t.strip()), "")
    return [f"    {line[:COLUMNS]}" for line in text.strip().splitlines()[-LINES:]]


def main():
    passed = failed = 0
    try:
        report = ElementTree.parse(sys.argv[1])
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    for suite in report.iter("testsuite"):
        for case in suite.iter("testcase"):
            trouble = next((child for child in case
                            if child.tag in ("failure", "error", "skipped")), None)
            if trouble is None:
                passed += 1
                continue
            failed += 1
            # cmocka's tests say on stderr what was wrong; the report has that once for a program.
            print(f"{trouble.tag}: {case.get('classname')} {case.get('name')}",
                  *last_lines(trouble.get("message"), trouble.text,
                              suite.findtext("system-err")), sep="\n", file=sys.stderr)
    print(passed, failed)


if __name__ == "__main__":
    main()
