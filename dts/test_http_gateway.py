# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The HTTP gateway, by curl, Python's http.client and ssl, and plain sockets."""

import contextlib
import http.client
import json
import random
import re
import socket
import sqlite3
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest
import websocket

from harness import ROOT, Appliance, destination, make_config, table
from harness.browser import Browser, PageServer
from harness.config import port as device
from harness.patience import patience, wait_until
from harness.postgres import Cut
from harness.sockets import free_port

KILLS = 3
IN_FLIGHT = 1024  # The default of a destination.
TOPICS = 20
BASE64 = "a+b/c0=="  # A token in a file may have what a query has in a notation of its own.
NDJSON = {"Content-Type": "application/x-ndjson"}


def listener(name, port, protocol="http", **keys):
    return {"name": name, "protocol": protocol, "address": "127.0.0.1", "port": port, **keys}


class Web:
    """One appliance, and a listener for each way to use it."""

    def __init__(self, directory):
        self.open, self.closed, self.slow, self.rooms, self.shop, self.page = (
            free_port() for _ in range(6))
        self.topics = (f"topic{n}" for n in range(TOPICS))
        self.certificate = directory / "cert.pem"
        key, tokens = directory / "key.pem", directory / "tokens"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
                        "-out", self.certificate], check=True, capture_output=True)
        tokens.write_text(f"s3cret ann\n{BASE64} bob\n")
        tokens.chmod(0o600)
        self.sluice = Appliance(make_config(
            table(1), destination("news", kind="topic"), destination("floor 1/news", kind="topic"),
            *(destination(f"topic{n}", kind="topic") for n in range(TOPICS)),
            ports=[device(device="net_null0", mtu=4000)], gateways={"listeners": [
                listener("open", self.open, replay=100, output_max="64K"),
                listener("closed", self.closed, tls_certificate=str(self.certificate),
                         tls_key=str(key), tokens=str(tokens), origins=["https://shop.example"]),
                listener("slow", self.slow, rate_msgs_per_s=20),
                listener("shop", self.shop, tokens=str(tokens),
                         origins=[f"http://127.0.0.1:{self.page}"]),
                listener("rooms", self.rooms, protocol="rooms", rooms=3)]}),
            vdevs=["net_null0"])

    def __enter__(self):
        self.sluice.__enter__()
        return self

    def __exit__(self, *error):
        return self.sluice.__exit__(*error)

    def client(self, port=None, timeout=10):
        return http.client.HTTPConnection("127.0.0.1", port or self.open, timeout=patience(timeout))

    def raw(self, data, port=None):
        client = socket.create_connection(("127.0.0.1", port or self.open), timeout=patience(10))
        client.sendall(data)
        return client

    def curl(self, *args, scheme="http", port=None):
        """Status, headers (lower case) and body."""
        *args, path = args
        made = subprocess.run(
            ["curl", "-sS", "-i", "-m", "10", *map(str, args),
             f"{scheme}://127.0.0.1:{port or self.open}{path}"],
            capture_output=True, check=True).stdout.decode()
        head, body = made.rsplit("\r\n\r\n", 1)
        lines = head.split("\r\n")
        status = [line for line in lines if line.startswith("HTTP/")][-1].split()[1]
        fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        return int(status), fields, body


