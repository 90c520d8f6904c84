# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Links that go and come: on taps, whose link is what the kernel says of the interface."""

import contextlib

import pytest
from scapy.layers.inet import UDP
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from harness import (Appliance, MemifLab, Namespace, RawPort, appliance_mac, backend, decode,
                     destination, encode, frame, id_of, make_config, message, peer_mac, port, port6,
                     sink_backend)

PAIR = destination("table1", backend("near", "10.77.0.11"), backend("far", "fd00:78::11"),
                   policy="round-robin")
CONFIG = make_config(
    PAIR, destination("table2", backend("far2", "fd00:78::11", 9002)),
    ports=[port(device="net_tap0"), port6("net1", "net_tap1", "fd00:78::1/64")],
    neighbours=[{"address": "10.77.0.11", "mac": peer_mac(0)},
                {"address": "fd00:78::11", "mac": peer_mac(1)}])


@pytest.fixture
def taps():
    """The appliance, its namespace, and what goes over each of its two taps."""
    with contextlib.closing(Namespace("tap")) as inside, contextlib.ExitStack() as stack:
        devices = [f"net_tap{n},iface=tap{n},mac={appliance_mac(n)}" for n in range(2)]
        sluice = stack.enter_context(Appliance(CONFIG, devices, inside))
        wires = [stack.enter_context(contextlib.closing(RawPort(inside, f"tap{n}")))
                 for n in range(2)]
        yield sluice, inside, wires


def send(wire, first, count):
    for number in range(first, first + count):
        wire.send(frame(encode(message(number))))


def is_order(packet):
    return UDP in packet and packet[Ether].src in (appliance_mac(0), appliance_mac(1))


def test_backends_behind_a_link_that_is_down_are_not_chosen(taps):
    sluice, inside, (near, far) = taps
    send(near, 0, 4)
    near.take(2, is_order), far.take(2, is_order)
    inside.ip("link", "set", "tap1", "down")
    sluice.wait_said("port net1: its link is down")
    send(near, 10, 6)
    packets = near.take(6, is_order)
    assert [id_of(decode(bytes(p[UDP].payload)).messages[0]) for p in packets] == list(range(10, 16))
    inside.ip("link", "set", "tap1", "up")
    sluice.wait_said("port net1: its link is up")
    send(near, 20, 4)
    assert len(near.take(2, is_order)) == len(far.take(2, is_order)) == 2
    sluice.wait_for(delivered=14, dropped={}, queued=0)


def test_messages_wait_for_a_link_that_is_down(taps):
    sluice, inside, (near, far) = taps
    inside.ip("link", "set", "tap1", "down")
    sluice.wait_said("port net1: its link is down")
    for number in range(5):
        near.send(frame(encode(message(number, destination="table2"))))
    sluice.wait_for(received=5, delivered=0, queued=5)
    inside.ip("link", "set", "tap1", "up")
    packets = far.take(5, is_order)
    assert [id_of(decode(bytes(p[UDP].payload)).messages[0]) for p in packets] == list(range(5))
    sluice.wait_for(delivered=5, queued=0, dropped={})


def test_a_port_whose_link_comes_back_announces_itself(taps):
    sluice, inside, (near, far) = taps
    for number, said in ((0, "net0"), (1, "net1")):
        inside.ip("link", "set", f"tap{number}", "down")
        sluice.wait_said(f"port {said}: its link is down")
        inside.ip("link", "set", f"tap{number}", "up")
        sluice.wait_said(f"port {said}: its link is up")
    near.take(1, lambda p: ARP in p and p[ARP].psrc == p[ARP].pdst == "10.77.0.1")
    far.take(1, lambda p: ICMPv6ND_NA in p and p[ICMPv6ND_NA].tgt == "fd00:78::1" and
             p[IPv6].dst == "ff02::1")


def test_a_link_that_is_down_from_the_start_is_told_once():
    """A memif has a link when somebody is at its other end."""
    cables = MemifLab()
    with cables, cables.appliance(cables.config(destination("table1", sink_backend(0)))) as sluice:
        sluice.wait_said("port net0: its link is down", timeout=15)
        with cables.generating("--rate", 100):
            sluice.wait_said("port net0: its link is up")
            assert sluice.stderr.count("net0: its link is down") == 1
            sluice.wait_for(lambda stats: stats["received"] > 0)
