# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""What is exactly as long as it may be is taken by every gateway, and one byte more is not; what
clients leave unfinished or unread has a bound, too."""

import contextlib
import http.client
import json
import resource
import select
import socket
import struct
import time

import pytest

from harness import Appliance, destination, free_port, make_config, table
from harness.config import port as device
from harness.patience import patience, wait_until

LINE_MAX, HEAD_MAX, FIELDS_MAX = 8192, 16384, 100
BODY_MAX = 65536
JSON_LINE_MAX = 1 << 20
# What a datagram of 9000 bytes has left for a payload: without a text of an id, and with one of
# 255 bytes, in front of which its tag and its length are.
LONGEST = 9000 - 20 - 8 - 19 - 3 - 73 - 3
NAMED = LONGEST - 2 - 2 - 255
NAME = "n" * 255
OUTPUT_MAX = 65536
CROWD, SLOW = 1000, 250
FLOOD, EVENT_MAX = 8000, 8500
SPARE = 4 << 20
IDLE_BYTES = 4096
NDJSON = {"Content-Type": "application/x-ndjson"}
HOST = "127.0.0.1"
UPGRADE = (b"GET /chat/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
POST = "/v1/destinations/{}/messages"


class Gateways:
    def __init__(self):
        self.ports = {name: free_port() for name in ("http", "large", "json", "line", "rooms")}
        bounds = {"http": {"input_max": BODY_MAX, "output_max": OUTPUT_MAX, "replay": 0},
                  "large": {"protocol": "http"}, "json": {"input_max": JSON_LINE_MAX},
                  "line": {"input_max": BODY_MAX, "keep_open": True}, "rooms": {}}
        self.sluice = Appliance(make_config(
            table(1), *(destination(name, kind="topic") for name in ("news", "flood")),
            ports=[device(device="net_null0")], gateways={"threads": 1, "listeners": [
                {"name": name, "protocol": name, "address": HOST, "port": self.ports[name], **keys}
                for name, keys in bounds.items()]}), vdevs=["net_null0"])

    def connect(self, name, receive_buffer=None):
        client = socket.socket()
        client.settimeout(patience(10))
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect((HOST, self.ports[name]))
        return client

    def ask(self, *pieces, name="http"):
        """The status of what is sent, each piece by itself."""
        with self.connect(name) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces[:-1]:
                client.sendall(piece)
                time.sleep(0.02)
            client.sendall(pieces[-1])
            return http_status(client)

    def post(self, body, headers=None, name="http", **options):
        client = http.client.HTTPConnection(HOST, self.ports[name], timeout=patience(10))
        with contextlib.closing(client):
            client.request("POST", POST.format("news"), body, headers or {}, **options)
            answer = client.getresponse()
            answer.read()
            return answer.status

    def show(self, name):
        with self.sluice.control() as control:
            return control.show("ingress", name)


@contextlib.contextmanager
def running():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gateways = Gateways()
    with gateways.sluice:
        yield gateways
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(name="gateways", scope="module")
def fixture_gateways():
    with running() as gateways:
        yield gateways


@pytest.fixture(name="fresh")
def fixture_fresh():
    """Whose memory nobody has used yet."""
    with running() as gateways:
        yield gateways


@contextlib.contextmanager
def reader(gateways):
    """Lines of a consumer of the topic."""
    with gateways.connect("json") as client, client.makefile("rb") as lines:
        client.sendall(b'{"subscribe":"news"}\n')
        assert b"subscribed" in lines.readline()
        yield lambda: json.loads(lines.readline())


def http_status(client):
    answer = client.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


# What is read.


def request_line(length):
    line = b"GET /health?"
    return line + (length - len(line) - 9) * b"a" + b" HTTP/1.1"


@pytest.mark.parametrize("name,taken", [("http", 200), ("rooms", 426)])
def test_request_lines(gateways, name, taken):
    rest = b"Host: x\r\n\r\n"
    for length, status in (LINE_MAX, taken), (LINE_MAX + 1, 414):
        line = request_line(length)
        assert len(line) == length
        for pieces in ([line + b"\r\n" + rest], [line, b"\r\n" + rest], [line + b"\r", b"\n" + rest]):
            assert gateways.ask(*pieces, name=name) == status, (length, len(pieces))


def test_heads(gateways):
    begin, end = b"GET /health HTTP/1.1\r\nHost: x\r\nA: ", b"\r\n\r\n"
    for length, status in (HEAD_MAX, 200), (HEAD_MAX + 1, 431):
        head = begin + (length - len(begin) - len(end)) * b"a" + end
        for pieces in ([head], [head[:-1], head[-1:]]):
            assert gateways.ask(*pieces) == status, (length, len(pieces))
    for count, status in (FIELDS_MAX, 200), (FIELDS_MAX + 1, 431):
        assert gateways.ask(begin[:-3] + (count - 1) * b"A: b\r\n" + b"\r\n") == status


def test_bodies(gateways):
    line = '{"payload":{}}'
    for length, status in (BODY_MAX, 202), (BODY_MAX + 1, 413):
        body = (line + (length - len(line)) * " ").encode()
        assert gateways.post(body, NDJSON) == status
        half = len(body) // 2
        assert gateways.post(iter([body[:half], body[half:]]), NDJSON, encode_chunked=True) == status


def order(payload, name="m"):
    return {"messageId": name, "sourceServerId": "s", "destinationId": "news", "messageType": "t",
            "priority": 1, "timestamp": 1763725200123, "payload": payload}


def test_lines_of_json(gateways):
    before = gateways.show("json")["reasons"]["too_long"]
    with reader(gateways) as read, gateways.connect("json") as client:
        for n, more in enumerate((0, 1, 0)):
            line = json.dumps(order({}, f"{more}-{n}")).encode()
            client.sendall(line + (JSON_LINE_MAX + more - len(line)) * b" ")
            # Nothing of it is lost or doubled where its end comes by itself.
            time.sleep(0.02)
            client.sendall(b"\n")
        assert [read()["messageId"] for _ in range(2)] == ["0-0", "0-2"]
    assert gateways.show("json")["reasons"]["too_long"] == before + 1


def test_lines_of_brokers(gateways):
    with gateways.connect("line") as client, client.makefile("rb") as lines:
        for more, answer in (0, b"PONG\n"), (1, b"ERR|too long\n"), (0, b"PONG\n"):
            client.sendall(b"PING".ljust(BODY_MAX + more) + b"\n")
            assert lines.readline() == answer


# What a datagram holds.


def text_of(length):
    return ("0123456789" * (length // 10 + 1))[:length]


def test_the_longest_message_of_http(gateways):
    for length, name in (LONGEST, None), (NAMED, NAME):
        with reader(gateways) as read:
            headers = {"Sluice-Id": name} if name else {}
            assert gateways.post(text_of(length + 1), headers) == 413
            assert gateways.post(text_of(length), headers) == 202
            assert read()["payload"] == {"text": text_of(length)}


def json_of(length):
    """An object whose text is so long."""
    return '{"a":"%s"}' % text_of(length - 8)


def test_the_longest_message_of_lines_of_http(gateways):
    with reader(gateways) as read:
        for more, status in (1, 413), (0, 202):
            line = f'{{"messageId":"{NAME[::-1]}","sourceServerId":"{more}",' \
                   f'"payload":{json_of(NAMED + more)}}}'
            assert gateways.post(line, NDJSON) == status
        assert read()["payload"] == json.loads(json_of(NAMED))


def test_the_longest_message_of_json(gateways):
    with reader(gateways) as read, gateways.connect("json") as client, \
            client.makefile("rb") as answers:
        client.sendall(b'{"acks": true}\n')
        assert b"acks" in answers.readline()
        for more, answer in (1, "refused"), (0, "ack"):
            line = json.dumps(order({}, NAME)).replace("{}", json_of(NAMED + more))
            client.sendall(line.encode() + b"\n")
            assert json.loads(answers.readline())[answer] == NAME
        assert read()["payload"] == json.loads(json_of(NAMED))


def test_the_longest_message_of_brokers(gateways):
    with reader(gateways) as read, gateways.connect("line") as client, \
            client.makefile("rb") as answers:
        for more, answer in (1, b"ERR|too long\n"), (0, b"ACK\n"):
            client.sendall(b"PUBLISH|news|" + text_of(LONGEST + more).encode() + b"\n")
            assert answers.readline() == answer
        assert read()["payload"] == {"text": text_of(LONGEST)}


# What waits.


@contextlib.contextmanager
def crowd(gateways, name, count, **options):
    def is_empty():
        return gateways.show(name)["clients"] == 0

    wait_until(is_empty, what="those of the tests before have gone")
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(gateways.connect(name, **options)) for _ in range(count)]
    wait_until(is_empty, what="all have gone")
    assert gateways.sluice.buffered() == 0


def head_of(length, kind="application/x-ndjson"):
    return (f"POST {POST.format('news')} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
            f"Content-Type: {kind}\r\n\r\n").encode()


@pytest.mark.plain
def test_half_sent_bodies_take_what_was_said_of_them(fresh):
    """input_max a client."""
    body = head_of(BODY_MAX) + (BODY_MAX - 1) * b"x"
    before = fresh.sluice.rss()
    with crowd(fresh, "http", CROWD) as clients:
        for client in clients:
            client.sendall(body)
        wait_until(lambda: fresh.sluice.buffered() >= CROWD * (BODY_MAX - 1), what="all is there")
        assert fresh.sluice.buffered() <= CROWD * BODY_MAX
        assert fresh.sluice.rss() - before < CROWD * (BODY_MAX + IDLE_BYTES)
        clients[0].sendall(b"x")
        assert http_status(clients[0]) == 400


@pytest.mark.plain
def test_who_does_not_read_takes_what_was_said_of_it(fresh):
    """output_max a client."""
    with crowd(fresh, "http", SLOW, receive_buffer=4096) as clients:
        for client in clients:
            client.sendall(b"GET /v1/topics/flood/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            assert http_status(client) == 200
        before, waiting = fresh.sluice.rss(), [0]
        with fresh.connect("line") as client, client.makefile("rb") as answers:
            def flood():
                client.sendall(5 * (b"PUBLISH|flood|" + FLOOD * b"x" + b"\n"))
                # Large buffers may be short while so many are served.
                assert {answers.readline() for _ in range(5)} <= {
                    b"ACK\n", b"ERR|no buffer now; send it again\n"}
                waiting.append(fresh.sluice.buffered())
                # The kernel's buffers grow: who has no room now may have some a moment later.
                # And an ACK is of what was taken: who is full has missed something a moment later.
                return (waiting[-1] > SLOW * (OUTPUT_MAX - EVENT_MAX)
                        and fresh.show("http")["gaps"] >= SLOW)

            wait_until(flood, 60, "nobody has room left, and each has missed something")
        assert max(waiting) <= SLOW * OUTPUT_MAX
        assert fresh.sluice.rss() - before < SLOW * (OUTPUT_MAX + IDLE_BYTES) + SPARE


def test_half_sent_texts_of_rooms_are_counted(gateways):
    half = b"\x81\xff" + struct.pack(">QI", 1 << 20, 0) + 40_000 * b"x"
    with crowd(gateways, "rooms", 50) as clients:
        for client in clients:
            client.sendall(UPGRADE)
            assert http_status(client) == 101
            client.sendall(half)
        wait_until(lambda: gateways.sluice.buffered() >= 50 * 40_000, what="all is there")
        assert gateways.sluice.buffered() <= 50 * 65536


@pytest.mark.plain
def test_all_that_waits_together_has_a_bound(fresh):
    """512 MiB of a thread: who has more than its share is turned away then, and may come again."""
    count, half = 640, head_of(1 << 20) + 1_000_000 * b"x"
    before = fresh.sluice.rss()
    with crowd(fresh, "large", count) as clients:
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.sendall(half)
        refused = select.select(clients, [], [], patience(10))[0]
        # 512 of them have a buffer of 1 MiB; the others one of half of it until they want more.
        assert 400 << 20 < fresh.sluice.buffered() <= (512 + (count - 512) // 2) << 20
        assert fresh.sluice.rss() - before < 600 << 20
        assert {http_status(client) for client in refused} == {503}
        assert fresh.post("x") == 202
    assert fresh.post("x") == 202


def clients(gateways, name):
    with gateways.sluice.control() as control:
        return control.show("ingress", name, "clients")


def test_which_client_does_not_read_is_told_by_its_name(fresh):
    """By its counters, and in the log: once when it begins to lose, and when it has read."""
    with contextlib.ExitStack() as stack:
        slow, well, sender = (stack.enter_context(fresh.connect("line", receive_buffer=buffer))
                              for buffer in (4096, None, None))
        peers = {one: f"{HOST}:{one.getsockname()[1]}" for one in (slow, well, sender)}
        lines = well.makefile("rb")
        for one in (slow, well):
            one.sendall(b"SUBSCRIBE|flood\nPING||\n")
        assert slow.recv(5, socket.MSG_WAITALL) == lines.readline() == b"PONG\n"
        acks, sent = sender.makefile("rb"), 0
        while fresh.show("line")["reasons"]["output_full"] == 0:
            assert sent < FLOOD
            for _ in range(50):
                sender.sendall(b"PUBLISH|flood|" + 8000 * b"x" + b"\n")
                assert acks.readline() == b"ACK\n" and len(lines.readline()) == 8001
            sent += 50
        wait_until(lambda: sum(clients(fresh, "line")[0][key] for key in ("delivered", "dropped"))
                   == sent, what="all is accounted for")
        shown = clients(fresh, "line")
        assert [one["peer"] for one in shown][0] == peers[slow]
        assert {one["peer"] for one in shown} == set(peers.values())
        by_peer = {one["peer"]: one for one in shown}
        assert by_peer[peers[well]]["delivered"] == sent
        assert by_peer[peers[well]]["dropped"] == 0 and by_peer[peers[well]]["losing_s"] is None
        assert shown[0]["dropped"] == fresh.show("line")["reasons"]["output_full"]
        assert 0 < shown[0]["waiting_bytes"] <= 4 << 20 and shown[0]["losing_s"] >= 0

        def told(what):
            return [line for line in fresh.sluice.stderr.splitlines()
                    if peers[slow] in line and what in line]
        wait_until(lambda: len(told("does not read what it is sent")) == 1, what="the log")
        slow.setblocking(False)

        def read_on():
            # It is sent the rest as it reads.
            with contextlib.suppress(BlockingIOError):
                while slow.recv(1 << 20):
                    pass
            return len(told("reads again")) == 1
        wait_until(read_on, what="the log")
        assert f"{shown[0]['dropped']} messages" in told("reads again")[0]
        assert clients(fresh, "line")[0]["losing_s"] is None
