/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * An eponymous virtual table (SQLite, "The Virtual Table Mechanism Of SQLite"): there is no
 * xCreate, so that no database can name it in its schema. Text and payloads are given as they lie
 * in the batch, which outlives the statement.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_wire.h"
#include "sqlite_rows.h"

/* In the order of SQLITE_ROW_COLUMNS. */
enum {
	COLUMN_REF,
	COLUMN_RECEIVED,
	COLUMN_DELIVERED,
	COLUMN_SOURCE_TIME,
	COLUMN_CREATED_AT,
	COLUMN_ATTEMPTS,
	COLUMN_PRIORITY,
	COLUMN_STATUS,
	COLUMN_DESTINATION,
	COLUMN_SOURCE,
	COLUMN_TYPE,
	COLUMN_ID,
	COLUMN_ID_TEXT,
	COLUMN_PAYLOAD,
};

struct table {
	sqlite3_vtab base;
	const struct sqlite_rows *rows;
};

struct cursor {
	sqlite3_vtab_cursor base;
	const struct sqlite_rows *rows;
	uint32_t at;
	const uint8_t *message; /* Of the row at it. */
};

static int
table_connect(sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **made,
	char **error)
{
	struct table *table;
	int rc = sqlite3_declare_vtab(db, "CREATE TABLE rows (" SQLITE_ROW_COLUMNS ")");

	(void)argc;
	(void)argv;
	(void)error;
	if (rc != SQLITE_OK)
		return rc;
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return SQLITE_NOMEM;
	table->rows = arg;
	*made = &table->base;
	return SQLITE_OK;
}

static int
table_disconnect(sqlite3_vtab *table)
{
	free(table);
	return SQLITE_OK;
}

/* There is one way to read it: from the first row to the last. */
static int
table_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedCost = 1;
	return SQLITE_OK;
}

static int
cursor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **opened)
{
	struct cursor *cursor = calloc(1, sizeof(*cursor));

	if (cursor == NULL)
		return SQLITE_NOMEM;
	cursor->rows = ((const struct table *)table)->rows;
	*opened = &cursor->base;
	return SQLITE_OK;
}

static int
cursor_close(sqlite3_vtab_cursor *cursor)
{
	free(cursor);
	return SQLITE_OK;
}

static void
seek(struct cursor *cursor, uint32_t at)
{
	uint32_t len;

	cursor->at = at;
	if (at < cursor->rows->nb_rows)
		cursor->message = sl_record_message_of(cursor->rows->rows[at].record, &len);
}

static int
cursor_filter(
	sqlite3_vtab_cursor *cursor, int number, const char *name, int argc, sqlite3_value **argv)
{
	(void)number;
	(void)name;
	(void)argc;
	(void)argv;
	seek((struct cursor *)cursor, 0);
	return SQLITE_OK;
}

static int
cursor_next(sqlite3_vtab_cursor *base)
{
	struct cursor *cursor = (struct cursor *)base;

	seek(cursor, cursor->at + 1);
	return SQLITE_OK;
}

static int
cursor_eof(sqlite3_vtab_cursor *base)
{
	const struct cursor *cursor = (const struct cursor *)base;

	return cursor->at >= cursor->rows->nb_rows;
}

static int
cursor_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid)
{
	*rowid = ((const struct cursor *)cursor)->at;
	return SQLITE_OK;
}

static void
give_time(sqlite3_context *to, uint64_t ns)
{
	if (sqlite_is_time(ns))
		sqlite3_result_int64(to, (int64_t)ns);
	else
		sqlite3_result_null(to);
}

/* A key whose name nobody has told stands for itself. */
static void
give_name(sqlite3_context *to, const struct name *name, const uint8_t *key)
{
	char hex[17];

	if (name != NULL) {
		sqlite3_result_text(to, name->text, (int)name->len, SQLITE_STATIC);
		return;
	}
	snprintf(hex, sizeof(hex), "%016" PRIx64, sl_wire_get64(key));
	sqlite3_result_text(to, hex, 16, SQLITE_TRANSIENT);
}

