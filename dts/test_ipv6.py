# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Messages over IPv6, and from one family to the other: every byte held against scapy."""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6MLQuery, ICMPv6ND_RA, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from harness import (ADDRESS, ADDRESS6, APPLIANCE_MAC, PEER_MAC, SENDER6, Lab,
                     appliance_mac, backend, decode, destination, encode, frame, frame6, id_of,
                     is_udp_from_appliance, kitchen6, make_config, message, peer_mac, port, port6,
                     table, table6)

EPOCH = 7
HEADER_LEN = 19
OFF_EPOCH, OFF_SESSION, OFF_SEQUENCE = 6, 11, 37


def both(**keys):
    """One port that speaks both families."""
    return port6(address=f"{ADDRESS}/24", **keys)


def config6(*destinations, **keys):
    return make_config(*(destinations or (table6(1),)), **{"ports": [port6()], "epoch": EPOCH,
                                                           **keys})


def rewritten(datagram):
    """A datagram of one message as the appliance sends it on."""
    out = bytearray(datagram)
    start = HEADER_LEN + 1
    while out[start] & 0x80:
        start += 1
    struct.pack_into("<I", out, OFF_EPOCH, EPOCH)
    struct.pack_into("<Q", out, OFF_SESSION, 0)
    struct.pack_into("<Q", out, start + 1 + OFF_SEQUENCE, 0)
    return bytes(out)


def expected_frame(payload, dst=kitchen6(1), src=ADDRESS6, dst_mac=PEER_MAC,
                   src_mac=APPLIANCE_MAC, dport=9001, vlan=None):
    """The frame as scapy writes it: lengths and checksums are scapy's."""
    ether = Ether(dst=dst_mac, src=src_mac)
    if vlan is not None:
        ether /= Dot1Q(vlan=vlan)
    ip = (IPv6(src=src, dst=dst, hlim=64) if ":" in dst else
          IP(src=src, dst=dst, id=0, flags="DF", ttl=64))
    return bytes(ether / ip / UDP(sport=7500, dport=dport) / payload)


def sent_payload(packet):
    return bytes(packet[UDP].payload)


def take_one(lab):
    [packet] = lab.raw.take(1, is_udp_from_appliance)
    return packet


@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 55, bytes(range(256)) * 5],
                         ids=["empty", "one byte", "two byte length", "1280 bytes"])
def test_every_byte_on_the_wire(wire_lab, payload):
    with wire_lab.appliance(config6()):
        sent = encode(message(5, payload=payload, priority=1, sequence=99), epoch=3, session=44)
        wire_lab.raw.send(frame6(sent))
        assert bytes(take_one(wire_lab)) == expected_frame(rewritten(sent))


def test_a_message_reaches_its_backend_by_kernel_sockets():
    """Neighbours resolve each other, the kernel checks our checksums."""
    with Lab(addresses=(f"{SENDER6}/64",)) as lab, lab.receiver6(1) as kitchen, \
            lab.appliance(config6()) as sluice:
        lab.send6(message(1 << 64 | 2, priority=2, payload=b"two soups"))
        [got] = kitchen.take(1)
        assert (got.id_high, got.id_low, got.payload) == (1, 2, b"two soups")
        sluice.wait_for(received=1, delivered=1, dropped={})


def test_split_datagrams(wire_lab):
    with wire_lab.appliance(config6()) as sluice:
        orders = [message(i, payload=b"%d" % i * (i + 1)) for i in range(10)]
        wire_lab.raw.send(frame6(encode(*orders)))
        packets = wire_lab.raw.take(10, is_udp_from_appliance)
        for packet, order in zip(packets, orders, strict=True):
            assert bytes(packet) == expected_frame(rewritten(encode(order)))
        sluice.wait_for(received=10, delivered=10, parse_slow=0)


FAMILIES = {
    "IPv4 to IPv6": (frame, table6(1), kitchen6(1), ADDRESS6),
    "IPv6 to IPv4": (frame6, table(1), "10.77.0.11", ADDRESS),
}


