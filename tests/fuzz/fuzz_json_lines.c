/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * Whatever comes in a line, what is taken of it is within its bounds, a refusal has its reason, and
 * what is delivered of it is one line that is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "json_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
require(bool is_so)
{
	if (!is_so)
		abort();
}

static bool
is_same(const struct gw_text *a, const struct gw_text *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

static char *
terminated(const struct gw_text *text)
{
	return strndup(text->at, text->len);
}

static size_t
write_line(char **buf, const struct gw_delivery *d, const struct json_names *names)
{
	enum json_form form = json_payload_form(d->payload, d->payload_len);
	size_t max = json_line_max(d, names, form), len;

	*buf = malloc(max);
	require(*buf != NULL);
	len = json_line_write(*buf, d, names, form, 2);
	require(len <= max && memchr(*buf, '\n', len) == *buf + len - 1);
	return len;
}

static void
deliver(const struct json_line *line)
{
	static struct json_line again;
	struct json_names names = {
		terminated(&line->source), terminated(&line->destination), terminated(&line->type)};
	struct gw_delivery d = {
		.id_text = line->id.at,
		.id_text_len = line->id.len,
		.timestamp_ns = line->timestamp_ns,
		.priority = line->priority,
		.payload = (const uint8_t *)line->payload.at,
		.payload_len = line->payload.len,
	};
	char *buf;
	size_t len = write_line(&buf, &d, &names);

	require(json_line_read(buf, len - 1, &again) && again.is_message);
	require(is_same(&again.id, &line->id) && is_same(&again.source, &line->source) &&
		is_same(&again.destination, &line->destination) &&
		is_same(&again.type, &line->type) && again.payload.len == line->payload.len &&
		again.priority == line->priority && again.timestamp_ns == line->timestamp_ns);
	free(buf);
	free((char *)(uintptr_t)names.source);
	free((char *)(uintptr_t)names.destination);
	free((char *)(uintptr_t)names.type);
}

static void
check_text(const struct gw_text *text)
{
	require(text->len >= 1 && text->len <= JSON_TEXT_MAX &&
		memchr(text->at, '\0', text->len) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct json_line line;
	const struct gw_delivery d = {.payload = data, .payload_len = len};
	char *copy;

	/* Any bytes may be a payload. */
	len = write_line(&copy, &d, &(struct json_names){NULL});
	require(json_line_read(copy, len - 1, &line) || line.reason[0] != '\0');
	free(copy);
	len = d.payload_len;
	copy = malloc(len == 0 ? 1 : len);
	require(copy != NULL);
	memcpy(copy, data, len);
	if (!json_line_read(copy, len, &line)) {
		require(line.reason[0] != '\0' && strlen(line.reason) < sizeof(line.reason));
	} else if (line.is_message) {
		check_text(&line.id);
		check_text(&line.source);
		check_text(&line.destination);
		check_text(&line.type);
		require(line.priority >= 1 && line.priority <= JSON_PRIORITY_MAX);
		require(line.payload.len >= 2 && line.payload.at[0] == '{');
		if (memchr(copy, '\n', len) == NULL)
			deliver(&line);
	} else {
		require(line.subscribe.at != NULL || line.unsubscribe.at != NULL ||
			line.received.at != NULL || line.has_acks);
		if (line.as.at == NULL)
			goto out;
		check_text(&line.as);
		require((line.subscribe.at == NULL) != (line.unsubscribe.at == NULL));
	}
out:
	free(copy);
	return 0;
}
