/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef LINE_ANSWERS_H
#define LINE_ANSWERS_H

/**
 * @file
 * What a client of the line protocol is to be told, in the order of its lines, though some of it is
 * known late: an ACK waits for the disk, and an error behind it has to wait, too. Pure.
 */

#include <stdbool.h>
#include <stdint.h>

/* Not answered ones a client may have; then no more lines of it are taken. */
#define LINE_ANSWERS_MAX 65536u

enum line_answer {
	LINE_PENDING,
	LINE_ACK,
	LINE_PONG,
	LINE_ERR, /* And what is added to it says which. */
};

/* Zeroed at first; without memory of its own as long as nothing is pending. */
struct line_answers {
	uint64_t head; /* The first that has not been taken, */
	uint64_t tail; /* and the next to be put. */
	uint32_t size; /* A power of two, or 0. */
	uint8_t *ring;
};

static inline uint32_t
line_answers_count(const struct line_answers *answers)
{
	return (uint32_t)(answers->tail - answers->head);
}

/**
 * The next line's answer, perhaps LINE_PENDING.
 * @param[out] token  for line_answers_settle()
 * @return false: no memory, or LINE_ANSWERS_MAX are there
 */
bool line_answers_put(struct line_answers *answers, uint8_t answer, uint64_t *token);

/** The line of the last that was put is to come again: it was not answered. */
void line_answers_take_back(struct line_answers *answers);

/** A pending one is known now. */
void line_answers_settle(struct line_answers *answers, uint64_t token, uint8_t answer);

/** The next that may be told. @return false: it is pending, or there is none */
bool line_answers_take(struct line_answers *answers, uint8_t *answer);

void line_answers_fini(struct line_answers *answers);

#endif /* LINE_ANSWERS_H */
