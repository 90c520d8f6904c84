/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What the control side tells of journal, publishers, sessions and sinks, and when it tells it by
 * itself. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control_internal.h"
#include "durable.h"
#include "metrics.h"
#include "test_config.h"

/* What the fakes tell. */
static struct {
	struct sl_journal_status journal;
	uint64_t sync_ns_max; /* Until it is asked. */
	struct sl_publishers_stats publishers;
	struct sl_publisher_stats list[3];
	struct sl_session_stats sessions[2];
	uint32_t nb_sessions;
	struct sl_sink_status sink;
	uint64_t retention_bytes, retention_ms;
} told;

static void
tell_journal(struct sl_journal *journal, struct sl_journal_status *status)
{
	(void)journal;
	*status = told.journal;
	status->sync_ns_max = told.sync_ns_max;
	told.sync_ns_max = 0;
}

static void
take_retention(struct sl_journal *journal, uint64_t bytes, uint64_t ms)
{
	(void)journal;
	told.retention_bytes = bytes;
	told.retention_ms = ms;
}

static uint32_t
tell_list(struct sl_publishers *publishers, struct sl_publisher_stats *stats, uint32_t max)
{
	uint32_t n = RTE_MIN(max, told.publishers.sessions);

	(void)publishers;
	memcpy(stats, told.list, n * sizeof(*stats));
	return n;
}

static void
tell_publishers(struct sl_publishers *publishers, struct sl_publishers_stats *stats)
{
	(void)publishers;
	*stats = told.publishers;
}

static uint32_t
tell_sessions(struct sl_datapath *datapath, uint32_t destination, uint32_t backend,
	struct sl_session_stats *stats, uint32_t max)
{
	(void)datapath;
	(void)max;
	/* t1/b1 alone has any. */
	if (destination != 0 || backend != 0)
		return 0;
	memcpy(stats, told.sessions, told.nb_sessions * sizeof(*stats));
	return told.nb_sessions;
}

static void
tell_sink(struct sl_sink *sink, struct sl_sink_status *status)
{
	(void)sink;
	*status = told.sink;
	told.sink.write_ns_max = 0;
}

static const struct sl_durable durable = {
	.journal_status = tell_journal,
	.journal_retention = take_retention,
	.publishers = (struct sl_publishers *)&told,
	.publishers_list = tell_list,
	.publishers_stats = tell_publishers,
	.sessions = tell_sessions,
	.nb_sinks = 1,
	.sink_status = tell_sink,
};

static const char text[] =
	"journal: {directory: /, max_bytes: 1G}\n" PORTS "destinations:\n"
	"  - {name: t1, guarantee: at-least-once, backends: [\n"
	"     {name: b1, address: 10.77.0.11, port: 1}, {name: b2, address: 10.77.0.12, port: 1}]}\n"
	"  - {name: t2, backends: [{name: b1, address: 10.77.0.13, port: 1}]}\n";

/* A control that has nothing but what is durable. */
struct bench {
	struct sl_control control;
	uint64_t now_ms;
	uint64_t seen; /* The event that was looked at last. */
};

static int
set_up_with(void **state, const struct sl_durable *of)
{
	static const struct sl_config_events no_hooks = {.queue = 16};
	struct bench *b = calloc(1, sizeof(*b));
	char error[256];

	assert_non_null(b);
	memset(&told, 0, sizeof(told));
	told.publishers.sessions_max = 100;
	b->control.config = parse_text(text);
	assert_int_equal(sl_notify_create("test", &no_hooks, &b->control.params.notify, error,
				 sizeof(error)),
		0);
	b->control.durable = durable_create(NULL,
		&(struct durable_params){.of = of, .notify = b->control.params.notify},
		b->control.config);
	assert_non_null(b->control.durable);
	b->now_ms = 1000000;
	*state = b;
	return 0;
}

static int
set_up(void **state)
{
	return set_up_with(state, &durable);
}

static int
set_up_without(void **state)
{
	return set_up_with(state, NULL);
}

static int
tear_down(void **state)
{
	struct bench *b = *state;

	durable_destroy(b->control.durable);
	sl_notify_destroy(b->control.params.notify, 0);
	sl_config_free(b->control.config);
	free(b);
	return 0;
}

static void
tick(struct bench *b)
{
	b->now_ms += 1000;
	durable_tick(b->control.durable, b->now_ms);
}

