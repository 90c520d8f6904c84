# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Neighbour discovery, both ways: played frame by frame against a silent peer side, and with the
Linux kernel as a peer that has to understand us and be understood."""

import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6NDOptDstLLAddr, ICMPv6NDOptMTU, ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness import (ADDRESS6, APPLIANCE_MAC, PEER_MAC, SENDER6, Lab, backend, decode, destination,
                     encode, frame6, id_of, is_udp_from_appliance, kitchen6, make_config, message,
                     port6)
from harness.patience import Deadline, wait_until

KITCHEN = kitchen6(1)
KITCHEN_MAC = "02:00:00:00:00:11"
OTHER_MAC = "02:00:00:00:00:12"
ALL_NODES = "ff02::1"
QUICK = {"reachable_ms": 1000, "retry_ms": 100, "retry_max_ms": 400, "max_tries": 3}
# For who has to be there still when a test that stood still goes on.
LASTING = {**QUICK, "reachable_ms": 3600000}


def group_mac(group):
    """Of ff02::1:ffXX:XXXX and ff02::1."""
    return "33:33:00:00:00:01" if group == ALL_NODES else "33:33:ff:00:00:" + group[-2:].replace(
        ":", "0")


OUR_GROUP, KITCHEN_GROUP = "ff02::1:ff00:1", "ff02::1:ff00:b"


def nd_config(**keys):
    """One destination whose backend has to be asked for."""
    return make_config(destination("table1", backend("kitchen1", KITCHEN)),
                       **{"ports": [port6()], "neighbours": [], "arp": QUICK, **keys})


def question(target=ADDRESS6, src=SENDER6, dst=OUR_GROUP, mac=PEER_MAC, dst_mac=None, hlim=255,
             option=True, **icmp):
    packet = (Ether(dst=dst_mac or group_mac(dst), src=mac) / IPv6(src=src, dst=dst, hlim=hlim) /
              ICMPv6ND_NS(tgt=target, **icmp))
    return packet / ICMPv6NDOptSrcLLAddr(lladdr=mac) if option else packet


def answer(mac=KITCHEN_MAC, target=KITCHEN, src=None, dst=ADDRESS6, dst_mac=APPLIANCE_MAC, S=1, O=1,
           hlim=255, option=True, **icmp):
    packet = (Ether(dst=dst_mac, src=mac) / IPv6(src=src or target, dst=dst, hlim=hlim) /
              ICMPv6ND_NA(tgt=target, S=S, O=O, R=0, **icmp))
    return packet / ICMPv6NDOptDstLLAddr(lladdr=mac) if option else packet


def is_question(packet):
    """A question of the appliance's for somebody else."""
    return (ICMPv6ND_NS in packet and packet[Ether].src == APPLIANCE_MAC and
            packet[ICMPv6ND_NS].tgt != ADDRESS6)


def is_question_to_all(packet):
    return is_question(packet) and packet[Ether].dst.startswith("33:33")


def is_answer(packet):
    """An advertisement of the appliance's that answers somebody."""
    return (ICMPv6ND_NA in packet and packet[Ether].src == APPLIANCE_MAC and
            (packet[ICMPv6ND_NA].S == 1))


def is_news(packet):
    return (ICMPv6ND_NA in packet and packet[Ether].src == APPLIANCE_MAC and
            packet[IPv6].dst == ALL_NODES)


def ids(packets):
    return [id_of(decode(bytes(p[UDP].payload)).messages[0]) for p in packets]


def send_orders(lab, first, count):
    for i in range(first, first + count):
        lab.raw.send(frame6(encode(message(i))))


def deliver(lab, first, count=1):
    send_orders(lab, first, count)
    packets = lab.raw.take(count, is_udp_from_appliance)
    assert ids(packets) == list(range(first, first + count))
    return packets


def mac_used(lab, number):
    return deliver(lab, number)[0][Ether].dst


def resolve(lab):
    lab.raw.take(1, is_question)
    lab.raw.send(answer())


