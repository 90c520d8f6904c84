/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef SLUICE_H
#define SLUICE_H

/**
 * @file
 * Publish messages to Sluice, and consume them: the client library.
 *
 * It speaks the wire format of docs/wire-format.md over the kernel's UDP sockets. docs/libsluice.md
 * has the first program and the guarantees; this file is the reference.
 *
 * **Options** are structs in which 0 means the default, so initialise them with {0} and set what is
 * to be different. Strings are read during the call and may go away after it.
 *
 * **Results** are 0 (or a count) and negative codes of enum sluice_code; sluice_strerror() has the
 * sentence. Times to wait are in milliseconds: 0 does not wait, SLUICE_FOREVER has no end.
 *
 * **Threads.** A publisher or consumer has a thread of its own that owns the socket, unless opened
 * with SLUICE_NO_THREAD; then sluice_publisher_process() or sluice_consumer_process() does its
 * work. With the thread, every function may be called from any thread at any time, but for open and
 * close: nobody may be in another call when close begins. Without it, one thread at a time.
 * Callbacks run in the library's thread, or inside the function that processes. A callback may
 * publish, ask for statistics and say sluice_consumer_done(), and must not wait: what would is
 * refused with SLUICE_WRONG_THREAD.
 *
 * **fork().** A child has its parent's publishers and consumers, but not their threads: there, all
 * functions return SLUICE_FORKED, and close gives descriptors and buffers back, without a word on
 * the wire.
 *
 * There is no global state. Signals are blocked in the library's threads.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_VERSION_MAJOR 0
#define SLUICE_VERSION_MINOR 1

/** The port of an address that names none. */
#define SLUICE_PORT 7500

/** As a time to wait: without end. */
#define SLUICE_FOREVER (-1)

/** Why something did not work. */
enum sluice_code {
	SLUICE_OK = 0,
	SLUICE_TIMEOUT = -1,	  /**< Not within the time that was given. */
	SLUICE_WOULD_BLOCK = -2,  /**< The queue is full, or there is nothing to receive. */
	SLUICE_TOO_BIG = -3,	  /**< Does not fit into a datagram. */
	SLUICE_INVALID = -4,	  /**< An argument or option that cannot be. */
	SLUICE_CLOSED = -5,	  /**< The publisher or consumer is being closed. */
	SLUICE_NO_MEMORY = -6,	  /**< */
	SLUICE_SYSTEM = -7,	  /**< The operating system refused. */
	SLUICE_ADDRESS = -8,	  /**< A host or address that is none, or is not known. */
	SLUICE_FORKED = -9,	  /**< Opened by the parent process. */
	SLUICE_WRONG_THREAD = -10 /**< Would wait for the thread that is calling. */
};

/** What went wrong when opening, in one sentence that names the thing. */
struct sluice_error {
	int code; /**< Of enum sluice_code. */
	char text[256];
};

/** The sentence of a code; never NULL, never to be freed. Any thread. */
const char *sluice_strerror(int code);

/** "0.1.0": of the library that runs. Any thread. */
const char *sluice_version(void);

/** The identity of a message, 128 bits. */
struct sluice_id {
	uint64_t high;
	uint64_t low;
};

/** The key of a name, as it travels: FNV-1a, 64 bits. Any thread. */
uint64_t sluice_name_key(const char *name);

/** The id that stands for a text of @p len bytes: its XXH3-128. Any thread. */
struct sluice_id sluice_text_id(const char *text, size_t len);

/** @name Flags of options. @{ */
/** No thread: the caller watches sluice_*_fd() and calls sluice_*_process(). */
#define SLUICE_NO_THREAD 0x1u
/** Consumer with a callback: a message is not done when that returns, but by
 * sluice_consumer_done(). */
#define SLUICE_MANUAL_ACK 0x2u
/**
 * Consumer: a message is acknowledged when it has come, not when it is done. Gaps are mended
 * sooner, and what the process has not worked on when it dies is lost.
 */
#define SLUICE_EARLY_ACK 0x4u
/** Consumer: messages are handed over as they come, not in the order of their session. */
#define SLUICE_UNORDERED 0x8u
/** @} */

/** How grave an event is. */
enum sluice_level { SLUICE_LEVEL_WARNING = 1, SLUICE_LEVEL_INFO = 2 };

/**
 * Something a person may want to know: another appliance is tried, a session was refused.
 * @param text  one sentence, valid during the call
 */
typedef void (*sluice_event_fn)(void *arg, enum sluice_level level, const char *text);

/** @name Publish. @{ */

struct sluice_publisher;

