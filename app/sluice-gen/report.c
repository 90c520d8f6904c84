/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <inttypes.h>

#include "report.h"

#define NS_PER_US 1000.0

void
report_conclude(struct report *r)
{
	const struct sink *s = r->sink;

	if (r->tx != NULL) {
		r->nb_sent = r->tx->nb_originals;
		r->nb_given_up = r->tx->nb_built - r->tx->nb_originals;
	} else {
		/* Without word of the sender: what it was to send, or what must have been. */
		r->nb_sent = r->options->count != UINT64_MAX ? r->options->count : s->ledger.top;
	}
	r->has_ledger = s != NULL && s->verify != OPTIONS_VERIFY_NONE;
	if (r->tx != NULL && r->tx->has_session)
		r->nb_not_acked = r->nb_sent - RTE_MIN(r->nb_sent, r->tx->acked.nb_acked);
	r->is_clean = r->nb_given_up == 0 && r->nb_not_acked == 0 &&
		(s == NULL || sink_nb_bad(s) == 0);
	if (!r->has_ledger)
		return;
	r->nb_lost = r->nb_sent - RTE_MIN(r->nb_sent, s->ledger.nb_delivered);
	if (s->ledger.nb_duplicated + s->ledger.nb_reordered + s->ledger.nb_late + s->nb_corrupt +
				s->nb_unknown >
			0 ||
		(r->nb_lost > 0 && !r->options->is_loss_allowed))
		r->is_clean = false;
}

static double
per_second(uint64_t nb, uint64_t first_ns, uint64_t last_ns)
{
	return last_ns > first_ns ? (double)nb * 1e9 / (double)(last_ns - first_ns) : 0;
}

static double
ratio(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (double)part / (double)whole;
}

static uint64_t
sent_of_class(const struct report *r, uint32_t i)
{
	return r->tx == NULL ? 0 : r->tx->packer.nb_by_class[i];
}

static void
print_tx_text(const struct report *r, FILE *out)
{
	const struct tx *t = r->tx;

	fprintf(out,
		"sent        %" PRIu64 " messages (and %" PRIu64 " copies) in %" PRIu64
		" frames, %" PRIu64 " bytes\n"
		"            %.3f M messages/s, %.0f busy cycles a message, busy %.0f %% of the "
		"time, TX ring full in %.0f %% of the turns\n",
		t->nb_originals, t->nb_messages - t->nb_originals, t->nb_frames, t->nb_bytes,
		per_second(t->nb_messages, t->first_ns, t->last_ns) / 1e6,
		ratio(t->busy_cycles, t->nb_messages),
		100 * ratio(t->busy_cycles, r->tx_elapsed_cycles),
		100 * ratio(t->nb_full_turns, t->nb_turns));
	if (r->nb_given_up > 0)
		fprintf(out, "given up    %" PRIu64 " messages that the port did not take\n",
			r->nb_given_up);
}

static void
print_acked_text(const struct report *r, FILE *out)
{
	const struct acked *a = &r->tx->acked;

	fprintf(out,
		"acked       %" PRIu64 " messages, %.3f M/s; %" PRIu64 " sent again, %" PRIu64
		" sessions refused; from sending to ack p50 %.1f us, p99 %.1f us\n",
		a->nb_acked, per_second(a->nb_acked, r->tx->first_ns, a->progress_ns) / 1e6,
		a->nb_resent, a->nb_refused,
		(double)sl_hist_quantile(&a->latency_ns, 0.5) / NS_PER_US,
		(double)sl_hist_quantile(&a->latency_ns, 0.99) / NS_PER_US);
	if (r->nb_not_acked > 0)
		fprintf(out, "not acked   %" PRIu64 "\n", r->nb_not_acked);
}

static void
print_bad_text(const struct sink *s, FILE *out)
{
	for (unsigned int i = 0; i < SINK_NET_ERRORS; i++) {
		if (s->bad_net[i] > 0)
			fprintf(out, "bad frames  %" PRIu64 " %s\n", s->bad_net[i],
				sl_net_strerror(i));
	}
	for (unsigned int i = 0; i < SINK_WIRE_ERRORS; i++) {
		if (s->bad_wire[i] > 0)
			fprintf(out, "bad frames  %" PRIu64 " %s\n", s->bad_wire[i],
				sl_wire_strerror(i));
	}
}

