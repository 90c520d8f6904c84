# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The statistics file: its shape, its arithmetic, its being whole at every moment."""

import json
import time

from harness import Stats, encode, frame, is_udp_from_appliance, make_config, message, table
from harness.patience import Deadline

NODES = {"port_rx", "eth_input", "ip_input", "udp_input", "datagram_parse", "route", "shard",
         "dedup", "enqueue", "dispatch", "deliver", "udp_output", "eth_output", "port_tx"}


def test_shape_and_every_counter(wire_lab):
    config = make_config(table(1), table(2, class_boost=1),
                         rules=[{"type": "breakfast", "class": "high"}])
    with wire_lab.appliance(config) as sluice:
        begin = time.monotonic()
        wire_lab.raw.send(
            frame(encode(message(1, type="breakfast"), message(2, priority=3))),
            frame(encode(message(3, destination="table2", priority=3))),
            frame(encode(message(3, destination="table2", priority=3))),  # again
            frame(encode(message(4, destination="nowhere"))),
            frame(b"\xff" * 30),
            frame(encode(message(5)), udp={"chksum": 1}))
        wire_lab.raw.take(3, is_udp_from_appliance)
        sluice.wait_for(received=5, frames_dropped={"malformed": 1, "udp_bad_checksum": 1})
        stats = sluice.stop()
        took_us = (time.monotonic() - begin) * 1e6

    assert stats["frames"]["received"] == 6
    assert stats.frames_dropped == {"malformed": 1, "udp_bad_checksum": 1}
    assert (stats["received"], stats["delivered"], stats["duplicates"], stats["queued"]) == \
        (5, 3, 1, 0)
    assert stats.dropped == {"no_destination": 1}
    assert stats["parse_slow"] == 1  # the garbage, which the template refused first
    assert {level: (c["delivered"], c["dropped"]) for level, c in stats["by_class"].items()} == \
        {"1": (1, 0), "2": (1, 0), "3": (1, 0)}
    assert stats["by_destination"] == {
        "table1": {"delivered": 2, "duplicates": 0, "queued": 0, "dropped": 0},
        "table2": {"delivered": 1, "duplicates": 1, "queued": 0, "dropped": 0}}
    for c in stats["by_class"].values():
        assert set(c) >= {"delivered", "dropped", "latency_us"}
        latency = c["latency_us"]
        assert set(latency) == {"mean", "p50", "p99", "max"}
        assert 0 < latency["p50"] <= latency["p99"] <= latency["max"] < took_us
        assert latency["mean"] <= latency["max"]


def test_by_node(wire_lab):
    with wire_lab.appliance() as sluice:
        for i in range(100):
            wire_lab.raw.send(frame(encode(message(i))))
        wire_lab.raw.take(100, is_udp_from_appliance)
        wire_lab.raw.send(frame(encode(message(1)), dst="10.77.0.2"))
        sluice.wait_for(delivered=100, frames_dropped={"ip_not_for_us": 1})
        nodes = sluice.stop()["by_node"]
    for node in nodes.values():
        assert set(node) == {"calls", "objects", "cycles"}
    # Sources have the number of their port, queue or lcore behind their name.
    by_name = {name.split("-")[0]: node for name, node in nodes.items()}
    assert NODES - {"shard"} <= set(by_name), sorted(nodes)
    for name in ("datagram_parse", "route", "dedup", "deliver", "udp_output"):
        assert by_name[name]["objects"] == 100, name
        assert 0 < by_name[name]["calls"] <= 100 and by_name[name]["cycles"] > 0
    assert by_name["drop_ip_not_for_us"]["objects"] == 1


def test_every_reading_is_whole_and_adds_up(lab):
    config = make_config(table(1, rate_msgs_per_s=2000, queue_capacity=100))
    with lab.receiver(1), lab.appliance(config, stats_interval=0.05) as sluice:
        sluice.stats()
        seen = set()
        begin, deadline = time.monotonic(), Deadline(30)
        number = 0
        while time.monotonic() < begin + 2 or len(seen) <= 10:
            assert not deadline.has_passed(), "the file is rewritten each interval"
            stats = Stats(json.loads(sluice.stats_file.read_text()))
            # No more than the port has room for, whoever else has the CPU.
            for _ in range(20 if number - stats["received"] < 2000 else 0):
                lab.send(message(number // 2))  # every other one is a duplicate
                number += 1
            seen.add(stats["received"])
            assert sum(d["delivered"] for d in stats["by_destination"].values()) >= 0
        # What the port still holds when the path drains is not taken in any more.
        sluice.wait_for(received=number)
        final = sluice.stop()
        assert final["received"] == number
        assert final["duplicates"] > 0 and final["delivered"] > 0


def test_counters_agree_with_each_other_at_the_end(lab):
    config = make_config(table(1, rate_msgs_per_s=50, queue_capacity=50, burst_msgs=1), table(2),
                         drain_timeout_ms=100)
    with lab.receiver(1) as one, lab.receiver(2) as two, lab.appliance(config) as sluice:
        for i in range(600):
            lab.send(message(i, destination=f"table{1 + i % 2}", priority=1 + i % 3))
        sluice.wait_for(received=600)
        final = sluice.stop()
        tables = final["by_destination"]
        for number, kitchen in ((1, one), (2, two)):
            kitchen.take(tables[f"table{number}"]["delivered"])
            kitchen.nothing(0.1)
        for counter in ("delivered", "dropped"):
            total = sum(final["dropped"].values()) if counter == "dropped" else final[counter]
            assert sum(c[counter] for c in final["by_class"].values()) == total
            assert sum(t[counter] for t in tables.values()) == total
        assert final["delivered"] < 600 and final["by_class"]["1"]["delivered"] > 0


def test_without_a_statistics_file(lab):
    with lab.receiver(1) as kitchen, lab.appliance() as sluice:
        index = sluice.argv.index("--stats-file")
        assert index > 0
        sluice.stop()
        del sluice.argv[index:index + 4]
        sluice.stats_file.unlink()
        sluice.start()
        sluice.wait_ready()
        lab.send(message(1))
        kitchen.take(1)
        sluice.send_signal(15)
        assert sluice.wait_exit() == 0
        assert not sluice.stats_file.exists()
