/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "sl_ip.h"

/* Of the 128 bits of a mapped address, those in front of the IPv4 one. */
#define MAPPED_BITS 96

bool
sl_ip_parse(const char *text, struct sl_ip *ip)
{
	rte_be32_t v4;

	if (inet_pton(AF_INET, text, &v4) == 1) {
		*ip = sl_ip_from_v4(v4);
		return true;
	}
	return inet_pton(AF_INET6, text, ip->bytes) == 1 && !sl_ip_is_v4(ip);
}

const char *
sl_ip_format(const struct sl_ip *ip, char buf[SL_IP_STRLEN])
{
	if (sl_ip_is_v4(ip))
		inet_ntop(AF_INET, &ip->words[3], buf, SL_IP_STRLEN);
	else
		inet_ntop(AF_INET6, ip->bytes, buf, SL_IP_STRLEN);
	return buf;
}

bool
sl_ip_share_prefix(const struct sl_ip *a, const struct sl_ip *b, uint8_t prefix_len)
{
	unsigned int bits = prefix_len, whole, rest;

	if (sl_ip_is_v4(a) != sl_ip_is_v4(b))
		return false;
	if (sl_ip_is_v4(a))
		bits += MAPPED_BITS;
	whole = bits / 8;
	rest = bits % 8;
	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest)) == 0;
}
