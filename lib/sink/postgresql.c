/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * PostgreSQL. A transaction is: lock the journal's row against whoever takes over, COPY the rows,
 * update what has got its outcome, move the cursors. Who takes over updates the journal's row, and
 * so waits for transactions under way, also for one whose client is gone and has never heard how it
 * ended; after that the cursors say what is there, and older connections find another owner.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pg_link.h"
#include "pg_rows.h"
#include "sink_internal.h"

#define CHUNK 65536
/* For pg_advisory_xact_lock(): who makes tables. "sluice" */
#define TABLES_LOCK "126943914877797"

struct engine {
	struct engine_params params;
	struct pg_link link;
	struct pg_buffer buffer;
	struct pg_text sql;
	uint32_t *days; /* That have a partition. */
	uint32_t nb_days, days_max;
	uint32_t kept_day; /* Of the partition that was told last: it could not be dropped. */
	char kept_sqlstate[6];
	bool is_prepared;
};

/*
 * Of a topic's message there may be several outcomes at once, and an UPDATE takes any one of those
 * that fit a row: it gets the first that is DELIVERED, or else the first.
 */
#define UPDATE_FROM_ARRAYS                                                                         \
	"UPDATE sluice_messages m SET delivered = d.delivered, attempts = d.attempts, "            \
	"status = (ARRAY['INGESTED', 'DELIVERED', 'DEAD'])[d.status + 1] "                         \
	"FROM (SELECT DISTINCT ON (stream, position) * "                                           \
	"FROM unnest($1::timestamptz[], $2::smallint[], $3::bigint[], $4::timestamptz[], "         \
	"$5::integer[], $6::smallint[]) WITH ORDINALITY "                                          \
	"AS o (received, stream, position, delivered, attempts, status, place) "                   \
	"ORDER BY stream, position, status <> 1, place) AS d "                                     \
	"WHERE m.position = d.position AND m.stream = d.stream AND m.journal = $7::smallint "      \
	"AND m.status <> 'DELIVERED'"

static void
postgresql_close(struct engine *engine)
{
	pg_close(&engine->link);
	pg_buffer_free(&engine->buffer);
	pg_text_free(&engine->sql);
	free(engine->days);
	free(engine);
}

static int
postgresql_open(
	const struct engine_params *params, struct engine **opened, struct sink_error *error)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	char application[64];
	int rc;

	if (engine == NULL)
		return -ENOMEM;
	engine->params = *params;
	engine->link.abort_fd = params->abort_fd;
	snprintf(application, sizeof(application), "sluice/%s/%s", params->node,
		params->config->name);
	rc = pg_connect(&engine->link, params->config->conninfo, application, params->server,
		params->server_len, error);
	if (rc < 0) {
		postgresql_close(engine);
		return rc;
	}
	*opened = engine;
	return 0;
}

/* Begin to write SQL anew. */
static struct pg_text *
begin_sql(struct engine *engine)
{
	engine->sql.len = 0;
	return &engine->sql;
}

static int
run_sql(struct engine *engine, PGresult **rows, struct sink_error *error)
{
	return engine->sql.is_failed ? -ENOMEM
				     : pg_run(&engine->link, engine->sql.text, rows, error);
}

static int64_t
number_at(const PGresult *rows, int row, int column)
{
	return strtoll(PQgetvalue(rows, row, column), NULL, 10);
}

/* The only value of a query. */
static int
get_number(struct engine *engine, const char *sql, int64_t *value, struct sink_error *error)
{
	PGresult *rows = NULL;
	int rc = pg_run(&engine->link, sql, &rows, error);

	*value = rc == 0 && PQntuples(rows) > 0 ? number_at(rows, 0, 0) : 0;
	PQclear(rows);
	return rc;
}

static int
run_migrations(struct engine *engine, uint32_t version, struct sink_error *error)
{
	char *sql = migrations_sql(SL_SINK_POSTGRESQL, version, 0);
	int rc;

	if (sql == NULL)
		return -ENOMEM;
	rc = sql[0] == '\0' ? 0 : pg_run(&engine->link, sql, NULL, error);
	free(sql);
	return rc;
}

