#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Write the seeds of fuzz_datagram, fuzz_headers, fuzz_session,
fuzz_receivers and fuzz_client: one file a case, named after it.

    tests/fuzz/make_corpus.py

Run it again when the wire format gains a field; the files are kept in the repository so that the
fuzzers need neither Python nor scapy.
"""
import pathlib
import struct

from scapy.all import ARP, ICMP, IP, UDP, Dot1Q, Ether, IPOption_NOP, Raw, fragment
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU,
                                ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment)

CORPUS = pathlib.Path(__file__).resolve().parent / "corpus"
MAGIC = 0x31434C53
OUR_MAC, OUR_IP, OUR_IP6 = "02:00:00:00:00:01", "10.0.0.1", "fd00::1"
PEER_MAC, PEER_IP, PEER_IP6 = "02:00:00:00:00:02", "10.0.0.2", "fd00::2"


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, wire_type, value):
    tag = varint(number << 3 | wire_type)
    if wire_type == 0:
        return tag + varint(value)
    if wire_type == 1:
        return tag + struct.pack("<Q", value)
    if wire_type == 5:
        return tag + struct.pack("<I", value)
    return tag + varint(len(value)) + value


def fixed(priority=2, skip=()):
    parts = [(n, field(n, 1, n * 0x0101010101010101)) for n in range(1, 8)]
    parts += [(8, field(8, 5, priority)), (9, field(9, 5, 1))]
    return [part for n, part in parts if n not in skip]


def header(magic=MAGIC, epoch=3, session=4):
    return field(1, 5, magic) + field(2, 5, epoch) + field(3, 1, session)


def message(payload=b"soup", tail=b"", **more):
    return b"".join(fixed(**more)) + (field(15, 2, payload) if payload else b"") + tail


def datagram(*messages, tail=b"", **more):
    return header(**more) + b"".join(field(4, 2, m) for m in messages) + tail


def datagram_seeds():
    good = datagram(message())
    ack = field(5, 2, field(1, 1, 9) + field(2, 1, 5) + field(4, 2, b"\x05") + field(7, 5, 100))
    probe = field(6, 2, field(1, 1, 77) + field(2, 0, 1) + field(3, 5, 12))
    subscribe = field(7, 2, field(1, 2, b"table1") + field(2, 2, b"kitchen1") + field(5, 0, 1))
    yield "single", good
    yield "no-payload", datagram(message(b""))
    yield "three-messages", datagram(message(), message(b""), message(b"x" * 200))
    yield "payload-127", datagram(message(b"p" * 127))
    yield "payload-128", datagram(message(b"p" * 128))
    yield "payload-1400", datagram(message(b"p" * 1400))
    yield "id-text", datagram(message(tail=field(16, 2, b"order-1")))
    yield "id-text-nul", datagram(message(tail=field(16, 2, b"order\x00one")))
    yield "id-text-twice", datagram(message(tail=field(16, 2, b"a") + field(16, 2, b"b")))
    yield "unknown-trailing", datagram(message(
        tail=field(17, 0, 300) + field(18, 1, 1) + field(19, 2, b"z") + field(20, 5, 1)))
    yield "unknown-reserved-number", datagram(message(tail=field(12, 0, 1)))
    yield "unknown-large-number", datagram(message(tail=field((1 << 29) - 1, 2, b"far")))
    yield "unknown-number-zero", datagram(message(tail=b"\x82\x00\x01z"))
    yield "unknown-long-length", datagram(message(tail=b"\x9a\x01\x81\x80\x80\x80\x00z"))
    yield "unknown-group", datagram(message(tail=b"\xa3\x01\xa4\x01"))
    yield "unknown-in-datagram", datagram(message(), tail=field(9, 0, 1))
    yield "out-of-order", header() + field(4, 2, b"".join(reversed(fixed())) + field(15, 2, b"x"))
    yield "magic-last", field(4, 2, message()) + header()
    yield "optional-missing", datagram(b"".join(fixed(skip=(5, 6, 7, 8, 9))))
    yield "destination-missing", datagram(message(skip=(4,)))
    yield "field-twice", datagram(message() + field(1, 1, 99))
    yield "priority-9", datagram(message(priority=9))
    yield "wrong-magic", datagram(message(), magic=0x0BADC0DE)
    yield "magic-twice", field(1, 5, 7) + datagram(message())
    yield "no-magic", field(2, 5, 3) + field(4, 2, message())
    yield "header-only", header()
    yield "empty", b""
    yield "truncated", good[:-3]
    yield "truncated-header", good[:11]
    yield "ack", header() + ack
    for size in (0, 1, 77, 78, 128, 129):
        yield f"ack-{size}", header(session=0) + field(5, 2, b"".join(
            [field(n, 1, 0x100 * n) for n in (1, 2, 3)] + [field(4, 2, b"\x05" * size)] * (size > 0)
            + [field(5, 1, 900), field(6, 1, 5), field(7, 5, 100)]))
    yield "ack-twice", header() + ack + field(5, 2, field(4, 2, b"") + field(1, 1, 10))
    yield "ack-without-session", header() + field(5, 2, field(2, 1, 5))
    yield "message-and-extras", datagram(message(), tail=ack + ack + probe + subscribe)
    yield "varint-11-bytes", datagram(message(tail=b"\x88\x01" + b"\xff" * 10 + b"\x01"))
    yield "length-beyond-end", header() + b"\x22\xff\xff\x03" + message()
    yield "length-4-gib", header() + b"\x22\xff\xff\xff\xff\x0f" + message()
    yield "length-not-minimal", header() + b"\x22\xcf\x80\x00" + message()
    yield "wrong-wire-type", datagram(b"\x0a\x01x" + message())
    yield "257-messages", datagram(*[message(b"")] * 257)
    yield "2000-empty-messages", header() + b"\x22\x00" * 2000


def frame(payload=b"order", **udp):
    return (Ether(dst=OUR_MAC, src=PEER_MAC) / IP(src=PEER_IP, dst=OUR_IP) /
            UDP(sport=40000, dport=7500, **udp) / Raw(payload))


def header_seeds():
    eth = Ether(dst=OUR_MAC, src=PEER_MAC)
    ip = IP(src=PEER_IP, dst=OUR_IP)
    good = bytes(frame())
    yield "udp", good
    yield "udp-odd", bytes(frame(b"odd"))
    yield "udp-empty", bytes(frame(b""))
    yield "udp-1400", bytes(frame(bytes(range(200)) * 7))
    yield "udp-no-checksum", bytes(frame(chksum=0))
    yield "udp-bad-checksum", bytes(frame(chksum=0x1234))
    yield "udp-padded", good + bytes(20)
    yield "udp-other-port", bytes(eth / ip / UDP(dport=53) / Raw(b"x"))
    yield "udp-short-length", bytes(frame(len=7))
    yield "udp-long-length", bytes(frame(len=2000))
    yield "udp-length-0", bytes(frame(len=0))
    yield "vlan-7", bytes(Ether(dst=OUR_MAC, src=PEER_MAC) / Dot1Q(vlan=7) / ip /
                          UDP(dport=7500) / Raw(b"tagged"))
    yield "vlan-0", bytes(eth / Dot1Q(vlan=0, prio=5) / ip / UDP(dport=7500) / Raw(b"prio"))
    yield "vlan-twice", bytes(eth / Dot1Q(vlan=7) / Dot1Q(vlan=8) / ip / UDP(dport=7500))
    yield "vlan-truncated", bytes(eth / Dot1Q(vlan=7))[:16]
    yield "options", bytes(eth / IP(src=PEER_IP, dst=OUR_IP, options=[IPOption_NOP()] * 40) /
                           UDP(dport=7500) / Raw(b"options"))
    pieces = fragment(IP(src=PEER_IP, dst=OUR_IP) / UDP(dport=7500) / Raw(b"f" * 64), fragsize=32)
    yield "fragment-first", bytes(eth / pieces[0])
    yield "fragment-last", bytes(eth / pieces[-1])
    yield "ip-bad-checksum", bytes(eth / IP(src=PEER_IP, dst=OUR_IP, chksum=1) / UDP(dport=7500))
    yield "ip-version-6", good[:14] + b"\x65" + good[15:]
    yield "ip-ihl-4", good[:14] + b"\x44" + good[15:]
    yield "ip-ihl-15", good[:14] + b"\x4f" + good[15:]
    yield "ip-length-0", good[:16] + b"\0\0" + good[18:]
    yield "ip-length-65535", good[:16] + b"\xff\xff" + good[18:]
    yield "ip-not-for-us", bytes(eth / IP(src=PEER_IP, dst="10.0.0.9") / UDP(dport=7500))
    yield "tcp", bytes(eth / IP(src=PEER_IP, dst=OUR_IP, proto=6) / Raw(bytes(20)))
    yield "icmp-echo", bytes(eth / ip / ICMP(id=7, seq=1) / Raw(b"ping"))
    yield "icmp-echo-zero", bytes(eth / ip / ICMP(id=0, seq=0))
    yield "icmp-unreachable", bytes(eth / ip / ICMP(type=3, code=3) / Raw(good[14:42]))
    yield "icmp-truncated", bytes(eth / ip / Raw(b"\x08\0\xf7"))
    yield "arp-request", bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=PEER_MAC) / ARP(
        op=1, hwsrc=PEER_MAC, psrc=PEER_IP, hwdst="00:00:00:00:00:00", pdst=OUR_IP))
    yield "arp-reply", bytes(eth / ARP(op=2, hwsrc=PEER_MAC, psrc=PEER_IP, hwdst=OUR_MAC,
                                       pdst=OUR_IP))
    yield "arp-multicast-sender", bytes(eth / ARP(op=2, hwsrc="01:00:5e:00:00:01", psrc=PEER_IP))
    yield "arp-hlen-255", bytes(eth / ARP(op=1, hwlen=255, plen=255))
    yield "arp-truncated", bytes(eth / ARP(op=1))[:30]
    yield "other-station", bytes(Ether(dst="02:00:00:00:00:99", src=PEER_MAC) / ip)
    yield "ipv6", bytes(Ether(dst=OUR_MAC, src=PEER_MAC, type=0x86DD) / Raw(bytes(40)))
    yield "eth-truncated", good[:13]


def header6_seeds():
    eth = Ether(dst=OUR_MAC, src=PEER_MAC)
    to_group = Ether(dst="33:33:ff:00:00:01", src=PEER_MAC)
    ip = IPv6(src=PEER_IP6, dst=OUR_IP6)
    near = IPv6(src=PEER_IP6, dst=OUR_IP6, hlim=255)
    datagram = UDP(sport=40000, dport=7500) / Raw(b"order")
    good = bytes(eth / ip / datagram)
    source, target = ICMPv6NDOptSrcLLAddr(lladdr=PEER_MAC), ICMPv6NDOptDstLLAddr(lladdr=PEER_MAC)
    yield "udp6", good
    yield "udp6-vlan-7", bytes(eth / Dot1Q(vlan=7) / ip / datagram)
    yield "udp6-empty", bytes(eth / ip / UDP(dport=7500))
    yield "udp6-no-checksum", good[:60] + b"\0\0" + good[62:]
    yield "udp6-padded", good + bytes(20)
    yield "udp6-truncated", good[:50]
    yield "udp6-length-65535", good[:18] + b"\xff\xff" + good[20:]
    yield "ip6-version-4", good[:14] + b"\x45" + good[15:]
    yield "ip6-fragment", bytes(eth / ip / IPv6ExtHdrFragment(m=1) / datagram)
    yield "ip6-options", bytes(eth / ip / IPv6ExtHdrDestOpt() / datagram)
    yield "ip6-mapped", bytes(eth / IPv6(src="::ffff:10.0.0.2", dst=OUR_IP6) / datagram)
    yield "icmp6-echo", bytes(eth / ip / ICMPv6EchoRequest(id=7, seq=1, data=b"ping"))
    yield "icmp6-without-payload", bytes(eth / IPv6(src=ip.src, dst=ip.dst, nh=58))
    yield "icmp6-echo-reply", bytes(eth / ip / ICMPv6EchoReply(id=7, seq=1, data=b"ping"))
    yield "nd-solicitation", bytes(to_group / IPv6(src=PEER_IP6, dst="ff02::1:ff00:1", hlim=255) /
                                   ICMPv6ND_NS(tgt=OUR_IP6) / source)
    yield "nd-probe", bytes(to_group / IPv6(src="::", dst="ff02::1:ff00:1", hlim=255) /
                            ICMPv6ND_NS(tgt=OUR_IP6))
    yield "nd-advertisement", bytes(eth / near / ICMPv6ND_NA(tgt=PEER_IP6, S=1, O=1) / target)
    yield "nd-bare", bytes(eth / near / ICMPv6ND_NA(tgt=PEER_IP6, S=1, O=0))
    yield "nd-options", bytes(eth / near / ICMPv6ND_NA(tgt=PEER_IP6) / ICMPv6NDOptMTU() / target)
    yield "nd-option-0", bytes(eth / near / ICMPv6ND_NA(tgt=PEER_IP6) / Raw(b"\2\0" + bytes(6)))
    yield "nd-truncated", bytes(eth / near / ICMPv6ND_NA(tgt=PEER_IP6))[:-4]
    yield "nd-router", bytes(eth / near / ICMPv6ND_RA())


def session_seeds():
    """Operations of fuzz_session.c: window, initial credit, then one byte each and its numbers."""
    send, receive, honest, hostile, resend, later, deadline, stray = (bytes([i]) for i in range(8))
    begin = bytes([12, 128])
    turn = send + b"\xff" + receive + b"\x00\xff" + later + b"\x05\x40\0\0\0\0" + honest
    yield "turns", begin + turn * 8
    yield "gap", begin + send + b"\xff" + receive + b"\x01\xff" + honest + resend + b"\xff" + turn
    yield "silence", begin + send + b"\x40" + deadline * 12 + receive + b"\x00\xff" + honest
    yield "small-window", b"\x02\x01" + turn * 4 + deadline * 3
    yield "refused", begin + turn + hostile + b"\x01\x00\x00\x00\x00\x00\x00" + turn
    yield "never-sent", begin + turn + hostile + b"\x03\x02\xff\xff\x02\xff\xff\x00\x00\x00\x00"
    yield "all-bits", begin + turn + send + b"\xff" + hostile + b"\x0c\x00\x01\xfe\x08" + \
        b"\xff" * 8 + b"\x00\x00\x80" + resend + b"\xff" + turn
    yield "giant-credit", begin + hostile + b"\x00\x00\x00\x08" + b"\xff" * 8 + \
        b"\x04\xff\xff\xff\xff\x00\x00" + turn * 2
    yield "stray", begin + turn + stray + b"\x08" + b"\xff" * 8 + stray + b"\x02\x04\x00" + turn


def receivers_seeds():
    """Operations of fuzz_receivers.c: window of an address, rate, time and seeds, then one
    byte each and its numbers."""
    begin, acks = b"\0" * 5, b"\x02\xff"

    def number(value):
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return bytes([len(data)]) + data

    def run(session, count, ahead=0):
        return b"\x01" + bytes([session, ahead, count]) + b"\0\0" * count

    def take(session, kind, first=0, value=b""):
        return b"\0" + bytes([session, kind, first]) + value + b"\0\0"

    def jump(session, value):
        return take(session, 1, value=number(value))

    def later(ns):
        return b"\x03" + number(ns << 24)

    def sweep(idle_ns):
        return b"\x04\x1f" + number(idle_ns)

    def alive(session):
        return b"\x05" + bytes([session])

    yield "in-order", begin + (run(1, 200) + acks) * 4
    yield "gaps", begin + run(1, 9) + run(1, 20, ahead=5) + acks + run(1, 5) + acks
    yield "again", begin + run(1, 20) + acks + take(1, 0, 7) + take(1, 4, 9) + acks
    yield "end-of-window", begin + run(1, 50) + b"".join(take(1, 2, n) for n in range(120, 140)) + acks
    yield "jumps", begin + run(1, 9) + jump(1, 1 << 63) + jump(1, 2**64 - 1) + jump(1, 0) + acks
    yield "from-before", begin + b"".join(jump(n % 12, 5000 + n) for n in range(90)) + acks
    yield "more-than-room", begin + b"".join(run(n, 3) for n in range(12)) + acks
    yield "forgotten", begin + run(2, 9) + acks + later(9) + sweep(1) + run(2, 9) + acks
    yield "alive", begin + alive(2) + run(2, 9) + run(3, 9) + later(9) + sweep(1) + run(2, 9) + acks
    yield "limited", number(1000) + b"\0" * 3 + (run(1, 40) + acks + later(5)) * 5
    yield "flood", begin + (run(4, 1) + acks) * 60


def client_seeds():
    """Operations of fuzz_client.c: flags, then of each its number, a length, and so many bytes."""
    def op(number, data=b"", length=None):
        return struct.pack(">BH", number, len(data) if length is None else length) + data

    def ack(cumulative, highest, limit, selective=b"", session=1):
        body = field(1, 1, session) + field(2, 1, cumulative) + field(3, 1, highest)
        body += (field(4, 2, selective) if selective else b"") + field(5, 1, limit)
        return header(session=0) + field(5, 2, body + field(6, 1, 0) + field(7, 5, 0))

    def numbered(*sequences, session=9):
        return datagram(*(message(skip=(5,)).replace(
            field(4, 1, 0x0404040404040404), field(4, 1, 0x0404040404040404) + field(5, 1, n))
            for n in sequences), session=session)

    publish, done, later = op(5), op(4), op(3, length=800)
    for flags in range(8):
        yield f"turns-{flags}", bytes([flags]) + (publish + done * 8 + later) * 4
    yield "acked", b"\0" + publish + op(2, ack(5, 5, 100)) + publish + op(2, ack(9, 9, 100))
    yield "gap", b"\0" + publish + op(2, ack(1, 5, 100, b"\x07")) + later * 3
    yield "refused", b"\x10" + publish + (op(2, ack(0, 0, 0)) + later) * 6
    yield "never-sent", b"\0" + publish + op(2, ack(99, 99, 100)) + op(2, ack(5, 3, 100))
    yield "silence", b"\x10" + publish + later * 30
    yield "consumed", b"\0" + op(1, numbered(1, 2, 4)) + done * 2 + op(1, numbered(3)) + done * 4
    yield "again", b"\1" + op(1, numbered(1)) + op(1, numbered(1, session=10)) + done * 2 + later
    yield "not-at-its-begin", b"\0" + op(1, numbered(5000)) + op(1, numbered(0))
    yield "sessions", b"\0" + b"".join(op(1, numbered(1, session=n)) for n in range(1, 9))
    yield "probe", b"\0" + op(1, header() + field(6, 2, field(1, 1, 42) + field(2, 0, 0)))


def main():
    for name, seeds in (("datagram", datagram_seeds()), ("headers", header_seeds()),
                        ("headers", header6_seeds()), ("session", session_seeds()),
                        ("receivers", receivers_seeds()), ("client", client_seeds())):
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for case, data in seeds:
            (folder / case).write_bytes(data)
        print(f"{folder}: {len(list(folder.iterdir()))} seeds")


if __name__ == "__main__":
    main()
