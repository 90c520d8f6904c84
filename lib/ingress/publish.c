/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ingress.h"

#define MS UINT64_C(1000000)

/* The way is short, but an ack waits for the disk. */
#define INITIAL_CREDIT	  64
#define RTT_INITIAL	  (20 * MS)
#define RTO_MIN		  (20 * MS)
#define RTO_MAX		  (1000 * MS)
#define ACK_DELAY	  (20 * MS)
#define REFUSED_PAUSE	  (2 * MS)
#define REFUSED_PAUSE_MAX (500 * MS)
#define RESENDS		  32u
#define LACKING_PAUSE	  (MS / 4)

/* What is kept of a message until it is durable: short ones in blocks that are used again. */
#define BLOCK	   768u
#define BLOCKS_MAX 4096u

/* What clients publish to topics that this thread's have subscribed to comes back. So much of it is
 * in the path at a time: what comes in more quickly than it goes out would end in full queues
 * there, and the rings do not hold it back, because a frame in is many messages, and one out is
 * one. When nothing comes for a while it was dropped on its way. */
#define AHEAD_MAX 8192u
#define AHEAD_NS  (100 * MS)

/* Field 16 of a message, length-delimited, as a varint. */
#define TAG_ID_TEXT_0 0x82
#define TAG_ID_TEXT_1 0x01

struct gw_publication {
	TAILQ_ENTRY(gw_publication) next; /* In `again` or `settled`. */
	TAILQ_ENTRY(gw_publication) live;
	struct gw_client *client;
	uint64_t token;
	uint64_t destination;
	uint32_t len;
	uint32_t body; /* Where the message begins, behind tag and length. */
	bool is_block;
	bool is_durable;
	bool is_given_up;
	uint8_t bytes[];
};

static uint64_t
new_session(struct gw_thread *thread)
{
	uint64_t session;

	do {
		session = gw_thread_random(thread);
	} while (session == 0);
	return session;
}

int
gw_publisher_init(struct gw_thread *thread, uint32_t window)
{
	struct gw_publisher *p = &thread->publisher;
	struct sl_session_tx_params params = {
		.session = new_session(thread),
		.window = window,
		.initial_credit = RTE_MIN(window, (uint32_t)INITIAL_CREDIT),
		.rtt_initial_ns = RTT_INITIAL,
		.rto_min_ns = RTO_MIN,
		.rto_max_ns = RTO_MAX,
		.ack_delay_max_ns = ACK_DELAY,
	};
	size_t size = sl_session_tx_memory_size(&params);

	TAILQ_INIT(&p->again);
	TAILQ_INIT(&p->live);
	TAILQ_INIT(&p->settled);
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->opening);
	TAILQ_INIT(&p->naming);
	if (posix_memalign(&p->mem, 64, size) != 0) {
		p->mem = NULL;
		return -ENOMEM;
	}
	memset(p->mem, 0, size);
	p->session = params.session;
	p->window = window;
	p->tx = sl_session_tx_init(p->mem, &params, thread->now_ns);
	return 0;
}

/* Memory of publications. */

static struct gw_publication *
get_publication(struct gw_publisher *p, uint32_t len)
{
	struct gw_publication *pub;

	if (sizeof(*pub) + len > BLOCK) {
		pub = malloc(sizeof(*pub) + len);
		if (pub != NULL)
			pub->is_block = false;
		return pub;
	}
	pub = p->blocks;
	if (pub != NULL) {
		p->blocks = *(void **)pub;
		p->nb_blocks--;
	} else {
		pub = malloc(BLOCK);
	}
	if (pub != NULL)
		pub->is_block = true;
	return pub;
}

static void
put_publication(struct gw_publisher *p, struct gw_publication *pub)
{
	if (!pub->is_block || p->nb_blocks == BLOCKS_MAX) {
		free(pub);
		return;
	}
	*(void **)pub = p->blocks;
	p->blocks = pub;
	p->nb_blocks++;
}

/* Settling. */

static void
settle(struct gw_publisher *p, struct gw_publication *pub, bool is_durable)
{
	struct gw_stats *stats = &gw_client_listener(pub->client)->stats;

	pub->is_durable = is_durable;
	TAILQ_REMOVE(&p->live, pub, live);
	TAILQ_INSERT_TAIL(&p->settled, pub, next);
	p->nb_live--;
	p->live_bytes -= pub->len;
	if (is_durable)
		GW_ADD(stats->durable, 1);
	else
		GW_ADD(stats->lost, 1);
}

static void
on_acked(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	RTE_SET_USED(sequence);
	RTE_SET_USED(attempts);
	settle(arg, msg, true);
}

