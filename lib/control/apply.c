/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "changes.h"
#include "control_internal.h"
#include "durable.h"
#include "members.h"
#include "sl_checks.h"
#include "sl_log.h"
#include "sl_neighbours.h"
#include "sl_notify.h"

/* A change on its way. The steps stand in an order in which each can be undone when a later one
 * fails. */
struct step {
	int (*take)(struct sl_control *control, const struct sl_config *config,
		const struct changes *changes, char *error, size_t error_len);
};

static int
take_log(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(c);
	return changes->is_log_changed ? sl_log_configure(&config->log, error, error_len) : 0;
}

static int
take_events(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(error);
	RTE_SET_USED(error_len);
	if (!changes->is_events_changed || c->params.notify == NULL)
		return 0;
	return sl_notify_configure(c->params.notify, &config->events);
}

static int
take_path(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(changes);
	return sl_datapath_apply(c->params.datapath, config, error, error_len);
}

static int
take_neighbours(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(changes);
	RTE_SET_USED(error);
	RTE_SET_USED(error_len);
	if (c->params.neighbours == NULL)
		return 0;
	return sl_neighbours_apply(c->params.neighbours, config, control_now_ms());
}

static int
take_checks(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(changes);
	RTE_SET_USED(error);
	RTE_SET_USED(error_len);
	if (c->params.checks == NULL)
		return 0;
	return sl_checks_configure(c->params.checks, config);
}

static int
take_journal(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	RTE_SET_USED(changes);
	RTE_SET_USED(error);
	RTE_SET_USED(error_len);
	durable_retention(c->durable, &config->journal);
	return 0;
}

/* Neighbours ask the path for its next hops, and the checks tell it the shares of its backends. */
static const struct step steps[] = {
	{take_log}, {take_events}, {take_path}, {take_neighbours}, {take_checks}, {take_journal}};

#define PATH_STEP 2

/*
 * Do again, with what ran before, the steps that were done; in the same order, for the same
 * reasons. When the path was among them, those behind it are, too, also the one that failed: they
 * refer to what the path has, and to the configuration they saw last.
 */
static int
take_back(struct sl_control *c, const struct changes *changes, size_t done)
{
	size_t n = done > PATH_STEP ? RTE_DIM(steps) : done;
	char ignored[256];
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		rc |= steps[i].take(c, c->config, changes, ignored, sizeof(ignored));
	return rc;
}

/* All steps, or none. */
static int
take_all(struct sl_control *c, const struct sl_config *config, const struct changes *changes,
	char *error, size_t error_len)
{
	size_t done;
	int rc = 0;

	error[0] = '\0';
	for (done = 0; done < RTE_DIM(steps); done++) {
		rc = steps[done].take(c, config, changes, error, error_len);
		if (rc != 0)
			break;
	}
	if (rc == 0)
		return 0;
	if (error[0] == '\0')
		snprintf(error, error_len, "the change cannot be taken over: %s", strerror(-rc));
	if (take_back(c, changes, done) != 0)
		sl_log(SL_LOG_control, SL_LEVEL_ERROR,
			"a change was refused (%s), and not all of it could be undone: restart",
			error);
	return rc;
}

/* From here on it is what runs. What ran is gone when everybody has heard of it. */
static void
swap(struct sl_control *c, struct sl_config *file, struct sl_config *config, struct marks *marks,
	struct durable_backends *backends)
{
	struct sl_config *config_before = c->config, *file_before = c->file;

	marks_replace(&c->marks, marks);
	durable_replace(c->durable, config, backends);
	c->config = config;
	c->file = file;
	members_commit(c->members);
	if (c->params.applied != NULL)
		c->params.applied(c->params.arg);
	if (config_before != file_before)
		sl_config_free(config_before);
	if (file_before != file)
		sl_config_free(file_before);
}

