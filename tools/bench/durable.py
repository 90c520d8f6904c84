# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Durable messages through the whole appliance, one worker: acknowledged when they are synced,
delivered when the backend has acknowledged them. sluice-gen plays publisher and backends."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import config
from api import view
from beside import WINDOW as CAPTURE_WINDOW, write_capture
from rig import GEN_CORE, GEN_MAC, PATH_CORE, PATH_MAC, BenchError, median
from scraper import free_port

DESTINATIONS, WINDOW, IN_FLIGHT = 100, 1 << 20, 32768
LOAD = {"size": 64, "destinations": DESTINATIONS, "sources": 64, "classes": "1:20,2:30,3:50"}
RECORD = 192  # Bytes of such a message in the journal.

RATE_MIN = 500_000  # Acknowledged and synced a second; the aim is twice that.
HALF = RATE_MIN // 2
P99_MAX = 3         # Of the ack at half that rate, in p99s of the disk's own write and sync.
OTHERS_MIN = 0.8    # Of their own rate keep at-most-once messages while durable ones come at HALF.
CPU_MIN = 0.95      # Of its CPU has a worker to have had, for rates to be its own.

# At a rate the generator sleeps when it has nothing to do: the journal's thread is on its CPU, and
# what it would wait for is the kernel's time slice, not the disk.
NAP_US = 20
RING = 7  # Of memif, at a rate: 256 KiB of buffers each way, that caches hold, not 2 MiB.
TURN_S = 1.0
START_TIMEOUT_S = 30


@contextlib.contextmanager
def journal_in(directory):
    path = tempfile.mkdtemp(prefix="sluice-bench-journal-", dir=directory)
    try:
        yield os.path.join(path, "journal")
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def interrupts_apart(rig, directory):
    """The worker is not on the CPU that the disk interrupts, as docs/operator-guide.md advises."""
    cpus = interrupted_by(directory)
    if len(cpus) == 1 and cpus <= set(rig.cpus):
        rig.cpus.sort(key=lambda cpu: cpu not in cpus)
    try:
        yield
    finally:
        rig.cpus.sort()


def interrupted_by(directory):
    """The CPUs that have interrupts of the disk that a directory is on; none for one without."""
    number, cpus = os.stat(directory).st_dev, set()
    path = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    while path.startswith("/sys/devices/") and not os.path.isdir(f"{path}/msi_irqs"):
        path = os.path.dirname(path)
    irqs = os.listdir(f"{path}/msi_irqs") if path.startswith("/sys/devices/") else []
    with open("/proc/interrupts", encoding="ascii") as f:
        for line in f:
            irq, *counts = line.split()
            if irq.rstrip(":") in irqs:
                cpus |= {cpu for cpu in range(os.cpu_count()) if int(counts[cpu]) > 0}
    return cpus


def run(rig, directory, rate=0):
    """Durable messages alone, at a rate or as many as are acknowledged."""
    with journal_in(directory) as journal:
        path = rig.path("durable.yaml")
        config.write(path, GEN_MAC, DESTINATIONS, WINDOW)
        with open(path, encoding="ascii") as f:
            text = f.read()
        text = text.replace("kind: queue,", "kind: queue, guarantee: at-least-once, "
                                            f"in_flight: {IN_FLIGHT},")
        text += (f"journal: {{directory: {journal}, max_bytes: 4G, "
                 "retention_bytes: 512M, retention: 0s}\n"
                 "publishers: {window: 65536}\n")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        load = {**LOAD, "acked": IN_FLIGHT, "rate": rate, "nap_us": NAP_US if rate else 0}
        result = rig.sluice_run(path, load)
    if result["gen"]["acked"]["not_acked"]:
        raise BenchError("messages were not acknowledged; see sluice.log")
    return {**result["gen"]["acked"], "busy_cycles": result["busy_cycles"]}


def in_process(program, rig, directory, seconds):
    """Cycles of the path alone: publisher, backends and worker in one thread, nothing copied."""
    report = rig.path("in-process.json")
    with journal_in(directory) as journal:
        done = subprocess.run([program, *rig.eal_of("in-process", f"{GEN_CORE},{PATH_CORE}", 1500),
                               "--vdev=net_null0,no-rx=1", "--vdev=net_null1,no-rx=1", "--",
                               journal, "--seconds", f"{seconds:g}", "--json", report],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=seconds + 60, check=False)
    if done.returncode != 0:
        raise BenchError("bench_durable: " + done.stderr.strip()[-400:])
    with open(report, encoding="utf-8") as f:
        return json.load(f)


