/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>

#include "room_load.h"

int
ledger_init(struct ledger *l, const struct options *o, uint64_t numbers_max)
{
	uint64_t pairs = (uint64_t)o->rooms * o->users * o->users;

	l->users = o->users;
	l->numbers_max = (numbers_max + 63) / 64 * 64;
	l->heard = calloc(pairs, l->numbers_max / 8);
	l->highest = calloc(pairs, sizeof(*l->highest));
	return l->heard != NULL && l->highest != NULL ? 0 : -ENOMEM;
}

void
ledger_fini(struct ledger *l)
{
	free(l->heard);
	free(l->highest);
}

enum heard
ledger_hear(struct ledger *l, uint32_t listener, uint32_t speaker, uint64_t number, uint64_t said)
{
	uint64_t pair = (uint64_t)listener * l->users + speaker;
	uint64_t *word = &l->heard[(pair * l->numbers_max + number) / 64];
	uint64_t bit = UINT64_C(1) << number % 64;

	if (number >= said)
		return HEARD_NEVER_SAID;
	if ((*word & bit) != 0)
		return HEARD_AGAIN;
	*word |= bit;
	if (number < l->highest[pair])
		return HEARD_LATE;
	l->highest[pair] = number + 1;
	return HEARD_FIRST;
}
