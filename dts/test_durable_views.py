# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What an operator sees of durability: views, metrics, events, and what may change while it runs."""

import contextlib
import re

import pytest

from harness import (ControlError, HttpClient, backend, destination, listen_args, make_config, table)
from harness.cli import Cli
from harness.durable import DurableLab, HandBackend, HandPublisher
from harness.ledger import DELIVERED
from harness.patience import Deadline, wait_until


@pytest.fixture(scope="module")
def bench():
    """(appliance, control, HTTP client, publisher, backend): three messages acknowledged, two of
    them delivered and acknowledged, one on its way."""
    with DurableLab() as lab:
        config = lab.config_with_sink(table(1, guarantee="at-least-once", requeue_after_ms=60000),
                                      table(2, guarantee="at-most-once"))
        with lab.appliance(config, args=listen_args()) as sluice, sluice.control() as control, \
                HandPublisher(lab) as source, HandBackend(lab) as kitchen:
            source.send(1, 2, 3)
            source.wait_acked(1, 2, 3)
            kitchen.take(3)
            kitchen.ack(2)
            wait_until(lambda: control.show("journal")["undelivered"] == 1, what="two are delivered")
            wait_until(lambda: control.show("sinks")[0]["rows"] == 3, what="the rows are written")
            yield sluice, control, HttpClient(lab.inside), source, kitchen


def test_the_journal_is_shown(bench):
    control = bench[1]
    wait_until(lambda: control.show("journal")["segments"] > 0, what="it is described")
    journal = control.show("journal")
    assert journal["state"] == "OK" and journal["failure"] is None and journal["failures"] == 0
    assert journal["records"] >= 4 and journal["syncs"] >= 1 and journal["bytes"] > 300
    assert journal["segments"] >= 1 and journal["segments_bytes"] <= journal["max_bytes"]
    assert journal["disk"]["free_bytes"] <= journal["disk"]["size_bytes"]
    sync_us = journal["sync_us"]
    assert 0 < sync_us["p50"] <= sync_us["p99"] < 60e6 and 0 < sync_us["max"] < 60e6
    assert 0 <= journal["oldest_s"] < 600


def test_publishers_are_shown(bench):
    [row] = bench[1].show("publishers")
    assert int(row["session"], 16) == bench[3].session
    assert row["source"] in ("server1", "34c90d949fadbbb9")
    assert (row["cumulative"], row["messages"], row["over_limit"]) == (3, 3, 0)
    assert row["credit"] > 0 and row["idle_s"] < 600


def test_sessions_are_shown(bench):
    [row] = bench[1].show("sessions", "table1")
    assert (row["destination"], row["backend"]) == ("table1", "kitchen1")
    assert (row["acked"], row["next_sequence"], row["in_flight"]) == (2, 4, 1)
    assert row["is_stalled"] is False and row["bad_acks"] == 0
    # It is measured by what was sent once.
    bench[4].poll()
    was_sent_once = [sequence for _, sequence, _ in bench[4].got].count(2) == 1
    assert row["rtt_us"] > 0 if was_sent_once else row["rtt_us"] is None
    assert bench[1].show("sessions", "table2") == [], "it acknowledges nothing"
    with pytest.raises(ControlError) as refused:
        bench[1].show("sessions", "nowhere")
    assert "nowhere" in refused.value.text


def test_queues_tell_what_is_in_flight(bench):
    rows = {row["destination"]: row for row in bench[1].show("queues")}
    assert (rows["table1"]["in_flight"], rows["table1"]["parked"]) == (1, 0)
    assert (rows["table2"]["in_flight"], rows["table2"]["parked"]) == (0, 0)
    listed = {row["name"]: row for row in bench[1].show("destinations")}
    assert listed["table1"]["guarantee"] == "at-least-once" and listed["table1"]["in_flight"] == 1
    assert listed["table2"]["guarantee"] == "at-most-once"


def test_sinks_are_shown(bench):
    [sink] = bench[1].show("sinks")
    assert (sink["name"], sink["kind"], sink["state"]) == ("local", "sqlite", "running")
    assert sink["server"].endswith("messages.db") and sink["rows"] == 3 and sink["failures"] == 0
    assert sink["failure"] is None and sink["retry_in_s"] is None


