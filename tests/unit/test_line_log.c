/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "line_log.h"
#include "line_store.h"
#include "test_rand.h"

#define NAME  7
#define MANY  2000
#define SLACK 20000

struct world {
	char directory[32];
	struct line_store *store;
	struct line_log *log;
};

static void
begin(struct world *w)
{
	char error[256] = "";

	w->store = line_store_create(MANY, UINT64_C(1) << 30, 1);
	assert_int_equal(
		line_log_open(w->directory, NAME, SLACK, w->store, &w->log, error, sizeof(error)),
		0);
}

/* As after kill -9: what was not flushed is gone. */
static void
restart(struct world *w)
{
	line_log_close(w->log);
	line_store_destroy(w->store);
	begin(w);
}

static int
set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	strcpy(w->directory, "/tmp/sluice-log-XXXXXX");
	assert_non_null(mkdtemp(w->directory));
	begin(w);
	line_store_begin_run(w->store, 42);
	*state = w;
	return 0;
}

/* The name of one of the logs, and how many there are. */
static uint32_t
count_logs(const struct world *w, char *path, size_t path_len)
{
	DIR *dir = opendir(w->directory);
	struct dirent *entry;
	uint32_t n = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		n++;
		snprintf(path, path_len, "%s/%s", w->directory, entry->d_name);
	}
	closedir(dir);
	return n;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	char path[512];

	line_log_close(w->log);
	line_store_destroy(w->store);
	while (count_logs(w, path, sizeof(path)) > 0)
		unlink(path);
	rmdir(w->directory);
	free(w);
	return 0;
}

static void
add(struct world *w, const char *payload, size_t len)
{
	struct line_stored m = {
		.topic = "topic", .topic_len = 5, .payload = payload, .payload_len = len};

	assert_int_equal(line_store_add(w->store, "topic", 5, payload, len), 0);
	m.run = 42;
	m.number = line_store_number(w->store);
	line_log_add(w->log, &m);
}

static void
clear(struct world *w, const char *payload, size_t len)
{
	uint64_t number = line_store_clear(w->store, "topic", 5, payload, len);

	assert_int_not_equal(number, 0);
	line_log_remove(w->log, number);
}

static void
add_text(struct world *w, const char *payload)
{
	add(w, payload, strlen(payload));
}

static void
assert_first(struct world *w, const char *payload)
{
	struct line_stored m;

	assert_true(line_store_first(w->store, &m));
	assert_int_equal(m.run, 42);
	assert_int_equal(m.topic_len, 5);
	assert_memory_equal(m.topic, "topic", 5);
	assert_int_equal(m.payload_len, strlen(payload));
	assert_memory_equal(m.payload, payload, m.payload_len);
	line_store_drop_first(w->store);
	line_log_remove(w->log, m.number);
}

static void
test_what_was_flushed_is_there_after_a_restart(void **state)
{
	struct world *w = *state;

	add_text(w, "one");
	add_text(w, "");
	add_text(w, "three");
	add_text(w, "one");
	clear(w, "one", 3);
	assert_int_equal(line_log_flush(w->log, true), 0);
	add_text(w, "not flushed");
	restart(w);
	assert_int_equal(line_store_count(w->store), 3);
	assert_first(w, "");
	assert_first(w, "three");
	assert_int_equal(line_log_flush(w->log, true), 0);
	restart(w);
	assert_first(w, "one");
	assert_int_equal(line_store_count(w->store), 0);
}

static void
test_a_torn_end_costs_what_is_torn(void **state)
{
	struct world *w = *state;
	char path[512];
	struct stat st;

	add_text(w, "whole");
	assert_int_equal(line_log_flush(w->log, true), 0);
	add_text(w, "torn");
	assert_int_equal(line_log_flush(w->log, true), 0);
	assert_int_equal(count_logs(w, path, sizeof(path)), 1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	restart(w);
	assert_int_equal(line_store_count(w->store), 1);
	assert_first(w, "whole");
}

static void
test_a_changed_byte_is_seen(void **state)
{
	struct world *w = *state;
	char path[512];
	int fd;

	add_text(w, "whole");
	add_text(w, "changed");
	assert_int_equal(line_log_flush(w->log, true), 0);
	count_logs(w, path, sizeof(path));
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "garbage that is longer than a record's head", 43), 43);
	close(fd);
	fd = open(path, O_WRONLY);
	/* Two records, each of a head, a topic and a payload: in the second's payload. */
	assert_int_equal(pwrite(fd, "X", 1, 32 + 10 + 32 + 5 + 2), 1);
	close(fd);
	restart(w);
	assert_int_equal(line_store_count(w->store), 1);
	assert_first(w, "whole");
}

