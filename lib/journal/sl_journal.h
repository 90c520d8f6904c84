/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SL_JOURNAL_H
#define SL_JOURNAL_H

/**
 * @file
 * The journal: makes records durable, in segment files of one directory.
 *
 * One named thread takes the records that workers publish in their rings (sl_record_ring.h), writes
 * whole batches and syncs once a batch and file (group commit), and tells each ring how far it has
 * come. What was published and is not durable stays in the ring, so that a write or sync that
 * failed can be made again: into a new segment, because after a failed sync nobody knows what a
 * file holds. Until it succeeds nothing becomes durable, rings fill and say why, and no ack goes
 * out.
 *
 * Segments are deleted from the oldest on, when they are older than the retention, there are too
 * many, or the disk is full; and never while somebody holds them: a message without an outcome in
 * them (sl_journal_hold()), or a reader that has not come past (sl_journal_set_needed()).
 *
 * The core that decides is sans-IO below: it reaches its disk through struct sl_journal_disk.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <sys/uio.h>

#include "sl_hist.h"
#include "sl_record.h"
#include "sl_record_ring.h"

struct sl_journal;

/**
 * What the journal wants of a disk; each call returns 0 or -errno. The posix one is what
 * sl_journal_open() uses; the simulator has another. Files are named by the journal, all in one
 * directory. Threads: the journal's thread alone.
 */
struct sl_journal_disk {
	/**
	 * Make a file of @p size bytes, all 0, with room for all of it; durable with its name.
	 * -EAGAIN: it is being made, call again with the same; -EEXIST: the name is taken.
	 */
	int (*create)(void *arg, const char *name, uint64_t size);
	/** Write at an offset, all of it. Offset, length and address are multiples of 4096. */
	int (*write)(void *arg, const char *name, uint64_t offset, const void *data, size_t len);
	int (*sync)(void *arg, const char *name);
	/** It will not be written any more. */
	int (*close)(void *arg, const char *name);
	/** -EAGAIN: it is being removed, call again; -ENOENT: it is not there. */
	int (*remove)(void *arg, const char *name);
	/**
	 * As create(), of a file of the same size that is not needed any more: what was removed
	 * before stays removed, its first SL_SEGMENT_HEADER bytes become 0, what is behind them may
	 * stay, and it is renamed; in this order, all of it durable. NULL: there is no such thing.
	 */
	int (*reuse)(void *arg, const char *old, const char *name);
	void *arg;
};

/**
 * Of a record that has become durable, pads left out; called by the journal's thread, in the
 * stream's order. @p now_ns is Unix time, as the record's own.
 */
typedef void (*sl_journal_durable_t)(void *arg, const struct sl_record *record, uint64_t now_ns);
/** All records of a batch have been told; called about every millisecond without a batch, too. */
typedef void (*sl_journal_batch_t)(void *arg, uint64_t now_ns);

struct sl_journal_params {
	const char
		*directory; /**< Is made when it is not there; one appliance uses it at a time. */
	uint64_t segment_bytes;	     /**< A power of 2, 1 MiB .. 1 GiB. */
	uint64_t ring_bytes;	     /**< Of each worker; a power of 2. */
	uint64_t max_bytes;	     /**< Of all segments; no new one is begun beyond. */
	uint64_t retention_bytes;    /**< What nobody holds is deleted when there is more. */
	uint64_t retention_ms;	     /**< ... or when it is older; 0: as soon as nobody holds it. */
	uint32_t commit_interval_us; /**< A batch is not written sooner after the last; 0: at once.
				      */
	bool is_direct;		     /**< O_DIRECT; else through the page cache. Both are synced. */
	uint32_t nb_streams;	     /**< Workers; stream i is worker i's. */
	const char *node;	     /**< For the log. */
	sl_journal_durable_t durable; /**< May be NULL. */
	sl_journal_batch_t batch;     /**< May be NULL. */
	void *arg;
};

/** What a recovery found, and where streams go on. */
struct sl_journal_recovery {
	uint32_t incarnation; /**< Of this run: the highest found, and one. */
	uint32_t nb_segments;
	uint64_t nb_records;
	uint64_t nb_messages;
	uint64_t nb_undelivered;
	uint64_t bytes;
	uint32_t nb_cut; /**< Streams whose torn end was cut off: what was not synced. */
	uint64_t end[SL_STREAMS_MAX]; /**< Behind the last record; 0: no such stream. */
};

/** Called for every record in the order of its stream; streams one after the other, oldest run
 * first. Of a topic's message `undelivered` is called for each subscriber it is missing for, with
 * the SL_RECORD_REF_COPY of that. */
