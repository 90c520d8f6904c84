/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * libpq without its blocking calls. Cancelling (PQcancel) is not needed: it is a blocking call
 * itself, to a server that may hang; statement_timeout ends what takes too long there, keepalives
 * and client_connection_check_interval what has lost its client.
 */

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pg_link.h"

#define STATEMENT_MS 60000
/* The server gives up first, and says so. */
#define WAIT_MS	    (STATEMENT_MS + 10000)
#define VERSION_MIN 140000

/* By SQLSTATE, or the class that it begins with; the first that fits. */
static const struct {
	const char *sqlstate;
	bool is_refused;
	const char *remedy;
} remedies[] = {
	{"28", false,
		"see that the role, its password (passfile, PGPASSFILE) and pg_hba.conf agree"},
	{"2BP01", false, "drop what depends on it, or detach the partition"},
	{"3D000", false, "create the database, or name another one in conninfo"},
	{"3F000", true, "create the schema that search_path names"},
	{"42501", true, "let the role of the sink own its tables, and create some in its schema"},
	{"42P01", false,
		"a table was dropped: sluice_messages is made anew, others have to be "
		"restored"},
	{"42P07", true,
		"a table has the name of one of the sink's; rename it, or attach it to "
		"sluice_messages"},
	{"42", true,
		"its tables are not those of a sink; restore them, or give the sink another "
		"schema (search_path in conninfo)"},
	{"53100", false, "make room on the server's disk"},
	{"53300", false, "raise the server's max_connections, or lower writers"},
	{"53", false, "the server lacks resources; look at its log"},
	{"57014", false, "the server took too long; look at what it does and at its disk"},
	{"57P03", false, "the server is starting or stopping"},
	{"57P", false, "the server ended the connection"},
	{"25006", false, "it is a standby; add target_session_attrs=read-write to conninfo"},
	{"08", false, "see that the server runs and can be reached"},
	{"", false, "it is tried again"},
};

/* What libpq finds out by itself has a class of SQLSTATEs, 08, and words. */
static const struct {
	const char *words;
	const char *remedy;
} link_remedies[] = {
	{"certificate",
		"see that sslrootcert has the certificate of the server's CA, and that host is a "
		"name in the server's own"},
	{"SSL", "see that sslmode, sslrootcert, sslcert and sslkey are what the server wants"},
	{"no password supplied",
		"see that passfile exists, may be read by nobody but the sink's user (chmod 600) "
		"and has a line for this server"},
	{"service", "see that the service file (PGSERVICEFILE) exists and has this service"},
	{"name server",
		"see that one answers, and that host is a name; or add the address as hostaddr"},
	{"invalid", "correct it in conninfo, or in the service file"},
};

static const char *
link_remedy(const char *message, const char *usual)
{
	for (size_t i = 0; i < sizeof(link_remedies) / sizeof(link_remedies[0]); i++) {
		if (strstr(message, link_remedies[i].words) != NULL)
			return link_remedies[i].remedy;
	}
	return usual;
}

void
pg_fail(struct sink_error *error, const char *sqlstate, const char *message)
{
	size_t i = 0, len = strcspn(message, "\n");
	const char *remedy;

	while (strncmp(sqlstate, remedies[i].sqlstate, strlen(remedies[i].sqlstate)) != 0)
		i++;
	remedy = remedies[i].remedy;
	if (strncmp(sqlstate, "08", 2) == 0)
		remedy = link_remedy(message, remedy);
	sink_error_set(error, remedies[i].is_refused, "%s%s%.*s; %s",
		sqlstate[0] == '\0' ? "" : sqlstate, sqlstate[0] == '\0' ? "" : ": ",
		(int)(len > 160 ? 160 : len), message, remedy);
	snprintf(error->sqlstate, sizeof(error->sqlstate), "%s", sqlstate);
	error->is_too_slow = strcmp(sqlstate, "57014") == 0;
}

/* What the server said, or libpq. */
static int
fail_result(struct pg_link *link, const PGresult *result, struct sink_error *error)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	if (sqlstate == NULL)
		pg_fail(error, "08006", PQerrorMessage(link->conn));
	else
		pg_fail(error, sqlstate, message == NULL ? "no message" : message);
	return sqlstate == NULL ? -ECONNRESET : -EIO;
}

static int
fail_link(struct pg_link *link, struct sink_error *error)
{
	const char *message = PQerrorMessage(link->conn);

	pg_fail(error, "08006",
		message[strspn(message, "\n")] == '\0' ? "the connection is lost" : message);
	return -ECONNRESET;
}

