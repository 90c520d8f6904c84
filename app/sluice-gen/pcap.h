/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef PCAP_H
#define PCAP_H

/**
 * @file
 * The traffic as a file in the classic pcap format, the same bytes for the same options.
 */

#include "options.h"
#include "traffic.h"

/**
 * Write the file. Time in it begins at a fixed moment and goes on by the rate asked for, one
 * microsecond a message when that is "flat out".
 * @return 0 or -errno; said on standard error
 */
int pcap_write(const struct options *options, const struct traffic *traffic);

#endif /* PCAP_H */
