/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "ingress.h"

const struct gw_protocol *
gw_protocol_of(enum sl_config_protocol protocol)
{
	static const struct gw_protocol *const protocols[] = {
		[SL_GATEWAY_JSON] = &gw_json,
		[SL_GATEWAY_LINE] = &gw_line,
		[SL_GATEWAY_ROOMS] = &gw_rooms,
		[SL_GATEWAY_HTTP] = &gw_http,
	};

	return (size_t)protocol < RTE_DIM(protocols) ? protocols[protocol] : NULL;
}
