# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Receive messages as a backend: see docs/python.md."""

import collections
import threading
import time

from . import wire
from .address import Loop, addresses_of, host_of, open_udp
from .session import NEW, Receiver, refusal

SESSIONS_MAX = 1024
UNORDERED_MAX = 65536  # messages of at-most-once destinations that wait for the application
ACK_AFTER = 32  # messages
ACK_DELAY = 0.002
TICK = 0.25
LOOK_AFTER = 0.1


class Consumer:
    """Takes the messages that an appliance sends to a backend. `for message in consumer` hands
    them out; a message is acknowledged when the next one is asked for, or, with auto_ack=False,
    when its ack() is called. Any thread may use it; auto_ack is for one.

    @param host, port      the backend's address, as in the appliance's configuration
    @param credit          messages of a session that may be here without being done
    @param remembered      messages that are done and known again when they come once more
    @param accept_from     the appliances that are listened to, as "address,..." or a list; anybody
                           unless given. Only of these are epochs believed
    @param session_idle_s  silent for so long, a session is forgotten; and so is the highest epoch
                           when nobody claims it any more
    """

    def __init__(self, host="", port=7600, *, auto_ack=True, credit=256, remembered=65536,
                 accept_from=None, session_idle_s=60.0):
        if credit < 1 or remembered < 1:
            raise ValueError("credit and remembered have to be 1 or more")
        if session_idle_s <= 0:
            raise ValueError("session_idle_s has to be more than 0")
        self._auto_ack, self._credit, self._remembered = auto_ack, credit, remembered
        self._session_idle_s = session_idle_s
        self._accepted = None if accept_from is None else addresses_of(accept_from)
        self._socket = open_udp(host, port, is_bound=True)
        self._lock = threading.Condition()
        self._queue = collections.deque()
        self._sessions = {}  # (address, session) -> Receiver
        self._where = {}  # Receiver -> address
        self._epoch, self._epoch_at = 0, 0.0  # the highest that came, and when last
        self._pending = {}  # key of a message -> [(Receiver, sequence)] it is to be acked in
        self._known = collections.OrderedDict()  # keys of messages that are done
        self._unsent = {}  # Receivers whose ack is due -> None
        self._nb_unsent = 0
        self._acked_at = self._looked_at = 0.0
        self._previous = None
        self._is_closed = False
        self._latency = 0.0
        self._counters = collections.Counter()
        self._loop = Loop("sluice-consumer", self._turn, self._end)
        self._loop.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self._previous = None  # the application failed with it: somebody else may do better
        self.close()

    @property
    def address(self):
        """(host, port) it is bound to."""
        return self._socket.getsockname()[:2]

    @property
    def stats(self):
        """Counters, as a dict."""
        with self._lock:
            return {"received": self._counters["received"], "done": self._counters["done"],
                    "redelivered": self._counters["redelivered"],
                    "refused": self._counters["refused"], "dropped": self._counters["dropped"],
                    "bad_datagrams": self._counters["bad_datagrams"],
                    "not_accepted": self._counters["not_accepted"],
                    "old_epochs": self._counters["old_epochs"],
                    "probes": self._counters["probes"], "sessions": len(self._sessions),
                    "waiting": len(self._queue)}

    def __iter__(self):
        return self

    def __next__(self):
        message = self.get()
        if message is None:
            raise StopIteration
        return message

    def get(self, timeout=None):
        """The next message; None when there is none within @timeout seconds, or it was closed."""
        with self._lock:
            if self._auto_ack and self._previous is not None:
                self._done(self._previous)
                self._previous = None
            if not self._queue:
                self._send_acks()
                self._lock.wait_for(lambda: self._queue or self._is_closed, timeout)
            if self._is_closed or not self._queue:
                return None
            message = self._queue.popleft()
            if self._auto_ack:
                self._previous = message
            return message

    def ack(self, message):
        """The application is done with a message."""
        with self._lock:
            self._done(message)

    def close(self):
        """Acknowledge what is done, and end. What was handed out and is not done is sent to
        another, or again."""
        with self._lock:
            if self._is_closed:
                return
            if self._previous is not None:
                self._done(self._previous)
            self._send_acks()
            self._is_closed = True
            self._lock.notify_all()
        self._loop.wake()
        self._loop.join()

    def _done(self, message):
        if message._came_at is None or self._is_closed:
            return
        now = time.monotonic()
        self._latency += (now - message._came_at - self._latency) / 8
        message._came_at = None
        self._counters["done"] += 1
        if message.sequence == 0:
            return
        waiting = self._pending.pop(message.key)
        self._known[message.key] = None
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        for receiver, sequence in waiting:
            receiver.done(sequence)
            self._unsent[receiver] = None
        self._nb_unsent += 1
        if self._nb_unsent >= ACK_AFTER or now - self._acked_at >= ACK_DELAY:
            self._send_acks()
        elif self._nb_unsent == 1:
            self._loop.wake()

    def _send_acks(self):
        if not self._unsent:
            return
        now = time.monotonic()
        for receiver in self._unsent:
            if receiver in self._where:
                self._send(wire.put_ack(receiver.ack(now)), self._where[receiver])
        self._unsent.clear()
        self._nb_unsent = 0
        self._acked_at = now

    def _send(self, data, address):
        try:
            self._socket.sendto(data, address)
        except OSError:
            pass  # lost, as any datagram may be; the appliance sends again and is answered again

    # The thread's side.

    def _end(self):
        with self._lock:
            self._is_closed = True
            self._lock.notify_all()
        self._socket.close()

    def _turn(self, now):
        if self._is_closed:
            self._end()
            return None
        with self._lock:
            had_waiting = bool(self._queue)
            self._receive(now)
            if self._queue and not had_waiting:
                self._lock.notify_all()
            if self._unsent and now - self._acked_at >= ACK_DELAY:
                self._send_acks()
            if now - self._looked_at >= LOOK_AFTER:
                self._forget(now)
            return self._socket, ACK_DELAY if self._unsent else TICK

    def _receive(self, now):
        for _ in range(256):
            try:
                data, address = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            if self._accepted is not None and host_of(address) not in self._accepted:
                self._counters["not_accepted"] += 1
                continue
            try:
                datagram = wire.decode(data)
            except wire.WireError:
                self._counters["bad_datagrams"] += 1
                continue
            if datagram.messages and self._is_deposed(datagram.epoch, now):
                continue
            for message in datagram.messages:
                self._take(message, datagram.session, address, now)
            if datagram.probe is not None and not datagram.messages and not datagram.probe.reply:
                self._counters["probes"] += 1
                self._send(wire.put_probe(wire.Probe(
                    datagram.probe.nonce, True, len(self._pending) + len(self._queue),
                    int(self._latency * 1e9))), address)

    def _is_deposed(self, epoch, now):
        """Whether it is of an appliance that another has taken over from. Anybody can claim a high
        epoch, so it is believed only where it is known who may send, and forgotten when nobody
        claims it any more."""
        is_trusted = self._accepted is not None
        is_over = now - self._epoch_at >= self._session_idle_s
        if epoch >= self._epoch or (is_over and is_trusted):
            self._epoch, self._epoch_at = epoch, now
            return False
        self._counters["old_epochs"] += 1
        return is_trusted

    def _take(self, message, session, address, now):
        self._counters["received"] += 1
        message._came_at = now
        message._handed_out_by = self
        if session == 0 or message.sequence == 0:
            message.sequence = 0
            if len(self._queue) < UNORDERED_MAX:
                self._queue.append(message)
            else:
                self._counters["dropped"] += 1
            return
        receiver = self._sessions.get((address, session))
        if receiver is None:
            receiver = self._begin(message, session, address, now)
            if receiver is None:
                return
        if receiver.receive(message, now) == NEW:
            for ready in receiver.take():
                self._admit(receiver, ready)
        else:
            self._unsent[receiver] = None  # the ack that said so may have been lost

    def _begin(self, message, session, address, now):
        receiver = Receiver(session, now, self._credit)
        if not receiver.may_begin(message.sequence):
            self._refuse(session, address)
            return None
        if len(self._sessions) >= SESSIONS_MAX:
            self._drop(min(self._sessions, key=lambda at: self._sessions[at].heard_at))
        self._sessions[address, session] = receiver
        self._where[receiver] = address
        return receiver

    def _refuse(self, session, address):
        self._counters["refused"] += 1
        self._send(wire.put_ack(refusal(session)), address)

    def _admit(self, receiver, message):
        """A message whose turn it is: new, or known from another session."""
        key = message.key
        if key in self._known:
            self._counters["redelivered"] += 1
            receiver.done(message.sequence)
            self._unsent[receiver] = None
        elif key in self._pending:
            self._counters["redelivered"] += 1
            self._pending[key].append((receiver, message.sequence))
        else:
            self._pending[key] = [(receiver, message.sequence)]
            self._queue.append(message)

    def _drop(self, at):
        receiver = self._sessions.pop(at)
        del self._where[receiver]
        self._unsent.pop(receiver, None)

    def _forget(self, now):
        """Look for sessions that nobody uses any more, or that cannot go on."""
        self._looked_at = now
        for at, receiver in list(self._sessions.items()):
            if receiver.is_stuck(now):
                self._drop(at)
                self._refuse(at[1], at[0])
            elif now - receiver.heard_at > self._session_idle_s:
                self._drop(at)
