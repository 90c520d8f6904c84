# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What the path promises holds for messages of gateways' clients too: they are rows of a sink with the
names they came with, also after the appliance was killed; they are traced and explained; and classes
keep their order when a queue has backed up."""

import http.client
import json
import struct
import subprocess

import pytest

from harness import LineClient, control_pb2, destination, line_listener, make_config, name_key
from harness.appliance import BUILD
from harness.durable import DurableLab
from harness.patience import patience, wait_until
from harness.postgres import Cut, Postgres
from harness.sink import Sqlite
from test_json_gateway import PORT, Client, gateways, order, subscriber
from test_sink_appliance import Warehouse

HTTP = 8095
CLASSES = [{"level": level, "name": name} for level, name in ((1, "high"), (2, "medium"), (3, "low"))]
JOURNAL = BUILD / "app" / "sluice-journal" / "sluice-journal"


# Who closes with this is known to have gone at once, and not when it is sent the next message.
RESET = {"SO_LINGER": struct.pack("ii", 1, 0)}


def config(bench, **keys):
    make = bench.config if "sinks" in keys else bench.config_with_sink
    return make(
        destination("orders", kind="queue"), destination("meals", kind="queue"), classes=CLASSES,
        gateways={"listeners": [
            {"name": "json", "protocol": "json", "address": "127.0.0.1", "port": PORT},
            {"name": "web", "protocol": "http", "address": "127.0.0.1", "port": HTTP},
            line_listener()]}, **keys)


@pytest.fixture
def bench():
    with DurableLab() as lab:
        yield lab


@pytest.fixture(name="rows")
def fixture_rows(bench):
    """What the sink has, {id as the sender gave it: (source, type, status, priority)}."""
    database = Sqlite(bench.dir / "messages.db")

    def rows(count, status="DELIVERED"):
        def found():
            if not database.is_made():
                return []
            return database.query("SELECT coalesce(id_text, payload), source, type, status, priority "
                                  "FROM sluice_messages WHERE status = ?", status)
        wait_until(lambda: len(found()) >= count, what=f"{count} rows")
        return {row[0] if isinstance(row[0], str) else row[0].decode(): row[1:] for row in found()}
    rows.database = database
    return rows


def brunch(number, to="orders", **keys):
    """An order with names that no configuration has."""
    return order(number, to, **{"sourceServerId": "till-7", "messageType": "brunch", **keys})


def publish_json(bench, *messages):
    """Send them, and wait until they are durable."""
    with Client(bench) as client:
        assert client.ask(acks=True) == {"acks": True}
        client.send(*messages)
        for _ in messages:
            assert "ack" in client.line()


def publish_http(bench, to, payload, **headers):
    with bench.inside.entered():
        connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=patience(10))
        connection.connect()
    connection.request("POST", f"/v1/destinations/{to}/messages", payload,
                       {f"Sluice-{name}": value for name, value in headers.items()})
    answer = connection.getresponse()
    assert answer.status == 202, answer.read()
    connection.close()


def publish_line(bench, to, payload):
    with LineClient(bench.inside, f"PUBLISH|{to}|{payload}") as client:
        assert client.line() == "ACK"


def test_names_of_all_gateways_are_in_the_sinks_rows(bench, rows):
    """... and which are names of the sender alone, which nothing is configured with."""
    with bench.appliance(config(bench)), subscriber(bench, "orders") as consumer:
        publish_json(bench, brunch(1))
        publish_http(bench, "orders", b'{"order": 2}', Source="web-till", Type="supper", Id="h-2")
        publish_line(bench, "orders", "three")
        consumer.take(3)
        found = rows(3)
        assert found["m-1"] == ("till-7", "brunch", "DELIVERED", 1)
        assert found["h-2"][:2] == ("web-till", "supper")
        assert found["three"][0] == "broker"
        names = dict(rows.database.query("SELECT name, key FROM sluice_names"))
        for name in ("till-7", "brunch", "web-till", "supper"):
            assert names[name] & (1 << 64) - 1 == name_key(name)


def test_names_are_in_postgresqls_rows_too(bench):
    with Postgres() as server, Cut(server.port, bench.inside) as link:
        warehouse = Warehouse(bench, server, link)
        sink = {"name": "warehouse", "kind": "postgresql", "conninfo": warehouse.conninfo, "batch_ms": 50}
        with bench.appliance(config(bench, sinks=[sink])):
            publish_json(bench, brunch(1))
            publish_http(bench, "orders", b"{}", Source="web-till", Type="supper")
            wait_until(lambda: warehouse.count() == 2, what="rows")
            rows = warehouse.query("SELECT source, type FROM sluice_messages ORDER BY source")
    assert rows == [["till-7", "brunch"], ["web-till", "supper"]]


def test_a_consumer_is_told_the_same_names_after_a_kill(bench, rows):
    sent = [brunch(1), brunch(2, sourceServerId="till-8", timestamp=1763725200124)]
    with bench.appliance(config(bench)) as sluice:
        publish_json(bench, *sent)
        publish_http(bench, "orders", b'{"order": 3}', Source="web-till", Type="supper", Id="h-3")
        for _ in range(2):  # The second start has what the first one put into the journal.
            sluice.crash()
            sluice.restart()
        with subscriber(bench, "orders") as consumer:
            got = {line["messageId"]: line for line in consumer.take(3)}
        assert [got["m-1"], got["m-2"]] == sent
        assert (got["h-3"]["sourceServerId"], got["h-3"]["messageType"]) == ("web-till", "supper")
        assert rows(3)["m-2"][:2] == ("till-8", "brunch")
    listed = subprocess.run([JOURNAL, "list", "--json", bench.journal_dir], check=True,
                            capture_output=True, text=True).stdout.splitlines()
    assert {json.loads(line)["source"] for line in listed} == {"till-7", "till-8", "web-till"}


def test_a_name_outlives_the_segment_it_came_in(bench):
    """Segments go as soon as nobody needs them, and with the first one the name's first record."""
    keys = {"retention": "0s", "retention_bytes": 0}
    with bench.appliance(config(bench, journal=keys)) as sluice:
        with subscriber(bench, "orders", "meals", **RESET) as consumer:
            publish_json(bench, brunch(1))
            consumer.take(1)
            [first] = [segment.path for segment in bench.journal().segments]
            numbers = iter(range(100, 10000))
            while first.exists():
                filling = [order(next(numbers), "meals", payload={"text": "x" * 8000})
                           for _ in range(50)]
                publish_json(bench, *filling)
                consumer.take(len(filling))
        with sluice.control() as control:
            wait_until(lambda: control.show("ingress", "json")["subscriptions"] == 0,
                       what="nobody who would be sent it")
        publish_json(bench, brunch(2))
        sluice.crash()
        assert {"till-7", "brunch", "server1"} <= set(bench.journal().names().values())
        sluice.restart()
        with subscriber(bench, "orders") as consumer:
            assert consumer.take(1) == [brunch(2)]


