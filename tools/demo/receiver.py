#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A kitchen of the restaurant: receives orders on an ordinary UDP socket and keeps a ledger of its
own. Answers the appliance's probes. Reports as JSON lines, twice a second and, when stopped by
SIGTERM, at its end.
"""

import argparse
import collections
import select
import socket
import time

import orders
import wire

SO_RCVBUFFORCE = 33
BUFFER = 64 << 20


class Kitchen:
    def __init__(self, table):
        self.table = wire.name_key(table)
        self.classes = {wire.name_key(type): orders.served_class(table, type)
                        for type in orders.TYPES}
        self.seen = set()
        self.newest = collections.defaultdict(int)  # (source, class) -> place of the last order
        self.received = self.duplicates = self.reordered = self.foreign = self.probes = 0
        self.by_class = collections.Counter()
        self.latency = collections.Counter()

    def take(self, sock, now_ns):
        """Take a datagram with an order, or answer a probe: "do you work?" """
        data, peer = sock.recvfrom(65536)
        datagram = wire.decode(data)
        if datagram.HasField("probe") and not datagram.probe.reply:
            self.probes += 1
            datagram.probe.reply = True
            sock.sendto(datagram.SerializeToString(), peer)
        for message in datagram.messages:
            self.received += 1
            key = (message.source, message.id_high, message.id_low)
            if message.destination != self.table or message.type not in self.classes:
                self.foreign += 1
                continue
            if key in self.seen:
                self.duplicates += 1
                continue
            self.seen.add(key)
            level = self.classes[message.type]
            self.by_class[level] += 1
            self.latency[orders.latency_step((now_ns - message.timestamp_ns) // 1000)] += 1
            # A server numbers its orders: within a class they come in the order they were sent.
            lane = (message.source, level)
            number = self.number_of(message)
            if number < self.newest[lane]:
                self.reordered += 1
            self.newest[lane] = number

    @staticmethod
    def number_of(message):
        """A message server's ids are texts that end in it."""
        return int(message.id_text.rsplit("-", 1)[1]) if message.id_text else message.id_low

    def report(self, done=False):
        orders.report(received=self.received, distinct=len(self.seen), duplicates=self.duplicates,
                      reordered=self.reordered, foreign=self.foreign, probes=self.probes,
                      by_class=self.by_class, latency=self.latency, done=done)


def serve(kitchen, sock, stop):
    next_report = time.monotonic()
    while not stop:
        if time.monotonic() >= next_report:
            kitchen.report()
            next_report += 0.5
        wait = max(0.0, min(0.1, next_report - time.monotonic()))
        while select.select([sock], [], [], wait)[0]:
            kitchen.take(sock, time.time_ns())
            wait = 0
            if time.monotonic() >= next_report:
                break


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bind", required=True, help="ADDRESS:PORT")
    parser.add_argument("--table", required=True)
    args = parser.parse_args()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    address, port = args.bind.split(":")
    sock.bind((address, int(port)))
    kitchen = Kitchen(args.table)
    serve(kitchen, sock, orders.Stop())
    while select.select([sock], [], [], 0)[0]:
        kitchen.take(sock, time.time_ns())
    kitchen.report(done=True)


if __name__ == "__main__":
    main()
