# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What goes on beside the path, and what that costs it.

No generator takes part: a capture of frames is fed to the path over and over (net_pcap), so that
its lcore is always busy, and the rest of the machine is free for whoever disturbs it. One process is
measured with and without them in turns of a second, and each turn is held against its neighbours.
"""

import contextlib
import socket
import struct
import subprocess
import sys
import time

import config
from api import view
from rig import GEN_CORE, GEN_MAC, PATH_CORE, PATH_MAC, BenchError, median
from scraper import free_port

FRAMES = 1 << 16
WINDOW = 1 << 15  # Fewer than FRAMES: what comes again is new again.
MESSAGE = 73
TURN_S = 1.0
PCAP_MAC = "02:70:63:61:70:00"  # net_pcap gives its first port this address.


def fnv1a(name):
    key = 0xcbf29ce484222325
    for byte in name.encode():
        key = (key ^ byte) * 0x100000001b3 % 2**64
    return key


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip_sum(header):
    total = sum(struct.unpack(">10H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def frame(number, destinations, size, net):
    """One message in a frame of its own, in the layout of docs/wire-format.md."""
    fields = (1 + number % 64, 0, number, fnv1a(f"table{1 + number % destinations}"), 0, 0, 1)
    message = b"".join(struct.pack("<BQ", 1 + i * 8 + 8, value)
                       for i, value in enumerate(fields))
    message += struct.pack("<BIBI", 0x45, 1 + number % 3, 0x4d, 0)
    message += b"\x7a" + varint(size) + bytes(size)
    assert len(message) == MESSAGE + 1 + len(varint(size)) + size
    datagram = struct.pack("<BIBIBQB", 0x0d, 0x31434C53, 0x15, 1, 0x19, 0, 0x22)
    datagram += varint(len(message)) + message
    udp = struct.pack(">HHHH", 7500, 7500, 8 + len(datagram), 0) + datagram
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     socket.inet_aton(f"{net}.0.2"), socket.inet_aton(f"{net}.0.1"))
    ip = ip[:10] + struct.pack(">H", ip_sum(ip)) + ip[12:]
    return mac(PCAP_MAC) + mac(GEN_MAC % 0) + b"\x08\x00" + ip + udp


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def write_capture(path, destinations, size, net="10.77"):
    """@net: the appliance is .0.1 in it, and who sends .0.2."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number in range(FRAMES):
            data = frame(number, destinations, size, net)
            f.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)


class Clients:
    """Clients of the control socket and of the HTTP listener that do nobody any good: idle ones,
    some that stop in the middle of a request, and some that ask and never read."""

    IDLE, HALF_OPEN, NEVER_READ = 1000, 250, 8

    def __init__(self, control, port):
        self.control, self.port = control, port
        self.sockets = []

    def __enter__(self):
        # Show{view: "destinations"}, as docs/control-api.md has it.
        show = b"\x08\x01\x10\x01\x52" + b"\x0e" + b"\x0a\x0cdestinations"
        show = struct.pack(">I", len(show)) + show
        get = b"GET /metrics HTTP/1.1\r\nHost: sluice\r\n\r\n"
        for i in range(self.IDLE + self.HALF_OPEN + self.NEVER_READ):
            for connect, request in ((self._unix, show), (self._tcp, get)):
                # HTTP clients are half as many.
                if connect == self._tcp and i % 2 == 1:
                    continue
                client = connect()
                self.sockets.append(client)
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if self.IDLE <= i < self.IDLE + self.HALF_OPEN:
                        client.send(request[:7])
                    elif i >= self.IDLE + self.HALF_OPEN:
                        client.send(request * 16)
        return self

    def _unix(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.control)
        return client

    def _tcp(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def __exit__(self, *_):
        for client in self.sockets:
            client.close()


class Busy:
    """A program that is about as busy on the other CPU as a scraper and who serves it, and has
    nothing to do with the path: what two CPUs of one machine cost each other."""

    BURN = """
import time
data = bytearray(1 << 20)
while True:
    end = time.monotonic() + 0.024
    while time.monotonic() < end:
        data.replace(b"x", b"yy")
    time.sleep(0.076)
"""

    def __enter__(self):
        self.process = subprocess.Popen(["taskset", "-c", str(GEN_CORE), sys.executable, "-c",
                                         self.BURN])
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Beside:
    def __init__(self, rig, destinations, size):
        self.rig = rig
        self.destinations = destinations
        self.size = size
        self.port = free_port()
        self.control = rig.path("control.sock")

    def start(self):
        """One port, which feeds the capture in, and drops what is sent."""
        rig = self.rig
        path, capture = rig.path("beside.yaml"), rig.path("beside.pcap")
        write_capture(capture, self.destinations, self.size)
        config.write_one_port(path, "net_pcap0", self.destinations, WINDOW)
        args = rig.eal("beside", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024)
        args = [arg for arg in args if not arg.startswith("--vdev")]
        return rig.start("sluice", [
            rig.sluice, *args, f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1",
            "--", "--config", path, "--control-socket", self.control,
            "--http", f"127.0.0.1:{self.port}"], " ready: ")

    def read(self):
        live = view(self.port, "live")
        return time.perf_counter(), live

    def turn(self, disturbance):
        """Messages a second and p99 in ns, over one turn beside @disturbance."""
        with disturbance as who:
            begin, before = self.read()
            time.sleep(TURN_S)
            end, after = self.read()
            if getattr(who, "errors", None):
                raise BenchError(f"the scraper: {who.errors[0]}")
        return (after["delivered"] - before["delivered"]) / (end - begin), p99(before, after)

    def compare(self, make, turns, without=contextlib.nullcontext):
        """@turns with what @make makes, each between two with what @without makes."""
        rates, p99s, each = [], [], []
        with self.running():
            self.turn(without())
            last = self.turn(without())
            for _ in range(turns):
                this = self.turn(make())
                following = self.turn(without())
                rates.append(2 * this[0] / (last[0] + following[0]))
                p99s.append(2 * this[1] / (last[1] + following[1]))
                each.append({"without": last, "with": this, "after": following})
                last = following
        return {"rate": median(rates), "p99": median(p99s), "rates": rates, "turns": each,
                "null_spread": spread(each)}

    @contextlib.contextmanager
    def running(self):
        process = self.start()
        try:
            yield
        finally:
            self.rig.stop(process)


def spread(each):
    """How far two turns without anybody are apart: what this machine's noise is."""
    return median(abs(turn["after"][0] / turn["without"][0] - 1) for turn in each)


def p99(before, after):
    """Of the latencies of all classes between two readings, to a step of the histogram (3 %)."""
    counts = {}
    for live, sign in ((after, 1), (before, -1)):
        for level in live["classes"]:
            for bound, count in level["latency_ns"]:
                counts[bound] = counts.get(bound, 0) + sign * count
    left = sum(counts.values()) * 0.99
    for bound in sorted(counts):
        left -= counts[bound]
        if left <= 0:
            return bound
    raise BenchError("the path delivered nothing")
