# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client library in C, through sluice-pub and sluice-sub: against each other over a bad network,
and each against a peer made with stock protobuf that refuses, forgets, lies and falls silent."""

import collections
import contextlib
import itertools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time

import pytest

from harness import (ADDRESS, BUILD, ROOT, Namespace, datagram, encode, id_of, message,
                     name_key, pb2, table)
from harness.fake import FakeAppliance
from harness.hand import Peer
from harness.journal import Journal
from harness.patience import patience, wait_until
from harness.relay import BadNetwork
from harness.sockets import free_udp_port
from harness.standstill import Standstill

PUB = BUILD / "app" / "sluice-pub" / "sluice-pub"
SUB = BUILD / "app" / "sluice-sub" / "sluice-sub"
HOST = "127.0.0.1"
TIMEOUT_S = 0.1  # Sooner than that nothing is sent again that no ack asks for.


def at(address):
    return f"{address[0]}:{address[1]}"


@pytest.fixture
def seed():
    value = int(os.environ.get("SLUICE_TEST_SEED") or str(time.time_ns()), 0)
    print(f"SLUICE_TEST_SEED={value}")
    return value


def pub_args(to, *args):
    return [PUB, "-h", to if isinstance(to, str) else at(to), "-d", "table1", "-s", "server1",
            *map(str, args)]


def publish(to, *args, lines=None, code=0, wrap=lambda *words: words):
    """Run sluice-pub to its end; its statistics."""
    text = None if lines is None else "".join(f"{line}\n" for line in lines)
    done = subprocess.run(wrap(*pub_args(to, "--json", *args)), input=text, text=True,
                          capture_output=True, timeout=patience(60))
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


class Publisher:
    """sluice-pub, while it runs."""

    def __init__(self, to, *args, wrap=lambda *words: words):
        self.process = subprocess.Popen(wrap(*pub_args(to, "--json", *args)), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def finish(self, code=0):
        out, err = self.process.communicate(timeout=patience(30))
        assert self.process.returncode == code, err
        return json.loads(out)


class Subscriber:
    """sluice-sub, and what it prints, as JSON, to a file unless told otherwise."""

    def __init__(self, *args, host=HOST, stdout=None, wrap=lambda *words: words):
        self.out = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            wrap(SUB, "-h", host, "-p", "0", "-v", "--json", "--stats", *map(str, args)),
            stdin=subprocess.DEVNULL, stdout=stdout or self.out, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        found = re.search(r"listening at (.*):(\d+)$", line.strip())
        assert found, line + self.process.stderr.read()
        self.address = found[1].strip("[]"), int(found[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.out.close()

    def finish(self, code=0, stop=True):
        """(messages, statistics)"""
        if stop:
            self.process.send_signal(signal.SIGTERM)
        err = self.process.communicate(timeout=patience(30))[1]
        assert self.process.returncode == code, err
        self.out.seek(0)
        lines = [json.loads(line) for line in self.out]
        return lines[:-1], lines[-1]


def payloads(messages):
    return [m["payload"] for m in messages]


# Both ends.

@pytest.mark.parametrize("host", [HOST, "::1"])
def test_lines_arrive_in_order(host):
    lines = [f"line {n}" for n in range(2000)]
    with Subscriber(host=host) as sub:
        to = f"[{host}]:{sub.address[1]}" if ":" in host else at(sub.address)
        stats = publish(to, "-l", "-t", "lunch", "-P", "3", lines=lines)
        got, _ = sub.finish()
    assert stats["durable"] == len(lines)
    assert payloads(got) == lines
    assert {m["priority"] for m in got} == {3}
    assert {int(m["type"], 16) for m in got} == {name_key("lunch")}
    assert len({m["id"] for m in got}) == len(lines)


@pytest.mark.parametrize("args", [[], ["--early-ack"], ["--unordered"]],
                         ids=["ordered", "early-ack", "unordered"])
def test_each_once_over_a_bad_network(args, seed):
    lines = [str(n) for n in range(1500)]
    with Subscriber(*args) as sub, BadNetwork(sub.address, seed, loss=0.05) as network:
        # Small datagrams, so that there are many to lose.
        stats = publish(network.address, "-l", "-W", "40", "--datagram", "300", lines=lines)
        got, sub_stats = sub.finish()
    print(network.counts, stats, sub_stats)
    assert stats["durable"] == len(lines)
    assert sorted(payloads(got), key=int) == lines
    if args != ["--unordered"]:
        assert payloads(got) == lines
    assert network.counts["lost"] > 0 and stats["retransmitted"] > 0


def test_through_a_restarting_appliance(tmp_path, seed):
    """Nothing acknowledged is lost, and the consumer sees each once, though the appliance forgets its
    sessions and sends what it is not sure of again."""
    lines = [str(n) for n in range(3000)]
    with Subscriber() as sub, \
            FakeAppliance(tmp_path, {"table1": [sub.address]}) as fake, \
            BadNetwork(fake.address, seed, loss=0.02) as network:
        with subprocess.Popen(pub_args(network.address, "-l", "-r", "2000", "-W", "40", "--json"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pub:
            pub.stdin.write("".join(f"{line}\n" for line in lines))
            pub.stdin.close()
            for _ in range(3):
                time.sleep(0.3)
                fake.restart()
            stats = json.loads(pub.stdout.read())
            assert pub.wait(patience(30)) == 0
        wait_until(fake.is_drained, 20)
        got, _ = sub.finish()
        assert Journal(tmp_path).undelivered() == []
    assert stats["durable"] == len(lines)
    assert sorted(map(int, payloads(got))) == list(range(len(lines)))


def test_the_client_in_python_is_at_the_other_end():
    python = {"text": True, "env": {**os.environ, "PYTHONPATH": str(ROOT / "python")}}
    with Subscriber("-C", "1") as sub:
        subprocess.run(["/usr/bin/python3", "-m", "sluice", "pub", "-h", at(sub.address), "-s",
                        "server1", "-d", "table1", "-m", "eggs"], check=True,
                       timeout=patience(30), **python)
        got, _ = sub.finish(stop=False)
    assert payloads(got) == ["eggs"]
    address = HOST, free_udp_port()
    with subprocess.Popen(["/usr/bin/python3", "-m", "sluice", "sub", "-h", at(address)],
                          stdout=subprocess.PIPE, **python) as process:
        try:
            assert publish(address, "-l", "-W", "20", lines=["eggs", "ham"])["durable"] == 2
            assert process.stdout.readline() == "eggs\n"
        finally:
            process.kill()


class Kitchen(Subscriber):
    """A Subscriber that is the backend of table1 on a bench."""

    def __init__(self, bench, *args):
        bench.ensure_address("10.77.0.11")
        super().__init__("-p", "9001", *args, host="10.77.0.11", wrap=bench.outside.exec_args)


def test_through_the_appliance(durable):
    lines = [str(n) for n in range(5000)]
    with durable.appliance(), Kitchen(durable) as sub:
        stats = publish(ADDRESS, "-l", lines=lines, wrap=durable.outside.exec_args)
        wait_until(lambda: not durable.journal().undelivered(), 20)
        got, _ = sub.finish()
    assert stats["durable"] == len(lines)
    assert sorted(payloads(got), key=int) == lines
    assert [m["sequence"] for m in got] == list(range(1, len(lines) + 1))


def test_at_most_once_keeps_the_order_through_the_appliance(durable):
    """Of each source and class, exactly, while datagrams of all of them are on their way at once."""
    config = durable.config(table(1, guarantee="at-most-once"))
    # No more than the port's ring holds while the appliance stands still.
    nb, flows = 1000, [(source, priority) for source in ("anna", "ben") for priority in (1, 4)]
    with durable.appliance(config) as sluice, Kitchen(durable) as sub:
        started = [subprocess.Popen(
            durable.outside.exec_args(*pub_args(ADDRESS, "-s", source, "-P", priority, "-0", "-l",
                                                "-r", 4000)), stdin=subprocess.PIPE, text=True)
            for source, priority in flows]
        for pub in started:
            pub.stdin.write("".join(f"{n}\n" for n in range(nb)))
            pub.stdin.close()
        assert [pub.wait(patience(30)) for pub in started] == [0] * len(flows)
        sluice.wait_for(delivered=nb * len(flows), queued=0, dropped={})
        got, _ = sub.finish()
    for source, priority in flows:
        key = f"{name_key(source):016x}"
        mine = [m["payload"] for m in got if (m["source"], m["priority"]) == (key, priority)]
        assert mine == [str(n) for n in range(nb)], (source, priority)


def test_nothing_is_lost_or_twice_though_the_appliance_is_killed(durable):
    lines = [str(n) for n in range(6000)]
    args = durable.outside.exec_args(*pub_args(ADDRESS, "-l", "-r", "3000", "-W", "60"))
    with durable.appliance() as sluice, Kitchen(durable) as sub, \
            subprocess.Popen(args, stdin=subprocess.PIPE, text=True) as pub:
        pub.stdin.write("".join(f"{line}\n" for line in lines))
        pub.stdin.close()
        for _ in range(2):
            time.sleep(0.6)
            sluice.crash()
            sluice.restart()
        assert pub.wait(patience(60)) == 0
        wait_until(lambda: not durable.journal().undelivered(), 30)
        got, stats = sub.finish()
    print(stats)
    assert sorted(map(int, payloads(got))) == list(range(len(lines)))


# sluice-pub against a peer.

def test_what_is_published_is_in_the_template_layout():
    with Peer() as peer, Publisher(peer.address, "-m", "eggs", "-t", "breakfast", "-P", "2", "-i",
                                   "order-1") as pub:
        came = peer.receive()
        assert came.session != 0 and came.epoch == 0 and len(came.messages) == 1
        m = came.messages[0]
        assert (m.source, m.destination, m.type) == \
            (name_key("server1"), name_key("table1"), name_key("breakfast"))
        assert (m.sequence, m.flags, m.priority, m.payload) == (1, 1, 2, b"eggs")
        assert abs(m.timestamp_ns - time.time_ns()) < 60e9
        assert m.id_text == "order-1"  # and its hash, as docs/wire-format.md has it
        assert id_of(m) == 0x5A8A409613F90AD0AF63A0F835CA6746
        peer.ack(came.session, 1)
        assert pub.finish()["durable"] == 1


@pytest.mark.parametrize("others", ["", ",127.0.0.4"])
def test_a_name_that_moves_to_another_address_is_followed(tmp_path, others):
    """By a hosts file of its own, alone in the list and beside another that is silent."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 moving\n")

    def wrap(*words):
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"',
                str(hosts), *words]

    with Peer(address=("127.0.0.2", 0)) as old:
        port = old.address[1]
        with Peer(address=("127.0.0.3", port)) as new, \
                Publisher(f"moving{others}", "-p", port, "-m", "x", "-c", "3", "-W", "20",
                          wrap=wrap) as pub:
            first, _ = old.take(3)
            old.ack(first, 1)
            hosts.write_text("127.0.0.3 moving\n")
            session, _ = new.take(1, timeout=15)
            if session == first:
                new.refuse(session)
                session, _ = new.take(2, session=first)
            new.ack(session, 2)
            assert pub.finish()["durable"] == 3


