/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "sl_log.h"
#include "sl_notify.h"
#include "test_http_server.h"

#define PATIENCE_MS 20000

static const char *const always_200[] = {"200 OK", NULL};
static char dir[] = "/tmp/sl-notify-XXXXXX";
static char path[sizeof(dir) + 16], log_path[sizeof(dir) + 16], script[256];

static struct sl_notify *
create(const struct sl_config_events *events)
{
	struct sl_notify *notify = NULL;
	char error[256] = "";

	if (sl_notify_create("node1", events, &notify, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return notify;
}

static struct sl_config_webhook
webhook(char *url)
{
	return (struct sl_config_webhook){
		.url = url, .timeout_ms = 5000, .tries = 5, .level = SL_LEVEL_NOTIFY};
}

static struct sl_config_exec_hook
command(const char *const *argv, uint32_t nb)
{
	return (struct sl_config_exec_hook){.argv = (char **)(uintptr_t)argv,
		.nb_argv = nb,
		.timeout_ms = 10000,
		.level = SL_LEVEL_NOTIFY};
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct sl_notify_stats
get_stats(struct sl_notify *notify)
{
	struct sl_notify_stats stats;

	sl_notify_get_stats(notify, &stats);
	return stats;
}

/* Until so many deliveries have ended well, and so many not. */
static void
wait_for(struct sl_notify *notify, uint64_t ok, uint64_t failed)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	struct sl_notify_stats stats = get_stats(notify);

	while (stats.hooks_ok < ok || stats.hooks_failed < failed) {
		if (now_ms() > until)
			fail_msg("%" PRIu64 " ok, %" PRIu64 " failed, %u queued", stats.hooks_ok,
				stats.hooks_failed, stats.queued);
		usleep(1000);
		stats = get_stats(notify);
	}
	assert_int_equal(stats.hooks_ok, ok);
	assert_int_equal(stats.hooks_failed, failed);
}

static void
wait_for_requests(struct test_server *server, unsigned int nb)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (server_count(server) < nb) {
		assert_true(now_ms() < until);
		usleep(1000);
	}
}

static void
raise_events(struct sl_notify *notify, unsigned int nb)
{
	for (unsigned int i = 0; i < nb; i++)
		sl_notify(notify, SL_LEVEL_NOTIFY, "test", json_pack("{s:i}", "number", (int)i),
			"event %u", i);
}

static uint64_t
id_of(const char *body)
{
	json_t *event = json_loads(body, 0, NULL);
	uint64_t id;

	assert_non_null(event);
	id = (uint64_t)json_integer_value(json_object_get(event, "id"));
	json_decref(event);
	return id;
}

static char *
contents(const char *name)
{
	static char text[1 << 16];
	FILE *file = fopen(name, "re");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static unsigned int
count_words(const char *text, const char *words)
{
	unsigned int nb = 0;

	for (text = strstr(text, words); text != NULL; text = strstr(text + 1, words))
		nb++;
	return nb;
}

static int
setup(void **state)
{
	struct sl_config_log log = {.target = SL_LOG_FILE,
		.file = log_path,
		.level = SL_LEVEL_DEBUG,
		.lines_per_s = 1000000};
	char error[256];

	unlink(path);
	unlink(log_path);
	return sl_log_configure(&log, error, sizeof(error));
}

static int
teardown(void **state)
{
	sl_log_close();
	/* No child is left. */
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static void
test_the_latest_events(void **state)
{
	struct sl_config_events events = {.queue = 16};
	struct sl_notify *notify = create(&events);
	json_t *list = sl_notify_recent(notify, 0), *event;

	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	raise_events(notify, SL_NOTIFY_RECENT + 44);
	sl_notify(notify, SL_LEVEL_ERROR, "backend_down", NULL, "%s is down", "t\xc3\xa9");
	list = sl_notify_recent(notify, 0);
	assert_int_equal(json_array_size(list), SL_NOTIFY_RECENT);
	for (size_t i = 0; i < SL_NOTIFY_RECENT; i++)
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(list, i), "id")), 46 + i);
	event = json_array_get(list, 0);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(event, "fields"), "number")),
		45);
	event = json_array_get(list, SL_NOTIFY_RECENT - 1);
	assert_int_equal(json_object_size(event), 7);
	assert_string_equal(json_string_value(json_object_get(event, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(event, "kind")), "backend_down");
	assert_string_equal(json_string_value(json_object_get(event, "text")), "t\xc3\xa9 is down");
	assert_string_equal(json_string_value(json_object_get(event, "node")), "node1");
	assert_int_equal(json_object_size(json_object_get(event, "fields")), 0);
	assert_int_equal(strlen(json_string_value(json_object_get(event, "time"))), 24);
	json_decref(list);
	list = sl_notify_recent(notify, 299);
	assert_int_equal(json_array_size(list), 2);
	json_decref(list);
	list = sl_notify_recent(notify, 301);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	assert_non_null(
		strstr(contents(log_path), " error event: backend_down: t\xc3\xa9 is down"));
	sl_notify_destroy(notify, 0);
}

