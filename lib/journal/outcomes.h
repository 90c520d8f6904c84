/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef OUTCOMES_H
#define OUTCOMES_H

/*
 * What became of messages, learnt in one pass: a bit for every 16 bytes of the journal, set by a
 * message and cleared by its outcome. Runs are gone through in order, and streams one after the
 * other in each; an outcome may stand in an earlier stream than its message, so that it sets the
 * bit and the message clears it. Bits of a segment all of whose messages are done are given back:
 * memory is 1/128 of the segments that hold a message without an outcome.
 */
#include "segments.h"

struct outcome_bits {
	uint64_t *undelivered;
	uint64_t *dead;
	uint32_t nb_undelivered;
	bool is_passed; /* All of its messages have been seen. */
};

struct outcomes {
	const struct segments *set;
	struct outcome_bits *bits; /* Of each segment that counts. */
	uint32_t segment;	   /* That is gone through. */
	uint64_t at;		   /* Every message before this position of it has been seen. */
	uint64_t nb_undelivered;
	bool with_dead; /* Keep apart who was delivered and who was given up. */
};

int outcomes_init(struct outcomes *outcomes, const struct segments *set, bool with_dead);
void outcomes_free(struct outcomes *outcomes);

/* From here on messages come from this segment. */
void outcomes_enter(struct outcomes *outcomes, uint32_t segment);
/* ... and no more come from this run of its stream. */
void outcomes_leave(struct outcomes *outcomes);

/* A topic's message counts once for each of its subscribers. Returns 0 or -ENOMEM. */
int outcomes_message(struct outcomes *outcomes, const struct sl_record_message *message);
int outcomes_done(struct outcomes *outcomes, const struct sl_record_done *done);

/* When all has been gone through. */
bool outcomes_is_undelivered(const struct outcomes *outcomes, uint32_t segment, uint64_t position);
bool outcomes_is_dead(const struct outcomes *outcomes, uint32_t segment, uint64_t position);

/* The next bit of a segment at or behind a position; UINT64_MAX: there is none. */
uint64_t outcomes_next(const struct outcomes *outcomes, uint32_t segment, uint64_t position);

#endif /* OUTCOMES_H */
