# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Clients, and primaries, of the line protocol, on plain sockets."""

import contextlib
import socket
import threading
import time

from .patience import patience, wait_until

HOST, PORT = "127.0.0.1", 8080


def line_listener(name="broker", **keys):
    """A listener of the line protocol, as the configuration has it."""
    return {"name": name, "protocol": "line", "address": HOST, "port": PORT, **keys}


def connect(namespace, port=PORT, timeout=10.0, receive_buffer=None):
    """A TCP connection to a listener in @namespace."""
    with namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(patience(timeout))
    # Behind the handshake it would be too late.
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect((HOST, port))
    return sock


class LineClient:
    """`with LineClient(lab.inside) as client: client.send("PING"); client.line()`"""

    def __init__(self, namespace, *lines, port=PORT, timeout=10.0):
        self.socket = connect(namespace, port, timeout)
        self.timeout = timeout
        self._buffer = b""
        if lines:
            self.send(*lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *lines):
        self.send_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n"
                                 for line in lines))

    def send_bytes(self, data):
        self.socket.sendall(data)

    def line(self, timeout=None):
        """The next line, without its end; None when the other side has closed. @timeout is for
        one that need not come."""
        self.socket.settimeout(timeout or patience(self.timeout))
        while b"\n" not in self._buffer:
            data = self.socket.recv(1 << 16)
            if not data:
                assert not self._buffer, f"it closed in the middle of {self._buffer!r}"
                return None
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def lines(self, count):
        return [self.line() for _ in range(count)]

    def rest(self):
        """All lines until the other side closes."""
        return list(iter(self.line, None))

    def nothing(self, within=0.3):
        """Fails when anything comes, the end included, within @within seconds."""
        with contextlib.suppress(TimeoutError):
            line = self.line(within)
            raise AssertionError(f"unexpected: {line!r}")

    def ping(self):
        """What was said before has been heard when this returns."""
        self.send("PING")
        assert self.line() == "PONG"


def subscriber(namespace, *topics, **options):
    """A client that gets what is published to @topics from now on."""
    client = LineClient(namespace, *(f"SUBSCRIBE|{topic}" for topic in topics), **options)
    client.ping()
    return client


class Primary:
    """A broker to be stood in for: answers pings and replicates what it is told to."""

    def __init__(self, namespace, port=8081, answer=b"PONG\n"):
        self.namespace, self.port, self.answer = namespace, port, answer
        self.pings = 0
        self.pinged_at = []  # by time.monotonic()
        self._listener = self._replication = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.die()

    def start(self):
        """Listen, as after a restart."""
        with self.namespace.entered():
            self._listener = socket.create_server((HOST, self.port), backlog=100)
        self._clients = []
        self._thread = threading.Thread(target=self._serve, args=(self._listener,), daemon=True)
        self._thread.start()

    def _serve(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client):
        with contextlib.suppress(OSError), client.makefile("rb") as lines:
            for line in lines:
                # As brokers do that split a line at its bars and need two of them.
                if line.rstrip(b"\n").split(b"|", 2) == [b"PING", b"", b""]:
                    self.pinged_at.append(time.monotonic())
                    self.pings += 1
                    if self.answer:
                        client.sendall(self.answer)

    def replicate(self, *lines):
        """Send lines to the backup over the one connection a primary has to it."""
        if self._replication is None:
            self._replication = connect(self.namespace)
        self._replication.sendall(b"".join(line.encode() + b"\n" for line in lines))

    def read(self, count):
        """The next @count bytes that it is answered."""
        data = b""
        while len(data) < count:
            more = self._replication.recv(count - len(data))
            assert more, f"it closed after {data!r}"
            data += more
        return data

    def wait_pinged(self, more=1, timeout=10.0):
        """Wait until it has been pinged @more times from now on."""
        wanted = self.pings + more
        wait_until(lambda: self.pings >= wanted, timeout,
                   lambda: f"pinged {self.pings} times, not {wanted}", every=0.005)

    def die(self):
        """As by kill -9: everything it had is closed."""
        if self._listener is None:
            return
        # accept() would hold the listener open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(patience(5))
        for sock in [*self._clients, self._replication]:
            if sock is not None:
                # close() alone would leave it open for the thread that reads.
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self._listener = self._replication = None