uint64_t
pg_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int
pg_wait(int fd, short events, int abort_fd, uint64_t deadline_ms)
{
	struct pollfd fds[2] = {
		{.fd = fd, .events = events},
		{.fd = abort_fd, .events = POLLIN},
	};
	uint64_t now = pg_clock_ms();

	if (fd < 0)
		return 0;
	if (now >= deadline_ms)
		return -ETIMEDOUT;
	if (poll(fds, 2, (int)(deadline_ms - now)) < 0)
		return errno == EINTR ? 0 : -errno;
	return fds[1].revents != 0 ? -EINTR : 0;
}

static int
wait_for(struct pg_link *link, short events, uint64_t deadline_ms)
{
	return pg_wait(PQsocket(link->conn), events, link->abort_fd, deadline_ms);
}

int
pg_fail_wait(int rc, struct sink_error *error)
{
	if (rc == -ETIMEDOUT)
		pg_fail(error, "57014", "no answer");
	else
		sink_error_set(error, false, "%s", strerror(-rc));
	return rc;
}

int
pg_check_conninfo(const char *conninfo, struct sink_error *error)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);

	if (options == NULL) {
		sink_error_set(error, true,
			"conninfo is no connection string of libpq; write it as \"host=db.example "
			"dbname=sluice user=sluice passfile=/etc/sluice/pgpass\", values with "
			"blanks in single quotes");
		return -EINVAL;
	}
	PQconninfoFree(options);
	return 0;
}

static int
check_server(struct pg_link *link, struct sink_error *error)
{
	const char *encoding = PQparameterStatus(link->conn, "server_encoding");
	int version = PQserverVersion(link->conn);

	if (version < VERSION_MIN) {
		sink_error_set(error, true, "the server is PostgreSQL %d; use 14 or later",
			version / 10000);
		return -EPROTO;
	}
	if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
		sink_error_set(error, true,
			"the database's encoding is %s; create one with ENCODING 'UTF8' TEMPLATE "
			"template0",
			encoding == NULL ? "unknown" : encoding);
		return -EPROTO;
	}
	return 0;
}

/*
 * A commit has to be on the server's disk before the journal may forget. Rows are reached by their
 * index: without statistics of a table that grows as fast, the planner would rather read all of it.
 */
static int
set_session(struct pg_link *link, struct sink_error *error)
{
	char sql[512];

	snprintf(sql, sizeof(sql),
		"SET statement_timeout = %d; SET lock_timeout = 30000; SET client_min_messages = "
		"warning; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; "
		"SET enable_mergejoin = off; SET tcp_keepalives_idle = 10; "
		"SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
		"SELECT set_config('synchronous_commit', 'on', false) "
		"WHERE current_setting('synchronous_commit') = 'off'",
		STATEMENT_MS);
	return pg_run(link, sql, NULL, error);
}

int
pg_connect(struct pg_link *link, const char *conninfo, const char *application, char *server,
	size_t server_len, struct sink_error *error)
{
	struct sink_error ignored;
	int rc;

	rc = pg_dial(link, conninfo, application, error);
	/* Not of one that libpq did not understand. */
	if (PQhost(link->conn) != NULL && PQuser(link->conn) != NULL)
		snprintf(server, server_len, "%s:%s/%s as %s", PQhost(link->conn),
			PQport(link->conn), PQdb(link->conn), PQuser(link->conn));
	if (rc < 0)
		return rc;
	PQsetErrorVerbosity(link->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(link->conn, 1) != 0)
		return fail_link(link, error);
	rc = check_server(link, error);
	if (rc == 0)
		rc = set_session(link, error);
	/* Not every system can do that. */
	if (rc == 0)
		rc = pg_run(link, "SET client_connection_check_interval = 5000", NULL, &ignored);
	return rc == -EIO ? 0 : rc;
}

void
pg_close(struct pg_link *link)
{
	PQfinish(link->conn);
	link->conn = NULL;
}

static int
flush(struct pg_link *link, struct sink_error *error)
{
	uint64_t deadline_ms = pg_clock_ms() + WAIT_MS;
	int left, rc;

	while ((left = PQflush(link->conn)) > 0) {
		rc = wait_for(link, POLLIN | POLLOUT, deadline_ms);
		if (rc < 0)
			return pg_fail_wait(rc, error);
		if (PQconsumeInput(link->conn) == 0)
			return fail_link(link, error);
	}
	return left < 0 ? fail_link(link, error) : 0;
}

/* The next result; NULL when there is none any more. */
static int
next_result(struct pg_link *link, PGresult **result, struct sink_error *error)
{
	uint64_t deadline_ms = pg_clock_ms() + WAIT_MS;
	int rc;

	while (PQisBusy(link->conn)) {
		rc = wait_for(link, POLLIN, deadline_ms);
		if (rc < 0)
			return pg_fail_wait(rc, error);
		if (PQconsumeInput(link->conn) == 0)
			return fail_link(link, error);
	}
	*result = PQgetResult(link->conn);
	return 0;
}

