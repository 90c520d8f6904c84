# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The wire format and the headers against independent oracles: Python's stock protobuf, and scapy.

No appliance runs here: tests/tools/wire_cat.c reads datagrams and frames and says what Sluice's
parsers and builders make of them. Random cases print their seed; SLUICE_TEST_SEED repeats a run.
"""
import contextlib
import importlib
import ipaddress
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest
from scapy.all import ARP, ICMP, IP, UDP, Dot1Q, Ether, Raw
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MLDMultAddrRec,
                                ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                RouterAlert)

from harness import Namespace
from harness.patience import Deadline, patience

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build"))
MAGIC = 0x31434C53
OUR_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
OUR_IP, PEER_IP = "10.77.0.1", "10.77.0.11"
OUR_IP6, PEER_IP6 = "fd00:77::a:1", "fd00:77::11"
FIXED64 = ("source", "id_high", "id_low", "destination", "sequence", "timestamp_ns", "type")
FIXED32 = ("priority", "flags")
REQUIRED = ("source", "id_high", "id_low", "destination")


class WireCat:
    """The helper program, asked one command at a time."""

    def __init__(self):
        program = BUILD / "tests" / "wire_cat"
        assert program.exists(), (
            f"{program} is missing: build it (ninja -C {BUILD} tests/wire_cat) or set SLUICE_BUILD")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *words):
        words = [(w.hex() or "-") if isinstance(w, bytes) else str(w) for w in words]
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"wire_cat died on: {' '.join(words)[:200]}"
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(patience(10)) == 0, "wire_cat failed: see its words on standard error"
        self.process.stdout.close()


@pytest.fixture(scope="module")
def cat():
    helper = WireCat()
    yield helper
    helper.close()


@pytest.fixture(scope="module")
def pb(tmp_path_factory):
    """The schema, compiled by the stock protoc for the stock library."""
    out = tmp_path_factory.mktemp("proto")
    subprocess.run(["protoc", f"--python_out={out}", f"--proto_path={ROOT / 'lib' / 'wire'}",
                    "sluice.proto"], check=True)
    sys.path.insert(0, str(out))
    try:
        yield importlib.import_module("sluice_pb2")
    finally:
        sys.path.remove(str(out))


@pytest.fixture
def rng(request):
    seed = int(os.environ.get("SLUICE_TEST_SEED") or str(time.time_ns()), 0)
    print(f"{request.node.name}: SLUICE_TEST_SEED={seed}")
    return random.Random(seed)


def any_bits(rng, bits):
    return rng.getrandbits(bits) >> rng.randrange(bits)


def random_message(rng, message, payload_len):
    for name in FIXED64:
        setattr(message, name, any_bits(rng, 64))
    message.priority = rng.randrange(9)
    message.flags = any_bits(rng, 32)
    message.payload = rng.randbytes(payload_len)
    if rng.randrange(3) == 0:
        message.id_text = "".join(chr(rng.choice([0, 65, 0xE9, 0x20AC, 0x1F35D]))
                                  for _ in range(rng.randrange(20)))


def random_datagram(rng, pb, nb_messages, payload_len):
    datagram = pb.Datagram(magic=MAGIC, epoch=any_bits(rng, 32), session=any_bits(rng, 64))
    for _ in range(nb_messages):
        random_message(rng, datagram.messages.add(), payload_len())
    return datagram


def assert_same(parsed, datagram):
    assert parsed["verdict"] == "ok"
    assert parsed["epoch"] == datagram.epoch
    assert parsed["session"] == datagram.session
    assert len(parsed["messages"]) == len(datagram.messages)
    for got, sent in zip(parsed["messages"], datagram.messages):
        for name in FIXED64 + FIXED32:
            assert got[name] == getattr(sent, name), name
        assert got["payload"] == sent.payload.hex()
        assert got["bytes"] == sent.SerializeToString().hex()


def test_stock_datagrams_take_the_template_path(cat, pb, rng):
    for _ in range(400):
        datagram = random_datagram(rng, pb, rng.randrange(1, 8), lambda: rng.randrange(300))
        data = datagram.SerializeToString()
        answer = cat.ask("datagram", data)
        assert_same(answer["template"], datagram)
        assert answer["template"]["is_single"] == (len(datagram.messages) == 1)
        # The slow path must see the same, and have nothing to change.
        assert answer["slow"] == answer["template"]
        assert answer["rewritten"] == data.hex()


@pytest.mark.parametrize("payload_len", [0, 1, 52, 53, 127, 128, 16306, 16307, 16383, 16384, 65000])
def test_payload_lengths_at_the_varint_edges(cat, pb, rng, payload_len):
    datagram = random_datagram(rng, pb, 1, lambda: payload_len)
    assert_same(cat.ask("datagram", datagram.SerializeToString())["template"], datagram)


def test_zero_values_are_on_the_wire_when_set(cat, pb):
    """Explicit presence: 0 is sent like any other value, so that the offsets stay."""
    datagram = pb.Datagram(magic=MAGIC, epoch=0, session=0)
    message = datagram.messages.add()
    for name in FIXED64 + FIXED32:
        setattr(message, name, 0)
    data = datagram.SerializeToString()
    assert len(data) == 19 + 2 + 73
    assert_same(cat.ask("datagram", data)["template"], datagram)


def test_constant_offsets(pb):
    """The table of docs/wire-format.md, held against the stock serializer alone."""
    datagram = pb.Datagram(magic=MAGIC, epoch=0xE1E2E3E4, session=0x5152535455565758)
    message = datagram.messages.add()
    for number, name in enumerate(FIXED64, 1):
        setattr(message, name, number * 0x0101010101010101)
    message.priority, message.flags, message.payload = 8, 0x99999999, b"soup"
    data = datagram.SerializeToString()
    assert data[1:5] == b"SLC1"
    assert data[6:10] == bytes.fromhex("e4e3e2e1")
    assert data[11:19] == bytes.fromhex("5857565554535251")
    body = message.SerializeToString()
    assert data[19:21] == bytes([0x22, len(body)]) and data[21:] == body
    for number in range(1, 8):
        offset = 9 * number - 8
        assert body[offset:offset + 8] == bytes([number]) * 8
    assert body[64:68] == b"\x08\0\0\0" and body[69:73] == b"\x99" * 4
    assert body[73:] == b"\x7a\x04soup"


def test_built_datagrams_decode_with_the_stock_library(cat, pb, rng):
    for _ in range(300):
        expected = random_datagram(rng, pb, rng.randrange(0, 8), lambda: rng.randrange(300))
        for message in expected.messages:
            message.ClearField("id_text")
        words = [",".join([str(getattr(m, name)) for name in FIXED64 + FIXED32] +
                          [m.payload.hex() or "-"]) for m in expected.messages]
        data = bytes.fromhex(cat.ask("build", expected.epoch, expected.session, *words)["datagram"])
        assert pb.Datagram.FromString(data) == expected
        assert data == expected.SerializeToString()


def test_other_layouts_mean_the_same(cat, pb, rng):
    """Fields in any order: what the slow path writes is what the stock library understood."""
    for _ in range(300):
        datagram = random_datagram(rng, pb, rng.randrange(1, 5), lambda: rng.randrange(200))
        pieces = []
        for message in datagram.messages:
            fields = []
            for descriptor, value in message.ListFields():
                if descriptor.name in REQUIRED or rng.randrange(6) != 0:
                    alone = type(message)(**{descriptor.name: value})
                    fields.append(alone.SerializeToString())
            rng.shuffle(fields)
            body = b"".join(fields)
            pieces.append(b"\x22" + varint(len(body)) + body)
        header = pb.Datagram(magic=MAGIC, epoch=datagram.epoch, session=datagram.session)
        pieces.insert(rng.randrange(len(pieces) + 1), header.SerializeToString())
        data = b"".join(pieces)
        understood = pb.Datagram.FromString(data)
        answer = cat.ask("datagram", data)
        rewritten = bytes.fromhex(answer["rewritten"])
        again = cat.ask("datagram", rewritten)
        assert again["template"] == answer["slow"] == again["slow"]
        for message in understood.messages:
            for name in FIXED64 + FIXED32:
                setattr(message, name, getattr(message, name))  # left out: 0, and present
        assert pb.Datagram.FromString(rewritten) == understood


def test_unknown_fields_survive(cat, pb):
    """A later version's fields pass through, on both paths, byte for byte."""
    later = b"\x62\x03abc" + b"\x90\x01\x05" + b"\xfa\xff\xff\xff\x0f\x01z"  # 12, 18, 2^29 - 1
    datagram = pb.Datagram(magic=MAGIC, epoch=1, session=2)
    message = datagram.messages.add(source=1, id_high=2, id_low=3, destination=4, sequence=5,
                                    timestamp_ns=6, type=7, priority=1, flags=0, payload=b"p")
    body = message.SerializeToString() + later
    header = pb.Datagram(magic=MAGIC, epoch=1, session=2).SerializeToString()
    data = header + b"\x22" + varint(len(body)) + body
    answer = cat.ask("datagram", data)
    assert answer["template"]["messages"][0]["bytes"] == body.hex()
    assert answer["rewritten"] == data.hex()
    body = later + message.SerializeToString()
    answer = cat.ask("datagram", header + b"\x22" + varint(len(body)) + body)
    assert answer["template"]["verdict"] == "slow"
    assert answer["rewritten"] == data.hex()


