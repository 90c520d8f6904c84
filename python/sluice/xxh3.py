# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""XXH3-128 with seed 0, which makes an id of a text (docs/wire-format.md, Names and keys).

Python's standard library does not have it. The algorithm and its constants are those of xxHash 0.8,
https://github.com/Cyan4973/xxHash/blob/v0.8.1/doc/xxhash_spec.md (BSD-2-Clause), written anew.
"""

import struct

_M64 = 0xFFFFFFFFFFFFFFFF
_P32_1, _P32_2, _P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_P64_1, _P64_2, _P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P64_4, _P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5

_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
_STRIPE = 64
_BLOCK = _STRIPE * ((len(_SECRET) - _STRIPE) // 8)


def _u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def _u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def _swap(value, size):
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def _avalanche64(h):
    h = (h ^ h >> 33) * _P64_2 & _M64
    h = (h ^ h >> 29) * _P64_3 & _M64
    return h ^ h >> 32


def _avalanche(h):
    h = (h ^ h >> 37) * 0x165667919E3779F9 & _M64
    return h ^ h >> 32


def _fold(a, b):
    product = a * b
    return (product ^ product >> 64) & _M64


def _mix16(data, at, key):
    return _fold(_u64(data, at) ^ _u64(_SECRET, key), _u64(data, at + 8) ^ _u64(_SECRET, key + 8))


def _mix32(acc, data, first, second, key):
    low, high = acc
    low = (low + _mix16(data, first, key)) & _M64
    low ^= (_u64(data, second) + _u64(data, second + 8)) & _M64
    high = (high + _mix16(data, second, key + 16)) & _M64
    high ^= (_u64(data, first) + _u64(data, first + 8)) & _M64
    return low, high


def _to_3(data):
    """1 to 3 bytes."""
    n = len(data)
    low = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
    high = _swap(low, 4)
    high = (high << 13 | high >> 19) & 0xFFFFFFFF
    return (_avalanche64(low ^ _u32(_SECRET, 0) ^ _u32(_SECRET, 4)),
            _avalanche64(high ^ _u32(_SECRET, 8) ^ _u32(_SECRET, 12)))


def _to_8(data):
    """4 to 8 bytes."""
    n = len(data)
    keyed = (_u32(data, 0) | _u32(data, n - 4) << 32) ^ _u64(_SECRET, 16) ^ _u64(_SECRET, 24)
    product = keyed * (_P64_1 + (n << 2))
    low, high = product & _M64, product >> 64 & _M64
    high = (high + (low << 1)) & _M64
    low ^= high >> 3
    low = (low ^ low >> 35) * 0x9FB21C651E98DF25 & _M64
    return low ^ low >> 28, _avalanche(high)


def _to_16(data):
    """9 to 16 bytes."""
    n = len(data)
    first, last = _u64(data, 0), _u64(data, n - 8)
    product = (first ^ last ^ _u64(_SECRET, 32) ^ _u64(_SECRET, 40)) * _P64_1
    low, high = (product + (n - 1 << 54)) & _M64, product >> 64
    last ^= _u64(_SECRET, 48) ^ _u64(_SECRET, 56)
    high = (high + last + (last & 0xFFFFFFFF) * (_P32_2 - 1)) & _M64
    low ^= _swap(high, 8)
    product = low * _P64_2
    return _avalanche(product & _M64), _avalanche((product >> 64) + high * _P64_2 & _M64)


def _finish_middle(acc, n):
    low, high = acc
    return (_avalanche((low + high) & _M64),
            -_avalanche((low * _P64_1 + high * _P64_4 + n * _P64_2) & _M64) & _M64)


def _to_128(data):
    """17 to 128 bytes."""
    n = len(data)
    acc = n * _P64_1 & _M64, 0
    for at in range((n - 1) // 32 * 16, -1, -16):
        acc = _mix32(acc, data, at, n - 16 - at, 2 * at)
    return _finish_middle(acc, n)


def _to_240(data):
    """129 to 240 bytes."""
    n = len(data)
    acc = n * _P64_1 & _M64, 0
    for at in range(0, 128, 32):
        acc = _mix32(acc, data, at, at + 16, at)
    acc = _avalanche(acc[0]), _avalanche(acc[1])
    for at in range(128, n // 32 * 32, 32):
        acc = _mix32(acc, data, at, at + 16, 3 + at - 128)
    return _finish_middle(_mix32(acc, data, n - 16, n - 32, 103), n)


def _accumulate(acc, data, at, key):
    lanes = struct.unpack_from("<8Q", data, at)
    keys = struct.unpack_from("<8Q", _SECRET, key)
    for i in range(8):
        keyed = lanes[i] ^ keys[i]
        acc[i ^ 1] = (acc[i ^ 1] + lanes[i]) & _M64
        acc[i] = (acc[i] + (keyed & 0xFFFFFFFF) * (keyed >> 32)) & _M64


def _merge(acc, key, start):
    for i in range(4):
        start += _fold(acc[2 * i] ^ _u64(_SECRET, key + 16 * i),
                       acc[2 * i + 1] ^ _u64(_SECRET, key + 16 * i + 8))
    return _avalanche(start & _M64)


def _long(data):
    """More than 240 bytes."""
    n = len(data)
    acc = [_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1]
    scramble = struct.unpack_from("<8Q", _SECRET, len(_SECRET) - _STRIPE)
    blocks = (n - 1) // _BLOCK
    for block in range(blocks):
        for i in range(_BLOCK // _STRIPE):
            _accumulate(acc, data, block * _BLOCK + i * _STRIPE, 8 * i)
        acc = [(a ^ a >> 47 ^ key) * _P32_1 & _M64 for a, key in zip(acc, scramble)]
    for i in range((n - 1 - blocks * _BLOCK) // _STRIPE):
        _accumulate(acc, data, blocks * _BLOCK + i * _STRIPE, 8 * i)
    _accumulate(acc, data, n - _STRIPE, len(_SECRET) - _STRIPE - 7)
    return (_merge(acc, 11, n * _P64_1 & _M64),
            _merge(acc, len(_SECRET) - 64 - 11, ~(n * _P64_2) & _M64))


def xxh3_128(data):
    """The hash of bytes as a number of 128 bits."""
    n = len(data)
    if n == 0:
        low = _avalanche64(_u64(_SECRET, 64) ^ _u64(_SECRET, 72))
        high = _avalanche64(_u64(_SECRET, 80) ^ _u64(_SECRET, 88))
    else:
        kind = (_to_3 if n <= 3 else _to_8 if n <= 8 else _to_16 if n <= 16 else
                _to_128 if n <= 128 else _to_240 if n <= 240 else _long)
        low, high = kind(data)
    return high << 64 | low
