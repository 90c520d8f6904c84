/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * A step is never changed once it has been released: another one is put behind it. Each sets the
 * version itself, so that the text alone, run by hand, does all that a sink would.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink_internal.h"

/*
 * Wide columns first, so that nothing is lost to alignment. The index by time leads to a row, too:
 * an outcome that comes later knows when its message was received. A BRIN index on the position
 * finds those of which that is not known any more, and costs next to nothing.
 */
#define POSTGRESQL_MESSAGES                                                                        \
	"CREATE TABLE sluice_messages (\n"                                                         \
	"  received timestamptz NOT NULL,\n"                                                       \
	"  delivered timestamptz,\n"                                                               \
	"  source_time timestamptz,\n"                                                             \
	"  created_at timestamptz NOT NULL DEFAULT now(),\n"                                       \
	"  position bigint NOT NULL,\n"                                                            \
	"  attempts integer NOT NULL,\n"                                                           \
	"  journal smallint NOT NULL,\n"                                                           \
	"  stream smallint NOT NULL,\n"                                                            \
	"  priority smallint NOT NULL,\n"                                                          \
	"  id uuid NOT NULL,\n"                                                                    \
	"  status text NOT NULL,\n"                                                                \
	"  destination text NOT NULL,\n"                                                           \
	"  source text NOT NULL,\n"                                                                \
	"  type text NOT NULL,\n"                                                                  \
	"  id_text text,\n"                                                                        \
	"  payload bytea NOT NULL) PARTITION BY RANGE (received);\n"                               \
	"CREATE INDEX sluice_messages_received ON sluice_messages (received, position);\n"         \
	"CREATE INDEX sluice_messages_destination ON sluice_messages (destination, "               \
	"received);\n"                                                                             \
	"CREATE INDEX sluice_messages_priority ON sluice_messages (priority, received);\n"         \
	"CREATE INDEX sluice_messages_position ON sluice_messages\n"                               \
	"  USING brin (position int8_minmax_multi_ops)\n"                                          \
	"  WITH (pages_per_range = 64, autosummarize = on);\n"

static const struct migration postgresql_steps[] = {
	{1,
		"CREATE TABLE sluice_schema (version integer NOT NULL);\n"
		"INSERT INTO sluice_schema VALUES (1);\n"
		"CREATE TABLE sluice_journals (\n"
		"  id smallint PRIMARY KEY,\n"
		"  uuid text NOT NULL UNIQUE,\n"
		"  node text NOT NULL,\n"
		"  owner bigint NOT NULL DEFAULT 1,\n"
		"  created_at timestamptz NOT NULL DEFAULT now());\n"
		"CREATE TABLE sluice_cursors (\n"
		"  journal smallint NOT NULL REFERENCES sluice_journals,\n"
		"  stream smallint NOT NULL,\n"
		"  position bigint NOT NULL,\n"
		"  updated_at timestamptz NOT NULL DEFAULT now(),\n"
		"  PRIMARY KEY (journal, stream)) WITH (fillfactor = 50);\n"
		"CREATE TABLE sluice_names (key bigint PRIMARY KEY, name text NOT NULL);\n" POSTGRESQL_MESSAGES},
	/* Several writers, and outcomes that are read before their messages. */
	{2,
		"CREATE TABLE sluice_ranges (\n"
		"  journal smallint NOT NULL REFERENCES sluice_journals,\n"
		"  stream smallint NOT NULL,\n"
		"  first bigint NOT NULL,\n"
		"  last bigint NOT NULL,\n"
		"  PRIMARY KEY (journal, stream, first));\n"
		"CREATE TABLE sluice_early (\n"
		"  journal smallint NOT NULL REFERENCES sluice_journals,\n"
		"  stream smallint NOT NULL,\n"
		"  position bigint NOT NULL,\n"
		"  delivered_ns bigint NOT NULL,\n"
		"  attempts integer NOT NULL,\n"
		"  status smallint NOT NULL,\n"
		"  PRIMARY KEY (journal, stream, position));\n"
		"UPDATE sluice_schema SET version = 2;\n"},
};

