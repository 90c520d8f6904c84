/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "room_load.h"

#define READ_MAX  (256u << 10)
#define LEFT_MAX  4096u /* No frame is longer. */
#define OUT_MAX	  (64u << 10)
#define FRAME_MAX 1024u /* Of ours. */
#define EVENTS	  256
#define QUIET_MS  100 /* What comes twice comes within. */

#define DEAF_RECEIVES 4096

enum { RUN_LEN = 8, USER_LEN = 6, NUMBER_LEN = 10, SENT_LEN = 16 };
enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

struct user {
	int fd; /* -1: gone. */
	uint32_t index;
	uint32_t room;
	bool has_joined;
	bool wants_write;
	uint64_t said;
	uint64_t back;	      /* Of those, its own copies. */
	uint64_t warmup, all; /* It is to say; the second has the first in it. */
	size_t left_len, out_len, out_gone;
	size_t text_len, number_at, sent_at, stamp_at;
	uint8_t left[LEFT_MAX];
	char text[FRAME_MAX]; /* But for what is another in each. */
	uint8_t out[OUT_MAX];
};

enum phase { JOINING, WARMING, MEASURING, QUIET };

struct load {
	const struct options *o;
	struct result *r;
	struct ledger ledger;
	enum phase phase;
	int epoll;
	uint32_t nb_users;
	uint32_t nb_joined;
	uint32_t nb_gone;
	struct user **users;
	int *deaf;
	uint32_t nb_deaf;
	char run[RUN_LEN + 1];
	char stamp[32];
	uint64_t stamp_ms;
	uint64_t random;
	uint64_t now_ns, begin_ns, last_ns, heard_ns;
	uint64_t said, limit, expected, received; /* Warm-up included. */
	uint64_t frames;
	struct sl_hist recent;
	struct interval so_far;
	uint64_t interval_ns;
	uint8_t buffer[LEFT_MAX + READ_MAX];
};

static volatile sig_atomic_t is_interrupted;

static void
on_signal(int number)
{
	(void)number;
	is_interrupted = 1;
}

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint32_t
next_mask(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return (uint32_t)l->random;
}

/* Writing. */

static void
watch(struct load *l, struct user *u, bool wants_write)
{
	struct epoll_event event = {
		.events = EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0), .data.ptr = u};

	if (u->wants_write != wants_write)
		epoll_ctl(l->epoll, EPOLL_CTL_MOD, u->fd, &event);
	u->wants_write = wants_write;
}

static void
lose(struct load *l, struct user *u)
{
	if (u->fd < 0)
		return;
	close(u->fd);
	u->fd = -1;
	u->out_len = u->out_gone = 0;
	l->nb_gone++;
	l->r->closed++;
}

static void
flush(struct load *l, struct user *u)
{
	ssize_t n;

	while (u->fd >= 0 && u->out_gone < u->out_len) {
		n = write(u->fd, u->out + u->out_gone, u->out_len - u->out_gone);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			lose(l, u);
		else
			u->out_gone += (size_t)n;
	}
	if (u->out_gone == u->out_len)
		u->out_gone = u->out_len = 0;
	if (u->fd >= 0)
		watch(l, u, u->out_len > 0);
}

static bool
has_output_room(struct user *u)
{
	if (u->out_len + FRAME_MAX <= OUT_MAX)
		return true;
	memmove(u->out, u->out + u->out_gone, u->out_len - u->out_gone);
	u->out_len -= u->out_gone;
	u->out_gone = 0;
	return u->out_len + FRAME_MAX <= OUT_MAX;
}

static void
put_frame(struct load *l, struct user *u, uint8_t opcode, const void *data, size_t len)
{
	uint8_t *frame = u->out + u->out_len;

	memcpy(frame + frame_header_len(len), data, len);
	frame_seal(frame, opcode, next_mask(l), len);
	u->out_len += frame_header_len(len) + len;
}

/* What users say. */

static void
put_digits(char *to, uint64_t value, int len, unsigned int base)
{
	while (len-- > 0) {
		to[len] = "0123456789abcdef"[value % base];
		value /= base;
	}
}