static void
test_a_text_that_is_no_utf8(void **state)
{
	struct sl_config_events events = {.queue = 16};
	struct sl_notify *notify = create(&events);
	json_t *list;

	sl_notify(notify, SL_LEVEL_NOTIFY, "test", NULL, "a\xff\nb");
	list = sl_notify_recent(notify, 0);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(list, 0), "text")), "a?\nb");
	json_decref(list);
	sl_notify_destroy(notify, 0);
}

static void
test_commands_get_events_in_order(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct sl_config_exec_hook exec = command(argv, 3);
	struct sl_config_events events = {.nb_exec = 1, .exec = &exec, .queue = 64};
	struct sl_notify *notify;
	uint64_t id = 0;
	char *save = NULL;

	snprintf(script, sizeof(script), "exec cat >> %s", path);
	notify = create(&events);
	raise_events(notify, 20);
	wait_for(notify, 20, 0);
	for (char *line = strtok_r(contents(path), "\n", &save); line != NULL;
		line = strtok_r(NULL, "\n", &save))
		assert_int_equal(id_of(line), ++id);
	assert_int_equal(id, 20);
	sl_notify_destroy(notify, 0);
}

static void
test_what_a_command_is_told_by_its_environment(void **state)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	struct sl_config_exec_hook exec = command(argv, 3);
	struct sl_config_events events = {.nb_exec = 1, .exec = &exec, .queue = 64};
	struct sl_notify *notify;

	snprintf(script, sizeof(script),
		"echo $SLUICE_EVENT_ID $SLUICE_EVENT_LEVEL $SLUICE_EVENT_KIND $SLUICE_EVENT_TEXT "
		"> %s",
		path);
	notify = create(&events);
	sl_notify(notify, SL_LEVEL_WARN, "port_down", NULL, "net0 has no link");
	sl_notify_destroy(notify, PATIENCE_MS);
	assert_string_equal(contents(path), "1 warn port_down net0 has no link\n");
}

/* The example in the documentation; a line break in a text adds no header. */
static void
test_the_example_mails(void **state)
{
	const char *const argv[] = {SL_EXAMPLES "/hooks/mail.sh", "ops@example.net", NULL};
	struct sl_config_exec_hook exec = command(argv, 2);
	struct sl_config_events events = {.nb_exec = 1, .exec = &exec, .queue = 64};
	struct sl_notify *notify;
	FILE *sendmail = fopen(path, "we");
	const char *said;

	fprintf(sendmail, "#!/bin/sh\necho \"$@\" > %s.mail; cat >> %s.mail\n", path, path);
	fclose(sendmail);
	chmod(path, 0755);
	setenv("SENDMAIL", path, 1);
	notify = create(&events);
	sl_notify(notify, SL_LEVEL_WARN, "port_down", NULL, "net0\nBcc: all@example.net");
	wait_for(notify, 1, 0);
	sl_notify_destroy(notify, 0);
	snprintf(script, sizeof(script), "%s.mail", path);
	said = contents(script);
	unlink(script);
	assert_non_null(strstr(said,
		"-t\nTo: ops@example.net\n"
		"Subject: [sluice] warn port_down: net0 Bcc: all@example.net\n"));
	assert_int_equal(id_of(strstr(said, "\n\n")), 1);
}

