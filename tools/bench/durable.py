# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Durable messages through the whole appliance, one worker: acknowledged when they are synced,
delivered when the backend has acknowledged them. sluice-gen plays publisher and backends."""

import contextlib
import os
import shutil
import tempfile

import config
from rig import GEN_MAC, BenchError, median

DESTINATIONS, WINDOW, IN_FLIGHT = 100, 1 << 20, 32768
LOAD = {"size": 64, "destinations": DESTINATIONS, "sources": 64, "classes": "1:20,2:30,3:50"}

RATE_MIN = 500_000  # Acknowledged and synced a second; the aim is twice that.
P99_MAX = 3         # Of the ack at half that rate, in p99s of the disk's own write and sync.
OTHERS_MIN = 0.8    # Of their own rate keep at-most-once messages where there is a journal.


class Durable:
    def __init__(self, rig, directory):
        self.rig, self.directory = rig, directory

    @contextlib.contextmanager
    def journal(self):
        path = tempfile.mkdtemp(prefix="sluice-bench-journal-", dir=self.directory)
        try:
            yield os.path.join(path, "journal")
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def run(self, durable, rate=0, has_journal=True):
        """@durable: at-least-once destinations, and a session of the generator."""
        with self.journal() as directory:
            path = self.rig.path("durable.yaml")
            config.write(path, GEN_MAC, DESTINATIONS, WINDOW)
            with open(path, encoding="ascii") as f:
                text = f.read()
            if durable:
                text = text.replace("kind: queue,", "kind: queue, guarantee: at-least-once, "
                                                    f"in_flight: {IN_FLIGHT},")
            if has_journal:
                text += (f"journal: {{directory: {directory}, max_bytes: 4G, "
                         "retention_bytes: 512M, retention: 0s}\n"
                         "publishers: {window: 65536}\n")
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            load = {**LOAD, "rate": rate, **({"acked": IN_FLIGHT} if durable else {})}
            return self.rig.sluice_run(path, load)


def measure(bench, directory, disk_p99_us):
    """@disk_p99_us: of the disk's own writes and syncs beside a worker as busy; None: not known."""
    bed = Durable(bench.rig, directory)
    rounds = []
    for _ in range(bench.rounds):
        most = bed.run(True)["gen"]["acked"]
        half = bed.run(True, rate=RATE_MIN // 2)["gen"]["acked"]
        alone = bed.run(False, has_journal=False)["frames_per_s"]
        beside = bed.run(False)["frames_per_s"]
        if most["not_acked"] or half["not_acked"]:
            raise BenchError("messages were not acknowledged; see sluice.log")
        rounds.append({"most": most, "half": half, "at_most_once": [alone, beside]})
    result = {"rounds": rounds,
              "rate": median(r["most"]["messages_per_s"] for r in rounds),
              "p50_us": median(r["half"]["latency_us"]["p50"] for r in rounds),
              "p99_us": median(r["half"]["latency_us"]["p99"] for r in rounds),
              "others": median(b / a for a, b in (r["at_most_once"] for r in rounds))}
    if disk_p99_us is not None:
        result["p99"] = result["p99_us"] / disk_p99_us
    return result
