# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""sluice-gen, the witness of the other suites, held against witnesses of its own: scapy, the stock
protobuf library, the kernel's stack, and traffic of which the test itself knows what is wrong."""

import collections
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from harness import (BUILD, NO_HUGE_PAGES, ROOT, SLUICE, Lab, MemifLab, decode, destination,
                     eal_lcores, encode, id_of, name_key, sink_backend, udp_socket)
from harness.gen import SLUICE_GEN
from harness.netns import child_options
from harness.patience import Deadline, patience

RING_MAC = "02:53:4c:00:00:00"  # what sluice-gen gives to a port without an address
APPLIANCE = "198.18.0.1"  # played by the kernel here
BACKEND = "198.19.7.9"

_counter = itertools.count()


class Gen:
    """A sluice-gen process; `with` sees to its end."""

    def __init__(self, *args, vdevs=(), namespace=None, cpu=0, nb_lcores=0):
        self.prefix = f"sluice-gen-test-{os.getpid()}-{next(_counter)}"
        cpus = sorted(os.sched_getaffinity(0))
        lcores = eal_lcores(nb_lcores, cpus[cpu % len(cpus):])
        argv = [SLUICE_GEN, f"--lcores={lcores}", *NO_HUGE_PAGES,
                "--no-pci", "--no-telemetry", f"--file-prefix={self.prefix}",
                *[f"--vdev={v}" for v in vdevs], "--", *args]
        if namespace is not None:
            argv = namespace.exec_args(*argv)
        self.process = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        **child_options())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)

    def wait_progress(self, words):
        """Wait until it tells so, of those that tell every second."""
        assert any(words in line for line in self.process.stderr), f"it never told of {words}"

    def end(self, code=0):
        """What a sender reports that stays for its peer, which has read all now."""
        # Of the same kind, two might be one.
        self.process.send_signal(signal.SIGINT)
        self.process.send_signal(signal.SIGTERM)
        return self.report(code)

    def report(self, code, timeout=60):
        """Its report, once it has ended as it should."""
        out, err = self.process.communicate(timeout=patience(timeout))
        assert self.process.returncode == code, f"exit code {self.process.returncode}\n{out}{err}"
        return json.loads(out)


def run(*args, code=0, **kwargs):
    with Gen(*args, "--json", **kwargs) as gen:
        return gen.report(code)


def run_ring(*args, code=0):
    """The generator against its own sink."""
    return run("--tx", "net_ring0", "--rx", "net_ring0", "--dst-mac", RING_MAC, "--drain-ms", 100,
               *args, vdevs=["net_ring0"], code=code)


def write_pcap(path, *args):
    subprocess.run([str(SLUICE_GEN), "--", "--pcap", str(path), "--dst-mac", RING_MAC,
                    *map(str, args)], check=True, capture_output=True)
    return path


def verdicts(report):
    names = ("lost", "duplicated", "reordered", "corrupt", "unknown", "late")
    return {name: report[name] for name in names if report[name]}


# The generator against its own sink


@pytest.mark.parametrize("options", [
    "--count 300000",
    "--count 100000 --size 0",
    "--count 100000 --size 16 --batch 13",
    "--count 50000 --size 0-1300 --batch 4 --sources 100 --destinations 1000",
    "--count 50000 --size 64:50,256:30,8000:20 --mtu 9000 --classes 0:1,8:1",
    "--count 100000 --udp-checksum off --verify fields",
    "--count 20000 --rate 50000 --destinations 100000",
], ids=lambda text: text.removeprefix("--count "))
def test_what_is_sent_is_delivered(options):
    report = run_ring(*options.split(), "--per-destination")
    count = int(options.split()[1])
    assert report["clean"] is True and verdicts(report) == {}
    assert report["sent"] == report["delivered"] == report["rx"]["messages"] == count
    assert report["tx"]["frames"] == report["rx"]["frames"] <= count
    for group in ("by_class", "by_destination"):
        for key, part in report[group].items():
            assert part["sent"] == part["delivered"], (group, key)
        assert sum(part["sent"] for part in report[group].values()) == count


def test_copies_are_seen_without_an_appliance():
    report = run_ring("--count", 100000, "--duplicates", "3%", "--second-feed", "10%", code=2)
    copies = report["tx"]["copies"]
    assert 0.12 * 100000 < copies < 0.14 * 100000
    assert verdicts(report) == {"duplicated": copies}
    assert report["delivered"] == 100000 and report["clean"] is False


