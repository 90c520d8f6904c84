/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "sl_record.h"
#include "sl_wire.h"

static uint32_t
record_crc(const struct sl_record *record)
{
	return sl_record_crc32c(0, &record->len, record->len - sizeof(record->crc));
}

void
sl_record_seal(struct sl_record *record, uint64_t synced)
{
	/* Rounded up, so that what it stands for is a lower bound. */
	uint64_t unsynced = record->position > synced ? (record->position - synced + 4095) / 4096
						      : 0;

	record->unsynced = (uint16_t)RTE_MIN(unsynced, (uint64_t)UINT16_MAX);
	record->crc = record_crc(record);
}

static bool
check_subscribers(const struct sl_record_message *message)
{
	const struct sl_record_subscriber *all = sl_record_subscribers_of(message);

	if (message->nb_subscribers >
		(message->record.len - sizeof(*message)) / sizeof(struct sl_record_subscriber))
		return false;
	for (uint32_t i = 0; i < message->nb_subscribers; i++) {
		if (all[i].back != sizeof(*message) + i * sizeof(*all) ||
			(all[i].flags & ~SL_RECORD_PASSING) != SL_RECORD_SUBSCRIBER)
			return false;
	}
	return true;
}

static enum sl_record_error
check_message(const struct sl_record_message *message)
{
	const uint8_t *bytes;
	uint32_t len;

	if (!check_subscribers(message))
		return SL_RECORD_BAD_CONTENT;
	bytes = sl_record_message_of(message, &len);
	if (message->class_index >= SL_WIRE_CLASSES || message->level > SL_WIRE_CLASSES ||
		sl_wire_check_message(bytes, len) != SL_WIRE_OK)
		return SL_RECORD_BAD_CONTENT;
	return SL_RECORD_OK;
}

static enum sl_record_error
check_done(const struct sl_record_done *done)
{
	if ((uint64_t)done->nb_outcomes * sizeof(done->outcomes[0]) !=
		done->record.len - sizeof(*done))
		return SL_RECORD_BAD_CONTENT;
	for (uint32_t i = 0; i < done->nb_outcomes; i++) {
		if (done->outcomes[i].outcome != SL_OUTCOME_DELIVERED &&
			done->outcomes[i].outcome != SL_OUTCOME_DEAD)
			return SL_RECORD_BAD_CONTENT;
	}
	return SL_RECORD_OK;
}

static enum sl_record_error
check_name(const struct sl_record_name *name)
{
	return memchr(name->name, '\0', name->record.len - sizeof(*name)) == NULL
		? SL_RECORD_OK
		: SL_RECORD_BAD_CONTENT;
}

static enum sl_record_error
check_type(const struct sl_record *record)
{
	/* What a type takes at least; and whether it is never more. */
	static const struct {
		uint32_t len;
		bool is_exact;
	} types[] = {
		[SL_RECORD_PAD] = {sizeof(struct sl_record), false},
		[SL_RECORD_MESSAGE] = {sizeof(struct sl_record_message), false},
		[SL_RECORD_DUPLICATE] = {sizeof(struct sl_record_duplicate), true},
		[SL_RECORD_DONE] = {sizeof(struct sl_record_done), false},
		[SL_RECORD_NAME] = {sizeof(struct sl_record_name), false},
		[SL_RECORD_CONFIG] = {sizeof(struct sl_record_config), true},
		[SL_RECORD_CLOSE] = {sizeof(struct sl_record), true},
	};

	if (record->type >= RTE_DIM(types) || types[record->type].len == 0)
		return SL_RECORD_BAD_TYPE;
	if (record->len < types[record->type].len ||
		(types[record->type].is_exact && record->len != types[record->type].len))
		return SL_RECORD_BAD_LENGTH;
	if (record->incarnation == 0)
		return SL_RECORD_BAD_CONTENT;
	switch (record->type) {
	case SL_RECORD_MESSAGE:
		return check_message((const struct sl_record_message *)record);
	case SL_RECORD_DONE:
		return check_done((const struct sl_record_done *)record);
	case SL_RECORD_NAME:
		return check_name((const struct sl_record_name *)record);
	default:
		return SL_RECORD_OK;
	}
}

enum sl_record_error
sl_record_check(const void *data, size_t len, uint64_t position)
{
	const struct sl_record *record = data;

	if (unlikely(len < sizeof(*record)))
		return SL_RECORD_SHORT;
	/* First what tells most of what is no record, and costs least. */
	if (unlikely(record->position != position))
		return SL_RECORD_BAD_POSITION;
	if (unlikely(record->len < sizeof(*record) || record->len > SL_RECORD_LEN_MAX))
		return SL_RECORD_BAD_LENGTH;
	if (unlikely(record->len > len))
		return SL_RECORD_SHORT;
	if (unlikely(record->crc != record_crc(record)))
		return SL_RECORD_BAD_CRC;
	return check_type(record);
}

const char *
sl_record_strerror(enum sl_record_error error)
{
	static const char *const words[] = {
		[SL_RECORD_OK] = "no error",
		[SL_RECORD_SHORT] = "cut short",
		[SL_RECORD_BAD_LENGTH] = "length cannot be",
		[SL_RECORD_BAD_POSITION] = "position is another",
		[SL_RECORD_BAD_CRC] = "checksum is wrong",
		[SL_RECORD_BAD_TYPE] = "type is unknown",
		[SL_RECORD_BAD_CONTENT] = "content contradicts itself",
	};

	return (unsigned int)error < RTE_DIM(words) ? words[error] : "unknown error";
}
