# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The appliance as a process: started from a dict, watched by its statistics, stopped by signal."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import yaml

from .control import ControlClient
from .netns import child_options
from .patience import Deadline, patience, wait_until
from .wire import ROOT

BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()
SLUICE = BUILD / "app" / "sluice" / "sluice"

_counter = itertools.count()

YAML_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# What ran in the current test, for the report when it fails.
history = []


class Stats(dict):
    """One reading of the statistics file. Every one has to add up."""

    def __init__(self, fields):
        super().__init__(fields)
        accounted = (self["delivered"] + self["duplicates"] + self["queued"] +
                     sum(self["dropped"].values()))
        assert self["received"] + self["recovered"] + self["copied"] == accounted, \
            f"received {self['received']}, recovered {self['recovered']}, but {accounted} " \
            f"accounted for: {self.happened()}"

    def happened(self):
        """What is not zero, without the graph's nodes."""
        def kept(value):
            if not isinstance(value, dict):
                return value
            pairs = ((k, kept(v)) for k, v in value.items() if k not in ("by_node", "memory"))
            return {k: v for k, v in pairs if v not in (0, {})}
        return kept(self)

    @property
    def dropped(self):
        """Messages dropped, by the reasons that occurred."""
        return {reason: n for reason, n in self["dropped"].items() if n}

    @property
    def frames_dropped(self):
        """Frames dropped, by the reasons that occurred."""
        return {reason: n for reason, n in self["frames"]["dropped"].items() if n}

    def shows(self, expected):
        """Whether every counter named in @expected has its value; of drops, no other reason."""
        return all(getattr(self, name) == value if name in ("dropped", "frames_dropped")
                   else self[name] == value for name, value in expected.items())


NO_HUGE_PAGES = ("--no-huge", "-m", "512")
HUGE_PAGES = ("--in-memory", "-m", "512")


