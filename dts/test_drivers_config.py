# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""drivers-config/: every profile is complete, and those said to have been run here run."""

import contextlib
import itertools

import pytest
import yaml

from harness import config as conf
from harness import netns, sockets, wire
from harness.appliance import Appliance
from harness.lab import Lab
from harness.wire import ROOT

PROFILES = {path.stem: yaml.safe_load(path.read_text())
            for path in sorted((ROOT / "drivers-config").glob("*.yaml"))}
KEYS = {"name", "title", "driver", "pci_ids", "bind", "eal", "device", "queues", "rss",
        "offloads", "traps", "tried", "note"}


@pytest.mark.parametrize("name", PROFILES)
def test_profile_is_complete(name):
    profile = PROFILES[name]
    assert set(profile) == KEYS and profile["name"] == name
    assert len(profile["traps"]) >= 2
    assert ("Not run here" in profile["note"]) == (not profile["tried"])
    assert name in (ROOT / "drivers-config/README.md").read_text()


def test_every_wanted_family_has_a_profile():
    assert set(PROFILES) == {"virtio", "vmxnet3", "ena", "ixgbe", "i40e", "ice", "mlx5", "af_xdp",
                             "af_packet", "tap", "memif"}


def test_no_pci_id_is_in_two_profiles():
    ids = list(itertools.chain.from_iterable(p["pci_ids"] for p in PROFILES.values()))
    assert len(ids) == len(set(ids))


def vdev_of(name, **replace):
    """The --vdev of a profile with other values for some of its parameters."""
    device, *parameters = PROFILES[name]["eal"][1].split(",")
    assert device == PROFILES[name]["device"]
    values = dict(p.split("=") for p in parameters) | replace
    return ",".join([device, *(f"{key}={value}" for key, value in values.items())])


@pytest.mark.parametrize("name", ["af_packet", "af_xdp"])
def test_profile_runs_on_a_veth(name):
    config = conf.make_config(ports=[conf.port(device=PROFILES[name]["device"])])
    with Lab() as lab, lab.receiver() as backend, \
            lab.appliance(config, vdevs=[vdev_of(name, iface="net0")]) as sluice:
        lab.send(wire.message(1, payload=b"by profile"))
        assert backend.take(1)[0].payload == b"by profile"
        sluice.wait_for(delivered=1)


def test_profile_runs_on_a_tap():
    config = conf.make_config(ports=[conf.port(device=PROFILES["tap"]["device"])])
    with contextlib.closing(netns.Namespace("tap")) as space, \
            Appliance(config, vdevs=[vdev_of("tap", iface="sluice0")], namespace=space) as sluice:
        for address in ("10.77.0.100/24", "10.77.0.11/24"):
            space.ip("address", "add", address, "dev", "sluice0")
        space.ip("link", "set", "sluice0", "up")
        with sockets.Receiver(space, "10.77.0.11", 9001) as backend, \
                sockets.udp_socket(space, "10.77.0.100") as sender:
            sender.sendto(wire.encode(wire.message(1, payload=b"by tap")), (conf.ADDRESS, wire.PORT))
            assert backend.take(1)[0].payload == b"by tap"
            sluice.wait_for(delivered=1)
