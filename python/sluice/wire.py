# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The wire format: datagrams written in the template layout, and read in any (docs/wire-format.md).
"""

import struct

from .xxh3 import xxh3_128

MAGIC = 0x31434C53
WANTS_ACK = 1
MESSAGES_MAX = 256
SELECTIVE_MAX = 128
CLASS_MAX = 8

_HEADER = struct.Struct("<BIBIBQ")
HEADER_LEN = _HEADER.size
# source, id_high, id_low, destination, sequence, timestamp_ns, type, priority, flags
_MESSAGE = struct.Struct("<BQBQBQBQBQBQBQBIBI")
MESSAGE_LEN = _MESSAGE.size
_SEQUENCE_AT = 37
_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_ACK = struct.Struct("<BQBQBQ")
_ACK_TAIL = struct.Struct("<BQBQBI")
_TEMPLATE_TAGS = (0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39, 0x45, 0x4D)
_TEXT_TAG = b"\x82\x01"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Bytes that are no datagram."""


def name_key(name):
    """The key of a name: 64-bit FNV-1a of its UTF-8 bytes. A number is a key already."""
    if isinstance(name, int):
        return name
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return key


def text_id(text):
    """The id of a message whose source calls it by a text: XXH3-128 of its UTF-8 bytes."""
    return xxh3_128(text.encode())


class Message:
    """A message as it was received. Names travel as keys; name_key() makes them."""

    __slots__ = ("source", "destination", "type", "id", "id_text", "payload", "timestamp_ns",
                 "priority", "flags", "sequence", "_handed_out_by", "_came_at")

    def __init__(self, source, destination, type, id, payload=b"", id_text=None, timestamp_ns=0,
                 priority=0, flags=0, sequence=0):
        self.source, self.destination, self.type = source, destination, type
        self.id, self.id_text, self.payload = id, id_text, payload
        self.timestamp_ns, self.priority = timestamp_ns, priority
        self.flags, self.sequence = flags, sequence
        self._handed_out_by = self._came_at = None

    def ack(self):
        """Say that it is done: for messages of a Consumer with auto_ack=False. Any thread; more
        than once is as good as once."""
        if self._handed_out_by is not None:
            self._handed_out_by.ack(self)

    @property
    def key(self):
        """What two copies of a message have in common, and nothing else has."""
        return self.destination, self.source, self.id

    def __repr__(self):
        return (f"<{self.__class__.__name__} {self.id:032x} of {self.source:016x} for "
                f"{self.destination:016x}, {len(self.payload)} bytes>")


class Ack:
    """What the receiver of a session has."""

    __slots__ = ("session", "cumulative", "highest", "selective", "credit_limit",
                 "echo_timestamp_ns", "ack_delay_ns")

    def __init__(self, session, cumulative=0, highest=0, selective=b"", credit_limit=0,
                 echo_timestamp_ns=0, ack_delay_ns=0):
        self.session, self.cumulative, self.highest = session, cumulative, highest
        self.selective, self.credit_limit = selective, credit_limit
        self.echo_timestamp_ns, self.ack_delay_ns = echo_timestamp_ns, ack_delay_ns

    @property
    def is_refusal(self):
        return self.cumulative == 0 and self.credit_limit == 0

    def __repr__(self):
        return (f"<Ack of {self.session:016x}: {self.cumulative}, {self.selective.hex()}, highest "
                f"{self.highest}, up to {self.credit_limit}>")


class Probe:
    """A question whether the other end works, or the answer to it."""

    __slots__ = ("nonce", "reply", "in_flight", "latency_ns")

    def __init__(self, nonce, reply=False, in_flight=0, latency_ns=0):
        self.nonce, self.reply = nonce, reply
        self.in_flight, self.latency_ns = in_flight, latency_ns


class Datagram:
    """What one UDP payload held."""

    __slots__ = ("epoch", "session", "messages", "ack", "probe")

    def __init__(self, epoch=0, session=0, messages=(), ack=None, probe=None):
        self.epoch, self.session, self.messages = epoch, session, list(messages)
        self.ack, self.probe = ack, probe


def _varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put_header(session, epoch=0):
    return _HEADER.pack(0x0D, MAGIC, 0x15, epoch, 0x19, session)


