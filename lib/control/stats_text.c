/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <stdlib.h>

#include "sl_stats.h"

/* Destinations in the table; the JSON has them all. */
#define DESTINATIONS_SHOWN 32

static void
print_classes(FILE *out, const struct sl_config *config, const struct sl_datapath_stats *stats)
{
	fprintf(out, "\n  %-5s %-12s %12s %12s %12s %10s %10s %10s\n", "class", "name", "delivered",
		"dropped", "queued", "mean us", "p99 us", "max us");
	for (uint32_t c = 0; c < config->nb_classes; c++) {
		const struct sl_class_stats *s = &stats->classes[c];

		fprintf(out,
			"  %-5u %-12s %12" PRIu64 " %12" PRIu64 " %12" PRIu64
			" %10.1f %10.1f %10.1f\n",
			config->classes[c].level, config->classes[c].name, s->delivered, s->dropped,
			s->queued, sl_hist_mean(&s->latency) / 1e3,
			(double)sl_hist_quantile(&s->latency, 0.99) / 1e3,
			(double)s->latency.max / 1e3);
	}
}

static void
print_destinations(FILE *out, const struct sl_config *config, struct sl_datapath *datapath)
{
	struct sl_destination_stats s;

	fprintf(out, "\n  %-18s %12s %12s %12s %12s\n", "destination", "delivered", "duplicates",
		"dropped", "queued");
	for (uint32_t i = 0; i < config->nb_destinations; i++) {
		if (i == DESTINATIONS_SHOWN) {
			fprintf(out, "  ... and %u more\n", config->nb_destinations - i);
			break;
		}
		sl_datapath_get_destination_stats(datapath, i, &s);
		fprintf(out, "  %-18s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
			config->destinations[i].name, s.delivered, s.duplicates, s.dropped,
			s.queued);
	}
}

static void
print_drops(FILE *out, const struct sl_datapath_stats *stats)
{
	bool is_first = true;

	for (unsigned int i = 0; i < SL_FRAME_DROPS + SL_MESSAGE_DROPS; i++) {
		bool is_frame = i < SL_FRAME_DROPS;
		uint64_t n = is_frame ? stats->frames_dropped[i]
				      : stats->dropped[i - SL_FRAME_DROPS];

		if (n == 0)
			continue;
		if (is_first)
			fprintf(out, "\n  dropped because of\n");
		is_first = false;
		fprintf(out, "  %-18s %12" PRIu64 " %s\n",
			is_frame ? sl_frame_drop_name(i) : sl_message_drop_name(i - SL_FRAME_DROPS),
			n, is_frame ? "frames" : "messages");
	}
}

void
sl_stats_print(FILE *out, const struct sl_config *config, struct sl_datapath *datapath)
{
	struct sl_datapath_stats *stats = calloc(1, sizeof(*stats));
	uint64_t dropped = 0;

	if (stats == NULL)
		return;
	if (sl_datapath_get_stats(datapath, stats) != 0) {
		free(stats);
		return;
	}
	for (unsigned int i = 0; i < SL_MESSAGE_DROPS; i++)
		dropped += stats->dropped[i];
	fprintf(out,
		"frames %" PRIu64 "  messages %" PRIu64 "  delivered %" PRIu64
		"  duplicates %" PRIu64 "  dropped %" PRIu64 "  queued %" PRIu64 "\n",
		stats->frames_received, stats->received, stats->delivered, stats->duplicates,
		dropped, stats->queued);
	if (stats->delivered > 0)
		fprintf(out, "busy cycles a message %.0f  (TSC %.2f GHz)\n",
			(double)stats->busy_cycles / (double)stats->delivered,
			(double)stats->tsc_hz / 1e9);
	print_classes(out, config, stats);
	print_destinations(out, config, datapath);
	print_drops(out, stats);
	free(stats);
}
