# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The ledger itself: it finds nothing where every promise is kept, and each one that is broken.

What is tested is a fake appliance, so that the promises can be broken one at a time."""

import json
import os
import struct
import subprocess

import pytest

from harness import BUILD, journal, wire
from harness.durable import backend, publisher
from harness.fake import FakeAppliance
from harness.journal import HEADER, Journal, Writer, crc32c
from harness.ledger import ACKED, DELIVERED, ENTRY, SENT, Ledger, Report
from harness.patience import patience, wait_until
from harness.sockets import free_udp_port

HOST = "127.0.0.1"
SLUICE_JOURNAL = BUILD / "app" / "sluice-journal" / "sluice-journal"


class Bench:
    """A fake appliance between a publisher and backends, all on loopback."""

    def __init__(self, tmp_path, nb_backends=1, **kwargs):
        self.ledger = Ledger(tmp_path / "ledger")
        self.journal_dir = tmp_path / "journal"
        self.journal_dir.mkdir()
        self.ports = [free_udp_port() for _ in range(nb_backends)]
        self.fake = FakeAppliance(self.journal_dir, {"table1": [(HOST, p) for p in self.ports]},
                                  **kwargs)

    def publisher(self, **options):
        host, port = self.fake.address
        return publisher(self.ledger, "pub1", host, port, **options)

    def backend(self, number=0, **options):
        return backend(self.ledger, f"kitchen{number}", HOST, self.ports[number], **options)

    def report(self):
        return self.ledger.report(lambda: Journal(self.journal_dir))

    def run(self, count=500):
        """Everything there, one run, one restart in it."""
        with self.fake, self.backend() as kitchen:
            with self.publisher(count=count, rate=5000) as source:
                wait_until(lambda: self.ledger.count(SENT) > count / 2, what="half of it sent")
                self.fake.restart()
                source.wait()
            wait_until(self.fake.is_drained, what="drained")
            self.stats = kitchen.stop()
        return self.report()


def test_promises_that_are_kept(tmp_path):
    bench = Bench(tmp_path)
    report = bench.run()
    report.check(drained=True)
    assert (report.sent, report.acked, report.delivered, report.undelivered) == (500, 500, 500, 0)


def test_peers_that_are_killed(tmp_path):
    """Each is killed and started again in turn; what was sent before is sent again, and arrives."""
    bench = Bench(tmp_path)
    with bench.fake, bench.backend() as kitchen, bench.publisher(rate=4000) as source:
        for turn in range(4):
            wait_until(lambda: bench.ledger.count(ACKED) > 300 * (turn + 1), what="acks")
            victim = (kitchen, source)[turn % 2]
            victim.crash()
            bench.report().check()
            victim.start()
        stats = source.stop()
        wait_until(bench.fake.is_drained, what="drained")
    report = bench.report()
    report.check(drained=True)
    assert report.acked == report.sent and "bad_acks" not in stats


def test_a_backend_that_is_gone(tmp_path):
    """Its messages go to the other; without any they stay in the journal."""
    bench = Bench(tmp_path, nb_backends=2, requeue_s=0.3)
    with bench.fake, bench.backend(0) as one, bench.publisher(rate=2000) as source:
        two = bench.backend(1)
        wait_until(lambda: bench.ledger.count(DELIVERED) > 200, what="deliveries")
        two.crash()
        wait_until(lambda: bench.ledger.count(ACKED) > 600, what="acks")
        one.freeze()
        acked = bench.ledger.count(ACKED)
        wait_until(lambda: bench.ledger.count(ACKED) > acked + 300, what="acks without backends")
        source.stop()
        bench.report().check()
        assert bench.report().undelivered > 0
        one.thaw()
        wait_until(bench.fake.is_drained, what="drained")
    bench.report().check(drained=True)


BROKEN = {
    "ack-early": "lost",
    "lose-at-restart": "not_delivered",
    "lose-one": "lost",
    "invent": "unknown",
    "twice": "duplicates",
    "swap": "reordered",
}


@pytest.mark.parametrize("fault, trouble", BROKEN.items(), ids=BROKEN)
def test_a_broken_promise_is_noticed(tmp_path, fault, trouble):
    bench = Bench(tmp_path, fault=fault, commit_s=5 if fault == "ack-early" else 0.001)
    with bench.fake:
        if fault == "lose-at-restart":
            with bench.publisher(count=100) as source:
                source.wait()
            bench.fake.restart()
            with bench.backend():
                wait_until(bench.fake.is_drained, what="drained")
        elif fault == "ack-early":
            with bench.publisher(count=400, rate=2000):
                wait_until(lambda: bench.ledger.count(ACKED) > 100, what="acks")
                bench.fake.crash()
            report = bench.report()
            bench.fake.start()
        else:
            with bench.backend(), bench.publisher(count=400) as source:
                source.wait()
                wait_until(bench.fake.is_drained, what="drained")
    if fault != "ack-early":
        report = bench.report()
    assert getattr(report, trouble), f"not noticed: {report}"
    with pytest.raises(AssertionError):
        report.check(drained=True, duplicates=0, reordered=0)


def test_an_ack_of_what_was_never_sent_is_counted(tmp_path):
    bench = Bench(tmp_path, fault="ack-unsent")
    with bench.fake, bench.publisher(count=10) as source:
        wait_until(lambda: bench.fake.acks_of_unsent > 0, what="an ack of what was not sent")
        source.process.terminate()
        # Those that are right come behind it.
        bench.fake.fault = None
        assert source.wait()["bad_acks"] > 0


def entry(number, destination=7, source=5):
    return struct.pack("<QBQBQBQ", source, 0x11, 0, 0x19, number, 0x21, destination)


def test_each_trouble_by_itself():
    e = [entry(i) for i in range(10)]
    well = Report(e, set(e[:8]), {"a": e[:5], "b": e[5:7]}, {e[7]})
    well.check(duplicates=0, reordered=0)
    with pytest.raises(AssertionError, match="not delivered"):
        well.check(drained=True)
    for trouble, args in {
            "lost": (e, set(e[:8]), {"a": e[:7]}, set()),
            "unknown": (e[:5], set(), {"a": e[:6]}, set()),
            "without being sent": (e[:5], {e[5]}, {"a": e[:5]}, None),
            "duplicates": (e, set(), {"a": e[:3], "b": e[2:3]}, None),
            "reordered": (e, set(), {"a": [e[1], e[0]]}, None)}.items():
        with pytest.raises(AssertionError, match=trouble):
            Report(*args).check(duplicates=0, reordered=0)
    # Another destination, or a second copy, has no order to keep.
    other = entry(3, destination=8)
    Report([*e, other], set(), {"a": [other, e[0], e[1], e[0]]}, None).check(reordered=0)


def test_an_entry_cut_short_is_left_out(tmp_path):
    ledger = Ledger(tmp_path)
    writer = ledger.writer(SENT, "a")
    writer.add([entry(1), entry(2)])
    writer.close()
    path = tmp_path / "sent-a"
    path.write_bytes(path.read_bytes()[:-3])
    assert ledger.entries(SENT, "a") == [entry(1)]
    ledger.writer(SENT, "a").add([entry(3)])
    assert ledger.entries(SENT, "a") == [entry(1), entry(3)] and path.stat().st_size == 2 * ENTRY


def test_crc32c():
    """The check value, and those of RFC 3720, B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def message_bytes(number):
    return b"\x09" + entry(number) + bytes(37)


