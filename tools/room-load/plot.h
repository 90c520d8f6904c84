/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PLOT_H
#define PLOT_H

#include "room_load.h"

/* Throughput and latency over time, as SVG. @return false: the file could not be written */
bool plot_write(FILE *f, const struct options *o, const struct result *r);

#endif /* PLOT_H */
