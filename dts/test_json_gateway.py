# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Newline-delimited JSON over TCP, by clients that have only Python's json and socket, or netcat."""

import base64
import collections
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness import ROOT, destination, make_config, message, name_key, table
from harness.patience import Deadline, patience, wait_until
from harness.standstill import Standstill

SERVERS = ROOT / "tools" / "message-servers"
PORT = 9000
RSS_SPARE = 64 << 20


def queue(name="orders", **keys):
    """A queue whose backends are the gateway's clients alone."""
    return destination(name, kind="queue", **keys)


def topic(name="news", **keys):
    return destination(name, kind="topic", **keys)


def gateways(connectors=(), **listener):
    keys = {"name": "json", "protocol": "json", "address": "127.0.0.1", "port": PORT, **listener}
    return {"listeners": [keys], "connectors": [
        {"name": "servers", "servers": [f"127.0.0.1:{port}" for port in connectors]}]
        if connectors else []}


def config(*destinations, connectors=(), listener=None, **keys):
    return make_config(*destinations, gateways=gateways(connectors, **(listener or {})), **keys)


def order(number, to="table1", **keys):
    return {"messageId": f"m-{number}", "sourceServerId": "server1", "destinationId": to,
            "messageType": "breakfast", "priority": 1, "timestamp": 1763725200123,
            "payload": {"order": number}, **keys}


class Client:
    """A connection into the gateway, from inside its namespace."""

    def __init__(self, lab, port=PORT, **options):
        with lab.inside.entered():
            self.socket = socket.socket()
            for option, value in options.items():
                self.socket.setsockopt(socket.SOL_SOCKET, getattr(socket, option), value)
            self.socket.settimeout(patience(10))
            self.socket.connect(("127.0.0.1", port))
        self._rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *lines):
        """Each a dict, or bytes as they are to be on the wire."""
        self.socket.sendall(b"".join(
            line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
            for line in lines))

    def line(self, within=None):
        """The next line; None when it ends, or, of one that need not come, when it does not come
        @within so many seconds."""
        self.socket.settimeout(within or patience(10))
        while b"\n" not in self._rest:
            try:
                data = self.socket.recv(1 << 18)
            except (TimeoutError, ConnectionError):
                return None
            if not data:
                return None
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def take(self, count):
        lines = [self.line() for _ in range(count)]
        assert None not in lines, f"{lines.count(None)} of {count} lines did not come"
        return lines

    def ids(self, count):
        return [line["messageId"] for line in self.take(count)]

    def nothing(self, within=0.3):
        assert self.line(within) is None

    def ask(self, **command):
        self.send(command)
        return self.line()


@contextlib.contextmanager
def subscriber(lab, *names, **options):
    with Client(lab, **options) as client:
        for name in names:
            assert client.ask(subscribe=name) == {"subscribed": name}
        yield client


def ingress(sluice, name="json"):
    """What `show ingress` has of a listener or connector."""
    with sluice.control() as control:
        shown = control.show("ingress")
    [found] = [g for g in shown["gateways"] + shown["connectors"] if g["name"] == name]
    return found


def refused(sluice, name="json"):
    return {reason: n for reason, n in ingress(sluice, name)["reasons"].items() if n}


class MessageServers:
    """tools/message-servers inside the namespace; `sent()` ends it, and is what it says it sent."""

    def __init__(self, lab, directory, *args):
        self.ledger = directory / "sent"
        argv = lab.inside.exec_args(sys.executable, SERVERS, "--json", "--stay", "--interval", "0.1",
                                    "--ledger", self.ledger, *args)
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        self.last = json.loads(self.process.stdout.readline())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.last = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def sent(self):
        self.process.terminate()
        assert self.process.wait(patience(20)) == 0
        self._reader.join(patience(10))
        assert self.last["done"]
        return self.last

    def ids(self):
        """{destination: [messageId, ...]} in the order they were sent."""
        found = collections.defaultdict(list)
        for line in self.ledger.read_text().splitlines():
            entry = json.loads(line)
            found[entry["destinationId"]].append(entry["messageId"])
        return found


# Into the path.

