/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ingress.h"

/* How many clients each address has; of all threads, under a lock that is taken once a connection.
 */

#define BUCKETS 4096u

struct address {
	struct address *next;
	struct sl_ip ip;
	uint32_t clients;
};

struct gw_addresses {
	pthread_mutex_t lock;
	struct address *buckets[BUCKETS];
};

struct gw_addresses *
gw_addresses_create(void)
{
	struct gw_addresses *addresses = calloc(1, sizeof(*addresses));

	if (addresses != NULL)
		pthread_mutex_init(&addresses->lock, NULL);
	return addresses;
}

void
gw_addresses_destroy(struct gw_addresses *addresses)
{
	struct address *a;

	if (addresses == NULL)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++) {
		while ((a = addresses->buckets[i]) != NULL) {
			addresses->buckets[i] = a->next;
			free(a);
		}
	}
	pthread_mutex_destroy(&addresses->lock);
	free(addresses);
}

static struct address **
find(struct gw_addresses *addresses, const struct sl_ip *ip)
{
	struct address **link =
		&addresses->buckets[XXH3_64bits(ip->bytes, sizeof(ip->bytes)) & (BUCKETS - 1)];

	while (*link != NULL && !sl_ip_equal(&(*link)->ip, ip))
		link = &(*link)->next;
	return link;
}

bool
gw_addresses_take(struct gw_addresses *addresses, const struct sl_ip *ip, uint32_t max)
{
	struct address **link;
	bool is_taken = false;

	pthread_mutex_lock(&addresses->lock);
	link = find(addresses, ip);
	if (*link == NULL) {
		*link = calloc(1, sizeof(**link));
		if (*link != NULL)
			(*link)->ip = *ip;
	}
	if (*link != NULL && (*link)->clients < max) {
		(*link)->clients++;
		is_taken = true;
	}
	pthread_mutex_unlock(&addresses->lock);
	return is_taken;
}

void
gw_addresses_give(struct gw_addresses *addresses, const struct sl_ip *ip)
{
	struct address **link, *a;

	pthread_mutex_lock(&addresses->lock);
	link = find(addresses, ip);
	a = *link;
	if (a != NULL && --a->clients == 0) {
		*link = a->next;
		free(a);
	}
	pthread_mutex_unlock(&addresses->lock);
}
