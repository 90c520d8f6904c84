# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Sluice against dpdk-testpmd on the same rig, and how its cost grows."""

import argparse
import contextlib
import json
import platform
import subprocess
import sys
import tempfile
import time

import config
import durable
import gateway_beside
import gateway_http
import gateway_json
import gateway_line
import gateway_rooms
import recover
import topics
from beside import Beside, Busy, Clients
from rig import GEN_CORE, GEN_MAC, BenchError, Rig, has_huge_pages, median
from scraper import Scraper
from sinks import PAYLOAD, Sinks

BASE = {"destinations": 1000, "window": 1 << 20, "size": 128}
WINDOWS = (1 << 16, 1 << 20, 1 << 23)
DESTINATIONS = (4, 1000, 100_000)
SIZES = (16, 128, 512, 1024)

# What docs/performance.md promises.
RATIO_MIN = 0.5
CYCLES_MAX = 650
GROWTH_MAX = 1.6
SCRAPES_PER_S = 10
JOURNAL_RATE_MIN = 1e6  # Records of 192 bytes a second, made durable from one worker's ring.
JOURNAL_P99_MAX = 3  # At half of that, times the p99 of the disk's own writes and syncs.
SINK_RATIO_MIN = 0.6
SQLITE_MIN = 200_000
BESIDE_RATE_MIN = 0.98
BESIDE_P99_MAX = 1.04  # A step of the histogram is 3 %.


def say(text=""):
    print(text, flush=True)


def load_of(size, destinations):
    return {"size": size, "destinations": destinations, "sources": 64, "classes": "1:20,2:30,3:50"}


