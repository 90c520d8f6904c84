/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "receivers.h"
#include "sl_wire.h"

#define SECOND_NS UINT64_C(1000000000)

/* An address whose rate is limited may be so far ahead of it; and each session, at least. */
#define AHEAD_PER_S 10
#define AHEAD_MIN   16

/*
 * Of what an address may still send, one of its sessions is granted such a part: when few of many
 * send, they get all of the rate even so.
 */
#define PARTS_MAX 4u

static bool
has_sources(const struct receivers_params *params)
{
	return params->rate_msgs_per_s > 0 || params->address_window > 0;
}

static int
init_sources(struct receivers *receivers)
{
	const struct receivers_params *params = &receivers->params;

	receivers->sources = calloc(params->nb_max, sizeof(*receivers->sources));
	if (receivers->sources == NULL ||
		sl_session_index_init(&receivers->by_address, params->nb_max, params->seeds) != 0)
		return -ENOMEM;
	TAILQ_INIT(&receivers->unused);
	for (uint32_t i = 0; i < params->nb_max; i++)
		TAILQ_INSERT_TAIL(&receivers->unused, &receivers->sources[i], entry);
	return 0;
}

int
receivers_init(struct receivers *receivers, const struct receivers_params *params)
{
	/* A sender may go so far before it has been told its credit. */
	const struct sl_session_rx_params rx = {
		.window = RTE_MAX(params->window, SL_SESSION_BEGIN_MAX),
	};
	uint64_t ahead;

	memset(receivers, 0, sizeof(*receivers));
	receivers->params = *params;
	ahead = RTE_MAX(params->rate_msgs_per_s / AHEAD_PER_S, (uint64_t)AHEAD_MIN);
	receivers->burst = (uint32_t)RTE_MIN(ahead, (uint64_t)params->window);
	receivers->rx_size = RTE_ALIGN_CEIL(sl_session_rx_memory_size(&rx), RTE_CACHE_LINE_SIZE);
	TAILQ_INIT(&receivers->free);
	TAILQ_INIT(&receivers->used);
	TAILQ_INIT(&receivers->touched);
	receivers->all = calloc(params->nb_max, sizeof(*receivers->all));
	if (receivers->all == NULL ||
		posix_memalign((void **)&receivers->memory, RTE_CACHE_LINE_SIZE,
			params->nb_max * receivers->rx_size) != 0 ||
		sl_session_index_init(&receivers->index, params->nb_max, params->seeds) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < params->nb_max; i++)
		TAILQ_INSERT_TAIL(&receivers->free, &receivers->all[i], entry);
	return has_sources(params) ? init_sources(receivers) : 0;
}

void
receivers_free(struct receivers *receivers)
{
	sl_session_index_free(&receivers->index);
	sl_session_index_free(&receivers->by_address);
	free(receivers->sources);
	free(receivers->memory);
	free(receivers->all);
	memset(receivers, 0, sizeof(*receivers));
}

struct receiver *
receivers_find(const struct receivers *receivers, uint64_t session)
{
	const uint32_t *at = sl_session_index_find(&receivers->index, session);

	return likely(at != NULL) ? &receivers->all[*at] : NULL;
}

static void
leave_source(struct receivers *receivers, struct receiver *receiver)
{
	struct receivers_source *source = receiver->source;

	receiver->source = NULL;
	if (source != NULL && --source->nb_sessions == 0)
		TAILQ_INSERT_TAIL(&receivers->unused, source, entry);
}

/* Have it share what the address may that its session comes from. */
static void
join_source(struct receivers *receivers, struct receiver *receiver, uint64_t now_ns)
{
	const struct receivers_params *params = &receivers->params;
	struct receivers_source *source;
	const uint32_t *found;
	uint64_t key;

	if (!has_sources(params))
		return;
	key = params->address_of(params->arg, receiver->publisher, receiver->session);
	/* It has just left: by itself, until it is looked at again. */
	if (key == 0)
		key = receiver->source != NULL ? receiver->source->key : receiver->session;
	if (receiver->source != NULL && receiver->source->key == key)
		return;
	leave_source(receivers, receiver);
	found = sl_session_index_find(&receivers->by_address, key);
	/* There is one: no more have sessions than there are receivers. */
	source = found != NULL ? &receivers->sources[*found] : TAILQ_FIRST(&receivers->unused);
	if (source->nb_sessions++ == 0)
		TAILQ_REMOVE(&receivers->unused, source, entry);
	if (found == NULL) {
		if (source->key != 0)
			sl_session_index_remove(&receivers->by_address, source->key);
		source->key = key;
		source->left = receivers->burst;
		source->left_ns = now_ns;
		sl_session_index_add(
			&receivers->by_address, key, (uint32_t)(source - receivers->sources));
	}
	receiver->source = source;
}

