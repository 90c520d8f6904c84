/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_SINK_H
#define SL_SINK_H

/**
 * @file
 * Sinks: databases that trail the journal, a row for each message.
 *
 * A thread "sl-sink-NAME" reads the journal, makes rows of its records, and hands batches of them
 * to the writers, a thread and a connection each. How far the database has come stands in the
 * database, written in the transaction of the rows themselves: killed at any moment, no row is
 * missing and none is there twice. On any failure everything in memory is forgotten, and the
 * database is asked again where to go on; so a transaction whose commit was never heard of is no
 * special case. Several sinks on one database do not disturb each other: each journal has an id of
 * its own (the file "journal-id" in its directory), and of two that write the same journal the
 * later one takes over.
 *
 * A message is inserted with its outcome when that comes within batch_ms; a later one is an update.
 *
 * Nothing here holds up the journal: what a sink has not written yet is kept by it
 * (sl_journal_set_needed()), that is all.
 *
 * Threads: create, start, stop and destroy belong to the control thread; status to any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sl_config.h"
#include "sl_journal.h"

struct sl_sink;

enum sl_sink_state {
	SL_SINK_STOPPED,    /**< Not started, or stopped. */
	SL_SINK_CONNECTING, /**< Its first try, or the one after a pause. */
	SL_SINK_RUNNING,    /**< Follows the journal. */
	SL_SINK_RETRYING,   /**< Failed; tries again soon. */
	SL_SINK_BROKEN,	    /**< Failed several times: the circuit is open, tries are rare. */
	SL_SINK_REFUSED,    /**< Somebody has to do something; tried again rarely. */
};

/** "stopped", "connecting", "running", "retrying", "broken", "refused" */
const char *sl_sink_state_name(enum sl_sink_state state);

/** Something that an operator wants to hear of. Strings live as long as the call. */
struct sl_sink_event {
	enum sl_config_level level;
	/**
	 * "sink_down": writing failed, it is tried again; "sink_refused": it will not work until
	 * somebody does something; "sink_up": it works again; "sink_gap": the journal does not have
	 * any more what the database lacks; "sink_partition_dropped": by keep_days;
	 * "sink_partition_kept": the server did not let that happen.
	 */
	const char *kind;
	const char *sink;     /**< Its name. */
	const char *server;   /**< As in the status. */
	const char *sqlstate; /**< Five characters, or "": it was no error of the database. */
	const char *text;     /**< One sentence for people: sink, server, SQLSTATE, what to do. */
};

/** Called by threads of the sink; must not wait and not call back, but for the status. */
typedef void (*sl_sink_event_t)(void *arg, const struct sl_sink_event *event);

struct sl_sink_params {
	const struct sl_config_sink *config; /**< Copied. */
	const char *node;		     /**< Of the appliance, for who reads the database. */
	const char *directory;		     /**< The journal's. */
	/** The one that writes it. NULL: the journal is at rest (sl_journal_rest()) as long as the
	 * sink lives, and everything in it is read. */
	struct sl_journal *journal;
	/** Level of each class, by class_index, for records that do not tell it; 0 or beyond:
	 * class_index + 1. */
	uint8_t levels[SL_CONFIG_CLASSES_MAX];
	sl_sink_event_t event; /**< May be NULL. */
	void *arg;
};

/**
 * Make a sink. No connection is made yet; what is wrong with the database is told by status and
 * events. With a journal, before sl_journal_start(): it keeps everything until the sink knows
 * what it needs.
 * @return 0; -EINVAL: the connection string is none; -EBUSY: it is not at rest; -errno; with one
 *         line in @p error
 */
int sl_sink_create(
	const struct sl_sink_params *params, struct sl_sink **sink, char *error, size_t error_len);

/** Start its threads. @return 0 or -errno */
int sl_sink_start(struct sl_sink *sink);

/** Ask its threads to end, and go on: several sinks are then stopped in the time of one. */
void sl_sink_begin_stop(struct sl_sink *sink);

/**
 * Stop its threads, within a second: what is durable in the journal is still written when the
 * database takes it in that time, the rest when it is started again. To have all of it, stop the
 * journal first (sl_journal_stop()), and close it behind.
 */
void sl_sink_stop(struct sl_sink *sink);

/** Free a stopped sink; NULL is fine. */
void sl_sink_destroy(struct sl_sink *sink);

struct sl_sink_status {
	char name[SL_CONFIG_NAME_MAX + 1];
	enum sl_config_sink_kind kind;
	enum sl_sink_state state;
	char server[160]; /**< "host:port/database as user", or the file. Never a password. */
	uint32_t writers;

	uint64_t rows;	       /**< Inserted, since the start. */
	uint64_t updates;      /**< Outcomes that came after their row. */
	uint64_t bytes;	       /**< Of the journal, that rows were made of. */
	uint64_t batches;      /**< Transactions committed. */
	uint64_t write_ns;     /**< Their time, added up. */
	uint64_t write_ns_max; /**< Since the last time it was asked. */
	uint64_t failures;     /**< Transactions and connections, since the start. */
	uint64_t gaps;	       /**< Times that the journal had not any more what was needed. */

	uint64_t lag_bytes;   /**< Durable in the journal and not in the database. */
	uint64_t lag_ns;      /**< Age of the oldest record read that is not in it; 0: none. */
	bool is_drained;      /**< Nothing was left the last time it looked. */
	uint64_t commit_ns;   /**< When it committed last, Unix time; 0: not since the start. */
	uint64_t retry_in_ms; /**< Until the next try, of states that wait for one. */

	uint64_t error_ns; /**< When it failed last, Unix time; 0: never. */
	char sqlstate[6];  /**< Of that. */
	char error[320];   /**< Of that, one line; stays when it works again. */
};

void sl_sink_get_status(struct sl_sink *sink, struct sl_sink_status *status);

/**
 * The SQL that makes the tables, for who wants to read it or to let another role run it.
 * @param version  of the schema; 0: the newest
 * @return statements that bring an empty database to it, to be freed; NULL: there is none such
 */
char *sl_sink_schema(enum sl_config_sink_kind kind, uint32_t version);

#endif /* SL_SINK_H */
