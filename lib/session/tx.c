/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "bits.h"
#include "tx.h"

#define GRANULARITY_NS	UINT64_C(100000) /* Of timers that others keep. */
#define CONGESTION_MIN	16u		 /* Messages; several go into one datagram. */
#define CONGESTION_INIT 64u
#define REORDER_MIN	3u /* Messages sent later and acknowledged: RFC 9002, 6.1.1. */
#define REORDER_MAX	1024u
#define DELAY_MAX	8u  /* Eighths of a round trip beyond one. */
#define REORDER_KEPT	16u /* Losses after which reordering is forgotten: RFC 8985, 6.2. */
#define BACKOFF_MAX	16u
#define FORGOTTEN	3u /* Timeouts and old acks in a row after which they are not old. */

static inline uint64_t
bounded(uint64_t value, uint64_t low, uint64_t high)
{
	value = RTE_MAX(value, low);
	return RTE_MIN(value, high);
}

static inline struct entry *
entry_of(const struct sl_session_tx *tx, uint64_t sequence)
{
	return &tx->entries[sequence & tx->mask];
}

/* Of an entry in flight. */
static inline uint64_t
sequence_of(const struct sl_session_tx *tx, uint32_t place)
{
	return tx->acked + 1 + ((place - (tx->acked + 1)) & tx->mask);
}

static inline bool
is_acked(const struct sl_session_tx *tx, uint64_t sequence)
{
	return tx->nb_selective != 0 && bits_test(tx->bits, tx->bit_mask, sequence);
}

static void
list_append(struct sl_session_tx *tx, struct entry *e, enum list_id id)
{
	struct list *list = &tx->lists[id];
	uint32_t place = (uint32_t)(e - tx->entries);

	e->list = id;
	e->next = NONE;
	e->prev = list->last;
	if (list->last == NONE)
		list->first = place;
	else
		tx->entries[list->last].next = place;
	list->last = place;
	tx->nb_lost += id != LIST_RESENT;
}

static void
list_remove(struct sl_session_tx *tx, struct entry *e)
{
	struct list *list = &tx->lists[e->list];

	if (e->prev == NONE)
		list->first = e->next;
	else
		tx->entries[e->prev].next = e->next;
	if (e->next == NONE)
		list->last = e->prev;
	else
		tx->entries[e->next].prev = e->prev;
	tx->nb_lost -= e->list != LIST_RESENT;
	e->list = LIST_NONE;
}

size_t
sl_session_tx_memory_size(const struct sl_session_tx_params *params)
{
	return sizeof(struct sl_session_tx) + bits_size(params->window) +
		params->window * sizeof(struct entry);
}

static uint32_t
congestion_min(const struct sl_session_tx *tx)
{
	return RTE_MIN(CONGESTION_MIN, tx->window);
}

/* All but what was learnt of the way. */
static void
begin(struct sl_session_tx *tx, uint64_t session, uint64_t now)
{
	const uint32_t window = tx->window;

	tx->session = session;
	tx->next = 1;
	tx->acked = 0;
	tx->credit_limit = bounded(tx->initial_credit, 1, RTE_MIN(window, SL_SESSION_BEGIN_MAX));
	tx->in_flight = 0;
	tx->nb_lost = 0;
	tx->nb_probes = 0;
	for (unsigned int i = 0; i < LISTS; i++)
		tx->lists[i] = (struct list){NONE, NONE};
	if (tx->nb_selective != 0)
		memset(tx->bits, 0, bits_size(window));
	tx->nb_selective = 0;
	tx->scan = 1;
	tx->highest = 0;
	tx->hidden_from = UINT64_MAX;
	tx->hidden_to = 0;
	tx->latest = 0;
	tx->latest_sent = 0;
	tx->is_heard = false;
	tx->timer_ns = now;
	tx->timeouts = 0;
	tx->nb_old = 0;
	tx->cwnd = RTE_MIN(CONGESTION_INIT, window);
	tx->ssthresh = window;
	tx->cwnd_acked = 0;
	tx->recovery_ns = now;
}