def test_what_is_never_acknowledged_holds_the_others_up_for_its_own_time_only():
    """One to a destination that does not exist. It fills the window, and more are published."""
    args = ("-m", "x", "-c", "600", "-r", "200", "-i", "o", "-W", "1", "--window", "16")
    with Standstill() as still, Peer() as peer, Publisher(peer.address, *args) as pub:
        had = collections.defaultdict(set)
        while (came := peer.receive(3)) is not None:
            mine = had[came.session]
            new = {m.sequence for m in came.messages if m.id_text != "o-1"}
            mine |= new
            if not new:
                continue
            cumulative = next(n for n in itertools.count() if n + 1 not in mine)
            bits = sum(1 << n - cumulative - 2 for n in mine if n > cumulative)
            peer.ack(came.session, cumulative, max(mine),
                     selective=bits.to_bytes((bits.bit_length() + 7) // 8, "little"),
                     credit=cumulative + 16)
        stats = pub.finish(code=1)
    # A second in which the peer stood still is another one's time, and its session's end.
    assert 2 <= len(had) <= 2 + round(still.seconds)
    assert stats["durable"] > 300 - 200 * still.seconds
    assert stats["failed"] == 600 - stats["durable"]


def test_small_messages_travel_together():
    with Peer() as peer, Publisher(peer.address, "-m", "x" * 20, "-c", "500") as pub:
        sizes = []
        session, seen = None, 0
        while seen < 500:
            came = peer.receive()
            session, seen = came.session, max(seen, came.messages[-1].sequence)
            assert came.ByteSize() <= 1400
            sizes.append(len(came.messages))
            peer.ack(session, seen)
        assert pub.finish()["durable"] == 500
    assert max(sizes) == (1400 - 19) // 97


def test_at_most_once_is_sent_once_without_a_session():
    with Peer() as peer:
        stats = publish(peer.address, "-m", "x", "-c", "3", "-0")
        got = [m for _ in range(3) for m in (peer.receive(0.2) or pb2.Datagram()).messages]
        assert len(got) == 3 and {(m.sequence, m.flags) for m in got} == {(0, 0)}
        assert peer.receive(0.2) is None
    assert stats["durable"] == 0 and stats["failed"] == 0


def test_only_what_is_missing_is_sent_again():
    begin = time.monotonic()
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "40") as pub:
        session, _ = peer.take(40)
        # All but 5 and 30.
        bits = sum(1 << n - 6 for n in range(6, 41) if n != 30)
        peer.ack(session, 4, 40, selective=bits.to_bytes(5, "little"))
        again = []
        while again[-2:] != [5, 30]:
            came = peer.receive()
            again += [m.sequence for m in came.messages]
        peer.ack(session, 40)
        stats = pub.finish()
        while (came := peer.receive(0)) is not None:
            again += [m.sequence for m in came.messages]
    # The rest is sent again, too, when the ack is late because this test stood still.
    assert again == [5, 30] or time.monotonic() - begin > TIMEOUT_S
    assert stats["retransmitted"] == len(again)


