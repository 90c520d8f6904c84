# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""sluice-journal on journals of the real writer, which a second program takes apart beside it."""

import json
import os
import shutil
import subprocess

import pytest

from harness import BUILD, ROOT, pb2
from harness.faults import Faults
from harness.journal import DEAD, DELIVERED, MESSAGE, POSITION_BITS, Journal, Writer
from harness.patience import patience, wait_until
from harness.wire import message

TOOL = BUILD / "app" / "sluice-journal" / "sluice-journal"
WRITER = BUILD / "tests" / "journal_write"


def tool(*arguments, code=0):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, timeout=patience(60))
    assert done.returncode == code, f"{done.stdout[-2000:]}{done.stderr}"
    done.stderr = done.stderr.decode()
    return done


def lines(*arguments, code=0):
    return [json.loads(line) for line in tool(*arguments, code=code).stdout.splitlines()]


def write(directory, code=0, **options):
    done = subprocess.run([WRITER, directory, *(f"{k}={v}" for k, v in options.items())],
                          capture_output=True, text=True, timeout=patience(60))
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two runs, the first killed; three streams, then two; several segments each."""
    directory = tmp_path_factory.mktemp("journal") / "j"
    write(directory, messages=900, streams=3, payload=4000, crash=1)
    write(directory, messages=300, streams=2, payload=100, done=70)
    return directory


@pytest.fixture
def directory(original, tmp_path):
    shutil.copytree(original, tmp_path / "j")
    return tmp_path / "j"


def flip(path, offset, bit=3):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def in_order(directory):
    """All records, run by run, stream by stream."""
    return sorted(Journal(directory).records, key=lambda r: (r.incarnation, r.ref))


def payload_of(record):
    return pb2.Message.FromString(record.body[16:]).payload


def middle(directory):
    """A segment that others follow in its run, and a message in it that has others around it."""
    read = Journal(directory)
    runs = sorted(read.segments, key=lambda s: (s.incarnation, s.number))
    segment = next(s for s in runs if any(o.stream == s.stream and o.incarnation == s.incarnation
                                          and o.number > s.number for o in runs))
    messages = [r for r in read.records if r.path == segment.path and r.kind == MESSAGE]
    return segment, messages[len(messages) // 2]


def test_list_tells_what_the_files_hold(original):
    read = Journal(original)
    messages, names, done = {m.ref: m for m in read.messages}, read.names(), read.done()
    told = lines("list", "--json", original)
    assert len(told) == len(messages) == 1200
    states = {None: "undelivered", DELIVERED: "delivered", DEAD: "dead"}
    for line in told:
        message = messages[line["stream"] << POSITION_BITS | line["position"]]
        kept = pb2.Message.FromString(message.data)
        assert line["id"] == f"{kept.id_high:016x}{kept.id_low:016x}"
        assert line["state"] == states[done.get(message.ref, (None, 0))[0]]
        assert line["source"] == names[kept.source]
        assert line["destination"] == names[kept.destination]
        assert line["class"] == message.class_index + 1
        assert line["time_ns"] == message.record.time_ns
    assert {line["state"] for line in told} == set(states.values())


def test_list_is_a_table_of_the_same(original):
    text = tool("list", original).stdout.decode().splitlines()
    assert text[0].split() == ["time", "stream", "position", "source", "destination", "type", "id",
                               "class", "bytes", "state"]
    rows = [line.split() for line in text[1:]]
    told = lines("list", "--json", original)
    assert [(row[6], row[9]) for row in rows] == [(line["id"], line["state"]) for line in told]


@pytest.mark.parametrize("options, holds", [
    (["--undelivered"], lambda m: m["state"] == "undelivered"),
    (["--destination", "table2"], lambda m: m["destination"] == "table2"),
    (["--source", "server1", "--undelivered"],
     lambda m: m["source"] == "server1" and m["state"] == "undelivered"),
    (["--stream", "1"], lambda m: m["stream"] == 1),
    (["--destination", "nobody"], lambda m: False),
])
def test_filters_choose(original, options, holds):
    every = lines("list", "--json", original)
    assert lines("list", "--json", *options, original) == [m for m in every if holds(m)]


def test_since_and_limit_and_position_choose(original):
    every = lines("list", "--json", original)
    at = every[600]
    of_stream = [m for m in every if m["stream"] == at["stream"]]
    assert lines("list", "--json", "--stream", at["stream"], "--position", at["position"],
                 "--limit", 10, original) == of_stream[of_stream.index(at):][:10]
    assert lines("list", "--json", "--since", "1d", original) == every
    assert lines("list", "--json", "--since", "2100-01-01", original) == []


def test_streams_go_on_where_names_get_longer(tmp_path):
    writer = Writer(tmp_path, 1, end=2**48 - 4096)
    refs = [writer.add_message(0, message(n, payload=bytes(1000)).SerializeToString())
            for n in range(8)]
    writer.close()
    assert refs[0] < 2**48 <= refs[-1]
    assert [m["position"] for m in lines("list", "--json", tmp_path)] == refs
    assert [m["position"] for m in lines("list", "--json", "--stream", 0, "--position", refs[-1],
                                         tmp_path)] == refs[-1:]
    tool("verify", tmp_path)


def test_info_counts(original):
    read = Journal(original)
    info = json.loads(tool("info", "--json", original).stdout)
    assert info["messages"] == len(read.messages)
    assert info["undelivered"] == len(read.undelivered())
    assert info["names"] == len(read.names())
    assert info["records"] == len(read.records)
    assert info["segments"] == len(read.segments)
    assert [(r["run"], r["stream"]) for r in info["runs"]] == [(1, 0), (1, 1), (1, 2), (2, 0),
                                                              (2, 1)]
    assert [r["state"] for r in info["runs"][3:]] == ["closed", "closed"]
    assert b"1200 messages" in tool("info", original).stdout


def test_dump_has_every_record_and_byte(original):
    kinds = dict(enumerate(["", "pad", "message", "duplicate", "done", "name", "config", "close"]))
    told, held = lines("dump", "--json", original), in_order(original)
    assert [(r["stream"], r["position"], r["record"]) for r in told] == \
        [(r.stream, r.position, kinds[r.kind]) for r in held]
    for line, record in zip(told, held, strict=True):
        if record.kind == MESSAGE:
            assert bytes.fromhex(line["payload"]) == payload_of(record)
    raw = tool("dump", "--payload", "raw", "--stream", 1, original).stdout
    assert raw == b"".join(payload_of(r) for r in held if r.kind == MESSAGE and r.stream == 1)


def test_verify_names_every_damaged_place(directory):
    assert b": whole" in tool("verify", directory).stdout
    segment, message = middle(directory)
    flip(segment.path, message.offset + 100)
    later = next(s for s in Journal(directory).segments
                 if s.stream != segment.stream and s.incarnation == segment.incarnation)
    flip(later.path, 40)
    text = tool("verify", directory, code=1).stdout.decode()
    assert f"{segment.path.name}: offset {message.offset}: checksum is wrong" in text
    assert f"{later.path.name}: offset 0: the header is damaged" in text
    verdict = json.loads(tool("verify", "--json", directory, code=1).stdout)
    assert verdict["whole"] is False and verdict["damaged"] >= 2


def test_what_is_not_damaged_is_still_told(directory):
    every = lines("list", "--json", directory)
    segment, message = middle(directory)
    flip(segment.path, message.offset + 100)
    told = lines("list", "--json", directory, code=1)
    assert told == [m for m in every
                    if (m["stream"], m["position"]) != (segment.stream, message.position)]


def test_damage_is_refused_with_the_place_and_the_remedy(directory):
    segment, message = middle(directory)
    flip(segment.path, message.offset + 100)
    error = write(directory, code=1)
    assert f"{segment.path}: offset {message.offset}: checksum is wrong" in error
    assert "sluice-journal verify" in error and "sluice-journal repair" in error


def content(directory):
    return {path.name: path.read_bytes() for path in directory.glob("*.seg*")}


def test_repair_skips_what_is_damaged_and_nothing_else(directory):
    every = lines("list", "--json", directory)
    segment, message = middle(directory)
    flip(segment.path, message.offset + 150)
    before = content(directory)
    plan = tool("repair", "--skip", directory, code=1).stdout.decode()
    assert "--yes" in plan and content(directory) == before
    lost = next(m for m in every
                if (m["stream"], m["position"]) == (segment.stream, message.position))
    done = tool("repair", "--skip", "--yes", directory).stdout.decode()
    assert lost["id"] in plan and lost["id"] in done
    assert (directory / f"{segment.path.name}.damaged").read_bytes() == before[segment.path.name]
    assert tool("verify", directory)
    # An outcome of another message may have been lost with it, but here it was a message.
    assert lines("list", "--json", directory) == [m for m in every if m != lost]
    undelivered = sum(m["state"] == "undelivered" for m in every if m != lost)
    assert write(directory, messages=10)["undelivered"] == undelivered
    assert b"nothing was changed" in tool("repair", "--skip", "--yes", directory).stdout


@pytest.mark.parametrize("damage", ["header", "mark", "missing", "short", "zeroes", "many"])
def test_repair_makes_every_damage_start(directory, damage):
    every = lines("list", "--json", directory)
    segment, message = middle(directory)
    if damage == "header":
        flip(segment.path, 33)
    elif damage == "mark":
        flip(segment.path, 520)
    elif damage == "missing":
        follows = next(s for s in Journal(directory).segments
                       if s.stream == segment.stream and s.previous_end == segment.end)
        middle_one = follows.path
        # One that has another behind it and before it.
        middle_one.unlink()
    elif damage == "short":
        with segment.path.open("r+b") as file:
            file.truncate(message.offset + 50)
    elif damage == "zeroes":
        data = segment.path.read_bytes()
        size = 3 * 4096
        segment.path.write_bytes(data[:message.offset] + bytes(size) +
                                 data[message.offset + size:])
    else:
        for offset in range(message.offset - 60000, message.offset + 60000, 7777):
            flip(segment.path, offset)
    tool("repair", "--skip", "--yes", directory)
    tool("verify", directory)
    told = lines("list", "--json", directory)
    ids = [m["id"] for m in every]
    assert [m["id"] for m in told] == [i for i in ids if i in {m["id"] for m in told}]
    if damage in ("header", "mark"):
        assert told == every
    else:
        assert 0 < len(every) - len(told) < 400
    assert write(directory, messages=10)["run"] == 3
    tool("verify", directory)


def test_repair_cuts_one_stream_and_keeps_its_positions(directory):
    every = lines("list", "--json", directory)
    segment, message = middle(directory)
    flip(segment.path, message.offset + 100)
    done = tool("repair", "--cut", segment.stream, "--yes", directory).stdout.decode()
    told = lines("list", "--json", directory)
    kept = [m for m in every if m["stream"] != segment.stream or
            (m["position"] < message.position)]
    assert [m["id"] for m in told] == [m["id"] for m in kept]
    for lost in every:
        assert (lost["id"] in done) == (lost["id"] not in {m["id"] for m in told})
    highest = max(m["position"] for m in every if m["stream"] == segment.stream)
    write(directory, messages=10, streams=3)
    again = lines("list", "--json", "--stream", segment.stream, directory)
    assert all(m["position"] > highest for m in again[len([m for m in kept if m["stream"] ==
                                                           segment.stream]):])


def test_a_journal_in_use_is_read_and_not_repaired(tmp_path):
    faults = Faults(tmp_path, tmp_path / "j")
    # It does not end before it was seen at work.
    faults.begin("hold-sync")
    writer = subprocess.Popen([WRITER, tmp_path / "j", "messages=300000", "payload=500"],
                              stdout=subprocess.PIPE, env={**os.environ, **faults.env})
    try:
        wait_until(lambda: list(tmp_path.glob("j/*.seg")), what="it has begun")
        held = tool("repair", "--skip", "--yes", tmp_path / "j", code=2).stderr
        assert "locked" in held
        faults.end("hold-sync")
        while writer.poll() is None:
            tool("verify", tmp_path / "j")
            told = lines("list", "--json", "--limit", 1000, tmp_path / "j")
            ids = [int(m["id"], 16) for m in told]
            assert ids == list(range(ids[0], ids[0] + len(ids))) if ids else True
    finally:
        writer.kill()
        writer.wait()


@pytest.mark.parametrize("arguments, words", [
    ([], "give a command"),
    (["look", "/tmp"], "no command"),
    (["info", "/nonexistent/j"], "/nonexistent/j"),
    (["list", "--payload", "hex", "/tmp"], "no option of this command"),
    (["repair", "/tmp"], "--skip or --cut"),
    (["list", "--since", "soon", "/tmp"], "--since soon"),
    (["list", "--position", "16", "/tmp"], "--stream"),
])
def test_errors_name_the_word_and_the_remedy(arguments, words):
    error = tool(*arguments, code=2).stderr
    assert words in error and error.startswith("sluice-journal: ")


def test_every_option_is_in_the_manual():
    text = tool("--help").stdout.decode()
    page = (ROOT / "app/sluice-journal/sluice-journal.8").read_text().replace("\\-", "-")
    options = [line.split()[0] for line in text.splitlines() if line.startswith("  --")]
    assert len(options) >= 14
    for option in options:
        assert option in page