@pytest.fixture
def written(tmp_path):
    """A journal of 300 messages in several segments, the even ones delivered."""
    writer = Writer(tmp_path, incarnation=1, segment_bytes=16384)
    refs = [writer.add_message(9, message_bytes(i)) for i in range(300)]
    writer.add_done(refs[::2])
    writer.close()
    return tmp_path


def test_the_journal_is_read(written):
    found = Journal(written)
    assert len(found.segments) > 2 and not found.torn and not found.damaged
    assert [m.ident for m in found.messages] == [entry(i) for i in range(300)]
    assert [m.ident for m in found.undelivered()] == [entry(i) for i in range(1, 300, 2)]


def test_a_torn_end_is_told_from_damage(written):
    last = Journal(written).segments[-1]
    end = max(r.offset for r in Journal(written).records if r.path == last.path)
    data = bytearray(last.path.read_bytes())
    data[end + 40] ^= 1
    last.path.write_bytes(data)
    found = Journal(written)
    assert found.torn == [f"{last.path}: offset {end}: checksum is wrong"]
    assert not found.damaged and len(found.undelivered()) == 300
    # What the mark says was synced is no torn end.
    mark = struct.pack("<IQ", 0, last.base + end)
    data[512:528] = struct.pack("<I", crc32c(mark)) + mark
    last.path.write_bytes(data)
    assert Journal(written).damaged == [f"{last.path}: offset {end}: checksum is wrong"]