@pytest.mark.parametrize("when", ["at-once", "in-the-middle", "again-and-again"])
def test_a_refused_session_is_followed_by_another_with_the_same_ids(when):
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "60") as pub:
        first, got = peer.take(60)
        ids = [id_of(got[n]) for n in range(1, 61)]
        if when == "in-the-middle":
            peer.ack(first, 20, credit=60)
            ids = ids[20:]
        for _ in range(5 if when == "again-and-again" else 1):
            peer.refuse(first)
            second, got = peer.take(len(ids), session=first)
            assert second != first
            assert [id_of(got[n]) for n in range(1, len(ids) + 1)] == ids
            first = second
        peer.ack(first, len(ids))
        assert pub.finish()["durable"] == 60


def test_a_receiver_that_forgot_a_young_session_is_noticed():
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "2000", "-W", "20") as pub:
        session, got = peer.take(60)
        ids = {n: id_of(m) for n, m in got.items()}
        peer.ack(session, 50, credit=2000)
        peer.take(80)
        # It begins again with what came last, and has nothing before.
        peer.ack(session, 0, 100, selective=bytes(12) + b"\x04", credit=1000)
        second, got = peer.take(64, session=session)
        assert [id_of(got[n]) for n in range(1, 11)] == [ids[n] for n in range(51, 61)]
        while True:
            peer.ack(second, max(got))
            if max(got) == 1950:
                break
            got.update(peer.take(1, session=session)[1])
        assert pub.finish()["durable"] == 2000


