/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* Reading a configuration: the order of the steps, its memory, and its errors. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sl_wire.h>

#include "config_internal.h"

#define CHUNK_SIZE (64u << 10)
#define GROWTH_MIN (4u << 10)

/* A piece of the configuration's memory; everything is freed at once, so nothing is freed alone. */
struct sl_config_chunk {
	struct sl_config_chunk *next;
	size_t used;
	size_t size;
	_Alignas(16) char data[];
};

void *
sl_config_arena_alloc(struct sl_config_arena *arena, size_t size)
{
	struct sl_config_chunk *chunk = arena->chunks;
	size_t chunk_size = CHUNK_SIZE;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (chunk == NULL || chunk->size - chunk->used < size) {
		if (size > chunk_size)
			chunk_size = size;
		chunk = calloc(1, sizeof(*chunk) + chunk_size);
		if (chunk == NULL)
			return NULL;
		chunk->size = chunk_size;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	p = chunk->data + chunk->used;
	chunk->used += size;
	return p;
}

static void
free_chunks(struct sl_config_chunk *chunk)
{
	struct sl_config_chunk *next;

	for (; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
}

void
sl_config_arena_reset(struct sl_config_arena *arena)
{
	struct sl_config_chunk *chunk = arena->chunks;

	if (chunk == NULL)
		return;
	free_chunks(chunk->next);
	chunk->next = NULL;
	memset(chunk->data, 0, chunk->used);
	chunk->used = 0;
}

void
sl_config_arena_free(struct sl_config_arena *arena)
{
	free_chunks(arena->chunks);
	arena->chunks = NULL;
}

void *
sl_config_alloc(struct sl_config_reader *reader, size_t size)
{
	return sl_config_arena_alloc(&reader->storage->arena, size);
}

int
sl_config_copy(struct sl_config_reader *reader, const char *string, char **copy)
{
	size_t size = strlen(string) + 1;

	*copy = sl_config_alloc(reader, size);
	if (*copy == NULL)
		return sl_config_no_memory(reader);
	memcpy(*copy, string, size);
	return 0;
}

/* The text quotes the file, which may hold anything; a log line may not. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

int
sl_config_vfail(struct sl_config_reader *reader, unsigned int line, const char *key,
	const char *format, va_list args)
{
	size_t len = 0;

	if (reader->error_len == 0)
		return -EINVAL;
	if (reader->is_edit)
		reader->error[0] = '\0';
	else if (line > 0)
		len = (size_t)snprintf(
			reader->error, reader->error_len, "%s:%u: ", reader->path, line);
	else
		len = (size_t)snprintf(reader->error, reader->error_len, "%s: ", reader->path);
	if (len < reader->error_len && key[0] != '\0')
		len += (size_t)snprintf(reader->error + len, reader->error_len - len, "%s: ", key);
	if (len < reader->error_len)
		vsnprintf(reader->error + len, reader->error_len - len, format, args);
	make_printable(reader->error);
	return -EINVAL;
}

static int file_fail(struct sl_config_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The file as a whole is wrong. */
static int
file_fail(struct sl_config_reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	sl_config_vfail(reader, 0, "", format, args);
	va_end(args);
	return -EINVAL;
}

int
sl_config_fail(struct sl_config_reader *reader, const struct sl_config_at *at, const char *key,
	const char *format, ...)
{
	char path[512];
	unsigned int line;
	va_list args;

	if (reader->is_edit)
		sl_config_name_place(reader, at, key, path, sizeof(path));
	else if (at == NULL || at->list == NULL)
		snprintf(path, sizeof(path), "%s", key);
	else if (at->sublist == NULL)
		snprintf(path, sizeof(path), "%s[%" PRIu32 "].%s", at->list, at->i, key);
	else
		snprintf(path, sizeof(path), "%s[%" PRIu32 "].%s[%" PRIu32 "].%s", at->list, at->i,
			at->sublist, at->j, key);
	line = reader->is_edit ? 0 : sl_config_locate(reader, path);
	va_start(args, format);
	sl_config_vfail(reader, line > 0 ? line : 1, path, format, args);
	va_end(args);
	return -EINVAL;
}

int
sl_config_no_memory(struct sl_config_reader *reader)
{
	file_fail(reader, "no memory left for it; make it smaller or free memory");
	return -ENOMEM;
}

/*
 * libcyaml makes a list longer by one entry at a time. Where realloc() moves each time, n entries
 * would cost n squared; so large blocks grow by half.
 */
static void *
reallocate(void *ctx, void *ptr, size_t size)
{
	if (size == 0) {
		free(ptr);
		return NULL;
	}
	if (ptr == NULL || size < GROWTH_MIN)
		return realloc(ptr, size);
	return malloc_usable_size(ptr) >= size ? ptr : realloc(ptr, size + size / 2);
}

static const cyaml_config_t cyaml_config = {
	.mem_fn = reallocate,
	.flags = CYAML_CFG_NO_ALIAS,
};

/* Text to raw structures to the resolved configuration. */
static int
read_text(struct sl_config_reader *reader)
{
	struct raw_config *raw = NULL;
	cyaml_err_t err;
	uint32_t i;
	int ret;

	ret = sl_config_scan(reader);
	if (ret < 0)
		return ret;
	err = cyaml_load_data((const uint8_t *)reader->text, reader->text_len, &cyaml_config,
		&sl_config_schema, (cyaml_data_t **)&raw, NULL);
	/* The scan has parsed the same text: only memory can fail the parser now. */
	if (err == CYAML_ERR_OOM || err == CYAML_ERR_LIBYAML_PARSER_INIT ||
		err == CYAML_ERR_LIBYAML_PARSER)
		return sl_config_no_memory(reader);
	if (err != CYAML_OK)
		return file_fail(reader, "libcyaml refuses it: %s; compare it with the reference",
			cyaml_strerror(err));
	for (i = 0; i < reader->nb_unchecked; i++)
		raw->destinations[reader->unchecked[i]].health->has_no_checks = true;
	reader->raw = raw;
	ret = sl_config_resolve(reader);
	cyaml_free(&cyaml_config, &sl_config_schema, raw, 0);
	return ret;
}

int
sl_config_begin(struct sl_config_reader *reader)
{
	if (reader->error_len > 0)
		reader->error[0] = '\0';
	reader->config = calloc(1, sizeof(*reader->config));
	reader->storage = calloc(1, sizeof(*reader->storage));
	if (reader->config == NULL || reader->storage == NULL) {
		free(reader->config);
		free(reader->storage);
		return sl_config_no_memory(reader);
	}
	reader->config->storage = reader->storage;
	return 0;
}

int
sl_config_parse_hashed(const char *path, const char *text, size_t text_len, sl_config_hash_t hash,
	struct sl_config **config, char *error, size_t error_len)
{
	struct sl_config_reader reader = {
		.path = path,
		.text = text,
		.text_len = text_len,
		.hash = hash,
		.error = error,
		.error_len = error_len,
	};
	int ret;

	*config = NULL;
	if (text_len > SL_CONFIG_FILE_MAX)
		return file_fail(&reader, "is larger than %u MiB; make it smaller",
			SL_CONFIG_FILE_MAX >> 20);
	ret = sl_config_begin(&reader);
	if (ret < 0)
		return ret;
	ret = read_text(&reader);
	free(reader.unchecked);
	if (ret < 0) {
		sl_config_free(reader.config);
		return ret;
	}
	*config = reader.config;
	return 0;
}

int
sl_config_parse(const char *path, const char *text, size_t text_len, struct sl_config **config,
	char *error, size_t error_len)
{
	return sl_config_parse_hashed(
		path, text, text_len, sl_wire_name_key, config, error, error_len);
}

/* Read to the end, one byte more than is allowed at most. The size is not asked for: pipes work. */
static int
read_file(int fd, char **text, size_t *len)
{
	size_t size = 0;
	ssize_t n = 1;
	char *bigger;

	*text = NULL;
	*len = 0;
	while (n > 0 && *len <= SL_CONFIG_FILE_MAX) {
		if (*len == size) {
			size = size == 0 ? CHUNK_SIZE : 2 * size;
			bigger = realloc(*text, size);
			if (bigger == NULL)
				return -ENOMEM;
			*text = bigger;
		}
		n = read(fd, *text + *len, size - *len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			*len += (size_t)n;
	}
	return 0;
}

int
sl_config_load(const char *path, struct sl_config **config, char *error, size_t error_len)
{
	struct sl_config_reader reader = {.path = path, .error = error, .error_len = error_len};
	char *text = NULL;
	size_t len = 0;
	int fd, ret;

	*config = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ret = fd < 0 ? -errno : read_file(fd, &text, &len);
	if (fd >= 0)
		close(fd);
	if (ret < 0)
		file_fail(&reader, "cannot be read: %s; name a file that is there and readable",
			strerror(-ret));
	else
		ret = sl_config_parse(path, text, len, config, error, error_len);
	free(text);
	return ret;
}

void
sl_config_free(struct sl_config *config)
{
	struct sl_config_storage *storage;

	if (config == NULL)
		return;
	storage = config->storage;
	sl_config_arena_free(&storage->arena);
	free(storage);
	free(config);
}
