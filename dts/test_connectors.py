# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Servers that the appliance connects to, on a network of their own that may be cut."""

import contextlib
import ctypes
import errno
import json
import os
import socket
import ssl
import subprocess

import pytest

from harness import Lab, netns
from harness.patience import patience, wait_until
from test_json_gateway import Client, config, ingress, order

HERE, THERE, PORT = "10.78.0.1", "10.78.0.2", 8001
PIDFD_GETFD = 438
# A peer that is silent is found out in so many seconds, listener's and connector's alike.
GONE_S = 120


@pytest.fixture(scope="module")
def bench():
    """A lab with a cable beside it, to the servers."""
    with Lab() as lab:
        netns.connect(lab.inside, "cable0", "02:00:00:00:78:01",
                      lab.outside, "cable1", "02:00:00:00:78:02")
        lab.inside.ip("address", "add", f"{HERE}/24", "dev", "cable0")
        lab.outside.ip("address", "add", f"{THERE}/24", "dev", "cable1")
        yield lab


@contextlib.contextmanager
def server(lab):
    with lab.outside.entered():
        listener = socket.create_server((THERE, PORT))
    listener.settimeout(patience(10))
    with listener:
        yield listener


def settings():
    found = config(connectors=[PORT])
    found["gateways"]["connectors"][0]["servers"] = [f"{THERE}:{PORT}"]
    return found


def sockets_of(process):
    """The TCP connections of another process, the kernel's own."""
    libc, pidfd = ctypes.CDLL(None, use_errno=True), os.pidfd_open(process.pid)
    try:
        for name in os.listdir(f"/proc/{process.pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process.pid}/fd/{name}").startswith("socket:"):
                    fd = libc.syscall(PIDFD_GETFD, pidfd, int(name), 0)
                    # It may have closed it meanwhile.
                    assert fd >= 0 or ctypes.get_errno() == errno.EBADF, \
                        os.strerror(ctypes.get_errno())
                    if fd >= 0:
                        yield socket.socket(fileno=fd)
    finally:
        os.close(pidfd)


def socket_with(sluice, peer):
    """The appliance's connection with that address and port."""
    for found in sockets_of(sluice.process):
        with contextlib.suppress(OSError):
            if found.family in (socket.AF_INET, socket.AF_INET6) and \
                    found.getpeername()[1] == peer[1] and found.getpeername()[0].endswith(peer[0]):
                return found
        found.close()
    raise AssertionError(f"it has no connection with {peer}")


def keepalive(sock):
    return (sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            *(sock.getsockopt(socket.IPPROTO_TCP, option) for option in (
                socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)))


def state(sluice):
    return ingress(sluice, "servers")["servers"][0]


def wait_failed(sluice):
    """The server's row when the first attempt has failed: the next may come to another end."""
    def row():
        found = state(sluice)
        return found["last_error"] and found
    return wait_until(row, what="the connection is given up")


def test_a_server_that_vanished_is_noticed(bench):
    """Its cable is cut, no FIN and no RST comes: the kernel asks, by the times it was given, and gets
    no answer. (They are made shorter here, from outside, for a test to see the end.)"""
    with server(bench) as listener, bench.appliance(settings()) as sluice, \
            bench.receiver() as kitchen, Client(bench) as client:
        peer, _ = listener.accept()
        wait_until(lambda: state(sluice)["state"] == "connected")
        # Accepted, and set up.
        client.send(b'{"acks": true}\n')
        assert client.line() == {"acks": True}
        with socket_with(sluice, (THERE, PORT)) as ours, \
                socket_with(sluice, client.socket.getsockname()) as theirs:
            on, idle, interval, count = keepalive(ours)
            assert on and idle + interval * count <= GONE_S
            assert keepalive(theirs) == keepalive(ours)
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                                  (socket.TCP_KEEPCNT, 1)):
                ours.setsockopt(socket.IPPROTO_TCP, option, value)
        bench.outside.ip("link", "set", "cable1", "down")
        try:
            sluice.wait_said("is not connected; it is tried again and again: Connection timed out")
        finally:
            bench.outside.ip("link", "set", "cable1", "up")
        peer.close()
        # And it is back.
        peer, _ = listener.accept()
        with peer:
            peer.sendall(json.dumps(order(1)).encode() + b"\n")
            kitchen.take(1)


