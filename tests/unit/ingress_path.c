/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include <rte_eal.h>
#include <rte_ring.h>

#include "ingress_path.h"

#define PATH_IP	   UINT32_C(0xc0000001) /* 192.0.0.1 */
#define GATEWAY_IP UINT32_C(0xc0000002)

struct path path;

struct path_hooks hooks;

uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The path's side of the contract; the tests are linked without the path. */

static const struct rte_ether_addr gateway_mac = {{2, 0, 0, 0, 0, 2}};
static const struct rte_ether_addr path_mac = {{2, 0, 0, 0, 0, 1}};
static struct rte_ring *from_path_rings[2];

bool
sl_datapath_get_gateway(struct sl_datapath *dp, uint32_t index, struct sl_datapath_gateway *gateway)
{
	if (index != 0)
		return false;
	*gateway = (struct sl_datapath_gateway){
		.pool = path.pool,
		.to_path = path.to_path,
		.nb_from_path = 2,
		.from_path = from_path_rings,
		.large = path.large,
		.data_max = PATH_MTU - 28,
		.data_small = PATH_SMALL - 28,
		.address = sl_ip_from_v4(RTE_BE32(GATEWAY_IP)),
		.mac = gateway_mac,
		.path_address = sl_ip_from_v4(RTE_BE32(PATH_IP)),
		.path_mac = path_mac,
	};
	return true;
}

