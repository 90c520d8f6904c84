/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
/*
 * Bytes of a client of the line protocol, in pieces. The first two bytes choose the size of the
 * pieces and how long a line may be; the rest is what it sends.
 *
 *   - The lines found in pieces are those of the whole.
 *   - What a command points to lies in its line, and its topic is one.
 *   - No more is kept than a line may have, and a piece.
 *   - What is replicated and cleared is counted right, and the store keeps its bounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "line_protocol.h"
#include "line_store.h"
#include "lines.h"
#include "name.h"

#define TOPIC_MAX   63
#define STORED_MAX  16
#define STORE_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_line: %s\n", what);
	abort();
}

static void
require_inside(const char *line, size_t len, const char *at, size_t at_len)
{
	require(at_len == 0 || (at >= line && at + at_len <= line + len),
		"a field lies outside of its line");
}

static void
on_command(struct line_store *store, const struct line_command *command)
{
	uint32_t count = line_store_count(store);
	uint64_t bytes = line_store_bytes(store), len = command->topic_len + command->payload_len;
	int ret;

	if (command->verb == LINE_REPLICATE) {
		ret = line_store_add(store, command->topic, command->topic_len, command->payload,
			command->payload_len);
		require((ret == 0) == (count < STORED_MAX && bytes + len <= STORE_BYTES),
			"the store has other bounds");
		require(line_store_count(store) == count + (ret == 0), "the store miscounts");
	} else if (command->verb == LINE_CLEAR &&
		line_store_clear(store, command->topic, command->topic_len, command->payload,
			command->payload_len)) {
		require(line_store_count(store) == count - 1 &&
				line_store_bytes(store) == bytes - len,
			"the store clears something else");
	}
}

/* A copy of its own, so that reading behind the line is seen. */
static void
on_line(struct line_store *store, const char *line, size_t len)
{
	char *copy = malloc(len == 0 ? 1 : len);
	struct line_command command;
	enum line_fault fault;

	if (copy == NULL)
		abort();
	memcpy(copy, line, len);
	fault = line_parse(copy, len, TOPIC_MAX, &command);
	require(line_fault_text(fault)[0] != '\0', "a fault has no text");
	if (fault == LINE_FINE) {
		require_inside(copy, len, command.topic, command.topic_len);
		require_inside(copy, len, command.payload, command.payload_len);
		require(command.topic_len <= TOPIC_MAX, "a topic is too long");
		require(gw_name_is_valid(command.topic, command.topic_len), "a topic is none");
		on_command(store, &command);
	}
	free(copy);
}

/* The next line of the whole, by the obvious way. @return false: no more */
static bool
next_of_whole(
	const char **at, const char *end, size_t max, const char **line, size_t *len, bool *is_long)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	*line = *at;
	*len = (size_t)((newline == NULL ? end : newline) - *at);
	*is_long = *len > max;
	*at = newline == NULL ? end : newline + 1;
	return newline != NULL || *is_long;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_store *store;
	struct evbuffer *input;
	struct gw_lines lines = {0};
	struct gw_lines_turn turn;
	enum gw_lines_found found;
	const char *at, *end, *line, *wanted;
	size_t piece, max, len, wanted_len;
	bool is_long;

	if (size < 2)
		return 0;
	piece = 1 + data[0];
	max = 1 + data[1];
	at = (const char *)data + 2;
	end = (const char *)data + size;
	store = line_store_create(STORED_MAX, STORE_BYTES, data[0]);
	input = evbuffer_new();
	if (store == NULL || input == NULL)
		abort();
	for (const char *from = at; from < end; from += len) {
		len = (size_t)(end - from) < piece ? (size_t)(end - from) : piece;
		evbuffer_add_reference(input, from, len, NULL, NULL);
		gw_lines_begin(&turn, &lines, input, max);
		while ((found = gw_lines_next(&turn, &line, &wanted_len)) != GW_LINES_END) {
			size_t got = wanted_len;

			require(next_of_whole(&at, end, max, &wanted, &wanted_len, &is_long),
				"a line too many");
			require(is_long == (found == GW_LINES_LONG), "too long is misjudged");
			require(is_long ? got <= wanted_len : got == wanted_len, "another length");
			require(memcmp(line, wanted, got) == 0, "another line");
			if (found == GW_LINES_LINE)
				on_line(store, line, got);
		}
		gw_lines_end(&turn);
		require(evbuffer_get_length(input) <= max, "more is kept than a line may have");
	}
	require(!next_of_whole(&at, end, max, &wanted, &wanted_len, &is_long), "a line is missing");
	evbuffer_free(input);
	line_store_destroy(store);
	return 0;
}
