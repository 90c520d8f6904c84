/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* A plain decimal number up to `stop`, which is then where the text goes on. */
static int
read_number(const char *text, const char **stop, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	*stop = end;
	return errno != 0 ? -EINVAL : 0;
}

int
options_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *stop;

	if (read_number(text, &stop, value) < 0 || *stop != '\0' || *value < min || *value > max)
		return -EINVAL;
	return 0;
}

int
options_parse_share(const char *text, double *share)
{
	double percent;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	percent = strtod(text, &end);
	if (*end == '%')
		end++;
	if (*end != '\0' || !(percent >= 0 && percent <= 100))
		return -EINVAL;
	*share = percent / 100;
	return 0;
}

int
options_parse_address(const char *text, rte_be32_t *address)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return -EINVAL;
	*address = in.s_addr;
	return 0;
}

int
options_parse_network(const char *text, rte_be32_t *address, rte_be32_t *mask)
{
	char buf[INET_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint64_t prefix_len = 32;

	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (options_parse_address(buf, address) < 0 ||
		(slash != NULL && options_parse_number(slash + 1, 0, 32, &prefix_len) < 0))
		return -EINVAL;
	*mask = prefix_len == 0 ? 0 : rte_cpu_to_be_32(UINT32_MAX << (32 - prefix_len));
	*address &= *mask;
	return 0;
}

/* LEVEL[:WEIGHT],... */
int
options_parse_classes(const char *text, struct traffic_params *params)
{
	uint64_t level, weight;
	const char *p = text;

	params->nb_classes = 0;
	do {
		if (params->nb_classes == TRAFFIC_CLASSES_MAX)
			return -EINVAL;
		weight = 1;
		if (read_number(p, &p, &level) < 0 || level > SL_WIRE_CLASSES)
			return -EINVAL;
		if (*p == ':' && (read_number(p + 1, &p, &weight) < 0 || weight > UINT32_MAX))
			return -EINVAL;
		params->classes[params->nb_classes].level = (uint32_t)level;
		params->classes[params->nb_classes++].weight = (uint32_t)weight;
	} while (*p++ == ',');
	return p[-1] == '\0' ? 0 : -EINVAL;
}

/* BYTES[-BYTES][:WEIGHT],... */
int
options_parse_sizes(const char *text, struct traffic_params *params)
{
	uint64_t min, max, weight;
	const char *p = text;

	params->nb_sizes = 0;
	do {
		if (params->nb_sizes == TRAFFIC_SIZES_MAX)
			return -EINVAL;
		weight = 1;
		if (read_number(p, &p, &min) < 0)
			return -EINVAL;
		max = min;
		if (*p == '-' && read_number(p + 1, &p, &max) < 0)
			return -EINVAL;
		if (*p == ':' && read_number(p + 1, &p, &weight) < 0)
			return -EINVAL;
		if (max > TRAFFIC_PAYLOAD_MAX || min > max || weight > UINT32_MAX)
			return -EINVAL;
		params->sizes[params->nb_sizes].min = (uint32_t)min;
		params->sizes[params->nb_sizes].max = (uint32_t)max;
		params->sizes[params->nb_sizes++].weight = (uint32_t)weight;
	} while (*p++ == ',');
	return p[-1] == '\0' ? 0 : -EINVAL;
}
