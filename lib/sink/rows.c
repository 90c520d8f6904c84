/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Records wait in a ring, in the order they were read, until their place is committed: messages
 * for their outcome, the others because a cursor is a place in the journal and nothing before it
 * may be missing. A cut takes a run of them from the oldest on.
 *
 * Messages are found by their record through hash chains that lead from newer to older ones, so
 * that a chain ends at the first place that has been overwritten, and none is ever taken out. Cut
 * ones stay readable until then: a late outcome learns from them when its message was received,
 * which is where the database has the row.
 *
 * A topic's message is a row, too, and has an outcome for each subscriber: it is DELIVERED when the
 * first has it, and DEAD while there are only such. Those outcomes name places inside of its
 * record; which record, is known of those that are in memory, and else read in the journal.
 */

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "sink_internal.h"
#include "sl_wire.h"

#define RING_SIZE  (1u << 17)
#define LIVE_MAX   (RING_SIZE / 2)
#define BYTES_MAX  (32u << 20)
#define LATES_MAX  (1u << 17)
#define BLOCK_SIZE (1u << 20)
#define SPARES_MAX 64u

#define BATCH_BYTES_MAX (8u << 20)

#define NO_PLACE UINT64_MAX

const char *const row_status_names[3] = {"INGESTED", "DELIVERED", "DEAD"};

/* Memory that records are copied to, one after the other. */
struct block {
	struct block *next;
	uint32_t refs; /* Rows in it, and one while it is filled. */
	uint32_t used;
	uint8_t bytes[BLOCK_SIZE] __attribute__((aligned(SL_RECORD_ALIGN)));
};

struct place {
	sl_record_ref ref;
	uint64_t received_ns;
	uint64_t older; /* Of its chain. */
	uint64_t end;
	uint64_t pushed_ms;
	const struct sl_record_message *record; /* NULL: no row, but a place. */
	struct block *block;
	uint64_t delivered_ns;
	uint32_t nb_outcomes; /* That go with this place: how many of `outcomes`, */
	uint32_t nb_names;    /* and of `names`. */
	uint32_t len;
	uint32_t stream;
	uint16_t nb_subscribers; /* Of a topic's message. */
	uint16_t attempts;
	uint8_t status;
};

/* The messages of topics of one stream, by position, as long as they are in memory. */
struct topic_place {
	uint64_t position;
	uint64_t place;
};

struct topics {
	struct topic_place *places;
	uint32_t first, nb, max;
};

/* Outcomes and names of places not cut yet, in order; `first` are cut. */
struct pending_outcome {
	struct outcome outcome;
	bool is_early;
};

struct window {
	struct window_params params;
	struct names names;
	struct place *ring;
	uint64_t *chains;
	uint64_t head; /* Oldest live place. */
	uint64_t ready;
	uint64_t next;
	uint64_t bytes;
	uint32_t nb_rows;   /* Of the live entries. */
	uint64_t newest_ns; /* Of the record pushed last. */

	struct pending_outcome *outcomes;
	uint32_t first_outcome, nb_outcomes, outcomes_max;
	const struct name **new_names;
	uint32_t first_name, nb_new_names, new_names_max;

	void *earlies; /* A tree of struct outcome, by ref. */
	uint32_t nb_earlies;

	struct block *filling;
	struct block *spares;
	uint32_t nb_spares;
	struct topics topics[SL_STREAMS_MAX];
	uint64_t read[SL_STREAMS_MAX]; /* Where each stream's next record stands. */
};

int
array_reserve(void *array, uint32_t nb, uint32_t *max, size_t size)
{
	uint32_t wanted = *max == 0 ? 64 : *max * 2;
	void *grown;

	if (nb < *max)
		return 0;
	grown = realloc(*(void **)array, wanted * size);
	if (grown == NULL)
		return -ENOMEM;
	*(void **)array = grown;
	*max = wanted;
	return 0;
}

void
batch_free(struct batch *batch)
{
	free(batch->rows);
	free(batch->lates);
	free(batch->earlies);
	free(batch->names);
	free(batch->ranges);
	free(batch->bases);
	*batch = (struct batch){0};
}

