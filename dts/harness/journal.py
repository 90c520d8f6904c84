# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The journal's files, read by what lib/record/sl_record.h says and by nothing of the appliance.

    python3 -m harness.journal DIRECTORY

prints what is in there.
"""

import collections
import pathlib
import struct
import sys

MAGIC = b"SLCJRNL2"
POSITION_BITS = 54
HEADER = 4096
ALIGN = 16
MARK_AT = 512
PAD, MESSAGE, DUPLICATE, DONE, NAME, CONFIG, CLOSE = range(1, 8)
DELIVERED, DEAD = 1, 2
UNSYNCED_UNIT, UNSYNCED_UNKNOWN = 4096, 0xFFFF

_SEGMENT = struct.Struct("<8sIIQQQIIQQ")
_MARK = struct.Struct("<IIQ")
_RECORD = struct.Struct("<IIQQIHBB")
_MESSAGE = struct.Struct("<QIBBH")
_SUBSCRIBER = struct.Struct("<QII")
COPY = 1  # in the ref of what one subscriber of a topic is to get
_DUPLICATE = struct.Struct("<QQII")
_DONE = struct.Struct("<QII")
_OUTCOME = struct.Struct("<QIHBB")
_KEY = struct.Struct("<Q")


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def crc32c(data):
    """CRC32C (Castagnoli), as iSCSI has it: of b"123456789" it is e3069283."""
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


Segment = collections.namedtuple(
    "Segment", "path stream base end created_ns incarnation number first previous_end synced")


class Record(collections.namedtuple(
        "Record", "kind ref time_ns incarnation unsynced flags body path offset length")):
    """A record; its body is what stands behind the header."""

    @property
    def stream(self):
        return self.ref >> POSITION_BITS

    @property
    def position(self):
        """In its stream."""
        return self.ref & (1 << POSITION_BITS) - 1 & ~COPY

    @property
    def end(self):
        """The position behind it in its stream."""
        return self.position + stride(self.length)

    @property
    def synced_before(self):
        """Everything in its stream before this was durable when it was written."""
        if self.unsynced == UNSYNCED_UNKNOWN:
            return 0
        return max(0, self.position - self.unsynced * UNSYNCED_UNIT)


class Message:
    """A record of a message. @ident is what the ledger calls it by."""

    def __init__(self, record):
        self.record, self.ref = record, record.ref
        self.session, self.publisher, self.class_index, _, count = _MESSAGE.unpack_from(record.body)
        end = _MESSAGE.size + count * _SUBSCRIBER.size
        self.copies = {}  # of a topic's: ref by the key of "DESTINATION/BACKEND"
        for at in range(_MESSAGE.size, end, _SUBSCRIBER.size):
            key, back, _ = _SUBSCRIBER.unpack_from(record.body, at)
            assert back == _RECORD.size + at
            self.copies[key] = self.ref + back | COPY
        self.data = record.body[end:]

    @property
    def refs(self):
        """What has an outcome: the message, or that for each subscriber."""
        return list(self.copies.values()) or [self.ref]

    @property
    def ident(self):
        return self.data[1:36]


def stride(length):
    return -(-length // ALIGN) * ALIGN


def is_whole(data, record):
    """Its checksum is right; @data: its file's."""
    crc, = struct.unpack_from("<I", data, record.offset)
    return crc == crc32c(memoryview(data)[record.offset + 4:record.offset + record.length])


def outcomes(record):
    """(ref of the message, outcome, attempts, place) of each in a record of kind DONE. The place is
    the subscriber's of a topic's, from 1 on; else 0."""
    count = _DONE.unpack_from(record.body)[1]
    for number in range(count):
        ref, _, attempts, outcome, place = _OUTCOME.unpack_from(
            record.body, _DONE.size + number * _OUTCOME.size)
        yield ref, outcome, attempts, place


