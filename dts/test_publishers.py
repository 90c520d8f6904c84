# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sessions of publishers where they come in: who is let in, how far, how fast, and who is told."""

import contextlib
import time

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Dot1Q

from harness import (ADDRESS6, SENDER6, decode, destination, encode, frame, message, pb2, port,
                     table, udp_socket)
from harness.durable import DurableLab, HandPublisher, acked_by
from harness.faults import Faults
from harness.patience import Deadline, wait_until
from harness.wire import MAGIC, PORT

BEGIN_MAX = 1024  # a session that is not known may begin up to here
ELSEWHERE = "10.77.0.101"


@contextlib.contextmanager
def from_elsewhere(lab, publisher, address, to):
    """The publisher sends from another socket, and to another address."""
    with contextlib.closing(udp_socket(lab.outside, address)) as other:
        other.connect((to, PORT))
        before, publisher.socket = publisher.socket, Connected(other)
        yield other
        publisher.socket = before


class Connected:
    """A socket whose sendto() goes where it is connected to."""

    def __init__(self, sock):
        self._sock = sock

    def sendto(self, data, _):
        self._sock.send(data)

    def __getattr__(self, name):
        return getattr(self._sock, name)


def send_up_to(source, last, step=10):
    """All sequences up to @last, each datagram acknowledged before the next."""
    for begin in range(1, last + 1, step):
        end = min(begin + step - 1, last)
        source.send(*range(begin, end + 1))
        source.wait_ack(lambda ack: ack.cumulative == end)


# How far, and how fast.

def test_what_is_beyond_the_credit_is_dropped_and_counted(durable):
    """Message by message, also within a datagram."""
    with durable.appliance(durable.config(publishers={"window": 64})) as sluice, \
            HandPublisher(durable) as source:
        source.send(1)
        assert source.wait_acked(1).credit_limit == 65
        source.send(*range(60, 70))
        source.wait_acked(1, *range(60, 66))
        source.send(2**63)
        sluice.wait_for(received=12, queued=7, dropped={"over_credit": 5})


def test_without_an_ack_more_than_a_window_may_come(durable):
    """As many as a sender may send before it knows the credit: also those behind the first gap."""
    with durable.appliance(durable.config(publishers={"window": 64})) as sluice, \
            HandPublisher(durable) as source:
        source.send(BEGIN_MAX)
        source.send(BEGIN_MAX + 1)
        ack = source.wait_ack(lambda ack: ack.highest == BEGIN_MAX)
        assert (ack.cumulative, ack.credit_limit) == (0, 64)
        sluice.wait_for(dropped={"over_credit": 1})


def test_the_rate_of_an_address_is_limited_and_its_credit_tells(durable):
    rate = 1000
    config = durable.config(publishers={"rate_msgs_per_s": rate})
    durable.ensure_address(ELSEWHERE)
    with durable.appliance(config) as sluice, HandPublisher(durable) as source, \
            HandPublisher(durable, address=ELSEWHERE) as polite:
        source.send(1)
        assert source.wait_acked(1).credit_limit < 4096 // 4
        begin = time.monotonic()
        for _ in range(300):
            source.send(*range(1, 11))
        stats = sluice.wait_for(lambda stats: stats["received"] == 3001)
        # What a session may begin with, a fifth of a second, and what time brings.
        took = time.monotonic() - begin
        assert stats.dropped["over_rate"] > 3000 - BEGIN_MAX - rate / 5 - rate * took
        # Others have a rate of their own.
        send_up_to(polite, 100)
        assert set(sluice.stats().dropped) == {"over_rate"}


