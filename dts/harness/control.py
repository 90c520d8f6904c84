# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The control API by the stock protobuf library: all that a Python client needs."""

import errno
import itertools
import json
import socket
import struct

from .patience import patience
from .wire import ROOT, load_schema

control_pb2 = load_schema(ROOT / "lib" / "control" / "control.proto")

VERSION = 1


class ControlError(Exception):
    """The appliance refused; `status` is its errno."""

    def __init__(self, response):
        name = errno.errorcode.get(response.status, response.status)
        super().__init__(f"{name}: {response.error}")
        self.status = response.status
        self.text = response.error
        self.json = json.loads(response.json) if response.json else None


def frame(data):
    """A message with its length in front."""
    return struct.pack(">I", len(data)) + data


class ControlClient:
    """`with ControlClient(path) as control: control.show("stats")`"""

    def __init__(self, path, timeout=20.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))
        self.socket.settimeout(patience(timeout))
        self._ids = itertools.count(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, version=VERSION, **command):
        """Send a request, `show=Show(...)`, without waiting. Returns its id."""
        request = control_pb2.Request(version=version, id=next(self._ids), **command)
        self.socket.sendall(frame(request.SerializeToString()))
        return request.id

    def _read(self, size):
        data = bytearray()
        while len(data) < size:
            more = self.socket.recv(min(size - len(data), 1 << 20))
            if not more:
                raise EOFError("the appliance has closed the connection")
            data += more
        return bytes(data)

    def receive(self):
        """The next response."""
        return control_pb2.Response.FromString(self._read(struct.unpack(">I", self._read(4))[0]))

    def ask(self, **command):
        """Send a request and wait for its answer. Returns the JSON of it, or None."""
        sent = self.send(**command)
        response = self.receive()
        assert response.id in (0, sent), f"answer {response.id} to request {sent}"
        if response.status != 0:
            raise ControlError(response)
        return json.loads(response.json) if response.json else None

    def show(self, view, *arguments):
        return self.ask(show=control_pb2.Show(view=view, arguments=arguments))

    def change(self, *edits):
        """Each edit is (operation, object, fields): ("SET", "BACKEND", {"destination": ...,
        "backend": ..., "settings": {"weight": 3}})."""
        made = []
        for operation, kind, fields in edits:
            settings = [control_pb2.Setting(key=k, value=str(v))
                        for k, v in fields.get("settings", {}).items()]
            made.append(control_pb2.Edit(
                operation=operation, object=kind,
                **{k: v for k, v in fields.items() if k != "settings"}, settings=settings))
        return self.ask(change=control_pb2.Change(edits=made))

    def load(self, file="", check_only=False):
        return self.ask(load=control_pb2.Load(file=str(file), check_only=check_only))

    def save(self, file):
        return self.ask(save=control_pb2.Save(file=str(file)))

    def path(self, action):
        """START, STOP or QUIT."""
        return self.ask(path=control_pb2.Path(action=action))

    def explain(self, source="", destination="", type="", priority=0):
        return self.ask(explain=control_pb2.Explain(
            source=source, destination=destination, type=type, priority=priority))

    def trace(self, by, value, count=1, timeout_ms=0):
        return self.ask(trace=control_pb2.Trace(
            by=by, value=value, count=count, timeout_ms=timeout_ms))

    def clear(self, what="ALL", name=""):
        return self.ask(clear=control_pb2.Clear(what=what, name=name))

    def log(self, module, level):
        return self.ask(log=control_pb2.Log(module=module, level=level))
