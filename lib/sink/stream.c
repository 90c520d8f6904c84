/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* Take what has become contiguous into the base. */
static void
advance(struct stream *stream)
{
	uint32_t n = 0;

	while (n < stream->nb_done && stream->done[n].first <= stream->base) {
		if (stream->done[n].last > stream->base)
			stream->base = stream->done[n].last;
		n++;
	}
	stream->nb_done -= n;
	memmove(stream->done, stream->done + n, stream->nb_done * sizeof(stream->done[0]));
}

int
stream_add_done(struct stream *stream, const struct range *range)
{
	uint32_t i = stream->nb_done;

	if (array_reserve(
		    &stream->done, stream->nb_done, &stream->done_max, sizeof(stream->done[0])) < 0)
		return -ENOMEM;
	for (; i > 0 && stream->done[i - 1].first > range->first; i--)
		stream->done[i] = stream->done[i - 1];
	stream->done[i] = *range;
	stream->nb_done++;
	advance(stream);
	return 0;
}

bool
stream_is_done(const struct stream *stream, uint64_t position)
{
	for (uint32_t i = 0; i < stream->nb_done; i++) {
		if (position >= stream->done[i].first && position < stream->done[i].last)
			return true;
	}
	return false;
}

void
stream_note_early(struct stream *stream, uint64_t position)
{
	if (position < stream->early)
		stream->early = position;
}

bool
stream_needs_base(const struct stream *stream, uint64_t base)
{
	return base > stream->noted || base > stream->early;
}

void
stream_send_base(struct stream *stream, uint64_t base)
{
	if (base > stream->early)
		stream->early = UINT64_MAX;
}

int
stream_begin(struct stream *stream, uint32_t number, uint64_t base, const struct resume *resume)
{
	int rc = 0;

	*stream = (struct stream){
		.number = number, .base = base, .noted = base, .early = UINT64_MAX};
	for (uint32_t i = 0; i < resume->nb_ranges && rc == 0; i++) {
		if (resume->ranges[i].stream == number)
			rc = stream_add_done(stream, &resume->ranges[i]);
	}
	for (uint32_t i = 0; i < resume->nb_earlies; i++) {
		if (sl_record_ref_stream(resume->earlies[i].ref) == number)
			stream_note_early(stream, sl_record_ref_position(resume->earlies[i].ref));
	}
	stream->cut = stream->base;
	return rc;
}

void
stream_free(struct stream *stream)
{
	free(stream->done);
}
