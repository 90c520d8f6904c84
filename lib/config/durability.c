/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The raw file to the configuration: journal, publishers, sinks, and what destinations have of
 * them. */

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include "config_internal.h"
#include "sl_record_ring.h"

#define CONNINFO_LEN_MAX 2048
#define SEGMENTS_MIN	 4 /* Of each worker. */
/* The names of the files in it have to fit, too. */
#define DIRECTORY_LEN_MAX (PATH_MAX - 256)

static int
check_power_of_2(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	uint64_t value, enum sl_config_unit unit)
{
	char given[SL_CONFIG_NUMBER_LEN], right[SL_CONFIG_NUMBER_LEN];

	if ((value & (value - 1)) == 0)
		return 0;
	return sl_config_fail(reader, at, key, "%s is not a power of 2; give one, like %s",
		sl_config_format_number((int64_t)value, unit, given),
		sl_config_format_number((int64_t)rte_align64pow2(value), unit, right));
}

int
sl_config_take_path(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *raw, size_t len_max, char **path)
{
	if (raw != NULL && raw[0] != '/')
		return sl_config_fail(
			reader, at, key, "'%.80s' is not an absolute path; begin it with a /", raw);
	return sl_config_take_line(reader, at, key, raw, len_max, path);
}

/* Of the lcores that are named; the application may choose more. */
static uint32_t
count_workers(const struct sl_config *config)
{
	uint32_t i, n = 0;

	for (i = 0; i < config->nb_lcores; i++)
		n += (config->lcores[i].roles & SL_ROLE_WORKER) != 0;
	return n > 0 ? n : 1;
}

static int
check_journal_sizes(struct sl_config_reader *reader)
{
	const struct sl_config_journal *journal = &reader->config->journal;
	uint32_t nb_workers = count_workers(reader->config);
	uint64_t least = SEGMENTS_MIN * nb_workers * journal->segment_bytes;
	char given[SL_CONFIG_NUMBER_LEN], bound[SL_CONFIG_NUMBER_LEN];
	int ret;

	ret = check_power_of_2(
		reader, NULL, "journal.segment_bytes", journal->segment_bytes, SL_CONFIG_BYTES);
	if (ret == 0)
		ret = check_power_of_2(
			reader, NULL, "journal.ring_bytes", journal->ring_bytes, SL_CONFIG_BYTES);
	if (ret < 0)
		return ret;
	if (journal->max_bytes < least)
		return sl_config_fail(reader, NULL, "journal.max_bytes",
			"%s is less than %d segments for each worker (of %" PRIu32
			"), %s; give at least that, or smaller segments",
			sl_config_format_number(
				(int64_t)journal->max_bytes, SL_CONFIG_BYTES, given),
			SEGMENTS_MIN, nb_workers,
			sl_config_format_number((int64_t)least, SL_CONFIG_BYTES, bound));
	if (journal->retention_bytes > journal->max_bytes)
		return sl_config_fail(reader, NULL, "journal.retention_bytes",
			"%s is more than max_bytes, %s; give at most that",
			sl_config_format_number(
				(int64_t)journal->retention_bytes, SL_CONFIG_BYTES, given),
			sl_config_format_number(
				(int64_t)journal->max_bytes, SL_CONFIG_BYTES, bound));
	return 0;
}

static int
resolve_journal(struct sl_config_reader *reader)
{
	const struct raw_journal *raw = &reader->raw->journal;
	struct sl_config_journal *to = &reader->config->journal;
	int ret;

	ret = sl_config_take_path(reader, NULL, "journal.directory", raw->directory,
		DIRECTORY_LEN_MAX, &to->directory);
	if (ret == 0)
		ret = sl_config_numbers(
			reader, NULL, "journal.", sl_config_journal_numbers, raw, to);
	if (ret < 0)
		return ret;
	to->is_direct = raw->direct == NULL || *raw->direct;
	if (raw->retention_bytes == NULL)
		to->retention_bytes = to->max_bytes / 2;
	return check_journal_sizes(reader);
}

