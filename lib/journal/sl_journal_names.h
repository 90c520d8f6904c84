/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_JOURNAL_NAMES_H
#define SL_JOURNAL_NAMES_H

/**
 * @file
 * Names a journal is to know: which are to be put into it, and again before segments go.
 *
 * Names are records of one stream, each put in when it is added. Segments are deleted from the
 * oldest on; so when the stream has come further than a distance, all names are put in again, and
 * until they are durable, what holds those before is kept. It is the owner who writes the records
 * and tells the journal what is needed; here it is only counted.
 *
 * Threads: one, where nothing else is said.
 */

#include <stdbool.h>
#include <stdint.h>

#include "sl_record.h"

struct sl_journal_names;

struct sl_journal_name {
	uint64_t key;
	const char *text; /**< Not terminated. */
	uint32_t len;
};

/** The first is number 1. */
#define SL_JOURNAL_NAME_NONE 0

/**
 * @param bytes_max  of the records of bounded names, at most
 * @param distance   bytes of the stream after which names are put in again, at least; with many
 *                   names it is eight times what they take
 * @return 0 or -ENOMEM
 */
int sl_journal_names_create(uint64_t bytes_max, uint64_t distance, struct sl_journal_names **names);
/** NULL is fine. */
void sl_journal_names_destroy(struct sl_journal_names *names);

/**
 * Add a name; one whose key is there stays as it is.
 * @param is_bounded  not when there would be more than bytes_max
 * @return its number; SL_JOURNAL_NAME_NONE: there is no room for it
 */
uint64_t sl_journal_names_add(
	struct sl_journal_names *names, const struct sl_journal_name *name, bool is_bounded);

/** Numbers there are. */
uint64_t sl_journal_names_count(const struct sl_journal_names *names);
/** A name by its number, which there is; its text lives as long as the table. */
struct sl_journal_name sl_journal_names_at(const struct sl_journal_names *names, uint64_t number);

/** @name While a journal is recovered. @{ */
/** Somebody needs this name, if it is there. */
void sl_journal_names_need(struct sl_journal_names *names, uint64_t key);
/** Forget those nobody needs; numbers begin anew. Before any is put in. */
void sl_journal_names_prune(struct sl_journal_names *names);
/** @} */

/** The next to be put into the journal, new ones first. @return false: none is */
bool sl_journal_names_next(const struct sl_journal_names *names, struct sl_journal_name *name);
/** Are there new ones among them? */
bool sl_journal_names_has_new(const struct sl_journal_names *names);
/** What sl_journal_names_next() told is on its way into the stream, in this order. */
void sl_journal_names_noted(struct sl_journal_names *names);

/** A name's record is durable; the journal's thread. */
void sl_journal_names_durable(struct sl_journal_names *names, const struct sl_record *record);

/** All names up to this number are durable. */
uint64_t sl_journal_names_known(struct sl_journal_names *names);

/**
 * From where on the stream is needed; to be asked now and then.
 * @param end      of what is durable in the stream
 * @param is_full  the journal takes nothing more: names of before hold nothing then, and are put in
 *                 again as soon as it does
 */
uint64_t sl_journal_names_needed(struct sl_journal_names *names, uint64_t end, bool is_full);

#endif /* SL_JOURNAL_NAMES_H */
