# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Chat rooms: what clients of another library, and raw sockets, see of them."""

import contextlib
import json
import random
import re
import select
import socket
import struct
import subprocess
import time

import pytest
import websocket
from harness import Appliance, make_config, table
from harness.browser import Browser, PageServer
from harness.config import port
from harness.journal import Journal
from harness.patience import Deadline, patience, wait_until
from harness.sockets import free_port
from harness.wire import ROOT

REQUEST = ("GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n")



ORIGIN = "https://chat.example"

# Listeners of one appliance, so that few have to be started; two threads, so that members of a room
# are on either.
LISTENERS = {
    "chat": {"rooms": 3, "topics_max": 4, "input_max": 8000},
    "listed": {"prefix": "listed-", "rooms": 1, "origins": [ORIGIN]},
    "tight": {"prefix": "tight-", "rooms": 1, "output_max": 65536},
    "brief": {"prefix": "brief-", "rooms": 1, "idle_ms": 4500},
    "secret": {"prefix": "secret-", "rooms": 1},
}
TOKEN = "Zm9yLXRlc3RzLW9ubHktdGhpcw"


class Rooms:
    """A listener's; all who came go when the test ends."""

    def __init__(self, sluice, name, number):
        self.sluice, self.name, self.port = sluice, name, number
        self.clients = []

    def keep(self, client):
        self.clients.append(client)
        return client

    def enter(self, room="1", **keys):
        return self.keep(websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/chat/{room}", timeout=patience(10), **keys))

    def join(self, user, room="1", **keys):
        client = self.enter(room, **keys)
        say(client, user, "JOIN")
        assert hear(client)["messageType"] == "JOIN"
        return client

    def raw(self, data, **options):
        client = socket.socket()
        if "receive" in options:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options["receive"])
        client.settimeout(patience(10))
        client.connect(("127.0.0.1", self.port))
        client.sendall(data)
        return self.keep(client)

    def upgrade(self, **options):
        client = self.raw(REQUEST.format(path="/chat/1", more="").encode(), **options)
        assert client.recv(4096).startswith(b"HTTP/1.1 101 ")
        return client

    def show(self):
        with self.sluice.control() as control:
            shown = control.show("ingress")
        return next(one for one in shown["gateways"] if one["name"] == self.name), shown["threads"]

    def close(self):
        for client in self.clients:
            client.close()
        wait_until(lambda: self.show()[0]["clients"] == 0, what="all have gone")


@pytest.fixture(scope="module", name="secrets")
def fixture_secrets(tmp_path_factory):
    """Keys of the listener that has a certificate and tokens."""
    here = tmp_path_factory.mktemp("secrets")
    certificate, key, tokens = here / "certificate.pem", here / "key.pem", here / "tokens"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=sluice",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    tokens.write_text(f"{TOKEN} ann\n")
    tokens.chmod(0o600)
    return {"tls_certificate": str(certificate), "tls_key": str(key), "tokens": str(tokens)}


@pytest.fixture(scope="module", name="appliance")
def fixture_appliance(secrets):
    ports = {name: free_port() for name in LISTENERS}
    listeners = [{"name": name, "protocol": "rooms", "address": "127.0.0.1", "port": ports[name],
                  **keys, **(secrets if name == "secret" else {})}
                 for name, keys in LISTENERS.items()]
    with Appliance(make_config(table(1), ports=[port(device="net_null0")],
                               gateways={"threads": 2, "listeners": listeners}),
                   vdevs=["net_null0"]) as sluice:
        yield sluice, ports


def rooms_of(appliance, name):
    sluice, ports = appliance
    rooms = Rooms(sluice, name, ports[name])
    yield rooms
    rooms.close()


@pytest.fixture(name="rooms")
def fixture_rooms(appliance):
    yield from rooms_of(appliance, "chat")


@pytest.fixture(name="listed")
def fixture_listed(appliance):
    yield from rooms_of(appliance, "listed")


@pytest.fixture(name="tight")
def fixture_tight(appliance):
    yield from rooms_of(appliance, "tight")


@pytest.fixture(name="secret")
def fixture_secret(appliance):
    yield from rooms_of(appliance, "secret")


@pytest.fixture(name="brief")
def fixture_brief(appliance):
    yield from rooms_of(appliance, "brief")


def message(user, kind="TEXT", **changes):
    return {"userId": str(user), "username": f"user{user}", "message": "Hi", "messageType": kind,
            "timestamp": "2026-11-21T12:00:00.123Z", **changes}


