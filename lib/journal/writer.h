/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef JOURNAL_WRITER_H
#define JOURNAL_WRITER_H

/* The inside of the writing core, of what keeps segments, and of the thread around them. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "journal_internal.h"

#define SECOND_NS UINT64_C(1000000000)

/* Holds are counted by pieces of a stream of this size. */
#define GRANULE_SHIFT 20

struct segment {
	TAILQ_ENTRY(segment) next;
	char name[JOURNAL_NAME_SIZE];
	struct sl_segment_header header;
	uint64_t bytes; /* Of its file. */
	uint32_t take;
	bool is_made;	   /* Prepared: its file is there. */
	bool is_abandoned; /* A write or sync failed on it: it is not trusted again. */
	char old_name[JOURNAL_NAME_SIZE]; /* Prepared: it is made out of this one; or empty. */
};

TAILQ_HEAD(segments, segment);

struct stream {
	struct sl_record_ring ring; /* Of this run's streams. */
	struct segments segments;   /* Begun, in the order they were. */
	struct segments prepared;   /* Made ahead, or being made. */
	struct segment *current;    /* The last of `segments`, while it is written. */
	uint32_t number;
	uint64_t start;	       /* Where this run begins. */
	uint64_t previous_end; /* What is durable of the stream ends here. */

	/* Positions, each at most the one before it. */
	uint64_t sealed;
	uint64_t written;
	uint64_t synced;
	uint64_t durable;

	uint64_t mark;		       /* The last one written. */
	uint64_t mark_ns;	       /* When. */
	uint64_t sync_ns;	       /* When something was synced last. */
	uint64_t nb_sealed;	       /* Records. */
	uint64_t nb_durable;	       /* Records. */
	bool is_dirty;		       /* Its current segment has to be synced. */
	bool is_broken;		       /* Its ring holds what is no record. */
	enum sl_journal_state failed;  /* Since its last success. */
	enum sl_journal_state blocked; /* It has records, and no segment can be made for them. */
};

/* A pair of counters, so that who adds them up, releases first, never finds too few holds. */
struct holds {
	_Atomic uint32_t held;
	_Atomic uint32_t released;
};

struct worker {
	_Atomic uint64_t held __rte_cache_aligned;
	_Atomic uint64_t released;
};

struct reader {
	char name[48];
	_Atomic uint64_t needed[SL_STREAMS_MAX];
};

/* A failure is tried again later each time, up to a bound. */
struct backoff {
	uint64_t until_ns;
	uint64_t wait_ns;
};

struct sl_journal {
	struct sl_journal_params params;
	struct sl_journal_disk disk;
	char *directory;
	uint32_t incarnation;
	uint32_t nb_streams; /* Of this run, */
	uint32_t nb_known;   /* and those only found. */
	struct stream *streams;
	uint8_t *block; /* A header block. */

	_Atomic uint64_t retention_bytes;
	_Atomic uint64_t retention_ns;

	uint32_t next_number;
	uint64_t nb_syncs;
	uint64_t last_write_ns;
	uint64_t swept_ns;
	struct segments trash; /* Files to remove. */
	uint32_t nb_segments;  /* Begun. */
	uint64_t bytes;	       /* Of all files, */
	uint64_t trash_bytes;  /* and of those to remove. */
	_Atomic uint32_t layout;

	struct backoff write_backoff;
	struct backoff create_backoff;
	enum sl_journal_state create_state; /* Why none could be made. */

	struct holds *holds; /* [worker][stream][granule] */
	size_t holds_size;
	uint64_t granules; /* A power of 2. */
	struct worker *workers;
	_Atomic uint32_t nb_readers;
	struct reader readers[SL_JOURNAL_READERS_MAX];

	pthread_mutex_t lock;		 /* Of status and of adding readers. */
	struct sl_journal_status status; /* But for what is asked for when it is read. */

	struct posix_disk *posix; /* NULL: the disk is somebody else's. */
	pthread_t thread;
	bool is_started;
	_Atomic bool is_stopping;
};

static inline uint64_t
floor_block(uint64_t position)
{
	return position & ~(uint64_t)(JOURNAL_BLOCK - 1);
}

static inline uint64_t
ceil_block(uint64_t position)
{
	return floor_block(position + JOURNAL_BLOCK - 1);
}

/* Also when the clock was set back: nothing here waits longer than two seconds. */
static inline bool
is_due(uint64_t when_ns, uint64_t now_ns)
{
	return now_ns >= when_ns || when_ns - now_ns > 2 * SECOND_NS;
}

void backoff_fail(struct backoff *backoff, uint64_t now_ns);

/* For the status. `file` may be NULL: the directory; `remedy`, too: the usual one. */
void
journal_note(struct sl_journal *j, int rc, const char *file, const char *what, const char *remedy);

static inline enum sl_journal_state
state_of(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT ? SL_JOURNAL_FULL : SL_JOURNAL_FAILED;
}

/* keep.c: which files there are. */

int keep_init(struct sl_journal *j, const struct sl_journal_recovery *recovery,
	const struct sl_journal_segment *found, uint32_t nb_found);
void keep_free(struct sl_journal *j);
/* A file that begins at `base`; NULL when there is none yet: ask again. */
struct segment *
keep_prepare(struct sl_journal *j, struct stream *s, uint64_t base, uint64_t now_ns);
/* Begin a prepared one: it is the stream's current one then. */
void keep_begin(struct sl_journal *j, struct stream *s, struct segment *segment, uint64_t now_ns);
/* The current one is not written any more. What it holds of what is durable stays. */
void keep_end(struct sl_journal *j, struct stream *s, bool is_failed);
/* Delete what nobody holds and is too old or too much. */
void keep_sweep(struct sl_journal *j, uint64_t now_ns);

/* posix.c */

struct posix_disk;

int posix_open(const char *directory, bool is_direct, struct posix_disk **disk,
	struct sl_journal_disk *ops, char *notice, size_t notice_len, char *error,
	size_t error_len);
/* The segments in the directory; files made ahead that were not used are removed. */
int posix_find(struct posix_disk *disk, struct sl_journal_segment **found, uint32_t *nb_found,
	char *error, size_t error_len);
void posix_close(struct posix_disk *disk);
/* At once; of files that are not open. */
void posix_unlink(struct posix_disk *disk, const char *name);
/* Of all syncs since the start; the maximum is begun anew. */
void posix_sync_times(struct posix_disk *disk, struct sl_hist *ns, uint64_t *max_ns);

#endif /* JOURNAL_WRITER_H */
