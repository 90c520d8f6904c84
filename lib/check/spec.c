/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* Copies of a destination's "health", which outlive the configuration they came from. */

static int
copy_string(char **to, const char *from)
{
	*to = from == NULL ? NULL : strdup(from);
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

static int
copy_check(struct sl_config_check *to, const struct sl_config_check *from)
{
	int rc;

	*to = *from;
	to->nb_argv = 0;
	to->argv = NULL;
	/* All are set before one may be missed: a failed copy is freed as a whole one. */
	rc = copy_string(&to->path, from->path);
	rc |= copy_string(&to->host, from->host);
	rc |= copy_string(&to->body, from->body);
	rc |= copy_string(&to->send, from->send);
	rc |= copy_string(&to->expect, from->expect);
	if (from->nb_argv > 0) {
		to->argv = calloc((size_t)from->nb_argv + 1, sizeof(*to->argv));
		if (to->argv == NULL)
			return -ENOMEM;
	}
	for (; to->nb_argv < from->nb_argv && rc == 0; to->nb_argv++)
		rc = copy_string(&to->argv[to->nb_argv], from->argv[to->nb_argv]);
	return rc == 0 ? 0 : -ENOMEM;
}

int
spec_copy(struct sl_config_health *to, const struct sl_config_health *from)
{
	*to = *from;
	to->nb_checks = 0;
	to->checks = NULL;
	if (from->nb_checks == 0)
		return 0;
	to->checks = calloc(from->nb_checks, sizeof(*to->checks));
	if (to->checks == NULL)
		return -ENOMEM;
	while (to->nb_checks < from->nb_checks) {
		int rc = copy_check(&to->checks[to->nb_checks], &from->checks[to->nb_checks]);

		to->nb_checks++;
		if (rc != 0)
			return rc;
	}
	return 0;
}

void
spec_free(struct sl_config_health *health)
{
	for (uint32_t i = 0; i < health->nb_checks; i++) {
		struct sl_config_check *check = &health->checks[i];

		for (uint32_t j = 0; j < check->nb_argv; j++)
			free(check->argv[j]);
		free(check->argv);
		free(check->path);
		free(check->host);
		free(check->body);
		free(check->send);
		free(check->expect);
	}
	free(health->checks);
	health->checks = NULL;
	health->nb_checks = 0;
}

static bool
equal_strings(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool
spec_check_equal(const struct sl_config_check *a, const struct sl_config_check *b)
{
	if (a->kind != b->kind || !sl_ip_equal(&a->address, &b->address) || a->port != b->port ||
		a->status_min != b->status_min || a->status_max != b->status_max ||
		a->nb_argv != b->nb_argv)
		return false;
	for (uint32_t i = 0; i < a->nb_argv; i++) {
		if (strcmp(a->argv[i], b->argv[i]) != 0)
			return false;
	}
	return equal_strings(a->path, b->path) && equal_strings(a->host, b->host) &&
		equal_strings(a->body, b->body) && equal_strings(a->send, b->send) &&
		equal_strings(a->expect, b->expect);
}

void
spec_params(const struct sl_config_health *health, struct sl_health_params *params)
{
	*params = (struct sl_health_params){
		.interval_ms = health->interval_ms,
		.fast_interval_ms = health->fast_interval_ms,
		.down_interval_ms = health->down_interval_ms,
		.timeout_ms = health->timeout_ms,
		.rise = health->rise,
		.fall = health->fall,
		.notify_after = health->notify_after,
		.slow_start_ms = health->slow_start_ms,
		.nb_checks = health->nb_checks,
	};
}

bool
spec_equal(const struct sl_config_health *a, const struct sl_config_health *b)
{
	struct sl_health_params params_a, params_b;

	/* The panic threshold is the group's, not a machine's. */
	spec_params(a, &params_a);
	spec_params(b, &params_b);
	if (memcmp(&params_a, &params_b, sizeof(params_a)) != 0)
		return false;
	for (uint32_t i = 0; i < a->nb_checks; i++) {
		if (!spec_check_equal(&a->checks[i], &b->checks[i]))
			return false;
	}
	return true;
}
