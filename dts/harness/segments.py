# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""All of a journal's files taken apart after docs/journal.md: what counts of each, and the mark."""

import struct
from dataclasses import dataclass, field
from pathlib import Path

from .journal import DONE, MESSAGE, NAME, PAD, crc32c

HEADER = 4096
RECORD = struct.Struct("<IIQQIHBB")  # crc len position time_ns incarnation unsynced type flags
SEGMENT = struct.Struct("<8sIIQQQIIQQ")
MARK = struct.Struct("<IIQ")


@dataclass
class Record:
    position: int
    time_ns: int
    run: int
    type: int
    body: bytes  # Behind the header.
    offset: int  # In the file.


@dataclass
class Segment:
    path: Path
    stream: int
    base: int
    end: int
    run: int
    number: int
    first: int
    previous_end: int
    synced: int
    records: list = field(default_factory=list)


@dataclass
class Message:
    stream: int
    position: int
    run: int
    time_ns: int
    source: int
    destination: int
    id: str
    class_: int
    payload: bytes
    state: str = "undelivered"


def _segment(path):
    data = path.read_bytes()
    if not any(data[:HEADER]):
        return None
    magic, crc, stream, base, end, _, run, number, first, previous = SEGMENT.unpack_from(data)
    assert magic == b"SLCJRNL1" and crc == crc32c(data[12:512]), path
    mark_crc, mark_stream, synced = MARK.unpack_from(data, 512)
    if any(data[512:528]):
        assert mark_crc == crc32c(data[516:528]) and mark_stream == stream, path
    segment = Segment(path, stream, base, end, run, number, first, previous, synced)
    position = first
    while position + RECORD.size <= end:
        offset = HEADER + position - base
        crc, length, at, time_ns, run, _, kind, _ = RECORD.unpack_from(data, offset)
        if at != position or not RECORD.size <= length <= 131072 or \
                crc != crc32c(data[offset + 4:offset + length]):
            break
        body = data[offset + RECORD.size:offset + length]
        if kind != PAD:
            segment.records.append(Record(position, time_ns, run, kind, body, offset))
        position += (length + 15) // 16 * 16
    return segment


def segments(directory):
    """All segments that hold something, in the order they were begun."""
    found = [_segment(path) for path in Path(directory).glob("*.seg")]
    return sorted((s for s in found if s), key=lambda s: (s.run, s.number))


def records(directory):
    """[(stream, Record)] of what counts, run by run, stream by stream."""
    every, cut = segments(directory), {}
    kept = []
    for segment in reversed(every):
        limit = cut.get(segment.stream, 1 << 48)
        kept += [(segment.run, segment.stream, record.position, record)
                 for record in segment.records if record.position < limit]
        cut[segment.stream] = min(limit, segment.previous_end)
    kept.sort(key=lambda entry: entry[:3])
    return [(stream, record) for _, stream, _, record in kept]


def _varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _payload(message):
    if len(message) == 73:
        return b""
    assert message[73] == 0x7a
    length, at = _varint(message, 74)
    return message[at:at + length]


def read(directory):
    """({(stream, position): Message}, {key: name}) of a directory."""
    messages, names, outcomes = {}, {}, {}
    for stream, record in records(directory):
        if record.type == MESSAGE:
            body = record.body[16:]
            source, = struct.unpack_from("<Q", body, 1)
            high, = struct.unpack_from("<Q", body, 10)
            low, = struct.unpack_from("<Q", body, 19)
            destination, = struct.unpack_from("<Q", body, 28)
            messages[stream, record.position] = Message(
                stream, record.position, record.run, record.time_ns, source, destination,
                f"{high:016x}{low:016x}", record.body[12] + 1, _payload(body))
        elif record.type == NAME:
            key, = struct.unpack_from("<Q", record.body)
            names[key] = record.body[8:].decode()
        elif record.type == DONE:
            nb, = struct.unpack_from("<I", record.body, 8)
            for i in range(nb):
                ref, _, _, outcome, _ = struct.unpack_from("<QIHBB", record.body, 16 + 16 * i)
                outcomes[ref >> 48, ref & (1 << 48) - 1] = outcome
    for place, outcome in outcomes.items():
        if place in messages:
            messages[place].state = {1: "delivered", 2: "dead"}[outcome]
    return messages, names
