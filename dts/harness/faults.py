# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A disk that fails under the running appliance: faults.c, loaded before the C library, has its
journal's writes, syncs and reads fail, loses what was written, and is slow."""

import pathlib
import subprocess

SOURCE = pathlib.Path(__file__).with_name("faults.c")


class Faults:
    """`sluice = durable.appliance(..., env=faults.env)`, and then `faults.begin("sync")`"""

    def __init__(self, directory, journal):
        self.triggers = directory / "faults"
        self.triggers.mkdir()
        library = directory / "faults.so"
        subprocess.run(["gcc", "-std=gnu11", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o",
                        library, SOURCE], check=True)
        self.env = {"LD_PRELOAD": str(library), "SLUICE_FAULTS": str(self.triggers),
                    "SLUICE_FAULTS_DIRECTORY": str(journal),
                    # Of a build with sanitizers, whose library would come first.
                    "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def begin(self, what):
        (self.triggers / what).touch()

    def end(self, what):
        (self.triggers / what).unlink()
