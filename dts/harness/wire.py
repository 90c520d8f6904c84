# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The wire format by the stock protobuf library: all that a Python source or backend needs."""

import importlib.util
import pathlib
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "lib" / "wire" / "sluice.proto"
PORT = 7500
MAGIC = 0x31434C53


def load_schema(path):
    """The Python module that protoc makes of a .proto file."""
    name = f"{path.stem}_pb2"
    with tempfile.TemporaryDirectory(prefix="sluice-proto-") as out:
        subprocess.run(["protoc", f"--proto_path={path.parent}", f"--python_out={out}",
                        str(path)], check=True)
        spec = importlib.util.spec_from_file_location(name, f"{out}/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


pb2 = load_schema(SCHEMA)


def name_key(name):
    """The key of a name: 64-bit FNV-1a of its UTF-8 bytes."""
    key = 0xCBF29CE484222325
    for byte in name.encode():
        key = ((key ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return key


def message(id, source="server1", destination="table1", type="lunch", priority=0, payload=b"",
            sequence=0, timestamp_ns=None, flags=0):
    """A message with every routing field present; names become keys, @id is up to 128 bits."""
    return pb2.Message(
        source=name_key(source), id_high=id >> 64, id_low=id & 0xFFFFFFFFFFFFFFFF,
        destination=name_key(destination), sequence=sequence,
        timestamp_ns=time.time_ns() if timestamp_ns is None else timestamp_ns,
        type=name_key(type), priority=priority, flags=flags, payload=payload)


def datagram(*messages, epoch=1, session=0, magic=MAGIC):
    return pb2.Datagram(magic=magic, epoch=epoch, session=session, messages=messages)


def encode(*messages, **header):
    """The bytes of a datagram with these messages."""
    return datagram(*messages, **header).SerializeToString()


def subscribe(topic, name, ttl_ms=60000, **keys):
    """The bytes of a datagram by which somebody asks for a topic's messages, as @name."""
    asked = datagram()
    asked.subscribe.destination, asked.subscribe.backend = topic, name
    asked.subscribe.ttl_ms = ttl_ms
    for key, value in keys.items():
        setattr(asked.subscribe, key, value)
    return asked.SerializeToString()


def decode(data):
    return pb2.Datagram.FromString(data)


def id_of(message):
    return message.id_high << 64 | message.id_low
