# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The rig: sluice-gen on one core, the device under test on the other, two memif ports between."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

GEN_CORE, PATH_CORE = 0, 1
GEN_MAC = "02:00:00:00:01:%02x"
PATH_MAC = "02:00:00:00:02:%02x"
START_TIMEOUT_S = 30


class BenchError(Exception):
    """Something that ends the benchmark, with what would mend it."""


def has_huge_pages():
    with open("/proc/meminfo", encoding="ascii") as f:
        free = next(int(line.split()[1]) for line in f if line.startswith("HugePages_Free"))
    return free >= 1024


class Rig:
    """Runs one measurement at a time; what it starts, it ends."""

    def __init__(self, build, seconds, use_huge_pages):
        self.sluice = os.path.join(build, "app/sluice/sluice")
        self.gen = os.path.join(build, "app/sluice-gen/sluice-gen")
        self.seconds = seconds
        self.use_huge_pages = use_huge_pages
        self.cpus = [0, 1]  # Of lcores.
        self.ring = 10      # Of memif, descriptors as a power of 2; with a buffer of 2 KiB each.
        self.dir = tempfile.mkdtemp(prefix="sluice-bench-")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def eal_of(self, name, lcores, memory_mb):
        """EAL without ports."""
        cpus = ",".join(f"{lcore}@{self.cpus[int(lcore)]}" for lcore in lcores.split(","))
        args = ["--lcores", cpus, f"--file-prefix=bench-{name}-{os.getpid()}", "--no-pci",
                "--no-telemetry", "--single-file-segments"]
        if not self.use_huge_pages:
            args += ["--no-huge", "-m", str(memory_mb)]
        return args

    def eal(self, name, role, mac, lcores, memory_mb):
        args = self.eal_of(name, lcores, memory_mb)
        for port in (0, 1):
            args.append(f"--vdev=net_memif{port},role={role},id={port},bsize=2048,"
                        f"rsize={self.ring},socket-abstract=no,socket={self.path(f'memif{port}.sock')},"
                        f"mac={mac % port}")
        return args

    def start(self, name, args, ready):
        """Start the device under test and wait for what it says when it forwards."""
        for port in (0, 1):
            if os.path.exists(self.path(f"memif{port}.sock")):
                os.unlink(self.path(f"memif{port}.sock"))
        log_path = self.path(f"{name}.log")
        with open(log_path, "wb") as log:
            # A pipe that stays open: testpmd ends when its standard input does.
            process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=log,
                                       stderr=subprocess.STDOUT)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with open(log_path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            if ready in text:
                return process
            if process.poll() is not None:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
        raise BenchError(f"{name} did not start:\n" + "\n".join(text.splitlines()[-8:]))

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def generator(self, load, report):
        """How it is started; it sends until it is told to end."""
        args = [self.gen, *self.eal("gen", "client", GEN_MAC, str(GEN_CORE), 512), "--",
                "--tx", "net_memif0", "--rx", "net_memif1",
                "--src-ip", "10.77.0.2", "--dst-ip", "10.77.0.1", "--dst-mac", PATH_MAC % 0,
                "--sink-net", "10.78.0.0/16", "--tx-mac", GEN_MAC % 0, "--rx-mac", GEN_MAC % 1,
                "--verify", "none", "--drain-ms", "200", "--allow-loss", "--json", report]
        for option, value in load.items():
            args += ["--" + option.replace("_", "-"), str(value)]
        return args

    def generate(self, load):
        """Send for some seconds and return what the generator counted."""
        report = self.path("gen.json")
        done = subprocess.run(self.generator({"seconds": f"{self.seconds:g}", **load}, report),
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=self.seconds + 90, check=False)
        if done.returncode not in (0, 2) or not os.path.exists(report):
            raise BenchError("sluice-gen: " + done.stderr.strip()[-400:])
        with open(report, encoding="utf-8") as f:
            return json.load(f)

    def testpmd(self, load):
        """testpmd 5tswap: frames a second that come back."""
        args = ["stdbuf", "-oL", "dpdk-testpmd", *self.eal("testpmd", "server", PATH_MAC,
                                          f"{GEN_CORE},{PATH_CORE}", 512),
                "--", "--forward-mode=5tswap", "--auto-start", "--nb-cores=1",
                "--port-topology=paired", "--total-num-mbufs=65536", "--stats-period=0",
                "--no-lsc-interrupt", "--disable-link-check"]
        process = self.start("testpmd", args, "Press enter to exit")
        try:
            gen = self.generate(load)
        finally:
            self.stop(process)
        return {"frames_per_s": forwarded_per_s(gen), "gen": gen}

    def sluice_run(self, config, load):
        """Sluice: messages a second delivered, busy cycles a message, cycles by node."""
        stats_path = self.path("stats.json")
        memory = 1024
        args = [self.sluice, *self.eal("sluice", "server", PATH_MAC, f"{GEN_CORE},{PATH_CORE}",
                                       memory),
                "--", "--config", config, "--stats-file", stats_path, "--stats-interval", "3600",
                "--control-socket", "none", "--http", "none"]
        process = self.start("sluice", args, " ready: ")
        try:
            gen = self.generate(load)
        finally:
            self.stop(process)
        with open(stats_path, encoding="utf-8") as f:
            stats = json.load(f)
        done = stats["delivered"] + stats["duplicates"] + sum(stats["dropped"].values())
        came = stats["received"] + stats["copied"]
        if done != came or stats["received"] == 0:
            raise BenchError(f"the counters of sluice do not add up: {came} {done}")
        return {"frames_per_s": forwarded_per_s(gen),
                "busy_cycles": stats["cycles"]["busy"] / stats["received"],
                "busy_share": stats["cycles"]["busy"] /
                (stats["cycles"]["busy"] + stats["cycles"]["idle"]),
                "lost_share": 1 - stats["delivered"] / stats["received"],
                "stats": stats, "gen": gen}


def forwarded_per_s(gen):
    """Frames that came back while the generator sent; what testpmd swaps is no delivery."""
    seconds = gen["tx"]["frames"] / gen["tx"]["frames_per_s"]
    return (gen["rx"]["frames"] + gen["rx"]["other_frames"]) / seconds


def median(values):
    return statistics.median(list(values))
