/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>

#include "line_answers.h"

#define SIZE_MIN      16u
#define SIZE_KEPT_MAX 1024u /* While nothing is pending. */

static bool
grow(struct line_answers *answers)
{
	uint32_t size = answers->size == 0 ? SIZE_MIN : answers->size * 2;
	uint8_t *ring;

	if (size > LINE_ANSWERS_MAX)
		return false;
	ring = malloc(size);
	if (ring == NULL)
		return false;
	for (uint64_t i = answers->head; i != answers->tail; i++)
		ring[i & (size - 1)] = answers->ring[i & (answers->size - 1)];
	free(answers->ring);
	answers->ring = ring;
	answers->size = size;
	return true;
}

bool
line_answers_put(struct line_answers *answers, uint8_t answer, uint64_t *token)
{
	if (line_answers_count(answers) == answers->size && !grow(answers))
		return false;
	*token = answers->tail++;
	answers->ring[*token & (answers->size - 1)] = answer;
	return true;
}

void
line_answers_take_back(struct line_answers *answers)
{
	answers->tail--;
}

void
line_answers_settle(struct line_answers *answers, uint64_t token, uint8_t answer)
{
	if (token - answers->head < line_answers_count(answers))
		answers->ring[token & (answers->size - 1)] = answer;
}

bool
line_answers_take(struct line_answers *answers, uint8_t *answer)
{
	if (answers->head == answers->tail)
		return false;
	*answer = answers->ring[answers->head & (answers->size - 1)];
	if (*answer == LINE_PENDING)
		return false;
	answers->head++;
	if (answers->head == answers->tail && answers->size > SIZE_KEPT_MAX)
		line_answers_fini(answers);
	return true;
}

void
line_answers_fini(struct line_answers *answers)
{
	free(answers->ring);
	*answers = (struct line_answers){0};
}