@pytest.mark.parametrize("size", [0, 1, 100, 1200])
@pytest.mark.parametrize("to_appliance, to, dst, src", FAMILIES.values(), ids=FAMILIES.keys())
def test_from_one_family_to_the_other(wire_lab, to_appliance, to, dst, src, size):
    with wire_lab.appliance(config6(to, ports=[both()])):
        sent = encode(message(3, payload=b"s" * size))
        wire_lab.raw.send(to_appliance(sent))
        assert bytes(take_one(wire_lab)) == expected_frame(rewritten(sent), dst=dst, src=src)


def test_backends_of_both_families_take_turns(wire_lab):
    pair = destination("table1", backend("kitchen1", "10.77.0.11"),
                       backend("kitchen2", kitchen6(2)), policy="round-robin")
    with wire_lab.appliance(config6(pair, ports=[both()])):
        for i in range(8):
            wire_lab.raw.send((frame, frame6)[i % 2](encode(message(i))))
        packets = wire_lab.raw.take(8, is_udp_from_appliance)
        assert sum(IPv6 in p for p in packets) == 4 and sum(IP in p for p in packets) == 4
        for packet in packets:
            again = packet.copy()
            del again[UDP].chksum
            assert bytes(Ether(bytes(again))) == bytes(packet), "scapy computes other checksums"


def test_a_checksum_is_sent_even_where_ipv4_has_none(wire_lab):
    pair = destination("table1", backend("kitchen1", "10.77.0.11"),
                       backend("kitchen2", kitchen6(2)), policy="round-robin")
    config = config6(pair, ports=[both(send_udp_checksum=False)])
    with wire_lab.appliance(config):
        wire_lab.raw.send(frame(encode(message(1)), udp={"chksum": 0}), frame6(encode(message(2))))
        packets = wire_lab.raw.take(2, is_udp_from_appliance)
        [four] = [p for p in packets if IP in p]
        [six] = [p for p in packets if IPv6 in p]
        assert four[UDP].chksum == 0
        assert bytes(six) == expected_frame(sent_payload(six), dst=kitchen6(2))


def test_vlan_port(wire_lab):
    with wire_lab.appliance(config6(ports=[port6(vlan=7)])) as sluice:
        sent = encode(message(1))
        wire_lab.raw.send(frame6(sent, vlan=7), frame6(encode(message(2)), vlan=8),
                          frame6(encode(message(3))))
        assert bytes(take_one(wire_lab)) == expected_frame(rewritten(sent), vlan=7)
        sluice.wait_for(delivered=1, frames_dropped={"eth_wrong_vlan": 2})


def test_gateway_for_a_backend_off_the_subnet(wire_lab):
    gateway_mac = "02:00:00:00:00:fe"
    config = config6(destination("table1", backend("far", "2001:db8::5", 9009)),
                     ports=[port6(gateway6="fd00:77::fe")],
                     neighbours=[{"address": "fd00:77::fe", "mac": gateway_mac}])
    with wire_lab.appliance(config):
        sent = encode(message(1))
        wire_lab.raw.send(frame6(sent))
        assert bytes(take_one(wire_lab)) == expected_frame(
            rewritten(sent), dst="2001:db8::5", dport=9009, dst_mac=gateway_mac)


def test_in_by_an_ipv4_port_and_out_by_an_ipv6_port():
    config = config6(destination("table1", backend("kitchen1", "fd00:78::11")),
                     ports=[port(), port6("net1", "net_af_packet1", "fd00:78::1/64", vlan=9)])
    with Lab(addresses=(), nb_ports=2) as lab, lab.appliance(config):
        sent = encode(message(1))
        lab.raws[0].send(frame(sent))
        [packet] = lab.raws[1].take(1, lambda p: UDP in p)
        assert bytes(packet) == expected_frame(
            rewritten(sent), dst="fd00:78::11", src="fd00:78::1", vlan=9,
            dst_mac=peer_mac(1), src_mac=appliance_mac(1))
        lab.raws[0].nothing(is_udp_from_appliance)