/* Take over a file, or the one that runs, with the members beside it. */
static int
adopt(struct sl_control *c, struct sl_config *file, const struct changes *changes, char *error,
	size_t error_len)
{
	struct durable_backends *backends = NULL;
	struct marks *marks = NULL;
	struct sl_config *config;
	int rc;

	if (c->is_draining || c->is_quitting)
		return control_fail(-EBUSY, error, error_len,
			"the path is stopping: change it when it has stopped");
	rc = members_overlay(c->members, file, file != c->file, &config);
	if (rc == 0) {
		marks = marks_follow(c->marks, c->config, config);
		backends = durable_follow(c->durable, config);
	}
	if (marks == NULL || backends == NULL)
		rc = control_fail(-ENOMEM, error, error_len, "no memory for the change");
	else
		rc = take_all(c, config, changes, error, error_len);
	if (rc == 0) {
		swap(c, file, config, marks, backends);
		return 0;
	}
	members_rollback(c->members);
	marks_free(marks);
	free(backends);
	if (config != file)
		sl_config_free(config);
	return rc;
}

int
control_take_members(void *arg, char *error, size_t error_len)
{
	struct sl_control *c = arg;
	const struct changes none = {0};

	return adopt(c, c->file, &none, error, error_len);
}

int
control_apply(struct sl_control *c, struct sl_config *config, bool check_only,
	struct changes *changes, char *error, size_t error_len)
{
	int rc = changes_find(changes, c->file, config);

	if (rc != 0)
		return control_fail(rc, error, error_len, "no memory to compare configurations");
	if (changes->first_restart[0] != '\0')
		return control_fail(-EPERM, error, error_len,
			"%s cannot be changed while the path exists: restart with the new file "
			"(nothing has changed)",
			changes->first_restart);
	if (check_only) {
		sl_config_free(config);
		return 0;
	}
	rc = adopt(c, config, changes, error, error_len);
	if (rc != 0)
		return rc;
	c->nb_applied++;
	if (c->params.notify != NULL)
		sl_notify(c->params.notify, SL_LEVEL_NOTIFY, "reload",
			json_pack("{s:I}", "changes", (json_int_t)changes->nb_changes),
			"configuration reloaded: %u changes", changes->nb_changes);
	return 0;
}

static int
load(struct sl_control *c, const char *path, bool check_only, struct changes *changes, char *error,
	size_t error_len)
{
	struct sl_config *config;
	struct stat status;
	int rc;

	memset(changes, 0, sizeof(*changes));
	if (path == NULL || path[0] == '\0')
		path = c->config->path;
	else if (path[0] != '/')
		return control_fail(
			-EINVAL, error, error_len, "%.128s: give an absolute path", path);
	/* A pipe would be waited for, and the path is not to wait; a device may have no end. */
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return control_fail(-EINVAL, error, error_len,
			"%.128s is no regular file: give the file of a configuration", path);
	rc = sl_config_load(path, &config, error, error_len);
	if (rc != 0)
		return rc;
	rc = control_apply(c, config, check_only, changes, error, error_len);
	if (rc != 0)
		sl_config_free(config);
	return rc;
}

int
control_load(struct sl_control *c, const char *path, bool check_only, struct changes *changes,
	char *error, size_t error_len)
{
	int rc = load(c, path, check_only, changes, error, error_len);

	if (rc != 0 && !check_only)
		c->nb_refused++;
	return rc;
}

int
sl_control_load(struct sl_control *c, const char *path, bool check_only, json_t **list, char *error,
	size_t error_len)
{
	struct changes changes;
	int rc = control_load(c, path, check_only, &changes, error, error_len);

	*list = changes.list;
	return rc;
}

int
control_change(struct sl_control *c, const struct sl_config_edit *edits, uint32_t nb_edits,
	struct changes *changes, char *error, size_t error_len)
{
	struct sl_config *config;
	int rc;

	memset(changes, 0, sizeof(*changes));
	rc = sl_config_edit(c->file, edits, nb_edits, &config, error, error_len);
	if (rc != 0)
		return rc;
	rc = control_apply(c, config, false, changes, error, error_len);
	if (rc != 0)
		sl_config_free(config);
	return rc;
}
