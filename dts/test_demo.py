# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""tools/demo.sh as a user runs it, without a terminal."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import urllib.request

import pytest

from harness import ROOT
from harness.page import Page
from harness.patience import patience, wait_until

DEMO = ROOT / "tools" / "demo.sh"


def namespaces_of(pid):
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return [line for line in names.stdout.splitlines() if line.startswith(f"sluice-{pid}-")]


def start(*args):
    return subprocess.Popen([DEMO, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def read_until(demo, words):
    """What it says, up to the line with @words."""
    said = ""
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"no '{words}' in:\n{said}")


def get(url):
    with urllib.request.urlopen(url, timeout=patience(10)) as answer:
        return answer.read().decode()


def counts(output, what):
    """The numbers of a row of the final statistics."""
    [row] = re.findall(rf"^{re.escape(what)} +([\d, ]+)$", output.split("DELIVERY STATISTICS")[1],
                       re.M)
    return [int(n.replace(",", "")) for n in row.split()]


def test_the_ledgers_agree():
    demo = start("--seconds", "5", "--interval", "1")
    output, _ = demo.communicate(timeout=patience(180))
    assert demo.returncode == 0, output
    assert output.count("DELIVERY STATISTICS") == 1
    assert re.search(r"^live page: http://127\.0\.0\.1:\d+/$", output, re.M)
    sent, delivered, received = counts(output, "total delivered")
    assert sent == delivered == received > 4000
    # What the message servers sent is in it.
    assert len(re.findall(r"^127\.0\.0\.1:800[1-4] +connected +in +[1-9]", output, re.M)) >= 4
    sent_twice, filtered = counts(output, "duplicates filtered")
    assert sent_twice == filtered > 0.01 * sent
    by_class = [counts(output, f"priority {level}")
                for level in ("1 (high)", "2 (medium)", "3 (low)")]
    assert all(len(set(row)) == 1 and row[0] > 0 for row in by_class)
    assert sum(row[0] for row in by_class) == sent
    assert len(counts(output, "average latency, us")) == 2
    assert len(counts(output, "p99 latency, us")) == 2
    # Without a terminal: blocks of lines, one an interval, and nothing that moves a cursor.
    assert output.count("Sluice demo,") >= 3 and "\x1b" not in output
    assert namespaces_of(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_leaves_nothing_behind(number):
    demo = start("--seconds", "60", "--interval", "1")
    for line in demo.stdout:
        if "Sluice demo," in line:
            break
    assert len(namespaces_of(demo.pid)) == 2
    os.kill(demo.pid, number)
    demo.communicate(timeout=patience(30))
    assert demo.returncode == 128 + number
    assert namespaces_of(demo.pid) == []
    wait_until(lambda: subprocess.run(["pgrep", "-f", f"sluice-{demo.pid}-"], check=False,
                                      stdout=subprocess.DEVNULL).returncode == 1, 5, "all have gone")


def test_the_page_and_the_commands_reach_the_appliance():
    demo = start("--seconds", "3", "--interval", "1", "--http-port", "0", "--keep")
    try:
        said = read_until(demo, "Sluice demo,")
        [page] = re.findall(r"^live page: (http://127\.0\.0\.1:\d+/)$", said, re.M)
        [command] = re.findall(r"^commands: +(.*)$", said, re.M)
        assert "<html" in get(page)
        wait_until(lambda: json.loads(get(f"{page}api/v1/stats"))["delivered"] > 0,
                   what="messages are delivered")
        rows = json.loads(get(f"{page}api/v1/backends"))
        assert [row["state"] for row in rows] == ["UP"] * 4
        shown = subprocess.run(shlex.split(command), capture_output=True, text=True,
                               timeout=patience(20))
        assert shown.returncode == 0 and shown.stdout.count("UP") == 4, shown.stdout + shown.stderr
        # Kept: the result is there, and the appliance still answers.
        said += read_until(demo, "kept running")
        assert "RESULT: the ledgers agree" in said
        [connector] = json.loads(get(f"{page}api/v1/ingress"))["connectors"]
        assert [server["state"] for server in connector["servers"]] == ["connected"] * 4
        assert all(server["accepted"] > 0 for server in connector["servers"])
        metrics = get(f"{page}metrics")
        assert 'sluice_connector_messages_accepted_total{gateway="servers",protocol="json",' \
            'server="127.0.0.1:8004"} ' in metrics
        health = json.loads(get(f"{page}api/v1/health/table1/kitchen1"))
        assert health["checks"][0]["kind"] == "probe" and health["successes"] > 0
    finally:
        os.kill(demo.pid, signal.SIGINT)
        rest, _ = demo.communicate(timeout=patience(30))
    assert demo.returncode == 0, said + rest
    assert namespaces_of(demo.pid) == []


def test_the_page_shows_both_kinds_of_senders():
    """Those of UDP by what is received, and the message servers by what comes from each."""
    demo = start("--seconds", "60", "--interval", "1", "--http-port", "0")
    try:
        said = read_until(demo, "Sluice demo,")
        [url] = re.findall(r"^live page: (http://127\.0\.0\.1:\d+/)$", said, re.M)
        with Page(url) as page:
            page.wait_live()

            def servers():
                rows = page.rows("gateways")
                ones = [rows.get(f"servers 127.0.0.1:{port}", {}) for port in range(8001, 8005)]
                return all(row.get("Where") == "connected" and re.match(r"[\d.]*[1-9]", row["In/s"])
                           for row in ones)
            page.wait(servers, 20, "four servers are connected, and messages come from each")
            # Those of UDP are counted with them.
            page.wait(lambda: page.total("received") > 2 * json.loads(
                get(f"{url}api/v1/ingress"))["connectors"][0]["accepted"], 20)
            assert page.errors() == []
    finally:
        os.kill(demo.pid, signal.SIGINT)
        demo.communicate(timeout=patience(30))


def test_another_port_when_the_one_for_the_page_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start("--seconds", "60", "--http-port", str(port))
        said = read_until(demo, "live page:")
        os.kill(demo.pid, signal.SIGTERM)
        demo.communicate(timeout=patience(30))
    assert "http://127.0.0.1:" in said and f":{port}/" not in said


def test_wrong_arguments_are_refused():
    demo = start("--seconds", "0")
    output, _ = demo.communicate(timeout=patience(180))
    assert demo.returncode == 2 and "--seconds" in output