/** 0 and NULL mean the default. */
struct sluice_publisher_options {
	/** "HOST[:PORT],...", "[ADDRESS6]:PORT": where to publish, the first that answers. */
	const char *appliances;
	const char *source; /**< The name of who publishes. */
	const char *bind;   /**< "ADDRESS[:PORT]" to send from; any. */
	uint32_t flags;	    /**< SLUICE_NO_THREAD */
	/** Messages held at most, sent or not, until they are durable: 16384. */
	uint32_t queue_messages;
	uint32_t queue_bytes;	 /**< The memory they may take: 64 MiB. */
	uint32_t window;	 /**< Messages in flight at most: a power of 2 up to 65536; 4096. */
	uint32_t datagram_bytes; /**< The largest UDP payload: 128 .. 65507; 1400. */
	/** No answer for so long while messages are in flight: the next appliance is tried. From
	 * 100 on; 1000 */
	uint32_t silence_ms;
	/** A message that is not durable (at-most-once: not sent) after so long fails with
	 * SLUICE_TIMEOUT; never. */
	uint32_t message_timeout_ms;
	uint32_t socket_buffer_bytes; /**< Each way: 4 MiB, as far as the system allows it. */
	sluice_event_fn event;	      /**< May be NULL. */
	void *event_arg;
	uint64_t reserved[8]; /**< 0 */
};

/**
 * Messages of destinations that are at-most-once: sent once, without acknowledgement. They wait
 * while the system knows no way to an appliance.
 */
#define SLUICE_AT_MOST_ONCE 0x1u

/** What is published. */
struct sluice_message {
	const char *destination; /**< Its name. */
	const char *type;	 /**< The name of its type; may be NULL: the empty name. */
	const void *payload;
	size_t payload_len;
	/** All 0: one is generated, as sluice_publisher_new_id() does. */
	struct sluice_id id;
	/** The source's own id, when it is a text; then `id` is not looked at, and is its hash.
	 * UTF-8.
	 */
	const char *id_text;
	uint64_t timestamp_ns; /**< Unix time; 0: now. */
	uint32_t priority;     /**< Class 1 (first) .. 8; 0: the destination's default. */
	uint32_t flags;	       /**< SLUICE_AT_MOST_ONCE */
	uint64_t reserved[4];  /**< 0 */
};

/**
 * What became of a message: called once for each that sluice_publish_async() took.
 * @param result  0: it is durable (at-most-once: it was sent). SLUICE_TIMEOUT, SLUICE_CLOSED: it
 * was given up; it may be durable all the same. Publishing it again with its id is safe.
 */
typedef void (*sluice_done_fn)(void *arg, const struct sluice_id *id, int result);

/**
 * Open a publisher. Looks hosts up, and does not wait for an appliance to answer.
 * @param[out] error  why not; may be NULL
 * @return NULL when it did not work. Ends by sluice_publisher_close().
 */
struct sluice_publisher *
sluice_publisher_open(const struct sluice_publisher_options *options, struct sluice_error *error);

/** An id that nobody else has: 64 random bits of this publisher and a counter. */
struct sluice_id sluice_publisher_new_id(struct sluice_publisher *publisher);

/**
 * Publish, and wait until the message is durable.
 *
 * When it is not within @p timeout_ms, it is not sent again: it may be durable or not, and to
 * publish it again one gives it the same id (see sluice_publisher_new_id()).
 * @return 0; SLUICE_TIMEOUT, SLUICE_TOO_BIG, SLUICE_INVALID, SLUICE_CLOSED, SLUICE_NO_MEMORY,
 *   SLUICE_FORKED, SLUICE_WRONG_THREAD
 */
int sluice_publish(
	struct sluice_publisher *publisher, const struct sluice_message *message, int timeout_ms);

/**
 * Publish, and be told when the message is durable. The payload is copied.
 * @param wait_ms  how long to wait for room when the queue is full
 * @param done     may be NULL. Not called when this function returns an error.
 * @return 0: taken; SLUICE_WOULD_BLOCK: no room at all (@p wait_ms 0), or not in time;
 * SLUICE_TOO_BIG, SLUICE_INVALID, SLUICE_CLOSED, SLUICE_NO_MEMORY, SLUICE_FORKED,
 * SLUICE_WRONG_THREAD
 */
int sluice_publish_async(struct sluice_publisher *publisher, const struct sluice_message *message,
	int wait_ms, sluice_done_fn done, void *arg);

/**
 * Wait until nothing is left to be sent or acknowledged.
 * @return 0; SLUICE_TIMEOUT, SLUICE_FORKED, SLUICE_WRONG_THREAD
 */
int sluice_publisher_flush(struct sluice_publisher *publisher, int timeout_ms);