def tagged(packet, vlan):
    data = bytes(packet)
    return data[:12] + bytes.fromhex(f"8100{vlan:04x}") + data[12:] if vlan else data


@pytest.mark.parametrize("vlan", [0, 7])
def test_announces_itself(wire_lab, vlan):
    """The group is reported to switches, a conflict asked for, the address told to everybody."""
    with wire_lab.appliance(nd_config(ports=[port6(vlan=vlan)])):
        def ours(*kinds):
            return lambda p: p[Ether].src == APPLIANCE_MAC and any(k in p for k in kinds)

        report, dad, news = wire_lab.raw.take(
            3, lambda p: ours(ICMPv6MLReport2)(p) or is_news(p) or
            (ours(ICMPv6ND_NS)(p) and p[ICMPv6ND_NS].tgt == ADDRESS6))
        assert report[Ether].dst == "33:33:00:00:00:16" and report[IPv6].src == "::"
        assert [r.dst for r in report[ICMPv6MLReport2].records] == [OUR_GROUP]
        assert bytes(dad) == tagged(
            Ether(dst="33:33:ff:00:00:01", src=APPLIANCE_MAC) /
            IPv6(src="::", dst=OUR_GROUP, hlim=255) / ICMPv6ND_NS(tgt=ADDRESS6), vlan)
        assert bytes(news) == tagged(
            Ether(dst="33:33:00:00:00:01", src=APPLIANCE_MAC) /
            IPv6(src=ADDRESS6, dst=ALL_NODES, hlim=255) /
            ICMPv6ND_NA(tgt=ADDRESS6, R=0, S=0, O=1) /
            ICMPv6NDOptDstLLAddr(lladdr=APPLIANCE_MAC), vlan)


@pytest.mark.parametrize("vlan", [0, 7])
@pytest.mark.parametrize("keys", [{}, {"dst": ADDRESS6, "dst_mac": APPLIANCE_MAC},
                                  {"dst": ADDRESS6, "dst_mac": APPLIANCE_MAC, "option": False}],
                         ids=["by its group", "directly", "directly, without a MAC"])
def test_answers_who_asks(wire_lab, vlan, keys):
    with wire_lab.appliance(nd_config(ports=[port6(vlan=vlan)])):
        wire_lab.raw.send(tagged(question(**keys), vlan))
        [got] = wire_lab.raw.take(1, is_answer)
        assert bytes(got) == tagged(
            Ether(dst=PEER_MAC, src=APPLIANCE_MAC) / IPv6(src=ADDRESS6, dst=SENDER6, hlim=255) /
            ICMPv6ND_NA(tgt=ADDRESS6, R=0, S=1, O=1) /
            ICMPv6NDOptDstLLAddr(lladdr=APPLIANCE_MAC), vlan)


def test_defends_its_address_to_everybody(wire_lab):
    """Who looks whether the address is free has none to be answered at (RFC 4862, 5.4.3)."""
    with wire_lab.appliance(nd_config()):
        wire_lab.raw.take(1, is_news)
        wire_lab.raw.send(question(src="::", option=False))
        [got] = wire_lab.raw.take(1, is_news)
        assert got[ICMPv6ND_NA].S == 0 and got[ICMPv6NDOptDstLLAddr].lladdr == APPLIANCE_MAC


def test_is_silent_about_others(wire_lab):
    with wire_lab.appliance(nd_config()) as sluice:
        wire_lab.raw.send(question(target="fd00:77::2"), question(target=KITCHEN))
        wire_lab.raw.nothing(is_answer)
        sluice.wait_for(frames_dropped={"nd_not_for_us": 2})


def test_messages_wait_while_resolving_and_go_out_in_order(wire_lab):
    with wire_lab.appliance(nd_config()) as sluice:
        send_orders(wire_lab, 0, 50)
        sluice.wait_for(received=50, delivered=0, queued=50)
        [asked] = wire_lab.raw.take(1, is_question)
        assert bytes(asked) == bytes(
            Ether(dst="33:33:ff:00:00:0b", src=APPLIANCE_MAC) /
            IPv6(src=ADDRESS6, dst=KITCHEN_GROUP, hlim=255) / ICMPv6ND_NS(tgt=KITCHEN) /
            ICMPv6NDOptSrcLLAddr(lladdr=APPLIANCE_MAC))
        wire_lab.raw.send(answer())
        packets = wire_lab.raw.take(50, is_udp_from_appliance)
        assert ids(packets) == list(range(50))
        assert {p[Ether].dst for p in packets} == {KITCHEN_MAC}
        sluice.wait_for(delivered=50, queued=0, dropped={})


