/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/* What does as a value, and how to say what would have. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "grammar.h"

#define NAME_MAX_BYTES 63 /* Of a name in the configuration. */
#define SECONDS_MIN    0.1
#define SECONDS_MAX    3600.0

static int
hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

int
sl_cli_decode(const char *word, size_t len, char *out, size_t out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = word[i];

		if (c == '%' && i + 2 < len && isxdigit((unsigned char)word[i + 1]) &&
			isxdigit((unsigned char)word[i + 2])) {
			c = (char)(hex_digit(word[i + 1]) << 4 | hex_digit(word[i + 2]));
			i += 2;
		}
		if (c == '\0' || n + 1 >= out_len)
			return -EINVAL;
		out[n++] = c;
	}
	out[n] = '\0';
	return (int)n;
}

int
sl_cli_encode(const char *name, char *out, size_t out_len)
{
	size_t n = 0;

	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;
		/* What ends a word, and what the line editor does not let through. */
		bool is_plain = isgraph(c) && c < 0x80 && strchr("#%?", c) == NULL;

		if (n + (is_plain ? 1 : 3) >= out_len)
			return -EINVAL;
		if (is_plain)
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, out_len - n, "%%%02x", c);
	}
	if (out_len == 0)
		return -EINVAL;
	out[n] = '\0';
	return 0;
}

static bool
fits_choice(const char *choices, const char *word, size_t len)
{
	for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
		size_t choice_len;

		at += *at == '|';
		choice_len = strcspn(at, "|");
		if (choice_len == len && strncmp(at, word, len) == 0)
			return true;
	}
	return false;
}

static bool
fits_uint(const struct sl_cli_arg *arg, const char *word, size_t len)
{
	uint64_t value = 0;

	if (len == 0 || len > 19 || (len > 1 && word[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)word[i]))
			return false;
		value = value * 10 + (uint64_t)(word[i] - '0');
	}
	return value >= arg->min && value <= arg->max;
}

static bool
fits_seconds(const char *word, size_t len)
{
	char text[32], *end;
	double value;

	if (len == 0 || len >= sizeof(text) || strspn(word, "0123456789.") < len)
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	value = strtod(text, &end);
	return *end == '\0' && value >= SECONDS_MIN && value <= SECONDS_MAX;
}

static bool
fits_address(const char *word, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool
fits_name(const char *word, size_t len)
{
	char name[NAME_MAX_BYTES + 1];

	return sl_cli_decode(word, len, name, sizeof(name)) > 0;
}

bool
sl_cli_value_fits(const struct sl_cli_arg *arg, const char *word, size_t len)
{
	switch (arg->type) {
	case SL_CLI_WORD:
		return strlen(arg->text) == len && strncmp(arg->text, word, len) == 0;
	case SL_CLI_CHOICE:
		return fits_choice(arg->text, word, len);
	case SL_CLI_UINT:
		return fits_uint(arg, word, len);
	case SL_CLI_LEVEL:
		return len == 1 && word[0] >= '1' && word[0] <= '8';
	case SL_CLI_SECONDS:
		return fits_seconds(word, len);
	case SL_CLI_ADDRESS:
		return fits_address(word, len);
	case SL_CLI_ID:
		return len == 32 && strspn(word, "0123456789abcdefABCDEF") >= 32;
	case SL_CLI_FILE:
		return len > 0 && len < 4096;
	case SL_CLI_KEY:
		for (unsigned int i = 0; i < arg->pairs->nb_pairs; i++) {
			if (sl_cli_value_fits(arg->pairs->words[i], word, len))
				return true;
		}
		return false;
	default:
		return fits_name(word, len);
	}
}

/* "a|b|c" as "a, b or c" */
static void
list_choices(const char *choices, char *text, size_t text_len)
{
	size_t n = 0;

	text[0] = '\0';
	for (const char *at = choices; *at != '\0' && n < text_len;) {
		size_t len = strcspn(at, "|");
		bool is_last = at[len] == '\0';
		const char *between = at == choices ? "" : is_last ? " or " : ", ";

		n += (size_t)snprintf(text + n, text_len - n, "%s%.*s", between, (int)len, at);
		at += len + !is_last;
	}
}

void
sl_cli_value_expected(const struct sl_cli_arg *arg, char *text, size_t text_len)
{
	static const char *const words[] = {
		[SL_CLI_ADDRESS] = "an IPv4 or IPv6 address, for example 10.77.0.11",
		[SL_CLI_ID] = "an id of 32 hexadecimal digits",
		[SL_CLI_FILE] = "the name of a file",
		[SL_CLI_NAME] = "a name of 1 to 63 bytes (%20 stands for a blank)",
		[SL_CLI_DESTINATION] = "the name of a destination (1 to 63 bytes)",
		[SL_CLI_BACKEND] = "the name of a backend of that destination (1 to 63 bytes)",
		[SL_CLI_PORT] = "the name of a port (1 to 63 bytes)",
		[SL_CLI_PORT_OR_ALL] = "the name of a port (1 to 63 bytes), or all",
		[SL_CLI_CLASS] = "the name or level of a class",
		[SL_CLI_LEVEL] = "the level of a class, 1 to 8",
		[SL_CLI_HELP] = "a word of a command",
	};

	switch (arg->type) {
	case SL_CLI_WORD:
		snprintf(text, text_len, "%s", arg->text);
		return;
	case SL_CLI_CHOICE:
		list_choices(arg->text, text, text_len);
		return;
	case SL_CLI_UINT:
		snprintf(text, text_len, "a whole number from %" PRIu64 " to %" PRIu64, arg->min,
			arg->max);
		return;
	case SL_CLI_SECONDS:
		snprintf(text, text_len, "seconds from %g to %g", SECONDS_MIN, SECONDS_MAX);
		return;
	case SL_CLI_KEY:
	case SL_CLI_VALUE:
		snprintf(text, text_len, "a word of the command");
		return;
	default:
		snprintf(text, text_len, "%s", words[arg->type]);
		return;
	}
}