int
path_create(void **state)
{
	static char arg0[] = "test", arg1[] = "--no-huge", arg2[] = "--no-shconf",
		    arg3[] = "--no-pci", arg4[] = "-m", arg5[] = "64", arg6[] = "--log-level=error",
		    arg7[] = "--no-telemetry", arg8[64];
	char *argv[] = {arg0, arg1, arg2, arg3, arg4, arg5, arg6, arg7, arg8};

	/* On any processor: another program may have one to itself. */
	snprintf(arg8, sizeof(arg8), "--lcores=0@(0-%ld)", sysconf(_SC_NPROCESSORS_ONLN) - 1);
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		exit(EXIT_FAILURE);
	path.pool = rte_pktmbuf_pool_create("pool", 4095, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, 0);
	path.large = rte_pktmbuf_pool_create(
		"large", PATH_LARGE - 1, 0, 0, PATH_MTU + 64 + RTE_PKTMBUF_HEADROOM, 0);
	path.to_path = rte_ring_create("in", PATH_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	path.from_path[0] = rte_ring_create("out0", PATH_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	path.from_path[1] = rte_ring_create("out1", PATH_RING, 0, RING_F_SP_ENQ | RING_F_SC_DEQ);
	from_path_rings[0] = path.from_path[0];
	from_path_rings[1] = path.from_path[1];
	return 0;
}

/* Field 16 behind the payload: written by hand, as the wire format's page has it. */
static void
read_id_text(const uint8_t *p, const uint8_t *end, char text[64])
{
	text[0] = '\0';
	if (end - p > 3 && p[0] == 0x82 && p[1] == 0x01 && p[2] < 64 && p + 3 + p[2] == end)
		snprintf(text, 64, "%.*s", p[2], (const char *)p + 3);
}

/* One that came before is the same again, but for the datagram it is in. */
static bool
is_repeat(const struct path_message *m)
{
	for (uint32_t i = 0; m->session != 0 && i < path.nb_messages; i++) {
		struct path_message *before = &path.messages[i];

		if (before->session != m->session || before->sequence != m->sequence)
			continue;
		assert_int_equal(before->id_high, m->id_high);
		assert_int_equal(before->id_low, m->id_low);
		assert_int_equal(before->payload_len, m->payload_len);
		assert_memory_equal(before->payload, m->payload, m->payload_len);
		return true;
	}
	return false;
}

/* As its session's sender checks it: nothing beyond the highest, and that is not denied. */
static void
check_ack(const struct sl_wire_ack *ack)
{
	uint64_t nb = ack->highest - ack->cumulative;

	assert_true(ack->highest >= ack->cumulative && nb != 1);
	for (uint64_t i = 0; i < UINT64_C(8) * ack->selective_len; i++) {
		bool is_set = (ack->selective[i / 8] >> i % 8 & 1) != 0;

		if (i + 2 == nb)
			assert_true(is_set);
		else if (i + 2 > nb)
			assert_false(is_set);
	}
}

static void
take_message(const struct sl_wire_datagram *d, const uint8_t *m, uint32_t len)
{
	struct path_message *to = &path.messages[path.nb_messages];
	const uint8_t *payload;

	assert_true(path.nb_messages + 1 < RTE_DIM(path.messages));
	assert_int_equal(sl_wire_check_message(m, len), SL_WIRE_OK);
	memset(to, 0, sizeof(*to));
	to->datagram = path.datagrams;
	to->session = d->session;
	to->sequence = sl_wire_get64(m + SL_WIRE_OFF_SEQUENCE);
	to->destination = sl_wire_get64(m + SL_WIRE_OFF_DEST);
	to->source = sl_wire_get64(m + SL_WIRE_OFF_SOURCE);
	to->id_high = sl_wire_get64(m + SL_WIRE_OFF_ID_HIGH);
	to->id_low = sl_wire_get64(m + SL_WIRE_OFF_ID_LOW);
	to->type = sl_wire_get64(m + SL_WIRE_OFF_TYPE);
	to->priority = sl_wire_get32(m + SL_WIRE_OFF_PRIORITY);
	to->flags = sl_wire_get32(m + SL_WIRE_OFF_FLAGS);
	payload = sl_wire_message_payload(m, len, &to->payload_len);
	assert_true(to->payload_len < sizeof(to->payload));
	if (payload != NULL)
		memcpy(to->payload, payload, to->payload_len);
	read_id_text(payload != NULL ? payload + to->payload_len : m + SL_WIRE_MESSAGE_MIN, m + len,
		to->id_text);
	if (is_repeat(to))
		path.nb_repeats++;
	else
		path.nb_messages++;
}

/* A frame has to be right to the last checksum. */
static void
take_frame(struct rte_mbuf *m)
{
	static struct sl_wire_datagram d;
	const struct sl_net_station station = {.mac = path_mac, .address = RTE_BE32(PATH_IP)};
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t len = rte_pktmbuf_pkt_len(m);
	struct sl_net_eth eth = {0};
	struct sl_net_ip ip = {0};
	struct sl_net_udp udp = {0};

	assert_int_equal(m->nb_segs, 1);
	assert_int_equal(rte_mbuf_refcnt_read(m), 1);
	assert_true(len <= PATH_MTU + RTE_ETHER_HDR_LEN);
	assert_int_equal(sl_net_check_eth(p, len, &station, &eth), SL_NET_OK);
	assert_int_equal(
		sl_net_check_ip(p + eth.len, len - eth.len, eth.type, &station, 0, &ip), SL_NET_OK);
	assert_int_equal(ip.payload_len + ip.header_len + eth.len, len);
	assert_int_equal(sl_net_check_udp(p + eth.len + ip.header_len, ip.payload_len, p + eth.len,
				 RTE_BE16(7500), 0, &udp),
		SL_NET_OK);
	p += eth.len + ip.header_len + sizeof(struct rte_udp_hdr);
	path.datagrams++;
	if (p[SL_WIRE_HEADER_LEN] == SL_WIRE_TAG_ACK) {
		assert_true(path.nb_acks < RTE_DIM(path.acks));
		assert_true(sl_wire_parse_ack_fast(p, udp.payload_len, &path.acks[path.nb_acks]));
		path.ack_ports[path.nb_acks] = rte_be_to_cpu_16(
			((const struct rte_udp_hdr *)(p - sizeof(struct rte_udp_hdr)))->src_port);
		check_ack(&path.acks[path.nb_acks++]);
		return;
	}
	assert_int_equal(sl_wire_parse(p, udp.payload_len, &d), SL_WIRE_OK);
	for (uint32_t i = 0; i < d.nb_messages; i++)
		take_message(&d, p + d.messages[i].offset, d.messages[i].len);
}

static void
path_take(void)
{
	struct rte_mbuf *m;

	while (!path.is_standing && rte_ring_dequeue(path.to_path, (void **)&m) == 0) {
		take_frame(m);
		rte_pktmbuf_free(m);
	}
}

void
path_send(const uint8_t *data, size_t len, bool in_segments)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	const struct sl_ip from = sl_ip_from_v4(RTE_BE32(PATH_IP));
	const struct sl_ip to = sl_ip_from_v4(RTE_BE32(GATEWAY_IP));
	struct rte_mempool *pool = len > PATH_SMALL - 100 ? path.large : path.pool;
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *tail;
	struct sl_net_flow flow;
	size_t first = in_segments ? len / 2 : len;
	uint16_t eth;
	uint8_t *p;

	assert_non_null(m);
	sl_net_flow_init(&flow, &from, &to, RTE_BE16(7500),
		rte_cpu_to_be_16(path.to_port != 0 ? path.to_port : 7500), 64);
	p = rte_pktmbuf_mtod(m, uint8_t *);
	eth = sl_net_put_eth(p, &gateway_mac, &path_mac, 0, RTE_ETHER_TYPE_IPV4);
	sl_net_flow_write(&flow, p + eth, (uint16_t)len, NULL);
	memcpy(p + eth + flow.headers_len, data, first);
	m->data_len = (uint16_t)(eth + flow.headers_len + first);
	m->pkt_len = m->data_len;
	if (in_segments) {
		tail = rte_pktmbuf_alloc(pool);
		assert_non_null(tail);
		memcpy(rte_pktmbuf_append(tail, (uint16_t)(len - first)), data + first,
			len - first);
		assert_int_equal(rte_pktmbuf_chain(m, tail), 0);
	}
	/* A gateway of a build with sanitizers may be behind. */
	for (int i = 0; rte_ring_enqueue(path.from_path[in_segments], m) != 0; i++) {
		assert_true(i < PATIENCE_MS);
		nanosleep(&pause, NULL);
	}
}

void
path_deliver_bytes(const char *destination, uint64_t session, uint64_t sequence,
	const void *payload, size_t len, bool in_segments)
{
	uint8_t data[9000];
	struct sl_wire_message m = {
		.key = {.destination = sl_wire_name_key(destination),
			.source = 7,
			.id_high = 1,
			.id_low = sequence},
		.sequence = sequence,
		.timestamp_ns = 99,
		.payload = payload,
		.payload_len = (uint32_t)len,
	};
	uint8_t *p = sl_wire_put_header(data, 1, session);

	p = sl_wire_put_message(p, &m);
	path_send(data, (size_t)(p - data), in_segments);
}

void
path_deliver(const char *destination, uint64_t session, uint64_t sequence, const char *text)
{
	path_deliver_bytes(destination, session, sequence, text, strlen(text), false);
}

void
path_ack(uint64_t session, uint64_t cumulative, uint64_t credit_limit)
{
	uint8_t data[SL_WIRE_ACK_MAX];
	const struct sl_wire_ack ack = {.session = session,
		.cumulative = cumulative,
		.highest = cumulative,
		.credit_limit = credit_limit};

	path_send(data, sl_wire_put_ack(data, 1, &ack), false);
}

/* The protocol. */

struct words {
	struct gw_subscription *subs[4];
	uint64_t next_token;
	uint32_t nb_lines;
};

uint32_t nb_closed, nb_connected, max_input;
bool is_padded;

static void
say(struct gw_client *client, const char *text)
{
	gw_client_write(client, text, strlen(text));
	gw_client_write(client, "\n", 1);
}

/* @return false: not now */
static bool
say_published(struct gw_client *client, char *line, size_t len)
{
	struct words *w = gw_client_state(client);
	char *destination = line + 2, *text = memchr(destination, ' ', len - 2), answer[64];
	enum gw_reason reason;
	struct gw_message m = {.source = 5, .type = 6, .id_high = 1, .id_low = 2, .priority = 2};

	if (text == NULL) {
		gw_client_refuse(client, GW_BAD_INPUT, "no text", line, len);
		say(client, "bad");
		return true;
	}
	m.destination = destination;
	m.destination_len = (size_t)(text - destination);
	m.payload = text + 1;
	m.payload_len = len - (size_t)(text + 1 - line);
	if (m.payload_len > 2 && memcmp(m.payload, "id", 2) == 0) {
		m.id_text = m.payload;
		m.id_text_len = m.payload_len;
	}
	if (m.payload_len > 3 && memcmp(m.payload, "by ", 3) == 0)
		m.source = gw_name_key(gw_client_thread(client), text + 4, m.payload_len - 3);
	switch (gw_publish(client, &m, w->next_token, &reason)) {
	case GW_ACCEPTED:
		say(client, "ok");
		break;
	case GW_PENDING:
		w->next_token++;
		say(client, "pending");
		break;
	case GW_REFUSED:
		snprintf(answer, sizeof(answer), "refused %s", gw_reason_name(reason));
		say(client, answer);
		break;
	case GW_WAIT:
		return false;
	}
	return true;
}

static void
say_subscribed(struct gw_client *client, const char *name, size_t len)
{
	struct words *w = gw_client_state(client);

	for (uint32_t i = 0; i < RTE_DIM(w->subs); i++) {
		if (w->subs[i] != NULL)
			continue;
		w->subs[i] = gw_subscribe(client, name, len);
		say(client, w->subs[i] != NULL ? "subscribed" : "none");
		return;
	}
}

/* "D TOPIC NAME", "A TOPIC NAME", "F TOPIC NAME" */
static void
say_durable(struct gw_client *client, const char *line, size_t len)
{
	const char *as = memchr(line + 2, ' ', len - 2);
	const struct gw_durable_names names = {
		.topic = line + 2,
		.topic_len = (size_t)(as - (line + 2)),
		.as = as + 1,
		.as_len = len - (size_t)(as + 1 - line),
	};
	char error[256];
	bool is_asked = line[0] == 'F' ? gw_durable_forget(client, &names, error, sizeof(error))
				       : gw_durable_subscribe(client, &names, line[0] == 'A', error,
						 sizeof(error)) != NULL;

	if (!is_asked)
		say(client, error);
}

static bool
take_line(struct gw_client *client, char *line, size_t len)
{
	struct words *w = gw_client_state(client);
	char *bytes;

	switch (len > 0 ? line[0] : 0) {
	case 'P':
		return say_published(client, line, len);
	case 'S':
		say_subscribed(client, line + 2, len - 2);
		break;
	case 'U':
		gw_unsubscribe(w->subs[0]);
		w->subs[0] = NULL;
		say(client, "unsubscribed");
		break;
	case 'D':
	case 'A':
	case 'F':
		say_durable(client, line, len);
		break;
	case 'R':
		say(client,
			gw_durable_received(client, line + 2, len - 2) ? "received" : "unknown");
		break;
	case 'O':
		say(client,
			gw_open_topic(gw_client_listener(client), line + 2, len - 2) == 0 ? "opened"
											  : "full");
		break;
	case 'T':
		say(client,
			gw_client_authorize(client, line + 2, len - 2)
				? (gw_client_name(client) != NULL ? gw_client_name(client) : "open")
				: "stranger");
		break;
	case 'Q':
		say(client, "bye");
		gw_client_close(client);
		return false;
	case 'B':
		bytes = calloc(1, strtoul(line + 2, NULL, 10));
		gw_client_write(client, bytes, strtoul(line + 2, NULL, 10));
		free(bytes);
		break;
	default:
		gw_client_refuse(client, GW_BAD_INPUT, "no such word", line, len);
		say(client, "bad");
	}
	return true;
}

static void
on_input(struct gw_client *client, struct evbuffer *input)
{
	size_t left = evbuffer_get_length(input), len;
	char *line = (char *)evbuffer_pullup(input, -1), *end, copy[10000];

	max_input = RTE_MAX(max_input, (uint32_t)left);
	while ((end = left > 0 ? memchr(line, '\n', left) : NULL) != NULL) {
		len = (size_t)(end - line);
		assert_true(len < sizeof(copy));
		memcpy(copy, line, len);
		copy[len] = '\0';
		if (!take_line(client, copy, len))
			return;
		evbuffer_drain(input, len + 1);
		line = end + 1;
		left -= len + 1;
	}
}

static void
on_published(struct gw_client *client, uint64_t token, bool is_durable)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %u", is_durable ? "durable" : "lost", (unsigned int)token);
	say(client, text);
}

