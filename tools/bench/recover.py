# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""How long a start reads a journal of ten million records, against reading its files at all."""

import json
import os
import subprocess
import tempfile
import time

from rig import BenchError, median

# A message each, nine of ten with its outcome in a record of its own.
MESSAGES, DONE_PERCENT, PAYLOAD = 5_300_000, 90, 64
SEGMENT = 64 << 20

RECORDS_MIN = 10_000_000
SECONDS_MAX = 30     # For so many records, from the disk.
FILES_RATIO_MAX = 5  # Times what reading the files takes.
RSS_MAX_MIB = 64
ROUNDS_MAX = 3
BLOCK = 4 << 20


def run(*argv):
    argv = [str(a) for a in argv]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=600, check=False)
    if done.returncode != 0:
        raise BenchError(f"{os.path.basename(argv[0])}: {done.stderr.strip()[-400:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def segments(directory):
    return [entry.path for entry in sorted(os.scandir(directory), key=lambda e: e.name)
            if entry.name.endswith(".seg")]


def forget(directory):
    """Nothing of it is in the page cache."""
    for path in segments(directory):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def read_files(directory):
    """The rival: the same files, one after the other, into a buffer. Returns seconds and bytes."""
    buffer, size = memoryview(bytearray(BLOCK)), 0
    begin = time.monotonic()
    for path in segments(directory):
        with open(path, "rb", buffering=0) as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while n := f.readinto(buffer):
                size += n
    return time.monotonic() - begin, size


def measure(rounds, directory, programs):
    found = []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=directory) as base:
        journal = os.path.join(base, "journal")
        run(f"{programs}/journal_write", journal, f"messages={MESSAGES}", f"payload={PAYLOAD}",
            f"done={DONE_PERCENT}", f"segment={SEGMENT}")
        for _ in range(min(rounds, ROUNDS_MAX)):
            forget(journal)
            seconds, size = read_files(journal)
            forget(journal)
            cold = run(f"{programs}/bench_recover", journal)[0]
            warm = run(f"{programs}/bench_recover", journal)
            found.append({"files_s": seconds, "files_bytes": size, "cold": cold, "warm": warm[0],
                          "back": warm[2]})
    return found


def report(bench, directory, programs, say):
    rounds = measure(bench.rounds, directory, programs)
    cold = median(r["cold"]["seconds"] for r in rounds)
    warm = median(r["warm"]["seconds"] for r in rounds)
    files = median(r["files_s"] for r in rounds)
    ratio = median(r["cold"]["seconds"] / r["files_s"] for r in rounds)
    first = rounds[0]["cold"]
    rss = max(r["cold"]["max_rss_kib"] for r in rounds) / 1024
    say(f"\na start reads {first['records'] / 1e6:.1f} M records, {first['messages'] / 1e6:.1f} M of "
        f"them messages, {first['undelivered'] / 1e6:.2f} M undelivered; "
        f"{rounds[0]['files_bytes'] / 1e9:.2f} GB, {len(rounds)} rounds")
    if first["records"] < RECORDS_MIN:
        raise BenchError(f"journal_write made {first['records']} records only")
    say(f"  from the disk {cold:.1f} s (at most {SECONDS_MAX} s)"
        + bench.check("seconds to recover ten million records", cold, f"<= {SECONDS_MAX}",
                      cold <= SECONDS_MAX))
    say(f"  that is {ratio:.1f} times what reading the files takes ({files:.1f} s; at most "
        f"{FILES_RATIO_MAX} times)"
        + bench.check("recovery to reading the files", ratio, f"<= {FILES_RATIO_MAX}",
                      ratio <= FILES_RATIO_MAX))
    say(f"  out of the page cache {warm:.1f} s")
    say(f"  in {rss:.0f} MiB of memory (at most {RSS_MAX_MIB} MiB)"
        + bench.check("MiB to recover ten million records", rss, f"<= {RSS_MAX_MIB}",
                      rss <= RSS_MAX_MIB))
    back = median(r["back"]["records_per_s"] for r in rounds)
    say(f"  undelivered messages are read back one by one at {back / 1e6:.2f} M a second")
    bench.results["recover"] = {"rounds": rounds, "seconds": cold, "to_files": ratio}
