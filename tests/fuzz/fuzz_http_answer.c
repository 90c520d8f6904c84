/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * Whatever a server answers to a health check, in whatever pieces, there is at most one verdict,
 * and nothing is touched behind it. The first byte chooses the size of the pieces and whether a
 * body is looked for; the rest is the answer.
 */
#include <stdarg.h>

#include "../../lib/check/http.c"

static struct sl_config_check config = {.status_min = 200, .status_max = 399};
static struct backend backend;
static int nb_verdicts;

const struct sl_config_check *
run_config(const struct run *run)
{
	(void)run;
	return &config;
}

/* As the real one, it frees what the run holds. */
void
run_finish(struct run *run, bool is_ok, enum sl_health_reason reason, int32_t code,
	const char *format, ...)
{
	char text[TEXT_MAX];
	va_list args;

	(void)reason;
	(void)code;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (is_ok && config.body == NULL && ((struct http_state *)run->state)->status < 200)
		abort();
	free(run->state);
	free(run->out);
	free(run);
	nb_verdicts++;
}

void
run_void(struct run *run)
{
	(void)run;
	abort();
}

void
socket_open(struct run *run, int type, event_callback_fn on_event)
{
	(void)run;
	(void)type;
	(void)on_event;
}

void
socket_watch(struct run *run, short what, event_callback_fn on_event)
{
	(void)run;
	(void)what;
	(void)on_event;
}

void
socket_failed(struct run *run, int error)
{
	(void)run;
	(void)error;
}

int
socket_send(struct run *run)
{
	(void)run;
	return 1;
}

void
socket_stop(struct run *run)
{
	(void)run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run *run = calloc(1, sizeof(*run));
	size_t piece;

	if (run == NULL || len == 0) {
		free(run);
		return 0;
	}
	piece = data[0] % 64 == 0 ? READ_MAX : data[0] % 64;
	config.body = data[0] & 64 ? (char *)(uintptr_t) "well" : NULL;
	run->backend = &backend;
	nb_verdicts = 0;
	http_start(run);
	for (size_t at = 1; at < len && nb_verdicts == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		char *copy = malloc(n);
		struct http_state *state = run->state;

		if (copy == NULL)
			abort();
		/* A copy of its own, so that reading behind a piece is seen. */
		memcpy(copy, data + at, n);
		if ((state->is_header_done ? take_body(run, copy, n) : take_header(run, copy, n)) !=
			(nb_verdicts == 0))
			abort();
		free(copy);
	}
	if (nb_verdicts == 0)
		on_end(run);
	if (nb_verdicts != 1)
		abort();
	return 0;
}