static void
on_taken_back(void *arg, void *msg, uint64_t sequence, uint32_t attempts)
{
	struct gw_publisher *p = arg;
	struct gw_publication *pub = msg;

	RTE_SET_USED(sequence);
	RTE_SET_USED(attempts);
	if (pub->is_given_up)
		settle(p, pub, false);
	else
		TAILQ_INSERT_TAIL(&p->again, pub, next);
}

static void
restart(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	struct gw_publications older;

	/* What waits already was sent after what comes back now. */
	TAILQ_INIT(&older);
	TAILQ_CONCAT(&older, &p->again, next);
	p->session = new_session(thread);
	sl_session_tx_restart(p->tx, p->session, thread->now_ns, on_taken_back, p);
	TAILQ_CONCAT(&p->again, &older, next);
}

/* An appliance that has forgotten us is asked again at once; one that refuses always, slower. */
static void
refused(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	uint64_t pause = REFUSED_PAUSE;

	GW_ADD(p->refused, 1);
	restart(thread);
	for (uint32_t i = 1; i < p->refusals && pause < REFUSED_PAUSE_MAX; i++)
		pause *= 2;
	if (p->refusals++ > 0)
		p->hold_until_ns = thread->now_ns + RTE_MIN(pause, REFUSED_PAUSE_MAX);
}

void
gw_publisher_ack(struct gw_thread *thread, const struct sl_wire_ack *ack)
{
	struct gw_publisher *p = &thread->publisher;

	GW_ADD(p->acks, 1);
	if (ack->session != p->session)
		return;
	switch (sl_session_tx_ack(p->tx, ack, thread->now_ns, on_acked, p)) {
	case SL_SESSION_ACK_OK:
		p->refusals = 0;
		break;
	case SL_SESSION_ACK_OLD:
		break;
	case SL_SESSION_ACK_BAD:
		GW_ADD(p->bad_acks, 1);
		break;
	case SL_SESSION_ACK_REFUSED:
		refused(thread);
		break;
	}
}

void
gw_publisher_applied(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	const struct gw_dest *dest;
	struct gw_publication *pub;
	bool is_any = false;

	TAILQ_FOREACH (pub, &p->live, live) {
		dest = gw_snapshot_find(thread->snapshot, pub->destination);
		pub->is_given_up = dest == NULL ||
			dest->public.guarantee != SL_CONFIG_AT_LEAST_ONCE;
		is_any |= pub->is_given_up;
	}
	if (!is_any)
		return;
	/* A session has no holes: what is left goes on in another. */
	restart(thread);
	for (struct gw_publication *next, *q = TAILQ_FIRST(&p->again); q != NULL; q = next) {
		next = TAILQ_NEXT(q, next);
		if (!q->is_given_up)
			continue;
		TAILQ_REMOVE(&p->again, q, next);
		settle(p, q, false);
	}
}

/* Sending. */

static bool
send_in_session(struct gw_thread *thread, struct gw_publication *pub)
{
	struct gw_publisher *p = &thread->publisher;
	uint8_t *to = gw_link_add(&thread->link, p->session, pub->len);
	uint64_t sequence;

	if (to == NULL)
		return false;
	sequence = sl_session_tx_send(p->tx, pub, thread->now_ns);
	sl_wire_put64(pub->bytes + pub->body + SL_WIRE_OFF_SEQUENCE, sequence);
	memcpy(to, pub->bytes, pub->len);
	return true;
}

/* @return something was sent */
static bool
send_again(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	struct sl_session_resend resends[RESENDS];
	struct gw_publication *pub;
	uint32_t n;
	uint8_t *to;

	if (sl_session_tx_deadline(p->tx) <= thread->now_ns) {
		n = sl_session_tx_resend(p->tx, thread->now_ns, resends, RESENDS);
		for (uint32_t i = 0; i < n; i++) {
			pub = resends[i].msg;
			to = gw_link_add(&thread->link, p->session, pub->len);
			/* Not sent for want of room, it is lost once more. */
			if (to != NULL)
				memcpy(to, pub->bytes, pub->len);
		}
		GW_ADD(p->retransmitted, n);
	}
	while (thread->now_ns >= p->hold_until_ns && (pub = TAILQ_FIRST(&p->again)) != NULL &&
		sl_session_tx_room(p->tx) > 0) {
		if (!send_in_session(thread, pub))
			return true;
		TAILQ_REMOVE(&p->again, pub, next);
	}
	return false;
}