@pytest.fixture(name="web", scope="module")
def fixture_web(tmp_path_factory):
    with Web(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture(name="topic")
def fixture_topic(web):
    """One that no other test has used."""
    return next(web.topics)


def to(name):
    return f"/v1/destinations/{name}/messages"


def ask(client, method, path, body=None, headers=None):
    """Status and body, read as JSON."""
    client.request(method, path, body, headers or {})
    answer = client.getresponse()
    return answer.status, json.loads(answer.read())


class Stream:
    """Server-sent events, as a browser reads them."""

    def __init__(self, web, topic, last=None):
        self.client = web.client()
        headers = {"Last-Event-ID": last} if last else {}
        self.client.request("GET", f"/v1/topics/{topic}/stream", headers=headers)
        self.answer = self.client.getresponse()
        assert self.answer.status == 200
        assert self.answer.getheader("Content-Type") == "text/event-stream"
        self.last = last

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.answer.close()

    def event(self):
        """Name and data of the next event."""
        name, data = "message", []
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream has ended"
            field, _, value = line.rstrip("\n").partition(": ")
            if field == "id":
                self.last = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif line == "\n" and data:
                return name, json.loads("\n".join(data))

    def payloads(self, count):
        return [self.event()[1]["payload"] for _ in range(count)]


def publish(web, topic, numbers):
    body = "".join(json.dumps({"payload": {"n": n}}) + "\n" for n in numbers)
    status, answer = ask(web.client(), "POST", to(topic), body, NDJSON)
    assert (status, answer["refused"]) == (202, 0)


# Messages.


def test_curl_posts_and_a_stream_of_curl_shows_it(web, topic):
    url = f"http://127.0.0.1:{web.open}/v1/topics/{topic}/stream"
    with subprocess.Popen(["curl", "-sSN", "-m", "20", url], stdout=subprocess.PIPE,
                          text=True) as curl:
        assert curl.stdout.readline() == "retry: 1000\n"
        status, fields, body = web.curl(
            "-d", '{"dish": 7}', "-H", "Sluice-Id: order-1", "-H", "Sluice-Type: order",
            "-H", "Sluice-Source: till-3", "-H", "Sluice-Priority: 1", to(topic))
        assert (status, json.loads(body)) == (202, {"id": "order-1"})
        assert fields["content-type"] == "application/json"
        lines = [curl.stdout.readline() for _ in range(3)]
        assert lines[1].startswith("id: ")
        event = json.loads(lines[2].removeprefix("data: "))
        timestamp = event.pop("timestamp")
        assert abs(timestamp - time.time() * 1000) < 10_000
        assert event == {"messageId": "order-1", "sourceServerId": "till-3", "priority": 1,
                         "destinationId": topic, "messageType": "order", "payload": {"dish": 7}}
        curl.kill()


def examples():
    """Commands of docs/gateways.md, "HTTP", and what they print."""
    section = (ROOT / "docs" / "gateways.md").read_text().split("\n## HTTP\n")[1]
    section = section.split("\n## ")[0]
    for block in re.findall(r"(?s)```\n\$ (.*?)```", section):
        for example in block.split("\n$ "):
            command, said = re.fullmatch(r"(?s)((?:[^\n]*\\\n)*[^\n]*)\n(.*)", example).groups()
            yield command, said.strip()


def same_of_all_runs(text):
    """Without what is another each time."""
    return re.sub(r"[0-9a-f]{32}(-[0-9a-f]{16})?|(?<=\"timestamp\":)[0-9]+", "ID", text)


def test_the_examples_of_the_documentation(web):
    told = [(command.replace("localhost:8082", f"127.0.0.1:{web.open}"), said)
            for command, said in examples()]
    [(stream, events)] = [example for example in told if "/stream" in example[0]]
    with subprocess.Popen(["timeout", str(patience(20)), *stream.split()], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as curl:
        assert curl.stdout.readline() == "retry: 1000\n"
        assert len(told) > 3
        for command, said in told:
            if command != stream:
                made = subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                                      check=True)
                assert same_of_all_runs(made.stdout.strip()) == same_of_all_runs(said), command
        missing = set(same_of_all_runs(events).split("\n")) - {"retry: 1000", ""}
        while missing:
            line = curl.stdout.readline()
            assert line, missing
            missing.discard(same_of_all_runs(line.strip()))
        curl.kill()


def test_lines_have_outcomes_and_ids(web, topic):
    client = web.client()
    lines = [{"payload": {}}, {"payload": []}, {"messageId": "é", "payload": {}}]
    body = "\n".join(map(json.dumps, lines)) + "\n{\n"
    with Stream(web, topic) as stream:
        status, answer = ask(client, "POST", to(topic), body.encode(), NDJSON)
        assert (status, answer["accepted"], answer["refused"]) == (202, 2, 2)
        results = answer["results"]
        assert [result.get("status") for result in results] == [None, 400, None, 400]
        assert results[2] == {"id": "é"} and len(results[0]["id"]) == 32
        assert [stream.event()[1]["messageId"] for _ in "12"] == [results[0]["id"], "é"]


def test_chunked_bodies_and_keep_alive_of_http_client(web, topic):
    client = web.client()
    with Stream(web, topic) as stream:
        for n in range(50):
            client.request("POST", to(topic), iter([b'{"n":', b"%d}" % n]), encode_chunked=True)
            answer = client.getresponse()
            assert answer.status == 202 and answer.read()
        assert stream.payloads(50) == [{"n": n} for n in range(50)]


def test_the_same_id_is_delivered_once(web, topic):
    with Stream(web, topic) as stream:
        for n in range(3):
            ask(web.client(), "POST", to(topic), json.dumps({"n": n}), {"Sluice-Id": "once"})
        publish(web, topic, [3])
        assert stream.payloads(2) == [{"n": 0}, {"n": 3}]


def test_too_many_a_second_is_429_and_passes(web, topic):
    client = web.client(web.slow)
    client.request("POST", to(topic), "".join(200 * ['{"payload":{}}\n']), NDJSON)
    answer = client.getresponse()
    results = json.loads(answer.read())["results"]
    assert answer.status == 202 and answer.getheader("Retry-After") == "1"
    assert {result.get("status") for result in results} == {None, 429}
    status, fields, body = web.curl("-d", "x", to("nowhere"), port=web.slow)
    assert status == 404 and "retry-after" not in fields and "no such" in body
    wait_until(lambda: ask(client, "POST", to(topic), "x")[0] == 202, 5, "its rate allows it")


# What is refused.


def test_bad_requests_cost_only_themselves(web, topic):
    good = web.client()
    rng = random.Random(7)
    bad = [b"\r\n\r\n\r\n", b"GET / HTTP/1.1\n\n", b"GET /" + 9000 * b"a", b"\x16\x03\x01\x00\xa5\n",
           b"GET / HTTP/1.1\r\nHost: x\r\nA: " + 17000 * b"a",
           b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
           *(rng.randbytes(200) + b"\n" for _ in range(20))]
    for data in bad:
        with web.raw(data) as client:
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
        assert answer.startswith(b"HTTP/1.1 4") and b"Connection: close" in answer, data
        assert ask(good, "POST", to(topic), "x")[0] == 202


@pytest.mark.parametrize("half", [
    "POST /v1/dest", "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"])
def test_who_goes_in_the_middle_leaves_nothing(web, topic, half):
    with Stream(web, topic) as stream:
        for reset in (False, True):
            client = web.raw(half.format(to(topic)).encode())
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        publish(web, topic, [1])
        assert stream.payloads(1) == [{"n": 1}]


def test_statuses_that_curl_sees(web, topic):
    for args, status in [(["/"], 404), ([to(topic)], 405), (["-X", "PUT", "-d", "x", to(topic)], 405),
                         (["-d", "x", to("nowhere")], 404), (["/v1/topics/table1/stream"], 404),
                         (["-I", "/health"], 200), (["-X", "OPTIONS", to(topic)], 204),
                         (["-H", "Content-Encoding: gzip", "-d", "x", to(topic)], 415),
                         (["-F", "a=b", to(topic)], 415),
                         (["-d", 3000 * "x", "-H", "Expect: 100-continue", to(topic)], 202),
                         (["-d", 9000 * "x", to(topic)], 413)]:
        assert web.curl(*args)[0] == status, args


# Streams.


def test_a_name_may_have_a_slash(web):
    name = urllib.parse.quote("floor 1/news", safe="")
    assert name == "floor%201%2Fnews"
    with Stream(web, name) as stream:
        assert ask(web.client(), "POST", to(name), "{}")[0] == 202
        assert stream.event()[1]["destinationId"] == "floor 1/news"
    for wrong in ("floor%201/news", "floor%201%2F", "floor%201%252Fnews"):
        assert ask(web.client(), "POST", to(wrong), "{}")[0] == 404


def test_each_of_several_streams_gets_all(web, topic):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(Stream(web, topic)) for _ in range(5)]
        other = stack.enter_context(Stream(web, next(web.topics)))
        publish(web, topic, range(90))
        for stream in streams:
            assert stream.payloads(90) == [{"n": n} for n in range(90)]
        publish(web, f"topic{int(topic[5:]) + 1}", [7])
        assert other.payloads(1) == [{"n": 7}]