static void
print_rx_text(const struct report *r, FILE *out)
{
	const struct sink *s = r->sink;

	fprintf(out,
		"received    %" PRIu64 " messages in %" PRIu64 " frames, %" PRIu64
		" bytes; %" PRIu64 " other frames, %" PRIu64 " ARP answers\n"
		"            %.3f M messages/s, %.0f busy cycles a message, busy %.0f %% of the "
		"time; the port missed %" PRIu64 " frames\n",
		s->nb_messages, s->nb_frames, s->nb_bytes, s->nb_ignored, r->nb_arp_answered,
		per_second(s->nb_messages, s->first_ns, s->last_ns) / 1e6,
		ratio(s->busy_cycles, s->nb_messages),
		100 * ratio(s->busy_cycles, r->rx_elapsed_cycles),
		r->rx_stats.imissed + r->rx_stats.rx_nombuf);
	print_bad_text(s, out);
	if (!r->has_ledger)
		return;
	fprintf(out,
		"delivered   %" PRIu64 "\nlost        %" PRIu64 "%s\nduplicated  %" PRIu64
		"\nreordered   %" PRIu64 "\ncorrupt     %" PRIu64 "\nunknown     %" PRIu64 "\n",
		s->ledger.nb_delivered, r->nb_lost,
		r->nb_lost > 0 && r->options->is_loss_allowed ? " (allowed)" : "",
		s->ledger.nb_duplicated, s->ledger.nb_reordered, s->nb_corrupt, s->nb_unknown);
	if (s->ledger.nb_late > 0)
		fprintf(out, "late        %" PRIu64 ": beyond the ledger's --window\n",
			s->ledger.nb_late);
}

static void
print_classes_text(const struct report *r, FILE *out)
{
	const struct traffic_params *p = &r->traffic->params;
	const struct sl_hist *h;

	fprintf(out,
		"class         sent   delivered     mean us      p50      p99    p99.9      "
		"max\n");
	for (uint32_t i = 0; i < p->nb_classes; i++) {
		h = &r->sink->latency_ns[i];
		fprintf(out, "%5u %12" PRIu64 "%12" PRIu64 "%12.1f%9.1f%9.1f%9.1f%9.1f\n",
			p->classes[i].level, sent_of_class(r, i), r->sink->delivered_by_class[i],
			sl_hist_mean(h) / NS_PER_US, (double)sl_hist_quantile(h, 0.5) / NS_PER_US,
			(double)sl_hist_quantile(h, 0.99) / NS_PER_US,
			(double)sl_hist_quantile(h, 0.999) / NS_PER_US, (double)h->max / NS_PER_US);
	}
}

static void
print_destinations(const struct report *r, FILE *out, bool is_json)
{
	const struct traffic_names *names = &r->traffic->params.destinations;
	char name[TRAFFIC_NAME_MAX + 1];
	uint64_t sent, delivered;

	for (uint32_t i = 0; i < names->nb; i++) {
		traffic_name(names, i, name, sizeof(name));
		sent = r->tx == NULL ? 0 : r->tx->packer.nb_by_destination[i];
		delivered = r->sink == NULL ? 0 : r->sink->delivered_by_destination[i];
		if (is_json)
			fprintf(out, "%s\"%s\":{\"sent\":%" PRIu64 ",\"delivered\":%" PRIu64 "}",
				i == 0 ? "" : ",", name, sent, delivered);
		else
			fprintf(out, "%-31s sent %12" PRIu64 " delivered %12" PRIu64 "\n", name,
				sent, delivered);
	}
}

void
report_print_text(const struct report *r, FILE *out)
{
	fprintf(out, "----- SLUICE-GEN, SEED %" PRIu64 " -----\n", r->traffic->params.seed);
	if (r->tx != NULL)
		print_tx_text(r, out);
	if (r->tx != NULL && r->tx->has_session)
		print_acked_text(r, out);
	if (r->sink != NULL)
		print_rx_text(r, out);
	if (r->has_ledger)
		print_classes_text(r, out);
	if (r->options->has_destinations_report)
		print_destinations(r, out, false);
	if (r->has_ledger)
		fprintf(out, "ledger: %s\n", r->is_clean ? "clean" : "NOT CLEAN");
	else if (!r->is_clean)
		fprintf(out, "NOT CLEAN\n");
}

static void
print_tx_json(const struct report *r, FILE *out)
{
	const struct tx *t = r->tx;

	fprintf(out,
		"\"tx\":{\"frames\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"copies\":%" PRIu64
		",\"bytes\":%" PRIu64 ",\"given_up\":%" PRIu64
		",\"frames_per_s\":%.0f,\"messages_per_s\":%.0f,\"busy_cycles\":%" PRIu64
		",\"cycles_per_message\":%.1f,\"busy_share\":%.4f,\"turns\":%" PRIu64
		",\"full_turns\":%" PRIu64 ",\"no_mbuf_turns\":%" PRIu64 ",\"port_errors\":%" PRIu64
		"},",
		t->nb_frames, t->nb_messages, t->nb_messages - t->nb_originals, t->nb_bytes,
		r->nb_given_up, per_second(t->nb_frames, t->first_ns, t->last_ns),
		per_second(t->nb_messages, t->first_ns, t->last_ns), t->busy_cycles,
		ratio(t->busy_cycles, t->nb_messages), ratio(t->busy_cycles, r->tx_elapsed_cycles),
		t->nb_turns, t->nb_full_turns, t->nb_no_mbuf_turns, r->tx_stats.oerrors);
}

