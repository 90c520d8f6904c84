# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Real crashes: kill -9, SIGSTOP, a full disk, a torn and a damaged journal. The ledger judges.

SLUICE_CRASHES is how often the appliance is killed under load, 200 times where CI is set in the
environment; SLUICE_TEST_SEED repeats a run."""

import os
import random
import re
import struct
import time

import pytest

from harness import SENDER6, backend, destination, kitchen6, message, port6, table
from harness.durable import DurableLab, HandPublisher
from harness.ledger import ACKED, DELIVERED
from harness.netns import run
from harness.patience import wait_until

CRASHES = int(os.environ.get("SLUICE_CRASHES") or (200 if os.environ.get("CI") else 40))

# What makes a start quick.
SMALL = {"memory": ("--no-huge", "-m", "256")}


@pytest.fixture
def rng():
    seed = int(os.environ.get("SLUICE_TEST_SEED", "0")) or random.getrandbits(32)
    print(f"SLUICE_TEST_SEED={seed}")
    return random.Random(seed)


def test_killed_under_load(durable, rng):
    """Publishers and backends go on while the appliance is killed and started again."""
    tables = [destination("table1", backend("kitchen1", "10.77.0.11"),
                          backend("kitchen2", "10.77.0.12"), requeue_after_ms=500),
              table(3)]
    config = durable.config(*tables, mbufs=16384, journal={"retention_bytes": "32M"})
    sluice = durable.appliance(config, **SMALL)
    with sluice, durable.backend(1, check=True) as one, durable.backend(2, check=True) as two, \
            durable.backend(3, check=True) as three, \
            durable.publisher("pub1", destinations="table1,table3", rate=1500) as first, \
            durable.publisher("pub2", destinations="table3,table1", rate=1500, id_high=2,
                              source="server2") as second:
        for crash in range(CRASHES):
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked, 20, f"acks, crash {crash}")
            time.sleep(rng.random() * 0.2)
            sluice.crash()
            if crash % 20 == 19:
                durable.report(check_all=False).check()
            sluice.restart()
        for source in (first, second):
            assert "bad_acks" not in source.stop(60)
        report = durable.wait_drained(60)
        report.check(drained=True)
        print(report)
        assert report.acked == report.sent > CRASHES * 10
        # Twice came at most what was on its way at a crash.
        assert report.duplicates <= CRASHES * 3 * 1024
        assert all("altered" not in kitchen.stop() for kitchen in (one, two, three))


def crash_and_restart(durable, sluice, rng, times):
    """Under load; acks come each time."""
    for crash in range(times):
        acked = durable.ledger.count(ACKED)
        wait_until(lambda: durable.ledger.count(ACKED) > acked, 20, f"acks, crash {crash}")
        time.sleep(rng.random() * 0.2)
        sluice.crash()
        durable.report(check_all=False).check()
        sluice.restart()


WORKERS = {
    "one receives as well": [{"lcore": 1, "roles": ["rx", "worker"]},
                             {"lcore": 2, "roles": ["worker"]}],
    "a receiver apart": [{"lcore": 1, "roles": ["rx"]}, {"lcore": 2, "roles": ["worker"]},
                         {"lcore": 3, "roles": ["worker"]}],
}


@pytest.mark.parametrize("lcores", WORKERS.values(), ids=WORKERS.keys())
def test_two_workers_are_killed(durable, rng, lcores):
    """Each worker has its stream of the journal, and messages of both in it."""
    tables = [table(n, requeue_after_ms=500, partitions=1 + n % 2) for n in range(1, 5)]
    # A queue for each worker to send by.
    sluice = durable.appliance(durable.config(*tables, lcores=lcores, mbufs=40960),
                               vdevs=[f"{durable.devices[0]},qpairs=2"], nb_lcores=len(lcores))
    with sluice, durable.backend(1), durable.backend(2), durable.backend(3), durable.backend(4), \
            durable.publisher("pub1", destinations="table1,table2,table3,table4",
                              rate=1500) as first, \
            durable.publisher("pub2", destinations="table4,table3,table2,table1", rate=1500,
                              id_high=2, source="server2") as second:
        crash_and_restart(durable, sluice, rng, 4)
        first.stop(60)
        second.stop(60)
        durable.wait_drained(60).check(drained=True)
        streams = {m.record.stream for m in durable.journal().messages}
        assert streams == {0, 1}, "both workers had some"


def test_killed_over_ipv6(rng):
    """Publisher and backends speak IPv6."""
    with DurableLab(addresses=(f"{SENDER6}/64",)) as durable:
        pair = destination("table1", backend("kitchen1", kitchen6(1)),
                           backend("kitchen2", kitchen6(2)), requeue_after_ms=500)
        sluice = durable.appliance(durable.config(pair, ports=[port6()], mbufs=16384), **SMALL)
        with sluice, durable.backend(1, host=kitchen6(1)), durable.backend(2, host=kitchen6(2)), \
                durable.publisher6(rate=2000) as source:
            crash_and_restart(durable, sluice, rng, 4)
            source.stop(60)
            durable.wait_drained(60).check(drained=True)


def test_everybody_is_killed(durable, rng):
    """Publisher, backend and appliance in turn, and each comes back."""
    sluice = durable.appliance()
    with sluice, durable.backend(1) as kitchen, durable.publisher(rate=3000) as source:
        for crash in range(12):
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked, 20, f"acks, crash {crash}")
            time.sleep(rng.random() * 0.3)
            victim = rng.choice((sluice, kitchen, source))
            victim.crash()
            if rng.random() < 0.5:
                time.sleep(rng.random() * 0.3)
            (sluice.restart if victim is sluice else victim.start)()
        source.stop(60)
        durable.wait_drained(60).check(drained=True)


def test_the_appliance_is_stopped_for_ten_seconds(durable):
    sluice = durable.appliance()
    with sluice, durable.backend(1), durable.publisher(rate=3000) as source:
        wait_until(lambda: durable.ledger.count(ACKED) > 2000, 10, "acks")
        sluice.process.send_signal(19)
        time.sleep(10)
        sluice.process.send_signal(18)
        acked = durable.ledger.count(ACKED)
        wait_until(lambda: durable.ledger.count(ACKED) > acked + 2000, 10, "acks again")
        source.stop()
        durable.wait_drained().check(drained=True)


@pytest.mark.parametrize("nb_backends", [1, 2], ids=["the only one", "one of two"])
def test_a_backend_is_stopped_for_ten_seconds(durable, nb_backends):
    tables = destination("table1", *[backend(f"kitchen{n}", f"10.77.0.{10 + n}")
                                     for n in range(1, nb_backends + 1)], requeue_after_ms=1000)
    with durable.appliance(durable.config(tables)), durable.backend(1) as frozen, \
            durable.publisher(rate=2000) as source:
        others = [durable.backend(n) for n in range(2, nb_backends + 1)]
        wait_until(lambda: durable.ledger.count(DELIVERED) > 1000, 10, "deliveries")
        frozen.freeze()
        time.sleep(5)
        acked, begin = durable.ledger.count(ACKED), time.monotonic()
        wait_until(lambda: durable.ledger.count(ACKED) > acked + 2000, 20,
                   "publishers are not held up")
        if others:
            wait_until(lambda: durable.ledger.count(DELIVERED, "kitchen2") > 8000, 20,
                       "the other one has them")
        time.sleep(max(0.0, begin + 5 - time.monotonic()))
        frozen.thaw()
        source.stop()
        durable.wait_drained().check(drained=True)
        for other in others:
            other.stop()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_undelivered_messages_survive(durable, how):
    sluice = durable.appliance()
    with sluice:
        with durable.publisher(count=3000) as source:
            source.wait()
        if how == "stopped":
            sluice.stop()
        else:
            sluice.crash()
        report = durable.report()
        report.check()
        assert report.undelivered == 3000
        sluice.restart()
        with durable.backend(1):
            report = durable.wait_drained()
        report.check(drained=True, duplicates=0, reordered=0)
        sluice.stop()
        assert not durable.journal().undelivered()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_what_was_had_before_is_known_after_a_restart(durable, how):
    """Sent once more, in another session, it is acknowledged and not delivered again."""
    sluice = durable.appliance()
    with sluice, durable.backend(1):
        with HandPublisher(durable) as source:
            source.send(*range(1, 11))
            source.wait_ack(lambda ack: ack.cumulative == 10)
        wait_until(lambda: durable.ledger.count(DELIVERED) == 10, 5, "deliveries")
        wait_until(lambda: not durable.journal().undelivered(), 5, "outcomes in the journal")
        if how == "stopped":
            sluice.stop()
        else:
            sluice.crash()
        sluice.restart()
        with HandPublisher(durable) as source:
            source.send(*range(1, 12))
            source.wait_ack(lambda ack: ack.cumulative == 11)
        wait_until(lambda: durable.ledger.count(DELIVERED) >= 11, 5, "the new one")
        time.sleep(0.3)
        assert durable.ledger.count(DELIVERED) == 11


def test_a_session_of_before_is_refused_or_begun_anew(durable):
    """After a restart a publisher is not left waiting: it sees that its session is not known any
    more, by a refusal, or by an ack that goes back behind one it has had."""
    sluice = durable.appliance(durable.config(publishers={"window": 64}))
    with sluice, HandPublisher(durable) as source:
        for begin in range(1, 101, 50):
            source.send(*range(begin, begin + 50))
            source.wait_ack(lambda ack: ack.cumulative == begin + 49)
        sluice.crash()
        sluice.restart()
        source.send(101)
        source.wait_ack(lambda ack: (ack.cumulative, ack.credit_limit) == (0, 0) or
                        (ack.cumulative < 100 and ack.highest == 101))


def last_segment(durable):
    """The newest segment that has records, and where they end in the file."""
    found = durable.journal()
    records = [r for r in found.records if r.path == found.segments[-1].path] or found.records
    last = max((r for r in records if r.path == records[-1].path), key=lambda r: r.offset)
    return last, last.offset + -(-last.length // 16) * 16


def test_a_torn_end_is_cut(durable):
    """Behind the last record there is half of another one: it is cut off, and the log says so."""
    sluice = durable.appliance()
    with sluice, HandPublisher(durable) as source:
        source.send(*range(1, 11))
        source.wait_ack(lambda ack: ack.cumulative == 10)
        sluice.crash()
        last, end = last_segment(durable)
        with open(last.path, "r+b") as file:
            file.seek(last.offset)
            record = bytearray(file.read(last.length))
            # As if one more had been on its way: the right place, the wrong checksum.
            struct.pack_into("<Q", record, 8, struct.unpack_from("<Q", record, 8)[0] +
                             end - last.offset)
            file.seek(end)
            file.write(record[:len(record) // 2])
        sluice.restart()
        assert re.search(r"torn|cut", sluice.stderr), sluice.stderr
        assert durable.journal().undelivered()
        with durable.backend(1):
            wait_until(lambda: durable.ledger.count(DELIVERED) == 10, 10, "all ten")


def test_damage_is_refused_with_its_place(durable):
    """A bit of a record that had been synced is another: the appliance does not start, and says
    where."""
    sluice = durable.appliance()
    with sluice:
        for turn in range(3):
            with HandPublisher(durable) as source:
                source.send(*range(1, 11), ids=range(turn * 10 + 1, turn * 10 + 11))
                source.wait_ack(lambda ack: ack.cumulative == 10)
        sluice.crash()
        victim = durable.journal().messages[5].record
        with open(victim.path, "r+b") as file:
            file.seek(victim.offset + 70)
            byte = file.read(1)[0]
            file.seek(victim.offset + 70)
            file.write(bytes([byte ^ 4]))
        code, said = sluice.fail()
        assert 0 < code < 128, said
        [line] = [line for line in said.splitlines() if victim.path.name in line]
        assert str(victim.offset) in line, line
        # As it was, it starts.
        with open(victim.path, "r+b") as file:
            file.seek(victim.offset + 70)
            file.write(bytes([byte]))
        sluice.restart()


def test_a_full_disk_stops_acks_and_nothing_else():
    """Nothing is acknowledged that is not durable, nothing acknowledged is lost, at-most-once
    messages pass, and acks come again when there is room."""
    with DurableLab(disk_mb=24) as durable:
        fast = {**table(2), "guarantee": "at-most-once"}
        config = durable.config(table(1), fast, journal={"direct": False})
        sluice = durable.appliance(config)
        with sluice, durable.receiver(2) as kitchen, \
                durable.publisher(size=600, count=60000) as source:
            def standstill():
                acked = durable.ledger.count(ACKED)
                time.sleep(1.0)
                return acked == durable.ledger.count(ACKED) and acked > 0
            # Somebody may have stood still without it.
            wait_until(lambda: re.search(r"full|No space", sluice.stderr), 30, "the disk is full")
            wait_until(standstill, 30, "nothing is acknowledged any more")
            assert durable.ledger.count(ACKED) < 60000
            durable.report(check_all=False).check()
            durable.send(message(1, destination="table2"))
            kitchen.take(1)
            run("mount", "-o", "remount,size=200m", durable.disk)
            acked = durable.ledger.count(ACKED)
            wait_until(lambda: durable.ledger.count(ACKED) > acked + 1000, 30, "acks again")
            source.wait(60)
            with durable.backend(1):
                durable.wait_drained(60).check(drained=True)


def test_a_crash_with_a_full_disk():
    with DurableLab(disk_mb=24) as durable:
        sluice = durable.appliance(durable.config(journal={"direct": False}))
        with sluice, durable.publisher(size=600, count=60000) as source:
            wait_until(lambda: re.search(r"full|No space", sluice.stderr), 30, "the disk is full")
            sluice.crash()
            durable.report(check_all=False).check()
            run("mount", "-o", "remount,size=200m", durable.disk)
            sluice.restart()
            source.wait(60)
            with durable.backend(1):
                durable.wait_drained(60).check(drained=True)


def test_max_bytes_is_kept_to(durable):
    """The journal grows to its limit and no further, as long as nothing is delivered; then it goes
    on."""
    config = durable.config(journal={"max_bytes": "8M", "retention_bytes": "4M",
                                     "retention": "0s"})
    with durable.appliance(config) as sluice, sluice.control() as control, \
            durable.publisher(size=600, count=30000) as source:
        wait_until(lambda: control.show("journal")["state"] == "FULL", 20, "the journal is full")
        time.sleep(2.0)
        size = sum(p.stat().st_size for p in durable.journal_dir.iterdir() if p.is_file())
        assert size <= 9 << 20
        assert 0 < durable.ledger.count(ACKED) < 30000
        with durable.backend(1):
            source.wait(60)
            durable.ledger.report()
            wait_until(lambda: not durable.ledger.report().not_delivered, 30, "drained")
        durable.report().check(drained=True)


def test_a_full_journal_goes_on_whoever_waits_for_what_is_not_durable(durable):
    """What is next for one destination is not durable yet and cannot be read back: the others are
    read back all the same, which makes the room that it waits for."""
    config = durable.config(table(1, queue_capacity=64), table(2, queue_capacity=64),
                            publishers={"window": 1024}, mbufs=16384,
                            journal={"max_bytes": "8M", "retention_bytes": "4M",
                                     "retention": "0s"})
    with durable.appliance(config, **SMALL) as sluice, sluice.control() as control, \
            durable.publisher("pub2", destinations="table2", size=1200, count=8000) as flood:
        wait_until(lambda: control.show("journal")["state"] == "FULL", 20, "the journal is full")
        with durable.publisher("pub1", destinations="table1", id_high=2, source="server2",
                               count=300) as source:
            wait_until(lambda: control.show("destinations")[0]["queued"] >= 300, 20, "all wait")
            with durable.backend(1), durable.backend(2):
                flood.wait(30)
                source.wait(30)
                durable.wait_drained().check(drained=True)
        wait_until(lambda: control.show("journal")["state"] == "OK", 20, "there is room again")
