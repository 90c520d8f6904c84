# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""One message's way: frame in, frame out, every byte held against scapy and stock protobuf."""

import struct

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from harness import (ADDRESS, APPLIANCE_MAC, PEER_MAC, Lab, appliance_mac, backend, decode,
                     destination, encode, frame, id_of, is_udp_from_appliance, make_config,
                     message, name_key, pb2, peer_mac, port, table)
from harness.protobuf import field_bytes, fixed32, fixed64, varint

EPOCH = 7
HEADER_LEN = 19  # magic, epoch and session with their tags
OFF_EPOCH, OFF_SESSION, OFF_SEQUENCE = 6, 11, 37


def rewritten(datagram):
    """The bytes of a datagram of one message with what the appliance changes changed: the epoch,
    and session and sequence, which are 0 towards the backends of an at-most-once destination."""
    out = bytearray(datagram)
    start = HEADER_LEN + 1
    while out[start] & 0x80:
        start += 1
    struct.pack_into("<I", out, OFF_EPOCH, EPOCH)
    struct.pack_into("<Q", out, OFF_SESSION, 0)
    struct.pack_into("<Q", out, start + 1 + OFF_SEQUENCE, 0)
    return bytes(out)


def expected_frame(payload, dst_mac=PEER_MAC, src_mac=APPLIANCE_MAC, src=ADDRESS,
                   dst="10.77.0.11", dport=9001, vlan=None):
    """The frame as scapy writes it: lengths and checksums are scapy's."""
    ether = Ether(dst=dst_mac, src=src_mac)
    if vlan is not None:
        ether /= Dot1Q(vlan=vlan)
    return bytes(ether / IP(src=src, dst=dst, id=0, flags="DF", ttl=64) /
                 UDP(sport=7500, dport=dport) / payload)


def sent_payload(packet):
    return bytes(packet[UDP].payload)


def test_a_message_reaches_its_backend(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice:
        lab.send(message(1 << 64 | 2, type="lunch", priority=2, payload=b"two soups"))
        [got] = kitchen.take(1)
        assert got.source == name_key("server1") and got.destination == name_key("table1")
        assert (got.id_high, got.id_low, got.priority) == (1, 2, 2)
        assert got.payload == b"two soups"
        stats = sluice.wait_for(received=1, delivered=1, dropped={}, frames_dropped={})
        assert stats["frames"]["received"] >= 1 and stats["parse_slow"] == 0


def test_datagrams_of_one_message_and_of_several_keep_their_order(lab):
    """Also when they come in one burst: the former go on as they are, the latter are split."""
    count = 0
    with lab.receiver(1) as kitchen, lab.appliance():
        for _ in range(50):
            burst = []
            for size in (1, 3, 1, 2, 1):
                burst.append(encode(*(message(count + n) for n in range(size))))
                count += size
            for data in burst:
                lab.send_bytes(data)
        assert [m.id_low for m in kitchen.take(count)] == list(range(count))


@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 54, b"z" * 55, bytes(range(256)) * 5],
                         ids=["empty", "one byte", "short length", "two byte length", "1280 bytes"])
def test_every_byte_on_the_wire(wire_lab, payload):
    with wire_lab.appliance(make_config(epoch=EPOCH)):
        sent = encode(message(5, payload=payload, priority=1, sequence=99, flags=0), epoch=3,
                      session=44)
        wire_lab.raw.send(frame(sent))
        [packet] = wire_lab.raw.take(1, is_udp_from_appliance)
        assert bytes(packet) == expected_frame(rewritten(sent))


def test_unknown_fields_of_a_message_arrive_byte_for_byte(wire_lab):
    with wire_lab.appliance(make_config(epoch=EPOCH)) as sluice:
        body = (message(9, payload=b"known").SerializeToString() +
                field_bytes(16, b"order-9") + field_bytes(200, b"\x00\xff unknown") +
                fixed32(201, 0xDEADBEEF) + varint(202, 1 << 63) + fixed64(203, 1))
        sent = encode() + field_bytes(4, body)
        wire_lab.raw.send(frame(sent))
        [packet] = wire_lab.raw.take(1, is_udp_from_appliance)
        assert sent_payload(packet) == rewritten(sent)
        sluice.wait_for(delivered=1, parse_slow=0)


