/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "plot.h"

enum { WIDTH = 800, PANEL = 220, LEFT = 90, RIGHT = 20, TOP = 40, BETWEEN = 60, STEPS = 4 };

struct line {
	const char *name;
	const char *color;
	double (*value)(const struct interval *i);
};

static double
sent(const struct interval *i)
{
	return (double)i->sent / i->seconds;
}

static double
received(const struct interval *i)
{
	return (double)i->received / i->seconds;
}

static double
p50(const struct interval *i)
{
	return (double)i->p50_us / 1e3;
}

static double
p99(const struct interval *i)
{
	return (double)i->p99_us / 1e3;
}

/* The least of 1, 2, 5, 10, 20, ... that is not below it. */
static double
round_up(double value)
{
	double step = 1e-3;

	for (;; step *= 10) {
		if (value <= step)
			return step;
		if (value <= 2 * step)
			return 2 * step;
		if (value <= 5 * step)
			return 5 * step;
	}
}

static double
max_of(const struct result *r, const struct line *lines, int nb)
{
	double max = 0;

	for (uint32_t i = 0; i < r->nb_intervals; i++) {
		for (int n = 0; n < nb; n++) {
			double value = lines[n].value(&r->intervals[i]);

			max = value > max ? value : max;
		}
	}
	return round_up(max);
}

static void
draw_panel(FILE *f, const struct result *r, const char *title, int top, const struct line *lines,
	int nb)
{
	double top_value = max_of(r, lines, nb), end_s = r->intervals[r->nb_intervals - 1].at_s;
	int width = WIDTH - LEFT - RIGHT, bottom = top + PANEL;

	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", LEFT, top - 10, title);
	for (int i = 0; i <= STEPS; i++) {
		int y = bottom - PANEL * i / STEPS;

		fprintf(f,
			"<path d=\"M%d %dH%d\" stroke=\"#ccc\"/>\n"
			"<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%g</text>\n",
			LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, top_value * i / STEPS);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.1f s</text>\n", WIDTH - RIGHT,
		bottom + 18, end_s);
	for (int n = 0; n < nb; n++) {
		fprintf(f, "<text x=\"%d\" y=\"%d\" fill=\"%s\" text-anchor=\"end\">%s</text>\n",
			WIDTH - RIGHT - n * 90, top - 10, lines[n].color, lines[n].name);
		fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
			lines[n].color);
		for (uint32_t i = 0; i < r->nb_intervals; i++)
			fprintf(f, "%.1f,%.1f ", LEFT + width * r->intervals[i].at_s / end_s,
				bottom - PANEL * lines[n].value(&r->intervals[i]) / top_value);
		fprintf(f, "\"/>\n");
	}
}

bool
plot_write(FILE *f, const struct options *o, const struct result *r)
{
	static const struct line rates[] = {
		{"received", "#0a58ca", received}, {"sent", "#b02a37", sent}};
	static const struct line latencies[] = {{"p99", "#b02a37", p99}, {"p50", "#0a58ca", p50}};
	int height = TOP + 2 * PANEL + 2 * BETWEEN;

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, height);
	if (r->nb_intervals > 0) {
		draw_panel(f, r, "messages a second", TOP, rates, 2);
		draw_panel(f, r, "end to end, ms", TOP + PANEL + BETWEEN, latencies, 2);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\">%u rooms of %u users</text>\n</svg>\n", LEFT,
		height - 20, o->rooms, o->users);
	return ferror(f) == 0;
}