typedef int (*sl_journal_visit_t)(void *arg, const struct sl_record *record, sl_record_ref ref);
/** Called a few times a second. */
typedef void (*sl_journal_progress_t)(void *arg, uint64_t done_bytes, uint64_t all_bytes);

struct sl_journal_visitor {
	/** Every message without an outcome, ordered by run, stream and position. */
	sl_journal_visit_t undelivered;
	/** Every message and duplicate received at or after `since_ns`, with or without an outcome.
	 */
	sl_journal_visit_t recent;
	/** Every name. */
	sl_journal_visit_t name;
	uint64_t since_ns;
	sl_journal_progress_t progress;
	void *arg;
};

/**
 * Read the journal in a directory, that no appliance uses. What a crash tore off behind the last
 * synced record is cut (told in @p notice). Damage before that is refused.
 *
 * @param visitor      callbacks that are NULL are not called; one that returns non-zero ends it
 * @param[out] notice  one line for the log about what was cut; empty: nothing
 * @param[out] error   one line: file, offset, what is wrong there and what to do
 * @return 0; -EBADMSG: it is damaged; -EBUSY: in use; -errno
 */
int sl_journal_recover(const char *directory, const struct sl_journal_visitor *visitor,
	struct sl_journal_recovery *recovery, char *notice, size_t notice_len, char *error,
	size_t error_len);

/**
 * Open the journal for writing, behind what was recovered. Segments recovered are kept and deleted
 * by the same rules; every undelivered message found holds its own.
 * @return 0 or -errno with one line in @p error
 */
int
sl_journal_open(const struct sl_journal_params *params, const struct sl_journal_recovery *recovery,
	struct sl_journal **journal, char *error, size_t error_len);

/** Start the thread "sl-journal", on the given CPU or, with -1, where it was started from. */
int sl_journal_start(struct sl_journal *journal, int cpu);

/**
 * Write and sync what is published, close all streams in order, stop the thread. Nothing may be
 * published any more. A disk that goes on failing is given five seconds.
 */
void sl_journal_stop(struct sl_journal *journal);
/** Give everything back, the rings and the directory's lock too; NULL is fine. */
void sl_journal_close(struct sl_journal *journal);

/** Change how long what nobody holds is kept; as in the parameters. Any thread. */
void sl_journal_set_retention(struct sl_journal *journal, uint64_t bytes, uint64_t ms);

/** The ring of a worker. Lives as long as the journal. */
struct sl_record_ring *sl_journal_ring(struct sl_journal *journal, uint32_t stream);

/**
 * A message's segment is kept until it is released as often as it is held, by whichever workers.
 * Cheap: a counter of this worker's own. May be called by worker @p worker alone, or before
 * sl_journal_start().
 *
 * Hold a new record before you publish it. Release it only when its outcome (SL_RECORD_DONE) is
 * durable, which the ring's `durable` says that is behind that record: from then on the message may
 * be gone. What takes its place, as a dead letter, is to be put before the outcome, and so is
 * durable, too. One exception: while the ring's state is SL_RECORD_RING_FULL, a message that
 * nothing takes the place of may be released as soon as its outcome is published; else a journal
 * full of what was delivered would wait for ever for the room to say so. A crash then leaves its
 * outcome unknown, to sinks too; it was delivered or given up all the same.
 */
void sl_journal_hold(struct sl_journal *journal, uint32_t worker, sl_record_ref ref);
void sl_journal_release(struct sl_journal *journal, uint32_t worker, sl_record_ref ref);

/** Who reads along or needs what is there: sinks, the standby, names. At most this many. */
#define SL_JOURNAL_READERS_MAX 18

/**
 * A reader needs everything of a stream from here on; any thread. UINT64_MAX: it needs nothing. A
 * reader registered before sl_journal_start() needs everything until it says otherwise.
 */
int sl_journal_add_reader(struct sl_journal *journal, const char *name, uint32_t *reader);
void sl_journal_set_needed(
	struct sl_journal *journal, uint32_t reader, uint32_t stream, uint64_t position);

enum sl_journal_state {
	SL_JOURNAL_OK,
	SL_JOURNAL_FULL,   /**< max_bytes, or the disk is full: nothing new becomes durable. */
	SL_JOURNAL_FAILED, /**< Writing or syncing failed; tried again with backoff. */
};

