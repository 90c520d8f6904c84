# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""ARP, both ways: the peer side is silent, and each test plays the neighbours frame by frame."""

import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from harness import (ADDRESS, APPLIANCE_MAC, PEER_MAC, SENDER, backend, decode, destination, encode,
                     frame, id_of, is_udp_from_appliance, make_config, message, port)
from harness.patience import Deadline, wait_until

BROADCAST = "ff:ff:ff:ff:ff:ff"
KITCHEN = "10.77.0.11"
KITCHEN_MAC = "02:00:00:00:00:11"
OTHER_MAC = "02:00:00:00:00:12"
# Who has answered stays known for as long as a test takes, but where it is about who does not.
QUICK_ARP = {"reachable_ms": 60000, "retry_ms": 100, "retry_max_ms": 400, "max_tries": 3}
AGEING = {**QUICK_ARP, "reachable_ms": 1000}


def arp_config(**keys):
    """One destination whose backend has to be asked for."""
    return make_config(destination("table1", backend("kitchen1", KITCHEN)),
                       **{"neighbours": [], "arp": QUICK_ARP, **keys})


def kitchen_state(sluice):
    with sluice.control() as control:
        [state] = [n["state"] for n in control.show("neighbours") if n["address"] == KITCHEN]
    return state


def request_for(address, sender=SENDER, sender_mac=PEER_MAC):
    return (Ether(dst=BROADCAST, src=sender_mac) /
            ARP(op="who-has", hwsrc=sender_mac, psrc=sender, pdst=address))


def answer(mac=KITCHEN_MAC, address=KITCHEN):
    return (Ether(dst=APPLIANCE_MAC, src=mac) /
            ARP(op="is-at", hwsrc=mac, psrc=address, hwdst=APPLIANCE_MAC, pdst=ADDRESS))


def is_request(packet):
    """A question of the appliance's, which is not its announcement of itself."""
    return (ARP in packet and packet[ARP].op == 1 and packet[ARP].psrc == ADDRESS and
            packet[ARP].pdst != ADDRESS)


def is_broadcast_request(packet):
    return is_request(packet) and packet[Ether].dst == BROADCAST


def is_answer(packet):
    return ARP in packet and packet[ARP].op == 2 and packet[ARP].psrc == ADDRESS


def ids(packets):
    return [id_of(decode(bytes(p[UDP].payload)).messages[0]) for p in packets]


def send_orders(lab, first, count):
    for i in range(first, first + count):
        lab.raw.send(frame(encode(message(i))))


def deliver(lab, first, count=1):
    """Send messages and see them arrive. Returns the frames."""
    send_orders(lab, first, count)
    packets = lab.raw.take(count, is_udp_from_appliance)
    assert ids(packets) == list(range(first, first + count))
    return packets


def deliver_until(lab, first, mac):
    """Send messages, one after the other, until they go to @mac."""
    deadline = Deadline(5)
    while deliver(lab, first)[0][Ether].dst != mac:
        assert not deadline.has_passed(), f"nothing goes to {mac}"
        first += 1


@pytest.mark.parametrize("vlan", [0, 7])
def test_answers_who_asks(wire_lab, vlan):
    with wire_lab.appliance(arp_config(ports=[port(vlan=vlan)])):
        asked = bytes(request_for(ADDRESS))
        tag = bytes.fromhex(f"8100{vlan:04x}") if vlan else b""
        wire_lab.raw.send(asked[:12] + tag + asked[12:])
        [got] = wire_lab.raw.take(1, is_answer)
        wanted = bytes(Ether(dst=PEER_MAC, src=APPLIANCE_MAC) / ARP(
            op="is-at", hwsrc=APPLIANCE_MAC, psrc=ADDRESS, hwdst=PEER_MAC, pdst=SENDER))
        wanted = wanted[:12] + tag + wanted[12:]
        # Behind the packet there may only be padding up to Ethernet's shortest frame.
        assert bytes(got)[:len(wanted)] == wanted
        assert not any(bytes(got)[len(wanted):]) and len(bytes(got)) <= 64


def test_answers_a_unicast_request_and_an_address_probe(wire_lab):
    with wire_lab.appliance(arp_config()):
        direct = request_for(ADDRESS)
        direct[Ether].dst = APPLIANCE_MAC
        wire_lab.raw.send(direct)
        wire_lab.raw.take(1, is_answer)
        wire_lab.raw.send(request_for(ADDRESS, sender="0.0.0.0"))  # RFC 5227
        [got] = wire_lab.raw.take(1, is_answer)
        assert got[ARP].pdst == "0.0.0.0" and got[ARP].hwdst == PEER_MAC


