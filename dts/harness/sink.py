# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""sluice-sink as a process, and the rows it wrote, held against a journal's ledger."""

import contextlib
import datetime
import json
import os
import signal
import sqlite3
import subprocess
import tempfile

from .appliance import BUILD
from .journal import POSITION_BITS
from .journal_maker import NAMES
from .patience import patience
from .wire import name_key

TOOL = BUILD / "app" / "sluice-sink" / "sluice-sink"
COLUMNS = ("received, delivered, source_time, attempts, priority, status, destination, source, "
           "type, id, id_text, payload")


class Sqlite:
    """A database in a file."""
    kind = "sqlite"

    def __init__(self, path):
        self.path = path
        self.args = ("--sqlite", path)

    def query(self, sql, *args):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            return db.execute(sql, args).fetchall()

    def is_made(self):
        """Has the sink made its tables? It does that all at once."""
        # Before that there is no file, or one whose log is in the making.
        with contextlib.suppress(sqlite3.OperationalError):
            return bool(self.query("SELECT 1 FROM sqlite_master WHERE name = 'sluice_messages'"))
        return False

    def rows(self):
        """{(number of the journal, ref): row}, every row once."""
        found = {}
        for ref, *row in self.query(f"SELECT ref, {COLUMNS} FROM sluice_messages"):
            assert ref not in found
            # The stream's low 4 bits are over the position, the others in it, where it has none.
            stream, position = ref >> 54 & 15 | (ref & 15) << 4, ref & (1 << 54) - 16
            found[ref >> 58, stream << POSITION_BITS | position] = tuple(row)
        return found

    @staticmethod
    def time(ns):
        return None if ns == 0 or ns >= 1 << 63 else ns

    @staticmethod
    def blob(data):
        return data

    @staticmethod
    def number(value):
        return value


class Postgresql:
    """A schema of its own on a server."""
    kind = "postgresql"

    def __init__(self, server, writers=1, port=None, **conninfo):
        self.server, self.schema = server, server.schema()
        self.args = ("--postgresql", server.conninfo(self.schema, port, **conninfo),
                     "--writers", str(writers))

    def query(self, sql):
        return self.server.admin(sql, schema=self.schema)

    def rows(self):
        found = {}
        for journal, stream, position, *row in self.query(
                f"SELECT journal, stream, position, {COLUMNS} FROM sluice_messages"):
            key = int(journal), int(stream) << POSITION_BITS | int(position)
            assert key not in found, f"{key} twice"
            found[key] = tuple(row)
        return found

    @staticmethod
    def time(ns):
        if ns == 0:
            return None
        at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=ns // 1000)
        text = at.strftime("%Y-%m-%d %H:%M:%S")
        if at.microsecond:
            text += f".{at.microsecond:06}".rstrip("0")
        return text + "+00"

    @staticmethod
    def blob(data):
        return "\\x" + data.hex()

    @staticmethod
    def number(value):
        return str(value)


def _id(database, message):
    data = message.id_high.to_bytes(8, "big") + message.id_low.to_bytes(8, "big")
    if database.kind == "sqlite":
        return data
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


_KNOWN = {name_key(name): name for name in NAMES}


def expected(database, entry, names=None):
    """The row of a message."""
    names = _KNOWN if names is None else names
    message = entry.message

    def name(key):
        return names.get(key, f"{key:016x}")
    return (database.time(entry.received_ns), database.time(entry.delivered_ns),
            database.time(message.timestamp_ns), database.number(entry.attempts),
            database.number(entry.level), entry.status, name(message.destination),
            name(message.source), name(message.type), _id(database, message),
            message.id_text if message.HasField("id_text") else None,
            database.blob(message.payload))


def check(database, *journals, names=None):
    """The rows are the ledgers', no more and no less. @journals: in the order they were begun."""
    rows = database.rows()
    wanted = {(number, ref): expected(database, entry, names)
              for number, journal in enumerate(journals)
              for ref, entry in journal.ledger.items()}
    lost = wanted.keys() - rows.keys()
    unknown = rows.keys() - wanted.keys()
    assert not lost and not unknown, f"{len(lost)} lost, {len(unknown)} unknown"
    wrong = [(row, wanted[key]) for key, row in rows.items() if row != wanted[key]]
    assert not wrong, f"{len(wrong)} rows are wrong, the first is and should be\n" \
        f"{wrong[0][0]}\n{wrong[0][1]}"


class Sink:
    """`with Sink(journal, database, "--follow") as sink:`"""

    def __init__(self, journal, database, *args, **environment):
        self.command = [TOOL, "--journal", journal.path, *database.args, "--json", *args]
        self.environment = {**os.environ, **environment}
        self.process = None
        self._said = tempfile.TemporaryFile("w+")
        self._errors = tempfile.TemporaryFile("w+")

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL,
                                        stdout=self._said, stderr=self._errors,
                                        env=self.environment)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def events(self):
        """What it said of events, whole lines; what comes at once may be read in parts."""
        # The file's position is the tool's as well: what it writes goes there.
        errors = self._errors.fileno()
        said = os.pread(errors, os.fstat(errors).st_size, 0)
        return said[:said.rfind(b"\n") + 1].decode()

    def wait(self, timeout=60):
        return self.process.wait(patience(timeout))

    def stop(self, timeout=20):
        """Ask it to end; what it reports."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(timeout)
        assert code >= 0, f"it crashed at its end, by signal {-code}:\n{self.events}"
        self._said.seek(0)
        return json.loads(self._said.read())


def drain(journal, database, *args, code=0, **environment):
    """Run it to its end. Returns (report, events)."""
    with Sink(journal, database, *args, **environment) as sink:
        assert sink.wait() == code, sink.events
        sink._said.seek(0)
        said = sink._said.read()
        return json.loads(said) if said else None, sink.events
