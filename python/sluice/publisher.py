# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Send messages so that none is lost: see docs/python.md."""

import collections
import concurrent.futures
import itertools
import secrets
import socket
import threading
import time
import uuid

from . import wire
from .address import Loop, open_udp, parse_address
from .session import REFUSED, Outgoing, Sender

_HEADERS_IPV4, _HEADERS_IPV6 = 28, 48
# Linux: never fragment, the appliance drops fragments. Not in the socket module.
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DO = 10, 23, 2


class Closed(Exception):
    """The publisher was closed before the appliance acknowledged the message. It may have been
    accepted all the same; sent again under the same id, it arrives once."""


class GivenUp(TimeoutError):
    """A message was not durable within the publisher's message_timeout_s, and is not sent any more.
    It may have been accepted all the same; sent again under the same id, it arrives once."""


class WrongThread(RuntimeError):
    """A future's callback would wait for the publisher's thread, which is the one it runs in."""


class Publisher:
    """Sends messages to an appliance until they are durable there. Any thread may use it.

    @param appliances     "host", "host:port", "[address]:port" or (host, port); the first is used,
                          the next when that one acknowledges nothing for @failover_s
    @param source         the name of who sends
    @param max_pending    messages that may wait for their acknowledgement before publish() and
                          submit() wait themselves
    @param mtu            of the way to the appliance: what does not fit a packet is refused
    @param message_timeout_s  a message that is not durable after so long fails with GivenUp; never
                          unless given
    """

    def __init__(self, *appliances, source, max_pending=10000, failover_s=3.0, mtu=1500,
                 message_timeout_s=None):
        if not appliances:
            raise ValueError("no appliance given")
        if max_pending < 1:
            raise ValueError("max_pending is less than 1")
        if message_timeout_s is not None and message_timeout_s <= 0:
            raise ValueError("message_timeout_s has to be more than 0")
        self._appliances = [parse_address(a, 7500) for a in appliances]
        self._source = wire.name_key(source)
        self._failover_s, self._mtu = failover_s, mtu
        self._message_timeout_s = message_timeout_s
        self._keys = {}
        self._id_high, self._id_low = secrets.randbits(64), itertools.count(1)
        self._room = threading.Semaphore(max_pending)
        self._changed = threading.Condition()
        self._inbox = collections.deque()
        # What is not settled, in the order it was submitted -> its place in that. Under the lock.
        self._live = collections.OrderedDict()
        self._nb_submitted = self._nb_finished = self._nb_failed = 0
        self._is_closing = self._is_ending = self._has_ended = False
        self._place = 0
        self._failovers = self._sessions = 0
        self._bad_datagrams = 0
        self._socket = None
        self._epoch = 0  # the highest that the appliance has shown
        now = time.monotonic()
        self._progress_at = now
        self._connect()
        self._sender = Sender(self._new_session(), now, self._datagram_max)
        self._loop = Loop("sluice-publisher", self._turn, self._end)
        self._loop.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(None if kind is None else 0.0)

    def publish(self, destination, payload=b"", *, type="", id=None, priority=0,
                timestamp_ns=None, timeout=None):
        """Send a message and wait until it is durable. Returns its id. After TimeoutError it is
        still being sent, unless that is GivenUp. Not for callbacks: WrongThread."""
        self._check_may_wait()
        future = self.submit(destination, payload, type=type, id=id, priority=priority,
                             timestamp_ns=timestamp_ns)
        try:
            return future.result(timeout)
        except GivenUp:
            raise
        except concurrent.futures.TimeoutError:
            raise TimeoutError(f"not durable within {timeout} s; it is still being sent") from None

    def submit(self, destination, payload=b"", *, type="", id=None, priority=0,
               timestamp_ns=None):
        """Send a message. Returns a concurrent.futures.Future, which has the message's id when it
        is durable. Waits while there are @max_pending others that are not; a callback never waits,
        and is told WrongThread then.

        @param payload       bytes, or a str, which is sent as UTF-8
        @param id            a number of up to 128 bits, a uuid.UUID, or a str; made up unless given
        @param priority      class 1 (served first) to 8; 0: the destination's default
        """
        entry = self._make(destination, payload, type, id, priority, timestamp_ns)
        self._take_room()
        future = entry.handle[0]
        future.set_running_or_notify_cancel()
        with self._changed:
            self._check_open()
            if self._message_timeout_s is not None:
                entry.deadline = time.monotonic() + self._message_timeout_s
            self._inbox.append(entry)
            self._nb_submitted += 1
            self._live[entry] = self._nb_submitted
        self._loop.wake()
        return future

    def flush(self, timeout=None):
        """Wait until everything that was submitted before is durable, or given up; TimeoutError.
        Not for callbacks: WrongThread."""
        self._check_may_wait()
        with self._changed:
            last = self._nb_submitted
            self._changed.wait_for(lambda: self._is_settled_up_to(last) or self._has_ended, timeout)
            left = sum(place <= last for place in self._live.values())
        if left > 0 and self._has_ended:
            raise Closed(f"the publisher was closed with {left} messages not durable")
        if left > 0:
            raise TimeoutError(f"{left} messages not durable within {timeout} s")

    def close(self, timeout=None):
        """Wait until everything is durable, at most @timeout seconds, and end. What is not durable
        then fails with Closed, and TimeoutError is raised; with 0 it is not. Callbacks may do it
        with 0 only, else WrongThread."""
        if timeout != 0:
            self._check_may_wait()
        with self._changed:
            if self._is_closing:
                return
            self._is_closing = True
        try:
            if timeout != 0:
                self.flush(timeout)
        finally:
            self._is_ending = True
            self._loop.wake()
            self._loop.join()

    @property
    def stats(self):
        """Counters, as a dict."""
        sender = self._sender
        return {"submitted": self._nb_submitted,
                "durable": self._nb_finished - self._nb_failed, "failed": self._nb_failed,
                "pending": self._nb_submitted - self._nb_finished,
                "retransmitted": sender.retransmitted, "bad_acks": sender.bad_acks,
                "bad_datagrams": self._bad_datagrams, "sessions": self._sessions,
                "failovers": self._failovers, "round_trip_s": sender.srtt,
                "appliance": self._appliances[self._place]}

    def _check_open(self):
        if self._is_closing:
            raise Closed("the publisher is closed")

    def _check_may_wait(self):
        if self._loop.is_inside():
            raise WrongThread("a callback cannot wait for the thread that it runs in")

    def _take_room(self):
        self._check_open()
        if self._room.acquire(blocking=False):
            return
        self._check_may_wait()
        while not self._room.acquire(timeout=1.0):
            self._check_open()

    def _is_settled_up_to(self, last):
        """Whether all are that were submitted up to that one."""
        return next(iter(self._live.values()), last + 1) > last

    def _key(self, name):
        key = self._keys.get(name)
        if key is None:
            key = wire.name_key(name)
            if len(self._keys) < 65536:
                self._keys[name] = key
        return key

    def _make(self, destination, payload, type, id, priority, timestamp_ns):
        text = None
        if id is None:
            id = self._id_high << 64 | next(self._id_low)
        elif isinstance(id, str):
            text, id = id, wire.text_id(id)
        elif isinstance(id, uuid.UUID):
            id = id.int
        if not 0 <= id < 1 << 128:
            raise ValueError(f"id {id}: not a number of 128 bits")
        if not 0 <= priority <= wire.CLASS_MAX:
            raise ValueError(f"priority {priority}: 1 to {wire.CLASS_MAX}, or 0")
        if isinstance(payload, str):
            payload = payload.encode()
        message = wire.Message(
            self._source, self._key(destination), self._key(type), id, bytes(payload), text,
            time.time_ns() if timestamp_ns is None else timestamp_ns, priority, wire.WANTS_ACK)
        field = wire.put_message(message)
        if wire.HEADER_LEN + len(field) > self._datagram_max:
            raise ValueError(
                f"{wire.HEADER_LEN + len(field)} bytes do not fit a datagram of "
                f"{self._datagram_max}: make the payload shorter, or the MTU larger")
        return Outgoing(field, (concurrent.futures.Future(), id))

    # The thread's side.

    def _new_session(self):
        self._sessions += 1
        return secrets.randbits(64) or 1

    def _connect(self):
        # The old one stays where there is no other: a name may not be found for a while.
        sock = open_udp(*self._appliances[self._place], is_bound=False)
        if self._socket is not None:
            self._socket.close()
        self._socket = sock
        is_ipv6 = self._socket.family == socket.AF_INET6
        self._datagram_max = min(self._mtu - (_HEADERS_IPV6 if is_ipv6 else _HEADERS_IPV4), 65507)
        if hasattr(socket, "IPPROTO_IPV6") and is_ipv6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO)
        else:
            self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)

    def _turn(self, now):
        if self._is_ending:
            self._end()
            return None
        sender = self._sender
        while self._inbox:
            if sender.pending == 0:
                self._progress_at = now
            sender.add(self._inbox.popleft())
        self._receive(now)
        self._expire(now)
        if sender.pending and now - self._progress_at > self._failover_s:
            self._fail_over(now)
        for datagram in sender.poll(now):
            try:
                self._socket.send(datagram)
            except OSError:
                pass  # lost, as any datagram may be: a full buffer, nobody there, no route yet
        deadlines = [at for at in (self._expiry(), sender.deadline(now)) if at is not None]
        return self._socket, max(0.0, min(deadlines) - now) if deadlines else None

    def _receive(self, now):
        for _ in range(256):
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # what became of a datagram sent before
            try:
                datagram = wire.decode(data)
            except wire.WireError:
                self._bad_datagrams += 1
                continue
            ack = datagram.ack
            if ack is None or datagram.epoch < self._epoch:
                continue  # of an appliance that is not the active one any more
            if ack.session == self._sender.session:
                self._epoch = datagram.epoch
            said, done = self._sender.on_ack(ack, now)
            if done:
                self._progress_at = now
                self._finish(done)
            if said == REFUSED:
                self._sender.restart(self._new_session(), now)

    def _finish(self, done):
        """These are acknowledged; of some nobody may want to know any more."""
        done = [entry for entry in done if not entry.is_settled]
        self._make_room(done)
        for entry in done:
            entry.is_settled = True
            future, ident = entry.handle
            future.set_result(ident)
        self._settle(done, 0)

    def _expire(self, now):
        """Give up what is not durable in time. All have the same time, so the first is the first
        to go."""
        if self._message_timeout_s is None:
            return
        with self._changed:
            late = list(itertools.takewhile(lambda entry: entry.deadline <= now, self._live))
        self._make_room(late)
        for entry in late:
            self._sender.give_up(entry)
            entry.handle[0].set_exception(GivenUp(
                f"not durable within {self._message_timeout_s} s; it is not sent any more"))
        self._settle(late, len(late))

    def _expiry(self):
        """When there is one to be given up, or None."""
        if self._message_timeout_s is None:
            return None
        with self._changed:
            first = next(iter(self._live), None)
        return None if first is None else first.deadline

    def _make_room(self, settled):
        """Before their callbacks, which may submit others and never wait."""
        if settled:
            self._room.release(len(settled))

    def _settle(self, settled, failed):
        """After their callbacks, so that flush() returns when those have run."""
        if not settled:
            return
        with self._changed:
            for entry in settled:
                del self._live[entry]
            self._nb_finished += len(settled)
            self._nb_failed += failed
            self._changed.notify_all()

    def _fail_over(self, now):
        """On to the next appliance, or where the only one is now; what is not acknowledged is sent
        there."""
        is_alone = len(self._appliances) == 1
        if not self._sender.is_wanted or (is_alone and self._is_where_it_was()):
            self._progress_at = now
            self._epoch = 0  # it may have been started with a lower one
            if self._sender.is_held_up:
                self._sender.restart(self._new_session(), now)
            return
        self._place = (self._place + 1) % len(self._appliances)
        self._failovers += 1
        self._epoch = 0
        self._progress_at = now
        try:
            self._connect()
        except OSError:
            return  # its turn comes again
        self._sender.datagram_max = self._datagram_max
        self._sender.restart(self._new_session(), now)

    def _is_where_it_was(self):
        host, port = self._appliances[self._place]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
            return self._socket.getpeername()[:2] in [where[:2] for *_, where in found]
        except OSError:
            return True  # its name cannot be looked up now

    def _end(self):
        with self._changed:
            self._is_closing = True
            left = [entry for entry in self._live if not entry.is_settled]
        self._socket.close()
        for entry in left:
            entry.is_settled = True
            entry.handle[0].set_exception(
                Closed("the publisher was closed before the message was acknowledged"))
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
