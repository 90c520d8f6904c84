# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Subscribe datagrams: with a UDP socket and a stock protobuf library anybody gets a topic's
messages, for as long as he says so."""

import time

import pytest

from harness import backend, destination, make_config, message, wire
from harness.control import ControlError
from harness.patience import Deadline, wait_until
from harness.sockets import Receiver

NEWS = "news"
OPEN = {"accept": True}


def config(*readers, **keys):
    keys.setdefault("subscriptions", OPEN)
    return make_config(destination(NEWS, *readers, kind="topic"), **keys)


class Reader(Receiver):
    """A subscriber: what it gets, it gets at the socket that it asked from."""

    def __init__(self, lab, number, port=9001, name=None):
        address = f"10.77.0.{10 + number}"
        lab.ensure_address(address)
        super().__init__(lab.outside, address, port)
        self.name = name or f"reader{number}"

    def subscribe(self, topic=NEWS, ttl_ms=60000, leave=False):
        self._sock.sendto(wire.subscribe(topic, self.name, ttl_ms, credit=100, leave=leave),
                          ("10.77.0.1", wire.PORT))


def post(number):
    return message(number, destination=NEWS)


def wait_names(sluice, names, topic=NEWS, timeout=5.0):
    deadline = Deadline(timeout)
    with sluice.control() as control:
        while True:
            rows = control.show("backends", topic)
            if {row["name"] for row in rows} == set(names):
                return rows
            assert not deadline.has_passed(), f"{rows}, not {names}"
            time.sleep(0.02)


def test_who_subscribes_gets_what_comes_until_he_leaves(lab):
    with Reader(lab, 1) as one, Reader(lab, 2) as two, \
            lab.appliance(config(backend("fixed", "10.77.0.13"))) as sluice, \
            lab.receiver(3) as fixed:
        lab.send(post(1))
        assert fixed.take(1)[0].id_low == 1
        one.subscribe()
        two.subscribe()
        wait_names(sluice, ["fixed", "reader1", "reader2"])
        lab.send(post(2))
        assert [r.take(1)[0].id_low for r in (fixed, one, two)] == [2, 2, 2]
        one.subscribe(leave=True)
        wait_names(sluice, ["fixed", "reader2"])
        lab.send(post(3))
        assert [r.take(1)[0].id_low for r in (fixed, two)] == [3, 3]
        one.nothing()
        sluice.wait_for(received=3, dropped={})


def test_who_is_silent_lapses_and_who_renews_stays(lab):
    with Reader(lab, 1) as silent, Reader(lab, 2) as awake, lab.appliance(config()) as sluice:
        silent.subscribe(ttl_ms=1000)
        awake.subscribe(ttl_ms=2000)
        wait_names(sluice, ["reader1", "reader2"])
        begin = time.monotonic()
        while time.monotonic() < begin + 2.6:
            awake.subscribe(ttl_ms=2000)
            time.sleep(0.2)
        wait_names(sluice, ["reader2"], timeout=1)
        lab.send(post(1))
        assert awake.take(1)[0].id_low == 1
        silent.nothing()
        wait_names(sluice, [])
        # Back again as if nothing had been.
        silent.subscribe()
        wait_names(sluice, ["reader1"])
        lab.send(post(2))
        assert silent.take(1)[0].id_low == 2


def test_who_asks_from_another_port_gets_it_there(lab):
    with Reader(lab, 1) as before, Reader(lab, 1, port=9002) as after, \
            lab.appliance(config()) as sluice:
        before.subscribe()
        wait_names(sluice, ["reader1"])
        after.subscribe()
        wait_until(lambda: wait_names(sluice, ["reader1"])[0]["port"] == 9002, 5, "it has moved")
        lab.send(post(1))
        assert after.take(1)[0].id_low == 1
        before.nothing()
        # Who was moved is somebody else now, and cannot leave for him.
        before.subscribe(leave=True)
        lab.send(post(2))
        assert after.take(1)[0].id_low == 2


def test_a_queue_s_backends_may_subscribe_too(lab):
    with Reader(lab, 1) as one, lab.appliance(make_config(
            destination("jobs"), subscriptions=OPEN)) as sluice:
        lab.send(message(1, destination="jobs"))
        one.subscribe("jobs")
        assert one.take(1)[0].id_low == 1
        wait_names(sluice, ["reader1"], "jobs")


def test_a_reload_keeps_them_and_the_file_wins(lab):
    with Reader(lab, 1) as one, Reader(lab, 2) as two, lab.appliance(config()) as sluice:
        one.subscribe()
        two.subscribe()
        wait_names(sluice, ["reader1", "reader2"])
        with sluice.control() as control:
            assert "reader" not in control.show("config")["yaml"]
        # One of them is the file's now, at another port; the other does not notice.
        sluice.reload(config(backend("reader1", "10.77.0.11", port=9009),
                             backend("third", "10.77.0.13")))
        rows = wait_names(sluice, ["reader1", "third", "reader2"])
        assert {row["name"]: row["port"] for row in rows}["reader1"] == 9009
        one.subscribe()
        lab.send(post(1))
        assert two.take(1)[0].id_low == 1
        one.nothing()
        with sluice.control() as control:
            dropped = [e for e in control.show("events") if e["kind"] == "subscriber_dropped"]
        assert [(e["fields"]["destination"], e["fields"]["backend"]) for e in dropped] == [
            (NEWS, "reader1")]


def test_an_operator_subscribes_others(lab):
    """They stay, or for a time; no datagram moves or removes them; all views tell of them."""
    with Reader(lab, 1) as one, Reader(lab, 2) as two, \
            lab.appliance(config(backend("fixed", "10.77.0.13"))) as sluice, \
            sluice.control() as control:
        control.ask(subscribe={"destination": NEWS, "backend": "reader1",
                               "address": "10.77.0.11", "port": 9001})
        control.ask(subscribe={"destination": NEWS, "backend": "reader2",
                               "address": "10.77.0.12", "port": 9001, "ttl_ms": 30000})
        wait_names(sluice, ["fixed", "reader1", "reader2"])
        lab.send(post(1))
        assert [r.take(1)[0].id_low for r in (one, two)] == [1, 1]
        two.name = "reader1"
        two.subscribe()
        two.subscribe(leave=True)
        sluice.wait_for(delivered=3)
        rows = {row["name"]: row for row in control.show("subscribers", NEWS)}
        assert [rows[name]["kind"] for name in ("fixed", "reader1", "reader2")] == [
            "static", "dynamic", "dynamic"]
        assert rows["reader1"]["ttl_left_s"] is None and 20 < rows["reader2"]["ttl_left_s"] <= 30
        assert (rows["reader1"]["address"], rows["reader1"]["delivered"]) == ("10.77.0.11", 1)
        [topic] = control.show("topics")
        assert (topic["subscribers"], topic["static"], topic["dynamic"]) == (3, 1, 2)
        control.ask(subscribe={"destination": NEWS, "backend": "reader1", "leave": True})
        wait_names(sluice, ["fixed", "reader2"])
        for wrong in ({"backend": "nobody", "leave": True}, {"backend": "b", "address": "10.77.0"},
                      {"backend": "b", "address": "10.77.0.11"},
                      {"backend": "fixed", "address": "10.77.0.11", "port": 1},
                      {"backend": "b", "address": "192.168.1.1", "port": 1}):
            with pytest.raises(ControlError):
                control.ask(subscribe={"destination": NEWS, **wrong})


def test_ten_thousand_join_at_once(lab):
    """Over three topics, as fast as the control socket takes them; and leave again."""
    topics = [f"news{n}" for n in range(3)]
    crowded = make_config(*[destination(name, kind="topic") for name in topics],
                          subscriptions={"subscribers_max": 10000}, limits={"backends": 25000, "shards": 25000})
    with lab.appliance(crowded) as sluice, sluice.control() as control:
        for leave in (False, True):
            for n in range(10_000):
                control.send(subscribe={"destination": topics[n % 3], "backend": f"b{n}",
                                        "address": "10.77.0.11", "port": 1 + n, "leave": leave})
                if n % 100 == 99:
                    for _ in range(100):
                        control.receive()
            wait_until(lambda: sum(t["subscribers"] for t in control.show("topics")) ==
                       10_000 * (not leave), 20, "all have joined, or left")


def test_what_nobody_may_do(lab):
    """Not accepted, no such topic, the file's name, too many: nothing changes, all is counted."""
    closed = config(backend("fixed", "10.77.0.13"), subscriptions={"accept": False})
    few = config(backend("fixed", "10.77.0.13"),
                 subscriptions={"accept": True, "subscribers_max": 1})
    with Reader(lab, 1) as one, Reader(lab, 2) as two, Reader(lab, 4, name="fixed") as thief, \
            lab.appliance(closed) as sluice:
        one.subscribe()
        sluice.wait_for(frames_dropped={"subscribe_not_accepted": 1})
        sluice.reload(few)
        one.subscribe("olds")
        thief.subscribe()
        one.subscribe()
        wait_names(sluice, ["fixed", "reader1"])
        two.subscribe()
        lab.send(post(1))
        assert one.take(1)[0].id_low == 1
        two.nothing()
        thief.nothing()
        wait_names(sluice, ["fixed", "reader1"])


