/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "clock.h"
#include "ingress.h"

/* What the control thread shows of gateways: counters that their threads write, read one by one. */

const char *
gw_reason_name(enum gw_reason reason)
{
	static const char *const names[GW_REASONS] = {
		[GW_BAD_INPUT] = "bad_input",
		[GW_TOO_LONG] = "too_long",
		[GW_NO_DESTINATION] = "no_destination",
		[GW_TOO_MANY_TOPICS] = "too_many_topics",
		[GW_OVER_RATE] = "over_rate",
		[GW_NOT_ALLOWED] = "not_allowed",
		[GW_OUTPUT_FULL] = "output_full",
		[GW_TOO_MANY_CLIENTS] = "too_many_clients",
		[GW_IDLE] = "idle",
		[GW_RESET] = "reset",
		[GW_TLS] = "tls",
		[GW_NO_BUFFER] = "no_buffer",
		[GW_CLOSING] = "closing",
	};

	return names[reason];
}

static const char *
protocol_name(enum sl_config_protocol protocol)
{
	static const char *const names[] = {
		[SL_GATEWAY_JSON] = "json",
		[SL_GATEWAY_LINE] = "line",
		[SL_GATEWAY_ROOMS] = "rooms",
		[SL_GATEWAY_HTTP] = "http",
	};

	return names[protocol];
}

static const char *
state_name(uint32_t state)
{
	static const char *const names[] = {
		[GW_SERVER_IDLE] = "idle",
		[GW_SERVER_CONNECTING] = "connecting",
		[GW_SERVER_CONNECTED] = "connected",
		[GW_SERVER_BACKOFF] = "backoff",
	};

	return names[state];
}

/* The counters of a gateway on all threads. */
static void
sum(const struct gw_gateway *gateway, uint32_t nb_threads, struct gw_stats *total)
{
	*total = (struct gw_stats){0};
	for (uint32_t t = 0; t < nb_threads; t++) {
		const struct gw_listener *listener = gateway->listeners[t];
		const uint64_t *from;
		uint64_t *to = (uint64_t *)total;

		if (listener == NULL)
			continue;
		from = (const uint64_t *)&listener->stats;
		for (size_t i = 0; i < sizeof(*total) / sizeof(uint64_t); i++)
			to[i] += GW_GET(from[i]);
	}
}

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

void
gw_show_add(json_t *object, const char *name, const uint64_t *counter)
{
	uint64_t so_far = (uint64_t)json_integer_value(json_object_get(object, name));

	json_object_set_new(object, name, number(so_far + GW_GET(*counter)));
}

static void
put_stats(json_t *object, const struct gw_stats *s)
{
	json_t *reasons = json_object();

	json_object_set_new(object, "clients", number(s->clients));
	json_object_set_new(object, "connections", number(s->connections));
	json_object_set_new(object, "subscriptions", number(s->subscriptions));
	json_object_set_new(object, "bytes_in", number(s->bytes_in));
	json_object_set_new(object, "bytes_out", number(s->bytes_out));
	json_object_set_new(object, "accepted", number(s->accepted));
	json_object_set_new(object, "durable", number(s->durable));
	json_object_set_new(object, "lost", number(s->lost));
	json_object_set_new(object, "delivered", number(s->delivered));
	json_object_set_new(object, "returned", number(s->returned));
	json_object_set_new(object, "waits", number(s->waits));
	for (int i = 0; i < GW_REASONS; i++)
		json_object_set_new(reasons, gw_reason_name(i), number(s->reasons[i]));
	json_object_set_new(object, "reasons", reasons);
}

static json_t *
show_server(struct gw_server *server)
{
	char error[sizeof(server->error)];
	/* Its thread may write it meanwhile: the clock is read behind it. */
	uint64_t since_ms = GW_GET(server->since_ms), now_ms = gw_now_ms();
	uint64_t for_ms = since_ms != 0 && now_ms > since_ms ? now_ms - since_ms : 0;

	pthread_mutex_lock(&server->lock);
	snprintf(error, sizeof(error), "%s", server->error);
	pthread_mutex_unlock(&server->lock);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "server", server->address,
		"state", state_name(GW_GET(server->state)), "for_ms", (json_int_t)for_ms,
		"attempts", (json_int_t)GW_GET(server->attempts), "connections",
		(json_int_t)GW_GET(server->connections), "bytes_in",
		(json_int_t)GW_GET(server->bytes_in), "accepted",
		(json_int_t)GW_GET(server->accepted), "refused",
		(json_int_t)GW_GET(server->refused), "last_error", error);
}

