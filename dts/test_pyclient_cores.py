# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The client in Python, piece by piece: its hashes, its wire against stock protobuf, and its
sessions on a simulated clock and network."""

import ctypes
import heapq
import itertools
import random

import pytest

from harness import encode, id_of, pb2
from harness.client import sluice
from harness.protobuf import field_bytes, fixed32, fixed64, varint


# Hashes and the wire.

def test_text_ids_are_those_of_the_library():
    class Hash(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_128bits.restype = Hash
    library.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    rng = random.Random(1)
    for size in [*range(600), 1023, 1024, 1025, 1088, 2048, 2049, 4095, 65000]:
        data = rng.randbytes(size)
        wanted = library.XXH3_128bits(data, size)
        assert sluice.xxh3.xxh3_128(data) == wanted.high << 64 | wanted.low, f"{size} bytes"


def test_names_and_texts_of_the_documentation():
    assert sluice.name_key("größe") == 0xB7450E1EF58140DA
    assert sluice.text_id("order-1") == 0x5A8A409613F90AD0AF63A0F835CA6746


def random_message(rng):
    return pb2.Message(
        source=rng.getrandbits(64), id_high=rng.getrandbits(64), id_low=rng.getrandbits(64),
        destination=rng.getrandbits(64), sequence=rng.getrandbits(20),
        timestamp_ns=rng.getrandbits(64), type=rng.getrandbits(64), priority=rng.randrange(9),
        flags=rng.getrandbits(1), payload=rng.randbytes(rng.choice((0, 1, 60, 127, 128, 300))),
        id_text=rng.choice((None, "order-1", "größe")))


def ours(m):
    return sluice.Message(m.source, m.destination, m.type, id_of(m), m.payload,
                          m.id_text if m.HasField("id_text") else None, m.timestamp_ns, m.priority,
                          m.flags, m.sequence)


def same(mine, stock):
    return all(getattr(mine, name) == getattr(ours(stock), name) for name in (
        "source", "destination", "type", "id", "payload", "id_text", "timestamp_ns", "priority",
        "flags", "sequence"))


@pytest.mark.parametrize("seed", range(20))
def test_datagrams_are_those_of_the_stock_library(seed):
    rng = random.Random(seed)
    wire = sluice.wire
    messages = [random_message(rng) for _ in range(rng.randrange(1, 6))]
    stock = encode(*messages, epoch=0, session=77)
    mine = wire.put_header(77) + b"".join(wire.put_message(ours(m)) for m in messages)
    assert mine == stock
    read = wire.decode(stock)
    assert read.session == 77 and all(map(same, read.messages, messages))
    field = wire.put_message(ours(messages[0]))
    wire.put_sequence(field, 99)
    messages[0].sequence = 99
    assert same(wire.decode(wire.put_header(0) + field).messages[0], messages[0])


@pytest.mark.parametrize("seed", range(20))
def test_acks_and_probes_are_those_of_the_stock_library(seed):
    rng = random.Random(seed)
    wire = sluice.wire
    numbers = {name: rng.getrandbits(64) for name in
               ("session", "cumulative", "highest", "credit_limit", "echo_timestamp_ns")}
    ack = {**numbers, "selective": rng.randbytes(rng.choice((0, 1, 128))),
           "ack_delay_ns": rng.getrandbits(32)}
    stock = pb2.Datagram(magic=wire.MAGIC, epoch=0, session=0, ack=pb2.Ack(**ack))
    assert wire.put_ack(wire.Ack(**ack)) == stock.SerializeToString()
    read = wire.decode(stock.SerializeToString()).ack
    assert {name: getattr(read, name) for name in ack} == ack
    probe = {"nonce": rng.getrandbits(64), "reply": True, "in_flight": 3, "latency_ns": 5}
    stock = pb2.Datagram(magic=wire.MAGIC, epoch=0, session=0, probe=pb2.Probe(**probe))
    assert wire.put_probe(wire.Probe(**probe)) == stock.SerializeToString()
    read = wire.decode(stock.SerializeToString()).probe
    assert {name: getattr(read, name) for name in probe} == probe


@pytest.mark.parametrize("seed", range(30))
def test_other_layouts_mean_what_protobuf_says(seed):
    """Fields in any order, twice, unknown ones between them, the datagram's too."""
    rng = random.Random(seed)
    m = random_message(rng)
    parts = [fixed64(1, m.source), fixed64(2, m.id_high), fixed64(3, m.id_low),
             fixed64(4, m.destination), fixed64(1, m.source)]
    parts += [fixed64(5, m.sequence), fixed64(6, m.timestamp_ns), fixed64(7, m.type),
              fixed32(8, m.priority), fixed32(9, m.flags), field_bytes(15, m.payload),
              fixed32(8, m.priority), field_bytes(200, b"later"), varint(201, 1 << 63)]
    rng.shuffle(parts)
    body = b"".join(parts)
    outer = [fixed32(1, sluice.wire.MAGIC), fixed32(2, 5), fixed64(3, 9), field_bytes(4, body),
             field_bytes(99, b"x"), field_bytes(5, fixed64(1, 4)), field_bytes(5, fixed64(2, 6))]
    rng.shuffle(outer)
    data = b"".join(outer)
    stock = pb2.Datagram.FromString(data)
    read = sluice.wire.decode(data)
    assert (read.epoch, read.session) == (5, 9) and same(read.messages[0], stock.messages[0])
    assert (read.ack.session, read.ack.cumulative) == (4, 6)