def test_the_rate_is_kept():
    """It is never exceeded, and what others have of the CPU is not caught up with: some second is
    without them."""
    best = 0
    for _ in range(10):
        sent = run_ring("--rate", 20000, "--seconds", 1)["sent"]
        assert sent <= 20100
        best = max(best, sent)
        if best >= 19000:
            break
    assert best >= 19000


def test_a_signal_ends_the_sending_and_the_report_comes():
    with Gen("--tx", "net_ring0", "--rx", "net_ring0", "--dst-mac", RING_MAC, "--drain-ms", 100,
             "--rate", 1000, "--progress", 1, "--json", vdevs=["net_ring0"]) as gen:
        assert "delivered" in next(line for line in gen.process.stderr if " s  sent " in line)
        gen.process.send_signal(signal.SIGTERM)
        report = gen.report(0)
    assert report["sent"] == report["delivered"] > 0


@pytest.mark.parametrize("args, words", [
    ((), ("--tx", "--help")),
    (("--tx", "net_ring9"), ("net_ring9", "net_ring0")),
    (("--tx", "net_ring0", "--size", "2000"), ("--size", "--mtu", "1374")),
    (("--tx", "net_ring0", "--wait-ms", "50"), (APPLIANCE, "ARP", "--dst-mac")),
    (("--tx", "net_ring0", "--tx-lcore", "5"), ("--tx-lcore 5", "-l")),
    (("--rx", "net_ring0", "--sources", "1000000", "--destinations", "1000000"),
     ("streams", "sources")),
], ids=lambda value: " ".join(value))
def test_what_cannot_run_says_why(args, words):
    with Gen(*args, vdevs=["net_ring0"]) as gen:
        out, err = gen.process.communicate(timeout=patience(30))
    said = " ".join(line for line in err.splitlines() if not line.startswith(("EAL:", "TELEM")))
    assert gen.process.returncode == 1 and out == ""
    for word in words:
        assert word in said


# Two ports and two lcores


@pytest.mark.parametrize("lcores", [(), ("--rx-lcore", 1), ("--tx-lcore", 1),
                                    ("--tx-lcore", 1, "--rx-lcore", 2)],
                         ids=lambda options: " ".join(map(str, options)) or "one for both")
def test_sending_and_receiving_on_lcores_of_their_own(tmp_path, lcores):
    macs = ["02:00:00:00:00:01", "02:00:00:00:00:02"]
    report = run("--tx", "net_memif0", "--rx", "net_memif1", "--dst-mac", macs[1], "--count", 100000,
                 "--drain-ms", 300, *lcores, nb_lcores=2, vdevs=[
                     f"net_memif{n},role={role},id=0,mac={macs[n]},socket={tmp_path}/memif,"
                     "socket-abstract=no" for n, role in enumerate(("server", "client"))])
    assert report["delivered"] == 100000 and verdicts(report) == {}


def test_one_port_has_one_lcore():
    with Gen("--tx", "net_ring0", "--rx", "net_ring0", "--dst-mac", RING_MAC, "--rx-lcore", 1,
             vdevs=["net_ring0"], nb_lcores=1) as gen:
        _, err = gen.process.communicate(timeout=patience(30))
    assert gen.process.returncode == 1 and "--tx-lcore and --rx-lcore" in err


# Two processes


@pytest.fixture
def cable(tmp_path):
    socket = f"socket={tmp_path}/memif,socket-abstract=no,id=0"
    return {"tx": [f"net_memif0,role=client,{socket}"], "rx": [f"net_memif0,role=server,{socket}"]}


# net_memif unmaps its rings under an end that polls them in the moment the other one leaves.
NAP = ("--nap-us", 20)


def sender_that_stays(cable, *args):
    """Its ring goes with it, and what is in there: the sink may read it whenever it gets to it."""
    return Gen("--tx", "net_memif0", *args, *NAP, "--drain-ms", 50000, "--json", vdevs=cable["tx"])


def test_between_two_processes(cable):
    traffic = ("--count", 200000, "--size", "16-600", "--seed", 5, "--destinations", 50)
    with Gen("--rx", "net_memif0", *traffic, *NAP, "--json", vdevs=cable["rx"], cpu=1) as sink:
        with sender_that_stays(cable, *traffic) as sender:
            got = sink.report(0)
            sent = sender.end()
    assert sent["sent"] == sent["tx"]["messages"] == got["delivered"] == 200000
    assert verdicts(got) == {} and got["clean"] is True


