# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""tools/doctor on machines made of files: a good one, and each thing that can be wrong with it."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from harness.patience import patience

ROOT = Path(__file__).resolve().parent.parent
DOCTOR = ROOT / "tools" / "doctor"
EXAMPLE = ROOT / "examples" / "restaurant.yaml"
PMDS = ("memif", "ring", "null", "af_packet", "af_xdp", "tap")
PMD_DIR = "usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0"
HUGE_DIR = "sys/kernel/mm/hugepages/hugepages-2048kB"
NIC_DIR = "sys/bus/pci/devices/0000:03:00.0"


def packages():
    """All packages that lib.sh names."""
    text = (ROOT / "tools" / "lib.sh").read_text()
    lists = re.findall(r"^SL_(?:BUILD|RUN|TEST|FUZZ)_PACKAGES=\(([^)]*)\)", text, re.M)
    assert len(lists) == 4
    return [package for words in lists for package in words.split()]


class Box:
    """A machine's files under a directory."""

    def __init__(self, root):
        self.root = root

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def remove(self, name):
        path = self.root / name
        path.unlink()

    def nic(self, driver):
        self.write(f"{NIC_DIR}/class", "0x020000\n")
        self.write(f"{NIC_DIR}/vendor", "0x8086\n")
        self.write(f"{NIC_DIR}/device", "0x1572\n")
        if driver:
            os.symlink(f"../../drivers/{driver}", self.root / NIC_DIR / "driver")

    def memory(self, available_kb, huge_pages, huge_free):
        self.write("proc/meminfo", f"MemAvailable: {available_kb} kB\n"
                                   f"HugePages_Total: {huge_pages}\nHugepagesize: 2048 kB\n")
        self.write(f"{HUGE_DIR}/nr_hugepages", f"{huge_pages}\n")
        self.write(f"{HUGE_DIR}/free_hugepages", f"{huge_free}\n")

    def doctor(self, *args):
        """(exit code, findings by check: the worst of each)"""
        done = subprocess.run([str(DOCTOR), "--json", "--root", str(self.root), *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience(60), check=False)
        assert done.stderr == ""
        answer = json.loads(done.stdout)
        assert answer["ok"] == (done.returncode == 0)
        rank = ("ok", "warn", "FAIL")
        findings = {}
        for finding in answer["findings"]:
            assert finding["status"] == "ok" or finding["remedy"], finding
            best = findings.get(finding["check"])
            if best is None or rank.index(best["status"]) < rank.index(finding["status"]):
                findings[finding["check"]] = finding
        return done.returncode, findings


@pytest.fixture
def box(tmp_path):
    """Root on four CPUs with everything in its place."""
    machine = Box(tmp_path / "root")
    machine.write("proc/self/status",
                  "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nCpus_allowed_list:\t0-3\n")
    machine.write("proc/self/limits", "Max locked memory  65536  65536  bytes\n")
    machine.memory(8 << 20, 1024, 1000)
    machine.write("proc/mounts", "nodev /dev/hugepages hugetlbfs rw 0 0\n")
    machine.write("proc/locks", "")
    machine.write("proc/net/protocols", "protocol size\nPACKET 1600\nXDP 1088\n")
    machine.write("proc/net/route", "Iface Destination Gateway\neth0 00000000 0100000A\n")
    machine.write("proc/sys/kernel/osrelease", "6.1.0-1-amd64\n")
    machine.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
    machine.write("sys/devices/system/cpu/online", "0-3\n")
    machine.write("sys/devices/system/cpu/isolated", "1-3\n")
    machine.write("usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc", "Version: 22.11.11\n")
    for pmd in PMDS:
        machine.write(f"{PMD_DIR}/librte_net_{pmd}.so.23", "")
    machine.write("var/lib/dpkg/status", "".join(
        f"Package: {name}\nStatus: install ok installed\n\n" for name in packages()))
    machine.write("dev/net/tun", "")
    (machine.root / "run").mkdir()
    return machine


def test_good_machine(box):
    code, findings = box.doctor()
    assert code == 0
    assert {name: f for name, f in findings.items() if f["status"] != "ok"} == {}


def drop_capability(box):
    box.write("proc/self/status", "Uid:\t0\nCapEff:\t000001ffffffdfff\nCpus_allowed_list:\t0-3\n")


def be_nobody(box):
    box.write("proc/self/status", "Uid:\t1000\nCapEff:\t0\nCpus_allowed_list:\t0-3\n")


def leave_one_cpu(box):
    box.write("sys/devices/system/cpu/online", "0\n")


def remove_pmd_dir(box):
    for pmd in PMDS:
        box.remove(f"{PMD_DIR}/librte_net_{pmd}.so.23")
    (box.root / PMD_DIR).rmdir()


def remove_package(box, package):
    path = box.root / "var/lib/dpkg/status"
    path.write_text(path.read_text().replace(
        f"Package: {package}\nStatus: install ok installed",
        f"Package: {package}\nStatus: deinstall ok config-files"))


def leave_runtime_dir(box):
    box.write("run/dpdk/gone/config", "")
    box.write("run/dpdk/alive/config", "")
    inode = (box.root / "run/dpdk/alive/config").stat().st_ino
    box.write("proc/locks", f"1: POSIX  ADVISORY  WRITE 4711 00:19:{inode} 0 EOF\n")


def listen_at(box, path):
    box.write("proc/net/unix", "Num RefCount Protocol Flags Type St Inode Path\n"
              f"0: 00000002 00000000 00010000 0001 01 4711 {path}\n")


def listen_on(box, where, protocol="tcp"):
    box.write(f"proc/net/{protocol}", "sl local_address rem_address st\n"
              f"0: {where} 00000000:0000 0A 00000000:00000000\n")


# What is done to the machine; which check says so, how badly, and a part of the remedy.
BROKEN = {
    "capability": (drop_capability, "rights", "FAIL", "docker run --privileged"),
    "no root": (be_nobody, "rights", "FAIL", "sudo"),
    "memlock": (be_nobody, "memlock", "warn", "ulimit -l unlimited"),
    "one cpu": (leave_one_cpu, "cpus", "warn", "idle.nap"),
    "not isolated": (lambda b: b.write("sys/devices/system/cpu/isolated", "\n"),
                     "isolated-cpus", "warn", "isolcpus=1-3"),
    "governor": (lambda b: b.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                                   "powersave\n"),
                 "governor", "warn", "echo performance | tee"),
    "no huge pages": (lambda b: b.memory(8 << 20, 0, 0), "huge-pages", "warn",
                      "sysctl -w vm.nr_hugepages=1024 (or start with --no-huge)"),
    "huge pages taken": (lambda b: b.memory(8 << 20, 1024, 0), "huge-pages", "warn",
                         "sysctl -w vm.nr_hugepages"),
    "no hugetlbfs": (lambda b: b.write("proc/mounts", "proc /proc proc rw 0 0\n"),
                     "hugetlbfs", "warn", "mount -t hugetlbfs"),
    "thp": (lambda b: b.write("sys/kernel/mm/transparent_hugepage/enabled",
                              "always madvise [never]\n"), "thp", "warn", "echo madvise >"),
    "no dpdk": (lambda b: b.remove("usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc"),
                "dpdk", "FAIL", "apt-get install libdpdk-dev dpdk"),
    "old dpdk": (lambda b: b.write("usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc",
                                   "Version: 21.11.2\n"), "dpdk", "FAIL", "apt-get install"),
    "new dpdk": (lambda b: b.write("usr/lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc",
                                   "Version: 23.11.0\n"), "dpdk", "warn", "apt-get install"),
    "no pmds": (remove_pmd_dir, "pmds", "FAIL", "apt-get install librte-meta-allpmds"),
    "no memif": (lambda b: b.remove(f"{PMD_DIR}/librte_net_memif.so.23"), "pmds", "warn",
                 "apt-get install librte-meta-allpmds"),
    "build package": (lambda b: remove_package(b, "libcyaml-dev"), "packages-build", "FAIL",
                      "apt-get install --no-install-recommends libcyaml-dev"),
    "run package": (lambda b: remove_package(b, "iproute2"), "packages-run", "FAIL",
                    "apt-get install --no-install-recommends iproute2"),
    "test package": (lambda b: remove_package(b, "python3-pytest"), "packages-test", "warn",
                     "apt-get install --no-install-recommends python3-pytest"),
    "not debian": (lambda b: b.remove("var/lib/dpkg/status"), "packages", "warn", "README.md"),
    "no tun": (lambda b: b.remove("dev/net/tun"), "tun", "warn", "modprobe tun"),
    "no packet": (lambda b: b.write("proc/net/protocols", "XDP 1\n"), "af-packet", "warn",
                  "modprobe af_packet"),
    "no xdp": (lambda b: b.write("proc/net/protocols", "PACKET 1\n"), "af-xdp", "warn",
               "CONFIG_XDP_SOCKETS=y"),
    "nic without driver": (lambda b: b.nic(None), "nic", "warn",
                           "tools/bind 0000:03:00.0"),
    "no vfio": (lambda b: b.nic("i40e"), "vfio", "warn", "apt-get install linux-image-amd64"),
    "no iommu": (lambda b: b.nic("i40e"), "iommu", "warn", "intel_iommu=on"),
    "runtime dir": (lambda b: b.write("run/dpdk", "a file\n"), "runtime-dir", "FAIL",
                    "mkdir -p /run/dpdk"),
    "left over": (leave_runtime_dir, "leftovers", "warn", "rm -rf /run/dpdk/gone"),
    "socket directory": (lambda b: b.write("run/sluice", "a file\n"), "control-socket", "FAIL",
                         "mkdir -p /run/sluice"),
    "socket in use": (lambda b: listen_at(b, "/run/sluice/control.sock"), "control-socket", "warn",
                      "--control-socket PATH"),
    "http in use": (lambda b: listen_on(b, "0100007F:1F9A"), "http", "warn", "--http ADDRESS:PORT"),
    "http in use by all": (lambda b: listen_on(b, "00000000:1F9A"), "http", "warn",
                           "ss -ltnp 'sport = :8090'"),
    "http in use by all of IPv6": (lambda b: listen_on(b, f"{'0' * 32}:1F9A", "tcp6"), "http",
                                   "warn", "http.port"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_machine(box, name):
    wreck, check, status, remedy = BROKEN[name]
    wreck(box)
    code, findings = box.doctor()
    assert findings[check]["status"] == status, findings[check]
    assert remedy in findings[check]["remedy"]
    assert code == (1 if status == "FAIL" or name == "memlock" else 0)


def test_running_process_is_not_left_over(box):
    leave_runtime_dir(box)
    _, findings = box.doctor()
    assert "alive" not in findings["leftovers"]["text"]


def test_vfio_module_is_named(box):
    box.nic("i40e")
    box.write("lib/modules/6.1.0-1-amd64/modules.dep", "kernel/vfio/pci/vfio-pci.ko:\n")
    _, findings = box.doctor()
    assert findings["vfio"]["remedy"] == "modprobe vfio-pci"


def test_nic_with_the_default_route_is_left_alone(box):
    box.nic("i40e")
    (box.root / NIC_DIR / "net" / "eth0").mkdir(parents=True)
    _, findings = box.doctor()
    assert "leave it to the kernel" in findings["nic"]["text"]


# Configurations ----------------------------------------------------------------------------------

def config(tmp_path, text):
    path = tmp_path / "sluice.yaml"
    path.write_text(text)
    return path


def appliance(tmp_path, output, code):
    """A program in the appliance's place, that keeps its arguments."""
    path = tmp_path / "sluice"
    path.write_text(f"#!/bin/sh\necho \"$@\" >{tmp_path}/arguments\n"
                    f"echo 'EAL: hello' >&2\necho '{output}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_config_fits(box, tmp_path):
    code, findings = box.doctor("--config", EXAMPLE, "--sluice", appliance(tmp_path, "", 0))
    assert code == 0
    assert {findings[c]["status"] for c in ("config", "config-lcores", "config-memory")} == {"ok"}
    assert "--check-config" in (tmp_path / "arguments").read_text()


def test_config_the_appliance_refuses(box, tmp_path):
    path = config(tmp_path, "node: x\n")
    said = f"{path}:1: ports: is missing; it has no default"
    program = appliance(tmp_path, f"12:00 error: {said}", 1)
    code, findings = box.doctor("--config", path, "--sluice", program)
    assert code == 1
    assert findings["config"]["text"] == said
    assert findings["config"]["status"] == "FAIL"


def test_appliance_that_is_not_there(box, tmp_path):
    code, findings = box.doctor("--config", EXAMPLE, "--sluice", tmp_path / "nothing")
    assert code == 1
    assert "--sluice PATH" in findings["config"]["remedy"]


@pytest.mark.parametrize("text, part", [
    ("a: [", "is not YAML"),
    ("", "holds no keys"),
    ("- 1\n", "holds no keys"),
    ("a: 2026-99-99\n", "is not YAML"),
])
def test_config_that_is_no_mapping(box, tmp_path, text, part):
    code, findings = box.doctor("--config", config(tmp_path, text))
    assert code == 1
    assert part in findings["config"]["text"]


def test_config_that_is_not_there(box, tmp_path):
    code, findings = box.doctor("--config", tmp_path / "nothing.yaml")
    assert code == 1
    assert "No such file" in findings["config"]["text"]


def test_lcore_that_does_not_exist(box, tmp_path):
    path = config(tmp_path, "lcores: [{lcore: 3, roles: [rx]}, {lcore: 4, roles: [worker]}]\n")
    code, findings = box.doctor("--config", path)
    assert code == 1
    assert "lcores 4 do not exist" in findings["config-lcores"]["text"]
    assert "0, 1, 2, 3" in findings["config-lcores"]["remedy"]


def test_too_little_memory(box, tmp_path):
    box.memory(1 << 20, 0, 0)
    path = config(tmp_path, "dedup: {capacity: 134217728}\n")
    code, findings = box.doctor("--config", path)
    assert code == 1
    assert "1024 MiB are free" in findings["config-memory"]["text"]


def test_too_few_huge_pages(box, tmp_path):
    box.memory(8 << 20, 100, 50)
    code, findings = box.doctor("--config", config(tmp_path, "mbufs: 100000\n"))
    need = int(re.search(r"(\d+) MiB in all", findings["config-memory"]["text"]).group(1))
    pages = int(re.search(r"nr_hugepages=(\d+)", findings["config-memory"]["remedy"]).group(1))
    assert code == 0
    assert findings["config-memory"]["status"] == "warn"
    # Those that are in use stay so: 50 of the 100.
    assert need <= 2 * (pages - 50) <= need + 2


def test_memory_follows_the_mbufs(box, tmp_path):
    needs = []
    for mbufs in (100000, 200000):
        _, findings = box.doctor("--config", config(tmp_path, f"mbufs: {mbufs}\n"))
        assert f"about {mbufs} mbufs" in findings["config-memory"]["text"]
        needs.append(int(re.search(r"(\d+) MiB in all",
                                   findings["config-memory"]["text"]).group(1)))
    # Each takes its 2 KiB of data and some words more.
    assert 2048 < (needs[1] - needs[0]) * 1048576 / 100000 < 3072


@pytest.mark.parametrize("driver, address, status", [
    ("vfio-pci", "0000:03:00.0", "ok"),
    ("vfio-pci", "03:00.0", "ok"),
    ("i40e", "0000:03:00.0", "FAIL"),
    ("vfio-pci", "0000:04:00.0", "FAIL"),
])
def test_physical_port(box, tmp_path, driver, address, status):
    box.nic(driver)
    path = config(tmp_path, f"ports: [{{name: net0, device: '{address}'}}]\n")
    code, findings = box.doctor("--config", path)
    assert findings["config-ports"]["status"] == status
    assert code == (1 if status == "FAIL" else 0)


# The page ----------------------------------------------------------------------------------------

def test_a_line_a_finding(box):
    box.memory(8 << 20, 0, 0)
    done = subprocess.run([str(DOCTOR), "--root", str(box.root)], capture_output=True, text=True,
                          timeout=patience(60), check=False)
    lines = done.stdout.splitlines()
    assert all(re.match(r"(ok  |warn|FAIL)  [a-z-]+: ", line) for line in lines)
    assert "warn  huge-pages: no huge pages are reserved; remedy: sysctl -w " \
        "vm.nr_hugepages=1024 (or start with --no-huge)" in lines
    assert "\033" not in done.stdout


def test_colour_on_a_terminal(box):
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen([str(DOCTOR), "--root", str(box.root)], stdout=slave,
                          env=environment) as process:
        os.close(slave)
        output = b""
        try:
            while data := os.read(master, 4096):
                output += data
        except OSError:
            pass  # Linux says so at the end of a terminal.
        process.wait(timeout=patience(60))
    os.close(master)
    assert b"\033[32mok" in output


def test_this_machine():
    """Whatever this machine is, the doctor gets to the end of it."""
    done = subprocess.run([str(DOCTOR), "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=patience(60), check=False)
    assert done.stderr == ""
    assert done.returncode in (0, 1)
    checks = {finding["check"] for finding in json.loads(done.stdout)["findings"]}
    assert {"rights", "cpus", "huge-pages", "dpdk", "pmds", "runtime-dir"} <= checks


@pytest.mark.parametrize("text, check, part", [
    ("control: {socket: none}\n", "control-socket", "none"),
    ("control: {socket: /srv/sluice.sock}\n", "control-socket", "/srv/sluice.sock can be made"),
    ("http: {enabled: false}\n", "http", "off"),
    ("http: {port: 9090}\n", "http", "127.0.0.1:9090 is free"),
    ("http: {address: '::1'}\n", "http", "[::1]:8090 is free"),
])
def test_where_a_configuration_listens(box, tmp_path, text, check, part):
    listen_at(box, "/run/sluice/control.sock")
    listen_on(box, "0100007F:1F9A")
    _, findings = box.doctor("--config", config(tmp_path, text))
    assert findings[check]["status"] == "ok" and part in findings[check]["text"]


BROKER = "gateways: {listeners: [{name: broker, protocol: line}]}\n"


@pytest.mark.parametrize("where, protocol, limit, wrong", [
    ("0100007F:1F9A", "tcp", 65536, {}),
    ("00000000:1F90", "tcp", 65536, {"config-gateways": "ss -ltnp 'sport = :8080'"}),
    (f"{'0' * 32}:1F90", "tcp6", 65536, {"config-gateways": "another port"}),
    ("0100007F:1F9A", "tcp", 4096, {"config-files": "LimitNOFILE="}),
    ("0100007F:1F9A", "tcp", "unlimited", {}),
])
def test_what_gateways_need(box, tmp_path, where, protocol, limit, wrong):
    listen_on(box, where, protocol)
    box.write("proc/self/limits", "Max locked memory  65536  65536  bytes\n"
              f"Max open files  1024  {limit}  files\n")
    _, findings = box.doctor("--config", config(tmp_path, BROKER))
    for check in ("config-gateways", "config-files"):
        assert findings[check]["status"] == ("warn" if check in wrong else "ok"), findings[check]
        assert wrong.get(check, "") in (findings[check]["remedy"] or "")