def test_is_silent_about_others(wire_lab):
    with wire_lab.appliance(arp_config()):
        wire_lab.raw.send(request_for("10.77.0.2"), request_for(KITCHEN))
        wire_lab.raw.nothing(is_answer)


def test_messages_wait_while_resolving_and_go_out_in_order(wire_lab):
    with wire_lab.appliance(arp_config()) as sluice:
        send_orders(wire_lab, 0, 50)
        sluice.wait_for(received=50, delivered=0, queued=50)
        [asked] = wire_lab.raw.take(1, is_request)
        assert asked[Ether].dst == BROADCAST and asked[Ether].src == APPLIANCE_MAC
        assert (asked[ARP].hwsrc, asked[ARP].pdst) == (APPLIANCE_MAC, KITCHEN)
        wire_lab.raw.send(answer())
        packets = wire_lab.raw.take(50, is_udp_from_appliance)
        assert ids(packets) == list(range(50))
        assert {p[Ether].dst for p in packets} == {KITCHEN_MAC}
        sluice.wait_for(delivered=50, queued=0, dropped={})


def test_announces_itself(wire_lab):
    """Gratuitous ARP: what switches and neighbours remember of the address is renewed."""
    with wire_lab.appliance(arp_config()):
        [got] = wire_lab.raw.take(1, lambda p: ARP in p and p[ARP].psrc == ADDRESS and
                                  p[ARP].pdst == ADDRESS)
        assert got[Ether].dst == BROADCAST and got[ARP].hwsrc == APPLIANCE_MAC


def test_asks_again_with_backoff(wire_lab):
    config = arp_config(arp={**QUICK_ARP, "retry_ms": 100, "retry_max_ms": 800})
    begin = time.monotonic()
    with wire_lab.appliance(config) as sluice:
        # 100 ms between the tries, then doubling up to 800 ms, for ever: it may be held up, and
        # ask later, but never sooner.
        due = 0.0
        for pause in (0.0, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8):
            wire_lab.raw.take(1, is_request, timeout=10.0)
            due += pause
            assert time.monotonic() - begin >= due
        # It is never too late to answer.
        wire_lab.raw.send(answer())
        deliver(wire_lab, 1)
        sluice.wait_for(delivered=1, dropped={})


def test_follows_a_neighbour_that_moves(wire_lab):
    with wire_lab.appliance(arp_config()):
        wire_lab.raw.take(1, is_request)
        wire_lab.raw.send(answer())
        assert deliver(wire_lab, 1)[0][Ether].dst == KITCHEN_MAC
        # A gratuitous announcement, as a host sends that has taken over an address.
        wire_lab.raw.send(Ether(dst=BROADCAST, src=OTHER_MAC) /
                          ARP(op="who-has", hwsrc=OTHER_MAC, psrc=KITCHEN, pdst=KITCHEN))
        deliver_until(wire_lab, 2, OTHER_MAC)
        wire_lab.raw.send(answer(KITCHEN_MAC))
        deliver_until(wire_lab, 1000, KITCHEN_MAC)


def test_asks_an_aged_neighbour_directly_and_goes_on_using_it(wire_lab):
    # The tries are far apart: it is not given up while the test has its answer under way.
    patient = {**AGEING, "retry_ms": 5000, "retry_max_ms": 5000}
    with wire_lab.appliance(arp_config(arp=patient)):
        wire_lab.raw.take(1, is_broadcast_request)
        wire_lab.raw.send(answer())
        deliver(wire_lab, 1)
        for round_number in range(2):
            [probe] = wire_lab.raw.take(1, is_request, timeout=20.0)
            assert probe[Ether].dst == KITCHEN_MAC, "an aged neighbour is asked by unicast"
            assert deliver(wire_lab, 2 + round_number)[0][Ether].dst == KITCHEN_MAC
            wire_lab.raw.send(answer())


def test_a_neighbour_that_falls_silent_gets_nothing_until_it_is_back(wire_lab):
    with wire_lab.appliance(arp_config(arp=AGEING)) as sluice:
        wire_lab.raw.take(1, is_broadcast_request)
        # What waits for the answer goes out with it, however soon it is out of date.
        send_orders(wire_lab, 1, 1)
        sluice.wait_for(received=1, queued=1)
        wire_lab.raw.send(answer())
        assert ids(wire_lab.raw.take(1, is_udp_from_appliance)) == [1]
        # Its time runs out, its probes stay unanswered; then everybody is asked again.
        wait_until(lambda: kitchen_state(sluice) == "failed", 10, "it is given up")
        wire_lab.raw.take(1, is_broadcast_request)
        send_orders(wire_lab, 2, 10)
        sluice.wait_for(received=11, delivered=1, queued=10)
        wire_lab.raw.send(answer(OTHER_MAC))
        packets = wire_lab.raw.take(10, is_udp_from_appliance)
        assert ids(packets) == list(range(2, 12))
        assert {p[Ether].dst for p in packets} == {OTHER_MAC}


