# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The ledger: what was sent, acknowledged and delivered, kept outside of whatever is tested.

It is a directory of files that only grow, one for each peer and kind of entry, written before the
datagram that follows from it: `sent` before the message goes out, `acked` when its ack has come,
`delivered` before the backend acknowledges it. So it survives the kill -9 of anybody, its writers
included. An entry is what identifies a message: the 35 bytes from `source` to `destination` as they
stand in it. The standard library only: peers.py runs this file's classes without the harness.
"""

import collections
import os
import pathlib

ENTRY = 35
SENT, ACKED, DELIVERED = "sent", "acked", "delivered"


class LedgerFile:
    """Appends entries; what a killed process left incomplete is cut off first."""

    def __init__(self, directory, kind, name):
        path = pathlib.Path(directory) / f"{kind}-{name}"
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._fd).st_size
        os.ftruncate(self._fd, size - size % ENTRY)
        os.lseek(self._fd, 0, os.SEEK_END)

    def add(self, entries):
        """All of @entries (each of ENTRY bytes), in one write."""
        if entries:
            data = b"".join(entries)
            while data:
                data = data[os.write(self._fd, data):]

    def close(self):
        os.close(self._fd)


def read_entries(path):
    try:
        data = pathlib.Path(path).read_bytes()
    except FileNotFoundError:
        return []
    return [data[at:at + ENTRY] for at in range(0, len(data) - ENTRY + 1, ENTRY)]


def stream_of(entry):
    """Within which messages keep their order, as long as they are of one class: source and
    destination."""
    return entry[:8] + entry[27:]


class Report:
    """What the ledger says at one moment. Each kind of trouble is a set of entries or a number."""

    def __init__(self, sent, acked, delivered, undelivered):
        """@delivered: {backend: entries in their order}; @undelivered: what the journal still has
        to deliver, or None when nobody looked."""
        order = {entry: place for place, entry in enumerate(sent)}
        counts = collections.Counter(e for entries in delivered.values() for e in entries)
        self.sent, self.acked, self.delivered = len(order), len(acked), len(counts)
        self.undelivered = None if undelivered is None else len(undelivered)
        self.unknown = {e for e in counts if e not in order}
        self.unsent_acked = {e for e in acked if e not in order}
        self.duplicates = sum(counts.values()) - len(counts)
        # Acknowledged, and neither delivered nor about to be.
        self.lost = {e for e in acked if e not in counts}
        if undelivered is not None:
            self.lost -= undelivered
            self.unknown |= {e for e in undelivered if e not in order}
        self.not_delivered = {e for e in acked if e not in counts}
        self.reordered = sum(self._reordered(entries, order) for entries in delivered.values())

    @staticmethod
    def _reordered(entries, order):
        """First deliveries to one backend that came after one that was sent later."""
        latest, seen, count = {}, set(), 0
        for entry in entries:
            if entry in seen or entry not in order:
                continue
            seen.add(entry)
            stream = stream_of(entry)
            if order[entry] < latest.get(stream, -1):
                count += 1
            else:
                latest[stream] = order[entry]
        return count

    def __str__(self):
        return (f"sent {self.sent}, acked {self.acked}, delivered {self.delivered}, undelivered in "
                f"the journal {self.undelivered}, lost {len(self.lost)}, duplicates "
                f"{self.duplicates}, reordered {self.reordered}, unknown {len(self.unknown)}, "
                f"acked and never sent {len(self.unsent_acked)}")

    def check(self, drained=False, duplicates=None, reordered=None):
        """acked is in delivered or the journal, delivered is in sent; @drained: and everything
        acked has been delivered. @duplicates, @reordered: no more than so many."""
        assert not self.unknown, f"unknown messages: {self}, such as {min(self.unknown).hex()}"
        assert not self.unsent_acked, f"acknowledged without being sent: {self}"
        assert not self.lost, f"lost: {self}, such as {min(self.lost).hex()}"
        if drained:
            assert not self.not_delivered, f"{len(self.not_delivered)} not delivered: {self}"
        assert duplicates is None or self.duplicates <= duplicates, f"duplicates: {self}"
        assert reordered is None or self.reordered <= reordered, f"reordered: {self}"


class Ledger:
    """The directory; reads what its writers have written."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def writer(self, kind, name):
        return LedgerFile(self.directory, kind, name)

    def names(self, kind):
        return sorted(p.name.partition("-")[2] for p in self.directory.glob(f"{kind}-*"))

    def entries(self, kind, name):
        return read_entries(self.directory / f"{kind}-{name}")

    def count(self, kind, name=None):
        """Entries, without reading them."""
        names = [name] if name is not None else self.names(kind)
        paths = [self.directory / f"{kind}-{n}" for n in names]
        return sum(p.stat().st_size // ENTRY for p in paths if p.exists())

    def report(self, read_journal=None):
        """@read_journal: makes a harness.journal.Journal. It is read after what was acknowledged,
        what was delivered after that, and last what was sent, so that nothing seems lost or unknown
        that is on its way."""
        acked = {e for name in self.names(ACKED) for e in self.entries(ACKED, name)}
        undelivered = None
        if read_journal is not None:
            undelivered = {m.ident for m in read_journal().undelivered()}
        delivered = {name: self.entries(DELIVERED, name) for name in self.names(DELIVERED)}
        sent = [e for name in self.names(SENT) for e in self.entries(SENT, name)]
        return Report(sent, acked, delivered, undelivered)
