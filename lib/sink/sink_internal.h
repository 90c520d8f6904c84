/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SINK_INTERNAL_H
#define SINK_INTERNAL_H

/**
 * @file
 * A sink from inside: what the journal's records become (rows.c), the engines that take it
 * (sqlite.c, postgresql.c), their threads (lane.c), and who reads and keeps count (follow.c).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sl_config.h"
#include "sl_record.h"
#include "sl_sink.h"

#define SINK_NS_PER_S UINT64_C(1000000000)

/** Why an engine failed. */
struct sink_error {
	bool is_refused;    /**< Trying again soon is of no use. */
	bool is_too_slow;   /**< The server gave up on the batch: a smaller one may do. */
	char sqlstate[6];   /**< "": none. */
	char text[320 - 8]; /**< What, and what to do; without the names of sink and server. */
};

void sink_error_set(struct sink_error *error, bool is_refused, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** @name names.c: keys and what they stand for; one thread. @{ */
struct name {
	uint64_t key;
	uint32_t len;
	char text[]; /**< UTF-8 without a NUL inside; ended by one. */
};

struct names {
	struct name **slots; /**< Open addressing. */
	uint32_t mask;
	uint32_t nb_names;
};

int names_init(struct names *names);
void names_free(struct names *names);
const struct name *names_find(const struct names *names, uint64_t key);

/** Learn a name; it stays where it is. @return 1: it was not known; 0; -ENOMEM */
int names_add(
	struct names *names, uint64_t key, const char *text, size_t len, const struct name **name);

/** Bytes that text_clean() writes at most. */
#define TEXT_CLEAN_MAX(len) (4 * (size_t)(len))

/** Is it UTF-8 without a NUL, as databases want text? */
bool text_is_clean(const void *text, size_t len);

/** Make it so: bytes that do not belong there become \xNN. @return bytes written */
size_t text_clean(char *to, const void *text, size_t len);
/** @} */

/** @name rows.c: records become rows. Sans-IO: time is told. One thread. @{ */
enum row_status { ROW_INGESTED, ROW_DELIVERED, ROW_DEAD };

/** "INGESTED", "DELIVERED", "DEAD" */
extern const char *const row_status_names[3];

/** A message as the database gets it. */
struct row {
	const struct sl_record_message *record;
	const struct name *source; /**< NULL: not known, as the next ones. */
	const struct name *destination;
	const struct name *type;
	uint64_t delivered_ns; /**< 0: no backend had it. */
	uint32_t stream;
	uint16_t attempts;
	uint8_t status; /**< enum row_status */
	uint8_t level;
	struct block *block; /**< Private to rows.c: what the record lives in. */
};

/** What became of a message that is in the database, or will be. */
struct outcome {
	sl_record_ref ref;
	uint64_t received_ns; /**< Of the message; 0: not known. */
	uint64_t delivered_ns;
	uint16_t attempts;
	uint8_t status;
	uint8_t copy; /**< Of a topic's: as in struct sl_record_outcome_of. */
};

/** A part of a stream. */
struct range {
	uint32_t stream;
	uint64_t first;
	uint64_t last; /**< Behind its last record. */
};

/** What one transaction does. */
struct batch {
	struct row *rows;
	uint32_t nb_rows;
	struct outcome *lates; /**< Of messages in the database. */
	uint32_t nb_lates;
	struct outcome *earlies; /**< Of messages that have not been read. */
	uint32_t nb_earlies;
	const struct name **names; /**< New ones. */
	uint32_t nb_names;
	struct range *ranges; /**< Of which it is all that was missing, by stream. */
	uint32_t nb_ranges;
	uint64_t bytes; /**< Of records. */

	/* How the transaction notes that; filled in by follow.c, as is `first` of the ranges. */
	bool notes_ranges;   /**< Something before it is still under way: note them one by one. */
	bool has_earlies;    /**< There may be outcomes in the database that the bases make old. */
	struct range *bases; /**< Everything before `last` is in the database. */
	uint32_t nb_bases;

	uint32_t rows_max, lates_max, earlies_max, names_max, ranges_max, bases_max;
};

/** An empty batch is all zero. */
void batch_free(struct batch *batch);
int batch_add_base(struct batch *batch, const struct range *base);

/** Make room for one more in an array that grows. @return 0 or -ENOMEM */
int array_reserve(void *array, uint32_t nb, uint32_t *max, size_t size);

struct window;

struct window_params {
	uint32_t hold_ms; /**< So long a message waits for its outcome. */
	uint8_t levels[SL_CONFIG_CLASSES_MAX];
	bool is_time_wanted; /**< Of messages that have a late outcome. */
	/**
	 * When was this message received, that is not in memory any more? 0: nobody knows. Of what
	 * was for one subscriber @p ref becomes that of the message. @return 0; -errno: it may be
	 * known, and could not be read now
	 */
	int (*received)(void *arg, sl_record_ref *ref, uint64_t *received_ns);
	void *arg;
};

int window_create(const struct window_params *params, struct window **window);
void window_destroy(struct window *window);

/** Names are found in here, and learnt. */
struct names *window_names(struct window *window);

/** A stream will be pushed from here on; what is before has been, or is in the database. */
void window_begin(struct window *window, uint32_t stream, uint64_t position);

/** An outcome that the database has and whose message has not been read. */
int window_add_early(struct window *window, const struct outcome *outcome);

/**
 * Take the next record of a stream; it is copied.
 * @param end       where the next one of the stream stands
 * @param is_known  the database has its row
 * @return 0; -ENOBUFS: full, cut first; -ENOMEM, or what params.received() says: start anew
 */
int window_push(struct window *window, uint32_t stream, const struct sl_record *record,
	uint64_t end, bool is_known, uint64_t now_ms);

/** Records that could be cut now, from the oldest on: they know their outcome, or waited for it. */
uint32_t window_ready(struct window *window, uint64_t now_ms);
bool window_is_full(const struct window *window);
/** Records in it. */
uint32_t window_held(const struct window *window);
/** When the oldest in it was pushed; UINT64_MAX: it is empty. */
uint64_t window_oldest_ms(const struct window *window);
/** When the oldest in it was made, Unix time; 0: it is empty. */
uint64_t window_oldest_ns(const struct window *window);
/** Does it hold anything but places in the journal? */
bool window_has_work(const struct window *window);

/**
 * Take the oldest out, so many records and no more than fit a batch.
 * @return 0; -ENOMEM: start anew
 */
int window_cut(struct window *window, struct batch *batch, uint32_t max_records);

/** The batch is dealt with: its memory is given back, and it is empty. */
void window_release(struct window *window, struct batch *batch);

/** @return the source's own id and its length, or NULL */
const uint8_t *row_id_text(const struct row *row, uint32_t *len);
const uint8_t *row_payload(const struct row *row, uint32_t *len);
/** @} */

/** @name backoff.c: when to try again. Sans-IO. @{ */
struct backoff {
	uint32_t failures; /**< In a row. */
	uint64_t until_ms; /**< Of the next try. */
	uint64_t random;   /**< Splitmix64's state. */
};

/** Failures in a row that open the circuit. */
#define BACKOFF_TRIP 5

void backoff_init(struct backoff *backoff, uint64_t seed);
void backoff_success(struct backoff *backoff);
/** @param is_refused  try rarely at once */
void backoff_failure(struct backoff *backoff, bool is_refused, uint64_t now_ms);
bool backoff_is_open(const struct backoff *backoff);
/** @return milliseconds until the next try; 0: now */
uint64_t backoff_wait_ms(const struct backoff *backoff, uint64_t now_ms);
/** @} */

/** @name identity.c @{ */
#define JOURNAL_ID_LEN 32

/**
 * The id of the journal in a directory: hexadecimal, from the file "journal-id", which is made when
 * it is not there.
 * @return 0 or -errno with one line in @p error
 */
int identity_get(const char *directory, char id[JOURNAL_ID_LEN + 1], char *error, size_t error_len);
/** @} */

/** @name migrate.c: the schema as SQL, step by step. @{ */
struct migration {
	uint32_t version; /**< The step leads to. */
	const char *sql;
};

/** @return steps in the order of their versions; the last is the newest */
const struct migration *migrations_of(enum sl_config_sink_kind kind, uint32_t *nb);
uint32_t migrations_newest(enum sl_config_sink_kind kind);

/**
 * The steps from a version on, as one text to be freed.
 * @param from  the version that is there; 0: none
 * @param to    0: the newest
 * @return NULL: no memory, or there is no such version
 */
char *migrations_sql(enum sl_config_sink_kind kind, uint32_t from, uint32_t to);

/** The statements that make the table of messages alone, as it is in the newest version. */
const char *migrations_messages(enum sl_config_sink_kind kind);

/** Can a sink of this release work with a database of @p version? Else says so in @p error. */
bool migrations_check(enum sl_config_sink_kind kind, uint32_t version, struct sink_error *error);
/** @} */

/** What the database says where to go on. */
struct resume {
	struct range *bases; /**< `last`: everything before is there. */
	uint32_t nb_bases;
	struct range *ranges; /**< What else is there. */
	uint32_t nb_ranges;
	struct outcome *earlies;
	uint32_t nb_earlies;
	uint32_t bases_max, ranges_max, earlies_max;
};

int resume_add_base(struct resume *resume, uint32_t stream, uint64_t position);
int resume_add_range(struct resume *resume, uint32_t stream, uint64_t first, uint64_t last);
int resume_add_early(struct resume *resume, const struct outcome *outcome);
void resume_free(struct resume *resume);

/** What engines know of their sink. */
struct engine_params {
	const struct sl_config_sink *config;
	const char *node;
	char journal_id[JOURNAL_ID_LEN + 1];
	/** Becomes readable when everything is to end at once; never read. */
	int abort_fd;
	/** Where the database is, for people. */
	char *server;
	size_t server_len;
	void (*event)(void *arg, enum sl_config_level level, const char *kind, const char *sqlstate,
		const char *text);
	void *arg;
};

/** Shared by the engines of one session: by whom the journal is written there. */
struct tenure {
	int32_t journal; /**< Number of the journal in the database. */
	int64_t owner;	 /**< Grows with each that takes over. */
};

struct engine;

/**
 * A kind of database. One engine is one connection, used by one thread at a time. What fails
 * returns -errno and fills in the error; the engine is then good for close() only.
 */
struct engine_ops {
	/** Connect. */
	int (*open)(const struct engine_params *params, struct engine **engine,
		struct sink_error *error);
	/**
	 * Bring the schema up to date, take the journal over from whoever had it, and learn where
	 * to go on. Transactions of those before have ended when it returns.
	 */
	int (*take_over)(struct engine *engine, struct tenure *tenure, struct resume *resume,
		struct names *names, struct sink_error *error);
	/** Write a batch: all of it and durable, or nothing. */
	int (*write)(struct engine *engine, const struct tenure *tenure, const struct batch *batch,
		struct sink_error *error);
	/** Drop what is too old; called now and then. NULL: there is nothing to do. */
	int (*tidy)(struct engine *engine, struct sink_error *error);
	void (*close)(struct engine *engine);
	/** Records in one transaction, at most. */
	uint32_t batch_max;
};

extern const struct engine_ops sqlite_engine;
extern const struct engine_ops postgresql_engine;

#endif /* SINK_INTERNAL_H */
