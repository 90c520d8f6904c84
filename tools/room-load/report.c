/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "plot.h"
#include "room_load.h"

#define LIVE_ROOMS 32u /* More are not shown while it runs. */

static const char head[] = "%10s %10s %10s %8s %6s %9s %7s %6s\n";

static void
print_row(FILE *f, const char *name, const struct tally *t)
{
	fprintf(f,
		"%10s %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %6" PRIu64 " %9" PRIu64 " %7" PRIu64
		" %6" PRIu64 "\n",
		name, t->sent, t->received, t->lost, t->duplicated, t->reordered, t->refused,
		t->wrong);
}

static void
print_rooms(FILE *f, const struct options *o, const struct result *r, uint32_t nb)
{
	char name[ROOM_ID_MAX + 1];

	fprintf(f, head, "room", "sent", "received", "lost", "twice", "reordered", "refused",
		"wrong");
	for (uint32_t i = 0; i < nb; i++) {
		snprintf(name, sizeof(name), "%s%u", o->room_prefix, o->first_room + i);
		print_row(f, name, &r->rooms[i]);
	}
}

/* On a terminal the table of rooms stays where it is; lost is known at the end only. */
void
report_live(const struct options *o, const struct result *r, const struct interval *i)
{
	static uint32_t lines;
	uint32_t nb = o->rooms < LIVE_ROOMS ? o->rooms : LIVE_ROOMS;

	if (o->is_quiet)
		return;
	if (isatty(STDERR_FILENO)) {
		if (lines > 0)
			fprintf(stderr, "\033[%uA\033[J", lines);
		print_rooms(stderr, o, r, nb);
		lines = nb + 2;
	}
	fprintf(stderr,
		"%6.1f s  %9.0f sent/s  %9.0f received/s  p50 %.2f ms  p99 %.2f ms  max %.2f ms\n",
		i->at_s, (double)i->sent / i->seconds, (double)i->received / i->seconds,
		(double)i->p50_us / 1e3, (double)i->p99_us / 1e3, (double)i->max_us / 1e3);
}

static double
quantile_ms(const struct result *r, double q)
{
	return (double)sl_hist_quantile(&r->latency, q) / 1e3;
}

static double
share_of(const struct tally *t)
{
	return t->expected == 0 ? 0 : (double)t->received / (double)t->expected;
}

static double
rate_of(const struct result *r, uint64_t count)
{
	return r->seconds > 0 ? (double)count / r->seconds : 0;
}

void
report_table(const struct options *o, const struct result *r)
{
	FILE *f = o->json != NULL && strcmp(o->json, "-") == 0 ? stderr : stdout;

	print_rooms(f, o, r, o->rooms);
	print_row(f, "all", &r->total);
	fprintf(f, "\n%.2f s: %.0f messages/s in, %.0f frames/s out, %.4f %% of the copies came\n",
		r->seconds, rate_of(r, r->sent), rate_of(r, r->received),
		100 * share_of(&r->total));
	fprintf(f, "end to end: p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, max %.2f ms\n",
		quantile_ms(r, 0.5), quantile_ms(r, 0.95), quantile_ms(r, 0.99),
		(double)r->latency.max / 1e3);
	if (r->total.foreign > 0)
		fprintf(f, "others were in the rooms, too: %" PRIu64 " of their messages came\n",
			r->total.foreign);
	if (r->closed > 0)
		fprintf(f, "%" PRIu64 " connections were closed by the server\n", r->closed);
	if (r->is_cut)
		fprintf(f, "it was not over: %s\n",
			r->closed > 0 ? "nobody was left"
				      : "interrupted, or nothing came any more");
	if (r->first_error[0] != '\0')
		fprintf(f, "the first error: %s\n", r->first_error);
}

bool
report_is_good(const struct result *r)
{
	const struct tally *t = &r->total;

	return !r->is_cut && r->closed == 0 && t->lost == 0 && t->duplicated == 0 &&
		t->reordered == 0 && t->refused == 0 && t->wrong == 0;
}

/* Files. */

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
show_tally(const struct tally *t)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "sent", number(t->sent),
		"expected", number(t->expected), "received", number(t->received), "lost",
		number(t->lost), "duplicated", number(t->duplicated), "reordered",
		number(t->reordered), "refused", number(t->refused), "wrong", number(t->wrong),
		"foreign", number(t->foreign));
}