@pytest.mark.parametrize("check_all", [True, False])
def test_a_record_torn_behind_its_header_is_no_record(written, check_all):
    """As kill -9 leaves it, when it stops a write between two pages."""
    whole = Journal(written)
    last = [r for r in whole.records if r.path == whole.segments[-1].path][-2]
    data = bytearray(last.path.read_bytes())
    data[last.offset + 64:] = bytes(len(data) - last.offset - 64)
    last.path.write_bytes(data)
    found = Journal(written, check_all)
    assert found.records == whole.records[:-2] and not found.damaged
    assert found.torn == [f"{last.path}: offset {last.offset}: checksum is wrong"]


def test_a_quick_look_leaves_out_checksums_of_what_is_durable_only(written):
    """A record says how far all was durable before it."""
    whole = Journal(written)
    first, second = whole.records[-3:-1]
    data = bytearray(first.path.read_bytes())
    data[first.offset + 40] ^= 1
    data[second.offset + 28:second.offset + 30] = bytes(2)  # nothing before it is unsynced
    first.path.write_bytes(data)
    assert f"{first.path}: offset {first.offset}: checksum is wrong" in Journal(written).torn
    quick = Journal(written, check_all=False)
    assert quick.torn == [f"{second.path}: offset {second.offset}: checksum is wrong"]
    assert len(quick.records) == len(whole.records) - 2


def test_a_segment_that_was_begun_anew_cuts_off_what_was_before(tmp_path):
    first = Writer(tmp_path, incarnation=1, segment_bytes=16384)
    for i in range(50):
        first.add_message(9, message_bytes(i))
    first.close()
    cut = 4096
    kept = [m.ident for m in Journal(tmp_path).messages if m.ref < cut]
    second = Writer(tmp_path, incarnation=2, end=cut, segment_bytes=16384)
    second.add_message(9, message_bytes(99))
    second.close()
    assert [m.ident for m in Journal(tmp_path).messages] == [*kept, entry(99)]
    # And says that all before was durable: there, it is no torn end.
    path = Journal(tmp_path).segments[0].path
    data = bytearray(path.read_bytes())
    data[HEADER + 1000] ^= 1
    path.write_bytes(data)
    assert "checksum is wrong" in Journal(tmp_path).damaged[0]


def test_the_appliances_own_tool_reads_the_same(tmp_path):
    """Two readers and two writers of one format that share no line: what is written here is read
    there, and the same is found."""
    writer = Writer(tmp_path, incarnation=1, segment_bytes=1 << 20)
    data = [wire.message(i, sequence=i + 1, flags=1, payload=bytes(i)).SerializeToString()
            for i in range(1200)] * 2
    refs = [writer.add_message(9, d) for d in data]
    writer.add_done(refs[::3])
    writer.close()
    assert len(Journal(tmp_path).segments) > 1

    def ask(*command):
        done = subprocess.run([SLUICE_JOURNAL, *command, "--json", tmp_path], text=True,
                              capture_output=True, timeout=patience(20))
        assert done.returncode == 0, done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    subprocess.run([SLUICE_JOURNAL, "verify", tmp_path], check=True, capture_output=True)
    assert [m["position"] for m in ask("list")] == refs
    assert [m["position"] for m in ask("list", "--undelivered")] == \
        [m.ref for m in Journal(tmp_path).undelivered()]


def test_reading_the_journal_from_a_shell(written, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["journal", os.fspath(written)])
    journal.main()
    assert "300 messages, 150 of them undelivered" in capsys.readouterr().out