/* Times are nanoseconds of Unix time. `ref` is journal, stream and position in one number. */
#define SQLITE_MESSAGES                                                                            \
	"CREATE TABLE sluice_messages (\n"                                                         \
	"  ref INTEGER PRIMARY KEY,\n"                                                             \
	"  received INTEGER NOT NULL,\n"                                                           \
	"  delivered INTEGER,\n"                                                                   \
	"  source_time INTEGER,\n"                                                                 \
	"  created_at INTEGER NOT NULL,\n"                                                         \
	"  attempts INTEGER NOT NULL,\n"                                                           \
	"  priority INTEGER NOT NULL,\n"                                                           \
	"  status TEXT NOT NULL,\n"                                                                \
	"  destination TEXT NOT NULL,\n"                                                           \
	"  source TEXT NOT NULL,\n"                                                                \
	"  type TEXT NOT NULL,\n"                                                                  \
	"  id BLOB NOT NULL,\n"                                                                    \
	"  id_text TEXT,\n"                                                                        \
	"  payload BLOB NOT NULL);\n"                                                              \
	"CREATE INDEX sluice_messages_received ON sluice_messages (received);\n"                   \
	"CREATE INDEX sluice_messages_destination ON sluice_messages (destination, "               \
	"received);\n"                                                                             \
	"CREATE INDEX sluice_messages_priority ON sluice_messages (priority, received);\n"

static const struct migration sqlite_steps[] = {
	{1,
		"CREATE TABLE sluice_schema (version INTEGER NOT NULL);\n"
		"INSERT INTO sluice_schema VALUES (1);\n"
		"CREATE TABLE sluice_journals (\n"
		"  id INTEGER PRIMARY KEY,\n"
		"  uuid TEXT NOT NULL UNIQUE,\n"
		"  node TEXT NOT NULL,\n"
		"  owner INTEGER NOT NULL DEFAULT 1,\n"
		"  created_at INTEGER NOT NULL);\n"
		"CREATE TABLE sluice_cursors (\n"
		"  journal INTEGER NOT NULL REFERENCES sluice_journals,\n"
		"  stream INTEGER NOT NULL,\n"
		"  position INTEGER NOT NULL,\n"
		"  updated_at INTEGER NOT NULL,\n"
		"  PRIMARY KEY (journal, stream)) WITHOUT ROWID;\n"
		"CREATE TABLE sluice_names (key INTEGER PRIMARY KEY, name TEXT NOT NULL);\n" SQLITE_MESSAGES},
	{2,
		"CREATE TABLE sluice_early (\n"
		"  ref INTEGER PRIMARY KEY,\n"
		"  delivered_ns INTEGER NOT NULL,\n"
		"  attempts INTEGER NOT NULL,\n"
		"  status INTEGER NOT NULL);\n"
		"UPDATE sluice_schema SET version = 2;\n"},
};

const struct migration *
migrations_of(enum sl_config_sink_kind kind, uint32_t *nb)
{
	if (kind == SL_SINK_SQLITE) {
		*nb = sizeof(sqlite_steps) / sizeof(sqlite_steps[0]);
		return sqlite_steps;
	}
	*nb = sizeof(postgresql_steps) / sizeof(postgresql_steps[0]);
	return postgresql_steps;
}

uint32_t
migrations_newest(enum sl_config_sink_kind kind)
{
	uint32_t nb;
	const struct migration *steps = migrations_of(kind, &nb);

	return steps[nb - 1].version;
}

const char *
migrations_messages(enum sl_config_sink_kind kind)
{
	return kind == SL_SINK_SQLITE ? SQLITE_MESSAGES : POSTGRESQL_MESSAGES;
}

char *
migrations_sql(enum sl_config_sink_kind kind, uint32_t from, uint32_t to)
{
	uint32_t nb;
	const struct migration *steps = migrations_of(kind, &nb);
	char *text = NULL;
	size_t len;
	FILE *out;

	if (to == 0)
		to = steps[nb - 1].version;
	if (to > steps[nb - 1].version || from > to)
		return NULL;
	out = open_memstream(&text, &len);
	if (out == NULL)
		return NULL;
	for (uint32_t i = 0; i < nb; i++) {
		if (steps[i].version > from && steps[i].version <= to)
			fputs(steps[i].sql, out);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

char *
sl_sink_schema(enum sl_config_sink_kind kind, uint32_t version)
{
	return migrations_sql(kind, 0, version);
}

bool
migrations_check(enum sl_config_sink_kind kind, uint32_t version, struct sink_error *error)
{
	uint32_t newest = migrations_newest(kind);

	if (version <= newest)
		return true;
	sink_error_set(error, true,
		"its schema has version %u, this release knows up to %u: a newer release has used "
		"it; install that one, or give the sink another database",
		version, newest);
	return false;
}
