/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include <jansson.h>

#include "log_internal.h"
#include "test_rand.h"

#define SECOND UINT64_C(1000000000)

static char dir[] = "/tmp/sl-log-XXXXXX";
static char path[sizeof(dir) + 16], moved[sizeof(dir) + 16], sock[sizeof(dir) + 16];
static uint64_t now;

static uint64_t
test_clock(void)
{
	return now;
}

static struct sl_config_log
file_config(void)
{
	return (struct sl_config_log){
		.target = SL_LOG_FILE,
		.file = path,
		.level = SL_LEVEL_INFO,
		.lines_per_s = 1000000,
	};
}

static void
configure(const struct sl_config_log *log)
{
	char error[256] = "";

	if (sl_log_configure(log, error, sizeof(error)) != 0)
		fail_msg("%s", error);
}

/* What a file holds; the next call overwrites it. */
static char *
contents(const char *name)
{
	static char text[1 << 20];
	FILE *file = fopen(name, "re");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static unsigned int
count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text != '\0'; text++)
		n += *text == '\n';
	return n;
}

static bool
matches(const char *text, const char *expression)
{
	regex_t regex;
	bool is_match;

	assert_int_equal(regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB), 0);
	is_match = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return is_match;
}

static int
setup(void **state)
{
	now = 1000 * SECOND;
	log_clock = test_clock;
	unlink(path);
	unlink(moved);
	unlink(sock);
	return 0;
}

static int
teardown(void **state)
{
	sl_log_close();
	return 0;
}

static struct log_record
record(const char *text)
{
	/* 2026-11-21T05:00:00.123Z */
	return (struct log_record){
		.time = {.tv_sec = 1795237200, .tv_nsec = 123456789},
		.level = SL_LEVEL_NOTIFY,
		.module = SL_LOG_health,
		.text = text,
	};
}

static void
test_the_text_format(void **state)
{
	struct log_record plain = record("tabl\xc3\xa9 1: down, 100 %");
	char line[LOG_LINE_MAX + 1];
	size_t len = log_line_text(&plain, line);

	assert_int_equal(len, strlen(line));
	assert_string_equal(line,
		"2026-11-21T05:00:00.123Z sluice notify health: tabl\xc3\xa9 1: down, 100 %\n");
}

static void
test_control_characters_and_bad_utf8_are_escaped(void **state)
{
	struct log_record hostile = record("a\nb\tc\x1b[2Jd\x7f"
					   "e\xc2\x9b"
					   "f\xff\xc3"
					   "g\xed\xa0\x80"
					   "h\xc0\xaf");
	char line[LOG_LINE_MAX + 1];
	json_t *json;

	log_line_text(&hostile, line);
	assert_string_equal(strstr(line, "health: ") + 8,
		"a\\nb\\tc\\x1b[2Jd\\x7fe\\xc2\\x9bf\\xff\\xc3g\\xed\\xa0\\x80h\\xc0\\xaf\n");
	log_line_json(&hostile, line);
	json = json_loads(line, 0, NULL);
	assert_non_null(json);
	/* JSON has escapes of its own: control characters come back as they were. */
	assert_string_equal(json_string_value(json_object_get(json, "text")),
		"a\nb\tc\x1b[2Jd\x7f"
		"e\xc2\x9b"
		"f\\xff\\xc3g\\xed\\xa0\\x80h\\xc0\\xaf");
	json_decref(json);
}

static void
test_the_json_format(void **state)
{
	struct log_record quoted = record("a \"word\" and a \\");
	char line[LOG_LINE_MAX + 1];
	json_t *json;

	log_line_json(&quoted, line);
	json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 4);
	assert_string_equal(
		json_string_value(json_object_get(json, "time")), "2026-11-21T05:00:00.123Z");
	assert_string_equal(json_string_value(json_object_get(json, "level")), "notify");
	assert_string_equal(json_string_value(json_object_get(json, "module")), "health");
	assert_string_equal(
		json_string_value(json_object_get(json, "text")), "a \"word\" and a \\");
	json_decref(json);
}