def huge_pages():
    """(pages reserved, free MiB, MiB of a page)"""
    fields = dict(re.findall(r"^(\w+): +(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M))
    page_mb = int(fields.get("Hugepagesize", 0)) >> 10
    return (int(fields.get("HugePages_Total", 0)), int(fields.get("HugePages_Free", 0)) * page_mb,
            page_mb)


def reserve_huge_pages(free_mb):
    """See to it that @free_mb MiB of huge pages are free; never takes any away."""
    reserved, free, page_mb = huge_pages()
    if free < free_mb:
        more = -(-(free_mb - free) // page_mb)
        pathlib.Path("/proc/sys/vm/nr_hugepages").write_text(str(reserved + more))
    assert huge_pages()[1] >= free_mb, f"cannot reserve {free_mb} MiB of huge pages"


def memory_arguments():
    """EAL's memory arguments for this machine: huge pages when enough are free."""
    return HUGE_PAGES if huge_pages()[1] >= 600 else NO_HUGE_PAGES


def eal_lcores(count, cpus=None):
    """--lcores for a main lcore and @count more, spread over the CPUs there are."""
    cpus = cpus or sorted(os.sched_getaffinity(0))
    return ",".join(f"{lcore}@{cpus[lcore % len(cpus)]}" for lcore in range(count + 1))


class Appliance:
    """`with Appliance(config, vdevs) as sluice:` runs from "ready" to a clean exit.

    @param config     the configuration file as a dict; a str is written as it stands
    @param vdevs      values of EAL's --vdev
    @param namespace  where it runs
    @param memory     EAL's memory arguments
    @param eal        more EAL arguments; @args: more of the appliance's own
    @param env        more of its environment; `sluice.env` may be changed between two starts
    """

    def __init__(self, config, vdevs=(), namespace=None, nb_lcores=1, memory=NO_HUGE_PAGES, eal=(),
                 args=(), file_prefix=None, stats_interval=0.1, telemetry=("--no-telemetry",), env=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-"))
        self.file_prefix = file_prefix or f"sluice-{os.getpid()}-{next(_counter)}"
        self.config_file = self.dir / "sluice.yaml"
        self.stats_file = self.dir / "stats.json"
        self.control_socket = self.dir / "control.sock"
        self._nb_starts = 0
        self._stderr_file = self.dir / "stderr"
        text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
        self.config_file.write_text(text)
        self.argv = [str(SLUICE), f"--lcores={eal_lcores(nb_lcores)}", *memory, "--no-pci",
                     *telemetry, f"--file-prefix={self.file_prefix}",
                     *[f"--vdev={v}" for v in vdevs], *eal, "--",
                     "--config", str(self.config_file), "--stats-file", str(self.stats_file),
                     "--stats-interval", str(stats_interval),
                     "--control-socket", str(self.control_socket), "--http", "none", *args]
        if namespace is not None:
            self.argv = namespace.exec_args(*self.argv)
        self.env = env or {}
        self.process = None
        self.last_stats = None
        history.append(self)

    def __enter__(self):
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None and kind is None:
                self.stop()
        finally:
            self._kill()

    def start(self):
        self._nb_starts += 1
        self.stats_file.unlink(missing_ok=True)
        self._stderr_file = self.dir / f"stderr{self._nb_starts}"
        env = {**os.environ, **self.env}
        env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
        with open(self._stderr_file, "wb") as stderr:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=stderr,
                                            stderr=stderr, env=env, **child_options())

    def _kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(f"/var/run/dpdk/{self.file_prefix}", ignore_errors=True)

    def crash(self):
        """kill -9"""
        self._kill()
        self.stats_file.unlink(missing_ok=True)

    def restart(self):
        """Start it again after it has ended, in whatever way; what it said before is forgotten."""
        self.start()
        self.wait_ready()

    def close(self):
        """Forget its files; stderr and the last statistics stay readable."""
        self._kill()
        self._stderr_kept = self.stderr
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def stderr(self):
        """All it has said so far, on stdout and stderr."""
        with contextlib.suppress(FileNotFoundError):
            self._stderr_kept = self._stderr_file.read_text(errors="replace")
        return getattr(self, "_stderr_kept", "")

    def wait_said(self, words, timeout=20.0):
        """Wait until a line with @words appears."""
        def is_said():
            code = self.process.poll()
            if words in self.stderr:
                return True
            assert code is None, f"the appliance exited with {code}:\n{self.stderr}"
            return False
        wait_until(is_said, timeout, lambda: f"'{words}' in\n{self.stderr}")

    def wait_ready(self):
        self.wait_said("ready")

    def control(self, **kwargs):
        """A client of its control API."""
        return ControlClient(self.control_socket, **kwargs)

    def rss(self):
        """Bytes of memory it has."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(file.read().split("VmRSS:")[1].split()[0]) << 10

    def buffered(self):
        """Bytes that wait in all gateways' threads."""
        with self.control() as control:
            return sum(t["buffered_bytes"] for t in control.show("ingress")["threads"])

    def stats(self):
        """The newest statistics; waits for the first."""
        wait_until(self.stats_file.exists, what=lambda: f"statistics are written:\n{self.stderr}")
        self.last_stats = Stats(json.loads(self.stats_file.read_text()))
        return self.last_stats

    def wait_for(self, condition=None, timeout=10.0, **counters):
        """Wait until the statistics satisfy @condition and show @counters:
        `wait_for(delivered=3, dropped={"queue_full": 1})`. Returns them."""
        deadline = Deadline(timeout)
        while True:
            stats = self.stats()
            if stats.shows(counters) and (condition is None or condition(stats)):
                return stats
            assert self.process.poll() is None, f"the appliance is gone:\n{self.stderr}"
            assert not deadline.has_passed(), \
                f"not within {deadline.seconds:g} s: {counters or condition}, but {stats.happened()}"
            time.sleep(0.02)

    def send_signal(self, number):
        """Signal the appliance itself (`ip netns exec` has become it by exec)."""
        self.process.send_signal(number)

    @contextlib.contextmanager
    def standing_still(self):
        self.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    def reload(self, config, timeout=20.0):
        """Give it another configuration by SIGHUP. Returns what it said to that."""
        said = len(self._reload_lines())
        # All at once: it may not read half a file.
        new = self.config_file.with_suffix(".new")
        new.write_text(yaml.dump(config, Dumper=YAML_DUMPER, sort_keys=False))
        new.rename(self.config_file)
        self.send_signal(signal.SIGHUP)
        deadline = Deadline(timeout)
        while len(lines := self._reload_lines()) == said:
            assert self.process.poll() is None, f"the appliance is gone:\n{self.stderr}"
            assert not deadline.has_passed(), f"no reload in {deadline.seconds:g} s:\n{self.stderr}"
            time.sleep(0.001)
        return lines[-1]

    def _reload_lines(self):
        # What has no end yet is still being written.
        whole = self.stderr.rpartition("\n")[0]
        return [line for line in whole.splitlines() if "reload" in line]

    def wait_exit(self, timeout=15.0):
        """Wait for the end. Returns the exit code."""
        code = self.process.wait(patience(timeout))
        assert "Sanitizer" not in self.stderr, self.stderr
        return code

    def stop(self, number=signal.SIGTERM):
        """Stop it as an operator does; it has to end cleanly. Returns the final statistics."""
        self.send_signal(number)
        code = self.wait_exit()
        assert code == 0, f"exit code {code} after signal {number}:\n{self.stderr}"
        return self.stats()

    def fail(self, timeout=20.0):
        """Start it, expecting that it refuses to. Returns (exit code, what it said)."""
        self.start()
        try:
            return self.wait_exit(timeout), self.stderr
        finally:
            self._kill()