static void
test_a_command_that_fails_is_told(void **state)
{
	const char *const bad[] = {"/bin/sh", "-c", "echo no such pager >&2; exit 3", NULL};
	const char *const missing[] = {"/nonexistent/hook", NULL};
	struct sl_config_exec_hook exec[] = {command(bad, 3), command(missing, 1)};
	struct sl_config_events events = {.nb_exec = 2, .exec = exec, .queue = 64};
	struct sl_notify *notify = create(&events);
	const char *said;

	raise_events(notify, 2);
	wait_for(notify, 0, 4);
	sl_notify_destroy(notify, 0);
	said = contents(log_path);
	assert_int_equal(count_words(said,
				 "command /bin/sh: event 1 given up after 1 of 1 tries: "
				 "exit code 3: no such pager"),
		1);
	assert_int_equal(count_words(said, "/nonexistent/hook cannot be run: No such file"), 2);
}

static void
test_levels(void **state)
{
	struct sl_config_webhook hooks[2];
	struct sl_config_events events = {.nb_webhooks = 2, .webhooks = hooks, .queue = 64};
	struct test_server servers[2];
	struct sl_notify *notify;

	for (unsigned int i = 0; i < 2; i++) {
		server_start(&servers[i], always_200);
		hooks[i] = webhook(servers[i].url);
	}
	hooks[1].level = SL_LEVEL_ERROR;
	notify = create(&events);
	sl_notify(notify, SL_LEVEL_INFO, "test", NULL, "info");
	sl_notify(notify, SL_LEVEL_NOTIFY, "test", NULL, "notify");
	sl_notify(notify, SL_LEVEL_ERROR, "test", NULL, "error");
	wait_for(notify, 3, 0);
	sl_notify_destroy(notify, 0);
	for (unsigned int i = 0; i < 2; i++)
		server_stop(&servers[i]);
	assert_int_equal(servers[0].nb, 2);
	assert_int_equal(servers[1].nb, 1);
	for (unsigned int i = 0; i < 2; i++)
		server_free(&servers[i]);
}

static void
test_a_hanging_hook_delays_no_other(void **state)
{
	const char *const sleeper[] = {"/bin/sleep", "60", NULL};
	struct sl_config_exec_hook exec = command(sleeper, 2);
	struct sl_config_webhook hooks[2];
	struct sl_config_events events = {
		.nb_exec = 1, .exec = &exec, .nb_webhooks = 2, .webhooks = hooks, .queue = 64};
	struct test_server mute, good;
	struct sl_notify *notify;

	server_start(&mute, NULL);
	server_start(&good, always_200);
	hooks[0] = webhook(mute.url);
	hooks[1] = webhook(good.url);
	notify = create(&events);
	raise_events(notify, 5);
	/* All five at one, while the others are at their first. */
	wait_for(notify, 5, 0);
	wait_for_requests(&mute, 1);
	assert_int_equal(get_stats(notify).queued, 10);
	sl_notify_destroy(notify, 50);
	assert_non_null(strstr(contents(log_path), "10 deliveries to hooks given up"));
	server_stop(&mute);
	server_stop(&good);
	for (unsigned int i = 0; i < good.nb; i++)
		assert_int_equal(id_of(good.bodies[i]), i + 1);
	server_free(&mute);
	server_free(&good);
}

static void
test_the_queue_is_bounded(void **state)
{
	const char *const sleeper[] = {"/bin/sleep", "60", NULL};
	struct sl_config_exec_hook exec = command(sleeper, 2);
	struct sl_config_events events = {.nb_exec = 1, .exec = &exec, .queue = 16};
	struct sl_notify *notify = create(&events);

	raise_events(notify, 20);
	assert_int_equal(get_stats(notify).queued, 16);
	assert_int_equal(get_stats(notify).hooks_dropped, 4);
	assert_int_equal(get_stats(notify).events, 20);
	assert_int_equal(count_words(contents(log_path), "16 events wait for it"), 1);
	sl_notify_destroy(notify, 0);
	assert_int_equal(
		count_words(contents(log_path), "4 events were dropped while its queue was full"),
		1);
}

