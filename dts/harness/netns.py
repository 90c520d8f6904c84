# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Network namespaces and the veth pairs between them.

Names carry the process id of who made them, so that runs do not meet and what a killed run left
behind can be told from what is in use.
"""

import contextlib
import ctypes
import itertools
import os
import pathlib
import signal
import subprocess
import threading

from .patience import patience

NETNS_DIR = pathlib.Path("/run/netns")
PREFIX = "sluice-"
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_counter = itertools.count()


def run(*argv, **kwargs):
    """Run a command; its own words are in the error when it fails."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def child_options():
    """Options of Popen for a child that gets no Ctrl-C of ours and does not outlive us."""
    return {"start_new_session": True,
            "preexec_fn": lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)}


def _setns(file):
    if _libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
        err = ctypes.get_errno()
        raise OSError(err, f"setns: {os.strerror(err)}")


def remove_leftovers():
    """Delete the namespaces of runs that are no more (killed before they could clean up)."""
    if not NETNS_DIR.is_dir():
        return
    for entry in NETNS_DIR.iterdir():
        pid = entry.name.removeprefix(PREFIX).split("-")[0]
        if entry.name.startswith(PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "delete", entry.name)


# What a kernel keeps for a neighbour that has not answered yet; by default it drops the oldest of
# 200 KB, and a test that sends at once would miss them.
_UNRESOLVED_BYTES = 32 << 20


class Namespace:
    """A network namespace without IPv6, so that no frame travels that nobody asked for."""

    def __init__(self, label):
        self.name = f"{PREFIX}{os.getpid()}-{next(_counter)}-{label}"
        run("ip", "netns", "add", self.name)
        with self.entered():
            for scope in ("all", "default"):
                knob = pathlib.Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
                if knob.exists():
                    knob.write_text("1")
        self.ip("link", "set", "lo", "up")

    def keep_unresolved(self, interface):
        """Let the kernel keep all that waits for an answer of ARP or neighbour discovery."""
        with self.entered():
            for knob in pathlib.Path("/proc/sys/net").glob(
                    f"ipv[46]/neigh/{interface}/unres_qlen_bytes"):
                knob.write_text(str(_UNRESOLVED_BYTES))

    def enable_ipv6(self, interface):
        """Let the kernel speak IPv6 on one interface, and let it ask nobody for routers."""
        with self.entered():
            knobs = pathlib.Path(f"/proc/sys/net/ipv6/conf/{interface}")
            for name, value in (("accept_ra", 0), ("router_solicitations", 0), ("accept_dad", 0),
                                ("disable_ipv6", 0)):
                (knobs / name).write_text(str(value))

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace; what it opens there stays there."""
        here = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        with open(here, "rb") as outside, open(NETNS_DIR / self.name, "rb") as inside:
            _setns(inside)
            try:
                yield
            finally:
                _setns(outside)

    def ip(self, *args):
        return run("ip", "-netns", self.name, *args)

    def exec_args(self, *argv):
        """The command line that runs @argv inside."""
        return ["ip", "netns", "exec", self.name, *map(str, argv)]

    def ping(self, address, count, *options):
        """Ask @count times, one after the other, each to be answered. Returns what ping said. (For
        the last of many it waits no longer than two of the round trips it saw.)"""
        return "".join(run(*self.exec_args("ping", "-c", 1, "-W", patience(10), *options, address))
                       for _ in range(count))

    def close(self):
        with contextlib.suppress(RuntimeError):
            run("ip", "netns", "delete", self.name)


def connect(a, a_name, a_mac, b, b_name, b_mac, mtu=1500):
    """A veth pair from namespace @a to namespace @b, up, with every offload off.

    The kernel leaves a veth's UDP checksums to the "hardware" and would hand the appliance frames
    with half a checksum; it would also merge what belongs apart.
    """
    run("ip", "link", "add", a_name, "netns", a.name, "address", a_mac, "mtu", mtu, "type", "veth",
        "peer", "name", b_name, "netns", b.name, "address", b_mac, "mtu", mtu)
    for space, name in ((a, a_name), (b, b_name)):
        run(*space.exec_args("ethtool", "-K", name, "rx", "off", "tx", "off", "sg", "off",
                             "tso", "off", "gso", "off", "gro", "off"))
        space.keep_unresolved(name)
        space.ip("link", "set", name, "up")