static bool
take_digits(const char **at, int len, unsigned int base, char behind, uint64_t *value)
{
	const char *p = *at;

	*value = 0;
	for (; len > 0; len--, p++) {
		unsigned int digit = *p >= '0' && *p <= '9' ? (unsigned int)(*p - '0')
			: *p >= 'a' && *p <= 'f'	    ? (unsigned int)(*p - 'a' + 10)
							    : 16;

		if (digit >= base)
			return false;
		*value = *value * base + digit;
	}
	*at = p + 1;
	return *p == behind;
}

static uint32_t
user_id(const struct load *l, uint32_t index)
{
	return l->o->first_user + index;
}

/* Behind what is told apart: the same for all of a user's. */
static void
put_filler(const struct options *o, uint32_t index, char *to)
{
	for (uint32_t i = TEXT_MIN - 1; i < o->size; i++)
		*to++ = i == TEXT_MIN - 1 ? ' ' : (char)('a' + (i + index) % 26);
}

static void
make_text(struct load *l, struct user *u)
{
	const struct options *o = l->o;
	char *p = u->text;

	p += sprintf(p, "{\"userId\":\"%u\",\"username\":\"load%u\",\"message\":\"%s.%06u.",
		user_id(l, u->index), user_id(l, u->index), l->run, u->index);
	u->number_at = (size_t)(p - u->text);
	p += NUMBER_LEN;
	*p++ = '.';
	u->sent_at = (size_t)(p - u->text);
	p += SENT_LEN;
	put_filler(o, u->index, p);
	p += o->size - (TEXT_MIN - 1);
	p += sprintf(p, "\",\"timestamp\":\"");
	u->stamp_at = (size_t)(p - u->text);
	p += sprintf(p, "%s\",\"messageType\":\"TEXT\"}", l->stamp);
	u->text_len = (size_t)(p - u->text);
}

static void
set_stamp(struct load *l)
{
	struct timespec t;
	struct tm tm;
	char text[64];
	uint64_t ms;

	clock_gettime(CLOCK_REALTIME, &t);
	ms = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	if (ms == l->stamp_ms)
		return;
	l->stamp_ms = ms;
	gmtime_r(&t.tv_sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900,
		tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(unsigned int)(ms % 1000));
	memcpy(l->stamp, text, 24);
}

static void
speak(struct load *l, struct user *u, uint64_t due_ns)
{
	struct tally *tally = &l->r->rooms[u->room];

	put_digits(u->text + u->number_at, u->said, NUMBER_LEN, 10);
	put_digits(u->text + u->sent_at, due_ns, SENT_LEN, 16);
	memcpy(u->text + u->stamp_at, l->stamp, 24);
	put_frame(l, u, OP_TEXT, u->text, u->text_len);
	u->said++;
	l->said++;
	l->expected += l->o->users;
	if (l->phase != MEASURING)
		return;
	tally->sent++;
	tally->expected += l->o->users;
	l->so_far.sent++;
}

static uint64_t
limit_of(const struct load *l, const struct user *u)
{
	return l->phase == WARMING ? u->warmup : u->all;
}

/* As many as may be under way. */
static void
speak_all(struct load *l, struct user *u)
{
	if (l->o->rate != 0 || (l->phase != WARMING && l->phase != MEASURING) || u->fd < 0)
		return;
	while (u->said < limit_of(l, u) && u->said - u->back < l->o->window && has_output_room(u))
		speak(l, u, l->now_ns);
	flush(l, u);
}