def test_messages_go_to_the_backend_that_can_be_reached(wire_lab):
    config = arp_config(destinations=[
        destination("table1", backend("kitchen1", KITCHEN), backend("kitchen2", "10.77.0.12"))])
    with wire_lab.appliance(config) as sluice:
        wire_lab.raw.take(1, lambda p: is_request(p) and p[ARP].pdst == "10.77.0.12")
        wire_lab.raw.send(answer(OTHER_MAC, "10.77.0.12"))
        sluice.wait_said("neighbour 10.77.0.12 on port net0 is at")
        packets = deliver(wire_lab, 1, 10)
        assert {p[IP].dst for p in packets} == {"10.77.0.12"}
        sluice.wait_for(delivered=10, dropped={})


def corrupt(**fields):
    """A reply for the kitchen's address with header fields that make it nonsense."""
    packet = answer(OTHER_MAC)
    for name, value in fields.items():
        setattr(packet[ARP], name, value)
    return packet


NONSENSE = {
    "cut short": Ether(bytes(answer(OTHER_MAC))[:30]),
    "no packet at all": Ether(dst=APPLIANCE_MAC, src=OTHER_MAC, type=0x0806),
    "another hardware": corrupt(hwtype=6),
    "another protocol": corrupt(ptype=0x86DD),
    "hardware length": corrupt(hwlen=8),
    "protocol length": corrupt(plen=16),
    "unknown operation": corrupt(op=9),
    "reverse ARP": corrupt(op=3),
    "from a group": corrupt(hwsrc="01:00:5e:00:00:01"),
    "from everybody": corrupt(hwsrc=BROADCAST),
    "from nobody": corrupt(hwsrc="00:00:00:00:00:00"),
}


@pytest.mark.parametrize("packet", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_counted_and_changes_nothing(wire_lab, packet):
    with wire_lab.appliance(arp_config()) as sluice:
        wire_lab.raw.take(1, is_request)
        wire_lab.raw.send(answer())
        deliver(wire_lab, 1)
        wire_lab.raw.send(packet)
        sluice.wait_for(frames_dropped={"arp_malformed": 1})
        assert deliver(wire_lab, 2)[0][Ether].dst == KITCHEN_MAC


def test_claims_to_be_the_appliance_itself_are_not_believed(wire_lab):
    with wire_lab.appliance(arp_config()):
        wire_lab.raw.take(1, is_request)
        wire_lab.raw.send(answer())
        wire_lab.raw.send(answer(OTHER_MAC, ADDRESS))
        deliver(wire_lab, 1)
        wire_lab.raw.send(request_for(ADDRESS))
        [got] = wire_lab.raw.take(1, is_answer)
        assert got[ARP].hwsrc == APPLIANCE_MAC


def test_a_flood_of_strangers_disturbs_nothing(wire_lab):
    with wire_lab.appliance(arp_config()) as sluice:
        wire_lab.raw.take(1, is_request)
        wire_lab.raw.send(answer())
        deliver(wire_lab, 1)
        strangers = bytearray(bytes(request_for("10.77.0.2")))
        before = sluice.stats()["frames"]["received"]
        for number in range(256, 20256):  # beside those that are known
            strangers[28:32] = bytes((10, 77, number >> 8, number & 0xFF))
            wire_lab.raw.send(strangers)
            # No more than the port has room for: what it loses nobody has counted.
            if number % 3000 == 0:
                sluice.wait_for(
                    lambda s: s["frames"]["received"] - before >= number - 255)
        assert deliver(wire_lab, 2, 20)[0][Ether].dst == KITCHEN_MAC
        stats = sluice.wait_for(delivered=21, dropped={})
        assert set(stats.frames_dropped) <= {"punt_ring_full", "arp_not_for_us"}


def test_a_configured_neighbour_is_never_asked_for(wire_lab):
    config = arp_config(neighbours=[{"address": KITCHEN, "mac": KITCHEN_MAC}])
    with wire_lab.appliance(config):
        assert deliver(wire_lab, 1)[0][Ether].dst == KITCHEN_MAC
        wire_lab.raw.nothing(is_request, within=1.5)


def test_answer_behind_trailing_bytes_is_understood(wire_lab):
    """Ethernet pads short frames, with whatever."""
    with wire_lab.appliance(arp_config()):
        wire_lab.raw.take(1, is_request)
        wire_lab.raw.send(answer() / Raw(b"\xa5" * 18))
        deliver(wire_lab, 1)