def test_what_is_refused_and_why(cat, pb):
    def datagram(magic=MAGIC, **changes):
        fields = dict(source=1, id_high=2, id_low=3, destination=4, sequence=5, timestamp_ns=6,
                      type=7, priority=1, flags=0, payload=b"p")
        fields.update(changes)
        fields = {name: value for name, value in fields.items() if value is not None}
        out = pb.Datagram(magic=magic, epoch=0, session=0)
        out.messages.add(**fields)
        return out

    def reasons(data):
        answer = cat.ask("datagram", data)
        return answer["template"]["verdict"], answer["slow"]["verdict"]

    good = datagram().SerializeToString()
    assert reasons(good) == ("ok", "ok")
    assert reasons(datagram(magic=1).SerializeToString()) == ("bad_magic", "bad_magic")
    assert reasons(datagram(priority=9).SerializeToString()) == ("bad_priority", "bad_priority")
    for name in REQUIRED:
        assert reasons(datagram(**{name: None}).SerializeToString()) == ("slow", "missing_field")
    for name in ("sequence", "timestamp_ns", "type", "priority", "flags"):
        assert reasons(datagram(**{name: None}).SerializeToString()) == ("slow", "ok")
    assert reasons(good[:19]) == ("empty", "empty")
    assert reasons(b"") == ("slow", "bad_magic")
    assert reasons(b"hello, is anybody there?") == ("slow", "malformed")
    many = datagram()
    for _ in range(256):
        many.messages.add().CopyFrom(many.messages[0])
    assert reasons(many.SerializeToString()) == ("too_many_messages", "too_many_messages")
    for length in range(20, len(good)):
        assert reasons(good[:length]) == ("slow", "malformed")