/* At a rate: each is due at its time, whether or not it could be sent then. */
static void
speak_due(struct load *l)
{
	uint64_t first = l->phase == WARMING ? 0 : l->limit;
	uint64_t last = first + (l->phase == WARMING ? l->o->warmup : l->o->messages), due_ns;

	if (l->o->rate == 0 || (l->phase != WARMING && l->phase != MEASURING))
		return;
	while (l->said < last) {
		struct user *u = l->users[(l->said - first) % l->nb_users];

		due_ns = l->begin_ns +
			(uint64_t)((double)(l->said - first) * 1e9 / (double)l->o->rate);
		if (due_ns > l->now_ns)
			break;
		if (u->fd < 0) {
			/* It is not said, and nobody hears it. */
			l->said++;
			l->r->rooms[u->room].expected += l->o->users;
			continue;
		}
		if (!has_output_room(u))
			break;
		speak(l, u, due_ns);
	}
	for (uint32_t i = 0; i < l->nb_users; i++) {
		if (l->users[i]->out_len > 0 && !l->users[i]->wants_write)
			flush(l, l->users[i]);
	}
}

/* What users hear. */

static const char *
string_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

/* All of it, by another's word than ours. */
static bool
is_as_said(struct load *l, const struct user *speaker, const struct frame *f, uint64_t number,
	uint64_t sent)
{
	json_t *object = json_loadb((const char *)f->data, f->len, JSON_REJECT_DUPLICATES, NULL);
	char want[TEXT_MAX + 1], name[32], id[16], room[ROOM_ID_MAX + 1];
	bool is_good;
	int len;

	snprintf(id, sizeof(id), "%u", user_id(l, speaker->index));
	snprintf(name, sizeof(name), "load%s", id);
	snprintf(room, sizeof(room), "%s%u", l->o->room_prefix, l->o->first_room + speaker->room);
	len = snprintf(want, sizeof(want), "%s.%06u.%010" PRIu64 ".%016" PRIx64, l->run,
		speaker->index, number, sent);
	put_filler(l->o, speaker->index, want + len);
	want[l->o->size] = '\0';
	is_good = strcmp(string_of(object, "status"), "OK") == 0 &&
		strcmp(string_of(object, "userId"), id) == 0 &&
		strcmp(string_of(object, "username"), name) == 0 &&
		strcmp(string_of(object, "message"), want) == 0 &&
		strcmp(string_of(object, "messageType"), "TEXT") == 0 &&
		strcmp(string_of(object, "roomId"), room) == 0 &&
		strlen(string_of(object, "timestamp")) == 24 &&
		strlen(string_of(object, "serverTimestamp")) >= 20 &&
		string_of(object, "messageId")[0] != '\0';
	json_decref(object);
	return is_good;
}

/* A copy of what was said in the measured part. */
static void
count_copy(struct load *l, const struct user *listener, const struct user *speaker,
	enum heard heard, uint64_t number, uint64_t sent)
{
	struct tally *tally = &l->r->rooms[listener->room];
	uint64_t us = sent < l->now_ns ? (l->now_ns - sent) / 1000 : 0;

	if (heard == HEARD_AGAIN) {
		tally->duplicated++;
		return;
	}
	l->received++;
	if (number < speaker->warmup)
		return;
	tally->received++;
	tally->reordered += heard == HEARD_LATE;
	sl_hist_add(&l->r->latency, us);
	sl_hist_add(&l->recent, us);
	l->so_far.received++;
	l->heard_ns = l->now_ns;
}

/* Where its message begins, as most servers write it. */
static const char *
find_message(const struct frame *f)
{
	static const char before[] = "\"message\":\"";
	const char *at = memmem(f->data, f->len, before, sizeof(before) - 1);

	return at != NULL ? at + sizeof(before) - 1 : NULL;
}

/* @return false: it is not of this run */
static bool
hear_copy(struct load *l, struct user *u, const struct frame *f, const char *at, const char *end)
{
	uint64_t index, number, sent;
	struct user *speaker;
	enum heard heard;

	if (at == NULL || end - at < TEXT_MIN || memcmp(at, l->run, RUN_LEN) != 0 ||
		at[RUN_LEN] != '.')
		return false;
	at += RUN_LEN + 1;
	if (!take_digits(&at, USER_LEN, 10, '.', &index) ||
		!take_digits(&at, NUMBER_LEN, 10, '.', &number) ||
		!take_digits(&at, SENT_LEN, 16, at[SENT_LEN], &sent))
		return false;
	speaker = index < l->nb_users ? l->users[index] : NULL;
	heard = speaker == NULL || speaker->room != u->room
		? HEARD_NEVER_SAID
		: ledger_hear(&l->ledger, u->index, speaker->index % l->o->users, number,
			  speaker->said);
	if (heard == HEARD_NEVER_SAID ||
		(l->o->check != 0 && l->frames % l->o->check == 0 &&
			!is_as_said(l, speaker, f, number, sent)))
		l->r->rooms[u->room].wrong++;
	if (heard == HEARD_NEVER_SAID)
		return true;
	if (speaker == u && heard != HEARD_AGAIN)
		u->back++;
	count_copy(l, u, speaker, heard, number, sent);
	return true;
}