def test_a_greedy_source_has_one_rate_and_starves_nobody(durable):
    """Many sessions of one address flood, whatever their credit says, while the disk is slow. Beside
    them one from elsewhere is acknowledged, message by message."""
    faults, rate, nb, rounds = Faults(durable.dir, durable.journal_dir), 500, 32, 20
    config = durable.config(publishers={"rate_msgs_per_s": rate})
    durable.ensure_address(ELSEWHERE)
    with contextlib.ExitStack() as stack:
        begin = time.monotonic()
        sluice = stack.enter_context(durable.appliance(config, env=faults.env))
        faults.begin("slow-sync")
        polite = stack.enter_context(HandPublisher(durable, address=ELSEWHERE))
        greedy = [stack.enter_context(HandPublisher(durable, source=f"greedy{n}"))
                  for n in range(nb)]
        for n in range(1, rounds + 1):
            for source in greedy:
                source.send(*range(10 * n - 9, 10 * n + 1))
            polite.send(n)
            polite.wait_ack(lambda ack: ack.cumulative == n, timeout=5)
        stats = sluice.wait_for(lambda stats: stats["received"] == rounds * (10 * nb + 1))
        taken = rounds * 10 * nb - sum(stats.dropped.values())
        # What a session may begin with, a fifth of a second, and what time brings.
        assert taken < BEGIN_MAX + rate / 5 + rate * (time.monotonic() - begin)
        for source in greedy:
            source.poll()
        # What nothing was taken of is told nothing. The others have 16 messages each, or, before
        # there were more of them, a tenth of a second.
        told = [source.acks[-1] for source in greedy if source.acks]
        assert 0 < sum(ack.credit_limit - ack.highest for ack in told) <= 16 * nb + rate / 10


