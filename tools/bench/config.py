# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Configurations of the appliance under measurement."""

SINKS = 4


def write(path, rig_mac, destinations, window, mbufs=131072):
    """One way from port 0 to port 1: `destinations` with one backend each, three classes."""
    neighbours = ", ".join(
        f'{{address: 10.78.0.{10 + i}, mac: "{rig_mac % 1}"}}' for i in range(SINKS))
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports:
  - {{name: in, device: net_memif0, address: 10.77.0.1/24}}
  - {{name: out, device: net_memif1, address: 10.78.0.1/16}}
lcores: [{{lcore: 1, roles: [rx, worker]}}]
dedup: {{window_ms: 60000, capacity: {window}}}
mbufs: {mbufs}
classes:
  - {{level: 1, name: high}}
  - {{level: 2, name: medium, min_share_percent: 10}}
  - {{level: 3, name: low, min_share_percent: 5, max_wait_ms: 1000}}
neighbours: [{neighbours}]
destinations:
""")
        for i in range(1, destinations + 1):
            f.write(f"  - {{name: table{i}, kind: queue, backends: [{{name: b, "
                    f"address: 10.78.0.{10 + i % SINKS}, port: {9000 + i % 50000}}}]}}\n")


def write_topic(path, rig_mac, subscribers):
    """The same with one topic, and its subscribers behind port 1."""
    write(path, rig_mac, 0, 1 << 20)
    with open(path, "a", encoding="ascii") as f:
        f.write("  - name: table1\n    kind: topic\n    backends:\n")
        for i in range(subscribers):
            f.write(f"      - {{name: s{i}, address: 10.78.0.{10 + i % SINKS}, "
                    f"port: {9000 + i}}}\n")


def write_one_port(path, device, destinations, window):
    """The same, in and out by one port, open to many clients of the control plane."""
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports: [{{name: net0, device: {device}, address: 10.77.0.1/16}}]
lcores: [{{lcore: 1, roles: [rx, worker]}}]
dedup: {{window_ms: 60000, capacity: {window}}}
mbufs: 262144
control: {{clients_max: 4096}}
http: {{clients_max: 4096, timeout_ms: 600000}}
classes: [{{level: 1, name: high}}, {{level: 2, name: medium}}, {{level: 3, name: low}}]
neighbours: [{{address: 10.77.1.1, mac: "02:00:00:00:03:01"}}]
destinations:
""")
        for i in range(1, destinations + 1):
            f.write(f"  - {{name: table{i}, kind: queue, backends: [{{name: b, "
                    f"address: 10.77.1.1, port: {9000 + i % 50000}}}]}}\n")


def write_mixed(path, rig_mac, destinations, window, journal, in_flight):
    """So many at-most-once destinations tableN, in and out by a capture, and as many at-least-once
    ones orderN, from and to the generator; one worker has both."""
    neighbours = ", ".join(
        f'{{address: 10.78.0.{10 + i}, mac: "{rig_mac % 1}"}}' for i in range(SINKS))
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""node: bench
ports:
  - {{name: in, device: net_memif0, address: 10.77.0.1/24}}
  - {{name: out, device: net_memif1, address: 10.78.0.1/16}}
  - {{name: capture, device: net_pcap0, address: 10.79.0.1/16}}
lcores: [{{lcore: 1, roles: [rx, worker]}}]
dedup: {{window_ms: 60000, capacity: {window}}}
mbufs: 262144
classes: [{{level: 1, name: high}}, {{level: 2, name: medium}}, {{level: 3, name: low}}]
neighbours: [{neighbours}, {{address: 10.79.1.1, mac: "02:00:00:00:03:01"}}]
journal: {{directory: {journal}, max_bytes: 4G, retention_bytes: 512M, retention: 0s}}
publishers: {{window: 65536}}
destinations:
""")
        for i in range(1, destinations + 1):
            f.write(f"  - {{name: table{i}, kind: queue, backends: [{{name: b, "
                    f"address: 10.79.1.1, port: {9000 + i}}}]}}\n")
            f.write(f"  - {{name: order{i}, kind: queue, guarantee: at-least-once, "
                    f"in_flight: {in_flight}, backends: [{{name: b, "
                    f"address: 10.78.0.{10 + i % SINKS}, port: {9000 + i}}}]}}\n")