def test_the_sender_may_be_there_first(cable):
    traffic = ("--count", 5000)
    with sender_that_stays(cable, *traffic) as sender:
        time.sleep(1)
        with Gen("--rx", "net_memif0", *traffic, *NAP, "--json", vdevs=cable["rx"], cpu=1) as sink:
            assert sink.report(0)["delivered"] == 5000
        assert sender.end()["sent"] == 5000


def test_a_slow_sink_costs_time_and_no_message(cable):
    traffic = ("--count", 20000, "--size", 16)
    with Gen("--rx", "net_memif0", *traffic, "--burst", 8, "--nap-us", 200, "--descriptors", 64,
             "--json", vdevs=cable["rx"], cpu=1) as sink:
        with sender_that_stays(cable, *traffic) as sender:
            got = sink.report(0)
            sent = sender.end()
    assert sent["tx"]["full_turns"] > 0 and sent["tx"]["given_up"] == 0
    assert got["delivered"] == 20000 and got["clean"] is True


def test_traffic_of_another_seed_is_unknown(cable):
    with Gen("--rx", "net_memif0", "--seed", 6, "--seconds", 40, "--progress", 1, *NAP, "--json",
             vdevs=cable["rx"], cpu=1) as sink, \
            sender_that_stays(cable, "--seed", 5, "--count", 1000):
        sink.wait_progress(" unknown 1000\n")
        sink.process.send_signal(signal.SIGINT)
        got = sink.report(2)
    assert verdicts(got) == {"unknown": 1000}


# The file


def test_same_seed_same_file(tmp_path):
    options = ("--count", 5000, "--duplicates", "5%", "--second-feed", "5%", "--batch", 3, "--size",
               "0-900")
    one = write_pcap(tmp_path / "one", *options, "--seed", 7).read_bytes()
    assert write_pcap(tmp_path / "two", *options, "--seed", 7).read_bytes() == one
    assert write_pcap(tmp_path / "three", *options, "--seed", 8).read_bytes() != one


def are_checksums_right(frame):
    """As scapy computes them, which has never heard of ours."""
    again = Ether(bytes(frame))
    del again[IP].chksum, again[UDP].chksum, again[IP].len, again[UDP].len
    return bytes(Ether(bytes(again))) == bytes(frame)


def test_the_file_holds_what_was_asked_for(tmp_path):
    path = write_pcap(
        tmp_path / "f", "--count", 4000, "--duplicates", "5%", "--second-feed", "10%", "--batch", 3,
        "--size", "0:20,5-400:80", "--sources", 3, "--destinations", 5, "--destination-first", 7,
        "--classes", "1:20,3:80", "--type-count", 2, "--rate", 1000, "--src-ip", "10.1.0.9",
        "--dst-ip", "10.1.0.1", "--dst-port", 7600, "--tx-mac", "02:00:00:00:00:99", "--seed", 3)
    feeds = collections.defaultdict(list)
    sent = collections.defaultdict(set)
    frames = rdpcap(str(path))
    for frame in frames:
        assert are_checksums_right(frame)
        assert (frame.src, frame.dst) == ("02:00:00:00:00:99", RING_MAC)
        assert (frame[IP].src, frame[IP].dst, frame[UDP].dport) == ("10.1.0.9", "10.1.0.1", 7600)
        datagram = decode(bytes(frame[UDP].payload))
        assert (datagram.magic, datagram.epoch, datagram.session) == (0x31434C53, 0, 0)
        assert 1 <= len(datagram.messages) <= 3
        # What Python's library writes for it is byte for byte what was sent.
        assert datagram.SerializeToString() == bytes(frame[UDP].payload)
        feeds[frame[UDP].sport] += datagram.messages
    assert set(feeds) == {10000, 10001}
    for message in feeds[10000] + feeds[10001]:
        sent[id_of(message)].add(message.SerializeToString())
    assert len(sent) == 4000 and {len(forms) for forms in sent.values()} == {1}
    assert {id & (1 << 64) - 1 for id in sent} == set(range(4000))
    assert 0.08 * 4000 < len(feeds[10001]) < 0.12 * 4000
    assert 0.035 * 4000 < len(feeds[10000]) - 4000 < 0.065 * 4000
    everything = feeds[10000]
    assert {m.source for m in everything} == {name_key(f"server{n}") for n in (1, 2, 3)}
    assert {m.destination for m in everything} == {name_key(f"table{n}") for n in range(7, 12)}
    assert {m.type for m in everything} == {name_key("type1"), name_key("type2")}
    levels = collections.Counter(m.priority for m in everything)
    assert set(levels) == {1, 3} and 0.17 < levels[1] / len(everything) < 0.23
    lengths = collections.Counter(len(m.payload) for m in everything)
    assert 0.17 < lengths[0] / len(everything) < 0.23
    assert max(lengths) <= 400 and min(set(lengths) - {0}) >= 5
    assert float(frames[-1].time - frames[0].time) == pytest.approx(4, rel=0.01)