static void
on_connected(struct gw_client *client)
{
	nb_connected++;
	if (gw_client_is_connector(client))
		say(client, "hello");
}

static void
on_closed(struct gw_client *client)
{
	nb_closed++;
}

static struct gw_chunk *
on_render(struct gw_listener *listener, const struct gw_delivery *d)
{
	size_t name_len = strlen(d->destination_name);
	size_t len = name_len + d->payload_len + 2;
	struct gw_chunk *chunk = gw_chunk_alloc(len + GW_CHUNK_SHARED);
	uint8_t *p = gw_chunk_data(chunk);

	assert_int_equal(d->source, 7);
	assert_int_equal(d->timestamp_ns, 99);
	memcpy(p, d->destination_name, name_len);
	p[name_len] = ' ';
	memcpy(p + name_len + 1, d->payload, d->payload_len);
	p[len - 1] = '\n';
	memset(p + len, '.', GW_CHUNK_SHARED);
	if (!is_padded)
		gw_chunk_truncate(chunk, len);
	return chunk;
}

static bool
on_wants(struct gw_client *client, const struct gw_delivery *d)
{
	return d->payload_len == 0 || d->payload[0] != '!';
}

static void
on_durable_began(struct gw_client *client, const struct gw_durable *durable)
{
	char text[128];

	snprintf(text, sizeof(text), "begun %s", gw_durable_name(durable));
	say(client, text);
}