@pytest.mark.parametrize("seed", range(10))
def test_bytes_that_are_no_datagram_are_refused(seed):
    """Cut anywhere, or with any bit flipped, there is an answer: a datagram, or WireError."""
    rng = random.Random(seed)
    data = encode(random_message(rng), random_message(rng), session=3)
    for cut in range(len(data)):
        with pytest.raises(sluice.WireError):
            sluice.wire.decode(data[:cut])
            # At the end of a message, what is there is whole.
            pb2.Datagram.FromString(data[:cut])
            raise sluice.WireError
    for _ in range(500):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        broken = data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]
        try:
            sluice.wire.decode(broken)
        except sluice.WireError:
            pass


# The cores alone, on a simulated clock and network.

class Simulation:
    """A Sender and a Receiver, and everything between them decided by a seed."""

    def __init__(self, seed, count, credit, losses):
        self.rng = random.Random(seed)
        self.now, self.late, self.nb = 0.0, [], itertools.count()
        self.loss, self.life = self.rng.choice(losses), 0
        self.sender = sluice.session.Sender(1, 0.0)
        self.receiver = sluice.session.Receiver(1, 0.0, credit)
        self.credit, self.working, self.handed_out, self.acked = credit, [], [], []
        for i in range(count):
            m = sluice.Message(1, 2, 3, i, b"x" * self.rng.randrange(300))
            self.sender.add(sluice.session.Outgoing(sluice.wire.put_message(m), i))

    def put(self, what, data):
        copies = (self.rng.random() >= self.loss) + (self.rng.random() < 0.05)
        for _ in range(copies):
            delay = self.rng.random() * self.rng.choice((0.001, 0.05))
            heapq.heappush(self.late, (self.now + delay, next(self.nb), what, data))

    def forget(self):
        """The receiver has been restarted: what was not done is gone."""
        self.receiver, self.working = None, []
        self.life += 1

    def take_datagram(self, data):
        datagram = sluice.wire.decode(data)
        for m in datagram.messages:
            if self.receiver is None or self.receiver.session != datagram.session:
                begun = sluice.session.Receiver(datagram.session, self.now, self.credit)
                if not begun.may_begin(m.sequence) or self.receiver is not None and \
                        datagram.session < self.receiver.session:
                    self.put("ack", sluice.wire.put_ack(sluice.session.refusal(datagram.session)))
                    continue
                self.receiver = begun
            self.receiver.receive(m, self.now)
            for ready in self.receiver.take():
                self.handed_out.append(((self.receiver.session, self.life), ready.id))
                self.working.append(ready)

    def work(self):
        while self.working and self.rng.random() < 0.9:
            self.receiver.done(self.working.pop(0).sequence)
        if self.receiver is not None:
            if self.receiver.is_stuck(self.now):
                refusal = sluice.session.refusal(self.receiver.session)
                self.put("ack", sluice.wire.put_ack(refusal))
                self.forget()
            else:
                self.put("ack", sluice.wire.put_ack(self.receiver.ack(self.now)))

    def take_ack(self, data):
        said, done = self.sender.on_ack(sluice.wire.decode(data).ack, self.now)
        self.acked += [entry.handle for entry in done]
        if said == sluice.session.REFUSED:
            self.sender.restart(self.sender.session + 1, self.now)

    def run(self, forget_after=None, until=600.0):
        while self.sender.pending:
            for data in self.sender.poll(self.now):
                self.put("datagram", data)
            if forget_after is not None and len(self.acked) >= forget_after:
                forget_after = None
                self.forget()
            deadline = self.sender.deadline(self.now)
            times = [t for t in (deadline, self.late[0][0] if self.late else None) if t is not None]
            assert times, "nothing will ever happen again"
            self.now = max(self.now + 1e-5, min(times))
            assert self.now < until, f"{self.sender.pending} left after {until} s"
            while self.late and self.late[0][0] <= self.now:
                _, _, what, data = heapq.heappop(self.late)
                if what == "datagram":
                    self.take_datagram(data)
                    self.work()
                else:
                    self.take_ack(data)
            if not self.late:
                self.work()