class Journal:
    """What is in a directory at this moment; nothing is changed. What is not whole at the end of a
    stream was torn off by a crash: `torn`. Where everything had been durable it is damage:
    `damaged`. Each is "FILE: offset N: what".

    @param check_all  the checksum of every record; else (quick) of those only that a crash may have
                      torn: what was not durable yet
    """

    def __init__(self, directory, check_all=True):
        self.directory, self.check_all = pathlib.Path(directory), check_all
        self.torn, self.damaged = [], []
        self.segments = self._find_segments()
        self.records = list(self._read())

    @staticmethod
    def _bytes_of(path, size=-1):
        try:
            with open(path, "rb") as file:
                return file.read(size)
        except FileNotFoundError:
            return b""

    def _find_segments(self):
        found = []
        for path in sorted(self.directory.glob("*.seg")):
            head = self._bytes_of(path, HEADER)
            if len(head) < HEADER or head[:8] != MAGIC:
                continue
            (_, crc, stream, base, end, created_ns, incarnation, number, first,
             previous_end) = _SEGMENT.unpack_from(head)
            if crc != crc32c(head[12:MARK_AT]):
                self.damaged.append(f"{path}: offset 8: checksum of the header is wrong")
                continue
            mark_crc, _, synced = _MARK.unpack_from(head, MARK_AT)
            if mark_crc != crc32c(head[MARK_AT + 4:MARK_AT + _MARK.size]):
                synced = 0
            found.append(Segment(path, stream, base, end, created_ns, incarnation, number, first,
                                 previous_end, synced))
        return sorted(found, key=lambda s: (s.stream, s.incarnation, s.number))

    def _read(self):
        for at, segment in enumerate(self.segments):
            # What was begun later cuts off what was not durable, and says that the rest was.
            cuts = [s.previous_end for s in self.segments[at + 1:] if s.stream == segment.stream]
            limit = min([segment.end, *cuts])
            yield from self._read_segment(segment, limit,
                                          max(segment.synced, limit) if cuts else segment.synced)

    def _read_segment(self, segment, limit, durable):
        data = self._bytes_of(segment.path)
        head = _SEGMENT.unpack_from(data) if len(data) >= HEADER else ()
        if head[6:8] != (segment.incarnation, segment.number):
            return  # deleted, or used again, since the directory was read
        wrong, records = self._walk(segment, data, limit)
        if not self.check_all:
            # A write that kill -9 interrupts ends between two pages, behind a header that is whole.
            durable = max([durable, *(r.synced_before for r in records)])
        for record in records:
            if (self.check_all or record.position >= durable) and not is_whole(data, record):
                wrong = record.position, record.offset, "checksum is wrong"
                break
            if record.kind != PAD:
                yield record
        if wrong is None:
            return
        position, offset, what = wrong
        if position < min(durable, limit):
            self.damaged.append(f"{segment.path}: offset {offset}: {what}")
        elif what:
            self.torn.append(f"{segment.path}: offset {offset}: {what}")

    def _walk(self, segment, data, limit):
        """((position, offset, what is wrong, or "" where nothing was written) or None, the records
        before it); checksums are not looked at."""
        records, position = [], segment.first
        while position + _RECORD.size <= limit:
            offset = HEADER + position - segment.base
            if offset + _RECORD.size > len(data):
                break
            what, record = self._record(segment, data, position, offset)
            if record is None:
                return (position, offset, what), records
            records.append(record)
            if record.kind == PAD:
                break
            position += stride(record.length)
        return None, records

    @staticmethod
    def _record(segment, data, position, offset):
        """(what is wrong, or "" where nothing was written, and None) or (None, the record)"""
        _, length, says, time_ns, incarnation, unsynced, kind, flags = \
            _RECORD.unpack_from(data, offset)
        if length == 0 and says == 0:
            return "", None
        if says != position:
            return f"it says it stands at {says}", None
        end = offset + length
        if length < _RECORD.size or end > len(data):
            return f"length {length}", None
        if not PAD <= kind <= CLOSE:
            return f"type {kind}", None
        return None, Record(kind, segment.stream << POSITION_BITS | position, time_ns, incarnation,
                            unsynced, flags, data[offset + _RECORD.size:end], segment.path, offset,
                            length)

    @property
    def messages(self):
        return [Message(r) for r in self.records if r.kind == MESSAGE]

    def names(self):
        """{key: name}"""
        return {_KEY.unpack_from(r.body)[0]: r.body[_KEY.size:].decode()
                for r in self.records if r.kind == NAME}

    def done(self):
        """{ref: (outcome, attempts)} of all messages that need no delivery any more."""
        return {ref: (outcome, attempts) for record in self.records if record.kind == DONE
                for ref, outcome, attempts, _ in outcomes(record)}

    def places(self):
        """{ref: place} of the same."""
        return {ref: place for record in self.records if record.kind == DONE
                for ref, _, _, place in outcomes(record)}

    def undelivered(self):
        """The messages that have no outcome."""
        done = self.done()
        return [m for m in self.messages if any(ref not in done for ref in m.refs)]


