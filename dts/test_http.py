# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The HTTP listener of a running appliance: what it tells, and what it does not let others do."""

import contextlib
import json
import os
import socket
import time

import pytest

from harness import HttpClient, Lab, encode, frame, listen_args, make_config, message, table
from harness.standstill import Standstill

IDLE_CLIENTS = 1000


@pytest.fixture(scope="module")
def running():
    """(lab, appliance, HTTP client), with 30 messages delivered, 3 duplicates and a drop."""
    with Lab() as lab, lab.receiver(1) as kitchen, lab.receiver(2), \
            lab.appliance(make_config(table(1), table(2), dedup={"window_ms": 60000,
                                                                 "capacity": 4096}),
                          args=listen_args()) as sluice:
        for i in range(30):
            lab.send(message(i, priority=1 + i % 3))
        for i in range(3):
            lab.send(message(i, priority=1 + i % 3))
        lab.send(message(99, destination="nowhere"))
        kitchen.take(30)
        sluice.wait_for(received=34)
        yield lab, sluice, HttpClient(lab.inside)


def test_every_view_is_json(running):
    _, _, http = running
    views = http.api("")["views"]
    assert {"stats", "classes", "drops", "destinations", "backends", "ports", "live"} <= \
        {view["name"] for view in views}
    for view in views:
        assert view["help"]
        if not view["arguments"] or view["arguments"].startswith("["):
            http.api(view["name"])
        else:
            status, headers, body = http.request(f"/api/v1/{view['name']}")
            assert (status, headers["Content-Type"]) == (400, "application/json")
            assert json.loads(body)["error"]


def test_the_configuration_is_not_told_to_whoever_asks(running):
    _, _, http = running
    status, _, body = http.request("/api/v1/config")
    assert status == 404 and "sluicectl" in json.loads(body)["error"]
    assert "config" not in {view["name"] for view in http.api("")["views"]}


def test_the_api_says_what_the_control_socket_says(running):
    _, sluice, http = running
    with sluice.control() as control:
        for view in ("destinations", "backends", "drops", "classes", "version"):
            mine, theirs = http.api(view), control.show(view)
            if view == "version":
                mine.pop("uptime_s"), theirs.pop("uptime_s")
            assert mine == theirs, view
        assert http.api("destination/table1") == control.show("destination", "table1")


def test_counters_of_the_api(running):
    _, _, http = running
    stats, live = http.api("stats"), http.api("live")
    for key in ("received", "delivered", "duplicates", "queued"):
        assert live[key] == stats[key], key
    assert (live["received"], live["delivered"], live["duplicates"], live["dropped"]) == \
        (34, 30, 3, 1)
    assert [(d["reason"], d["kind"], d["count"]) for d in live["drops"]] == \
        [("no_destination", "message", 1)]
    assert {c["level"]: c["delivered"] for c in live["classes"]} == {1: 10, 2: 10, 3: 10}
    for c in live["classes"]:
        assert sum(count for _, count in c["latency_ns"]) == c["delivered"]


def test_wrong_names_and_numbers(running):
    _, _, http = running
    for path, status in (("/api/v1/nothing", 404), ("/api/v1/destination/nobody", 404),
                         ("/api/v1/destination/a/b/c", 400), ("/api/v1/stats/x", 400),
                         ("/api/v1/destination/%ff", 404), ("/api/v1/events?after=x", 400)):
        got, headers, body = http.request(path)
        assert (got, headers["Content-Type"]) == (status, "application/json"), path
        assert json.loads(body)["error"], path
    assert http.request("/etc/passwd")[0] == 404
    assert http.request("/../../etc/passwd")[0] == 404


def test_nothing_can_be_changed(running):
    _, _, http = running
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        status, headers, _ = http.request("/api/v1/stats", method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method


def test_the_page_and_all_it_needs_come_from_here(running):
    _, _, http = running
    status, headers, body = http.request("/")
    assert status == 200 and b"<main" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    text = body.decode()
    for path, kind in (("style.css", "text/css"), ("theme.js", "text/javascript"),
                       ("app.js", "text/javascript"), ("favicon.svg", "image/svg+xml")):
        assert f'"{path}"' in text, path
        status, headers, _ = http.request(f"/{path}")
        assert status == 200 and headers["Content-Type"].startswith(kind), path
        assert http.request(f"/{path}", headers={"If-None-Match": headers["ETag"]})[0] == 304
    assert "http://" not in text and "https://" not in text


def test_readiness_follows_the_path(lab):
    with lab.receiver(1), lab.appliance(args=listen_args()) as sluice:
        http = HttpClient(lab.inside)
        assert http.request("/readyz")[0] == 200
        with sluice.control() as control:
            control.path("STOP")
            status, _, body = http.request("/readyz")
            assert status == 503 and b"stopped" in body
            assert http.request("/healthz")[0] == 200
            assert http.metrics().value("sluice_path_running") == 0
            control.path("START")
        assert http.request("/readyz")[0] == 200


def test_hostile_clients_disturb_nobody(lab):
    config = make_config(http={"timeout_ms": 2000})
    with lab.receiver(1) as kitchen, lab.appliance(config, args=listen_args()) as sluice, \
            contextlib.ExitStack() as stack:
        http = HttpClient(lab.inside)
        never_reads = stack.enter_context(http.socket())
        never_reads.sendall(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 200)
        garbage = stack.enter_context(http.socket())
        garbage.sendall(bytes(range(256)) * 100)
        dawdles = stack.enter_context(http.socket())
        dawdles.sendall(b"GET /")
        # Those that find no place wait before the door, where the kernel holds them.
        for _ in range(IDLE_CLIENTS):
            idle = stack.enter_context(contextlib.closing(http_socket_nowait(http)))
            assert idle.fileno() >= 0
        for i in range(100):
            lab.send(message(i))
        assert len(kitchen.take(100)) == 100
        with Standstill() as still:
            begin = time.monotonic()
            assert http.request("/healthz")[0] == 200
            took = time.monotonic() - begin
        assert took < 10 + still.seconds
        sluice.wait_for(delivered=100)
        assert count_descriptors(sluice) < 256 + 60


def http_socket_nowait(http):
    with http.namespace.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.connect_ex((http.address, http.port))
    return sock


def count_descriptors(sluice):
    return len(os.listdir(f"/proc/{sluice.process.pid}/fd"))


def test_where_it_listens_and_that_it_need_not(lab):
    config = make_config(http={"port": 8099})
    with lab.receiver(1), lab.appliance(config) as sluice:  # --http none
        with pytest.raises(ConnectionRefusedError):
            HttpClient(lab.inside, port=8099).request("/")
        index = sluice.argv.index("--http")
        sluice.stop()
        del sluice.argv[index:index + 2]
        sluice.start()
        sluice.wait_said("listening on http://127.0.0.1:8099/")
        assert HttpClient(lab.inside, port=8099).request("/healthz")[0] == 200
        code, said = lab.appliance(config, args=listen_args(port=8099)).fail()
        assert code != 0 and "127.0.0.1 port 8099" in said and "in use" in said, said


def test_frames_are_counted_while_somebody_asks(wire_lab):
    with wire_lab.appliance(args=listen_args()) as sluice:
        http = HttpClient(wire_lab.inside)
        for i in range(50):
            wire_lab.raw.send(frame(encode(message(i))))
            http.get("/metrics")
        sluice.wait_for(received=50)
        http.wait_metrics("sluice_messages_received_total", 50)  # An answer is kept for a while.