def disk_times(program, rig, directory):
    """What the disk alone takes for batches as large as HALF makes them, in us."""
    report = rig.path("disk.json")
    with journal_in(directory) as journal:
        done = subprocess.run([program, journal, "--rounds", "1", "--seconds", "1", "--size",
                               str(RECORD), "--rate", str(HALF), "--json", report],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=120, check=False)
    if done.returncode != 0:
        raise BenchError("bench_journal: " + done.stderr.strip()[-400:])
    with open(report, encoding="utf-8") as f:
        [result] = json.load(f)["rounds"]
    return {"batch_bytes": result["half"]["batch_bytes"], "alone": result["disk_alone"],
            "beside": result["disk_beside"]}


class Beside:
    """One worker has at-most-once messages, from a capture that is fed in over and over, as many as
    it can take; and, at times, durable ones at HALF from the generator."""

    def __init__(self, rig, directory):
        self.rig, self.directory = rig, directory
        self.port, self.generator = free_port(), None

    @contextlib.contextmanager
    def running(self):
        rig, capture, path = self.rig, self.rig.path("mixed.pcap"), self.rig.path("mixed.yaml")
        write_capture(capture, DESTINATIONS, LOAD["size"], "10.79")
        ring, rig.ring = rig.ring, RING
        try:
            with journal_in(self.directory) as journal:
                config.write_mixed(path, GEN_MAC, DESTINATIONS, CAPTURE_WINDOW, journal, IN_FLIGHT)
                with self.appliance(path, capture):
                    yield
        finally:
            rig.ring = ring

    @contextlib.contextmanager
    def appliance(self, path, capture):
        rig = self.rig
        process = rig.start("sluice", [
            rig.sluice, *rig.eal("mixed", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}", 1024),
            f"--vdev=net_pcap0,rx_pcap={capture},infinite_rx=1", "--", "--config", path,
            "--control-socket", "none", "--http", f"127.0.0.1:{self.port}"], " ready: ")
        try:
            self.pid, self.worker = process.pid, worker_of(process.pid)
            yield
        finally:
            rig.stop(process)

    def read(self):
        stats = view(self.port, "stats")
        at, (cpu_ns, waited_ns) = time.time(), ran(self.worker)
        delivered = {"table": 0, "order": 0}
        for name, destination in stats["by_destination"].items():
            delivered[name[:5]] += destination["delivered"]
        return {"at": at, "counted_at": stats["time"], "cpu_s": cpu_ns / 1e9,
                "waited_s": waited_ns / 1e9,
                "threads": threads_of(self.pid, self.generator), "hz": stats["cycles"]["hz"],
                "others": delivered["table"], "durable": delivered["order"],
                "by_node": {name: node["cycles"] for name, node in stats["by_node"].items()}}

    def turn(self):
        """Messages a second, and cycles a second by node."""
        before = self.read()
        time.sleep(TURN_S)
        after = self.read()
        seconds, cpu_s = after["at"] - before["at"], after["cpu_s"] - before["cpu_s"]
        counted_s = after["counted_at"] - before["counted_at"]
        return {"hz": after["hz"], "cpu": cpu_s / seconds,
                "waited": (after["waited_s"] - before["waited_s"]) / seconds,
                "threads": {name: (ns - before["threads"].get(name, 0)) / seconds / 1e9
                            for name, ns in after["threads"].items()},
                "others": (after["others"] - before["others"]) / counted_s,
                "durable": (after["durable"] - before["durable"]) / counted_s,
                "by_node": {name: (cycles - before["by_node"].get(name, 0)) / counted_s
                            for name, cycles in after["by_node"].items()}}

    @contextlib.contextmanager
    def load(self):
        report = self.rig.path("beside-gen.json")
        args = self.rig.generator({**LOAD, "destination_name": "order%u", "acked": IN_FLIGHT,
                                   "rate": HALF, "nap_us": NAP_US, "src_port": 20000}, report)
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.generator = process.pid
        try:
            begin, deadline = self.read()["durable"], time.monotonic() + START_TIMEOUT_S
            while self.read()["durable"] - begin < HALF / 4:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError("durable messages are not delivered beside others")
                time.sleep(0.05)
            yield
            process.send_signal(signal.SIGINT)
            process.wait(60)
        finally:
            self.generator = None
            process.kill()
            process.wait()
        with open(report, encoding="utf-8") as f:
            if json.load(f)["acked"]["not_acked"]:
                raise BenchError("messages were not acknowledged beside others; see sluice.log")

    def compare(self, turns):
        """@turns with durable messages, each between two without."""
        each = []
        with self.running():
            self.turn()
            last = self.turn()
            for _ in range(turns):
                with self.load():
                    this = self.turn()
                time.sleep(0.2)  # Their outcomes go to the journal.
                following = self.turn()
                each.append(cost(this, last, following))
                last = following
        names = ("keep", "keep_by_cycles", "cpu", "waited", "durable", "others_cycles",
                 "durable_cycles")
        return {**{name: median(turn[name] for turn in each) for name in names},
                "threads": {name: median(turn["threads"].get(name, 0) for turn in each)
                            for name in each[0]["threads"]},
                "by_node": {name: median(turn["by_node"].get(name, 0) for turn in each)
                            for name in each[0]["by_node"]}, "turns": each}