class Bench:
    def __init__(self, rig, rounds, journal_dir):
        self.rig = rig
        self.journal_dir = journal_dir
        self.rounds = rounds
        self.results = {}
        self.missed = []

    def measure(self, **change):
        """One run of Sluice with the base configuration but for what is named."""
        case = {**BASE, **change}
        path = self.rig.path("sluice.yaml")
        config.write(path, GEN_MAC, case["destinations"], case["window"])
        return self.rig.sluice_run(path, load_of(case["size"], case["destinations"]))

    def check(self, what, value, bound, is_ok):
        if not is_ok:
            self.missed.append(f"{what}: {value:.2f}, wanted {bound}")
        return "" if is_ok else "   MISSED"

    def against_testpmd(self):
        say(f"\n128-byte payloads, distinct ids, window 1 M, 1,000 destinations, 3 classes; "
            f"{self.rounds} rounds in turn")
        say(f"  {'round':>5} {'testpmd 5tswap':>16} {'sluice':>12} {'ratio':>6} "
            f"{'cycles/msg':>10} {'path busy':>9}  limit")
        rounds = []
        for i in range(self.rounds):
            testpmd = self.rig.testpmd(load_of(BASE["size"], BASE["destinations"]))
            sluice = self.measure()
            ratio = sluice["frames_per_s"] / testpmd["frames_per_s"]
            limit = "path" if sluice["busy_share"] > 0.95 else "generator"
            rounds.append({"testpmd_frames_per_s": testpmd["frames_per_s"],
                           "sluice_frames_per_s": sluice["frames_per_s"], "ratio": ratio,
                           "busy_cycles": sluice["busy_cycles"],
                           "busy_share": sluice["busy_share"],
                           "lost_share": sluice["lost_share"], "limit": limit})
            self.last = sluice
            say(f"  {i + 1:>5} {testpmd['frames_per_s'] / 1e6:>14.2f} M "
                f"{sluice['frames_per_s'] / 1e6:>10.2f} M {ratio:>6.2f} "
                f"{sluice['busy_cycles']:>10.0f} {sluice['busy_share']:>9.0%}  {limit}")
        ratio = median(r["ratio"] for r in rounds)
        cycles = median(r["busy_cycles"] for r in rounds)
        say(f"  median ratio {ratio:.2f} (at least {RATIO_MIN})"
            + self.check("ratio to testpmd", ratio, f">= {RATIO_MIN}", ratio >= RATIO_MIN))
        say(f"  median busy cycles a message {cycles:.0f} (at most {CYCLES_MAX})"
            + self.check("busy cycles a message", cycles, f"<= {CYCLES_MAX}",
                         cycles <= CYCLES_MAX))
        self.results["against_testpmd"] = {"rounds": rounds, "ratio": ratio,
                                           "busy_cycles": cycles}

    def nodes(self):
        stats = self.last["stats"]
        say("\ncycles a message by node (sources include their idle polls)")
        rows = [(name, node) for name, node in stats["by_node"].items()
                if node["objects"] > stats["received"] // 1000]
        rows.sort(key=lambda row: -row[1]["cycles"])
        table = {}
        for name, node in rows:
            table[name] = {"cycles": node["cycles"] / node["objects"],
                           "objects_a_call": node["objects"] / node["calls"]}
            say(f"  {name:<16} {table[name]['cycles']:>7.1f}   "
                f"{table[name]['objects_a_call']:>6.1f} objects a call")
        self.results["by_node"] = table

    def growth(self, title, key, values, bound=None):
        """The cost at each value, in turn over all rounds, so that drift hits all alike."""
        say(f"\n{title}")
        runs = {value: [] for value in values}
        for _ in range(self.rounds):
            for value in values:
                runs[value].append(self.measure(**{key: value}))
        table = {}
        for value in values:
            cycles = median(r["busy_cycles"] for r in runs[value])
            table[value] = {"busy_cycles": cycles,
                            "frames_per_s": median(r["frames_per_s"] for r in runs[value]),
                            "memory": runs[value][0]["stats"]["memory"]}
            say(f"  {value:>9,} {cycles:>8.0f} cycles a message "
                f"{table[value]['frames_per_s'] / 1e6:>8.2f} M msg/s")
        if bound is not None:
            growth = median(last["busy_cycles"] / first["busy_cycles"] for first, last in
                            zip(runs[values[0]], runs[values[-1]]))
            say(f"  from {values[0]:,} to {values[-1]:,}: {growth:.2f} times (at most {bound})"
                + self.check(f"growth with {key}", growth, f"<= {bound}", growth <= bound))
            table["growth"] = growth
        self.results["by_" + key] = table

    def batches(self):
        say("\nseveral messages in a datagram, each copied into a frame of its own")
        table = {}
        for batch in (1, 4):
            runs = []
            for _ in range(self.rounds):
                path = self.rig.path("sluice.yaml")
                config.write(path, GEN_MAC, BASE["destinations"], BASE["window"])
                load = load_of(BASE["size"], BASE["destinations"])
                runs.append(self.rig.sluice_run(path, {**load, "batch": batch}))
            table[batch] = {"busy_cycles": median(r["busy_cycles"] for r in runs)}
            say(f"  {batch:>9,} {table[batch]['busy_cycles']:>8.0f} cycles a message")
        self.results["by_batch"] = table

    def beside(self):
        """What it costs the path that others use the control plane meanwhile."""
        beside = Beside(self.rig, BASE["destinations"], BASE["size"])
        turns = 4 * self.rounds
        cases = {
            "scraper": (f"a scraper reads /metrics and /api/v1/stats {SCRAPES_PER_S} times a "
                        "second, against a program as busy that reads nothing",
                        lambda: Scraper(beside.port, SCRAPES_PER_S, GEN_CORE), Busy),
            "clients": (f"{Clients.IDLE} idle clients, {Clients.HALF_OPEN} in the middle of a "
                        f"request, {Clients.NEVER_READ} that never read; half as many over HTTP",
                        lambda: Clients(beside.control, beside.port), contextlib.nullcontext),
        }
        for name, (title, make, without) in cases.items():
            say(f"\n{title}: {turns} turns, each between two without")
            result = beside.compare(make, turns, without)
            say(f"  rate {result['rate']:.3f} (at least {BESIDE_RATE_MIN}), p99 "
                f"{result['p99']:.3f} times (at most {BESIDE_P99_MAX}); two turns without differ "
                f"by {result['null_spread']:.3f}"
                + self.check(f"rate beside {name}", result["rate"], f">= {BESIDE_RATE_MIN}",
                             result["rate"] >= BESIDE_RATE_MIN)
                + self.check(f"p99 beside {name}", result["p99"], f"<= {BESIDE_P99_MAX}",
                             result["p99"] <= BESIDE_P99_MAX))
            self.results[name] = result

    def memory(self):
        few, many = (self.results["by_destinations"][n]["memory"] for n in
                     (DESTINATIONS[0], DESTINATIONS[-1]))
        memory = many
        per_entry = memory["dedup_bytes"] / BASE["window"]
        # What does not grow with them, the timing wheel above all, is not theirs.
        per_destination = sum(many[part] - few[part] for part in
                              ("queues_bytes", "routes_bytes", "backends_bytes")) \
            / (DESTINATIONS[-1] - DESTINATIONS[0])
        say("\nmemory")
        say(f"  {per_entry:>8.1f} bytes an entry of the dedup window")
        say(f"  {per_destination:>8.0f} bytes a destination with one backend and three classes")
        say(f"  {memory['mbuf_bytes']:>8} bytes a queued message (its buffer; queues link buffers)")
        self.results["memory"] = {"bytes_per_dedup_entry": per_entry,
                                  "bytes_per_destination": per_destination,
                                  "bytes_per_queued_message": memory["mbuf_bytes"]}

    def journal(self, program):
        """Records made durable, and how long that takes, against the disk alone."""
        say("\nrecords of 192 bytes through one ring and the journal's thread; then the disk alone, "
            "with blocks of the\nsame size and a worker as busy")
        report = self.rig.path("journal.json")
        with tempfile.TemporaryDirectory(prefix="sluice-bench-", dir=self.journal_dir) as directory:
            done = subprocess.run([program, f"{directory}/journal", "--rounds", str(self.rounds),
                                   "--seconds", "1", "--json", report], capture_output=True,
                                  text=True, stdin=subprocess.DEVNULL, timeout=600, check=False)
        if done.returncode != 0:
            raise BenchError("bench_journal: " + done.stderr.strip()[-400:])
        say(done.stdout.rstrip())
        with open(report, encoding="utf-8") as f:
            result = json.load(f)
        rate = median(r["most"]["records_per_s"] for r in result["rounds"])
        p99 = median(r["half"]["p99_us"] / r["disk_beside"]["p99_us"] for r in result["rounds"])
        say(f"  median {rate / 1e6:.2f} M records a second (at least {JOURNAL_RATE_MIN / 1e6:g} M)"
            + self.check("records made durable a second", rate, f">= {JOURNAL_RATE_MIN:g}",
                         rate >= JOURNAL_RATE_MIN))
        say(f"  median p99 at half of that {p99:.1f} times the disk's own (at most "
            f"{JOURNAL_P99_MAX})" + self.check("p99 until durable", p99, f"<= {JOURNAL_P99_MAX}",
                                               p99 <= JOURNAL_P99_MAX))
        self.results["journal"] = {**result, "records_per_s": rate, "p99": p99}

    def durable(self, directory, programs):
        """Publisher, appliance, disk and backend together."""
        say(f"\ndurable messages of 64 bytes through one worker, {self.rounds} rounds")
        result = durable.measure(self.rig, self.rounds, directory, programs)
        self.results["durable"] = result
        rate, p99 = result["rate"], result["p99_to_disk_beside"]
        say(f"  {rate / 1e6:.3f} M acknowledged a second (at least {durable.RATE_MIN / 1e6:g} M), "
            f"{result['most_cycles']:.0f} busy cycles a message"
            + self.check("acknowledged a second", rate, f">= {durable.RATE_MIN}",
                         rate >= durable.RATE_MIN))
        say(f"\n  at {durable.HALF / 1e6:g} M a second {'p50':>21} {'p99':>9}")
        for title, times in (
                ("from sending to ack", {"p50": result["p50_us"], "p99": result["p99_us"]}),
                ("the disk's own write and sync", result["disk_alone_us"]),
                ("... beside a busy worker", result["disk_beside_us"])):
            say(f"  {title:<32} {times['p50']:>6.0f} us {times['p99']:>6.0f} us")
        say(f"  (blocks of {result['disk_batch_bytes'] / 1024:.0f} KiB, as batches are at that "
            f"rate) p99 of acks: {result['p99_to_disk_alone']:.1f} of the disk alone, {p99:.1f} of "
            f"it beside a busy worker (at most {durable.P99_MAX})"
            + self.check("p99 of acks", p99, f"<= {durable.P99_MAX}", p99 <= durable.P99_MAX))
        self.beside_durable(result["beside"], result["in_process"])

    def beside_durable(self, result, in_process):
        """By rates, or where somebody else had the worker's CPU, by the cycles it ran."""
        by_rate = result["cpu"] >= durable.CPU_MIN
        keep = result["keep"] if by_rate else result["keep_by_cycles"]
        say(f"\n  at-most-once messages flat out on the same worker, with and without "
            f"{result['durable'] / 1e6:.3f} M durable ones a second: they keep {result['keep']:.2f} "
            f"of their rate")
        say(f"  cycles a message: {result['others_cycles']:.0f} at most once, "
            f"{result['durable_cycles']:.0f} durable, of which the path alone takes "
            f"{in_process['durable']:.0f}: beside {durable.HALF / 1e6:g} M durable ones a second "
            f"the others keep {result['keep_by_cycles']:.2f}")
        say(f"  the worker had {result['cpu']:.0%} of its CPU, and waited for it {result['waited']:.0%} "
            f"of the time; others, in CPUs: " + ", ".join(
                f"{name} {cpus:.2f}" for name, cpus in sorted(result["threads"].items())
                if cpus >= 0.01 and not name.startswith(("rte-worker", "lcore-worker"))))
        say(f"  they keep {keep:.2f} by {'their rate' if by_rate else 'the cycles of the worker'} "
            f"(at least {durable.OTHERS_MIN})"
            + self.check("at-most-once beside durable messages", keep,
                         f">= {durable.OTHERS_MIN}", keep >= durable.OTHERS_MIN))
        for name, cycles in sorted(result["by_node"].items(), key=lambda row: -row[1])[:10]:
            say(f"  {name:<16} {cycles:>7.1f}")

    def gateway_line(self, directory):
        """Publishers of the line protocol, and NATS with the same clients."""
        line = gateway_line
        say(f"\nline protocol: {line.PUBLISHERS} publishers on kept connections, payloads of "
            f"{len(line.PAYLOAD)} bytes, {line.WINDOW} lines of each without an answer at most, one "
            f"gateway thread,\nNATS (verbose, both CPUs) with the same client; {self.rounds} rounds "
            "in turn")
        result = line.measure(self.rig, self.rounds, directory)
        self.results["gateway_line"] = result
        for name, title in line.CASES.items():
            lost = sum(run["published"] * len(run["delivered"]) - sum(run["delivered"])
                       for run in result["rounds"][name])
            cost = result["gateway_us"].get(name)
            say(f"  {title:<46} {result[name] / 1e3:>7.0f} k publishes/s, lost {lost}"
                + (f", {cost:.2f} us of the gateway's CPU each" if cost else ""))
            if name == "durable" and lost:
                self.missed.append(f"line protocol: {lost} durable messages were not delivered")
        ratio = median(a["rate"] / b["rate"] for a, b in
                       zip(result["rounds"]["sluice"], result["rounds"]["nats"]))
        result["ratio"] = ratio
        say(f"  with one subscriber {result['sluice'] / 1e3:.0f} k publishes/s (at least "
            f"{line.RATE_MIN / 1e3:.0f} k), {ratio:.2f} of NATS (at least {line.RATIO_MIN})"
            + self.check("line protocol, publishes a second", result["sluice"],
                         f">= {line.RATE_MIN}", result["sluice"] >= line.RATE_MIN)
            + self.check("line protocol to NATS", ratio, f">= {line.RATIO_MIN}",
                         ratio >= line.RATIO_MIN))

    def dedup(self, program):
        """The window against rte_hash in two generations."""
        say("\nthe dedup window against rte_hash in two generations")
        report = self.rig.path("dedup.json")
        done = subprocess.run([program, "-l", "1", "--no-pci", "--no-telemetry",
                               f"--file-prefix=bench-dedup-{time.time_ns()}",
                               *([] if self.rig.use_huge_pages else ["--no-huge", "-m", "8192"]),
                               "--", "--json", report], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=600, check=False)
        if done.returncode != 0:
            raise BenchError("bench_dedup: " + done.stderr.strip()[-400:])
        say(done.stdout.rstrip())
        with open(report, encoding="utf-8") as f:
            self.results["dedup"] = json.load(f)


def sinks(bench, build, messages):
    """Databases, fed from a backlog."""
    say(f"\nsinks: a backlog of {messages:,} messages with {PAYLOAD}-byte payloads, "
        f"{bench.rounds} rounds in turn")
    rates = {"copy": [], "postgresql": [], "late": [], "writers": [], "sqlite": [], "insert": []}
    with Sinks(build, messages) as bed:
        bed.save_rows(bed.postgresql()[2])
        for _ in range(bench.rounds):
            rates["copy"].append(bed.copy())
            for name, args in (("postgresql", ("soon",)), ("late", ("late",)),
                               ("writers", ("soon", 2))):
                rate, updated, schema = bed.postgresql(*args)
                rates[name].append(rate)
                bench.results.setdefault("sink_updated", {})[name] = updated
                bed.drop(schema)
            for name, rate in zip(("sqlite", "insert"), bed.sqlite()):
                rates[name].append(rate)
    rows = (("copy", "bare binary COPY, the same table and indexes"),
            ("postgresql", "PostgreSQL sink"), ("late", "PostgreSQL sink, outcomes 1 s late"),
            ("writers", "PostgreSQL sink, two writers"), ("sqlite", "SQLite sink"),
            ("insert", "bare INSERT ... SELECT of SQLite, the same"))
    for name, title in rows:
        ratios = median(a / b for a, b in zip(rates[name], rates["copy"]))
        say(f"  {title:<46} {median(rates[name]) / 1e3:>7.0f} k rows/s   {ratios:.2f} of COPY")
    ratio = median(a / b for a, b in zip(rates["postgresql"], rates["copy"]))
    say(f"  PostgreSQL {ratio:.2f} of COPY (at least {SINK_RATIO_MIN})"
        + bench.check("PostgreSQL sink to COPY", ratio, f">= {SINK_RATIO_MIN}",
                      ratio >= SINK_RATIO_MIN))
    sqlite = median(rates["sqlite"])
    alone = median(a / b for a, b in zip(rates["sqlite"], rates["insert"]))
    say(f"  SQLite {alone:.2f} of its bare INSERT")
    say(f"  SQLite {sqlite / 1e3:.0f} k rows/s (at least {SQLITE_MIN / 1e3:.0f} k)"
        + bench.check("SQLite rows/s", sqlite, f">= {SQLITE_MIN}", sqlite >= SQLITE_MIN))
    bench.results["sinks"] = {"rows_per_s": rates, "ratio": ratio, "sqlite_ratio": alone}


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")),
                    platform.machine())