def say(client, user, kind="TEXT", **changes):
    client.send(json.dumps(message(user, kind, **changes)))


def hear(client):
    return json.loads(client.recv())


def test_members_hear_each_other_and_themselves_in_their_room_only(rooms):
    ann, bob, eve = rooms.join(1), rooms.join(2), rooms.join(3, room="2")
    assert hear(ann)["userId"] == "2"
    sent = message(1, message="Grüße \N{PARTY POPPER} \"\\\n")
    ann.send(json.dumps(sent))
    heard = hear(bob)
    assert {key: heard[key] for key in sent} == sent
    assert heard == hear(ann)
    assert (heard["roomId"], heard["status"]) == ("1", "OK")
    assert len(heard["messageId"]) == 32 and heard["serverTimestamp"].endswith("Z")
    say(eve, 3)
    assert hear(eve)["roomId"] == "2"


def test_a_sender_s_messages_keep_their_order(rooms):
    ann, bob = rooms.join(1), rooms.join(2)
    hear(ann)
    for n in range(500):
        say(ann, 1, message=str(n))
    for client in (ann, bob):
        assert [hear(client)["message"] for _ in range(500)] == [str(n) for n in range(500)]


@pytest.mark.parametrize("changes,field", [
    ({"userId": "0"}, "userId"), ({"userId": 1}, "userId"), ({"username": "a b"}, "username"),
    ({"message": ""}, "message"), ({"message": 501 * "x"}, "message"),
    ({"timestamp": "now"}, "timestamp"), ({"messageType": "SHOUT"}, "messageType")])
def test_an_invalid_message_is_told_its_field_and_costs_only_itself(rooms, changes, field):
    ann = rooms.join(1)
    ann.send(json.dumps({**message(1), **changes}))
    error = hear(ann)
    assert error["status"] == "ERROR" and error["message"].startswith(field + ":")
    say(ann, 1, message=500 * "\N{PARTY POPPER}")
    assert hear(ann)["message"] == 500 * "\N{PARTY POPPER}"


def test_join_comes_first_and_once_and_leave_ends_it(rooms):
    ann = rooms.enter()
    say(ann, 1)
    assert hear(ann)["status"] == "ERROR"
    say(ann, 1, "JOIN")
    assert hear(ann)["status"] == "OK"
    for user, kind in ((1, "JOIN"), (2, "TEXT")):
        say(ann, user, kind)
        assert hear(ann)["status"] == "ERROR"
    say(ann, 1, "LEAVE")
    assert hear(ann)["messageType"] == "LEAVE"
    say(ann, 1)
    assert hear(ann)["status"] == "ERROR"
    bob = rooms.join(2)
    say(ann, 1, "JOIN")
    assert hear(ann)["userId"] == "1" and hear(bob)["userId"] == "1"


def test_who_is_present_and_what_is_said_is_shown(rooms):
    before = {room["room"]: room for room in rooms.show()[0]["rooms"]}
    ann, bob, eve = rooms.join(901), rooms.join(902), rooms.join(977, room="2")
    hear(ann)
    for user, client, times in ((901, ann, 3), (977, eve, 5), (902, bob, 1)):
        for _ in range(times):
            say(client, user)
    for client, times in ((ann, 4), (bob, 4), (eve, 5)):
        for _ in range(times):
            hear(client)
    say(bob, 902, "LEAVE")
    for client in (ann, bob):
        assert hear(client)["messageType"] == "LEAVE"

    def more(room, key):
        return after[room][key] - before.get(room, {key: 0})[key]
    # Both hear four texts, Ann herself and Bob come, and Bob himself; and both hear him go. What a
    # client hears is counted a moment later.
    wanted = [2, 4, 4 + 4 + 3 + 2, 0, 5, 5 + 1, 0]
    deadline = Deadline(10)
    while True:
        shown = rooms.show()[0]
        after = {room["room"]: room for room in shown["rooms"]}
        counted = [shown["members"], *(more(n, key) for n in "12"
                                       for key in ("texts", "sent", "dropped"))]
        if counted == wanted or deadline.has_passed():
            break
    assert counted == wanted
    assert shown["room_clients"] == 3
    assert after["1"]["users"] == [{"userId": "901", "username": "user901"}]
    assert [(top["userId"], top["texts"]) for top in shown["top_users"]
            if top["username"] in ("user901", "user902", "user977")] == \
        [("977", 5), ("901", 3), ("902", 1)]
    rates = [room["texts_per_s"] for room in shown["rooms"]]
    assert all(0 <= rate <= 200 for rate in rates)
    wait_until(lambda: rooms.show()[0]["rooms"][0]["sent_per_s"] > 0, what="a second is over")


