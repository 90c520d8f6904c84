# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""RFC 6455, by the case list of the Autobahn test suite (sections 1 to 7, 9, 10; 12 and 13 are of an
extension that is not offered), and its numbers, from raw sockets.

That suite wants a server that says back what it is told. A room does: who says something in it hears
it. But it takes texts only, of a form of its own: so what a case sends is the `message` of one, made
as long as the case wants it with blanks behind the object, and a binary message is refused with 1003.
Where the suite hears one message before the next breaks the protocol, that is waited for: what is said
in a room comes back by way of the packet path, and a broken connection has no way back.
"""

import contextlib
import json
import socket
import struct

import pytest
from harness import Appliance, Namespace, make_config, table
from harness.config import port
from harness.lines import HOST, connect
from test_rooms import REQUEST

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = bytes.fromhex("37fa213d")
PORT = 8081
INPUT_MAX = 1 << 20


def frame(opcode, data=b"", fin=True, rsv=0, mask=MASK):
    first = bytes([fin << 7 | rsv << 4 | opcode])
    length = len(data)
    size = bytes([0x80 | length]) if length < 126 else \
        b"\xfe" + struct.pack(">H", length) if length < 65536 else b"\xff" + struct.pack(">Q", length)
    whole = mask * (length // 4 + 1)
    masked = int.from_bytes(data, "big") ^ int.from_bytes(whole[:length], "big")
    return first + size + mask + masked.to_bytes(length, "big")


def close(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def room_text(message, length=0, kind="TEXT"):
    """A text for a room, at least @length bytes of it; @message may be no UTF-8."""
    if isinstance(message, str):
        message = message.encode()
    text = (b'{"userId":"1","username":"abc","message":"' + message +
            b'","timestamp":"2026-11-21T12:00Z","messageType":"%s"}' % kind.encode())
    return text.ljust(length)


def text(message, length=0):
    return frame(TEXT, room_text(message, length))


def pieces(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def fragments(data, size, between=b""):
    """@data as fragments of @size bytes, with @between after each but the last."""
    parts = pieces(data, size) or [b""]
    frames = [frame(CONTINUATION if i else TEXT, part, fin=i == len(parts) - 1)
              for i, part in enumerate(parts)]
    return between.join(frames)


class Chop:
    """Sent in pieces of so many bytes."""

    def __init__(self, data, size):
        self.parts = pieces(data, size)


# What is heard.
def said(message):
    return ("text", message)


def pong(data=b""):
    return (PONG, data)


def closed(code):
    return (CLOSE, code)


REFUSED = ("text", None)


class Member:
    def __init__(self, space):
        self.socket = connect(space, PORT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.socket.sendall(REQUEST.format(path="/chat/1", more="").encode())
        while b"\r\n\r\n" not in self.input:
            self.input += self.socket.recv(4096)
        assert self.input.startswith(b"HTTP/1.1 101 ")
        self.input = self.input.split(b"\r\n\r\n", 1)[1]
        self.send(frame(TEXT, room_text("Hello", kind="JOIN")))
        assert self.hear() == said("Hello")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, what):
        for part in what.parts if isinstance(what, Chop) else [what]:
            self.socket.sendall(part)

    def take(self, n):
        while len(self.input) < n:
            more = self.socket.recv(1 << 16)
            if not more:
                return None
            self.input += more
        data, self.input = self.input[:n], self.input[n:]
        return data

    def hear(self):
        """The next frame; None: the end."""
        head = self.take(2)
        if head is None:
            assert self.input == b""
            return None
        assert head[1] < 127, "a server masks nothing, and needs no longer frames here"
        length = head[1]
        if length == 126:
            [length] = struct.unpack(">H", self.take(2))
        data = self.take(length)
        if head[0] == 0x80 | TEXT:
            told = json.loads(data.decode())
            return said(told["message"]) if told["status"] == "OK" else REFUSED
        if head[0] == 0x80 | CLOSE:
            return closed(struct.unpack(">H", data[:2])[0] if data else None)
        return (head[0] ^ 0x80, data)


@pytest.fixture(scope="module", name="room")
def fixture_room():
    listener = {"name": "chat", "protocol": "rooms", "address": HOST, "port": PORT,
                "input_max": INPUT_MAX}
    with contextlib.closing(Namespace("rooms")) as space, \
            Appliance(make_config(table(1), ports=[port(device="net_null0")],
                                  gateways={"listeners": [listener]}), vdevs=["net_null0"],
                      namespace=space):
        yield lambda: Member(space)


def run(room, steps):
    """Bytes are sent, tuples are heard; a case that does not end with a close is closed: nothing
    else may come, and the connection is as good as it was."""
    with room() as member:
        for step in steps:
            if isinstance(step, tuple):
                assert member.hear() == step
                # Where the server begins, it waits for the other's.
                if step in (closed(1003), closed(1009)):
                    member.send(close(step[1]))
            else:
                member.send(step)
        if not (isinstance(steps[-1], tuple) and steps[-1][0] == CLOSE):
            member.send(frame(CLOSE, struct.pack(">H", 1000)))
            assert member.hear() == closed(1000)
        assert member.hear() is None


def cases(table_of_cases):
    return pytest.mark.parametrize("steps", list(table_of_cases.values()), ids=list(table_of_cases))


def chopped(number, steps, size=1):
    """The same in pieces."""
    return {number: [Chop(step, size) if isinstance(step, bytes) else step for step in steps]}


HELLO = said("Hello")
PING_HI, PONG_HI = frame(PING, b"hi"), pong(b"hi")


@cases({
    "1.1.1": [frame(TEXT), REFUSED],
    **{f"1.1.{2 + i}": [text("*", length), said("*")]
       for i, length in enumerate((125, 126, 127, 128, 65535, 65536))},
    "1.1.8": [Chop(text("*", 65536), 997), said("*")],
    **{f"1.2.{1 + i}": [frame(BINARY, length * b"\xfe"), closed(1003)]
       for i, length in enumerate((0, 125, 126, 127, 128, 65535, 65536))},
    "1.2.8": [Chop(frame(BINARY, 65536 * b"\xfe"), 997), closed(1003)],
})
def test_1_framing(room, steps):
    run(room, steps)


@cases({
    "2.1": [frame(PING), pong()],
    "2.2": [frame(PING, b"Hello, world!"), pong(b"Hello, world!")],
    "2.3": [frame(PING, b"\0\xff\xfe\xfd\xfc\xfb\0\xff"), pong(b"\0\xff\xfe\xfd\xfc\xfb\0\xff")],
    "2.4": [frame(PING, 125 * b"\xfe"), pong(125 * b"\xfe")],
    "2.5": [frame(PING, 126 * b"\xfe"), closed(1002)],
    "2.6": [Chop(frame(PING, 125 * b"\xfe"), 1), pong(125 * b"\xfe")],
    "2.7": [frame(PONG)],
    "2.8": [frame(PONG, b"unsolicited")],
    "2.9": [frame(PONG, b"unsolicited") + frame(PING, b"p"), pong(b"p")],
    "2.10": [b"".join(frame(PING, b"%d" % i) for i in range(10)), *[pong(b"%d" % i) for i in range(10)]],
    "2.11": [Chop(b"".join(frame(PING, b"%d" % i) for i in range(10)), 1),
             *[pong(b"%d" % i) for i in range(10)]],
})
def test_2_pings_and_pongs(room, steps):
    run(room, steps)


RSV_2 = [text("Hello"), HELLO, frame(TEXT, room_text("x"), rsv=2) + PING_HI, closed(1002)]


@cases({
    "3.1": [frame(TEXT, room_text("x"), rsv=1), closed(1002)],
    "3.2": RSV_2,
    "3.3": [text("Hello"), HELLO, frame(TEXT, room_text("x"), rsv=3), closed(1002)],
    **chopped("3.4", [text("Hello"), HELLO, frame(TEXT, room_text("x"), rsv=4), closed(1002)]),
    "3.5": [frame(BINARY, b"x", rsv=5), closed(1002)],
    "3.6": [frame(PING, b"x", rsv=6), closed(1002)],
    "3.7": [frame(CLOSE, b"\x03\xe8", rsv=7), closed(1002)],
})
def test_3_reserved_bits(room, steps):
    run(room, steps)


@cases({
    **{f"4.{1 + first // 8}.{1 + i}": [frame(first + i, data), closed(1002)]
       for first in (3, 11) for i, data in enumerate((b"", b"payload", b"", b"payload", b""))},
    **{f"4.{1 + first // 8}.{3 + i}-after": [text("Hello"), HELLO, frame(first + 2 + i) + PING_HI,
                                             closed(1002)]
       for first in (3, 11) for i in range(3)},
})
def test_4_reserved_opcodes(room, steps):
    run(room, steps)


WHOLE = room_text("Hello")
TWO = fragments(WHOLE, 60)
PINGED = fragments(WHOLE, 60, PING_HI)
LOST = frame(CONTINUATION, b"not part of a message")
LOST_MORE = frame(CONTINUATION, b"not part of a message", fin=False)


@cases({
    "5.1": [frame(PING, b"1", fin=False) + frame(CONTINUATION, b"2"), closed(1002)],
    "5.2": [frame(PONG, b"1", fin=False) + frame(CONTINUATION, b"2"), closed(1002)],
    "5.3": [TWO, HELLO],
    **chopped("5.4", [TWO, HELLO], 66),
    **chopped("5.5", [TWO, HELLO]),
    "5.6": [PINGED, PONG_HI, HELLO],
    **chopped("5.7", [PINGED, PONG_HI, HELLO], 66),
    **chopped("5.8", [PINGED, PONG_HI, HELLO]),
    "5.9": [LOST + text("x"), closed(1002)],
    **chopped("5.10", [LOST, closed(1002)], 27),
    **chopped("5.11", [LOST, closed(1002)]),
    "5.12": [LOST_MORE + text("x"), closed(1002)],
    **chopped("5.13", [LOST_MORE, closed(1002)], 27),
    **chopped("5.14", [LOST_MORE, closed(1002)]),
    "5.15": [TWO, HELLO, LOST_MORE + text("x"), closed(1002)],
    "5.16": [LOST_MORE + text("x") + LOST_MORE, closed(1002)],
    "5.17": [LOST + text("x") + LOST, closed(1002)],
    "5.18": [frame(TEXT, b"one", fin=False) + frame(TEXT, b"two"), closed(1002)],
    "5.19": [fragments(WHOLE, 20, PING_HI), *[PONG_HI] * ((len(WHOLE) - 1) // 20), HELLO],
    **chopped("5.20", [fragments(WHOLE, 20, PING_HI), *[PONG_HI] * ((len(WHOLE) - 1) // 20), HELLO]),
})
def test_5_fragmentation(room, steps):
    run(room, steps)


GREEK = "Hello-µ@ßöäüàá-UTF-8!!"
KOSME = "κόσμε"
# Section 6.4: good, what follows it and is not, and more that is good.
GOOD, BAD, MORE = KOSME.encode(), b"\xed\xa0\x80", b"edited"
START = room_text(b"|").split(b"|")[0]
OPEN_FRAME = frame(TEXT, START + GOOD + BAD + MORE)


@cases({
    "6.1.1": [frame(TEXT), REFUSED],
    "6.1.2": [frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION), REFUSED],
    "6.1.3": [frame(TEXT, fin=False) + frame(CONTINUATION, WHOLE, fin=False) + frame(CONTINUATION),
              HELLO],
    "6.2.1": [text(GREEK), said(GREEK)],
    "6.2.2": [fragments(room_text(GREEK), len(START) + 6), said(GREEK)],
    "6.2.3": [fragments(room_text(GREEK), 1), said(GREEK)],
    "6.2.4": [fragments(room_text(KOSME), 1), said(KOSME)],
    "6.3.1": [frame(TEXT, room_text(GOOD + BAD + MORE)), closed(1007)],
    "6.3.2": [fragments(room_text(GOOD + BAD + MORE), 1), closed(1007)],
    # At once: the message, and here the frame, has not come to its end.
    "6.4.1": [frame(TEXT, START + GOOD, fin=False), frame(CONTINUATION, BAD, fin=False), closed(1007)],
    "6.4.2": [frame(TEXT, START + GOOD + b"\xf4", fin=False), frame(CONTINUATION, b"\x90", fin=False),
              closed(1007)],
    "6.4.3": [OPEN_FRAME[:-len(MORE + BAD)], OPEN_FRAME[-len(MORE + BAD):-len(MORE)], closed(1007)],
    "6.4.4": [Chop(OPEN_FRAME[:-len(MORE) - 1], 1), closed(1007)],
})
def test_6_1_to_4_utf8_of_messages(room, steps):
    run(room, steps)


VALID = {
    **{f"6.5.{i + 1}": one for i, one in enumerate(
        ("Hello", GREEK, KOSME, "\U0010ffff", "\ud7ff\ue000".encode("utf-16", "surrogatepass")
         .decode("utf-16")))},
    **{f"6.7.{i + 2}": one for i, one in enumerate("\x80\u0800\U00010000")},
    **{f"6.9.{i + 1}": one for i, one in enumerate("\x7f\u07ff\uffff\U0010ffff")},
    **{f"6.11.{i + 1}": one for i, one in enumerate("\ud7ff\ue000\ufffd\U0010ffff")},
    **{f"6.22.{i + 1}": chr(plane << 16 | last) for i, (plane, last) in enumerate(
        (plane, last) for plane in range(17) for last in (0xfffe, 0xffff))},
    **{f"6.23.{i + 1}": chr(0xfff9 + i) for i in range(7)},
}

INVALID = {
    "6.8.1": b"\xf8\x88\x80\x80\x80", "6.8.2": b"\xfc\x84\x80\x80\x80\x80",
    "6.10.1": b"\xf7\xbf\xbf\xbf", "6.10.2": b"\xfb\xbf\xbf\xbf\xbf",
    "6.10.3": b"\xfd\xbf\xbf\xbf\xbf\xbf", "6.11.5": b"\xf4\x90\x80\x80",
    **{f"6.12.{i + 1}": one for i, one in enumerate(
        (b"\x80", b"\xbf", *[(b"\x80\xbf" * 4)[:n] for n in range(2, 7)], bytes(range(0x80, 0xc0))))},
    **{f"6.13.{i + 1}": b" ".join(bytes([c]) for c in range(*one)) for i, one in enumerate(
        ((0xc0, 0xe0), (0xe0, 0xf0), (0xf0, 0xf8), (0xf8, 0xfc), (0xfc, 0xfe)))},
    **{f"6.14.{i + 1}": one for i, one in enumerate(
        (b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80",
         b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"))},
    "6.15.1": b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",
    "6.16.1": b"\xfe", "6.16.2": b"\xff", "6.16.3": b"\xfe\xfe\xff\xff",
    **{f"6.{17 + i}.{n + 1}": one for i, kind in enumerate((
        (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf",
         b"\xfc\x80\x80\x80\x80\xaf"),
        (b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf",
         b"\xfc\x83\xbf\xbf\xbf\xbf"),
        (b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80",
         b"\xfc\x80\x80\x80\x80\x80"))) for n, one in enumerate(kind)},
    **{f"6.20.{i + 1}": chr(c).encode("utf-8", "surrogatepass") for i, c in enumerate(
        (0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff))},
    **{f"6.21.{i + 1}": (chr(a) + chr(b)).encode("utf-8", "surrogatepass") for i, (a, b) in enumerate(
        (a, b) for a in (0xd800, 0xdb7f, 0xdb80, 0xdbff) for b in (0xdc00, 0xdfff))},
}


def test_6_5_to_23_valid_utf8_comes_back_as_it_was(room):
    run(room, [step for one in VALID.values() for step in (text(one), said(one))])
    # The first of one byte is none that a room takes, however it is written.
    run(room, [text("\0"), REFUSED, text("\\u0000"), REFUSED])


@pytest.mark.parametrize("bad", list(INVALID.values()), ids=list(INVALID))
def test_6_8_to_21_invalid_utf8_closes(room, bad):
    for sent in (text(bad), fragments(room_text(bad), 1), Chop(text(bad), 50)):
        run(room, [sent, closed(1007)])


def test_6_6_a_text_ends_where_a_character_does(room):
    whole = KOSME.encode()
    for n in range(1, len(whole)):
        try:
            whole[:n].decode()
            run(room, [frame(TEXT, whole[:n]), REFUSED])
        except UnicodeDecodeError:
            run(room, [frame(TEXT, whole[:n]), closed(1007)])


@cases({
    "7.1.1": [text("Hello"), HELLO, close(1000), closed(1000)],
    "7.1.2": [close(1000) + close(1000), closed(1000)],
    "7.1.3": [close(1000) + PING_HI, closed(1000)],
    "7.1.4": [close(1000) + text("x"), closed(1000)],
    "7.1.5": [frame(TEXT, b"one", fin=False) + close(1000) + frame(CONTINUATION, b"two"),
              closed(1000)],
    "7.1.6": [text("Hello", 256 << 10), HELLO, close(1000) + PING_HI, closed(1000)],
    "7.3.1": [frame(CLOSE), closed(None)],
    "7.3.2": [frame(CLOSE, b"\x03"), closed(1002)],
    "7.3.3": [close(1000), closed(1000)],
    "7.3.4": [close(1000, b"Hello"), closed(1000)],
    "7.3.5": [close(1000, 123 * b"*"), closed(1000)],
    "7.3.6": [close(1000, 124 * b"*"), closed(1002)],
    "7.5.1": [close(1000, GOOD + BAD + MORE), closed(1007)],
    "7.5.1-chopped": [Chop(close(1000, GOOD + BAD + MORE), 1), closed(1007)],
    **{f"7.7.{i + 1}": [close(code), closed(code)] for i, code in enumerate(
        (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999))},
    **{f"7.9.{i + 1}": [close(code), closed(1002)] for i, code in enumerate(
        (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999))},
    **{f"7.13.{i + 1}": [close(code), closed(1002)] for i, code in enumerate((5000, 65535))},
})
def test_7_closing(room, steps):
    run(room, steps)


@cases({
    "9.1.1": [text("*", 64 << 10), said("*")],
    "9.1.2": [text("*", 256 << 10), said("*")],
    "9.1.3": [text("*", INPUT_MAX), said("*")],
    "9.1.4": [text("*", INPUT_MAX + 1), closed(1009)],
    "9.1.6": [frame(TEXT, room_text("*", 16 << 20))[:1 << 16], closed(1009)],
    **{f"9.3.{1 + i}": [fragments(room_text("*", 256 << 10), 64 << 2 * i), said("*")]
       for i in range(6)},
    "9.3.9": [fragments(room_text("*", INPUT_MAX + 1), 4096), closed(1009)],
    **{f"9.5.{1 + i}": [Chop(text("*", 256 << 10), 64 << i), said("*")] for i in range(6)},
    **{f"9.7.{1 + i}": [*[text("*", length)] * 200, *[said("*")] * 200]
       for i, length in enumerate((0, 125, 126, 256, 1024, 4096))},
    "10.1.1": [fragments(room_text("*", 65536), 1300), said("*")],
})
def test_9_and_10_limits(room, steps):
    run(room, steps)


def test_a_frame_that_is_not_masked_closes(room):
    run(room, [b"\x81" + bytes([len(WHOLE)]) + WHOLE, closed(1002)])


@cases({
    "16-bit": [b"\x81\xfe\0\x05" + MASK + 5 * b"x", closed(1002)],
    "64-bit": [b"\x81\xff" + struct.pack(">Q", 200) + MASK + 200 * b"x", closed(1002)],
    "negative": [b"\x81\xff" + struct.pack(">Q", 1 << 63) + MASK, closed(1002)],
})
def test_a_length_is_as_short_as_it_can_be(room, steps):
    run(room, steps)