static void
on_durable_ended(struct gw_client *client, const struct gw_durable *durable, const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "ended %s%s%s", gw_durable_name(durable),
		why != NULL ? " " : "", why != NULL ? why : "");
	say(client, text);
}

struct gw_protocol words = {
	.name = "words",
	.client_size = sizeof(struct words),
	.input = on_input,
	.published = on_published,
	.durable_began = on_durable_began,
	.durable_ended = on_durable_ended,
	.connected = on_connected,
	.closed = on_closed,
	.render = on_render,
	.wants = on_wants,
};

const struct gw_protocol *test_protocol = &words;
int (*test_report)(void *arg, bool *is_ready, char **health, char **metrics);

const struct gw_protocol *
gw_protocol_of(enum sl_config_protocol protocol)
{
	return test_protocol;
}

/* The gateways. */

struct event_base *base;
struct sl_config *config;
struct sl_ingress *ingress;
uint16_t test_port;
bool are_names_kept;

static void
on_join(void *arg, const char *destination, uint32_t thread)
{
	hooks.joins++;
	snprintf(hooks.joined, sizeof(hooks.joined), "%s", destination);
}

static void
on_leave(void *arg, const char *destination, uint32_t thread)
{
	hooks.leaves++;
	snprintf(hooks.left, sizeof(hooks.left), "%s", destination);
}

