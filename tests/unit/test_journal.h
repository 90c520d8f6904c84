/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_JOURNAL_H
#define TEST_JOURNAL_H

/*
 * Reads segments as sl_record.h describes them, with code of its own: nothing of the library is
 * used but the shapes. Include cmocka.h first.
 */
#include <stdlib.h>
#include <string.h>

#include "sl_record.h"

struct image {
	const uint8_t *bytes;
	size_t len;
};

struct seen {
	uint64_t position;
	uint64_t key; /* Of a name. */
	uint32_t len;
	uint8_t type;
};

struct seen_list {
	struct seen *records;
	size_t nb;
	uint64_t end; /* Behind the last one. */
};

static inline uint32_t
naive_crc(const uint8_t *p, size_t len)
{
	static uint32_t table[256];
	uint32_t crc = UINT32_MAX;

	for (uint32_t byte = 0; table[255] == 0 && byte < 256; byte++) {
		table[byte] = byte;
		for (int bit = 0; bit < 8; bit++)
			table[byte] = table[byte] >> 1 ^ (table[byte] & 1 ? 0x82f63b78 : 0);
	}
	while (len-- > 0)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

static inline const struct sl_segment_header *
naive_header(const struct image *image)
{
	const struct sl_segment_header *header = (const void *)image->bytes;

	if (image->len < 4096 || memcmp(header->magic, "SLCJRNL2", 8) != 0 ||
		header->crc != naive_crc(image->bytes + 12, 500))
		return NULL;
	return header;
}

static inline int
naive_compare(const void *a, const void *b)
{
	const struct sl_segment_header *x = naive_header(a), *y = naive_header(b);

	if (x->incarnation != y->incarnation)
		return x->incarnation < y->incarnation ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static inline void
naive_add(struct seen_list *list, const struct sl_record *record)
{
	if (list->nb % 1024 == 0)
		list->records = realloc(
			list->records, (list->nb + 1024) * sizeof(list->records[0]));
	list->records[list->nb++] = (struct seen){
		.position = record->position,
		.key = record->type == SL_RECORD_NAME ? ((const struct sl_record_name *)record)->key
						      : 0,
		.len = record->len,
		.type = record->type,
	};
}

/* The whole records of one segment from its first on, below `limit`. Returns where they end. */
static inline uint64_t
naive_walk(const struct image *image, uint64_t limit, struct seen_list *list)
{
	const struct sl_segment_header *header = naive_header(image);
	uint64_t at = header->first;

	while (at < limit && at < header->end) {
		uint64_t left = header->end - at, offset = 4096 + at - header->base;
		const struct sl_record *record = (const void *)(image->bytes + offset);

		if (left < 32)
			return header->end;
		if (offset + 32 > image->len || record->position != at || record->len < 32 ||
			record->len > left || offset + record->len > image->len ||
			record->crc != naive_crc((const uint8_t *)record + 4, record->len - 4))
			break;
		if (record->type != SL_RECORD_PAD)
			naive_add(list, record);
		at += (record->len + 15) & ~15u;
	}
	return at;
}

/* Everything of a stream in order. Fails when what counts contradicts itself. */
static inline void
naive_read(const struct image *images, size_t nb, uint32_t stream, struct seen_list *list)
{
	struct image *mine = calloc(nb + 1, sizeof(*mine));
	size_t n = 0;

	*list = (struct seen_list){0};
	for (size_t i = 0; i < nb; i++) {
		const struct sl_segment_header *header = naive_header(&images[i]);

		if (header != NULL && header->stream == stream)
			mine[n++] = images[i];
	}
	qsort(mine, n, sizeof(*mine), naive_compare);
	for (size_t i = 0; i < n; i++) {
		const struct sl_segment_header *header = naive_header(&mine[i]);
		uint64_t limit = UINT64_MAX;

		for (size_t k = i + 1; k < n; k++)
			if (naive_header(&mine[k])->previous_end < limit)
				limit = naive_header(&mine[k])->previous_end;
		if (header->first >= limit)
			continue;
		/* All that was before it is there: it was durable. */
		if (list->nb > 0) {
			uint64_t gap = header->previous_end - list->end;

			assert_true(list->end <= header->previous_end && gap < 32);
		}
		list->end = naive_walk(&mine[i], limit, list);
	}
	free(mine);
}

#endif /* TEST_JOURNAL_H */
