# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client in Python: what its threads wait for."""

import contextlib
import os
import resource
import sys
import threading

import pytest

from harness.client import sluice
from harness.hand import HOST, Peer
from harness.patience import patience

DESCRIPTORS_MAX = 1100  # select() knows 1024


def test_flush_waits_for_what_came_before_and_not_for_as_many():
    """Another thread's message is acknowledged meanwhile, and the one from before is not."""
    with Peer() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1")
        begun, found = threading.Event(), []
        wait_for = publisher._changed.wait_for
        # The lock is held: what is submitted from now on comes after flush() has looked.
        publisher._changed.wait_for = lambda *how: begun.set() or wait_for(*how)

        def flush():
            publisher.flush()
            found.append(first.done())

        first = publisher.submit("table1")
        flusher = threading.Thread(target=flush, daemon=True)
        flusher.start()
        assert begun.wait(patience(5))
        second = publisher.submit("table1")
        session, _ = appliance.take(2)
        appliance.ack(session, 0, highest=2, selective=b"\1")
        second.result(patience(5))
        flusher.join(0.2)
        assert not found
        # Nor does it wait for what comes after.
        third = publisher.submit("table1")
        appliance.ack(session, 2)
        flusher.join(patience(5))
        assert found == [True] and not third.done()
        publisher.close(0)


@pytest.mark.parametrize("timeout", [None, patience(1)], ids=["durable", "given up"])
def test_a_callback_may_submit_and_never_waits(timeout):
    """It runs in the thread that alone makes room. There is that of its own message."""
    with Peer() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1", max_pending=1,
                                     message_timeout_s=timeout)
        said, is_over = [], threading.Event()

        def done(_):
            for call in (lambda: publisher.submit("table1"), lambda: publisher.submit("table1"),
                         lambda: publisher.publish("table1"), lambda: publisher.flush(0),
                         lambda: publisher.close(1)):
                try:
                    said.append(type(call()))
                except Exception as error:
                    said.append(type(error))
            is_over.set()

        publisher.submit("table1").add_done_callback(done)
        session, _ = appliance.take(1)
        if timeout is None:
            appliance.ack(session, 1)
        try:
            assert is_over.wait(patience(10)), said
            assert said[1:] == 4 * [sluice.WrongThread]
            # It goes on: what was submitted there is sent.
            assert appliance.beyond(1) == {2}
        finally:
            publisher.close(0)
        assert publisher.stats["submitted"] == 2


def test_a_callback_may_end_its_publisher():
    with Peer() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1", max_pending=2)
        first, second = publisher.submit("table1"), publisher.submit("table1")
        first.add_done_callback(lambda _: publisher.close(0))
        session, _ = appliance.take(2)
        appliance.ack(session, 1)
        assert isinstance(second.exception(patience(5)), sluice.Closed)
        with pytest.raises(sluice.Closed):
            publisher.submit("table1")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_ends_the_thread_leaves_nobody_waiting():
    """All are acknowledged at once; those whose turn had not come fail."""
    with Peer() as appliance:
        publisher = sluice.Publisher(appliance.address, source="server1")
        futures = [publisher.submit("table1") for _ in range(3)]
        futures[0].add_done_callback(lambda _: sys.exit())
        session, _ = appliance.take(3)
        appliance.ack(session, 3)
        assert futures[0].result(patience(5))
        for future in futures[1:]:
            assert isinstance(future.exception(patience(2)), sluice.Closed)
        with pytest.raises(sluice.Closed):
            publisher.flush(patience(2))


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