/* In the transaction of the take-over. */
static int
migrate(struct engine *engine, struct sink_error *error)
{
	int64_t has_schema, has_messages, version = 0;
	int rc;

	rc = get_number(engine,
		"SELECT pg_advisory_xact_lock(" TABLES_LOCK "); "
		"SELECT count(to_regclass('sluice_schema'))",
		&has_schema, error);
	if (rc == 0 && has_schema > 0)
		rc = get_number(engine, "SELECT max(version) FROM sluice_schema", &version, error);
	if (rc < 0)
		return rc;
	if (!migrations_check(SL_SINK_POSTGRESQL, (uint32_t)version, error))
		return -EPROTO;
	rc = run_migrations(engine, (uint32_t)version, error);
	if (rc == 0)
		rc = get_number(engine, "SELECT count(to_regclass('sluice_messages'))",
			&has_messages, error);
	if (rc == 0 && has_messages == 0)
		rc = pg_run(&engine->link, migrations_messages(SL_SINK_POSTGRESQL), NULL, error);
	return rc;
}

static int
find_journal(struct engine *engine, struct tenure *tenure, struct sink_error *error)
{
	struct pg_text *sql = begin_sql(engine);
	PGresult *rows = NULL;
	int rc;

	pg_text_add(sql,
		"INSERT INTO sluice_journals (id, uuid, node) "
		"SELECT coalesce(max(id) + 1, 0), '%s', ",
		engine->params.journal_id);
	pg_text_quote(&engine->link, sql, engine->params.node);
	pg_text_add(sql,
		" FROM sluice_journals HAVING coalesce(bool_or(uuid = '%s'), false) IS FALSE; "
		"UPDATE sluice_journals SET owner = owner + 1, node = ",
		engine->params.journal_id);
	pg_text_quote(&engine->link, sql, engine->params.node);
	pg_text_add(sql, " WHERE uuid = '%s' RETURNING id, owner", engine->params.journal_id);
	rc = run_sql(engine, &rows, error);
	if (rc == 0 && (rows == NULL || PQntuples(rows) != 1)) {
		sink_error_set(error, false, "sluice_journals changed under the sink");
		rc = -EPROTO;
	}
	if (rc == 0) {
		tenure->journal = (int32_t)number_at(rows, 0, 0);
		tenure->owner = number_at(rows, 0, 1);
	}
	PQclear(rows);
	return rc;
}

static int
load_row(const PGresult *rows, int i, int what, struct resume *resume, struct names *names)
{
	struct outcome outcome;

	switch (what) {
	case 0:
		return resume_add_base(
			resume, (uint32_t)number_at(rows, i, 0), (uint64_t)number_at(rows, i, 1));
	case 1:
		return resume_add_range(resume, (uint32_t)number_at(rows, i, 0),
			(uint64_t)number_at(rows, i, 1), (uint64_t)number_at(rows, i, 2));
	case 2:
		outcome = (struct outcome){
			.ref = sl_record_ref_of(
				(uint32_t)number_at(rows, i, 0), (uint64_t)number_at(rows, i, 1)),
			.delivered_ns = (uint64_t)number_at(rows, i, 2),
			.attempts = (uint16_t)number_at(rows, i, 3),
			.status = (uint8_t)number_at(rows, i, 4),
		};
		return resume_add_early(resume, &outcome);
	default:
		return names_add(names, (uint64_t)number_at(rows, i, 0), PQgetvalue(rows, i, 1),
			(size_t)PQgetlength(rows, i, 1), NULL);
	}
}

static int
load(struct engine *engine, const struct tenure *tenure, struct resume *resume, struct names *names,
	struct sink_error *error)
{
	static const char *const queries[] = {
		"SELECT stream, position FROM sluice_cursors WHERE journal = %d",
		"SELECT stream, first, last FROM sluice_ranges WHERE journal = %d "
		"ORDER BY stream, first",
		"SELECT stream, position, delivered_ns, attempts, status FROM sluice_early "
		"WHERE journal = %d",
		"SELECT key, name FROM sluice_names WHERE %d IS NOT NULL",
	};
	int rc = 0;

	for (int what = 0; what < 4 && rc >= 0; what++) {
		PGresult *rows = NULL;
		char sql[160];

		snprintf(sql, sizeof(sql), queries[what], tenure->journal);
		rc = pg_run(&engine->link, sql, &rows, error);
		for (int i = 0; rc >= 0 && i < PQntuples(rows); i++)
			rc = load_row(rows, i, what, resume, names);
		PQclear(rows);
	}
	return rc < 0 ? rc : 0;
}

static int
postgresql_take_over(struct engine *engine, struct tenure *tenure, struct resume *resume,
	struct names *names, struct sink_error *error)
{
	int rc = pg_run(&engine->link, "BEGIN", NULL, error);

	if (rc == 0)
		rc = migrate(engine, error);
	if (rc == 0)
		rc = find_journal(engine, tenure, error);
	if (rc == 0)
		rc = load(engine, tenure, resume, names, error);
	if (rc == 0)
		rc = pg_run(&engine->link, "COMMIT", NULL, error);
	return rc;
}

