# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The two ends of a session, without sockets, clocks or threads: what happened and when goes in,
datagrams come out. Times are seconds of a clock that does not run backwards.

Loss is found as in RFC 9002: what was sent before something that was acknowledged, and longer ago
than 9/8 of a round trip, is lost; a timeout (RFC 6298, with backoff) asks for the rest. The RFC's
count of three packets is not used: messages of one session become durable in several streams of
the journal, so that acks out of order are no sign of loss. The congestion window is NewReno's, in
bytes. The rules of both ends are those of docs/wire-format.md, Sessions and acks.
"""

import collections
import itertools

from . import wire

BEGIN_MAX = 1024  # until the first ack; and so far may be the first that a receiver sees
RTT_INITIAL = 0.1
RTO_MIN, RTO_MAX = 0.02, 1.0
GRANULARITY = 0.001
REFUSED_WAIT_MIN, REFUSED_WAIT_MAX = 0.01, 1.0
FIRST_PATIENCE, GAP_PATIENCE = 0.5, 2.0
FORGOTTEN = 3  # timeouts and old acks in a row after which they are not old

OK, OLD, BAD, REFUSED = "ok", "old", "bad", "refused"


class Outgoing:
    """A message on its way. @field is what wire.put_message() has made; @handle the caller's.
    One that is settled is wanted by nobody any more."""

    __slots__ = ("field", "handle", "sequence", "attempts", "flight", "deadline", "is_settled")

    def __init__(self, field, handle=None):
        self.field, self.handle = field, handle
        self.sequence = self.attempts = 0
        self.flight = self.deadline = None
        self.is_settled = False


class _Flight:
    """A datagram on its way."""

    __slots__ = ("number", "sent_at", "entries", "size", "missing")

    def __init__(self, number, sent_at, entries, size):
        self.number, self.sent_at, self.entries, self.size = number, sent_at, entries, size
        self.missing = len(entries)


class Sender:
    """Sends messages until they are acknowledged; the receiver says how many it may.

    @param session       its number, not 0
    @param datagram_max  bytes of a UDP payload
    """

    def __init__(self, session, now, datagram_max=1472):
        self.datagram_max = datagram_max
        self.srtt = self.rttvar = 0.0
        self.waiting = collections.deque()  # not sent in this session yet
        self.retransmitted = self.bad_acks = self.refused_in_a_row = 0
        self._hold_until = now
        self._begin(session, now)

    def _begin(self, session, now):
        self.session = session
        self.next_sequence = 1
        self.acked = 0  # all up to this one, what was selective counted
        self.highest = 0
        self.credit_limit = BEGIN_MAX
        self._has_ack = False
        self._hidden_from = 0
        self.unacked = {}  # sequence -> Outgoing, in the order of the sequence
        self._lost = collections.deque()
        self._flights = collections.deque()
        self._flight_number = self._acked_flight = 0
        self._in_flight = 0
        self._window = 10 * self.datagram_max
        self._threshold = float("inf")
        self._recovered_at = float("-inf")
        self.timeouts_in_a_row = 0
        self._old_acks = 0  # since one that was not
        self._timer_from = now

    @property
    def pending(self):
        """Messages that are not acknowledged."""
        return len(self.unacked) + len(self.waiting)

    def add(self, entry):
        self.waiting.append(entry)

    def give_up(self, entry):
        """Nobody waits for a message any more: the oldest of those not settled. What is in the
        session stays there, for a sequence cannot be skipped; the next one goes without it."""
        entry.is_settled = True
        while self.waiting and self.waiting[0].is_settled:
            self.waiting.popleft()

    @property
    def is_held_up(self):
        """Whether the first that is missing is one that was given up."""
        return any(entry.is_settled for entry in itertools.islice(self.unacked.values(), 1))

    @property
    def is_wanted(self):
        """Whether somebody waits for any of them."""
        return bool(self.waiting) or any(not e.is_settled for e in self.unacked.values())

    def restart(self, session, now):
        """Go on in a new session: what is not acknowledged is sent there again, in its order."""
        again = [entry for entry in self.unacked.values() if not entry.is_settled]
        for entry in again:
            entry.flight = None
        self.waiting.extendleft(reversed(again))
        self._begin(session, now)

    def on_ack(self, ack, now):
        """Take an Ack. Returns (OK, OLD, BAD or REFUSED, the entries it acknowledged)."""
        if ack.session != self.session:
            return OLD, ()
        bits = int.from_bytes(ack.selective, "little")
        if (ack.highest >= self.next_sequence or ack.cumulative > ack.highest or
                (bits and ack.cumulative + 1 + bits.bit_length() > ack.highest)):
            self.bad_acks += 1
            return BAD, ()
        if ack.is_refusal:
            wait = REFUSED_WAIT_MIN * 2 ** min(self.refused_in_a_row, 10)
            self._hold_until = now + min(wait, REFUSED_WAIT_MAX) if self.refused_in_a_row else now
            self.refused_in_a_row += 1
            return REFUSED, ()
        forgot = self._is_forgotten(ack)
        is_old = (ack.cumulative, ack.highest) < (self.acked, self.highest)
        self._old_acks = self._old_acks + 1 if is_old else 0
        done = self._take(ack, bits)
        self.credit_limit = max(self.credit_limit if self._has_ack else 0, ack.credit_limit)
        self._has_ack = True
        if ack.highest >= self.highest:
            self._hidden_from = ack.cumulative + 2 + 8 * wire.SELECTIVE_MAX
            self.highest = ack.highest
        if done:
            self._on_progress(done, now)
        if forgot:
            return REFUSED, done
        return OK if done else OLD, done

    def _is_forgotten(self, ack):
        """Whether it knows less than was acknowledged, and is not one that was overtaken: it tells
        of something new, or nothing else comes for long. The receiver has begun anew, and would
        wait for ever for what it has acknowledged before."""
        return ack.cumulative < self.acked and (
            ack.highest > self.highest or
            (self.timeouts_in_a_row >= FORGOTTEN and self._old_acks >= FORGOTTEN))

    def _take(self, ack, bits):
        """The entries that an ack is the first to acknowledge."""
        unacked = self.unacked
        done = []
        for sequence in range(self.acked + 1, ack.cumulative + 1):
            entry = unacked.pop(sequence, None)
            if entry is not None:
                done.append(entry)
        self.acked = max(self.acked, ack.cumulative)
        while bits:
            lowest = bits & -bits
            entry = unacked.pop(ack.cumulative + 1 + lowest.bit_length(), None)
            if entry is not None:
                done.append(entry)
            bits ^= lowest
        while self.acked + 1 < self.next_sequence and self.acked + 1 not in unacked:
            self.acked += 1
        return done

    def _on_progress(self, done, now):
        newest, size = None, 0
        for entry in done:
            flight = entry.flight
            if flight is None:
                continue  # given up for lost, but it was only late
            flight.missing -= 1
            size += len(entry.field)
            if newest is None or flight.number > newest.flight.number:
                newest = entry
            if flight.number > self._acked_flight:
                self._acked_flight = flight.number
        if newest is not None and newest.attempts == 1:
            self._measure(now - newest.flight.sent_at)
        self._grow(size)
        self._in_flight -= size
        self.timeouts_in_a_row = self.refused_in_a_row = 0
        self._timer_from = now
        self._find_lost(now)

    def _measure(self, rtt):
        if self.srtt == 0.0:
            self.srtt, self.rttvar = rtt, rtt / 2
        else:
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) / 4
            self.srtt += (rtt - self.srtt) / 8

    def _grow(self, acked):
        if self._in_flight < self._window / 2:
            return  # the window is not what limits
        if self._window < self._threshold:
            self._window += acked
        else:
            self._window += self.datagram_max * acked / self._window

    def _loss_delay(self):
        return max((self.srtt or RTT_INITIAL) * 9 / 8, GRANULARITY) + self.rttvar

    def _timeout(self):
        srtt, rttvar = (self.srtt, self.rttvar) if self.srtt else (RTT_INITIAL, RTT_INITIAL / 2)
        timeout = max(srtt + max(4 * rttvar, GRANULARITY), RTO_MIN)
        return min(timeout * 2 ** min(self.timeouts_in_a_row, 10), RTO_MAX)

    def _find_lost(self, now):
        """Give up for lost what was sent long enough before something that arrived. Returns when
        to look again, or None."""
        flights, late = self._flights, now - self._loss_delay()
        while flights:
            flight = flights[0]
            if flight.missing == 0:
                flights.popleft()
            elif flight.number >= self._acked_flight or self._is_hidden(flight):
                return None
            elif flight.sent_at > late:
                return flight.sent_at + self._loss_delay()
            else:
                self._lose(flights.popleft(), now)
        return None

    def _is_hidden(self, flight):
        """Whether it is of what the last ack had no room to tell of."""
        return any(self._hidden_from <= e.sequence <= self.highest for e in flight.entries)

    def _lose(self, flight, now):
        for entry in flight.entries:
            if entry.flight is flight and entry.sequence in self.unacked:
                entry.flight = None
                self._in_flight -= len(entry.field)
                self._lost.append(entry)
        if flight.sent_at > self._recovered_at:
            self._recovered_at = now
            self._threshold = self._window = max(self._window / 2, 2 * self.datagram_max)

    def deadline(self, now):
        """When poll() has something to do even if nothing happens, or None."""
        if not self.unacked and not self.waiting:
            return None
        if now < self._hold_until:
            return self._hold_until
        deadline = self._timer_from + self._timeout()
        flights = self._flights
        if (flights and flights[0].number < self._acked_flight and
                not self._is_hidden(flights[0])):
            deadline = min(deadline, flights[0].sent_at + self._loss_delay())
        return deadline

    def poll(self, now):
        """The datagrams that are to be sent now, as bytes."""
        if now < self._hold_until:
            return []
        self._find_lost(now)
        out = []
        allowed = self._window - self._in_flight
        if now >= self._timer_from + self._timeout():
            allowed = max(allowed, self._on_timeout(now))
        while allowed > 0:
            entries = self._next_batch()
            if not entries:
                break
            allowed -= self._launch(entries, now, out)
        return out

    def _on_timeout(self, now):
        """Ask for what is missing. Returns how many bytes may be sent whatever the window says."""
        if not self.unacked:
            return 0
        self.timeouts_in_a_row += 1
        self._timer_from = now
        for _ in range(2):
            while self._flights and self._flights[0].missing == 0:
                self._flights.popleft()
            if self._flights:
                self._lose(self._flights.popleft(), now)
        if self.timeouts_in_a_row >= 3:
            self._window = 2 * self.datagram_max
        return 2 * self.datagram_max

    def _next_batch(self):
        """The entries of the next datagram: first what was lost, then what is new. One message may
        always be on its way: an ack that gives credit may have been lost, and this one brings
        another."""
        limit = max(self.credit_limit, self.acked + 1)
        batch, room = [], self.datagram_max - wire.HEADER_LEN
        lost, waiting = self._lost, self.waiting
        while lost and len(batch) < wire.MESSAGES_MAX:
            entry = lost[0]
            if entry.sequence not in self.unacked:
                lost.popleft()
                continue
            if len(entry.field) > room:
                return batch
            room -= len(entry.field)
            batch.append(lost.popleft())
        while (waiting and len(batch) < wire.MESSAGES_MAX and
               self.next_sequence <= limit and len(waiting[0].field) <= room):
            entry = waiting.popleft()
            entry.sequence = self.next_sequence
            wire.put_sequence(entry.field, entry.sequence)
            self.unacked[entry.sequence] = entry
            self.next_sequence += 1
            entry.attempts = 0
            room -= len(entry.field)
            batch.append(entry)
        return batch

    def _launch(self, entries, now, out):
        if not self._flights:
            self._timer_from = now
        self._flight_number += 1
        parts = [wire.put_header(self.session)]
        size = 0
        flight = _Flight(self._flight_number, now, entries, 0)
        for entry in entries:
            parts.append(entry.field)
            size += len(entry.field)
            entry.flight = flight
            entry.attempts += 1
            self.retransmitted += entry.attempts > 1
        flight.size = size
        self._flights.append(flight)
        self._in_flight += size
        out.append(b"".join(parts))
        return size


NEW, DUPLICATE, BEYOND = "new", "duplicate", "beyond"


class Receiver:
    """Hands messages out in the order of the session, and says what the application has done.

    What waits behind a gap is held, but not acknowledged: acknowledged is what is done.
    """

    def __init__(self, session, now, credit):
        self.session, self.credit = session, credit
        self.heard_at = now
        self.taken = 0  # handed out up to here
        self.cumulative = 0  # done up to here
        self.highest = 0  # that is done
        self._held = {}
        self._gap_since = None  # since when something waits behind what has not come
        self._done = set()  # beyond cumulative + 1
        self._echo = (0, now)
        self._limit = 0

    @staticmethod
    def may_begin(sequence):
        """May a session that nobody knows begin with this sequence? Else it is refused."""
        return 0 < sequence <= BEGIN_MAX

    def receive(self, message, now):
        self.heard_at = now
        self._echo = message.timestamp_ns, now
        sequence = message.sequence
        if sequence <= self.taken or sequence in self._held:
            return DUPLICATE
        # Before the first ack, a sender does not know of the credit.
        if sequence > max(self.cumulative + self.credit, BEGIN_MAX):
            return BEYOND
        self._held[sequence] = message
        if self._gap_since is None and sequence != self.taken + 1:
            self._gap_since = now
        return NEW

    def take(self):
        """The messages whose turn has come."""
        ready = []
        while self.taken + 1 in self._held:
            self.taken += 1
            ready.append(self._held.pop(self.taken))
        if ready:
            self._gap_since = self.heard_at if self._held else None
        return ready

    def is_stuck(self, now):
        """A message has not come for so long that it never will: the sender takes it for done, by
        whoever had this address before, or has given it up. A refusal brings a new session."""
        if self._gap_since is None:
            return False
        return now - self._gap_since > (FIRST_PATIENCE if self.taken == 0 else GAP_PATIENCE)

    def done(self, sequence):
        """The application is done with a message that take() has handed out."""
        if sequence <= self.cumulative:
            return
        self.highest = max(self.highest, sequence)
        self._done.add(sequence)
        while self.cumulative + 1 in self._done:
            self.cumulative += 1
            self._done.discard(self.cumulative)

    def ack(self, now):
        bits = 0
        for sequence in self._done:
            if sequence - self.cumulative - 2 < 8 * wire.SELECTIVE_MAX:
                bits |= 1 << sequence - self.cumulative - 2
        timestamp_ns, came_at = self._echo
        # 0 would be a refusal; and what was promised stays promised.
        self._limit = max(self._limit, self.cumulative + self.credit, 1)
        return wire.Ack(self.session, self.cumulative, self.highest,
                        bits.to_bytes((bits.bit_length() + 7) // 8, "little"), self._limit,
                        timestamp_ns, min(int((now - came_at) * 1e9), 0xFFFFFFFF))


def refusal(session):
    """What to answer to a session that nobody knows."""
    return wire.Ack(session)