struct sl_journal_status {
	enum sl_journal_state state;
	int error;	   /**< errno of the last failure; 0: there was none. */
	char what[256];	   /**< What failed, with the file, and what to do: one line. */
	char notice[160];  /**< What the operator should know all the time; empty: nothing. */
	uint64_t failures; /**< Since the start. */
	uint64_t records;  /**< Made durable. */
	uint64_t bytes;
	uint64_t batches;
	uint64_t syncs;
	struct sl_hist sync_ns; /**< How long each took, since the start. */
	uint64_t sync_ns_max;	/**< Since the last time it was asked. */
	uint32_t nb_segments;
	uint64_t segments_bytes; /**< On disk. */
	uint64_t oldest_ns;	 /**< When the oldest segment was begun; Unix time. */
	uint64_t pending_bytes;	 /**< Published and not durable. */
	uint64_t undelivered;	 /**< Messages that hold a segment. */
	uint32_t incarnation;
	uint64_t durable[SL_STREAMS_MAX];
	char holder[64]; /**< Who keeps the oldest segment: "undelivered messages", "reader NAME".
			  */
};

/** Any thread. */
void sl_journal_get_status(struct sl_journal *journal, struct sl_journal_status *status);

/** @name The core: the same journal without thread, clock and files, for a simulator. @{ */

struct sl_journal_segment;

/**
 * As sl_journal_open(), on another disk. Time is the caller's: Unix time in ns.
 * @param found  the segments there are already, in any order
 */
int sl_journal_core_open(const struct sl_journal_params *params,
	const struct sl_journal_recovery *recovery, const struct sl_journal_disk *disk,
	const struct sl_journal_segment *found, uint32_t nb_found, struct sl_journal **journal,
	char *error, size_t error_len);

/**
 * One turn: keep segments ready, delete what may go, write what is published, and sync it.
 * @return true when something was synced: call sl_journal_core_commit()
 */
bool sl_journal_core_write(struct sl_journal *journal, uint64_t now_ns);

/** Tell rings and hooks what the turn made durable. */
void sl_journal_core_commit(struct sl_journal *journal, uint64_t now_ns);

/** Put a SL_RECORD_CLOSE at the end of each stream that has records; all is durable before. */
void sl_journal_core_put_close(struct sl_journal *journal, uint64_t now_ns);

/** Published and not durable: turns are to go on. */
bool sl_journal_core_is_pending(const struct sl_journal *journal);
/** @} */

/** @name Reading, beside the writer or without one. @{ */

/**
 * Keep a journal at rest: nobody can open it for writing until the descriptor that is returned is
 * closed, and all that can be read in it is durable, so that who notes elsewhere how far he has
 * read is never ahead of it. Any number at a time.
 * @return a descriptor; -EBUSY: an appliance uses it; -errno; with one line in @p error
 */
int sl_journal_rest(const char *directory, char *error, size_t error_len);

struct sl_journal_reader;

/**
 * Open a journal for reading; any number at a time, in any process.
 * @param journal  the one that writes it, so that only what is durable is read; NULL: read to the
 *                 last record that is whole
 */
int sl_journal_reader_open(const char *directory, struct sl_journal *journal,
	struct sl_journal_reader **reader, char *error, size_t error_len);
void sl_journal_reader_close(struct sl_journal_reader *reader);

/** A segment, as it is found. */
struct sl_journal_segment {
	char name[64];
	struct sl_segment_header header;
	uint64_t synced; /**< Its mark. */
	uint64_t size;	 /**< Of the file. */
};

/** Look at the directory again. @return segments ordered by run, stream and base, or -errno */
int sl_journal_reader_segments(
	struct sl_journal_reader *reader, const struct sl_journal_segment **segments);

/**
 * Go to a position of a stream: the begin of a record, or below the oldest, which is then the next.
 * One place a stream; all streams can be read in turns.
 */
int sl_journal_reader_seek(struct sl_journal_reader *reader, uint32_t stream, uint64_t position);

/**
 * The next record of a stream, pads left out. It is valid until the next call for this stream.
 * @return 1; 0: there is none yet; -EBADMSG: damage, sl_journal_reader_error() has the place;
 *         -ENOENT: it was deleted meanwhile; -errno
 */
int sl_journal_reader_next(
	struct sl_journal_reader *reader, uint32_t stream, const struct sl_record **record);

/** Where the next record of a stream will be read. */
uint64_t sl_journal_reader_position(const struct sl_journal_reader *reader, uint32_t stream);

/**
 * Read one record anywhere; of a SL_RECORD_REF_COPY the message's record.
 * @param buf  SL_RECORD_LEN_MAX bytes, aligned to SL_RECORD_ALIGN
 * @return 0; -EAGAIN: it is not durable yet; else as sl_journal_reader_next()
 */
int sl_journal_reader_get(struct sl_journal_reader *reader, sl_record_ref ref, void *buf);

/** File, offset, and what is wrong there: one line. */
const char *sl_journal_reader_error(const struct sl_journal_reader *reader);
/** @} */

#endif /* SL_JOURNAL_H */