static struct receiver *
begin(struct receivers *receivers, uint64_t session)
{
	const struct sl_session_rx_params params = {
		.session = session,
		.window = RTE_MAX(receivers->params.window, SL_SESSION_BEGIN_MAX),
	};
	struct receiver *receiver = TAILQ_FIRST(&receivers->free);
	uint32_t at;
	void *memory;

	if (receiver == NULL)
		return NULL;
	at = (uint32_t)(receiver - receivers->all);
	memory = receivers->memory + at * receivers->rx_size;
	TAILQ_REMOVE(&receivers->free, receiver, entry);
	memset(receiver, 0, sizeof(*receiver));
	memset(memory, 0, receivers->rx_size);
	receiver->session = session;
	receiver->rx = sl_session_rx_init(memory, &params);
	sl_session_index_add(&receivers->index, session, at);
	TAILQ_INSERT_TAIL(&receivers->used, receiver, entry);
	return receiver;
}

static void
end(struct receivers *receivers, struct receiver *receiver)
{
	if (receiver->is_touched)
		receivers_told(receivers, receiver);
	leave_source(receivers, receiver);
	sl_session_index_remove(&receivers->index, receiver->session);
	TAILQ_REMOVE(&receivers->used, receiver, entry);
	TAILQ_INSERT_HEAD(&receivers->free, receiver, entry);
}

/* What a record says of a message that wants an ack. */
struct arrival {
	uint64_t session; /* 0: it wants none. */
	uint64_t sequence;
	uint64_t timestamp_ns;
	uint32_t publisher;
};

static struct arrival
read_record(const struct sl_record *record)
{
	const struct sl_record_duplicate *duplicate = (const void *)record;
	const struct sl_record_message *message = (const void *)record;
	const uint8_t *bytes;
	uint32_t len;

	if (record->type == SL_RECORD_MESSAGE && (record->flags & SL_RECORD_WANTS_ACK)) {
		bytes = sl_record_message_of(message, &len);
		return (struct arrival){
			.session = message->session,
			.sequence = sl_wire_get64(bytes + SL_WIRE_OFF_SEQUENCE),
			.timestamp_ns = sl_wire_get64(bytes + SL_WIRE_OFF_TIMESTAMP),
			.publisher = message->publisher,
		};
	}
	if (record->type == SL_RECORD_DUPLICATE)
		return (struct arrival){
			.session = duplicate->session,
			.sequence = duplicate->sequence,
			.publisher = duplicate->publisher,
		};
	return (struct arrival){0};
}

/* Remember to tell a session that it is not known. */
static void
refuse(struct receivers *receivers, const struct arrival *arrival)
{
	uint32_t n = receivers->nb_refusals;

	if (n == REFUSALS_MAX || (n > 0 && receivers->refusals[n - 1].session == arrival->session))
		return;
	receivers->refusals[n].session = arrival->session;
	receivers->refusals[n].publisher = arrival->publisher;
	receivers->nb_refusals++;
}

static void
touch(struct receivers *receivers, struct receiver *receiver)
{
	if (receiver->is_touched)
		return;
	receiver->is_touched = true;
	TAILQ_INSERT_TAIL(&receivers->touched, receiver, touched);
}

void
receivers_take(struct receivers *receivers, const struct sl_record *record, uint64_t now_ns)
{
	struct arrival arrival = read_record(record);
	struct receiver *receiver;

	if (arrival.session == 0)
		return;
	receiver = receivers_find(receivers, arrival.session);
	if (unlikely(receiver == NULL)) {
		if (!sl_session_rx_may_begin(arrival.sequence)) {
			refuse(receivers, &arrival);
			return;
		}
		/* No room: not told, it sends again. */
		receiver = begin(receivers, arrival.session);
		if (receiver == NULL)
			return;
	}
	receiver->messages++;
	receiver->duplicates += sl_session_rx_receive(receiver->rx, arrival.sequence) ==
		SL_SESSION_DUPLICATE;
	receiver->highest = RTE_MAX(receiver->highest, arrival.sequence);
	if (unlikely(receiver->messages == 1 || receiver->publisher != arrival.publisher)) {
		receiver->publisher = arrival.publisher;
		join_source(receivers, receiver, now_ns);
	}
	receiver->time_ns = record->time_ns;
	receiver->timestamp_ns = arrival.timestamp_ns;
	receiver->heard_ns = now_ns;
	touch(receivers, receiver);
}

