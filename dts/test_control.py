# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The control API: every view and every request over the raw protocol, and clients that misbehave."""

import contextlib
import errno
import json
import os
import queue
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import threading

import pytest
import yaml

from harness.durable import DurableLab, HandBackend, HandPublisher
from harness import (ADDRESS, ROOT, Appliance, ControlClient, ControlError, RawPort, backend,
                     control_pb2, destination, make_config, message, table)
from harness.control import frame
from harness.lab import frame as ethernet_frame
from harness.patience import patience, wait_until

API = ROOT / "docs" / "control-api.md"

ARGUMENTS = {"destination NAME": ["table1"], "backends [DESTINATION]": ["table1"],
             "health DESTINATION BACKEND": ["table1", "kitchen1"],
             "port PORT info": ["net0", "info"], "port PORT stats": ["net0", "stats"],
             "port PORT xstats": ["net0", "xstats"], "events [AFTER]": ["0"],
             "sessions [DESTINATION]": ["table1"]}


def documented():
    """{title of a view: [its keys]}, as the page has them."""
    text = API.read_text().split("\n## Views\n")[1].split("\n## rte_telemetry\n")[0]
    views = {}
    for section in text.split("\n### ")[1:]:
        title = re.match(r"`([^`]+)`", section).group(1)
        first = [row.split("|")[1] for row in section.splitlines() if row.startswith("|")][2:]
        views[title] = [key for cell in first for key in re.findall(r"`([^`]+)`", cell)]
    views["destination NAME"] = views["destinations"]
    return views


VIEWS = documented()


def paths(value, tree, at=""):
    """The keys of @value, as far as the documented ones of @tree go into it."""
    if isinstance(value, list):
        return set().union(*[paths(v, tree, at) for v in value]) if value else set()
    found = set()
    for key, inner in value.items():
        below = [p for p in tree if p.startswith(f"{at}{key}.")]
        any_name = [p[len(at):].split(".")[0] for p in tree
                    if p.startswith(at) and p[len(at):].split(".")[0].isupper()]
        name = key if below or not any_name else any_name[0]
        below = [p for p in tree if p.startswith(f"{at}{name}.")]
        if isinstance(inner, dict) and below:
            found |= paths(inner, tree, f"{at}{name}.")
        else:
            found.add(f"{at}{name}")
    return found


@pytest.fixture(scope="module")
def bench():
    """An appliance that has all there is to show, and a client, for tests that change nothing."""
    with DurableLab() as lab, lab.appliance(lab.config_with_sink()) as sluice, \
            sluice.control() as control, HandPublisher(lab) as source, HandBackend(lab) as kitchen:
        source.send(1)
        source.wait_acked(1)
        kitchen.take(1)
        kitchen.ack(1)
        # So that there is an event to show, and a topic with a subscriber.
        control.load()
        control.change(("ADD", "DESTINATION", {"destination": "news",
                                               "settings": {"kind": "topic"}}),
                       ("ADD", "BACKEND", {"destination": "news", "backend": "reader1", "settings": {
                           "address": "10.77.0.21", "port": 9001}}))
        yield control


def test_every_view_is_documented(bench):
    shown = {view["name"] for view in bench.show("views")}
    assert shown == {title.split()[0] for title in VIEWS}


@pytest.mark.parametrize("title", VIEWS)
def test_a_view_has_the_keys_of_its_documentation(bench, title):
    answer = bench.show(title.split()[0], *ARGUMENTS.get(title, []))
    assert answer, "there is something to show"
    assert paths(answer, VIEWS[title]) == set(VIEWS[title])


def test_a_view_of_all_ports_is_a_list(bench):
    assert [port["name"] for port in bench.show("port", "all", "info")] == ["net0"]


