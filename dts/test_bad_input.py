# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Whatever comes in: each kind of bad input is a counted drop under its reason, and the good
messages before and behind it are delivered as if it had not been."""

import contextlib
import itertools
import random

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import rdpcap, wrpcap

from harness import (ADDRESS, APPLIANCE_MAC, PEER_MAC, SENDER, Appliance, Lab, Namespace, RawPort,
                     decode, encode, frame, id_of, is_udp_from_appliance, make_config, message,
                     name_key, pb2, port, table)
from harness.protobuf import field_bytes, fixed32, fixed64, number, varint

GOOD = encode(message(1, payload=b"good"))


def ether(**keys):
    return Ether(**{"dst": APPLIANCE_MAC, "src": PEER_MAC, **keys})


def ip(**keys):
    return IP(**{"src": SENDER, "dst": ADDRESS, **keys})


def cut(packet, length):
    return bytes(packet)[:length]


ETHERNET = {
    "another station": ("eth_not_for_us", frame(GOOD, dst_mac="02:00:00:00:00:77")),
    "multicast": ("eth_not_for_us", frame(GOOD, dst_mac="01:00:5e:00:00:01")),
    "a tag": ("eth_wrong_vlan", frame(GOOD, vlan=5)),
    "two tags": ("eth_wrong_vlan", ether() / Dot1Q(vlan=0) / Dot1Q(vlan=0) / ip() / UDP() / GOOD),
    "IPv6": ("eth_unknown_type", ether() / IPv6() / UDP() / GOOD),
    "LLDP": ("eth_unknown_type", ether(type=0x88CC) / Raw(b"\x02\x07\x04")),
    "a length": ("eth_unknown_type", ether(type=60) / Raw(b"\xaa\xaa\x03")),
}

IPV4 = {
    "nothing behind Ethernet": ("ip_truncated", cut(frame(GOOD), 14)),
    "half a header": ("ip_truncated", cut(frame(GOOD), 14 + 19)),
    "half a datagram": ("ip_truncated", cut(frame(GOOD), 60)),
    "version 6": ("ip_bad_header", frame(GOOD, ip={"version": 6})),
    "header length 4": ("ip_bad_header", frame(GOOD, ip={"ihl": 4})),
    "shorter than its header": ("ip_bad_header", frame(GOOD, ip={"len": 19})),
    "checksum": ("ip_bad_checksum", frame(GOOD, ip={"chksum": 0xBEEF})),
    "to somebody else": ("ip_not_for_us", frame(GOOD, dst="10.77.0.2")),
    "to everybody": ("ip_not_for_us", frame(GOOD, dst="255.255.255.255")),
    "TCP": ("ip_unknown_proto", ether() / ip() / TCP(dport=7500)),
    "GRE": ("ip_unknown_proto", ether() / ip(proto=47) / Raw(b"\0" * 40)),
}

UDP_CASES = {
    "no header": ("udp_truncated", ether() / ip(proto=17)),
    "half a header": ("udp_truncated", ether() / ip(proto=17) / Raw(b"\x9c\x40\x1d\x4c")),
    "length 0": ("udp_bad_length", frame(GOOD, udp={"len": 0})),
    "length 7": ("udp_bad_length", frame(GOOD, udp={"len": 7})),
    "longer than it is": ("udp_bad_length", frame(GOOD, udp={"len": len(GOOD) + 9})),
    "checksum": ("udp_bad_checksum", frame(GOOD, udp={"chksum": 0x1234})),
    "another port": ("udp_unknown_port", frame(GOOD, dport=7501)),
    "port 0": ("udp_unknown_port", frame(GOOD, dport=0)),
}


def with_message(body):
    """A datagram with these bytes as its one message."""
    return encode() + field_bytes(4, body)


def without(field):
    order = message(3)
    order.ClearField(field)
    return encode(order)


ROUTING = (fixed64(1, name_key("server1")) + fixed64(2, 0) + fixed64(3, 3) +
           fixed64(4, name_key("table1")))

DATAGRAMS = {
    "zero length": ("bad_magic", b""),
    "no magic": ("bad_magic", pb2.Datagram(epoch=1, messages=[message(3)]).SerializeToString()),
    "wrong magic": ("bad_magic", encode(message(3), magic=0x32434C53)),
    "something else altogether": ("malformed", b"GET / HTTP/1.1\r\n\r\n"),
    "all ones": ("malformed", b"\xff" * 200),
    "all zeros": ("malformed", b"\0" * 200),
    "cut in a message": ("malformed", GOOD[:-1]),
    "cut in a field": ("malformed", GOOD[:40]),
    "cut in the header": ("malformed", GOOD[:3]),
    "message longer than the datagram": ("malformed", encode() + b"\x22" + number(5000) + b"x"),
    "length of 2^32": ("malformed", encode() + b"\x22" + number(1 << 32) + ROUTING),
    "length of 2^64 - 1": ("malformed", encode() + b"\x22" + number((1 << 64) - 1) + ROUTING),
    "length of 2^31 - 1": ("malformed", encode() + b"\x22" + number((1 << 31) - 1) + ROUTING),
    "varint without an end": ("malformed", encode() + b"\x22" + b"\x80" * 20),
    "varint of eleven bytes": ("malformed", encode() + b"\x50" + b"\xff" * 10 + b"\x01"),
    "field number 0": ("malformed", encode() + b"\x00\x01"),
    "wire type 7": ("malformed", encode() + b"\x57\x01"),
    "a group": ("malformed", encode() + b"\x53\x54"),
    "payload longer than its message": (
        "malformed", with_message(ROUTING + b"\x7a" + number(200) + b"short")),
    "source as a varint": ("malformed", with_message(varint(1, 5) + ROUTING[9:])),
    "no source": ("missing_field", without("source")),
    "no id": ("missing_field", without("id_low")),
    "half an id": ("missing_field", without("id_high")),
    "no destination": ("missing_field", without("destination")),
    "an empty message": ("missing_field", with_message(b"")),
    "one bad message among good ones": (
        "missing_field", encode(message(3)) + field_bytes(4, b"") + field_bytes(4, ROUTING)),
    "class 9": ("bad_priority", encode(message(3, priority=9))),
    "class 2^32 - 1": ("bad_priority", encode(message(3, priority=0xFFFFFFFF))),
    "class 9 in another layout": ("bad_priority", with_message(fixed32(8, 9) + ROUTING)),
    "hundreds of messages": ("too_many_messages", encode() + b"\x22\x00" * 700),
    "no message": ("empty", encode()),
}

CASES = {**{f"Ethernet: {name}": case for name, case in ETHERNET.items()},
         **{f"IPv4: {name}": case for name, case in IPV4.items()},
         **{f"UDP: {name}": case for name, case in UDP_CASES.items()},
         **{f"datagram: {name}": (reason, frame(data))
            for name, (reason, data) in DATAGRAMS.items()}}


class Bench:
    """One appliance for all cases, and what each of them adds to its counters."""

    def __init__(self, lab, sluice):
        self.lab, self.sluice = lab, sluice
        self._ids = itertools.count(1000)

    def deliver_good(self):
        """A good message arrives, alone."""
        number = next(self._ids)
        self.lab.raw.send(frame(encode(message(number, payload=b"good"))))
        [packet] = self.lab.raw.take(1, is_udp_from_appliance)
        assert id_of(decode(bytes(packet[UDP].payload)).messages[0]) == number

    def added(self, before, after):
        """(frames, messages) dropped between two readings, by reason."""
        return tuple({reason: n - then.get(reason, 0) for reason, n in now.items()
                      if n != then.get(reason, 0)}
                     for then, now in ((before.frames_dropped, after.frames_dropped),
                                       (before.dropped, after.dropped)))

    def expect(self, packets, frames=None, messages=None, received=0, delivered=0):
        """Good, @packets, good: exactly @frames and @messages are dropped beside the good."""
        before = self.settled()
        self.deliver_good()
        self.lab.raw.send(*packets)
        if delivered:
            self.lab.raw.take(delivered, is_udp_from_appliance)
        self.deliver_good()
        after = self.sluice.wait_for(
            lambda s: s["frames"]["received"] >= before["frames"]["received"] + 2 + len(packets) and
            s["delivered"] == before["delivered"] + 2 + delivered)
        assert self.added(before, after) == (frames or {}, messages or {})
        assert after["received"] - before["received"] == 2 + received
        assert after["frames"]["received"] - before["frames"]["received"] == 2 + len(packets)

    def settled(self):
        return self.sluice.wait_for(queued=0)


@pytest.fixture(scope="module")
def bench():
    with Lab(addresses=()) as lab, lab.appliance(make_config(table(1), table(2))) as sluice:
        yield Bench(lab, sluice)


@pytest.mark.parametrize("reason, packet", CASES.values(), ids=CASES.keys())
def test_counted_drop(bench, reason, packet):
    bench.expect([packet], frames={reason: 1})


def test_unknown_destination(bench):
    bench.expect([frame(encode(message(3, destination="table99")))],
                 messages={"no_destination": 1}, received=1)


def test_unknown_destination_among_known_ones(bench):
    orders = [message(10_000 + i, destination=f"table{1 + i % 3}") for i in range(9)]
    bench.expect([frame(encode(*orders))], messages={"no_destination": 3}, received=9,
                 delivered=6)


def test_most_messages_a_frame_holds(bench):
    """Each alone is as small as can be; all together they fill the frame."""
    orders = [message(20_000 + i) for i in range(19)]
    assert 1400 < len(encode(*orders)) <= 1472
    bench.expect([frame(encode(*orders))], received=19, delivered=19)


def test_udp_without_checksum_is_good(bench):
    order = encode(message(30_000))
    bench.expect([frame(order, udp={"chksum": 0})], received=1, delivered=1)


def test_ip_options_are_good(bench):
    from scapy.layers.inet import IPOption_NOP
    order = encode(message(30_001))
    bench.expect([frame(order, ip={"options": [IPOption_NOP()] * 8})], received=1, delivered=1)


def test_padding_behind_the_datagram_is_good(bench):
    bench.expect([bytes(frame(encode(message(30_002)))) + b"\xa5" * 30], received=1, delivered=1)


def test_a_priority_tag_is_good(bench):
    order = encode(message(30_003))
    packet = ether() / Dot1Q(vlan=0, prio=5) / ip() / UDP(sport=1, dport=7500) / order
    bench.expect([packet], received=1, delivered=1)


def test_broadcast_frame_to_our_address_is_good(bench):
    order = encode(message(30_004))
    bench.expect([frame(order, dst_mac="ff:ff:ff:ff:ff:ff")], received=1, delivered=1)


def test_a_flood_of_unknown_sources(bench):
    """Sources need no introduction; and none of them gets in the way of the others."""
    packets = [frame(encode(message(i, source=f"stranger{i}"))) for i in range(2000)]
    bench.expect(packets, received=2000, delivered=2000)


def test_noise(bench):
    """Good datagrams with random bytes changed: each is counted, as one thing or another."""
    chance = random.Random(20261121)
    before = bench.settled()
    for i in range(3000):
        data = bytearray(encode(message(40_000 + i, payload=b"n" * 20)))
        for _ in range(chance.randint(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        bench.lab.raw.send(frame(bytes(data[:chance.choice((len(data), chance.randrange(
            len(data) + 1)))])))
    after = bench.sluice.wait_for(
        lambda s: s["frames"]["received"] == before["frames"]["received"] + 3000, queued=0)
    frames, messages = bench.added(before, after)
    assert set(frames) <= {"bad_magic", "malformed", "missing_field", "bad_priority", "empty",
                           "too_many_messages", "too_complex", "no_session"}
    assert set(messages) <= {"no_destination"}
    assert after["received"] - before["received"] >= 3000 - sum(frames.values())
    bench.lab.raw.take(after["delivered"] - before["delivered"], is_udp_from_appliance)
    bench.deliver_good()


def test_fragments():
    """By a tap: the kernel puts fragments together before net_af_packet sees them."""
    config = make_config(ports=[port(device="net_tap0")],
                         neighbours=[{"address": "10.77.0.11", "mac": PEER_MAC}])
    with contextlib.closing(Namespace("tap")) as inside:
        device = f"net_tap0,iface=tap0,mac={APPLIANCE_MAC}"
        with Appliance(config, [device], inside) as sluice, \
                contextlib.closing(RawPort(inside, "tap0")) as wire:
            wire.send(frame(GOOD, ip={"flags": "MF"}), frame(GOOD, ip={"frag": 100}),
                      frame(encode(message(2))), frame(GOOD, ip={"frag": 8191, "flags": "MF"}))
            [packet] = wire.take(1, lambda p: UDP in p and p[Ether].src == APPLIANCE_MAC)
            assert id_of(decode(bytes(packet[UDP].payload)).messages[0]) == 2
            sluice.wait_for(delivered=1, frames_dropped={"ip_fragment": 3})


def test_frames_too_short_and_too_long(tmp_path):
    """From a file: no interface brings a frame without a whole header, or one above its MTU."""
    everybody = "ff:ff:ff:ff:ff:ff"
    packets = [frame(encode(message(1)), dst_mac=everybody),
               cut(frame(GOOD, dst_mac=everybody), 13),
               frame(encode(message(2, payload=b"x" * 3000)), dst_mac=everybody),
               frame(encode(message(3)), dst_mac=everybody)]
    wrpcap(str(tmp_path / "in.pcap"), [Ether(bytes(p)) if len(p) > 13 else Raw(p)
                                       for p in packets], linktype=1)
    config = make_config(ports=[port(device="net_pcap0")],
                         neighbours=[{"address": "10.77.0.11", "mac": PEER_MAC}])
    device = f"net_pcap0,rx_pcap={tmp_path / 'in.pcap'},tx_pcap={tmp_path / 'out.pcap'}"
    with Appliance(config, [device]) as sluice:
        sluice.wait_for(delivered=2, frames_dropped={"eth_truncated": 1, "scattered": 1})
    sent = [decode(bytes(p[UDP].payload)) for p in rdpcap(str(tmp_path / "out.pcap")) if UDP in p]
    assert [id_of(d.messages[0]) for d in sent] == [1, 3]