def test_learns_from_a_neighbours_own_question(wire_lab):
    with wire_lab.appliance(nd_config(arp=LASTING)):
        wire_lab.raw.take(1, is_question)
        wire_lab.raw.send(question(src=KITCHEN, mac=KITCHEN_MAC))
        wire_lab.raw.take(1, is_answer)
        assert mac_used(wire_lab, 1) == KITCHEN_MAC


@pytest.mark.parametrize("gateway", ["fd00:77::fe", "fe80::1"])
def test_asks_a_gateway_for_a_backend_elsewhere(wire_lab, gateway):
    config = nd_config(destinations=[destination("table1", backend("far", "2001:db8::5"))],
                       ports=[port6(gateway6=gateway)], arp=LASTING)
    with wire_lab.appliance(config):
        [asked] = wire_lab.raw.take(1, is_question)
        assert asked[ICMPv6ND_NS].tgt == gateway
        wire_lab.raw.send(answer(target=gateway))
        [packet] = deliver(wire_lab, 1)
        assert (packet[Ether].dst, packet[IPv6].dst) == (KITCHEN_MAC, "2001:db8::5")


def test_follows_a_neighbour_that_moves_and_says_so(wire_lab):
    with wire_lab.appliance(nd_config(arp=LASTING)):
        resolve(wire_lab)
        assert mac_used(wire_lab, 1) == KITCHEN_MAC
        wire_lab.raw.send(answer(OTHER_MAC, dst=ALL_NODES, dst_mac="33:33:00:00:00:01", S=0))
        deadline, number = Deadline(5), 2
        while mac_used(wire_lab, number) != OTHER_MAC:
            assert not deadline.has_passed(), f"nothing goes to {OTHER_MAC}"
            number += 1


def test_an_advertisement_without_override_moves_nobody(wire_lab):
    """RFC 4861, 7.2.5: a proxy's answer does not beat the neighbour's own."""
    with wire_lab.appliance(nd_config(arp=LASTING)):
        resolve(wire_lab)
        assert mac_used(wire_lab, 1) == KITCHEN_MAC
        wire_lab.raw.send(answer(OTHER_MAC, O=0))
        time.sleep(0.2)
        assert mac_used(wire_lab, 2) == KITCHEN_MAC


def test_a_bare_confirmation_keeps_a_neighbour(wire_lab):
    """A unicast question may be answered without the link-layer address (7.2.4)."""
    # It is asked for ten seconds: so long may this test stand still.
    patient = {**QUICK, "retry_ms": 500, "retry_max_ms": 500, "max_tries": 20}
    with wire_lab.appliance(nd_config(arp=patient)) as sluice, sluice.control() as control:
        def is_known():
            [kitchen] = control.show("neighbours")
            return kitchen["state"] == "reachable"

        wire_lab.raw.take(1, is_question_to_all)
        wire_lab.raw.send(answer())
        for number in range(2):
            wait_until(is_known, what="it is known")
            # Those of before: what comes now asks again.
            for _ in wire_lab.raw.frames(0):
                pass
            [probe] = wire_lab.raw.take(1, is_question)
            assert (probe[Ether].dst, probe[IPv6].dst) == (KITCHEN_MAC, KITCHEN)
            assert mac_used(wire_lab, number) == KITCHEN_MAC
            wire_lab.raw.send(answer(option=False))
        wait_until(is_known, what="it is known")