/* What an address has earned meanwhile. */
static void
earn(const struct receivers *receivers, struct receivers_source *source, uint64_t now_ns)
{
	uint64_t rate = receivers->params.rate_msgs_per_s, elapsed, more;

	elapsed = now_ns > source->left_ns ? now_ns - source->left_ns : 0;
	if (elapsed > SECOND_NS) {
		source->left_ns = now_ns - SECOND_NS;
		elapsed = SECOND_NS;
	}
	more = (uint64_t)((unsigned __int128)elapsed * rate / SECOND_NS);
	source->left_ns += (uint64_t)((unsigned __int128)more * SECOND_NS / rate);
	source->left = RTE_MIN(source->left + more, (uint64_t)receivers->burst);
}

/*
 * What a session may have on its way: its part of what its address may. A limit that was told is
 * not taken back, so one that came when there were fewer has its larger part until it has sent it.
 */
static uint32_t
window_of(const struct receivers *receivers, const struct receivers_source *source)
{
	const struct receivers_params *params = &receivers->params;
	uint32_t part;

	if (params->address_window == 0)
		return params->window;
	part = RTE_MAX(params->address_window / source->nb_sessions, 1u);
	return RTE_MIN(params->window, part);
}

/*
 * Messages beyond what is complete that a session may send. With a limited rate its limit moves on
 * by what its address has earned, so that those who go by their credit keep to the rate together.
 * No session gets farther ahead than its part, nor all that is left: the others want theirs.
 */
static uint32_t
credit_of(struct receivers *receivers, struct receiver *receiver, uint64_t now_ns)
{
	uint64_t cumulative = sl_session_rx_cumulative(receiver->rx), wanted, more, part;
	struct receivers_source *source = receiver->source;
	uint32_t window = window_of(receivers, source);

	if (likely(receivers->params.rate_msgs_per_s == 0))
		return window;
	earn(receivers, source, now_ns);
	wanted = receiver->highest +
		RTE_MAX(receivers->burst / source->nb_sessions, (uint32_t)AHEAD_MIN);
	if (wanted > receiver->allowed) {
		part = RTE_MIN(source->nb_sessions, PARTS_MAX);
		more = RTE_MIN(wanted - receiver->allowed, (source->left + part - 1) / part);
		receiver->allowed += more;
		source->left -= more;
	}
	/* An ack grants one in any case. */
	if (receiver->allowed <= cumulative)
		return 1;
	return (uint32_t)RTE_MIN(receiver->allowed - cumulative, (uint64_t)window);
}

void
receivers_ack(struct receivers *receivers, struct receiver *receiver, uint64_t now_ns,
	struct sl_wire_ack *ack)
{
	uint64_t delay = now_ns > receiver->time_ns ? now_ns - receiver->time_ns : 0;

	sl_session_rx_ack(receiver->rx, credit_of(receivers, receiver, now_ns), ack);
	ack->echo_timestamp_ns = receiver->timestamp_ns;
	ack->ack_delay_ns = (uint32_t)RTE_MIN(delay, (uint64_t)UINT32_MAX);
}

void
receivers_told(struct receivers *receivers, struct receiver *receiver)
{
	receiver->is_touched = false;
	TAILQ_REMOVE(&receivers->touched, receiver, touched);
}

void
receivers_sweep(struct receivers *receivers, uint32_t nb, uint64_t now_ns, uint64_t idle_ns,
	receivers_is_alive_t is_alive, void *arg)
{
	struct receiver *receiver;

	while (nb-- > 0 && (receiver = TAILQ_FIRST(&receivers->used)) != NULL) {
		if (now_ns > receiver->heard_ns + idle_ns && !is_alive(arg, receiver)) {
			end(receivers, receiver);
			continue;
		}
		/* It may come from another address now. */
		join_source(receivers, receiver, now_ns);
		TAILQ_REMOVE(&receivers->used, receiver, entry);
		TAILQ_INSERT_TAIL(&receivers->used, receiver, entry);
	}
}