@pytest.mark.parametrize("seed", range(25))
def test_a_session_delivers_all_in_order(seed):
    sim = Simulation(seed, 300, credit=(16, 64, 1000)[seed % 3], losses=(0, 0.02, 0.1))
    sim.run()
    assert sorted(sim.acked) == list(range(300))
    assert [ident for _, ident in sim.handed_out] == list(range(300))


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("after", [5, 1100], ids=["near its begin", "far from it"])
def test_a_session_survives_a_receiver_that_forgets(seed, after):
    """What was not acknowledged comes again under the same id, in order within each session that a
    receiver has had from its begin."""
    count = after + 200
    sim = Simulation(seed, count, credit=64, losses=(0, 0.02, 0.3))
    sim.run(forget_after=after)
    assert sorted(sim.acked) == list(range(count))
    assert {ident for _, ident in sim.handed_out} == set(range(count))
    for _, group in itertools.groupby(sim.handed_out, key=lambda h: h[0]):
        ids = [ident for _, ident in group]
        assert ids == sorted(set(ids))


def test_acks_of_what_was_never_sent_change_nothing():
    sender = sluice.session.Sender(9, 0.0)
    for i in range(10):
        sender.add(sluice.session.Outgoing(sluice.wire.put_message(
            sluice.Message(1, 2, 3, i)), i))
    sender.poll(0.0)
    before = sender.pending
    for bad in (dict(cumulative=11), dict(highest=11), dict(cumulative=3, selective=b"\xff\xff"),
                dict(cumulative=1 << 63, highest=1 << 63),
                dict(cumulative=2, selective=b"\1" * 128)):
        ack = sluice.wire.Ack(9, credit_limit=1000, **bad)
        assert sender.on_ack(ack, 0.1) == (sluice.session.BAD, ())
    assert sender.pending == before and sender.bad_acks == 5
    assert sender.on_ack(sluice.wire.Ack(8, 5, 5, credit_limit=9), 0.1)[0] == sluice.session.OLD
    said, done = sender.on_ack(sluice.wire.Ack(9, 2, 5, b"\x02", 100), 0.1)
    assert said == sluice.session.OK and [e.sequence for e in done] == [1, 2, 5]


def put(sender, numbers):
    for i in numbers:
        sender.add(sluice.session.Outgoing(sluice.wire.put_message(sluice.Message(1, 2, 3, i)), i))


def sent(sender, now):
    """The sequences of what is sent by then."""
    return {m.sequence for data in sender.poll(now) for m in sluice.wire.decode(data).messages}


def ack_of(has, credit=4096):
    """The ack of a receiver of session 1 that has these."""
    cumulative = next(n for n in itertools.count() if n + 1 not in has)
    selective = sum(1 << n - cumulative - 2 for n in has if cumulative < n <= cumulative + 1025)
    return sluice.wire.Ack(1, cumulative, max(has),
                           selective.to_bytes((selective.bit_length() + 7) // 8, "little"), credit)


@pytest.mark.parametrize("missing", [(900, 1100), (1, 1100)])
def test_a_receiver_that_forgot_is_noticed_although_nothing_new_is_sent(missing):
    """What it lacks is asked for again and again, and it goes on to tell of less than before.
    What was only said selectively counts, too."""
    sender, has, now = sluice.session.Sender(1, 0.0), set(), 0.0
    put(sender, range(1, 1201))
    while sender.next_sequence <= 1200:
        now += 0.001
        has |= sent(sender, now) - set(missing)
        assert sender.on_ack(ack_of(has), now)[0] != sluice.session.REFUSED
    has, said = set(), None
    while said != sluice.session.REFUSED:
        assert now < 60, f"waits for {sorted(sender.unacked)[:5]}"
        now = max(now + 0.001, sender.deadline(now))
        has |= sent(sender, now)
        said = sender.on_ack(ack_of(has), now)[0] if has else None
    assert missing[1] in sender.unacked


def test_one_message_may_be_sent_whatever_the_credit_of_a_receiver_that_forgot():
    """All that was in the session is acknowledged, by two lives of it; only the next shows it."""
    sender = sluice.session.Sender(1, 0.0)
    put(sender, range(1, 11))
    assert sent(sender, 0.0) == set(range(1, 11))
    sender.on_ack(ack_of(set(range(2, 11)), credit=10), 0.01)
    put(sender, [11])
    sender.on_ack(ack_of({1}, credit=2), 0.02)
    assert sent(sender, 0.03) == {11}
    assert sender.on_ack(ack_of({1, 11}, credit=2), 0.04)[0] == sluice.session.REFUSED


def test_acks_that_were_overtaken_are_no_sign_of_forgetting():
    sender, now = sluice.session.Sender(1, 0.0), 0.0
    put(sender, range(1, 11))
    sent(sender, now)
    sender.on_ack(ack_of(set(range(1, 6))), 0.01)
    for _ in range(10):
        assert sender.on_ack(ack_of({1, 2}), 0.02)[0] == sluice.session.OLD
    # Nor is one that comes when much was asked for: one that was not old came before.
    while sender.timeouts_in_a_row < 5:
        now = sender.deadline(now)
        sent(sender, now)
        sender.on_ack(ack_of({1, 2}), now)
        assert sender.on_ack(ack_of(set(range(1, 6))), now)[0] == sluice.session.OLD
