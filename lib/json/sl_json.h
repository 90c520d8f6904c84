/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_JSON_H
#define SL_JSON_H

/**
 * @file
 * JSON read where it lies: a strict scanner for messages of known keys, and what a writer needs.
 *
 * For the hot path of the gateways; everything else uses jansson, whose decisions this follows
 * (a fuzzer holds the two against each other). What it takes is RFC 8259, with these bounds:
 * - UTF-8 only, no byte order mark, no surrogates and no overlong forms; an escaped surrogate is
 *   one of a pair (the RFC's grammar would let it stand alone).
 * - At most SL_JSON_DEPTH_MAX arrays and objects inside each other.
 * - Members with the same key all come; who keeps the last of them does as jansson does.
 * - Numbers have no range until they are asked for theirs (jansson refuses a document with an
 *   integer beyond 64 bits or a real beyond a double).
 *
 * Pure: no allocation; memory and time are bounded by the text's length. A text need not be
 * terminated. A NUL byte is nowhere allowed in it, as the RFC has it; \u0000 in a string is.
 *
 * Threads: every function works only on what it is given.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SL_JSON_DEPTH_MAX 64

enum sl_json_error {
	SL_JSON_OK = 0,
	SL_JSON_CUT_SHORT,  /**< Ends in the middle of something. */
	SL_JSON_UNEXPECTED, /**< Something else belongs here. */
	SL_JSON_BAD_NUMBER, /**< 01, 1., .5, +1, 1e: not a number of JSON. */
	SL_JSON_BAD_ESCAPE, /**< An escape there is not, or half of a surrogate pair. */
	SL_JSON_BAD_UTF8,
	SL_JSON_CONTROL, /**< A control character in a string that is not escaped. */
	SL_JSON_TOO_DEEP,
	SL_JSON_TRAILING, /**< Something behind the end. */
	SL_JSON_NOT_AN_OBJECT,
	SL_JSON_NOT_AN_ARRAY,
};

/** What is wrong, in words: "ends too soon", ... */
const char *sl_json_strerror(enum sl_json_error error);

enum sl_json_type {
	SL_JSON_NULL,
	SL_JSON_TRUE,
	SL_JSON_FALSE,
	SL_JSON_NUMBER,
	SL_JSON_STRING,
	SL_JSON_ARRAY,
	SL_JSON_OBJECT,
};

/** "a string", "an object", ... */
const char *sl_json_type_name(enum sl_json_type type);

/** A value, as it stands in the text. */
struct sl_json_value {
	const char *text; /**< Of a string what is between the quotes. NULL: there is none. */
	size_t len;
	enum sl_json_type type;
	bool has_escapes; /**< Of a string: it is not its text, but sl_json_decode() of it. */
};

/** A walk over the members of an object, or the elements of an array. */
struct sl_json_walk {
	const char *at; /**< When there is an error: where. */
	const char *end;
	enum sl_json_error error;
	char close; /**< What ends it; '\0': it has ended. */
	bool is_begun;
};

/** Begin a walk over a text that is one object and nothing else. */
void sl_json_walk_object(struct sl_json_walk *walk, const char *text, size_t len);

/** The same for an array. */
void sl_json_walk_array(struct sl_json_walk *walk, const char *text, size_t len);

/**
 * The next member of an object. What has come is valid, what comes later need not be: only when
 * false is returned and walk->error is SL_JSON_OK was the whole text.
 * @return false: there is none; walk->error tells whether the text was valid up to its end.
 */
bool sl_json_next_member(
	struct sl_json_walk *walk, struct sl_json_value *key, struct sl_json_value *value);

/** The next element of an array; as above. */
bool sl_json_next_element(struct sl_json_walk *walk, struct sl_json_value *value);

/**
 * Check a whole text: one value of any type, white space around it, nothing else.
 * @param[out] value  without the white space; may be NULL
 * @param[out] at     where it is wrong, in bytes from the start; may be NULL
 */
enum sl_json_error
sl_json_check(const char *text, size_t len, struct sl_json_value *value, size_t *at);

/** Is a string this one? */
bool sl_json_string_is(const struct sl_json_value *string, const char *text, size_t len);

/**
 * What a string says, escapes resolved. Not terminated. Never longer than its text.
 * @param allow_nul  whether \u0000 may be in it
 * @return its length in bytes; -ENOBUFS: it does not fit; -EINVAL: it has a \u0000
 */
ssize_t
sl_json_decode(const struct sl_json_value *string, char *buf, size_t buf_len, bool allow_nul);

/**
 * The number, when it is written as an integer: without fraction and exponent.
 * @return 0; -EINVAL: it is no integer; -ERANGE: beyond 64 bits
 */
int sl_json_integer(const struct sl_json_value *number, int64_t *integer);

/** Is it UTF-8, as above? NUL bytes are characters like others. */
bool sl_json_is_utf8(const void *text, size_t len);

/** The most that sl_json_put_string() writes for @p len bytes. */
#define SL_JSON_STRING_MAX(len) (2 + 6 * (size_t)(len))

/** Write a string with its quotes, escaped; what is not UTF-8 becomes U+FFFD, byte by byte.
 * @return the first byte behind it */
char *sl_json_put_string(char *p, const void *text, size_t len);

#endif /* SL_JSON_H */