struct sl_session_tx *
sl_session_tx_init(void *mem, const struct sl_session_tx_params *params, uint64_t now)
{
	struct sl_session_tx *tx = mem;

	tx->rtt_initial_ns = params->rtt_initial_ns;
	tx->rto_min_ns = params->rto_min_ns;
	tx->rto_max_ns = params->rto_max_ns;
	tx->ack_delay_max_ns = params->ack_delay_max_ns;
	tx->initial_credit = params->initial_credit;
	tx->window = params->window;
	tx->mask = params->window - 1;
	tx->bit_mask = bits_circle(params->window) - 1;
	tx->bits = (uint64_t *)(tx + 1);
	tx->entries = (struct entry *)((uint8_t *)tx->bits + bits_size(params->window));
	tx->reorder = REORDER_MIN;
	tx->delay = 1;
	begin(tx, params->session, now);
	return tx;
}

static inline uint64_t
less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

uint32_t
sl_session_tx_room(const struct sl_session_tx *tx)
{
	uint64_t last = tx->next - 1;
	uint64_t room = tx->window - (last - tx->acked);

	room = RTE_MIN(room, less(tx->credit_limit, last));
	return (uint32_t)RTE_MIN(room, less(tx->cwnd, tx->in_flight));
}

uint64_t
sl_session_tx_send(struct sl_session_tx *tx, void *msg, uint64_t now)
{
	struct entry *e = entry_of(tx, tx->next);

	e->msg = msg;
	e->sent_ns = now;
	e->attempts = 1;
	e->list = LIST_NONE;
	if (tx->in_flight++ == 0)
		tx->timer_ns = now;
	return tx->next++;
}

/* Time. */

static inline uint64_t
rtt_of(const struct sl_session_tx *tx)
{
	return tx->srtt != 0 ? RTE_MAX(tx->srtt, tx->rtt_latest) : tx->rtt_initial_ns;
}

/* How long after it was sent a message is lost when a later one has been acknowledged. */
static uint64_t
loss_delay(const struct sl_session_tx *tx)
{
	uint64_t rtt = rtt_of(tx);

	return RTE_MAX(rtt + rtt / 8 * tx->delay, GRANULARITY_NS);
}

static uint64_t
timeout_at(const struct sl_session_tx *tx)
{
	uint64_t rtt = tx->srtt != 0 ? tx->srtt : tx->rtt_initial_ns;
	uint64_t var = tx->srtt != 0 ? tx->rttvar : tx->rtt_initial_ns / 2;
	uint64_t timeout = rtt + RTE_MAX(4 * var, GRANULARITY_NS) + tx->ack_delay_max_ns;

	timeout = bounded(timeout, tx->rto_min_ns, tx->rto_max_ns);
	timeout <<= RTE_MIN(tx->timeouts, BACKOFF_MAX);
	return tx->timer_ns + RTE_MIN(timeout, tx->rto_max_ns);
}

/* RFC 9002, section 5. What the receiver says of its delay makes a sample smaller, to a bound. */
static void
measure(struct sl_session_tx *tx, uint64_t rtt, uint64_t ack_delay)
{
	uint64_t off;

	/* A sender that was stopped for long has not measured the way. */
	rtt = bounded(rtt, 1, tx->rto_max_ns);
	tx->rtt_latest = rtt;
	if (tx->srtt == 0) {
		tx->rtt_min = rtt;
		tx->srtt = rtt;
		tx->rttvar = rtt / 2;
		return;
	}
	tx->rtt_min = RTE_MIN(tx->rtt_min, rtt);
	ack_delay = RTE_MIN(ack_delay, tx->ack_delay_max_ns);
	if (rtt >= tx->rtt_min + ack_delay)
		rtt -= ack_delay;
	off = rtt > tx->srtt ? rtt - tx->srtt : tx->srtt - rtt;
	tx->rttvar = (3 * tx->rttvar + off) / 4;
	tx->srtt = RTE_MAX((7 * tx->srtt + rtt) / 8, 1u);
}

/* Congestion: RFC 9002, section 7. */

static void
grow_window(struct sl_session_tx *tx, uint32_t nb_acked, uint32_t in_flight)
{
	/* What the window did not hold back does not show that it may be larger. */
	if (tx->latest_sent < tx->recovery_ns || in_flight < tx->cwnd / 2)
		return;
	if (tx->cwnd < tx->ssthresh) {
		tx->cwnd += nb_acked;
	} else {
		tx->cwnd_acked += nb_acked;
		if (tx->cwnd_acked >= tx->cwnd) {
			tx->cwnd_acked -= tx->cwnd;
			tx->cwnd++;
		}
	}
	tx->cwnd = RTE_MIN(tx->cwnd, tx->window);
}

