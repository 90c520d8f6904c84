# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""PostgreSQL as administrators have it: TLS, service and password files, and servers in trouble."""

import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

import pytest

from harness import Namespace
from harness.journal_maker import DELIVERED, Journal, fill
from harness.patience import patience, wait_until
from harness.postgres import PASSWORD, Postgres, certificate_of
from harness.sink import Postgresql, Sink, check, drain
from harness.standstill import Standstill
from harness.wire import message

SEED = int(os.environ.get("SLUICE_TEST_SEED", random.randrange(2**31)))
NAME = "db.sluice.test"


@pytest.fixture(scope="module")
def server():
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def journal(tmp_path):
    print(f"SLUICE_TEST_SEED={SEED}")
    made = Journal(tmp_path / "journal")
    fill(made, 300, SEED)
    return made


def rows(database):
    """Rows; 0 as long as there is no table."""
    [[table]] = database.query("SELECT to_regclass('sluice_messages')")
    return int(database.query("SELECT count(*) FROM sluice_messages")[0][0]) if table else 0


def works_in_the_end(journal, database, sink):
    wait_until(lambda: rows(database) == len(journal.ledger), 60, "the rows")
    wait_until(lambda: "sink_up" in sink.events, 10, "an event that it works again")
    assert sink.stop()["drained"]
    check(database, journal)


def event(sink, words):
    """Wait for an event with @words. Returns its line."""
    wait_until(lambda: words in sink.events, 20, f"'{words}' in {sink.events}")
    assert PASSWORD not in sink.events
    return next(line for line in sink.events.splitlines() if words in line)


FOLLOW = ("--follow", "--retry", "1000", "--batch-ms", "20")


# TLS

@pytest.fixture(scope="module")
def certificate(server):
    return server.serve_tls(NAME)


def over_tls(server, certificate, host=NAME, mode="verify-full"):
    # The name is checked against the certificate, the address is where it goes.
    return Postgresql(server, host=host, hostaddr="127.0.0.1", sslmode=mode,
                      sslrootcert=certificate)