# The kernel on the other side of the wire


@pytest.fixture
def kernel():
    """A bench whose peer side is a kernel with the appliance's address."""
    with Lab(addresses=(f"{APPLIANCE}/15",)) as lab:
        yield lab


def test_the_kernel_takes_every_datagram(kernel):
    """The address comes by ARP; the kernel's stack drops what has a wrong checksum."""
    with contextlib.closing(udp_socket(kernel.outside, APPLIANCE, 7500)) as sock:
        sock.settimeout(patience(5))
        report = run("--tx", "net_af_packet0", "--count", 2000, "--rate", 20000, "--size", "0-1300",
                     "--seed", 4, vdevs=kernel.devices, namespace=kernel.inside)
        got = [decode(sock.recv(65536)).messages[0] for _ in range(2000)]
    assert report["sent"] == 2000
    assert [m.id_low for m in got] == list(range(2000))
    assert all(0 <= time.time_ns() - m.timestamp_ns < 120e9 for m in got)
    [frame] = kernel.raw.take(1, lambda frame: UDP in frame)
    assert are_checksums_right(frame)


class Feeder:
    """Sends messages of a known traffic to the sink, one a datagram, as a kernel's socket does."""

    COUNT = 400
    TRAFFIC = ("--count", COUNT, "--size", "32", "--sources", 1, "--destinations", 1, "--classes",
               "1", "--seed", 21)

    def __init__(self, lab, tmp_path):
        frames = rdpcap(str(write_pcap(tmp_path / "known", *self.TRAFFIC)))
        self.messages = [decode(bytes(frame[UDP].payload)).messages[0] for frame in frames]
        self.lab = lab

    def wait_for_sink(self, sink):
        """Make the kernel ask for the backend by ARP until the sink is there to answer."""
        deadline = Deadline(20)
        while "REACHABLE" not in self.lab.outside.ip("neighbour", "show", BACKEND):
            assert not deadline.has_passed() and sink.process.poll() is None
            subprocess.run(self.lab.outside.exec_args("ping", "-c", 1, "-W", 1, BACKEND),
                           check=False, capture_output=True)

    def feed(self, datagrams, code=0):
        """What the sink makes of them."""
        with Gen("--rx", "net_af_packet0", *self.TRAFFIC, "--seconds", 20, "--json",
                 vdevs=self.lab.devices, namespace=self.lab.inside, cpu=1) as sink, \
                contextlib.closing(udp_socket(self.lab.outside, APPLIANCE, 7500)) as sock:
            self.wait_for_sink(sink)
            for datagram in datagrams:
                sock.sendto(datagram, (BACKEND, 9001))
            time.sleep(0.5)
            sink.process.send_signal(signal.SIGINT)
            return sink.report(code)


@pytest.fixture
def feeder(kernel, tmp_path):
    return Feeder(kernel, tmp_path)


def test_the_sink_answers_arp_and_takes_what_a_kernel_sends(feeder):
    report = feeder.feed([encode(m) for m in feeder.messages])
    assert report["delivered"] == feeder.COUNT and verdicts(report) == {}
    assert report["rx"]["arp_answered"] > 0 and report["rx"]["bad_frames"] == {}


def test_sessions_and_epochs_are_the_appliances(feeder):
    for number, message in enumerate(feeder.messages):
        message.sequence = number + 1
    report = feeder.feed([encode(m, epoch=9, session=99) for m in feeder.messages])
    assert report["delivered"] == feeder.COUNT and verdicts(report) == {}