static void
shrink_window(struct sl_session_tx *tx, uint32_t to, uint64_t now)
{
	tx->ssthresh = RTE_MAX(tx->cwnd / 2, congestion_min(tx));
	tx->cwnd = RTE_MAX(to, congestion_min(tx));
	tx->cwnd_acked = 0;
	tx->recovery_ns = now + 1;
}

/* Losses. */

static void
set_lost(struct sl_session_tx *tx, struct entry *e, uint64_t now)
{
	if (e->sent_ns >= tx->recovery_ns) {
		shrink_window(tx, tx->cwnd / 2, now);
		tx->nb_probes = 1;
		if (++tx->nb_clean == REORDER_KEPT) {
			tx->reorder = REORDER_MIN;
			tx->delay = 1;
		}
	}
	list_append(tx, e, e->attempts > 1 ? LIST_AGAIN : LIST_LOST);
}

static inline bool
is_hidden(const struct sl_session_tx *tx, uint64_t sequence)
{
	return sequence >= tx->hidden_from && sequence <= tx->hidden_to;
}

/*
 * The next of those sent once that may be lost: something sent later has been acknowledged. NULL:
 * there is none. When it is not lost, those behind it are not.
 */
static struct entry *
next_suspect(const struct sl_session_tx *tx)
{
	struct entry *e;

	if (tx->scan >= tx->next || is_hidden(tx, tx->scan))
		return NULL;
	e = entry_of(tx, tx->scan);
	return tx->scan < tx->latest || e->sent_ns < tx->latest_sent ? e : NULL;
}

/* The same among those sent again. */
static struct entry *
next_suspect_again(const struct sl_session_tx *tx)
{
	uint32_t place = tx->lists[LIST_RESENT].first;
	struct entry *e;

	if (place == NONE || is_hidden(tx, sequence_of(tx, place)))
		return NULL;
	e = &tx->entries[place];
	return e->sent_ns < tx->latest_sent ? e : NULL;
}

static void
detect_lost(struct sl_session_tx *tx, uint64_t now)
{
	uint64_t delay = loss_delay(tx);
	struct entry *e;

	for (;;) {
		while (tx->scan < tx->next && is_acked(tx, tx->scan))
			tx->scan++;
		e = next_suspect(tx);
		if (e == NULL || (tx->scan + tx->reorder > tx->latest && now < e->sent_ns + delay))
			break;
		set_lost(tx, e, now);
		tx->scan++;
	}
	while ((e = next_suspect_again(tx)) != NULL && now >= e->sent_ns + delay) {
		list_remove(tx, e);
		set_lost(tx, e, now);
	}
}

/*
 * Nothing was heard for long: ask with the first that is missing. The answer tells what became of
 * the others.
 */
static void
ask(struct sl_session_tx *tx, uint64_t now)
{
	struct entry *e = entry_of(tx, tx->acked + 1);

	tx->timeouts++;
	tx->timer_ns = now;
	tx->nb_probes = 1;
	/* Two in a row last three times the timeout: persistent congestion. */
	if (tx->timeouts == 2)
		shrink_window(tx, 0, now);
	if (e->list == LIST_LOST || e->list == LIST_AGAIN)
		return;
	if (e->list == LIST_RESENT)
		list_remove(tx, e);
	else
		tx->scan = tx->acked + 2;
	list_append(tx, e, LIST_AGAIN);
}

/* Acknowledgements. */

/* What one ack brought. */
struct news {
	uint64_t now;
	sl_session_acked_t acked;
	void *arg;
	uint32_t nb_acked;
	uint64_t latest; /* The highest that was sent once; 0: none. */
	uint64_t latest_sent;
};

