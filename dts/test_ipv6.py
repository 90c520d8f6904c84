# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Messages over IPv6, and from one family to the other: every byte held against scapy."""

import struct
import subprocess

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6MLQuery, ICMPv6ND_RA, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from harness import (ADDRESS, ADDRESS6, APPLIANCE_MAC, PEER_MAC, SENDER, SENDER6, Lab,
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
