#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Copy a source file with a bug planted in it: one piece of text for another.

    plant.py SOURCE OUTPUT OLD NEW

The bugs are listed in tests/sim/meson.build, so that no core carries any. When the source has
changed and the text is no longer there (once), the copy is as the source is, and the test that
looks for the bug fails: give it the text that is there now.
"""
import pathlib
import sys


def main():
    source, output, old, new = sys.argv[1:]
    text = pathlib.Path(source).read_text()
    if text.count(old) != 1:
        print(f"{source}: {text.count(old)} times there, not once: {old}", file=sys.stderr)
        new = old
    pathlib.Path(output).write_text(f'#line 1 "{source}"\n' + text.replace(old, new))


if __name__ == "__main__":
    main()
