/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What stands beside a file's destinations: members of theirs, and topics. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sl_wire.h>

#include "config_internal.h"

struct overlay {
	const struct sl_config *file;
	const struct sl_config_group *groups;
	uint32_t nb_groups;
	struct sl_config *config;
	struct sl_config_storage *storage;
	struct sl_config_name *added; /* Names that are not in the file, sorted by key. */
	size_t nb_added;
};

bool
sl_config_is_name(const char *text)
{
	size_t len = strnlen(text, SL_CONFIG_NAME_MAX + 1);

	return len > 0 && len <= SL_CONFIG_NAME_MAX && sl_config_is_printable(text) &&
		sl_config_is_utf8(text);
}

static char *
keep(struct overlay *overlay, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = sl_config_arena_alloc(&overlay->storage->arena, size);

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static void
set_number(const struct sl_config_number *number, void *to)
{
	uint64_t value = (uint64_t)number->def;
	uint32_t v32 = (uint32_t)number->def;

	memcpy((char *)to + number->to, number->to_size == 8 ? (void *)&value : (void *)&v32,
		number->to_size == 8 ? 8 : 4);
}

/* A topic as one in the file that says nothing. */
static int
add_topic(struct overlay *overlay, const struct sl_config_group *group,
	struct sl_config_destination *to)
{
	const struct sl_config *file = overlay->file;
	const struct sl_config_number *number;

	*to = (struct sl_config_destination){
		.name = keep(overlay, group->destination),
		.key = sl_wire_name_key(group->destination),
		.kind = SL_CONFIG_TOPIC,
		.default_class = file->classes[(file->nb_classes - 1) / 2].level,
		.guarantee = group->guarantee,
		.dead_letter_index = UINT32_MAX,
		.health = file->health,
		.is_on_demand = true,
	};
	for (number = sl_config_destination_numbers; number->key != NULL; number++)
		set_number(number, to);
	to->is_burst_chosen = true;
	to->burst_msgs = SL_CONFIG_BURST_MIN;
	return to->name != NULL ? 0 : -ENOMEM;
}

static void
note_name(struct overlay *overlay, const char *name, uint32_t destination)
{
	uint64_t key = sl_wire_name_key(name);

	if (destination == UINT32_MAX && sl_config_name_of(overlay->file, key) != NULL)
		return;
	overlay->added[overlay->nb_added++] = (struct sl_config_name){key, name, destination, true};
}

static int
add_members(struct overlay *overlay, const struct sl_config_group *group,
	struct sl_config_destination *to)
{
	uint32_t nb_before = to->nb_backends, i;
	struct sl_config_backend *backends, *backend;

	backends = sl_config_arena_alloc(&overlay->storage->arena,
		((size_t)nb_before + group->nb_members) * sizeof(*backends));
	if (backends == NULL)
		return -ENOMEM;
	if (nb_before > 0)
		memcpy(backends, to->backends, nb_before * sizeof(*backends));
	for (i = 0; i < group->nb_members; i++) {
		backend = &backends[nb_before + i];
		*backend = (struct sl_config_backend){
			.name = keep(overlay, group->members[i].name),
			.address = group->members[i].address,
			.port = group->members[i].port,
			.weight = 1,
			.state = group->members[i].state,
			.is_member = true,
			.is_durable = group->members[i].is_durable,
		};
		if (backend->name == NULL)
			return -ENOMEM;
		sl_config_route(overlay->file, backend);
		note_name(overlay, backend->name, UINT32_MAX);
	}
	to->backends = backends;
	to->nb_backends = nb_before + group->nb_members;
	return 0;
}

static int
add_groups(struct overlay *overlay)
{
	const struct sl_config *file = overlay->file;
	struct sl_config *config = overlay->config;
	uint32_t i, index;
	int ret = 0;

	config->destinations = sl_config_arena_alloc(&overlay->storage->arena,
		((size_t)file->nb_destinations + overlay->nb_groups) *
			sizeof(*config->destinations));
	if (config->destinations == NULL)
		return -ENOMEM;
	memcpy(config->destinations, file->destinations,
		file->nb_destinations * sizeof(*config->destinations));
	for (i = 0; i < overlay->nb_groups && ret == 0; i++) {
		const struct sl_config_group *group = &overlay->groups[i];

		index = sl_config_find_destination(file, group->destination);
		if (index == UINT32_MAX) {
			index = config->nb_destinations++;
			ret = add_topic(overlay, group, &config->destinations[index]);
			if (ret == 0)
				note_name(overlay, config->destinations[index].name, index);
		}
		if (ret == 0 && group->nb_members > 0)
			ret = add_members(overlay, group, &config->destinations[index]);
	}
	return ret;
}

/* Of one key the one that is a destination's first. */
static int
compare_names(const void *a, const void *b)
{
	const struct sl_config_name *left = a, *right = b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	return (left->destination > right->destination) - (left->destination < right->destination);
}

/* Those of the file and those that were added, each key once, sorted. */
static int
merge_names(struct overlay *overlay)
{
	const struct sl_config_storage *file = overlay->file->storage;
	struct sl_config_storage *storage = overlay->storage;
	const struct sl_config_name *next = overlay->added, *end = next + overlay->nb_added;
	const struct sl_config_name *old = file->names, *old_end = old + file->nb_names;
	struct sl_config_name *to;

	qsort(overlay->added, overlay->nb_added, sizeof(*overlay->added), compare_names);
	storage->names = to = sl_config_arena_alloc(
		&storage->arena, (file->nb_names + overlay->nb_added) * sizeof(*to));
	if (to == NULL)
		return -ENOMEM;
	while (old < old_end || next < end) {
		if (next == end || (old < old_end && old->key < next->key)) {
			*to++ = *old++;
			continue;
		}
		*to = *next;
		/* A topic may be called as a source in a rule is. */
		old += old < old_end && old->key == next->key;
		while (next < end && next->key == to->key)
			next++;
		to++;
	}
	storage->nb_names = (size_t)(to - storage->names);
	return 0;
}

static int
make(struct overlay *overlay)
{
	size_t nb_names = overlay->nb_groups;
	uint32_t i;
	int ret;

	for (i = 0; i < overlay->nb_groups; i++)
		nb_names += overlay->groups[i].nb_members;
	overlay->added = calloc(nb_names + 1, sizeof(*overlay->added));
	if (overlay->added == NULL)
		return -ENOMEM;
	ret = add_groups(overlay);
	if (ret == 0)
		ret = merge_names(overlay);
	free(overlay->added);
	return ret;
}

int
sl_config_overlay(const struct sl_config *file, const struct sl_config_group *groups,
	uint32_t nb_groups, struct sl_config **config)
{
	struct overlay overlay = {.file = file, .groups = groups, .nb_groups = nb_groups};
	int ret;

	overlay.config = calloc(1, sizeof(*overlay.config));
	overlay.storage = calloc(1, sizeof(*overlay.storage));
	if (overlay.config == NULL || overlay.storage == NULL) {
		free(overlay.config);
		free(overlay.storage);
		return -ENOMEM;
	}
	*overlay.config = *file;
	overlay.config->storage = overlay.storage;
	ret = make(&overlay);
	if (ret < 0)
		sl_config_free(overlay.config);
	else
		*config = overlay.config;
	return ret;
}
