# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Protobuf by hand, field by field, for the bytes that no serializer would write."""

import struct


def number(value):
    """A varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(field, wire_type):
    return number(field << 3 | wire_type)


def varint(field, value):
    return tag(field, 0) + number(value)


def fixed64(field, value):
    return tag(field, 1) + struct.pack("<Q", value)


def field_bytes(field, data):
    return tag(field, 2) + number(len(data)) + data


def fixed32(field, value):
    return tag(field, 5) + struct.pack("<I", value)