static uint64_t
on_name(void *arg, uint64_t key, const char *name, uint32_t len)
{
	assert_int_equal(key, sl_wire_name_key_len(name, len));
	assert_in_range(hooks.nb_names, 0, RTE_DIM(hooks.names) - 1);
	snprintf(hooks.names[hooks.nb_names], sizeof(hooks.names[0]), "%.*s", (int)len, name);
	return ++hooks.nb_names;
}

static int
on_open(void *arg, const char *name, enum sl_config_guarantee guarantee, bool stays)
{
	hooks.opens++;
	hooks.stays = stays;
	snprintf(hooks.opened, sizeof(hooks.opened), "%s", name);
	return hooks.open_rc;
}

static int
note_durable(const struct sl_ingress_durable *durable, char *error, size_t error_len)
{
	hooks.durable = *durable;
	hooks.durable.destination = hooks.durable.name = NULL;
	snprintf(hooks.durable_name, sizeof(hooks.durable_name), "%s", durable->name);
	if (hooks.durable_error == NULL)
		return 0;
	snprintf(error, error_len, "%s", hooks.durable_error);
	return -EPERM;
}

static int
on_durable_join(void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len)
{
	hooks.durable_joins++;
	return note_durable(durable, error, error_len);
}

static void
on_durable_leave(void *arg, const struct sl_ingress_durable *durable)
{
	hooks.durable_leaves++;
	note_durable(durable, NULL, 0);
}

static int
on_durable_forget(
	void *arg, const struct sl_ingress_durable *durable, char *error, size_t error_len)
{
	hooks.durable_forgets++;
	return note_durable(durable, error, error_len);
}

