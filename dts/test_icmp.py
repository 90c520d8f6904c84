# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""ICMP echo: the kernel's ping is the judge, scapy of the bytes."""


import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness import (ADDRESS, APPLIANCE_MAC, PEER_MAC, SENDER, encode, frame,
                     is_udp_from_appliance, make_config, message, port)


def echo(**icmp):
    return (Ether(dst=APPLIANCE_MAC, src=PEER_MAC) / IP(src=SENDER, dst=ADDRESS, id=77) /
            ICMP(**{"type": "echo-request", "id": 5, "seq": 9, **icmp}) / Raw(b"are you there?"))


def is_icmp(packet):
    return packet[Ether].src == APPLIANCE_MAC and ICMP in packet


@pytest.mark.parametrize("size", [0, 1, 56, 1472])
def test_ping(lab, size):
    with lab.appliance():
        said = lab.outside.ping(ADDRESS, 5, "-s", size)
        assert "wrong data byte" not in said and "DUP!" not in said


def test_every_byte_of_a_reply(wire_lab):
    with wire_lab.appliance():
        wire_lab.raw.send(echo())
        [got] = wire_lab.raw.take(1, is_icmp)
        assert got[Ether].dst == PEER_MAC
        assert (got[IP].src, got[IP].dst, got[IP].ttl > 1) == (ADDRESS, SENDER, True)
        again = got.copy()
        del again[IP].chksum, again[ICMP].chksum
        assert bytes(Ether(bytes(again))) == bytes(got), "scapy computes other checksums"
        assert bytes(got[ICMP]) == bytes(ICMP(type="echo-reply", id=5, seq=9) /
                                         Raw(b"are you there?"))


def test_ping_on_a_vlan(wire_lab):
    with wire_lab.appliance(make_config(ports=[port(vlan=9)])):
        asked = bytes(echo())
        wire_lab.raw.send(asked[:12] + b"\x81\x00\x00\x09" + asked[12:])
        [got] = wire_lab.raw.take(1, is_icmp)
        assert got.vlan == 9 and got[ICMP].type == 0


BAD = {
    "bad checksum": echo(chksum=0x1234),
    "a reply": echo(type="echo-reply"),
    "unreachable": echo(type="dest-unreach"),
    "redirect": echo(type="redirect"),
    "code not 0": echo(code=1),
    "cut short": (Ether(dst=APPLIANCE_MAC, src=PEER_MAC) /
                  IP(src=SENDER, dst=ADDRESS, proto=1) / Raw(b"\x08\x00")),
}


@pytest.mark.parametrize("packet", BAD.values(), ids=BAD.keys())
def test_everything_else_is_a_counted_drop(wire_lab, packet):
    with wire_lab.appliance() as sluice:
        wire_lab.raw.send(packet)
        sluice.wait_for(frames_dropped={"icmp_not_echo": 1})
        wire_lab.raw.nothing(is_icmp, within=0.1)
        wire_lab.raw.send(frame(encode(message(1))))
        wire_lab.raw.take(1, is_udp_from_appliance)
