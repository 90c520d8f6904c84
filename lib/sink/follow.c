/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * One session: ask the database where to go on, read the journal from there, hand batches to the
 * lanes, and keep count of what they committed. Streams are read in the order of time, run by run,
 * so that names come before who uses them, and messages before their outcomes.
 *
 * Batches are committed in any order (stream.h). Lane 0 writes bases, the others note their ranges
 * one by one, until a base has come past them.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sink.h"
#include "stream.h"

#define TURN	    4096 /* Records read before lanes are looked at. */
#define IDLE_MS	    10
#define SEGMENTS_MS 200 /* New streams are looked for so often. */
#define TIDY_MS	    (600u * 1000)
#define PLACES_MS   1000 /* A cursor alone is written no sooner. */
#define FAST_NS                                                                                    \
	(SINK_NS_PER_S / 2) /* A transaction that took less may be longer the next time.           \
			     */
#define SLOW_NS (2 * SINK_NS_PER_S)

struct session {
	struct sl_sink *sink;
	struct engine_params params;
	struct tenure tenure;
	struct resume resume;
	struct window *window;
	struct sl_journal_reader *reader;
	struct lane *lanes;
	uint32_t nb_lanes;
	struct stream *streams;
	uint32_t nb_streams, streams_max;
	struct lane *waiting; /* Its batch has to come after all others. */
	bool is_at_end;	      /* There was nothing to read the last time. */
	bool has_earlies;
	uint64_t segments_at_ms;
	uint64_t tidy_at_ms;
	uint8_t *record; /* SL_RECORD_LEN_MAX bytes. */
};

static void
engine_event(void *arg, enum sl_config_level level, const char *kind, const char *sqlstate,
	const char *text)
{
	sink_event(arg, level, kind, sqlstate, "%s", text);
}

static struct stream *
find_stream(struct session *session, uint32_t number)
{
	for (uint32_t i = 0; i < session->nb_streams; i++) {
		if (session->streams[i].number == number)
			return &session->streams[i];
	}
	return NULL;
}

/* The sink has all of a stream before its base. */
static void
tell_base(struct session *session, const struct stream *stream)
{
	struct sl_sink *sink = session->sink;

	pthread_mutex_lock(&sink->lock);
	sink->bases[stream->number] = stream->base;
	pthread_mutex_unlock(&sink->lock);
	if (sink->journal != NULL)
		sl_journal_set_needed(
			sink->journal, sink->journal_reader, stream->number, stream->base);
}

static int
add_stream(struct session *session, uint32_t number, uint64_t base)
{
	struct stream *stream;
	int rc;

	rc = array_reserve(&session->streams, session->nb_streams, &session->streams_max,
		sizeof(session->streams[0]));
	if (rc < 0)
		return rc;
	stream = &session->streams[session->nb_streams++];
	rc = stream_begin(stream, number, base, &session->resume);
	window_begin(session->window, number, stream->base);
	tell_base(session, stream);
	return rc < 0 ? rc : sl_journal_reader_seek(session->reader, number, stream->base);
}

static int
fail_journal(struct session *session, int rc, struct sink_error *error)
{
	const char *what = sl_journal_reader_error(session->reader);

	sink_error_set(error, rc == -EBADMSG, "the journal cannot be read: %s",
		what == NULL || what[0] == '\0' ? strerror(-rc) : what);
	return rc;
}

static void
note_gap(struct session *session, uint32_t stream, uint64_t from, uint64_t to)
{
	struct sl_sink *sink = session->sink;

	pthread_mutex_lock(&sink->lock);
	sink->status.gaps++;
	pthread_mutex_unlock(&sink->lock);
	sink_event(sink, SL_LEVEL_ERROR, "sink_gap", "",
		"the journal has deleted what was not written yet: stream %u from %" PRIu64
		" to %" PRIu64 "; these rows are missing. Raise journal.max_bytes, or keep the "
		"sink running",
		stream, from, to);
}