/* Somebody's coming, an error, or what others say. */
static void
hear_other(struct load *l, struct user *u, const struct frame *f)
{
	struct tally *tally = &l->r->rooms[u->room];
	json_t *object = json_loadb((const char *)f->data, f->len, 0, NULL);
	const char *text;

	if (strcmp(string_of(object, "status"), "ERROR") == 0) {
		if (l->r->first_error[0] == '\0')
			snprintf(l->r->first_error, sizeof(l->r->first_error), "%s",
				string_of(object, "message"));
		tally->refused++;
		/* One of ours that does not come back. */
		u->back += u->back < u->said;
		l->expected -= l->o->users;
	} else if (object == NULL) {
		tally->wrong++;
	} else if (strcmp(string_of(object, "messageType"), "JOIN") == 0) {
		if (!u->has_joined &&
			(uint32_t)atoi(string_of(object, "userId")) == user_id(l, u->index)) {
			u->has_joined = true;
			l->nb_joined++;
		}
	} else if (strcmp(string_of(object, "messageType"), "LEAVE") != 0) {
		text = string_of(object, "message");
		if (!hear_copy(l, u, f, text, text + strlen(text)))
			tally->foreign++;
	}
	json_decref(object);
}

static bool
hear_frame(struct load *l, struct user *u, const struct frame *f)
{
	switch (f->opcode) {
	case OP_TEXT:
		l->frames++;
		if (!hear_copy(l, u, f, find_message(f), (const char *)f->data + f->len))
			hear_other(l, u, f);
		return true;
	case OP_PING:
		if (has_output_room(u))
			put_frame(l, u, OP_PONG, f->data, f->len);
		flush(l, u);
		return true;
	case OP_PONG:
		return true;
	case OP_CLOSE:
		if (l->r->first_error[0] == '\0' && f->len > 2)
			snprintf(l->r->first_error, sizeof(l->r->first_error), "closed: %.*s",
				(int)(f->len - 2), (const char *)f->data + 2);
		return false;
	}
	return false;
}

static void
hear(struct load *l, struct user *u)
{
	uint8_t *at = l->buffer, *end;
	struct frame frame;
	ssize_t n;

	memcpy(at, u->left, u->left_len);
	n = read(u->fd, at + u->left_len, READ_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lose(l, u);
		return;
	}
	l->now_ns = l->last_ns = now();
	end = at + u->left_len + n;
	while ((n = frame_parse(at, (size_t)(end - at), &frame)) > 0) {
		if (!hear_frame(l, u, &frame)) {
			lose(l, u);
			return;
		}
		at += n;
	}
	u->left_len = (size_t)(end - at);
	if (n < 0 || u->left_len > LEFT_MAX) {
		l->r->rooms[u->room].wrong++;
		lose(l, u);
		return;
	}
	memcpy(u->left, at, u->left_len);
	speak_all(l, u);
}

/* The course of it. */

static void
end_interval(struct load *l)
{
	struct interval *i = &l->so_far, *all;

	l->so_far.seconds = (double)(l->now_ns - l->interval_ns) / 1e9;
	l->so_far.at_s = (double)(l->now_ns - l->begin_ns) / 1e9;
	i->p50_us = sl_hist_quantile(&l->recent, 0.5);
	i->p99_us = sl_hist_quantile(&l->recent, 0.99);
	i->max_us = l->recent.max;
	all = realloc(l->r->intervals, (l->r->nb_intervals + 1) * sizeof(*all));
	if (all != NULL) {
		l->r->intervals = all;
		all[l->r->nb_intervals++] = *i;
	}
	report_live(l->o, l->r, i);
	*i = (struct interval){0};
	memset(&l->recent, 0, sizeof(l->recent));
	l->interval_ns = l->now_ns;
}