@pytest.mark.parametrize("view, status, words", [
    (["nothing"], errno.ENOENT, "views"),
    (["stats", "more"], errno.EINVAL, "no arguments"),
    (["destination"], errno.EINVAL, "NAME"),
    (["destination", "nowhere"], errno.ENOENT, "nowhere"),
    (["backends", "nowhere"], errno.ENOENT, "nowhere"),
    (["health", "table1", "nobody"], errno.ENOENT, "nobody"),
    (["port", "net7", "info"], errno.ENOENT, "net7"),
    (["port", "net0", "colour"], errno.EINVAL, "xstats"),
    (["events", "yesterday"], errno.EINVAL, "yesterday"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_a_wrong_question_gets_a_useful_answer(bench, view, status, words):
    with pytest.raises(ControlError) as refused:
        bench.show(*view)
    assert refused.value.status == status and words in refused.value.text


def test_stats_are_those_of_the_file(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice, sluice.control() as control:
        for i in range(20):
            lab.send(message(i // 2))
        kitchen.take(10)
        sluice.wait_for(received=20, duplicates=10, queued=0)
        shown = control.show("stats")
        for key in ("received", "delivered", "duplicates", "queued", "by_destination"):
            assert shown[key] == sluice.stats()[key]
        by_level = {str(c["level"]): c["delivered"] for c in control.show("classes")}
        assert by_level == {k: c["delivered"] for k, c in shown["by_class"].items()}
        assert control.show("destination", "table1")["backends"][0]["delivered"] == 10


# Changes.

def test_what_is_added_by_the_api_gets_messages(lab):
    with lab.receiver(2) as kitchen, lab.appliance() as sluice, sluice.control() as control:
        done = control.change(
            ("ADD", "DESTINATION", {"destination": "table2"}),
            ("ADD", "BACKEND", {"destination": "table2", "backend": "kitchen2",
                                "settings": {"address": "10.77.0.12", "port": 9001}}))
        assert done["applied"] and done["nb_changes"] == len(done["changes"]) > 0
        lab.send(message(1, destination="table2"))
        kitchen.take(1)
        control.change(("DEL", "DESTINATION", {"destination": "table2"}))
        assert [d["name"] for d in control.show("destinations")] == ["table1"]


@pytest.mark.parametrize("edit, path, after", [
    (("SET", "DESTINATION", {"destination": "table1", "settings": {"class_boost": 1}}),
     "destinations.table1.class_boost", "1"),
    (("SET", "BACKEND", {"destination": "table1", "backend": "kitchen1",
                         "settings": {"weight": 7}}),
     "destinations.table1.backends.kitchen1.weight", "7"),
    (("SET", "CLASS", {"number": 2, "settings": {"min_share_percent": 20}}),
     "classes.medium.min_share_percent", "20"),
    (("ADD", "RULE", {"settings": {"type": "breakfast", "class": "high"}}), "rules.1", ""),
], ids=lambda e: "-".join(e[:2]) if isinstance(e, tuple) else "")
def test_an_edit_says_what_it_has_changed(lab, edit, path, after):
    with lab.appliance() as sluice, sluice.control() as control:
        changed = control.change(edit)["changes"]
        assert [c["after"] for c in changed] == [after], changed
        assert changed[0]["path"].split(".")[-1] == path.split(".")[-1], (changed, path)
        # The other way round there is as much to change.
        assert len(control.load(check_only=True)["changes"]) == 1


def test_a_rule_that_is_deleted_matches_no_more(lab):
    config = make_config(rules=[{"type": "breakfast", "class": "high"}])
    with lab.appliance(config) as sluice, sluice.control() as control:
        assert control.explain(destination="table1", type="breakfast")["rule"] == 1
        control.change(("DEL", "RULE", {"number": 1}))
        assert control.explain(destination="table1", type="breakfast")["rule"] is None


def test_edits_are_all_taken_or_none(lab):
    with lab.appliance() as sluice, sluice.control() as control:
        before = control.show("config")
        with pytest.raises(ControlError) as refused:
            control.change(
                ("ADD", "DESTINATION", {"destination": "table2"}),
                ("DEL", "BACKEND", {"destination": "table1", "backend": "nobody"}))
        assert refused.value.status == errno.ENOENT and "nobody" in refused.value.text
        assert control.show("config") == before


def test_what_needs_a_restart_is_named_and_refused(lab):
    config = make_config()
    with lab.appliance(config) as sluice, sluice.control() as control:
        other = {**config, "udp_port": 7501, "destinations": [table(1), table(2)]}
        sluice.config_file.write_text(yaml.safe_dump(other))
        with pytest.raises(ControlError) as refused:
            control.load()
        assert refused.value.status == errno.EPERM and "udp_port" in refused.value.text
        assert {c["path"]: c["needs_restart"] for c in refused.value.json["changes"]} == \
            {"udp_port": True, "destinations.table2": False}
        assert not refused.value.json["applied"]
        assert len(control.show("destinations")) == 1


def test_a_check_changes_nothing_and_a_load_what_it_said(lab):
    config = make_config()
    with lab.appliance(config) as sluice, sluice.control() as control:
        file = sluice.dir / "other.yaml"
        file.write_text(yaml.safe_dump({**config, "destinations": [table(1), table(2)]}))
        checked = control.load(file, check_only=True)
        assert not checked["applied"] and len(control.show("destinations")) == 1
        loaded = control.load(file)
        assert loaded["applied"] and loaded["changes"] == checked["changes"]
        assert len(control.show("destinations")) == 2
        assert control.load(file)["changes"] == []
        assert control.show("config")["path"] == str(file)


def test_sighup_reloads_and_a_bad_file_changes_nothing(lab):
    config = make_config()
    with lab.appliance(config) as sluice, sluice.control() as control:
        assert "1 changes" in sluice.reload({**config, "destinations": [table(1), table(2)]})
        assert len(control.show("destinations")) == 2
        assert "nothing has changed" in sluice.reload({**config, "destinations": "none"})
        assert len(control.show("destinations")) == 2
        kinds = [event["kind"] for event in control.show("events")]
        assert kinds == ["reload", "reload_refused"]


def test_a_file_that_is_not_there_is_named(bench):
    for file, status in (("/nowhere/sluice.yaml", errno.ENOENT), ("sluice.yaml", errno.EINVAL)):
        with pytest.raises(ControlError) as refused:
            bench.load(file)
        assert refused.value.status == status and file in refused.value.text


def test_only_a_regular_file_is_loaded(bench, tmp_path):
    """A pipe would be waited for, and all that the control thread does with it."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(ControlError, match="is no regular file"):
            bench.load(path)
        with pytest.raises(ControlError, match="is no regular file"):
            bench.load(path, check_only=True)


def test_what_is_saved_is_what_runs(lab):
    with lab.appliance() as sluice, sluice.control() as control:
        control.change(("SET", "BACKEND", {"destination": "table1", "backend": "kitchen1",
                                           "settings": {"weight": 9}}))
        file = sluice.dir / "saved.yaml"
        file.write_text("not a configuration")
        file.chmod(0o600)
        control.save(file)
        assert yaml.safe_load(file.read_text())["destinations"][0]["backends"][0]["weight"] == 9
        assert file.stat().st_mode & 0o777 == 0o600 and not list(sluice.dir.glob("*.tmp"))
        assert control.load(file, check_only=True)["changes"] == []
        for bad in ("saved.yaml", "/nowhere/saved.yaml", str(sluice.dir)):
            with pytest.raises(ControlError):
                control.save(bad)


def test_a_saved_file_stays_whose_it_was_and_a_link_a_link(lab, tmp_path):
    there, link = tmp_path / "there.yaml", tmp_path / "link.yaml"
    there.write_text("")
    os.chown(there, 0, 12345)
    there.chmod(0o640)
    link.symlink_to(there)
    with lab.appliance() as sluice, sluice.control() as control:
        control.save(link)
    assert link.is_symlink() and "destinations" in there.read_text()
    assert (there.stat().st_gid, there.stat().st_mode & 0o777) == (12345, 0o640)


# The path.

def test_stop_delivers_and_start_goes_on(lab):
    config = make_config(destination("table1", backend("kitchen1", "10.77.0.11", state="drain"),
                                     rate_msgs_per_s=40, burst_msgs=1), drain_timeout_ms=10000)
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice, sluice.control() as control:
        for i in range(60):
            lab.send(message(i))
        sluice.wait_for(received=60, queued=60)
        # It is answered when all is delivered; others are, meanwhile. All at once, because from the
        # first on messages go.
        ready = control_pb2.Edit(operation="SET", object="BACKEND", destination="table1",
                                 backend="kitchen1",
                                 settings=[control_pb2.Setting(key="state", value="ready")])
        go, stop, ask = (control_pb2.Request(version=1, id=number, **command)
                         for number, command in enumerate((
                             {"change": control_pb2.Change(edits=[ready])},
                             {"path": control_pb2.Path(action="STOP")},
                             {"show": control_pb2.Show(view="version")}), 1001))
        control.socket.sendall(b"".join(frame(r.SerializeToString()) for r in (go, stop, ask)))
        answers = [control.receive() for _ in range(3)]
        assert [(a.id, a.status) for a in answers] == [(go.id, 0), (ask.id, 0), (stop.id, 0)]
        assert json.loads(answers[2].json) == {"running": False}
        kitchen.take(60)
        assert control.explain(destination="table1")["outcome"] == "not received"
        assert control.path("STOP") == {"running": False}
        assert control.path("START") == {"running": True}
        assert control.path("START") == {"running": True}
        lab.send(message(100))
        kitchen.take(1)


def test_quit_ends_the_process_cleanly(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice, sluice.control() as control:
        lab.send(message(1))
        kitchen.take(1)
        assert control.path("QUIT") == {"running": False}
        assert sluice.wait_exit() == 0
        assert sluice.stats()["delivered"] == 1
        assert not sluice.control_socket.exists()


def test_explain_says_what_then_happens(lab):
    config = make_config(table(1), rules=[{"source": "server1", "class": "high"}])
    with lab.appliance(config) as sluice, sluice.control() as control:
        told = control.explain(source="server1", destination="table1", priority=3)
        assert (told["rule"], told["class"]["name"], told["lcore"]) == (1, "high", 1)
        assert control.explain(source="x", destination="table1")["rule"] is None
        assert control.explain(destination="nowhere")["outcome"] == "dropped"
        control.change(("SET", "BACKEND", {"destination": "table1", "backend": "kitchen1",
                                           "settings": {"state": "maintenance"}}))
        told = control.explain(destination="table1")
        assert told["outcome"] == "waits"
        assert "no_share" in told["backends"][0]["why_not"]
        with pytest.raises(ControlError):
            control.explain(destination="table1", priority=9)


def test_a_trace_follows_a_message_to_its_end(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice, sluice.control() as control:
        control.send(trace=control_pb2.Trace(by="ID", value="0" * 30 + "2a", count=1))
        assert control.show("version")  # the trace is on
        lab.send(message(1))
        lab.send(message(42))
        kitchen.take(2)
        trace = json.loads(control.receive().json)
        assert trace["is_complete"]
        (followed,) = trace["messages"]
        assert (followed["id"], followed["destination"]) == ("0" * 30 + "2a", "table1")
        nodes = [step["node"] for step in followed["steps"]]
        assert nodes[0].startswith("port_rx") and "dispatch" in nodes


def test_a_frame_that_is_not_ours_is_no_message_that_was_traced(lab):
    """It may come in the buffer that the message came in."""
    with lab.receiver(1) as kitchen, lab.appliance() as sluice, sluice.control() as control, \
            sluice.control() as other, contextlib.closing(RawPort(lab.outside, "peer0")) as raw:
        control.send(trace=control_pb2.Trace(by="SOURCE", value="server1", count=2))
        assert control.show("version")
        lab.send(message(1))
        kitchen.take(1)
        raw.send(*20 * [ethernet_frame(b"", dst_mac="01:80:c2:00:00:00")])
        wait_until(lambda: sum(row["count"] for row in other.show("drops")
                               if row["reason"] == "eth_not_for_us") >= 20, what="the frames")
        lab.send(message(2))
        kitchen.take(1)
        trace = json.loads(control.receive().json)
        assert trace["is_complete"] and len(trace["messages"]) == 2
        nodes = [step["node"] for one in trace["messages"] for step in one["steps"]]
        assert not [node for node in nodes if node.startswith("drop")]


def may_trace(control):
    """Whether nobody else traces."""
    try:
        assert control.trace("SOURCE", "nobody", timeout_ms=50)["messages"] == []
    except ControlError as refused:
        assert refused.status == errno.EBUSY
        return False
    return True


def test_a_trace_ends_with_its_time(lab):
    with lab.appliance() as sluice, sluice.control() as control, sluice.control() as other:
        assert control.trace("SOURCE", "nobody", count=3, timeout_ms=300) == {
            "is_complete": False, "messages": []}
        # As long as it has time, it is the only one.
        control.send(trace=control_pb2.Trace(by="SOURCE", value="nobody", count=1,
                                             timeout_ms=60000))
        control.show("version")
        with pytest.raises(ControlError) as refused:
            other.trace("SOURCE", "nobody")
        assert refused.value.status == errno.EBUSY
        # A client that goes away takes its trace along, at once.
        control.close()
        wait_until(lambda: may_trace(other), 5, "the trace has gone")


@pytest.mark.parametrize("trace", [
    {"by": "ID", "value": "2a", "count": 1}, {"by": "SOURCE", "value": "", "count": 1},
    {"by": "SOURCE", "value": "a", "count": 0}, {"by": "SOURCE", "value": "a", "count": 65},
    {"by": "SOURCE", "value": "a", "count": 1, "timeout_ms": 60001}, {"by": 7, "value": "a",
                                                                     "count": 1}])
def test_a_trace_of_nonsense_is_refused(bench, trace):
    with pytest.raises(ControlError) as refused:
        bench.ask(trace=control_pb2.Trace(**trace))
    assert refused.value.status == errno.EINVAL and "trace" in refused.value.text


def test_log_levels_are_set(lab):
    with lab.appliance() as sluice, sluice.control() as control:
        control.log("control", "error")
        control.load()
        control.log("all", "info")
        control.clear()
        said = [line for line in sluice.stderr.splitlines() if "asked for by" in line]
        assert len(said) == 1 and "clear" in said[0]
        for module, level in (("weather", "info"), ("control", "loud")):
            with pytest.raises(ControlError) as refused:
                control.log(module, level)
            assert refused.value.status == errno.EINVAL


def test_cleared_counters_begin_anew_in_views_alone(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice, sluice.control() as control:
        for i in range(10):
            lab.send(message(i))
        kitchen.take(10)
        control.clear()
        lab.send(message(0))  # a duplicate
        for i in range(10, 13):
            lab.send(message(i))
        kitchen.take(3)
        sluice.wait_for(received=14)
        shown = control.show("stats")
        assert (shown["received"], shown["delivered"], shown["duplicates"]) == (4, 3, 1)
        assert shown["by_destination"]["table1"] == \
            {"delivered": 3, "duplicates": 1, "queued": 0, "dropped": 0}
        assert [c["delivered"] for c in control.show("classes")] == [0, 3, 0]
        assert control.show("backends")[0]["delivered"] == 3
        assert {n["objects"] for n in control.show("nodes") if n["name"] == "dedup"} == {4}
        assert control.show("ports")[0]["rx_packets"] < 10
        assert sluice.stats()["received"] == 14
        # A mark goes with its name, wherever a reload puts it.
        sluice.reload(make_config(table(7), table(1)))
        by_name = {d["name"]: d["delivered"] for d in control.show("destinations")}
        assert by_name == {"table7": 0, "table1": 3}


def test_one_destination_or_port_is_cleared_alone(lab):
    config = make_config(table(1), table(2))
    with lab.receiver(1) as one, lab.receiver(2) as two, lab.appliance(config) as sluice, \
            sluice.control() as control:
        lab.send(message(1))
        lab.send(message(2, destination="table2"))
        one.take(1)
        two.take(1)
        sluice.wait_for(delivered=2)
        control.clear("DESTINATION", "table1")
        assert [d["delivered"] for d in control.show("destinations")] == [0, 1]
        before = control.show("ports")[0]["rx_packets"]
        control.clear("PORT", "net0")
        assert control.show("port", "net0", "stats")["rx_packets"] < before
        assert control.show("port", "net0", "xstats")["xstats"]["rx_good_packets"] < before
        for what, name in (("PORT", "net7"), ("DESTINATION", "nowhere")):
            with pytest.raises(ControlError) as refused:
                control.clear(what, name)
            assert refused.value.status == errno.ENOENT and name in refused.value.text


# The socket.

def test_another_version_is_refused_and_the_connection_stays(bench):
    for version in (0, 2):
        bench.send(version=version, show=control_pb2.Show(view="version"))
        assert bench.receive().status == errno.EPROTONOSUPPORT
    bench.send()
    assert bench.receive().status == errno.ENOSYS
    assert bench.show("version")["api"] == 1


def test_requests_may_follow_each_other_without_waiting(bench):
    sent = [bench.send(show=control_pb2.Show(view="version")) for _ in range(200)]
    assert [bench.receive().id for _ in sent] == sent


def test_a_client_that_ends_sending_still_gets_its_answers(lab):
    with lab.appliance() as sluice, sluice.control() as control:
        sent = [control.send(show=control_pb2.Show(view="stats")) for _ in range(20)]
        control.socket.shutdown(socket.SHUT_WR)
        assert [control.receive().id for _ in sent] == sent
        with pytest.raises(EOFError):
            control.receive()


@pytest.mark.parametrize("garbage, status", [
    (b"GET / HTTP/1.1\r\n\r\n", errno.EMSGSIZE), (b"\xff" * 100, errno.EMSGSIZE),
    (struct.pack(">I", (1 << 20) + 1), errno.EMSGSIZE), (frame(b"\xff" * 50), errno.EBADMSG)],
    ids=("http", "ones", "oversized", "no-protobuf"))
def test_garbage_is_told_so_and_closed(lab, garbage, status):
    with lab.appliance() as sluice, sluice.control() as control, sluice.control() as good:
        control.socket.sendall(garbage)
        answer = control.receive()
        assert (answer.id, answer.status) == (0, status)
        with pytest.raises(EOFError):
            control.receive()
        assert good.show("version")["api"] == 1
        assert sluice.stderr.count("closing the connection") == 1


def test_the_largest_request_is_taken(bench):
    with pytest.raises(ControlError) as refused:
        bench.show("x" * ((1 << 20) - 100))
    assert refused.value.status == errno.ENOENT


def test_half_a_request_is_not_waited_for_longer_than_ten_seconds(lab):
    with lab.appliance() as sluice, sluice.control() as control, sluice.control() as unread:
        # At the same time: one that asks a lot and reads nothing.
        unread.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ask = frame(control_pb2.Request(
            version=1, show=control_pb2.Show(view="graph")).SerializeToString())
        unread.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                unread.socket.send(ask * 100)
        control.socket.sendall(struct.pack(">I", 100) + b"half")
        answer = control.receive()
        assert (answer.id, answer.status) == (0, errno.ETIMEDOUT)
        # Who is read again before it has been given up has more time.
        hung_up = select.poll()
        hung_up.register(unread.socket, 0)
        assert hung_up.poll(patience(20000)), "it is not given up"
        unread.socket.settimeout(patience(10))
        with contextlib.suppress(ConnectionResetError):
            while unread.socket.recv(1 << 20):
                pass


def test_more_clients_than_may_be_are_told_so(lab):
    config = make_config(control={"clients_max": 3})
    with lab.appliance(config) as sluice, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(sluice.control()) for _ in range(3)]
        assert clients[-1].show("version")
        with sluice.control() as fourth:
            answer = fourth.receive()
            assert answer.status == errno.EUSERS and "control.clients_max" in answer.error
        clients.pop().close()

        def comes_in():
            with contextlib.suppress(ControlError, OSError, EOFError), \
                    sluice.control() as client:
                return client.show("version")

        wait_until(comes_in, 5, "there is room")


def test_the_socket_is_for_its_group_alone(lab):
    config = make_config(control={"group": "daemon"})
    with lab.appliance(config) as sluice:
        status = sluice.control_socket.stat()
        assert (status.st_mode & 0o777, status.st_gid) == (0o660, 1)
        sluice.dir.chmod(0o755)
        ask = ("import socket; s = socket.socket(socket.AF_UNIX); "
               f"s.connect('{sluice.control_socket}')")
        for gid, code in ((1, 0), (65534, 1)):
            done = subprocess.run(["/usr/bin/python3", "-c", ask], user=65534, group=gid,
                                  extra_groups=[], capture_output=True, text=True)
            assert done.returncode == code, done.stderr


def test_a_change_is_logged_with_who_did_it(lab):
    with lab.appliance() as sluice, sluice.control() as control:
        control.change(("SET", "CLASS", {"number": 2, "settings": {"min_share_percent": 11}}))
        line = next(l for l in sluice.stderr.splitlines() if "set class" in l)
        assert "uid 0, pid " in line and " info control: " in line


def test_a_dead_socket_is_replaced_and_a_living_one_is_not(lab):
    with lab.appliance() as sluice:
        other = lab_appliance(lab, ("--control-socket", str(sluice.control_socket)))
        code, said = other.fail()
        assert code != 0 and str(sluice.control_socket) in said and "another process" in said
        with sluice.control() as control:
            assert control.show("version")
        sluice.process.kill()
        sluice.process.wait()
        assert sluice.control_socket.exists()
        sluice.start()
        sluice.wait_said("ready: ")
        with sluice.control() as control:
            assert control.show("version")


@pytest.mark.parametrize("args, words", [
    (("--control-socket", "here.sock"), "absolute"),
    (("--http", "8090"), "127.0.0.1:8090"), (("--http", "localhost:8090"), "127.0.0.1:8090"),
    (("--http", "127.0.0.1:0"), "127.0.0.1:8090"),
    (("--control-socket", "/etc/passwd"), "no socket"),
    (("--control-socket", "/nowhere/deep/x.sock"), "/nowhere/deep")], ids=str)
def test_a_wrong_address_is_refused_at_the_start(lab, args, words):
    code, said = lab_appliance(lab, args).fail()
    assert code != 0 and words in said


def lab_appliance(lab, args):
    return Appliance(make_config(), lab.devices, lab.inside, args=args)


def test_without_a_socket_there_is_none(lab):
    with lab.appliance(args=("--control-socket", "none")) as sluice:
        assert not sluice.control_socket.exists()


def test_the_socket_directory_is_made(lab):
    config = make_config()
    sluice = Appliance(config, lab.devices, lab.inside)
    path = sluice.dir / "made" / "control.sock"
    sluice.argv[sluice.argv.index("--control-socket") + 1] = str(path)
    with sluice, ControlClient(path) as control:
        assert control.show("version")
        assert path.parent.stat().st_mode & 0o777 == 0o755


# The supervisor.

@pytest.fixture(name="wait_told")
def fixture_wait_told(monkeypatch, tmp_path):
    """Plays systemd for an appliance that is started from now on: waits until words are told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        told = queue.Queue()

        def listen():
            """As a supervisor does, at any time: who tells waits where there is no room."""
            with contextlib.suppress(OSError):
                while words := supervisor.recv(4096).decode():
                    told.put(words)

        def wait_told(words):
            while words not in (line := told.get(timeout=patience(10))):
                pass
            return line

        threading.Thread(target=listen, daemon=True).start()
        yield wait_told


def test_systemd_is_told_how_it_goes(lab, wait_told):
    with lab.appliance() as sluice:
        wait_told("READY=1")
        wait_told("WATCHDOG=1")
        sluice.reload(make_config())
        assert "MONOTONIC_USEC=" in wait_told("RELOADING=1")
        wait_told("READY=1")
        sluice.stop()
        wait_told("STOPPING=1")


def test_systemd_waits_while_a_journal_is_read(durable, wait_told):
    """However long it is."""
    for _ in range(2):
        with durable.appliance() as sluice, HandPublisher(durable) as source:
            wait_told("READY=1")
            source.send(1)
            source.wait_ack(lambda ack: ack.cumulative == 1)
            sluice.crash()
    with durable.appliance():
        assert "STATUS=reading" in wait_told("EXTEND_TIMEOUT_USEC=60000000")
        wait_told("READY=1")


def test_a_reload_that_is_asked_for_during_the_start_is_done_behind_it(durable, wait_told):
    sluice = durable.appliance()

    def ask():
        wait_told("EXTEND_TIMEOUT_USEC=")
        sluice.send_signal(signal.SIGHUP)

    with durable.appliance() as before, HandPublisher(durable) as source:
        source.send(1)
        source.wait_ack(lambda ack: ack.cumulative == 1)
        before.crash()
    asker = threading.Thread(target=ask)
    asker.start()
    with sluice:
        asker.join()
        wait_told("RELOADING=1")


# Telemetry.

def telemetry(sluice, *commands):
    """What dpdk-telemetry.py says to @commands: {command: answer}."""
    done = subprocess.run(["dpdk-telemetry.py", "-f", sluice.file_prefix], capture_output=True,
                          input="\n".join([*commands, "quit", ""]), text=True, timeout=patience(30))
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"/')]
    return {k: v for answer in answers for k, v in answer.items()}


def test_every_view_is_a_command_of_telemetry(lab):
    with lab.receiver(1) as kitchen, lab.appliance(telemetry=()) as sluice, \
            sluice.control() as control:
        lab.send(message(1))
        kitchen.take(1)
        titles = {title.split()[0]: title for title in VIEWS}
        commands = [",".join([f"/sluice/{name}", *ARGUMENTS.get(title, [])])
                    for name, title in titles.items()]
        answers = telemetry(sluice, *commands)
        assert set(answers) == {f"/sluice/{name}" for name in titles}
        assert not [a for a in answers.values() if "error" in a]
        assert answers["/sluice/stats"]["delivered"] == 1
        assert answers["/sluice/destinations"]["table1"]["delivered"] == 1
        assert answers["/sluice/backends"]["table1_kitchen1"]["address"] == "10.77.0.11"
        assert answers["/sluice/lcores"]["1"]["roles"] == ["rx", "worker"]
        assert "node: sluice-test" in answers["/sluice/config"]["yaml"]
        refused = telemetry(sluice, "/sluice/destination,nowhere")["/sluice/destination"]
        assert "nowhere" in refused["error"]
        # The path may stand, and the command is answered.
        control.path("STOP")
        assert telemetry(sluice, "/sluice/stats")["/sluice/stats"]["delivered"] == 1


# Others go on.

def test_a_thousand_idle_clients_and_a_flood_do_not_delay_the_path(lab):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    config = make_config(control={"clients_max": 1100})
    with lab.receiver(1) as kitchen, lab.appliance(config) as sluice, \
            contextlib.ExitStack() as stack:
        for n in range(1000):
            client = stack.enter_context(sluice.control())
            if n % 2:
                client.socket.sendall(b"\0\0")  # half a length
        flood = stack.enter_context(sluice.control())
        done = threading.Event()

        def drain():
            with contextlib.suppress(OSError):
                while not done.is_set() and flood.socket.recv(1 << 20):
                    pass

        def ask():
            data = frame(control_pb2.Request(
                version=1, show=control_pb2.Show(view="stats")).SerializeToString()) * 50
            with contextlib.suppress(OSError):
                while not done.is_set():
                    flood.socket.sendall(data)
        threads = [threading.Thread(target=t, daemon=True) for t in (drain, ask)]
        for thread in threads:
            thread.start()
        try:
            # The control thread answers ping: what waits for it waits no longer than it may.
            lab.outside.ping(ADDRESS, 20)
            for i in range(100):
                lab.send(message(i))
            kitchen.take(100)
            with sluice.control() as control:
                assert control.show("stats")["delivered"] == 100
        finally:
            done.set()
            flood.socket.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)