def test_the_longer_header_counts_for_the_mtu():
    """A message that came in as large as can be by IPv4 is 20 bytes too big for IPv6."""
    with Lab(addresses=()) as lab, lab.appliance(config6(ports=[both()])) as sluice:
        overhead = len(encode(message(1, payload=b"q" * 1000))) - 1000
        fits = b"f" * (1500 - 48 - overhead)
        lab.raw.send(frame(encode(message(1, payload=fits))),
                     frame(encode(message(2, payload=fits + b"!"))),
                     frame(encode(message(3, payload=fits + b"!" * 20))),
                     frame(encode(message(4, payload=fits))))
        packets = lab.raw.take(2, is_udp_from_appliance)
        assert [id_of(decode(sent_payload(p)).messages[0]) for p in packets] == [1, 4]
        assert len(packets[0][IPv6]) == 1500
        sluice.wait_for(received=4, delivered=2, dropped={"too_big": 2})
        sluice.wait_said("2 messages dropped as `too_big`: with their headers they exceed the MTU "
                         "of port net0 (1500); destinations concerned so far: 1")


# One good message in front of and behind each bad frame, on a bench that all of them share.

GOOD = encode(message(1, payload=b"good"))


def cut(packet, length):
    return bytes(packet)[:length]


def ether(**keys):
    return Ether(**{"dst": APPLIANCE_MAC, "src": PEER_MAC, **keys})


def ip6(**keys):
    return IPv6(**{"src": SENDER6, "dst": ADDRESS6, **keys})


def udp(data=GOOD):
    return UDP(sport=40000, dport=7500) / data


def with_checksum(packet, value):
    data = bytearray(bytes(packet))
    data[14 + 40 + 6:14 + 40 + 8] = struct.pack("!H", value)
    return bytes(data)


def patched(at, *values):
    data = bytearray(bytes(frame6(GOOD)))
    data[at:at + len(values)] = bytes(values)
    return bytes(data)