def test_a_message_keeps_all_it_says(lab):
    with lab.receiver() as kitchen, lab.appliance(config()), Client(lab) as client:
        payload = '{"dish":  "eggs \\u00e9", "n": 1.50, "list": [ ]}'
        sent = json.dumps(order(1, priority=3)).replace('{"order": 1}', payload)
        client.send(sent.encode() + b"\n")
        [got] = kitchen.take(1)
        assert (got.source, got.destination, got.type) == (
            name_key("server1"), name_key("table1"), name_key("breakfast"))
        assert got.id_text == "m-1" and got.id_high and got.id_low
        assert (got.timestamp_ns, got.priority) == (1763725200123000000, 3)
        assert got.payload == payload.encode()


def test_netcat_is_a_client(lab):
    """Its lines, and a last word: what it sent is there, and the connection ends."""
    lines = "".join(json.dumps(order(n)) + "\r\n" for n in range(100))
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice:
        done = subprocess.run(lab.inside.exec_args("nc", "-N", "127.0.0.1", str(PORT)), input=lines,
                              text=True, capture_output=True, timeout=patience(10))
        assert (done.returncode, done.stdout) == (0, "")
        assert [m.id_text for m in kitchen.take(100)] == [f"m-{n}" for n in range(100)]
        sluice.wait_for(received=100, delivered=100, dropped={})


def test_what_came_by_udp_is_a_duplicate_and_the_other_way_round(lab):
    """One id, one message, whichever way it comes."""
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as client:
        client.send(order(1), order(1), order(2))
        first, second = kitchen.take(2)
        lab.send(first, second)
        sluice.wait_for(received=5, delivered=2, duplicates=3)
        kitchen.nothing()


def test_a_bad_line_is_counted_and_costs_only_itself(lab):
    bad = [b"[" * 5000 + b"\n", b"garbage\n", b"{}\n", b"[1]\n", b"\x00\x01\xff\n", b'{"a":"\x00"}\n', b"\xef\xbb\xbf{}\n",
           json.dumps(order(9, priority=4)).encode() + b"\n",
           json.dumps(order(9, timestamp="now")).encode() + b"\n",
           json.dumps(order(9, payload=[1])).encode() + b"\n",
           b'{"subscribe":17}\n']
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as client:
        for number, line in enumerate(bad):
            client.send(line, order(number))
        assert [m.id_text for m in kitchen.take(len(bad))] == [f"m-{n}" for n in range(len(bad))]
        assert refused(sluice) == {"bad_input": len(bad)}
        # With the reason and what it was, but not more than the first 200 bytes.
        assert 'payload is an array, not an object: "{"messageId": "m-9"' in sluice.stderr
        assert "priority is not from 1 to 3" in sluice.stderr
        assert "[" * 200 in sluice.stderr and "[" * 201 not in sluice.stderr


def test_log_lines_of_bad_lines_are_few(lab):
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as client:
        begun = time.monotonic()
        client.send(b"garbage\n" * 20000, order(1))
        kitchen.take(1)
        assert refused(sluice) == {"bad_input": 20000}
        # Ten at once, and ten a second.
        assert 10 <= sluice.stderr.count("garbage") <= 11 + 10 * (time.monotonic() - begun)


def test_a_line_without_end_is_skipped_in_bounded_memory(lab):
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as client:
        client.send(order(1))
        kitchen.take(1)
        before = sluice.rss()
        for _ in range(100):
            client.send(b"x" * (1 << 20))
        assert sluice.rss() - before < RSS_SPARE
        client.send(b"\n", order(2), b'{"messageId":"' + b"y" * (1 << 20) + b'"}\n', order(3))
        assert [m.id_text for m in kitchen.take(2)] == ["m-2", "m-3"]
        assert refused(sluice) == {"too_long": 2}


def test_an_unknown_destination_is_counted_and_told_once(lab):
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as client:
        client.send(*[order(n, to="nowhere") for n in range(50)], order(51, to="nirvana"), order(52))
        assert [m.id_text for m in kitchen.take(1)] == ["m-52"]
        assert refused(sluice) == {"no_destination": 51}
        assert sluice.stderr.count("sends to nowhere, which is not configured") == 1
        assert sluice.stderr.count("sends to nirvana, which is not configured") == 1