/* Clients are told outside of the session's calls: they may publish in answer. */
static void
tell_settled(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	struct gw_publications settled;
	struct gw_publication *pub;

	TAILQ_INIT(&settled);
	TAILQ_CONCAT(&settled, &p->settled, next);
	while ((pub = TAILQ_FIRST(&settled)) != NULL) {
		struct gw_client *client = pub->client;

		TAILQ_REMOVE(&settled, pub, next);
		client->nb_pending--;
		if (!client->is_gone && !client->is_doomed) {
			client->listener->protocol->published(client, pub->token, pub->is_durable);
			gw_client_check_end(client);
		}
		put_publication(p, pub);
		gw_client_unref(client);
		thread->is_busy = true;
	}
}

static bool
has_room(const struct gw_thread *thread)
{
	const struct gw_publisher *p = &thread->publisher;

	return thread->now_ns >= p->hold_until_ns && TAILQ_EMPTY(&p->again) &&
		sl_session_tx_room(p->tx) > 0 && p->live_bytes < GW_LIVE_MAX;
}

static bool
may_go_on(const struct gw_thread *thread)
{
	return has_room(thread) && thread->link.nb_ready + 2 < GW_LINK_READY &&
		thread->ahead < AHEAD_MAX &&
		(!thread->link.is_lacking || thread->now_ns >= thread->publisher.lacking_until_ns);
}

/* Each once, in the order of their coming: who has to wait again does so behind the others. */
static void
resume(struct gw_thread *thread, struct gw_clients *waiting,
	bool (*may)(const struct gw_thread *thread))
{
	struct gw_client *client;
	struct gw_clients list;

	if (TAILQ_EMPTY(waiting) || !may(thread))
		return;
	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, waiting, waiting);
	TAILQ_FOREACH (client, &list, waiting)
		client->wait_list = &list;
	while ((client = TAILQ_FIRST(&list)) != NULL && may(thread)) {
		gw_publisher_forget(client);
		gw_client_go_on(client);
	}
	TAILQ_FOREACH (client, &list, waiting)
		client->wait_list = waiting;
	TAILQ_CONCAT(&list, waiting, waiting);
	TAILQ_CONCAT(waiting, &list, waiting);
}

static bool
always(const struct gw_thread *thread)
{
	return !thread->has_drained;
}

/* Have more names become durable? */
static void
resume_named(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	uint32_t changes = gw_names_changes(thread->shared->names);

	if (changes == p->names_seen)
		return;
	p->names_seen = changes;
	resume(thread, &p->naming, always);
}

void
gw_publisher_turn(struct gw_thread *thread)
{
	send_again(thread);
	tell_settled(thread);
	if (unlikely(thread->ahead == AHEAD_MAX && thread->now_ns - thread->came_ns >= AHEAD_NS))
		thread->ahead = 0;
	if (!thread->has_drained)
		resume(thread, &thread->publisher.waiting, may_go_on);
	if (unlikely(!TAILQ_EMPTY(&thread->publisher.naming)))
		resume_named(thread);
}

void
gw_publisher_opened(struct gw_thread *thread)
{
	resume(thread, &thread->publisher.opening, always);
	resume(thread, &thread->publisher.naming, always);
}

void
gw_publisher_forget(struct gw_client *client)
{
	if (client->wait_list != NULL)
		TAILQ_REMOVE(client->wait_list, client, waiting);
	client->wait_list = NULL;
	client->is_waiting = false;
}

void
gw_client_stop_waiting(struct gw_client *client)
{
	gw_publisher_forget(client);
	gw_client_go_on(client);
}

void
gw_publisher_fini(struct gw_thread *thread)
{
	struct gw_publisher *p = &thread->publisher;
	struct gw_publication *pub;
	void *block;

	if (p->mem == NULL)
		return;
	while ((pub = TAILQ_FIRST(&p->settled)) != NULL) {
		TAILQ_REMOVE(&p->settled, pub, next);
		gw_client_unref(pub->client);
		free(pub);
	}
	while ((pub = TAILQ_FIRST(&p->live)) != NULL) {
		TAILQ_REMOVE(&p->live, pub, live);
		gw_client_unref(pub->client);
		free(pub);
	}
	while ((block = p->blocks) != NULL) {
		p->blocks = *(void **)block;
		free(block);
	}
	free(p->mem);
}

/* Publishing. */

struct shape {
	uint32_t body; /* Where the message begins. */
	uint32_t len;  /* Of all. */
	uint32_t bare; /* Of the message without id_text. */
};