def test_lies_make_nothing_durable(seed):
    rng = random.Random(seed)
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "10", "-W", "5") as pub:
        session, _ = peer.take(10)
        peer.ack(session, 11)  # never sent
        peer.ack(session, 1 << 63)
        peer.ack(session, 0, 11, selective=b"\xff\xff")
        peer.ack(session, 5, 3)  # contradicts itself
        peer.ack(session, 0, 5, selective=b"\x00")
        peer.ack(session ^ 1, 10)  # another session
        peer.send(datagram(message(1)))
        for _ in range(300):
            peer.send(rng.randbytes(rng.randrange(300)))
        stats = pub.finish(code=1)
    assert stats["durable"] == 0 and stats["failed"] == 10 and stats["bad_acks"] >= 4


def test_credit_holds_the_publisher_back():
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "300") as pub:
        session, got = peer.take(64)
        while peer.receive(0.1) is not None:
            pass
        assert max(got) == 64  # what a session may send before it is told
        peer.ack(session, 64, credit=64)
        # One is asked with, so that no lost ack stops the session for ever.
        assert peer.beyond(64) == {65}
        peer.ack(session, 65, credit=0)
        assert peer.beyond(65) == {66}
        last = 66
        while last < 300:
            peer.ack(session, last, credit=300)
            last = max(peer.beyond(last))
        peer.ack(session, 300)
        assert pub.finish()["durable"] == 300


