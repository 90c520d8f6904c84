/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_IP_H
#define SL_IP_H

/**
 * @file
 * An address of either family.
 *
 * IPv4 addresses are kept as IPv4-mapped IPv6 ones (RFC 4291, 2.5.5.2): one type goes through the
 * configuration, the neighbour table and the control plane, and two addresses are equal when their
 * bytes are. Pure functions; may be called from any thread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

#include <rte_byteorder.h>

/** Room for the longest text sl_ip_format() writes. */
#define SL_IP_STRLEN INET6_ADDRSTRLEN

/** All zero: no address. */
struct sl_ip {
	union {
		uint8_t bytes[16];
		uint32_t words[4]; /**< In network order. */
		uint64_t halves[2];
	};
};

static inline struct sl_ip
sl_ip_from_v4(rte_be32_t address)
{
	return (struct sl_ip){.words = {0, 0, RTE_BE32(0xffff), address}};
}

static inline bool
sl_ip_is_v4(const struct sl_ip *ip)
{
	return ip->halves[0] == 0 && ip->words[2] == RTE_BE32(0xffff);
}

/** The IPv4 address in it; meaningful when sl_ip_is_v4(). */
static inline rte_be32_t
sl_ip_v4(const struct sl_ip *ip)
{
	return ip->words[3];
}

/** No address at all. */
static inline bool
sl_ip_is_unset(const struct sl_ip *ip)
{
	return (ip->halves[0] | ip->halves[1]) == 0;
}

static inline bool
sl_ip_equal(const struct sl_ip *a, const struct sl_ip *b)
{
	return a->halves[0] == b->halves[0] && a->halves[1] == b->halves[1];
}

/** Order by bytes, for sorting: below, equal to or above 0. */
static inline int
sl_ip_compare(const struct sl_ip *a, const struct sl_ip *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

/** An address as it stands in an IPv6 header. */
static inline struct sl_ip
sl_ip_from_v6(const uint8_t bytes[16])
{
	struct sl_ip ip;

	memcpy(ip.bytes, bytes, sizeof(ip.bytes));
	return ip;
}

static inline bool
sl_ip_is_multicast(const struct sl_ip *ip)
{
	return ip->bytes[0] == 0xff || (sl_ip_is_v4(ip) && ip->bytes[12] >> 4 == 0xe);
}

/**
 * Read "10.77.0.11" or "fd00::11".
 * @return false when it is neither; the mapped form "::ffff:10.77.0.11" is refused, too
 */
bool sl_ip_parse(const char *text, struct sl_ip *ip);

/** Write an address as people do (RFC 5952). @return @p buf */
const char *sl_ip_format(const struct sl_ip *ip, char buf[SL_IP_STRLEN]);

/**
 * Are the first @p prefix_len bits of the two the same?
 * @param prefix_len  in bits of the addresses' own family, 0..32 or 0..128; addresses of different
 *                    families share none
 */
bool sl_ip_share_prefix(const struct sl_ip *a, const struct sl_ip *b, uint8_t prefix_len);

#endif /* SL_IP_H */