static json_t *
show_gateway(const struct gw_gateway *gateway, uint32_t nb_threads)
{
	const struct sl_config_gateway *config = &gateway->config;
	json_t *object = json_pack(
		"{s:s, s:s}", "name", config->name, "protocol", protocol_name(config->protocol));
	char address[SL_IP_STRLEN];
	struct gw_stats stats;
	json_t *servers;

	sum(gateway, nb_threads, &stats);
	if (config->is_connector) {
		servers = json_array();
		for (uint32_t i = 0; i < gateway->nb_servers; i++)
			json_array_append_new(servers, show_server(&gateway->servers[i]));
		json_object_set_new(object, "servers", servers);
		json_object_set_new(object, "is_tls", json_boolean(config->is_tls));
	} else {
		sl_ip_format(&config->address, address);
		json_object_set_new(object, "address", json_string(address));
		json_object_set_new(object, "port", number(config->port));
		json_object_set_new(
			object, "is_tls", json_boolean(config->tls_certificate != NULL));
		json_object_set_new(object, "has_tokens", json_boolean(config->tokens != NULL));
	}
	json_object_set_new(object, "topics_opened", number(GW_GET(gateway->nb_topics)));
	put_stats(object, &stats);
	if (gateway->protocol->show != NULL && gateway->listeners[0] != NULL) {
		for (uint32_t t = 0; t < nb_threads; t++)
			gateway->protocol->show(gateway->listeners[t], object);
	}
	if (gateway->protocol->show_all != NULL && gateway->listeners[0] != NULL)
		gateway->protocol->show_all(gateway->listeners, nb_threads, object);
	return object;
}

static json_t *
show_thread(const struct gw_thread *t)
{
	json_t *object = json_object();

	json_object_set_new(object, "thread", number(t->index));
	json_object_set_new(object, "frames_in", number(GW_GET(t->link.frames_in)));
	json_object_set_new(object, "frames_out", number(GW_GET(t->link.frames_out)));
	json_object_set_new(object, "bad_frames", number(GW_GET(t->link.bad_frames)));
	json_object_set_new(object, "no_buffer", number(GW_GET(t->link.no_buffer)));
	json_object_set_new(object, "ring_full", number(GW_GET(t->link.ring_full)));
	json_object_set_new(object, "in_flight", number(GW_GET(t->publisher.nb_live)));
	json_object_set_new(object, "retransmitted", number(GW_GET(t->publisher.retransmitted)));
	json_object_set_new(object, "refused", number(GW_GET(t->publisher.refused)));
	json_object_set_new(object, "destinations", number(GW_GET(t->subscriber.nb_topics)));
	json_object_set_new(object, "held", number(GW_GET(t->subscriber.nb_held)));
	json_object_set_new(object, "duplicates", number(GW_GET(t->subscriber.duplicates)));
	json_object_set_new(object, "undeliverable", number(GW_GET(t->subscriber.undeliverable)));
	json_object_set_new(object, "buffered_bytes", number(GW_GET(t->memory)));
	json_object_set_new(object, "turns", number(GW_GET(t->turns)));
	json_object_set_new(object, "naps", number(GW_GET(t->naps)));
	return object;
}

static json_t *
show_names(const struct gw_names *names)
{
	json_t *object = json_object();
	uint64_t refused = 0;
	uint32_t count = names != NULL ? gw_names_count(names, &refused) : 0;

	json_object_set_new(object, "remembered", number(count));
	json_object_set_new(object, "max", number(GW_NAMES_MAX));
	json_object_set_new(object, "refused", number(refused));
	return object;
}

json_t *
gw_show(const struct gw_shared *shared, struct gw_thread *const *threads, uint32_t nb_threads)
{
	json_t *gateways = json_array(), *connectors = json_array(), *list = json_array();

	for (uint32_t i = 0; i < shared->nb_gateways; i++) {
		const struct gw_gateway *gateway = &shared->gateways[i];

		json_array_append_new(gateway->config.is_connector ? connectors : gateways,
			show_gateway(gateway, nb_threads));
	}
	for (uint32_t i = 0; i < nb_threads; i++)
		json_array_append_new(list, show_thread(threads[i]));
	return json_pack("{s:o, s:o, s:o, s:o}", "gateways", gateways, "connectors", connectors,
		"threads", list, "names", show_names(shared->names));
}

void
gw_show_rooms(struct gw_thread *thread, json_t *object)
{
	const struct gw_shared *shared = thread->shared;
	struct gw_listener *listeners[GW_LISTENERS_MAX * GW_THREADS_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < shared->nb_gateways; i++) {
		const struct gw_gateway *gateway = &shared->gateways[i];

		for (uint32_t t = 0; gateway->protocol == &gw_rooms && t < thread->nb_threads;
			t++) {
			if (gateway->listeners[t] != NULL)
				listeners[n++] = gateway->listeners[t];
		}
	}
	gw_rooms.show_all(listeners, n, object);
}