static int
resolve_publishers(struct sl_config_reader *reader)
{
	struct sl_config_publishers *to = &reader->config->publishers;
	int ret;

	ret = sl_config_numbers(reader, NULL, "publishers.", sl_config_publisher_numbers,
		&reader->raw->publishers, to);
	if (ret == 0)
		ret = check_power_of_2(
			reader, NULL, "publishers.window", to->window, SL_CONFIG_PLAIN);
	return ret;
}

#define KIND(kind) (1u << (kind))

/* Which kinds have a key; where its pointer stands in struct raw_sink. */
static const struct {
	const char *key;
	size_t offset;
	uint32_t kinds;
	bool is_required;
} sink_keys[] = {
	{"path", offsetof(struct raw_sink, path), KIND(SL_SINK_SQLITE), true},
	{"conninfo", offsetof(struct raw_sink, conninfo), KIND(SL_SINK_POSTGRESQL), true},
	{"writers", offsetof(struct raw_sink, writers), KIND(SL_SINK_POSTGRESQL), false},
	{"keep_days", offsetof(struct raw_sink, keep_days), KIND(SL_SINK_POSTGRESQL), false},
};

static int
check_sink_keys(
	struct sl_config_reader *reader, const struct sl_config_at *at, const struct raw_sink *raw)
{
	const char *kind = *raw->kind == SL_SINK_SQLITE ? "sqlite" : "postgresql";
	const void *value;
	size_t i;

	for (i = 0; i < RTE_DIM(sink_keys); i++) {
		memcpy(&value, (const char *)raw + sink_keys[i].offset, sizeof(value));
		if ((sink_keys[i].kinds & KIND(*raw->kind)) == 0 && value != NULL)
			return sl_config_fail(reader, at, sink_keys[i].key,
				"is not a key of %s sinks; leave it out, or change the kind", kind);
		if ((sink_keys[i].kinds & KIND(*raw->kind)) != 0 && value == NULL &&
			sink_keys[i].is_required)
			return sl_config_fail(reader, at, sink_keys[i].key,
				"is missing; a %s sink needs it", kind);
	}
	return 0;
}

/* It would be shown by "show config" and stand in every copy of the file. */
static bool
has_password(const char *conninfo)
{
	static const char *const schemes[] = {"postgresql://", "postgres://"};
	const char *user, *at, *colon;
	unsigned int i;

	for (i = 0; i < RTE_DIM(schemes); i++) {
		if (strncmp(conninfo, schemes[i], strlen(schemes[i])) != 0)
			continue;
		user = conninfo + strlen(schemes[i]);
		at = memchr(user, '@', strcspn(user, "/?"));
		colon = strchr(user, ':');
		if (at != NULL && colon != NULL && colon < at)
			return true;
	}
	for (at = strstr(conninfo, "password"); at != NULL; at = strstr(at, "password")) {
		at += strlen("password");
		if (at[strspn(at, " \t")] == '=')
			return true;
	}
	return false;
}

/* Against the sinks before it. */
static int
check_sink_is_apart(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct sl_config_sink *sinks = reader->config->sinks, *sink = &sinks[at->i];
	uint32_t i;

	for (i = 0; i < at->i; i++) {
		if (strcmp(sinks[i].name, sink->name) == 0)
			return sl_config_fail(reader, at, "name",
				"'%s' is the name of sinks[%" PRIu32 "], too; rename one of them",
				sink->name, i);
		if (sink->path != NULL && sinks[i].path != NULL &&
			strcmp(sinks[i].path, sink->path) == 0)
			return sl_config_fail(reader, at, "path",
				"%s is sinks[%" PRIu32 "]'s, too; give each sink its own file",
				sink->path, i);
		if (sink->conninfo != NULL && sinks[i].conninfo != NULL &&
			strcmp(sinks[i].conninfo, sink->conninfo) == 0)
			return sl_config_fail(reader, at, "conninfo",
				"is sinks[%" PRIu32 "]'s, too; give each sink its own database, or "
				"schema (search_path)",
				i);
	}
	return 0;
}