static void
give_id(sqlite3_context *to, const uint8_t *message)
{
	const uint64_t id[2] = {
		__builtin_bswap64(sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH)),
		__builtin_bswap64(sl_wire_get64(message + SL_WIRE_OFF_ID_LOW)),
	};

	sqlite3_result_blob(to, id, sizeof(id), SQLITE_TRANSIENT);
}

static void
give_id_text(sqlite3_context *to, const struct row *row)
{
	const uint8_t *text;
	uint32_t len = 0;
	char *clean;

	text = row_id_text(row, &len);
	if (text == NULL) {
		sqlite3_result_null(to);
	} else if (text_is_clean(text, len)) {
		sqlite3_result_text(to, (const char *)text, (int)len, SQLITE_STATIC);
	} else {
		clean = malloc(TEXT_CLEAN_MAX(len));
		if (clean == NULL)
			sqlite3_result_error_nomem(to);
		else
			sqlite3_result_text(to, clean, (int)text_clean(clean, text, len), free);
	}
}

static void
give_payload(sqlite3_context *to, const struct row *row)
{
	uint32_t len = 0;
	const uint8_t *payload = row_payload(row, &len);

	/* Without a place it would be NULL. */
	sqlite3_result_blob(
		to, payload == NULL ? (const void *)"" : payload, (int)len, SQLITE_STATIC);
}

static void
give_number(sqlite3_context *to, const struct cursor *cursor, int column)
{
	const struct row *row = &cursor->rows->rows[cursor->at];
	const struct sl_record *record = &row->record->record;

	switch (column) {
	case COLUMN_REF:
		sqlite3_result_int64(to,
			sqlite_key_of(cursor->rows->tenure->journal,
				sl_record_ref_of(row->stream, record->position)));
		break;
	case COLUMN_RECEIVED:
		sqlite3_result_int64(to, (int64_t)record->time_ns);
		break;
	case COLUMN_DELIVERED:
		give_time(to, row->delivered_ns);
		break;
	case COLUMN_SOURCE_TIME:
		give_time(to, sl_wire_get64(cursor->message + SL_WIRE_OFF_TIMESTAMP));
		break;
	case COLUMN_CREATED_AT:
		sqlite3_result_int64(to, cursor->rows->created_ns);
		break;
	case COLUMN_ATTEMPTS:
		sqlite3_result_int(to, row->attempts);
		break;
	case COLUMN_PRIORITY:
		sqlite3_result_int(to, row->level);
		break;
	}
}

static int
cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *to, int column)
{
	const struct cursor *cursor = (const struct cursor *)base;
	const struct row *row = &cursor->rows->rows[cursor->at];
	const uint8_t *message = cursor->message;

	switch (column) {
	case COLUMN_STATUS:
		sqlite3_result_text(to, row_status_names[row->status], -1, SQLITE_STATIC);
		break;
	case COLUMN_DESTINATION:
		give_name(to, row->destination, message + SL_WIRE_OFF_DEST);
		break;
	case COLUMN_SOURCE:
		give_name(to, row->source, message + SL_WIRE_OFF_SOURCE);
		break;
	case COLUMN_TYPE:
		give_name(to, row->type, message + SL_WIRE_OFF_TYPE);
		break;
	case COLUMN_ID:
		give_id(to, message);
		break;
	case COLUMN_ID_TEXT:
		give_id_text(to, row);
		break;
	case COLUMN_PAYLOAD:
		give_payload(to, row);
		break;
	default:
		give_number(to, cursor, column);
	}
	return SQLITE_OK;
}

int
sqlite_rows_register(sqlite3 *db, struct sqlite_rows *rows)
{
	static const sqlite3_module module = {
		.xConnect = table_connect,
		.xBestIndex = table_best_index,
		.xDisconnect = table_disconnect,
		.xOpen = cursor_open,
		.xClose = cursor_close,
		.xFilter = cursor_filter,
		.xNext = cursor_next,
		.xEof = cursor_eof,
		.xColumn = cursor_column,
		.xRowid = cursor_rowid,
	};

	return sqlite3_create_module_v2(db, SQLITE_ROWS_TABLE, &module, rows, NULL);
}