/* Is what the database has a part of this journal? */
static int
compare_with_journal(struct session *session, const struct sl_journal_segment *segments, int nb,
	struct sink_error *error)
{
	for (uint32_t i = 0; i < session->nb_streams; i++) {
		const struct stream *stream = &session->streams[i];
		uint64_t first = UINT64_MAX, end = 0;

		for (int j = 0; j < nb; j++) {
			const struct sl_segment_header *header = &segments[j].header;

			if (header->stream != stream->number)
				continue;
			first = header->base < first ? header->base : first;
			end = header->end > end ? header->end : end;
		}
		if (end != 0 && stream->base > end) {
			sink_error_set(error, true,
				"it has stream %u up to %" PRIu64
				", but the journal ends at %" PRIu64
				": the journal is an older copy. Restore the right one, or remove "
				"its file journal-id: what it holds is then written once more",
				stream->number, stream->base, end);
			return -EPROTO;
		}
		if (end != 0 && stream->base > 0 && first > stream->base)
			note_gap(session, stream->number, stream->base, first);
	}
	return 0;
}

/* Look for streams, and for whether there still is what is needed. */
static int
look_for_streams(struct session *session, bool is_first, struct sink_error *error)
{
	const struct sl_journal_segment *segments;
	int nb = sl_journal_reader_segments(session->reader, &segments), rc = 0;

	if (nb < 0)
		return fail_journal(session, nb, error);
	for (int i = 0; i < nb && rc == 0; i++) {
		uint32_t number = segments[i].header.stream;

		if (number < SL_STREAMS_MAX && find_stream(session, number) == NULL)
			rc = add_stream(session, number, 0);
	}
	if (rc == 0 && is_first)
		return compare_with_journal(session, segments, nb, error);
	return rc == 0 || rc == -ENOMEM ? rc : fail_journal(session, rc, error);
}

/*
 * Called for a message that is in the database and not in memory. It may have been deleted, and
 * where there was damage, or the disk has a bad place, it will not be there another time, either.
 * All else may go then.
 */
static int
received_of(void *arg, sl_record_ref *ref, uint64_t *received_ns)
{
	struct session *session = arg;
	const struct sl_record *record = (const struct sl_record *)session->record;
	int rc = sl_journal_reader_get(session->reader, *ref, session->record);

	*received_ns = 0;
	if (rc == -ENOENT || rc == -EBADMSG || rc == -EINVAL || rc == -EIO)
		return 0;
	if (rc < 0 || record->type != SL_RECORD_MESSAGE)
		return rc;
	*ref = sl_record_ref_of(sl_record_ref_stream(*ref), record->position);
	*received_ns = record->time_ns;
	return 0;
}

static int
make_window(struct session *session)
{
	struct window_params params = {
		.hold_ms = session->sink->config.batch_ms,
		/* SQLite finds its rows without it. */
		.is_time_wanted = session->sink->config.kind == SL_SINK_POSTGRESQL,
		.received = received_of,
		.arg = session,
	};

	memcpy(params.levels, session->sink->levels, sizeof(params.levels));
	session->record = aligned_alloc(SL_RECORD_ALIGN, SL_RECORD_LEN_MAX);
	if (session->record == NULL)
		return -ENOMEM;
	return window_create(&params, &session->window);
}

static void
tell_server(struct session *session, const char *server)
{
	struct sl_sink *sink = session->sink;

	if (server[0] == '\0')
		return;
	pthread_mutex_lock(&sink->lock);
	snprintf(sink->status.server, sizeof(sink->status.server), "%s", server);
	pthread_mutex_unlock(&sink->lock);
}

/* Connect, and learn where to go on. */
static int
connect_first(struct session *session, struct engine **engine, struct sink_error *error)
{
	const struct engine_ops *ops = session->sink->ops;
	struct resume *resume = &session->resume;
	char server[160] = "";
	int rc;

	session->params.server = server;
	session->params.server_len = sizeof(server);
	rc = ops->open(&session->params, engine, error);
	tell_server(session, server);
	session->params.server = NULL;
	if (rc == 0)
		rc = ops->take_over(
			*engine, &session->tenure, resume, window_names(session->window), error);
	for (uint32_t i = 0; i < resume->nb_earlies && rc == 0; i++)
		rc = window_add_early(session->window, &resume->earlies[i]);
	session->has_earlies = resume->nb_earlies > 0;
	return rc;
}

