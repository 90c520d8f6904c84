# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""sluicectl as scripts use it, and as people do."""

import json
import os
import subprocess

import pexpect

from .appliance import BUILD
from .patience import patience

SLUICECTL = BUILD / "app" / "sluicectl" / "sluicectl"

PROMPT = "sluice> "

# Exit codes.
OK, FAILED, USAGE, NO_CONNECTION = range(4)


def environment(home=None, **variables):
    """Nobody's own history or socket, and no colours."""
    kept = {k: v for k, v in os.environ.items()
            if k not in ("SLUICE_SOCKET", "XDG_STATE_HOME", "HOME")}
    return {**kept, "HOME": str(home or "/nonexistent"), "TERM": "dumb", **variables}


def sluicectl(*words, socket=None, stdin="", timeout=20, **variables):
    """Run it, its standard input being no terminal. Returns the completed process."""
    options = ["--socket", str(socket)] if socket is not None else []
    return subprocess.run([str(SLUICECTL), *options, *map(str, words)], input=stdin, text=True,
                          capture_output=True, timeout=patience(timeout),
                          env=environment(**variables))


class Cli:
    """sluicectl with an appliance's socket."""

    def __init__(self, appliance):
        self.socket = appliance.control_socket

    def run(self, *words, **kwargs):
        return sluicectl(*words, socket=self.socket, **kwargs)

    def ok(self, *words, **kwargs):
        """Run what has to succeed. Returns what it shows."""
        done = self.run(*words, **kwargs)
        assert (done.returncode, done.stderr) == (OK, ""), \
            f"{words}: exit code {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def json(self, *words):
        return json.loads(self.ok("--json", *words))

    def fails(self, *words, code=FAILED, **kwargs):
        """Run what has to fail. Returns what it says."""
        done = self.run(*words, **kwargs)
        assert done.returncode == code, f"{words}: exit code {done.returncode}: {done.stderr}"
        return done.stderr


def interactive(*argv, home=None, timeout=10):
    """A program on a terminal, wide enough for no line to be folded."""
    return pexpect.spawn(str(argv[0]), [str(a) for a in argv[1:]], encoding="utf-8",
                         timeout=patience(timeout), dimensions=(60, 250),
                         env=environment(home=home), echo=False)


def type_line(terminal, line):
    """Type a line and wait for the prompt. Returns what was shown between."""
    terminal.send(line + "\r")
    terminal.expect_exact(PROMPT)
    echoed, _, shown = terminal.before.partition("\r\n")
    assert line in echoed, f"{echoed!r} is not what was typed: {line!r}"
    return shown.replace("\r\n", "\n")