int
batch_add_base(struct batch *batch, const struct range *base)
{
	if (array_reserve(
		    &batch->bases, batch->nb_bases, &batch->bases_max, sizeof(batch->bases[0])) < 0)
		return -ENOMEM;
	batch->bases[batch->nb_bases++] = *base;
	return 0;
}

int
window_create(const struct window_params *params, struct window **created)
{
	struct window *window = calloc(1, sizeof(*window));

	if (window == NULL)
		return -ENOMEM;
	window->params = *params;
	window->ring = calloc(RING_SIZE, sizeof(window->ring[0]));
	window->chains = malloc(RING_SIZE * sizeof(window->chains[0]));
	if (window->ring == NULL || window->chains == NULL || names_init(&window->names) < 0) {
		window_destroy(window);
		return -ENOMEM;
	}
	memset(window->chains, 0xff, RING_SIZE * sizeof(window->chains[0]));
	*created = window;
	return 0;
}

/* Give a row's share of its block back. */
static void
drop_block(struct window *window, struct block *block)
{
	if (--block->refs > 0)
		return;
	if (window->nb_spares == SPARES_MAX) {
		free(block);
		return;
	}
	block->next = window->spares;
	window->spares = block;
	window->nb_spares++;
}

void
window_destroy(struct window *window)
{
	if (window == NULL)
		return;
	for (uint64_t i = window->head; window->nb_rows > 0 && i < window->next; i++) {
		const struct place *place = &window->ring[i % RING_SIZE];

		if (place->record != NULL)
			drop_block(window, place->block);
	}
	if (window->filling != NULL)
		drop_block(window, window->filling);
	while (window->spares != NULL) {
		struct block *next = window->spares->next;

		free(window->spares);
		window->spares = next;
	}
	for (unsigned int i = 0; i < SL_STREAMS_MAX; i++)
		free(window->topics[i].places);
	tdestroy(window->earlies, free);
	names_free(&window->names);
	free(window->outcomes);
	free(window->new_names);
	free(window->chains);
	free(window->ring);
	free(window);
}

struct names *
window_names(struct window *window)
{
	return &window->names;
}

void
window_begin(struct window *window, uint32_t stream, uint64_t position)
{
	window->read[stream] = position;
}