/**
 * Flush, then end. Messages that are left fail with SLUICE_CLOSED: their callbacks run before this
 * returns. NULL is allowed.
 * @return 0: all were durable; SLUICE_TIMEOUT: some were left; SLUICE_FORKED;
 *   SLUICE_WRONG_THREAD: called by a callback, and nothing was done
 */
int sluice_publisher_close(struct sluice_publisher *publisher, int timeout_ms);

/** Readable when sluice_publisher_process() has something to do; not to be read. SLUICE_NO_THREAD.
 */
int sluice_publisher_fd(const struct sluice_publisher *publisher);

/**
 * Send, receive and call back as far as it goes without waiting. Only with SLUICE_NO_THREAD.
 * @return 0; SLUICE_INVALID: there is a thread; SLUICE_FORKED; SLUICE_WRONG_THREAD: from a callback
 */
int sluice_publisher_process(struct sluice_publisher *publisher);

/** Since the publisher was opened, but for those that say "now". */
struct sluice_publisher_stats {
	uint64_t published; /**< Taken, in sessions. published = durable + failed + outstanding */
	uint64_t durable;
	uint64_t failed;
	uint64_t at_most_once; /**< Taken, without a session. */
	uint64_t outstanding;  /**< Now: neither durable nor failed. */
	uint64_t in_flight;    /**< Now: sent and not acknowledged. */
	uint64_t credit;       /**< Now: more that the appliance would take. */
	uint64_t retransmitted;
	uint64_t datagrams_sent;
	uint64_t bytes_sent; /**< UDP payload. */
	uint64_t acks;	     /**< Acknowledgements that came. */
	uint64_t bad_acks;   /**< Of what was never sent, or contradicting themselves. */
	uint64_t old_epochs; /**< Of an epoch lower than one before in the session: ignored. */
	uint64_t bad_datagrams;
	uint64_t refused;     /**< Sessions that an appliance did not know (any more). */
	uint64_t failovers;   /**< Times that another appliance was tried. */
	uint64_t send_errors; /**< Datagrams that the system did not take. */
	uint64_t srtt_ns;     /**< Now: smoothed time from sending to the acknowledgement. */
	uint32_t appliance;   /**< Now: which of the list, the first is 0. */
	uint32_t unused;
};

void sluice_publisher_get_stats(
	struct sluice_publisher *publisher, struct sluice_publisher_stats *stats);
/** @} */

/** @name Consume. @{ */

struct sluice_consumer;

/** Where a datagram came from. */
struct sluice_address {
	uint8_t ip[16]; /**< IPv6, or IPv4-mapped (::ffff:a.b.c.d). */
	uint32_t scope; /**< The interface of a link-local address. */
	uint16_t port;
	uint16_t unused;
};

/** Room for the longest text of an address. */
#define SLUICE_ADDRESS_TEXT 64

/** "ADDRESS:PORT" or "[ADDRESS6]:PORT" of an address. @return @p text. Any thread. */
const char *
sluice_address_text(const struct sluice_address *address, char text[SLUICE_ADDRESS_TEXT]);

/** A message that came. */
struct sluice_delivery {
	uint64_t destination; /**< Keys of names: compare with sluice_name_key(). */
	uint64_t source;
	uint64_t type;
	struct sluice_id id;
	uint64_t timestamp_ns; /**< Unix time, set by the source. */
	uint32_t priority;     /**< 0: the destination's default. */
	uint32_t flags;	       /**< As on the wire. */
	uint64_t session;      /**< 0: at-most-once. */
	uint64_t sequence;     /**< In its session. */
	uint32_t epoch;	       /**< Of the appliance that sent it. */
	uint32_t payload_len;
	const void *payload;
	const char *id_text; /**< Not terminated; NULL: it has none. */
	uint32_t id_text_len;
	struct sluice_address peer; /**< That it came from. */
};

/**
 * A message. It is done when the callback returns; with SLUICE_MANUAL_ACK, when
 * sluice_consumer_done() is called, at any time by any thread. What takes long holds up those
 * behind it, and acknowledgements and probes for as long as one call takes, or 10 ms.
 */
typedef void (*sluice_message_fn)(void *arg, const struct sluice_delivery *delivery);

