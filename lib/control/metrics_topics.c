/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

/* Topics, those who come and go, and the gateways. Subscribers have no series of their own: their
 * names are theirs to choose. */

struct topic {
	uint32_t destination; /* Index. */
	uint32_t nb_static, nb_dynamic, nb_gateway;
	uint64_t queued, dropped;
};

static void
read_topic(const struct metrics_source *source, uint32_t index, struct topic *topic)
{
	const struct sl_config *config = source->config;
	const struct sl_config_destination *d = &config->destinations[index];
	struct sl_backend_stats stats;

	*topic = (struct topic){.destination = index};
	for (uint32_t i = 0; i < d->nb_backends; i++) {
		sl_datapath_get_backend_stats(source->datapath, index, i, &stats);
		topic->queued += stats.queued;
		topic->dropped += stats.dropped;
		if (!d->backends[i].is_member)
			topic->nb_static++;
		else if (config->ports[d->backends[i].port_index].is_gateway)
			topic->nb_gateway++;
		else
			topic->nb_dynamic++;
	}
}

static struct metrics_labels
labels_of(const struct metrics_source *source, const struct topic *topic)
{
	struct metrics_labels labels;

	labels.len = 0;
	metrics_label(&labels, "topic", source->config->destinations[topic->destination].name);
	return labels;
}

static void
put_topics(struct metrics_text *text, const struct metrics_source *source,
	const struct topic *topics, uint32_t nb_topics)
{
	struct metrics_labels labels;

	metrics_family(text, "sluice_topic_subscribers", METRICS_GAUGE,
		"Subscribers of a topic, by where they come from.");
	for (uint32_t i = 0; i < nb_topics; i++) {
		const struct {
			const char *kind;
			uint32_t nb;
		} kinds[] = {{"static", topics[i].nb_static}, {"dynamic", topics[i].nb_dynamic},
			{"gateway", topics[i].nb_gateway}};

		for (size_t k = 0; k < RTE_DIM(kinds); k++) {
			labels = labels_of(source, &topics[i]);
			metrics_label(&labels, "kind", kinds[k].kind);
			metrics_u64(text, &labels, kinds[k].nb);
		}
	}
	metrics_family(text, "sluice_topic_copies_queued", METRICS_GAUGE,
		"What waits for the subscribers of a topic, all together.");
	for (uint32_t i = 0; i < nb_topics; i++) {
		labels = labels_of(source, &topics[i]);
		metrics_u64(text, &labels, topics[i].queued);
	}
	metrics_family(text, "sluice_topic_copies_dropped", METRICS_COUNTER,
		"What the present subscribers of a topic did not get, all together.");
	for (uint32_t i = 0; i < nb_topics; i++) {
		labels = labels_of(source, &topics[i]);
		metrics_u64(text, &labels, topics[i].dropped);
	}
}

int
metrics_topics(struct metrics_text *text, const struct metrics_source *source)
{
	const struct sl_config *config = source->config;
	uint32_t n = metrics_nb_destinations(config), nb_topics = 0;
	struct topic *topics = calloc((size_t)n + 1, sizeof(*topics));

	if (topics == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		if (config->destinations[i].kind == SL_CONFIG_TOPIC)
			read_topic(source, i, &topics[nb_topics++]);
	}
	put_topics(text, source, topics, nb_topics);
	free(topics);
	return 0;
}

static void
put(struct metrics_text *text, const char *name, enum metrics_type type, const char *help,
	uint64_t value)
{
	metrics_family(text, name, type, help);
	metrics_u64(text, NULL, value);
}

void
metrics_members(struct metrics_text *text, const struct members_stats *stats)
{
	put(text, "sluice_members", METRICS_GAUGE, "Backends that have joined, beside the file's.",
		stats->members);
	put(text, "sluice_topics_on_demand", METRICS_GAUGE,
		"Topics that were made because a client asked.", stats->topics);
	put(text, "sluice_members_joined", METRICS_COUNTER, "Backends that have joined.",
		stats->joined);
	put(text, "sluice_members_left", METRICS_COUNTER, "Backends that have left.", stats->left);
	put(text, "sluice_members_lapsed", METRICS_COUNTER,
		"Backends that were not heard from within their time.", stats->lapsed);
	put(text, "sluice_members_dropped", METRICS_COUNTER,
		"Backends and topics dropped for want of room, or because the file has them.",
		stats->dropped);
	put(text, "sluice_subscriptions_refused", METRICS_COUNTER,
		"Subscribe datagrams that were not obeyed.", stats->refused);
	put(text, "sluice_member_changes", METRICS_COUNTER,
		"Changes of the path because backends or topics came or went.", stats->batches);
}

static struct metrics_labels
gateway_labels(const json_t *gateway)
{
	const char *name = json_string_value(json_object_get(gateway, "name"));
	const char *protocol = json_string_value(json_object_get(gateway, "protocol"));
	struct metrics_labels labels;

	labels.len = 0;
	metrics_label(&labels, "gateway", name != NULL ? name : "");
	metrics_label(&labels, "protocol", protocol != NULL ? protocol : "");
	return labels;
}

static uint64_t
number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void
put_refusals(struct metrics_text *text, const json_t *gateways)
{
	json_t *gateway, *count;
	const char *reason;
	size_t at;

	metrics_family(text, "sluice_gateway_refused", METRICS_COUNTER,
		"What a gateway did not take, and clients it has closed, by reason.");
	json_array_foreach(gateways, at, gateway)
	{
		json_object_foreach(json_object_get(gateway, "reasons"), reason, count)
		{
			struct metrics_labels labels = gateway_labels(gateway);

			metrics_label(&labels, "reason", reason);
			metrics_u64(text, &labels, (uint64_t)json_integer_value(count));
		}
	}
}