static int
take_sink(struct sl_config_reader *reader, const struct sl_config_at *at)
{
	const struct raw_sink *raw = &reader->raw->sinks[at->i];
	struct sl_config_sink *to = &reader->config->sinks[at->i];
	int ret;

	ret = sl_config_take_name(reader, at, "name", raw->name, &to->name);
	if (ret < 0)
		return ret;
	to->kind = (enum sl_config_sink_kind) * raw->kind;
	ret = check_sink_keys(reader, at, raw);
	if (ret == 0)
		ret = sl_config_take_path(reader, at, "path", raw->path, PATH_MAX - 1, &to->path);
	if (ret == 0)
		ret = sl_config_take_line(
			reader, at, "conninfo", raw->conninfo, CONNINFO_LEN_MAX, &to->conninfo);
	if (ret == 0 && raw->conninfo != NULL && has_password(raw->conninfo))
		ret = sl_config_fail(reader, at, "conninfo",
			"has a password in it, which everybody who sees the configuration would "
			"see; put it into a file and name that with passfile=");
	if (ret == 0)
		ret = sl_config_numbers(reader, at, "", sl_config_sink_numbers, raw, to);
	if (ret == 0)
		ret = check_sink_is_apart(reader, at);
	return ret;
}

static int
resolve_sinks(struct sl_config_reader *reader)
{
	struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "sinks"};
	int ret;

	if (reader->raw->sinks_count > 0 && config->journal.directory == NULL)
		return sl_config_fail(reader, NULL, "sinks",
			"trail the journal, and there is none; give journal: {directory: ...}, or "
			"leave them out");
	config->sinks = sl_config_alloc(reader, reader->raw->sinks_count * sizeof(*config->sinks));
	if (config->sinks == NULL)
		return sl_config_no_memory(reader);
	config->nb_sinks = reader->raw->sinks_count;
	for (at.i = 0; at.i < config->nb_sinks; at.i++) {
		ret = take_sink(reader, &at);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int
sl_config_resolve_durability(struct sl_config_reader *reader)
{
	int ret;

	ret = resolve_journal(reader);
	if (ret == 0)
		ret = resolve_publishers(reader);
	if (ret == 0)
		ret = resolve_sinks(reader);
	return ret;
}

/* A ring that takes the outcomes of so many messages when nothing else is in it. */
static uint64_t
least_ring(uint32_t in_flight)
{
	return rte_align64pow2(
		sl_record_ring_room_for_outcomes(in_flight) + SL_RECORD_RING_SLACK + 1);
}

/* An ack is taken when there is room for the outcomes of all that is in flight. */
static int
check_in_flight(struct sl_config_reader *reader, const struct sl_config_at *at, uint32_t in_flight)
{
	uint64_t ring = reader->config->journal.ring_bytes;
	char given[SL_CONFIG_NUMBER_LEN], right[SL_CONFIG_NUMBER_LEN];
	uint32_t most = in_flight;
	int ret;

	ret = check_power_of_2(reader, at, "in_flight", in_flight, SL_CONFIG_PLAIN);
	if (ret < 0 || least_ring(in_flight) <= ring)
		return ret;
	while (least_ring(most) > ring)
		most /= 2;
	return sl_config_fail(reader, at, "in_flight",
		"the outcomes of %" PRIu32 " messages do not fit into journal.ring_bytes, %s; "
		"give at most %" PRIu32 ", or a ring of %s",
		in_flight, sl_config_format_number((int64_t)ring, SL_CONFIG_BYTES, given), most,
		sl_config_format_number((int64_t)least_ring(in_flight), SL_CONFIG_BYTES, right));
}

/* The first key that means something only where messages are acknowledged. */
static const char *
find_durable_key(const struct raw_destination *raw)
{
	if (raw->in_flight != NULL)
		return "in_flight";
	if (raw->max_attempts != NULL)
		return "max_attempts";
	if (raw->requeue_after_ms != NULL)
		return "requeue_after_ms";
	return raw->dead_letter != NULL ? "dead_letter" : NULL;
}

int
sl_config_resolve_guarantee(struct sl_config_reader *reader, const struct sl_config_at *at,
	struct sl_config_destination *to)
{
	const struct raw_destination *raw = &reader->raw->destinations[at->i];
	const char *key = find_durable_key(raw);

	to->dead_letter_index = UINT32_MAX;
	to->guarantee = (enum sl_config_guarantee)sl_config_choice(
		raw->guarantee, SL_CONFIG_AT_MOST_ONCE);
	if (to->guarantee == SL_CONFIG_AT_MOST_ONCE && key != NULL)
		return sl_config_fail(reader, at, key,
			"is not a key of at-most-once destinations; give guarantee: at-least-once, "
			"or leave it out");
	if (to->guarantee == SL_CONFIG_AT_MOST_ONCE)
		return 0;
	if (reader->config->journal.directory == NULL)
		return sl_config_fail(reader, at, "guarantee",
			"at-least-once needs a journal, and there is none; give journal: "
			"{directory: ...}, or at-most-once");
	if (raw->dead_letter == NULL || strcmp(raw->dead_letter, "none") == 0)
		return check_in_flight(reader, at, to->in_flight);
	if (strcmp(raw->dead_letter, to->name) == 0)
		return sl_config_fail(reader, at, "dead_letter",
			"'%s' is the destination itself; name another, or none", to->name);
	if (to->max_attempts == 0)
		return sl_config_fail(reader, at, "dead_letter",
			"gets nothing while max_attempts is 0, for nothing is given up; give "
			"max_attempts, too");
	return check_in_flight(reader, at, to->in_flight);
}

static int
take_dead_letter(struct sl_config_reader *reader, const struct sl_config_at *at,
	const struct sl_config_index *index, const char *name)
{
	struct sl_config_destination *to = &reader->config->destinations[at->i];
	const struct sl_config_destination *other;

	to->dead_letter_index = sl_config_index_get(index, name);
	if (to->dead_letter_index == SL_CONFIG_NOT_FOUND)
		return sl_config_fail(reader, at, "dead_letter",
			"there is no destination '%.80s'; name a configured one, or none", name);
	other = &reader->config->destinations[to->dead_letter_index];
	if (other->kind == SL_CONFIG_TOPIC)
		return sl_config_fail(reader, at, "dead_letter",
			"'%s' is a topic, and nobody may be there to get it; name a queue", name);
	if (other->guarantee != SL_CONFIG_AT_LEAST_ONCE)
		return sl_config_fail(reader, at, "dead_letter",
			"'%s' is at-most-once, and what goes there could be lost; name an "
			"at-least-once destination",
			name);
	to->dead_letter = other->name;
	return 0;
}

/* So that nothing is given up twice, or goes round in a circle. */
static int
check_chains(struct sl_config_reader *reader)
{
	const struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "destinations"};
	const struct sl_config_destination *from;

	for (at.i = 0; at.i < config->nb_destinations; at.i++) {
		from = &config->destinations[at.i];
		if (from->dead_letter != NULL &&
			config->destinations[from->dead_letter_index].dead_letter != NULL)
			return sl_config_fail(reader, &at, "dead_letter",
				"'%s' has a dead_letter itself; name a destination without one",
				from->dead_letter);
	}
	return 0;
}

int
sl_config_resolve_dead_letters(struct sl_config_reader *reader)
{
	const struct raw_config *raw = reader->raw;
	const struct sl_config *config = reader->config;
	struct sl_config_at at = {.list = "destinations"};
	struct sl_config_index index = {NULL};
	struct sl_config_arena arena = {NULL};
	const char *name;
	uint32_t i;
	int ret = 0;

	for (at.i = 0; at.i < config->nb_destinations && ret == 0; at.i++) {
		name = raw->destinations[at.i].dead_letter;
		if (name == NULL || strcmp(name, "none") == 0)
			continue;
		if (index.slots == NULL) {
			if (sl_config_index_init(&index, &arena, config->nb_destinations) < 0)
				ret = sl_config_no_memory(reader);
			for (i = 0; i < config->nb_destinations && ret == 0; i++)
				sl_config_index_set(&index, config->destinations[i].name, i);
		}
		if (ret == 0)
			ret = take_dead_letter(reader, &at, &index, name);
	}
	sl_config_arena_free(&arena);
	return ret == 0 ? check_chains(reader) : ret;
}