def test_a_datagram_of_many_messages_is_split(wire_lab):
    with wire_lab.appliance(make_config(table(1), table(2), epoch=EPOCH)) as sluice:
        orders = [message(i, destination=f"table{1 + i % 2}", payload=b"%d" % i * (i + 1))
                  for i in range(10)]
        wire_lab.raw.send(frame(encode(*orders)))
        packets = wire_lab.raw.take(10, is_udp_from_appliance)
        for number in (1, 2):
            mine = [p for p in packets if p[IP].dst == f"10.77.0.{10 + number}"]
            wanted = [o for o in orders if o.destination == name_key(f"table{number}")]
            for packet, order in zip(mine, wanted, strict=True):
                assert bytes(packet) == expected_frame(rewritten(encode(order)),
                                                       dst=packet[IP].dst)
        sluice.wait_for(received=10, delivered=10, parse_slow=0)


def reversed_fields(order):
    parts = [fixed64(1, order.source), fixed64(2, order.id_high), fixed64(3, order.id_low),
             fixed64(4, order.destination), fixed64(5, 0), fixed64(6, order.timestamp_ns),
             fixed64(7, order.type), fixed32(8, order.priority), fixed32(9, 0),
             field_bytes(15, order.payload)]
    return encode() + field_bytes(4, b"".join(reversed(parts)))


def messages_before_header(order):
    return field_bytes(4, order.SerializeToString()) + encode()


def padded_length(order):
    """The length of the message as a varint one byte longer than it has to be."""
    body = order.SerializeToString()
    assert len(body) >= 128
    return (encode() + b"\x22" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 | 0x80, 0]) + body)


def unset_optional_fields(order):
    sparse = pb2.Message()
    sparse.CopyFrom(order)
    sparse.ClearField("sequence")
    sparse.ClearField("flags")
    return encode(sparse)


def unknown_field_in_front(order):
    return encode() + field_bytes(4, fixed32(100, 5) + order.SerializeToString())


def unknown_datagram_field(order):
    return field_bytes(99, b"ahead") + encode(order)


def source_twice(order):
    """Protobuf: of a field that comes twice, the last one counts."""
    return encode() + field_bytes(4, fixed64(1, 1) + order.SerializeToString())


@pytest.mark.parametrize("layout, slow", [
    (reversed_fields, 1), (messages_before_header, 1), (unset_optional_fields, 1),
    (unknown_field_in_front, 1), (unknown_datagram_field, 1), (source_twice, 1),
    (padded_length, 0),  # every field still stands where the template has it
], ids=lambda value: getattr(value, "__name__", ""))
def test_other_layouts_give_the_same_result(wire_lab, layout, slow):
    order = message(77, type="dinner", priority=3, payload=b"p" * 80)
    with wire_lab.appliance(make_config(epoch=EPOCH)) as sluice:
        wire_lab.raw.send(frame(layout(order)))
        [packet] = wire_lab.raw.take(1, is_udp_from_appliance)
        got = decode(sent_payload(packet))
        assert (got.epoch, got.session) == (EPOCH, 0)
        [delivered] = got.messages
        if layout is unknown_field_in_front:
            assert delivered.SerializeToString().endswith(fixed32(100, 5))
            delivered.DiscardUnknownFields()
        assert delivered == order
        assert bytes(packet) == expected_frame(sent_payload(packet))
        # What is a duplicate does not depend on the layout it came in.
        wire_lab.raw.send(frame(encode(order)))
        sluice.wait_for(received=2, delivered=1, duplicates=1, parse_slow=slow)


def test_vlan_port(wire_lab):
    config = make_config(ports=[port(vlan=7)], epoch=EPOCH)
    with wire_lab.appliance(config) as sluice:
        sent = encode(message(1))
        wire_lab.raw.send(frame(sent, vlan=7), frame(encode(message(2)), vlan=8),
                          frame(encode(message(3))))
        [packet] = wire_lab.raw.take(1, is_udp_from_appliance)
        assert bytes(packet) == expected_frame(rewritten(sent), vlan=7)
        sluice.wait_for(delivered=1, frames_dropped={"eth_wrong_vlan": 2})


def test_gateway_for_a_backend_off_the_subnet(wire_lab):
    gateway_mac = "02:00:00:00:00:fe"
    config = make_config(destination("table1", backend("far", "192.0.2.5", 9009)), epoch=EPOCH,
                         ports=[port(gateway="10.77.0.254")],
                         neighbours=[{"address": "10.77.0.254", "mac": gateway_mac}])
    with wire_lab.appliance(config):
        sent = encode(message(1))
        wire_lab.raw.send(frame(sent))
        [packet] = wire_lab.raw.take(1, is_udp_from_appliance)
        assert bytes(packet) == expected_frame(rewritten(sent), dst_mac=gateway_mac,
                                               dst="192.0.2.5", dport=9009)


