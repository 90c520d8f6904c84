# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Backends that are asked for their health, and how they fail.

A Server takes messages on a UDP port, as Receiver does, and says how it is on a TCP port of the
same number, in HTTP; `mode` is how:

  well    200                      wrong   503
  hang    takes the question, and says nothing
  late    200, after `late_s`      flap    200 and 503 in turn
  dead    nobody listens: connections are refused

Whatever its mode, it goes on taking messages, so that a test sees what is still sent to it.
"""

import collections
import contextlib
import heapq
import select
import socket
import struct
import threading
import time

from . import wire
from .patience import patience
from .sockets import udp_socket

_RESET = struct.pack("ii", 1, 0)


class Server:
    """`with Server(namespace, "10.77.0.11", 9001) as server:`"""

    def __init__(self, namespace, address, port, mode="well", late_s=1.0):
        self.namespace, self.address, self.port, self.late_s = namespace, address, port, late_s
        self.arrivals = []  # (time.monotonic(), id of the message)
        self.questions = 0
        self.probes = 0
        self._mode = mode
        self._messages = udp_socket(namespace, address, port)
        self._listener = None
        self._clients = []
        self._late = []  # (when, client)
        self._wake_read, self._wake_write = socket.socketpair()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._follow_mode()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_ending = True
        self._wake()
        self._thread.join(patience(5))
        for sock in (self._messages, self._listener, self._wake_read, self._wake_write,
                     *self._clients):
            if sock is not None:
                sock.close()

    @property
    def mode(self):
        return self._mode

    @mode.setter
    def mode(self, mode):
        self._mode = mode
        self._wake()

    @property
    def ledger(self):
        """How often each message came."""
        return collections.Counter(ident for _, ident in list(self.arrivals))

    def last_arrival(self):
        """When the last message came, by time.monotonic()."""
        return self.arrivals[-1][0] if self.arrivals else 0.0

    def _wake(self):
        self._wake_write.send(b"x")

    def _follow_mode(self):
        """Whoever is dead has no socket, and its kernel resets what was open."""
        if self._mode == "dead" and self._listener is not None:
            self._listener.close()
            self._listener = None
            for client in list(self._clients):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._hang_up(client)
        elif self._mode != "dead" and self._listener is None:
            with self.namespace.entered():
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self.address, self.port))
            listener.listen(128)
            listener.setblocking(False)
            self._listener = listener

    def _hang_up(self, client):
        with contextlib.suppress(ValueError):
            self._clients.remove(client)
        client.close()

    def _take_datagram(self):
        data, sender = self._messages.recvfrom(65536)
        now = time.monotonic()
        got = wire.decode(data)
        self.arrivals.extend((now, wire.id_of(m)) for m in got.messages)
        if got.HasField("probe") and not got.probe.reply:
            self._answer_probe(got.probe, sender)

    def _answer_probe(self, probe, sender):
        self.probes += 1
        late = self._mode == "wrong" or (self._mode == "flap" and self.probes % 2)
        if self._mode in ("dead", "hang", "late") or late:
            return
        answer = wire.datagram()
        answer.probe.nonce, answer.probe.reply = probe.nonce, True
        answer.probe.in_flight, answer.probe.latency_ns = 3, 250000
        self._messages.sendto(answer.SerializeToString(), sender)

    def _say(self, client, status):
        with contextlib.suppress(OSError):
            client.send(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
        self._hang_up(client)

    def _take_question(self, client):
        try:
            if not client.recv(4096):
                self._hang_up(client)
                return
        except OSError:
            self._hang_up(client)
            return
        self.questions += 1
        if self._mode == "late":
            heapq.heappush(self._late, (time.monotonic() + self.late_s, id(client), client))
        elif self._mode == "well" or (self._mode == "flap" and self.questions % 2):
            self._say(client, 200)
        elif self._mode in ("wrong", "flap"):
            self._say(client, 503)

    def _say_late(self):
        while self._late and self._late[0][0] <= time.monotonic():
            client = heapq.heappop(self._late)[2]
            if client in self._clients:
                self._say(client, 200)

    def _run(self):
        while not self._is_ending:
            watched = [self._messages, self._wake_read, *self._clients]
            if self._listener is not None:
                watched.append(self._listener)
            for sock in select.select(watched, [], [], 0.05)[0]:
                if sock is self._messages:
                    self._take_datagram()
                elif sock is self._wake_read:
                    sock.recv(4096)
                elif sock is self._listener:
                    self._clients.append(sock.accept()[0])
                elif sock in self._clients:
                    self._take_question(sock)
            self._say_late()
            self._follow_mode()