def test_a_neighbour_that_falls_silent_gets_nothing_until_it_is_back(wire_lab):
    silent = "does not answer neighbour solicitations"
    with wire_lab.appliance(nd_config(arp={**QUICK, "reachable_ms": 3000})) as sluice:
        wire_lab.raw.take(1, is_question_to_all)
        wire_lab.raw.send(answer())
        deliver(wire_lab, 1)
        # It may have been late with its first answer, and that be told, too.
        told = sluice.stderr.count(silent)
        wire_lab.raw.take(1, is_question_to_all, timeout=10.0)
        wait_until(lambda: sluice.stderr.count(silent) > told, what=silent)
        send_orders(wire_lab, 2, 10)
        sluice.wait_for(received=11, delivered=1, queued=10)
        wire_lab.raw.send(answer(OTHER_MAC))
        packets = wire_lab.raw.take(10, is_udp_from_appliance)
        assert ids(packets) == list(range(2, 12))
        assert {p[Ether].dst for p in packets} == {OTHER_MAC}


def test_a_configured_neighbour_is_never_asked_for(wire_lab):
    with wire_lab.appliance(nd_config(neighbours=[{"address": KITCHEN, "mac": KITCHEN_MAC}])):
        assert mac_used(wire_lab, 1) == KITCHEN_MAC
        wire_lab.raw.send(answer(OTHER_MAC))
        time.sleep(0.1)
        assert mac_used(wire_lab, 2) == KITCHEN_MAC
        wire_lab.raw.nothing(is_question, within=1.0)


def test_both_families_resolve_side_by_side(wire_lab):
    pair = destination("table1", backend("kitchen1", KITCHEN), backend("kitchen2", "10.77.0.12"))
    config = nd_config(destinations=[pair], ports=[port6(address="10.77.0.1/24")], arp=LASTING)
    with wire_lab.appliance(config) as sluice:
        resolve(wire_lab)
        assert {p[Ether].dst for p in deliver(wire_lab, 1, 5)} == {KITCHEN_MAC}
        sluice.wait_for(delivered=5, dropped={})


NONSENSE = {
    "from behind a router": answer(OTHER_MAC, hlim=254),
    "a bad checksum": answer(OTHER_MAC, cksum=0x1234),
    "code not 0": answer(OTHER_MAC, code=1),
    "a group's address": answer(OTHER_MAC, target="ff02::1:ff00:b", src=KITCHEN),
    "an IPv4-mapped target": answer(OTHER_MAC, target="::ffff:10.77.0.11", src=KITCHEN),
    "solicited, to everybody": answer(OTHER_MAC, dst=ALL_NODES, dst_mac="33:33:00:00:00:01"),
    "from nobody": answer(OTHER_MAC, src="::"),
    "from a group": answer(OTHER_MAC, src="ff02::5"),
    "from the machine itself": answer(OTHER_MAC, src="::1"),
    "from a group's MAC": answer("33:33:00:00:00:09"),
    "from everybody's MAC": answer("ff:ff:ff:ff:ff:ff"),
    "from no MAC": answer("00:00:00:00:00:00"),
    "an option of length 0": answer(OTHER_MAC, option=False) / Raw(bytes([2] + [0] * 7)),
    "an option longer than the packet": answer(OTHER_MAC, option=False) / Raw(
        bytes([2, 2, 2, 0, 0, 0, 0, 0x12])),
    "half an option": answer(OTHER_MAC, option=False) / Raw(b"\x02\x01\x02"),
    "no target": (Ether(dst=APPLIANCE_MAC, src=OTHER_MAC) / IPv6(src=KITCHEN, dst=ADDRESS6, nh=58) /
                  Raw(b"\x88\x00\x00\x00\x60\x00\x00\x00")),
    "a question of hop limit 64": question(hlim=64),
    "a question, badly summed": question(cksum=1),
    "a question for a group": question(target="ff02::1:ff00:1"),
    "an address probe with a MAC": question(src="::"),
    "an address probe, unicast": question(src="::", dst=ADDRESS6, dst_mac=APPLIANCE_MAC,
                                          option=False),
}


@pytest.fixture(scope="module")
def bench():
    with Lab(addresses=()) as lab, lab.appliance(nd_config(arp=LASTING)) as sluice:
        resolve(lab)
        yield lab, sluice, iter(range(1, 1000))