static bool
measure(const struct gw_thread *thread, const struct gw_message *m, struct shape *shape)
{
	uint32_t max = gw_link_message_max(&thread->link), text;
	uint32_t body = SL_WIRE_MESSAGE_MIN;

	if (m->payload_len > max || m->id_text_len > max)
		return false;
	if (m->payload_len > 0)
		body += 1 + sl_wire_varint_len((uint32_t)m->payload_len) + (uint32_t)m->payload_len;
	shape->bare = body;
	text = m->id_text != NULL ? (uint32_t)m->id_text_len : 0;
	if (text > 0)
		body += 2 + sl_wire_varint_len(text) + text;
	shape->body = 1 + sl_wire_varint_len(body);
	shape->len = shape->body + body;
	return shape->len <= max;
}

bool
gw_fits(const struct gw_thread *thread, size_t payload_len)
{
	const struct gw_message message = {.payload_len = payload_len};
	struct shape shape;

	return measure(thread, &message, &shape);
}

static void
write_message(const struct gw_thread *thread, const struct gw_message *m, uint64_t destination,
	bool is_acked, const struct shape *shape, uint8_t *to)
{
	struct sl_wire_message wire = {
		.key = {.destination = destination,
			.source = m->source,
			.id_high = m->id_high,
			.id_low = m->id_low},
		.timestamp_ns = m->timestamp_ns != 0 ? m->timestamp_ns : thread->unix_ns,
		.type = m->type,
		.priority = m->priority,
		.flags = is_acked ? SL_WIRE_FLAG_ACK : 0,
		.payload = m->payload,
		.payload_len = (uint32_t)m->payload_len,
	};
	uint32_t text = (uint32_t)m->id_text_len;
	uint8_t *p;

	if (m->id_text != NULL && text > 0) {
		XXH128_hash_t hash = XXH3_128bits(m->id_text, m->id_text_len);

		wire.key.id_high = hash.high64;
		wire.key.id_low = hash.low64;
	}
	/* The builder knows no id_text, and may take a byte less for the length. */
	p = sl_wire_put_message(to + shape->body - 1 - sl_wire_varint_len(shape->bare), &wire);
	sl_wire_put_envelope(to, shape->len - shape->body);
	if (m->id_text == NULL || text == 0)
		return;
	*p++ = TAG_ID_TEXT_0;
	*p++ = TAG_ID_TEXT_1;
	for (; text >= 0x80; text >>= 7)
		*p++ = (uint8_t)(text | 0x80);
	*p++ = (uint8_t)text;
	memcpy(p, m->id_text, m->id_text_len);
}

static enum gw_published
refuse(struct gw_client *client, enum gw_reason why, enum gw_reason *reason)
{
	gw_client_count(client, why);
	*reason = why;
	return GW_REFUSED;
}

static enum gw_published
wait_for(struct gw_client *client, struct gw_clients *list)
{
	gw_client_wait(client, list);
	return GW_WAIT;
}

static enum gw_published
publish_unknown(struct gw_client *client, const struct gw_message *m, enum gw_reason *reason)
{
	struct gw_thread *thread = client->listener->thread;

	/* It waits once for a topic that is being made. */
	if (gw_thread_is_opening(thread, m->destination, m->destination_len))
		return wait_for(client, &thread->publisher.opening);
	gw_tell_unknown(client, m->destination, m->destination_len);
	return refuse(client, GW_NO_DESTINATION, reason);
}

static void
go_on_after_rate(struct gw_client *client)
{
	gw_publisher_forget(client);
	gw_client_go_on(client);
}

/* @return GW_ACCEPTED: it may pass */
static enum gw_published
check_rate(struct gw_client *client, enum gw_reason *reason)
{
	const struct gw_thread *thread = client->listener->thread;
	uint64_t rate = client->listener->config.rate_msgs_per_s, due;

	if (likely(rate == 0) || client->is_own)
		return GW_ACCEPTED;
	if (client->rate_set != rate) {
		sl_gcra_init(&client->rate, rate, (uint32_t)RTE_MAX(1u, rate / 10), 1000000000);
		client->rate_set = rate;
	}
	if (sl_gcra_conforms(&client->rate, thread->now_ns))
		return GW_ACCEPTED;
	if (!client->listener->protocol->is_rate_paced)
		return refuse(client, GW_OVER_RATE, reason);
	due = sl_gcra_due(&client->rate);
	gw_client_wait(client, NULL);
	gw_client_after(client, (uint32_t)((due - thread->now_ns) / MS) + 1, go_on_after_rate);
	return GW_WAIT;
}

/* The path takes none now, or there is no buffer: for a while only, so it waits. */
static enum gw_published
wait_for_path(struct gw_client *client)
{
	struct gw_thread *thread = client->listener->thread;

	thread->publisher.lacking_until_ns = thread->now_ns + LACKING_PAUSE;
	return wait_for(client, &thread->publisher.waiting);
}

