# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Clients of a gateway as durable subscribers, under a name: what an at-least-once topic accepts while
they are away is kept for them, whoever is killed."""

import json
import subprocess
import sys
import threading

import pytest

from harness import destination
from harness.durable import DurableLab
from harness.patience import wait_until
from test_json_gateway import PORT, Client, order

NAMES = [f"topic{i}" for i in range(12)]


def config(bench, threads=2, topics=NAMES):
    """A topic for each of the checks that share an appliance; a queue, and one that keeps nothing."""
    topics = [destination(name, kind="topic", requeue_after_ms=500) for name in topics]
    return bench.config(
        *topics, destination("queue"), destination("loose", kind="topic", guarantee="at-most-once"),
        gateways={"threads": threads, "listeners": [
            {"name": "json", "protocol": "json", "address": "127.0.0.1", "port": PORT}]})


class Named(Client):
    """A durable subscriber, that has begun."""

    def __init__(self, bench, topic, name, options=None, **keys):
        super().__init__(bench, **(options or {}))
        self.send({"subscribe": topic, "as": name, **keys})
        answer = self.line()
        assert answer == {"subscribed": topic, "as": name}, answer

    def numbers(self, count):
        """Of the messages that came, in the order they came first."""
        seen = {}
        while len(seen) < count:
            line = self.line()
            assert line is not None, f"{len(seen)} of {count} came: {list(seen)[-5:]}"
            seen[line["payload"]["order"]] = None
        return list(seen)

    def numbers_until(self, last):
        """Of all messages up to that one, again and again as they came."""
        numbers = [self.line()["payload"]["order"]]
        while numbers[-1] != last:
            numbers.append(self.line()["payload"]["order"])
        return numbers


class Source(Client):
    """A publisher that waits for each to be acknowledged."""

    def __init__(self, bench, topic):
        super().__init__(bench)
        self.topic = topic
        assert self.ask(acks=True) == {"acks": True}

    def publish(self, *numbers):
        self.send(*(order(n, self.topic) for n in numbers))
        for _ in numbers:
            assert "ack" in self.line()


def subscribers(sluice, topic):
    with sluice.control() as control:
        return {row["name"]: row for row in control.show("subscribers", topic)}


def wait_subscribers(sluice, topic, **expected):
    """Wait until those subscribe, each there (True) or away."""
    wait_until(lambda: {name: not row["is_away"] for name, row in subscribers(sluice, topic).items()}
               == expected, what=f"subscribers {expected}")


@pytest.fixture(scope="module")
def bench():
    with DurableLab() as lab:
        yield lab


@pytest.fixture(scope="module")
def shared(bench):
    with bench.appliance(config(bench)) as sluice:
        yield sluice


def test_who_comes_back_gets_what_it_missed_and_then_the_new(bench, shared):
    """... in order, several times, on whichever thread."""
    topic = NAMES[0]
    with Source(bench, topic) as source:
        with Named(bench, topic, "kitchen") as one:
            source.publish(1, 2, 3)
            assert one.numbers(3) == [1, 2, 3]
        for turn in range(4):
            wait_subscribers(shared, topic, kitchen=False)
            first = 4 + 50 * turn
            source.publish(*range(first, first + 40))
            with Named(bench, topic, "kitchen") as one:
                source.publish(*range(first + 40, first + 50))
                assert one.numbers(50) == list(range(first, first + 50))
        row = subscribers(shared, topic)["kitchen"]
        assert row["kind"] == "gateway" and row["is_durable"]


def test_each_name_is_a_subscriber_of_its_own(bench, shared):
    topic = NAMES[1]
    with Source(bench, topic) as source, Named(bench, topic, "here") as here, \
            Client(bench) as passing:
        assert passing.ask(subscribe=topic) == {"subscribed": topic}
        Named(bench, topic, "away").__exit__()
        wait_subscribers(shared, topic, away=False, here=True, **{
            name: True for name in subscribers(shared, topic) if name.startswith("gateway-")})
        source.publish(*range(10))
        assert here.numbers(10) == list(range(10))
        assert [line["payload"]["order"] for line in passing.take(10)] == list(range(10))
        here.nothing()
        with Named(bench, topic, "away") as away:
            assert away.numbers(10) == list(range(10))


def test_the_newer_takes_a_name_from_the_older(bench, shared):
    topic = NAMES[2]
    with Source(bench, topic) as source, Named(bench, topic, "kitchen") as older:
        source.publish(1, 2)
        assert older.numbers(2) == [1, 2]
        for turn in range(5):
            newer = Named(bench, topic, "kitchen")
            assert older.line() == {"error": f"another client subscribes to {topic} as kitchen now"}
            source.publish(10 * turn + 10, 10 * turn + 11)
            assert newer.numbers(2) == [10 * turn + 10, 10 * turn + 11]
            older.nothing(0.05)
            older.__exit__()
            older = newer
        older.__exit__()


@pytest.mark.parametrize("acks", [False, True])
def test_a_name_that_is_taken_over_in_a_stream_keeps_its_order(bench, shared, acks):
    """... and loses nothing, with each client on one or the other thread."""
    topic, got, published, done = NAMES[8 + acks], [], [], threading.Event()

    def publish():
        with Source(bench, topic) as source:
            while not done.wait(0.005):
                numbers = range(len(published), len(published) + 20)
                source.publish(*numbers)
                published.extend(numbers)

    def take(client, is_enough):
        """What comes until it is another's, or enough."""
        while not is_enough() and "error" not in (line := client.line()):
            got.append(line["payload"]["order"])
            if acks:
                client.send({"received": line["messageId"]})

    clients = [Named(bench, topic, "kitchen", acks=acks)]
    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for turn in range(8):
            take(clients[-1], lambda: len(got) >= 50 * turn + 50)
            newer = Client(bench)
            newer.send({"subscribe": topic, "as": "kitchen", "acks": acks})
            take(clients[-1], lambda: False)
            clients.append(newer)
            assert newer.line() == {"subscribed": topic, "as": "kitchen"}
    finally:
        done.set()
        publisher.join()
    take(clients[-1], lambda: got[-1] == published[-1])
    for client in clients:
        client.socket.close()
    assert list(dict.fromkeys(got)) == published


