/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>

#include "names.h"
#include "sl_wire.h"

/*
 * Names behind keys: a table of fixed size that only grows, so that it is read without a lock by
 * all threads. A name is put in with one compare-and-swap and never moves. When a key's few places
 * are taken, which is the case for few before half of the table is full, its name is not remembered
 * and is shown as the key.
 *
 * The first at-least-once message with a name has the control thread put the name into the journal,
 * and waits until it is durable there: so who reads the journal, after a crash as well, knows the
 * name before it sees the message. The control thread numbers names in the order of the journal.
 * When the disk takes longer, messages do not wait for it here, but where they are counted: the
 * name is on its way before them.
 */

#define SLOTS	     131072u
#define PROBES	     16u
#define NAME_MAX_LEN 255u

/* A disk that is well takes less. */
#define WAIT_MS 200u

/* Of a name that has no number. */
#define NOT_ASKED (UINT64_MAX - 1)
#define ASKED	  UINT64_MAX

struct name {
	struct name *next; /* Of those asked for. */
	uint64_t key;
	uint64_t number;    /* Atomic; 0: it does not go into the journal. */
	uint64_t waited_ms; /* Atomic; monotonic: nobody waits for it from then on. */
	uint32_t len;
	char text[];
};

struct gw_names {
	uint32_t nb;	    /* Atomic, all. */
	uint32_t changes;   /* Counts: names may have become durable. */
	uint64_t refused;   /* Times there was no place for a name. */
	uint64_t durable;   /* Numbers up to this are. */
	struct name *asked; /* A stack. */
	struct name *slots[SLOTS];
};

struct gw_names *
gw_names_create(void)
{
	return calloc(1, sizeof(struct gw_names));
}

void
gw_names_destroy(struct gw_names *names)
{
	if (names == NULL)
		return;
	for (uint32_t i = 0; i < SLOTS; i++)
		free(names->slots[i]);
	free(names);
}

static struct name *
find(const struct gw_names *names, uint64_t key)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		struct name *name = __atomic_load_n(
			&names->slots[(key + i) & (SLOTS - 1)], __ATOMIC_ACQUIRE);

		if (name == NULL || name->key == key)
			return name;
	}
	return NULL;
}

const char *
gw_names_find(const struct gw_names *names, uint64_t key)
{
	const struct name *name = find(names, key);

	return name != NULL ? name->text : NULL;
}

/* @return false: there is no place, or no memory */
static bool
add(struct gw_names *names, uint64_t key, const char *text, size_t len)
{
	struct name *name = malloc(sizeof(*name) + len + 1), *there;

	if (name == NULL)
		return false;
	name->key = key;
	name->number = NOT_ASKED;
	name->waited_ms = UINT64_MAX;
	name->len = (uint32_t)len;
	memcpy(name->text, text, len);
	name->text[len] = '\0';
	for (uint32_t i = 0; i < PROBES; i++) {
		there = NULL;
		if (__atomic_compare_exchange_n(&names->slots[(key + i) & (SLOTS - 1)], &there,
			    name, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
			__atomic_add_fetch(&names->nb, 1, __ATOMIC_RELAXED);
			return true;
		}
		if (there->key == key)
			break;
	}
	free(name);
	return there->key == key;
}

uint64_t
gw_names_add(struct gw_names *names, const char *text, size_t len, bool *is_refused)
{
	uint64_t key = sl_wire_name_key_len(text, len);

	if (find(names, key) != NULL || len == 0 || len > NAME_MAX_LEN ||
		memchr(text, '\0', len) != NULL)
		return key;
	if (__atomic_load_n(&names->nb, __ATOMIC_RELAXED) < GW_NAMES_MAX &&
		add(names, key, text, len))
		return key;
	__atomic_add_fetch(&names->refused, 1, __ATOMIC_RELAXED);
	*is_refused = true;
	return key;
}

uint32_t
gw_names_count(const struct gw_names *names, uint64_t *refused)
{
	*refused = __atomic_load_n(&names->refused, __ATOMIC_RELAXED);
	return __atomic_load_n(&names->nb, __ATOMIC_RELAXED);
}

bool
gw_names_is_durable(const struct gw_names *names, uint64_t key, uint64_t now_ms)
{
	const struct name *name = find(names, key);

	return name == NULL ||
		__atomic_load_n(&name->number, __ATOMIC_ACQUIRE) <=
		__atomic_load_n(&names->durable, __ATOMIC_RELAXED) ||
		unlikely(now_ms >= __atomic_load_n(&name->waited_ms, __ATOMIC_RELAXED));
}

bool
gw_names_want(struct gw_names *names, uint64_t key, uint64_t now_ms)
{
	struct name *name = find(names, key);
	uint64_t number = NOT_ASKED;

	if (name == NULL ||
		!__atomic_compare_exchange_n(
			&name->number, &number, ASKED, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&name->waited_ms, now_ms + WAIT_MS, __ATOMIC_RELAXED);
	name->next = __atomic_load_n(&names->asked, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(
		&names->asked, &name->next, name, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return true;
}

bool
gw_names_put(struct gw_names *names, gw_name_put_t put, void *arg)
{
	struct name *name = __atomic_exchange_n(&names->asked, NULL, __ATOMIC_ACQUIRE), *next,
		    *first = NULL;

	if (name == NULL)
		return false;
	/* In the order they came. */
	for (; name != NULL; name = next) {
		next = name->next;
		name->next = first;
		first = name;
	}
	for (name = first; name != NULL; name = next) {
		next = name->next;
		__atomic_store_n(&name->number, put(arg, name->key, name->text, name->len),
			__ATOMIC_RELEASE);
	}
	__atomic_add_fetch(&names->changes, 1, __ATOMIC_RELEASE);
	return true;
}

void
gw_names_set_durable(struct gw_names *names, uint64_t number)
{
	__atomic_store_n(&names->durable, number, __ATOMIC_RELEASE);
	__atomic_add_fetch(&names->changes, 1, __ATOMIC_RELEASE);
}

uint32_t
gw_names_changes(const struct gw_names *names)
{
	return __atomic_load_n(&names->changes, __ATOMIC_ACQUIRE);
}