# TLS.

def make_authority(directory):
    """Somebody who signs; a server's certificate of it, for a name and an address, and one that signs
    itself."""
    def run(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True, cwd=directory)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = f"subjectAltName=DNS:kitchens.example,IP:{THERE}"
    run("req", "-x509", *new, "-days", 2, "-subj", "/CN=authority", "-keyout", "ca.key",
        "-out", "ca.crt")
    run("req", *new, "-subj", "/CN=kitchens", "-keyout", "good.key", "-out", "good.csr")
    (directory / "names").write_text(names + "\n")
    run("x509", "-req", "-in", "good.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
        "-days", 2, "-extfile", "names", "-out", "good.crt")
    run("req", "-x509", *new, "-days", 2, "-subj", "/CN=kitchens", "-addext", names,
        "-keyout", "self.key", "-out", "self.crt")


@pytest.fixture(name="authority", scope="module")
def fixture_authority(tmp_path_factory):
    directory = tmp_path_factory.mktemp("authority")
    make_authority(directory)
    return directory


def tls_settings(authority, **keys):
    found = settings()
    found["gateways"]["connectors"][0] |= {"tls": True, "tls_ca": str(authority / "ca.crt"), **keys}
    return found


def shaken(listener, authority, name="good"):
    """A connection behind its handshake; or in clear, or an error."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / f"{name}.crt", authority / f"{name}.key")
    told = []
    context.sni_callback = lambda _, asked, __: told.append(asked)
    plain, _ = listener.accept()
    plain.settimeout(patience(10))
    sock = context.wrap_socket(plain, server_side=True)
    return sock, told[0]


@pytest.mark.parametrize("keys, asked", [({}, None), ({"tls_name": "kitchens.example"},
                                                      "kitchens.example")])
def test_servers_speak_tls_and_are_known_by_address_or_name(bench, authority, keys, asked):
    with server(bench) as listener, bench.appliance(tls_settings(authority, **keys)) as sluice, \
            bench.receiver() as kitchen:
        for turn in range(2):
            peer, name = shaken(listener, authority)
            with peer:
                assert name == asked
                peer.sendall(b"".join(json.dumps(order(100 * turn + n)).encode() + b"\n"
                                      for n in range(100)))
                kitchen.take(100)
                row = state(sluice)
                assert (row["state"], row["connections"]) == ("connected", turn + 1)
                if turn == 1:
                    peer.unwrap()
        wait_until(lambda: state(sluice)["last_error"] == "the connection has ended")


@pytest.mark.parametrize("name, keys, why", [
    ("self", {}, "TLS: self-signed certificate"),
    ("good", {"tls_name": "bar.example"}, "TLS: hostname mismatch"),
    ("good", {"tls_name": "10.78.0.3"}, "TLS: IP address mismatch"),
    ("good", {"tls_ca": None}, "TLS: unable to get local issuer certificate")])
def test_a_server_that_is_not_known_is_not_spoken_to(bench, authority, name, keys, why):
    found = tls_settings(authority, **keys)
    if keys.get("tls_ca", "") is None:
        del found["gateways"]["connectors"][0]["tls_ca"]
    with server(bench) as listener, bench.appliance(found) as sluice:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            peer, _ = shaken(listener, authority, name)
            # By TLS 1.3 the server has done its part before it hears what the other thinks of it.
            with peer:
                peer.sendall(json.dumps(order(1)).encode() + b"\n")
                while peer.recv(100):
                    pass
                raise ConnectionError
        row = wait_failed(sluice)
        assert (row["last_error"], row["connections"], row["accepted"]) == (why, 0, 0)
        sluice.wait_said(f"is not connected; it is tried again and again: {why}")


@pytest.mark.parametrize("says", [b'{"messageId": "1"}\n', b""])
def test_a_server_that_speaks_in_clear_is_left(bench, authority, says):
    with server(bench) as listener, bench.appliance(tls_settings(authority)) as sluice:
        with listener.accept()[0] as peer:
            peer.sendall(says)
            if not says:
                assert state(sluice)["state"] == "connecting"
                peer.shutdown(socket.SHUT_WR)
            row = wait_failed(sluice)
        assert row["last_error"].startswith("TLS: ") and row["connections"] == 0
