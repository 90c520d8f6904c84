# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client in Python, from the source tree."""

import sys

from .wire import ROOT

PYTHON_CLIENT = ROOT / "python"
sys.path.insert(0, str(PYTHON_CLIENT))

import sluice  # noqa: E402
import sluice.address  # noqa: E402
import sluice.session  # noqa: E402
import sluice.wire  # noqa: E402
import sluice.xxh3  # noqa: E402,F401

__all__ = ["PYTHON_CLIENT", "sluice"]