static void
test_errors_of_the_server_are_tried_again(void **state)
{
	static const char *const answers[] = {
		"500 Oops", "503 Busy", "200 OK", "429 Slow", "204 No", NULL};
	static const uint64_t ids[] = {1, 1, 1, 2, 2, 3};
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server;
	struct sl_notify *notify;

	server_start(&server, answers);
	hook = webhook(server.url);
	notify = create(&events);
	raise_events(notify, 3);
	wait_for(notify, 3, 0);
	sl_notify_destroy(notify, 0);
	server_stop(&server);
	assert_int_equal(server.nb, 6);
	/* In order, although the first took three tries. */
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(id_of(server.bodies[i]), ids[i]);
	assert_non_null(strstr(server.heads[0], "POST /hook HTTP/1.1\r\n"));
	assert_non_null(strstr(server.heads[0], "Content-Type: application/json\r\n"));
	server_free(&server);
}

static void
test_what_the_server_refuses_is_given_up(void **state)
{
	static const char *const answers[] = {
		"404 Not Found", "302 Found\r\nLocation: /other", "200 OK", NULL};
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server;
	struct sl_notify *notify;

	server_start(&server, answers);
	hook = webhook(server.url);
	notify = create(&events);
	raise_events(notify, 3);
	wait_for(notify, 1, 2);
	sl_notify_destroy(notify, 0);
	server_stop(&server);
	assert_int_equal(server.nb, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(id_of(server.bodies[i]), i + 1);
		assert_non_null(strstr(server.heads[i], "/hook "));
	}
	server_free(&server);
}

static void
test_nobody_listens(void **state)
{
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server;
	struct sl_notify *notify;
	char url[128];

	server_start(&server, always_200);
	server_stop(&server);
	snprintf(url, sizeof(url), "http://user:secret@%.40s?token=secret", server.url + 7);
	hook = webhook(url);
	hook.tries = 2;
	notify = create(&events);
	raise_events(notify, 1);
	wait_for(notify, 0, 1);
	sl_notify_destroy(notify, 0);
	assert_non_null(strstr(contents(log_path), "event 1 given up after 2 of 2 tries: "));
	/* A URL may hold a secret: the log has only where it leads. */
	assert_non_null(strstr(contents(log_path), "webhook http://127.0.0.1:"));
	assert_null(strstr(contents(log_path), "secret"));
	server_free(&server);
}

static void
test_a_server_that_never_answers(void **state)
{
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server;
	struct sl_notify *notify;
	uint64_t until = now_ms() + PATIENCE_MS;

	server_start(&server, NULL);
	hook = webhook(server.url);
	hook.tries = 2;
	hook.timeout_ms = 1000;
	notify = create(&events);
	raise_events(notify, 1);
	wait_for(notify, 0, 1);
	sl_notify_destroy(notify, 0);
	/* The server may come to the last of them after who has sent it has gone. */
	while (server_count(&server) < 2 && now_ms() < until)
		usleep(1000);
	server_stop(&server);
	assert_int_equal(server.nb, 2);
	server_free(&server);
}

static void
test_no_proxy_of_the_environment(void **state)
{
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server, proxy;
	struct sl_notify *notify;

	server_start(&server, always_200);
	server_start(&proxy, always_200);
	setenv("http_proxy", proxy.url, 1);
	hook = webhook(server.url);
	notify = create(&events);
	raise_events(notify, 1);
	wait_for(notify, 1, 0);
	unsetenv("http_proxy");
	sl_notify_destroy(notify, 0);
	server_stop(&server);
	server_stop(&proxy);
	assert_int_equal(server.nb, 1);
	assert_int_equal(proxy.nb, 0);
	server_free(&server);
	server_free(&proxy);
}

