# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Configurations as Python dicts of the file's own shape, with small defaults for tests."""

import ipaddress

ADDRESS = "10.77.0.1"


def port(name="net0", device="net_af_packet0", address=f"{ADDRESS}/24", **keys):
    return {"name": name, "device": device, "address": address, **keys}


def backend(name, address, port=9001, **keys):
    return {"name": name, "address": address, "port": port, **keys}


def destination(name, *backends, **keys):
    return {"name": name, "kind": "queue", **keys, "backends": list(backends)}


def table(number, **keys):
    """Destination tableN with one backend, kitchenN at 10.77.0.(10 + N):9001."""
    return destination(f"table{number}", backend(f"kitchen{number}", f"10.77.0.{10 + number}"),
                       **keys)


def on_subnet(config):
    """The backends that are neighbours of a port: {address: number of the port}."""
    subnets = [ipaddress.ip_interface(p["address"]).network for p in config["ports"]]
    found = {}
    for b in (b for d in config["destinations"] for b in d["backends"]):
        for number, subnet in enumerate(subnets):
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