static uint32_t
chain_of(sl_record_ref ref)
{
	return (uint32_t)((ref * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & (RING_SIZE - 1);
}

/* The oldest place that has not been overwritten. */
static uint64_t
oldest_known(const struct window *window)
{
	return window->next > RING_SIZE ? window->next - RING_SIZE : 0;
}

/* The place of the topic's message that an outcome at this position is of. */
static uint64_t
find_topic(const struct window *window, sl_record_ref ref)
{
	const struct topics *topics = &window->topics[sl_record_ref_stream(ref) % SL_STREAMS_MAX];
	uint64_t position = sl_record_ref_position(ref), begin;
	uint32_t low = topics->first, high = topics->nb;
	const struct place *place;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (topics->places[middle].position <= position)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == topics->first || topics->places[low - 1].place < oldest_known(window))
		return NO_PLACE;
	begin = topics->places[low - 1].position + sizeof(struct sl_record_message);
	place = &window->ring[topics->places[low - 1].place % RING_SIZE];
	return position >= begin &&
			(position - begin) / sizeof(struct sl_record_subscriber) <
				place->nb_subscribers
		? topics->places[low - 1].place
		: NO_PLACE;
}

static int
add_topic(struct window *window, uint32_t stream, uint64_t position)
{
	struct topics *topics = &window->topics[stream];
	uint64_t oldest = oldest_known(window);

	while (topics->first < topics->nb && topics->places[topics->first].place < oldest)
		topics->first++;
	if (topics->first > topics->max / 2) {
		topics->nb -= topics->first;
		memmove(topics->places, topics->places + topics->first,
			topics->nb * sizeof(topics->places[0]));
		topics->first = 0;
	}
	if (array_reserve(&topics->places, topics->nb, &topics->max, sizeof(topics->places[0])) < 0)
		return -ENOMEM;
	topics->places[topics->nb++] = (struct topic_place){position, window->next};
	return 0;
}

/* The place of a message, live or cut; NO_PLACE when it is not in memory any more. */
static uint64_t
find(const struct window *window, sl_record_ref ref)
{
	uint64_t oldest = oldest_known(window), i;

	if (sl_record_ref_is_copy(ref))
		return find_topic(window, ref);
	i = window->chains[chain_of(ref)];
	while (i != NO_PLACE && i >= oldest) {
		const struct place *place = &window->ring[i % RING_SIZE];

		if (place->ref == ref)
			return i;
		i = place->older;
	}
	return NO_PLACE;
}

static int
compare_outcomes(const void *a, const void *b)
{
	const struct outcome *x = a, *y = b;

	return (x->ref > y->ref) - (x->ref < y->ref);
}

int
window_add_early(struct window *window, const struct outcome *outcome)
{
	struct outcome *copy = malloc(sizeof(*copy)), **found;

	if (copy == NULL)
		return -ENOMEM;
	*copy = *outcome;
	/* As the database has it: no two things have one position. */
	copy->ref &= ~SL_RECORD_REF_COPY;
	found = tsearch(copy, &window->earlies, compare_outcomes);
	if (found == NULL || *found != copy)
		free(copy);
	else
		window->nb_earlies++;
	return found == NULL ? -ENOMEM : 0;
}

static void
settle(struct place *place, const struct outcome *outcome)
{
	/* Once delivered, it is. */
	if (place->status == ROW_DELIVERED && outcome->status != ROW_DELIVERED)
		return;
	place->status = outcome->status;
	place->attempts = outcome->attempts;
	place->delivered_ns = outcome->delivered_ns;
}

/* One subscriber's. The first that has it is who counts. @return whether it changes anything */
static bool
settle_copy(struct place *place, const struct outcome *outcome)
{
	if (place->status == ROW_DELIVERED || place->status == outcome->status)
		return false;
	settle(place, outcome);
	return true;
}

/* The outcome of a message that was read before the message. */
static bool
take_early(struct window *window, sl_record_ref ref, struct outcome *outcome)
{
	struct outcome key = {.ref = ref}, **found, *early;

	if (window->nb_earlies == 0)
		return false;
	found = tfind(&key, &window->earlies, compare_outcomes);
	if (found == NULL)
		return false;
	early = *found;
	*outcome = *early;
	tdelete(&key, &window->earlies, compare_outcomes);
	free(early);
	window->nb_earlies--;
	return true;
}

/* The same, of any kind of message: of a topic's that of the first who has it, if there is one. */
static bool
take_earlies(struct window *window, struct place *place, const struct sl_record *record)
{
	const struct sl_record_message *message = (const struct sl_record_message *)record;
	sl_record_ref ref = sl_record_ref_of(place->stream, record->position);
	struct outcome early;
	bool is_any = false;

	if (window->nb_earlies == 0)
		return false;
	if (message->nb_subscribers == 0 && take_early(window, ref, &early)) {
		settle(place, &early);
		return true;
	}
	for (uint32_t i = 0; i < message->nb_subscribers; i++) {
		if (!take_early(window, ref + sl_record_subscribers_of(message)[i].back, &early))
			continue;
		settle_copy(place, &early);
		is_any = true;
	}
	return is_any;
}

/* Where a record of this length is copied to. */
static struct block *
room_for(struct window *window, uint32_t len)
{
	struct block *block = window->filling;

	if (block != NULL && BLOCK_SIZE - block->used >= len)
		return block;
	if (block != NULL)
		drop_block(window, block);
	block = window->spares;
	if (block != NULL) {
		window->spares = block->next;
		window->nb_spares--;
	} else {
		block = malloc(sizeof(*block));
	}
	window->filling = block;
	if (block != NULL) {
		block->refs = 1;
		block->used = 0;
	}
	return block;
}

static int
push_message(struct window *window, struct place *place, const struct sl_record *record)
{
	const struct sl_record_message *message = (const struct sl_record_message *)record;
	uint32_t stride = sl_record_stride(record->len);
	struct block *block = room_for(window, stride);
	uint64_t *chain;

	if (block == NULL ||
		(message->nb_subscribers > 0 &&
			add_topic(window, place->stream, record->position) != 0))
		return -ENOMEM;
	place->nb_subscribers = message->nb_subscribers;
	place->record = (const void *)(block->bytes + block->used);
	memcpy(block->bytes + block->used, record, record->len);
	block->used += stride;
	block->refs++;
	place->block = block;
	place->ref = sl_record_ref_of(place->stream, record->position);
	place->received_ns = record->time_ns;
	chain = &window->chains[chain_of(place->ref)];
	place->older = *chain;
	*chain = window->next;
	take_earlies(window, place, record);
	return 0;
}

static int
add_outcome(struct window *window, const struct outcome *outcome, bool is_early)
{
	if (array_reserve(&window->outcomes, window->nb_outcomes, &window->outcomes_max,
		    sizeof(window->outcomes[0])) < 0)
		return -ENOMEM;
	window->outcomes[window->nb_outcomes++] = (struct pending_outcome){*outcome, is_early};
	return 0;
}

/* The database has the row; what was read before it goes there, too. */
static int
push_known(struct window *window, struct place *place, const struct sl_record *record)
{
	struct place known = {.stream = place->stream};

	if (!take_earlies(window, &known, record))
		return 0;
	place->nb_outcomes = 1;
	return add_outcome(window,
		&(struct outcome){
			.ref = sl_record_ref_of(place->stream, record->position),
			.received_ns = record->time_ns,
			.delivered_ns = known.delivered_ns,
			.attempts = known.attempts,
			.status = known.status,
		},
		false);
}

/* An outcome goes to its message: in memory, in the database, or yet to come. */
static int
place_outcome(struct window *window, struct outcome *outcome)
{
	uint64_t i = find(window, outcome->ref);
	bool is_copy = sl_record_ref_is_copy(outcome->ref);
	uint32_t stream = sl_record_ref_stream(outcome->ref);
	int rc = 0;

	if (i != NO_PLACE) {
		struct place *place = &window->ring[i % RING_SIZE];

		if (is_copy && !settle_copy(place, outcome))
			return 0;
		if (!is_copy && i >= window->head)
			settle(place, outcome);
		if (i >= window->head)
			return 0;
		outcome->ref = place->ref;
		outcome->received_ns = place->received_ns;
		return add_outcome(window, outcome, false);
	}
	if (stream < SL_STREAMS_MAX &&
		sl_record_ref_position(outcome->ref) >= window->read[stream]) {
		outcome->ref &= ~SL_RECORD_REF_COPY;
		if (window_add_early(window, outcome) < 0)
			return -ENOMEM;
		return add_outcome(window, outcome, true);
	}
	if (is_copy || window->params.is_time_wanted)
		rc = window->params.received(
			window->params.arg, &outcome->ref, &outcome->received_ns);
	/* A message is found without; whose a subscriber's is, older releases did not say. */
	outcome->ref = sl_record_copy_message(outcome->ref, outcome->copy);
	if (sl_record_ref_is_copy(outcome->ref))
		return rc;
	return add_outcome(window, outcome, false);
}

static int
push_done(struct window *window, struct place *place, const struct sl_record_done *done)
{
	uint32_t before = window->nb_outcomes;
	int rc;

	for (uint32_t i = 0; i < done->nb_outcomes; i++) {
		const struct sl_record_outcome_of *of = &done->outcomes[i];
		bool is_delivered = of->outcome == SL_OUTCOME_DELIVERED;
		struct outcome outcome = {
			.ref = of->message,
			.attempts = of->attempts,
			.status = is_delivered ? ROW_DELIVERED : ROW_DEAD,
			.copy = of->copy,
			.delivered_ns = is_delivered
				? done->record.time_ns - of->before_us * 1000ull
				: 0,
		};

		rc = place_outcome(window, &outcome);
		if (rc < 0) {
			window->nb_outcomes = before;
			return rc;
		}
	}
	place->nb_outcomes = window->nb_outcomes - before;
	return 0;
}

static int
push_name(struct window *window, struct place *place, const struct sl_record_name *record)
{
	const struct name *name;
	int rc;

	if (array_reserve(&window->new_names, window->nb_new_names, &window->new_names_max,
		    sizeof(window->new_names[0])) < 0)
		return -ENOMEM;
	rc = names_add(&window->names, record->key, record->name,
		record->record.len - sizeof(*record), &name);
	if (rc == 1) {
		window->new_names[window->nb_new_names++] = name;
		place->nb_names = 1;
	}
	return rc < 0 ? rc : 0;
}

int
window_push(struct window *window, uint32_t stream, const struct sl_record *record, uint64_t end,
	bool is_known, uint64_t now_ms)
{
	struct place *place = &window->ring[window->next % RING_SIZE];
	int rc = 0;

	if (window_is_full(window))
		return -ENOBUFS;
	*place = (struct place){
		.ref = SL_RECORD_REF_NONE,
		.older = NO_PLACE,
		.end = end,
		.pushed_ms = now_ms,
		.len = record->len,
		.stream = stream,
	};
	if (record->type == SL_RECORD_MESSAGE)
		rc = is_known ? push_known(window, place, record)
			      : push_message(window, place, record);
	else if (record->type == SL_RECORD_DONE)
		rc = push_done(window, place, (const struct sl_record_done *)record);
	else if (record->type == SL_RECORD_NAME)
		rc = push_name(window, place, (const struct sl_record_name *)record);
	if (rc < 0)
		return rc;
	window->next++;
	window->bytes += place->len;
	window->nb_rows += place->record != NULL;
	window->newest_ns = record->time_ns;
	window->read[stream] = end;
	return 0;
}

static bool
is_ready(const struct window *window, const struct place *place, uint64_t now_ms)
{
	uint64_t hold_ms = window->params.hold_ms;

	return place->record == NULL || place->status != ROW_INGESTED ||
		now_ms >= place->pushed_ms + hold_ms ||
		window->newest_ns >= place->received_ns + hold_ms * 1000000;
}

uint32_t
window_ready(struct window *window, uint64_t now_ms)
{
	while (window->ready < window->next &&
		is_ready(window, &window->ring[window->ready % RING_SIZE], now_ms))
		window->ready++;
	return (uint32_t)(window->ready - window->head);
}

bool
window_is_full(const struct window *window)
{
	return window->next - window->head >= LIVE_MAX || window->bytes >= BYTES_MAX ||
		window->nb_outcomes - window->first_outcome >= LATES_MAX;
}

uint32_t
window_held(const struct window *window)
{
	return (uint32_t)(window->next - window->head);
}

static const struct place *
oldest(const struct window *window)
{
	return window->head == window->next ? NULL : &window->ring[window->head % RING_SIZE];
}

uint64_t
window_oldest_ms(const struct window *window)
{
	const struct place *place = oldest(window);

	return place == NULL ? UINT64_MAX : place->pushed_ms;
}

uint64_t
window_oldest_ns(const struct window *window)
{
	for (uint64_t i = window->head; window->nb_rows > 0 && i < window->next; i++) {
		const struct place *place = &window->ring[i % RING_SIZE];

		if (place->record != NULL)
			return place->received_ns;
	}
	return 0;
}

bool
window_has_work(const struct window *window)
{
	return window->nb_outcomes > window->first_outcome ||
		window->nb_new_names > window->first_name || window->nb_rows > 0;
}

static void
cut_row(struct window *window, struct batch *batch, const struct place *place)
{
	const struct sl_record_message *record = place->record;
	uint8_t level = record->level;
	const uint8_t *message;
	uint32_t len;

	message = sl_record_message_of(record, &len);
	/* Of a release that did not tell it: what the class is now. */
	if (level == 0 && record->class_index < SL_CONFIG_CLASSES_MAX)
		level = window->params.levels[record->class_index];
	batch->rows[batch->nb_rows++] = (struct row){
		.record = record,
		.source = names_find(&window->names, sl_wire_get64(message + SL_WIRE_OFF_SOURCE)),
		.destination = names_find(
			&window->names, sl_wire_get64(message + SL_WIRE_OFF_DEST)),
		.type = names_find(&window->names, sl_wire_get64(message + SL_WIRE_OFF_TYPE)),
		.delivered_ns = place->delivered_ns,
		.stream = place->stream,
		.attempts = place->attempts,
		.status = place->status,
		.level = level != 0 ? level : sl_record_level(record),
		.block = place->block,
	};
}

static int
note_range(struct batch *batch, uint32_t stream, uint64_t end)
{
	for (uint32_t i = 0; i < batch->nb_ranges; i++) {
		if (batch->ranges[i].stream == stream) {
			batch->ranges[i].last = end;
			return 0;
		}
	}
	if (array_reserve(&batch->ranges, batch->nb_ranges, &batch->ranges_max,
		    sizeof(batch->ranges[0])) < 0)
		return -ENOMEM;
	batch->ranges[batch->nb_ranges++] = (struct range){.stream = stream, .last = end};
	return 0;
}

static int
cut_outcomes(struct window *window, struct batch *batch, uint32_t nb)
{
	for (uint32_t i = 0; i < nb; i++) {
		const struct pending_outcome
			*pending = &window->outcomes[window->first_outcome + i];

		if (array_reserve(&batch->lates, batch->nb_lates, &batch->lates_max,
			    sizeof(batch->lates[0])) < 0 ||
			array_reserve(&batch->earlies, batch->nb_earlies, &batch->earlies_max,
				sizeof(batch->earlies[0])) < 0)
			return -ENOMEM;
		if (pending->is_early)
			batch->earlies[batch->nb_earlies++] = pending->outcome;
		else
			batch->lates[batch->nb_lates++] = pending->outcome;
	}
	return 0;
}

static int
cut_entry(struct window *window, struct batch *batch, const struct place *place)
{
	if (array_reserve(&batch->rows, batch->nb_rows, &batch->rows_max, sizeof(batch->rows[0])) <
			0 ||
		array_reserve(&batch->names, batch->nb_names, &batch->names_max,
			sizeof(batch->names[0])) < 0 ||
		note_range(batch, place->stream, place->end) < 0 ||
		cut_outcomes(window, batch, place->nb_outcomes) < 0)
		return -ENOMEM;
	if (place->nb_names > 0)
		batch->names[batch->nb_names++] = window->new_names[window->first_name++];
	window->first_outcome += place->nb_outcomes;
	if (place->record != NULL) {
		cut_row(window, batch, place);
		window->nb_rows--;
	}
	batch->bytes += place->len;
	window->bytes -= place->len;
	window->head++;
	return 0;
}

int
window_cut(struct window *window, struct batch *batch, uint32_t max_records)
{
	uint64_t begin = window->head;

	while (window->head < window->next && window->head - begin < max_records &&
		batch->bytes < BATCH_BYTES_MAX) {
		if (cut_entry(window, batch, &window->ring[window->head % RING_SIZE]) < 0)
			return -ENOMEM;
	}
	if (window->ready < window->head)
		window->ready = window->head;
	if (window->first_outcome == window->nb_outcomes)
		window->first_outcome = window->nb_outcomes = 0;
	if (window->first_name == window->nb_new_names)
		window->first_name = window->nb_new_names = 0;
	return 0;
}

void
window_release(struct window *window, struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nb_rows; i++)
		drop_block(window, batch->rows[i].block);
	batch->nb_rows = batch->nb_lates = batch->nb_earlies = batch->nb_names = 0;
	batch->nb_ranges = batch->nb_bases = 0;
	batch->bytes = 0;
	batch->notes_ranges = batch->has_earlies = false;
}

const uint8_t *
row_payload(const struct row *row, uint32_t *len)
{
	uint32_t message_len;
	const uint8_t *message = sl_record_message_of(row->record, &message_len);

	return sl_wire_message_payload(message, message_len, len);
}

const uint8_t *
row_id_text(const struct row *row, uint32_t *len)
{
	uint32_t message_len;
	const uint8_t *message = sl_record_message_of(row->record, &message_len);

	return sl_wire_message_id_text(message, message_len, len);
}