static void
begin_phase(struct load *l, enum phase phase)
{
	l->phase = phase;
	l->now_ns = l->last_ns = now();
	if (phase == WARMING || phase == MEASURING) {
		l->begin_ns = l->interval_ns = l->heard_ns = l->now_ns;
		l->limit = l->said;
		for (uint32_t i = 0; i < l->nb_users; i++)
			speak_all(l, l->users[i]);
	}
}

static bool
all_heard(const struct load *l, uint64_t messages)
{
	return l->said >= messages && l->received >= l->expected;
}

/* @return false: it is over */
static bool
go_on(struct load *l)
{
	uint64_t silent_ms = (l->now_ns - l->last_ns) / 1000000;

	if (is_interrupted || l->nb_gone == l->nb_users ||
		(l->phase != QUIET && silent_ms >= l->o->timeout_s * UINT64_C(1000))) {
		l->r->is_cut = true;
		return false;
	}
	if (l->phase == JOINING && l->nb_joined == l->nb_users)
		begin_phase(l, WARMING);
	else if (l->phase == WARMING && all_heard(l, l->o->warmup))
		begin_phase(l, MEASURING);
	else if (l->phase == MEASURING && all_heard(l, l->o->warmup + l->o->messages))
		begin_phase(l, QUIET);
	else if (l->phase == QUIET && silent_ms >= QUIET_MS)
		return false;
	if (l->phase == MEASURING && l->now_ns - l->interval_ns >= 1000000000)
		end_interval(l);
	return true;
}

static void
run(struct load *l)
{
	struct epoll_event events[EVENTS];
	int n;

	begin_phase(l, JOINING);
	while (go_on(l)) {
		n = epoll_wait(l->epoll, events, EVENTS, l->o->rate != 0 ? 1 : 20);
		l->now_ns = now();
		set_stamp(l);
		for (int i = 0; i < n; i++) {
			struct user *u = events[i].data.ptr;

			if (u->fd >= 0 && (events[i].events & EPOLLOUT) != 0) {
				flush(l, u);
				speak_all(l, u);
			}
			if (u->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT) != 0)
				hear(l, u);
		}
		speak_due(l);
	}
}

/* Before and after. */

static int
come(struct load *l, uint32_t room, int receive_max)
{
	char id[ROOM_ID_MAX + 1];

	snprintf(id, sizeof(id), "%s%u", l->o->room_prefix, l->o->first_room + room);
	return room_connect(l->o, id, receive_max);
}

static size_t
make_join(const struct load *l, uint32_t index, char *text)
{
	return (size_t)sprintf(text,
		"{\"userId\":\"%u\",\"username\":\"load%u\",\"message\":\"Hello\","
		"\"timestamp\":\"%.24s\",\"messageType\":\"JOIN\"}",
		user_id(l, index), user_id(l, index), l->stamp);
}

static bool
add_user(struct load *l, uint32_t index)
{
	struct user *u = calloc(1, sizeof(*u));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = u};
	const struct options *o = l->o;
	uint32_t n = o->rooms * o->users;
	char join[256];

	if (u == NULL)
		return false;
	l->users[l->nb_users++] = u;
	u->index = index;
	u->room = index / o->users;
	u->warmup = o->warmup / n + (index < o->warmup % n);
	u->all = u->warmup + o->messages / n + (index < o->messages % n);
	make_text(l, u);
	u->fd = come(l, u->room, 0);
	if (u->fd < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, u->fd, &event) != 0)
		return false;
	put_frame(l, u, OP_TEXT, join, make_join(l, index, join));
	return true;
}

