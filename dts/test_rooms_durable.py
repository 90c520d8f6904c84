# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""In an at-least-once room a sender's own copy means durable, also when the appliance is killed."""

import contextlib
import json
import threading

import websocket

from harness import destination, wire
from harness.lines import HOST, connect
from harness.patience import patience, wait_until

PORT = 8081
KILLS = 3


def config(lab):
    return lab.config(destination("orders"), gateways={"listeners": [
        {"name": "chat", "protocol": "rooms", "address": HOST, "port": PORT, "rooms": 1,
         "guarantee": "at-least-once"}]})


class Talker(threading.Thread):
    """Says numbers, one behind the other's own copy, on new connections for ever."""

    def __init__(self, lab, user):
        super().__init__(daemon=True)
        self.lab, self.user = lab, user
        self.is_over = threading.Event()
        self.said, self.acked = [], {}
        self.connections = 0

    def talk(self, client):
        def say(kind, text):
            client.send(json.dumps({
                "userId": str(self.user), "username": f"user{self.user}", "message": text,
                "messageType": kind, "timestamp": "2026-11-21T12:00:00Z"}))
            while True:
                heard = json.loads(client.recv())
                assert heard["status"] == "OK", heard
                if heard["userId"] == str(self.user) and heard["message"] == text:
                    return heard["messageId"]

        say("JOIN", f"hello {self.connections}")
        self.connections += 1
        while not self.is_over.is_set():
            self.said.append(f"{self.user}-{len(self.said)}")
            ident = say("TEXT", self.said[-1])
            assert ident not in self.acked
            self.acked[ident] = self.said[-1]

    def run(self):
        while not self.is_over.is_set():
            with contextlib.suppress(OSError, websocket.WebSocketException):
                client = websocket.create_connection(
                    f"ws://{HOST}:{PORT}/chat/1", timeout=patience(10),
                    socket=connect(self.lab.inside, PORT))
                with contextlib.closing(client):
                    self.talk(client)


def test_an_own_copy_is_in_the_journal_though_the_appliance_is_killed(durable):
    with durable.appliance(config(durable)) as sluice:
        talkers = [Talker(durable, user) for user in (1, 2, 3)]
        for talker in talkers:
            talker.start()
        for kill in range(1, KILLS + 1):
            # Each has been back since the last kill: what one has to tell may be from before.
            wait_until(lambda: all(len(t.acked) >= 60 * kill and t.connections >= kill
                                   for t in talkers), 30, "copies")
            sluice.crash()
            acked = {ident: text for t in talkers for ident, text in list(t.acked.items())}
            kept = {f"{m.id_high:016x}{m.id_low:016x}": json.loads(m.payload)["message"]
                    for m in map(wire.pb2.Message.FromString,
                                 (record.data for record in durable.journal().messages))}
            assert {ident: kept.get(ident) for ident in acked} == acked
            sluice.restart()
        wait_until(lambda: all(t.connections > KILLS for t in talkers), 30, "all are back")
        for talker in talkers:
            talker.is_over.set()
            talker.join(patience(20))
            assert not talker.is_alive()
            assert set(talker.acked.values()) <= set(talker.said)