/* Whatever the text, there is one line, it fits a pipe, and JSON is JSON. */
static void
test_any_bytes_make_one_good_line(void **state)
{
	char text[LOG_TEXT_MAX], line[LOG_LINE_MAX + 1];
	struct test_rand rand;
	struct log_record any = record(text);
	json_t *json;
	size_t len;

	test_rand_init(&rand, __func__);
	for (unsigned int i = 0; i < 3000; i++) {
		size_t text_len = test_rand_below(&rand, sizeof(text));
		bool is_wild = test_rand_below(&rand, 2) == 0;

		for (size_t at = 0; at < text_len; at++)
			text[at] = (char)(1 + test_rand_below(&rand, is_wild ? 31 : 255));
		text[text_len] = '\0';
		len = log_line_text(&any, line);
		assert_true(len == strlen(line) && len <= LOG_LINE_MAX);
		for (size_t at = 0; at + 1 < len; at++)
			assert_true((unsigned char)line[at] >= 0x20 && line[at] != 0x7f);
		assert_int_equal(line[len - 1], '\n');
		len = log_line_json(&any, line);
		assert_true(len == strlen(line) && len <= LOG_LINE_MAX);
		assert_ptr_equal(strchr(line, '\n'), line + len - 1);
		json = json_loads(line, 0, NULL);
		assert_non_null(json);
		json_decref(json);
	}
}

static void
test_a_long_text_is_cut_at_a_character(void **state)
{
	struct sl_config_log log = file_config();
	char text[3 * LOG_TEXT_MAX];
	char *said;

	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(&text[i], "\xc3\xa9", 3);
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_ERROR, "%s", text);
	said = contents(path);
	assert_string_equal(said + strlen(said) - 6, "\xc3\xa9...\n");
	assert_null(strstr(said, "\\x"));
}

static void
test_levels_by_module(void **state)
{
	struct sl_config_log_level levels[] = {
		{(char[]){"health"}, SL_LEVEL_DEBUG}, {(char[]){"http"}, SL_LEVEL_ERROR}};
	struct sl_config_log log = file_config();

	log.nb_levels = 2;
	log.levels = levels;
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "one");
	sl_log(SL_LOG_main, SL_LEVEL_DEBUG, "two");
	sl_log(SL_LOG_health, SL_LEVEL_DEBUG, "three");
	sl_log(SL_LOG_http, SL_LEVEL_WARN, "four");
	sl_log_set_level(SL_LOG_http, SL_LEVEL_WARN);
	sl_log(SL_LOG_http, SL_LEVEL_WARN, "five");
	assert_true(matches(contents(path),
		"^[^\n]*info main: one\n[^\n]*debug health: "
		"three\n[^\n]*warn http: five\n$"));
	configure(&log);
	assert_int_equal(sl_log_get_level(SL_LOG_http), SL_LEVEL_ERROR);
}

static void
test_names_lead_back(void **state)
{
	enum sl_config_level level;
	enum sl_log_module module;

	for (unsigned int i = 0; i < SL_LOG_MODULES; i++) {
		assert_true(sl_log_find_module(sl_log_module_name(i), &module));
		assert_int_equal(module, i);
	}
	for (unsigned int i = 0; i <= SL_LEVEL_DEBUG; i++) {
		assert_true(sl_log_find_level(sl_log_level_name(i), &level));
		assert_int_equal(level, i);
	}
	assert_false(sl_log_find_module("colour", &module));
	assert_false(sl_log_find_level("loud", &level));
}

