# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Standing in for a broker of the line protocol: what it had not cleared is delivered when it dies."""

import contextlib
import itertools
import time

from harness import (HttpClient, LineClient, Primary, backend, destination, line_listener,
                     line_subscriber, listen_args, make_config)
from harness.patience import wait_until

PRIMARY = "127.0.0.1:8081"
# What a datagram of 9000 bytes has left for a payload.
LONGEST = 8874


@contextlib.contextmanager
def standin(lab, primary=PRIMARY, **keys):
    config = make_config(destination("kitchen", backend("one", "10.77.0.11")),
                         destination("idle", guarantee="at-most-once"),
                         gateways={"threads": keys.pop("threads", 1),
                                   "listeners": [line_listener(primary=primary, **keys)]})
    with lab.appliance(config, args=listen_args()) as sluice:
        yield sluice


def shown(sluice):
    with sluice.control() as control:
        return control.show("ingress", "broker")["primary"]


def wait_shown(sluice, **wanted):
    return wait_until(lambda: wanted.items() <= shown(sluice).items(),
                      what=f"{wanted}; the last was {shown(sluice)}")


def publish(lab, topic, *payloads):
    for payload in payloads:
        with LineClient(lab.inside, f"PUBLISH|{topic}|{payload}") as client:
            assert client.rest() == ["ACK"]


