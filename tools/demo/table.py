# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The demo's two pictures: the live table and the final statistics, as lists of lines."""

import orders

LINE = "-" * 78


def total(reports, field):
    return sum(report.get(field, 0) for report in reports)


def merged(reports, field):
    """The counts under @field of all @reports, added up."""
    sums = {}
    for report in reports:
        for key, n in report.get(field, {}).items():
            sums[key] = sums.get(key, 0) + n
    return sums


def latency_steps(reports):
    return {int(step): n for step, n in merged(reports, "latency").items()}


def rate(now, before, seconds):
    return (now - before) / seconds if seconds > 0 else 0.0


def live(stats, before, seconds, senders, kitchens, title):
    """The live table: @before is the reading of @seconds ago, for the rates."""
    sent = total(senders.values(), "sent")
    again = total(senders.values(), "duplicates")
    arriving = rate(stats["received"], before["received"], seconds)
    leaving = rate(stats["delivered"], before["delivered"], seconds)
    drops = {**stats.dropped, **stats.frames_dropped}
    lines = [
        LINE,
        f"{title}   in {arriving:,.0f} msg/s   out {leaving:,.0f} msg/s",
        f"sent {sent:,} and {again:,} again   received {stats['received']:,}   "
        f"delivered {stats['delivered']:,}   duplicates {stats['duplicates']:,}   "
        f"queued {stats['queued']:,}",
        f"{'class':<14}{'delivered':>12}{'msg/s':>10}{'dropped':>10}{'mean us':>12}{'p99 us':>12}",
    ]
    for level, now in sorted(stats["by_class"].items()):
        then = before["by_class"].get(level, now)
        name = orders.CLASS_NAMES.get(int(level), "")
        speed = rate(now["delivered"], then["delivered"], seconds)
        lines.append(f"{level + ' ' + name:<14}{now['delivered']:>12,}{speed:>10,.0f}"
                     f"{now['dropped']:>10,}{now['latency_us']['mean']:>12,.0f}"
                     f"{now['latency_us']['p99']:>12,.0f}")
    lines.append(f"{'destination':<14}{'delivered':>12}{'msg/s':>10}{'dropped':>10}{'queued':>10}"
                 f"{'duplicates':>11}{'kitchen got':>12}{'p99 us':>9}")
    for table, now in sorted(stats["by_destination"].items()):
        then = before["by_destination"].get(table, now)
        speed = rate(now["delivered"], then["delivered"], seconds)
        kitchen = kitchens.get(table, {})
        p99 = orders.quantile(latency_steps([kitchen]), 0.99)
        lines.append(f"{table:<14}{now['delivered']:>12,}{speed:>10,.0f}{now['dropped']:>10,}"
                     f"{now['queued']:>10,}{now['duplicates']:>11,}"
                     f"{kitchen.get('received', 0):>12,}{p99:>9,}")
    lines.append("drops: " + (", ".join(f"{reason} {n:,}" for reason, n in sorted(drops.items()))
                              or "none"))
    return lines


def connectors(servers, before, seconds):
    """The message servers that the appliance connects to; @before as in live()."""
    known = {server["server"]: server for server in before}
    return [f"{server['server']:<16}{server['state']:<14}"
            f"in {rate(server['accepted'], known[server['server']]['accepted'], seconds):>7,.0f} "
            f"lines/s   taken in {server['accepted']:,}   refused {server['refused']:,}"
            for server in servers]


class Ledger:
    """What the three sides counted, and where they differ."""

    def __init__(self, stats, senders, kitchens):
        self.stats, self.senders, self.kitchens = stats, senders, kitchens
        self.latency = latency_steps(kitchens.values())
        self.rows = list(self._rows())
        self.problems = list(self._problems())

    def _rows(self):
        """(what, by the senders, by the appliance, by the receivers): equal when all is well."""
        stats, senders, kitchens = self.stats, self.senders.values(), self.kitchens
        yield ("total delivered", total(senders, "sent"), stats["delivered"],
               total(kitchens.values(), "received"))
        yield ("duplicates filtered", total(senders, "duplicates"), stats["duplicates"], None)
        sent = {tuple(order.split()): n for order, n in merged(senders, "by_order").items()}
        got = merged(kitchens.values(), "by_class")
        for level, name in orders.CLASS_NAMES.items():
            of_class = sum(n for order, n in sent.items() if orders.served_class(*order) == level)
            yield (f"priority {level} ({name})", of_class,
                   stats["by_class"][str(level)]["delivered"], got.get(str(level), 0))
        for table in orders.TABLES:
            yield (table + (" (VIP)" if table == orders.VIP else ""),
                   sum(n for order, n in sent.items() if order[0] == table),
                   stats["by_destination"][table]["delivered"], kitchens[table]["received"])

    def _problems(self):
        for what, sent, counted, got in self.rows:
            if sent != counted or got not in (None, counted):
                yield f"{what}: senders {sent}, appliance {counted}, receivers {got}"
        for table, kitchen in self.kitchens.items():
            for what in ("duplicates", "reordered", "foreign"):
                if kitchen[what]:
                    yield f"the kitchen of {table} got {kitchen[what]} {what} orders"
        for reason, n in self.stats.dropped.items():
            yield f"{n} messages dropped: {reason}"
        for reason, n in self.stats.frames_dropped.items():
            yield f"{n} frames dropped: {reason}"
        if self.stats["queued"]:
            yield f"{self.stats['queued']} messages still queued at the end"
        if not self.stats["delivered"]:
            yield "nothing was delivered"

    def lines(self):
        by_class = self.stats["by_class"].values()
        delivered = sum(c["delivered"] for c in by_class) or 1
        inside_mean = sum(c["delivered"] * c["latency_us"]["mean"] for c in by_class) / delivered
        inside_p99 = max(c["latency_us"]["p99"] for c in by_class)
        lines = [LINE, "DELIVERY STATISTICS",
                 f"{'':<24}{'senders':>16}{'appliance':>16}{'receivers':>16}"]
        for what, *counts in self.rows:
            lines.append(f"{what:<24}" +
                         "".join(f"{'' if n is None else format(n, ',d'):>16}" for n in counts))
        lines += [
            f"{'average latency, us':<24}{'':>16}{inside_mean:>16,.0f}"
            f"{orders.mean(self.latency):>16,.0f}",
            f"{'p99 latency, us':<24}{'':>16}{inside_p99:>16,.0f}"
            f"{orders.quantile(self.latency, 0.99):>16,.0f}",
            "The appliance's latency is from its receiving a message to its sending it (its p99 the",
            "slowest class's); the receivers' is from the order being sent to its being read.",
            LINE,
        ]
        if self.problems:
            lines += ["RESULT: THE LEDGERS DISAGREE"] + [f"  {problem}" for problem in self.problems]
        else:
            lines.append("RESULT: the ledgers agree: every order arrived once, nothing was lost")
        return lines