static int
open_journal(struct session *session, struct sink_error *error)
{
	struct resume *resume = &session->resume;
	char why[256];
	int rc = sl_journal_reader_open(session->sink->directory, session->sink->journal,
		&session->reader, why, sizeof(why));

	if (rc < 0) {
		sink_error_set(error, false, "the journal cannot be read: %s", why);
		return rc;
	}
	for (uint32_t i = 0; i < resume->nb_bases && rc == 0; i++) {
		if (resume->bases[i].stream < SL_STREAMS_MAX)
			rc = add_stream(session, resume->bases[i].stream, resume->bases[i].last);
	}
	return rc < 0 ? rc : look_for_streams(session, true, error);
}

static int
start_lanes(struct session *session, struct engine **engine)
{
	uint32_t wanted = session->sink->config.writers;
	int rc = 0;

	session->lanes = calloc(wanted, sizeof(session->lanes[0]));
	if (session->lanes == NULL)
		return -ENOMEM;
	while (session->nb_lanes < wanted && rc == 0) {
		rc = lane_start(&session->lanes[session->nb_lanes], session->sink,
			session->nb_lanes, &session->params, &session->tenure, *engine);
		*engine = NULL;
		session->nb_lanes++;
	}
	return rc;
}

static int
peek(struct session *session, struct stream *stream, struct sink_error *error)
{
	int rc = 0;

	if (stream->peeked != NULL)
		return 0;
	for (int tries = 0; tries < 2; tries++) {
		uint64_t from = sl_journal_reader_position(session->reader, stream->number);

		rc = sl_journal_reader_next(session->reader, stream->number, &stream->peeked);
		if (rc == 1)
			return 0;
		stream->peeked = NULL;
		if (rc != -ENOENT)
			break;
		rc = sl_journal_reader_seek(session->reader, stream->number, from);
		if (rc < 0)
			break;
		note_gap(session, stream->number, from,
			sl_journal_reader_position(session->reader, stream->number));
	}
	return rc < 0 ? fail_journal(session, rc, error) : 0;
}

/* Of the oldest run first, then by time. */
static bool
is_before(const struct sl_record *a, const struct sl_record *b)
{
	return a->incarnation != b->incarnation ? a->incarnation < b->incarnation
						: a->time_ns < b->time_ns;
}

/* The stream whose next record is the oldest; NULL: all are at their end. */
static int
choose(struct session *session, struct stream **chosen, struct sink_error *error)
{
	*chosen = NULL;
	for (uint32_t i = 0; i < session->nb_streams; i++) {
		struct stream *stream = &session->streams[i];
		int rc = peek(session, stream, error);

		if (rc < 0)
			return rc;
		if (stream->peeked != NULL &&
			(*chosen == NULL || is_before(stream->peeked, (*chosen)->peeked)))
			*chosen = stream;
	}
	return 0;
}

/* Read on, for a turn or until the window is full. */
static int
read_journal(struct session *session, uint64_t now_ms, struct sink_error *error)
{
	struct stream *stream;
	int rc;

	for (int i = 0; i < TURN; i++) {
		if (window_is_full(session->window))
			return 0;
		rc = choose(session, &stream, error);
		if (rc < 0)
			return rc;
		session->is_at_end = stream == NULL;
		if (stream == NULL)
			return 0;
		rc = window_push(session->window, stream->number, stream->peeked,
			sl_journal_reader_position(session->reader, stream->number),
			stream_is_done(stream, stream->peeked->position), now_ms);
		if (rc < 0)
			return rc == -ENOMEM ? rc : fail_journal(session, rc, error);
		stream->peeked = NULL;
	}
	return 0;
}

static bool
is_quiet(struct session *session)
{
	for (uint32_t i = 0; i < session->nb_lanes; i++) {
		if (lane_get_state(&session->lanes[i]) != LANE_IDLE)
			return false;
	}
	return session->waiting == NULL;
}

