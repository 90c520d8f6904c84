#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Write the seeds of fuzz_journal and fuzz_record: one file a case, named after it.

    tests/fuzz/make_journal_corpus.py

Checksums and positions are left 0: the targets mend them. Run it again when a record changes.
"""
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
PAD, MESSAGE, DUPLICATE, DONE, NAME, CONFIG, CLOSE = range(1, 8)
MEND_HEADER, MEND_RECORDS, MEND_MARK, CUT_SHORT, CUT_STREAM = 1, 2, 4, 8, 0x80
RECORD = 32


def record(kind, body=b"", unsynced=0, shift=1):
    """The target takes a type modulo their number, plus one: @shift is taken off."""
    length = RECORD + len(body)
    return (struct.pack("<IIQQIHBB", 0, length, 0, 1, 1, unsynced, kind - shift, 0) + body +
            bytes(-length % 16))


def message(ident, payload=b"soup", subscribers=0, **options):
    fixed = b"".join(tag + struct.pack("<Q", value) for tag, value in [
        (b"\x09", 1), (b"\x11", 0), (b"\x19", ident), (b"\x21", 2), (b"\x29", ident), (b"\x31", 3),
        (b"\x39", 4)]) + b"\x45\1\0\0\0" + b"\x4d\1\0\0\0"
    tail = b"\x7a" + bytes([len(payload)]) + payload if payload else b""
    wanted = b"".join(struct.pack("<QII", n, 48 + 16 * n, 1 << 31 | n % 2)
                      for n in range(subscribers))
    return record(MESSAGE, struct.pack("<QIBBH", 7, 0, 0, 0, subscribers) + wanted + fixed + tail,
                  **options)


def done(*places, **options):
    return record(DONE, struct.pack("<QII", 5, len(places), 0) + b"".join(
        struct.pack("<QIHBB", stream << 54 | position, 0, 1, 1, 0)
        for stream, position in places), **options)


def part(body, flags=MEND_HEADER | MEND_RECORDS, stream=0, base=0, blocks=1, first=0, mark=1,
         run=1):
    body += bytes(-(len(body)) % 16)
    return bytes([flags, len(body) // 16, stream, base, blocks - 1, first, mark, run - 1]) + body


def write(target, name, data):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data)


def journals():
    three = message(1) + message(2, b"") + done((0, 0)) + record(NAME, struct.pack("<Q", 1) + b"a")
    yield "one", part(three)
    yield "closed", part(three + record(CLOSE))
    yield "raw", part(three, flags=MEND_HEADER)
    yield "no_header", part(three, flags=MEND_RECORDS)
    yield "marked", part(three, flags=MEND_HEADER | MEND_RECORDS | MEND_MARK, mark=9)
    yield "short", part(three, flags=MEND_HEADER | MEND_RECORDS | CUT_SHORT)
    yield "two_streams", part(done((1, 0)) + message(3)) + part(three, stream=1)
    yield "two_runs", part(three) + part(three, base=1, run=2)
    yield "full_and_next", part(message(1) + record(PAD, bytes(3872))) + part(three, base=1)
    yield "topic", part(message(1, subscribers=3) + done((0, 48 | 1), (0, 80 | 1)) + message(2))
    yield "gap", part(three) + part(three, base=2)
    yield "overlap", part(three + message(9), blocks=2) + part(message(4), blocks=2, first=9)
    yield "damaged", part(
        three + bytes(48) + message(8, unsynced=1), flags=MEND_HEADER | MEND_RECORDS) + part(
        message(1) + bytes(64), flags=MEND_HEADER | MEND_RECORDS | MEND_MARK | CUT_STREAM,
        stream=2, mark=40)


def records():
    yield "message", message(1, shift=0)
    yield "message_empty", message(1, b"", shift=0)
    yield "topic", message(1, subscribers=3, shift=0)
    yield "done", done((0, 0), (1, 4096), shift=0)
    yield "name", record(NAME, struct.pack("<Q", 1) + b"table1", shift=0)
    yield "duplicate", record(DUPLICATE, struct.pack("<QQII", 1, 2, 3, 0), shift=0)
    yield "config", record(CONFIG, struct.pack("<II", 1, 2), shift=0)
    yield "pad", record(PAD, bytes(64), shift=0)
    yield "close", record(CLOSE, shift=0)


def main():
    for name, data in journals():
        write("journal", name, data)
    for name, data in records():
        write("record", name, data)


if __name__ == "__main__":
    main()
