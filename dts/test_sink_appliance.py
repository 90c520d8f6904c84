# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A running appliance and its PostgreSQL: what was acknowledged is a row, once, with its outcome,
whatever becomes of the server, the network and the appliance; and messages do not wait for it."""

import os
import random
import subprocess
import time
import uuid

import pytest

from harness import HttpClient, listen_args, name_key, pb2, table
from harness.cli import Cli
from harness.durable import HandPublisher
from harness.journal import DELIVERED
from harness.ledger import ACKED
from harness.ledger import DELIVERED as LEDGER_DELIVERED
from harness.netns import connect
from harness.patience import patience, wait_until
from harness.postgres import PASSWORD, Cut, Postgres
from harness.sink import TOOL, Sqlite
from harness.standstill import Standstill

# Of what the configuration names; the rest is a key.
NAMES = {name_key(name): name for name in ("table1", "table2", "server1")}
NAMES[name_key("server2")] = f"{name_key('server2'):016x}"


@pytest.fixture(scope="module")
def server():
    with Postgres() as postgres:
        yield postgres


@pytest.fixture
def rand():
    seed = int(os.environ.get("SLUICE_TEST_SEED", random.randrange(2**31)))
    print(f"SLUICE_TEST_SEED={seed}")
    return random.Random(seed)


class Warehouse:
    """The appliance's sink: a schema of its own, reached by TCP through a link that can be cut, with
    the password in a file."""

    def __init__(self, lab, server, link, host="127.0.0.1", **words):
        self.lab, self.server, self.link = lab, server, link
        self.schema = server.schema()
        self.passfile = server.passfile(lab.dir / "pgpass", port=link.port)
        self.conninfo = server.conninfo(self.schema, link.port, host=host, password=None,
                                        passfile=self.passfile, **words)

    def config(self, *destinations, **keys):
        sink = {"name": "warehouse", "kind": "postgresql", "conninfo": self.conninfo,
                "batch_ms": 50, **keys}
        return self.lab.config(*destinations or [table(1), table(2)], sinks=[sink],
                               rules=[{"source": "server1", "class": "medium"}])

    def query(self, sql):
        return self.server.admin(sql, schema=self.schema)

    def count(self, where="true"):
        [[there]] = self.query("SELECT to_regclass('sluice_messages')")
        if there is None:
            return 0
        return int(self.query(f"SELECT count(*) FROM sluice_messages WHERE {where}")[0][0])

    def wait(self, rows, timeout=40.0):
        """Wait for so many rows, each with its outcome, and compare them with the journal."""
        wait_until(lambda: self.count("status = 'DELIVERED'") >= rows, timeout,
                   f"{rows} rows, but {self.count()}")
        self.check(rows)

    def check(self, rows):
        journal = self.lab.journal()
        done = journal.done()
        wanted = set()
        for kept in journal.messages:
            message = pb2.Message.FromString(kept.data)
            outcome, attempts = done[kept.ref]
            assert outcome == DELIVERED
            wanted.add((str(uuid.UUID(int=message.id_high << 64 | message.id_low)),
                        NAMES[message.source], NAMES[message.destination], "DELIVERED",
                        str(attempts), "2", f"\\x{message.payload.hex()}"))
        found = list(map(tuple, self.query(
            "SELECT id, source, destination, status, attempts, priority, payload "
            "FROM sluice_messages")))
        assert len(found) == rows == len(wanted), f"{len(found)} rows of {len(wanted)} messages"
        assert set(found) == wanted
        assert self.count("received > delivered") == 0


@pytest.fixture
def warehouse(durable, server):
    with Cut(server.port, durable.inside) as link:
        yield Warehouse(durable, server, link)


def publishers(lab, **options):
    """Two sources, to two destinations."""
    return (lab.publisher("pub1", destinations="table1,table2", **options),
            lab.publisher("pub2", destinations="table2,table1", source="server2", id_high=2,
                          **options))


def acks(lab, more):
    """Wait until @more messages have been acknowledged and delivered from now on."""
    acked, delivered = lab.ledger.count(ACKED), lab.ledger.count(LEDGER_DELIVERED)
    wait_until(lambda: lab.ledger.count(ACKED) >= acked + more and
               lab.ledger.count(LEDGER_DELIVERED) >= delivered + more, 20, "acks and deliveries")


def stop(lab, sources):
    """Returns how many messages there were, all of them acknowledged and delivered."""
    for source in sources:
        source.stop()
    report = lab.wait_drained()
    report.check(drained=True)
    assert report.sent == report.acked
    return report.acked


def shown(control):
    [sink] = control.show("sinks")
    return sink


def kinds(control):
    return [event["kind"] for event in control.show("events")]


def test_every_message_is_a_row(durable, warehouse):
    with durable.appliance(warehouse.config(writers=2), args=listen_args()) as sluice, \
            sluice.control() as control, durable.backend(1), durable.backend(2):
        for source in publishers(durable, count=1500):
            source.wait()
        warehouse.wait(3000)
        sink = wait_until(lambda: (one := shown(control))["lag_bytes"] == 0 and
                          one["rows"] >= 3000 and one, 10, "no lag")
        assert (sink["state"], sink["rows"], sink["failures"], sink["gaps"]) == \
            ("running", 3000, 0, 0)
        assert sink["server"] == f"127.0.0.1:{warehouse.link.port}/sluice as sluice"
        metrics = HttpClient(durable.inside).metrics()
        assert metrics.value("sluice_sink_rows_total", sink="warehouse") == 3000
        assert metrics.value("sluice_sink_lag_bytes", sink="warehouse") == 0
        assert metrics.value("sluice_sink_state", sink="warehouse", state="running") == 1
        assert not [kind for kind in kinds(control) if kind.startswith("sink")]
        says = Cli(sluice).ok("show", "config")
        assert "passfile" in says and PASSWORD not in says + sluice.stderr
    warehouse.check(3000)


def test_the_server_crashes_and_comes_back(durable, warehouse, server):
    """Messages go on meanwhile; the circuit opens, and closes by itself."""
    with durable.appliance(warehouse.config(), args=listen_args()) as sluice, \
            sluice.control() as control, durable.backend(1), durable.backend(2):
        sources = publishers(durable, rate=500)
        wait_until(lambda: warehouse.count() > 0, 20, "rows")
        server.stop("immediate")
        try:
            acks(durable, 1000)
            # It is tried again now and then: what is said of a broken one is said at once.
            sink = wait_until(lambda: (one := shown(control))["state"] == "broken" and one, 20,
                              "the circuit is open")
            assert sink["failures"] >= 5 and sink["lag_bytes"] > 0 and sink["lag_s"] >= 0
            assert sink["retry_in_s"] > 0 and "see that the server runs" in sink["failure"]
            http = HttpClient(durable.inside)
            metrics = wait_until(lambda: (read := http.metrics()).value(
                "sluice_sink_state", sink="warehouse", state="broken") == 1 and read, 20, "metrics")
            assert metrics.value("sluice_sink_lag_bytes", sink="warehouse") > 0
            [told] = wait_until(lambda: [e for e in control.show("events")
                                         if e["kind"] == "sink_down"], 20, "an event")
            assert told["level"] == "warn" and told["fields"]["sink"] == "warehouse"
        finally:
            server.start()
        messages = stop(durable, sources)
        warehouse.wait(messages)
        wait_until(lambda: "sink_up" in kinds(control), 5, "it is up")
        assert shown(control)["gaps"] == 0
        assert sluice.stats().dropped == {}


def test_the_network_is_cut_and_heals(durable, server):
    """No packet comes through, and nobody is told."""
    connect(durable.inside, "db0", "02:00:00:00:db:01", durable.outside, "db1",
            "02:00:00:00:db:02")
    durable.inside.ip("address", "add", "10.88.0.1/24", "dev", "db0")
    durable.outside.ip("address", "add", "10.88.0.2/24", "dev", "db1")
    with Cut(server.port, durable.outside, "10.88.0.2") as link:
        warehouse = Warehouse(durable, server, link, "10.88.0.2", tcp_user_timeout=1000)
        with durable.appliance(warehouse.config()) as sluice, sluice.control() as control, \
                durable.backend(1), durable.backend(2):
            sources = publishers(durable, rate=500)
            wait_until(lambda: warehouse.count() > 0, 20, "rows")
            durable.outside.ip("link", "set", "db1", "down")
            acks(durable, 1000)
            wait_until(lambda: "sink_down" in kinds(control), 20, "an event")
            acks(durable, 200)
            durable.outside.ip("link", "set", "db1", "up")
            messages = stop(durable, sources)
            warehouse.wait(messages)
            wait_until(lambda: "sink_up" in kinds(control), 5, "it is up")
            assert shown(control)["gaps"] == 0
            assert sluice.stats().dropped == {}


@pytest.mark.parametrize("how", ("silent", "connecting"))
def test_it_stops_in_time_while_the_server_hangs(durable, warehouse, how):
    """In the middle of a transaction, or of a connection; the next start writes the rest."""
    sluice = durable.appliance(warehouse.config())
    with sluice, durable.backend(1), durable.backend(2):
        [first, second] = publishers(durable, count=500)
        first.wait()
        wait_until(lambda: warehouse.count() > 0, 20, "rows")
        warehouse.link.cut()
        if how == "connecting":
            warehouse.link.drop()
        second.wait()
        durable.wait_drained()
        with Standstill() as still:
            begin = time.monotonic()
            sluice.stop()
            took = time.monotonic() - begin
        assert took < 4 + still.seconds
        warehouse.link.drop()
        warehouse.link.mend()
        sluice.restart()
        warehouse.wait(1000)


def test_the_appliance_is_killed(durable, warehouse, server, rand):
    """kill -9, and once the server with it, which comes back later."""
    sluice = durable.appliance(warehouse.config(writers=2, batch_messages=20))
    with sluice, durable.backend(1), durable.backend(2):
        sources = publishers(durable, rate=800)
        for crash in range(6):
            acks(durable, 1)
            time.sleep(rand.random() * 0.5)
            if crash == 3:
                server.stop("immediate")
            sluice.crash()
            sluice.restart()
            if crash == 3:
                acks(durable, 200)
                server.start()
        warehouse.wait(stop(durable, sources))


def test_a_password_is_changed(durable, warehouse, server):
    """In the server first; the password file follows, and no restart is needed."""
    with durable.appliance(warehouse.config()) as sluice, sluice.control() as control, \
            durable.backend(1), durable.backend(2):
        try:
            sources = publishers(durable, rate=300)
            wait_until(lambda: warehouse.count() > 0, 20, "rows")
            server.admin("ALTER ROLE sluice PASSWORD 'changed once'")
            server.end_connections()
            # The sink's state is there before the control thread has its event.
            [told] = wait_until(lambda: [e for e in control.show("events") if (
                e["kind"], e["fields"].get("sqlstate")) == ("sink_down", "28P01")], 20, "it is told")
            assert "passfile" in told["text"] and "28P01" in shown(control)["failure"]
            server.passfile(warehouse.passfile, "changed once", warehouse.link.port)
            warehouse.wait(stop(durable, sources))
            wait_until(lambda: "sink_up" in kinds(control), 5, "it is up")
            said = sluice.stderr + str(control.show("events")) + str(control.show("sinks"))
            assert PASSWORD not in said and "changed once" not in said
        finally:
            server.admin(f"ALTER ROLE sluice PASSWORD '{PASSWORD}'")


def test_sluice_sink_does_not_feed_beside_an_appliance(durable, warehouse):
    """Each refuses to start while the other has the journal, and then goes on where that was."""
    sluice = durable.appliance(warehouse.config())
    arguments = [TOOL, "--config", sluice.config_file]
    with durable.backend(1), durable.backend(2):
        with sluice:
            for source in publishers(durable, count=300):
                source.wait()
            refused = subprocess.run(arguments, capture_output=True, text=True,
                                     timeout=patience(20), check=False)
            assert refused.returncode == 1 and "its appliance runs" in refused.stderr
            assert str(durable.journal_dir) in refused.stderr
            warehouse.link.cut()
            durable.wait_drained()
        with subprocess.Popen([*durable.inside.exec_args(*arguments), "--follow", "--retry", "60"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tool:
            warehouse.link.drop()
            warehouse.link.mend()
            wait_until(lambda: warehouse.count("status = 'DELIVERED'") == 600, 20, "its rows")
            code, says = sluice.fail()
            assert code != 0 and "locked by another process" in says and "sluice-sink" in says
            tool.terminate()
            assert tool.wait(patience(20)) == 0
        warehouse.check(600)


def test_the_priority_is_the_one_it_had(durable, tmp_path):
    """Whatever the classes are called when the row is written."""
    classes = [{"level": 3, "name": "early"}, {"level": 7, "name": "late"}]
    config = {**durable.config(table(1)), "classes": classes}
    with durable.appliance(config), HandPublisher(durable) as source:
        source.send(1, 2)
        source.wait_acked(1, 2)
    path = tmp_path / "rows.db"
    subprocess.run([TOOL, "--journal", durable.journal_dir, "--sqlite", path], check=True,
                   capture_output=True, timeout=patience(20))
    assert Sqlite(path).query("SELECT DISTINCT priority FROM sluice_messages") in ([(3,)], [(7,)])