def put_message(message):
    """A message as a field of its datagram: a bytearray with tag and length, in which
    put_sequence() works."""
    ident = message.id
    body = _MESSAGE.pack(
        0x09, message.source, 0x11, ident >> 64, 0x19, ident & 0xFFFFFFFFFFFFFFFF, 0x21,
        message.destination, 0x29, message.sequence, 0x31, message.timestamp_ns, 0x39,
        message.type, 0x45, message.priority, 0x4D, message.flags)
    if message.payload:
        body += b"\x7a" + _varint(len(message.payload)) + message.payload
    if message.id_text is not None:
        text = message.id_text.encode()
        body += _TEXT_TAG + _varint(len(text)) + text
    return bytearray(b"\x22" + _varint(len(body)) + body)


def put_sequence(field, sequence):
    """Write the sequence into what put_message() has made."""
    at = 2
    while field[at - 1] & 0x80:
        at += 1
    _U64.pack_into(field, at + _SEQUENCE_AT, sequence)


def put_ack(ack):
    body = _ACK.pack(0x09, ack.session, 0x11, ack.cumulative, 0x19, ack.highest)
    if ack.selective:
        body += b"\x22" + _varint(len(ack.selective)) + ack.selective
    body += _ACK_TAIL.pack(0x29, ack.credit_limit, 0x31, ack.echo_timestamp_ns, 0x3D,
                           ack.ack_delay_ns)
    return put_header(0) + b"\x2a" + _varint(len(body)) + body


def put_probe(probe):
    body = (b"\x09" + _U64.pack(probe.nonce) + b"\x10" + bytes([bool(probe.reply)]) +
            b"\x1d" + _U32.pack(probe.in_flight) + b"\x21" + _U64.pack(probe.latency_ns))
    return put_header(0) + b"\x32" + _varint(len(body)) + body


def _get_varint(data, at, end):
    value = shift = 0
    while True:
        if at >= end or shift > 63:
            raise WireError("a number is cut short or too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _fields(data, at, end):
    """Yield (number, wire type, value) of each field; the value of bytes is (begin, end)."""
    while at < end:
        tag, at = _get_varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"field number {number}")
        if kind == _VARINT:
            value, at = _get_varint(data, at, end)
        elif kind == _BYTES:
            size, at = _get_varint(data, at, end)
            value = at, at + size
            at += size
        elif kind == _FIXED64:
            value = _U64.unpack_from(data, at)[0] if at + 8 <= end else 0
            at += 8
        elif kind == _FIXED32:
            value = _U32.unpack_from(data, at)[0] if at + 4 <= end else 0
            at += 4
        else:
            raise WireError(f"wire type {kind}")
        if at > end:
            raise WireError("cut short")
        yield number, kind, value


def _read(data, spans, schema, what):
    """The last value of each known field; several pieces of one submessage are one, as protobuf
    has it. @schema: {number: (name, wire type)}"""
    found = {}
    for begin, end in spans:
        for number, kind, value in _fields(data, begin, end):
            if number not in schema:
                continue
            name, wanted = schema[number]
            if kind != wanted:
                raise WireError(f"{what}.{name} of wire type {kind}")
            found[name] = bytes(data[value[0]:value[1]]) if kind == _BYTES else value
    return found


_MESSAGE_FIELDS = {
    1: ("source", _FIXED64), 2: ("id_high", _FIXED64), 3: ("id_low", _FIXED64),
    4: ("destination", _FIXED64), 5: ("sequence", _FIXED64), 6: ("timestamp_ns", _FIXED64),
    7: ("type", _FIXED64), 8: ("priority", _FIXED32), 9: ("flags", _FIXED32),
    15: ("payload", _BYTES), 16: ("id_text", _BYTES)}
_ACK_FIELDS = {
    1: ("session", _FIXED64), 2: ("cumulative", _FIXED64), 3: ("highest", _FIXED64),
    4: ("selective", _BYTES), 5: ("credit_limit", _FIXED64), 6: ("echo_timestamp_ns", _FIXED64),
    7: ("ack_delay_ns", _FIXED32)}
