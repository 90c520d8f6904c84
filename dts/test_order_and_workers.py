# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The ordering contract, FIFO per (source, destination, class), and no loss, whatever share of the
work each lcore has. sluice-gen's ledger decides."""

import pytest

from harness import MemifLab, VethLab, destination, sink_backend


def lcores(*roles):
    return [{"lcore": n, "roles": list(r)} for n, r in enumerate(roles, 1)]


LAYOUTS = {
    "one does everything": lcores(("rx", "worker")),
    "rx and worker apart": lcores(("rx",), ("worker",)),
    "one rx, three workers": lcores(("rx",), ("worker",), ("worker",), ("worker",)),
    "rx works as well": lcores(("rx", "worker"), ("worker",)),
    "two rx, two workers": lcores(("rx",), ("rx",), ("worker",), ("worker",)),
    "all do everything": lcores(("rx", "worker"), ("rx", "worker"), ("rx", "worker")),
}

DEDUP = {"window_ms": 60000, "capacity": 1 << 18}
# Nobody waits for who has a rate: room for the time that others may have a worker's CPU.
RINGS = {"size": 32768}
MEMORY = ("--no-huge", "-m", "1536")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("partitions", [1, 4])
def test_order_and_no_loss(layout, partitions):
    tables = [destination(f"table{n}", sink_backend(2 * n), sink_backend(2 * n + 1),
                          partitions=partitions) for n in range(1, 9)]
    # By veths: a memif has only as many queues as its other end asks for.
    with VethLab(nb_queues=len(layout)) as cables, cables.appliance(
            cables.config(*tables, lcores=layout, dedup=DEDUP, rings=RINGS), nb_lcores=len(layout),
            memory=MEMORY) as sluice:
        report = cables.generate("--count", 60000, "--rate", 30000, "--sources", 32,
                                 "--destinations", 8, "--duplicates", 3, "--batch", 3,
                                 "--size", "0-300", "--seed", 11)
        assert report.is_clean, report.said
        stats = sluice.wait_for(delivered=60000, queued=0, dropped={})
        assert stats["duplicates"] == report["tx"]["copies"] > 0
        assert all(d["delivered"] > 0 for d in stats["by_destination"].values())
        final = sluice.stop()
        assert final["delivered"] == 60000


def test_order_while_queues_are_long():
    """A destination slower than its load: messages wait, and still leave in their order."""
    tables = [destination(f"table{n}", sink_backend(n), rate_msgs_per_s=10000) for n in (1, 2)]
    with MemifLab() as cables, cables.appliance(
            cables.config(*tables, lcores=LAYOUTS["rx and worker apart"], rings=RINGS), nb_lcores=2,
            memory=MEMORY) as sluice:
        report = cables.generate("--count", 30000, "--rate", 60000, "--destinations", 2,
                                 "--sources", 16, "--seed", 3)
        assert report.is_clean, report.said
        sluice.wait_for(delivered=30000, queued=0, dropped={})


def test_flat_out_loses_only_what_is_counted():
    """More than it can take: the generator's losses are the appliance's counted drops (and what
    its port had no room for, which nobody but the port sees)."""
    tables = [destination(f"table{n}", sink_backend(n), queue_capacity=1000) for n in range(1, 5)]
    with MemifLab() as cables, cables.appliance(
            cables.config(*tables, rings={"size": 64}, lcores=LAYOUTS["rx and worker apart"],
                          dedup=DEDUP), nb_lcores=2) as sluice:
        report = cables.generate("--seconds", 2, "--allow-loss", "--seed", 4)
        assert report.is_clean, report.said
        stats = sluice.wait_for(delivered=report["delivered"], queued=0)
        assert report["lost"] >= sum(stats["dropped"].values())
        assert set(stats.dropped) <= {"shard_ring_full", "queue_full", "pushed_out", "no_mbuf"}