static void
test_what_cannot_be_configured_changes_nothing(void **state)
{
	struct sl_config_log_level levels[] = {{(char[]){"colour"}, SL_LEVEL_DEBUG}};
	struct sl_config_log log = file_config(), bad = log;
	char error[256];

	configure(&log);
	bad.nb_levels = 1;
	bad.levels = levels;
	assert_int_equal(sl_log_configure(&bad, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "colour; use main config"));
	bad = log;
	bad.file = (char[]){"/nonexistent/sluice.log"};
	assert_int_equal(sl_log_configure(&bad, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/sluice.log"));
	bad.target = SL_LOG_JOURNALD;
	log_journal_socket = sock;
	assert_int_equal(sl_log_configure(&bad, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "journald is not there"));
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "still here");
	assert_non_null(strstr(contents(path), "still here"));
}

static void
test_lines_above_the_bound_are_counted_and_told(void **state)
{
	unsigned long before = sl_log_suppressed();
	struct sl_config_log log = file_config();
	char *said;

	log.lines_per_s = 10;
	configure(&log);
	for (unsigned int i = 0; i < 25; i++)
		sl_log(SL_LOG_health, SL_LEVEL_WARN, "flap");
	/* Of one module: the others have their own. */
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "calm");
	assert_int_equal(count_lines(contents(path)), 11);
	assert_int_equal(sl_log_suppressed() - before, 15);
	now += SECOND / 10;
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "calm");
	said = contents(path);
	assert_int_equal(count_lines(said), 13);
	assert_true(matches(said, "warn health: 15 lines not written: .*lines_per_s, 10\n"));
	/* A flood that goes on: the rate, and one line a second that tells. */
	for (unsigned int i = 0; i < 1000; i++) {
		now += SECOND / 100;
		sl_log(SL_LOG_health, SL_LEVEL_WARN, "flap");
	}
	assert_in_range(count_lines(contents(path)), 13 + 100 + 9, 13 + 101 + 11);
}

static void
test_the_count_is_told_at_the_end(void **state)
{
	struct sl_config_log log = file_config();

	log.lines_per_s = 1;
	configure(&log);
	sl_log(SL_LOG_http, SL_LEVEL_INFO, "one");
	sl_log(SL_LOG_http, SL_LEVEL_INFO, "two");
	sl_log_close();
	assert_true(matches(contents(path), "one\n.*warn http: 1 lines not written"));
}

static void
test_a_moved_file_is_left(void **state)
{
	struct sl_config_log log = file_config();

	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "one");
	assert_int_equal(rename(path, moved), 0);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "two");
	assert_int_equal(count_lines(contents(moved)), 2);
	now += SECOND;
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "three");
	assert_int_equal(count_lines(contents(moved)), 2);
	assert_true(matches(contents(path), "^[^\n]*main: three\n$"));
	unlink(path);
	now += SECOND;
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "four");
	assert_true(matches(contents(path), "^[^\n]*main: four\n$"));
}

static void
test_a_full_disk_loses_lines_and_says_so(void **state)
{
	unsigned long before = sl_log_lost();
	struct sl_config_log log = file_config();

	assert_int_equal(symlink("/dev/full", path), 0);
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "one");
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "two");
	assert_int_equal(sl_log_lost() - before, 2);
	unlink(path);
	now += SECOND;
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "three");
	assert_true(matches(contents(path), "2 log lines lost: .*No space left.*\n.*three\n"));
}

/* Run with `fd` in the place of standard error. */
static int
replace_stderr(int fd)
{
	int saved = dup(STDERR_FILENO);

	assert_true(saved >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return saved;
}

static void
restore_stderr(int saved)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void
flood_stderr(int reader, int writer)
{
	unsigned long before = sl_log_lost();
	char buffer[4096] = "";
	int saved = replace_stderr(writer);
	struct sl_config_log log = file_config();

	log.target = SL_LOG_STDERR;
	configure(&log);
	for (unsigned int i = 0; i < 10000; i++)
		sl_log(SL_LOG_main, SL_LEVEL_INFO, "nobody reads line %u, and it is long", i);
	restore_stderr(saved);
	assert_in_range(sl_log_lost() - before, 1, 9999);
	assert_true(read(reader, buffer, sizeof(buffer) - 1) > 0);
	assert_true(matches(buffer, "^[^\n]* sluice info main: nobody reads line 0,"));
	assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
	/* The count is told when it is read again, before the next test. */
	configure(&(struct sl_config_log){
		.target = SL_LOG_FILE, .file = path, .level = SL_LEVEL_INFO, .lines_per_s = 10});
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "read");
	assert_non_null(strstr(contents(path), "log lines lost"));
}