static void
test_what_is_on_its_way_is_there_until_it_is_removed(void **state)
{
	struct world *w = *state;
	char text[1000] = "", path[512];
	struct line_stored m;

	add_text(w, "on its way");
	assert_true(line_store_first(w->store, &m));
	line_store_drop_first(w->store);
	for (uint32_t i = 0; i < 100; i++) {
		add(w, text, sizeof(text));
		clear(w, text, sizeof(text));
		assert_int_equal(line_log_flush(w->log, false), 0);
	}
	restart(w);
	assert_first(w, "on its way");
	/* Now it may be forgotten, and with it all that was logged. */
	for (uint32_t i = 0; i < 100; i++) {
		add(w, text, sizeof(text));
		clear(w, text, sizeof(text));
		assert_int_equal(line_log_flush(w->log, true), 0);
	}
	assert_int_equal(count_logs(w, path, sizeof(path)), 1);
	restart(w);
	assert_int_equal(line_store_count(w->store), 0);
}

static void
test_a_disk_that_fails_is_told_once(void **state)
{
	struct world *w = *state;
	char error[256], path[512];

	/* It cannot begin another log where there is no directory any more. */
	while (count_logs(w, path, sizeof(path)) > 0)
		unlink(path);
	rmdir(w->directory);
	for (uint32_t i = 0; i < 100; i++) {
		char text[1000] = "";

		add(w, text, sizeof(text));
		clear(w, text, sizeof(text));
		if (line_log_flush(w->log, true) != 0)
			break;
		assert_true(i < 99);
	}
	add_text(w, "kept in memory");
	assert_int_equal(line_log_flush(w->log, true), 0);
	line_log_close(w->log);
	assert_int_equal(
		line_log_open(w->directory, NAME, SLACK, w->store, &w->log, error, sizeof(error)),
		-ENOENT);
	assert_non_null(strstr(error, w->directory));
	w->log = NULL;
}

/* A list of what has to be there, oldest first. */
struct model {
	uint32_t nb;
	struct {
		uint32_t id, len;
	} of[MANY];
};

static size_t
fill(char *text, uint32_t id, uint32_t len)
{
	memset(text, 'a' + id % 26, len);
	memcpy(text, &id, sizeof(id));
	return len;
}

static void
assert_model(const struct world *w, const struct model *model)
{
	static char text[4096];
	struct line_stored m;

	assert_int_equal(line_store_count(w->store), model->nb);
	line_store_rewind(w->store);
	for (uint32_t i = 0; i < model->nb; i++) {
		assert_true(line_store_walk(w->store, UINT64_MAX, &m));
		assert_int_equal(m.payload_len, model->of[i].len);
		fill(text, model->of[i].id, model->of[i].len);
		assert_memory_equal(m.payload, text, m.payload_len);
	}
}

static void
put_one(struct world *w, struct model *model, struct test_rand *r, uint32_t *id)
{
	static char text[4096];
	uint32_t len = 4 + (uint32_t)(test_rand_u64(r) % 500);

	model->of[model->nb].id = ++*id;
	model->of[model->nb++].len = len;
	add(w, text, fill(text, *id, len));
}

static void
change(struct world *w, struct model *model, struct test_rand *r, uint32_t *id)
{
	static char text[4096];
	uint32_t i;

	if (model->nb > 0 && (model->nb == MANY || test_rand_u64(r) % 100 < 49)) {
		/* Mostly the oldest, as with a primary; some stay for long. */
		i = (uint32_t)(test_rand_u64(r) % (model->nb < 8 ? model->nb : 8));
		clear(w, text, fill(text, model->of[i].id, model->of[i].len));
		memmove(&model->of[i], &model->of[i + 1], (--model->nb - i) * sizeof(model->of[0]));
		return;
	}
	put_one(w, model, r, id);
}

static void
test_a_log_at_random(void **state)
{
	struct world *w = *state;
	struct model now = {0}, flushed;
	uint32_t id = 0, most = 0, n;
	struct test_rand r;
	char path[512];

	test_rand_init(&r, __func__);
	/* So many that copying them into another log takes several turns. */
	while (now.nb < MANY / 4)
		put_one(w, &now, &r, &id);
	flushed = now;
	for (uint32_t step = 0; step < 3000; step++) {
		for (uint32_t i = test_rand_u64(&r) % 20; i > 0; i--)
			change(w, &now, &r, &id);
		assert_int_equal(line_log_flush(w->log, true), 0);
		flushed = now;
		n = count_logs(w, path, sizeof(path));
		most = n > most ? n : most;
		assert_true(n <= 2);
		if (test_rand_u64(&r) % 100 != 0)
			continue;
		for (uint32_t i = test_rand_u64(&r) % 5; i > 0; i--)
			change(w, &now, &r, &id);
		restart(w);
		now = flushed;
		assert_model(w, &now);
	}
	assert_int_equal(most, 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_was_flushed_is_there_after_a_restart),
		TEST(test_a_torn_end_costs_what_is_torn),
		TEST(test_a_changed_byte_is_seen),
		TEST(test_what_is_on_its_way_is_there_until_it_is_removed),
		TEST(test_a_disk_that_fails_is_told_once),
		TEST(test_a_log_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