def test_metrics_say_the_same(bench):
    control, metrics = bench[1], bench[2].metrics()
    journal = control.show("journal")
    assert metrics.by("state", "sluice_journal_state") == {"OK": 1, "FULL": 0, "FAILED": 0}
    assert metrics.value("sluice_journal_records_total") == journal["records"]
    assert metrics.value("sluice_journal_sync_duration_seconds_count") == journal["syncs"]
    assert metrics.value("sluice_journal_undelivered") == 1
    assert metrics.value("sluice_journal_max_bytes") == journal["max_bytes"]
    assert metrics.value("sluice_publisher_sessions") == 1
    assert metrics.value("sluice_session_in_flight", destination="table1", backend="kitchen1") == 1
    assert metrics.value("sluice_destination_messages_in_flight", destination="table1") == 1
    assert metrics.value("sluice_sink_state", sink="local", state="running") == 1
    assert metrics.value("sluice_sink_rows_total", sink="local") == 3


def test_the_api_over_http_has_the_views(bench):
    for view in ("journal", "publishers", "sessions", "sinks"):
        assert bench[2].api(view), view
    assert bench[2].api("live")["journal"]["state"] == "OK"


@pytest.mark.parametrize("command, words", [
    ("show journal", r"^state: +OK$"), ("show journal", r"^undelivered: +1$"),
    ("show publishers", r"^address +port +source +session"),
    ("show sessions table1", r"^table1 +kitchen1 +0 +1 "),
    ("show sinks", r"^local +sqlite +running "),
    ("show queues", r"^destination +queued +capacity +parked +in_flight")])
def test_commands_show_them_as_tables(bench, command, words):
    assert re.search(words, Cli(bench[0]).ok(command), re.M)


def test_the_journal_is_read_through_the_command_line(bench):
    cli = Cli(bench[0])
    assert "undelivered" in cli.ok("journal info")
    assert cli.json("journal info")["undelivered"] == 1
    assert len(cli.ok("journal list").splitlines()) == 4, "a line each, below the titles"
    rows = cli.json("journal list source server1 destination table1 last 600")
    assert [row["sequence"] for row in rows] == [1, 2, 3]
    [left] = cli.json("journal list only undelivered limit 10")
    assert (left["destination"], left["sequence"]) == ("table1", 3)
    assert len(cli.json("journal dump limit 2 payload none")) == 2
    assert cli.ok("journal verify").rstrip().endswith("whole")
    assert cli.json("journal verify")["damaged"] == 0


def test_what_is_damaged_is_told_with_its_place(durable):
    with durable.appliance() as sluice, HandPublisher(durable) as source:
        source.send(1, 2, 3)
        source.wait_acked(1, 2, 3)
        [segment] = [path for path in durable.journal_dir.glob("*.seg")
                     if b"by hand" in path.read_bytes()]
        data = bytearray(segment.read_bytes())
        data[data.index(b"by hand")] ^= 1
        segment.write_bytes(data)
        cli = Cli(sluice)
        done = cli.run("journal verify")
        assert done.returncode == 1 and segment.name in done.stdout and "offset" in done.stdout


def test_rates_of_the_journal(bench):
    shown = Cli(bench[0]).json("show journal rate 0.2")
    assert shown["rates"]["records"] == 0 and shown["rates"]["state"] == "OK"


def test_without_a_journal_the_views_are_there_and_say_so(lab):
    with lab.appliance(make_config(table(1)), args=listen_args()) as sluice:
        cli = Cli(sluice)
        assert cli.json("show journal")["state"] == "none"
        assert "journal: {directory: ...}" in cli.ok("show journal")
        for view in ("publishers", "sessions", "sinks"):
            assert cli.json(f"show {view}") == []
            assert cli.ok(f"show {view}").startswith("none: ")
        metrics = HttpClient(lab.inside).metrics()
        assert not [name for name, _ in metrics.samples if name.startswith(("sluice_journal", "sluice_sink"))]
        assert "there is none" in cli.fails("journal info")
        error = cli.fails("add destination table9 guarantee at-least-once")
        assert "at-least-once needs a journal" in error


# Events.

def kinds(control):
    return [event["kind"] for event in control.show("events")]


