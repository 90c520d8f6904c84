# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Messages of gateways' clients that are longer than a frame of an ordinary port."""

import http.client
import json

from harness import LineClient, backend, destination, line_listener, table
from harness.lines import HOST, connect, subscriber
from harness.patience import wait_until

# What a datagram of 9000 bytes has left for a payload.
LONGEST = 9000 - 20 - 8 - 19 - 3 - 73 - 3


def text_of(length, number=0):
    return (f"{number}:" + "abcdefghij" * (length // 10 + 1))[:length]


def config(lab):
    return lab.config(
        destination("news", kind="topic", guarantee="at-most-once"),
        destination("mixed", backend("kitchen1", "10.77.0.11"), kind="topic",
                    guarantee="at-most-once"),
        destination("orders"), destination("idle", guarantee="at-most-once"), table(2, guarantee="at-most-once"),
        gateways={"listeners": [line_listener(keep_open=True), {
            "name": "json", "protocol": "json", "address": HOST, "port": 9000}, {
            "name": "http", "protocol": "http", "address": HOST, "port": 8082}]})


def dropped(sluice):
    return sluice.stats()["dropped"]["too_big"]


def test_long_messages_pass_between_gateways_and_are_counted_where_they_do_not(durable):
    lengths = (1372, 1373, 1900, 2000, 5000, LONGEST)
    with durable.appliance(config(durable)) as sluice, durable.receiver(1) as kitchen, \
            LineClient(durable.inside) as sender, \
            subscriber(durable.inside, "news") as one, \
            subscriber(durable.inside, "news", "mixed") as two:
        for length in lengths:
            sender.send("PUBLISH|news|" + text_of(length))
            assert sender.line() == "ACK"
            for reader in (one, two):
                assert reader.line() == text_of(length)
        sender.send("PUBLISH|news|" + text_of(LONGEST + 1))
        assert sender.line().startswith("ERR|")
        # With the text of an id, too.
        payload = {"text": text_of(8600)}
        with connect(durable.inside, 9000) as client:
            client.sendall(json.dumps({
                "messageId": "a-1", "sourceServerId": "a", "destinationId": "news",
                "messageType": "lunch", "priority": 1, "timestamp": 1763725200123,
                "payload": payload}).encode() + b"\n")
            assert json.loads(one.line()) == json.loads(two.line()) == payload
        # An ordinary port has its own MTU: what fits comes, what does not is counted there.
        before = dropped(sluice)
        for number, length in enumerate((100, 5000, 101)):
            sender.send("PUBLISH|mixed|" + text_of(length, number))
            assert sender.line() == "ACK"
            assert two.line() == text_of(length, number)
        assert [len(m.payload) for m in kitchen.take(2)] == [100, 101]
        sender.send("PUBLISH|table2|" + text_of(2000))
        assert sender.line() == "ACK"
        wait_until(lambda: dropped(sluice) == before + 2, what="two were too big")


def test_long_messages_wait_on_disk_and_come_back(durable):
    """More than there are large buffers, without anybody to take them."""
    count = 3000
    with durable.appliance(config(durable)) as sluice:
        with LineClient(durable.inside) as sender:
            for number in range(count):
                sender.send("PUBLISH|orders|" + text_of(4000 + number % 5000, number))
                if number % 50 == 49:
                    assert sender.lines(50) == ["ACK"] * 50
        sluice.crash()
        sluice.restart()
        with LineClient(durable.inside, "SUBSCRIBE|orders") as reader:
            assert [reader.line() for _ in range(count)] == \
                [text_of(4000 + number % 5000, number) for number in range(count)]


def post(lab, body, kind):
    connection = http.client.HTTPConnection(HOST, 8082)
    connection.sock = connect(lab.inside, 8082)
    connection.request("POST", "/v1/destinations/idle/messages", body, {"Content-Type": kind})
    answer = connection.getresponse()
    text = json.loads(answer.read())
    connection.close()
    return answer.status, answer.getheader("Retry-After"), text


def test_a_shortage_of_buffers_is_not_the_client_s_fault(durable):
    """Large ones, in a queue that nobody reads: who brings more is told to come again, and may when
    they are back."""
    again = "no buffer now; send it again"
    order = {"messageId": "a-1", "sourceServerId": "a", "destinationId": "idle",
             "messageType": "lunch", "priority": 1, "timestamp": 1763725200123,
             "payload": {"text": text_of(4000)}}
    with durable.appliance(config(durable)), LineClient(durable.inside) as sender:
        answers = ["ACK"]
        while answers[-1] == "ACK":
            sender.send(*("PUBLISH|idle|" + text_of(4000),) * 50)
            answers += sender.lines(50)
            assert len(answers) < 5000
        assert answers[-1] == f"ERR|{again}"
        status, after, text = post(durable, text_of(4000), "text/plain")
        assert (status, text["error"]) == (429, "there is no buffer for it now") and int(after) > 0
        line = json.dumps({"payload": order["payload"]}) + "\n"
        status, after, text = post(durable, line + '{"payload": {}}\n' + line,
                                   "application/x-ndjson")
        assert [result.get("status") for result in text["results"]] == [429, None, 429]
        assert (status, text["accepted"]) == (202, 1) and int(after) > 0
        with connect(durable.inside, 9000) as client:
            client.sendall(b'{"acks": true}\n' + json.dumps(order).encode() + b"\n")
            lines = client.makefile("rb")
            lines.readline()
            assert json.loads(lines.readline()) == {"refused": "a-1", "reason": again}
        with LineClient(durable.inside, "SUBSCRIBE|idle") as reader:
            reader.lines(answers.count("ACK"))
            wait_until(lambda: post(durable, text_of(4000), "text/plain")[0] == 202)