/* The kinds of the events since the last call, each with a blank behind it. */
static const char *
kinds(struct bench *b)
{
	static char line[1024];
	json_t *list = sl_notify_recent(b->control.params.notify, b->seen), *event;
	size_t i, len = 0;

	line[0] = '\0';
	json_array_foreach(list, i, event)
	{
		len += (size_t)snprintf(line + len, sizeof(line) - len, "%s ",
			json_string_value(json_object_get(event, "kind")));
		b->seen = (uint64_t)json_integer_value(json_object_get(event, "id"));
	}
	json_decref(list);
	return line;
}

static char *
last_text(struct bench *b)
{
	static char line[1024];
	json_t *list = sl_notify_recent(b->control.params.notify, b->seen - 1);
	const json_t *event = json_array_get(list, 0);

	snprintf(line, sizeof(line), "%s", json_string_value(json_object_get(event, "text")));
	json_decref(list);
	return line;
}

static json_t *
show(struct bench *b, view_t view)
{
	struct view_call call = {0};
	json_t *json = view(&b->control, &call);

	assert_non_null(json);
	return json;
}

static double
number(const json_t *json, const char *key)
{
	const json_t *value = json_object_get(json, key);

	assert_true(json_is_number(value));
	return json_number_value(value);
}

static const char *
word(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

static void
test_without_a_journal_every_view_is_there(void **state)
{
	struct bench *b = *state;
	json_t *json = show(b, view_journal);

	assert_string_equal(word(json, "state"), "none");
	assert_non_null(strstr(word(json, "about"), "journal: {directory: ...}"));
	json_decref(json);
	const view_t lists[] = {view_publishers, view_sessions, view_sinks};
	for (unsigned int i = 0; i < RTE_DIM(lists); i++) {
		json = show(b, lists[i]);
		assert_true(json_is_array(json));
		assert_int_equal(json_array_size(json), 0);
		json_decref(json);
	}
	json = durable_live(&b->control);
	assert_true(json_is_null(json));
	json_decref(json);
}

static void
test_the_journal_is_told_whole(void **state)
{
	struct bench *b = *state;
	json_t *json;

	told.journal = (struct sl_journal_status){.records = 7,
		.bytes = 700,
		.batches = 3,
		.syncs = 2,
		.nb_segments = 4,
		.segments_bytes = 4096,
		.pending_bytes = 5,
		.undelivered = 6,
		.incarnation = 9,
		.holder = "reader local",
		.oldest_ns = 1};
	json = show(b, view_journal);
	assert_string_equal(word(json, "state"), "OK");
	assert_string_equal(word(json, "directory"), "/");
	assert_true(json_is_null(json_object_get(json, "failure")));
	assert_true(number(json, "records") == 7);
	assert_true(number(json, "undelivered") == 6);
	assert_true(number(json, "max_bytes") == 1 << 30);
	assert_true(number(json, "retention_s") == 86400);
	assert_true(number(json, "oldest_s") > 1e9);
	assert_string_equal(word(json, "holder"), "reader local");
	assert_true(number(json_object_get(json, "disk"), "size_bytes") > 0);
	json_decref(json);
}

/* Whoever asks gets the longest sync of the last minute, also when another has asked before. */
static void
test_the_longest_sync_is_not_lost(void **state)
{
	struct bench *b = *state;
	struct sl_journal_status status;
	struct durable_rates rates;

	tick(b);
	told.sync_ns_max = 5000000;
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_max, 5000000);
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_max, 5000000);
	tick(b);
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_max, 5000000);
	told.sync_ns_max = 7000000;
	tick(b);
	for (int i = 0; i < 60; i++)
		tick(b);
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_max, 7000000);
	tick(b);
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_max, 0);
}

static void
test_rates_are_those_of_the_last_ten_seconds(void **state)
{
	struct bench *b = *state;
	struct sl_journal_status status;
	struct durable_rates rates;

	durable_journal(b->control.durable, &status, &rates);
	assert_true(rates.records_per_s == 0);
	for (int i = 0; i < 100; i++) {
		told.journal.records += i < 80 ? 1000 : 50;
		told.journal.bytes += 100;
		told.journal.syncs += 2;
		sl_hist_add(&told.journal.sync_ns, 1000);
		sl_hist_add(&told.journal.sync_ns, 2000);
		tick(b);
	}
	durable_journal(b->control.durable, &status, &rates);
	assert_true(rates.records_per_s == 50);
	assert_true(rates.bytes_per_s == 100);
	assert_true(rates.sync_ns_mean == 1500);
}

