# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""tools/bind on a machine made of files: what it refuses, what it has bound, and back again."""

import json
import stat
import subprocess

import pytest

from harness.patience import patience
from harness.wire import ROOT

X710 = "0000:06:00.0"
CONNECTX = "0000:3b:00.0"


@pytest.fixture
def machine(tmp_path):
    """A tree with an X710 (eth1) and a ConnectX (eth2), and a devbind that notes its arguments."""
    for address, vendor, device, driver, interface in (
            (X710, "0x8086", "0x1572", "i40e", "eth1"),
            (CONNECTX, "0x15b3", "0x1017", "mlx5_core", "eth2")):
        nic = tmp_path / "sys/bus/pci/devices" / address
        (nic / "net" / interface).mkdir(parents=True)
        (nic / "iommu_group").mkdir()
        (tmp_path / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
        (nic / "driver").symlink_to(tmp_path / "sys/bus/pci/drivers" / driver)
        (nic / "class").write_text("0x020000\n")
        (nic / "vendor").write_text(f"{vendor}\n")
        (nic / "device").write_text(f"{device}\n")
    (tmp_path / "sys/module/vfio_pci").mkdir(parents=True)
    (tmp_path / "etc/sluice").mkdir(parents=True)
    (tmp_path / "etc/sluice/nics").write_text("# ours\nuplink 0000:06:00.0\n")
    devbind = tmp_path / "devbind"
    devbind.write_text(f"#!/bin/sh\necho \"$@\" >>{tmp_path}/calls\n")
    devbind.chmod(devbind.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def bind(machine, *args):
    return subprocess.run([ROOT / "tools/bind", "--root", machine, "--devbind",
                           machine / "devbind", *args], capture_output=True, text=True,
                          timeout=patience(30), check=False)


def calls(machine):
    path = machine / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("name", [X710, "06:00.0", "eth1", "uplink"])
def test_binds_by_address_interface_and_alias(machine, name):
    done = bind(machine, "--force", name)
    assert done.returncode == 0, done.stderr
    assert calls(machine) == [f"--force --bind=vfio-pci {X710}"]
    assert f"-a {X710}" in done.stdout


def test_undo_gives_back_the_driver_it_had(machine):
    assert bind(machine, "--force", "uplink").returncode == 0
    done = bind(machine, "--undo", "all")
    assert done.returncode == 0, done.stderr
    assert calls(machine)[1:] == [f"--bind=i40e {X710}"]
    assert bind(machine, "--undo", "uplink").returncode == 1


def test_a_nic_whose_driver_works_beside_the_kernel_stays(machine):
    done = bind(machine, "--force", "eth2")
    assert done.returncode == 0 and "stays with mlx5_core" in done.stdout
    assert calls(machine) == []


def test_no_iommu_names_the_two_ways_out(machine):
    (machine / "sys/bus/pci/devices" / X710 / "iommu_group").rmdir()
    done = bind(machine, "--force", "eth1")
    assert done.returncode == 1
    assert "iommu=pt" in done.stderr and "enable_unsafe_noiommu_mode" in done.stderr
    assert calls(machine) == []


def test_an_interface_in_use_is_refused(machine):
    net = machine / "sys/bus/pci/devices" / X710 / "net"
    (net / "eth1").rename(net / "slbind0")
    subprocess.run(["ip", "link", "add", "slbind0", "type", "veth"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "192.0.2.1/32", "dev", "slbind0"], check=True)
        done = bind(machine, "uplink")
    finally:
        subprocess.run(["ip", "link", "del", "slbind0"], check=True)
    assert done.returncode == 1 and "192.0.2.1" in done.stderr and "--force" in done.stderr
    assert calls(machine) == []


def test_an_unknown_name_says_where_names_come_from(machine):
    done = bind(machine, "eth7")
    assert done.returncode == 1 and "etc/sluice/nics" in done.stderr


def test_status_tells_drivers_and_profiles(machine):
    rows = {row["address"]: row for row in json.loads(bind(machine, "--json", "status").stdout)}
    assert rows[X710]["profile"] == "i40e" and rows[X710]["interfaces"] == ["eth1"]
    assert rows[CONNECTX]["profile"] == "mlx5" and rows[CONNECTX]["driver"] == "mlx5_core"
    assert "i40e" in bind(machine, "status").stdout