def test_an_ack_of_an_older_epoch_is_ignored():
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "10", "-W", "4") as pub:
        session, _ = peer.take(10)
        peer.ack(session, 4, epoch=3)
        peer.ack(session, 10, epoch=2)
        assert pub.finish(code=1)["durable"] == 4


def test_an_appliance_whose_epoch_was_lowered_is_believed_after_a_silence():
    """It is the only one."""
    with Peer() as peer, Publisher(peer.address, "-m", "x", "-c", "2") as pub:
        session, _ = peer.take(2)
        peer.ack(session, 1, epoch=3)

        def is_over():
            if (came := peer.receive(0.1)) is not None:
                peer.ack(came.session, 2, epoch=2)
            return pub.process.poll() is not None
        wait_until(is_over, 30, "it believes")
        assert pub.finish()["durable"] == 2


@pytest.mark.parametrize("why", ["silent", "nobody-there"])
def test_the_next_appliance_is_tried(why):
    with Peer() as first, Peer() as second:
        if why == "nobody-there":
            first.socket.close()
        to = f"{at(first.address)},{at(second.address)}"
        begin = time.monotonic()
        with Standstill() as still, Publisher(to, "-m", "x", "-c", "20") as pub:
            session, got = second.take(20)
            assert sorted(got) == list(range(1, 21))
            second.ack(session, 20)
            stats = pub.finish()
            took = time.monotonic() - begin
    assert stats["durable"] == 20 and stats["failovers"] == 1
    assert why == "silent" or took < 1 + still.seconds  # the system said so


@pytest.mark.parametrize("args", [[], ["-0"]], ids=["durable", "at-most-once"])
def test_a_way_that_is_not_there_yet_is_taken_when_it_is(args):
    with contextlib.closing(Namespace("late")) as space, \
            Subscriber("-p", "7600", "-C", "3", "-W", "20", host="0.0.0.0",
                       wrap=space.exec_args) as sub, \
            Publisher("192.0.2.1:7600", "-m", "x", "-c", "3", "-W", "20", *args,
                      wrap=space.exec_args) as pub:
        assert "cannot be reached" in pub.process.stderr.readline()
        space.ip("address", "add", "192.0.2.1/32", "dev", "lo")
        assert len(sub.finish(stop=False)[0]) == 3
        pub.finish()


def test_at_most_once_is_sent_from_another_address_when_the_first_is_gone():
    with contextlib.closing(Namespace("moved")) as space:
        def move(address):
            space.ip("address", "flush", "dev", "lo")
            space.ip("address", "add", address, "dev", "lo")
            space.ip("route", "replace", "local", "198.51.100.0/24", "dev", "lo", "src", address)
        move("192.0.2.1")
        with space.entered():
            peer = Peer(address=("198.51.100.1", 0))
        with peer, Publisher(peer.address, "-m", "x", "-c", "100000", "-r", "20", "-0",
                             wrap=space.exec_args):
            for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
                move(address)
                wait_until(lambda: peer.receive(0.1) and peer.to[0] == address)


@pytest.mark.parametrize("own, other", [("127.0.0.1", "127.0.0.2"), ("fd00::1", "fd00::2")])
def test_it_sends_from_the_address_that_it_is_bound_to(own, other):
    with contextlib.closing(Namespace("bound")) as space:
        space.enable_ipv6("lo")
        for address in ("fd00::1", "fd00::2"):
            space.ip("address", "add", address, "dev", "lo", "nodad")
        with Subscriber("-C", "1", host=own, wrap=space.exec_args) as sub:
            to = f"[{own}]:{sub.address[1]}" if ":" in own else at(sub.address)
            publish(to, "-m", "x", "-b", other, wrap=space.exec_args)
            assert other in sub.finish(stop=False)[0][0]["peer"]


def test_a_message_that_is_not_acknowledged_has_failed():
    with Peer() as peer:
        done = subprocess.run(pub_args(peer.address, "-m", "x", "-i", "order-1", "-W", "0.5"),
                              capture_output=True, text=True, timeout=patience(20))
    assert done.returncode == 1
    assert "5a8a409613f90ad0af63a0f835ca6746: not within the time" in done.stderr


# sluice-sub against a peer.

