/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control_internal.h"
#include "sl_log.h"

#define MODE 0640

/* Write what runs to `fd`, down to the disk. Takes `fd`. Returns 0 or -errno. */
static int
write_config(const struct sl_config *config, int fd)
{
	FILE *out = fdopen(fd, "w");
	int rc;

	if (out == NULL) {
		close(fd);
		return -ENOMEM;
	}
	rc = sl_config_write(config, out);
	errno = EIO;
	if (rc == 0 && (fflush(out) != 0 || fsync(fd) != 0))
		rc = -errno;
	if (fclose(out) != 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* The new name is on the disk, too. */
static void
sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

/* A file that is there keeps its mode and, as far as we may, its owner. @return it, -errno */
static int
open_as(const char *tmp, const struct stat *status)
{
	mode_t mode = status != NULL ? status->st_mode & 0777 : MODE;
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	if (status != NULL && fchown(fd, status->st_uid, status->st_gid) != 0)
		sl_log(SL_LOG_control, SL_LEVEL_INFO, "save: %s stays ours: %s", tmp,
			strerror(errno));
	/* Not what umask leaves of it, nor what a change of the owner does. */
	fchmod(fd, mode);
	return fd;
}

int
sl_control_save(struct sl_control *c, const char *path, char *error, size_t error_len)
{
	char tmp[4096], real[PATH_MAX];
	struct stat status;
	bool is_there;
	int fd, rc;

	if (path[0] != '/')
		return control_fail(-EINVAL, error, error_len, "save: give an absolute path");
	/* A link stays one. */
	if (realpath(path, real) != NULL)
		path = real;
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return control_fail(-ENAMETOOLONG, error, error_len, "save: the path is too long");
	is_there = stat(path, &status) == 0;
	if (is_there && !S_ISREG(status.st_mode))
		return control_fail(
			-EEXIST, error, error_len, "save: %.128s is there and no file", path);
	unlink(tmp);
	fd = open_as(tmp, is_there ? &status : NULL);
	if (fd < 0)
		return control_fail(fd, error, error_len, "save: %.128s.tmp cannot be written: %s",
			path, strerror(-fd));
	rc = write_config(c->file, fd);
	if (rc == 0 && rename(tmp, path) != 0)
		rc = -errno;
	if (rc != 0) {
		unlink(tmp);
		return control_fail(rc, error, error_len, "save: %.128s: %s", path, strerror(-rc));
	}
	sync_directory(path);
	return 0;
}