def test_users_are_no_names(rooms):
    """There are 100,000 of them: they would take the place of others' names."""
    def remembered():
        with rooms.sluice.control() as control:
            return control.show("ingress")["names"]["remembered"]
    rooms.join(1)
    before = remembered()
    for user in range(50000, 50010):
        rooms.join(user)
    assert remembered() == before


def test_rooms_are_made_on_demand_up_to_the_bound(rooms):
    rooms.join(1, room="lobby")
    # Those from the start are not among them.
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        for n in range(4, 10):
            rooms.join(n, room=str(n))
    assert refused.value.status_code == 503
    assert rooms.show()[0]["topics_opened"] == 4


def test_rooms_that_nobody_is_in_give_their_place_back():
    listener = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "port": free_port(),
                "rooms": 1, "topics_max": 2}
    config = make_config(table(1), ports=[port(device="net_null0")],
                         gateways={"threads": 2, "topic_idle_ms": 400, "listeners": [listener]})
    with Appliance(config, vdevs=["net_null0"]) as sluice, \
            contextlib.closing(Rooms(sluice, "chat", listener["port"])) as chat:
        ann, bob = chat.join(1, room="lobby"), chat.join(2, room="second")
        with pytest.raises(websocket.WebSocketBadStatusException):
            chat.enter("one-more")
        bob.close()
        wait_until(lambda: chat.show()[0]["topics_opened"] == 1, what="a place has come back")
        # Who has not joined keeps no room, and has it made when he does; who is in one keeps it.
        waiting = chat.enter("waiting")
        wait_until(lambda: chat.show()[0]["topics_opened"] == 1, what="he does not keep it")
        say(waiting, 2, "JOIN")
        assert hear(waiting)["roomId"] == "waiting"
        waiting.close()
        wait_until(lambda: chat.show()[0]["topics_opened"] == 1, what="the room has gone again")
        chat.join(3, room="another")
        say(ann, 1, message="still here")
        assert hear(ann)["message"] == "still here"
        # The first one is there, however long nobody was.
        with sluice.control() as control:
            topics = [topic["name"] for topic in control.show("topics")]
        assert sorted(topics) == ["1", "another", "lobby"]


def test_more_rooms_than_may_be_made_on_demand():
    listener = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "port": free_port(),
                "rooms": 20, "topics_max": 10}
    config = make_config(table(1), ports=[port(device="net_null0")],
                         gateways={"listeners": [listener]})
    with Appliance(config, vdevs=["net_null0"]) as sluice, \
            contextlib.closing(Rooms(sluice, "chat", listener["port"])) as chat:
        chat.join(1, room="20")
        chat.join(1, room="21")
        assert chat.show()[0]["topics_opened"] == 1


@pytest.mark.parametrize("path,more,status", [
    ("/", "", 404), ("/chat/", "", 404), ("/chat/a%20b", "", 404), ("/chat/table1", "", 404),
    ("/chat/1", "Host: y\r\n", 400), ("/chat/1", "x: " + 17000 * "y" + "\r\n", 431)])
def test_a_request_that_is_none_gets_its_status(rooms, path, more, status):
    with rooms.raw(REQUEST.format(path=path, more=more).encode()) as client:
        assert client.recv(4096).split()[1] == str(status).encode()


def test_only_listed_origins_are_let_in(listed):
    listed.enter(origin=ORIGIN)
    listed.enter(suppress_origin=True)
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        listed.enter(origin="https://evil.example")
    assert refused.value.status_code == 403


def test_who_has_a_token_comes_in_over_tls(secret, secrets):
    def enter(query="", **keys):
        return secret.keep(websocket.create_connection(
            f"wss://127.0.0.1:{secret.port}/chat/1{query}", timeout=patience(10),
            sslopt={"ca_certs": secrets["tls_certificate"]}, **keys))
    ann, bob = enter(header={"Authorization": f"Bearer {TOKEN}"}), enter(f"?access_token={TOKEN}")
    for user, client in ((1, ann), (2, bob)):
        say(client, user, "JOIN")
        assert hear(client)["userId"] == str(user)
    hear(ann)
    text = 500 * "\N{PARTY POPPER}"
    for _ in range(200):
        say(ann, 1, message=text)
    assert all(hear(client)["message"] == text for client in (ann, bob) for _ in range(200))
    for query in ("", "?access_token=", f"?access_token={TOKEN[:-1]}", f"?access_token={TOKEN}x"):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            enter(query)
        assert refused.value.status_code == 401
    # And without TLS nobody is heard.
    client = secret.raw(REQUEST.format(path=f"/chat/1?access_token={TOKEN}", more="").encode())
    with contextlib.suppress(ConnectionResetError):
        assert not client.recv(4096).startswith(b"HTTP")