def test_who_is_forgotten_has_nothing_kept(bench, shared):
    topic = NAMES[3]
    with Source(bench, topic) as source:
        one = Named(bench, topic, "kitchen")
        assert one.ask(**{"unsubscribe": topic, "as": "kitchen"}) == {
            "unsubscribed": topic, "as": "kitchen"}
        wait_subscribers(shared, topic)
        source.publish(1)
        one.nothing(0.1)
        # That it is gone is no error; it may be back, as somebody new.
        for _ in range(2):
            assert one.ask(**{"unsubscribe": topic, "as": "kitchen"}) == {
                "unsubscribed": topic, "as": "kitchen"}
        assert one.ask(**{"subscribe": topic, "as": "kitchen"}) == {
            "subscribed": topic, "as": "kitchen"}
        source.publish(2)
        assert one.numbers(1) == [2]
        one.__exit__()
        # Away, by another client, or by an operator.
        for forget in ("client", "operator"):
            wait_subscribers(shared, topic, kitchen=False)
            source.publish(f"{forget} 1", f"{forget} 2")
            if forget == "client":
                with Client(bench) as other:
                    assert "unsubscribed" in other.ask(**{"unsubscribe": topic, "as": "kitchen"})
            else:
                with shared.control() as control:
                    control.ask(subscribe={"destination": topic, "backend": "kitchen",
                                           "leave": True})
            wait_subscribers(shared, topic)
            with Named(bench, topic, "kitchen") as one:
                one.nothing(0.1)
        # Who begins anew at once has missed nothing.
        wait_subscribers(shared, topic, kitchen=False)
        source.publish("kept 1", "kept 2")
        with Client(bench) as one:
            for turn in range(3):
                one.send({"unsubscribe": topic, "as": "kitchen"},
                         {"subscribe": topic, "as": "kitchen"})
                assert one.take(2) == [{"unsubscribed": topic, "as": "kitchen"},
                                       {"subscribed": topic, "as": "kitchen"}]
                source.publish(f"new {turn}")
                assert one.line()["payload"]["order"] == f"new {turn}"
        # An operator may forget one that is there; it is told.
        with Named(bench, topic, "bar") as one:
            wait_subscribers(shared, topic, kitchen=False, bar=True)
            with shared.control() as control:
                control.ask(subscribe={"destination": topic, "backend": "bar", "leave": True})
            assert one.line() == {
                "error": f"bar of {topic} was forgotten, or is another client's now"}