def test_it_orders_and_acknowledges():
    with Subscriber("-C", "6") as sub, Peer(sub.address) as peer:
        peer.messages(7, 1, 2)
        assert peer.wait_for_ack(7, 2).credit_limit == 2 + 1024
        peer.messages(7, 6)
        peer.messages(7, 4, 5)
        # Not printed, so not acknowledged; but 3 is said to be missing.
        while (ack := peer.read_ack(7)).highest < 6:
            pass
        assert (ack.cumulative, ack.selective) == (2, b"")
        peer.messages(7, 2, 3)
        ack = peer.wait_for_ack(7, 6)
        assert ack.highest == 6 and not ack.selective
        got, stats = sub.finish(stop=False)
    assert [int(m["id"], 16) for m in got] == [1, 2, 3, 4, 5, 6]
    assert stats["duplicates"] == 1


def test_early_acks_tell_of_gaps():
    with Subscriber("--early-ack") as sub, Peer(sub.address) as peer:
        peer.messages(7, 1)
        peer.wait_for_ack(7, 1)
        peer.messages(7, 3, 4, 6)
        while (ack := peer.read_ack(7)).highest == 1:
            pass
        assert (ack.cumulative, ack.highest, ack.selective) == (1, 6, b"\x0b")
        peer.messages(7, 2, 5)
        assert peer.wait_for_ack(7, 6).highest == 6


def test_what_is_not_written_is_not_acknowledged():
    """Its reader does not read: the pipe is full, and the session stops at its credit."""
    with Subscriber(stdout=subprocess.PIPE) as sub, Peer(sub.address) as peer:
        peer.messages(7, 1)
        peer.wait_for_ack(7, 1)
        for n in range(2, 1026):
            peer.messages(7, n, payload=b"x" * 1200)
            if n % 32 == 0:
                time.sleep(0.002)
        last = 1
        while (came := peer.receive(0.5)) is not None:
            last = max(last, came.ack.cumulative)
        assert 1 <= last < 1000
        sub.process.kill()
        printed = sub.process.stdout.read()
    assert printed.count("\n") >= last


@pytest.mark.parametrize("size, count", [(1000, 800), (30000, 20)], ids=["none", "a-part"])
def test_what_a_signal_keeps_from_being_written_is_not_acknowledged(size, count):
    """It is told to end in a write that a full pipe takes no more of; the reader goes on then."""
    with Subscriber(stdout=subprocess.PIPE) as sub, Peer(sub.address) as peer:
        for n in range(1, count + 1):
            peer.messages(7, n, payload=b"x" * size)
            if n % 32 == 0:
                time.sleep(0.002)
        wchan = pathlib.Path(f"/proc/{sub.process.pid}/wchan")
        wait_until(lambda: "pipe_write" in wchan.read_text(), what="a full pipe")
        sub.process.send_signal(signal.SIGTERM)
        # Before the reader goes on, the signal is there.
        status = pathlib.Path(f"/proc/{sub.process.pid}/status")
        wait_until(lambda: not re.search(r"ShdPnd:.*[1-9a-f]", status.read_text()))
        out, err = sub.process.communicate(timeout=patience(10))
        last = 0
        while (came := peer.receive(0.3)) is not None:
            last = max(last, came.ack.cumulative)
    whole = {int(n) for n in re.findall(rf'"sequence":(\d+),.*"payload":"x{{{size}}}"}}\n', out)}
    assert set(range(1, last + 1)) <= whole
    assert sub.process.returncode == 3 and "standard output" in err


def test_redeliveries_are_acknowledged_and_not_printed_again():
    with Subscriber() as sub, Peer(sub.address) as peer:
        peer.messages(7, *range(1, 11))
        peer.wait_for_ack(7, 10)
        peer.messages(8, *range(1, 21))  # the same ids, and ten more
        peer.wait_for_ack(8, 20)
        # The same id of another source, or to another destination, is another message.
        peer.messages(9, 1, source="server2")
        peer.messages(10, 1, destination="table2")
        peer.wait_for_ack(10, 1)
        got, stats = sub.finish()
    assert len(got) == 22 and stats["redeliveries"] == 10


