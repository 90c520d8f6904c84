#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""A server of the restaurant: sends orders by an ordinary UDP socket and the stock protobuf
library. Some orders it sends twice, as one does who is not sure that the first got through.

Reports as JSON lines what it has sent, twice a second and at its end.
"""

import argparse
import collections
import json
import random
import socket
import time

import orders
import wire

RESEND_AFTER = 100  # orders


class Server:
    def __init__(self, name, address, duplicate_share, seed):
        self.name = name
        self.address = address
        self.duplicate_share = duplicate_share
        self.random = random.Random(f"{seed} {name}")
        self.shift = time.time_ns()  # the upper half of the ids: no two shifts share one
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.second_feed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.resend = collections.deque()  # (when, order)
        self.sent = 0
        self.duplicates = 0
        self.by_order = collections.Counter()

    def order(self):
        """A new order, as a protobuf message, and the words it is counted under."""
        self.sent += 1
        table = self.random.choice(orders.TABLES)
        type = self.random.choice(orders.TYPES)
        payload = json.dumps({"order": self.sent, "server": self.name, "seat":
                              self.random.randint(1, 8), "dish": f"{type} {self.sent % 17}"})
        self.by_order[f"{table} {type}"] += 1
        return wire.message((self.shift << 64) | self.sent, source=self.name, destination=table,
                            type=type, payload=payload.encode())

    def send(self):
        """Send the next order and whatever is due to be repeated."""
        order = self.order()
        data = wire.encode(order)
        self.socket.sendto(data, self.address)
        if self.random.random() < self.duplicate_share:
            self.duplicates += 1
            if self.duplicates % 2:
                self.second_feed.sendto(data, self.address)
            else:
                self.resend.append((self.sent + RESEND_AFTER, order))
        while self.resend and self.resend[0][0] <= self.sent:
            self.repeat()

    def repeat(self):
        """An order again, under its id, sent later and so with another time."""
        order = self.resend.popleft()[1]
        order.timestamp_ns = time.time_ns()
        self.socket.sendto(wire.encode(order), self.address)

    def report(self, done=False):
        orders.report(sent=self.sent, duplicates=self.duplicates - len(self.resend),
                      by_order=self.by_order, done=done)


def work(server, rate, seconds, stop):
    started = time.monotonic()
    next_report = started + 0.5
    while not stop and (now := time.monotonic()) < started + seconds:
        # At most a few at once after a pause: what is late is not made up for by a burst that
        # would overrun a socket's buffer.
        for _ in range(min(16, int((now - started) * rate) - server.sent)):
            server.send()
        if now >= next_report:
            server.report()
            next_report = now + 0.5
        time.sleep(max(0.0005, min(0.002, 1 / rate)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--to", required=True, help="ADDRESS:PORT of the appliance")
    parser.add_argument("--rate", type=float, default=2000, help="orders a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--duplicates", type=float, default=0.03, help="share of orders sent twice")
    parser.add_argument("--seed", default="1")
    args = parser.parse_args()
    address, port = args.to.split(":")
    server = Server(args.name, (address, int(port)), args.duplicates, args.seed)
    work(server, args.rate, args.seconds, orders.Stop())
    while server.resend:
        server.repeat()
    server.report(done=True)


if __name__ == "__main__":
    main()