def test_names_that_nobody_needs_do_not_come_back(bench):
    """A client that has used up all the names there are has not done so for good."""
    with bench.appliance(config(bench)) as sluice:
        def remembered():
            with sluice.control() as control:
                return control.show("ingress")["names"]["remembered"]
        with subscriber(bench, "orders") as consumer:
            publish_json(bench, *(order(n, "orders", sourceServerId=f"till-{n}") for n in range(20)))
            consumer.take(20)
        wait_until(lambda: not bench.journal().undelivered(), what="outcomes")
        publish_json(bench, brunch(20))
        assert remembered() > 20
        sluice.crash()
        sluice.restart()
        assert remembered() < 20


def test_a_gateways_message_is_traced_and_explained(bench):
    with bench.appliance(config(bench, rules=[{"type": "brunch", "class": "low"}])) as sluice, \
            subscriber(bench, "orders") as consumer, sluice.control() as control:
        told = control.explain(source="till-7", destination="orders", type="brunch", priority=1)
        assert (told["class"]["name"], told["rule"]) == ("low", 1), told
        control.send(trace=control_pb2.Trace(by="SOURCE", value="till-7", count=1))
        assert control.show("version")  # The trace is on.
        publish_json(bench, order(1, "orders"), brunch(2))
        consumer.take(2)
        trace = json.loads(control.receive().json)
        assert trace["is_complete"]
        [followed] = trace["messages"]
        assert followed["destination"] == "orders"
        nodes = [step["node"] for step in followed["steps"]]
        assert "dispatch" in nodes, nodes
        # The gateway acknowledges several at a time, a moment after it has sent them.
        wait_until(lambda: control.show("destination", "orders")["delivered"] == 2,
                   what="both are counted")


def test_classes_keep_their_order_when_a_queue_has_backed_up(bench, rows):
    with bench.appliance(config(bench)):
        for priority in (3, 2, 1):
            publish_json(bench, *(brunch(10 * priority + n, priority=priority) for n in range(10)))
        publish_http(bench, "orders", b'{"order": 99}', Source="web-till", Priority="1", Id="m-99")
        with subscriber(bench, "orders") as consumer:
            got = consumer.take(31)
        assert [line["messageId"] for line in got] == [
            *(f"m-{10 + n}" for n in range(10)), "m-99", *(f"m-{20 + n}" for n in range(20))]
        assert [line["priority"] for line in got] == [1] * 11 + [2] * 10 + [3] * 10
        assert rows(31)["m-39"] == ("till-7", "brunch", "DELIVERED", 3)


def test_a_client_with_too_many_names_is_told_of_once(lab):
    """... and does not hold up anybody's messages."""
    def names(control):
        return control.show("ingress")["names"]
    with lab.appliance(make_config(destination("loose", kind="queue"), gateways=gateways())) as sluice, \
            sluice.control() as control, Client(lab) as client:
        known, most = names(control)["remembered"], names(control)["max"]
        line = json.dumps(order(1, "loose", sourceServerId="till-%d"))
        client.send("".join(f"{line}\n" % n for n in range(most - known + 100)).encode())
        wait_until(lambda: names(control)["refused"] >= 100, what="refused names")
        assert names(control)["remembered"] == most
        told = [event for event in control.show("events") if event["kind"] == "names_full"]
        assert [event["fields"] for event in told] == [{"names": most}]
        assert "restart" in told[0]["text"]