def frame(text, opcode=1):
    """A whole frame of a client, with a mask of zeros."""
    data = text.encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return bytes([0x80 | opcode]) + size + bytes(4) + data


def test_a_member_that_does_not_read_loses_its_own_only(tight):
    before = next(iter(tight.show()[0]["rooms"]), {"texts": 0, "sent": 0, "dropped": 0})
    ann = tight.join(1)
    deaf = tight.upgrade(receive=4096)
    deaf.sendall(frame(json.dumps(message(2, "JOIN"))))
    assert hear(ann)["userId"] == "2"
    text, said, heard = 500 * "\N{PARTY POPPER}", 0, 0
    while (shown := tight.show())[0]["reasons"]["output_full"] == 0:
        assert said < 20_000
        for _ in range(200):
            say(ann, 1, message=text)
        heard += sum(hear(ann)["message"] == text for _ in range(200))
        said += 200
        # Hers, and no more than is allowed of the other's.
        assert all(thread["buffered_bytes"] <= 65536 + 8192 for thread in shown[1])
    # Ann hears herself and the other come; for him that is in his buffers.
    wait_until(lambda: sum(tight.show()[0]["rooms"][0][key] - before[key]
                           for key in ("sent", "dropped")) == 1 + 2 + 2 * said,
               what="all is accounted for")
    shown = tight.show()[0]
    assert heard == said == shown["rooms"][0]["texts"] - before["texts"]
    assert shown["rooms"][0]["dropped"] - before["dropped"] == shown["reasons"]["output_full"]


def test_who_answers_no_ping_is_closed_and_who_does_stays(brief):
    ann, gone = brief.upgrade(), brief.upgrade()
    heard = {ann: b"", gone: b""}
    deadline = Deadline(30)
    while not heard[gone].endswith(b"it answers no ping"):
        assert not deadline.has_passed(), heard
        for client in select.select([ann, gone], [], [], 1)[0]:
            data = client.recv(4096)
            heard[client] += data
            if client is ann:
                ann.sendall(data.count(b"\x89\0") * frame("", opcode=10))
    # Pinged at a third and two thirds of idle_ms, and perhaps when it was nearly over.
    assert re.match(rb"(\x89\0){2,3}\x88.\x03\xf0", heard[gone])
    assert gone.recv(1) == b""
    assert set(heard[ann][::2]) == {0x89}
    assert brief.show()[0]["reasons"]["idle"] == 1


def test_who_vanishes_in_the_middle_of_a_frame_is_no_member_any_more(rooms):
    ann, gone = rooms.join(1), rooms.upgrade()
    gone.sendall(frame(json.dumps(message(2, "JOIN"))))
    assert hear(ann)["userId"] == "2"
    resets = rooms.show()[0]["reasons"]["reset"]
    gone.sendall(frame(json.dumps(message(2)))[:40])
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    wait_until(lambda: rooms.show()[0]["members"] == 1, what="it is gone")
    assert rooms.show()[0]["reasons"]["reset"] == resets + 1
    say(ann, 1)
    assert hear(ann)["status"] == "OK"


PAGE = """<!DOCTYPE html><title>chat</title>
%s
<script>
const heard = [];
room.addEventListener("message", event => heard.push(JSON.parse(event.data)));
room.addEventListener("close", event => heard.push({closed: event.code}));
</script>"""


def page_of(rooms):
    """That of docs/gateways.md."""
    [script] = re.findall(r"(?s)```html\n(.*?)```", (ROOT / "docs/gateways.md").read_text())
    return PageServer(PAGE % script.replace("ws://localhost:8081", f"ws://127.0.0.1:{rooms.port}"))