def test_noise_is_never_accepted_where_the_stock_library_refuses(cat, pb, rng):
    """Bits turned over in good datagrams: accepted implies that a receiver can decode it."""
    accepted = 0
    for _ in range(1500):
        data = bytearray(random_datagram(rng, pb, rng.randrange(1, 3), lambda: rng.randrange(40))
                         .SerializeToString())
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        answer = cat.ask("datagram", bytes(data))
        if "rewritten" not in answer:
            continue
        accepted += 1
        for message in answer["slow"]["messages"]:
            body = bytes.fromhex(message["bytes"])
            try:
                decoded = pb.Message.FromString(body)
            except Exception:  # DecodeError has another home in each protobuf release
                # The one thing Sluice does not look into: whether id_text is UTF-8.
                with pytest.raises(UnicodeDecodeError):
                    id_text_of(body).decode()
                continue
            for name in FIXED64 + FIXED32:
                assert message[name] == getattr(decoded, name), name
    assert accepted > 300


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def id_text_of(body):
    """The bytes of the last id_text behind a template message's fixed fields."""
    at, found = 73, b""
    while at < len(body):
        tag, at = read_varint(body, at)
        if tag & 7 == 0:
            _, at = read_varint(body, at)
        elif tag & 7 == 2:
            length, at = read_varint(body, at)
            if tag >> 3 == 16:
                found = body[at:at + length]
            at += length
        else:
            at += 8 if tag & 7 == 1 else 4
    return found


