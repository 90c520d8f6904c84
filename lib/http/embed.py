#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Turn the files of the page into a C source: embed.py OUTPUT FILE..."""

import hashlib
import pathlib
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def rows(data):
    for start in range(0, len(data), 16):
        yield "\t" + ", ".join(f"0x{byte:02x}" for byte in data[start:start + 16]) + ","


def main():
    output, *names = sys.argv[1:]
    out = ['#include "http_internal.h"', ""]
    table = []
    for number, name in enumerate(names):
        path = pathlib.Path(name)
        data = path.read_bytes()
        etag = hashlib.sha256(data).hexdigest()[:16]
        out += [f"static const unsigned char file_{number}[] = {{ /* {path.name} */", *rows(data),
                "};", ""]
        url = "/" if path.name == "index.html" else f"/{path.name}"
        table.append(f'\t{{"{url}", "{TYPES[path.suffix]}", "\\"{etag}\\"", file_{number}, '
                     f"sizeof(file_{number})}},")
    out += ["const struct http_file http_files[] = {", *table, "};", "",
            f"const unsigned int http_nb_files = {len(names)};", ""]
    pathlib.Path(output).write_text("\n".join(out), encoding="ascii")


if __name__ == "__main__":
    main()
