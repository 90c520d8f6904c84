/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/dns.h>

#include "ingress.h"
#include "sl_log.h"
#include "sl_notify.h"

/* What a listener does by itself, and not for a client at a socket. */

#define TOLD_MAX 512

struct gw_client *
gw_listener_own_client(struct gw_listener *listener)
{
	struct gw_client *client = calloc(1, sizeof(*client) + listener->protocol->client_size);

	if (client == NULL)
		return NULL;
	client->input = evbuffer_new();
	client->output = evbuffer_new();
	if (client->input == NULL || client->output == NULL) {
		if (client->input != NULL)
			evbuffer_free(client->input);
		free(client);
		return NULL;
	}
	client->listener = listener;
	client->fd = -1;
	client->refs = 1;
	client->is_own = client->is_kept = client->is_connected = true;
	TAILQ_INIT(&client->held);
	snprintf(client->peer, sizeof(client->peer), "itself");
	TAILQ_INSERT_TAIL(&listener->clients, client, lru);
	if (listener->protocol->connected != NULL)
		listener->protocol->connected(client);
	return client;
}

void
gw_listener_tell(struct gw_listener *listener, enum sl_config_level level, const char *kind,
	json_t *fields, const char *format, ...)
{
	struct sl_notify *notify = listener->thread->shared->notify;
	char text[TOLD_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (notify != NULL) {
		sl_notify(notify, level, kind, fields, "%s", text);
		return;
	}
	json_decref(fields);
	sl_log(SL_LOG_ingress, level, "%s", text);
}

struct evdns_base *
gw_thread_dns(struct gw_thread *thread)
{
	if (thread->dns == NULL)
		thread->dns = evdns_base_new(thread->base,
			EVDNS_BASE_INITIALIZE_NAMESERVERS | EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	return thread->dns;
}
