/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "ingress.h"

/*
 * Bearer tokens: a file of lines "TOKEN NAME". What is kept and compared are hashes, all of them
 * every time: how long a comparison takes tells neither how much of a token was right, nor how long
 * one is, nor where it stands in the file.
 */

#define TOKENS_MAX   65536u
#define LINE_MAX_LEN 4096

struct token {
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char *name;
};

struct gw_tokens {
	uint32_t refs; /* Atomic. */
	uint32_t nb;
	struct token *tokens;
	struct timespec changed; /* The file, by its inode, size and time. */
	off_t size;
	ino_t inode;
};

void
gw_tokens_unref(struct gw_tokens *t)
{
	if (t == NULL || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	for (uint32_t i = 0; i < t->nb; i++)
		free(t->tokens[i].name);
	if (t->tokens != NULL)
		OPENSSL_cleanse(t->tokens, t->nb * sizeof(*t->tokens));
	free(t->tokens);
	free(t);
}

struct gw_tokens *
gw_tokens_ref(struct gw_tokens *t)
{
	__atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

static bool
hash_token(const char *token, size_t len, uint8_t hash[SHA256_DIGEST_LENGTH])
{
	return EVP_Digest(token, len, hash, NULL, EVP_sha256(), NULL) == 1;
}

const char *
gw_tokens_find(const struct gw_tokens *t, const char *token, size_t len)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const char *name = NULL;

	if (!hash_token(token, len, hash))
		return NULL;
	for (uint32_t i = 0; i < t->nb; i++) {
		if (CRYPTO_memcmp(hash, t->tokens[i].hash, sizeof(hash)) == 0)
			name = t->tokens[i].name;
	}
	return name;
}

/* @return 0, -EINVAL or -ENOMEM */
static int
add(struct gw_tokens *t, const char *token, const char *name)
{
	struct token *tokens;

	if (t->nb == TOKENS_MAX)
		return -EINVAL;
	if ((t->nb & (t->nb - 1)) == 0) {
		tokens = realloc(t->tokens, (t->nb == 0 ? 1 : 2 * t->nb) * sizeof(*tokens));
		if (tokens == NULL)
			return -ENOMEM;
		t->tokens = tokens;
	}
	t->tokens[t->nb].name = strdup(name);
	if (t->tokens[t->nb].name == NULL)
		return -ENOMEM;
	return hash_token(token, strlen(token), t->tokens[t->nb++].hash) ? 0 : -ENOMEM;
}

static int
read_lines(struct gw_tokens *t, FILE *file, const char *path, char *error, size_t error_len)
{
	char line[LINE_MAX_LEN], *token, *name, *save;
	uint32_t number = 0;
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (strchr(line, '\n') == NULL && !feof(file)) {
			rc = -EINVAL;
			break;
		}
		token = strtok_r(line, " \t\r\n", &save);
		if (token == NULL || token[0] == '#')
			continue;
		name = strtok_r(NULL, " \t\r\n", &save);
		if (name == NULL || strtok_r(NULL, " \t\r\n", &save) != NULL)
			rc = -EINVAL;
		else
			rc = add(t, token, name);
	}
	OPENSSL_cleanse(line, sizeof(line));
	if (rc == -EINVAL)
		snprintf(error, error_len,
			"%s:%u: not a line \"TOKEN NAME\"; a file has %u of them at most", path,
			number, TOKENS_MAX);
	return rc;
}

static bool
is_same(const struct gw_tokens *t, const struct stat *st)
{
	return t->inode == st->st_ino && t->size == st->st_size &&
		t->changed.tv_sec == st->st_mtim.tv_sec &&
		t->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static int
check_file(const char *path, const struct stat *st, char *error, size_t error_len)
{
	if (!S_ISREG(st->st_mode)) {
		snprintf(error, error_len, "%s: is no file", path);
		return -EINVAL;
	}
	if ((st->st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
		snprintf(error, error_len,
			"%s: others may read or write the tokens in it; chmod 640 %s", path, path);
		return -EPERM;
	}
	return 0;
}

static int
load(FILE *file, const struct stat *st, const char *path, struct gw_tokens **tokens, char *error,
	size_t error_len)
{
	struct gw_tokens *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return -ENOMEM;
	t->refs = 1;
	t->inode = st->st_ino;
	t->size = st->st_size;
	t->changed = st->st_mtim;
	rc = read_lines(t, file, path, error, error_len);
	if (rc == 0 && t->nb == 0) {
		snprintf(error, error_len, "%s: there is no token in it: nobody could come in",
			path);
		rc = -EINVAL;
	}
	if (rc != 0)
		gw_tokens_unref(t);
	else
		*tokens = t;
	return rc;
}

int
gw_tokens_load(const char *path, const struct gw_tokens *before, struct gw_tokens **tokens,
	char *error, size_t error_len)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	int rc;

	if (file == NULL || fstat(fileno(file), &st) != 0) {
		rc = -errno;
		snprintf(error, error_len, "%s: the tokens cannot be read: %s", path,
			strerror(errno));
		if (file != NULL)
			fclose(file);
		return rc;
	}
	rc = check_file(path, &st, error, error_len);
	if (rc == 0 && before != NULL && is_same(before, &st)) {
		*tokens = gw_tokens_ref((struct gw_tokens *)(uintptr_t)before);
	} else if (rc == 0) {
		rc = load(file, &st, path, tokens, error, error_len);
	}
	fclose(file);
	return rc;
}
