/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "print.h"

#define LETTERS "pxldstciITNSqea%"
#define ESCAPES "nt\\0"

bool
print_add_name(struct print_names *n, const char *name)
{
	const char **names = realloc(n->names, (n->nb + 1) * sizeof(*names));
	uint64_t *keys;

	if (names == NULL)
		return false;
	n->names = names;
	keys = realloc(n->keys, (n->nb + 1) * sizeof(*keys));
	if (keys == NULL)
		return false;
	n->keys = keys;
	n->names[n->nb] = name;
	n->keys[n->nb++] = sluice_name_key(name);
	return true;
}

/* The name of a key, or its digits. */
static const char *
name_of(const struct print_names *n, uint64_t key, char digits[17])
{
	for (unsigned int i = 0; i < n->nb; i++) {
		if (n->keys[i] == key)
			return n->names[i];
	}
	snprintf(digits, 17, "%016" PRIx64, key);
	return digits;
}

bool
print_check_format(const char *format, char *bad)
{
	for (; *format != '\0'; format++) {
		if (*format != '%' && *format != '\\')
			continue;
		*bad = format[1];
		if (format[1] == '\0' ||
			strchr(*format == '%' ? LETTERS : ESCAPES, format[1]) == NULL)
			return false;
		format++;
	}
	return true;
}

static const char *
time_text(uint64_t ns, char text[40])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, 40 - len, ".%09uZ", (unsigned int)(ns % 1000000000));
	return text;
}

static void
put_hex(FILE *out, const uint8_t *p, uint32_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < len; i++) {
		putc_unlocked(digits[p[i] >> 4], out);
		putc_unlocked(digits[p[i] & 15], out);
	}
}

static void
put_escape(FILE *out, char letter)
{
	putc(letter == 'n' ? '\n' : letter == 't' ? '\t' : letter == '0' ? '\0' : letter, out);
}

static void
put_letter(FILE *out, char letter, const struct print_names *names, const struct sluice_delivery *d)
{
	char text[SLUICE_ADDRESS_TEXT];

	switch (letter) {
	case 'p':
		fwrite(d->payload, 1, d->payload_len, out);
		break;
	case 'x':
		put_hex(out, d->payload, d->payload_len);
		break;
	case 'l':
		fprintf(out, "%u", d->payload_len);
		break;
	case 'd':
		fputs(name_of(names, d->destination, text), out);
		break;
	case 's':
		fputs(name_of(names, d->source, text), out);
		break;
	case 't':
		fputs(name_of(names, d->type, text), out);
		break;
	case 'c':
		fprintf(out, "%u", d->priority);
		break;
	case 'i':
		fprintf(out, "%016" PRIx64 "%016" PRIx64, d->id.high, d->id.low);
		break;
	case 'I':
		fwrite(d->id_text, 1, d->id_text_len, out);
		break;
	case 'T':
		fputs(time_text(d->timestamp_ns, text), out);
		break;
	case 'N':
		fprintf(out, "%" PRIu64, d->timestamp_ns);
		break;
	case 'S':
		fprintf(out, "%016" PRIx64, d->session);
		break;
	case 'q':
		fprintf(out, "%" PRIu64, d->sequence);
		break;
	case 'e':
		fprintf(out, "%u", d->epoch);
		break;
	case 'a':
		fputs(sluice_address_text(&d->peer, text), out);
		break;
	default:
		putc(letter, out);
	}
}

void
print_format(FILE *out, const char *format, const struct print_names *names,
	const struct sluice_delivery *d)
{
	for (; *format != '\0'; format++) {
		if (*format == '%')
			put_letter(out, *++format, names, d);
		else if (*format == '\\')
			put_escape(out, *++format);
		else
			putc_unlocked(*format, out);
	}
}

bool
print_json_can(const char *name)
{
	json_t *text = json_string(name);
	bool can = text != NULL;

	json_decref(text);
	return can;
}

/* @return false: out of memory */
static bool
set_text_or_hex(
	json_t *object, const char *key, const char *hex_key, const uint8_t *bytes, uint32_t len)
{
	json_t *text = json_stringn(len == 0 ? "" : (const char *)bytes, len);
	bool is_set;
	char *hex;

	if (text != NULL)
		return json_object_set_new(object, key, text) == 0;
	/* Not UTF-8. */
	hex = malloc(2 * (size_t)len + 1);
	if (hex == NULL)
		return false;
	for (uint32_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", bytes[i]);
	is_set = json_object_set_new(object, hex_key, json_string(hex)) == 0;
	free(hex);
	return is_set;
}

bool
print_json(FILE *out, const struct print_names *names, const struct sluice_delivery *d)
{
	char digits[3][17], id[33], session[17], when[40], address[SLUICE_ADDRESS_TEXT];
	bool is_printed;
	json_t *o;

	snprintf(id, sizeof(id), "%016" PRIx64 "%016" PRIx64, d->id.high, d->id.low);
	snprintf(session, sizeof(session), "%016" PRIx64, d->session);
	o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s, s:I, s:I, s:s}", "destination",
		name_of(names, d->destination, digits[0]), "source",
		name_of(names, d->source, digits[1]), "type", name_of(names, d->type, digits[2]),
		"id", id, "priority", (json_int_t)d->priority, "timestamp",
		time_text(d->timestamp_ns, when), "timestamp_ns", (json_int_t)d->timestamp_ns,
		"session", session, "sequence", (json_int_t)d->sequence, "epoch",
		(json_int_t)d->epoch, "peer", sluice_address_text(&d->peer, address));
	is_printed = o != NULL &&
		(d->id_text == NULL ||
			set_text_or_hex(o, "id_text", "id_text_hex", (const uint8_t *)d->id_text,
				d->id_text_len)) &&
		set_text_or_hex(o, "payload", "payload_hex", d->payload, d->payload_len) &&
		json_dumpf(o, out, JSON_COMPACT) == 0 && putc('\n', out) != EOF;
	json_decref(o);
	return is_printed;
}
