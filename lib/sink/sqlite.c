/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * SQLite: one writer, write-ahead log, so that readers in other processes see whole batches and
 * hold nothing up. A message's rowid is journal, stream and position (sqlite_rows.h): rows come
 * nearly in its order, and an outcome finds its row at once.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

#include "sink_internal.h"
#include "sqlite_rows.h"

#define BUSY_MS 10000

enum {
	STATEMENT_BEGIN,
	STATEMENT_COMMIT,
	STATEMENT_OWNER,
	STATEMENT_ROWS,
	STATEMENT_LATE,
	STATEMENT_EARLY,
	STATEMENT_NO_EARLY,
	STATEMENT_NAME,
	STATEMENT_BASE,
	STATEMENTS
};

static const char *const statements[STATEMENTS] = {
	[STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
	[STATEMENT_COMMIT] = "COMMIT",
	[STATEMENT_OWNER] = "SELECT owner FROM sluice_journals WHERE id = ?1",
	/* OR FAIL: who fails rolls the whole batch back, so no statement has to be by itself. */
	[STATEMENT_ROWS] = "INSERT OR FAIL INTO sluice_messages (" SQLITE_ROW_COLUMNS ") "
			   "SELECT " SQLITE_ROW_COLUMNS " FROM " SQLITE_ROWS_TABLE,
	[STATEMENT_LATE] = "UPDATE sluice_messages SET delivered = ?2, attempts = ?3, status = ?4 "
			   "WHERE ref = ?1 AND status <> 'DELIVERED'",
	[STATEMENT_EARLY] = "INSERT OR REPLACE INTO sluice_early VALUES (?1, ?2, ?3, ?4)",
	/* Others are in between: of streams that differ in their high bits. */
	[STATEMENT_NO_EARLY] =
		"DELETE FROM sluice_early WHERE ref >= ?1 AND ref < ?2 AND ref % 16 = ?1 % 16",
	[STATEMENT_NAME] = "INSERT OR REPLACE INTO sluice_names VALUES (?1, ?2)",
	[STATEMENT_BASE] = "INSERT OR REPLACE INTO sluice_cursors VALUES (?1, ?2, ?3, ?4)",
};

struct engine {
	struct engine_params params;
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct sqlite_rows rows; /* What sluice_batch shows. */
};

static const struct {
	int code;
	bool is_refused;
	const char *remedy;
} remedies[] = {
	{SQLITE_FULL, false, "make room on its file system"},
	{SQLITE_BUSY, false, "another process holds it locked; see that its transaction ends"},
	{SQLITE_CANTOPEN, false, "see that its directory exists and may be written to"},
	{SQLITE_READONLY, false, "see that the file and its directory may be written to"},
	{SQLITE_PERM, false, "see that the file may be written to"},
	{SQLITE_IOERR, false, "look at its file system and at the kernel's log"},
	{SQLITE_CORRUPT, true, "restore the file, or move it away to begin a new one"},
	{SQLITE_NOTADB, true, "give the sink another path, or move the file away"},
	{SQLITE_CONSTRAINT, true,
		"it has rows of another journal with this one's journal-id; give the sink another "
		"path"},
	{SQLITE_ERROR, true,
		"its tables are not those of a sink; restore them, or move the file away to begin a "
		"new one"},
};

static int
fail(struct engine *engine, const char *what, struct sink_error *error)
{
	int code = sqlite3_extended_errcode(engine->db);
	const char *remedy = "it is tried again";
	bool is_refused = false;

	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (remedies[i].code == (code & 0xff)) {
			remedy = remedies[i].remedy;
			is_refused = remedies[i].is_refused;
		}
	}
	sink_error_set(error, is_refused, "%s: %s (SQLite %d); %s", what,
		sqlite3_errmsg(engine->db), code, remedy);
	return (code & 0xff) == SQLITE_FULL ? -ENOSPC : -EIO;
}