def test_the_only_backend_that_acknowledges_nothing_is_an_event(durable):
    """It keeps what it has, in its session; and there is another event when it answers."""
    config = durable.config(table(1, requeue_after_ms=300))
    with durable.appliance(config, args=listen_args()) as sluice, sluice.control() as control, \
            HandPublisher(durable) as source, HandBackend(durable) as kitchen:
        metrics = HttpClient(durable.inside).metrics
        labels = {"destination": "table1", "backend": "kitchen1"}
        source.send(*range(1, 9))
        kitchen.take(8)
        wait_until(lambda: "backend_stalled" in kinds(control), what="the event")
        [told] = [event for event in control.show("events") if event["kind"] == "backend_stalled"]
        assert told["fields"] == {**labels, "in_flight": 8, "is_avoided": False}
        assert "no other" in told["text"]
        [row] = control.show("sessions", "table1")
        assert row["is_stalled"] and (row["in_flight"], row["requeued"]) == (8, 0)
        assert metrics().value("sluice_session_stalled", **labels) == 1
        kitchen.ack(8)
        wait_until(lambda: "backend_acknowledges" in kinds(control), what="it answers")
        assert metrics().value("sluice_session_stalled", **labels) == 0
        kitchen.poll()
        assert len(kitchen.sessions) == 1 and "backend_requeued" not in kinds(control)


def test_a_backend_that_acknowledges_nothing_is_an_event(durable):
    """While there is another to go to."""
    config = durable.config(destination(
        "table1", backend("silent", "10.77.0.11"), backend("good", "10.77.0.12"),
        requeue_after_ms=500))

    def told():
        return {(event["kind"], event["fields"]["backend"]) for event in control.show("events")
                if event["kind"].startswith("backend_")}

    with durable.appliance(config) as sluice, sluice.control() as control, \
            HandPublisher(durable) as source, HandBackend(durable, 1), durable.backend(2):
        source.send(*range(1, 9))
        # One that answers may be told of, too, where it had to stand still.
        both = {("backend_stalled", "silent"), ("backend_requeued", "silent")}
        wait_until(lambda: both <= told(), what="both events")
        wait_until(lambda: durable.ledger.count(DELIVERED) >= 8, what="all are the other's")
        rows = {row["backend"]: row for row in control.show("sessions", "table1")}
        assert rows["silent"]["is_stalled"] and rows["silent"]["requeued"] >= 4


def test_a_full_journal_is_an_event_and_so_is_its_end(durable):
    """Nothing is delivered, so nothing may be deleted: 8 MiB are soon used up."""
    config = durable.config(
        destination("table1", guarantee="at-least-once", queue_capacity=100000),
        journal={"segment_bytes": "1M", "ring_bytes": "1M", "max_bytes": "8M"})
    with durable.appliance(config) as sluice, sluice.control() as control, \
            contextlib.ExitStack() as stack:
        source = stack.enter_context(HandPublisher(durable))
        sequence = 0
        deadline = Deadline(30)
        while "journal_full" not in kinds(control):
            assert not deadline.has_passed(), control.show("journal")
            for _ in range(20):
                sequence += 1
                source.send(sequence, payload=bytes(1300))
            source.poll(0.02)
        journal = control.show("journal")
        assert journal["state"] == "FULL" and journal["failure"]
        assert journal["holder"] == "undelivered messages"
        assert "full" in Cli(sluice).ok("show journal").lower()


# Changes.

def test_what_may_change_changes_and_the_rest_needs_a_restart(durable):
    config = durable.config(
        table(1, guarantee="at-least-once"), destination("dead", guarantee="at-least-once"))
    with durable.appliance(config) as sluice:
        cli = Cli(sluice)
        assert "max_attempts" in cli.fails("set destination table1 dead-letter dead")
        cli.ok("set destination table1 max-attempts 5")
        cli.ok("set destination table1 requeue-after 1000")
        assert "destinations.table1.dead_letter" in cli.ok("set destination table1 dead-letter dead")
        assert "itself" in cli.fails("set destination table1 dead-letter table1")
        assert "there is no destination" in cli.fails("del destination dead")
        cli.ok("set destination table1 dead-letter none")
        cli.ok("add destination table9 guarantee at-least-once in-flight 64 max-attempts 3 "
               "dead-letter dead")
        shown = cli.ok("show config")
        assert "name: table9, guarantee: at-least-once, in_flight: 64, max_attempts: 3, " \
            "dead_letter: dead" in shown
        cli.ok("del destination table9")
        changed = {**config, "journal": {**config["journal"], "retention": "1h"}}
        sluice.reload(changed)
        assert cli.json("show journal")["retention_s"] == 3600
        error = cli.fails("set destination table1 guarantee at-most-once", code=2)
        assert "guarantee" in error
        sluice.config_file.write_text(sluice.config_file.read_text().replace("at-least-once",
                                                                             "at-most-once"))
        assert "guarantee cannot be changed" in cli.fails("check " + str(sluice.config_file))
