/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#include "ledger.h"

int
ledger_init(struct ledger *l, uint64_t window, uint64_t nb_streams)
{
	uint64_t nb_bits = rte_align64pow2(RTE_MAX(window, (uint64_t)LEDGER_WINDOW_MIN));

	memset(l, 0, sizeof(*l));
	if (nb_streams == 0 || nb_streams > LEDGER_STREAMS_MAX)
		return -EINVAL;
	l->mask = nb_bits - 1;
	l->bits = calloc(nb_bits / 64, sizeof(*l->bits));
	l->next = calloc(nb_streams, sizeof(*l->next));
	if (l->bits == NULL || l->next == NULL) {
		ledger_fini(l);
		return -ENOMEM;
	}
	return 0;
}

void
ledger_fini(struct ledger *l)
{
	free(l->bits);
	free(l->next);
	l->bits = NULL;
	l->next = NULL;
}

void
ledger_advance(struct ledger *l, uint64_t number)
{
	/* The word of the new number becomes the window's last one. */
	uint64_t base = RTE_ALIGN_FLOOR(number, (uint64_t)64) + 64 - (l->mask + 1);

	if (base - l->base > l->mask)
		memset(l->bits, 0, (l->mask + 1) / 8);
	else
		for (uint64_t n = l->base; n < base; n += 64)
			l->bits[(n & l->mask) / 64] = 0;
	l->base = base;
}
