# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Chat rooms through one gateway thread: room-load fills them, on the same two CPUs as the
appliance, and checks what each of its users hears."""

import json
import os
import subprocess

from rig import GEN_CORE, PATH_CORE, PATH_MAC, BenchError, median
from scraper import free_port

ROOMS, USERS, MESSAGES = 20, 5, 1_000_000
WINDOW = 8  # Messages of a user that have not come back to him: 800 are under way.
IN_MIN, OUT_MIN = 100_000, 500_000  # Messages, and frames to members, a second.
P99_MAX_MS = 20.0
DEAF_KEEP_MIN = 0.8  # Of the rate without, beside a member of each room who never reads.


def write_config(path, port):
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports: [{{name: net0, device: net_null0, address: 10.77.0.1/16}}]
lcores: [{{lcore: 1, roles: [rx, worker]}}]
dedup: {{window_ms: 60000, capacity: 65536}}
mbufs: 131072
gateways:
  threads: 1
  listeners:
    - {{name: chat, protocol: rooms, address: 127.0.0.1, port: {port}, rooms: {ROOMS}, output_max: 1M}}
destinations: [{{name: table1, kind: topic}}]
""")


def ran_ns(pid):
    """How long the gateway's thread has run, by the kernel's word."""
    for task in os.scandir(f"/proc/{pid}/task"):
        with open(f"{task.path}/comm", encoding="ascii") as f:
            if f.read().strip() != "sl-gateway-0":
                continue
        with open(f"{task.path}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])
    raise BenchError("sluice has no gateway thread")


def load(rig, build, port, *more):
    report = rig.path("rooms.json")
    program = os.path.join(build, "tools/room-load/room-load")
    done = subprocess.run([program, "--url", f"ws://127.0.0.1:{port}/chat", "--rooms", str(ROOMS),
                           "--users", str(USERS), "--messages", str(MESSAGES), "--window", str(WINDOW),
                           "--quiet", "--json", report, *more], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False)
    if done.returncode not in (0, 1):
        raise BenchError("room-load: " + done.stderr.strip()[-400:])
    with open(report, encoding="utf-8") as f:
        return json.load(f)


def measure_one(rig, build, *more):
    port, path = free_port(), rig.path("rooms.yaml")
    write_config(path, port)
    args = [arg for arg in rig.eal("rooms", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024)
            if not arg.startswith("--vdev")]
    sluice = rig.start("sluice", [rig.sluice, *args, "--vdev=net_null0,no-rx=1", "--", "--config",
                                  path, "--control-socket", "none", "--http", "none"], " ready: ")
    try:
        before = ran_ns(sluice.pid)
        result = load(rig, build, port, *more)
        gateway_ns = (ran_ns(sluice.pid) - before) / result["total"]["sent"]
    finally:
        rig.stop(sluice)
    total = result["total"]
    return {"in_per_s": result["sent_per_s"], "out_per_s": result["received_per_s"],
            "p50_ms": result["latency_us"]["p50"] / 1e3,
            "p99_ms": result["latency_us"]["p99"] / 1e3, "gateway_ns": gateway_ns,
            "good": result["good"], **{name: total[name] for name in (
                "sent", "received", "lost", "duplicated", "reordered", "refused", "wrong")}}


def measure(rig, rounds, build):
    """Medians of {alone, deaf}, and the rounds, in turn."""
    runs = {"alone": [], "deaf": []}
    for _ in range(rounds):
        runs["alone"].append(measure_one(rig, build))
        runs["deaf"].append(measure_one(rig, build, "--deaf", "1"))
    names = ("in_per_s", "out_per_s", "p50_ms", "p99_ms", "gateway_ns")
    return {"rounds": runs, **{case: {name: median(r[name] for r in of) for name in names}
                               for case, of in runs.items()},
            "keep": median(b["in_per_s"] / a["in_per_s"]
                           for a, b in zip(runs["alone"], runs["deaf"]))}


def report(bench, build, say):
    say(f"\nchat rooms: {ROOMS} rooms of {USERS}, {MESSAGES:,} messages, one gateway thread, client "
        f"and appliance on the same two CPUs; {bench.rounds} rounds")
    result = measure(bench.rig, bench.rounds, build)
    bench.results["gateway_rooms"] = result
    for case, title in (("alone", "all read"), ("deaf", "one more in each room never reads")):
        of = result[case]
        say(f"  {title:<36} {of['in_per_s'] / 1e3:>6.0f} k messages/s in, "
            f"{of['out_per_s'] / 1e3:>6.0f} k frames/s out, p50 {of['p50_ms']:.1f} ms, "
            f"p99 {of['p99_ms']:.1f} ms, {of['gateway_ns']:.0f} ns of the gateway a message")
    alone = result["alone"]
    bad = [run for runs in result["rounds"].values() for run in runs if not run["good"]]
    if bad:
        bench.missed.append(f"chat rooms: not all was heard once, in order: {bad[0]}")
    say(f"  at least {IN_MIN / 1e3:.0f} k in and {OUT_MIN / 1e3:.0f} k out, p99 at most "
        f"{P99_MAX_MS:g} ms, nothing lost, twice or out of order: {len(bad)} runs were not so"
        + bench.check("rooms, messages a second", alone["in_per_s"], f">= {IN_MIN}",
                      alone["in_per_s"] >= IN_MIN)
        + bench.check("rooms, frames a second", alone["out_per_s"], f">= {OUT_MIN}",
                      alone["out_per_s"] >= OUT_MIN)
        + bench.check("rooms, p99 in ms", alone["p99_ms"], f"<= {P99_MAX_MS}",
                      alone["p99_ms"] <= P99_MAX_MS))
    say(f"  beside those who never read the others keep {result['keep']:.2f} of the rate (at least "
        f"{DEAF_KEEP_MIN})"
        + bench.check("rooms beside members who do not read", result["keep"],
                      f">= {DEAF_KEEP_MIN}", result["keep"] >= DEAF_KEEP_MIN))
