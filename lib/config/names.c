/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * All names of the file, sorted by key: doubled ones and ones that share a key lie next to each
 * other then, and so n names cost n log n and not n squared.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sl_wire.h>

#include "config_internal.h"

enum kind {
	KIND_NODE,
	KIND_PORT,
	KIND_CLASS,
	KIND_DESTINATION,
	KIND_BACKEND,
	KIND_RULE_SOURCE,
	KIND_RULE_DESTINATION,
	KIND_RULE_TYPE,
};

/* A name where it stands in the file. */
struct name_ref {
	uint64_t key;
	const char *name;
	enum kind kind;
	uint32_t i;
	uint32_t j;
};

struct name_list {
	struct name_ref *refs;
	size_t nb_refs;
	sl_config_hash_t hash;
};

static void
add(struct name_list *list, const char *name, enum kind kind, uint32_t i, uint32_t j)
{
	if (name != NULL)
		list->refs[list->nb_refs++] = (struct name_ref){list->hash(name), name, kind, i, j};
}

/* Raw names, not resolved ones: classes are still in the file's order there. */
static int
collect(struct sl_config_reader *reader, struct name_list *list)
{
	const struct raw_config *raw = reader->raw;
	const struct raw_destination *destination;
	size_t nb_names;
	uint32_t i, j;

	nb_names = 1 + raw->ports_count + raw->classes_count + raw->destinations_count +
		3 * (size_t)raw->rules_count;
	for (i = 0; i < raw->destinations_count; i++)
		nb_names += raw->destinations[i].backends_count;
	list->refs = calloc(nb_names, sizeof(list->refs[0]));
	if (list->refs == NULL)
		return sl_config_no_memory(reader);

	add(list, reader->config->node, KIND_NODE, 0, 0);
	for (i = 0; i < raw->ports_count; i++)
		add(list, raw->ports[i].name, KIND_PORT, i, 0);
	for (i = 0; i < raw->classes_count; i++)
		add(list, raw->classes[i].name, KIND_CLASS, i, 0);
	for (i = 0; i < raw->destinations_count; i++) {
		destination = &raw->destinations[i];
		add(list, destination->name, KIND_DESTINATION, i, 0);
		for (j = 0; j < destination->backends_count; j++)
			add(list, destination->backends[j].name, KIND_BACKEND, i, j);
	}
	for (i = 0; i < raw->rules_count; i++) {
		add(list, raw->rules[i].source, KIND_RULE_SOURCE, i, 0);
		add(list, raw->rules[i].destination, KIND_RULE_DESTINATION, i, 0);
		add(list, raw->rules[i].type, KIND_RULE_TYPE, i, 0);
	}
	return 0;
}

/* By key, then by name, then by place in the file, which makes the errors predictable. */
static int
compare_refs(const void *a, const void *b)
{
	const struct name_ref *left = a, *right = b;
	int order;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	order = strcmp(left->name, right->name);
	if (order != 0)
		return order;
	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	if (left->i != right->i)
		return left->i < right->i ? -1 : 1;
	return (left->j > right->j) - (left->j < right->j);
}

/* Where a name stands, and under which key. */
static struct sl_config_at
place_of(const struct name_ref *ref, const char **key)
{
	static const struct {
		const char *list, *sublist, *key;
	} places[] = {
		[KIND_NODE] = {NULL, NULL, "node"},
		[KIND_PORT] = {"ports", NULL, "name"},
		[KIND_CLASS] = {"classes", NULL, "name"},
		[KIND_DESTINATION] = {"destinations", NULL, "name"},
		[KIND_BACKEND] = {"destinations", "backends", "name"},
		[KIND_RULE_SOURCE] = {"rules", NULL, "source"},
		[KIND_RULE_DESTINATION] = {"rules", NULL, "destination"},
		[KIND_RULE_TYPE] = {"rules", NULL, "type"},
	};

	*key = places[ref->kind].key;
	return (struct sl_config_at){
		.list = places[ref->kind].list,
		.i = ref->i,
		.sublist = places[ref->kind].sublist,
		.j = ref->j,
	};
}

