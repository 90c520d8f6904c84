# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sinks: how fast a backlog goes into a database, against what that alone does with the same rows
in an equal table: a binary COPY of the same server, an INSERT ... SELECT of the same SQLite."""

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

from rig import BenchError

HARNESS = pathlib.Path(__file__).resolve().parents[2] / "dts"
PAYLOAD, RATE = 64, 100_000
TRANSACTION = 65536  # Rows that SQLite alone inserts at a time: as many as the sink does at most.
COLUMNS = ("received, delivered, source_time, created_at, position, attempts, journal, stream, "
           "priority, id, status, destination, source, type, id_text, payload")


def _postgres():
    """The private server of the end-to-end tests."""
    sys.path.insert(0, str(HARNESS))
    from harness.postgres import Postgres
    return Postgres()


def insert(source, path):
    """Seconds that SQLite takes for the rows of another file, set up as by the sink."""
    with contextlib.closing(sqlite3.connect(source)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        tables = [sql for sql, in db.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'sluice_messages'")]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL",
                       "cache_size = -65536", "wal_autocheckpoint = 4096"):
            db.execute(f"PRAGMA {pragma}")
        for sql in tables:
            db.execute(sql)
        db.execute("ATTACH ? AS source", (str(source),))
        refs = [ref for ref, in db.execute("SELECT ref FROM source.sluice_messages ORDER BY ref")]
        begin = time.monotonic()
        for at in range(0, len(refs), TRANSACTION):
            last = refs[min(at + TRANSACTION, len(refs)) - 1]
            # With a condition: whole tables SQLite copies page by page.
            db.execute("INSERT INTO main.sluice_messages SELECT * FROM source.sluice_messages "
                       "WHERE ref BETWEEN ? AND ?", (refs[at], last))
        return time.monotonic() - begin


class Sinks:
    """`with Sinks(build, messages) as sinks:`; each measurement is rows a second."""

    def __init__(self, build, messages, settings=("shared_buffers=1GB", "max_wal_size=8GB",
                                                  "checkpoint_timeout=1h")):
        self.tool = os.path.join(build, "app/sluice-sink/sluice-sink")
        self.maker = os.path.join(build, "tests/journal_write")
        self.messages, self.settings = messages, settings
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-sink-"))
        self.server = None
        self._nb_files = 0

    def __enter__(self):
        try:
            # Outcomes 5 ms behind their messages, and, in the other, a second: after batch_ms.
            self.make("soon", RATE // 200)
            self.make("late", RATE)
            self.server = _postgres()
            self.server.__enter__()
            for setting in self.settings:
                name, value = setting.split("=")
                self.server.admin(f"ALTER SYSTEM SET {name} = '{value}'", "postgres")
            self.server.stop()
            self.server.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.server is not None:
            self.server.__exit__()
        shutil.rmtree(self.dir, ignore_errors=True)

    def make(self, name, outcome_after):
        subprocess.run([self.maker, self.dir / name, f"messages={self.messages}",
                        f"payload={PAYLOAD}", f"rate={RATE}", f"after={outcome_after}",
                        f"segment={64 << 20}"],
                       check=True, timeout=300, stdout=subprocess.DEVNULL)

    def drain(self, journal, *database):
        begin = time.monotonic()
        done = subprocess.run([self.tool, "--journal", self.dir / journal, *database, "--json"],
                              capture_output=True, text=True, timeout=600, check=False)
        took = time.monotonic() - begin
        if done.returncode != 0:
            raise BenchError("sluice-sink: " + done.stderr.strip()[-400:])
        report = json.loads(done.stdout)
        if report["rows"] != self.messages:
            raise BenchError(f"sluice-sink: {report['rows']} rows of {self.messages}")
        return self.messages / took, report["updates"] / self.messages

    def sqlite(self):
        """(rate of the sink, that of SQLite alone with the rows it has written)"""
        self._nb_files += 1
        path, bare = (self.dir / f"{name}{self._nb_files}.db" for name in ("rows", "bare"))
        rate, _ = self.drain("soon", "--sqlite", path)
        alone = self.messages / insert(path, bare)
        path.unlink()
        bare.unlink()
        return rate, alone

    def postgresql(self, journal="soon", writers=1):
        """(rate, share of rows that were updated, schema)"""
        schema = self.server.schema()
        rate, updated = self.drain(journal, "--postgresql", self.server.conninfo(schema),
                                   "--writers", str(writers))
        return rate, updated, schema

    def save_rows(self, schema):
        """The rows as a file for copy()."""
        self.server.admin(f"COPY (SELECT {COLUMNS} FROM {schema}.sluice_messages ORDER BY position) "
                          f"TO '{self.server.path}/rows' (FORMAT binary)")
        partitions = self.server.admin(
            f"SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = "
            f"'{schema}.sluice_messages'::regclass")
        self.server.admin(f"CREATE TABLE model (LIKE {partitions[0][0]} INCLUDING ALL)")

    def copy(self):
        """Rows a second of a COPY by psql, over TCP as the sink's, and its commit."""
        self.server.admin("DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE model INCLUDING ALL); "
                          "ALTER TABLE bare OWNER TO sluice")
        begin = time.monotonic()
        with open(self.server.path / "rows", "rb") as rows:
            subprocess.run([self.server.bin / "psql", "-X", "-q", self.server.conninfo(), "-c",
                            f"COPY bare ({COLUMNS}) FROM STDIN (FORMAT binary)"],
                           stdin=rows, check=True, timeout=600)
        return self.messages / (time.monotonic() - begin)

    def drop(self, schema):
        self.server.admin(f"DROP SCHEMA {schema} CASCADE; CHECKPOINT")