_PROBE_FIELDS = {1: ("nonce", _FIXED64), 2: ("reply", _VARINT), 3: ("in_flight", _FIXED32),
                 4: ("latency_ns", _FIXED64)}
_DATAGRAM_KINDS = {1: _FIXED32, 2: _FIXED32, 3: _FIXED64, 4: _BYTES, 5: _BYTES, 6: _BYTES,
                   7: _BYTES}


def _text(data):
    return data.decode("utf-8", "replace")


def _get_message(data, span):
    """A message in any layout."""
    found = _read(data, [span], _MESSAGE_FIELDS, "message")
    for name in ("source", "id_high", "id_low", "destination"):
        if name not in found:
            raise WireError(f"a message without {name}")
    found["id"] = found.pop("id_high") << 64 | found.pop("id_low")
    if "id_text" in found:
        found["id_text"] = _text(found["id_text"])
    if found.get("priority", 0) > CLASS_MAX:
        raise WireError(f"priority {found['priority']}")
    found.setdefault("type", 0)
    return Message(**found)


def _get_template_message(data, begin, end):
    """A message of the template layout, or None."""
    if end - begin < MESSAGE_LEN:
        return None
    (t1, source, t2, high, t3, low, t4, destination, t5, sequence, t6, timestamp_ns, t7, kind, t8,
     priority, t9, flags) = _MESSAGE.unpack_from(data, begin)
    if (t1, t2, t3, t4, t5, t6, t7, t8, t9) != _TEMPLATE_TAGS or priority > CLASS_MAX:
        return None
    at = begin + MESSAGE_LEN
    payload = b""
    if at < end:
        # A payload and nothing else; what has a text id or more takes the long way.
        if data[at] != 0x7A:
            return None
        size, at = _get_varint(data, at + 1, end)
        if at + size != end:
            return None
        payload = bytes(data[at:end])
    return Message(source, destination, kind, high << 64 | low, payload, None, timestamp_ns,
                   priority, flags, sequence)


def _decode_template(data):
    """A datagram of the template layout, or None."""
    end = len(data)
    if end <= HEADER_LEN or data[0] != 0x0D or data[5] != 0x15 or data[10] != 0x19:
        return None
    _, magic, _, epoch, _, session = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError("another magic")
    messages, at = [], HEADER_LEN
    while at < end:
        if data[at] != 0x22 or len(messages) == MESSAGES_MAX:
            return None
        size, at = _get_varint(data, at + 1, end)
        if at + size > end:
            raise WireError("cut short")
        message = _get_template_message(data, at, at + size)
        messages.append(message or _get_message(data, (at, at + size)))
        at += size
    return Datagram(epoch, session, messages)


def decode(data):
    """Read a datagram, laid out in any way that protobuf allows; WireError when it is none."""
    quick = _decode_template(data)
    if quick is not None:
        return quick
    numbers = {1: None, 2: 0, 3: 0}
    spans = {4: [], 5: [], 6: [], 7: []}
    for number, kind, value in _fields(data, 0, len(data)):
        if number not in _DATAGRAM_KINDS:
            continue
        if kind != _DATAGRAM_KINDS[number]:
            raise WireError(f"field {number} of wire type {kind}")
        if number in numbers:
            numbers[number] = value
        else:
            spans[number].append(value)
    if numbers[1] != MAGIC:
        raise WireError("no magic, or another one")
    if len(spans[4]) > MESSAGES_MAX:
        raise WireError("too many messages")
    if not any(spans.values()):
        raise WireError("nothing in it")
    datagram = Datagram(numbers[2], numbers[3], [_get_message(data, span) for span in spans[4]])
    if spans[5]:
        datagram.ack = _get_ack(data, spans[5])
    if spans[6]:
        found = _read(data, spans[6], _PROBE_FIELDS, "probe")
        found.setdefault("nonce", 0)
        found["reply"] = bool(found.get("reply", 0))
        datagram.probe = Probe(**found)
    return datagram


def _get_ack(data, spans):
    found = _read(data, spans, _ACK_FIELDS, "ack")
    if not found.get("session"):
        raise WireError("an ack of no session")
    if len(found.get("selective", b"")) > SELECTIVE_MAX:
        raise WireError("more selective bits than allowed")
    return Ack(**found)