static void
test_quantiles_of_syncs_are_those_of_the_last_minute(void **state)
{
	struct bench *b = *state;
	struct sl_journal_status status;
	struct durable_rates rates;

	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_p99, 0);
	for (int i = 0; i < 98; i++)
		sl_hist_add(&told.journal.sync_ns, 1000000);
	sl_hist_add(&told.journal.sync_ns, 9000000);
	sl_hist_add(&told.journal.sync_ns, 9000000);
	for (int i = 0; i < 60; i++) {
		tick(b);
		durable_journal(b->control.durable, &status, &rates);
		assert_in_range(rates.sync_ns_p50, 1000000, 1031250);
		assert_in_range(rates.sync_ns_p99, 9000000, 9281250);
	}
	sl_hist_add(&told.journal.sync_ns, 2000000);
	for (int i = 0; i < 20; i++)
		tick(b);
	durable_journal(b->control.durable, &status, &rates);
	assert_in_range(rates.sync_ns_p50, 2000000, 2062500);
	assert_int_equal(rates.sync_ns_p50, rates.sync_ns_p99);
	for (int i = 0; i < 60; i++)
		tick(b);
	durable_journal(b->control.durable, &status, &rates);
	assert_int_equal(rates.sync_ns_p99, 0);
}

static void
test_a_full_journal_is_an_event_once(void **state)
{
	struct bench *b = *state;

	tick(b);
	assert_string_equal(kinds(b), "");
	told.journal.state = SL_JOURNAL_FULL;
	snprintf(told.journal.what, sizeof(told.journal.what), "max_bytes is used up");
	snprintf(told.journal.holder, sizeof(told.journal.holder), "undelivered messages");
	tick(b);
	tick(b);
	assert_string_equal(kinds(b), "journal_full ");
	assert_string_equal(last_text(b),
		"journal: full, nothing new is acknowledged: max_bytes is used up; the oldest file "
		"is kept by undelivered messages");
	told.journal.state = SL_JOURNAL_FAILED;
	told.journal.error = 5;
	tick(b);
	assert_string_equal(kinds(b), "journal_failed ");
	told.journal.state = SL_JOURNAL_OK;
	tick(b);
	assert_string_equal(kinds(b), "journal_recovered ");
	assert_string_equal(last_text(b), "journal: messages become durable again, after 3 s");
}

static void
test_publishers_are_listed(void **state)
{
	struct bench *b = *state;
	const json_t *row;
	json_t *json;

	told.publishers.sessions = 2;
	told.list[0] = (struct sl_publisher_stats){.session = 0xabc,
		.port = 5,
		.source = b->control.config->destinations[0].key,
		.highest = 10,
		.cumulative = 8,
		.credit_limit = 74,
		.idle_ms = 1500};
	told.list[1] = (struct sl_publisher_stats){.source = 0x1234, .highest = 10};
	json = show(b, view_publishers);
	assert_int_equal(json_array_size(json), 2);
	row = json_array_get(json, 0);
	assert_string_equal(word(row, "session"), "0000000000000abc");
	assert_string_equal(word(row, "source"), "t1");
	assert_true(number(row, "credit") == 64);
	assert_true(number(row, "idle_s") == 1.5);
	row = json_array_get(json, 1);
	assert_string_equal(word(row, "source"), "0000000000001234");
	assert_true(number(row, "credit") == 0);
	json_decref(json);
}

/* A publisher over its limit is told once a minute, with how often. */
static void
test_publishers_over_their_limit_are_told_now_and_then(void **state)
{
	struct bench *b = *state;

	told.publishers.over_limit = 5;
	tick(b);
	assert_string_equal(kinds(b), "");
	told.publishers.over_limit = 15;
	tick(b);
	assert_string_equal(kinds(b), "publisher_over_limit ");
	for (int i = 0; i < 59; i++) {
		told.publishers.over_limit++;
		tick(b);
	}
	assert_string_equal(kinds(b), "");
	tick(b);
	assert_string_equal(kinds(b), "publisher_over_limit ");
	assert_non_null(strstr(last_text(b), "59 messages"));
}

/* After a restart every session is refused once, and that is no trouble; want of room is. */
static void
test_only_want_of_room_is_a_refusal_to_tell(void **state)
{
	struct bench *b = *state;

	tick(b);
	told.publishers.refused = 50;
	told.publishers.sessions = 50;
	tick(b);
	assert_string_equal(kinds(b), "");
	told.publishers.sessions = 100;
	tick(b);
	assert_string_equal(kinds(b), "");
	told.publishers.refused = 52;
	tick(b);
	assert_string_equal(kinds(b), "publishers_refused ");
	assert_non_null(strstr(last_text(b), "2 sessions were refused"));
}

