# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client in Python: what its threads wait for."""

import contextlib
import os
import resource

import pytest

from harness.client import sluice
from harness.hand import HOST, Peer
from harness.patience import patience

DESCRIPTORS_MAX = 1100  # select() knows 1024


@pytest.fixture
def many_files():
    """A function that opens so many that those opened next are beyond."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    with contextlib.ExitStack() as stack:
        def fill():
            while True:
                number = os.open(os.devnull, os.O_RDONLY)
                stack.callback(os.close, number)
                if number >= DESCRIPTORS_MAX:
                    return
        yield fill
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_program_may_have_many_files(many_files):
    with Peer() as appliance:
        many_files()
        with sluice.Publisher(appliance.address, source="server1") as publisher:
            assert publisher._socket.fileno() > 1024
            future = publisher.submit("table1", id=7)
            session, _ = appliance.take(1)
            appliance.ack(session, 1)
            assert future.result(patience(5)) == 7
        with sluice.Consumer(HOST, 0) as kitchen:
            assert kitchen._socket.fileno() > 1024
            appliance.to = kitchen.address
            appliance.messages(5, 1)
            assert kitchen.get(patience(5)).id == 1
