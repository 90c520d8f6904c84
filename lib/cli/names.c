/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The names that completion offers: those of the appliance's destinations, backends, ... */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_internal.h"

/* So old an answer still does: somebody presses TAB several times on one line. */
#define FRESH_MS 1000

/* Nobody waits longer for a completion. */
#define PATIENCE_MS 1000

/* The names that were asked for last. */
struct sl_cli_cache {
	enum sl_cli_type type;
	char destination[256];
	uint64_t until_ms;
	json_t *rows;
};

static const char *
view_of(enum sl_cli_type type)
{
	switch (type) {
	case SL_CLI_DESTINATION:
		return "destinations";
	case SL_CLI_BACKEND:
		return "backends";
	case SL_CLI_PORT:
	case SL_CLI_PORT_OR_ALL:
		return "ports";
	case SL_CLI_CLASS:
	case SL_CLI_LEVEL:
		return "classes";
	default:
		return NULL;
	}
}

/* Whoever presses TAB without an appliance gets no names, and no complaint. */
static json_t *
ask(struct sl_cli *cli, enum sl_cli_type type, const char *destination)
{
	Sluice__Control__V1__Request request = SLUICE__CONTROL__V1__REQUEST__INIT;
	Sluice__Control__V1__Show show = SLUICE__CONTROL__V1__SHOW__INIT;
	Sluice__Control__V1__Response *response;
	char *argument = (char *)(uintptr_t)destination;
	char error[256];
	json_t *rows;

	show.view = (char *)(uintptr_t)view_of(type);
	if (type == SL_CLI_BACKEND) {
		show.arguments = &argument;
		show.n_arguments = 1;
	}
	request.command_case = SLUICE__CONTROL__V1__REQUEST__COMMAND_SHOW;
	request.show = &show;
	if (sl_cli_client_request(
		    &cli->client, &request, PATIENCE_MS, &response, error, sizeof(error)) != 0)
		return NULL;
	rows = json_loads(response->json, 0, NULL);
	sluice__control__v1__response__free_unpacked(response, NULL);
	return rows;
}

static const json_t *
rows_of(struct sl_cli *cli, enum sl_cli_type type, const char *destination)
{
	struct sl_cli_cache *cache = cli->cache;

	if (cache == NULL)
		cache = cli->cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return NULL;
	if (cache->type == type && strcmp(cache->destination, destination) == 0 &&
		sl_cli_now_ms() < cache->until_ms)
		return cache->rows;
	json_decref(cache->rows);
	cache->type = type;
	snprintf(cache->destination, sizeof(cache->destination), "%s", destination);
	cache->rows = ask(cli, type, destination);
	cache->until_ms = sl_cli_now_ms() + FRESH_MS;
	return cache->rows;
}

void
sl_cli_names(
	void *arg, enum sl_cli_type type, const char *destination, struct sl_cli_choices *choices)
{
	struct sl_cli *cli = arg;
	char word[3 * 256];
	json_t *row;
	size_t i;

	if (view_of(type) == NULL)
		return;
	json_array_foreach(rows_of(cli, type, destination), i, row)
	{
		const char *name = json_string_value(json_object_get(row, "name"));

		if (type == SL_CLI_LEVEL)
			snprintf(word, sizeof(word), "%" JSON_INTEGER_FORMAT,
				json_integer_value(json_object_get(row, "level")));
		else if (name == NULL || sl_cli_encode(name, word, sizeof(word)) != 0)
			continue;
		sl_cli_choices_add(choices, word, strlen(word));
	}
}

void
sl_cli_cache_free(struct sl_cli_cache *cache)
{
	if (cache == NULL)
		return;
	json_decref(cache->rows);
	free(cache);
}