/** 0 and NULL mean the default. */
struct sluice_consumer_options {
	/** "ADDRESS:PORT", "[ADDRESS6]:PORT", ":PORT" for any address; what the appliance has as
	 * backend.
	 */
	const char *listen;
	/**
	 * "ADDRESS,...": the appliances that are listened to; anybody. Only of these are epochs
	 * believed: what comes from one that another has taken over from is ignored.
	 */
	const char *accept_from;
	uint32_t flags;		   /**< SLUICE_NO_THREAD, SLUICE_MANUAL_ACK, ... */
	sluice_message_fn message; /**< NULL: the application calls sluice_consumer_receive(). */
	void *message_arg;
	/** Messages of a session that may be on their way, waiting or in work: a power of 2 up to
	 * 65536; 1024. */
	uint32_t window;
	/** Remembered at a time, a quarter of them of one address; the longest silent makes room:
	 * 256.
	 */
	uint32_t sessions_max;
	uint32_t session_idle_ms; /**< Silent for so long, it is forgotten: 60000. */
	uint32_t dedup_messages;  /**< Redeliveries are found among the last so many: 65536. */
	uint32_t queue_messages;  /**< At-most-once messages that may wait: 65536. */
	uint32_t memory_bytes;	  /**< Messages held, at most: 256 MiB. */
	uint32_t ack_delay_us;	  /**< The time between two acknowledgements: 5000. */
	uint32_t ack_every; /**< So many messages, or half the window, do not wait for it: 16. */
	uint32_t socket_buffer_bytes; /**< Each way: 4 MiB, as far as the system allows it. */
	sluice_event_fn event;	      /**< May be NULL. */
	void *event_arg;
	uint64_t reserved[8]; /**< 0 */
};

/** Open a consumer. @return NULL when it did not work. Ends by sluice_consumer_close(). */
struct sluice_consumer *
sluice_consumer_open(const struct sluice_consumer_options *options, struct sluice_error *error);

/**
 * Take the next message, where there is no callback.
 * @param[out] delivery  to be given back by sluice_consumer_done(), in any order
 * @return 0; SLUICE_WOULD_BLOCK: there is none, @p timeout_ms is 0; SLUICE_TIMEOUT; SLUICE_CLOSED;
 *   SLUICE_INVALID: there is a callback; SLUICE_FORKED, SLUICE_WRONG_THREAD
 */
int sluice_consumer_receive(
	struct sluice_consumer *consumer, const struct sluice_delivery **delivery, int timeout_ms);

/**
 * A message is done: it is acknowledged, so that the appliance does not send it again, and its
 * memory is the library's.
 * @return 0; SLUICE_INVALID: it is done when the callback returns; SLUICE_FORKED
 */
int sluice_consumer_done(struct sluice_consumer *consumer, const struct sluice_delivery *delivery);

/**
 * Acknowledge what is due and end. Messages that are not done are not acknowledged (but with
 * SLUICE_EARLY_ACK, which has done so), and their memory goes. NULL is allowed.
 * @return 0; SLUICE_FORKED; SLUICE_WRONG_THREAD: called by a callback, and nothing was done
 */
int sluice_consumer_close(struct sluice_consumer *consumer);

/** "ADDRESS:PORT" that it listens to, of use when the port asked for was 0. */
const char *sluice_consumer_address(const struct sluice_consumer *consumer);

/** As those of the publisher. @{ */
int sluice_consumer_fd(const struct sluice_consumer *consumer);
int sluice_consumer_process(struct sluice_consumer *consumer);
/** @} */

/** Since the consumer was opened, but for those that say "now". */
struct sluice_consumer_stats {
	uint64_t datagrams;	  /**< That came. */
	uint64_t messages;	  /**< In them. */
	uint64_t delivered;	  /**< Handed over. */
	uint64_t at_most_once;	  /**< Of them, without a session. */
	uint64_t duplicates;	  /**< Came again in their session. */
	uint64_t redeliveries;	  /**< Came again in another one, and were known by their id. */
	uint64_t beyond;	  /**< Past the credit: not taken. */
	uint64_t dropped;	  /**< At-most-once, and no room. */
	uint64_t no_memory;	  /**< In a session, and no room: they come again. */
	uint64_t old_epochs;	  /**< Datagrams of a lower epoch than the highest that came. */
	uint64_t bad_datagrams;	  /**< Not Sluice's, or malformed. */
	uint64_t not_accepted;	  /**< Datagrams from elsewhere than `accept_from`. */
	uint64_t acks;		  /**< Sent. */
	uint64_t refused;	  /**< Sessions that did not begin at their begin. */
	uint64_t gaps;		  /**< Given up in a session that fell silent. */
	uint64_t probes;	  /**< Answered. */
	uint64_t sessions;	  /**< Now. */
	uint64_t sessions_opened; /**< */
	uint64_t sessions_expired;
	uint64_t sessions_evicted; /**< For want of room. */
	uint64_t held;		   /**< Now: messages waiting or in work. */
	uint64_t held_bytes;	   /**< Now: the memory they take. */
	uint64_t latency_ns;	   /**< Now: smoothed time from coming to done. */
};

void
sluice_consumer_get_stats(struct sluice_consumer *consumer, struct sluice_consumer_stats *stats);
/** @} */

#ifdef __cplusplus
}
#endif

#endif /* SLUICE_H */
