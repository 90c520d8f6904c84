# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The bench of at-least-once destinations: peers that may be killed, a journal that stays."""

import itertools
import json
import os
import pathlib
import random
import select
import shutil
import signal
import subprocess
import tempfile
import time

from . import config as conf
from . import wire
from .appliance import BUILD
from .journal import Journal
from .lab import SENDER, SENDER6, Lab
from .ledger import ACKED, DELIVERED, SENT, Ledger
from .netns import child_options, run
from .patience import Deadline, patience, wait_until

PEERS = pathlib.Path(__file__).with_name("peers.py")
PYTHON = "/usr/bin/python3"
SLUICE_PUB = BUILD / "app" / "sluice-pub" / "sluice-pub"


class PeerProcess:
    """A peer of peers.py. It is there when this returns."""

    def __init__(self, kind, ledger, name, host, port, namespace=None, **options):
        self.ledger, self.name = ledger, name
        common = ("rate",)
        argv = [PYTHON, PEERS, "--ledger", ledger.directory, "--name", name, "--host", host,
                "--port", port]
        for key in common:
            if key in options:
                argv += [f"--{key}", options.pop(key)]
        argv.append(kind)
        for key, value in options.items():
            if value is True:
                argv.append(f"--{key.replace('_', '-')}")
            elif value not in (None, False):
                argv += [f"--{key.replace('_', '-')}", value]
        self.argv = [str(a) for a in argv]
        if namespace is not None:
            self.argv = namespace.exec_args(*self.argv)
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.crash()

    def start(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True, **child_options())
        # Not by the pipe's reader: communicate() does not see what that has read ahead.
        said = b""
        while not said.endswith(b"\n") and (more := os.read(self.process.stdout.fileno(), 1)):
            said += more
        assert said == b"ready\n", f"{self.name} did not come up"

    def crash(self):
        """kill -9"""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def freeze(self):
        """It stands still when this returns."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def wait(self, timeout=30.0):
        """Wait until it ends by itself. Returns its statistics."""
        try:
            said, _ = self.process.communicate(timeout=patience(timeout))
        except subprocess.TimeoutExpired as late:
            self.process.send_signal(signal.SIGUSR1)
            said, _ = self.process.communicate(timeout=patience(timeout))
            raise AssertionError(f"{self.name} is not through within {late.timeout:g} s: sent "
                                 f"{self.ledger.count(SENT)}, acked {self.ledger.count(ACKED)}, "
                                 f"delivered {self.ledger.count(DELIVERED)}; {said}") from None
        assert self.process.returncode == 0, f"{self.name}: exit code {self.process.returncode}"
        return json.loads(said)

    def stop(self, timeout=30.0):
        """Let it finish: a publisher ends when all it has sent is acknowledged."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)


def publisher(ledger, name="pub1", host=conf.ADDRESS, port=wire.PORT, **options):
    return PeerProcess("publisher", ledger, name, host, port, **options)


def backend(ledger, name, host, port=9001, **options):
    return PeerProcess("backend", ledger, name, host, port, **options)


class DurableLab(Lab):
    """A Lab with a journal's directory that outlives appliances, and a ledger.

    @param disk_mb  the journal is on a file system of its own of this size, in memory
    """

    def __init__(self, disk_mb=None, **kwargs):
        super().__init__(**kwargs)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-durable-"))
        self._stack.callback(shutil.rmtree, self.dir, ignore_errors=True)
        self.disk = self.dir / "disk"
        self.disk.mkdir()
        if disk_mb is not None:
            run("mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", self.disk)
            self._stack.callback(run, "umount", "-l", self.disk)
        self.journal_dir = self.disk / "journal"
        self.ledger = Ledger(self.dir / "ledger")
        self._ids = itertools.count(1)

    def config(self, *destinations, journal=None, **keys):
        """A configuration with a journal; destinations are at-least-once unless they say."""
        chosen = [{"guarantee": "at-least-once", **d} for d in destinations or [conf.table(1)]]
        directory = {"directory": str(self.journal_dir), "segment_bytes": "1M",
                     "ring_bytes": "4M", "max_bytes": "256M", **(journal or {})}
        return conf.make_config(*chosen, journal=directory, **keys)

    def config_with_sink(self, *destinations, **keys):
        """The same with a sink in a file beside the journal."""
        sink = {"name": "local", "kind": "sqlite", "path": str(self.dir / "messages.db"),
                "batch_ms": 50}
        return self.config(*destinations, sinks=[sink], **keys)

    def appliance(self, config=None, **kwargs):
        return super().appliance(config or self.config(), **kwargs)

    def publish(self, count, destination="table1", *options):
        """So many messages by sluice-pub; they are durable when this returns."""
        argv = [SLUICE_PUB, "-h", conf.ADDRESS, "-d", destination, "-s", "server1", "-l", *options]
        subprocess.run(self.outside.exec_args(*map(str, argv)), text=True, check=True,
                       input="x\n" * count, timeout=patience(60))

    def publisher(self, name="pub1", **options):
        return self._peer(publisher, name, **{"bind": SENDER, **options})

    def publisher6(self, name="pub1", **options):
        """One that speaks IPv6."""
        return self.publisher(name, host=conf.ADDRESS6, bind=SENDER6, **options)

    def backend(self, number=1, name=None, port=9001, host=None, **options):
        """The backend of tableN, as a process."""
        host = host or f"10.77.0.{10 + number}"
        self.ensure_address(host)
        return self._peer(backend, name or f"kitchen{number}", host=host, port=port, **options)

    def _peer(self, kind, name, **options):
        return kind(self.ledger, name, namespace=self.outside, **options)

    def journal(self, check_all=True):
        return Journal(self.journal_dir, check_all)

    def report(self, check_all=True):
        """The ledger's report, with the journal as it is now."""
        return self.ledger.report(lambda: self.journal(check_all))

    def wait_drained(self, timeout=30.0):
        """Wait until everything acknowledged has been delivered. Returns the report."""
        wait_until(lambda: not self.ledger.report().not_delivered, timeout,
                   lambda: f"it is drained: {self.report()}", every=0.05)
        return self.report()


