# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Addresses as people write them, and the thread that both clients have."""

import select
import socket
import threading
import time

RECEIVE_BUFFER = 4 << 20


def parse_address(text, default_port):
    """"10.0.0.1", "host:7500", "[fd00::1]:7500", "fd00::1" or (host, port), as (host, port)."""
    if isinstance(text, (tuple, list)):
        return text[0], int(text[1])
    host, port = text, default_port
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or rest and not rest.startswith(":"):
            raise ValueError(f"{text}: not an address; [fd00::1]:{default_port} would be one")
        port = rest[1:] or default_port
    elif text.count(":") == 1:
        host, port = text.split(":")
    try:
        number = int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ValueError(f"{text}: {port!r} is no port; 1 to 65535 are")
    return host, number


def open_udp(host, port, is_bound):
    """A UDP socket that is bound, or else connected; does not block."""
    for family, kind, protocol, _, where in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_DGRAM,
            flags=socket.AI_PASSIVE if is_bound else 0):
        sock = socket.socket(family, kind, protocol)
        try:
            # A burst of what is allowed on its way may come at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            (sock.bind if is_bound else sock.connect)(where)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"{host}:{port}: {error.strerror}") from None
        sock.setblocking(False)
        return sock
    raise OSError(f"{host}: no such host")


def host_of(where):
    """The address alone of what recvfrom() says: no port, no zone, and IPv4's as such."""
    host = where[0].partition("%")[0]
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def addresses_of(hosts):
    """The addresses of "host,..." or of a list of hosts, as host_of() has them."""
    if isinstance(hosts, str):
        hosts = hosts.split(",")
    found = {host_of(where) for host in hosts
             for *_, where in socket.getaddrinfo(host.strip(), None, type=socket.SOCK_DGRAM)}
    if not found:
        raise ValueError("accept_from names nobody")
    return found


class Loop:
    """A thread that waits for a socket, for a time, or to be woken."""

    def __init__(self, name, turn, failed):
        """@turn(now) does what there is to do and returns (socket, seconds to wait or None); None
        ends the thread. @failed() is called when it raises, so that nobody waits for ever."""
        self._turn, self._failed = turn, failed
        self._wake_read, self._wake_write = socket.socketpair()
        for sock in (self._wake_read, self._wake_write):
            sock.setblocking(False)
        self._waking = threading.Lock()  # what it is woken by is there while this is held
        self._is_asleep = False
        self._has_news = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._thread.start()

    def wake(self):
        """Let it take another turn soon. Cheap when it is awake."""
        self._has_news = True
        if not self._is_asleep:
            return
        with self._waking:
            if self._is_asleep:
                self._is_asleep = False
                try:
                    self._wake_write.send(b"w")
                except BlockingIOError:
                    pass  # it has been woken often enough

    def is_inside(self):
        """Whether it is this thread that asks."""
        return threading.current_thread() is self._thread

    def join(self):
        if not self.is_inside():
            self._thread.join()

    def _wait(self, sock, seconds):
        """Wait for one of the two. Not by select(), which takes no descriptor from 1024 on."""
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        ready = poller.poll(None if seconds is None else 1000 * seconds)
        if any(number == self._wake_read.fileno() for number, _ in ready):
            self._wake_read.recv(4096)

    def _run(self):
        try:
            while True:
                self._has_news = False
                wanted = self._turn(time.monotonic())
                if wanted is None:
                    return
                self._is_asleep = True
                # Whoever has come in between has not seen that it sleeps.
                sock, wait = wanted
                self._wait(sock, 0 if self._has_news else wait)
                self._is_asleep = False
        except BaseException:
            self._failed()
            raise
        finally:
            with self._waking:
                self._is_asleep = False
                self._wake_read.close()
                self._wake_write.close()