def test_wrong_uses_are_told_what_to_do(bench, shared):
    topic = NAMES[4]
    with Client(bench) as one:
        def error(**command):
            return one.ask(**command)["error"]

        assert "is a queue" in error(**{"subscribe": "queue", "as": "kitchen"})
        assert "guarantee: at-least-once" in error(**{"subscribe": "loose", "as": "kitchen"})
        assert "no destination" in error(**{"subscribe": "nowhere", "as": "kitchen"})
        for name in ("x" * 64, "a\nb"):
            assert "1 to 63 bytes" in error(**{"subscribe": topic, "as": name})
        assert "take another" in error(**{"subscribe": topic, "as": "gateway-0"})
        assert one.ask(subscribe=topic) == {"subscribed": topic}
        assert "unsubscribe first" in error(**{"subscribe": topic, "as": "kitchen"})
        with Named(bench, topic, "kitchen"):
            assert "another client" in error(**{"unsubscribe": topic, "as": "kitchen"})
        # Who joined by another way is nobody's to take or to forget.
        with shared.control() as control:
            control.ask(subscribe={"destination": topic, "backend": "elsewhere",
                                   "address": "10.77.0.11", "port": 9001, "durable": True})
        assert one.ask(unsubscribe=topic) == {"unsubscribed": topic}
        assert "no gateway's client" in error(**{"subscribe": topic, "as": "elsewhere"})
        assert "sluicectl unsubscribe" in error(**{"unsubscribe": topic, "as": "elsewhere"})
        assert "no message waits" in error(received="m-1")


def test_who_does_not_read_delays_nobody(bench, shared):
    """It is closed, then away, and has everything when it is back."""
    topic, count = NAMES[5], 600
    payload = {"fill": "x" * 4000}
    with Source(bench, topic) as source, Named(bench, topic, "quick") as quick:
        slow = Named(bench, topic, "slow", options={"SO_RCVBUF": 1 << 16})
        for at in range(0, count, 100):
            source.send(*(order(n, topic, payload={"order": n, **payload})
                          for n in range(at, at + 100)))
            source.take(100)
            assert quick.numbers(100) == list(range(at, at + 100))
        slow.__exit__()
        with Named(bench, topic, "slow") as back:
            # What had gone into the first one's socket counts as delivered.
            first = back.line()["payload"]["order"]
            assert back.numbers(count - 1 - first) == list(range(first + 1, count))


def test_who_acknowledges_loses_nothing_of_what_it_had_not_received(bench, shared):
    topic = NAMES[6]
    with Source(bench, topic) as source:
        with Named(bench, topic, "kitchen", acks=True) as one:
            source.publish(*range(1, 11))
            assert one.numbers(10) == list(range(1, 11))
            one.send(*({"received": f"m-{n}"} for n in (1, 2, 3)))
            assert "no message waits" in one.ask(received="m-1")["error"]
            wait_until(lambda: subscribers(shared, topic)["kitchen"]["queued"] == 7, what="acks")
        wait_subscribers(shared, topic, kitchen=False)
        source.publish(11)
        with Named(bench, topic, "kitchen", acks=True) as back:
            assert back.numbers(8) == list(range(4, 12))
            back.send(*({"received": f"m-{n}"} for n in range(4, 12)))
            wait_until(lambda: subscribers(shared, topic)["kitchen"]["queued"] == 0, what="acks")
        with Named(bench, topic, "kitchen", acks=True) as back:
            back.nothing(0.1)


