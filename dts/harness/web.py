# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The appliance's HTTP listener, asked from inside its namespace."""

import contextlib
import http.client
import json
import socket
import threading

from .patience import patience, wait_until

ADDRESS, PORT = "127.0.0.1", 8090
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def listen_args(address=ADDRESS, port=PORT):
    """Arguments of the appliance that make it listen."""
    host = f"[{address}]" if ":" in address else address
    return ("--http", f"{host}:{port}")


class Metrics:
    """A reading of /metrics: families by name, samples by name and labels."""

    def __init__(self, text, is_openmetrics=False):
        # The demo does without this package.
        from prometheus_client import parser
        from prometheus_client.openmetrics import parser as openmetrics_parser

        self.text = text
        parse = (openmetrics_parser if is_openmetrics else parser).text_string_to_metric_families
        self.families = {family.name: family for family in parse(text)}
        self.samples = {}
        for family in self.families.values():
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.samples, f"{key} twice"
                self.samples[key] = sample.value

    def value(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]

    def by(self, label, name):
        """{value of the label: value}, of the samples of this name that have it."""
        return {dict(labels)[label]: value for (sample, labels), value in self.samples.items()
                if sample == name and label in dict(labels)}

    def sum(self, name):
        return sum(value for (sample, _), value in self.samples.items() if sample == name)


class HttpClient:
    """One connection at a time to the listener; a new one where the last has ended."""

    def __init__(self, namespace=None, address=ADDRESS, port=PORT, timeout=10.0):
        self.namespace, self.address, self.port, self.timeout = namespace, address, port, timeout

    def socket(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        if self.namespace is None:
            sock = socket.socket(family, socket.SOCK_STREAM)
        else:
            with self.namespace.entered():
                sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(patience(self.timeout))
        sock.connect((self.address, self.port))
        return sock

    def request(self, path, method="GET", headers=None):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection(self.address, self.port)
        connection.sock = self.socket()
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.request(path)
        assert status == 200, f"{path}: {status} {body[:200]}"
        return body.decode()

    def api(self, path):
        return json.loads(self.get(f"/api/v1/{path}"))

    def metrics(self, is_openmetrics=False):
        headers = {"Accept": OPENMETRICS} if is_openmetrics else {}
        status, _, body = self.request("/metrics", headers=headers)
        assert status == 200, body[:200]
        return Metrics(body.decode(), is_openmetrics)

    def wait_metrics(self, name, value, timeout=10.0):
        """The first metrics in which the sum over @name is @value."""
        def found():
            metrics = self.metrics()
            return metrics if metrics.sum(name) == value else None
        return wait_until(found, timeout,
                          lambda: f"{name}: {self.metrics().sum(name)}, not {value}", every=0.05)


class Relay:
    """A port of this side's loopback that leads to the listener inside a namespace, for a browser
    which cannot go there."""

    def __init__(self, client):
        self.client = client
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = self.client.socket()
                except OSError:
                    near.close()
                    continue
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        with contextlib.suppress(OSError):
            one.settimeout(None)
            while data := one.recv(65536):
                other.sendall(data)
        for sock in (one, other):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        one.close()
