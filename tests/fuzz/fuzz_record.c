/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Any bytes as a record, in a heap block of their exact size: as they are, and with position and
 * checksum mended, so that the fuzzer reaches what is behind them. What is accepted is read as its
 * users do, without looking at bounds again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_record.h"
#include "sl_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_record: %s\n", what);
	abort();
}

static void
read_bytes(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < len; i++)
		sink += p[i];
}

static void
use_message(const struct sl_record_message *message)
{
	struct sl_wire_key key;
	uint32_t len, payload_len = 0;
	const uint8_t *bytes = sl_record_message_of(message, &len);
	const uint8_t *payload = sl_wire_message_payload(bytes, len, &payload_len);

	require(len >= SL_WIRE_MESSAGE_MIN, "a message is too short");
	require(message->class_index < SL_WIRE_CLASSES, "a class is too high");
	require(message->level <= SL_WIRE_CLASSES, "a level is too high");
	sl_wire_message_key(bytes, &key);
	sink += key.source + sl_wire_get32(bytes + SL_WIRE_OFF_FLAGS);
	if (payload != NULL) {
		require(payload >= bytes && payload + payload_len <= bytes + len,
			"a payload is not in its message");
		read_bytes(payload, payload_len);
	}
	read_bytes(bytes, len);
}

static void
use(const struct sl_record *record, size_t len)
{
	const struct sl_record_done *done = (const struct sl_record_done *)record;
	const struct sl_record_name *name = (const struct sl_record_name *)record;

	require(record->len <= len && record->len <= SL_RECORD_LEN_MAX, "a record is too long");
	require(sl_record_synced_before(record) <= record->position,
		"a record says that what comes behind it was synced");
	switch (record->type) {
	case SL_RECORD_MESSAGE:
		use_message((const struct sl_record_message *)record);
		break;
	case SL_RECORD_DUPLICATE:
		sink += ((const struct sl_record_duplicate *)record)->sequence;
		break;
	case SL_RECORD_DONE:
		for (uint32_t i = 0; i < done->nb_outcomes; i++)
			sink += done->outcomes[i].message + done->outcomes[i].outcome;
		break;
	case SL_RECORD_NAME:
		read_bytes(name->name, record->len - sizeof(*name));
		break;
	case SL_RECORD_CONFIG:
		sink += ((const struct sl_record_config *)record)->version;
		break;
	default:
		break;
	}
}

static void
try(struct sl_record *record, size_t size, uint64_t position)
{
	if (sl_record_check(record, size, position) == SL_RECORD_OK)
		use(record, size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sl_record *record = malloc(size == 0 ? 1 : size);
	uint64_t position = 0;

	if (record == NULL)
		return 0;
	memcpy(record, data, size);
	if (size >= sizeof(*record))
		position = record->position;
	try(record, size, position);
	if (size >= sizeof(*record)) {
		record->position &= UINT64_C(0xfffffffffff0);
		if (record->len < sizeof(*record) || record->len > size)
			record->len = (uint32_t)size;
		if (record->incarnation == 0)
			record->incarnation = 1;
		sl_record_seal(record, record->position / 2);
		require(sl_record_check(record, size, record->position) != SL_RECORD_BAD_CRC ||
				record->len > SL_RECORD_LEN_MAX,
			"a sealed record's checksum is wrong");
		try(record, size, record->position);
		((uint8_t *)record)[record->len - 1]++;
		require(sl_record_check(record, size, record->position) != SL_RECORD_OK,
			"a changed byte is not found");
	}
	free(record);
	return 0;
}
