# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""One thread of a process stands still, by ptrace(2), and the others go on: an lcore whose CPU
others have."""

import contextlib
import ctypes
import os
import pathlib
import re

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000  # Wait for threads, too.

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def _ptrace(request, tid):
    if LIBC.ptrace(request, tid, None, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace request {request:#x} of thread {tid}: {os.strerror(error)}")


def threads(pid, pattern):
    """The ids of a process's threads whose name matches."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return [int(task.name) for task in tasks
            if re.match(pattern, (task / "comm").read_text(encoding="ascii"))]


@contextlib.contextmanager
def lcore_standing_still(pid):
    """The only lcore of an appliance that has none but the main one besides."""
    [tid] = threads(pid, r"(lcore|rte)-worker")
    _ptrace(SEIZE, tid)
    try:
        _ptrace(INTERRUPT, tid)
        os.waitpid(tid, WALL)
        yield
    finally:
        _ptrace(DETACH, tid)