REFUSED = {
    "nothing behind Ethernet": ("ip_truncated", cut(frame6(GOOD), 14)),
    "half a header": ("ip_truncated", cut(frame6(GOOD), 14 + 39)),
    "half a datagram": ("ip_truncated", cut(frame6(GOOD), 80)),
    "longer than the frame": ("ip_truncated", patched(14 + 4, 0xff, 0xff)),
    "version 4": ("ip_bad_header", patched(14, 0x40)),
    "version 7": ("ip_bad_header", patched(14, 0x70)),
    "IPv4 by its type": ("ip_bad_header", patched(12, 0x08, 0x00)),
    "an IPv4-mapped source": ("ip_bad_header", frame6(GOOD, src="::ffff:10.77.0.11")),
    "to somebody else": ("ip_not_for_us", frame6(GOOD, dst="fd00:77::2")),
    "to all nodes": ("ip_not_for_us", frame6(GOOD, dst="ff02::1")),
    "to the solicited node": ("ip_not_for_us", frame6(GOOD, dst="ff02::1:ff00:1")),
    "to our IPv4 address, mapped": ("ip_not_for_us", frame6(GOOD, dst="::ffff:10.77.0.1")),
    "TCP": ("ip_unknown_proto", ether() / ip6(nh=6) / Raw(bytes(20))),
    "no next header": ("ip_unknown_proto", ether() / ip6(nh=59)),
    "hop-by-hop options": ("ip_unknown_proto",
                           ether() / ip6() / IPv6ExtHdrHopByHop() / udp()),
    "destination options": ("ip_unknown_proto", ether() / ip6() / IPv6ExtHdrDestOpt() / udp()),
    "a routing header": ("ip_unknown_proto",
                         ether() / ip6() / IPv6ExtHdrRouting(addresses=["fd00::9"]) / udp()),
    "the first fragment": ("ip_fragment",
                           ether() / ip6() / IPv6ExtHdrFragment(m=1, id=5) / udp()),
    "an atomic fragment": ("ip_fragment", ether() / ip6() / IPv6ExtHdrFragment(id=6) / udp()),
    "no UDP header": ("udp_truncated", ether() / ip6(nh=17) / Raw(bytes(7))),
    "no payload length": ("udp_truncated", patched(14 + 4, 0, 0)),
    "UDP length too long": ("udp_bad_length", frame6(GOOD, udp={"len": 2000})),
    "UDP length too short": ("udp_bad_length", frame6(GOOD, udp={"len": 7})),
    "UDP length 0, a jumbogram's": ("udp_bad_length", frame6(GOOD, udp={"len": 0})),
    "no checksum": ("udp_bad_checksum", with_checksum(frame6(GOOD), 0)),
    "a wrong checksum": ("udp_bad_checksum", frame6(GOOD, udp={"chksum": 0x1234})),
    "another port": ("udp_unknown_port", frame6(GOOD, dport=7501)),
    "another station": ("eth_not_for_us", frame6(GOOD, dst_mac="02:00:00:00:00:77")),
    "another solicited node": ("eth_not_for_us", frame6(GOOD, dst_mac="33:33:ff:00:00:02")),
    "all routers": ("eth_not_for_us", frame6(GOOD, dst_mac="33:33:00:00:00:02")),
    "an IPv4 group": ("eth_not_for_us", frame6(GOOD, dst_mac="01:00:5e:00:00:01")),
    "garbage": ("malformed", frame6(b"\x0d\x53\x4c\x43\x31\xff\xff\xff")),
    "not ours": ("malformed", frame6(b"hello, is anybody there?")),
    "a router's news": ("icmp_not_echo",
                        ether() / ip6(src="fe80::5", dst="ff02::1", hlim=255) / ICMPv6ND_RA()),
    "unreachable": ("icmp_not_echo", ether() / ip6() / ICMPv6DestUnreach() / Raw(bytes(48))),
    "an echo nobody asked for": ("icmp_not_echo", ether() / ip6() / ICMPv6EchoReply()),
    "an echo request, badly summed": ("icmp_not_echo",
                                      ether() / ip6() / ICMPv6EchoRequest(cksum=0x1234)),
    "an echo request of code 1": ("icmp_not_echo", ether() / ip6() / ICMPv6EchoRequest(code=1)),
    "an echo request to all": ("icmp_not_echo",
                               ether(dst="33:33:00:00:00:01") / ip6(dst="ff02::1") /
                               ICMPv6EchoRequest()),
    "an echo request from a group": ("icmp_not_echo",
                                     ether() / ip6(src="ff02::7") / ICMPv6EchoRequest()),
    "an echo request from nobody": ("icmp_not_echo",
                                    ether() / ip6(src="::") / ICMPv6EchoRequest()),
    "an echo request from ourselves": ("icmp_not_echo",
                                       ether() / ip6(src=ADDRESS6) / ICMPv6EchoRequest()),
    "an echo request cut short": ("icmp_not_echo", ether() / ip6(nh=58) / Raw(b"\x80\x00")),
    "ICMPv6 of nothing": ("icmp_not_echo", ether() / ip6(nh=58)),
    "an MLD query": ("icmp_not_echo",
                     ether(dst="33:33:00:00:00:01") / ip6(src="fe80::5", dst="ff02::1", hlim=1) /
                     ICMPv6MLQuery()),
}


class Bench:
    """One appliance, and how many messages it has delivered: counters are compared where all that
    was sent has been counted."""

    def __init__(self, lab, sluice):
        self.lab, self.sluice, self.delivered = lab, sluice, 0

    def deliver_good(self, padding=b"", **keys):
        self.delivered += 1
        self.lab.raw.send(bytes(frame6(encode(message(self.delivered)), **keys)) + padding)
        assert id_of(decode(sent_payload(take_one(self.lab))).messages[0]) == self.delivered

    def settled(self):
        return self.sluice.wait_for(delivered=self.delivered)


@pytest.fixture(scope="module")
def bench():
    with Lab(addresses=()) as lab, lab.appliance(config6(ports=[both()])) as sluice:
        yield Bench(lab, sluice)


