# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""room-load: against the appliance, and against a server that does what the appliance must not."""

import base64
import contextlib
import csv
import hashlib
import json
import select
import socket
import subprocess
import threading
import xml.etree.ElementTree

import pytest
from harness import Appliance, Namespace, make_config, table
from harness.appliance import BUILD
from harness.config import port
from harness.patience import patience

ROOM_LOAD = BUILD / "tools" / "room-load" / "room-load"


PORT = 8081


@pytest.fixture(name="space")
def fixture_space():
    """Where nobody else has a port, and none is taken by another's connection."""
    with contextlib.closing(Namespace("rooms")) as space:
        yield space


def load(space, port_number, tmp_path, *args):
    """(exit code, its JSON, what it said)"""
    report = tmp_path / "report.json"
    argv = space.exec_args(ROOM_LOAD, "--url", f"ws://127.0.0.1:{port_number}/chat", "--quiet",
                           "--json", report, *args)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=patience(60), check=False)
    return done.returncode, json.loads(report.read_text()) if report.exists() else None, \
        done.stdout + done.stderr


def test_it_finds_the_appliance_without_fault(space, tmp_path):
    listener = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "port": PORT}
    with Appliance(make_config(table(1), ports=[port(device="net_null0")],
                               gateways={"listeners": [listener]}), vdevs=["net_null0"],
                   namespace=space) as sluice:
        code, report, said = load(space, PORT, tmp_path, "--rooms", 4, "--users", 3,
                                  "--deaf", 1, "--messages", 9_999, "--warmup", 100, "--check", 1,
                                  "--csv", tmp_path / "load.csv", "--plot", tmp_path / "load.svg")
        assert code == 0 and report["good"], said
        total = report["total"]
        assert (total["sent"], total["received"], total["expected"]) == (9_999, 29_997, 29_997)
        assert sum(count for _, count in report["latency_us"]["histogram"]) == 29_997
        assert [room["room"] for room in report["rooms"]] == ["1", "2", "3", "4"]
        with sluice.control() as control:
            shown = control.show("ingress")["gateways"][0]
        assert sum(room["texts"] for room in shown["rooms"]) == 9_999 + 100
        # At a rate, messages have a time they are due at.
        code, report, said = load(space, PORT, tmp_path, "--rooms", 2, "--rate", 5000,
                                  "--messages", 2500, "--warmup", 0, "--first-room", 3)
        assert code == 0 and 0.45 <= report["seconds"] <= 5, said
    rows = list(csv.DictReader((tmp_path / "load.csv").open()))
    # In the last second there may be nothing any more.
    assert rows and max(float(row["received_per_s"]) for row in rows) > 0
    assert xml.etree.ElementTree.parse(tmp_path / "load.svg").getroot().tag.endswith("svg")


class Server(threading.Thread):
    """A room without rules: of texts the tenth is told to nobody, the twentieth twice, the thirtieth
    behind the next one of its speaker, the fortieth altered, and the fiftieth refused."""

    def __init__(self, space):
        super().__init__(daemon=True)
        with space.entered():
            self.listener = socket.create_server(("127.0.0.1", PORT))
        self.input, self.texts, self.late = {}, 0, None

    def run(self):
        with self.listener:
            while not self.input or any(client.fileno() >= 0 for client in self.input):
                ready, _, _ = select.select([self.listener, *self.input], [], [],
                                            patience(10))
                for client in ready:
                    if client is self.listener:
                        self.greet()
                    elif not self.read(client):
                        client.close()
                        del self.input[client]
                if not ready or not self.input:
                    break

    def greet(self):
        client, _ = self.listener.accept()
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += client.recv(4096)
        request = request.decode()
        key = next(line.split(": ")[1] for line in request.split("\r\n") if "-Key:" in line)
        digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
                       b"Upgrade\r\nSec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
        self.input[client] = b""

    def read(self, client):
        data = client.recv(1 << 16)
        if not data:
            return False
        data = self.input[client] + data
        while len(data) >= 8:
            length, start = data[1] & 0x7f, 2
            if length == 126:
                length, start = int.from_bytes(data[2:4], "big"), 4
            if len(data) < start + 4 + length:
                break
            mask, text = data[start:start + 4], data[start + 4:start + 4 + length]
            if data[0] == 0x88:
                return False
            self.hear(client, json.loads(bytes(c ^ mask[i % 4] for i, c in enumerate(text))))
            data = data[start + 4 + length:]
        self.input[client] = data
        return True

    def tell(self, clients, told):
        text = json.dumps(told).encode()
        for client in clients:
            client.sendall(b"\x81\x7e" + len(text).to_bytes(2, "big") + text)

    def hear(self, client, message):
        told = {**message, "roomId": "1", "status": "OK", "messageId": "1",
                "serverTimestamp": "2026-11-21T12:00:00.000Z"}
        # json.dumps() puts blanks behind colons, which is as good.
        if message["messageType"] == "JOIN":
            self.tell(self.input, told)
            return
        self.texts += 1
        if self.texts == 50:
            self.tell([client], {"status": "ERROR", "message": "no"})
        elif self.texts == 30:
            self.late = (client, told)
        elif self.texts != 10:
            self.tell(self.input, {**told, "username": "x" * 3} if self.texts == 40 else told)
        if self.texts == 20:
            self.tell(self.input, told)
        if self.late and self.late[0] is client and self.texts > 30:
            self.tell(self.input, self.late[1])
            self.late = None


def test_it_finds_each_fault(space, tmp_path):
    server = Server(space)
    server.start()
    # For longer than the server may stand still: what it has not said by then counts as lost.
    code, report, said = load(space, PORT, tmp_path, "--rooms", 1, "--users", 3, "--messages", 300,
                              "--warmup", 0, "--check", 1, "--timeout", 3)
    server.join(patience(10))
    assert code == 1 and not report["good"], said
    total = report["total"]
    assert {name: total[name] for name in ("sent", "lost", "duplicated", "reordered", "refused",
                                           "wrong")} == \
        {"sent": 300, "lost": 3, "duplicated": 3, "reordered": 3, "refused": 1, "wrong": 3}
    assert report["first_error"] == "no" and report["cut"]


@pytest.mark.parametrize("args,said", [
    (["--rooms", "0"], "--rooms"), (["--url", "http://x"], "--url"), (["--users", "100001"], "--users"),
    (["--size", "501"], "--size"), (["much"], "much")])
def test_wrong_options_are_told(tmp_path, args, said):
    done = subprocess.run([ROOM_LOAD, *args], capture_output=True, text=True,
                          timeout=patience(10), check=False)
    assert done.returncode == 2 and said in done.stderr


def test_nobody_there_is_told(space, tmp_path):
    code, _, said = load(space, PORT, tmp_path)
    assert code == 2 and "is the gateway there?" in said
