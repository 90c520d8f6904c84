/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Drains the journal of a stopped appliance into a database. */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "options.h"
#include "sl_sink.h"

#define EXIT_DRAINED 0
#define EXIT_LEFT    1
#define EXIT_USAGE   2

#define POLL_US 2000

static volatile sig_atomic_t is_ending;

static void
on_signal(int number)
{
	is_ending = number;
}

static void
on_event(void *arg, const struct sl_sink_event *event)
{
	(void)arg;
	fprintf(stderr, "sluice-sink: %s: %s\n", event->kind, event->text);
}

/* The sink of the appliance's file that is meant. */
static const struct sl_config_sink *
choose(const struct options *options, const struct sl_config *config)
{
	for (uint32_t i = 0; i < config->nb_sinks; i++) {
		if (options->sink == NULL ? config->nb_sinks == 1
					  : strcmp(config->sinks[i].name, options->sink) == 0)
			return &config->sinks[i];
	}
	if (options->sink != NULL)
		fprintf(stderr, "sluice-sink: --sink %s: %s has no such sink\n", options->sink,
			options->config);
	else
		fprintf(stderr, "sluice-sink: %s has %" PRIu32 " sinks; name one with --sink\n",
			options->config, config->nb_sinks);
	return NULL;
}

/* @return 0; or -1 after a line on standard error */
static int
make_params(struct options *options, struct sl_config **config, struct sl_sink_params *params)
{
	char error[512];

	*params = (struct sl_sink_params){
		.config = &options->own,
		.node = options->node,
		.directory = options->journal,
		.event = on_event,
	};
	if (options->config == NULL) {
		options->own.name = (char *)(uintptr_t) "sluice-sink";
		return 0;
	}
	if (sl_config_load(options->config, config, error, sizeof(error)) < 0) {
		fprintf(stderr, "sluice-sink: %s\n", error);
		return -1;
	}
	params->node = (*config)->node;
	params->directory = (*config)->journal.directory;
	params->config = choose(options, *config);
	for (uint32_t i = 0; i < (*config)->nb_classes; i++)
		params->levels[i] = (uint8_t)(*config)->classes[i].level;
	return params->config == NULL ? -1 : 0;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until all is written, it failed for too long, or somebody wants it to end. */
static void
wait_for(struct sl_sink *sink, const struct options *options)
{
	struct sl_sink_status status;
	uint64_t down_ms = 0;

	while (!is_ending) {
		sl_sink_get_status(sink, &status);
		if (status.is_drained && !options->is_following)
			return;
		if (status.state == SL_SINK_RUNNING)
			down_ms = 0;
		else if (status.state >= SL_SINK_RETRYING && down_ms == 0)
			down_ms = now_ms();
		if (down_ms != 0 && now_ms() - down_ms >= options->retry_s * UINT64_C(1000))
			return;
		usleep(POLL_US);
	}
}

static int
report(const struct sl_sink_status *status, bool is_json)
{
	json_t *json;

	if (!is_json) {
		printf("%" PRIu64 " messages inserted, %" PRIu64 " updated, in %" PRIu64
		       " transactions; %" PRIu64 " failures; %s\n",
			status->rows, status->updates, status->batches, status->failures,
			status->is_drained ? "nothing is left" : "not all is written");
		return fflush(stdout);
	}
	json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:s}", "server",
		status->server, "rows", (json_int_t)status->rows, "updates",
		(json_int_t)status->updates, "batches", (json_int_t)status->batches, "bytes",
		(json_int_t)status->bytes, "write_ns", (json_int_t)status->write_ns, "failures",
		(json_int_t)status->failures, "gaps", (json_int_t)status->gaps, "drained",
		status->is_drained, "sqlstate", status->sqlstate, "error", status->error);
	if (json == NULL || json_dumpf(json, stdout, 0) < 0)
		return -1;
	json_decref(json);
	printf("\n");
	return fflush(stdout);
}

static int
drain(const struct options *options, const struct sl_sink_params *params)
{
	struct sl_sink_status status;
	struct sl_sink *sink;
	char error[512];
	int rc;

	if (sl_sink_create(params, &sink, error, sizeof(error)) < 0) {
		fprintf(stderr, "sluice-sink: %s\n", error);
		return EXIT_LEFT;
	}
	rc = sl_sink_start(sink);
	if (rc < 0)
		fprintf(stderr, "sluice-sink: no thread: %s\n", strerror(-rc));
	else
		wait_for(sink, options);
	/* Stopping writes what it can. */
	sl_sink_stop(sink);
	sl_sink_get_status(sink, &status);
	sl_sink_destroy(sink);
	if (report(&status, options->is_json) != 0)
		return EXIT_LEFT;
	return rc == 0 && status.is_drained ? EXIT_DRAINED : EXIT_LEFT;
}

static int
print_schema(const struct options *options)
{
	char *sql = sl_sink_schema(options->own.kind, options->schema_version);

	if (sql == NULL) {
		fprintf(stderr, "sluice-sink: --schema-version %" PRIu32 ": there is none such\n",
			options->schema_version);
		return EXIT_USAGE;
	}
	fputs(sql, stdout);
	free(sql);
	return fflush(stdout) == 0 ? EXIT_DRAINED : EXIT_LEFT;
}

int
main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct sl_config *config = NULL;
	struct sl_sink_params params;
	struct options options;
	int rc;

	if (options_parse(&options, argc, argv) < 0)
		return EXIT_USAGE;
	if (options.is_help) {
		options_print_help();
		return EXIT_DRAINED;
	}
	if (options.is_version) {
		printf("sluice-sink %s\n", SLUICE_VERSION);
		return EXIT_DRAINED;
	}
	if (options.is_schema)
		return print_schema(&options);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	rc = make_params(&options, &config, &params) < 0 ? EXIT_USAGE : drain(&options, &params);
	sl_config_free(config);
	return rc;
}