/* Is a message of a late outcome still on its way through another lane? */
static bool
has_to_wait(struct session *session, const struct batch *batch)
{
	for (uint32_t i = 0; i < batch->nb_lates && session->nb_lanes > 1; i++) {
		const struct stream *stream = find_stream(
			session, sl_record_ref_stream(batch->lates[i].ref));

		if (stream != NULL && sl_record_ref_position(batch->lates[i].ref) >= stream->base)
			return true;
	}
	return false;
}

/* Fill in which part of each stream a batch is, and how it is to be noted. */
static int
note_places(struct session *session, struct lane *lane)
{
	struct batch *batch = &lane->batch;
	int rc = 0;

	session->has_earlies = session->has_earlies || batch->nb_earlies > 0;
	batch->has_earlies = session->has_earlies;
	for (uint32_t i = 0; i < batch->nb_ranges; i++) {
		struct range *range = &batch->ranges[i];
		struct stream *stream = find_stream(session, range->stream);

		range->first = stream->cut;
		stream->cut = range->last;
		if (lane->index != 0 || range->first != stream->base)
			batch->notes_ranges = true;
	}
	if (lane->index != 0)
		return 0;
	for (uint32_t i = 0; i < session->nb_streams && rc == 0; i++) {
		struct stream *stream = &session->streams[i];
		struct range base = {stream->number, 0, stream->base};

		for (uint32_t j = 0; j < batch->nb_ranges && !batch->notes_ranges; j++) {
			if (batch->ranges[j].stream == stream->number)
				base.last = batch->ranges[j].last;
		}
		if (!stream_needs_base(stream, base.last))
			continue;
		rc = batch_add_base(batch, &base);
		stream_send_base(stream, base.last);
	}
	return rc;
}

/* Is there enough for a transaction, or has it waited for long enough? */
static uint32_t
due(struct session *session, uint64_t now_ms)
{
	const struct sl_sink *sink = session->sink;
	struct window *window = session->window;
	uint32_t ready = window_ready(window, now_ms);
	uint32_t wanted = session->is_at_end ? sink->config.batch_messages : sink->batch_now;
	uint32_t patience_ms = sink->config.batch_ms;

	if (window_is_full(window) || (sink->is_stopping && session->is_at_end))
		return window_held(window);
	if (ready >= wanted)
		return ready;
	if (!window_has_work(window) && patience_ms < PLACES_MS)
		patience_ms = PLACES_MS;
	return ready > 0 && now_ms >= window_oldest_ms(window) + patience_ms ? ready : 0;
}

/* Is there a base to be written, whose parts others had noted? */
static bool
has_new_base(const struct session *session)
{
	for (uint32_t i = 0; i < session->nb_streams; i++) {
		if (stream_needs_base(&session->streams[i], session->streams[i].base))
			return true;
	}
	return false;
}

static int
dispatch(struct session *session, uint64_t now_ms)
{
	for (uint32_t i = 0; i < session->nb_lanes && session->waiting == NULL; i++) {
		struct lane *lane = &session->lanes[i];
		uint32_t nb;
		int rc;

		if (lane_get_state(lane) != LANE_IDLE)
			continue;
		if (i == 0 && session->sink->ops->tidy != NULL && now_ms >= session->tidy_at_ms) {
			session->tidy_at_ms = now_ms + TIDY_MS;
			lane->is_tidying = true;
			lane_run(lane);
			continue;
		}
		nb = due(session, now_ms);
		if (nb == 0 && !(i == 0 && is_quiet(session) && has_new_base(session)))
			return 0;
		nb = nb < session->sink->batch_now ? nb : session->sink->batch_now;
		rc = window_cut(session->window, &lane->batch, nb);
		if (rc == 0)
			rc = note_places(session, lane);
		if (rc < 0)
			return rc;
		if (has_to_wait(session, &lane->batch) && !is_quiet(session))
			session->waiting = lane;
		else
			lane_run(lane);
	}
	return 0;
}

/* Longer transactions while there is more to do than they take, shorter ones when they take long.
 */