static bool
has_day(const struct engine *engine, uint32_t day)
{
	for (uint32_t i = engine->nb_days; i > 0; i--) {
		if (engine->days[i - 1] == day)
			return true;
	}
	return false;
}

/* "20261121" */
static void
day_name(uint32_t day, const char *format, char *name, size_t len)
{
	time_t time = (time_t)day * 86400;
	struct tm tm;

	strftime(name, len, format, gmtime_r(&time, &tm));
}

/* Days of the partitions there are. */
static int
load_days(struct engine *engine, struct sink_error *error)
{
	PGresult *rows = NULL;
	int rc = pg_run(&engine->link,
		"SELECT extract(epoch FROM to_date(right(relname, 8), 'YYYYMMDD'))::bigint / 86400 "
		"FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
		"WHERE inhparent = 'sluice_messages'::regclass "
		"AND relname ~ '^sluice_messages_[0-9]{8}$' ORDER BY 1",
		&rows, error);

	engine->nb_days = 0;
	for (int i = 0; rc == 0 && i < PQntuples(rows); i++) {
		rc = array_reserve(
			&engine->days, engine->nb_days, &engine->days_max, sizeof(engine->days[0]));
		if (rc == 0)
			engine->days[engine->nb_days++] = (uint32_t)number_at(rows, i, 0);
	}
	PQclear(rows);
	return rc;
}

/*
 * Made beside the table and attached, which readers of the others do not hold up. Bounds are UTC's
 * days, whatever the server's time zone.
 */
static int
make_partition(struct engine *engine, uint32_t day, struct sink_error *error)
{
	char name[16], from[16], to[16];
	int rc;

	rc = pg_run(
		&engine->link, "BEGIN; SELECT pg_advisory_xact_lock(" TABLES_LOCK ")", NULL, error);
	if (rc == 0)
		rc = load_days(engine, error);
	if (rc == 0 && !has_day(engine, day)) {
		struct pg_text *sql = begin_sql(engine);

		day_name(day, "%Y%m%d", name, sizeof(name));
		day_name(day, "%Y-%m-%d", from, sizeof(from));
		day_name(day + 1, "%Y-%m-%d", to, sizeof(to));
		pg_text_add(sql,
			"CREATE TABLE sluice_messages_%s (LIKE sluice_messages INCLUDING ALL); "
			"ALTER TABLE sluice_messages ATTACH PARTITION sluice_messages_%s "
			"FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')",
			name, name, from, to);
		rc = run_sql(engine, NULL, error);
		if (rc == 0)
			rc = array_reserve(&engine->days, engine->nb_days, &engine->days_max,
				sizeof(engine->days[0]));
		if (rc == 0)
			engine->days[engine->nb_days++] = day;
	}
	return rc < 0 ? rc : pg_run(&engine->link, "COMMIT", NULL, error);
}

static int
make_partitions(struct engine *engine, const struct batch *batch, struct sink_error *error)
{
	uint32_t last = UINT32_MAX;
	int rc = 0;

	for (uint32_t i = 0; i < batch->nb_rows && rc == 0; i++) {
		uint32_t day = pg_day_of(batch->rows[i].record->record.time_ns);

		if (day != last && !has_day(engine, day))
			rc = make_partition(engine, day, error);
		last = day;
	}
	return rc;
}

static int
prepare(struct engine *engine, struct sink_error *error)
{
	int rc = 0;

	if (engine->is_prepared)
		return 0;
	rc = pg_prepare(
		&engine->link, "late", UPDATE_FROM_ARRAYS " AND m.received = d.received", error);
	if (rc == 0)
		rc = pg_prepare(&engine->link, "late_of_any_day", UPDATE_FROM_ARRAYS, error);
	engine->is_prepared = rc == 0;
	return rc;
}

/* Whether the journal is still ours: the query before the COPY, or alone. */
static int
check_owner(const PGresult *rows, struct sink_error *error)
{
	if (rows != NULL && PQntuples(rows) == 1)
		return 0;
	sink_error_set(error, false,
		"another process has taken this journal over; run one sink for it at a time");
	return -ESTALE;
}

static int
copy_rows(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	struct pg_buffer *buffer = &engine->buffer;
	int rc;

	buffer->len = 0;
	rc = pg_put_header(buffer);
	for (uint32_t i = 0; i < batch->nb_rows && rc == 0; i++) {
		rc = pg_put_row(buffer, &batch->rows[i], tenure->journal);
		if (rc < 0 || buffer->len < CHUNK)
			continue;
		rc = pg_copy_put(&engine->link, buffer->bytes, buffer->len, error);
		buffer->len = 0;
	}
	if (rc == 0)
		rc = pg_put_trailer(buffer);
	if (rc == 0)
		rc = pg_copy_put(&engine->link, buffer->bytes, buffer->len, error);
	return rc < 0 ? rc : pg_copy_end(&engine->link, error);
}

