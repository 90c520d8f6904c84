# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""How clients of the gateways come to their end: by time, by TLS, and with the appliance."""

import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from harness import destination
from harness.durable import DurableLab
from harness.faults import Faults
from harness.lines import HOST, connect
from harness.patience import patience, wait_until

PORTS = {"web": 8082, "secure": 8443, "silent": 8444, "chat": 8081, "broker": 8080, "json": 9000}
LATE_S, BEAT_S = 10, 15
STREAM = b"GET /v1/topics/news/stream HTTP/1.1\r\nHost: x\r\n\r\n"
RESET = struct.pack("ii", 1, 0)
UPGRADE = (b"GET /chat/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n%s\r\n"


def post(name, body, *fields, length=None):
    """A request, of whose body there is perhaps not all."""
    lines = [f"POST /v1/destinations/{name}/messages HTTP/1.1", "Host: x",
             f"Content-Length: {length or len(body)}", *fields, "", body]
    return "\r\n".join(lines).encode()


def many(*numbers):
    return "".join(json.dumps({"messageId": str(n), "payload": {}}) + "\n" for n in numbers)


NDJSON = "Content-Type: application/x-ndjson"


class Answer:
    """The next answer on a connection that goes on."""

    def __init__(self, client):
        answer = http.client.HTTPResponse(client)
        answer.begin()
        self.status, self.retry_after = answer.status, answer.getheader("Retry-After")
        self.is_last = answer.getheader("Connection") == "close"
        self.body = json.loads(answer.read())

    def __repr__(self):
        return f"{self.status}, Retry-After: {self.retry_after}: {self.body}"


def rest(client):
    """All that comes until the other side closes, and that without a reset."""
    return b"".join(iter(lambda: client.recv(1 << 16), b""))


def first_comment(client):
    """What comes of a stream until then."""
    came = b""
    with client.makefile("rb") as lines:
        while (line := lines.readline()) != b":\n":
            assert line, f"it was closed after {came!r}"
            came += line
    return came


class Bench:
    def __init__(self, lab, drain_ms=500):
        self.lab = lab
        self.faults = Faults(lab.dir, lab.journal_dir)
        certificate, key = lab.dir / "cert.pem", lab.dir / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                        certificate], check=True, capture_output=True)
        self.trust = ssl.create_default_context(cafile=certificate)
        tls = {"tls_certificate": str(certificate), "tls_key": str(key)}
        keys = {"web": {"protocol": "http"}, "secure": {"protocol": "http", **tls},
                "silent": {"protocol": "http", **tls}, "broker": {"protocol": "line", "keep_open": True},
                "chat": {"protocol": "rooms", "guarantee": "at-least-once"}, "json": {"protocol": "json"}}
        self.sluice = lab.appliance(lab.config(
            destination("orders"), destination("news", kind="topic", guarantee="at-most-once"),
            drain_timeout_ms=drain_ms, gateways={"threads": 1, "listeners": [
                {"name": name, "address": HOST, "port": PORTS[name], **more}
                for name, more in keys.items()]}), env=self.faults.env)

    def connect(self, name, data=b""):
        client = connect(self.lab.inside, PORTS[name], timeout=20)
        client.sendall(data)
        return client

    def secure(self, data=b"", name="secure"):
        client = self.trust.wrap_socket(self.connect(name), server_hostname="localhost",
                                        suppress_ragged_eofs=False)
        client.sendall(data)
        return client

    def openssl(self, *args, said=""):
        """What s_client says."""
        argv = self.lab.inside.exec_args("openssl", "s_client", "-connect",
                                         f"{HOST}:{PORTS['secure']}", *args)
        return subprocess.run(argv, input=said, text=True, timeout=patience(20), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def show(self, name):
        with self.sluice.control() as control:
            return control.show("ingress", name)

    def reason(self, reason, name="secure"):
        return self.show(name)["reasons"][reason]


@pytest.fixture(scope="module", name="late")
def fixture_late():
    """A bench on which several things wait for their time to be over, all at once: what came of
    each, and how long it took."""
    with DurableLab() as lab, contextlib.ExitStack() as stack:
        bench = Bench(lab)
        with bench.sluice, concurrent.futures.ThreadPoolExecutor(8) as threads:
            bench.faults.begin("sync")

            def begin(name, data, read):
                earliest = time.monotonic()
                client = stack.enter_context(bench.connect(name, data))
                latest = time.monotonic()

                def wait():
                    came, at = read(client), time.monotonic()
                    return came, at - earliest, at - latest
                return client, threads.submit(wait)

            bench.late = {
                "one": begin("web", post("orders", "x", "Sluice-Id: late"), Answer),
                "many": begin("web", post("orders", many(1) + "{\n" + many(2, 3), NDJSON), Answer),
                "silent": begin("silent", b"", rest),
                "half": begin("silent", hello(bench)[:100], rest),
                "head": begin("web", post("orders", "x")[:-5], rest),
                "upgrade": begin("chat", UPGRADE[:-2], rest),
                "stream": begin("web", STREAM, first_comment),
            }
            yield bench


def hello(bench):
    """What a client of TLS says first."""
    out = ssl.MemoryBIO()
    client = bench.trust.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def outcome(late, name, after=LATE_S):
    """It came when its time was over, and not long after that."""
    _, waiting = late.late[name]
    came, longest, shortest = waiting.result(patience(30))
    assert longest > after - 0.5 and shortest < after + 3, (name, shortest, longest)
    return came


# Time.


def test_what_is_not_durable_in_time_is_503_and_may_be_sent_again(late):
    one, several = outcome(late, "one"), outcome(late, "many")
    assert (one.status, one.retry_after, one.is_last) == (503, "1", False)
    assert one.body["id"] == "late" and "not durable yet" in one.body["error"]
    assert (several.status, several.retry_after) == (503, "1")
    assert (several.body["accepted"], several.body["refused"]) == (0, 4)
    assert [result["status"] for result in several.body["results"]] == [503, 400, 503, 503]
    late.faults.end("sync")
    # The connection goes on, and the same message is one message.
    client, _ = late.late["one"]
    client.sendall(post("orders", "x", "Sluice-Id: late"))
    assert Answer(client).body == {"id": "late"}
    with late.connect("json", b'{"subscribe": "orders"}\n') as reader, reader.makefile("rb") as lines:
        got = [json.loads(lines.readline()) for _ in range(5)]
        assert {line["messageId"] for line in got if "messageId" in line} == {"late", "1", "2", "3"}


def test_who_never_finishes_a_handshake_is_closed(late):
    assert outcome(late, "silent") == outcome(late, "half") == b""
    assert late.reason("tls", "silent") == 2
    assert late.sluice.stderr.count("the handshake takes too long") == 2


def test_who_never_finishes_a_request_is_told(late):
    head, upgrade = outcome(late, "head"), outcome(late, "upgrade")
    assert head.startswith(b"HTTP/1.1 408 ") and upgrade.startswith(b"HTTP/1.1 408 ")
    assert late.reason("idle", "web") == late.reason("idle", "chat") == 1


# TLS.


def no_tls(bench):
    with bench.connect("secure", GET % b"") as client:
        assert rest(client)[:1] in (b"", b"\x15")


def gone(bench):
    with bench.connect("secure", hello(bench)[:100]) as client:
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b""
    assert "tls: it has gone" in bench.sluice.stderr


def torn(bench):
    with bench.connect("secure", hello(bench)[:100]) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def torn_later(bench):
    """It has the server's half of the handshake."""
    with bench.connect("secure", hello(bench)) as client:
        assert len(client.recv(1 << 16)) > 500
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def too_old(bench):
    said = bench.openssl("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    assert "alert protocol version" in said, said


def distrustful(bench):
    with pytest.raises(ssl.SSLCertVerificationError), bench.connect("secure") as client:
        ssl.create_default_context().wrap_socket(client, server_hostname="localhost")


@pytest.mark.parametrize("fail", [no_tls, gone, torn, torn_later, too_old, distrustful],
                         ids=lambda fail: fail.__name__)
def test_a_handshake_that_fails_is_counted_and_costs_only_itself(late, fail):
    before = late.reason("tls")
    with late.secure() as other:
        fail(late)
        wait_until(lambda: late.reason("tls") == before + 1, what="it is counted")
        other.sendall(GET % b"")
        assert Answer(other).body == {"status": "ok"}
    wait_until(lambda: late.show("secure")["clients"] == 0, what="all have gone")


def test_nobody_renegotiates(late):
    said = late.openssl("-tls1_2", said="R\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said, said


def test_the_end_of_tls_is_said_by_both(late):
    """Also by whom the other has left without a word: then it is counted as nothing."""
    wait_until(lambda: late.show("secure")["clients"] == 0, what="those before have gone")
    before = late.show("secure")["reasons"]
    with late.secure(GET % b"Connection: close\r\n") as client:
        assert Answer(client).is_last
        # Without the other's close_notify this is an error.
        assert client.recv(1) == b""
    with late.secure(GET % b"") as client:
        assert Answer(client).status == 200
        with client.unwrap() as plain:
            assert plain.recv(1) == b""
    with late.secure(GET % b"") as client:
        assert Answer(client).status == 200
        client.shutdown(socket.SHUT_WR)
    wait_until(lambda: late.show("secure")["clients"] == 0, what="all have gone")
    assert late.show("secure")["reasons"] == before


# The appliance.


def line(client):
    """The next line, and not a byte more."""
    return b"".join(iter(lambda: client.recv(1), b"\n"))


def order(ident, to="orders"):
    return json.dumps({"messageId": ident, "sourceServerId": "s", "destinationId": to, "priority": 1,
                       "messageType": "t", "timestamp": 1763725200123, "payload": {}}).encode() + b"\n"


def test_all_are_told_that_the_appliance_ends(durable):
    """And what waits on a disk that does not answer is not called durable."""
    bench = Bench(durable)
    with bench.sluice, contextlib.ExitStack() as stack:
        def begin(name, data=b"", is_secure=False):
            client = bench.secure(data) if is_secure else bench.connect(name, data)
            return stack.enter_context(client)

        streams = begin("web", STREAM), begin("secure", STREAM, is_secure=True)
        for client in streams:
            assert b"200 OK" in line(client)
            while line(client) != b"retry: 1000":
                pass
        consumer, subscriber = begin("json", b'{"subscribe": "news"}\n{"acks": true}\n'), begin("broker")
        assert {line(consumer), line(consumer)} == {b'{"subscribed":"news"}', b'{"acks":true}'}
        subscriber.sendall(b"SUBSCRIBE|news\nPING\n")
        assert line(subscriber) == b"PONG"
        member, guest = begin("chat", UPGRADE), begin("chat", UPGRADE[:-2])
        assert b"101 Switching" in member.recv(4096)
        idle = begin("web", GET % b"")
        assert Answer(idle).status == 200
        bench.faults.begin("sync")
        pending = begin("web", post("orders", "x", "Sluice-Id: a")), \
            begin("secure", post("orders", "x", "Sluice-Id: b"), is_secure=True)
        several = begin("web", post("orders", many(1, 2), NDJSON))
        half = begin("web", post("news", "half", length=9))
        lines = begin("web", post("news", many(3, 4) + '{"payload":', NDJSON, length=999))
        hand = begin("secure", hello(bench)[:100])
        consumer.sendall(order("c"))
        publisher = begin("broker", b"PUBLISH|orders|d\n")
        # Both of the topic's messages are there, the others are in the path.
        for client in (subscriber, subscriber):
            assert line(client) == b"{}"
        bench.sluice.wait_for(lambda stats: stats["received"] >= 8)
        bench.sluice.send_signal(signal.SIGTERM)
        for ident, client in zip("ab", pending):
            answer = Answer(client)
            assert (answer.status, answer.retry_after, answer.is_last) == (503, "1", True)
            assert answer.body["id"] == ident and "not durable yet" in answer.body["error"]
        answer = Answer(several)
        assert (answer.status, answer.body["accepted"], answer.body["refused"]) == (503, 0, 2)
        answer = Answer(half)
        assert (answer.status, answer.retry_after, answer.is_last) == (503, "1", True)
        assert answer.body == {"error": "the appliance ends"}
        # Of a body that breaks off, the lines before.
        answer = Answer(lines)
        assert (answer.status, answer.body["results"], answer.is_last) == (
            202, [{"id": "3"}, {"id": "4"}], True)
        for client in streams:
            assert rest(client).count(b"\ndata: ") == 2
        assert rest(consumer).count(b'"news"') == 2
        assert rest(member) == b"\x88\x14\x03\xe9the appliance ends"
        for client in (*pending, several, half, lines, subscriber, publisher, guest, idle, hand):
            assert rest(client) == b""
        # It gives its disk some more time then.
        assert bench.sluice.process.poll() is None
        bench.faults.end("sync")
        assert bench.sluice.wait_exit() == 0


def test_what_was_taken_before_the_end_is_acknowledged(durable):
    """Of crowds of messages that are under way at SIGTERM: as many as the path has."""
    bench = Bench(durable, drain_ms=10_000)
    with bench.sluice, bench.connect("json", b'{"acks": true}\n') as json_client, \
            bench.connect("broker") as broker, bench.connect("web") as web, \
            concurrent.futures.ThreadPoolExecutor(6) as threads:
        def write(client, data):
            with contextlib.suppress(ConnectionError):
                client.sendall(data)

        reading = [threads.submit(rest, client) for client in (json_client, broker, web)]
        threads.submit(write, json_client, b"".join(order(f"j-{n}") for n in range(50_000)))
        threads.submit(write, broker, b"PUBLISH|orders|x\n" * 100_000)
        threads.submit(write, web, b"".join(post("orders", "x") for n in range(20_000)))
        wait_until(lambda: all(bench.show(name)["accepted"] > 100
                               for name in ("json", "broker", "web")), 20, "all are heard")
        final = bench.sluice.stop()
        acked, lines, answers = (reader.result(patience(10)) for reader in reading)
        assert lines == b"ACK\n" * (len(lines) // 4)
        counts = acked.count(b'{"ack":'), len(lines) // 4, answers.count(b"HTTP/1.1 202 ")
        assert all(counts) and sum(counts) == final["received"] - final["duplicates"], (counts, final)


# Last, because it is what takes longest to come.


def test_a_silent_stream_says_that_it_is_there(late):
    assert outcome(late, "stream", BEAT_S).endswith(b"\r\n\r\nretry: 1000\n\n")
