/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* The file of lines typed. Without it the prompt works all the same. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "history.h"

#define LINES_KEPT 500

/* Above this the file is written anew with those that are kept. */
#define LINES_MAX 1000

static FILE *
open_private(const char *path, int flags, const char *mode)
{
	int fd = open(path, flags | O_CLOEXEC, S_IRUSR | S_IWUSR);
	FILE *file = fd < 0 ? NULL : fdopen(fd, mode);

	if (file == NULL && fd >= 0)
		close(fd);
	return file;
}

void
sl_cli_history_load(const char *path, void (*each)(void *arg, const char *line), void *arg)
{
	FILE *file = open_private(path, O_RDONLY, "r"), *rewritten = NULL;
	char *lines[LINES_KEPT] = {0}, *line = NULL;
	size_t nb_lines = 0, size = 0, first;

	if (file == NULL)
		return;
	while (getline(&line, &size, file) > 0) {
		char **slot = &lines[nb_lines++ % LINES_KEPT];

		line[strcspn(line, "\n")] = '\0';
		free(*slot);
		*slot = line;
		line = NULL;
		size = 0;
	}
	free(line);
	fclose(file);
	if (nb_lines > LINES_MAX)
		rewritten = open_private(path, O_WRONLY | O_TRUNC, "w");
	first = nb_lines > LINES_KEPT ? nb_lines % LINES_KEPT : 0;
	for (size_t i = 0; i < LINES_KEPT; i++) {
		char *kept = lines[(first + i) % LINES_KEPT];

		if (kept == NULL)
			continue;
		each(arg, kept);
		if (rewritten != NULL)
			fprintf(rewritten, "%s\n", kept);
		free(kept);
	}
	if (rewritten != NULL)
		fclose(rewritten);
}

void
sl_cli_history_append(const char *path, const char *line)
{
	FILE *file = open_private(path, O_WRONLY | O_APPEND | O_CREAT, "a");

	if (file == NULL)
		return;
	fprintf(file, "%s\n", line);
	fclose(file);
}