def worker_of(pid):
    """Where the kernel tells how long the worker ran."""
    for task in os.scandir(f"/proc/{pid}/task"):
        with open(f"{task.path}/comm", encoding="ascii") as f:
            if re.match(r"(lcore|rte)-worker", f.read()):
                return f"{task.path}/schedstat"
    raise BenchError("sluice has no worker")


def ran(schedstat):
    """How long a thread ran, and how long it waited for a CPU, in ns."""
    with open(schedstat, encoding="ascii") as f:
        return [int(word) for word in f.read().split()[:2]]


def threads_of(pid, generator):
    """What else needs the CPUs: the appliance's threads by name, and the generator, in ns."""
    times = {}
    for task in os.scandir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):  # It has ended.
            with open(f"{task.path}/comm", encoding="ascii") as f:
                name = f.read().strip()
            times[name] = times.get(name, 0) + ran(f"{task.path}/schedstat")[0]
    if generator is not None:
        times["generator"] = ran(f"/proc/{generator}/schedstat")[0]
    return times


def cost(this, last, following):
    """What durable messages cost the others. The worker is always busy: the time in which the
    others have fewer messages than they would is theirs."""
    def own(of):
        return (of(last) + of(following)) / 2

    others = own(lambda turn: turn["others"] / turn["cpu"])  # In a second of the worker's.
    left = this["others"] / this["cpu"] / others

    def node(name):
        cycles = own(lambda turn: turn["by_node"].get(name, 0) / turn["others"])
        return (this["by_node"][name] - cycles * this["others"]) / this["durable"]

    return {"keep": this["others"] / own(lambda turn: turn["others"]),
            "cpu": min(turn["cpu"] for turn in (this, last, following)),
            "waited": this["waited"], "threads": this["threads"],
            "durable": this["durable"], "others_cycles": this["hz"] / others,
            # Had it its CPU for itself: what durable messages at HALF leave of it.
            "keep_by_cycles": 1 - HALF * (1 - left) * this["cpu"] / this["durable"],
            "durable_cycles": (1 - left) * this["hz"] * this["cpu"] / this["durable"],
            "by_node": {name: node(name) for name in this["by_node"]}}


def measure(rig, rounds, directory, programs):
    """@programs: where bench_journal and bench_durable are."""
    with interrupts_apart(rig, directory):
        return measure_there(rig, rounds, directory, programs)


def mean_times(before, after):
    return {key: {name: (value + after[key][name]) / 2 for name, value in times.items()}
            if isinstance(times, dict) else (times + after[key]) / 2
            for key, times in before.items()}


def measure_there(rig, rounds, directory, programs):
    each = []
    disk = disk_times(f"{programs}/bench_journal", rig, directory)
    for _ in range(rounds):
        most, half = run(rig, directory), run(rig, directory, HALF)
        # What the disk takes changes: acks are held against it just before and just after.
        before, disk = disk, disk_times(f"{programs}/bench_journal", rig, directory)
        each.append({"most": most, "half": half, "disk": mean_times(before, disk)})

    def middle(*keys):
        values = []
        for value in each:
            for key in keys:
                value = value[key]
            values.append(value)
        return median(values)

    return {"cpus": {"path": rig.cpus[1], "others": rig.cpus[0]}, "rounds": each,
            "rate": middle("most", "messages_per_s"),
            "most_cycles": middle("most", "busy_cycles"),
            "half_cycles": middle("half", "busy_cycles"),
            "p50_us": middle("half", "latency_us", "p50"),
            "p99_us": middle("half", "latency_us", "p99"),
            "disk_batch_bytes": middle("disk", "batch_bytes"),
            "disk_alone_us": {p: middle("disk", "alone", p + "_us") for p in ("p50", "p99")},
            "disk_beside_us": {p: middle("disk", "beside", p + "_us") for p in ("p50", "p99")},
            "p99_to_disk_alone": median(r["half"]["latency_us"]["p99"] /
                                        r["disk"]["alone"]["p99_us"] for r in each),
            "p99_to_disk_beside": median(r["half"]["latency_us"]["p99"] /
                                         r["disk"]["beside"]["p99_us"] for r in each),
            "in_process": in_process(f"{programs}/bench_durable", rig, directory, 2 * rounds),
            "beside": Beside(rig, directory).compare(2 * rounds)}