def documented(language):
    """The code blocks of a language in docs/wire-format.md."""
    text = (ROOT / "docs" / "wire-format.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def documented_rows(heading):
    """The rows of the first table behind a heading, as lists of cells without their backticks."""
    text = (ROOT / "docs" / "wire-format.md").read_text().split(f"\n{heading}\n", 1)[1]
    rows = []
    for line in text.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def documented_bytes(index):
    hexdump = documented("hexdump")[index]
    return bytes.fromhex("".join(line[10:58] for line in hexdump.splitlines()))


def test_documented_ack(cat, pb):
    data = documented_bytes(0)
    datagram = pb.Datagram.FromString(data)
    assert datagram.SerializeToString() == data
    ack = datagram.ack
    bits = int.from_bytes(ack.selective, "little")
    received = {*range(1, ack.cumulative + 1)} | {
        ack.cumulative + 2 + i for i in range(8 * len(ack.selective)) if bits >> i & 1}
    assert received == {1, 2, 3, 4, 5, 7, 8, 16} and ack.highest == 16
    assert (ack.session, ack.credit_limit) == (0x0123456789ABCDEF, 1029)
    assert ack.echo_timestamp_ns == 1700000000 * 10**9 and ack.ack_delay_ns == 250_000
    answer = cat.ask("ack", 0, data)
    assert answer["fast"] == answer["slow"] and answer["rewritten"] == data.hex()
    assert answer["fast"]["highest"] == 16 and answer["fast"]["selective"] == "0302"


ACK_FIELDS = {"session": 64, "cumulative": 64, "highest": 64, "credit_limit": 64,
              "echo_timestamp_ns": 64, "ack_delay_ns": 32}


def test_acks_are_what_the_stock_library_reads_and_writes(cat, pb, rng):
    for size in (0, 1, 2, 63, 64, 77, 78, 127, 128, *(rng.randrange(129) for _ in range(50))):
        datagram = pb.Datagram(magic=MAGIC, epoch=any_bits(rng, 32), session=0)
        for name, bits in ACK_FIELDS.items():
            setattr(datagram.ack, name, any_bits(rng, bits))
        datagram.ack.selective = rng.randbytes(size)
        data = datagram.SerializeToString()
        answer = cat.ask("ack", datagram.epoch, data)
        expected = {name: getattr(datagram.ack, name) for name in ACK_FIELDS}
        expected["selective"] = datagram.ack.selective.hex()
        assert answer == {"fast": expected, "slow": expected, "rewritten": data.hex()}


def test_acks_of_another_layout_mean_the_same(cat, pb, rng):
    for _ in range(50):
        ack = pb.Ack(session=any_bits(rng, 64))
        for name in rng.sample(list(ACK_FIELDS), rng.randrange(len(ACK_FIELDS))):
            setattr(ack, name, any_bits(rng, ACK_FIELDS[name]))
        datagram = pb.Datagram(magic=MAGIC, ack=ack)
        answer = cat.ask("ack", 0, datagram.SerializeToString())
        assert answer["fast"] is None
        assert answer["slow"] == {**{name: getattr(ack, name) for name in ACK_FIELDS},
                                  "selective": ""}
    nameless = pb.Datagram(magic=MAGIC, ack=pb.Ack(cumulative=5))
    assert cat.ask("ack", 0, nameless.SerializeToString()) == {"fast": None, "slow": None}


def test_documented_example(cat, pb):
    data = documented_bytes(1)
    answer = cat.ask("datagram", data)["template"]
    assert answer["verdict"] == "ok"
    message, = pb.Datagram.FromString(data).messages
    assert pb.Datagram.FromString(data).SerializeToString() == data
    names = {"source": "server1", "destination": "table1", "type": "breakfast"}
    for field, name in names.items():
        assert f"{getattr(message, field):016x}" == cat.ask("key", name.encode())["key"]
    assert (message.id_high, message.id_low, message.payload) == (0, 1, b"eggs")
    assert message.timestamp_ns == 1700000000 * 10**9


def test_documented_keys(cat):
    rows = documented_rows("## Names and keys")
    assert len(rows) == 7
    for name, key in rows:
        name = "" if name == "(empty)" else name
        assert cat.ask("key", name.encode())["key"] == key


def test_documented_reasons():
    """Each word the parsers have is explained, and no other."""
    def words(source):
        text = (ROOT / source).read_text()
        return set(re.findall(r'"([a-z_0-9]+)"', text[text.index("SL_"):])) - {
            "ok", "slow", "unknown"}

    explained = {row[0] for row in documented_rows("## What is refused")}
    assert explained == words("lib/wire/name.c")
    below = "The reasons of the layers below:"
    assert {row[0] for row in documented_rows(below)} == words("lib/net/net.c")


def test_documented_programs_run(pb, tmp_path):
    """The sender's datagram arrives at the receiver, on real sockets."""
    sender, receiver = documented("python")
    (tmp_path / "send.py").write_text(sender)
    (tmp_path / "receive.py").write_text(receiver)
    environment = dict(os.environ, PYTHONPATH=str(pathlib.Path(pb.__file__).parent))
    # Where nobody else can have the port.
    with contextlib.closing(Namespace("wire")) as space:
        def program(name):
            return space.exec_args(sys.executable, tmp_path / name, "127.0.0.1", "7500")

        process = subprocess.Popen(program("receive.py"), stdout=subprocess.PIPE, text=True,
                                   env=environment)
        try:
            os.set_blocking(process.stdout.fileno(), False)
            line, deadline = "", Deadline(20)
            # Until the receiver has its socket, and has said all of its line.
            while not line.endswith("\n") and not deadline.has_passed():
                subprocess.run(program("send.py"), check=True, env=environment,
                               timeout=patience(20))
                time.sleep(0.1)
                line += process.stdout.readline()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert line == f"34c90d949fadbbb9 {1:032x} b'eggs'\n"


@pytest.mark.parametrize("name, key", [
    ("table1", "e265c9dbf29f8fca"), ("server1", "34c90d949fadbbb9"),
    ("breakfast", "75e32abb37a3e1c6"), ("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"),
    ("foobar", "85944171f73967e8")])
def test_keys(cat, name, key):
    assert cat.ask("key", name.encode())["key"] == key


def test_keys_of_any_name(cat, rng):
    for _ in range(200):
        name = "".join(chr(rng.randrange(1, 0x3000)) for _ in range(rng.randrange(1, 30))).encode()
        expected = 0xCBF29CE484222325
        for byte in name:
            expected = (expected ^ byte) * 0x100000001B3 % 2**64
        assert cat.ask("key", name)["key"] == f"{expected:016x}"


def ask_frame(cat, frame, vlan=0):
    return cat.ask("frame", vlan, mac_bytes(OUR_MAC), ip_bytes(OUR_IP), ip_bytes(OUR_IP6), 7500,
                   bytes(frame))


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def ip_bytes(text):
    return ipaddress.ip_address(text).packed


def ethernet():
    return Ether(dst=OUR_MAC, src=PEER_MAC)


def ip(**more):
    return IP(src=PEER_IP, dst=OUR_IP, **more)


def test_scapy_frames_are_accepted(cat, rng):
    for _ in range(200):
        payload = rng.randbytes(rng.randrange(0, 1400))
        vlan = rng.choice([0, 0, 1, 4094])
        tag = Dot1Q(vlan=vlan, prio=rng.randrange(8)) if vlan or rng.randrange(4) == 0 else None
        packet = ip(id=rng.randrange(65536), ttl=rng.randrange(1, 256)) / \
            UDP(sport=rng.randrange(65536), dport=7500) / Raw(payload)
        frame = ethernet() / tag / packet if tag is not None else ethernet() / packet
        padding = bytes(max(0, 60 - len(frame)))
        answer = ask_frame(cat, bytes(frame) + padding, vlan)
        assert answer["verdict"] == "ok"
        assert answer["payload"] == payload.hex()


@pytest.mark.parametrize("reason, frame", [
    ("eth_not_for_us", Ether(dst="02:00:00:00:00:09", src=PEER_MAC) / ip() / UDP(dport=7500)),
    ("eth_wrong_vlan", ethernet() / Dot1Q(vlan=5) / ip() / UDP(dport=7500)),
    ("eth_unknown_type", Ether(dst=OUR_MAC, src=PEER_MAC, type=0x88CC) / Raw(bytes(40))),
    ("ip_bad_header", ethernet() / ip(version=6) / UDP(dport=7500)),
    ("ip_bad_checksum", ethernet() / ip(chksum=0x1234) / UDP(dport=7500)),
    ("ip_truncated", ethernet() / ip(len=100) / UDP(dport=7500)),
    ("ip_fragment", ethernet() / ip(flags="MF") / UDP(dport=7500)),
    ("ip_fragment", ethernet() / ip(frag=100) / Raw(bytes(64))),
    ("ip_not_for_us", ethernet() / IP(src=PEER_IP, dst="10.77.0.2") / UDP(dport=7500)),
    ("ip_unknown_proto", ethernet() / ip(proto=6) / Raw(bytes(20))),
    ("udp_truncated", ethernet() / ip(proto=17) / Raw(bytes(7))),
    ("udp_bad_length", ethernet() / ip() / UDP(dport=7500, len=99)),
    ("udp_bad_checksum", ethernet() / ip() / UDP(dport=7500, chksum=0x1234) / Raw(b"x")),
    ("udp_unknown_port", ethernet() / ip() / UDP(dport=7501)),
    ("eth_truncated", Raw(bytes(13))),
])
def test_scapy_frames_are_refused(cat, reason, frame):
    assert ask_frame(cat, frame)["verdict"] == reason


def test_written_headers_are_what_scapy_writes(cat, rng):
    for _ in range(300):
        payload = rng.randbytes(rng.choice([0, 1, rng.randrange(1472), rng.randrange(65508)]))
        sport, dport, ttl = rng.randrange(65536), rng.randrange(65536), rng.randrange(1, 256)
        addresses = [rng.randbytes(4), rng.randbytes(4)]
        src, dst = (".".join(map(str, a)) for a in addresses)
        expected = bytes(IP(src=src, dst=dst, ttl=ttl, flags="DF", id=0) /
                         UDP(sport=sport, dport=dport) / Raw(payload))
        got = cat.ask("flow", *addresses, sport, dport, ttl, 1, payload)
        assert got["headers"] == expected[:28].hex()
        got = cat.ask("flow", *addresses, sport, dport, ttl, 0, payload)
        assert got["headers"] == (expected[:26] + b"\0\0").hex()


def test_echo_replies_are_what_scapy_makes_of_them(cat, rng):
    for i in range(200):
        payload = b"" if i == 0 else rng.randbytes(rng.randrange(200))
        number = 0 if i == 0 else rng.randrange(65536)  # once all zero: its checksum is 0xffff
        request = ethernet() / ip(id=i, ttl=rng.randrange(1, 256)) / \
            ICMP(id=number, seq=number) / Raw(payload)
        reply = Ether(dst=PEER_MAC, src=OUR_MAC) / IP(src=OUR_IP, dst=PEER_IP, id=i, ttl=64) / \
            ICMP(type=0, id=number, seq=number) / Raw(payload)
        assert ask_frame(cat, request).get("reply") == bytes(reply).hex()
    assert "reply" not in ask_frame(cat, ethernet() / ip() / ICMP(type=0))
    assert "reply" not in ask_frame(cat, ethernet() / ip() / ICMP(chksum=1))


def test_arp_is_what_scapy_reads_and_writes(cat, rng):
    for _ in range(100):
        vlan = rng.choice([0, 7])
        op = rng.choice([1, 2])
        target = "00:00:00:00:00:00" if op == 1 else OUR_MAC
        packet = ARP(op=op, hwsrc=PEER_MAC, psrc=PEER_IP, hwdst=target, pdst=OUR_IP)
        answer = cat.ask("arp", vlan, bytes(packet))
        assert answer["is_valid"] and answer["is_request"] == (op == 1)
        expected = Ether(dst=target, src=PEER_MAC)
        expected = expected / Dot1Q(vlan=vlan) / packet if vlan else expected / packet
        expected = bytes(expected)
        expected += bytes((64 if vlan else 60) - len(expected))
        assert answer["frame"] == expected.hex()
    assert not cat.ask("arp", 0, bytes(ARP(op=3, hwsrc=PEER_MAC)))["is_valid"]
    assert not cat.ask("arp", 0, bytes(ARP(op=1, hwsrc=PEER_MAC))[:27])["is_valid"]


def ip6(**more):
    return IPv6(**{"src": PEER_IP6, "dst": OUR_IP6, **more})


def random_ip6(rng):
    """Any but an IPv4-mapped one, of which there are few."""
    return str(ipaddress.IPv6Address(rng.randbytes(16)))


def test_scapy_ipv6_frames_are_accepted(cat, rng):
    for _ in range(200):
        payload = rng.randbytes(rng.randrange(0, 1400))
        vlan = rng.choice([0, 0, 1, 4094])
        packet = ip6(tc=rng.randrange(256), fl=rng.randrange(1 << 20), hlim=rng.randrange(256),
                     src=random_ip6(rng)) / \
            UDP(sport=rng.randrange(65536), dport=7500) / Raw(payload)
        frame = ethernet() / Dot1Q(vlan=vlan) / packet if vlan else ethernet() / packet
        answer = ask_frame(cat, bytes(frame) + bytes(rng.randrange(30)), vlan)
        assert answer["verdict"] == "ok"
        assert answer["payload"] == payload.hex()


@pytest.mark.parametrize("reason, frame", [
    ("eth_not_for_us", Ether(dst="33:33:00:00:00:02", src=PEER_MAC) / ip6() / UDP(dport=7500)),
    ("ip_bad_header", Ether(bytes(ethernet())[:12] + b"\x86\xdd") / ip() / UDP(dport=7500) /
     Raw(bytes(40))),
    ("ip_truncated", ethernet() / ip6(plen=100) / UDP(dport=7500)),
    ("ip_fragment", ethernet() / ip6() / IPv6ExtHdrFragment(m=1) / UDP(dport=7500)),
    ("ip_not_for_us", ethernet() / ip6(dst="fd00:77::2") / UDP(dport=7500)),
    ("ip_unknown_proto", ethernet() / ip6() / IPv6ExtHdrDestOpt() / UDP(dport=7500)),
    ("ip_unknown_proto", ethernet() / ip6() / IPv6ExtHdrHopByHop() / UDP(dport=7500)),
    ("ip_unknown_proto", ethernet() / ip6(nh=6) / Raw(bytes(20))),
    ("udp_truncated", ethernet() / ip6(nh=17) / Raw(bytes(7))),
    ("udp_bad_length", ethernet() / ip6() / UDP(dport=7500, len=99)),
    ("udp_bad_checksum", ethernet() / ip6() / UDP(dport=7500, chksum=0x1234) / Raw(b"x")),
    ("udp_unknown_port", ethernet() / ip6() / UDP(dport=7501)),
])
def test_scapy_ipv6_frames_are_refused(cat, reason, frame):
    assert ask_frame(cat, frame)["verdict"] == reason


def test_written_ipv6_headers_are_what_scapy_writes(cat, rng):
    for _ in range(300):
        payload = rng.randbytes(rng.choice([0, 1, rng.randrange(1452), rng.randrange(65488)]))
        sport, dport, ttl = rng.randrange(65536), rng.randrange(65536), rng.randrange(1, 256)
        src, dst = random_ip6(rng), random_ip6(rng)
        expected = bytes(IPv6(src=src, dst=dst, hlim=ttl) / UDP(sport=sport, dport=dport) /
                         Raw(payload))
        got = cat.ask("flow", ip_bytes(src), ip_bytes(dst), sport, dport, ttl, 1, payload)
        assert got["headers"] == expected[:48].hex()


def test_icmpv6_echo_replies_are_what_scapy_makes_of_them(cat, rng):
    for i in range(200):
        payload = b"" if i == 0 else rng.randbytes(rng.randrange(200))
        number = 0 if i == 0 else rng.randrange(65536)
        request = ethernet() / ip6(hlim=rng.randrange(1, 256)) / \
            ICMPv6EchoRequest(id=number, seq=number, data=payload)
        reply = Ether(dst=PEER_MAC, src=OUR_MAC) / IPv6(src=OUR_IP6, dst=PEER_IP6, hlim=64) / \
            ICMPv6EchoReply(id=number, seq=number, data=payload)
        assert ask_frame(cat, request).get("reply") == bytes(reply).hex()
        back = ethernet() / ip6() / ICMPv6EchoReply(id=number, seq=i, data=payload)
        assert ask_frame(cat, back)["echo"] == {"id": number, "sequence": i, "data": payload.hex()}
    assert "reply" not in ask_frame(cat, ethernet() / ip6() / ICMPv6EchoRequest(cksum=1))
    assert "echo" not in ask_frame(cat, ethernet() / ip6() / ICMPv6EchoReply(cksum=1))


def test_echo_requests_are_what_scapy_writes(cat, rng):
    for _ in range(100):
        vlan, number, sequence = rng.choice([0, 7]), rng.randrange(65536), rng.randrange(65536)
        payload = rng.randbytes(rng.randrange(100))
        four = IP(src=OUR_IP, dst=PEER_IP, id=0, flags="DF", ttl=64) / \
            ICMP(id=number, seq=sequence) / Raw(payload)
        six = IPv6(src=OUR_IP6, dst=PEER_IP6, hlim=64) / \
            ICMPv6EchoRequest(id=number, seq=sequence, data=payload)
        for src, dst, packet in ((OUR_IP, PEER_IP, four), (OUR_IP6, PEER_IP6, six)):
            frame = Ether(dst=PEER_MAC, src=OUR_MAC)
            frame = frame / Dot1Q(vlan=vlan) / packet if vlan else frame / packet
            got = cat.ask("echo", vlan, ip_bytes(src), ip_bytes(dst), number, sequence, payload)
            assert got["frame"] == bytes(frame).hex()


def test_neighbour_discovery_is_what_scapy_reads_and_writes(cat, rng):
    group = f"ff02::1:ff{rng.randrange(256):02x}:{rng.randrange(65536):x}"
    for _ in range(200):
        vlan, flags = rng.choice([0, 7]), rng.randrange(16)
        target, mac = random_ip6(rng), rng.choice([b"", mac_bytes(PEER_MAC)])
        lladdr = mac.hex(":")
        if flags & 1:
            icmp = ICMPv6ND_NS(tgt=target)
            option = ICMPv6NDOptSrcLLAddr(lladdr=lladdr)
        else:
            icmp = ICMPv6ND_NA(tgt=target, R=flags >> 1 & 1, S=flags >> 2 & 1, O=flags >> 3 & 1)
            option = ICMPv6NDOptDstLLAddr(lladdr=lladdr)
        icmp = icmp / option if mac else icmp
        packet = IPv6(src=OUR_IP6, dst=group, hlim=255) / icmp
        frame = Ether(dst="33:33:" + ip_bytes(group)[12:].hex(":"), src=OUR_MAC)
        frame = frame / Dot1Q(vlan=vlan) / packet if vlan else frame / packet
        got = cat.ask("nd", vlan, flags, ip_bytes(OUR_IP6), ip_bytes(group), ip_bytes(target), mac)
        assert got["frame"] == bytes(frame).hex()
        # And back, as if somebody else had sent it to us.
        if ip_bytes(target)[0] == 0xFF:
            continue
        read = ask_frame(cat, ethernet() / ip6(hlim=255) / icmp)["nd"]
        assert read == {"is_solicitation": bool(flags & 1),
                        "router": not flags & 1 and bool(flags & 2),
                        "solicited": not flags & 1 and bool(flags & 4),
                        "override": not flags & 1 and bool(flags & 8),
                        "target": ip_bytes(target).hex(), "mac": mac.hex()}
    assert ask_frame(cat, ethernet() / ip6(hlim=64) / ICMPv6ND_NS(tgt=OUR_IP6))["nd"] is None
    assert "nd" not in ask_frame(cat, ethernet() / ip6(hlim=255) / ICMPv6ND_RA())


def test_group_reports_are_what_scapy_writes(cat, rng):
    for _ in range(20):
        group = f"ff02::1:ff{rng.randrange(256):02x}:{rng.randrange(65536):x}"
        report = (Ether(dst="33:33:00:00:00:16", src=OUR_MAC) /
                  IPv6(src="::", dst="ff02::16", hlim=1) /
                  IPv6ExtHdrHopByHop(options=[RouterAlert()]) /
                  ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(dst=group, rtype=4)]))
        assert cat.ask("report", 0, ip_bytes(group))["frame"] == bytes(report).hex()