static void
adapt(struct session *session, const struct lane *lane, uint32_t nb_records)
{
	struct sl_sink *sink = session->sink;
	uint32_t least = sink->config.batch_messages;

	if (lane->write_ns > SLOW_NS && sink->batch_now / 2 >= least)
		sink->batch_now /= 2;
	else if (lane->write_ns < FAST_NS && window_held(session->window) >= sink->batch_now &&
		nb_records >= sink->batch_now / 2)
		sink->batch_now *= 2;
	if (sink->batch_now > sink->ops->batch_max)
		sink->batch_now = least > sink->ops->batch_max ? least : sink->ops->batch_max;
}

static void
count_commit(struct session *session, const struct lane *lane)
{
	struct sl_sink_status *status = &session->sink->status;

	pthread_mutex_lock(&session->sink->lock);
	status->rows += lane->batch.nb_rows;
	status->updates += lane->batch.nb_lates;
	status->bytes += lane->batch.bytes;
	status->batches++;
	status->write_ns += lane->write_ns;
	if (lane->write_ns > status->write_ns_max)
		status->write_ns_max = lane->write_ns;
	status->commit_ns = sink_now_ns();
	pthread_mutex_unlock(&session->sink->lock);
}

/* A lane has committed its batch. */
static int
take_commit(struct session *session, struct lane *lane)
{
	struct batch *batch = &lane->batch;
	int rc = 0;

	for (uint32_t i = 0; i < batch->nb_ranges && rc == 0; i++) {
		struct stream *stream = find_stream(session, batch->ranges[i].stream);

		rc = stream_add_done(stream, &batch->ranges[i]);
		if (rc == 0)
			tell_base(session, stream);
	}
	for (uint32_t i = 0; i < batch->nb_bases; i++)
		find_stream(session, batch->bases[i].stream)->noted = batch->bases[i].last;
	for (uint32_t i = 0; i < batch->nb_earlies; i++) {
		struct stream *stream = find_stream(
			session, sl_record_ref_stream(batch->earlies[i].ref));

		if (stream != NULL)
			stream_note_early(stream, sl_record_ref_position(batch->earlies[i].ref));
	}
	count_commit(session, lane);
	adapt(session, lane, batch->nb_rows);
	window_release(session->window, batch);
	sink_is_up(session->sink);
	return rc;
}

/* Look what the lanes have done. @return how many were busy, or -errno */
static int
collect(struct session *session, struct sink_error *error)
{
	struct sl_sink *sink = session->sink;
	int nb_busy = 0, rc = 0;

	for (uint32_t i = 0; i < session->nb_lanes && rc == 0; i++) {
		struct lane *lane = &session->lanes[i];

		switch (lane_get_state(lane)) {
		case LANE_BUSY:
			nb_busy++;
			break;
		case LANE_FAILED:
			*error = lane->error;
			if (error->is_too_slow)
				sink->batch_now = sink->batch_now / 4 + 1;
			return lane->rc;
		case LANE_DONE:
			if (!lane->is_tidying)
				rc = take_commit(session, lane);
			lane->is_tidying = false;
			lane_reset(lane);
			break;
		default:
			break;
		}
	}
	if (rc == 0 && nb_busy == 0 && session->waiting != NULL) {
		lane_run(session->waiting);
		session->waiting = NULL;
		nb_busy++;
	}
	return rc < 0 ? rc : nb_busy;
}

static void
tell_status(struct session *session, bool is_drained)
{
	struct sl_sink *sink = session->sink;
	uint64_t oldest_ns = window_oldest_ns(session->window), now_ns = sink_now_ns();

	for (uint32_t i = 0; i < session->nb_lanes; i++) {
		const struct batch *batch = &session->lanes[i].batch;

		if (batch->nb_rows > 0 &&
			(oldest_ns == 0 || batch->rows[0].record->record.time_ns < oldest_ns))
			oldest_ns = batch->rows[0].record->record.time_ns;
	}
	pthread_mutex_lock(&sink->lock);
	sink->status.lag_ns = oldest_ns == 0 || oldest_ns > now_ns ? 0 : now_ns - oldest_ns;
	sink->status.is_drained = is_drained;
	pthread_mutex_unlock(&sink->lock);
}