@pytest.mark.plain
def test_a_page_in_a_browser_talks_with_others(rooms, listed):
    bob = rooms.join(2)
    with page_of(rooms) as here, Browser(here.url) as page:
        assert [hear(bob)["messageType"] for _ in range(2)] == ["JOIN", "TEXT"]
        say(bob, 2, message="Grüße \N{PARTY POPPER}")
        page.wait(lambda: page.run("return heard.length") >= 3, what="Bob is heard")
        heard = page.run("return heard")
        assert [(one["userId"], one["message"]) for one in heard] == \
            [("42", "Hello"), ("42", "Is anybody there?"), ("2", "Grüße \N{PARTY POPPER}")]
        page.run("say('LEAVE', 'Bye'); room.close(1000, 'gone')")
        assert [hear(bob)["message"] for _ in range(2)] == ["Grüße \N{PARTY POPPER}", "Bye"]
        page.wait(lambda: page.run("return heard.at(-1).closed") == 1000, what="closed")
        # Where this page's origin is not on the list, its script does not come in.
        with page_of(listed) as there:
            page.driver.get(there.url)
            page.wait(lambda: page.run("return heard.length") > 0, what="refused")
            assert page.run("return heard") == [{"closed": 1006}]
            assert "403" in page.errors()[0]["message"]


@pytest.mark.parametrize("broken,code", [
    (b"\x81\x01x", 1002), (b"\x81\x81\0\0\0\0\xff", 1007), (b"\x81\xfe\x20\0\0\0\0\0x", 1009)])
def test_who_breaks_the_protocol_is_told_the_code_and_closed(rooms, broken, code):
    ann = rooms.join(1)
    client = rooms.upgrade()
    client.sendall(broken)
    closing = b""
    while piece := client.recv(4096):
        closing += piece
    assert closing[0] == 0x88 and struct.unpack(">H", closing[2:4])[0] == code
    say(ann, 1)
    assert hear(ann)["status"] == "OK"


def in_journal(directory):
    """Texts that are on disk."""
    return [int(found.group(1)) for record in Journal(directory).messages
            if (found := re.search(rb'"message":"([0-9]+)"', record.data))]


@pytest.mark.plain
def test_in_an_at_least_once_room_the_own_copy_means_that_it_is_on_disk(tmp_path):
    number, rng, acked, said = free_port(), random.Random(7), [], 0
    directory = tmp_path / "journal"
    listener = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "port": number,
                "rooms": 1, "guarantee": "at-least-once"}
    journal = {"directory": str(directory), "segment_bytes": "1M", "ring_bytes": "4M",
               "max_bytes": "256M"}
    with Appliance(make_config(table(1), ports=[port(device="net_null0")], journal=journal,
                               gateways={"listeners": [listener]}), vdevs=["net_null0"]) as sluice:
        for _ in range(2):
            rooms = Rooms(sluice, "chat", number)
            ann, bob = rooms.join(1), rooms.join(2)
            assert hear(ann)["userId"] == "2"
            # Both hear all of it, in order, she when it is durable.
            for n in range(said, said + 100):
                say(ann, 1, message=str(n))
            for client in (ann, bob):
                assert [int(hear(client)["message"]) for _ in range(100)] == \
                    list(range(said, said + 100))
            acked += range(said, said + 100)
            said += 100
            # What is under way when it is killed may be on disk or not, but for what came back.
            ann.settimeout(0.01)
            before, deadline = len(acked), Deadline(10)
            end = time.monotonic() + 0.1 + rng.random() * 0.2
            with contextlib.suppress(OSError, websocket.WebSocketException):
                while time.monotonic() < end or (len(acked) == before and
                                                 not deadline.has_passed()):
                    for _ in range(20):
                        say(ann, 1, message=str(said))
                        said += 1
                    with contextlib.suppress(websocket.WebSocketTimeoutException):
                        while True:
                            acked.append(int(hear(ann)["message"]))
            sluice.crash()
            with contextlib.suppress(OSError, ValueError, websocket.WebSocketException):
                while True:
                    acked.append(int(hear(ann)["message"]))
            kept = in_journal(directory)
            assert len(kept) == len(set(kept)) and set(acked) <= set(kept) <= set(range(said))
            sluice.restart()
    assert len(acked) == len(set(acked)) > 200


def test_members_are_told_when_the_appliance_ends():
    number = free_port()
    listener = {"name": "chat", "protocol": "rooms", "address": "127.0.0.1", "port": number}
    with Appliance(make_config(table(1), ports=[port(device="net_null0")],
                               gateways={"listeners": [listener]}), vdevs=["net_null0"]) as sluice:
        ann = Rooms(sluice, "chat", number).join(1)
        sluice.stop()
        opcode, data = ann.recv_data(control_frame=True)
        assert (opcode, struct.unpack(">H", data[:2])[0]) == (websocket.ABNF.OPCODE_CLOSE, 1001)
