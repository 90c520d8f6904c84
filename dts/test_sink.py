# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sinks: what the journal has is in the database, each message once, whatever happens meanwhile."""

import collections
import contextlib
import itertools
import math
import os
import random
import re
import sqlite3
import subprocess
import time

import pytest

from harness.standstill import Standstill
from harness.journal_maker import DEAD, DELIVERED, NAMES, Journal, fill
from harness.patience import patience, wait_until
from harness.postgres import PASSWORD, Cut, Postgres
from harness.sink import TOOL, Postgresql, Sink, Sqlite, check, drain
from harness.wire import ROOT, message, name_key

KINDS = ("sqlite", "postgresql", "postgresql-3")
SEED = int(os.environ.get("SLUICE_TEST_SEED", random.randrange(2**31)))


@pytest.fixture(scope="module")
def server():
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def rand():
    print(f"SLUICE_TEST_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def database(request, tmp_path):
    """Of the kind that the test is parametrized with."""
    kind = request.param
    if kind == "sqlite":
        return Sqlite(tmp_path / "rows.db")
    return Postgresql(request.getfixturevalue("server"), int(kind.partition("-")[2] or 1))


@pytest.fixture
def postgresql(server):
    return Postgresql(server)


every_kind = pytest.mark.parametrize("database", KINDS, indirect=True)
both_kinds = pytest.mark.parametrize("database", KINDS[:2], indirect=True)


def count(database):
    """Rows; 0 as long as there is no table."""
    try:
        return int(database.query("SELECT count(*) FROM sluice_messages")[0][0])
    except (AssertionError, sqlite3.OperationalError):
        return 0


def wait_rows(database, rows, timeout=30.0):
    wait_until(lambda: count(database) >= rows, timeout,
               lambda: f"{count(database)} of {rows} rows")


@every_kind
def test_every_message_is_a_row_with_its_outcome(journal, database, rand):
    fill(journal, 4000, rand.random(), streams=3)
    report, events = drain(journal, database)
    check(database, journal)
    assert report["rows"] == 4000 and report["drained"] and events == ""


@every_kind
def test_a_second_run_goes_on_where_the_first_ended(journal, database, rand):
    for _ in range(3):
        fill(journal, 500, rand.random(), streams=2)
        report, _ = drain(journal, database)
        assert report["rows"] == 500
        check(database, journal)
    assert drain(journal, database)[0]["batches"] == 0


@every_kind
def test_killed_at_any_moment_no_row_is_missing_and_none_is_twice(journal, database, rand):
    fill(journal, 12000, rand.random(), streams=2, payload_max=50)
    for _ in range(15):
        with Sink(journal, database, "--batch-messages", "10", "--batch-ms", "1") as sink:
            time.sleep(rand.random() * 0.15)
            sink.process.kill()
    drain(journal, database)
    check(database, journal)


@every_kind
def test_an_outcome_that_comes_late_is_an_update(journal, database, rand):
    with Sink(journal, database, "--follow", "--batch-ms", "10") as sink:
        entries = [journal.message(n % 2, message(n)) for n in range(300)]
        journal.flush()
        wait_rows(database, 300)
        check(database, journal, names={})
        rand.shuffle(entries)
        for n, entry in enumerate(entries):
            # Also in the other stream, as after a restart with fewer workers.
            journal.done(n % 2, [(entry, DEAD if n % 3 == 0 else DELIVERED, n % 7, n)])
        journal.flush()
        wait_until(lambda: not database.query(
            "SELECT 1 FROM sluice_messages WHERE status = 'INGESTED' LIMIT 1"), 30, "all outcomes")
        assert sink.stop()["updates"] == 300
    check(database, journal, names={})


@both_kinds
def test_a_topics_message_is_delivered_as_soon_as_one_has_it(journal, database, rand):
    """Whichever of its outcomes comes first, and if several come late at once."""
    orders = [*itertools.product((DEAD, DELIVERED), repeat=2)] * 50
    rand.shuffle(orders)
    entries = [journal.message(0, message(number), subscribers=("table1/a", "table1/b"))
               for number in range(len(orders))]
    journal.flush()
    drain(journal, database)
    assert database.query("SELECT DISTINCT status FROM sluice_messages")[0][0] == "INGESTED"
    journal.clock_ns += 10**9
    for entry, order in zip(entries, orders):
        is_told = rand.random() < 0.5
        for copy, outcome in enumerate(order):
            journal.clock_ns += 1000
            journal.done_copies(rand.randrange(2), [
                (entry, copy, outcome, 1 if order == (DEAD, DEAD) else 3 + copy, 1000 - copy)],
                is_told=is_told)
    journal.flush()
    drain(journal, database)
    check(database, journal, names={})


@both_kinds
def test_an_outcome_finds_its_row_when_the_journal_has_deleted_the_message(journal, database):
    """A topic's, too, which tells whose it is."""
    journal.segment_bytes = 1 << 16
    subscribers = [f"table1/kitchen{place}" for place in range(3)]
    entries = [journal.message(0, message(number, payload=bytes(500)),
                               subscribers=subscribers[:number % 4]) for number in range(200)]
    journal.flush()
    drain(journal, database)
    for path in sorted(journal.path.glob("*.seg"))[:-1]:
        path.unlink()
    journal.clock_ns += 10**9
    for number, entry in enumerate(entries):
        if number % 4 == 0:
            journal.done(0, [(entry, DELIVERED, 2, 0)])
        else:
            journal.done_copies(0, [(entry, number % 4 - 1, DELIVERED, 3, 0)])
    journal.flush()
    report, _ = drain(journal, database)
    assert report["gaps"] == 0
    check(database, journal, names={})


@every_kind
def test_an_outcome_may_be_read_before_its_message(journal, database, rand):
    # By a clock that was set back, and in another stream.
    entries = [journal.message(1, message(n)) for n in range(50)]
    journal.clock_ns -= 10**12
    journal.done(0, [(entry, DELIVERED, 2, 0) for entry in entries])
    for _ in range(4):
        journal.message(0, message(rand.getrandbits(64)))
    journal.flush()
    with Sink(journal, database, "--batch-messages", "1", "--batch-ms", "1") as sink:
        time.sleep(rand.random() * 0.2)
        sink.process.kill()
    drain(journal, database)
    check(database, journal, names={})
    assert database.query("SELECT count(*) FROM sluice_early")[0][0] in (0, "0")


@both_kinds
def test_what_is_no_text_is_kept_all_the_same(journal, database):
    journal.message(0, message(1, payload=b"\0\xff" * 50, timestamp_ns=0))
    journal.message(0, message(2, payload=b"", timestamp_ns=2**64 - 1))
    large = message(2**128 - 1, payload=os.urandom(60000))
    large.id_text = "order 'ü' \\ 1"
    journal.message(0, large)
    strange = journal.message(0, message(3), behind=b"\x82\x01\x05a\0\xff\xc3z\x90\x03\x07")
    strange.message.id_text = "a\\x00\\xff\\xc3z"
    journal.flush()
    drain(journal, database)
    check(database, journal, names={})


@both_kinds
def test_a_name_is_known_from_then_on_and_after_a_restart(journal, database):
    journal.message(0, message(1, type="breakfast"))
    journal.clock_ns += 10**9
    journal.flush()
    drain(journal, database)
    for name in ("table1", "server1", "breakfast"):
        journal.name(1, name)
    journal.flush()
    drain(journal, database)
    journal.message(0, message(2, type="breakfast"))
    journal.flush()
    drain(journal, database)
    rows = database.query("SELECT destination, source, type FROM sluice_messages ORDER BY received")
    assert list(map(tuple, rows)) == [
        tuple(f"{name_key(name):016x}" for name in ("table1", "server1", "breakfast")),
        ("table1", "server1", "breakfast")]


@every_kind
def test_another_journal_in_the_directory_is_another_journal(journal, database, rand):
    fill(journal, 300, rand.random())
    drain(journal, database)
    for path in journal.path.iterdir():
        path.unlink()
    again = Journal(journal.path)
    fill(again, 200, rand.random())
    drain(again, database)
    check(database, journal, again)


@every_kind
def test_streams_beyond_the_sixteenth_are_none_of_another_journal(journal, database, tmp_path):
    """Journals 0 to 3, all of whose messages stand at the same positions."""
    journals = [journal, *(Journal(tmp_path / f"journal{number}") for number in range(1, 4))]
    streams = (0, 1, 15, 16, 17, 33, 63)
    for number, one in enumerate(journals):
        entries = [one.message(stream, message(100 * number + 10 * stream + n, payload=bytes(20)))
                   for n in range(4) for stream in streams]
        one.flush()
        drain(one, database)
        one.clock_ns += 10**9
        for entry in entries[:2 * len(streams)]:
            one.done(0, [(entry, DELIVERED, 1 + number, number)])
        # Read before its message, which is written the next time.
        one.clock_ns += 10**9
        late = [one.message(stream, message(7000 + 100 * number + stream)) for stream in streams]
        one.clock_ns -= 10**8
        one.done(2, [(entry, DELIVERED, 5, 0) for entry in late])
        one.flush()
        drain(one, database, "--batch-messages", "3")
    check(database, *journals, names={})
    assert int(database.query("SELECT count(*) FROM sluice_early")[0][0]) == 0


@both_kinds
def test_an_older_copy_of_the_journal_is_refused(journal, database, rand, tmp_path):
    journal.segment_bytes = 1 << 16
    fill(journal, 2000, rand.random())
    drain(journal, database)
    for path in sorted(journal.path.glob("*.seg"))[1:]:
        path.unlink()
    _, events = drain(journal, database, code=1)
    assert "sink_refused" in events and "older copy" in events and "journal-id" in events


@both_kinds
def test_what_the_journal_has_lost_is_told(journal, database, rand):
    journal.segment_bytes = 1 << 16
    fill(journal, 500, rand.random())
    drain(journal, database)
    before = set(journal.path.glob("*.seg"))
    kept = dict(journal.ledger)
    fill(journal, 2000, rand.random())
    gone = sorted(set(journal.path.glob("*.seg")) - before)[:2]
    bases = [int(path.name[5:17], 16) for path in gone]
    for path in [*before, *gone]:
        path.unlink()
    report, events = drain(journal, database)
    assert report["gaps"] == 1 and "sink_gap" in events and "rows are missing" in events
    end = max(bases) + journal.segment_bytes
    here = {ref for _, ref in database.rows()}
    assert here == kept.keys() | {ref for ref in journal.ledger if ref >= end}


@every_kind
def test_two_sinks_at_once_write_each_message_once(journal, database, rand):
    fill(journal, 6000, rand.random(), payload_max=50)
    args = ("--batch-messages", "10", "--batch-ms", "1", "--retry", "60")
    with Sink(journal, database, *args) as one, Sink(journal, database, *args) as other:
        assert (one.wait(), other.wait()) == (0, 0), one.events + other.events
    check(database, journal)


@both_kinds
def test_a_newer_schema_is_refused(journal, database, rand):
    fill(journal, 10, rand.random())
    drain(journal, database)
    if database.kind == "sqlite":
        with sqlite3.connect(database.path) as db:
            db.execute("UPDATE sluice_schema SET version = 99")
    else:
        database.query("UPDATE sluice_schema SET version = 99")
    fill(journal, 10, rand.random())
    _, events = drain(journal, database, code=1)
    assert "sink_refused" in events and "version 99" in events and "newer release" in events
    assert count(database) == 10


@both_kinds
def test_an_older_schema_is_migrated_and_its_rows_stay(journal, database, rand):
    fill(journal, 100, rand.random())
    old = subprocess.run([TOOL, "--schema", database.kind, "--schema-version", "1"],
                         capture_output=True, text=True, check=True).stdout
    if database.kind == "sqlite":
        with sqlite3.connect(database.path) as db:
            db.executescript(old)
            db.execute("INSERT INTO sluice_names VALUES (1, 'kept')")
    else:
        database.server.admin("SET ROLE sluice;" + old + "INSERT INTO sluice_names VALUES "
                              "(1, 'kept')", schema=database.schema)
    drain(journal, database)
    check(database, journal)
    assert int(database.query("SELECT max(version) FROM sluice_schema")[0][0]) == 2
    assert database.query("SELECT name FROM sluice_names WHERE key = 1")[0][0] == "kept"


def test_every_option_is_in_the_manual():
    text = subprocess.run([TOOL, "--help"], capture_output=True, text=True, check=True).stdout
    page = (ROOT / "app/sluice-sink/sluice-sink.8").read_text().replace("\\-", "-")
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert len(options) >= 14
    for option in options:
        assert option in page


# SQLite


def test_sqlite_readers_see_whole_batches_and_hold_nothing_up(journal, tmp_path, rand):
    database = Sqlite(tmp_path / "rows.db")
    fill(journal, 8000, rand.random(), payload_max=50)
    with Sink(journal, database, "--batch-messages", "50") as sink:
        wait_rows(database, 1)
        reader = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM sluice_messages").fetchone()
        assert sink.wait() == 0
        assert reader.execute("SELECT count(*) FROM sluice_messages").fetchone() == seen
        reader.close()
    check(database, journal)


def test_sqlite_waits_for_a_file_that_is_locked(journal, tmp_path, rand):
    database = Sqlite(tmp_path / "rows.db")
    fill(journal, 100, rand.random())
    drain(journal, database)
    fill(journal, 100, rand.random())
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Sink(journal, database, "--retry", "60") as sink:
        time.sleep(0.5)
        assert count(database) == 100
        other.execute("COMMIT")
        assert sink.wait() == 0
    check(database, journal)


def test_sqlite_on_a_full_disk_goes_on_when_there_is_room(journal, tmp_path, rand):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
    try:
        database = Sqlite(small / "rows.db")
        fill(journal, 8000, rand.random())
        with Sink(journal, database, "--retry", "60") as sink:
            wait_until(lambda: "sink_down" in sink.events, 30, "it is told")
            assert "make room" in sink.events and str(database.path) in sink.events
            subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
            assert sink.wait() == 0
            assert "sink_up" in sink.events
        check(database, journal)
    finally:
        subprocess.run(["umount", small], check=True)


def test_sqlite_does_not_touch_a_file_that_is_none_of_its_own(journal, tmp_path, rand):
    fill(journal, 10, rand.random())
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 1000)
    _, events = drain(journal, Sqlite(path), code=1)
    assert "sink_refused" in events and "another path" in events
    assert path.read_text() == "Dear reader, " * 1000