def test_in_by_one_port_and_out_by_another():
    config = make_config(destination("table1", backend("kitchen1", "10.78.0.11")), epoch=EPOCH,
                         ports=[port(), port("net1", "net_af_packet1", "10.78.0.1/24")])
    with Lab(addresses=(), nb_ports=2) as lab, lab.appliance(config):
        sent = encode(message(1))
        lab.raws[0].send(frame(sent))
        [packet] = lab.raws[1].take(1, lambda p: UDP in p)
        assert bytes(packet) == expected_frame(
            rewritten(sent), dst_mac=peer_mac(1), src_mac=appliance_mac(1),
            src="10.78.0.1", dst="10.78.0.11")
        lab.raws[0].nothing(is_udp_from_appliance)


def test_a_message_too_big_for_the_way_out():
    config = make_config(destination("table1", backend("kitchen1", "10.78.0.11")),
                         ports=[port(), port("net1", "net_af_packet1", "10.78.0.1/24", mtu=576)])
    with Lab(addresses=(), nb_ports=2) as lab, lab.appliance(config) as sluice:
        overhead = len(frame(encode(message(1, payload=b"q" * 200)))) - 14 - 200
        fits = b"f" * (576 - overhead)
        lab.raws[0].send(frame(encode(message(1, payload=fits))),
                         frame(encode(message(2, payload=fits + b"!"))),
                         frame(encode(message(3, payload=fits))))
        packets = lab.raws[1].take(2, lambda p: UDP in p)
        assert [id_of(decode(sent_payload(p)).messages[0]) for p in packets] == [1, 3]
        assert len(packets[0][IP]) == 576
        sluice.wait_for(received=3, delivered=2, dropped={"too_big": 1})


def three_kitchens(*weights, **keys):
    return destination("table1", *[backend(f"kitchen{n}", f"10.77.0.{10 + n}", weight=weight)
                                   for n, weight in enumerate(weights, 1)], **keys)


def backends_of(wire_lab, count):
    for i in range(count):
        wire_lab.raw.send(frame(encode(message(i))))
    return [int(p[IP].dst.split(".")[3]) - 10
            for p in wire_lab.raw.take(count, is_udp_from_appliance)]


def test_round_robin(wire_lab):
    with wire_lab.appliance(make_config(three_kitchens(1, 1, 1, policy="round-robin"))):
        got = backends_of(wire_lab, 9)
        assert got[:3] == got[3:6] == got[6:] and sorted(got[:3]) == [1, 2, 3]


def test_weighted_round_robin(wire_lab):
    with wire_lab.appliance(make_config(three_kitchens(3, 2, 1, policy="weighted-round-robin"))):
        got = backends_of(wire_lab, 24)
        assert [got.count(n) for n in (1, 2, 3)] == [12, 8, 4]
        # Weighted, yet not in blocks: the heaviest does not get three in a row.
        assert got[:3] != [1, 1, 1]


CLASS_CASES = [
    # (message's fields, class it is served in)
    (dict(destination="table2", priority=1), 1),
    (dict(destination="table2", priority=2), 2),
    (dict(destination="table2", priority=3), 3),
    (dict(destination="table2", priority=8), 3),  # not configured: the lowest there is
    (dict(destination="table2", priority=0), 2),  # the destination's default
    (dict(destination="table1", priority=3), 2),  # boosted
    (dict(destination="table1", priority=1), 1),  # nothing is better than the best
    (dict(destination="table2", priority=3, type="breakfast"), 1),
    (dict(destination="table1", priority=1, type="dinner"), 2),  # a rule first, then the boost
    (dict(destination="table2", priority=1, source="server9"), 3),
    (dict(destination="table3", priority=2), 1),
    (dict(destination="table2", priority=2, type="breakfast", source="server9"), 1),  # first wins
]


@pytest.mark.parametrize("fields, level", CLASS_CASES)
def test_classes(class_bench, fields, level):
    lab, sluice, numbers = class_bench
    before = sluice.stats()
    lab.raw.send(frame(encode(message(next(numbers), **{"type": "lunch", **fields}))))
    lab.raw.take(1, is_udp_from_appliance)
    after = sluice.wait_for(delivered=before["delivered"] + 1)
    grown = {int(c): after["by_class"][c]["delivered"] - before["by_class"][c]["delivered"]
             for c in after["by_class"]}
    assert {c: n for c, n in grown.items() if n} == {level: 1}


@pytest.fixture(scope="module")
def class_bench():
    config = make_config(
        table(1, class_boost=1), table(2, default_class=2), table(3),
        rules=[{"type": "breakfast", "class": "high"}, {"type": "dinner", "class": "low"},
               {"source": "server9", "class": "low"},
               {"destination": "table3", "priority": 2, "class": "high"}])
    with Lab(addresses=()) as lab, lab.appliance(config) as sluice:
        yield lab, sluice, iter(range(1, 1000))
