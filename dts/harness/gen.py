# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""sluice-gen and the appliance on two cables: messages go in by the one and out by the other."""

import contextlib
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import types

from . import config as conf
from .appliance import BUILD, NO_HUGE_PAGES, Appliance, eal_lcores
from .lab import Lab, appliance_mac, peer_mac
from .netns import child_options
from .patience import patience

SLUICE_GEN = BUILD / "app" / "sluice-gen" / "sluice-gen"

_counter = itertools.count()


def sink_backend(number, **keys):
    """A backend on the sink's side; sluice-gen answers for all of them."""
    return conf.backend(f"sink{number}", f"198.19.{1 + number // 250}.{1 + number % 250}", **keys)


class Report(dict):
    """What sluice-gen counted; `is_clean` when its ledger has nothing to complain about."""

    def __init__(self, fields, is_clean, said):
        super().__init__(fields)
        self.is_clean = is_clean
        self.said = said


class Cables:
    """What the kinds of cables have in common. Both ends call their ports DRIVER0 and DRIVER1."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sluice-cables-"))
        self.stack.callback(shutil.rmtree, self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def config(self, *destinations, **keys):
        """A configuration with a port a cable."""
        ports = [conf.port("net0", f"{self.driver}0", "198.18.0.1/16"),
                 conf.port("net1", f"{self.driver}1", "198.19.0.1/16")]
        # The sink is there only once sluice-gen runs, and then it is wanted soon.
        arp = {"retry_ms": 50, "retry_max_ms": 100}
        return conf.make_config(*destinations, **{"ports": ports, "arp": arp, **keys})

    def appliance(self, config, **kwargs):
        return Appliance(config, self.vdevs(is_appliance=True), self.inside, **kwargs)

    def generate(self, *args, timeout=120, until=None):
        """Run sluice-gen to its end. Returns its report. @until: returns when the appliance has
        read what it is to read; the generator stays so long, for a cable that ends takes with it
        what has not been read, and no longer, whatever it has received."""
        if until is not None:
            with self.generating(*args, "--drain-ms", 20000, timeout=timeout) as run:
                until()
                # The second one ends it at once; two that come together are one.
                while run.process.poll() is None:
                    run.process.send_signal(signal.SIGINT)
                    time.sleep(0.02)
            return run.report
        with self.generating(*args, timeout=timeout, ends_itself=True) as run:
            pass
        return run.report

    @contextlib.contextmanager
    def generating(self, *args, timeout=120, ends_itself=False):
        """sluice-gen runs beside the block, and stops sending at its end; .report is there then."""
        report = self.dir / f"report{next(_counter)}.json"
        prefix = f"sluice-gen-{os.getpid()}-{next(_counter)}"
        argv = [SLUICE_GEN, f"--lcores={eal_lcores(0)}", *NO_HUGE_PAGES, "--no-pci",
                "--no-telemetry", f"--file-prefix={prefix}",
                *[f"--vdev={v}" for v in self.vdevs(is_appliance=False)], "--",
                "--tx", f"{self.driver}0", "--rx", f"{self.driver}1", "--json", report, *args]
        if self.outside is not None:
            argv = self.outside.exec_args(*argv)
        process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   **child_options())
        try:
            run = types.SimpleNamespace(process=process)
            yield run
            if not ends_itself:
                process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=patience(timeout))
            assert process.returncode in (0, 2), \
                f"sluice-gen exited with {process.returncode}:\n{said}"
            run.report = Report(json.loads(report.read_text()), process.returncode == 0, said)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            shutil.rmtree(f"/var/run/dpdk/{prefix}", ignore_errors=True)


class MemifLab(Cables):
    """Two memif sockets that only this run knows: fast, and one queue a direction."""

    driver = "net_memif"
    inside = outside = None

    def vdevs(self, is_appliance):
        # With addresses that stay: the next sluice-gen is the neighbour that the last one was.
        role, mac = ("server", appliance_mac) if is_appliance else ("client", peer_mac)
        return [f"net_memif{n},role={role},id=0,socket={self.dir}/memif{n},socket-abstract=no,"
                f"mac={mac(n)}" for n in (0, 1)]


class VethLab(Cables):
    """Two veth pairs with net_af_packet at both ends, and a queue for each lcore that wants one."""

    driver = "net_af_packet"

    def __init__(self, nb_queues=1):
        super().__init__()
        self.nb_queues = nb_queues
        lab = self.stack.enter_context(Lab(addresses=(), nb_ports=2))
        self.inside, self.outside = lab.inside, lab.outside

    def vdevs(self, is_appliance):
        interface = "net" if is_appliance else "peer"
        queues = self.nb_queues if is_appliance else 1
        # Who stood still for most of a second sends in one go what waited.
        frames = 16384 if is_appliance else 32768
        return [f"net_af_packet{n},iface={interface}{n},framecnt={frames},qpairs={queues}"
                for n in (0, 1)]