/* It is not known which of its copies was acknowledged, but for one that cannot have been it. */
static void
finish_resent(struct sl_session_tx *tx, struct entry *e, struct news *news)
{
	if (e->list != LIST_NONE)
		list_remove(tx, e);
	if (e->attempts == 1)
		return;
	if (news->now - e->sent_ns >= tx->rtt_min) {
		tx->latest_sent = RTE_MAX(tx->latest_sent, e->sent_ns);
		return;
	}
	tx->spurious++;
	tx->nb_clean = 0;
	/* Once for all that was taken for lost at one time: RFC 8985, section 6.2. */
	if (e->sent_ns < tx->tuned_ns)
		return;
	tx->tuned_ns = news->now + 1;
	tx->reorder = RTE_MIN(2 * tx->reorder, REORDER_MAX);
	tx->delay = RTE_MIN(tx->delay + 1, DELAY_MAX);
}

static inline void
finish(struct sl_session_tx *tx, uint64_t sequence, struct news *news)
{
	struct entry *e = entry_of(tx, sequence);

	if (unlikely(e->attempts > 1 || e->list != LIST_NONE))
		finish_resent(tx, e, news);
	if (likely(e->attempts == 1)) {
		news->latest = sequence;
		news->latest_sent = e->sent_ns;
	}
	news->nb_acked++;
	news->acked(news->arg, e->msg, sequence, e->attempts);
}

static void
take_cumulative(struct sl_session_tx *tx, uint64_t cumulative, struct news *news)
{
	uint64_t word, first = tx->acked + 1;
	uint32_t n;

	for (; first <= cumulative; first += n) {
		n = (uint32_t)RTE_MIN(cumulative - first + 1, 64u);
		word = 0;
		if (tx->nb_selective != 0) {
			word = bits_read(tx->bits, tx->bit_mask, first);
			if (n < 64)
				word &= (UINT64_C(1) << n) - 1;
			bits_clear(tx->bits, tx->bit_mask, first, n);
			tx->nb_selective -= (uint32_t)__builtin_popcountll(word);
		}
		for (uint32_t i = 0; i < n; i++) {
			if (likely((word >> i & 1) == 0))
				finish(tx, first + i, news);
		}
	}
	tx->acked = cumulative;
}

/* What was selective up to here may have become cumulative. */
static void
join(struct sl_session_tx *tx)
{
	uint64_t run;

	if (tx->nb_selective != 0) {
		run = bits_take_run(tx->bits, tx->bit_mask, tx->acked + 1);
		tx->nb_selective -= (uint32_t)run;
		tx->acked += run;
	}
	tx->scan = RTE_MAX(tx->scan, tx->acked + 1);
}

static void
take_selective(struct sl_session_tx *tx, const struct sl_wire_ack *ack, struct news *news)
{
	uint64_t words[SL_WIRE_SELECTIVE_MAX / 8] = {0};
	uint64_t first, fresh;

	memcpy(words, ack->selective, ack->selective_len);
	for (uint32_t i = 0; 8 * i < ack->selective_len; i++) {
		first = ack->cumulative + 2 + 64 * i;
		fresh = rte_le_to_cpu_64(words[i]) & ~bits_read(tx->bits, tx->bit_mask, first);
		tx->nb_selective += (uint32_t)__builtin_popcountll(fresh);
		for (; fresh != 0; fresh &= fresh - 1) {
			uint64_t sequence = first + (uint64_t)__builtin_ctzll(fresh);

			bits_set(tx->bits, tx->bit_mask, sequence);
			finish(tx, sequence, news);
		}
	}
}

/*
 * What is known of the message that is the highest now: it was received, although the ack may have
 * no room to say so of those around it. It alone measures the round trip, when it was sent once
 * (P. Karn and C. Partridge, "Improving round-trip time estimates", 1987).
 */
static void
take_highest(struct sl_session_tx *tx, const struct sl_wire_ack *ack, uint64_t now)
{
	const struct entry *e = entry_of(tx, ack->highest);

	tx->highest = ack->highest;
	if (e->attempts > 1 && now - e->sent_ns < tx->rtt_min)
		return;
	tx->latest_sent = RTE_MAX(tx->latest_sent, e->sent_ns);
	if (e->attempts > 1)
		return;
	tx->latest = RTE_MAX(tx->latest, ack->highest);
	measure(tx, now - e->sent_ns, ack->ack_delay_ns);
}