def test_sessions_are_known_by_address_and_number():
    with Subscriber() as sub, Peer(sub.address) as one, Peer(sub.address) as other:
        one.messages(7, 1, first_id=100)
        other.messages(7, 1, first_id=200)
        one.messages(8, 1, first_id=300)
        one.wait_for_ack(7, 1)
        other.wait_for_ack(7, 1)
        one.messages(7, 2, first_id=100)
        one.wait_for_ack(7, 2)
        got, stats = sub.finish()
    assert len(got) == 4 and stats["sessions_opened"] == 3


def test_a_session_that_does_not_begin_at_its_begin_is_refused():
    with Subscriber() as sub, Peer(sub.address) as peer:
        peer.messages(7, 5000)
        ack = peer.read_ack(7)
        assert (ack.cumulative, ack.credit_limit) == (0, 0)
        got, stats = sub.finish()
    assert got == [] and stats["refused"] == 1


def test_what_is_beyond_the_credit_is_not_taken():
    with Subscriber("--window", "16") as sub, Peer(sub.address) as peer:
        peer.messages(7, 17)
        peer.messages(7, *range(1, 17))
        assert peer.wait_for_ack(7, 16).credit_limit == 32
        peer.messages(7, 17)
        peer.wait_for_ack(7, 17)
        got, stats = sub.finish()
    assert len(got) == 17 and stats["beyond"] == 1


def test_messages_without_a_session_are_printed_at_once():
    with Subscriber("-C", "2") as sub, Peer(sub.address) as peer:
        peer.send(encode(message(1, payload=b"a"), message(2, payload=b"\xff")))
        got, stats = sub.finish(stop=False)
        assert peer.receive(0.2) is None
    assert got[0]["payload"] == "a" and got[1]["payload_hex"] == "ff"
    assert stats["at_most_once"] == 2


def test_other_layouts_are_understood():
    with Subscriber("-C", "1", "-N", "table1") as sub, Peer(sub.address) as peer:
        m = message(1, sequence=1, flags=1, payload=b"eggs")
        m.id_text = "größe"
        m.ClearField("priority")
        peer.send(pb2.Datagram(messages=[m]).SerializeToString() +
                  pb2.Datagram(magic=0x31434C53, session=9).SerializeToString())
        got, _ = sub.finish(stop=False)
        peer.wait_for_ack(9, 1)
    assert (got[0]["payload"], got[0]["id_text"]) == ("eggs", "größe")
    assert got[0]["destination"] == "table1"


def test_a_probe_is_answered():
    with Subscriber() as sub, Peer(sub.address) as peer:
        peer.send(pb2.Datagram(magic=0x31434C53, probe=pb2.Probe(nonce=42, reply=False)))
        came = peer.receive()
        assert came.probe.nonce == 42 and came.probe.reply and came.probe.in_flight == 0
        peer.send(pb2.Datagram(magic=0x31434C53, probe=pb2.Probe(nonce=42, reply=True)))
        assert peer.receive(0.2) is None


@pytest.mark.parametrize("is_listed", [True, False])
def test_old_epochs_are_ignored_of_those_who_are_believed(is_listed):
    args = ["--accept-from", HOST] if is_listed else []
    with Subscriber(*args) as sub, Peer(sub.address) as peer:
        peer.messages(7, 1, epoch=5)
        peer.wait_for_ack(7, 1)
        peer.messages(8, 1, epoch=4, first_id=50)
        if is_listed:
            peer.silent()
        else:
            peer.wait_for_ack(8, 1)
        # What comes behind it has been read.
        peer.messages(7, 2, epoch=5)
        peer.wait_for_ack(7, 2)
        got, stats = sub.finish()
    assert len(got) == (2 if is_listed else 3) and stats["old_epochs"] == 1


def test_strangers_are_not_listened_to():
    with Subscriber("--accept-from", "127.0.0.2") as sub, Peer(sub.address) as stranger, \
            Peer(sub.address, ("127.0.0.2", 0)) as known:
        stranger.messages(7, 1)
        # What comes behind it has been read.
        known.messages(8, 1, payload=b"eggs")
        known.wait_for_ack(8, 1)
        assert stranger.receive(0.1) is None
        got, stats = sub.finish()
    assert payloads(got) == ["eggs"] and stats["not_accepted"] == 1


