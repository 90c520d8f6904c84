# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The other end of a client, whose every datagram the test decides."""

import select
import socket
import time

from .patience import Deadline, patience
from .wire import decode, encode, message, pb2

HOST = "127.0.0.1"


class Peer:
    """A UDP socket that speaks by stock protobuf."""

    def __init__(self, to=None, address=(HOST, 0)):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.address = self.socket.getsockname()
        self.to = to

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, within=None):
        """The next datagram, or, of one that need not come, None when it does not come @within so
        many seconds."""
        if not select.select([self.socket], [], [], patience(5) if within is None else within)[0]:
            assert within is not None, "no datagram came"
            return None
        data, self.to = self.socket.recvfrom(65536)
        return decode(data)

    def take(self, count, timeout=10.0, session=None):
        """Messages by sequence, of the first session that comes and is not @session, until there
        are @count. Returns (session, {sequence: message})."""
        got, deadline = {}, Deadline(timeout)
        mine = None
        while len(got) < count and not deadline.has_passed():
            came = self.receive(0.1)
            if came is None or came.session == session or mine not in (None, came.session):
                continue
            mine = came.session
            got.update((m.sequence, m) for m in came.messages)
        assert len(got) >= count, f"{len(got)} of {count} messages came"
        return mine, got

    def beyond(self, last):
        """The sequences of the next datagram that has some beyond @last; others are sent again for
        as long as they are not acknowledged."""
        deadline = Deadline(10)
        while not deadline.has_passed():
            came = self.receive(0.1)
            if came is not None and any(m.sequence > last for m in came.messages):
                return {m.sequence for m in came.messages}
        raise AssertionError(f"nothing beyond {last}")

    def send(self, packet):
        self.socket.sendto(packet if isinstance(packet, bytes) else packet.SerializeToString(),
                           self.to)

    def ack(self, session, cumulative, highest=None, credit=None, selective=b"", epoch=1):
        self.send(pb2.Datagram(magic=0x31434C53, epoch=epoch, session=0, ack=pb2.Ack(
            session=session, cumulative=cumulative, selective=selective, echo_timestamp_ns=0,
            highest=cumulative if highest is None else highest, ack_delay_ns=0,
            credit_limit=cumulative + 1024 if credit is None else credit)))

    def refuse(self, session):
        self.ack(session, 0, credit=0)

    def messages(self, session, *numbers, epoch=1, first_id=0, payload=b"x", **fields):
        """Send these of a session, with the id of their sequence and @first_id."""
        self.send(encode(*(message(first_id + n, sequence=n, flags=1, payload=payload, **fields)
                           for n in numbers), session=session, epoch=epoch))

    def read_ack(self, session, deadline=None):
        """The next ack of that session."""
        deadline = deadline or Deadline(5)
        while not deadline.has_passed():
            came = self.receive(0.1)
            if came is not None and came.HasField("ack") and came.ack.session == session:
                return came.ack
        raise AssertionError(f"no ack of session {session}")

    def wait_for_ack(self, session, cumulative):
        """The first ack of that session that has so many."""
        deadline = Deadline(5)
        while True:
            ack = self.read_ack(session, deadline)
            if ack.cumulative >= cumulative:
                return ack

    def silent(self, seconds=0.3):
        """Fails when an ack that acknowledges something comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            came = self.receive(0.05)
            assert came is None or came.ack.cumulative == 0 and not came.ack.selective, came