/* Begin the transaction and write its rows. */
static int
write_rows(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	struct pg_text *sql = begin_sql(engine);
	PGresult *rows = NULL;
	int rc;

	pg_text_add(sql,
		"BEGIN; SELECT 1 FROM sluice_journals WHERE id = %d AND owner = %" PRId64
		" FOR SHARE",
		tenure->journal, tenure->owner);
	if (batch->nb_rows > 0)
		pg_text_add(sql,
			"; COPY sluice_messages (" PG_ROW_COLUMNS ") FROM STDIN (FORMAT binary)");
	if (sql->is_failed)
		return -ENOMEM;
	rc = batch->nb_rows > 0 ? pg_copy_begin(&engine->link, sql->text, &rows, error)
				: pg_run(&engine->link, sql->text, &rows, error);
	if (rc == 0)
		rc = check_owner(rows, error);
	PQclear(rows);
	if (rc == 0 && batch->nb_rows > 0)
		rc = copy_rows(engine, tenure, batch, error);
	return rc;
}

static int
write_lates(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	static const char *const names[2] = {"late_of_any_day", "late"};
	struct pg_param params[PG_ARRAYS + 1];
	uint16_t journal = __builtin_bswap16((uint16_t)tenure->journal);
	int nb, rc = 0;

	params[PG_ARRAYS] = (struct pg_param){&journal, sizeof(journal)};
	for (int is_known = 0; is_known < 2 && batch->nb_lates > 0 && rc == 0; is_known++) {
		engine->buffer.len = 0;
		nb = pg_put_outcomes(
			&engine->buffer, batch->lates, batch->nb_lates, is_known, params);
		if (nb < 0)
			return nb;
		if (nb > 0)
			rc = pg_run_prepared(
				&engine->link, names[is_known], params, PG_ARRAYS + 1, NULL, error);
	}
	return rc;
}

static void
add_early(struct pg_text *sql, const struct tenure *tenure, const struct outcome *outcome)
{
	pg_text_add(sql,
		"INSERT INTO sluice_early VALUES (%d, %u, %" PRIu64 ", %" PRIu64 ", %u, %u) "
		"ON CONFLICT DO NOTHING; ",
		tenure->journal, sl_record_ref_stream(outcome->ref),
		sl_record_ref_position(outcome->ref), outcome->delivered_ns, outcome->attempts,
		outcome->status);
}

/* One from the same place on may be there, of a session that did not commit what was before it. */
static void
add_range(struct pg_text *sql, const struct tenure *tenure, const struct range *range)
{
	pg_text_add(sql,
		"INSERT INTO sluice_ranges AS r VALUES (%d, %u, %" PRIu64 ", %" PRIu64 ") "
		"ON CONFLICT (journal, stream, first) DO UPDATE "
		"SET last = greatest(r.last, excluded.last); ",
		tenure->journal, range->stream, range->first, range->last);
}

static void
add_base(struct engine *engine, struct pg_text *sql, const struct tenure *tenure,
	const struct range *base, bool has_earlies)
{
	static const char *const tables[2][2] = {
		{"sluice_ranges", "last <="}, {"sluice_early", "position <"}};

	pg_text_add(sql,
		"INSERT INTO sluice_cursors VALUES (%d, %u, %" PRIu64 ") "
		"ON CONFLICT (journal, stream) DO UPDATE SET position = excluded.position, "
		"updated_at = excluded.updated_at; ",
		tenure->journal, base->stream, base->last);
	for (int i = 0; i < 2; i++) {
		if (i == 0 ? engine->params.config->writers > 1 : has_earlies)
			pg_text_add(sql,
				"DELETE FROM %s WHERE journal = %d AND stream = %u AND %s %" PRIu64
				"; ",
				tables[i][0], tenure->journal, base->stream, tables[i][1],
				base->last);
	}
}

/* All that says how far it is, and the end of the transaction. */
static int
write_places(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	struct pg_text *sql = begin_sql(engine);

	for (uint32_t i = 0; i < batch->nb_names; i++) {
		pg_text_add(sql, "INSERT INTO sluice_names VALUES (%" PRId64 ", ",
			(int64_t)batch->names[i]->key);
		pg_text_quote(&engine->link, sql, batch->names[i]->text);
		pg_text_add(sql, ") ON CONFLICT DO NOTHING; ");
	}
	for (uint32_t i = 0; i < batch->nb_earlies; i++)
		add_early(sql, tenure, &batch->earlies[i]);
	for (uint32_t i = 0; batch->notes_ranges && i < batch->nb_ranges; i++)
		add_range(sql, tenure, &batch->ranges[i]);
	for (uint32_t i = 0; i < batch->nb_bases; i++)
		add_base(engine, sql, tenure, &batch->bases[i], batch->has_earlies);
	pg_text_add(sql, "COMMIT");
	return run_sql(engine, NULL, error);
}

