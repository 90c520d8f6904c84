# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""An appliance in Python that keeps the promises of at-least-once destinations, slowly: what the
clients and the ledger are tested against. Told to, it breaks one of the promises.

It journals in the format of the real one, forgets everything else when it is made to crash, and
knows the wire from the stock protobuf library.
"""

import collections
import random
import select
import socket
import threading
import time

from . import journal, wire
from .patience import patience
from .sockets import SO_RCVBUFFORCE, free_udp_port

FAULTS = ("ack-early", "lose-at-restart", "lose-one", "invent", "twice", "swap", "ack-pending",
          "ack-unsent")
REFUSAL = (0, 0, 0, b"")
RTO = 0.03


class _Publisher:
    """What a publisher's session has made durable here."""

    def __init__(self, address):
        self.address = address
        self.cumulative = self.highest = 0
        self._ahead = set()

    def has(self, sequence):
        return sequence <= self.cumulative or sequence in self._ahead

    def add(self, sequence):
        self.highest = max(self.highest, sequence)
        self._ahead.add(sequence)
        while self.cumulative + 1 in self._ahead:
            self.cumulative += 1
            self._ahead.discard(self.cumulative)

    def selective(self):
        bits = sum(1 << s - self.cumulative - 2 for s in self._ahead
                   if s - self.cumulative - 2 < 1024)
        return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


class _Backend:
    """The session with a backend."""

    def __init__(self, address):
        self.address = address
        self.heard_at = time.monotonic()
        self.restarts = 0
        self.begin()

    def begin(self):
        """A new session."""
        self.session = random.getrandbits(64) or 1
        self.next, self.limit, self.highest, self.cumulative = 1, 16, 0, 0
        self.unacked = {}  # sequence -> [ref, message, when sent]
        self.restarts += 1