static json_t *
show_intervals(const struct result *r)
{
	json_t *list = json_array();

	for (uint32_t n = 0; n < r->nb_intervals; n++) {
		const struct interval *i = &r->intervals[n];

		json_array_append_new(list,
			json_pack("{s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "at_s", i->at_s, "seconds",
				i->seconds, "sent", number(i->sent), "received",
				number(i->received), "p50_us", number(i->p50_us), "p99_us",
				number(i->p99_us), "max_us", number(i->max_us)));
	}
	return list;
}

static json_t *
show_histogram(const struct sl_hist *hist)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < SL_HIST_BUCKETS; i++) {
		if (hist->buckets[i] > 0)
			json_array_append_new(list,
				json_pack("[o, o]", number(sl_hist_bound(i)),
					number(hist->buckets[i])));
	}
	return list;
}

static json_t *
show(const struct options *o, const struct result *r)
{
	json_t *rooms = json_array(), *room;
	char name[ROOM_ID_MAX + 1];

	for (uint32_t i = 0; i < o->rooms; i++) {
		snprintf(name, sizeof(name), "%s%u", o->room_prefix, o->first_room + i);
		room = show_tally(&r->rooms[i]);
		json_object_set_new(room, "room", json_string(name));
		json_array_append_new(rooms, room);
	}
	return json_pack(
		"{s:b, s:f, s:f, s:f, s:f, s:o, s:o, s:b, s:s, s:{s:o, s:o, s:o, s:o, s:f, "
		"s:o}, s:o, s:o}",
		"good", report_is_good(r), "seconds", r->seconds, "sent_per_s", rate_of(r, r->sent),
		"received_per_s", rate_of(r, r->received), "success", share_of(&r->total), "total",
		show_tally(&r->total), "closed", number(r->closed), "cut", r->is_cut, "first_error",
		r->first_error, "latency_us", "p50", number(sl_hist_quantile(&r->latency, 0.5)),
		"p95", number(sl_hist_quantile(&r->latency, 0.95)), "p99",
		number(sl_hist_quantile(&r->latency, 0.99)), "max", number(r->latency.max), "mean",
		sl_hist_mean(&r->latency), "histogram", show_histogram(&r->latency), "rooms", rooms,
		"intervals", show_intervals(r));
}

static bool
write_json(FILE *f, const struct options *o, const struct result *r)
{
	json_t *object = show(o, r);
	bool is_good = object != NULL && json_dumpf(object, f, JSON_INDENT(1)) == 0 &&
		fputc('\n', f) != EOF;

	json_decref(object);
	return is_good;
}

static bool
write_csv(FILE *f, const struct options *o, const struct result *r)
{
	(void)o;
	fprintf(f, "at_s,sent_per_s,received_per_s,p50_ms,p99_ms,max_ms\n");
	for (uint32_t n = 0; n < r->nb_intervals; n++) {
		const struct interval *i = &r->intervals[n];

		fprintf(f, "%.3f,%.0f,%.0f,%.3f,%.3f,%.3f\n", i->at_s, (double)i->sent / i->seconds,
			(double)i->received / i->seconds, (double)i->p50_us / 1e3,
			(double)i->p99_us / 1e3, (double)i->max_us / 1e3);
	}
	return ferror(f) == 0;
}

static int
write_file(const char *path, const struct options *o, const struct result *r,
	bool (*write_it)(FILE *f, const struct options *o, const struct result *r))
{
	FILE *f;
	bool is_good;

	if (path == NULL)
		return 0;
	f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
	is_good = f != NULL && write_it(f, o, r);
	if (f != NULL && (f == stdout ? fflush(f) : fclose(f)) != 0)
		is_good = false;
	if (!is_good)
		fprintf(stderr, "room-load: %s: %s\n", path, strerror(errno));
	return is_good ? 0 : -1;
}

int
report_files(const struct options *o, const struct result *r)
{
	int rc = write_file(o->json, o, r, write_json);

	rc |= write_file(o->csv, o, r, write_csv);
	return rc | write_file(o->plot, o, r, plot_write);
}