static void
test_sessions_are_listed(void **state)
{
	struct bench *b = *state;
	const json_t *row;
	json_t *json;

	told.nb_sessions = 2;
	told.sessions[0] = (struct sl_session_stats){.worker = 0,
		.session = 1,
		.in_flight = 3,
		.credit_limit = 20,
		.next_sequence = 11,
		.acked = 7,
		.srtt_ns = 1500};
	told.sessions[1] = (struct sl_session_stats){.worker = 1,
		.session = 2,
		.credit_limit = 5,
		.next_sequence = 11,
		.is_stalled = true};
	json = show(b, view_sessions);
	assert_int_equal(json_array_size(json), 2);
	row = json_array_get(json, 0);
	assert_string_equal(word(row, "destination"), "t1");
	assert_string_equal(word(row, "backend"), "b1");
	assert_true(number(row, "credit") == 10);
	assert_true(number(row, "rtt_us") == 1.5);
	row = json_array_get(json, 1);
	assert_true(number(row, "credit") == 0);
	assert_true(json_is_null(json_object_get(row, "rtt_us")));
	assert_true(json_is_true(json_object_get(row, "is_stalled")));
	json_decref(json);
}

static void
test_a_stalled_backend_is_told(void **state)
{
	struct bench *b = *state;

	told.nb_sessions = 2;
	tick(b);
	told.sessions[1].is_stalled = told.sessions[1].is_avoided = true;
	told.sessions[1].in_flight = 4;
	tick(b);
	tick(b);
	assert_string_equal(kinds(b), "backend_stalled ");
	assert_string_equal(last_text(b),
		"backend b1 of t1: has acknowledged nothing for 5000 ms: what it was sent goes to "
		"the others");
	told.sessions[1].is_stalled = told.sessions[1].is_avoided = false;
	told.sessions[1].in_flight = 0;
	told.sessions[1].requeued = 4;
	tick(b);
	assert_string_equal(kinds(b), "backend_acknowledges backend_requeued ");
	assert_string_equal(
		last_text(b), "backend b1 of t1: 4 messages were taken back for another");
	tick(b);
	assert_string_equal(kinds(b), "");
	told.sessions[0].is_stalled = true;
	tick(b);
	assert_string_equal(kinds(b), "backend_stalled ");
	assert_string_equal(last_text(b),
		"backend b1 of t1: has acknowledged nothing for 5000 ms: there is no other, what "
		"it was sent waits for it");
}

/* What is known of a backend goes along with its name. */
static void
test_a_reload_does_not_tell_again(void **state)
{
	static const char moved[] =
		"journal: {directory: /, retention: 2h, retention_bytes: 1M}\n" PORTS
		"destinations:\n"
		"  - {name: t1, guarantee: at-least-once, backends: [\n"
		"     {name: b1, address: 10.77.0.11, port: 2}]}\n"
		"  - {name: t3, guarantee: at-least-once, backends: [\n"
		"     {name: b1, address: 10.77.0.12, port: 1}]}\n";
	struct bench *b = *state;
	struct sl_config *config = parse_text(moved);
	struct durable_backends *backends;

	told.nb_sessions = 1;
	told.sessions[0].is_stalled = true;
	told.sessions[0].requeued = 3;
	tick(b);
	assert_string_equal(kinds(b), "backend_stalled backend_requeued ");
	backends = durable_follow(b->control.durable, config);
	assert_non_null(backends);
	durable_retention(b->control.durable, &config->journal);
	durable_replace(b->control.durable, config, backends);
	sl_config_free(b->control.config);
	b->control.config = config;
	assert_int_equal(told.retention_ms, 7200000);
	assert_int_equal(told.retention_bytes, 1 << 20);
	tick(b);
	assert_string_equal(kinds(b), "");
	told.sessions[0].is_stalled = false;
	tick(b);
	assert_string_equal(kinds(b), "backend_acknowledges ");
}

static void
test_sinks_are_told_with_their_failure(void **state)
{
	struct bench *b = *state;
	const json_t *row;
	json_t *json;

	told.sink = (struct sl_sink_status){.name = "local",
		.kind = SL_SINK_POSTGRESQL,
		.state = SL_SINK_BROKEN,
		.server = "db:5432/x as me",
		.rows = 5,
		.batches = 2,
		.write_ns = 4000,
		.write_ns_max = 9000,
		.lag_bytes = 100,
		.lag_ns = 2500000000,
		.retry_in_ms = 1500,
		.error_ns = 1,
		.error = "no route to host"};
	tick(b);
	json = show(b, view_sinks);
	row = json_array_get(json, 0);
	assert_string_equal(word(row, "state"), "broken");
	assert_string_equal(word(row, "kind"), "postgresql");
	assert_string_equal(word(row, "failure"), "no route to host");
	assert_true(number(row, "lag_s") == 2.5);
	assert_true(number(row, "retry_in_s") == 1.5);
	assert_true(json_is_null(json_object_get(row, "last_commit_s")));
	assert_true(number(json_object_get(row, "write_us"), "mean") == 2);
	assert_true(number(json_object_get(row, "write_us"), "max") == 9);
	json_decref(json);
}

