/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>

#include "traffic.h"

bool
traffic_is_pattern(const char *pattern)
{
	unsigned int nb_numbers = 0;

	for (const char *p = pattern; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 'u') {
			nb_numbers++;
			p++;
		} else if (!isalnum((unsigned char)*p) && strchr("-_.:/", *p) == NULL) {
			return false;
		}
	}
	return nb_numbers == 1;
}

size_t
traffic_name(const struct traffic_names *names, uint32_t index, char *buf, size_t len)
{
	const char *number = strstr(names->pattern, "%u");
	int n;

	if (number == NULL)
		return 0;
	n = snprintf(buf, len, "%.*s%u%s", (int)(number - names->pattern), names->pattern,
		names->first + index, number + 2);
	return n < 0 || (size_t)n >= len ? 0 : (size_t)n;
}

static uint64_t *
make_keys(const struct traffic_names *names)
{
	char name[TRAFFIC_NAME_MAX + 1];
	uint64_t *keys = malloc(sizeof(*keys) * names->nb);

	for (uint32_t i = 0; keys != NULL && i < names->nb; i++) {
		if (traffic_name(names, i, name, sizeof(name)) == 0) {
			free(keys);
			return NULL;
		}
		keys[i] = sl_wire_name_key(name);
	}
	return keys;
}

/* Share the slots out by weight; the smallest weight above 0 still gets one. */
static void
fill_mix(uint8_t *mix, const uint32_t *weights, unsigned int nb)
{
	uint64_t total = 0, before = 0;
	unsigned int slot = 0, nb_left = 0, end;

	for (unsigned int i = 0; i < nb; i++) {
		total += weights[i];
		nb_left += weights[i] > 0;
	}
	for (unsigned int i = 0; i < nb; i++) {
		if (weights[i] == 0)
			continue;
		nb_left--;
		before += weights[i];
		end = (unsigned int)((before * TRAFFIC_MIX_SLOTS + total / 2) / total);
		end = RTE_MAX(end, slot + 1);
		end = RTE_MIN(end, TRAFFIC_MIX_SLOTS - nb_left);
		for (; slot < end; slot++)
			mix[slot] = (uint8_t)i;
	}
}

static const char *
check_names(const struct traffic_names *names, uint32_t max, const char *error)
{
	char name[TRAFFIC_NAME_MAX + 1];

	if (!traffic_is_pattern(names->pattern) || names->nb == 0 || names->nb > max ||
		names->first > UINT32_MAX - names->nb ||
		traffic_name(names, names->nb - 1, name, sizeof(name)) == 0)
		return error;
	return TRAFFIC_OK;
}

static const char *
check_mixes(const struct traffic_params *p)
{
	uint64_t weight = 0;

	if (p->nb_classes == 0 || p->nb_classes > TRAFFIC_CLASSES_MAX)
		return "there must be 1 to 9 classes";
	for (uint32_t i = 0; i < p->nb_classes; i++) {
		weight += p->classes[i].weight;
		if (p->classes[i].level > SL_WIRE_CLASSES || p->classes[i].weight > 1000000)
			return "a class is 0 to 8 and its weight at most 1000000";
		for (uint32_t j = 0; j < i; j++) {
			if (p->classes[i].level == p->classes[j].level)
				return "a class is named twice";
		}
	}
	if (weight == 0)
		return "no class has a weight above 0";
	weight = 0;
	if (p->nb_sizes == 0 || p->nb_sizes > TRAFFIC_SIZES_MAX)
		return "there must be 1 to 16 payload sizes";
	for (uint32_t i = 0; i < p->nb_sizes; i++) {
		weight += p->sizes[i].weight;
		if (p->sizes[i].min > p->sizes[i].max || p->sizes[i].max > TRAFFIC_PAYLOAD_MAX ||
			p->sizes[i].weight > 1000000)
			return "a payload size is 0 to 65000 bytes, a range goes upwards, and a "
			       "weight is at most 1000000";
	}
	return weight == 0 ? "no payload size has a weight above 0" : TRAFFIC_OK;
}

static const char *
check_params(const struct traffic_params *p)
{
	const char *error;

	error = check_names(&p->sources, TRAFFIC_NAMES_MAX,
		"there must be 1 to 1000000 sources, named by a pattern with one %u, at most 63 "
		"bytes long");
	if (error == TRAFFIC_OK)
		error = check_names(&p->destinations, TRAFFIC_NAMES_MAX,
			"there must be 1 to 1000000 destinations, named by a pattern with one %u, "
			"at most 63 bytes long");
	if (error == TRAFFIC_OK)
		error = check_names(&p->types, TRAFFIC_TYPES_MAX,
			"there must be 1 to 4096 types, named by a pattern with one %u, at most 63 "
			"bytes long");
	if (error == TRAFFIC_OK)
		error = check_mixes(p);
	if (error != TRAFFIC_OK)
		return error;
	if (!(p->retransmitted_share >= 0 && p->retransmitted_share <= 1) ||
		!(p->second_feed_share >= 0 && p->second_feed_share <= 1))
		return "a share is 0 to 100 percent";
	if (p->distance == 0 || p->distance > TRAFFIC_DISTANCE_MAX)
		return "the distance of a duplicate is 1 to 1048576 messages";
	return TRAFFIC_OK;
}