uint16_t
free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

struct sl_config *
make_config(const char *kind, const char *gateway, const char *destinations)
{
	struct sl_config *made;
	char text[4096], error[512];

	snprintf(text, sizeof(text),
		"ports:\n  - {name: net0, device: d0, address: 10.77.0.1/24}\n"
		"journal: {directory: /nowhere}\n"
		"gateways: {%s: [{name: words%s}]}\n"
		"destinations:\n%s",
		kind, gateway, destinations);
	if (sl_config_parse("f.yaml", text, strlen(text), &made, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return made;
}

void
start(const char *kind, const char *keys)
{
	struct sl_ingress_params params = {
		.hooks = {.join = on_join,
			.leave = on_leave,
			.durable_join = on_durable_join,
			.durable_leave = on_durable_leave,
			.durable_forget = on_durable_forget,
			.open_topic = on_open},
	};
	char text[1024], error[512];

	test_port = free_port();
	if (strcmp(kind, "listeners") == 0)
		snprintf(text, sizeof(text), ", address: 127.0.0.1, port: %u%s", test_port, keys);
	else
		snprintf(text, sizeof(text), "%s", keys);
	base = event_base_new();
	config = make_config(kind, text, DESTINATIONS);
	params.base = base;
	params.hooks.report = test_report;
	params.hooks.name = are_names_kept ? on_name : NULL;
	params.config = config;
	memset(&hooks, 0, sizeof(hooks));
	path.nb_messages = path.nb_repeats = path.nb_acks = path.datagrams = 0;
	path.is_standing = false;
	path.to_port = 0;
	nb_closed = nb_connected = max_input = 0;
	if (sl_ingress_create(&params, &ingress, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_int_equal(sl_ingress_start(ingress, error, sizeof(error)), 0);
}

int
stop(void **state)
{
	struct rte_mbuf *m;

	sl_ingress_destroy(ingress);
	ingress = NULL;
	sl_config_free(config);
	config = NULL;
	if (base != NULL)
		event_base_free(base);
	base = NULL;
	for (int i = 0; i < 2; i++) {
		while (rte_ring_dequeue(path.from_path[i], (void **)&m) == 0)
			rte_pktmbuf_free(m);
	}
	while (rte_ring_dequeue(path.to_path, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	/* Each buffer has come back. */
	assert_int_equal(rte_mempool_avail_count(path.pool), 4095);
	assert_int_equal(rte_mempool_avail_count(path.large), PATH_LARGE - 1);
	return 0;
}

void
pump(void)
{
	const struct timespec pause = {.tv_nsec = 200000};

	event_base_loop(base, EVLOOP_NONBLOCK);
	path_take();
	nanosleep(&pause, NULL);
}

void
settle_for(uint64_t ms)
{
	uint64_t end = now_ms() + ms;

	while (now_ms() < end)
		pump();
}

/* Of the turn that is counted now, the end; of the next one, all. */
void
turn_over(void)
{
	uint64_t turns = of_thread("turns");

	WAIT_FOR(of_thread("turns") >= turns + 2);
	pump();
}

void
turn_over_frames(uint64_t n)
{
	WAIT_FOR(of_thread("frames_in") >= n);
	turn_over();
}

/* Counters. */

static uint64_t
count_of(const char *kind, const char *key, const char *reason)
{
	json_t *shown = sl_ingress_show(ingress);
	json_t *gateway = json_array_get(json_object_get(shown, kind), 0);
	uint64_t n = (uint64_t)json_integer_value(
		json_object_get(reason != NULL ? json_object_get(gateway, "reasons") : gateway,
			reason != NULL ? reason : key));

	json_decref(shown);
	return n;
}

uint64_t
reasons(const char *reason)
{
	return count_of("gateways", NULL, reason);
}

uint64_t
shown(const char *key)
{
	return count_of("gateways", key, NULL);
}

uint64_t
of_thread(const char *key)
{
	json_t *all = sl_ingress_show(ingress);
	uint64_t n = (uint64_t)json_integer_value(
		json_object_get(json_array_get(json_object_get(all, "threads"), 0), key));

	json_decref(all);
	return n;
}