# PostgreSQL


def test_partitions_are_days_of_utc_to_the_last_microsecond(tmp_path, postgresql):
    day = 86400 * 10**9
    midnight = 1_790_000_000_000_000_000 // day * day
    journal = Journal(tmp_path / "journal", clock_ns=midnight - 1)
    for clock_ns in (midnight - 1, midnight - 1000, midnight, midnight + 1, midnight - 5 * day,
                     midnight + 1):
        journal.clock_ns = clock_ns
        journal.message(0, message(clock_ns))
    journal.flush()
    drain(journal, postgresql)
    check(postgresql, journal, names={})
    partitions = postgresql.query("SELECT tableoid::regclass::text, count(*) FROM sluice_messages "
                                  "GROUP BY 1 ORDER BY 1")
    days = [time.strftime("%Y%m%d", time.gmtime((midnight + n * day) // 10**9))
            for n in (-5, -1, 0)]
    assert partitions == [[f"sluice_messages_{day}", n] for day, n in zip(days, "123")]


def test_partitions_older_than_keep_days_are_dropped(tmp_path, postgresql):
    day = 86400 * 10**9
    # It is the same day when the sink looks.
    if time.time_ns() % day > day - 60 * 10**9:
        time.sleep(61)
    today = time.time_ns() // day * day
    journal = Journal(tmp_path / "journal", clock_ns=today)
    for age in (40, 31, 30, 29, 1, 0):
        journal.clock_ns = today - age * day
        journal.message(0, message(age))
    journal.flush()
    drain(journal, postgresql)
    _, events = drain(journal, postgresql, "--keep-days", "30")
    assert events.count("sink_partition_dropped") == 2
    assert ids(postgresql) == [30, 29, 1, 0]


def ids(database):
    """In the order they were received in."""
    found = database.query("SELECT id FROM sluice_messages ORDER BY received, position")
    return [int(row[0].replace("-", ""), 16) for row in found]


@pytest.mark.parametrize("how", ("a view", "another owner"))
def test_a_partition_that_cannot_be_dropped_holds_nothing_up(tmp_path, server, postgresql, how):
    """It stays, which is told, and the others go."""
    day = 86400 * 10**9
    if time.time_ns() % day > day - 60 * 10**9:
        time.sleep(61)
    today = time.time_ns() // day * day
    journal = Journal(tmp_path / "journal", clock_ns=today)
    for age in (40, 35, 0):
        journal.clock_ns = today - age * day
        journal.message(0, message(age))
    journal.flush()
    drain(journal, postgresql)
    stays = time.strftime("sluice_messages_%Y%m%d", time.gmtime(today // 10**9 - 40 * 86400))
    schema = postgresql.schema
    # Who owns the schema may drop everything in it.
    server.admin(f"CREATE VIEW kept AS SELECT * FROM {stays}" if how == "a view" else
                 f"ALTER TABLE {stays} OWNER TO postgres; ALTER SCHEMA {schema} OWNER TO postgres; "
                 f"GRANT ALL ON SCHEMA {schema} TO sluice", schema=schema)
    for number in range(100, 110):
        journal.message(0, message(number))
    journal.flush()
    _, events = drain(journal, postgresql, "--keep-days", "30")
    assert ids(postgresql) == [40, 0, *range(100, 110)]
    [kept] = [line for line in events.splitlines() if "sink_partition_kept" in line]
    state, remedy = {"a view": ("2BP01", "drop what depends on it"),
                     "another owner": ("42501", "own its tables")}[how]
    assert stays in kept and state in kept and remedy in kept
    assert events.count("sink_partition_dropped") == 1 and "sink_down" not in events


@contextlib.contextmanager
def following(journal, database, *args):
    with Sink(journal, database, "--follow", "--retry", "1000", "--batch-messages", "20",
              "--batch-ms", "20", *args) as sink:
        yield sink
        wait_rows(database, len(journal.ledger))
        # Outcomes that are updates, too: when it is to end, it has no long time for them.
        wait_until(lambda: int(database.query(
            "SELECT count(*) FROM sluice_messages WHERE status = 'INGESTED'")[0][0]) ==
            sum(e.status == "INGESTED" for e in journal.ledger.values()), 30, "all outcomes")
        sink.stop()
    check(database, journal)


@pytest.mark.parametrize("writers", (1, 3))
def test_a_server_that_crashes_and_comes_back_loses_nothing(server, journal, rand, writers):
    database = Postgresql(server, writers)
    with following(journal, database) as sink:
        for _ in range(3):
            fill(journal, 1500, rand.random(), streams=2)
            time.sleep(rand.random() * 0.2)
            server.stop("immediate")
            fill(journal, 500, rand.random(), streams=2)
            time.sleep(0.2)
            server.start()
            wait_rows(database, len(journal.ledger), timeout=60)
        assert "sink_down" in sink.events and "sink_up" in sink.events


@pytest.mark.parametrize("writers", (1, 3))
def test_a_commit_nobody_heard_of_is_no_row_twice(server, journal, rand, writers):
    fill(journal, 6000, rand.random(), payload_max=50)
    with Cut(server.port) as link:
        database = Postgresql(server, writers, port=link.port)
        with Sink(journal, database, "--batch-messages", "20", "--batch-ms", "1",
                  "--retry", "1000") as sink:
            for _ in range(8):
                wanted = link.bytes + rand.randrange(1, 60000)
                wait_until(lambda: link.bytes >= wanted or sink.process.poll() is not None, 30,
                           "bytes for the server")
                link.hold_answers()
                time.sleep(rand.random() * 0.05)
                link.drop()
                link.mend()
                if sink.process.poll() is not None:
                    break
            assert sink.wait() == 0
    check(database, journal)


def test_a_network_that_is_cut_holds_nothing_up_but_the_sink(server, journal, rand):
    with Cut(server.port) as link:
        database = Postgresql(server, port=link.port)
        with following(journal, database):
            fill(journal, 1000, rand.random())
            wait_rows(database, 1000)
            link.cut()
            fill(journal, 1000, rand.random())
            time.sleep(0.5)
            assert count(database) == 1000
            link.mend()


@pytest.mark.parametrize("how", ("cut", "stopped"))
def test_it_stops_within_a_second_while_the_server_hangs(server, journal, rand, how):
    fill(journal, 200, rand.random())
    with Cut(server.port) as link:
        database = Postgresql(server, port=link.port)
        with Sink(journal, database, "--follow") as sink:
            wait_rows(database, 200)
            with server.stopped() if how == "stopped" else contextlib.nullcontext():
                if how == "cut":
                    link.cut()
                fill(journal, 1000, rand.random())
                time.sleep(0.3)
                with Standstill() as still:
                    begin = time.monotonic()
                    sink.stop()
                    took = time.monotonic() - begin
                assert took < 1.0 + still.seconds


def test_a_table_that_is_dropped_is_made_anew(server, journal, postgresql, rand):
    fill(journal, 500, rand.random())
    with Sink(journal, postgresql, "--follow", "--retry", "1000", "--batch-ms", "20") as sink:
        wait_rows(postgresql, 500)
        postgresql.query("DROP TABLE sluice_messages")
        journal.ledger.clear()
        first = journal.message(0, message(1))
        journal.done(0, [(first, DELIVERED, 1, 0)])
        journal.flush()
        wait_rows(postgresql, 1)
        wait_until(lambda: "42P01" in sink.events and "sink_up" in sink.events, 30, "both are told")
        wait_until(lambda: postgresql.query("SELECT status FROM sluice_messages") == [["DELIVERED"]],
                   30, "the outcome")
        sink.stop()
    check(postgresql, journal)


def test_a_cursor_that_is_dropped_is_refused_until_it_is_restored(journal, postgresql, rand):
    fill(journal, 100, rand.random())
    drain(journal, postgresql)
    postgresql.query("ALTER TABLE sluice_cursors RENAME TO elsewhere")
    fill(journal, 100, rand.random())
    with Sink(journal, postgresql, "--retry", "1000") as sink:
        wait_until(lambda: "42P01" in sink.events, 30, "it is told")
        postgresql.query("ALTER TABLE elsewhere RENAME TO sluice_cursors")
        assert sink.wait() == 0
    check(postgresql, journal)


def test_a_changed_password_is_told_and_borne_with(server, journal, postgresql, rand):
    with following(journal, postgresql) as sink:
        fill(journal, 100, rand.random())
        wait_rows(postgresql, 100)
        server.admin("ALTER ROLE sluice PASSWORD 'another'; "
                     "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                     "WHERE usename = 'sluice'")
        fill(journal, 100, rand.random())
        wait_until(lambda: "28P01" in sink.events, 30, "it is told")
        server.admin(f"ALTER ROLE sluice PASSWORD '{PASSWORD}'")
        wait_rows(postgresql, 200)
        events = sink.events
    line = next(line for line in events.splitlines() if "28P01" in line)
    assert "sink_down" in line and f"127.0.0.1:{server.port}/sluice as sluice" in line
    assert "passfile" in line and PASSWORD not in events


def test_what_the_role_lacks_is_named(server, journal, rand):
    database = Postgresql(server)
    database.query(f"ALTER SCHEMA {database.schema} OWNER TO postgres; "
                   f"GRANT USAGE ON SCHEMA {database.schema} TO sluice")
    fill(journal, 10, rand.random())
    _, events = drain(journal, database, code=1)
    assert "sink_refused" in events and "42501" in events and "own its tables" in events


@pytest.mark.parametrize("conninfo", ("password=se cret", "host=x ;secret", "pass='secret"))
def test_what_is_no_connection_string_is_not_repeated(journal, conninfo):
    done = subprocess.run([TOOL, "--journal", journal.path, "--postgresql", conninfo],
                          capture_output=True, text=True, timeout=patience(20))
    assert done.returncode == 1 and "no connection string" in done.stderr
    assert "cret" not in done.stderr


def test_late_outcomes_of_deleted_messages_still_find_their_rows(journal, postgresql, rand):
    journal.segment_bytes = 1 << 16
    entries = [journal.message(0, message(n, payload=bytes(100))) for n in range(1000)]
    journal.flush()
    drain(journal, postgresql)
    for path in sorted(journal.path.glob("*.seg"))[:-1]:
        path.unlink()
    journal.clock_ns += 10**9
    journal.done(0, [(entry, DELIVERED, 3, 500) for entry in entries[::10]])
    journal.flush()
    report, _ = drain(journal, postgresql)
    assert report["updates"] == 100
    check(postgresql, journal, names={})


# docs/sinks.md


def documented(kind):
    """{heading: query} of the document."""
    section = (ROOT / "docs" / "sinks.md").read_text().split("\n## Queries\n")[1]
    section = section.split("\n## ")[0]
    found = {}
    for part in section.split("\n### ")[1:]:
        title = part.split("\n")[0]
        found[title] = re.search(rf"```sql\n-- {kind}\n(.*?);\n```", part, re.S).group(1)
    return found


def answers(journal, number):
    """What the queries should say, from the ledger."""
    entries = list(journal.ledger.values())

    def name(key):
        return {name_key(n): n for n in NAMES}.get(key, f"{key:016x}")

    def grouped(key, keep=lambda e: True):
        groups = collections.defaultdict(list)
        for entry in filter(keep, entries):
            groups[key(entry)].append(entry)
        return sorted(groups.items())

    def size(group):
        return sum(len(e.message.payload) for e in group)

    def latencies(group):
        found = sorted((e.delivered_ns // number - e.message.timestamp_ns // number) * number / 1e6
                       for e in group)
        return [round(found[max(0, math.ceil(part * len(found)) - 1)], 3)
                for part in (0.5, 0.99, 1)]
    return {
        "Messages by priority": [
            [level, len(g), sum(e.status == "DELIVERED" for e in g)]
            for level, g in grouped(lambda e: e.level)],
        "By destination and type": sorted(
            ([*key, len(g), size(g)] for key, g in
             grouped(lambda e: (name(e.message.destination), name(e.message.type)))),
            key=lambda row: (-row[2], row[:2])),
        "Hourly volume": [
            [hour, len(g)] for hour, g in
            grouped(lambda e: time.strftime("%Y-%m-%d %H", time.gmtime(e.received_ns // 10**9)))],
        "Latency from end to end": [
            [where, *latencies(g)] for where, g in
            grouped(lambda e: name(e.message.destination), lambda e: e.status == "DELIVERED")],
        "Top sources": sorted(([who, len(g), size(g)] for who, g in
                               grouped(lambda e: name(e.message.source))),
                              key=lambda row: (-row[1], row[0]))[:10],
        "What is not delivered": [
            [*key, len(g), None] for key, g in
            grouped(lambda e: (name(e.message.destination), e.status),
                    lambda e: e.status != "DELIVERED")],
    }


@both_kinds
def test_the_queries_of_the_document_say_what_the_ledger_says(journal, database, rand):
    journal.clock_ns -= 50 * 60 * 10**9
    fill(journal, 1500, rand.random(), step_ns=10**9)
    drain(journal, database)
    queries = documented(database.kind)
    wanted = answers(journal, 1 if database.kind == "sqlite" else 1000)
    assert queries.keys() == wanted.keys()
    for title, query in queries.items():
        rows = [[cell if column != 3 or title != "What is not delivered" else None
                 for column, cell in enumerate(row)] for row in database.query(query)]
        for row, right in zip(rows, wanted[title], strict=True):
            assert [type(b)(a) if b is not None else None for a, b in zip(row, right)] == \
                [pytest.approx(b, abs=0.0011) if isinstance(b, float) else b for b in right], title
