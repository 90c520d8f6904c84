# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Journals of any content, written from what lib/record/sl_record.h says, and a ledger of what is in
them."""

import dataclasses
import pathlib
import random
import struct
import time

from . import wire
from .journal import MAGIC, POSITION_BITS, crc32c

HEADER = 4096
ALIGN = 16
MESSAGE, DONE, NAME, PAD = 2, 4, 5, 1
MESSAGE_HEAD = 48  # Before the subscribers.
SUBSCRIBER = 1 << 31
DELIVERED, DEAD = 1, 2

_HEADER = struct.Struct("<8sIIQQQIIQQ192x")
_RECORD = struct.Struct("<IIQQIHBB")


@dataclasses.dataclass
class Entry:
    """What the ledger knows of a message."""
    stream: int
    position: int
    message: object  # of the schema
    received_ns: int
    level: int
    status: str = "INGESTED"
    delivered_ns: int = 0
    attempts: int = 0

    @property
    def ref(self):
        return self.stream << POSITION_BITS | self.position

    def copy(self, index):
        """What one subscriber of a topic's message is to get."""
        return self.ref + MESSAGE_HEAD + index * ALIGN | 1


class _Stream:
    def __init__(self, journal, number):
        self.journal, self.number = journal, number
        self.position = 0
        self.file = None

    def begin_segment(self):
        journal = self.journal
        base = self.position
        header = bytearray(_HEADER.pack(
            MAGIC, 0, self.number, base, base + journal.segment_bytes, journal.clock_ns,
            journal.incarnation, journal.nb_segments, base, base))
        journal.nb_segments += 1
        header += bytes(512 - len(header))
        header[8:12] = struct.pack("<I", crc32c(header[12:512]))
        path = journal.path / f"{self.number:04x}-{base:012x}-0000.seg"
        self.file = open(path, "wb")
        self.file.truncate(HEADER + journal.segment_bytes)
        self.file.write(header + bytes(HEADER - len(header)))

    def put(self, kind, content, flags=0):
        """Append a record and return its position."""
        size = self.journal.segment_bytes
        length = _RECORD.size + len(content)
        stride = -(-length // ALIGN) * ALIGN
        left = size - self.position % size
        if self.file is not None and stride > left and self.position % size != 0:
            if left >= _RECORD.size:
                self.write(PAD, bytes(left - _RECORD.size), 0, left)
            else:
                self.position += left
        if self.position % size == 0:
            if self.file is not None:
                self.file.close()
            self.begin_segment()
        position = self.position
        self.write(kind, content, flags, stride)
        return position

    def write(self, kind, content, flags, stride):
        length = _RECORD.size + len(content)
        record = _RECORD.pack(0, length, self.position, self.journal.clock_ns,
                              self.journal.incarnation, 0, kind, flags) + content
        record = struct.pack("<I", crc32c(record[4:])) + record[4:]
        self.file.seek(HEADER + self.position % self.journal.segment_bytes)
        self.file.write(record + bytes(stride - length))
        self.position += stride


class Journal:
    """`Journal(path)`; what is put in is in the files after flush()."""

    def __init__(self, path, segment_bytes=1 << 20, clock_ns=None):
        self.path = pathlib.Path(path)
        self.path.mkdir(exist_ok=True)
        self.segment_bytes = segment_bytes
        self.clock_ns = time.time_ns() if clock_ns is None else clock_ns
        self.incarnation = 1
        self.nb_segments = 0
        self.streams = {}
        self.ledger = {}

    def stream(self, number):
        return self.streams.setdefault(number, _Stream(self, number))

    def flush(self):
        for stream in self.streams.values():
            if stream.file is not None:
                stream.file.flush()

    def message(self, stream, message, class_index=0, behind=b"", level=0, subscribers=()):
        """@behind: bytes that stand behind the message's fields. @level: of the class; 0: as of a
        release that did not tell it. @subscribers: of a topic's, "DESTINATION/BACKEND" each."""
        head = struct.pack("<QIBBH", 0, 0, class_index, level, len(subscribers))
        for index, backend in enumerate(subscribers):
            head += struct.pack("<QII", wire.name_key(backend), MESSAGE_HEAD + index * ALIGN,
                                SUBSCRIBER)
        position = self.stream(stream).put(MESSAGE, head + message.SerializeToString() + behind)
        entry = Entry(stream, position, message, self.clock_ns, level or class_index + 1)
        self.ledger[entry.ref] = entry
        return entry

    def done(self, stream, outcomes, backend="table1/kitchen1"):
        """@outcomes: (entry, DELIVERED or DEAD, attempts, microseconds ago)"""
        for entry, outcome, attempts, before_us in outcomes:
            self._settle(entry, outcome, attempts, before_us)
        self._put_done(stream, backend, [(entry.ref, *rest, 0) for entry, *rest in outcomes])

    def done_copies(self, stream, outcomes, backend="table1/kitchen1", is_told=True):
        """Of topics' messages. @outcomes: (entry, place of the subscriber, and on as done())
        @is_told: they say the place; older releases' did not."""
        for entry, _, *rest in outcomes:
            # Of what several have, that of the first counts.
            if entry.status != "DELIVERED":
                self._settle(entry, *rest)
        self._put_done(stream, backend,
                       [(entry.copy(index), *rest, index + 1 if is_told else 0)
                        for entry, index, *rest in outcomes])

    def _settle(self, entry, outcome, attempts, before_us):
        entry.status = "DELIVERED" if outcome == DELIVERED else "DEAD"
        entry.attempts = attempts
        entry.delivered_ns = self.clock_ns - before_us * 1000 if outcome == DELIVERED else 0

    def _put_done(self, stream, backend, outcomes):
        body = struct.pack("<QII", wire.name_key(backend), len(outcomes), 0)
        for ref, outcome, attempts, before_us, place in outcomes:
            body += struct.pack("<QIHBB", ref, before_us, attempts, outcome, place)
        self.stream(stream).put(DONE, body)

    def name(self, stream, name):
        self.stream(stream).put(NAME, struct.pack("<Q", wire.name_key(name)) + name.encode())


NAMES = ("table1", "table2", "server1", "server2", "server3", "lunch", "dinner")


def fill(journal, messages, seed, streams=1, late=0.2, never=0.1, step_ns=1_000_000,
         payload_max=200):
    """Messages of a few sources, most of them delivered soon, some late, some never."""
    rand = random.Random(seed)
    waiting = []
    if not journal.ledger:
        for name in NAMES:
            journal.name(0, name)
    for _ in range(messages):
        journal.clock_ns += rand.randrange(2 * step_ns)
        stream = rand.randrange(streams)
        message = wire.message(
            rand.getrandbits(128), source=rand.choice(NAMES[2:5] + ("stranger",)),
            destination=rand.choice(NAMES[:2]), type=rand.choice(NAMES[5:]),
            timestamp_ns=journal.clock_ns - rand.randrange(10**7),
            payload=rand.randbytes(rand.randrange(payload_max)))
        if rand.random() < 0.2:
            message.id_text = f"order-{rand.randrange(10**6)}-größe"
        entry = journal.message(stream, message, rand.randrange(3), level=rand.choice((0, 4, 8)))
        if rand.random() < never:
            continue
        wait = 1000 if rand.random() < late else 5
        waiting.append((rand.randrange(wait) + len(journal.ledger), stream, entry))
        if len(waiting) > 40:
            settle(journal, waiting, rand, len(journal.ledger))
    settle(journal, waiting, rand, None)
    journal.flush()


def settle(journal, waiting, rand, until):
    """Write the outcomes that are due."""
    due = [w for w in waiting if until is None or w[0] <= until]
    waiting[:] = [w for w in waiting if w not in due]
    by_stream = {}
    for _, stream, entry in due:
        outcome = DEAD if rand.random() < 0.05 else DELIVERED
        by_stream.setdefault(stream, []).append(
            (entry, outcome, rand.randrange(1, 5), rand.randrange(1000)))
    for stream, outcomes in by_stream.items():
        journal.done(stream, outcomes)
