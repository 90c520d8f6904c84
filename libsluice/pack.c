/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "pack.h"
#include "sl_wire.h"

void
sl_pack_reset(struct sl_pack *pack)
{
	pack->nb = 0;
	pack->messages = 0;
	pack->offsets[0] = 0;
}

uint32_t
sl_pack_room(const struct sl_pack *pack)
{
	return SL_PACK_DATAGRAMS - pack->nb;
}

static bool
fits_into_last(const struct sl_pack *pack, uint64_t session, uint32_t len)
{
	return pack->nb != 0 && pack->session == session && pack->messages < SL_WIRE_MESSAGES_MAX &&
		pack->offsets[pack->nb] - pack->offsets[pack->nb - 1] + len <= pack->datagram_bytes;
}

uint8_t *
sl_pack_add(struct sl_pack *pack, uint64_t session, const uint8_t *message, uint32_t len)
{
	uint8_t *p = pack->buf + pack->offsets[pack->nb];

	if (!fits_into_last(pack, session, len)) {
		if (pack->nb == SL_PACK_DATAGRAMS)
			return NULL;
		p = sl_wire_put_header(p, 0, session);
		pack->session = session;
		pack->messages = 0;
		pack->nb++;
		pack->offsets[pack->nb] = pack->offsets[pack->nb - 1] + SL_WIRE_HEADER_LEN;
	}
	memcpy(p, message, len);
	pack->offsets[pack->nb] += len;
	pack->messages++;
	return p;
}