def test_line_ends_in_a_payload_do_not_tear_an_event(web, topic):
    with Stream(web, topic) as stream:
        for end in ("\n", "\r", "\r\n"):
            body = end.join(["{", '"a": 1,', '"b": "\\r\\n"', "}", ""])
            assert ask(web.client(), "POST", to(topic), body)[0] == 202
        # Browsers end lines with any of the three.
        for _ in range(3):
            line = b""
            while not line.startswith(b"data: "):
                line = stream.answer.readline()
                assert line and b"\r" not in line
            assert json.loads(line[len("data: "):])["payload"] == {"a": 1, "b": "\r\n"}


def test_who_comes_back_gets_what_it_missed_or_is_told(web, topic):
    with Stream(web, topic) as stream:
        publish(web, topic, range(3))
        stream.payloads(2)
        second = stream.last
    publish(web, topic, range(3, 6))
    with Stream(web, topic, second) as stream:
        assert stream.payloads(4) == [{"n": n} for n in range(2, 6)]
    # More than is kept.
    events = ingress(web)["events"]
    publish(web, topic, range(200))
    wait_until(lambda: ingress(web)["events"] >= events + 200, 5, "events")
    with Stream(web, topic, second) as stream:
        name, data = stream.event()
        assert name == "gap" and "not held" in data["reason"]
        publish(web, topic, [1000])
        assert stream.payloads(1) == [{"n": 1000}]