def test_tls_with_a_server_that_proves_its_name(server, certificate, journal):
    database = over_tls(server, certificate)
    with Sink(journal, database, *FOLLOW) as sink:
        wait_until(lambda: rows(database) == 300, 20, "the rows")
        [[uses_tls]] = server.admin(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE application_name LIKE 'sluice/%'")
        assert uses_tls == "t"
        assert sink.stop()["drained"] and sink.events == ""
    check(database, journal)


def test_another_authority_than_the_servers_is_told_until_it_is_right(server, certificate, journal,
                                                                      tmp_path):
    other, _ = certificate_of(NAME, tmp_path)
    database = over_tls(server, other)
    with Sink(journal, database, *FOLLOW) as sink:
        line = event(sink, "certificate verify failed")
        assert "sink_down" in line and "08001" in line and "sslrootcert" in line
        assert f"{NAME}:{server.port}/sluice as sluice" in line and rows(database) == 0
        shutil.copy(certificate, other)
        works_in_the_end(journal, database, sink)


def test_a_server_with_another_name_is_none_of_the_sinks(server, certificate, journal):
    database = over_tls(server, certificate, host="other.sluice.test")
    _, events = drain(journal, database, code=1)
    assert "sink_down" in events and "does not match host name" in events
    assert "host is a name in the server's own" in events and rows(database) == 0


def test_a_missing_authority_is_named(server, certificate, journal, tmp_path):
    _, events = drain(journal, over_tls(server, tmp_path / "none.crt"), code=1)
    assert "none.crt" in events and "sslrootcert" in events


# Service and password files

def test_a_service_file(server, journal, tmp_path):
    """One that comes later is told as what is missing, and then used."""
    database, file = Postgresql(server), tmp_path / "services"
    database.args = ("--postgresql", f"service=warehouse options='-c search_path="
                                     f"{database.schema}'")
    with Sink(journal, database, *FOLLOW, PGSERVICEFILE=str(file)) as sink:
        assert "PGSERVICEFILE" in event(sink, "sink_down")
        file.write_text(f"[warehouse]\nhost=127.0.0.1\nport={server.port}\ndbname=sluice\n"
                        f"user=sluice\npassword={PASSWORD}\n")
        works_in_the_end(journal, database, sink)
        assert PASSWORD not in sink.events


@pytest.fixture
def password(server):
    """The role's password may be changed."""
    yield lambda word: server.admin(f"ALTER ROLE sluice PASSWORD '{word}'")
    server.admin(f"ALTER ROLE sluice PASSWORD '{PASSWORD}'")


def test_a_password_that_changes_while_it_runs(server, journal, tmp_path, password):
    """First in the server, then in the password file; no restart."""
    file = server.passfile(tmp_path / "pgpass")
    database = Postgresql(server, password=None, passfile=file)
    with Sink(journal, database, *FOLLOW) as sink:
        wait_until(lambda: rows(database) == 300, 20, "the rows")
        password("changed once")
        server.end_connections()
        fill(journal, 100, SEED)
        line = event(sink, "28P01")
        assert "sink_down" in line and "passfile" in line and "changed once" not in line
        server.passfile(file, "changed once")
        works_in_the_end(journal, database, sink)
        assert "changed once" not in sink.events


def test_a_password_file_that_all_may_read_is_no_password(server, journal, tmp_path):
    file = server.passfile(tmp_path / "pgpass")
    file.chmod(0o644)
    database = Postgresql(server, password=None, passfile=file)
    with Sink(journal, database, *FOLLOW) as sink:
        line = event(sink, "no password supplied")
        assert "sink_down" in line and "chmod 600" in line
        file.chmod(0o600)
        works_in_the_end(journal, database, sink)


# Trouble

def test_a_full_disk_of_the_server(server, journal, tmp_path):
    """All of it is there once there is room."""
    disk = server.path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], check=True)
    try:
        os.chown(disk, server.user.pw_uid, server.user.pw_gid)
        server.admin(f"CREATE TABLESPACE small LOCATION '{disk}'")
        server.admin("GRANT CREATE ON TABLESPACE small TO sluice")
        database = Postgresql(server)
        options = f"options='-c search_path={database.schema} -c default_tablespace=small'"
        database.args = ("--postgresql", f"{server.conninfo()} {options}")
        fill(journal, 3000, SEED)
        with Sink(journal, database, *FOLLOW) as sink:
            line = event(sink, "53100")
            assert "sink_down" in line and "make room on the server's disk" in line
            subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
            works_in_the_end(journal, database, sink)
        server.admin(f"DROP SCHEMA {database.schema} CASCADE")
        server.admin("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_statement_that_is_cancelled_is_made_again(server, journal):
    """What the server does with one that takes too long: 57014."""
    database = Postgresql(server)
    drain(journal, database)
    # It takes as long as somebody has the lock, also when it has been made again.
    database.query(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
        "CREATE TRIGGER slow AFTER INSERT ON sluice_messages EXECUTE FUNCTION wait()")
    fill(journal, 100, SEED)
    with transaction(server, database, "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); END $$") \
            as end, Sink(journal, database, *FOLLOW) as sink:
        wait_until(lambda: server.admin(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'"),
            20, "a statement to cancel")
        assert "took too long" in event(sink, "57014")
        end("COMMIT")
        works_in_the_end(journal, database, sink)


def test_a_partition_that_is_dropped_is_made_again(server, journal):
    """Its rows are gone; those that come after it are there."""
    database = Postgresql(server)
    with Sink(journal, database, *FOLLOW) as sink:
        wait_until(lambda: rows(database) == 300, 20, "the rows")
        for [name] in database.query("SELECT DISTINCT tableoid::regclass FROM sluice_messages"):
            database.query(f"DROP TABLE {name}")
        journal.ledger.clear()
        fill(journal, 100, SEED)
        works_in_the_end(journal, database, sink)


@contextlib.contextmanager
def transaction(server, database, sql):
    """Somebody else's, open; yields what ends it."""
    psql = [server.bin / "psql", "-X", "-q", "-h", server.path, "-p", str(server.port), "-U",
            "postgres", "-d", "sluice"]
    with subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        def end(how):
            other.stdin.write(f"{how};\n")
            other.stdin.close()
            other.wait(patience(20))
        other.stdin.write(f"SET search_path = {database.schema}; BEGIN; {sql}; \\echo done\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        yield end


def test_a_table_that_somebody_locks_is_waited_for(server, journal):
    database = Postgresql(server)
    drain(journal, database)
    fill(journal, 100, SEED)
    with transaction(server, database, "LOCK TABLE sluice_messages") as end:
        with Sink(journal, database, *FOLLOW) as sink:
            wait_until(lambda: server.admin("SELECT 1 FROM pg_locks WHERE NOT granted"), 20,
                       "it waits")
            end("COMMIT")
            wait_until(lambda: rows(database) == 400, 20, "the rows")
            assert sink.stop()["drained"] and sink.events == ""
    check(database, journal)


def test_an_outcome_that_is_written_after_its_message_does_not_stay(server, journal):
    """Read before it, but by a writer that was held up until the cursor was behind the message."""
    database = Postgresql(server, writers=3)
    drain(journal, database)
    position = journal.stream(1).position
    held = f"INSERT INTO sluice_early VALUES (0, 1, {position}, 0, 0, 0)"
    with transaction(server, database, held) as end:
        with Sink(journal, database, "--batch-messages", "1", *FOLLOW) as sink:
            late = journal.message(1, message(1))
            journal.message(0, message(2))  # The first writer's, which is the one that moves cursors.
            journal.done(0, [(late, DELIVERED, 1, 0)])
            journal.streams[0].file.flush()
            wait_until(lambda: server.admin("SELECT 1 FROM pg_locks WHERE NOT granted"), 20,
                       "the second waits")
            journal.flush()
            wait_until(lambda: database.query("SELECT 1 FROM sluice_cursors WHERE stream = 1 "
                                              f"AND position > {position}"), 20, "the cursor")
            end("ROLLBACK")
            assert sink.stop()["drained"]
    check(database, journal)
    assert database.query("SELECT count(*) FROM sluice_early") == [["0"]]


@pytest.mark.parametrize("writers", (1, 2))
def test_a_range_is_written_again_where_one_before_it_was_not(server, tmp_path, writers):
    """Two writers' ranges, of which the second was committed and the first was not."""
    journal, database = Journal(tmp_path / "journal"), Postgresql(server, writers=writers)
    entries = [journal.message(0, message(number)) for number in range(3000)]
    journal.flush()
    drain(journal, database)
    at = [entry.position for entry in entries] + [journal.stream(0).position]
    # A part of what is cut at the same place now, which goes further.
    for end in (at[3000], at[2500]):
        database.query(
            f"UPDATE sluice_cursors SET position = {at[1000]}; DELETE FROM sluice_messages "
            f"WHERE position >= {at[1000]} AND position < {at[2000]} OR position >= {end}; "
            f"INSERT INTO sluice_ranges VALUES (0, 0, {at[2000]}, {end}) "
            "ON CONFLICT (journal, stream, first) DO UPDATE SET last = excluded.last")
        _, events = drain(journal, database, "--batch-messages", "1000")
        assert events == ""
        check(database, journal, names={})
        assert database.query("SELECT position FROM sluice_cursors") == [[str(at[3000])]]


def test_it_stops_at_once_while_no_name_server_answers(server, journal):
    """Whose answers libpq waits for half a minute."""
    with contextlib.closing(Namespace("sink")) as space:
        etc = pathlib.Path("/etc/netns") / space.name
        etc.mkdir(parents=True)
        try:
            (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
            with space.entered():
                silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                silent.bind(("127.0.0.1", 53))
            database = Postgresql(server, host="db.sluice.test")
            sink = Sink(journal, database, *FOLLOW)
            sink.command = space.exec_args(*sink.command)
            with silent, sink:
                silent.settimeout(patience(20))
                assert b"sluice" in silent.recv(512)
                with Standstill() as still:
                    begin = time.monotonic()
                    assert not sink.stop()["drained"]
                    took = time.monotonic() - begin
                assert took < 2 + still.seconds
        finally:
            shutil.rmtree(etc)
