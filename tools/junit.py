#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Count the tests of a JUnit report: prints "PASSED FAILED" on stdout, what failed on stderr.

A test that was skipped has failed: whatever a test needs has to be there.
"""

import sys
import xml.etree.ElementTree as ElementTree


def main():
    passed = failed = 0
    try:
        report = ElementTree.parse(sys.argv[1])
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
    for case in report.iter("testcase"):
        trouble = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if trouble:
            failed += 1
            print(f"{trouble[0]}: {case.get('classname')} {case.get('name')}", file=sys.stderr)
        else:
            passed += 1
    print(passed, failed)


if __name__ == "__main__":
    main()