def parse_args():
    parser = argparse.ArgumentParser(
        prog="tools/bench.sh", description=__doc__,
        epilog="Figures are ratios and medians of one run; machines differ. Exit code 0 when all "
               "bounds are met, 1 when one is missed, 2 when nothing could be measured.")
    parser.add_argument("--build", default="build", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of a run (default 2)")
    parser.add_argument("--sink-messages", type=int, default=1_000_000,
                        help="of the sinks' backlog (default 1000000)")
    parser.add_argument("--json", default="bench.json", help="where the results go as JSON")
    parser.add_argument("--journal", default="/var/tmp", metavar="DIR",
                        help="where the journal is measured: a directory of the disk it will be "
                             "on (default /var/tmp)")
    parser.add_argument("--only", action="append", default=[],
                        choices=["testpmd", "windows", "destinations", "sizes", "batches", "topics",
                                 "dedup", "beside", "journal", "recover", "durable", "sink",
                                 "gateway-line", "gateway-rooms", "gateway-json",
                                 "gateway-http", "gateway-beside"],
                        help="only this part; may be given more than once")
    return parser.parse_args()


def run(args, bench):
    parts = {
        "testpmd": lambda: (bench.against_testpmd(), bench.nodes()),
        "windows": lambda: bench.growth("cost by dedup window (entries)", "window", WINDOWS,
                                        GROWTH_MAX),
        "destinations": lambda: (bench.growth("cost by destinations", "destinations",
                                              DESTINATIONS, GROWTH_MAX), bench.memory()),
        "sizes": lambda: bench.growth("cost by payload (bytes)", "size", SIZES),
        "batches": bench.batches,
        "topics": lambda: topics.report(bench, say, f"{args.build}/tests/bench_copy"),
        "beside": bench.beside,
        "dedup": lambda: bench.dedup(f"{args.build}/tests/bench_dedup"),
        "journal": lambda: bench.journal(f"{args.build}/tests/bench_journal"),
        "recover": lambda: recover.report(bench, args.journal, f"{args.build}/tests", say),
        "durable": lambda: bench.durable(args.journal, f"{args.build}/tests"),
        "sink": lambda: sinks(bench, args.build, args.sink_messages),
        "gateway-line": lambda: bench.gateway_line(args.journal),
        "gateway-rooms": lambda: gateway_rooms.report(bench, args.build, say),
        "gateway-json": lambda: gateway_json.report(bench, say),
        "gateway-http": lambda: gateway_http.report(bench, say),
        "gateway-beside": lambda: gateway_beside.report(bench, say),
    }
    for name, part in parts.items():
        if not args.only or name in args.only:
            part()


def main():
    args = parse_args()
    huge = has_huge_pages()
    say(f"{cpu_name()}, {'huge pages' if huge else 'no huge pages'}, "
        f"{args.rounds} rounds of {args.seconds:g} s")
    rig = Rig(args.build, args.seconds, huge)
    bench = Bench(rig, args.rounds, args.journal)
    try:
        run(args, bench)
    except (BenchError, subprocess.TimeoutExpired) as error:
        print(f"tools/bench.sh: {error}", file=sys.stderr)
        return 2
    finally:
        rig.close()
    with open(args.json, "w", encoding="utf-8") as f:
        json.dump({"cpu": cpu_name(), "huge_pages": huge, "rounds": args.rounds,
                   "missed": bench.missed, **bench.results}, f, indent=1)
    say(f"\nresults as JSON: {args.json}")
    for line in bench.missed:
        say("MISSED  " + line)
    return 1 if bench.missed else 0


if __name__ == "__main__":
    sys.exit(main())