/* How long nothing will happen unless a lane says so. */
static uint64_t
idle_ms(struct session *session, uint64_t now_ms, int nb_busy)
{
	uint64_t wait_ms = IDLE_MS;

	if (!session->is_at_end && !window_is_full(session->window))
		return 0;
	if (nb_busy == 0 && window_is_full(session->window))
		return 0;
	if (window_ready(session->window, now_ms) >= session->sink->config.batch_messages &&
		nb_busy == 0)
		return 0;
	if (session->sink->is_stopping && nb_busy == 0)
		wait_ms = 1;
	return wait_ms;
}

static int
follow(struct session *session, struct sink_error *error)
{
	struct sl_sink *sink = session->sink;
	uint64_t now_ms, wait_ms;
	bool is_drained = false;
	int rc = 0, nb_busy;

	while (!sink->is_aborting && !(sink->is_stopping && is_drained)) {
		now_ms = sink_now_ms();
		nb_busy = collect(session, error);
		if (nb_busy < 0)
			return nb_busy;
		if (now_ms >= session->segments_at_ms) {
			session->segments_at_ms = now_ms + SEGMENTS_MS;
			rc = look_for_streams(session, false, error);
		}
		if (rc == 0)
			rc = read_journal(session, now_ms, error);
		if (rc == 0)
			rc = dispatch(session, now_ms);
		if (rc < 0)
			return rc;
		is_drained = session->is_at_end && window_held(session->window) == 0 &&
			is_quiet(session) && !has_new_base(session);
		if (is_drained)
			sink_is_up(sink);
		tell_status(session, is_drained);
		wait_ms = idle_ms(session, now_ms, nb_busy);
		if (wait_ms > 0)
			sink_wait(sink, wait_ms);
	}
	return 0;
}

static int
begin(struct session *session, struct sink_error *error)
{
	struct sl_sink *sink = session->sink;
	char why[256];
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int rc = 0;

	if (fd < 0)
		return -errno;
	session->params = (struct engine_params){
		.config = &sink->config,
		.node = sink->node,
		.abort_fd = fd,
		.event = engine_event,
		.arg = sink,
	};
	pthread_mutex_lock(&sink->lock);
	sink->abort_fd = fd;
	sink->status.is_drained = false;
	if (sink->status.state == SL_SINK_STOPPED)
		sink->status.state = SL_SINK_CONNECTING;
	pthread_mutex_unlock(&sink->lock);
	if (sink->is_aborting)
		eventfd_write(fd, 1);
	rc = identity_get(sink->directory, session->params.journal_id, why, sizeof(why));
	if (rc < 0)
		sink_error_set(error, rc == -EBADMSG, "%s", why);
	return rc < 0 ? rc : make_window(session);
}

static void
end(struct session *session)
{
	struct sl_sink *sink = session->sink;

	eventfd_write(session->params.abort_fd, 1);
	for (uint32_t i = 0; i < session->nb_lanes; i++) {
		lane_stop(&session->lanes[i]);
		if (session->window != NULL)
			window_release(session->window, &session->lanes[i].batch);
		batch_free(&session->lanes[i].batch);
	}
	pthread_mutex_lock(&sink->lock);
	sink->abort_fd = -1;
	pthread_mutex_unlock(&sink->lock);
	close(session->params.abort_fd);
	sl_journal_reader_close(session->reader);
	window_destroy(session->window);
	resume_free(&session->resume);
	for (uint32_t i = 0; i < session->nb_streams; i++)
		stream_free(&session->streams[i]);
	free(session->streams);
	free(session->lanes);
	free(session->record);
}

int
session_run(struct sl_sink *sink, struct sink_error *error)
{
	struct session session = {.sink = sink};
	struct engine *engine = NULL;
	int rc = begin(&session, error);

	if (rc == 0)
		rc = connect_first(&session, &engine, error);
	if (rc == 0)
		rc = open_journal(&session, error);
	if (rc == 0)
		rc = start_lanes(&session, &engine);
	if (rc == 0)
		rc = follow(&session, error);
	if (engine != NULL)
		sink->ops->close(engine);
	end(&session);
	if (rc < 0 && error->text[0] == '\0')
		sink_error_set(error, false, "%s", strerror(-rc));
	return rc;
}
