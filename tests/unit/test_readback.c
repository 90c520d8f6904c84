/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The thread that reads messages back: what it cannot read now keeps nobody else waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From inside. */
#include "readback.c"

#define REFS 3u

/* A fetch: a rc for each of its refs, which are their places here. */
struct dp_fetch {
	int rc[REFS];
	bool has_no_buffer;
	enum sl_record_type type;
	uint32_t nb_filled, nb_lost, put_off, wait_ms;
	bool is_back;
};

struct dp_fetch *fetch_asked;

uint32_t
sl_datapath_nb_workers(const struct sl_datapath *datapath)
{
	(void)datapath;
	return 1;
}

struct dp_fetch *
sl_datapath_next_fetch(struct sl_datapath *datapath, uint32_t worker)
{
	(void)datapath;
	(void)worker;
	return NULL;
}

uint32_t
sl_fetch_count(const struct dp_fetch *fetch)
{
	(void)fetch;
	return REFS;
}

sl_record_ref
sl_fetch_ref(const struct dp_fetch *fetch, uint32_t index)
{
	(void)fetch;
	return index;
}

bool
sl_fetch_fill(struct dp_fetch *fetch, uint32_t index, const struct sl_record_message *record)
{
	assert_int_equal(index, fetch->nb_filled + fetch->nb_lost);
	if (record != NULL && fetch->has_no_buffer)
		return false;
	if (record != NULL)
		fetch->nb_filled++;
	else
		fetch->nb_lost++;
	return true;
}

void
sl_fetch_put_off(struct dp_fetch *fetch, uint32_t index, uint32_t wait_ms)
{
	fetch->put_off = index;
	fetch->wait_ms = wait_ms;
}

void
sl_datapath_return_fetch(struct sl_datapath *datapath, uint32_t worker, struct dp_fetch *fetch)
{
	(void)datapath;
	assert_int_equal(worker, 4);
	assert_false(fetch->is_back);
	fetch->is_back = true;
}

int
sl_journal_reader_open(const char *directory, struct sl_journal *journal,
	struct sl_journal_reader **reader, char *error, size_t error_len)
{
	(void)directory;
	(void)journal;
	(void)reader;
	(void)error;
	(void)error_len;
	return -ENOENT;
}

void
sl_journal_reader_close(struct sl_journal_reader *reader)
{
	(void)reader;
}

const char *
sl_journal_reader_error(const struct sl_journal_reader *reader)
{
	(void)reader;
	return "told so";
}

int
sl_journal_reader_get(struct sl_journal_reader *reader, sl_record_ref ref, void *buf)
{
	struct sl_record *record = buf;

	(void)reader;
	record->type = (uint8_t)fetch_asked->type;
	return fetch_asked->rc[ref];
}

static struct dp_fetch
read_with(struct dp_fetch fetch)
{
	static struct sl_record_message buf;
	struct readback rb = {.buf = (uint8_t *)&buf};

	fetch.put_off = UINT32_MAX;
	if (fetch.type == 0)
		fetch.type = SL_RECORD_MESSAGE;
	fetch_asked = &fetch;
	read_all(&rb, 4, &fetch);
	assert_true(fetch.is_back);
	return fetch;
}

static void
test_all_are_read(void **state)
{
	struct dp_fetch fetch = read_with((struct dp_fetch){.rc = {0}});

	(void)state;
	assert_int_equal(fetch.nb_filled, REFS);
	assert_int_equal(fetch.put_off, UINT32_MAX);
}

static void
test_what_may_be_read_later_is_put_off(void **state)
{
	static const int later[] = {EAGAIN, EIO, ENOMEM, EMFILE, ENFILE, ENXIO, ETIMEDOUT, EACCES};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(later); i++) {
		struct dp_fetch fetch = read_with((struct dp_fetch){.rc = {0, -later[i], 0}});

		assert_int_equal(fetch.nb_filled, 1);
		assert_int_equal(fetch.nb_lost, 0);
		assert_int_equal(fetch.put_off, 1);
		assert_int_equal(fetch.wait_ms, later[i] == EAGAIN ? AGAIN_MS : DISK_MS);
	}
}

static void
test_without_a_buffer_it_is_put_off(void **state)
{
	struct dp_fetch fetch = read_with((struct dp_fetch){.has_no_buffer = true});

	(void)state;
	assert_int_equal(fetch.put_off, 0);
	assert_int_equal(fetch.wait_ms, AGAIN_MS);
}

/* Only what is not there, or is damaged, is given up; those behind it are read. */
static void
test_what_will_never_be_read_is_lost(void **state)
{
	static const int never[] = {ENOENT, EBADMSG, EINVAL};
	struct dp_fetch fetch;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(never); i++) {
		fetch = read_with((struct dp_fetch){.rc = {0, -never[i], 0}});
		assert_int_equal(fetch.nb_filled, REFS - 1);
		assert_int_equal(fetch.nb_lost, 1);
		assert_int_equal(fetch.put_off, UINT32_MAX);
	}
	fetch = read_with((struct dp_fetch){.type = SL_RECORD_NAME});
	assert_int_equal(fetch.nb_lost, REFS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_read),
		cmocka_unit_test(test_what_may_be_read_later_is_put_off),
		cmocka_unit_test(test_without_a_buffer_it_is_put_off),
		cmocka_unit_test(test_what_will_never_be_read_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
