# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Messages by a protocol of the gateways, as fast as they are taken:
gateway_load.py json|line|rooms|http PORT CONNECTIONS DESTINATION...

They are made before; each connection sends its own over and over, a chunk of whole ones at a time,
until standard input ends, and answers are read and forgotten. Then it says how many that were."""

import base64
import json
import os
import socket
import struct
import sys
import threading

MESSAGES = 1 << 16  # Of a connection: of those with ids no two are the same.
CHUNK = 256


def json_lines(number, destinations):
    kinds = (b"breakfast", b"lunch", b"dinner")
    return [b'{"messageId": "server%d-%010d", "sourceServerId": "server%d", "destinationId": "%s", '
            b'"messageType": "%s", "priority": %d, "timestamp": 1763725200123, '
            b'"payload": {"order": %d, "seat": %d, "dish": "eggs and bacon"}}\n' % (
                number, i, number, destinations[i % len(destinations)].encode(), kinds[i % 3],
                1 + i % 3, i, i % 8) for i in range(MESSAGES)]


def line_lines(_, destinations):
    return [b"PUBLISH|%s|%064d\n" % (destinations[i % len(destinations)].encode(), i)
            for i in range(MESSAGES)]


def frame(number, kind, text="Is anybody there?"):
    """A text frame of a client, masked with zeros."""
    data = json.dumps({"userId": str(number), "username": f"user{number:04d}", "message": text,
                       "timestamp": "2026-11-21T12:00:00Z", "messageType": kind}).encode()
    return struct.pack(">BBHI", 0x81, 0x80 | 126, len(data), 0) + data


def room_frames(number, _):
    return [frame(number, "TEXT", f"Is anybody there? {i}") for i in range(MESSAGES)]


def enter_room(sock, number, destinations):
    room = destinations[number % len(destinations)]
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(f"GET /chat/{room} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                 f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = sock.recv(65536)
        if not more:
            sys.exit(f"no room: {answer!r}")
        answer += more
    sock.sendall(frame(number, "JOIN"))


def http_posts(number, destinations):
    """As many lines as a chunk has, a post."""
    posts = []
    for at in range(0, MESSAGES, CHUNK):
        name = destinations[at // CHUNK % len(destinations)]
        body = b"".join(b'{"messageId": "http%d-%010d", "sourceServerId": "http%d", "payload": '
                        b'{"order": %d}}\n' % (number, i, number, i)
                        for i in range(at, at + CHUNK))
        posts.append(b"POST /v1/destinations/%s/messages HTTP/1.1\r\nHost: bench\r\n"
                     b"Content-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n" % (
                         name.encode(), len(body)) + body)
    return posts


PROTOCOLS = {"json": json_lines, "line": line_lines, "rooms": room_frames, "http": http_posts}


class Sender(threading.Thread):
    def __init__(self, protocol, number, port, destinations):
        super().__init__(daemon=True)
        messages = PROTOCOLS[protocol](number, destinations)
        units = CHUNK * len(messages) // MESSAGES
        self.chunks = [b"".join(messages[at:at + units])
                       for at in range(0, len(messages), units)]
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.sent = 0
        self.is_over = False
        if protocol == "rooms":
            enter_room(self.socket, number, destinations)
        if protocol != "json":
            threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while self.socket.recv(1 << 20):
            pass

    def run(self):
        while True:
            for chunk in self.chunks:
                if self.is_over:
                    return
                self.socket.sendall(chunk)
                self.sent += CHUNK


def main():
    protocol, port, nb = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    senders = [Sender(protocol, number, port, sys.argv[4:]) for number in range(1, nb + 1)]
    print("ready", flush=True)
    for sender in senders:
        sender.start()
    sys.stdin.read()
    for sender in senders:
        sender.is_over = True
    for sender in senders:
        sender.join(10)
    print(sum(sender.sent for sender in senders), flush=True)


if __name__ == "__main__":
    main()
