/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "packer.h"
#include "pcap.h"

#define PCAP_MAGIC    UINT32_C(0xa1b2c3d4) /* times in microseconds */
#define PCAP_ETHERNET 1
#define PCAP_SNAP_LEN 65535
#define START_NS      UINT64_C(1700000000000000000)
#define FLAT_OUT_GAP  1000 /* ns */

/* See draft-ietf-opsawg-pcap; everything in little-endian order, whatever the machine's. */
static int
write_file_header(FILE *f)
{
	uint8_t h[24] = {0};

	sl_wire_put32(h, PCAP_MAGIC);
	h[4] = 2; /* version 2.4 */
	h[6] = 4;
	sl_wire_put32(h + 16, PCAP_SNAP_LEN);
	sl_wire_put32(h + 20, PCAP_ETHERNET);
	return fwrite(h, sizeof(h), 1, f) == 1 ? 0 : -EIO;
}

static int
write_frame(FILE *f, const struct datagram *d, uint64_t now_ns)
{
	uint8_t h[16];

	sl_wire_put32(h, (uint32_t)(now_ns / 1000000000));
	sl_wire_put32(h + 4, (uint32_t)(now_ns % 1000000000 / 1000));
	sl_wire_put32(h + 8, d->frame_len);
	sl_wire_put32(h + 12, d->frame_len);
	if (fwrite(h, sizeof(h), 1, f) != 1 || fwrite(d->frame, d->frame_len, 1, f) != 1)
		return -EIO;
	return 0;
}

static int
write_frames(FILE *f, struct packer *p, uint64_t gap_ns)
{
	struct datagram *d;
	uint64_t now_ns;
	int rc = 0;

	while (rc == 0) {
		now_ns = START_NS + p->schedule.next * gap_ns;
		d = packer_fill(p, now_ns);
		if (d == NULL)
			d = packer_flush(p);
		if (d == NULL)
			break;
		rc = write_frame(f, d, now_ns);
		packer_give(p, d->feed, d->frame, NULL);
	}
	return rc;
}

int
pcap_write(const struct options *o, const struct traffic *traffic)
{
	uint8_t buffers[PACKER_NB_FEEDS][OPTIONS_MTU_MAX + RTE_ETHER_HDR_LEN];
	uint64_t gap_ns = FLAT_OUT_GAP;
	struct packer packer;
	FILE *f = NULL;
	int rc;

	if (o->rate_msgs_per_s > 0)
		gap_ns = UINT64_C(1000000000) / o->rate_msgs_per_s;
	rc = packer_init(&packer, traffic, &o->packer, o->count, false);
	if (rc == 0) {
		for (unsigned int i = 0; i < PACKER_NB_FEEDS; i++)
			packer_give(&packer, i, buffers[i], NULL);
		f = fopen(o->pcap_path, "wbe");
		rc = f == NULL ? -errno : write_file_header(f);
	}
	if (rc == 0)
		rc = write_frames(f, &packer, gap_ns);
	if (f != NULL && fclose(f) != 0 && rc == 0)
		rc = -errno;
	packer_fini(&packer);
	if (rc < 0)
		fprintf(stderr, "sluice-gen: --pcap %s: %s\n", o->pcap_path, strerror(-rc));
	return rc;
}