/* One who joins, and never reads. */
static bool
add_deaf(struct load *l, uint32_t i)
{
	uint32_t index = l->o->rooms * l->o->users + i;
	char join[256];
	uint8_t frame[FRAME_MAX];
	size_t len = make_join(l, index, join);
	int fd = come(l, i / l->o->deaf, DEAF_RECEIVES);

	if (fd < 0)
		return false;
	l->deaf[l->nb_deaf++] = fd;
	memcpy(frame + frame_header_len(len), join, len);
	frame_seal(frame, OP_TEXT, next_mask(l), len);
	return write(fd, frame, frame_header_len(len) + len) > 0;
}

static bool
begin(struct load *l, const struct options *o, struct result *r)
{
	uint32_t n = o->rooms * o->users, seed;
	uint64_t numbers = (o->warmup + o->messages) / n + 3;

	l->o = o;
	l->r = r;
	l->users = calloc(n, sizeof(struct user *));
	l->deaf = calloc((size_t)o->rooms * o->deaf + 1, sizeof(*l->deaf));
	r->rooms = calloc(o->rooms, sizeof(*r->rooms));
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ledger_init(&l->ledger, o, numbers) != 0 || l->users == NULL || l->deaf == NULL ||
		r->rooms == NULL || l->epoll < 0) {
		fprintf(stderr, "room-load: no memory\n");
		return false;
	}
	if (getrandom(&l->random, sizeof(l->random), 0) != sizeof(l->random) || l->random == 0)
		l->random = now();
	seed = (uint32_t)(l->random >> 32);
	snprintf(l->run, sizeof(l->run), "%08x", seed);
	set_stamp(l);
	for (uint32_t i = 0; i < o->rooms * o->deaf; i++) {
		if (!add_deaf(l, i))
			return false;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!add_user(l, i))
			return false;
	}
	for (uint32_t i = 0; i < n; i++)
		flush(l, l->users[i]);
	return true;
}

static void
leave(struct load *l)
{
	static const uint8_t normal[] = {1000 >> 8, 1000 & 0xff};

	for (uint32_t i = 0; i < l->nb_users; i++) {
		struct user *u = l->users[i];

		if (u->fd >= 0 && has_output_room(u)) {
			put_frame(l, u, OP_CLOSE, normal, sizeof(normal));
			flush(l, u);
		}
		if (u->fd >= 0)
			close(u->fd);
		free(u);
	}
	for (uint32_t i = 0; i < l->nb_deaf; i++)
		close(l->deaf[i]);
	if (l->epoll >= 0)
		close(l->epoll);
	ledger_fini(&l->ledger);
	free(l->users);
	free(l->deaf);
}

static void
add_up(struct load *l)
{
	struct result *r = l->r;
	struct tally *t = &r->total;

	for (uint32_t i = 0; i < l->o->rooms; i++) {
		struct tally *room = &r->rooms[i];
		uint64_t due = room->expected - room->refused * l->o->users;

		room->lost = due > room->received ? due - room->received : 0;
		for (size_t n = 0; n < sizeof(*t) / sizeof(uint64_t); n++)
			((uint64_t *)t)[n] += ((const uint64_t *)room)[n];
	}
	r->sent = t->sent;
	r->received = t->received;
	r->seconds = (double)(l->heard_ns - l->begin_ns) / 1e9;
}

int
load_run(const struct options *o, struct result *r)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct load *l = calloc(1, sizeof(*l));
	int rc = -1;

	if (l == NULL)
		return -1;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (begin(l, o, r)) {
		run(l);
		rc = l->phase == MEASURING || l->phase == QUIET ? 0 : -1;
		if (rc == 0 && l->so_far.received + l->so_far.sent > 0)
			end_interval(l);
		if (rc != 0)
			fprintf(stderr, "room-load: %u of %u users came in, and %s: %s\n",
				l->nb_joined, l->nb_users,
				l->phase == JOINING ? "not all joined" : "the warm-up did not end",
				r->first_error[0] != '\0' ? r->first_error : "no answer");
		add_up(l);
	}
	leave(l);
	free(l);
	return rc;
}