class Writer:
    """Writes one stream of a journal, for a fake appliance and for tests of the reader."""

    def __init__(self, directory, incarnation, stream=0, end=0, segment_bytes=1 << 20):
        """@end: of the stream so far"""
        self.directory = pathlib.Path(directory)
        self.incarnation, self.stream, self.segment_bytes = incarnation, stream, segment_bytes
        self.position = -(-end // HEADER) * HEADER
        self._previous_end = end
        self._number = 0
        self._file = None
        self._end = 0
        self._begin()

    def _begin(self):
        self.close()
        self._base = self.position
        self._end = (self._base // self.segment_bytes + 1) * self.segment_bytes
        head = bytearray(HEADER)
        _SEGMENT.pack_into(head, 0, MAGIC, 0, self.stream, self._base, self._end, 0,
                           self.incarnation, self._number, self._base, self._previous_end)
        struct.pack_into("<I", head, 8, crc32c(head[12:MARK_AT]))
        name = f"{self.stream:04x}-{self._base:012x}-{self.incarnation:04x}.seg"
        self._number += 1
        self._file = open(self.directory / name, "wb", buffering=0)
        self._file.write(head)

    def add(self, kind, body, flags=0):
        """Append a record; it is in the file when this returns. Returns its ref."""
        length = _RECORD.size + len(body)
        left = self._end - self.position
        if stride(length) > left:
            if left >= _RECORD.size:
                self._write(PAD, bytes(left - _RECORD.size), 0)
            self.position = self._previous_end = self._end
            self._begin()
        return self._write(kind, body, flags)

    def _write(self, kind, body, flags):
        length = _RECORD.size + len(body)
        record = bytearray(_RECORD.pack(0, length, self.position, 0, self.incarnation, 0xFFFF,
                                        kind, flags) + body)
        struct.pack_into("<I", record, 0, crc32c(memoryview(record)[4:]))
        self._file.write(record + bytes(stride(length) - length))
        ref = self.stream << POSITION_BITS | self.position
        self.position += stride(length)
        return ref

    def add_message(self, session, data):
        return self.add(MESSAGE, _MESSAGE.pack(session, 0, 0, 0, 0) + data, flags=1)

    def add_done(self, refs, outcome=DELIVERED):
        return self.add(DONE, _DONE.pack(0, len(refs), 0) + b"".join(
            _OUTCOME.pack(ref, 0, 1, outcome, 0) for ref in refs))

    def close(self):
        if self._file is not None:
            self._file.close()


def main():
    journal = Journal(sys.argv[1])
    for segment in journal.segments:
        print(f"{segment.path.name}: stream {segment.stream}, {segment.base} to {segment.end}, run "
              f"{segment.incarnation}, synced before {segment.synced}")
    kinds = collections.Counter(r.kind for r in journal.records)
    print(f"{kinds[MESSAGE]} messages, {len(journal.undelivered())} of them undelivered, "
          f"{kinds[DUPLICATE]} duplicates, {kinds[DONE]} records of outcomes, {kinds[NAME]} names")
    for what, lines in (("torn", journal.torn), ("damaged", journal.damaged)):
        for line in lines:
            print(f"{what}: {line}")


if __name__ == "__main__":
    main()