def test_more_than_its_rate_waits(lab):
    """What a client may send a second is a pace, not a loss."""
    settings = config(listener={"rate_msgs_per_s": 200})
    with lab.receiver() as kitchen, lab.appliance(settings), Client(lab) as client:
        begun = time.monotonic()
        client.send(*[order(n) for n in range(200)])
        assert [m.id_text for m in kitchen.take(200)] == [f"m-{n}" for n in range(200)]
        assert time.monotonic() - begun > 0.5


def test_who_waits_is_not_idle(lab):
    settings = config(listener={"rate_msgs_per_s": 10, "idle_ms": 1000})
    with lab.receiver() as kitchen, lab.appliance(settings) as sluice, Client(lab) as client:
        client.send(*[order(n) for n in range(50)])
        got = kitchen.take(50, timeout=15)
        assert [m.id_text for m in got] == [f"m-{n}" for n in range(50)]
        # Then it is.
        assert client.line() is None
        assert refused(sluice) == {"idle": 1}


# Out of the path.

def test_a_topic_s_messages_go_to_all_and_a_queue_s_to_one(lab):
    settings = config(topic(), queue())
    with lab.appliance(settings), subscriber(lab, "news", "orders") as one, \
            subscriber(lab, "orders", "news") as two, Client(lab) as sender:
        sender.send(*[order(n, to="news") for n in range(100)])
        wanted = [f"m-{n}" for n in range(100)]
        assert one.ids(100) == wanted and two.ids(100) == wanted
        sender.send(*[order(n, to="orders") for n in range(100, 200)])
        got = one.take(1) + two.take(1)
        deadline = Deadline(10)
        while len(got) < 100 and not deadline.has_passed():
            got += [line for client in (one, two) if (line := client.line(0.05))]
        assert sorted(line["messageId"] for line in got) == [f"m-{n}" for n in range(100, 200)]
        assert two.ask(unsubscribe="news") == {"unsubscribed": "news"}
        sender.send(order(200, to="news"))
        assert one.ids(1) == ["m-200"]
        two.nothing()


def test_a_consumer_gets_what_was_sent(lab):
    sent = order("\u00e9 \"1\"\n", to="news", sourceServerId="k\u00fcche", messageType="a/b",
                 payload={"deep": [{"a": None}], "text": "\U0001f600 \\ \u2028"})
    with lab.appliance(config(topic())), subscriber(lab, "news") as reader, Client(lab) as sender:
        sender.send(sent)
        assert reader.line() == sent


def test_what_comes_by_udp_is_a_line_like_others(lab):
    """Names that the configuration knows, keys where nobody does; any payload as an object."""
    payloads = {b'{"a":\n1}': {"a": 1}, b"": {}, b"[1]": {"text": "[1]"}, b"plain": {"text": "plain"},
                b"\xff\x00": {"base64": base64.b64encode(b"\xff\x00").decode()}}
    rules = [{"type": "breakfast", "class": "high"}]
    with lab.appliance(config(topic(), rules=rules)), subscriber(lab, "news") as reader:
        for number, (payload, wanted) in enumerate(payloads.items(), 1):
            lab.send(message((7 << 64) | number, source="who", destination="news", type="breakfast",
                             timestamp_ns=1763725200123456789, payload=payload))
            assert reader.line() == {
                "messageId": f"{7:016x}{number:016x}", "sourceServerId": f"{name_key('who'):016x}",
                "destinationId": "news", "messageType": "breakfast", "priority": 2,
                "timestamp": 1763725200123, "payload": wanted}


def test_names_are_remembered_from_what_came_in(lab):
    """A key that came by UDP has the name that somebody told once."""
    with lab.appliance(config(topic())), subscriber(lab, "news") as reader, Client(lab) as sender:
        sender.send(order(1, to="news", sourceServerId="somebody-new", messageType="brunch"))
        assert reader.ids(1) == ["m-1"]
        lab.send(message(2, source="somebody-new", destination="news", type="brunch"))
        line = reader.line()
        assert (line["sourceServerId"], line["messageType"]) == ("somebody-new", "brunch")