static char *
metrics(struct bench *b)
{
	const struct metrics_source source = {
		.config = b->control.config, .durable = b->control.durable};
	struct metrics_text out;
	size_t len;
	char *made;

	b->control.config->http.metrics_destinations = 1000;
	metrics_begin(&out, false);
	assert_int_equal(metrics_durable(&out, &source), 0);
	assert_int_equal(metrics_finish(&out, &made, &len), 0);
	return made;
}

static void
test_metrics_have_it_all(void **state)
{
	static const char *const lines[] = {
		"\nsluice_journal_state{state=\"FULL\"} 1\n",
		"\nsluice_journal_state{state=\"OK\"} 0\n",
		"\nsluice_journal_records_total 7\n",
		"\nsluice_journal_sync_seconds_total 1.5\n",
		"\nsluice_journal_max_bytes 1073741824\n",
		"\nsluice_publisher_sessions_max 100\n",
		"\nsluice_session_in_flight{destination=\"t1\",backend=\"b1\"} 7\n",
		"\nsluice_session_in_flight{destination=\"t1\",backend=\"b2\"} 0\n",
		"\nsluice_session_stalled{destination=\"t1\",backend=\"b1\"} 1\n",
		"\nsluice_session_rtt_seconds{destination=\"t1\",backend=\"b1\"} 0.002\n",
		"\nsluice_sink_state{sink=\"local\",state=\"running\"} 1\n",
		"\nsluice_sink_lag_seconds{sink=\"local\"} 2.5\n",
	};
	struct bench *b = *state;
	char *made;

	told.journal = (struct sl_journal_status){
		.state = SL_JOURNAL_FULL, .records = 7, .sync_ns.sum = 1500000000};
	told.nb_sessions = 2;
	told.sessions[0] = (struct sl_session_stats){.in_flight = 3, .srtt_ns = 2000000};
	told.sessions[1] = (struct sl_session_stats){
		.in_flight = 4, .srtt_ns = 1000000, .is_stalled = true};
	told.sink = (struct sl_sink_status){
		.name = "local", .state = SL_SINK_RUNNING, .lag_ns = 2500000000};
	made = metrics(b);
	for (unsigned int i = 0; i < RTE_DIM(lines); i++) {
		if (strstr(made, lines[i]) == NULL)
			fail_msg("no %s in\n%s", lines[i], made);
	}
	assert_null(strstr(made, "t2"));
	free(made);
}

/* Families are there, so that who looks for one finds that it has no samples. */
static void
test_metrics_without_a_journal_have_no_samples(void **state)
{
	struct bench *b = *state;
	char *made = metrics(b), *line;

	assert_non_null(strstr(made, "# TYPE sluice_journal_state gauge\n"));
	assert_non_null(strstr(made, "# TYPE sluice_sink_lag_seconds gauge\n"));
	for (line = strtok(made, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (line[0] != '#')
			assert_non_null(strstr(line, "sluice_session_"));
	}
	free(made);
}

#define TEST(f)	   cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define WITHOUT(f) cmocka_unit_test_setup_teardown(f, set_up_without, tear_down)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		WITHOUT(test_without_a_journal_every_view_is_there),
		TEST(test_the_journal_is_told_whole),
		TEST(test_the_longest_sync_is_not_lost),
		TEST(test_rates_are_those_of_the_last_ten_seconds),
		TEST(test_quantiles_of_syncs_are_those_of_the_last_minute),
		TEST(test_a_full_journal_is_an_event_once),
		TEST(test_publishers_are_listed),
		TEST(test_publishers_over_their_limit_are_told_now_and_then),
		TEST(test_only_want_of_room_is_a_refusal_to_tell),
		TEST(test_sessions_are_listed),
		TEST(test_a_stalled_backend_is_told),
		TEST(test_a_reload_does_not_tell_again),
		TEST(test_sinks_are_told_with_their_failure),
		TEST(test_metrics_have_it_all),
		WITHOUT(test_metrics_without_a_journal_have_no_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
