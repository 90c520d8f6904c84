# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The command line: every command on a living appliance, as scripts use it and as people type it."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import termios
import threading
import time

import pytest

from harness import ROOT, Lab, make_config, message, table
from harness.cli import (FAILED, NO_CONNECTION, OK, PROMPT, SLUICECTL, USAGE, Cli, environment,
                         interactive, sluicectl, type_line)
from harness.patience import Deadline, patience, wait_until

# What the examples of the manual are about.
HEALTH = {"checks": [{"kind": "exec", "argv": ["/bin/true"]}], "interval_ms": 100}
CHAT = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "rooms": 0}
CONFIG = make_config(table(1, health=HEALTH), table(2), gateways={"listeners": [CHAT]})

EXAMPLES = subprocess.run([SLUICECTL, "--examples"], capture_output=True, text=True,
                          check=True).stdout.splitlines()

SHOWS = [e.split(" rate")[0] for e in EXAMPLES if e.startswith("show ")]

UP, TAB, CTRL_A, CTRL_C, CTRL_D = "\x1b[A", "\t", "\x01", "\x03", "\x04"


@pytest.fixture(scope="module")
def running():
    """One appliance for the tests that leave it as it was."""
    with Lab() as lab, lab.receiver(1), lab.appliance(CONFIG) as sluice:
        for i in range(20):
            lab.send(message(i // 2))
        sluice.wait_for(received=20, delivered=10)
        yield sluice


@pytest.fixture
def cli(running):
    return Cli(running)


@pytest.fixture
def terminal(running, tmp_path):
    """sluicectl at its prompt."""
    child = interactive(SLUICECTL, "--socket", running.control_socket, home=tmp_path)
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def on_files(example, sluice):
    """An example with the appliance's own files."""
    return (example.replace("/etc/sluice/sluice.yaml", str(sluice.config_file))
            .replace("/etc/sluice/", f"{sluice.dir}/"))


def nb_traces(sluice):
    return len(re.findall(r"trace asked for by .*: begun\n", sluice.stderr))


def wait_trace(sluice, before):
    """Wait until there was one more than @before."""
    wait_until(lambda: nb_traces(sluice) > before, 20, "a trace has begun")


# Every command


def test_every_example_runs(lab, tmp_path):
    """In the order of the manual, as written there; quit is the last."""
    assert len(EXAMPLES) > 40
    config = {**CONFIG, "journal": {"directory": str(tmp_path / "journal"), "segment_bytes": "1M",
                                    "max_bytes": "64M"}}
    with lab.receiver(1), lab.appliance(config) as sluice:
        cli = Cli(sluice)
        for example in sorted(EXAMPLES, key=lambda e: e == "quit"):
            done = cli.run(on_files(example, sluice))
            assert (done.returncode, done.stderr) == (OK, ""), f"{example}: {done.stderr}"
        assert sluice.wait_exit() == 0, "quit ends it"


@pytest.mark.parametrize("command", SHOWS)
def test_what_is_shown_is_json_too(cli, command):
    assert cli.ok(command).strip()
    assert isinstance(cli.json(command), (dict, list))


def test_tables_tell_what_json_does(cli):
    lines = cli.ok("show classes").splitlines()
    rows = [dict(zip(lines[0].split(), line.split())) for line in lines[1:]]
    told = cli.json("show classes")
    assert [(r["level"], r["name"], r["delivered"]) for r in rows] == \
        [(str(c["level"]), c["name"], str(c["delivered"])) for c in told]
    assert sum(c["delivered"] for c in told) == 10
    assert not any(line.endswith(" ") for line in lines)


def test_rates(lab):
    """Each reading is there when its interval is over; times the interval, what it tells is what
    was sent. No interval is shorter than was asked for, also behind a standstill."""
    def counted(reading):
        rates = reading["rates"]
        return [round(rate * reading["interval_s"])
                for rate in (rates["received"], rates["by_class"]["2"]["delivered"])]

    with lab.receiver(1), lab.appliance(CONFIG) as sluice:
        argv = [SLUICECTL, "--socket", sluice.control_socket, "--json",
                "show stats rate 0.5 count 1000"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True,
                              env=environment()) as shown:
            try:
                # All that is sent from now on is in one of the readings that follow.
                readings = [json.loads(shown.stdout.readline())]
                shown.send_signal(signal.SIGSTOP)
                for number in range(400):
                    lab.send(message(number))
                sluice.wait_for(delivered=400)
                time.sleep(1.2)
                shown.send_signal(signal.SIGCONT)
                deadline = Deadline(20)
                while len(readings) < 4 or sum(counted(r)[0] for r in readings) < 400:
                    assert not deadline.has_passed(), readings
                    readings.append(json.loads(shown.stdout.readline()))
            finally:
                shown.kill()
        text = Cli(sluice).ok("show classes rate 0.3")
    assert [sum(counts) for counts in zip(*map(counted, readings))] == [400, 400]
    for reading in readings:
        assert reading["interval_s"] >= 0.499
        assert reading["rates"]["cycles"]["hz"] > 1e6, "what is no counter stays as it is"
    assert re.match(r"a second, over \d+\.\d\d s:\nlevel +name +delivered", text)


def test_changes_are_told(lab):
    with lab.appliance(CONFIG) as sluice:
        cli = Cli(sluice)
        assert "destinations.table1.backends.kitchen1.weight  1       7" in \
            cli.ok("set backend table1 kitchen1 weight 7")
        assert cli.json("show backends table1")[0]["weight"] == 7
        assert "(added)" in cli.ok("add backend table1 spare 10.77.0.99 9000 state drain weight 3")
        assert cli.json("show backends table1")[1]["admin_state"] == "drain"
        answer = cli.json("del backend table1 spare")
        assert answer["applied"] and len(answer["changes"]) == 1
        assert "backends.kitchen1.weight" in cli.ok(f"check {sluice.config_file}")
        assert cli.json("show backends table1")[0]["weight"] == 7, "check changes nothing"
        assert cli.ok("reload").endswith("applied\n")
        assert cli.json("show backends table1")[0]["weight"] == 1
        assert cli.ok("reload") == "nothing changes\napplied\n"


def test_a_refused_reload_tells_why(lab):
    with lab.appliance(CONFIG) as sluice:
        cli = Cli(sluice)
        broken = sluice.dir / "broken.yaml"
        broken.write_text("node: [")
        assert "broken.yaml:1" in cli.fails("reload", broken)
        other = sluice.dir / "other.yaml"
        other.write_text(sluice.config_file.read_text()
                         .replace("drain_timeout_ms: 2000", "drain_timeout_ms: 1000")
                         .replace("capacity: 65536", "capacity: 131072"))
        done = cli.run("reload", other)
        assert done.returncode == FAILED and "dedup.capacity" in done.stderr
        assert re.search(r"dedup\.capacity +65536 +131072 +yes", done.stdout)
        assert re.search(r"drain_timeout_ms +2000 +1000 +no", done.stdout)
        told = json.loads(cli.run("--json", "reload", other).stdout)
        assert told["status"] > 0 and "dedup.capacity" in told["error"]
        assert "drain_timeout_ms: 1000" not in cli.json("show config")["yaml"]


def test_files_are_found_from_where_one_stands(lab, tmp_path):
    with lab.appliance(CONFIG) as sluice:
        here = os.getcwd()
        os.chdir(tmp_path)
        try:
            Cli(sluice).ok("save config mine.yaml")
        finally:
            os.chdir(here)
        assert "table1" in (tmp_path / "mine.yaml").read_text()


def test_trace_tells_the_way_of_a_message(lab):
    with lab.receiver(1), lab.appliance(CONFIG) as sluice:
        def send(before):
            wait_trace(sluice, before)
            lab.send(message(7))

        sender = threading.Thread(target=send, args=(nb_traces(sluice),))
        sender.start()
        shown = Cli(sluice).ok("trace destination table1 timeout 15")
        sender.join()
    assert shown.startswith("message 1: source ")
    nodes = [line.split()[1] for line in shown.splitlines()[2:]]
    assert nodes.index("route") < nodes.index("dedup") < nodes.index("port_tx")


def test_explain_tells_steps_in_words(cli):
    shown = cli.ok("explain priority 1 destination table2 source till")
    assert re.match(r" 1\. \S", shown)
    assert "backend: kitchen2 may take it" in shown
    assert shown.endswith("Such a message now: delivered\n")
    assert "there is no destination nowhere" in cli.ok("explain source s destination nowhere")


def test_capture_names_the_device(cli):
    shown, prefix = cli.ok("capture net0"), cli.json("show version")["file_prefix"]
    assert f"dpdk-dumpcap --file-prefix={prefix} -i net_af_packet0" in shown
    assert prefix.startswith("sluice-"), "it is the one that the harness gave to EAL"
    assert "no port nope" in cli.fails("capture nope")


def test_graph_in_words_and_for_graphviz(cli):
    assert "route -> shard, drop_no_destination" in cli.ok("show graph")
    # Graphviz takes nothing but these in a name that is not quoted.
    assert re.match(r"digraph \w+ \{\n", cli.ok("show graph dot"), re.I)


# Names


def test_names_with_blanks_and_beyond_ascii(lab):
    name = "crêpes #2 50%"
    with lab.appliance(make_config(table(1), {**table(2), "name": name})) as sluice:
        cli = Cli(sluice)
        word = "cr%c3%aapes%20%232%2050%25"
        assert cli.json("show", "destination", name)["name"] == name
        assert cli.json(f"show destination {word}")["name"] == name
        assert cli.ok("--complete", "show destination c") == word + "\n"
        assert cli.ok("--complete", f"show health {word} ") == "kitchen2\n"


# Errors


@pytest.mark.parametrize("line, words", [
    ("show prot", ["show prot: no such word; after show: backends, classes", "did you mean port?"]),
    ("shwo stats", ["shwo: no such command", "did you mean show?"]),
    ("start now", ["start now: nothing follows after start"]),
    ("show port info", ["show port info: not complete", "PORT"]),
    ("add backend table1 b 10.0.0.300 9000", ["ADDRESS: 10.0.0.300 does not do", "10.77.0.11"]),
    ("add backend table1 b 10.77.0.3 70000", ["PORT: 70000 does not do", "1 to 65535"]),
    ("set backend table1 kitchen1 weight -1", ["WEIGHT: -1 does not do", "1 to 65535"]),
    ("set backend table1 kitchen1 state up", ["STATE: up does not do", "ready, drain or maint"]),
    ("set class 9 min-share 5", ["LEVEL: 9 does not do", "1 to 8"]),
    ("set class 1 min-share 101", ["PERCENT: 101 does not do", "0 to 100"]),
    ("trace id xyz", ["ID: xyz does not do", "32 hexadecimal digits"]),
    ("trace source till count 65", ["COUNT: 65 does not do", "1 to 64"]),
    ("show stats rate 0", ["no such word", "SECONDS (seconds from 0.1 to 3600)"]),
    ("log datapth debug", ["MODULE: datapth does not do", "datapath"]),
    ("add rule source till", ["class is missing"]),
    ("explain destination table1", ["source is missing"]),
    ("add destination x rate 1 rate 2", ["rate is given twice"]),
    (f"show destination {'x' * 64}", ["DESTINATION: xxx", "1 to 63 bytes"]),
    ("help nothing", ["no such command"]),
], ids=lambda v: v[:30] if isinstance(v, str) else "")
def test_wrong_lines(cli, line, words):
    said = cli.fails(line, code=USAGE)
    assert said.startswith("sluicectl: ") and said.count("\n") == 1
    for word in words:
        assert word in said, said


@pytest.mark.parametrize("line, name", [
    ("show destination nowhere", "nowhere"),
    ("show backends nowhere", "nowhere"),
    ("show port info net9", "net9"),
    ("show health table1 nobody", "nobody"),
    ("set destination nowhere rate 5", "nowhere"),
    ("set backend table1 nobody weight 5", "nobody"),
    ("del backend table1 nobody", "nobody"),
    ("del destination nowhere", "nowhere"),
    ("del rule 200", "200"),
    ("add destination table1", "table1"),
    ("add backend table1 kitchen1 10.77.0.50 9000", "kitchen1"),
    ("add rule class nothing", "nothing"),
    ("add backend table1 far 203.0.113.1 9000", "203.0.113.1"),
    ("set class 7 min-share 1", "7"),
    ("clear stats port net9", "net9"),
    ("clear stats destination nowhere", "nowhere"),
    ("check /nonexistent.yaml", "/nonexistent.yaml"),
    ("reload /nonexistent.yaml", "/nonexistent.yaml"),
    ("save config /nonexistent/x.yaml", "/nonexistent/x.yaml"),
])
def test_what_is_not_there_is_named(cli, line, name):
    done = cli.run(line)
    assert done.returncode == FAILED, done.stdout
    assert done.stderr.startswith("sluicectl: ") and done.stderr.count("\n") == 1
    assert name in done.stderr


def test_errors_as_json(cli):
    done = cli.run("--json", "show destination nowhere")
    assert (done.returncode, done.stderr) == (FAILED, "")
    told = json.loads(done.stdout)
    assert "nowhere" in told["error"] and told["status"] == 2
    assert json.loads(cli.run("--json", "shwo").stdout)["status"] == 22


# Batches


def test_a_batch_from_a_file(cli, tmp_path):
    batch = tmp_path / "batch"
    batch.write_text("# comment\n\nshow version\nshow destination nowhere # to see\nshow dedup\n")
    done = cli.run("-f", batch)
    assert done.returncode == FAILED
    assert done.stderr.startswith(f"{batch}:4: ") and "nowhere" in done.stderr
    assert "version:" in done.stdout and "capacity:" in done.stdout
    done = cli.run("-e", "-f", batch)
    assert done.returncode == FAILED
    assert "capacity:" not in done.stdout, "it stops at the first error"


def test_a_batch_from_standard_input(cli):
    done = cli.run("--json", stdin="show version\nshwo\nshow dedup\nexit\nshow stats")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == USAGE
    assert len(answers) == 3, "exit ends it"
    assert "version" in answers[0] and answers[1]["line"] == 2 and "capacity" in answers[2]
    assert cli.run(stdin="").returncode == OK


def test_files_that_are_none(cli, tmp_path):
    assert "cannot be read" in cli.fails("-f", "/nonexistent", code=USAGE)
    assert "not both" in cli.fails("-f", "/dev/null", "show", "stats", code=USAGE)
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"show\0stats\n" + bytes(range(256)) * 20)
    assert "garbage:1: " in cli.fails("-f", garbage, code=USAGE)


@pytest.mark.parametrize("argv", [["--sockte", "x"], ["--timeout", "soon", "show", "stats"],
                                  ["--socket"]], ids=lambda a: a[0])
def test_wrong_options(argv):
    done = sluicectl(*argv)
    assert done.returncode == USAGE and done.stderr.startswith("sluicectl: ")


def test_a_reader_that_goes_away(cli):
    """Output that nobody takes is a failure, not a crash."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([SLUICECTL, "--socket", str(cli.socket), "show", "nodes"],
                              stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert done.returncode == FAILED


# Without an appliance


def test_nobody_listens(tmp_path):
    path = tmp_path / "nothing.sock"
    done = sluicectl("show", "stats", socket=path)
    assert done.returncode == NO_CONNECTION
    assert str(path) in done.stderr and "--socket" in done.stderr
    done = sluicectl("show", "stats", SLUICE_SOCKET=str(path))
    assert done.returncode == NO_CONNECTION and str(path) in done.stderr
    done = sluicectl(socket=path, stdin="help\nshow stats\nhelp\n")
    assert done.returncode == NO_CONNECTION
    assert done.stdout.splitlines().count("Session") == 1, "the rest is not tried"
    assert sluicectl("help", socket=path).returncode == OK
    assert sluicectl("--complete", "show de", socket=path).stdout.split() == \
        ["dedup", "destination", "destinations"]
    assert sluicectl("--complete", "show destination ", socket=path).stdout == ""


def fake_server(path, answer):
    """Takes one connection and answers with bytes, or never (None)."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve():
        client, _ = server.accept()
        client.recv(1000)
        if answer is not None:
            client.sendall(answer)
            client.close()
        else:
            client.recv(1000)
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize("answer, code, words", [
    (b"", NO_CONNECTION, "went away"),
    (b"\0\0\0\5ab", NO_CONNECTION, "went away"),
    (b"\xff\xff\xff\xffHTTP", FAILED, "does not speak"),
    (b"\0\0\0\4\xff\xff\xff\xff", FAILED, "does not speak"),
], ids=["closes", "stops", "length", "garbage"])
def test_servers_that_are_no_appliance(tmp_path, answer, code, words):
    thread = fake_server(tmp_path / "s", answer)
    # Longer than the test waits: nothing but the answer ends it.
    done = sluicectl("--timeout", "600", "show", "stats", socket=tmp_path / "s")
    thread.join()
    assert done.returncode == code and words in done.stderr


def test_a_server_that_does_not_answer(tmp_path):
    thread = fake_server(tmp_path / "s", None)
    started = time.monotonic()
    done = sluicectl("--timeout", "0.5", "show", "stats", socket=tmp_path / "s")
    thread.join()
    assert 0.5 <= time.monotonic() - started < 10, "sooner than without --timeout"
    assert done.returncode == FAILED and "no answer in time" in done.stderr


def begin_trace(terminal, sluice):
    """Type a trace that nothing ends for a minute; it has begun when this returns."""
    before = nb_traces(sluice)
    terminal.send("trace source nobody timeout 60\r")
    wait_trace(sluice, before)


def test_an_appliance_that_dies_and_comes_back(lab, tmp_path):
    with lab.appliance(CONFIG) as sluice:
        child = interactive(SLUICECTL, "--socket", sluice.control_socket, home=tmp_path)
        child.expect_exact(PROMPT)
        assert "version:" in type_line(child, "show version")
        sluice.process.kill()
        sluice.process.wait()
        assert "no appliance listens" in type_line(child, "show version")
        sluice.start()
        sluice.wait_ready()
        wait_until(lambda: "version:" in type_line(child, "show version"), 20,
                   lambda: f"it is back: {sluice.stderr}")
        begin_trace(child, sluice)
        sluice.process.kill()
        child.expect_exact("went away")
        child.expect_exact(PROMPT)
        child.close(force=True)
        sluice.process.wait()


# At the prompt


def test_completion_by_tab(terminal):
    terminal.send("sh" + TAB)
    terminal.expect_exact("show ")
    terminal.send("destination t" + TAB)
    terminal.expect_exact("destination table")
    terminal.send(TAB)
    terminal.expect(r"\n +table1\s+table2\s")
    terminal.expect_exact("sluice> show destination table")
    terminal.send("1" + TAB + "\r")
    terminal.expect(r"name: +table1")
    terminal.expect_exact(PROMPT)
    terminal.send("set backend table2 " + TAB)
    terminal.expect_exact("kitchen2 ")
    terminal.send("weight ?")
    terminal.expect_exact("WEIGHT: a whole number from 1 to 65535")
    terminal.send(CTRL_C)
    terminal.expect_exact(PROMPT)


def test_history_by_cursor_and_from_the_file(running, tmp_path):
    state = tmp_path / ".local" / "state"
    state.mkdir(parents=True)
    history = state / "sluicectl_history"
    argv = [SLUICECTL, "--socket", running.control_socket]
    child = interactive(*argv, home=tmp_path)
    child.expect_exact(PROMPT)
    type_line(child, "show version")
    type_line(child, "show dedup")
    child.send(UP + UP)
    child.expect_exact("show version")
    child.send("\r")
    child.expect_exact("uptime_s")
    child.expect_exact(PROMPT)
    child.send(CTRL_D)
    child.wait()
    assert child.exitstatus == OK
    assert history.read_text() == "show version\nshow dedup\nshow version\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600

    child = interactive(*argv, home=tmp_path)
    child.expect_exact(PROMPT)
    child.send(UP + UP + "\r")
    child.expect_exact("show dedup")
    child.expect_exact("evicted_early")
    child.expect_exact(PROMPT)
    child.send("exit\r")
    child.wait()
    assert child.exitstatus == OK


def test_a_long_history_is_shortened(running, tmp_path):
    history = tmp_path / ".sluicectl_history"
    history.write_text("".join(f"show version # {i}\n" for i in range(1200)))
    child = interactive(SLUICECTL, "--socket", running.control_socket, home=tmp_path)
    child.expect_exact(PROMPT)
    child.send(UP)
    child.expect_exact("# 1199")
    child.send(CTRL_C + CTRL_D)
    child.wait()
    lines = history.read_text().splitlines()
    assert len(lines) == 500 and lines[-1].endswith("# 1199")


def test_ctrl_c_clears_the_line(terminal):
    terminal.send("stop")
    terminal.expect_exact("stop")
    terminal.send(CTRL_C)
    terminal.expect_exact(PROMPT)
    assert "uptime_s" in type_line(terminal, "show version")


def test_ctrl_c_ends_waiting(terminal, running):
    terminal.send("show stats rate 1 count 1000\r")
    terminal.expect_exact("a second, over 1")
    terminal.send(CTRL_C)
    terminal.expect_exact(PROMPT)
    begin_trace(terminal, running)
    terminal.send(CTRL_C)
    terminal.expect_exact("given up")
    terminal.expect_exact(PROMPT)
    assert "uptime_s" in type_line(terminal, "show version")


def test_what_is_typed_ahead_is_run_after(terminal):
    terminal.send("show stats rate 0.5\rshow ded")
    terminal.send("up\r")
    terminal.expect_exact("a second, over")
    terminal.expect_exact("evicted_early")


def test_quit_asks_first(terminal, running):
    terminal.send("quit\r")
    terminal.expect_exact("ends the appliance")
    terminal.send("n")
    terminal.expect_exact(PROMPT)
    assert running.process.poll() is None
    assert "uptime_s" in type_line(terminal, "show version")


def test_the_terminal_is_as_it_was(running, tmp_path):
    child = interactive("/bin/sh", home=tmp_path)
    child.setecho(True)
    script = f"stty -g >{tmp_path}/before; {SLUICECTL} -s {running.control_socket}; " \
             f"stty -g >{tmp_path}/after; echo over"
    child.sendline(script)
    child.expect_exact("\n" + PROMPT)
    child.send(CTRL_D)
    child.expect("over\r\n")
    child.close(force=True)
    wait_until((tmp_path / "after").exists, 5, "the shell has gone on")
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


# The appliance's own prompt


def test_the_appliance_has_a_prompt(lab):
    with lab.appliance(CONFIG) as sluice:
        sluice.stop()
        child = interactive(*sluice.argv, "--interactive", timeout=20)
        child.expect_exact(PROMPT)
        child.send("set backend table1 kitchen1 wei" + TAB + "9\r")
        child.expect_exact("applied")
        child.expect_exact(PROMPT)
        assert Cli(sluice).json("show backends table1")[0]["weight"] == 9
        child.send(CTRL_C)
        child.expect_exact(PROMPT)
        child.send("quit\r")
        child.expect_exact("delivered")
        child.wait()
        assert child.exitstatus == 0
        sluice.start()
        sluice.wait_ready()


def test_the_appliance_outlives_its_prompt_and_ends_it(lab):
    with lab.appliance(CONFIG) as sluice:
        sluice.stop()
        child = interactive(*sluice.argv, "--interactive", timeout=20)
        child.expect_exact(PROMPT)
        child.send(CTRL_D)
        # Ctrl-C is a character for the prompt, and a signal where there is none any more.
        wait_until(lambda: termios.tcgetattr(child.child_fd)[3] & termios.ISIG, 20,
                   "the terminal is as it was")
        assert child.isalive()
        assert "version" in Cli(sluice).json("show version")
        child.sendintr()
        child.wait()
        assert child.exitstatus == 0
        child = interactive(*sluice.argv, "--interactive", timeout=20)
        child.expect_exact(PROMPT)
        child.kill(15)
        child.wait()
        assert child.exitstatus == 0, "a signal ends it, prompt or not"
        sluice.start()
        sluice.wait_ready()


def test_lines_from_a_pipe_into_the_appliance(lab):
    with lab.appliance(CONFIG) as sluice:
        sluice.stop()
        done = subprocess.run([*sluice.argv, "--interactive"], input="show version\nshwo\nquit\n",
                              capture_output=True, text=True, timeout=patience(30))
        assert done.returncode == 0
        assert "uptime_s" in done.stdout
        assert "stdin:2: shwo: no such command" in done.stderr
        sluice.start()
        sluice.wait_ready()


# What is made of the table


def test_the_reference_is_current():
    made = subprocess.run([SLUICECTL, "--markdown"], capture_output=True, text=True).stdout
    assert (ROOT / "docs" / "cli.md").read_text() == made, \
        "run sluicectl --markdown >docs/cli.md"


def lint(page):
    """What man says about a page."""
    done = subprocess.run(["man", "--warnings=w", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "MANWIDTH": "80"})
    return done.stderr


def test_the_manual_pages_are_clean(tmp_path):
    page = tmp_path / "sluicectl.1"
    page.write_text(subprocess.run([SLUICECTL, "--man"], capture_output=True, text=True).stdout)
    for example in EXAMPLES:
        assert example.replace("-", "\\-") in page.read_text()
    assert lint(page) == ""
    pages = sorted(ROOT.glob("app/*/*.[1-8]"))
    assert len(pages) >= 5
    for page in pages:
        assert lint(page) == "", page


def test_help_on_every_command():
    overview = sluicectl("help").stdout
    for example in EXAMPLES:
        first = example.split()[0]
        assert re.search(rf"^  {first}\b", overview, re.M), first
        assert f"example: {example}\n" in sluicectl("help", first).stdout
    assert "WEIGHT" in sluicectl("help", "set", "backend").stdout


def complete_in_bash(script, line):
    """What bash would offer at the end of @line."""
    words = line.split(" ")
    code = (f"source {script}; COMP_WORDS=({' '.join(repr(w) for w in words)}); "
            f"COMP_CWORD={len(words) - 1}; _sluicectl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completion(running, tmp_path):
    script = tmp_path / "sluicectl"
    script.write_text(subprocess.run([SLUICECTL, "--bash-completion"], capture_output=True,
                                     text=True).stdout)
    ctl = f"{SLUICECTL} --socket {running.control_socket}"
    assert complete_in_bash(script, f"{ctl} sho") == ["show"]
    assert complete_in_bash(script, f"{ctl} show destination ") == ["table1", "table2"]
    assert complete_in_bash(script, f"{ctl} set backend table1 ") == ["kitchen1"]
    assert complete_in_bash(script, f"{SLUICECTL} --so") == ["--socket"]
    assert complete_in_bash(script, f"{ctl} check /etc/hostn") == ["/etc/hostname"]