CONSUMER = """
import json, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(json.dumps({"subscribe": sys.argv[2], "as": "kitchen", "acks": True}).encode() + b"\\n")
for line in s.makefile():
    m = json.loads(line)
    if "messageId" in m:
        print(m["payload"]["order"], flush=True)
        s.sendall(json.dumps({"received": m["messageId"]}).encode() + b"\\n")
"""


def consumer(bench, topic):
    argv = bench.inside.exec_args(sys.executable, "-c", CONSUMER, str(PORT), topic)
    return subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, text=True)


def test_a_consumer_killed_in_the_middle_of_a_stream_misses_nothing(bench, shared):
    topic, got = NAMES[7], []
    with Source(bench, topic) as source, Named(bench, topic, "kitchen"):
        pass
    with Source(bench, topic) as source:
        for turn in range(3):
            process = consumer(bench, topic)
            source.publish(*range(turn * 200, turn * 200 + 200))
            got += [int(process.stdout.readline()) for _ in range(100)]
            process.kill()
            got += [int(n) for n in process.communicate()[0].split()]
        process = consumer(bench, topic)
        while got[-1] != 599:
            got.append(int(process.stdout.readline()))
        process.kill()
        process.communicate()
    assert list(dict.fromkeys(got)) == list(range(600))


def test_a_topic_that_goes_takes_its_subscribers_with_it(bench, shared):
    """Those of other topics stay, and those of their clients."""
    topic, stays = NAMES[10:]
    with Named(bench, topic, "kitchen") as one, Source(bench, stays) as source:
        one.send({"subscribe": stays, "as": "kitchen"})
        assert one.line() == {"subscribed": stays, "as": "kitchen"}
        shared.reload(config(bench, topics=NAMES[:10] + NAMES[11:]))
        assert one.line() == {"error": f"{topic} is gone, and its subscriber kitchen with it"}
        assert "no destination" in one.ask(**{"subscribe": topic, "as": "kitchen"})["error"]
        source.publish(1)
        assert one.numbers(1) == [1]
        shared.reload(config(bench))
        assert one.ask(**{"subscribe": topic, "as": "kitchen"}) == {
            "subscribed": topic, "as": "kitchen"}


@pytest.mark.parametrize("threads", [1, 2])
def test_nothing_acknowledged_is_lost_when_the_appliance_is_killed(durable, threads):
    """While the subscriber is away, and while it is there and messages come; the thread it was with
    may be gone with it."""
    acked, got, topic = [], [], NAMES[0]
    chosen, other = config(durable, threads), config(durable, 3 - threads)

    def publish(sluice, numbers, crash_after=None):
        with Client(durable) as source:
            source.send({"acks": True}, *(order(n, topic) for n in numbers))
            while (line := source.line()) is not None:
                if "ack" in line:
                    acked.append(int(line["ack"][2:]))
                if len(acked) == crash_after:
                    sluice.crash()
                elif line.get("ack") == f"m-{numbers[-1]}":
                    return

    with durable.appliance(chosen) as sluice:
        with Named(durable, topic, "kitchen", acks=True):
            pass
        wait_subscribers(sluice, topic, kitchen=False)
        publish(sluice, range(300), crash_after=100)
    with durable.appliance(other) as sluice:
        wait_subscribers(sluice, topic, kitchen=False)
        with Named(durable, topic, "kitchen", acks=True) as one:
            publish(sluice, range(1000, 1300), crash_after=len(acked) + 100)
            while (line := one.line()) is not None:
                got.append(line["payload"]["order"])
    with durable.appliance(chosen) as sluice:
        wait_subscribers(sluice, topic, kitchen=False)
        kept = json.loads((durable.journal_dir / "subscribers.json").read_text())
        assert [s["backend"] for s in kept["subscribers"]] == ["kitchen"]
        with Named(durable, topic, "kitchen") as one:
            publish(sluice, range(2000, 2010))
            got += one.numbers_until(2009)
            one.nothing(0.2)
        assert set(acked) <= set(got)
        assert all(n in range(300) or n in range(1000, 1300) or n in range(2000, 2010) for n in got)
        # In order, each time from what had not been received.
        assert list(dict.fromkeys(got)) == sorted(set(got))
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