/* A mistake in the URL is mended: nothing that waited is lost. */
static void
test_what_waits_goes_to_the_new_hook(void **state)
{
	struct sl_config_webhook hooks[2];
	struct sl_config_events events = {.nb_webhooks = 2, .webhooks = hooks, .queue = 64};
	struct test_server mute, good, stays;
	struct sl_notify *notify;

	server_start(&mute, NULL);
	server_start(&good, always_200);
	server_start(&stays, always_200);
	hooks[0] = webhook(mute.url);
	hooks[1] = webhook(stays.url);
	notify = create(&events);
	raise_events(notify, 3);
	wait_for(notify, 3, 0);
	wait_for_requests(&mute, 1);
	hooks[0] = webhook(good.url);
	assert_int_equal(sl_notify_configure(notify, &events), 0);
	raise_events(notify, 1);
	wait_for(notify, 8, 0);
	/* One that goes away without another takes what waits along. */
	hooks[0] = webhook(mute.url);
	assert_int_equal(sl_notify_configure(notify, &events), 0);
	raise_events(notify, 2);
	wait_for(notify, 10, 0);
	events.nb_webhooks = 0;
	assert_int_equal(sl_notify_configure(notify, &events), 0);
	assert_int_equal(get_stats(notify).queued, 0);
	assert_int_equal(get_stats(notify).hooks_dropped, 2);
	sl_notify_destroy(notify, PATIENCE_MS);
	server_stop(&mute);
	server_stop(&good);
	server_stop(&stays);
	assert_int_equal(good.nb, 4);
	assert_int_equal(stays.nb, 6);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(id_of(good.bodies[i]), i + 1);
	server_free(&mute);
	server_free(&good);
	server_free(&stays);
}

static void
test_the_end_waits_for_what_can_be_delivered(void **state)
{
	struct sl_config_webhook hook;
	struct sl_config_events events = {.nb_webhooks = 1, .webhooks = &hook, .queue = 64};
	struct test_server server;
	struct sl_notify *notify;

	server_start(&server, always_200);
	hook = webhook(server.url);
	notify = create(&events);
	raise_events(notify, 10);
	sl_notify_destroy(notify, PATIENCE_MS);
	server_stop(&server);
	assert_int_equal(server.nb, 10);
	server_free(&server);
}

static void
test_the_thread_has_a_name(void **state)
{
	struct sl_config_events events = {.queue = 16};
	struct sl_notify *notify = create(&events);
	DIR *tasks = opendir("/proc/self/task");
	unsigned int nb = 0;
	struct dirent *task;
	char name[300];

	assert_non_null(tasks);
	while ((task = readdir(tasks)) != NULL) {
		if (task->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "/proc/self/task/%s/comm", task->d_name);
		nb += strcmp(contents(name), "sl-notify\n") == 0;
	}
	closedir(tasks);
	assert_int_equal(nb, 1);
	sl_notify_destroy(notify, 0);
}

static void *
raise_many(void *arg)
{
	for (unsigned int i = 0; i < 100; i++)
		sl_notify(arg, SL_LEVEL_INFO, "test", NULL, "event %u", i);
	return NULL;
}

static void
test_events_of_many_threads(void **state)
{
	const char *const argv[] = {"/bin/true", NULL};
	struct sl_config_exec_hook exec = command(argv, 1);
	struct sl_config_events events = {.nb_exec = 1, .exec = &exec, .queue = 1000};
	struct sl_notify *notify = create(&events);
	pthread_t threads[4];
	json_t *list;

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, raise_many, notify), 0);
	for (unsigned int i = 0; i < 20; i++) {
		raise_events(notify, 1);
		assert_int_equal(sl_notify_configure(notify, &events), 0);
		json_decref(sl_notify_recent(notify, 0));
	}
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	wait_for(notify, 20, 0);
	list = sl_notify_recent(notify, 0);
	for (size_t i = 0; i < SL_NOTIFY_RECENT; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(list, i), "id")),
			420 - SL_NOTIFY_RECENT + 1 + i);
	json_decref(list);
	sl_notify_destroy(notify, 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_latest_events),
		TEST(test_a_text_that_is_no_utf8),
		TEST(test_commands_get_events_in_order),
		TEST(test_what_a_command_is_told_by_its_environment),
		TEST(test_the_example_mails),
		TEST(test_a_command_that_fails_is_told),
		TEST(test_levels),
		TEST(test_a_hanging_hook_delays_no_other),
		TEST(test_the_queue_is_bounded),
		TEST(test_errors_of_the_server_are_tried_again),
		TEST(test_what_the_server_refuses_is_given_up),
		TEST(test_nobody_listens),
		TEST(test_a_server_that_never_answers),
		TEST(test_no_proxy_of_the_environment),
		TEST(test_what_waits_goes_to_the_new_hook),
		TEST(test_the_end_waits_for_what_can_be_delivered),
		TEST(test_the_thread_has_a_name),
		TEST(test_events_of_many_threads),
	};
	int failed;

	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/out", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	unlink(log_path);
	rmdir(dir);
	return failed;
}