static void
init_mixes(struct traffic *t)
{
	const struct traffic_params *p = &t->params;
	uint32_t weights[TRAFFIC_SIZES_MAX];

	for (uint32_t i = 0; i < p->nb_classes; i++)
		weights[i] = p->classes[i].weight;
	fill_mix(t->class_mix, weights, p->nb_classes);
	for (uint32_t i = 0; i < p->nb_sizes; i++) {
		weights[i] = p->sizes[i].weight;
		t->payload_max = RTE_MAX(t->payload_max, p->sizes[i].max);
	}
	fill_mix(t->size_mix, weights, p->nb_sizes);
	t->is_all_retransmitted = p->retransmitted_share >= 1;
	t->is_all_second_feed = p->second_feed_share >= 1;
	if (!t->is_all_retransmitted)
		t->retransmitted_below = (uint32_t)llround(p->retransmitted_share * UINT32_MAX);
	if (!t->is_all_second_feed)
		t->second_feed_below = (uint32_t)llround(p->second_feed_share * UINT32_MAX);
}

const char *
traffic_create(const struct traffic_params *params, struct traffic **out)
{
	const char *error = check_params(params);
	struct traffic *t;
	uint64_t word;
	size_t pool_len;

	if (error != TRAFFIC_OK)
		return error;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return "out of memory";
	t->params = *params;
	t->start = traffic_mix(params->seed + UINT64_C(0x9e3779b97f4a7c15));
	init_mixes(t);
	t->source_keys = make_keys(&params->sources);
	t->destination_keys = make_keys(&params->destinations);
	t->type_keys = make_keys(&params->types);
	pool_len = RTE_ALIGN_CEIL(TRAFFIC_PAYLOAD_VARIANTS + t->payload_max, sizeof(word));
	t->pool = malloc(pool_len);
	if (t->source_keys == NULL || t->destination_keys == NULL || t->type_keys == NULL ||
		t->pool == NULL) {
		traffic_free(t);
		return "out of memory";
	}
	for (size_t i = 0; i < pool_len; i += sizeof(word))
		sl_wire_put64(t->pool + i, traffic_mix(t->start ^ (i + 1)));
	*out = t;
	return TRAFFIC_OK;
}

void
traffic_free(struct traffic *t)
{
	if (t == NULL)
		return;
	free(t->source_keys);
	free(t->destination_keys);
	free(t->type_keys);
	free(t->pool);
	free(t);
}

uint8_t *
traffic_put(
	const struct traffic *t, const struct traffic_message *m, uint64_t timestamp_ns, uint8_t *p)
{
	struct sl_wire_message w = {
		.key.destination = t->destination_keys[m->destination],
		.key.source = t->source_keys[m->source],
		.key.id_high = m->id_high,
		.key.id_low = m->number,
		.timestamp_ns = timestamp_ns,
		.type = t->type_keys[m->type],
		.priority = t->params.classes[m->class_index].level,
		.flags = t->params.flags,
		.payload = t->pool + m->payload_offset,
		.payload_len = m->payload_len,
	};
	uint8_t head[sizeof(uint64_t)];

	p = sl_wire_put_message(p, &w);
	sl_wire_put64(head, traffic_payload_head(m, timestamp_ns));
	if (m->payload_len >= sizeof(head))
		memcpy(p - m->payload_len, head, sizeof(head));
	else
		memcpy(p - m->payload_len, head, m->payload_len);
	return p;
}

static bool
is_payload_intact(const struct traffic *t, const struct traffic_message *m, const uint8_t *payload,
	uint64_t timestamp_ns)
{
	uint8_t head[sizeof(uint64_t)];

	sl_wire_put64(head, traffic_payload_head(m, timestamp_ns));
	if (m->payload_len < sizeof(head))
		return memcmp(payload, head, m->payload_len) == 0;
	return memcmp(payload, head, sizeof(head)) == 0 &&
		memcmp(payload + sizeof(head), t->pool + m->payload_offset + sizeof(head),
			m->payload_len - sizeof(head)) == 0;
}

bool
traffic_is_intact(const struct traffic *t, const struct traffic_message *m, const uint8_t *message,
	size_t len, bool is_payload_compared)
{
	const uint8_t *payload;
	uint32_t payload_len = 0;
	size_t overhead = 0;
	uint64_t bad;

	bad = sl_wire_get64(message + SL_WIRE_OFF_SOURCE) ^ t->source_keys[m->source];
	bad |= sl_wire_get64(message + SL_WIRE_OFF_DEST) ^ t->destination_keys[m->destination];
	bad |= sl_wire_get64(message + SL_WIRE_OFF_TYPE) ^ t->type_keys[m->type];
	bad |= sl_wire_get64(message + SL_WIRE_OFF_ID_HIGH) ^ m->id_high;
	bad |= sl_wire_get64(message + SL_WIRE_OFF_ID_LOW) ^ m->number;
	bad |= sl_wire_get32(message + SL_WIRE_OFF_PRIORITY) ^
		t->params.classes[m->class_index].level;
	bad |= sl_wire_get32(message + SL_WIRE_OFF_FLAGS) ^ t->params.flags;
	if (bad != 0)
		return false;
	payload = sl_wire_message_payload(message, len, &payload_len);
	if (payload != NULL)
		overhead = 1 + sl_wire_varint_len(payload_len);
	/* Nothing may be missing, and nothing may have come after it. */
	if (payload_len != m->payload_len || len != SL_WIRE_MESSAGE_MIN + overhead + payload_len)
		return false;
	return !is_payload_compared || payload_len == 0 ||
		is_payload_intact(t, m, payload, sl_wire_get64(message + SL_WIRE_OFF_TIMESTAMP));
}