static void
print_acked_json(const struct report *r, FILE *out)
{
	const struct acked *a = &r->tx->acked;

	fprintf(out,
		"\"acked\":{\"messages\":%" PRIu64 ",\"messages_per_s\":%.0f,\"not_acked\":%" PRIu64
		",\"sent_again\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"bad_acks\":%" PRIu64
		",\"latency_us\":{\"mean\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}},",
		a->nb_acked, per_second(a->nb_acked, r->tx->first_ns, a->progress_ns),
		r->nb_not_acked, a->nb_resent, a->nb_refused, a->nb_bad,
		sl_hist_mean(&a->latency_ns) / NS_PER_US,
		(double)sl_hist_quantile(&a->latency_ns, 0.5) / NS_PER_US,
		(double)sl_hist_quantile(&a->latency_ns, 0.99) / NS_PER_US,
		(double)a->latency_ns.max / NS_PER_US);
}

static void
print_bad_json(const struct sink *s, FILE *out)
{
	const char *comma = "";

	fprintf(out, "\"bad_frames\":{");
	for (unsigned int i = 0; i < SINK_NET_ERRORS; i++) {
		if (s->bad_net[i] == 0)
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, comma, sl_net_strerror(i), s->bad_net[i]);
		comma = ",";
	}
	for (unsigned int i = 0; i < SINK_WIRE_ERRORS; i++) {
		if (s->bad_wire[i] == 0)
			continue;
		fprintf(out, "%s\"%s\":%" PRIu64, comma, sl_wire_strerror(i), s->bad_wire[i]);
		comma = ",";
	}
	fprintf(out, "},");
}

static void
print_rx_json(const struct report *r, FILE *out)
{
	const struct sink *s = r->sink;

	fprintf(out,
		"\"rx\":{\"frames\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"other_frames\":%" PRIu64 ",\"arp_answered\":%" PRIu64 ",\"missed\":%" PRIu64
		",\"no_mbuf\":%" PRIu64 ",",
		s->nb_frames, s->nb_messages, s->nb_bytes, s->nb_ignored, r->nb_arp_answered,
		r->rx_stats.imissed, r->rx_stats.rx_nombuf);
	print_bad_json(s, out);
	fprintf(out,
		"\"frames_per_s\":%.0f,\"messages_per_s\":%.0f,\"busy_cycles\":%" PRIu64
		",\"cycles_per_message\":%.1f,\"busy_share\":%.4f,\"turns\":%" PRIu64 "},",
		per_second(s->nb_frames, s->first_ns, s->last_ns),
		per_second(s->nb_messages, s->first_ns, s->last_ns), s->busy_cycles,
		ratio(s->busy_cycles, s->nb_messages), ratio(s->busy_cycles, r->rx_elapsed_cycles),
		s->nb_turns);
}

static void
print_ledger_json(const struct report *r, FILE *out)
{
	const struct traffic_params *p = &r->traffic->params;
	const struct sink *s = r->sink;
	const struct sl_hist *h;

	fprintf(out,
		"\"delivered\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"duplicated\":%" PRIu64
		",\"reordered\":%" PRIu64 ",\"corrupt\":%" PRIu64 ",\"unknown\":%" PRIu64
		",\"late\":%" PRIu64 ",\"by_class\":{",
		s->ledger.nb_delivered, r->nb_lost, s->ledger.nb_duplicated, s->ledger.nb_reordered,
		s->nb_corrupt, s->nb_unknown, s->ledger.nb_late);
	for (uint32_t i = 0; i < p->nb_classes; i++) {
		h = &s->latency_ns[i];
		fprintf(out,
			"%s\"%u\":{\"sent\":%" PRIu64 ",\"delivered\":%" PRIu64
			",\"latency_us\":{\"mean\":%.3f,\"p50\":%.3f,\"p99\":%.3f,\"p99_9\":%.3f,"
			"\"max\":%.3f}}",
			i == 0 ? "" : ",", p->classes[i].level, sent_of_class(r, i),
			s->delivered_by_class[i], sl_hist_mean(h) / NS_PER_US,
			(double)sl_hist_quantile(h, 0.5) / NS_PER_US,
			(double)sl_hist_quantile(h, 0.99) / NS_PER_US,
			(double)sl_hist_quantile(h, 0.999) / NS_PER_US, (double)h->max / NS_PER_US);
	}
	fprintf(out, "},");
}

void
report_print_json(const struct report *r, FILE *out)
{
	fprintf(out, "{\"seed\":%" PRIu64 ",\"sent\":%" PRIu64 ",", r->traffic->params.seed,
		r->nb_sent);
	if (r->tx != NULL)
		print_tx_json(r, out);
	if (r->tx != NULL && r->tx->has_session)
		print_acked_json(r, out);
	if (r->sink != NULL)
		print_rx_json(r, out);
	if (r->has_ledger)
		print_ledger_json(r, out);
	if (r->options->has_destinations_report) {
		fprintf(out, "\"by_destination\":{");
		print_destinations(r, out, true);
		fprintf(out, "},");
	}
	fprintf(out, "\"clean\":%s}\n", r->is_clean ? "true" : "false");
}
