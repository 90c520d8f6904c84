# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""TLS of the gateways that speak in lines, by Python's ssl."""

import contextlib
import json
import socket
import ssl
import subprocess

import pytest

from harness import Lab, destination, line_listener, make_config
from harness.lines import HOST, PORT, connect
from harness.patience import wait_until
from test_json_gateway import PORT as JSON_PORT
from test_json_gateway import ingress, order


def make_certificate(directory, name="localhost"):
    """One that signs itself. Returns the paths of it and of its key."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    return certificate, key


class Running:
    """An appliance with a listener of each, and who may talk to it."""

    def __init__(self, lab, directory):
        self.lab = lab
        certificate, key = make_certificate(directory)
        self.context = ssl.create_default_context(cafile=certificate)
        tls = {"tls_certificate": str(certificate), "tls_key": str(key)}
        self.config = make_config(destination("news", kind="topic"), gateways={"listeners": [
            line_listener(keep_open=True, **tls),
            {"name": "json", "protocol": "json", "address": HOST, "port": JSON_PORT, **tls}]})

    @contextlib.contextmanager
    def client(self, port, context=None):
        """A connection, and its lines."""
        with connect(self.lab.inside, port) as plain, \
                (context or self.context).wrap_socket(plain, server_hostname="localhost") as sock, \
                sock.makefile("rb") as lines:
            yield sock, lines


@pytest.fixture(name="running", scope="module")
def fixture_running(tmp_path_factory):
    with Lab() as lab:
        running = Running(lab, tmp_path_factory.mktemp("tls"))
        with lab.appliance(running.config) as running.sluice:
            yield running


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_lines_of_both_protocols_over_tls(running, version):
    """What goes in by one comes out by the other, in several records, too."""
    running.context.minimum_version = running.context.maximum_version = version
    texts = [f"{n}:" + "x" * (300 * (n % 20)) for n in range(200)]
    with running.client(JSON_PORT) as (json_client, json_lines), \
            running.client(PORT) as (line_client, lines):
        assert line_client.version() == version.name.replace("_", ".")
        for command, answer in (({"subscribe": "news"}, {"subscribed": "news"}),
                                ({"acks": True}, {"acks": True})):
            json_client.sendall(json.dumps(command).encode() + b"\n")
            assert json.loads(json_lines.readline()) == answer
        line_client.sendall(b"".join(f"PUBLISH|news|{text}\n".encode() for text in texts))
        assert [lines.readline() for _ in texts] == [b"ACK\n"] * len(texts)
        assert [json.loads(json_lines.readline())["payload"]["text"] for _ in texts] == texts
        json_client.sendall(b'{"unsubscribe": "news"}\n')
        json_lines.readline()
        line_client.sendall(b"SUBSCRIBE|news\nPING\n")
        assert lines.readline() == b"PONG\n"
        # Ids of their own: the other version's are duplicates.
        orders = [order(f"{version}-{n}", to="news", payload={"text": text})
                  for n, text in enumerate(texts)]
        json_client.sendall(b"".join(json.dumps(one).encode() + b"\n" for one in orders))
        assert [json.loads(json_lines.readline()) for _ in texts] == [
            {"ack": one["messageId"]} for one in orders]
        assert [json.loads(lines.readline()) for _ in texts] == [one["payload"] for one in orders]


@pytest.mark.parametrize("name, port", [("json", JSON_PORT), ("broker", PORT)])
def test_who_speaks_in_clear_is_not_heard(running, name, port):
    before = ingress(running.sluice, name)
    assert before["is_tls"]
    with connect(running.lab.inside, port) as plain, contextlib.suppress(ConnectionError):
        plain.sendall(b"PUBLISH|news|x\nPING\n" + json.dumps(order(1, to="news")).encode() + b"\n")
        # An alert of TLS at most.
        assert not plain.recv(1 << 16).startswith((b"ACK", b"PONG", b"{"))
    wait_until(lambda: ingress(running.sluice, name)["reasons"]["tls"] ==
               before["reasons"]["tls"] + 1, what="it is counted")
    assert ingress(running.sluice, name)["accepted"] == before["accepted"]


def test_a_client_that_does_not_trust_it_says_so(running):
    with pytest.raises(ssl.SSLCertVerificationError), \
            running.client(PORT, ssl.create_default_context()):
        pass
    with running.client(PORT) as (client, lines):
        client.sendall(b"PING\n")
        assert lines.readline() == b"PONG\n"
        # Half a close is one: TLS has no other.
        client.unwrap().shutdown(socket.SHUT_RDWR)
