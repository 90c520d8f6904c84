#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A publisher and a backend as processes of their own, which may be killed at any moment.

    peers.py publisher|backend OPTIONS (see --help)

Written for speed (some 10^4 messages a second) and on nothing but the standard library: the wire is
written and read at its constant offsets. What they do is in the ledger before its consequence is on
the wire. A publisher that is started again sends first, in a new session, what the ledger says was
sent and not acknowledged. SIGTERM ends both: the publisher when all it has sent is acknowledged.
SIGUSR1 ends both at once, and they say how far they are.
"""

import argparse
import collections
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

from ledger import ACKED, DELIVERED, SENT, ENTRY, LedgerFile, read_entries

MAGIC = 0x31434C53
HEADER = struct.Struct("<BIBIBQ")
IDENT = struct.Struct("<QBQBQBQ")  # source, id_high, id_low, destination
REST = struct.Struct("<BQBQBQBIBI")  # sequence, timestamp_ns, type, priority, flags
ACK = struct.Struct("<BQBQBQ")
ACK_TAIL = struct.Struct("<BQBQBI")
U64 = struct.Struct("<Q")
DATAGRAM_MAX = 1472
WINDOW = 4096
RTO_MIN, RTO_MAX = 0.03, 1.0


def key_of(name):
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return key


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def get_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def read_ack(data):
    """(session, cumulative, highest, credit limit, selective bits) of a datagram with an ack, in
    any order of its fields; None when there is none."""
    at = 0
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 7 == 5:
            at += 4
        elif tag & 7 == 1:
            at += 8
        elif tag & 7 == 2:
            size, at = get_varint(data, at)
            if tag == 0x2A:
                break
            at += size
        else:
            return None
    else:
        return None
    end, values, bits = at + size, {}, 0
    while at < end:
        tag = data[at]
        at += 1
        if tag & 7 == 1:
            values[tag >> 3] = U64.unpack_from(data, at)[0]
            at += 8
        elif tag & 7 == 5:
            at += 4
        else:
            size, at = get_varint(data, at)
            bits = int.from_bytes(data[at:at + size], "little")
            at += size
    return values.get(1, 0), values.get(2, 0), values.get(3, 0), values.get(5, 0), bits


def make_socket(bind):
    family = socket.AF_INET6 if ":" in bind[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE
    sock.bind(bind)
    sock.setblocking(False)
    return sock


class Peer:
    def __init__(self):
        self.is_told_to_end = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGUSR1, self._give_up)
        self.stats = collections.Counter()

    def _end(self, *_):
        self.is_told_to_end = True

    def _give_up(self, *_):
        numbers = {k: v for k, v in vars(self).items() if isinstance(v, (int, float))}
        sizes = {k: len(v) for k, v in vars(self).items() if hasattr(v, "__len__")}
        os.write(1, json.dumps({**self.stats, **numbers, **sizes}).encode())
        os._exit(1)


class Publisher(Peer):
    def __init__(self, options):
        super().__init__()
        self.options = options
        self.to = (options.host, options.port)
        self.socket = make_socket((options.bind, 0))
        self.sent = LedgerFile(options.ledger, SENT, options.name)
        self.acked = LedgerFile(options.ledger, ACKED, options.name)
        self.source = key_of(options.source)
        self.destinations = [key_of(d) for d in options.destinations.split(",")]
        before = read_entries(os.path.join(options.ledger, f"{SENT}-{options.name}"))
        acked = set(read_entries(os.path.join(options.ledger, f"{ACKED}-{options.name}")))
        self.again = collections.deque(e for e in before if e not in acked)
        self.next_id = 1 + max((U64.unpack_from(e, 18)[0] for e in before), default=0)
        self.nb_left = options.count if options.count else float("inf")
        self.nb_left -= len(set(before))
        self.padding = bytes(range(256)) * (options.size // 256 + 1)
        self.srtt = 0.1
        self.begin()

    def begin(self):
        """A new session; what was not acknowledged in the last one goes first."""
        left = list(getattr(self, "unacked", {}).values())
        self.again.extendleft(entry[0] for entry in reversed(left))
        self.session = random.getrandbits(64) or 1
        self.next, self.limit, self.cumulative, self.highest = 1, 1024, 0, 0
        self.unacked = {}  # sequence -> [entry, when first sent, when sent, attempts]
        self.backoff = 1
        self.progress_at = time.monotonic()
        self.stats["sessions"] += 1

    def message(self, entry, sequence):
        body = (b"\x09" + entry +
                REST.pack(0x29, sequence, 0x31, time.time_ns(), 0x39, 1, 0x45,
                          self.options.priority, 0x4D, 1))
        payload = (entry[18:26] + self.padding)[:self.options.size]
        if payload:
            body += b"\x7a" + varint(len(payload)) + payload
        return b"\x22" + varint(len(body)) + body

    def new_entries(self, count):
        entries = []
        for ident in range(self.next_id, self.next_id + count):
            destination = self.destinations[ident % len(self.destinations)]
            entries.append(IDENT.pack(self.source, 0x11, self.options.id_high, 0x19, ident, 0x21,
                                      destination))
        self.next_id += count
        self.nb_left -= count
        self.sent.add(entries)
        return entries

    def send_new(self, allowed, now):
        # One may always be on its way: the ack that gives credit may have been lost.
        limit = max(self.limit, self.cumulative + 1)
        room = min(limit - self.next + 1, WINDOW - len(self.unacked))
        entries = [self.again.popleft() for _ in range(max(0, min(room, len(self.again))))]
        if not self.is_told_to_end:
            entries += self.new_entries(int(max(0, min(room - len(entries), allowed,
                                                       self.nb_left))))
        batch = []
        if entries and not self.unacked:
            self.progress_at = now
        for entry in entries:
            self.unacked[self.next] = [entry, now, now, 1]
            batch.append(self.next)
            self.next += 1
        self.put(batch)
        return len(entries)

    def put(self, sequences):
        """Send these, as many a datagram as fit."""
        parts = [HEADER.pack(0x0D, MAGIC, 0x15, 0, 0x19, self.session)]
        size = len(parts[0])
        for sequence in sequences:
            part = self.message(self.unacked[sequence][0], sequence)
            if size + len(part) > DATAGRAM_MAX or len(parts) > 200:
                self.out(b"".join(parts))
                parts = parts[:1]
                size = len(parts[0])
            parts.append(part)
            size += len(part)
        if len(parts) > 1:
            self.out(b"".join(parts))

    def out(self, data):
        try:
            self.socket.sendto(data, self.to)
        except OSError:
            self.stats["not_sent"] += 1

    def resend(self, now):
        rto = min(max(RTO_MIN, 3 * self.srtt) * self.backoff, RTO_MAX)
        if not self.unacked or now - self.progress_at < rto:
            return
        late = [s for s, e in self.unacked.items() if now - e[2] >= rto][:256]
        for sequence in late:
            self.unacked[sequence][2] = now
            self.unacked[sequence][3] += 1
        self.stats["resent"] += len(late)
        self.put(late)
        self.progress_at = now
        self.backoff = min(self.backoff * 2, 64)

    def on_ack(self, data, now):
        ack = read_ack(data)
        if ack is None or ack[0] != self.session:
            self.stats["other_datagrams"] += 1
            return
        _, cumulative, highest, limit, bits = ack
        last = cumulative + 1 + bits.bit_length() if bits else cumulative
        if max(last, highest) >= self.next:
            self.stats["bad_acks"] += 1
            return
        if cumulative == 0 and limit == 0:
            self.stats["refusals"] += 1
            self.begin()
            return
        done = [self.unacked.pop(s) for s in range(self.cumulative + 1, cumulative + 1)
                if s in self.unacked]
        while bits:
            bit = bits & -bits
            entry = self.unacked.pop(cumulative + 1 + bit.bit_length(), None)
            if entry is not None:
                done.append(entry)
            bits ^= bit
        forgot = highest > self.highest and cumulative < self.cumulative
        self.cumulative = max(self.cumulative, cumulative)
        self.highest = max(self.highest, highest)
        self.limit = max(self.limit, limit)
        if done:
            self.acked.add([e[0] for e in done])
            self.progress_at, self.backoff = now, 1
            if done[-1][3] == 1:
                self.srtt += (now - done[-1][1] - self.srtt) / 8
        if forgot:
            self.stats["forgotten"] += 1
            self.begin()

    def run(self):
        rate = self.options.rate
        begin, nb_new = time.monotonic(), 0
        while True:
            now = time.monotonic()
            allowed = float("inf") if rate == 0 else (now - begin) * rate - nb_new
            nb_new += self.send_new(min(allowed, 512), now)
            self.resend(now)
            is_through = self.is_told_to_end or self.nb_left <= 0
            if is_through and not self.unacked and not self.again:
                break
            wait = 0.001 if self.limit >= self.next and self.nb_left > 0 else 0.01
            select.select([self.socket], [], [], wait)
            for _ in range(64):
                try:
                    data = self.socket.recv(65536)
                except BlockingIOError:
                    break
                except OSError:
                    continue
                self.on_ack(data, time.monotonic())


class Stream:
    """A session of the appliance, as the backend has it."""

    def __init__(self):
        self.cumulative = self.highest = 0
        self.ahead = set()

    def add(self, sequence):
        """Whether it is new."""
        if sequence <= self.cumulative or sequence in self.ahead:
            return False
        self.highest = max(self.highest, sequence)
        if sequence != self.cumulative + 1:
            self.ahead.add(sequence)
            return True
        self.cumulative = sequence
        while self.cumulative + 1 in self.ahead:
            self.cumulative += 1
            self.ahead.discard(self.cumulative)
        return True


class Backend(Peer):
    """Takes everything that is within its credit at once. A session that does not begin with its
    first message within PATIENCE is refused."""

    PATIENCE = 0.2

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.socket = make_socket((options.host, options.port))
        self.delivered = LedgerFile(options.ledger, DELIVERED, options.name)
        self.random = random.Random(options.seed)
        self.streams, self.waiting = {}, {}
        self.budget_at = time.monotonic()

    def take(self, data, address, entries, touched, now):
        """One datagram of one message, in the template layout."""
        if len(data) < 93 or data[0] != 0x0D or data[19] != 0x22:
            self.probe(data, address)
            return
        session = U64.unpack_from(data, 11)[0]
        size, at = get_varint(data, 20)
        sequence = U64.unpack_from(data, at + 37)[0]
        self.stats["received"] += 1
        if data[at + 75:at + 83] not in (data[at + 19:at + 27], b"") and self.options.check:
            self.stats["altered"] += 1
        where = address, session
        stream = self.streams.get(where)
        if stream is None:
            if sequence != 1:
                self.not_begun(where, now)
                return
            stream = self.streams[where] = Stream()
            self.waiting.pop(where, None)
        touched[where] = stream
        if sequence > stream.cumulative + self.options.credit:
            self.stats["beyond"] += 1
        elif stream.add(sequence):
            entries.append(data[at + 1:at + 1 + ENTRY])
        else:
            self.stats["resent"] += 1

    def not_begun(self, where, now):
        since = self.waiting.setdefault(where, now)
        if now - since > self.PATIENCE:
            self.stats["refused"] += 1
            del self.waiting[where]
            self.put_ack(where[0], where[1], 0, 0, 0, b"")

    def probe(self, data, address):
        """Answer a probe, as the appliance writes it: the nonce stands at a constant offset."""
        if len(data) >= 30 and data[19] == 0x32 and data[21] == 0x09:
            body = b"\x09" + data[22:30] + b"\x10\x01"
            self.socket.sendto(HEADER.pack(0x0D, MAGIC, 0x15, 0, 0x19, 0) + b"\x32" +
                               varint(len(body)) + body, address)

    def put_ack(self, address, session, cumulative, highest, limit, selective):
        body = ACK.pack(0x09, session, 0x11, cumulative, 0x19, highest)
        if selective:
            body += b"\x22" + varint(len(selective)) + selective
        body += ACK_TAIL.pack(0x29, limit, 0x31, 0, 0x3D, 0)
        data = HEADER.pack(0x0D, MAGIC, 0x15, 0, 0x19, 0) + b"\x2a" + varint(len(body)) + body
        try:
            self.socket.sendto(data, address)
        except OSError:
            self.stats["not_sent"] += 1

    def answer(self, where, stream):
        if self.options.mute or self.random.random() < self.options.ack_loss:
            self.stats["acks_lost"] += 1
            return
        bits = 0
        for sequence in stream.ahead:
            if sequence - stream.cumulative - 2 < 1024:
                bits |= 1 << sequence - stream.cumulative - 2
        self.put_ack(where[0], where[1], stream.cumulative, stream.highest,
                     stream.cumulative + self.options.credit,
                     bits.to_bytes((bits.bit_length() + 7) // 8, "little"))

    def run(self):
        batch = 256 if not self.options.rate else 1
        while not self.is_told_to_end:
            if not select.select([self.socket], [], [], 0.1)[0]:
                continue
            entries, touched, now = [], {}, time.monotonic()
            for _ in range(batch):
                try:
                    data, address = self.socket.recvfrom(65536)
                except BlockingIOError:
                    break
                self.take(data, address, entries, touched, now)
            self.delivered.add(entries)
            for where, stream in touched.items():
                self.answer(where, stream)
            if self.options.rate:
                time.sleep(len(entries) / self.options.rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0, help="messages a second; 0: no limit")
    kinds = parser.add_subparsers(dest="kind", required=True)
    publisher = kinds.add_parser("publisher")
    publisher.add_argument("--bind", default="0.0.0.0")
    publisher.add_argument("--source", default="server1")
    publisher.add_argument("--destinations", default="table1")
    publisher.add_argument("--count", type=int, default=0)
    publisher.add_argument("--size", type=int, default=64)
    publisher.add_argument("--priority", type=int, default=0)
    publisher.add_argument("--id-high", type=int, default=0)
    backend = kinds.add_parser("backend")
    backend.add_argument("--credit", type=int, default=1024)
    backend.add_argument("--ack-loss", type=float, default=0)
    backend.add_argument("--seed", type=int, default=1)
    backend.add_argument("--mute", action="store_true", help="takes messages, acknowledges none")
    backend.add_argument("--check", action="store_true",
                         help="payloads have to be what peers.py publisher sends")
    options = parser.parse_args()
    peer = Publisher(options) if options.kind == "publisher" else Backend(options)
    print("ready", flush=True)
    peer.run()
    print(json.dumps(peer.stats), flush=True)


if __name__ == "__main__":
    sys.exit(main())