/*
 * Large buffers are few, and those in queues that nobody reads may not come back: what is at most
 * once is not waited for.
 */
static enum gw_published
lack(struct gw_client *client, uint32_t len, enum gw_reason *reason)
{
	if (!gw_link_lacks_large(&client->listener->thread->link, 0, len))
		return wait_for_path(client);
	*reason = GW_NO_BUFFER;
	if (!client->is_own)
		gw_client_count(client, GW_NO_BUFFER);
	return GW_REFUSED;
}

static enum gw_published
publish_loose(struct gw_client *client, const struct gw_message *m, const struct gw_dest *dest,
	const struct shape *shape, enum gw_reason *reason)
{
	struct gw_thread *thread = client->listener->thread;
	bool comes_back = dest->public.kind == SL_CONFIG_TOPIC &&
		(dest->gateways & UINT32_C(1) << thread->index) != 0;
	uint8_t *to;

	if (unlikely(comes_back && thread->ahead == AHEAD_MAX))
		return wait_for(client, &thread->publisher.waiting);
	to = gw_link_add(&thread->link, 0, shape->len);
	if (unlikely(to == NULL))
		return lack(client, shape->len, reason);
	write_message(thread, m, dest->public.key, false, shape, to);
	if (comes_back && thread->ahead++ == 0)
		thread->came_ns = thread->now_ns;
	return GW_ACCEPTED;
}

/* The journal has to know the names before it has the message. @return it does */
static bool
is_named(struct gw_thread *thread, const struct gw_message *m)
{
	struct gw_shared *shared = thread->shared;

	if (!shared->has_named_journal ||
		likely(gw_names_is_durable(shared->names, m->source, thread->now_ms) &&
			gw_names_is_durable(shared->names, m->type, thread->now_ms)))
		return true;
	/* Both at once, so that it waits once. */
	if (gw_names_want(shared->names, m->source, thread->now_ms) |
		gw_names_want(shared->names, m->type, thread->now_ms))
		gw_wake_control(shared);
	return false;
}

static enum gw_published
publish_numbered(struct gw_client *client, const struct gw_message *m, const struct gw_dest *dest,
	const struct shape *shape, uint64_t token)
{
	struct gw_thread *thread = client->listener->thread;
	struct gw_publisher *p = &thread->publisher;
	struct gw_publication *pub;

	if (!has_room(thread))
		return wait_for(client, &p->waiting);
	if (unlikely(!is_named(thread, m)))
		return wait_for(client, &p->naming);
	pub = get_publication(p, shape->len);
	if (pub == NULL)
		return wait_for_path(client);
	pub->client = client;
	pub->token = token;
	pub->destination = dest->public.key;
	pub->len = shape->len;
	pub->body = shape->body;
	pub->is_given_up = false;
	write_message(thread, m, dest->public.key, true, shape, pub->bytes);
	if (!send_in_session(thread, pub)) {
		put_publication(p, pub);
		return wait_for_path(client);
	}
	TAILQ_INSERT_TAIL(&p->live, pub, live);
	p->nb_live++;
	p->live_bytes += pub->len;
	client->nb_pending++;
	client->refs++;
	return GW_PENDING;
}

enum gw_published
gw_publish(struct gw_client *client, const struct gw_message *m, uint64_t token,
	enum gw_reason *reason)
{
	struct gw_thread *thread = client->listener->thread;
	const struct gw_dest *dest;
	enum gw_published rc;
	struct shape shape;

	if (unlikely(client->is_doomed || client->is_closing || thread->has_drained))
		return wait_for(client, &thread->publisher.waiting);
	dest = (const struct gw_dest *)gw_find_destination(
		thread, m->destination, m->destination_len);
	if (unlikely(dest == NULL))
		return publish_unknown(client, m, reason);
	if (unlikely(m->priority > SL_WIRE_CLASSES))
		return refuse(client, GW_BAD_INPUT, reason);
	if (unlikely(!measure(thread, m, &shape)))
		return refuse(client, GW_TOO_LONG, reason);
	rc = check_rate(client, reason);
	if (unlikely(rc != GW_ACCEPTED))
		return rc;
	rc = dest->public.guarantee == SL_CONFIG_AT_LEAST_ONCE
		? publish_numbered(client, m, dest, &shape, token)
		: publish_loose(client, m, dest, &shape, reason);
	if (rc == GW_WAIT)
		return rc;
	if (client->rate_set != 0)
		sl_gcra_take(&client->rate, thread->now_ns);
	GW_ADD(client->listener->stats.accepted, 1);
	if (client->connection != NULL)
		GW_ADD(client->connection->server->accepted, 1);
	return rc;
}
