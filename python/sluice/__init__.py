# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A client of Sluice in Python alone: docs/python.md."""

from .consumer import Consumer
from .publisher import Closed, GivenUp, Publisher, WrongThread
from .wire import Message, WireError, name_key, text_id

__version__ = "0.1.0"
__all__ = ["Closed", "Consumer", "GivenUp", "Message", "Publisher", "WireError", "WrongThread",
           "name_key", "text_id"]