/* Take all results; what fails first counts. With `until_copy` the last is that of a COPY. */
static int
take_results(struct pg_link *link, bool until_copy, PGresult **rows, uint64_t *nb_rows,
	struct sink_error *error)
{
	PGresult *result = NULL;
	int rc = 0, failed = 0;

	while ((rc = next_result(link, &result, error)) == 0 && result != NULL) {
		ExecStatusType status = PQresultStatus(result);

		if (status == PGRES_COPY_IN && until_copy) {
			PQclear(result);
			return 0;
		}
		if (status == PGRES_TUPLES_OK && rows != NULL) {
			PQclear(*rows);
			*rows = result;
			continue;
		}
		if (status == PGRES_COMMAND_OK && nb_rows != NULL)
			*nb_rows = strtoull(PQcmdTuples(result), NULL, 10);
		else if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && failed == 0)
			failed = fail_result(link, result, error);
		PQclear(result);
	}
	if (rc == 0 && failed == 0 && until_copy) {
		sink_error_set(error, false, "the server began no COPY");
		return -EPROTO;
	}
	return failed != 0 ? failed : rc;
}

static int
send_query(struct pg_link *link, const char *sql, struct sink_error *error)
{
	if (PQsendQuery(link->conn, sql) == 0)
		return fail_link(link, error);
	return flush(link, error);
}

int
pg_run(struct pg_link *link, const char *sql, PGresult **rows, struct sink_error *error)
{
	int rc = send_query(link, sql, error);

	return rc < 0 ? rc : take_results(link, false, rows, NULL, error);
}

bool
pg_is_answer(const struct pg_link *link, int rc)
{
	return rc == -EIO && PQstatus(link->conn) == CONNECTION_OK;
}

int
pg_prepare(struct pg_link *link, const char *name, const char *sql, struct sink_error *error)
{
	int rc;

	if (PQsendPrepare(link->conn, name, sql, 0, NULL) == 0)
		return fail_link(link, error);
	rc = flush(link, error);
	return rc < 0 ? rc : take_results(link, false, NULL, NULL, error);
}

int
pg_run_prepared(struct pg_link *link, const char *name, const struct pg_param *params,
	int nb_params, uint64_t *nb_rows, struct sink_error *error)
{
	const char *values[16];
	int lengths[16], formats[16], rc;

	for (int i = 0; i < nb_params; i++) {
		values[i] = params[i].data;
		lengths[i] = (int)params[i].len;
		formats[i] = 1;
	}
	if (PQsendQueryPrepared(link->conn, name, nb_params, values, lengths, formats, 1) == 0)
		return fail_link(link, error);
	rc = flush(link, error);
	return rc < 0 ? rc : take_results(link, false, NULL, nb_rows, error);
}

int
pg_copy_begin(struct pg_link *link, const char *sql, PGresult **rows, struct sink_error *error)
{
	int rc = send_query(link, sql, error);

	return rc < 0 ? rc : take_results(link, true, rows, NULL, error);
}

int
pg_copy_put(struct pg_link *link, const void *data, size_t len, struct sink_error *error)
{
	if (PQputCopyData(link->conn, data, (int)len) != 1)
		return fail_link(link, error);
	return flush(link, error);
}

int
pg_copy_end(struct pg_link *link, struct sink_error *error)
{
	int rc;

	if (PQputCopyEnd(link->conn, NULL) != 1)
		return fail_link(link, error);
	rc = flush(link, error);
	return rc < 0 ? rc : take_results(link, false, NULL, NULL, error);
}

void
pg_text_add(struct pg_text *text, const char *format, ...)
{
	va_list args;
	int len;

	for (int pass = 0; pass < 2 && !text->is_failed; pass++) {
		size_t room = text->size - text->len;
		char *grown;

		va_start(args, format);
		len = vsnprintf(
			text->text == NULL ? NULL : text->text + text->len, room, format, args);
		va_end(args);
		if (len >= 0 && (size_t)len < room) {
			text->len += (size_t)len;
			return;
		}
		grown = len < 0 ? NULL : realloc(text->text, 2 * text->size + (size_t)len + 256);
		if (grown == NULL) {
			text->is_failed = true;
			return;
		}
		text->text = grown;
		text->size = 2 * text->size + (size_t)len + 256;
	}
}

void
pg_text_quote(struct pg_link *link, struct pg_text *text, const char *value)
{
	char *quoted = PQescapeLiteral(link->conn, value, strlen(value));

	if (quoted == NULL)
		text->is_failed = true;
	else
		pg_text_add(text, "%s", quoted);
	PQfreemem(quoted);
}

void
pg_text_free(struct pg_text *text)
{
	free(text->text);
	*text = (struct pg_text){0};
}
