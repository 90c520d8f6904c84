#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Write the seeds of fuzz_rooms: one file a case, named after it.

    tests/fuzz/make_rooms_corpus.py
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "rooms"
MASK = bytes.fromhex("37fa213d")
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MESSAGE = {"userId": "42", "username": "Ann42", "message": "Hi", "messageType": "TEXT",
           "timestamp": "2026-11-21T12:00:00.123Z"}
REQUEST = (b"GET /chat/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")


def frame(opcode, data=b"", first=0x80):
    length = len(data)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length)
    masked = bytes(byte ^ MASK[i % 4] for i, byte in enumerate(data))
    return bytes([first | opcode]) + size + MASK + masked


def message(**changes):
    return json.dumps({**MESSAGE, **changes}).encode()


CASES = {
    "close-in-pieces": b"\x05" + frame(CLOSE, b"\x03\xe8" + b"abcdefg\xff"),
    "text": b"\0" + frame(TEXT, message()),
    "types": b"\0" + b"".join(frame(TEXT, message(messageType=t)) for t in ("JOIN", "TEXT", "LEAVE")),
    "escapes": b"\0" + frame(TEXT, message(message="\N{PARTY POPPER} \"\\\n\x01")),
    "utf8": b"\0" + frame(TEXT, json.dumps({**MESSAGE, "message": "\N{PARTY POPPER}é€"},
                                           ensure_ascii=False).encode()),
    "bad-fields": b"\0" + b"".join(frame(TEXT, message(**c)) for c in (
        {"userId": "0"}, {"username": "a"}, {"message": ""}, {"timestamp": "now"},
        {"messageType": "x"}, {"userId": 1})),
    "zones": b"\0" + b"".join(frame(TEXT, message(timestamp=t)) for t in (
        "2026-11-21T12:00", "2024-02-29T12:00:60,5+01:00", "2026-11-21T12:00:00-0330")),
    "fragments": b"\5" + frame(TEXT, b"Hel", 0) + frame(PING, b"?") + frame(0, b"", 0) + frame(0, b"lo"),
    "one-by-one": b"\1" + frame(TEXT, message()) + frame(CLOSE, b"\x03\xe8bye"),
    "not-taken": b"\xe0" + 20 * frame(TEXT, message()),
    "long": b"\0" + frame(TEXT, 2001 * b"x"),
    "binary": b"\0" + frame(BINARY, b"x"),
    "reserved": b"\0" + frame(3) + frame(TEXT, b"x", 0xc0),
    "bad-close": b"\0" + frame(CLOSE, b"\x03"),
    "bad-utf8": b"\0" + frame(TEXT, b"\xe2\x82"),
    "foreign": b"\0" + frame(TEXT, b'{"a":[1,{"b":null}]}') + frame(TEXT, b"{}") + frame(TEXT, b"[]"),
    "handshake": b"\0" + REQUEST + b"\r\n" + frame(TEXT, message()),
    "handshake-more": b"\0" + REQUEST.replace(b"/chat/1", b"http://x/chat/1?access_token=t") +
                      b"Origin: https://a.example\r\nAuthorization: Bearer t\r\n\r\n",
    "handshake-bad": b"\0GET /chat/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
}

CORPUS.mkdir(parents=True, exist_ok=True)
for name, data in CASES.items():
    (CORPUS / name).write_bytes(data)
