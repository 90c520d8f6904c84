# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""At-least-once topics: what is acknowledged reaches every subscriber there was when it was taken
in, whoever is killed, slow or away."""

import contextlib
import json
import subprocess

from harness import (BUILD, LineClient, backend, destination, line_listener, line_subscriber,
                     wire)
from harness.durable import HandBackend, HandPublisher
from harness.ledger import ACKED, DELIVERED
from harness.patience import wait_until
from harness.sink import Sqlite

SLUICE_JOURNAL = BUILD / "app" / "sluice-journal" / "sluice-journal"
NEWS = "news"


def subscribers(n, **keys):
    return [backend(f"reader{i}", f"10.77.0.{10 + i}", **keys) for i in range(1, n + 1)]


def news(*readers, **keys):
    return destination(NEWS, *readers, kind="topic", **{"requeue_after_ms": 500, **keys})


def all_have(lab, names):
    """Does every subscriber have all that was acknowledged? In order, each as often as may be."""
    acked = lab.ledger.entries(ACKED, "pub1")
    return acked and all(set(acked) <= set(lab.ledger.entries(DELIVERED, name)) for name in names)


def take_all(reader, count):
    """Take and acknowledge whatever comes until there are @count different ones. Returns their ids
    in the order they came first."""
    def is_all():
        for session in {s for s, _, _ in reader.poll(0.05)}:
            reader.ack(max(reader.of(session)), session=session)
        return len({ident for _, _, ident in reader.got}) == count

    wait_until(is_all, what=f"{count} messages")
    return list(dict.fromkeys(ident for _, _, ident in reader.got))


def test_a_message_is_written_once_and_done_when_everyone_has_it(durable):
    config = durable.config(news(*subscribers(3)))
    with durable.appliance(config), HandPublisher(durable, destination=NEWS) as source, \
            contextlib.ExitStack() as stack:
        readers = [stack.enter_context(HandBackend(durable, i)) for i in (1, 2, 3)]
        source.send(1, 2, payload=b"once" * 100)
        source.wait_acked(1, 2)
        for reader in readers:
            assert list(reader.take(2).values()) == [1, 2]
        [one, two] = durable.journal().messages
        assert len(one.copies) == 3 and one.data.count(b"once" * 100) == 1
        assert set(one.copies) <= set(durable.journal().names())
        for reader in readers[:2]:
            reader.ack(2)
        wait_until(lambda: len(durable.journal().done()) == 4, what="outcomes of two")
        assert [m.ref for m in durable.journal().undelivered()] == [one.ref, two.ref]
        for line in subprocess.check_output([SLUICE_JOURNAL, "list", "--json", "--undelivered",
                                             durable.journal_dir]).splitlines():
            said = json.loads(line)
            assert said["state"] == "undelivered"
            assert [(s["backend"], s["state"]) for s in said["subscribers"]] == [
                (f"{NEWS}/reader1", "delivered"), (f"{NEWS}/reader2", "delivered"),
                (f"{NEWS}/reader3", "undelivered")]
        readers[2].ack(2)
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes of all")
        assert durable.journal().places() == {
            ref: place for m in (one, two) for place, ref in enumerate(m.refs, 1)}


def test_who_was_away_gets_what_he_missed_and_nobody_waits_for_him(durable):
    """... also when the appliance is killed meanwhile: with the same ids, in order."""
    config = durable.config(news(*subscribers(2), queue_capacity=16))
    with HandPublisher(durable, destination=NEWS) as source, HandBackend(durable, 1) as here:
        with durable.appliance(config) as sluice:
            source.send(*range(1, 101))
            source.wait_acked(*range(1, 101))
            assert take_all(here, 100) == list(range(1, 101))
            wait_until(lambda: len(durable.journal().done()) == 100, what="outcomes")
            sluice.crash()
        with durable.appliance(config), HandBackend(durable, 2) as away:
            assert take_all(away, 100) == list(range(1, 101))
            here.poll(0.1)
            assert len(here.sessions) == 1
            wait_until(lambda: len(durable.journal().done()) == 200, what="all outcomes")
    # Also of what was read back.
    journal = durable.journal()
    assert journal.places() == {
        ref: place for m in journal.messages for place, ref in enumerate(m.refs, 1)}


def test_nothing_is_missing_to_anyone_whoever_is_killed(durable):
    """The appliance, a subscriber, the publisher: kill -9, and the ledger of each is whole."""
    names = [f"kitchen{i}" for i in (1, 2, 3)]
    config = durable.config(destination("table1", *subscribers(3), kind="topic", partitions=2,
                                        requeue_after_ms=500))
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(durable.backend(i)) for i in (1, 2, 3)]
        sluice = stack.enter_context(durable.appliance(config))
        source = stack.enter_context(durable.publisher(rate=3000))
        for turn in range(4):
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked + 300, what="acks")
            if turn % 2 == 0:
                sluice.crash()
                sluice = stack.enter_context(durable.appliance(config))
            else:
                victim = readers[turn - 1] if turn == 1 else source
                victim.crash()
                victim.start()
        source.stop()
        wait_until(lambda: all_have(durable, names), timeout=20, what="everyone has everything")
        durable.report().check(drained=True)
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")


def test_a_topic_without_subscribers_accepts_and_keeps_nothing(durable):
    with durable.appliance(durable.config(news())) as sluice, \
            HandPublisher(durable, destination=NEWS) as source:
        source.send(1, 2)
        source.wait_acked(1, 2)
        source.send(2)
        sluice.wait_for(received=3, duplicates=1, dropped={"no_subscriber": 2})
        assert durable.journal().messages == []


def test_who_is_removed_holds_nothing_any_more(durable):
    with HandPublisher(durable, destination=NEWS) as source:
        with durable.appliance(durable.config(news(*subscribers(2)))) as sluice:
            source.send(1, 2, 3)
            source.wait_acked(1, 2, 3)
            # At a reload ...
            sluice.reload(durable.config(news(*subscribers(2)[1:])))
            wait_until(lambda: len(durable.journal().done()) == 3, what="outcomes")
            sluice.crash()
        # ... or while it was down.
        with durable.appliance(durable.config(news(*subscribers(3)[2:]))) as sluice:
            wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
            sluice.wait_for(dropped={"no_subscriber": 3})
            with sluice.control() as control:
                [event] = [e for e in control.show("events") if e["kind"] == "subscribers_gone"]
            assert event["fields"] == {"messages": 3}


def test_a_thousand_subscribers_get_each_message(durable):
    """All at one address and port of one process, which acknowledges for each."""
    crowd = [backend(f"reader{i}", "10.77.0.11", port=9001 + i) for i in range(1000)]
    with durable.appliance(durable.config(news(*crowd))) as sluice, \
            HandPublisher(durable, destination=NEWS) as source:
        durable.ensure_address("10.77.0.11")
        source.send(*range(1, 21))
        source.wait_acked(*range(1, 21))
        assert all(len(m.copies) == 1000 for m in durable.journal().messages)
        sluice.wait_for(received=20, copied=20 * 999, dropped={})


# Who joins: remembered, when he asks for it.

OPEN = {"subscriptions": {"accept": True}}


def subscribe(reader, name, **keys):
    reader.send(wire.subscribe(NEWS, name, **keys))


def wait_subscribers(sluice, **expected):
    """Wait until those subscribe, each there (True) or away."""
    def is_so():
        with sluice.control() as control:
            return {s["name"]: not s["is_away"] for s in control.show("subscribers", NEWS)} == expected
    wait_until(is_so, what=f"subscribers {expected}")


def test_who_joined_durably_gets_what_came_while_he_was_away(durable):
    """Silent, killed with the appliance, back at another port: nothing is missing."""
    config = durable.config(news(), **OPEN)
    with HandPublisher(durable, destination=NEWS) as source:
        with durable.appliance(config) as sluice, HandBackend(durable, 1) as passing:
            with HandBackend(durable, 2) as one:
                subscribe(passing, "passing")
                subscribe(one, "one", durable=True)
                wait_subscribers(sluice, passing=True, one=True)
                source.send(1, 2, 3)
                source.wait_acked(1, 2, 3)
                assert take_all(one, 3) == [1, 2, 3]
                subscribe(one, "one", ttl_ms=1000, durable=True)
            wait_subscribers(sluice, passing=True, one=False)
            source.send(*range(4, 51))
            source.wait_acked(*range(1, 51))
            kept = durable.journal_dir / "subscribers.json"
            wait_until(lambda: json.loads(kept.read_text())["subscribers"][0]["is_away"],
                       what="that is noted")
            sluice.crash()
        with durable.appliance(config) as sluice:
            # The other has not asked to be remembered.
            wait_subscribers(sluice, one=False)
            source.send(*range(51, 61))
            # Not one of the acks from before: they are of 1 to 50.
            source.wait_acked(*range(51, 61))
            source.send(*range(51, 61))
            with sluice.control() as control:
                [row] = control.show("subscribers", NEWS)
                assert row["is_durable"] and row["queued"] == 57
            with HandBackend(durable, 2, port=9002) as back:
                subscribe(back, "one", durable=True)
                got = take_all(back, row["queued"])
                assert got[:47] == list(range(4, 51))
            wait_until(lambda: not durable.journal().undelivered(), what="outcomes")


def test_who_is_there_already_may_ask_to_be_remembered(durable):
    """From the same port; what is on its way to him then is kept as well as what comes."""
    config = durable.config(news(), **OPEN)
    with HandPublisher(durable, destination=NEWS) as source, HandBackend(durable, 1) as one, \
            durable.appliance(config) as sluice:
        subscribe(one, "one")
        wait_subscribers(sluice, one=True)
        source.send(*range(1, 11))
        source.wait_acked(*range(1, 11))
        subscribe(one, "one", durable=True)
        wait_until((durable.journal_dir / "subscribers.json").exists, what="that is noted")
        source.send(*range(11, 21))
        source.wait_acked(*range(1, 21))
        sluice.crash()
        sluice.restart()
        wait_subscribers(sluice, one=True)
        with HandBackend(durable, 1, port=9002) as back:
            subscribe(back, "one", durable=True)
            assert take_all(back, 20) == list(range(1, 21))
        wait_until(lambda: not durable.journal().undelivered(), what="outcomes")


def test_who_is_forgotten_holds_nothing_any_more(durable):
    config = durable.config(news(), **OPEN)
    with HandPublisher(durable, destination=NEWS) as source:
        with durable.appliance(config) as sluice, HandBackend(durable, 1) as one:
            subscribe(one, "one", durable=True)
            wait_subscribers(sluice, one=True)
            subscribe(one, "one", leave=True)
            wait_subscribers(sluice, one=False)
            source.send(1, 2)
            source.wait_acked(1, 2)
            with sluice.control() as control:
                control.ask(subscribe={"destination": NEWS, "backend": "one", "leave": True})
            wait_until(lambda: not durable.journal().undelivered(), what="outcomes")
            assert not (durable.journal_dir / "subscribers.json").exists()
        with durable.appliance(config) as sluice:
            wait_subscribers(sluice)
            sluice.stop()
        (durable.journal_dir / "subscribers.json").write_text("{")
        code, said = durable.appliance(config).fail()
        assert 0 < code < 128 and "subscribers.json: line 1" in said


def test_a_sink_has_one_row_a_message(durable):
    """DELIVERED when the first subscriber has it; also when that is long after the row."""
    config = durable.config_with_sink(news(*subscribers(3)))
    with durable.appliance(config), HandPublisher(durable, destination=NEWS) as source, \
            HandBackend(durable, 1) as one:
        database = Sqlite(durable.dir / "messages.db")

        def rows():
            return database.is_made() and database.query(
                "SELECT status, count(*) FROM sluice_messages GROUP BY status")

        source.send(1, 2, payload=b"row")
        source.wait_acked(1, 2)
        wait_until(lambda: rows() == [("INGESTED", 2)], what="two rows")
        one.take(2)
        one.ack(1)
        wait_until(lambda: rows() == [("DELIVERED", 1), ("INGESTED", 1)], what="one delivered")


def test_a_topic_on_demand_keeps_what_its_durable_subscribers_have_not_had(durable):
    """Clients of a gateway and a durable subscriber at one topic, that nobody configured."""
    config = durable.config(
        destination("other"), **OPEN,
        gateways={"threads": 1, "listeners": [line_listener(guarantee="at-least-once",
                                                            keep_open=True)]})
    with durable.appliance(config) as sluice:
        with line_subscriber(durable.inside, NEWS) as one, \
                line_subscriber(durable.inside, NEWS) as two, \
                LineClient(durable.inside) as source, HandBackend(durable, 1) as reader:
            wait_until(lambda: has_topic(sluice, NEWS), what="the topic")
            wait_subscribers(sluice, **{"gateway-0": True})
            subscribe(reader, "kept", durable=True)
            wait_subscribers(sluice, **{"gateway-0": True, "kept": True})
            source.send(f"PUBLISH|{NEWS}|first", f"PUBLISH|{NEWS}|second")
            assert [source.line(), source.line()] == ["ACK", "ACK"]
            for client in (one, two):
                assert [client.line(), client.line()] == ["first", "second"]
        sluice.crash()
        sluice.restart()
        # The gateway's clients are gone, what was theirs with them.
        wait_subscribers(sluice, kept=True)
        with HandBackend(durable, 1) as reader:
            assert len(take_all(reader, 2)) == 2
            wait_until(lambda: not durable.journal().undelivered(), what="outcomes")


def has_topic(sluice, name):
    with sluice.control() as control:
        return name in [topic["name"] for topic in control.show("topics")]
