# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A bad network: a UDP relay that loses, doubles, delays and so reorders, by a seed."""

import heapq
import random
import select
import socket
import threading
import time

from .patience import patience
from .sockets import SO_RCVBUFFORCE


class BadNetwork:
    """`with BadNetwork(to, seed, loss=0.1) as relay:` what comes to relay.address goes on to @to,
    each sender by a socket of its own, and the answers back.

    @param loss, double   shares of the datagrams
    @param delay_s        each is late by a random time up to this
    """

    def __init__(self, to, seed, loss=0.1, double=0.05, delay_s=0.004):
        self.to, self.loss, self.double, self.delay_s = to, loss, double, delay_s
        self.is_cut = False
        self._random = random.Random(seed)
        self._front = self._socket()
        self._front.bind((to[0], 0))
        self.address = self._front.getsockname()
        self._backs = {}  # sender -> socket
        self._late = []
        self._nb = 0
        self.counts = {"relayed": 0, "lost": 0, "doubled": 0}
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def _socket():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        sock.setblocking(False)
        return sock

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_ending = True
        self._thread.join(patience(5))
        for sock in (self._front, *self._backs.values()):
            sock.close()

    def _pass_on(self, data, out, to):
        if self.is_cut or self._random.random() < self.loss:
            self.counts["lost"] += 1
            return
        copies = 1 + (self._random.random() < self.double)
        self.counts["doubled"] += copies - 1
        for _ in range(copies):
            self._nb += 1
            when = time.monotonic() + self._random.random() * self.delay_s
            heapq.heappush(self._late, (when, self._nb, data, out, to))

    def _take(self, sock, sender_of):
        for _ in range(256):
            try:
                data, sender = sock.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue
            if sock is not self._front:
                self._pass_on(data, self._front, sender_of[sock])
                continue
            if sender not in self._backs:
                self._backs[sender] = self._socket()
                self._backs[sender].bind((self.to[0], 0))
            self._pass_on(data, self._backs[sender], self.to)

    def _run(self):
        while not self._is_ending:
            sender_of = {sock: sender for sender, sock in self._backs.items()}
            wait = max(0, self._late[0][0] - time.monotonic()) if self._late else 0.05
            for sock in select.select([self._front, *sender_of], [], [], min(wait, 0.05))[0]:
                self._take(sock, sender_of)
            now = time.monotonic()
            while self._late and self._late[0][0] <= now:
                _, _, data, out, to = heapq.heappop(self._late)
                self.counts["relayed"] += 1
                try:
                    out.sendto(data, to)
                except OSError:
                    pass