/* Does it say the same of the highest in two ways, and nothing of what is beyond? */
static bool
is_consistent(const struct sl_wire_ack *ack)
{
	uint64_t nb = 0, last;

	if (ack->highest != ack->cumulative) {
		nb = ack->highest - ack->cumulative - 1;
		last = nb - 1;
		if (nb == 0 ||
			(last / 8 < ack->selective_len &&
				(ack->selective[last / 8] >> last % 8 & 1) == 0))
			return false;
	}
	for (uint64_t i = nb / 8; i < ack->selective_len; i++) {
		if (ack->selective[i] >> (i == nb / 8 ? nb % 8 : 0) != 0)
			return false;
	}
	return true;
}

static enum sl_session_ack
judge(const struct sl_session_tx *tx, const struct sl_wire_ack *ack)
{
	if (ack->session != tx->session)
		return SL_SESSION_ACK_OLD;
	if (ack->cumulative == 0 && ack->credit_limit == 0)
		return SL_SESSION_ACK_REFUSED;
	if (ack->highest >= tx->next || ack->cumulative > ack->highest ||
		ack->selective_len > SL_WIRE_SELECTIVE_MAX || !is_consistent(ack))
		return SL_SESSION_ACK_BAD;
	/* One that was overtaken tells of nothing new, and is not all that comes for long. */
	if (ack->cumulative < tx->acked)
		return ack->highest > tx->highest ||
				(tx->timeouts >= FORGOTTEN && tx->nb_old >= FORGOTTEN)
			? SL_SESSION_ACK_REFUSED
			: SL_SESSION_ACK_OLD;
	if (ack->cumulative == tx->acked && ack->highest < tx->highest)
		return SL_SESSION_ACK_OLD;
	return SL_SESSION_ACK_OK;
}

enum sl_session_ack
sl_session_tx_ack(struct sl_session_tx *tx, const struct sl_wire_ack *ack, uint64_t now,
	sl_session_acked_t acked, void *arg)
{
	struct news news = {.now = now, .acked = acked, .arg = arg};
	enum sl_session_ack verdict = judge(tx, ack);
	uint32_t in_flight = tx->in_flight;

	if (unlikely(verdict != SL_SESSION_ACK_OK)) {
		tx->bad_acks += verdict == SL_SESSION_ACK_BAD;
		tx->nb_old += verdict == SL_SESSION_ACK_OLD;
		return verdict;
	}
	tx->nb_old = 0;
	if (ack->highest > tx->highest)
		take_highest(tx, ack, now);
	take_cumulative(tx, ack->cumulative, &news);
	if (ack->selective_len != 0)
		take_selective(tx, ack, &news);
	join(tx);
	tx->in_flight -= news.nb_acked;
	/* The first ack says what counts instead of the initial credit. */
	if (!tx->is_heard || ack->credit_limit > tx->credit_limit)
		tx->credit_limit = ack->credit_limit;
	tx->is_heard = true;
	tx->credit_limit = RTE_MAX(tx->credit_limit, tx->acked + 1);
	tx->hidden_from = ack->cumulative + 2 + UINT64_C(8) * ack->selective_len;
	tx->hidden_to = tx->highest;
	if (news.nb_acked != 0) {
		tx->latest = RTE_MAX(tx->latest, news.latest);
		tx->latest_sent = RTE_MAX(tx->latest_sent, news.latest_sent);
		tx->timeouts = 0;
		tx->timer_ns = now;
		grow_window(tx, news.nb_acked, in_flight);
	}
	detect_lost(tx, now);
	return SL_SESSION_ACK_OK;
}

void
sl_session_tx_prefetch(const struct sl_session_tx *tx)
{
	for (unsigned int i = 0; i < HOT_LINES; i++)
		rte_prefetch0_write((const uint8_t *)tx + i * RTE_CACHE_LINE_SIZE);
}

void
sl_session_tx_prefetch_next(const struct sl_session_tx *tx)
{
	rte_prefetch0_write(entry_of(tx, tx->next));
}

/* Up to which of those in flight an ack goes, as far as they are fetched ahead. */
static inline uint64_t
last_ahead(const struct sl_session_tx *tx, const struct sl_wire_ack *ack)
{
	uint64_t last = RTE_MIN(ack->cumulative, tx->next - 1);

	return RTE_MIN(last, tx->acked + SL_SESSION_PEEK_MAX);
}