def test_commands_are_answered(lab):
    with lab.appliance(config(topic())), Client(lab) as client:
        assert client.ask(subscribe="nowhere") == {"error": "there is no destination nowhere"}
        assert client.ask(subscribe="news") == {"subscribed": "news"}
        assert client.ask(subscribe="news") == {"subscribed": "news"}
        assert client.ask(unsubscribe="nowhere") == {"unsubscribed": "nowhere"}
        assert client.ask(acks=True) == {"acks": True}
        client.send(order(1, to="nowhere"), b"garbage\n", order(2, to="news"))
        assert client.line() == {"refused": "m-1", "reason": "no such destination"}
        assert list(client.line()) == ["error"]
        # Who reads the topic that it writes to, gets its own, too.
        got = client.take(2)
        assert {"ack": "m-2"} in got and "m-2" in [line.get("messageId") for line in got]


def test_a_slow_reader_delays_nobody(lab):
    """It gets what it has room for; what it does not is dropped, counted, and not kept."""
    settings = config(topic(queue_capacity=65536), listener={"output_max": "64K"})
    text = "x" * 800
    with lab.appliance(settings) as sluice, subscriber(lab, "news") as quick, \
            subscriber(lab, "news", SO_RCVBUF=4096) as slow, Client(lab) as sender:
        before = sluice.rss()
        for first in range(0, 5000, 100):
            sender.send(*[order(n, to="news", payload={"text": text})
                          for n in range(first, first + 100)])
            assert quick.ids(100) == [f"m-{n}" for n in range(first, first + 100)]
        assert refused(sluice)["output_full"] > 100
        assert sluice.rss() - before < RSS_SPARE
        got = []
        # What has come, or is known not to come, is all of it in the end.
        deadline = Deadline(20)
        while len(got) + refused(sluice)["output_full"] < 5000 and not deadline.has_passed():
            while line := slow.line(0.1):
                got.append(int(line["messageId"][2:]))
        # Whole lines, in order, and the connection lives.
        assert got == sorted(set(got)) and 0 < len(got) < 5000
        assert len(got) + refused(sluice)["output_full"] == 5000
        sender.send(order(5000, to="news"))
        assert slow.ids(1) == ["m-5000"]


# Message servers.

def test_orders_of_message_servers_arrive_once(lab, tmp_path):
    """Four servers with duplicates, garbage, lines without measure and connections cut in the middle
    of a line, against their own ledger."""
    tables = [table(n) for n in range(1, 5)]
    settings = config(*tables, connectors=range(8001, 8005))
    with contextlib.ExitStack() as stack:
        kitchens = [stack.enter_context(lab.receiver(n)) for n in range(1, 5)]
        servers = stack.enter_context(MessageServers(
            lab, tmp_path, "--rate", 1000, "--count", 2000, "--duplicates", 0.05, "--garbage", 0.02,
            "--oversized", 0.001, "--unknown", 0.01, "--slow", 0.002, "--disconnects", 30,
            "--burst", 200, "--burst-every", 0.5, "--seed", 3))
        sluice = stack.enter_context(lab.appliance(settings))
        wait_until(lambda: servers.last["sent"] == 8000, 40, "all is sent")
        sluice.wait_for(lambda s: s["delivered"] == 8000, timeout=20)
        counts = servers.sent()
        for kitchen, ids in zip(kitchens, (servers.ids()[f"table{n}"] for n in range(1, 5))):
            got = [m.id_text for m in kitchen.take(len(ids))]
            assert sorted(got) == sorted(ids)
            kitchen.nothing(0.1)
        stats = sluice.wait_for(received=8000 + counts["duplicates"], duplicates=counts["duplicates"],
                                delivered=8000, dropped={})
        assert stats["received"] > 8000
        assert counts["disconnects"] > 0
        # A connection that ends in the middle of a line is one, too.
        assert refused(sluice, "servers") == {
            "bad_input": counts["garbage"], "too_long": counts["oversized"],
            "no_destination": counts["unknown"], "reset": counts["disconnects"]}
        of_servers = ingress(sluice, "servers")["servers"]
        assert sum(server["accepted"] for server in of_servers) == stats["received"]
        assert sum(server["refused"] for server in of_servers) == sum(
            refused(sluice, "servers").values())