@pytest.mark.parametrize("reason, packet", REFUSED.values(), ids=REFUSED.keys())
def test_counted_drop(bench, reason, packet):
    bench.deliver_good()
    before = bench.settled().frames_dropped
    bench.lab.raw.send(packet)
    bench.deliver_good()
    wanted = {**before, reason: before.get(reason, 0) + 1}
    bench.sluice.wait_for(delivered=bench.delivered, dropped={}, frames_dropped=wanted)


@pytest.mark.parametrize("keys", [
    {"dst_mac": "33:33:00:00:00:01"}, {"dst_mac": "33:33:ff:00:00:01"},
    {"dst_mac": "ff:ff:ff:ff:ff:ff"}, {"ip": {"tc": 0xb8, "fl": 0xabcde}}, {"ip": {"hlim": 1}},
    {"padding": b"\xa5" * 30},
], ids=["by the MAC of all", "by the MAC of the solicited node", "by broadcast",
        "with a flow label", "at its last hop", "with padding"])
def test_is_good(bench, keys):
    bench.deliver_good(**keys)


def test_a_checksum_that_comes_out_as_zero_is_sent_as_all_ones(wire_lab):
    """RFC 8200, 8.1. The checksum of a message, put into its payload, makes the sum all ones."""
    with wire_lab.appliance(config6()):
        def order(payload):
            return encode(message(1, timestamp_ns=7, payload=payload))

        # The checksum has to be at an even place of the UDP datagram.
        start = b"" if len(order(b"##")) % 2 == 0 else b"#"
        plain = expected_frame(rewritten(order(start + bytes(2))))
        checksum = plain[14 + 40 + 6:14 + 40 + 8]
        sent = order(start + checksum)
        wire_lab.raw.send(frame6(sent))
        got = bytes(take_one(wire_lab))
        assert got == expected_frame(rewritten(sent))
        assert got[14 + 40 + 6:14 + 40 + 8] == b"\xff\xff"


def test_a_port_that_does_not_speak_a_family_hears_none_of_it(wire_lab):
    with wire_lab.appliance(config6()) as sluice:
        wire_lab.raw.send(frame(GOOD), frame(GOOD, dst="0.0.0.0"))
        sluice.wait_for(frames_dropped={"eth_unknown_type": 2})


@pytest.mark.parametrize("size", [0, 1, 56, 1452])
def test_ping(size):
    with Lab(addresses=(f"{SENDER6}/64",)) as lab, lab.appliance(config6()):
        said = lab.outside.ping(ADDRESS6, 5, "-s", size)
        assert "wrong data byte" not in said and "DUP!" not in said


@pytest.mark.parametrize("vlan", [0, 9])
def test_every_byte_of_an_echo_reply(wire_lab, vlan):
    with wire_lab.appliance(config6(ports=[port6(vlan=vlan)])):
        tag = bytes.fromhex(f"8100{vlan:04x}") if vlan else b""

        def tagged(packet):
            return bytes(packet)[:12] + tag + bytes(packet)[12:]

        wire_lab.raw.send(tagged(ether() / ip6(hlim=3) /
                                 ICMPv6EchoRequest(id=5, seq=9, data=b"are you there?")))
        [got] = wire_lab.raw.take(1, lambda p: ICMPv6EchoReply in p)
        wanted = (Ether(dst=PEER_MAC, src=APPLIANCE_MAC) / IPv6(src=ADDRESS6, dst=SENDER6, hlim=64) /
                  ICMPv6EchoReply(id=5, seq=9, data=b"are you there?"))
        assert bytes(got) == tagged(wanted)


def test_udp_checksums_may_go_unchecked_but_not_unsent(wire_lab):
    """check_udp_checksum: false is for veths with offload; a datagram without one is none."""
    with wire_lab.appliance(config6(ports=[port6(check_udp_checksum=False)])) as sluice:
        sent = encode(message(1))
        wire_lab.raw.send(with_checksum(frame6(sent), 0), frame6(sent, udp={"chksum": 0x1234}))
        assert bytes(take_one(wire_lab)) == expected_frame(rewritten(sent))
        sluice.wait_for(delivered=1, frames_dropped={"udp_bad_checksum": 1})