static void
test_nobody_reads_standard_error(void **state)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	flood_stderr(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	flood_stderr(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void
test_standard_error_was_closed(void **state)
{
	struct sl_config_log log = file_config();
	int fds[2], saved;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	saved = replace_stderr(fds[1]);
	close(fds[1]);
	log.target = SL_LOG_STDERR;
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "to nobody");
	restore_stderr(saved);
	log.target = SL_LOG_FILE;
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "to somebody");
	assert_true(matches(contents(path), "1 log lines lost.*\n.*to somebody\n"));
}

static void
test_journald_gets_fields(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct sl_config_log log = file_config();
	char datagram[512] = "";
	int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", sock);
	assert_int_equal(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	log.target = SL_LOG_JOURNALD;
	log_journal_socket = sock;
	configure(&log);
	sl_log(SL_LOG_health, SL_LEVEL_WARN, "a\nPRIORITY=0");
	assert_true(recv(journal, datagram, sizeof(datagram) - 1, MSG_DONTWAIT) > 0);
	assert_string_equal(datagram,
		"PRIORITY=4\nSYSLOG_IDENTIFIER=sluice\nMODULE=health\n"
		"MESSAGE=a\\nPRIORITY=0\n");
	/* One that does not read holds nobody up. */
	for (unsigned int i = 0; i < 5000; i++)
		sl_log(SL_LOG_main, SL_LEVEL_INFO, "line %u", i);
	close(journal);
	log = file_config();
	configure(&log);
	sl_log(SL_LOG_main, SL_LEVEL_INFO, "to the file");
	assert_non_null(strstr(contents(path), "log lines lost"));
}

static void *
write_many(void *arg)
{
	for (unsigned int i = 0; i < 500; i++)
		sl_log((enum sl_log_module)(uintptr_t)arg, SL_LEVEL_INFO, "line %u of %u", i, 500);
	return NULL;
}

static void
test_lines_of_threads_do_not_mix(void **state)
{
	struct sl_config_log log = file_config();
	unsigned int nb = 0;
	pthread_t threads[4];
	json_t *json;
	char *save = NULL;

	log.is_json = true;
	configure(&log);
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, (void *)i), 0);
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (char *line = strtok_r(contents(path), "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save), nb++) {
		json = json_loads(line, 0, NULL);
		assert_non_null(json);
		json_decref(json);
	}
	assert_int_equal(nb, 2000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_text_format),
		TEST(test_control_characters_and_bad_utf8_are_escaped),
		TEST(test_the_json_format),
		TEST(test_any_bytes_make_one_good_line),
		TEST(test_a_long_text_is_cut_at_a_character),
		TEST(test_levels_by_module),
		TEST(test_names_lead_back),
		TEST(test_what_cannot_be_configured_changes_nothing),
		TEST(test_lines_above_the_bound_are_counted_and_told),
		TEST(test_the_count_is_told_at_the_end),
		TEST(test_a_moved_file_is_left),
		TEST(test_a_full_disk_loses_lines_and_says_so),
		TEST(test_nobody_reads_standard_error),
		TEST(test_standard_error_was_closed),
		TEST(test_journald_gets_fields),
		TEST(test_lines_of_threads_do_not_mix),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(moved, sizeof(moved), "%s/log.1", dir);
	snprintf(sock, sizeof(sock), "%s/socket", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	unlink(moved);
	unlink(sock);
	rmdir(dir);
	return failed;
}
