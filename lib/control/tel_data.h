/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEL_DATA_H
#define TEL_DATA_H

#include <jansson.h>
#include <rte_telemetry.h>

/*
 * Fit a JSON document to what rte_telemetry can carry: dictionaries in dictionaries, and lists of
 * texts. A list of objects becomes a dictionary by their names, a text of several lines a list of
 * lines, a number with a fraction a whole one. What does not fit its bounds is left out.
 */
void tel_data_fill(struct rte_tel_data *data, const json_t *json);

#endif /* TEL_DATA_H */
