/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <stdio.h>

#include "progress.h"

static void
print_line(struct progress *p, uint64_t now_ns)
{
	double s = (double)(now_ns - p->last_ns) / 1e9;
	uint64_t sent = p->tx == NULL ? 0 : p->tx->nb_originals;
	uint64_t delivered = p->sink == NULL ? 0 : p->sink->ledger.nb_delivered;

	if (p->sink != NULL && p->sink->verify == OPTIONS_VERIFY_NONE)
		delivered = p->sink->nb_messages;
	fprintf(stderr, "%6.1f s", (double)(now_ns - p->start_ns) / 1e9);
	if (p->tx != NULL)
		fprintf(stderr, "  sent %" PRIu64 " (%.3f M/s)", sent,
			(double)(sent - p->last_sent) / s / 1e6);
	if (p->sink != NULL)
		fprintf(stderr, "  delivered %" PRIu64 " (%.3f M/s)", delivered,
			(double)(delivered - p->last_delivered) / s / 1e6);
	if (p->tx != NULL && p->sink != NULL)
		fprintf(stderr, "  outstanding %" PRIu64, sent > delivered ? sent - delivered : 0);
	if (p->sink != NULL)
		fprintf(stderr,
			"  duplicated %" PRIu64 " reordered %" PRIu64 " corrupt %" PRIu64
			" unknown %" PRIu64,
			p->sink->ledger.nb_duplicated, p->sink->ledger.nb_reordered,
			p->sink->nb_corrupt, p->sink->nb_unknown);
	fputc('\n', stderr);
	p->last_sent = sent;
	p->last_delivered = delivered;
	p->last_ns = now_ns;
}

void
progress_tick(struct progress *p, uint64_t now_ns)
{
	if (p->start_ns == 0) {
		p->start_ns = now_ns;
		p->last_ns = now_ns;
	}
	if (p->every_ns > 0 && now_ns - p->last_ns >= p->every_ns)
		print_line(p, now_ns);
}