def test_every_fault_has_its_verdict(feeder):
    """Ten of each, none beside another: the ledger finds these and no more."""
    out = []
    expected = collections.Counter()
    for first in range(0, feeder.COUNT, 40):
        some = feeder.messages[first:first + 40]
        out += some[0:5] + some[6:10]  # one is lost
        out += [some[10], some[10]]
        out += [some[12], some[11]]
        corrupt = type(some[13]).FromString(some[13].SerializeToString())
        corrupt.payload = corrupt.payload[:-1] + bytes([corrupt.payload[-1] ^ 1])
        unknown = type(some[14]).FromString(some[14].SerializeToString())
        unknown.id_high ^= 1
        out += [corrupt, some[14], unknown] + some[15:]
        for verdict in ("lost", "duplicated", "reordered", "corrupt", "unknown"):
            expected[verdict] += 1
    report = feeder.feed([encode(m) for m in out], code=2)
    assert verdicts(report) == dict(expected)
    assert report["delivered"] == feeder.COUNT - expected["lost"]


@pytest.mark.parametrize("change", [
    {"source": 1}, {"destination": 1}, {"type": 1}, {"priority": 2}, {"flags": 1}, {"payload": b""},
    {"payload": b"x" * 33}, {"id_text": "more"}, {"timestamp_ns": 1},
], ids=lambda change: next(iter(change)))
def test_no_field_may_change(feeder, change):
    [message] = feeder.messages[:1]
    for field, value in change.items():
        setattr(message, field, value)
    report = feeder.feed([encode(m) for m in feeder.messages], code=2)
    assert verdicts(report) == {"corrupt": 1} and report["delivered"] == feeder.COUNT


def test_a_datagram_cut_short_is_a_bad_frame(feeder):
    out = [encode(m) for m in feeder.messages]
    out[7] = out[7][:-1]
    report = feeder.feed(out, code=2)
    assert verdicts(report) == {"lost": 1} and report["rx"]["bad_frames"] == {"slow": 1}


def test_allowed_loss_is_no_error(cable):
    with Gen("--rx", "net_memif0", "--count", 1000, "--seconds", 40, "--progress", 1,
             "--allow-loss", *NAP, "--json", vdevs=cable["rx"], cpu=1) as sink, \
            sender_that_stays(cable, "--count", 900):
        sink.wait_progress(" delivered 900 ")
        sink.process.send_signal(signal.SIGINT)
        report = sink.report(0)
    assert report["lost"] == 100 and report["clean"] is True


def test_what_must_come_is_waited_for():
    """The appliance stands still for longer than --drain-ms, with messages in its cable."""
    with MemifLab() as cables, cables.appliance(
            cables.config(destination("table1", sink_backend(1)))) as sluice:
        with cables.generating("--count", 600, "--rate", 1000, "--destinations", 1,
                               "--drain-ms", 300, ends_itself=True) as run:
            sluice.wait_for(lambda stats: stats["delivered"] > 0)
            with sluice.standing_still():
                time.sleep(1.5)
        assert run.report.is_clean, run.report.said
        sluice.wait_for(received=600, delivered=600)


# The profile for Pktgen


def test_the_pktgen_profile_fits_together(tmp_path):
    """Pktgen itself is no part of the tests: here, that file and configuration agree."""
    profile = ROOT / "tools" / "pktgen"
    path = tmp_path / "traffic.pcap"
    subprocess.run([profile / "make-pcap.sh", path, "--count", "2000"], check=True,
                   env={**os.environ, "SLUICE_BUILD": str(BUILD)})
    subprocess.run([SLUICE, *NO_HUGE_PAGES, "--no-pci", f"--file-prefix=pktgen-{os.getpid()}", "--",
                    "--config", profile / "appliance.yaml", "--check-config"], check=True,
                   capture_output=True)
    config = yaml.safe_load((profile / "appliance.yaml").read_text())
    readme = (profile / "README.md").read_text()
    frames = rdpcap(str(path))
    messages = [m for frame in frames for m in decode(bytes(frame[UDP].payload)).messages]
    assert {m.destination for m in messages} == {name_key(d["name"]) for d in config["destinations"]}
    assert {frame[IP].dst + "/24" for frame in frames} == {config["ports"][0]["address"]}
    for mac in (frames[0].src, frames[0].dst, config["neighbours"][0]["mac"]):
        assert f"mac={mac}" in readme
