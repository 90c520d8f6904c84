# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The line protocol's broker, by netcat and plain sockets."""

import contextlib
import re
import select
import subprocess
import time

import pytest

from harness import (ROOT, Lab, LineClient, backend, destination, line_connect, line_listener,
                     line_subscriber, make_config, message)
from harness.halt import lcore_standing_still
from harness.patience import Deadline, patience


def config(*destinations, threads=1, idle_ms=60000, more=(), keys=None, **listener):
    """One listener of the line protocol, and what else the file is to have."""
    gateways = {"threads": threads, "topic_idle_ms": idle_ms,
                "listeners": [line_listener(**listener), *more]}
    return make_config(*destinations or [destination("kitchen", backend("one", "10.77.0.11"))],
                       gateways=gateways, **(keys or {}))


@contextlib.contextmanager
def broker(lab, *destinations, **keys):
    with lab.appliance(config(*destinations, **keys)) as sluice:
        yield sluice


@pytest.fixture(scope="module")
def bench():
    """A lab with a broker as it is out of the box, for tests that leave it as they found it."""
    with Lab() as lab, broker(lab) as sluice:
        yield lab, sluice


def gateway(sluice, name="broker"):
    """What `show ingress` says of a listener."""
    with sluice.control() as control:
        return control.show("ingress", name)


def wait_gateway(sluice, condition, timeout=10.0):
    deadline = Deadline(timeout)
    while not condition(shown := gateway(sluice)):
        assert not deadline.has_passed(), f"not within {deadline.seconds:g} s: {shown}"
        time.sleep(0.02)
    return shown


def publish(lab, topic, *payloads):
    """Publish on a connection of its own each, as simple publishers do."""
    for payload in payloads:
        with LineClient(lab.inside, f"PUBLISH|{topic}|{payload}") as client:
            assert client.rest() == ["ACK"]


def nc(lab, text, *options):
    """What netcat is answered when it sends @text."""
    run = subprocess.run(lab.inside.exec_args("nc", "-w", "10", *options, "127.0.0.1", "8080"),
                         input=text.encode(), capture_output=True, timeout=patience(20), check=True)
    return run.stdout.decode()


def test_netcat_publishes_and_is_closed(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "news") as client:
        assert nc(lab, "PUBLISH|news|hello\n") == "ACK\n"
        assert nc(lab, "PUBLISH|news|half-closed\n", "-N") == "ACK\n"
        assert client.lines(2) == ["hello", "half-closed"]


def test_the_examples_of_the_documents_run(bench):
    lab, _ = bench
    text = (ROOT / "docs" / "gateways.md").read_text()
    examples = re.findall(r"^\$ (printf .* nc .*localhost 8080)(?: +#.*)?\n(.*)$", text, re.M)
    assert len(examples) == 2
    with line_subscriber(lab.inside, "news") as client:
        for command, answer in examples:
            run = subprocess.run(lab.inside.exec_args("sh", "-c", command), capture_output=True,
                                 timeout=patience(20), check=True)
            assert run.stdout.decode() == answer + "\n"
        assert client.line() == "hello | world"