def test_a_connector_comes_back_by_itself(lab):
    """At once when it can, then less and less often; its state is shown."""
    with lab.inside.entered():
        taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    taken.settimeout(patience(10))
    with lab.receiver() as kitchen, lab.appliance(config(connectors=[port])) as sluice, \
            Standstill() as still:
        pauses, closed, still_before = [], None, 0.0
        for number in range(4):
            server, _ = taken.accept()
            if closed is not None:
                pauses.append((time.monotonic() - closed, still.seconds - still_before))
            server.sendall(json.dumps(order(number)).encode() + b"\n" + b'{"messageId": "half')
            kitchen.take(1)
            [shown] = ingress(sluice, "servers")["servers"]
            assert (shown["state"], shown["connections"]) == ("connected", number + 1)
            if number < 3:
                still_before, closed = still.seconds, time.monotonic()
                server.close()
        # 0.5 s at least, doubled and up to a quarter less.
        bounds = (0.4, 1.2), (0.7, 5.6), (1.4, 5.6)
        for (pause, still_for), (least, most) in zip(pauses, bounds, strict=True):
            assert least < pause < most + still_for, pauses
        # While nobody listens it is tried again, and told once.
        taken.close()
        server.close()
        wait_until(lambda: ingress(sluice, "servers")["servers"][0]["state"] == "backoff")
        assert set(refused(sluice, "servers")) <= {"reset"}


def test_servers_that_end_every_connection_are_not_pestered(lab):
    """At once, in the middle of a line, by FIN or RST: pauses grow, and nobody else notices."""
    with lab.inside.entered():
        servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
    is_over, accepted = threading.Event(), collections.Counter()

    def flap(server, torn):
        server.settimeout(0.1)
        while True:
            # What has connected by the end has been counted, there and here.
            is_last = is_over.is_set()
            try:
                client, _ = server.accept()
            except TimeoutError:
                if is_last:
                    return
                continue
            with contextlib.suppress(ConnectionError):
                accepted[server] += 1
                client.sendall(json.dumps(order(1)).encode() + b'\n{"messageId": "half')
                if torn:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.close()

    threads = [threading.Thread(target=flap, args=(server, number % 2 == 1))
               for number, server in enumerate(servers)]
    for thread in threads:
        thread.start()
    begun = time.monotonic()
    settings = config(connectors=[server.getsockname()[1] for server in servers])
    with lab.receiver() as kitchen, lab.appliance(settings) as sluice, Client(lab) as client:
        end, number = time.monotonic() + 2.5, 100
        while time.monotonic() < end:
            client.send(order(number))
            number += 1
            time.sleep(0.005)

        def steady():
            kitchen.poll()
            return [m.id_text for m in kitchen.messages if m.id_text != "m-1"]

        wait_until(lambda: len(steady()) >= number - 100)
        assert steady() == [f"m-{n}" for n in range(100, number)]
        # One that was reset before it was noticed was none to the appliance.
        wait_until(lambda: all(row["connections"] >= 2 for row in
                               ingress(sluice, "servers")["servers"][::2]), what="second tries")
        wait_until(lambda: all(accepted[server] >= 2 for server in servers), what="all try again")
        wait_until(lambda: sluice.stderr.count("is not connected") >= 8, what="it is told")
        shown = ingress(sluice, "servers")["servers"]
        is_over.set()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - begun
    for server in servers:
        server.close()
    # At 0, 0.5, 1.25, 2.75 and 5.75 s at the earliest, then 3.75 s apart.
    most = 1 + sum(elapsed > when for when in (0.4, 1.1, 2.5, 5.4))
    most += int(max(0, elapsed - 5.4) / 3.7)
    assert all(2 <= accepted[server] <= most for server in servers), (accepted, elapsed)
    assert all(row["connections"] <= accepted[server] for row, server in zip(shown, servers))
    assert 8 <= sluice.stderr.count("is not connected") <= 8 * most


def test_a_torn_connection_costs_only_what_was_not_whole(lab):
    """RST in the middle of a line, many times over, and another client notices nothing."""
    with lab.receiver() as kitchen, lab.appliance(config()) as sluice, Client(lab) as steady:
        for number in range(50):
            with Client(lab, SO_LINGER=b"\x01\0\0\0\0\0\0\0") as torn:
                torn.send(order(1000 + number), b'{"messageId": "half')
            steady.send(order(number))

        def got():
            kitchen.poll()
            return [m.id_text for m in kitchen.messages if int(m.id_text[2:]) < 1000]

        wait_until(lambda: len(got()) == 50)
        assert got() == [f"m-{n}" for n in range(50)]
        assert {m.id_text for m in kitchen.messages} <= {
            f"m-{n}" for n in (*range(50), *range(1000, 1050))}
        wait_until(lambda: ingress(sluice)["clients"] == 1)