static bool
is_aborted(const struct engine *engine)
{
	struct pollfd fd = {.fd = engine->params.abort_fd, .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

static int
on_busy(void *arg, int nb_calls)
{
	const struct engine *engine = arg;
	struct pollfd fd = {.fd = engine->params.abort_fd, .events = POLLIN};

	return nb_calls < BUSY_MS / 10 && poll(&fd, 1, 10) == 0;
}

static int
on_progress(void *arg)
{
	return is_aborted(arg);
}

static int
run(struct engine *engine, const char *sql, const char *what, struct sink_error *error)
{
	if (sqlite3_exec(engine->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return fail(engine, what, error);
	return 0;
}

static void
sqlite_close(struct engine *engine)
{
	for (unsigned int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(engine->statements[i]);
	sqlite3_close(engine->db);
	free(engine);
}

/* Counting its memory would cost a lock for each piece. */
static void
configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int
set_up(struct engine *engine, struct sink_error *error)
{
	sqlite3_busy_handler(engine->db, on_busy, engine);
	sqlite3_progress_handler(engine->db, 100000, on_progress, engine);
	if (sqlite_rows_register(engine->db, &engine->rows) != SQLITE_OK)
		return fail(engine, "cannot prepare the connection", error);
	/* FULL: what is committed is durable, and the journal may forget it. */
	return run(engine,
		"PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
		"PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; "
		"PRAGMA wal_autocheckpoint = 4096; PRAGMA journal_size_limit = 268435456",
		"cannot prepare the file", error);
}

static int
sqlite_open(const struct engine_params *params, struct engine **opened, struct sink_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct engine *engine = calloc(1, sizeof(*engine));
	int rc;

	if (engine == NULL)
		return -ENOMEM;
	pthread_once(&once, configure);
	engine->params = *params;
	snprintf(params->server, params->server_len, "%s", params->config->path);
	rc = sqlite3_open_v2(params->config->path, &engine->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		rc = fail(engine, "cannot open the file", error);
		sqlite_close(engine);
		return rc;
	}
	rc = set_up(engine, error);
	if (rc < 0) {
		sqlite_close(engine);
		return rc;
	}
	*opened = engine;
	return 0;
}

/* The first column of the first row of a query; `none` when there is none. */
static int
get_number(struct engine *engine, const char *sql, int64_t none, int64_t *value,
	struct sink_error *error)
{
	sqlite3_stmt *statement = NULL;
	int rc = sqlite3_prepare_v2(engine->db, sql, -1, &statement, NULL);

	*value = none;
	if (rc == SQLITE_OK) {
		rc = sqlite3_step(statement);
		if (rc == SQLITE_ROW)
			*value = sqlite3_column_int64(statement, 0);
	}
	sqlite3_finalize(statement);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : fail(engine, "cannot read it", error);
}

static int
migrate(struct engine *engine, struct sink_error *error)
{
	int64_t has_schema, version = 0, has_messages;
	char *sql;
	int rc;

	rc = get_number(engine, "SELECT count(*) FROM sqlite_master WHERE name = 'sluice_schema'",
		0, &has_schema, error);
	if (rc == 0 && has_schema > 0)
		rc = get_number(
			engine, "SELECT max(version) FROM sluice_schema", 0, &version, error);
	if (rc < 0)
		return rc;
	if (!migrations_check(SL_SINK_SQLITE, (uint32_t)version, error))
		return -EPROTO;
	sql = migrations_sql(SL_SINK_SQLITE, (uint32_t)version, 0);
	if (sql == NULL)
		return -ENOMEM;
	rc = run(engine, sql, "cannot make its tables", error);
	free(sql);
	if (rc == 0)
		rc = get_number(engine,
			"SELECT count(*) FROM sqlite_master WHERE name = 'sluice_messages'", 0,
			&has_messages, error);
	if (rc == 0 && has_messages == 0)
		rc = run(engine, migrations_messages(SL_SINK_SQLITE), "cannot make its tables",
			error);
	return rc;
}

static int
prepare(struct engine *engine, struct sink_error *error)
{
	for (unsigned int i = 0; i < STATEMENTS; i++) {
		if (engine->statements[i] == NULL &&
			sqlite3_prepare_v3(engine->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
				&engine->statements[i], NULL) != SQLITE_OK)
			return fail(engine, "cannot use its tables", error);
	}
	return 0;
}

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * (int64_t)SINK_NS_PER_S + now.tv_nsec;
}

/* Each journal that ever wrote this file has a number. */
static int
find_journal(struct engine *engine, struct tenure *tenure, struct sink_error *error)
{
	char *sql = sqlite3_mprintf("INSERT INTO sluice_journals (id, uuid, node, created_at) "
				    "SELECT coalesce(max(id) + 1, 0), %Q, %Q, %lld "
				    "FROM sluice_journals "
				    "HAVING coalesce(max(uuid = %Q), 0) = 0; "
				    "UPDATE sluice_journals SET owner = owner + 1, node = %Q "
				    "WHERE uuid = %Q",
		engine->params.journal_id, engine->params.node, (long long)now_ns(),
		engine->params.journal_id, engine->params.node, engine->params.journal_id);
	int64_t id = 0;
	int rc = sql == NULL ? -ENOMEM : run(engine, sql, "cannot take the journal over", error);

	sqlite3_free(sql);
	if (rc == 0) {
		sql = sqlite3_mprintf("SELECT id FROM sluice_journals WHERE uuid = %Q",
			engine->params.journal_id);
		rc = sql == NULL ? -ENOMEM : get_number(engine, sql, -1, &id, error);
		sqlite3_free(sql);
	}
	if (rc == 0 && id >= SQLITE_JOURNALS_MAX) {
		sink_error_set(error, true,
			"%d journals have written it, which is all it can tell apart; give the sink "
			"another path",
			SQLITE_JOURNALS_MAX);
		return -E2BIG;
	}
	tenure->journal = (int32_t)id;
	return rc;
}

static int
load_cursors(sqlite3_stmt *statement, struct resume *resume)
{
	return resume_add_base(resume, (uint32_t)sqlite3_column_int64(statement, 0),
		(uint64_t)sqlite3_column_int64(statement, 1));
}

static int
load_early(sqlite3_stmt *statement, struct resume *resume)
{
	const struct outcome outcome = {
		.ref = sqlite_ref_of(sqlite3_column_int64(statement, 0)),
		.delivered_ns = (uint64_t)sqlite3_column_int64(statement, 1),
		.attempts = (uint16_t)sqlite3_column_int64(statement, 2),
		.status = (uint8_t)sqlite3_column_int64(statement, 3),
	};

	return resume_add_early(resume, &outcome);
}

static int
load(struct engine *engine, const char *sql, int64_t number, struct resume *resume,
	int (*take)(sqlite3_stmt *statement, struct resume *resume), struct sink_error *error)
{
	sqlite3_stmt *statement = NULL;
	int step, rc = 0;

	if (sqlite3_prepare_v2(engine->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return fail(engine, "cannot read its cursors", error);
	sqlite3_bind_int64(statement, 1, number);
	while ((step = sqlite3_step(statement)) == SQLITE_ROW && rc == 0)
		rc = take(statement, resume);
	if (rc == 0 && step != SQLITE_DONE)
		rc = fail(engine, "cannot read its cursors", error);
	sqlite3_finalize(statement);
	return rc;
}

static int
load_names(struct engine *engine, struct names *names, struct sink_error *error)
{
	sqlite3_stmt *statement = NULL;
	int step, rc = 0;

	if (sqlite3_prepare_v2(engine->db, "SELECT key, name FROM sluice_names", -1, &statement,
		    NULL) != SQLITE_OK)
		return fail(engine, "cannot read its names", error);
	while ((step = sqlite3_step(statement)) == SQLITE_ROW && rc >= 0)
		rc = names_add(names, (uint64_t)sqlite3_column_int64(statement, 0),
			(const char *)sqlite3_column_text(statement, 1),
			(size_t)sqlite3_column_bytes(statement, 1), NULL);
	if (rc >= 0)
		rc = step == SQLITE_DONE ? 0 : fail(engine, "cannot read its names", error);
	sqlite3_finalize(statement);
	return rc;
}

static int
sqlite_take_over(struct engine *engine, struct tenure *tenure, struct resume *resume,
	struct names *names, struct sink_error *error)
{
	int rc = run(engine, "BEGIN IMMEDIATE", "cannot write to it", error);

	if (rc == 0)
		rc = migrate(engine, error);
	if (rc == 0)
		rc = find_journal(engine, tenure, error);
	if (rc == 0)
		rc = prepare(engine, error);
	if (rc == 0) {
		sqlite3_bind_int64(engine->statements[STATEMENT_OWNER], 1, tenure->journal);
		sqlite3_step(engine->statements[STATEMENT_OWNER]);
		tenure->owner = sqlite3_column_int64(engine->statements[STATEMENT_OWNER], 0);
		sqlite3_reset(engine->statements[STATEMENT_OWNER]);
		rc = load(engine, "SELECT stream, position FROM sluice_cursors WHERE journal = ?1",
			tenure->journal, resume, load_cursors, error);
	}
	if (rc == 0)
		rc = load(engine,
			"SELECT ref, delivered_ns, attempts, status FROM sluice_early "
			"WHERE ref >> 58 = ?1",
			tenure->journal, resume, load_early, error);
	if (rc == 0)
		rc = load_names(engine, names, error);
	if (rc == 0)
		rc = run(engine, "COMMIT", "cannot commit", error);
	return rc;
}

/* Run a prepared statement to its end and make it ready for the next time. */
static int
step(struct engine *engine, unsigned int i, const char *what, struct sink_error *error)
{
	int rc = sqlite3_step(engine->statements[i]);

	if (rc != SQLITE_DONE && rc != SQLITE_ROW) {
		rc = fail(engine, what, error);
		sqlite3_reset(engine->statements[i]);
		return rc;
	}
	sqlite3_reset(engine->statements[i]);
	return 0;
}

static void
bind_time(sqlite3_stmt *statement, int i, uint64_t ns)
{
	if (sqlite_is_time(ns))
		sqlite3_bind_int64(statement, i, (int64_t)ns);
	else
		sqlite3_bind_null(statement, i);
}

/* All rows of a batch, in one statement. */
static int
write_rows(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	int64_t created_ns, struct sink_error *error)
{
	int rc;

	engine->rows = (struct sqlite_rows){
		.tenure = tenure,
		.rows = batch->rows,
		.nb_rows = batch->nb_rows,
		.created_ns = created_ns,
	};
	rc = step(engine, STATEMENT_ROWS, "cannot insert", error);
	engine->rows = (struct sqlite_rows){.rows = NULL};
	return rc;
}

static int
write_outcomes(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	sqlite3_stmt *late = engine->statements[STATEMENT_LATE];
	sqlite3_stmt *early = engine->statements[STATEMENT_EARLY];
	int rc = 0;

	for (uint32_t i = 0; i < batch->nb_lates && rc == 0; i++) {
		const struct outcome *outcome = &batch->lates[i];

		if (!sqlite_has_key(outcome->ref))
			continue;
		sqlite3_bind_int64(late, 1, sqlite_key_of(tenure->journal, outcome->ref));
		bind_time(late, 2, outcome->delivered_ns);
		sqlite3_bind_int(late, 3, outcome->attempts);
		sqlite3_bind_text(late, 4, row_status_names[outcome->status], -1, SQLITE_STATIC);
		rc = step(engine, STATEMENT_LATE, "cannot update", error);
	}
	for (uint32_t i = 0; i < batch->nb_earlies && rc == 0; i++) {
		const struct outcome *outcome = &batch->earlies[i];

		if (!sqlite_has_key(outcome->ref))
			continue;
		sqlite3_bind_int64(early, 1, sqlite_key_of(tenure->journal, outcome->ref));
		sqlite3_bind_int64(early, 2, (int64_t)outcome->delivered_ns);
		sqlite3_bind_int(early, 3, outcome->attempts);
		sqlite3_bind_int(early, 4, outcome->status);
		rc = step(engine, STATEMENT_EARLY, "cannot insert an outcome", error);
	}
	return rc;
}

static int
write_places(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	int64_t created_ns, struct sink_error *error)
{
	sqlite3_stmt *name = engine->statements[STATEMENT_NAME];
	sqlite3_stmt *base = engine->statements[STATEMENT_BASE];
	sqlite3_stmt *no_early = engine->statements[STATEMENT_NO_EARLY];
	int rc = 0;

	for (uint32_t i = 0; i < batch->nb_names && rc == 0; i++) {
		sqlite3_bind_int64(name, 1, (int64_t)batch->names[i]->key);
		sqlite3_bind_text(
			name, 2, batch->names[i]->text, (int)batch->names[i]->len, SQLITE_STATIC);
		rc = step(engine, STATEMENT_NAME, "cannot insert a name", error);
	}
	for (uint32_t i = 0; i < batch->nb_bases && rc == 0; i++) {
		const struct range *to = &batch->bases[i];

		sqlite3_bind_int(base, 1, tenure->journal);
		sqlite3_bind_int64(base, 2, to->stream);
		sqlite3_bind_int64(base, 3, (int64_t)to->last);
		sqlite3_bind_int64(base, 4, created_ns);
		rc = step(engine, STATEMENT_BASE, "cannot move the cursor", error);
		if (rc < 0 || !batch->has_earlies)
			continue;
		sqlite3_bind_int64(no_early, 1,
			sqlite_key_of(tenure->journal, sl_record_ref_of(to->stream, 0)));
		sqlite3_bind_int64(no_early, 2,
			sqlite_key_of(tenure->journal, sl_record_ref_of(to->stream, to->last)));
		rc = step(engine, STATEMENT_NO_EARLY, "cannot remove an outcome", error);
	}
	return rc;
}

static int
check_owner(struct engine *engine, const struct tenure *tenure, struct sink_error *error)
{
	sqlite3_stmt *statement = engine->statements[STATEMENT_OWNER];
	bool is_ours;

	sqlite3_bind_int64(statement, 1, tenure->journal);
	is_ours = sqlite3_step(statement) == SQLITE_ROW &&
		sqlite3_column_int64(statement, 0) == tenure->owner;
	sqlite3_reset(statement);
	if (is_ours)
		return 0;
	sink_error_set(error, false,
		"another process has taken this journal over; run one sink for it at a time");
	return -ESTALE;
}

/* Appliances have no more streams than workers, and never as many. */
static int
check_streams(const struct batch *batch, struct sink_error *error)
{
	for (uint32_t i = 0; i < batch->nb_ranges; i++) {
		if (batch->ranges[i].stream < SQLITE_STREAMS_MAX)
			continue;
		sink_error_set(error, true,
			"the journal has stream %u, and %u is all that SQLite's rows can tell "
			"apart; give the sink a PostgreSQL database",
			batch->ranges[i].stream, SQLITE_STREAMS_MAX);
		return -E2BIG;
	}
	return 0;
}

static int
sqlite_write(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	int64_t created_ns = now_ns();
	int rc = check_streams(batch, error);

	if (rc == 0)
		rc = step(engine, STATEMENT_BEGIN, "cannot write to it", error);
	if (rc == 0)
		rc = check_owner(engine, tenure, error);
	if (rc == 0 && batch->nb_rows > 0)
		rc = write_rows(engine, tenure, batch, created_ns, error);
	if (rc == 0)
		rc = write_outcomes(engine, tenure, batch, error);
	if (rc == 0)
		rc = write_places(engine, tenure, batch, created_ns, error);
	if (rc == 0)
		rc = step(engine, STATEMENT_COMMIT, "cannot commit", error);
	return rc;
}

const struct engine_ops sqlite_engine = {
	.open = sqlite_open,
	.take_over = sqlite_take_over,
	.write = sqlite_write,
	.close = sqlite_close,
	.batch_max = 65536,
};
