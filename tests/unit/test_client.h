/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

#include <stdlib.h>

#include "message.h"
#include "pub_core.h"

/* A message as a publisher's core takes it: to "d", with no payload. The core's hooks release it.
 */
static inline struct sl_pub_message *
make_message(uint32_t n, uint32_t flags, uint64_t deadline, uint32_t datagram_bytes)
{
	const struct sluice_message message = {.destination = "d", .flags = flags};
	const struct sluice_id id = {.high = 1, .low = n};
	struct sl_message_shape shape;
	struct sl_pub_message *m;

	assert_int_equal(sl_message_measure(&message, datagram_bytes, &shape), 0);
	m = calloc(1, sizeof(*m) + shape.len);
	m->id = id;
	m->len = shape.len;
	m->body = shape.body;
	m->deadline = deadline;
	m->is_at_most_once = flags != 0;
	sl_message_write(m->bytes, &message, &shape, 7, &id);
	return m;
}

#endif /* TEST_CLIENT_H */
