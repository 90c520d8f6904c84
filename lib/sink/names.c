/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sink_internal.h"

#define SLOTS_MIN 256u

int
names_init(struct names *names)
{
	names->nb_names = 0;
	names->mask = SLOTS_MIN - 1;
	names->slots = calloc(SLOTS_MIN, sizeof(names->slots[0]));
	return names->slots == NULL ? -ENOMEM : 0;
}

void
names_free(struct names *names)
{
	for (uint32_t i = 0; names->slots != NULL && i <= names->mask; i++)
		free(names->slots[i]);
	free(names->slots);
	names->slots = NULL;
}

/* Keys are hashes already. */
static struct name **
slot_of(struct name **slots, uint32_t mask, uint64_t key)
{
	uint32_t i = (uint32_t)(key ^ key >> 32) & mask;

	while (slots[i] != NULL && slots[i]->key != key)
		i = (i + 1) & mask;
	return &slots[i];
}

const struct name *
names_find(const struct names *names, uint64_t key)
{
	return *slot_of(names->slots, names->mask, key);
}

static int
grow(struct names *names)
{
	uint32_t mask = 2 * names->mask + 1;
	struct name **slots = calloc((size_t)mask + 1, sizeof(slots[0]));

	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i <= names->mask; i++) {
		if (names->slots[i] != NULL)
			*slot_of(slots, mask, names->slots[i]->key) = names->slots[i];
	}
	free(names->slots);
	names->slots = slots;
	names->mask = mask;
	return 0;
}

int
names_add(
	struct names *names, uint64_t key, const char *text, size_t len, const struct name **added)
{
	struct name **slot = slot_of(names->slots, names->mask, key);
	struct name *name;

	if (added != NULL)
		*added = *slot;
	if (*slot != NULL)
		return 0;
	name = malloc(sizeof(*name) + TEXT_CLEAN_MAX(len) + 1);
	if (name == NULL)
		return -ENOMEM;
	name->key = key;
	name->len = (uint32_t)text_clean(name->text, text, len);
	name->text[name->len] = '\0';
	if (names->nb_names >= names->mask / 2) {
		if (grow(names) < 0) {
			free(name);
			return -ENOMEM;
		}
		slot = slot_of(names->slots, names->mask, key);
	}
	*slot = name;
	names->nb_names++;
	if (added != NULL)
		*added = name;
	return 1;
}

/* Bytes of the character at p, as RFC 3629 has it; 0: there is none, or it is a NUL. */
static size_t
character_len(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;
	/* Too long a form, a surrogate, or beyond U+10FFFF. */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool
text_is_clean(const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;
	size_t n;

	while (p < end) {
		n = character_len(p, (size_t)(end - p));
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

size_t
text_clean(char *to, const void *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = text, *end = p + len;
	char *begin = to;

	while (p < end) {
		size_t n = character_len(p, (size_t)(end - p));

		if (n == 0) {
			*to++ = '\\';
			*to++ = 'x';
			*to++ = digits[*p >> 4];
			*to++ = digits[*p++ & 0xf];
			continue;
		}
		memcpy(to, p, n);
		to += n;
		p += n;
	}
	return (size_t)(to - begin);
}
