# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Health checks that go the way of the messages: probes and echo requests through the ports."""

import select
import time

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

from harness import (ADDRESS, ADDRESS6, PEER_MAC, SENDER, SENDER6, Lab, Server, backend, destination,
                     frame, is_udp_from_appliance, make_config, message, port6, udp_socket, wire)
from harness.patience import Deadline, patience, wait_until

HEALTH = {"interval_ms": 200, "fast_interval_ms": 100, "down_interval_ms": 200, "timeout_ms": 300,
          "rise": 2, "fall": 3}


# For who answers from this process, which the machine may let stand for a while.
PATIENT = {**HEALTH, "timeout_ms": 3000, "fall": 1}


def checked_by(kind, health=HEALTH, **config):
    return make_config(destination("table1", backend("kitchen1", "10.77.0.11"),
                                   health={**health, "checks": [{"kind": kind}]}), **config)


def view(sluice, *arguments):
    with sluice.control() as control:
        return control.show(*arguments)


def wait_state(sluice, state, timeout=10.0):
    deadline = Deadline(timeout)
    while True:
        [row] = view(sluice, "backends", "table1")
        if row["state"] == state:
            return row
        assert not deadline.has_passed(), f"kitchen1 is {row}, not {state}"
        time.sleep(0.05)


def test_a_backend_that_answers_probes_is_up_and_tells_its_load(lab):
    lab.ensure_address("10.77.0.11")
    with Server(lab.outside, "10.77.0.11", 9001) as server, \
            lab.appliance(checked_by("probe", PATIENT)) as sluice:
        wait_state(sluice, "UP")
        lab.send(message(1))
        sluice.wait_for(delivered=1)
        health = view(sluice, "health", "table1", "kitchen1")
        assert server.probes >= 1 and health["failures"] == 0
        assert health["checks"][0]["kind"] == "probe"
        server.mode = "hang"
        wait_state(sluice, "DOWN")
        server.mode = "well"
        wait_state(sluice, "UP")


def test_a_backend_that_answers_ping_is_up(lab):
    with lab.appliance(checked_by("icmp")) as sluice:
        wait_state(sluice, "UP")
        lab.outside.ip("address", "del", "10.77.0.11/24", "dev", "peer0")
        wait_state(sluice, "DOWN")
        lab.add_address("10.77.0.11/24")
        wait_state(sluice, "UP")


def test_a_path_that_stands_makes_no_backend_fail(lab):
    """Stopped and started again, several times: nothing is taken for down, and all goes on."""
    lab.ensure_address("10.77.0.11")
    with Server(lab.outside, "10.77.0.11", 9001) as server, \
            lab.appliance(checked_by("probe", PATIENT)) as sluice, sluice.control() as control:
        wait_state(sluice, "UP")
        busy = 0
        for turn in (1, 2):
            control.path("STOP")
            seen = server.probes
            # Longer than it takes to be down.
            time.sleep(3.5)
            control.path("START")
            lab.send(message(turn))
            sluice.wait_for(delivered=turn)
            wait_until(lambda: server.probes > seen, 5, "it is asked again")
            [lcore] = control.show("lcores")
            assert lcore["busy_cycles"] >= busy, "counters go on"
            busy = lcore["busy_cycles"]
        health = control.show("health", "table1", "kitchen1")
        assert health["failures"] == 0, health
        assert control.show("backends", "table1")[0]["state"] == "UP"


def test_an_echo_request_is_one_to_scapy(wire_lab):
    def is_request(packet):
        return ICMP in packet and packet[ICMP].type == 8 and packet[Ether].dst == PEER_MAC

    with wire_lab.appliance(checked_by("icmp")) as sluice:
        [asked] = wire_lab.raw.take(1, is_request)
        assert (asked[IP].src, asked[IP].dst) == ("10.77.0.1", "10.77.0.11")
        again = Ether(bytes(asked))
        del again[IP].chksum, again[ICMP].chksum
        assert bytes(Ether(bytes(again))) == bytes(asked), "its checksums are right"
        # An answer that nobody waits for, and one with a wrong checksum, count for nothing.
        for wrong in ({"id": asked[ICMP].id ^ 1}, {"chksum": 1}):
            fields = {"type": 0, "id": asked[ICMP].id, "seq": asked[ICMP].seq, **wrong}
            wire_lab.raw.send(Ether(dst=asked[Ether].src, src=PEER_MAC) /
                              IP(src="10.77.0.11", dst="10.77.0.1") / ICMP(**fields) /
                              asked[ICMP].payload)
        wait_state(sluice, "DOWN")


@pytest.mark.parametrize("source, own", [(SENDER, ADDRESS), (SENDER6, ADDRESS6)])
def test_the_appliance_answers_probes(source, own):
    config = make_config(ports=[port6(address=f"{ADDRESS}/24")])
    with Lab(addresses=(f"{SENDER}/24", f"{SENDER6}/64")) as lab, lab.appliance(config), \
            udp_socket(lab.outside, source) as sock:
        asked = wire.datagram()
        asked.probe.nonce = 0x1234567890
        sock.sendto(asked.SerializeToString(), (own, wire.PORT))
        assert select.select([sock], [], [], patience(5))[0], "no answer to a probe"
        got = wire.decode(sock.recv(2048))
        assert got.magic == wire.MAGIC and got.probe.reply and got.probe.nonce == 0x1234567890
        assert got.probe.in_flight == 0 and not got.messages


@pytest.mark.parametrize("who", [{"src": "224.0.0.1"}, {"src": "255.255.255.255"},
                                 {"src_mac": "03:00:00:00:00:01"}], ids=lambda who: str(who))
def test_a_probe_from_a_station_that_is_many_is_not_answered(wire_lab, who):
    with wire_lab.appliance():
        for nonce, fields in ((1, who), (2, {})):
            asked = wire.datagram()
            asked.probe.nonce = nonce
            wire_lab.raw.send(frame(asked.SerializeToString(), **fields))
        [answer] = wire_lab.raw.take(1, is_udp_from_appliance)
        assert wire.decode(bytes(answer[UDP].payload)).probe.nonce == 2


def test_a_flood_of_probes_leaves_arp_alone(wire_lab):
    with wire_lab.appliance(make_config()) as sluice:
        asked = wire.datagram()
        asked.probe.nonce = 1
        data = bytes(frame(asked.SerializeToString()))
        for n in range(1, 4):
            # No more at once than the port's ring holds while nobody reads it.
            for _ in range(8):
                wire_lab.raw.send(*[data] * 500)
            sluice.wait_for(lambda s, n=n: s["frames"]["received"] >= 4000 * n)
        wire_lab.raw.send(frame(wire.encode(message(1))))
        sluice.wait_for(delivered=1)
