# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A disk that fails under the running appliance. The ledger judges."""

import re
import subprocess
import time

import pytest

from harness import BUILD, backend, destination, message, table
from harness.faults import Faults
from harness.journal import MAGIC
from harness.ledger import ACKED, DELIVERED
from harness.patience import wait_until


@pytest.fixture
def faults(durable):
    return Faults(durable.dir, durable.journal_dir)


def kinds(control):
    return [event["kind"] for event in control.show("events")]


def wait_standstill(durable, control):
    """The journal has failed, and no acks come for half a second. Returns how many have come."""
    # It is a slow disk, or a slow machine, where only no acks come.
    wait_until(lambda: control.show("journal")["state"] == "FAILED", 10, "the failure")

    def stands():
        acked = durable.ledger.count(ACKED)
        time.sleep(0.5)
        return acked if acked == durable.ledger.count(ACKED) else 0
    return wait_until(stands, 10, "acks have stopped")


@pytest.mark.parametrize("what", ["write", "sync"])
def test_acks_stop_while_the_disk_fails_and_nothing_acked_is_lost(durable, faults, what):
    """They go on when it has recovered; the appliance is killed while it fails once more, and
    started on a disk that is whole again, where what it believed to be durable has to be."""
    tables = table(1), {**table(2), "guarantee": "at-most-once"}
    sluice = durable.appliance(durable.config(*tables), env=faults.env)
    with sluice, durable.receiver(2) as others, durable.backend(1), \
            durable.publisher(rate=3000) as source:
        def wait_acks():
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked + 500, 20, "acks")
        with sluice.control() as control:
            wait_acks()
            faults.begin(what)
            wait_standstill(durable, control)
            assert control.show("journal")["state"] == "FAILED"
            assert "Input/output error" in control.show("journal")["failure"]
            wait_until(lambda: "journal_failed" in kinds(control), 5, "the event")
            durable.send(message(1, destination="table2"))
            others.take(1)
            faults.end(what)
            wait_acks()
            wait_until(lambda: "journal_recovered" in kinds(control), 5, "the event of its end")
            assert control.show("journal")["state"] == "OK"
            faults.begin(what)
            wait_standstill(durable, control)
        sluice.crash()
        durable.report(check_all=False).check()
        sluice.env = {}
        sluice.restart()
        wait_acks()
        source.stop(60)
        durable.wait_drained(60).check(drained=True)


@pytest.mark.parametrize("what", ["write", "sync"])
def test_a_short_failure_under_load_is_borne(durable, faults, what):
    """Many of them, each shorter than a batch of retries: every message comes, none is unknown."""
    sluice = durable.appliance(env=faults.env)
    with sluice, durable.backend(1), durable.publisher(rate=5000) as source:
        for _ in range(10):
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked, 20, "acks")
            faults.begin(what)
            time.sleep(0.02)
            faults.end(what)
        source.stop(60)
        durable.wait_drained(60).check(drained=True)
        sluice.crash()
        durable.report().check(drained=True)


def test_a_bad_file_holds_up_nobody_else(durable, faults):
    """What waits on disk for one destination cannot be read: the others' is. When the disk reads
    again, nothing is missing."""
    config = durable.config(table(1, queue_capacity=64), table(2, queue_capacity=64), mbufs=16384)
    sluice = durable.appliance(config, memory=("--no-huge", "-m", "256"), env=faults.env)
    with sluice:
        durable.publisher("pub2", destinations="table2", size=1200, count=2500).wait()
        *bad, _ = sorted(path.name for path in durable.journal_dir.glob("*.seg")
                         if path.read_bytes()[:8] == MAGIC)
        durable.publisher("pub1", destinations="table1", id_high=2, source="server2",
                          count=1000).wait()
        for name in bad:
            faults.begin(f"read-{name}")
        with durable.backend(2), sluice.control() as control:
            def queued(table):
                return control.show("destinations")[table - 1]["queued"]

            sluice.wait_said("reading back fails")
            with durable.backend(1):
                wait_until(lambda: queued(1) == 0, 30, "the other's are delivered")
                assert queued(2) > 1000
                for name in bad:
                    faults.end(f"read-{name}")
                durable.wait_drained().check(drained=True)


def test_a_start_tells_how_far_it_is(durable, faults):
    """Every second, while it reads a large journal, or a slow disk."""
    subprocess.run([BUILD / "tests" / "journal_write", durable.journal_dir, "messages=40000",
                    "payload=200", "done=100"], check=True, stdout=subprocess.DEVNULL)
    faults.begin("slow")
    with durable.appliance(env=faults.env) as sluice:
        said = [(path, int(done), int(size)) for path, done, size in
                re.findall(r"reading (\S+): (\d+) of (\d+) MB", sluice.stderr)]
    assert said, sluice.stderr
    assert all(path == str(durable.journal_dir) and done <= size for path, done, size in said)
    # The first second may have been one in which it stood still.
    assert said == sorted(said) and said[-1][1] > 0


def lost(durable):
    """Of what was acknowledged to publishers, and by no backend, what the journal has not got: not
    itself, nor its dead letter, which has the same source, type and id."""
    there = {m.ident[:-8] for m in durable.journal(check_all=False).undelivered()}
    return {entry for name in durable.ledger.names(ACKED)
            for entry in durable.ledger.entries(ACKED, name) if entry[:-8] not in there}


def test_what_would_be_given_up_while_the_disk_fails_is_not_lost(durable, faults):
    """A dead letter that is not on disk is none: the message itself has to stay in the journal,
    which else deletes as soon as it may."""
    tables = (table(1, max_attempts=1, dead_letter="grave"),
              destination("grave", backend("digger", "10.77.0.19"), guarantee="at-least-once"))
    config = durable.config(*tables, journal={"retention": "0s"})
    with durable.appliance(config, env=faults.env) as sluice, sluice.control() as control, \
            durable.publisher(count=4000, size=900) as source:
        source.wait()
        assert durable.ledger.count(ACKED) == 4000
        wait_until(lambda: control.show("journal")["segments"] > 2, 5, "segments to delete")
        faults.begin("write")
        with durable.backend(1, mute=True):
            wait_until(lambda: durable.ledger.count(DELIVERED) > 2000, 20, "deliveries in vain")
            failures = wait_until(lambda: control.show("journal")["failures"], 10, "the failure")
            # Between two that it tells, the journal looks for what may be deleted.
            wait_until(lambda: control.show("journal")["failures"] > failures + 1, 10, "another")
            sluice.crash()
        assert not lost(durable), f"{len(lost(durable))} of 4000"
