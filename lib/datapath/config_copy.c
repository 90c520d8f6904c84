/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "dp.h"

/*
 * What the path goes on needing of a configuration: its numbers, the ports with their names, the
 * lcores. What is in its tables, and what others are there for, it does not keep.
 */

static void
forget(struct sl_config *copy)
{
	copy->path = NULL;
	copy->node = NULL;
	copy->nb_ports = 0;
	copy->ports = NULL;
	copy->nb_lcores = 0;
	copy->lcores = NULL;
	for (uint32_t c = 0; c < SL_CONFIG_CLASSES_MAX; c++)
		copy->classes[c].name = NULL;
	copy->nb_destinations = 0;
	copy->destinations = NULL;
	copy->nb_rules = 0;
	copy->rules = NULL;
	copy->nb_neighbours = 0;
	copy->neighbours = NULL;
	memset(&copy->health, 0, sizeof(copy->health));
	memset(&copy->log, 0, sizeof(copy->log));
	memset(&copy->events, 0, sizeof(copy->events));
	memset(&copy->control, 0, sizeof(copy->control));
	memset(&copy->http, 0, sizeof(copy->http));
	copy->nb_sinks = 0;
	copy->sinks = NULL;
	copy->journal.directory = NULL;
	copy->storage = NULL;
}

static int
copy_ports(struct sl_config *copy, const struct sl_config *from)
{
	copy->ports = calloc(from->nb_ports, sizeof(*copy->ports));
	if (copy->ports == NULL)
		return -ENOMEM;
	copy->nb_ports = from->nb_ports;
	for (uint32_t i = 0; i < from->nb_ports; i++) {
		copy->ports[i] = from->ports[i];
		copy->ports[i].name = strdup(from->ports[i].name);
		copy->ports[i].device = strdup(from->ports[i].device);
	}
	for (uint32_t i = 0; i < from->nb_ports; i++) {
		if (copy->ports[i].name == NULL || copy->ports[i].device == NULL)
			return -ENOMEM;
	}
	return 0;
}

struct sl_config *
dp_config_copy(const struct sl_config *from)
{
	struct sl_config *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = *from;
	forget(copy);
	/* That there is a journal is what the path needs to know. */
	if (from->journal.directory != NULL) {
		copy->journal.directory = strdup(from->journal.directory);
		if (copy->journal.directory == NULL) {
			dp_config_free(copy);
			return NULL;
		}
	}
	copy->lcores = calloc(from->nb_lcores + 1, sizeof(*copy->lcores));
	if (copy->lcores == NULL || copy_ports(copy, from) != 0) {
		dp_config_free(copy);
		return NULL;
	}
	copy->nb_lcores = from->nb_lcores;
	for (uint32_t i = 0; i < from->nb_lcores; i++)
		copy->lcores[i] = from->lcores[i];
	return copy;
}

void
dp_config_free(struct sl_config *copy)
{
	if (copy == NULL)
		return;
	for (uint32_t i = 0; i < copy->nb_ports; i++) {
		free(copy->ports[i].name);
		free(copy->ports[i].device);
	}
	free(copy->ports);
	free(copy->journal.directory);
	free(copy->lcores);
	free(copy);
}