def test_garbage_costs_only_itself(seed):
    rng = random.Random(seed)
    good = encode(*(message(n, sequence=n, flags=1, payload=b"x") for n in range(1, 4)), session=6)
    with Subscriber() as sub, Peer(sub.address) as peer:
        peer.messages(7, 1)
        peer.wait_for_ack(7, 1)
        for n in range(3000):
            data = bytearray(good if n % 2 else rng.randbytes(rng.randrange(1400)))
            for _ in range(rng.randrange(4)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            peer.send(bytes(data[:rng.randrange(len(data) + 1)]) if n % 3 else bytes(data))
            if n % 100 == 0:
                time.sleep(0.002)
        while peer.receive(0.2) is not None:  # or the socket has no room for the next
            pass
        peer.messages(7, 2, first_id=1 << 100)
        peer.wait_for_ack(7, 2)
        _, stats = sub.finish()
    assert stats["bad_datagrams"] > 500


# The programs, as programs.

@pytest.mark.parametrize("program, option", [
    (p, o) for p in (PUB, SUB) for o in re.findall(r"--[a-z-]+", subprocess.run(
        [p, "--help"], capture_output=True, text=True, check=True).stdout.partition("\n\n")[2])])
def test_the_manual_has_every_option(program, option):
    page = ROOT / "app" / program.name / f"{program.name}.1"
    assert option in page.read_text().replace("\\-", "-")


@pytest.mark.parametrize("program, args, says", [
    (PUB, ["-m", "x"], "destination"),
    (PUB, ["-d", "x"], "no message"),
    (PUB, ["-d", "x", "-m", "y", "-n"], "only once"),
    (PUB, ["-d", "x", "-n", "-P", "9"], "--priority 9"),
    (PUB, ["-d", "x", "-n", "-c", "-1"], "--count -1"),
    (PUB, ["-d", "x", "-n", "extra"], "extra"),
    (SUB, ["-F", "%z"], '"z"'),
    (SUB, ["-p", "70000"], "--port 70000"),
    (SUB, ["--no-such-option"], "--help"),
])
def test_a_wrong_command_line_ends_with_2_and_a_sentence(program, args, says):
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=patience(10))
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr.splitlines()[-1] or says in done.stderr


@pytest.mark.parametrize("program, args, says", [
    (PUB, ["-h", "no.such.host.invalid", "-d", "x", "-n"], "no.such.host.invalid"),
    (PUB, ["-d", "x", "-f", "/no/such/file"], "/no/such/file"),
    (PUB, ["-d", "x", "-m", "x" * 1400], "--datagram"),
    (SUB, ["-h", "192.0.2.1"], "192.0.2.1:7600"),
])
def test_what_cannot_begin_ends_with_3_and_a_sentence(program, args, says):
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=patience(30))
    assert done.returncode == 3 and says in done.stderr


def test_a_name_that_json_cannot_have_is_refused():
    """Or a message of it would not be printed."""
    args = [SUB, "-h", HOST, "-p", "0", "-W", "0.1", "-N", b"gr\xf6\xdfe"]
    done = subprocess.run([*args, "--json"], capture_output=True, timeout=patience(10))
    assert done.returncode == 2 and b"UTF-8" in done.stderr
    assert subprocess.run(args, check=False, timeout=patience(10)).returncode == 0


def test_a_message_is_printed_as_asked():
    with Peer() as peer:
        sub = subprocess.Popen(
            [SUB, "-h", HOST, "-p", "0", "-v", "-C", "1", "-N", "table1", "-F",
             r"%d|%s|%t|%c|%i|%I|%l|%x|%p|%q|%S|%e|%N|%T|%a|%%\t\\\n"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peer.to = HOST, int(sub.stderr.readline().rsplit(":", 1)[1])
        peer.messages(7, 1, payload=b"eggs", timestamp_ns=1700000000000000042, priority=2,
                      epoch=3)
        out = sub.communicate(timeout=patience(10))[0]
    assert out == "|".join([
        "table1", f"{name_key('server1'):016x}", f"{name_key('lunch'):016x}", "2", f"{1:032x}", "",
        "4", "65676773", "eggs", "1", f"{7:016x}", "3", "1700000000000000042",
        "2023-11-14T22:13:20.000000042Z", at(peer.address), "%\t\\\n"])


def test_too_few_messages_end_with_1():
    done = subprocess.run([SUB, "-h", HOST, "-p", "0", "-C", "1", "-W", "0.2"],
                          timeout=patience(10))
    assert done.returncode == 1
