# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Configurations as Python dicts of the file's own shape, with small defaults for tests."""

import ipaddress

ADDRESS = "10.77.0.1"
ADDRESS6 = "fd00:77::1"


def port(name="net0", device="net_af_packet0", address=f"{ADDRESS}/24", **keys):
    return {"name": name, "device": device, "address": address, **keys}


def port6(name="net0", device="net_af_packet0", address6=f"{ADDRESS6}/64", **keys):
    """A port that speaks IPv6 alone, unless @keys have an IPv4 address, too."""
    return {"name": name, "device": device, "address6": address6, **keys}


def backend(name, address, port=9001, **keys):
    return {"name": name, "address": address, "port": port, **keys}


def destination(name, *backends, **keys):
    return {"name": name, "kind": "queue", **keys, "backends": list(backends)}


def table(number, **keys):
    """Destination tableN with one backend, kitchenN at 10.77.0.(10 + N):9001."""
    return destination(f"table{number}", backend(f"kitchen{number}", f"10.77.0.{10 + number}"),
                       **keys)


def table6(number, **keys):
    """Destination tableN with one backend, kitchenN at [fd00:77::(10 + N)]:9001."""
    return destination(f"table{number}", backend(f"kitchen{number}", kitchen6(number)), **keys)


def kitchen6(number):
    return f"fd00:77::{10 + number:x}"


def on_subnet(config):
    """The backends that are neighbours of a port: {address: number of the port}."""
    subnets = [(number, ipaddress.ip_interface(p[key]).network)
               for number, p in enumerate(config["ports"]) for key in ("address", "address6")
               if key in p]
    found = {}
    for b in (b for d in config["destinations"] for b in d["backends"]):
        for number, subnet in subnets:
            if ipaddress.ip_address(b["address"]) in subnet:
                found[b["address"]] = number
    return found


def make_config(*destinations, lcores=None, **keys):
    """A configuration of one port, one lcore that does everything and three classes.

    @keys are keys of the file and replace what stands here.
    """
    config = {
        "node": "sluice-test",
        "ports": [port()],
        "lcores": lcores or [{"lcore": 1, "roles": ["rx", "worker"]}],
        "dedup": {"window_ms": 60000, "capacity": 65536},
        "idle": {"nap": "on"},
        "drain_timeout_ms": 2000,
        "classes": [
            {"level": 1, "name": "high"},
            {"level": 2, "name": "medium", "min_share_percent": 10},
            {"level": 3, "name": "low", "min_share_percent": 5},
        ],
        "destinations": list(destinations) or [table(1)],
    }
    config.update(keys)
    return config
