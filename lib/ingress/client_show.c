/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ingress.h"
#include "sl_log.h"

/*
 * Which client is slow: counters of each, and a line in the log when one begins to lose, and when
 * it is well again. Who looks from another thread has the lock of those who come and go, and reads
 * the counters as they are.
 */

struct row {
	char peer[sizeof(((struct gw_client *)0)->peer)];
	uint64_t dropped, waiting, delivered, began_ms, losing_ms;
};

void
gw_client_shown(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;

	client->began_ms = listener->thread->now_ms;
	pthread_mutex_lock(&listener->shown_lock);
	LIST_INSERT_HEAD(&listener->shown, client, shown);
	pthread_mutex_unlock(&listener->shown_lock);
}

/* The end of its losing. */
static void
tell_end(struct gw_client *client, const char *how)
{
	struct gw_listener *listener = client->listener;
	uint64_t ms = listener->thread->now_ms - client->losing_ms;
	char more[48];

	__atomic_store_n(&client->losing_ms, 0, __ATOMIC_RELAXED);
	if (gw_listener_may_log(listener, more))
		sl_log(SL_LOG_ingress, SL_LEVEL_INFO,
			"gateway %s: %s %s: %" PRIu64 " messages for it were dropped in %.1f s%s",
			listener->config.name, client->peer, how,
			client->dropped - client->dropped_before, (double)ms / 1e3, more);
}

void
gw_client_unshown(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;

	if (client->losing_ms != 0)
		tell_end(client, "has gone without reading on");
	pthread_mutex_lock(&listener->shown_lock);
	LIST_REMOVE(client, shown);
	pthread_mutex_unlock(&listener->shown_lock);
}

void
gw_client_loses(struct gw_client *client)
{
	struct gw_listener *listener = client->listener;
	char more[48];

	gw_client_count(client, GW_OUTPUT_FULL);
	if (client->losing_ms == 0) {
		client->dropped_before = client->dropped;
		__atomic_store_n(&client->losing_ms, RTE_MAX(listener->thread->now_ms, 1u),
			__ATOMIC_RELAXED);
		if (gw_listener_may_log(listener, more))
			sl_log(SL_LOG_ingress, SL_LEVEL_WARN,
				"gateway %s: %s does not read what it is sent: %" PRIu32
				" bytes wait, and messages for it are dropped%s",
				listener->config.name, client->peer, client->output_len, more);
	}
	GW_ADD(client->dropped, 1);
}

void
gw_client_has_read(struct gw_client *client)
{
	tell_end(client, "reads again");
}

/* Does it come before the other? */
static bool
is_before(const struct row *a, const struct row *b)
{
	if (a->dropped != b->dropped)
		return a->dropped > b->dropped;
	return a->waiting > b->waiting;
}

/* @return how many there are */
static uint32_t
insert(struct row *rows, uint32_t nb, const struct row *row)
{
	uint32_t at = nb;

	while (at > 0 && is_before(row, &rows[at - 1]))
		at--;
	if (at == GW_CLIENTS_SHOWN)
		return nb;
	nb = RTE_MIN(nb + 1, GW_CLIENTS_SHOWN);
	memmove(&rows[at + 1], &rows[at], (nb - 1 - at) * sizeof(*rows));
	rows[at] = *row;
	return nb;
}

static uint32_t
collect(struct gw_listener *listener, struct row *rows, uint32_t nb)
{
	const struct gw_client *client;

	pthread_mutex_lock(&listener->shown_lock);
	LIST_FOREACH(client, &listener->shown, shown)
	{
		struct row row = {
			.dropped = GW_GET(client->dropped),
			.waiting = GW_GET(client->output_len),
			.delivered = GW_GET(client->delivered),
			.began_ms = client->began_ms,
			.losing_ms = GW_GET(client->losing_ms),
		};

		if (nb == GW_CLIENTS_SHOWN && !is_before(&row, &rows[nb - 1]))
			continue;
		memcpy(row.peer, client->peer, sizeof(row.peer));
		nb = insert(rows, nb, &row);
	}
	pthread_mutex_unlock(&listener->shown_lock);
	return nb;
}

static json_t *
seconds_since(uint64_t then_ms, uint64_t now_ms)
{
	return json_real(then_ms < now_ms ? (double)(now_ms - then_ms) / 1e3 : 0);
}

json_t *
gw_show_clients(const struct gw_gateway *gateway, uint32_t nb_threads)
{
	struct row *rows = calloc(GW_CLIENTS_SHOWN, sizeof(*rows));
	json_t *list = rows != NULL ? json_array() : NULL;
	uint64_t now_ms = gw_now_ms();
	uint32_t nb = 0;

	for (uint32_t t = 0; list != NULL && t < nb_threads; t++) {
		if (gateway->listeners[t] != NULL)
			nb = collect(gateway->listeners[t], rows, nb);
	}
	for (uint32_t i = 0; i < nb; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:o, s:I, s:I, s:I, s:o}", "peer", rows[i].peer,
				"connected_s", seconds_since(rows[i].began_ms, now_ms), "delivered",
				(json_int_t)rows[i].delivered, "waiting_bytes",
				(json_int_t)rows[i].waiting, "dropped", (json_int_t)rows[i].dropped,
				"losing_s",
				rows[i].losing_ms == 0 ? json_null()
						       : seconds_since(rows[i].losing_ms, now_ms)));
	free(rows);
	return list;
}