/* What came for a gateway's clients when they had gone. */
static void
put_threads(struct metrics_text *text, const json_t *threads)
{
	json_t *thread;
	size_t at;

	metrics_family(text, "sluice_gateway_messages_undeliverable", METRICS_COUNTER,
		"Messages from the path that no client of a gateway thread was left for.");
	json_array_foreach(threads, at, thread)
	{
		struct metrics_labels labels = {.len = 0};
		char number[24];

		snprintf(number, sizeof(number), "%zu", at);
		metrics_label(&labels, "thread", number);
		metrics_u64(text, &labels, number_of(thread, "undeliverable"));
	}
}

/* A family of all message servers. @key: NULL: are they connected? */
static void
put_server_family(struct metrics_text *text, const json_t *connectors, const char *key)
{
	json_t *connector, *server;
	size_t at, i;

	json_array_foreach(connectors, at, connector)
	{
		json_array_foreach(json_object_get(connector, "servers"), i, server)
		{
			const char *name = json_string_value(json_object_get(server, "server"));
			const char *state = json_string_value(json_object_get(server, "state"));
			struct metrics_labels labels = gateway_labels(connector);

			metrics_label(&labels, "server", name != NULL ? name : "");
			if (key != NULL)
				metrics_u64(text, &labels, number_of(server, key));
			else
				metrics_u64(text, &labels,
					state != NULL && strcmp(state, "connected") == 0);
		}
	}
}

static void
put_servers(struct metrics_text *text, const json_t *connectors)
{
	static const struct {
		const char *key, *name, *help;
	} families[] = {
		{"attempts", "sluice_connector_attempts", "Tries to connect to a message server."},
		{"connections", "sluice_connector_connections",
			"Connections to a message server there have been."},
		{"bytes_in", "sluice_connector_received_bytes",
			"Bytes read from a message server."},
		{"accepted", "sluice_connector_messages_accepted",
			"Messages of a message server that were taken in."},
		{"refused", "sluice_connector_refused",
			"What was not taken of a message server's."},
	};

	metrics_family(text, "sluice_connector_up", METRICS_GAUGE,
		"Is the appliance connected to this message server?");
	put_server_family(text, connectors, NULL);
	for (size_t i = 0; i < RTE_DIM(families); i++) {
		metrics_family(text, families[i].name, METRICS_COUNTER, families[i].help);
		put_server_family(text, connectors, families[i].key);
	}
}

/* Of brokers that a gateway stands in for. */
static void
put_primaries(struct metrics_text *text, const json_t *gateways)
{
	const json_t *primary;
	json_t *gateway;
	size_t at;

	metrics_family(text, "sluice_gateway_primary_up", METRICS_GAUGE,
		"Does the broker answer that a gateway stands in for?");
	json_array_foreach(gateways, at, gateway)
	{
		struct metrics_labels labels = gateway_labels(gateway);
		const char *state;

		primary = json_object_get(gateway, "primary");
		state = json_string_value(json_object_get(primary, "state"));
		if (primary != NULL)
			metrics_u64(text, &labels, state != NULL && strcmp(state, "alive") == 0);
	}
	metrics_family(text, "sluice_gateway_primary_stored", METRICS_GAUGE,
		"Messages that it has replicated and not cleared.");
	json_array_foreach(gateways, at, gateway)
	{
		struct metrics_labels labels = gateway_labels(gateway);

		primary = json_object_get(gateway, "primary");
		if (primary != NULL)
			metrics_u64(text, &labels, number_of(primary, "stored"));
	}
}

void
metrics_gateways(struct metrics_text *text, const json_t *ingress)
{
	static const struct {
		const char *key, *name;
		enum metrics_type type;
		const char *help;
	} families[] = {
		{"clients", "sluice_gateway_clients", METRICS_GAUGE, "Clients of a gateway."},
		{"connections", "sluice_gateway_connections", METRICS_COUNTER,
			"Connections there have been."},
		{"subscriptions", "sluice_gateway_subscriptions", METRICS_GAUGE,
			"Subscriptions of a gateway's clients."},
		{"bytes_in", "sluice_gateway_received_bytes", METRICS_COUNTER,
			"Bytes read from clients."},
		{"bytes_out", "sluice_gateway_sent_bytes", METRICS_COUNTER,
			"Bytes written to clients."},
		{"accepted", "sluice_gateway_messages_accepted", METRICS_COUNTER,
			"Messages of clients that were taken in."},
		{"durable", "sluice_gateway_messages_durable", METRICS_COUNTER,
			"Messages of clients that are durable."},
		{"lost", "sluice_gateway_messages_lost", METRICS_COUNTER,
			"Messages of clients that will never be durable."},
		{"delivered", "sluice_gateway_messages_delivered", METRICS_COUNTER,
			"Messages written to clients."},
	};
	json_t *all = json_array(), *gateway;
	size_t at;

	json_array_extend(all, json_object_get(ingress, "gateways"));
	json_array_extend(all, json_object_get(ingress, "connectors"));
	for (size_t i = 0; i < RTE_DIM(families); i++) {
		metrics_family(text, families[i].name, families[i].type, families[i].help);
		json_array_foreach(all, at, gateway)
		{
			struct metrics_labels labels = gateway_labels(gateway);

			metrics_u64(text, &labels, number_of(gateway, families[i].key));
		}
	}
	put_refusals(text, all);
	put_threads(text, json_object_get(ingress, "threads"));
	put_primaries(text, all);
	put_servers(text, json_object_get(ingress, "connectors"));
	json_decref(all);
}