static int
postgresql_write(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
	struct sink_error *error)
{
	int rc = prepare(engine, error);

	if (rc == 0)
		rc = make_partitions(engine, batch, error);
	if (rc == 0)
		rc = write_rows(engine, tenure, batch, error);
	if (rc == 0)
		rc = write_lates(engine, tenure, batch, error);
	if (rc == 0)
		rc = write_places(engine, tenure, batch, error);
	return rc;
}

/* Both clocks have to agree that a day is over for so long. */
static int
oldest_day_kept(struct engine *engine, uint32_t *day, struct sink_error *error)
{
	uint64_t keep_days = engine->params.config->keep_days;
	int64_t today, ours = (int64_t)time(NULL) / 86400;
	int rc = get_number(
		engine, "SELECT extract(epoch FROM now())::bigint / 86400", &today, error);

	if (today > ours)
		today = ours;
	*day = today < 0 || (uint64_t)today <= keep_days ? 0
							 : (uint32_t)((uint64_t)today - keep_days);
	return rc;
}

static void
tell_dropped(struct engine *engine, const char *name)
{
	char text[160];

	snprintf(text, sizeof(text),
		"partition sluice_messages_%s is older than keep_days (%" PRIu64
		") and was dropped",
		name, engine->params.config->keep_days);
	engine->params.event(engine->params.arg, SL_LEVEL_INFO, "sink_partition_dropped", "", text);
}

/* Once for each connection, unless it is another one or for another reason. */
static void
tell_kept(struct engine *engine, uint32_t day, const char *name, const struct sink_error *error)
{
	char text[sizeof(error->text) + 160];

	if (engine->kept_day == day && strcmp(engine->kept_sqlstate, error->sqlstate) == 0)
		return;
	engine->kept_day = day;
	memcpy(engine->kept_sqlstate, error->sqlstate, sizeof(engine->kept_sqlstate));
	snprintf(text, sizeof(text),
		"partition sluice_messages_%s is older than keep_days (%" PRIu64
		") and could not be dropped: %s",
		name, engine->params.config->keep_days, error->text);
	engine->params.event(
		engine->params.arg, SL_LEVEL_WARN, "sink_partition_kept", error->sqlstate, text);
}

/*
 * Another appliance may have dropped it meanwhile. Whoever reads it for long keeps a partition
 * until the next time, and what the server refuses keeps nothing but that partition.
 */
static int
drop_partition(struct engine *engine, uint32_t day, bool *is_told, struct sink_error *error)
{
	char name[16];
	struct pg_text *sql = begin_sql(engine);
	int rc;

	day_name(day, "%Y%m%d", name, sizeof(name));
	pg_text_add(sql,
		"BEGIN; SET LOCAL lock_timeout = 1000; DROP TABLE IF EXISTS sluice_messages_%s; "
		"COMMIT",
		name);
	rc = run_sql(engine, NULL, error);
	if (rc == 0)
		tell_dropped(engine, name);
	if (rc == 0 || !pg_is_answer(&engine->link, rc))
		return rc;
	/* Of many that stay the oldest is told. */
	if (strcmp(error->sqlstate, "55P03") != 0 && !*is_told) {
		tell_kept(engine, day, name, error);
		*is_told = true;
	}
	return pg_run(&engine->link, "ROLLBACK", NULL, error);
}

static int
postgresql_tidy(struct engine *engine, struct sink_error *error)
{
	bool is_told = false;
	uint32_t oldest;
	int rc;

	if (engine->params.config->keep_days == 0)
		return 0;
	rc = oldest_day_kept(engine, &oldest, error);
	if (rc == 0)
		rc = load_days(engine, error);
	for (uint32_t i = 0; i < engine->nb_days && rc == 0; i++) {
		if (engine->days[i] < oldest)
			rc = drop_partition(engine, engine->days[i], &is_told, error);
	}
	return rc < 0 ? rc : load_days(engine, error);
}

const struct engine_ops postgresql_engine = {
	.open = postgresql_open,
	.take_over = postgresql_take_over,
	.write = postgresql_write,
	.tidy = postgresql_tidy,
	.close = postgresql_close,
	.batch_max = 32768,
};
