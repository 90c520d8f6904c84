/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "log_internal.h"
#include "sl_gcra.h"

#define NS_PER_S      1000000000
#define LINES_PER_S   200
#define DEFAULT_LEVEL SL_LEVEL_INFO

/* A flood that goes on is told of no more often than this. */
#define TELL_NS NS_PER_S

static const char *const module_names[] = {
#define X(name) #name,
	SL_LOG_MODULE_LIST(X)
#undef X
};

static const char *const level_names[] = {"error", "warn", "notify", "info", "debug"};

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t (*log_clock)(void) = monotonic_ns;

/* Levels are read without the lock: lines that are not written cost next to nothing. */
static uint8_t levels[SL_LOG_MODULES] = {[0 ... SL_LOG_MODULES - 1] = DEFAULT_LEVEL};

struct bound {
	struct sl_gcra gcra;
	uint64_t told;	       /* When it was last told of, ns. */
	unsigned long nb_held; /* Lines above the bound, not told of yet. */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static struct log_target target = {.kind = SL_LOG_STDERR, .fd = -1};
static bool is_json;
static uint32_t lines_per_s; /* 0: not set up yet. */
static struct bound bounds[SL_LOG_MODULES];
static unsigned long nb_suppressed, nb_lost, nb_lost_told;
static int lost_error;

const char *
sl_log_module_name(enum sl_log_module module)
{
	return (unsigned int)module < SL_LOG_MODULES ? module_names[module] : "?";
}

bool
sl_log_find_module(const char *name, enum sl_log_module *module)
{
	for (unsigned int i = 0; i < SL_LOG_MODULES; i++) {
		if (strcmp(name, module_names[i]) == 0) {
			*module = (enum sl_log_module)i;
			return true;
		}
	}
	return false;
}

const char *
sl_log_level_name(enum sl_config_level level)
{
	return (unsigned int)level <= SL_LEVEL_DEBUG ? level_names[level] : "?";
}

bool
sl_log_find_level(const char *name, enum sl_config_level *level)
{
	for (unsigned int i = 0; i <= SL_LEVEL_DEBUG; i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum sl_config_level)i;
			return true;
		}
	}
	return false;
}

void
sl_log_set_level(enum sl_log_module module, enum sl_config_level level)
{
	__atomic_store_n(&levels[module], (uint8_t)level, __ATOMIC_RELAXED);
}

enum sl_config_level
sl_log_get_level(enum sl_log_module module)
{
	return (enum sl_config_level)__atomic_load_n(&levels[module], __ATOMIC_RELAXED);
}

bool
sl_log_is_on(enum sl_log_module module, enum sl_config_level level)
{
	return level <= sl_log_get_level(module);
}

static void
set_bound(uint32_t rate)
{
	lines_per_s = rate;
	for (unsigned int i = 0; i < SL_LOG_MODULES; i++)
		sl_gcra_init(&bounds[i].gcra, rate, rate, NS_PER_S);
}

static int
write_record(const struct log_record *record)
{
	char line[LOG_LINE_MAX + 1];
	size_t len;

	if (target.kind == SL_LOG_JOURNALD)
		len = log_line_journal(record, line);
	else if (is_json)
		len = log_line_json(record, line);
	else
		len = log_line_text(record, line);
	return log_target_write(&target, line, len);
}

/* The log's own lines about lines that are missing. */
static int __attribute__((format(printf, 2, 3)))
tell(enum sl_log_module module, const char *format, ...)
{
	struct log_record record = {.level = SL_LEVEL_WARN, .module = module};
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	record.text = text;
	clock_gettime(CLOCK_REALTIME, &record.time);
	return write_record(&record);
}

static void
lose(int rc)
{
	nb_lost++;
	lost_error = -rc;
}

static void
tell_suppressed(enum sl_log_module module)
{
	struct bound *bound = &bounds[module];
	int rc = tell(module, "%lu lines not written: more than log: lines_per_s, %u",
		bound->nb_held, lines_per_s);

	bound->nb_held = 0;
	if (rc != 0)
		lose(rc);
}

/* Of any module: one that has fallen silent since would never tell. */
static void
tell_all_suppressed(uint64_t now_ns, bool is_last)
{
	for (unsigned int i = 0; i < SL_LOG_MODULES; i++) {
		struct bound *bound = &bounds[i];

		if (bound->nb_held == 0)
			continue;
		if (!is_last &&
			(now_ns - bound->told < TELL_NS || !sl_gcra_conforms(&bound->gcra, now_ns)))
			continue;
		bound->told = now_ns;
		tell_suppressed((enum sl_log_module)i);
	}
}