# Durable.

class Producer(threading.Thread):
    """Sends numbered orders, again under their ids when no ack came for them before the connection
    ended."""

    def __init__(self, lab, count, to):
        super().__init__(daemon=True)
        self.lab, self.count, self.to = lab, count, to
        self.acked, self.connections = set(), 0

    def run(self):
        while len(self.acked) < self.count:
            with contextlib.suppress(OSError):
                with Client(self.lab) as client:
                    self.connections += 1
                    self._session(client)
            time.sleep(0.05)

    def _session(self, client):
        answer = client.ask(acks=True)
        assert answer in (None, {"acks": True})
        if answer is None:
            return
        left = [n for n in range(self.count) if f"m-{n}" not in self.acked]
        flying = 0
        while left or flying:
            batch, left = left[:20], left[20:]
            client.send(*[order(n, to=self.to) for n in batch])
            flying += len(batch)
            while flying > (200 if left else 0):
                line = client.line()
                if line is None:
                    return
                self.acked.add(line["ack"])
                flying -= 1
            time.sleep(0.005)


class Consumer(threading.Thread):
    """Reads a queue, for ever: connects again when it was cut off."""

    def __init__(self, lab, name):
        super().__init__(daemon=True)
        self.lab, self.name_, self.got, self.is_over = lab, name, collections.Counter(), False

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError), Client(self.lab) as client:
                client.send({"subscribe": self.name_})
                while not self.is_over and (line := client.line(0.5)) != "":
                    if line is None:
                        if client.socket.fileno() < 0 or self._is_cut(client):
                            break
                    elif "messageId" in line:
                        self.got[line["messageId"]] += 1
            time.sleep(0.05)

    @staticmethod
    def _is_cut(client):
        client.socket.settimeout(0.05)
        try:
            return client.socket.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


def test_an_ack_is_kept_across_kill_9(durable):
    """The ledger: what was acknowledged arrives, whenever the appliance is killed."""
    settings = durable.config(queue(), gateways=gateways())
    with durable.appliance(settings) as sluice:
        producer, consumer = Producer(durable, 3000, "orders"), Consumer(durable, "orders")
        producer.start()
        consumer.start()
        for acked in (300, 1200, 2000):
            wait_until(lambda: len(producer.acked) >= acked, 30, f"{acked} acks")
            sluice.crash()
            sluice.restart()
        producer.join(patience(40))
        wanted = {f"m-{n}" for n in range(3000)}
        assert producer.acked == wanted and producer.connections >= 4
        wait_until(lambda: set(consumer.got) == wanted, 30, "all has arrived")
        consumer.is_over = True
        consumer.join(patience(10))
        # What came twice was in flight when it was killed.
        assert sum(n - 1 for n in consumer.got.values()) < 1500


@pytest.mark.parametrize("ended", ["closed", "torn"])
def test_what_a_consumer_had_not_read_goes_to_another(durable, ended):
    settings = durable.config(queue(), gateways=gateways(output_max="64K"))
    options = {"SO_LINGER": b"\x01\0\0\0\0\0\0\0"} if ended == "torn" else {}
    with durable.appliance(settings), Client(durable) as sender:
        text = "x" * 900
        with subscriber(durable, "orders", SO_RCVBUF=4096, **options) as idle:
            assert sender.ask(acks=True) == {"acks": True}
            sender.send(*[order(n, to="orders", payload={"text": text}) for n in range(1000)])
            # It has what its socket took; the rest waits.
            first = [line["messageId"] for line in idle.take(5)]
            sender.take(1000)
        with subscriber(durable, "orders") as busy:
            # What had gone into the socket of the first counts as delivered, and that is not much.
            missing = {f"m-{n}" for n in range(1000)} - set(first)
            while len(missing) * 1000 >= (512 << 10) or "m-999" in missing:
                line = busy.line()
                assert line is not None, f"{len(missing)} are missing"
                missing.discard(line["messageId"])
