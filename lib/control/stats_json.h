/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef STATS_JSON_H
#define STATS_JSON_H

#include <jansson.h>

#include "marks.h"

/* The shape of the statistics file; of destinations less their marks, where there are any. */
json_t *stats_to_json(const struct sl_config *config, struct sl_datapath *datapath,
	const struct sl_datapath_stats *stats, const struct marks *marks);

#endif /* STATS_JSON_H */
