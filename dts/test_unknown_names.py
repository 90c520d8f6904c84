# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Clients of gateways that send to names which are not configured: told once a minute for each."""

import collections
import http.client

import pytest

from harness import make_config, table
from harness.lines import HOST, connect
from harness.patience import wait_until
from test_json_gateway import PORT, Client, order

HTTP_PORT = 8082
LISTENERS = [{"name": "json", "protocol": "json", "address": HOST, "port": PORT},
             {"name": "http", "protocol": "http", "address": HOST, "port": HTTP_PORT}]


def by_json(lab, *names):
    """On connections of their own, which are the threads' in turn."""
    for name in names:
        with Client(lab) as client:
            client.send(b'{"acks": true}\n', order(1, to=name))
            assert client.take(2)[1] == {"refused": "m-1", "reason": "no such destination"}


def by_http(lab, *names):
    for name in names:
        connection = http.client.HTTPConnection(HOST, HTTP_PORT)
        connection.sock = connect(lab.inside, HTTP_PORT)
        connection.request("POST", f"/v1/destinations/{name}/messages", b"x")
        assert connection.getresponse().status == 404
        connection.close()


@pytest.mark.parametrize("send", [by_json, by_http])
def test_each_is_told_once(lab, send):
    gateways = {"threads": 2, "listeners": LISTENERS}
    with lab.appliance(make_config(table(1), gateways=gateways)) as sluice:
        names = ["u3", "u10", "somebody", "nobody"]
        for _ in range(12):
            send(lab, *names)

        def told():
            with sluice.control() as control:
                return collections.Counter(
                    event["fields"]["destination"] for event in control.show("events")
                    if event["kind"] == "unknown_destination")

        wait_until(lambda: len(told()) == len(names), what="events")
        assert told() == dict.fromkeys(names, 1)
