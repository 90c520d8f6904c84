/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JOURNAL_TOLD_H
#define JOURNAL_TOLD_H

/* Recovering a journal made by hand, and keeping what it tells. Behind cmocka.h. */
#include <dirent.h>
#include <sys/stat.h>

#include "journal_maker.h"
#include "sl_journal.h"

#define END   8192u /* Of small segments. */
#define MANY  4096u /* Messages at most. */
#define FIRST UINT64_C(1700000000000000000)

/* What a recovery told. */
struct told {
	sl_record_ref undelivered[MANY];
	sl_record_ref recent[MANY];
	uint64_t names[MANY];
	uint32_t nb_undelivered;
	uint32_t nb_recent;
	uint32_t nb_names;
	struct sl_journal_recovery recovery;
	char notice[512];
	char error[1024];
};

static char directory[64];

static inline void
empty_directory(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
}

static inline int
make_directory(void **state)
{
	/* Tens of thousands of recoveries, each with a sync: not on a disk. */
	snprintf(directory, sizeof(directory), "/dev/shm/sluice-recover-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static inline int
remove_directory(void **state)
{
	empty_directory();
	return rmdir(directory);
}

static inline int
tell_undelivered(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct told *told = arg;

	assert_int_equal(record->type, SL_RECORD_MESSAGE);
	if (sl_record_ref_is_copy(ref))
		assert_true(sl_record_subscriber_at((const struct sl_record_message *)record,
				    sl_record_ref_position(ref)) != UINT32_MAX);
	else
		assert_int_equal(sl_record_ref_position(ref), record->position);
	assert_true(told->nb_undelivered < MANY);
	told->undelivered[told->nb_undelivered++] = ref;
	return 0;
}

static inline int
tell_recent(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct told *told = arg;

	assert_true(told->nb_recent < MANY);
	told->recent[told->nb_recent++] = ref;
	return 0;
}

static inline int
tell_name(void *arg, const struct sl_record *record, sl_record_ref ref)
{
	struct told *told = arg;

	assert_true(told->nb_names < MANY);
	told->names[told->nb_names++] = ((const struct sl_record_name *)record)->key;
	return 0;
}

static inline int
recover_since(struct told *told, uint64_t since_ns)
{
	struct sl_journal_visitor visitor = {.undelivered = tell_undelivered,
		.recent = tell_recent,
		.name = tell_name,
		.since_ns = since_ns,
		.arg = told};
	int rc;

	memset(told, 0, sizeof(*told));
	rc = sl_journal_recover(directory, &visitor, &told->recovery, told->notice,
		sizeof(told->notice), told->error, sizeof(told->error));
	assert_int_equal(rc != 0, told->error[0] != '\0');
	if (rc == 0)
		assert_int_equal(told->recovery.nb_undelivered, told->nb_undelivered);
	return rc;
}

static inline int
recover(struct told *told)
{
	return recover_since(told, 0);
}

#endif /* JOURNAL_TOLD_H */