void
sl_session_tx_prefetch_entries(const struct sl_session_tx *tx, const struct sl_wire_ack *ack)
{
	const uint64_t last = last_ahead(tx, ack);

	/* Two are in a line. */
	for (uint64_t i = tx->acked + 1; i <= last + 1; i += 2)
		rte_prefetch0_write(entry_of(tx, i));
}

uint32_t
sl_session_tx_peek(const struct sl_session_tx *tx, const struct sl_wire_ack *ack, void **msgs)
{
	const uint64_t last = last_ahead(tx, ack);
	uint32_t n = 0;

	for (uint64_t i = tx->acked + 1; i <= last; i++)
		msgs[n++] = entry_of(tx, i)->msg;
	return n;
}

/* Sending again. */

static inline bool
may_resend(const struct sl_session_tx *tx)
{
	return tx->nb_lost != 0 && (tx->in_flight - tx->nb_lost < tx->cwnd || tx->nb_probes != 0);
}

static uint32_t
take_lost(struct sl_session_tx *tx, uint64_t now, struct sl_session_resend *resends, uint32_t max)
{
	uint32_t n = 0, place;
	struct entry *e;

	while (n < max && may_resend(tx)) {
		if (tx->in_flight - tx->nb_lost >= tx->cwnd)
			tx->nb_probes--;
		place = tx->lists[LIST_AGAIN].first;
		if (place == NONE)
			place = tx->lists[LIST_LOST].first;
		e = &tx->entries[place];
		list_remove(tx, e);
		list_append(tx, e, LIST_RESENT);
		e->sent_ns = now;
		e->attempts++;
		resends[n].msg = e->msg;
		resends[n].sequence = sequence_of(tx, place);
		resends[n++].attempts = e->attempts;
	}
	if (n != 0)
		tx->timer_ns = now;
	tx->retransmitted += n;
	return n;
}

uint32_t
sl_session_tx_resend(
	struct sl_session_tx *tx, uint64_t now, struct sl_session_resend *resends, uint32_t max)
{
	uint32_t n;

	if (tx->in_flight == 0 || max == 0)
		return 0;
	detect_lost(tx, now);
	n = take_lost(tx, now, resends, max);
	if (n == 0 && now >= timeout_at(tx)) {
		ask(tx, now);
		n = take_lost(tx, now, resends, 1);
	}
	return n;
}

void
sl_session_tx_unsend(struct sl_session_tx *tx, const struct sl_session_resend *resends, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		entry_of(tx, resends[i].sequence)->attempts--;
	tx->retransmitted -= n;
}

uint64_t
sl_session_tx_deadline(const struct sl_session_tx *tx)
{
	uint64_t at;
	const struct entry *e;

	if (tx->in_flight == 0)
		return UINT64_MAX;
	if (may_resend(tx))
		return 0;
	at = timeout_at(tx);
	e = next_suspect(tx);
	if (e != NULL)
		at = RTE_MIN(at, e->sent_ns + loss_delay(tx));
	e = next_suspect_again(tx);
	if (e != NULL)
		at = RTE_MIN(at, e->sent_ns + loss_delay(tx));
	return at;
}

void
sl_session_tx_restart(struct sl_session_tx *tx, uint64_t session, uint64_t now,
	sl_session_acked_t taken, void *arg)
{
	for (uint64_t sequence = tx->acked + 1; sequence < tx->next; sequence++) {
		const struct entry *e = entry_of(tx, sequence);

		if (!is_acked(tx, sequence))
			taken(arg, e->msg, sequence, e->attempts);
	}
	begin(tx, session, now);
}

void
sl_session_tx_get_stats(const struct sl_session_tx *tx, struct sl_session_tx_stats *stats)
{
	*stats = (struct sl_session_tx_stats){
		.next_sequence = tx->next,
		.acked = tx->acked,
		.credit_limit = tx->credit_limit,
		.in_flight = tx->in_flight,
		.congestion_window = tx->cwnd,
		.srtt_ns = tx->srtt,
		.rttvar_ns = tx->rttvar,
		.retransmitted = tx->retransmitted,
		.spurious = tx->spurious,
		.timeouts_in_a_row = tx->timeouts,
		.bad_acks = tx->bad_acks,
	};
}