def test_netcat_subscribes(bench):
    lab, sluice = bench
    wait_gateway(sluice, lambda g: g["subscriptions"] == 0)
    with subprocess.Popen(lab.inside.exec_args("nc", "127.0.0.1", "8080"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("SUBSCRIBE|to-netcat\nPING||\n")
        process.stdin.flush()
        assert process.stdout.readline() == "PONG\n"
        publish(lab, "to-netcat", "one", "two")
        assert [process.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        wait_gateway(sluice, lambda g: g["subscriptions"] == 1)
        process.kill()
    wait_gateway(sluice, lambda g: g["subscriptions"] == 0)


def test_what_follows_a_subscription_waits_for_an_lcore_that_stands_still(bench):
    lab, sluice = bench
    with LineClient(lab.inside) as client:
        with lcore_standing_still(sluice.process.pid):
            client.send("SUBSCRIBE|of-one-that-stands", "PING")
            client.nothing(within=3)
        assert client.line() == "PONG"
        publish(lab, "of-one-that-stands", "heard")
        assert client.line() == "heard"


def test_each_subscriber_gets_what_it_asked_for_in_order(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "a", "b") as both, line_subscriber(lab.inside, "a") as one:
        sent = [(topic, f"{topic}{i}") for i in range(20) for topic in "ab"]
        for topic, payload in sent:
            publish(lab, topic, payload)
        assert [line for line in both.lines(40) if line[0] == "a"] == [f"a{i}" for i in range(20)]
        assert one.lines(20) == [f"a{i}" for i in range(20)]
        both.nothing()
        one.nothing()


def test_who_unsubscribes_gets_no_more(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "a", "b") as client:
        client.send("UNSUBSCRIBE|a", "UNSUBSCRIBE|never-had")
        client.ping()
        publish(lab, "a", "unheard")
        publish(lab, "b", "heard")
        assert client.line() == "heard"
        client.nothing()


def test_who_subscribes_twice_gets_it_once(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "twice", "twice") as client:
        publish(lab, "twice", "once")
        assert client.line() == "once"
        client.nothing()


def test_a_payload_may_hold_anything_but_a_newline(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "raw") as client:
        for payload in (b"a|b||c|", b"", b"  two  ", "größer".encode(), b"\x00\x01\xff", b"a\rb"):
            with LineClient(lab.inside, b"PUBLISH|raw|" + payload) as publisher:
                assert publisher.rest() == ["ACK"]
            assert client.socket.recv(100) == payload + b"\n"


def test_lines_may_end_with_cr_lf(bench):
    lab, _ = bench
    with LineClient(lab.inside) as client:
        client.send_bytes(b"SUBSCRIBE|crlf\r\nPING\r\n\r\nPING||\r\n")
        assert client.lines(2) == ["PONG", "PONG"]
        assert nc(lab, "PUBLISH|crlf|text\r\n") == "ACK\n"
        assert client.line() == "text"


def test_a_malformed_line_costs_only_itself(bench):
    lab, sluice = bench
    bad = ["HELLO", "PUBLISH|x", "PUBLISH||x", "SUBSCRIBE|", "publish|a|b", "SUBSCRIBE|a|b",
           f"PUBLISH|{'t' * 64}|x", "REPLICATE|a|b", "|||", b"SUBSCRIBE|\xff"]
    before = gateway(sluice)["reasons"]
    with line_subscriber(lab.inside, "good") as client:
        for line in bad:
            client.send(line, "PING")
            answer, pong = client.lines(2)
            assert answer.startswith("ERR|") and len(answer) > 8 and pong == "PONG", (line, answer)
        publish(lab, "good", "still here")
        assert client.line() == "still here"
    reasons = gateway(sluice)["reasons"]
    assert reasons["bad_input"] - before["bad_input"] == len(bad) - 1
    # To whom nobody replicates.
    assert reasons["not_allowed"] - before["not_allowed"] == 1


def test_a_line_that_is_too_long_is_skipped(lab):
    with broker(lab, input_max=16384, keep_open=True) as sluice, \
            LineClient(lab.inside) as client:
        client.send("PING", b"PUBLISH|a|" + b"x" * 1_000_000, "PUBLISH|a|y", b"z" * 17000, "PING")
        assert client.lines(5) == ["PONG", "ERR|too long", "ACK", "ERR|too long", "PONG"]
        # Within input_max, and more than a datagram holds.
        client.send(b"PUBLISH|a|" + b"x" * 9000, "PING")
        assert client.lines(2) == ["ERR|too long", "PONG"]
        assert gateway(sluice)["reasons"]["too_long"] == 3


def test_a_publisher_is_closed_after_its_message_was_handed_on(bench):
    lab, sluice = bench
    with line_subscriber(lab.inside, "handed") as client:
        for i in range(50):
            with LineClient(lab.inside, f"PUBLISH|handed|{i}") as publisher:
                assert publisher.rest() == ["ACK"]
            # Closed is handed on: what is not on its way now does not come.
            with sluice.standing_still():
                assert client.line() == str(i)


def test_without_keep_open_all_that_was_pipelined_is_answered_before_the_end(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "burst") as client, LineClient(lab.inside) as publisher:
        publisher.send(*(f"PUBLISH|burst|{i}" for i in range(500)), "nonsense", "PING")
        assert publisher.rest() == ["ACK"] * 500 + ["ERR|unknown command", "PONG"]
        assert client.lines(500) == [str(i) for i in range(500)]


def test_who_has_subscribed_is_not_closed_for_publishing(bench):
    lab, _ = bench
    with line_subscriber(lab.inside, "mine") as client:
        for i in range(3):
            client.send(f"PUBLISH|mine|{i}")
            assert sorted(client.lines(2)) == [str(i), "ACK"]


def test_a_kept_connection_answers_in_the_order_of_its_lines(lab):
    with broker(lab, keep_open=True), line_subscriber(lab.inside, "t") as client, \
            LineClient(lab.inside) as publisher:
        sent, wanted = [], []
        for i in range(3000):
            sent += [f"PUBLISH|t|{i}"] + (["PING"] if i % 7 == 0 else []) + \
                (["oops"] if i % 11 == 0 else [])
            wanted += ["ACK"] + (["PONG"] if i % 7 == 0 else []) + \
                (["ERR|unknown command"] if i % 11 == 0 else [])
        publisher.send(*sent)
        assert publisher.lines(len(wanted)) == wanted
        assert client.lines(3000) == [str(i) for i in range(3000)]
        publisher.nothing()


def test_subscriptions_hold_from_the_next_line_on(bench):
    """Whatever follows a SUBSCRIBE on its connection happens when that has taken effect."""
    lab, _ = bench
    for i in range(5):
        with LineClient(lab.inside) as client:
            client.send(f"SUBSCRIBE|new{i}", f"PUBLISH|new{i}|own")
            assert sorted(client.lines(2)) == ["ACK", "own"]


def test_topics_made_on_demand_are_bounded(lab):
    with broker(lab, topics_max=3, keep_open=True) as sluice, \
            LineClient(lab.inside) as client:
        client.send(*(f"PUBLISH|{topic}|x" for topic in "abca"), "PUBLISH|d|x", "SUBSCRIBE|e",
                    "PUBLISH|kitchen|x", "PUBLISH|b|x")
        assert client.lines(8) == ["ACK"] * 4 + ["ERR|too many topics"] * 2 + ["ACK"] * 2
        shown = gateway(sluice)
        assert shown["topics_opened"] == 3 and shown["reasons"]["too_many_topics"] == 2


def test_topics_on_demand_that_nobody_uses_give_their_place_back(lab):
    idle_ms = 400
    with broker(lab, topics_max=2, keep_open=True, idle_ms=idle_ms) as sluice, \
            line_subscriber(lab.inside, "used") as subscriber, LineClient(lab.inside) as client:
        for i in range(3):
            client.send(f"PUBLISH|once{i}|x", "PUBLISH|full|x")
            assert client.lines(2) == ["ACK", "ERR|too many topics"]
            wait_gateway(sluice, lambda g: g["topics_opened"] == 1)
        # Who has subscribed keeps it, and who publishes for as long as he does.
        client.send("PUBLISH|used|heard")
        assert client.line() == "ACK" and subscriber.line() == "heard"
        for _ in range(20):
            published = time.monotonic()
            client.send("PUBLISH|spoken|x")
            assert client.line() == "ACK"
            time.sleep(0.05)
            with sluice.control() as control:
                topics = {topic["name"]: topic for topic in control.show("topics")}
            assert topics["used"]["is_on_demand"] and "once0" not in topics
            # Where the test stood still for so long, he did not publish.
            assert "spoken" in topics or time.monotonic() - published > idle_ms / 1000


def test_a_topic_that_was_the_files_for_a_while_is_made_again(lab):
    with broker(lab) as sluice, LineClient(lab.inside) as subscriber:
        publish(lab, "news", "on demand")
        sluice.reload(config({"name": "news", "kind": "topic"}))
        publish(lab, "news", "the file's")
        subscriber.send("SUBSCRIBE|news", "PING||")
        assert subscriber.line() == "PONG"
        wait_gateway(sluice, lambda g: g["subscriptions"] == 1)
        sluice.reload(config())
        publish(lab, "news", "on demand again")
        # Who had subscribed to the file's has it again: there is no other way to have it.
        deadline = Deadline(10)
        while not select.select([subscriber.socket], [], [], 0.05)[0]:
            assert not deadline.has_passed()
            publish(lab, "news", "once more")


def test_topics_have_the_listeners_prefix(lab):
    more = [line_listener("other", port=8081)]
    with broker(lab, prefix="line/", more=more), line_subscriber(lab.inside, "news") as prefixed, \
            line_subscriber(lab.inside, "line/news", port=8081) as whole:
        publish(lab, "news", "hello")
        assert prefixed.line() == "hello" and whole.line() == "hello"
        with LineClient(lab.inside, f"PUBLISH|{'t' * 59}|x") as client:
            assert client.line().startswith("ERR|")


def test_backends_and_sources_on_the_wire_meet_clients(lab):
    destinations = [destination("kitchen", backend("one", "10.77.0.11")),
                    {"name": "orders", "kind": "topic",
                     "backends": [backend("two", "10.77.0.12")]}]
    with lab.receiver(1) as one, lab.receiver(2) as two, broker(lab, *destinations) as sluice, \
            line_subscriber(lab.inside, "orders") as client:
        publish(lab, "kitchen", "to a queue")
        assert one.take(1)[0].payload == b"to a queue"
        publish(lab, "orders", "to a topic")
        assert two.take(1)[0].payload == b"to a topic" and client.line() == "to a topic"
        lab.send(message(1, destination="orders", payload=b"from the wire"))
        assert client.line() == "from the wire"
        two.take(1)
        sluice.wait_for(received=3)


@pytest.mark.plain
def test_each_message_has_an_id_of_its_own(lab):
    """What a publisher sends again is another message: the protocol has no ids."""
    with lab.receiver(1) as one, broker(lab) as sluice:
        publish(lab, "kitchen", *["same"] * 5)
        messages = one.take(5)
        sluice.stop()
        sluice.restart()
        publish(lab, "kitchen", *["same"] * 5)
        messages += one.take(5)
        assert len({(m.id_high, m.id_low) for m in messages}) == 10
        assert len({m.source for m in messages}) == 1


@pytest.mark.plain
def test_a_slow_subscriber_loses_its_own_and_no_others(lab):
    count, size = 10000, 1000
    with broker(lab, output_max="64K", keep_open=True) as sluice, \
            line_connect(lab.inside, receive_buffer=4096) as slow, \
            line_subscriber(lab.inside, "t") as quick, LineClient(lab.inside) as publisher:
        slow.sendall(b"SUBSCRIBE|t\nPING\n")
        assert slow.recv(100) == b"PONG\n"
        for begin in range(0, count, 100):
            publisher.send(*(f"PUBLISH|t|{i:0{size}}" for i in range(begin, begin + 100)))
            assert publisher.lines(100) == ["ACK"] * 100
            assert quick.lines(100) == [f"{i:0{size}}" for i in range(begin, begin + 100)]
        # What it is sent later is whole, and it is still a subscriber.
        got, lost = b"", 0
        deadline = Deadline(20)
        while got.count(b"\n") + lost < count:
            # What it loses last may be counted when the quick one has it already.
            lost = gateway(sluice)["reasons"]["output_full"]
            while select.select([slow], [], [], 0.01)[0]:
                got += slow.recv(1 << 16)
            assert not deadline.has_passed(), (got.count(b"\n"), lost)
        assert lost > 0 and got.count(b"\n") + lost == count
        numbers = [int(line) for line in got.split()]
        assert numbers == sorted(set(numbers)) and numbers[0] == 0
        publisher.send("PUBLISH|t|again")
        while not got.endswith(b"again\n"):
            got += slow.recv(1 << 16)


@pytest.mark.plain
def test_a_publisher_that_does_not_read_its_acks_is_closed(lab):
    with broker(lab, output_max=4096, keep_open=True) as sluice, \
            line_connect(lab.inside, receive_buffer=4096) as deaf, \
            LineClient(lab.inside) as other:
        with contextlib.suppress(ConnectionError):
            for _ in range(2000):
                deaf.sendall(b"PUBLISH|t|x\n" * 1000)
        shown = wait_gateway(sluice, lambda g: g["clients"] == 1)
        assert shown["reasons"]["output_full"] == 1
        other.ping()


def test_at_its_end_the_appliance_closes_its_clients(lab):
    with broker(lab) as sluice, line_subscriber(lab.inside, "t") as client:
        publish(lab, "t", "last")
        sluice.stop()
        assert client.rest() == ["last"]


@pytest.mark.plain
def test_more_threads_serve_one_broker(lab):
    """Clients are spread over the threads by the kernel; topics are the same on all of them."""
    with broker(lab, threads=2, keep_open=True) as sluice, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(line_subscriber(lab.inside, "t")) for _ in range(8)]
        publishers = [stack.enter_context(LineClient(lab.inside)) for _ in range(8)]
        for i, publisher in enumerate(publishers):
            publisher.send(f"PUBLISH|t|{i}")
            assert publisher.line() == "ACK"
        for client in clients:
            assert sorted(client.lines(8)) == [str(i) for i in range(8)]
        with sluice.control() as control:
            assert len(control.show("ingress")["threads"]) == 2