@pytest.mark.parametrize("packet", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_counted_and_changes_nothing(bench, packet):
    lab, sluice, numbers = bench
    first = next(numbers)
    deliver(lab, first)
    before = sluice.wait_for(delivered=first).frames_dropped
    lab.raw.send(packet)
    sluice.wait_for(frames_dropped={"nd_malformed": before.get("nd_malformed", 0) + 1},
                    delivered=first)
    assert mac_used(lab, next(numbers)) == KITCHEN_MAC


def test_unknown_options_are_passed_over(wire_lab):
    with wire_lab.appliance(nd_config(arp=LASTING)):
        wire_lab.raw.take(1, is_question)
        wire_lab.raw.send(answer(option=False) / ICMPv6NDOptMTU(mtu=9000) /
                          Raw(bytes([2, 2]) + bytes(14)) /
                          ICMPv6NDOptDstLLAddr(lladdr=KITCHEN_MAC))
        assert mac_used(wire_lab, 1) == KITCHEN_MAC


@pytest.mark.parametrize("claim", [
    answer(OTHER_MAC, target=ADDRESS6, dst=ALL_NODES, dst_mac="33:33:00:00:00:01", S=0),
    question(target="fd00:77::2", src=ADDRESS6, mac=OTHER_MAC, dst=OUR_GROUP),
], ids=["an advertisement", "a question"])
def test_a_conflict_is_said_and_not_believed(wire_lab, claim):
    with wire_lab.appliance(nd_config()) as sluice:
        wire_lab.raw.send(claim)
        sluice.wait_said(f"{OTHER_MAC.upper()} uses the address {ADDRESS6} of port net0, too")
        wire_lab.raw.send(question())
        [got] = wire_lab.raw.take(1, is_answer)
        assert got[ICMPv6NDOptDstLLAddr].lladdr == APPLIANCE_MAC


def test_its_own_frames_come_back_as_nothing(wire_lab):
    """A loop in the network is not a conflict."""
    with wire_lab.appliance(nd_config(arp=LASTING)) as sluice:
        own = wire_lab.raw.take(3, lambda p: p[Ether].src == APPLIANCE_MAC and IPv6 in p)
        wire_lab.raw.send(*own)
        resolve(wire_lab)
        deliver(wire_lab, 1)
        assert "uses the address" not in sluice.stderr


def test_a_flood_of_strangers_disturbs_nothing(wire_lab):
    with wire_lab.appliance(nd_config(arp=LASTING)) as sluice:
        resolve(wire_lab)
        deliver(wire_lab, 1)
        stranger = bytes(question(target="fd00:77::2"))
        frames = sluice.stats()["frames"]["received"]
        for sent in range(2000, 20001, 2000):
            for _ in range(2000):
                wire_lab.raw.send(stranger)
            # The port's ring has room for 4,096 while nobody reads it.
            sluice.wait_for(lambda s: s["frames"]["received"] >= frames + sent)
        assert deliver(wire_lab, 2, 20)[0][Ether].dst == KITCHEN_MAC
        stats = sluice.wait_for(delivered=21, dropped={})
        assert set(stats.frames_dropped) <= {"punt_ring_full", "nd_not_for_us"}


def test_the_kernel_and_the_appliance_find_each_other():
    """Nothing is configured: the kernel's neighbour table has us, and we have it."""
    with Lab(addresses=(f"{SENDER6}/64",)) as lab, lab.receiver6(1) as kitchen, \
            lab.appliance(nd_config()) as sluice:
        lab.send6(message(1))
        assert kitchen.take(1)
        sluice.wait_for(delivered=1, dropped={})
        table = lab.outside.ip("-6", "neigh", "show", ADDRESS6)
        assert APPLIANCE_MAC in table and "FAILED" not in table
        # Asked again by unicast when its time is up, it is still there.
        time.sleep(1.5)
        lab.send6(message(2))
        assert kitchen.take(1)
        assert "does not answer" not in sluice.stderr