def test_who_does_not_read_delays_nobody_and_is_told(web, topic):
    big = 1500 * "x"
    with socket.socket() as slow, Stream(web, topic) as quick:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(patience(10))
        slow.connect(("127.0.0.1", web.open))
        slow.sendall(f"GET /v1/topics/{topic}/stream HTTP/1.0\r\n\r\n".encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        client, gaps = web.client(), lambda: ingress(web)["reasons"]["output_full"]
        before, n = gaps(), 0
        while gaps() == before:
            publish_big(client, topic, range(n, n + 20), big)
            assert [payload["n"] for payload in quick.payloads(20)] == list(range(n, n + 20))
            n += 20
        text = b""
        while b"event: gap\n" not in text:
            text = text[-20:] + slow.recv(1 << 16)
            publish_big(client, topic, [n], "")
            n += 1


def publish_big(client, topic, numbers, filling):
    body = "".join(json.dumps({"payload": {"n": n, "filling": filling}}) + "\n" for n in numbers)
    assert ask(client, "POST", to(topic), body, NDJSON)[1]["refused"] == 0


def ingress(web, name="open"):
    with web.sluice.control() as control:
        return control.show("ingress", name)


# Who may.


def test_tls_tokens_and_origins(web, topic):
    trust = ["--cacert", web.certificate]
    ann = ["-H", "Authorization: Bearer s3cret"]

    def curl(*args):
        return web.curl(*trust, *args, scheme="https", port=web.closed)

    status, fields, _ = curl("-d", "x", to(topic))
    assert status == 401 and fields["www-authenticate"] == "bearer"
    assert curl("-H", "Authorization: Bearer s3cre", "-d", "x", to(topic))[0] == 401
    with Stream(web, topic) as stream:
        status, fields, _ = curl(*ann, "-d", "x", to(topic))
        assert status == 202 and "access-control-allow-origin" not in fields
        assert stream.event()[1]["sourceServerId"] == "ann"
    assert curl("/health")[0] == 200 and curl("/api/metrics")[0] == 401
    shop, other = (["-H", f"Origin: https://{name}.example"] for name in ("shop", "other"))
    assert curl(*shop, *ann, "-d", "x", to(topic))[1]["access-control-allow-origin"] == \
        "https://shop.example"
    assert curl(*other, *ann, "-d", "x", to(topic))[0] == 403
    status, fields, _ = curl(*shop, "-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST",
                             to(topic))
    assert status == 204 and "authorization" in fields["access-control-allow-headers"]
    assert "access-control-allow-origin" not in web.curl(*shop, "-d", "x", to(topic))[1]


@pytest.mark.parametrize("query, status", (
    (urllib.parse.urlencode({"last": "&", "access_token": BASE64}), 200),
    ("access_token=" + urllib.parse.quote(BASE64), 200),
    ("access_token=%733cret", 200),
    # A plus is a space, which no token has.
    ("access_token=" + BASE64, 401),
    ("access_token=%2573%33cret", 401)))
def test_a_token_in_a_query_is_decoded(web, query, status):
    client = web.client(web.shop)
    client.request("GET", f"/api/metrics?{query}")
    assert client.getresponse().status == status


PAGE = """<!DOCTYPE html><title>shop</title><script>
const heard = [], opened = [];
%s
events.onopen = () => opened.push(heard.length);
events.addEventListener("message", event => heard.push(JSON.parse(event.data).payload));
events.addEventListener("gap", () => heard.push("gap"));
const post = (body, token) => fetch("%s", {method: "POST", body: JSON.stringify(body), headers: {
  "Authorization": "Bearer " + token, "Sluice-Type": "lunch"}}).then(
  answer => answer.status, error => "refused");
</script>"""


@pytest.mark.plain
def test_a_page_in_a_browser_posts_and_streams_and_finds_its_place_again(web, topic):
    """Of another origin than the gateway, which lists it: the browser asks before it posts."""
    [script] = re.findall(r"(?s)```js\n(.*?)```", (ROOT / "docs/gateways.md").read_text())
    with Cut(web.shop) as line, PageServer(port=web.page) as here, PageServer() as elsewhere:
        base = f"http://127.0.0.1:{line.port}"
        here.text = elsewhere.text = PAGE % (
            script.replace("http://localhost:8082", base).replace("/news/", f"/{topic}/").replace(
                "TOKEN", "s3cret"), base + to(topic))
        with Browser(here.url) as page:
            page.wait(lambda: page.run("return opened.length") == 1, what="the stream")
            assert page.run("return post({n: 0}, 's3cret')") == 202
            assert page.run("return post({n: 0}, 'guess')") == 401
            page.wait(lambda: page.run("return heard.length") == 1, what="its own")
            line.cut()
            line.drop()
            publish(web, topic, range(1, 20))
            line.mend()
            page.wait(lambda: page.run("return heard.length") >= 20, what="what it missed")
            publish(web, topic, [20])
            page.wait(lambda: page.run("return heard.length") >= 21, what="what is new")
            assert page.run("return heard") == [{"n": n} for n in range(21)]
            # One that is not listed.
            page.driver.get(elsewhere.url)
            assert page.run("return post({n: 21}, 's3cret')") == "refused"
            page.wait(lambda: page.run("return events.readyState") == 2, what="no stream")
            assert page.run("return [heard, opened]") == [[], []]


def test_a_large_body_over_tls(web, topic):
    trust = ssl.create_default_context(cafile=web.certificate)
    client = http.client.HTTPSConnection("localhost", web.closed, timeout=patience(10), context=trust)
    body = "".join(json.dumps({"payload": {"n": n, "filling": 300 * "x"}}) + "\n"
                   for n in range(2000))
    status, answer = ask(client, "POST", to(topic), body,
                         {**NDJSON, "Authorization": "Bearer s3cret"})
    assert (status, answer["accepted"], len(answer["results"])) == (202, 2000, 2000)


# What an operator asks.


def test_metrics_of_rooms_and_users(web):
    def say(client, user, kind, text="Hi"):
        client.send(json.dumps({"userId": str(user), "username": f"user{user}", "message": text,
                                "timestamp": "2026-11-21T12:00:00Z", "messageType": kind}))
        client.recv()

    with contextlib.closing(websocket.create_connection(
            f"ws://127.0.0.1:{web.rooms}/chat/2", timeout=patience(10))) as client:
        say(client, 42, "JOIN")
        for _ in range(10):
            say(client, 42, "TEXT")

        rates = []

        def metrics():
            status, _, body = web.curl("/api/metrics")
            assert status == 200
            shown = json.loads(body)
            rates.append(shown["messages"]["received_per_s"])
            return shown if shown["rooms"] and shown["rooms"][0]["texts_per_s"] else None

        shown = wait_until(metrics, 5, "the report is of now")
    assert shown["top_users"] == [{"userId": "42", "username": "user42", "texts": 10}]
    [room] = shown["rooms"]
    assert (room["gateway"], room["room"], room["members"], room["texts"]) == ("rooms", "2", 1, 10)
    assert room["sent"] >= 10
    assert shown["messages"]["received"] >= 11 and max(rates) > 0
    assert {pool["name"] for pool in shown["pools"]} and shown["database"] == []
    assert set(shown["queue"]) == {"queued", "parked", "in_flight"}
    assert {gateway["name"] for gateway in shown["gateways"]} == {
        "open", "closed", "slow", "shop", "rooms"}
    with web.sluice.control() as control:
        assert set(control.show("overview")) == set(shown)


# Durable.


@pytest.mark.plain
def test_the_metrics_tell_of_a_database_that_is_behind(durable):
    config = durable.config_with_sink(destination("orders"),
                                      gateways={"listeners": [listener("web", 8082)]})
    with durable.appliance(config), durable.inside.entered(), \
            contextlib.closing(http.client.HTTPConnection(
                "127.0.0.1", 8082, timeout=patience(15))) as client:
        database = sqlite3.connect(durable.dir / "messages.db", isolation_level=None)

        def metrics(holds):
            def shown():
                status, answer = ask(client, "GET", "/api/metrics")
                return answer if status == 200 and holds(answer["database"][0]) else None
            return wait_until(shown, 15, "the metrics tell it")

        with contextlib.closing(database):
            # Who finds it locked before it has begun does not know yet what it has not read.
            metrics(lambda sink: sink["state"] == "running")
            database.execute("BEGIN EXCLUSIVE")
            status, answer = ask(client, "POST", to("orders"), 200 * '{"payload":{}}\n', NDJSON)
            assert (status, answer["accepted"]) == (202, 200)
            shown = metrics(lambda sink: sink["lag_bytes"] > 0 and sink["lag_s"] > 0)
            assert shown["database"][0]["name"] == "local" and shown["database"][0]["rows"] == 0
            # Nobody takes them.
            assert sum(shown["queue"].values()) == 200
            database.execute("COMMIT")
        more = []

        def is_writing(sink):
            # There is a rate for as long as there is something to write.
            more.append(ask(client, "POST", to("orders"), '{"payload":{}}')[0])
            return sink["rows_per_s"] > 0

        metrics(is_writing)
        assert set(more) == {202}
        shown = metrics(lambda sink: sink["rows"] == 200 + len(more) and sink["lag_bytes"] == 0)
        assert shown["database"][0]["state"] == "running"
        # The messages that wait have their buffers.
        assert all(0 <= pool["free"] <= pool["size"] for pool in shown["pools"])
        assert any(pool["free"] < pool["size"] for pool in shown["pools"])


class Poster(threading.Thread):
    """Posts with new connections until it is stopped: what was answered 202 is acknowledged."""

    def __init__(self, port, is_many):
        super().__init__(daemon=True)
        self.port, self.is_many = port, is_many
        self.is_stopped = threading.Event()
        self.sent, self.acked = 0, []
        self.error = None

    def names(self, begin=0):
        """Of all that it has sent, or tried to."""
        return [f"{self.is_many:d}-{n}" for n in range(begin, self.sent)]

    def post(self, client):
        begin = self.sent
        if not self.is_many:
            self.sent += 1
            [name] = self.names(begin)
            status, answer = ask(client, "POST", to("orders"), "{}", {"Sluice-Id": name})
            assert status in (202, 429, 503) and (status != 202 or answer == {"id": name})
            self.acked += [name] if status == 202 else []
            return
        self.sent += 50
        body = "".join(json.dumps({"messageId": name, "payload": {}}) + "\n"
                       for name in self.names(begin))
        _, answer = ask(client, "POST", to("orders"), body, NDJSON)
        self.acked += [r["id"] for r in answer.get("results", []) if "status" not in r]

    def run(self):
        try:
            while not self.is_stopped.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience(15))
                    while not self.is_stopped.is_set():
                        self.post(client)
                time.sleep(0.01)
        except Exception as error:
            self.error = error
            raise