/* Two that lie next to each other: one name twice where it must be unique, or two with one key. */
static int
check_pair(struct sl_config_reader *reader, const struct name_ref *first,
	const struct name_ref *second)
{
	const char *key;
	struct sl_config_at at = place_of(second, &key);

	if (strcmp(first->name, second->name) != 0)
		return sl_config_fail(reader, &at, key,
			"'%s' and '%s' have the same key, %016" PRIx64 "; rename one of them",
			second->name, first->name, second->key);
	if (first->kind != second->kind)
		return 0;
	switch (second->kind) {
	case KIND_PORT:
	case KIND_CLASS:
	case KIND_DESTINATION:
		return sl_config_fail(reader, &at, key,
			"'%s' is the name of %s[%" PRIu32 "], too; rename one of them",
			second->name, at.list, first->i);
	case KIND_BACKEND:
		if (first->i != second->i)
			return 0;
		return sl_config_fail(reader, &at, key,
			"'%s' is the name of backends[%" PRIu32
			"] of this destination, too; rename one of them",
			second->name, first->j);
	default:
		return 0;
	}
}

/* A rule for a destination that nobody configured can never match. */
static int
unknown_destination(struct sl_config_reader *reader, const struct name_ref *ref)
{
	const char *key;
	struct sl_config_at at = place_of(ref, &key);

	return sl_config_fail(
		reader, &at, key, "there is no destination '%s'; name a configured one", ref->name);
}

static int
check(struct sl_config_reader *reader, const struct name_list *list)
{
	const struct name_ref *ref;
	bool is_destination = false;
	size_t i;
	int ret;

	for (i = 0; i < list->nb_refs; i++) {
		ref = &list->refs[i];
		if (i > 0 && ref->key == ref[-1].key) {
			ret = check_pair(reader, ref - 1, ref);
			if (ret < 0)
				return ret;
		} else {
			is_destination = false;
		}
		is_destination = is_destination || ref->kind == KIND_DESTINATION;
		if (ref->kind == KIND_RULE_DESTINATION && !is_destination)
			return unknown_destination(reader, ref);
	}
	return 0;
}

/* Each key once, with a name that outlives the raw file. */
static int
keep(struct sl_config_reader *reader, const struct name_list *list)
{
	struct sl_config_storage *storage = reader->storage;
	struct sl_config_name *to;
	char *name;
	size_t i;
	int ret;

	const struct name_ref *ref;

	storage->names = sl_config_alloc(reader, list->nb_refs * sizeof(storage->names[0]));
	if (storage->names == NULL)
		return sl_config_no_memory(reader);
	for (i = 0; i < list->nb_refs; i++) {
		ref = &list->refs[i];
		if (i == 0 || ref->key != ref[-1].key) {
			ret = sl_config_copy(reader, ref->name, &name);
			if (ret < 0)
				return ret;
			to = &storage->names[storage->nb_names++];
			*to = (struct sl_config_name){ref->key, name, UINT32_MAX};
		}
		if (ref->kind == KIND_DESTINATION)
			storage->names[storage->nb_names - 1].destination = ref->i;
	}
	return 0;
}

int
sl_config_resolve_names(struct sl_config_reader *reader)
{
	struct name_list list = {.hash = reader->hash};
	int ret;

	ret = collect(reader, &list);
	if (ret < 0)
		return ret;
	qsort(list.refs, list.nb_refs, sizeof(list.refs[0]), compare_refs);
	ret = check(reader, &list);
	if (ret == 0)
		ret = keep(reader, &list);
	free(list.refs);
	return ret;
}

static int
compare_key(const void *key, const void *entry)
{
	const uint64_t *left = key;
	const struct sl_config_name *right = entry;

	return (*left > right->key) - (*left < right->key);
}

uint32_t
sl_config_names(const struct sl_config *config, const struct sl_config_name **names)
{
	const struct sl_config_storage *storage = config->storage;

	*names = storage->names;
	return (uint32_t)storage->nb_names;
}

static const struct sl_config_name *
find_key(const struct sl_config *config, uint64_t key)
{
	const struct sl_config_storage *storage = config->storage;

	return bsearch(
		&key, storage->names, storage->nb_names, sizeof(storage->names[0]), compare_key);
}

const char *
sl_config_name_of(const struct sl_config *config, uint64_t key)
{
	const struct sl_config_name *found = find_key(config, key);

	return found != NULL ? found->name : NULL;
}

uint32_t
sl_config_find_destination(const struct sl_config *config, const char *name)
{
	const struct sl_config_name *found = find_key(config, sl_wire_name_key(name));

	if (found == NULL || found->destination == UINT32_MAX || strcmp(found->name, name) != 0)
		return UINT32_MAX;
	return found->destination;
}