def test_sessions_of_an_address_share_its_window(durable):
    """Each gets its part, without having seen an ack too; one from elsewhere has all of its own."""
    window, nb = 512, 8
    durable.ensure_address(ELSEWHERE)
    with contextlib.ExitStack() as stack:
        sluice = stack.enter_context(
            durable.appliance(durable.config(publishers={"window_per_address": window})))
        greedy = [stack.enter_context(HandPublisher(durable, source=f"greedy{n}"))
                  for n in range(nb)]
        other = stack.enter_context(HandPublisher(durable, address=ELSEWHERE))
        for part, source in [*((window // n, source) for n, source in enumerate(greedy, 1)),
                             (window, other)]:
            source.send(part, part + 1)
            ack = source.wait_ack(lambda ack: ack.highest > 0)
            assert (ack.cumulative, ack.highest, ack.credit_limit) == (0, part, part)
        sluice.wait_for(dropped={"over_credit": nb + 1})
        # Who came when there were fewer is told no more than the others once it has sent that.
        send_up_to(greedy[0], window)
        assert greedy[0].acks[-1].credit_limit == window + window // nb


def test_who_goes_by_credit_meets_no_limit(durable):
    """A session that sends all it may: at its rate. Credit is never less than one message, so that
    one may come a moment too soon; it is sent again."""
    config = durable.config(publishers={"rate_msgs_per_s": 2000})
    with durable.appliance(config) as sluice, HandPublisher(durable) as source:
        source.send(1)
        ack, sent, begin, deadline = source.wait_acked(1), 1, time.monotonic(), Deadline(10)
        while sent < 3000:
            assert not deadline.has_passed()
            end = min(ack.credit_limit, sent + 10)
            source.send(*range(sent + 1, end + 1))
            sent = end
            while (came := source.find_ack(lambda ack: ack.cumulative == sent, 0.2)) is None:
                assert not deadline.has_passed()
                source.send(*range(ack.cumulative + 1, sent + 1))
            ack = came
        took = time.monotonic() - begin
        # What a session may begin with comes on top of the rate, and a fifth of a second of it.
        assert took > 0.99 * (3000 - 1024 - 2000 / 5) / 2000
        dropped = sluice.wait_for(lambda stats: stats["received"] >= sent).dropped
        assert set(dropped) <= {"over_rate"} and sum(dropped.values()) < 30


# Who.

def test_more_sessions_than_there_is_room_for(durable):
    """They are not answered, and counted; when others have gone, they get in."""
    config = durable.config(publishers={"sessions_max": 2, "idle_ms": 5000})
    with durable.appliance(config) as sluice, HandPublisher(durable) as one, \
            HandPublisher(durable) as two, HandPublisher(durable) as three:
        for n, source in enumerate((one, two), 1):
            source.send(1, ids=(n,))
            source.wait_acked(1)
        three.send(1, 2, ids=(11, 12))
        three.nothing(0.3)
        sluice.wait_for(received=4, dropped={"too_many_sessions": 2})
        send_until_acked(three, 1, 2, ids=(11, 12))
        # And the one that was silent has been forgotten, its number too.
        send_until_acked(one, 1, ids=(1,))


def send_until_acked(source, *sequences, ids):
    """As a publisher does that is not answered."""
    def is_acked():
        source.send(*sequences, ids=ids)
        return any(acked_by(ack) == set(sequences) for ack in source.poll(0.2))
    source.poll()
    wait_until(is_acked, 20, "it is let in")


def test_unknown_sessions_are_refused_but_not_as_often_as_they_ask(durable):
    with durable.appliance() as sluice, HandPublisher(durable) as source:
        for n in range(100):
            source.send(BEGIN_MAX + 1 + n)
        ack = source.wait_ack(lambda ack: True)
        assert (ack.cumulative, ack.credit_limit, ack.highest) == (0, 0, 0)
        sluice.wait_for(received=100, dropped={"unknown_session": 100})
        time.sleep(0.2)
        source.poll()
        assert len(source.acks) < 50
        # Many sessions are told each.
        for n in range(1, 201):
            source.send(BEGIN_MAX + 1, session=n)
        wait_until(lambda: source.poll(0.05) is not None and
                   {a.session for a in source.acks} >= set(range(1, 201)), 5, "all are told")
        sluice.wait_for(received=300, dropped={"unknown_session": 300})


def test_a_flood_of_sessions_costs_those_that_are_there_nothing(durable):
    """From a thousand addresses: the table is full, the publishers in it go on."""
    config = durable.config(publishers={"sessions_max": 64})
    with durable.appliance(config) as sluice, HandPublisher(durable) as source:
        source.send(1)
        source.wait_acked(1)
        for n in range(1000):
            data = encode(message(10**6 + n, sequence=1, flags=1), epoch=0, session=10**9 + n)
            durable.raw.send(frame(data, src=f"10.77.{1 + n // 250}.{1 + n % 250}"))
        sluice.wait_for(received=1001, dropped={"too_many_sessions": 1000 - 63})
        source.send(2)
        source.wait_acked(1, 2)


def test_a_station_that_is_many_is_not_answered(durable):
    """Messages from a broadcast or multicast address, or with such a MAC, are in no session."""
    with durable.appliance() as sluice:
        data = [encode(message(n, sequence=1, flags=1), epoch=0, session=n) for n in (1, 2, 3)]
        durable.raw.send(frame(data[0], src="255.255.255.255"))
        durable.raw.send(frame(data[1], src="224.0.0.5"))
        durable.raw.send(frame(data[2], src_mac="01:00:5e:00:00:05"))
        sluice.wait_for(received=3, queued=3)
        with sluice.control() as control:
            assert control.show("publishers") == []


# Where.

def test_acks_follow_a_publisher_that_moves(durable):
    with durable.appliance() as sluice, HandPublisher(durable) as source:
        send_up_to(source, BEGIN_MAX + 10)
        durable.ensure_address(ELSEWHERE)
        with from_elsewhere(durable, source, ELSEWHERE, "10.77.0.1"):
            source.send(BEGIN_MAX + 11)
            assert source.wait_ack(lambda ack: ack.cumulative == BEGIN_MAX + 11)
            wanted = {"address": ELSEWHERE, "cumulative": BEGIN_MAX + 11,
                      "session": f"{source.session:016x}"}
            with sluice.control() as control:
                # Shown once it has been told.
                wait_until(lambda: [wanted] == [{key: shown[key] for key in wanted}
                                                for shown in control.show("publishers")],
                           what=wanted)
        sluice.wait_for(dropped={})


TWO_RX = [{"lcore": 1, "roles": ["rx", "worker"]}, {"lcore": 2, "roles": ["rx"]}]


def test_a_session_goes_on_over_another_port_and_lcore():
    """Each lcore keeps sessions by itself, and asks about one that it does not know; and about the
    credit of one that went on elsewhere."""
    with DurableLab(nb_ports=2) as durable:
        ports = [port(), port("net1", "net_af_packet1", "10.78.0.1/24")]
        durable.add_address("10.78.0.100/24", "peer1")
        config = durable.config(ports=ports, lcores=TWO_RX, publishers={"window": 64})
        with durable.appliance(config, nb_lcores=2) as sluice, HandPublisher(durable) as source:
            last = BEGIN_MAX + 6
            send_up_to(source, last)
            with from_elsewhere(durable, source, "10.78.0.100", "10.78.0.1"):
                for _ in range(20):
                    source.send(*range(last + 1, last + 11))
                    last += 10
                    resend_until_acked(source, last)
            source.send(*range(last + 1, last + 11))
            resend_until_acked(source, last + 10)
            assert set(sluice.stats().dropped) <= {"unknown_session", "over_credit"}


def resend_until_acked(source, last):
    """The last ten sequences are acknowledged when they are sent again and again."""
    deadline = Deadline(10)
    while not deadline.has_passed():
        again = time.monotonic() + 0.05
        while time.monotonic() < again:
            for ack in source.poll(0.01):
                assert ack.credit_limit > 0, "refused"
                if ack.cumulative == last:
                    return
        source.send(*range(last - 9, last + 1))
    pytest.fail(f"{last} was not acknowledged: {source.acks[-3:]}")


def test_acks_by_ipv6(durable):
    durable.add_address(f"{SENDER6}/64")
    config = durable.config(ports=[port(address6=f"{ADDRESS6}/64")])
    with durable.appliance(config), HandPublisher(durable) as source, \
            from_elsewhere(durable, source, SENDER6, ADDRESS6):
        source.send(1, 2)
        source.send(4)
        assert source.wait_acked(1, 2, 4).credit_limit == 2 + 4096


def test_acks_into_a_vlan():
    with DurableLab(addresses=()) as durable:
        config = durable.config(ports=[port(vlan=7)])
        with durable.appliance(config):
            data = encode(message(1, sequence=1, flags=1), epoch=0, session=5)
            durable.raw.send(frame(data, vlan=7))
            [ack] = durable.raw.take(1, is_ack)
            assert ack[Dot1Q].vlan == 7
            assert decode(bytes(ack[UDP].payload)).ack.cumulative == 1


def is_ack(packet):
    return UDP in packet and packet[UDP].sport == PORT and \
        decode(bytes(packet[UDP].payload)).HasField("ack")


# What.

def test_a_datagram_of_another_layout_is_acknowledged_as_well(durable):
    with durable.appliance() as sluice, HandPublisher(durable) as source:
        data = pb2.Datagram(magic=MAGIC, session=source.session, messages=[
            pb2.Message(source=1, id_high=0, id_low=n, destination=message(1).destination,
                        sequence=n, flags=1) for n in (1, 2, 3)])
        source.socket.sendto(data.SerializeToString(), ("10.77.0.1", PORT))
        source.wait_acked(1, 2, 3)
        assert sluice.wait_for(received=3)["parse_slow"] == 1


def test_a_message_to_an_at_most_once_destination_is_accepted(durable):
    """In one session with one that is made durable; what there is no destination for is not."""
    fast = {**table(2), "guarantee": "at-most-once"}
    with durable.appliance(durable.config(table(1), fast)), HandPublisher(durable) as source, \
            durable.receiver(2) as kitchen:
        source.send(1)
        source.destination = "table2"
        source.send(2)
        source.wait_acked(1, 2)
        assert [m.id_low for m in kitchen.take(1)] == [2]
        source.destination = "nowhere"
        source.send(3)
        source.nothing(0.3)
        assert len(durable.journal().messages) == 1


def test_messages_that_want_no_ack_are_in_no_session(durable):
    with durable.appliance() as sluice, HandPublisher(durable) as source:
        source.socket.sendto(
            encode(message(1, sequence=1), message(2, flags=1), session=7), ("10.77.0.1", PORT))
        sluice.wait_for(received=2, queued=2, dropped={})
        source.nothing(0.3)
        with sluice.control() as control:
            assert control.show("publishers") == []


def test_without_a_journal_a_session_is_only_a_number(durable):
    lunch = destination("lunch", *table(1)["backends"])
    config = {k: v for k, v in durable.config({**lunch, "guarantee": "at-most-once"}).items()
              if k != "journal"}
    with durable.appliance(config) as sluice, durable.receiver(1) as kitchen, \
            HandPublisher(durable, destination="lunch") as source:
        source.send(100000)
        source.send(1, 2)
        got = kitchen.take(3)
        assert [m.sequence for m in got] == [0, 0, 0]
        sluice.wait_for(delivered=3, dropped={})
        source.nothing(0.2)