class Reader(threading.Thread):
    """A client of the JSON gateway that notes what it is delivered."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.delivered = port, []
        self.is_stopped = threading.Event()

    def read(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
            # What is sent to one who hangs up because nothing came for a while is delivered.
            client.settimeout(None)
            client.sendall(b'{"subscribe":"orders"}\n')
            for line in client.makefile("rb"):
                if line.endswith(b"\n") and b"messageId" in line:
                    self.delivered.append(json.loads(line)["messageId"])

    def run(self):
        while not self.is_stopped.is_set():
            with contextlib.suppress(OSError):
                self.read()
            time.sleep(0.01)


@pytest.mark.plain
def test_what_was_answered_202_is_delivered_though_the_appliance_is_killed(durable):
    rng = random.Random(11)
    web, lines = 8082, 9000
    with durable.inside.entered():
        workers = [Poster(web, False), Poster(web, True), Reader(lines)]
    config = durable.config(destination("orders"), gateways={"listeners": [
        listener("web", web), listener("lines", lines, protocol="json")]})
    posters, reader = workers[:2], workers[2]
    with durable.appliance(config) as sluice:
        with contextlib.ExitStack() as stack:
            for worker in workers:
                worker.run = in_namespace(durable.inside, worker.run)
                worker.start()
                stack.callback(worker.is_stopped.set)
            for _ in range(KILLS):
                acked = [len(poster.acked) for poster in posters]
                wait_until(lambda: all(len(p.acked) > n + 5 for p, n in zip(posters, acked)), 20,
                           "answers")
                time.sleep(rng.random() * 0.2)
                sluice.crash()
                sluice.restart()
            for poster in posters:
                poster.is_stopped.set()
                poster.join(patience(20))
                assert not poster.is_alive() and poster.error is None, poster.error
            acked = {name for poster in posters for name in poster.acked}
            assert len(acked) == sum(len(poster.acked) for poster in posters) > KILLS * 10
            wait_until(lambda: acked <= set(reader.delivered), 30, "all that was acknowledged")
            assert set(reader.delivered) <= {name for poster in posters for name in poster.names()}
            # Again comes what was in flight when it was killed.
            assert len(reader.delivered) - len(set(reader.delivered)) <= KILLS * IN_FLIGHT


def in_namespace(namespace, work):
    """Sockets are made by the thread that has entered it."""
    def run():
        with namespace.entered():
            work()
    return run
