/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "sl_record_ring.h"

#define SIZE_MIN  (UINT64_C(1) << 20)
#define HUGE_PAGE (UINT64_C(2) << 20)

/* The same memory twice in a row, at a multiple of `page`. NULL and errno when it cannot be had. */
static uint8_t *
map_twice(int fd, uint64_t size, uint64_t page)
{
	uint8_t *reserved, *bytes;

	if (ftruncate(fd, (off_t)size) < 0)
		return NULL;
	/* Room for both first, so that nothing else comes to lie between them. */
	reserved = mmap(NULL, 2 * size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	bytes = RTE_PTR_ALIGN_CEIL(reserved, page);
	for (unsigned int i = 0; i < 2; i++) {
		if (mmap(bytes + i * size, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == MAP_FAILED) {
			int error = errno;

			munmap(reserved, 2 * size + page);
			errno = error;
			return NULL;
		}
	}
	if (bytes > reserved)
		munmap(reserved, (size_t)(bytes - reserved));
	munmap(bytes + 2 * size, (size_t)(reserved + page - bytes));
	return bytes;
}

static uint8_t *
map_with(unsigned int flags, uint64_t size, uint64_t page)
{
	int fd = memfd_create("sl_record_ring", MFD_CLOEXEC | flags), error;
	uint8_t *bytes;

	if (fd < 0)
		return NULL;
	bytes = map_twice(fd, size, page);
	error = errno;
	close(fd);
	errno = error;
	return bytes;
}

int
sl_record_ring_init(struct sl_record_ring *ring, uint32_t stream, uint32_t incarnation,
	uint64_t position, uint64_t size, uint64_t segment_bytes)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if ((size & (size - 1)) != 0 || size < SIZE_MIN || size % page != 0 ||
		(segment_bytes & (segment_bytes - 1)) != 0 || segment_bytes < SIZE_MIN ||
		position % SL_RECORD_ALIGN != 0)
		return -EINVAL;
	memset(ring, 0, sizeof(*ring));
	/* A batch is written from here: the kernel looks up one huge page instead of 512. */
	if (size % HUGE_PAGE == 0)
		ring->bytes = map_with(MFD_HUGETLB | MFD_HUGE_2MB, size, HUGE_PAGE);
	if (ring->bytes == NULL)
		ring->bytes = map_with(0, size, page);
	if (ring->bytes == NULL)
		return -errno;
	ring->mask = size - 1;
	ring->segment_bytes = segment_bytes;
	ring->stream = stream;
	ring->incarnation = incarnation;
	ring->put = position;
	ring->durable_seen = position;
	ring->state_seen = SL_RECORD_RING_OK;
	atomic_init(&ring->published, position);
	atomic_init(&ring->durable, position);
	atomic_init(&ring->state, SL_RECORD_RING_OK);
	return 0;
}

void
sl_record_ring_free(struct sl_record_ring *ring)
{
	if (ring->bytes != NULL)
		munmap(ring->bytes, 2 * (ring->mask + 1));
	ring->bytes = NULL;
}

void
sl_record_ring_pad(struct sl_record_ring *ring, uint64_t left, uint64_t time_ns)
{
	struct sl_record *record = (struct sl_record *)(ring->bytes + (ring->put & ring->mask));

	/* What is too little for a header stays undefined: who reads knows by the position. */
	if (left >= sizeof(*record)) {
		record->len = (uint32_t)left;
		record->position = ring->put;
		record->time_ns = time_ns;
		record->incarnation = ring->incarnation;
		record->type = SL_RECORD_PAD;
		record->flags = 0;
	}
	ring->put += left;
}