class FakeAppliance:
    """`with FakeAppliance(directory, {"table1": [("127.0.0.1", 9001)]}) as fake:`

    What is for a destination that is not there is dropped, as the real one does.

    @param fault      one of FAULTS: the promise it breaks
    @param commit_s   how long a batch waits until it is written
    @param window     credit of a publisher, and how far from 1 a session may begin
    """

    def __init__(self, directory, destinations, fault=None, commit_s=0.001, window=1024,
                 requeue_s=1.0):
        assert fault is None or fault in FAULTS, fault
        self.directory, self.fault = directory, fault
        self.commit_s, self.window, self.requeue_s = commit_s, window, requeue_s
        self._wanted = {wire.name_key(name): backends for name, backends in destinations.items()}
        # The same after a restart.
        self._address = ("127.0.0.1", free_udp_port())
        self._random = random.Random(1)
        self._thread = None
        self.refused = self.acks_of_unsent = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self._thread is not None:
            self.crash()

    @property
    def address(self):
        return self._address

    def start(self):
        """Come up, with what the journal has."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self._socket.bind(self._address)
        self._socket.setblocking(False)
        self._publishers = {}
        self._batch, self._batch_at = [], None
        self._pending, self._seen = set(), set()
        self._queues = {key: collections.deque() for key in self._wanted}
        self._backends = {key: [_Backend(a) for a in addresses]
                          for key, addresses in self._wanted.items()}
        self._recover()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def crash(self):
        """Lose everything but the journal."""
        self._is_ending = True
        self._thread.join(patience(10))
        self._thread = None
        self._socket.close()
        self._writer.close()

    def restart(self):
        self.crash()
        self.start()

    def is_drained(self):
        return not (self._batch or any(self._queues.values()) or
                    any(b.unacked for bs in self._backends.values() for b in bs))

    def _recover(self):
        found = journal.Journal(self.directory)
        assert not found.damaged, found.damaged
        incarnation = max((s.incarnation for s in found.segments), default=0) + 1
        end = max((r.end for r in found.records), default=0)
        for message in found.messages:
            self._seen.add(message.ident)
        undelivered = found.undelivered()
        if self.fault == "lose-at-restart":
            undelivered = undelivered[1:]
        for message in undelivered:
            parsed = wire.pb2.Message.FromString(message.data)
            self._queues[parsed.destination].append((message.ref, parsed))
        self._writer = journal.Writer(self.directory, incarnation, end=end)

    def _run(self):
        while not self._is_ending:
            select.select([self._socket], [], [], 0.002)
            self._receive()
            now = time.monotonic()
            if self._batch and now >= self._batch_at + self.commit_s:
                self._commit()
            for key, backends in self._backends.items():
                self._requeue(key, backends, now)
                self._dispatch(key, backends, now)

    def _receive(self):
        for _ in range(256):
            try:
                data, address = self._socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            datagram = wire.decode(data)
            if datagram.HasField("ack"):
                self._on_ack(datagram.ack)
            touched = {}
            for message in datagram.messages:
                publisher = self._on_message(datagram.session, message, address)
                if publisher is not None:
                    touched[datagram.session] = publisher
            for session, publisher in touched.items():
                self._ack(session, publisher)

    def _on_message(self, session, message, address):
        """Returns the publisher when there is something to acknowledge at once."""
        assert message.flags == 1 and message.sequence > 0 and session > 0
        if message.destination not in self._wanted:
            return None
        publisher = self._publishers.get(session)
        if publisher is None:
            if message.sequence > 1024:
                self.refused += 1
                self._send_ack(session, REFUSAL, 0, address)
                return None
            publisher = self._publishers[session] = _Publisher(address)
        publisher.address = address
        ident = message.SerializeToString()[1:36]
        if publisher.has(message.sequence):
            return publisher
        if ident in self._pending:
            if self.fault == "ack-pending":
                publisher.add(message.sequence)
                return publisher
            return None  # it is acknowledged with the one that came first, or sent again
        if ident in self._seen:
            publisher.add(message.sequence)
            return publisher
        self._pending.add(ident)
        if not self._batch:
            self._batch_at = time.monotonic()
        self._batch.append((session, message, ident))
        if self.fault == "ack-early":
            publisher.add(message.sequence)
            return publisher
        return None

    def _commit(self):
        touched = {}
        for session, message, ident in self._batch:
            data = message.SerializeToString()
            ref = self._writer.add_message(session, data)
            self._seen.add(ident)
            self._pending.discard(ident)
            publisher = self._publishers[session]
            publisher.add(message.sequence)
            touched[session] = publisher
            self._queue(ref, message)
        self._batch = []
        for session, publisher in touched.items():
            self._ack(session, publisher)

    def _queue(self, ref, message):
        queue = self._queues[message.destination]
        roll = self._random.random() < 0.02
        if self.fault == "lose-one" and roll:
            self._writer.add_done([ref])
            return
        queue.append((ref, message))
        if self.fault == "invent" and roll:
            other = wire.pb2.Message.FromString(message.SerializeToString())
            other.id_high ^= 1 << 63
            queue.append((ref, other))
        elif self.fault == "twice" and roll:
            queue.append((ref, message))
        elif self.fault == "swap" and roll and len(queue) > 1:
            queue[-1], queue[-2] = queue[-2], queue[-1]

    def _ack(self, session, publisher):
        state = (publisher.cumulative, publisher.highest, publisher.cumulative + self.window,
                 publisher.selective())
        is_of_unsent = self.fault == "ack-unsent"
        if is_of_unsent:
            state = (state[0] + 5, state[1] + 5, state[2], b"")
        self._send_ack(session, (state[0], state[1], state[2], state[3]), 0, publisher.address)
        self.acks_of_unsent += is_of_unsent

    def _send_ack(self, session, state, echo, address):
        cumulative, highest, limit, selective = state
        answer = wire.pb2.Datagram(magic=wire.MAGIC, epoch=1, session=0, ack=wire.pb2.Ack(
            session=session, cumulative=cumulative, highest=highest, credit_limit=limit,
            selective=selective, echo_timestamp_ns=echo, ack_delay_ns=0))
        self._socket.sendto(answer.SerializeToString(), address)

    def _on_ack(self, ack):
        for key, backends in self._backends.items():
            for backend in backends:
                if backend.session == ack.session:
                    self._on_backend_ack(key, backend, ack)
                    return

    def _on_backend_ack(self, key, backend, ack):
        backend.heard_at = time.monotonic()
        forgot = ack.highest > backend.highest and ack.cumulative < backend.cumulative
        bits = int.from_bytes(ack.selective, "little")
        done = [s for s in backend.unacked if s <= ack.cumulative or
                (s >= ack.cumulative + 2 and bits >> s - ack.cumulative - 2 & 1)]
        refs = [backend.unacked.pop(s)[0] for s in done]
        if refs:
            self._writer.add_done(refs)
        backend.limit = max(backend.limit, ack.credit_limit)
        backend.highest = max(backend.highest, ack.highest)
        backend.cumulative = max(backend.cumulative, ack.cumulative)
        if forgot or (ack.cumulative == 0 and ack.credit_limit == 0):
            self._take_back(key, backend)

    def _take_back(self, key, backend):
        """What was not acknowledged, into the queue; and a new session. It is never in neither:
        is_drained() is asked by another thread."""
        self._queues[key].extendleft((ref, message) for ref, message, _ in
                                     reversed(backend.unacked.values()))
        backend.begin()

    def _requeue(self, key, backends, now):
        """To another backend, what one has not acknowledged for too long."""
        for backend in backends:
            if backend.unacked and now - backend.heard_at > self.requeue_s:
                self._take_back(key, backend)

    def _dispatch(self, key, backends, now):
        queue = self._queues[key]
        for backend in backends:
            late = [(s, e) for s, e in backend.unacked.items() if now - e[2] > RTO]
            for sequence, entry in late[:64]:
                self._send(backend, sequence, entry, now)
        ready = [b for b in backends if not b.unacked or now - b.heard_at < self.requeue_s / 2]
        while queue:
            room = [b for b in ready if len(b.unacked) < 256 and
                    b.next <= max(b.limit, b.cumulative + 1)]
            if not room:
                return
            backend = min(room, key=lambda b: len(b.unacked))
            if not backend.unacked:
                backend.heard_at = now
            ref, message = queue[0]
            backend.unacked[backend.next] = entry = [ref, message, now]
            queue.popleft()
            self._send(backend, backend.next, entry, now)
            backend.next += 1

    def _send(self, backend, sequence, entry, now):
        entry[2] = now
        message = wire.pb2.Message.FromString(entry[1].SerializeToString())
        message.sequence = sequence
        data = wire.encode(message, session=backend.session)
        try:
            self._socket.sendto(data, backend.address)
        except OSError:
            pass
