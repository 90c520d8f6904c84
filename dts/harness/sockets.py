# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sockets inside a namespace: raw Ethernet for scapy, and ordinary UDP."""

import collections
import contextlib
import errno
import itertools
import os
import pathlib
import select
import socket
import struct
import time

from scapy.layers.l2 import Ether

from . import wire
from .patience import Deadline, patience

SO_RCVBUFFORCE = 33
_PACKET_AUXDATA = 8
_SOL_PACKET = 263
_ETH_P_ALL = 0x0003
_TP_STATUS_VLAN_VALID = 1 << 4
_BUFFER = 32 << 20
_LOCAL_PORTS = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")


class RawPort:
    """Every frame on an interface, as it is on the wire, and a way to send any."""

    def __init__(self, namespace, interface):
        with namespace.entered():
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
        self._sock.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        with namespace.entered():
            self._sock.bind((interface, 0))
        self._sock.setblocking(False)

    def close(self):
        self._sock.close()

    def send(self, *frames):
        for frame in frames:
            data = bytes(frame)
            # On a busy machine the kernel has the last ones in hand still, and no room for more.
            while not self._try_send(data):
                select.select([], [self._sock], [], 0.1)

    def _try_send(self, data):
        try:
            return self._sock.send(data) > 0
        except BlockingIOError:
            return False

    def _receive(self):
        try:
            data, ancillary, _, address = self._sock.recvmsg(65536, 256)
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # told once when the interface goes down
                raise
            return None
        if address[2] == socket.PACKET_OUTGOING:
            return None
        for level, kind, value in ancillary:
            if (level, kind) != (_SOL_PACKET, _PACKET_AUXDATA):
                continue
            # struct tpacket_auxdata: the kernel takes the tag out of the frame; put it back.
            status, _, _, _, _, tci, tpid = struct.unpack_from("=IIIHHHH", value)
            if status & _TP_STATUS_VLAN_VALID:
                data = data[:12] + struct.pack("!HH", tpid or 0x8100, tci) + data[12:]
        return data

    def frames(self, timeout):
        """Yield what arrives within @timeout seconds, as bytes."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._sock], [], [], left)[0]:
                return
            data = self._receive()
            if data is not None:
                yield data

    def take(self, count, match=lambda frame: True, timeout=5.0):
        """The next @count frames that @match accepts, dissected by scapy; fails when they do not
        come."""
        taken = []
        for data in self.frames(patience(timeout)) if count else ():
            frame = Ether(data)
            if match(frame):
                taken.append(frame)
                if len(taken) == count:
                    break
        assert len(taken) == count, \
            f"{len(taken)} of {count} frames within {patience(timeout):g} s: {taken}"
        return taken

    def nothing(self, match=lambda frame: True, within=0.3):
        """Fails when a frame that @match accepts arrives within @within seconds."""
        for data in self.frames(within):
            frame = Ether(data)
            assert not match(frame), f"unexpected frame: {frame.summary()}"


def udp_socket(namespace, address=None, port=0):
    """An ordinary UDP socket in @namespace, with room for everything a test sends."""
    family = socket.AF_INET6 if ":" in (address or "") else socket.AF_INET
    with namespace.entered():
        sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
    if address is not None:
        sock.bind((address, port))
    return sock


class Receiver:
    """A backend: a kernel UDP socket, stock protobuf, and a ledger of what came."""

    def __init__(self, namespace, address, port):
        self.address, self.port = address, port
        self._sock = udp_socket(namespace, address, port)
        self.datagrams = []
        self.messages = []
        self.ledger = collections.Counter()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def poll(self, timeout=0.0):
        """Read what is there, waiting at most @timeout for the first of it. Returns how many."""
        before = len(self.messages)
        while select.select([self._sock], [], [], timeout)[0]:
            timeout = 0.0
            got = wire.decode(self._sock.recv(65536))
            self.datagrams.append(got)
            for message in got.messages:
                self.messages.append(message)
                self.ledger[message.source, wire.id_of(message)] += 1
        return len(self.messages) - before

    def take(self, count, timeout=5.0):
        """The next @count messages; fails when they do not come."""
        start = len(self.messages)
        deadline = Deadline(timeout)
        while len(self.messages) - start < count and not deadline.has_passed():
            self.poll(0.1)
        got = self.messages[start:]
        assert len(got) == count, f"{self.address}: {len(got)} of {count} messages came"
        return got

    def nothing(self, within=0.3):
        """Fails when a message comes within @within seconds."""
        assert self.poll(within) == 0, f"{self.address}: unexpected {self.messages[-1]}"


def _ports():
    """Below those that the kernel gives to outgoing connections: nobody gets one by chance between
    now and its use. Each process begins elsewhere, and takes none twice."""
    first = int(_LOCAL_PORTS.read_text().split()[0])
    lowest = min(10000, first // 2)
    for number in itertools.count(os.getpid() * 101):
        yield lowest + number % (first - lowest)


_free_ports = _ports()


def free_port(kind=socket.SOCK_STREAM, address="127.0.0.1"):
    """A port that nobody has, for who binds it later."""
    for port in _free_ports:
        with socket.socket(socket.AF_INET, kind) as sock, contextlib.suppress(OSError):
            sock.bind((address, port))
            return port


def free_udp_port(address="127.0.0.1"):
    return free_port(socket.SOCK_DGRAM, address)
