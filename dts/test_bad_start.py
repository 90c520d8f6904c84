# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What cannot work is refused at the start: one clear line that names the fix, an exit code that
is not 0, and no backtrace. Beside it, that what can work does start."""

import re
import signal
import subprocess

import pytest

from harness import (HUGE_PAGES, NO_HUGE_PAGES, ROOT, SLUICE, Appliance, MemifLab, backend,
                     destination, make_config, message, port, reserve_huge_pages,
                     sink_backend, table)
from harness.patience import patience

UGLY = re.compile(r"panic|segmentation|backtrace|core dumped|assert|\bat \S+\.c:\d+|Sanitizer",
                  re.I)
OWN_LINE = re.compile(r"^(?:\S+Z )?sluice(?: error \w+)?: .*", re.M)


def refuse(sluice, *words):
    """It does not start and says why in one line of its own that has all of @words."""
    code, said = sluice.fail()
    assert 0 < code < 128, f"exit code {code}:\n{said}"
    assert not UGLY.search(said), said
    own = OWN_LINE.findall(said)
    assert len(own) == 1, f"not one line but {len(own)}:\n{said}"
    for word in words:
        assert re.search(word, own[0]), f"'{word}' is not in: {own[0]}"
    return own[0]


CONFIG_CASES = {
    "unknown key": ({"colour": "blue"}, [r"sluice\.yaml:\d+", "colour"]),
    "wrong type": ({"udp_port": "many"}, [r"sluice\.yaml:\d+", "udp_port"]),
    "out of bounds": ({"udp_port": 70000}, [r"sluice\.yaml:\d+", "udp_port", "65535"]),
    "unknown class in a rule": ({"rules": [{"type": "lunch", "class": "urgent"}]},
                                [r"sluice\.yaml:\d+", "urgent"]),
    "a name twice": ({"destinations": [table(1), table(1)]}, [r"sluice\.yaml:\d+", "table1"]),
    "a backend off every subnet": (
        {"destinations": [destination("table1", backend("far", "192.0.2.1"))]},
        [r"sluice\.yaml:\d+", "192.0.2.1", "gateway"]),
}


@pytest.mark.parametrize("keys, words", CONFIG_CASES.values(), ids=CONFIG_CASES.keys())
@pytest.mark.parametrize("only_check", [False, True], ids=["start", "check"])
def test_wrong_configuration(keys, words, only_check):
    """Found before any device is touched, so that it needs none to be found."""
    args = ["--check-config"] if only_check else []
    refuse(Appliance(make_config(**keys), args=args), *words)


def test_not_yaml():
    refuse(Appliance("ports: [\n"), r"sluice\.yaml:\d+")


def test_no_such_file():
    sluice = Appliance(make_config())
    sluice.config_file.unlink()
    refuse(sluice, str(sluice.config_file), "[Nn]o such file")


def test_a_directory_in_place_of_the_file():
    sluice = Appliance(make_config())
    sluice.config_file.unlink()
    sluice.config_file.mkdir()
    refuse(sluice, str(sluice.config_file), "directory")


def test_no_configuration_named():
    sluice = Appliance(make_config())
    at = sluice.argv.index("--config")
    del sluice.argv[at:at + 2]
    refuse(sluice, "--config")


def test_unknown_option():
    refuse(Appliance(make_config(), args=["--colour"]), "--colour")


def test_statistics_file_that_cannot_be_written(lab):
    """Said once; whoever only wanted to look does not stop the traffic."""
    sluice = lab.appliance()
    at = sluice.argv.index("--stats-file")
    sluice.argv[at + 1] = "/nonexistent/stats.json"
    with lab.receiver(1) as kitchen, sluice:
        lab.send(message(1))
        kitchen.take(1)
        sluice.send_signal(signal.SIGTERM)
        assert sluice.wait_exit() == 1, "what was asked for was not done"
    [said] = [line for line in OWN_LINE.findall(sluice.stderr) if " error main: " in line]
    assert "/nonexistent/stats.json" in said and "No such file" in said


def test_missing_device(lab):
    refuse(lab.appliance(make_config(ports=[port(device="net_af_packet7")])), "net_af_packet7",
           "--vdev")


def test_device_that_cannot_be_opened(lab):
    """EAL gives up on the device; the line says which port is without one."""
    code, said = lab.appliance(vdevs=["net_af_packet0,iface=nothere0"]).fail()
    assert 0 < code < 128 and not UGLY.search(said), said
    assert OWN_LINE.search(said), said


def test_one_device_for_two_ports(lab):
    ports = [port(), port("net1", "net_af_packet0", "10.78.0.1/24")]
    refuse(lab.appliance(make_config(ports=ports)), "net_af_packet0")


def test_lcore_that_does_not_exist(lab):
    lcores = [{"lcore": 1, "roles": ["rx"]}, {"lcore": 9, "roles": ["worker"]}]
    refuse(lab.appliance(make_config(lcores=lcores)), "lcore 9", "-l|--lcores")


def test_main_lcore_with_a_role(lab):
    refuse(lab.appliance(make_config(lcores=[{"lcore": 0, "roles": ["rx", "worker"]}])),
           "lcore 0", "main")


def test_nobody_receives(lab):
    refuse(lab.appliance(make_config(lcores=[{"lcore": 1, "roles": ["worker"]}])), "rx")


def test_nobody_works(lab):
    refuse(lab.appliance(make_config(lcores=[{"lcore": 1, "roles": ["rx"]}])), "worker")


def test_too_few_mbufs(lab):
    refuse(lab.appliance(make_config(mbufs=100)), "mbufs", r"\d{3,}")


def test_too_little_memory(lab):
    config = make_config(table(1, queue_capacity=1 << 24), mbufs=1 << 20)
    refuse(lab.appliance(config, memory=("--no-huge", "-m", "64")), "memory", "-m")


def test_busy_port():
    """Another appliance already listens on the memif socket."""
    with MemifLab() as cables:
        config = cables.config(destination("table1", sink_backend(1)))
        with cables.appliance(config) as first:
            refuse(cables.appliance(config), "net_memif0")
            assert first.process.poll() is None


def test_no_huge_pages(lab):
    """As on a machine where none are set up: sysfs knows of no huge page size."""
    sluice = lab.appliance(memory=())
    hide = "mount -t tmpfs none /sys/kernel/mm/hugepages && exec \"$@\""
    at = sluice.argv.index(str(SLUICE))
    sluice.argv[at:at] = ["unshare", "-m", "sh", "-c", hide, "sh"]
    refuse(sluice, "[Hh]uge ?pages", "--no-huge", "nr_hugepages")


def test_the_same_run_twice(lab):
    """One file prefix belongs to one process."""
    with lab.appliance(memory=NO_HUGE_PAGES) as first:
        code, said = lab.appliance(file_prefix=first.file_prefix).fail()
        assert 0 < code < 128 and not UGLY.search(said), said
        assert "--file-prefix" in said


def test_version():
    done = subprocess.run([SLUICE, "--", "--version"], capture_output=True, text=True,
                          timeout=patience(20))
    assert done.returncode == 0
    assert re.search(r"sluice \d+\.\d+\.\d+", done.stdout)


def test_a_good_configuration_is_checked_without_devices():
    sluice = Appliance(make_config(), args=["--check-config"])
    code, said = sluice.fail()
    assert code == 0, said


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")),
                         ids=lambda path: path.name)
def test_every_example_is_good(example):
    done = subprocess.run([SLUICE, "--check-config", "--config", example], timeout=patience(60),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_documentation_has_the_reference_of_the_keys():
    done = subprocess.run([SLUICE, "--config-reference"], timeout=patience(60), capture_output=True,
                          text=True, check=True)
    assert done.stdout in (ROOT / "docs" / "configuration.md").read_text()


def test_starts_with_huge_pages(lab):
    """Needs 600 MiB of free huge pages; reserves them where they are missing."""
    reserve_huge_pages(600)
    with lab.receiver(1) as kitchen, lab.appliance(memory=HUGE_PAGES):
        lab.send(message(1))
        kitchen.take(1)