@pytest.mark.parametrize("names", [("", "b"), (NEWS, ""), (NEWS, "b" * 64), ("n" * 64, "b")])
def test_names_that_are_none_are_malformed(lab, names):
    datagram = wire.datagram()
    datagram.subscribe.destination, datagram.subscribe.backend = names
    with lab.appliance(config()) as sluice:
        lab.send_bytes(datagram.SerializeToString())
        sluice.wait_for(frames_dropped={"malformed": 1})


def test_a_flood_of_them_keeps_nobody_from_his_messages(lab):
    """Twenty thousand, each of another name: bounded, and messages go on."""
    with Reader(lab, 1) as one, lab.appliance(
            config(subscriptions={"accept": True, "subscribers_max": 50})) as sluice:
        one.subscribe()
        wait_names(sluice, ["reader1"])
        # Of other names than his, which he keeps however short their time is.
        for n in range(20_000):
            one.name = f"stranger{n}"
            one.subscribe(ttl_ms=1000)
        # The port's ring may still be full of them: what finds no room there is sent again.
        deadline = Deadline(20)
        while not one.poll(0.2):
            assert not deadline.has_passed(), "the message does not come"
            lab.send(post(1))
        assert {m.id_low for m in one.messages} == {1}
        with sluice.control() as control:
            assert len(control.show("backends", NEWS)) <= 50