/* Told of by the first line that the target takes again. */
static bool
tell_lost(void)
{
	if (nb_lost == nb_lost_told)
		return true;
	if (tell(SL_LOG_main, "%lu log lines lost: the log could not be written: %s",
		    nb_lost - nb_lost_told, strerror(lost_error)) != 0)
		return false;
	nb_lost_told = nb_lost;
	return true;
}

static void
write_bounded(const struct log_record *record)
{
	uint64_t now_ns = log_clock();
	struct bound *bound = &bounds[record->module];
	int rc;

	if (lines_per_s == 0)
		set_bound(LINES_PER_S);
	log_target_follow(&target, now_ns);
	tell_all_suppressed(now_ns, false);
	if (!sl_gcra_conforms(&bound->gcra, now_ns)) {
		bound->nb_held++;
		nb_suppressed++;
		return;
	}
	sl_gcra_take(&bound->gcra, now_ns);
	rc = tell_lost() ? write_record(record) : -lost_error;
	if (rc != 0)
		lose(rc);
}

/* Not within a character: the rest of it would look like rubbish. */
static void
trim_to_character(char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
		len--;
	if (len > 0 && (unsigned char)text[len - 1] >= 0xc0)
		len--;
	text[len] = '\0';
}

void
sl_log(enum sl_log_module module, enum sl_config_level level, const char *format, ...)
{
	struct log_record record = {.level = level, .module = module};
	char text[LOG_TEXT_MAX];
	int error = errno;
	va_list args;

	if (!sl_log_is_on(module, level))
		return;
	va_start(args, format);
	record.is_cut = vsnprintf(text, sizeof(text), format, args) >= (int)sizeof(text);
	va_end(args);
	if (record.is_cut)
		trim_to_character(text, sizeof(text) - 1);
	record.text = text;
	pthread_mutex_lock(&lock);
	/* Under the lock, so that times in the log do not step back. */
	clock_gettime(CLOCK_REALTIME, &record.time);
	write_bounded(&record);
	pthread_mutex_unlock(&lock);
	errno = error;
}

static int
resolve_levels(const struct sl_config_log *log, uint8_t resolved[SL_LOG_MODULES], char *error,
	size_t error_len)
{
	size_t len;

	memset(resolved, log->level, SL_LOG_MODULES);
	for (uint32_t i = 0; i < log->nb_levels; i++) {
		enum sl_log_module module;

		if (sl_log_find_module(log->levels[i].module, &module)) {
			resolved[module] = (uint8_t)log->levels[i].level;
			continue;
		}
		len = (size_t)snprintf(error, error_len, "log: levels: there is no module %s; use",
			log->levels[i].module);
		for (unsigned int m = 0; m < SL_LOG_MODULES && len < error_len; m++)
			len += (size_t)snprintf(
				error + len, error_len - len, " %s", module_names[m]);
		return -EINVAL;
	}
	return 0;
}

int
sl_log_configure(const struct sl_config_log *log, char *error, size_t error_len)
{
	uint8_t resolved[SL_LOG_MODULES];
	struct log_target opened;
	int rc = resolve_levels(log, resolved, error, error_len);

	if (rc == 0)
		rc = log_target_open(&opened, log, log_clock(), error, error_len);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&lock);
	tell_all_suppressed(log_clock(), true);
	log_target_close(&target);
	target = opened;
	is_json = log->is_json;
	set_bound(log->lines_per_s != 0 ? log->lines_per_s : LINES_PER_S);
	for (unsigned int i = 0; i < SL_LOG_MODULES; i++)
		sl_log_set_level((enum sl_log_module)i, (enum sl_config_level)resolved[i]);
	pthread_mutex_unlock(&lock);
	return 0;
}

unsigned long
sl_log_suppressed(void)
{
	unsigned long count;

	pthread_mutex_lock(&lock);
	count = nb_suppressed;
	pthread_mutex_unlock(&lock);
	return count;
}

unsigned long
sl_log_lost(void)
{
	unsigned long count;

	pthread_mutex_lock(&lock);
	count = nb_lost;
	pthread_mutex_unlock(&lock);
	return count;
}

void
sl_log_close(void)
{
	pthread_mutex_lock(&lock);
	tell_all_suppressed(log_clock(), true);
	tell_lost();
	log_target_close(&target);
	pthread_mutex_unlock(&lock);
}