def test_what_was_not_cleared_is_delivered_in_order_when_the_primary_dies(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice, \
            line_subscriber(lab.inside, "a", "b") as client:
        primary.replicate(*(f"REPLICATE|{'ab'[i % 2]}|{i}|x" for i in range(1000)))
        primary.replicate(*(f"CLEAR|{'ab'[i % 2]}|{i}|x" for i in range(1000) if i % 3 != 0))
        wait_shown(sluice, replicated=1000, cleared=666, stored=334, state="alive")
        client.nothing()
        primary.die()
        got = [int(line[:-2]) for line in client.lines(334)]
        # Of each topic.
        for topic in (0, 1):
            assert [i for i in got if i % 2 == topic] == \
                [i for i in range(0, 1000, 3) if i % 2 == topic]
        wait_shown(sluice, state="dead", stored=0, stored_bytes=0, delivered=334, lost=0)
        client.nothing()


def test_it_is_pinged_every_second(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice:
        primary.wait_pinged(4)
        # Who stands still for a while is pinged late, and then soon again: not every time.
        gaps = [b - a for a, b in itertools.pairwise(primary.pinged_at)]
        assert max(gaps) > 0.75 and min(gaps) < 2.5, gaps
        wait_until(lambda: shown(sluice)["pongs"] >= 3, what="its answers counted")


def test_new_messages_come_behind_those_of_the_dead(lab):
    """A publisher that finds the primary dead is quicker than the next ping would be."""
    with Primary(lab.inside) as primary, standin(lab) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        for round_ in range(3):
            primary.replicate(*(f"REPLICATE|t|{round_}.{i}" for i in range(50)))
            wait_shown(sluice, stored=50, state="alive")
            # The replication goes on: only a ping tells that it is dead.
            primary._listener, listener = None, primary._listener
            listener.shutdown(2)
            listener.close()
            publish(lab, "t", f"{round_}.new")
            assert client.lines(51) == [f"{round_}.{i}" for i in range(50)] + [f"{round_}.new"]
            primary.start()
            wait_shown(sluice, state="alive")


def test_while_the_primary_lives_its_backup_is_a_broker_too(lab):
    with Primary(lab.inside) as primary, standin(lab, keep_open=True) as sluice, \
            line_subscriber(lab.inside, "t") as client, LineClient(lab.inside) as publisher:
        primary.replicate("REPLICATE|t|kept")
        for i in range(20):
            publisher.send(f"PUBLISH|t|{i}")
            assert publisher.line() == "ACK"
        assert client.lines(20) == [str(i) for i in range(20)]
        wait_shown(sluice, state="alive", stored=1)
        # Many at once cost one ping, not one each.
        pings = primary.pings
        publisher.send(*(f"PUBLISH|t|{i}" for i in range(1000)))
        assert publisher.lines(1000) == ["ACK"] * 1000
        assert client.lines(1000) == [str(i) for i in range(1000)]
        assert primary.pings - pings < 100


def test_equal_messages_are_cleared_one_by_one(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        primary.replicate("REPLICATE|t|same", "REPLICATE|t|other", "REPLICATE|t|same",
                          "CLEAR|t|same", "CLEAR|t|never", "CLEAR|u|other")
        wait_shown(sluice, stored=2, cleared=1, clears_unknown=2)
        metrics, labels = HttpClient(lab.inside).metrics(), {"gateway": "broker", "protocol": "line"}
        assert metrics.value("sluice_gateway_primary_up", **labels) == 1
        assert metrics.value("sluice_gateway_primary_stored", **labels) == 2
        primary.die()
        assert client.lines(2) == ["other", "same"]
        client.nothing()


def test_a_primary_that_is_silent_is_dead_after_some_pings(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        primary.replicate("REPLICATE|t|kept")
        wait_shown(sluice, stored=1, state="alive")
        primary.answer = None
        assert client.line() == "kept"
        at_its_death = shown(sluice)
        assert at_its_death["pings"] - at_its_death["pongs"] >= 3
        primary.wait_pinged()
        # And back, when it answers again.
        primary.answer = b"PONG\r\n"
        wait_shown(sluice, state="alive")
        primary.replicate("REPLICATE|t|later")
        wait_shown(sluice, stored=1)
        client.nothing()


def test_another_answer_is_none(lab):
    with Primary(lab.inside, answer=b"ERR|who are you\n") as primary, standin(lab) as sluice:
        primary.replicate("REPLICATE|t|kept")
        primary.wait_pinged()
        primary.answer = b"x" * 1000
        wait_shown(sluice, state="dead", delivered=1)


def test_a_primary_that_is_not_there_is_told_once_and_so_is_its_return(lab):
    primary = Primary(lab.inside)
    primary.die()
    with standin(lab) as sluice:
        sluice.wait_said("primary 127.0.0.1:8081 is dead (Connection refused)")
        # The appliance is the broker now.
        with line_subscriber(lab.inside, "t") as client:
            publish(lab, "t", "hello")
            assert client.line() == "hello"
        primary.start()
        sluice.wait_said("primary 127.0.0.1:8081 answers again")
        assert sluice.stderr.count("is dead") == 1

        def kinds():
            with sluice.control() as control:
                return [event["kind"] for event in control.show("events")]
        # It is said first.
        wait_until(lambda: "primary_up" in kinds(), what="the event")
        assert kinds().count("primary_down") == kinds().count("primary_up") == 1
    primary.die()


def test_a_primary_may_have_a_name_with_several_addresses(lab):
    """localhost is ::1 and 127.0.0.1 in /etc/hosts; the primary listens at one of them."""
    with Primary(lab.inside) as primary, standin(lab, primary="localhost:8081") as sluice:
        primary.wait_pinged(2)
        wait_shown(sluice, state="alive")


def test_a_primary_may_be_silent_for_longer_than_a_client(lab):
    with Primary(lab.inside) as primary, standin(lab, idle_ms=1000) as sluice, \
            LineClient(lab.inside) as idle:
        primary.replicate("REPLICATE|t|1")
        assert idle.line() is None
        time.sleep(1.5)
        primary.replicate("REPLICATE|t|2", "CLEAR|t|1")
        wait_shown(sluice, replicated=2, cleared=1, stored=1)


def test_what_was_not_cleared_outlives_a_kill(durable):
    """With a journal; in a durable topic's place stands a queue."""
    config = durable.config(destination("orders"), gateways={
        "threads": 1, "listeners": [line_listener(primary=PRIMARY)]})
    with Primary(durable.inside) as primary, durable.appliance(config) as sluice:
        for round_ in range(2):
            primary.replicate(*(f"REPLICATE|orders|{round_}.{i}" for i in range(100)))
            primary.replicate(*(f"CLEAR|orders|{round_}.{i}" for i in range(100) if i % 10))
            wait_shown(sluice, stored=10 * (round_ + 1), is_logged=True)
            sluice.crash()
            primary.die()
            primary.start()
            sluice.restart()
            wait_shown(sluice, stored=10 * (round_ + 1), state="alive")
        primary.replicate("CLEAR|orders|1.50", "REPLICATE|orders|last")
        wait_shown(sluice, stored=20)
        primary.die()
        wait_shown(sluice, stored=0, delivered=20)
        # Given to the path, not yet to anybody: that is the journal's now, or still the log's.
        sluice.crash()
        sluice.restart()
        with LineClient(durable.inside, "SUBSCRIBE|orders") as client:
            wanted = [f"{r}.{i}" for r in range(2) for i in range(0, 100, 10) if (r, i) != (1, 50)]
            assert client.lines(20) == wanted + ["last"]
            client.nothing()


def test_without_a_journal_a_restart_forgets_what_was_replicated(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice:
        primary.replicate("REPLICATE|t|1")
        wait_shown(sluice, stored=1, is_logged=False)
        sluice.stop()
        primary.die()
        sluice.restart()
        wait_shown(sluice, stored=0, state="dead", delivered=0)


def test_what_is_kept_is_bounded(lab):
    payload, count, batch = "x" * (LONGEST - 5), 30_300, 300
    with Primary(lab.inside) as primary, standin(lab) as sluice:
        for begin in range(0, count, batch):
            primary.replicate(*(f"REPLICATE|t|{i:05}{payload}" for i in range(begin, begin + batch)))
        kept = wait_until(lambda: (s := shown(sluice))["replicated"] + s["dropped"] == count and s)
        assert 0 < kept["dropped"] < 100 and kept["stored_bytes"] <= 256 << 20
        refusals = b"ERR|no room for what is replicated\n" * kept["dropped"]
        assert primary.read(len(refusals)) == refusals
        primary.replicate(*(f"CLEAR|t|{i:05}{payload}" for i in range(10)), "REPLICATE|t|fits")
        wait_shown(sluice, cleared=10, replicated=kept["replicated"] + 1)


def taken_over(sluice):
    """The event, when it is there."""
    with sluice.control() as control:
        return next((event for event in control.show("events")
                     if event["kind"] == "primary_taken_over"), None)


def test_what_could_never_be_delivered_is_not_kept(lab):
    with Primary(lab.inside) as primary, standin(lab) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        primary.replicate(*(f"REPLICATE|t|{'x' * length}" for length in (LONGEST, LONGEST + 1)))
        wait_until(lambda: sluice.stderr.count("it replicates what no datagram holds"))
        assert primary.read(13) == b"ERR|too long\n"
        wait_shown(sluice, replicated=1, stored=1)
        primary.die()
        assert client.line() == "x" * LONGEST
        wait_shown(sluice, stored=0, delivered=1, lost=0)


def test_what_lacks_a_buffer_is_delivered_later_and_in_its_order(lab):
    """Nobody reads a queue, and its messages have all the large buffers there are for such."""
    big, answers = "x" * 4000, ["ACK"]
    with Primary(lab.inside) as primary, standin(lab, keep_open=True) as sluice:
        with LineClient(lab.inside) as publisher:
            while answers[-1] == "ACK":
                publisher.send(*(f"PUBLISH|idle|{big}",) * 50)
                answers += publisher.lines(50)
                assert len(answers) < 5000
        primary.replicate(*(f"REPLICATE|idle|{i}{big}" for i in range(10)))
        wait_shown(sluice, stored=10)
        primary.die()
        wait_shown(sluice, state="dead", stored=10, lost=0)
        with LineClient(lab.inside, "SUBSCRIBE|idle") as reader, \
                LineClient(lab.inside, f"PUBLISH|idle|new{big}"):
            assert reader.lines(answers[1:].count("ACK")) == [big] * answers[1:].count("ACK")
            assert reader.lines(11) == [f"{i}{big}" for i in (*range(10), "new")]
        wait_shown(sluice, stored=0, delivered=10, lost=0)


def test_what_is_lost_in_a_take_over_is_told(lab):
    with Primary(lab.inside) as primary, standin(lab, topics_max=1) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        primary.replicate("REPLICATE|t|1", "REPLICATE|another|2", "REPLICATE|t|3")
        wait_shown(sluice, stored=3)
        primary.die()
        assert client.lines(2) == ["1", "3"]
        event = wait_until(lambda: taken_over(sluice), what="the event")
        assert event["level"] == "warn" and event["fields"] == {
            "gateway": "broker", "primary": PRIMARY, "messages": 2, "lost": 1,
            "error": "there are topics_max already"}
        sluice.wait_said("are delivered; 1 are lost: there are topics_max already")
        wait_shown(sluice, delivered=2, lost=1)


def test_one_thread_has_it_all(lab):
    with Primary(lab.inside) as primary, standin(lab, threads=2) as sluice, \
            line_subscriber(lab.inside, "t") as client:
        for i in range(8):
            with LineClient(lab.inside, f"REPLICATE|t|{i}") as one:
                one.ping()
        wait_shown(sluice, stored=8)
        primary.die()
        assert client.lines(8) == [str(i) for i in range(8)]