class HandPublisher:
    """A publisher's session by hand: what is sent is exactly what the test says, by the stock
    protobuf library."""

    def __init__(self, lab, session=None, source="server1", destination="table1", address=SENDER):
        self._lab, self.source, self.destination = lab, source, destination
        self.session = session or random.getrandbits(64) | 1
        self.socket = lab.udp_socket(address)
        self.acks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *sequences, ids=None, payload=b"by hand", session=None):
        """These sequences, as few datagrams as they fit; ids are the sequences unless given."""
        messages = [wire.message(ident, source=self.source, destination=self.destination,
                                 sequence=sequence, flags=1, payload=payload)
                    for sequence, ident in zip(sequences, ids or sequences, strict=True)]
        for at in range(0, len(messages), 10):
            self.socket.sendto(wire.encode(*messages[at:at + 10], epoch=0,
                                           session=session or self.session),
                               (conf.ADDRESS, wire.PORT))

    def poll(self, timeout=0.0):
        """Take the acks that are there, waiting at most @timeout for the first."""
        got = []
        while select.select([self.socket], [], [], timeout)[0]:
            timeout = 0.0
            ack = wire.decode(self.socket.recv(65536)).ack
            got.append(ack)
        self.acks += got
        return got

    def find_ack(self, condition, within):
        """The first ack of the session for which @condition(ack); None when none comes @within so
        many seconds."""
        end = time.monotonic() + within
        while True:
            for ack in self.poll(0.05):
                if ack.session == self.session and condition(ack):
                    return ack
            if time.monotonic() >= end:
                return None

    def wait_ack(self, condition, timeout=5.0):
        """Wait for an ack of the session for which @condition(ack); returns it."""
        ack = self.find_ack(condition, patience(timeout))
        assert ack is not None, f"no such ack; these came: {self.acks[-5:]}"
        return ack

    def wait_acked(self, *sequences, timeout=5.0):
        """Wait until exactly @sequences are acknowledged."""
        return self.wait_ack(lambda ack: acked_by(ack) == set(sequences), timeout)

    def nothing(self, within=0.3):
        """Fails when an ack of the session comes within @within seconds."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            got = [a for a in self.poll(0.02) if a.session == self.session]
            assert not got, f"unexpected: {got}"


def acked_by(ack):
    """The sequences that an ack acknowledges."""
    bits = int.from_bytes(ack.selective, "little")
    return (set(range(1, ack.cumulative + 1)) |
            {ack.cumulative + 2 + i for i in range(bits.bit_length()) if bits >> i & 1})


class HandBackend:
    """A backend's end of its sessions by hand: it takes what comes and acknowledges what the test
    says."""

    def __init__(self, lab, number=1, port=9001):
        self._receiver = lab.receiver(number, port)
        self._sock = self._receiver._sock
        self.sessions = []  # in the order they came
        self.got = []  # (session, sequence, id), every copy

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def poll(self, timeout=0.0):
        """Take what is there. Returns what came as (session, sequence, id)."""
        new = []
        while select.select([self._sock], [], [], timeout)[0]:
            timeout = 0.0
            data, self.appliance = self._sock.recvfrom(65536)
            datagram = wire.decode(data)
            if datagram.messages and datagram.session not in self.sessions:
                self.sessions.append(datagram.session)
            new += [(datagram.session, m.sequence, wire.id_of(m)) for m in datagram.messages]
        self.got += new
        return new

    def take(self, count, timeout=5.0):
        """Wait until @count different messages of the newest session are there. Returns their ids
        by sequence."""
        deadline = Deadline(timeout)
        while True:
            mine = self.of(self.sessions[-1]) if self.sessions else {}
            if len(mine) >= count:
                return mine
            assert not deadline.has_passed(), f"{len(mine)} of {count} came: {mine}"
            self.poll(0.05)

    def of(self, session):
        return {sequence: ident for s, sequence, ident in self.got if s == session}

    def ack(self, cumulative, highest=None, selective=b"", limit=None, session=None):
        answer = wire.pb2.Datagram(magic=wire.MAGIC, epoch=0, session=0, ack=wire.pb2.Ack(
            session=session or self.sessions[-1], cumulative=cumulative,
            highest=cumulative if highest is None else highest, selective=selective,
            credit_limit=cumulative + 1024 if limit is None else limit, echo_timestamp_ns=0,
            ack_delay_ns=0))
        self._sock.sendto(answer.SerializeToString(), self.appliance)

    def refuse(self, session=None):
        self.ack(0, 0, limit=0, session=session)

    def send(self, data):
        """A datagram of anything else, from where it listens."""
        self._sock.sendto(data, (conf.ADDRESS, wire.PORT))
