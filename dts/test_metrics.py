# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""Metrics: true to the message, clean in both formats, bounded, and as documented."""

import re
import subprocess

import pytest

from harness import (HttpClient, Lab, MemifLab, ROOT, destination, free_port, listen_args,
                     make_config, message, sink_backend, table)
from harness.patience import patience

COUNT = 30000
DOCUMENT = ROOT / "docs" / "monitoring.md"


@pytest.fixture(scope="module")
def running():
    """HTTP client of an appliance that has delivered 40 messages to names as strange as they come."""
    odd = destination('odd "name" \\ here', *table(2)["backends"])
    with Lab() as lab, lab.receiver(1), lab.receiver(2), \
            lab.appliance(make_config(table(1), odd), args=listen_args()) as sluice:
        for i in range(20):
            lab.send(message(i, priority=1 + i % 3))
            lab.send(message(i, destination='odd "name" \\ here'))
        sluice.wait_for(delivered=40)
        yield HttpClient(lab.inside)


def promtool(*args, text=None):
    done = subprocess.run(["promtool", *map(str, args)], input=text, capture_output=True, text=True,
                          timeout=patience(60), check=False)
    return done.returncode, done.stdout + done.stderr


def test_promtool_finds_nothing_to_complain_about(running):
    assert promtool("check", "metrics", text=running.metrics().text) == (0, "")


def test_openmetrics_is_what_a_strict_parser_takes(running):
    text = running.metrics(is_openmetrics=True).text
    assert text.endswith("\n# EOF\n") and text.count("# EOF") == 1
    status, headers, _ = running.request(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")


def test_both_formats_say_the_same(running):
    plain, openmetrics = running.metrics(), running.metrics(is_openmetrics=True)
    assert set(plain.samples) == set(openmetrics.samples)
    steady = [key for key in plain.samples if key[0].startswith(
        ("sluice_messages_", "sluice_class_", "sluice_destination", "sluice_backend"))]
    assert len(steady) > 100
    for key in steady:
        assert plain.samples[key] == openmetrics.samples[key], key


def test_names_are_escaped(running):
    metrics = running.metrics()
    assert metrics.value("sluice_destination_messages_delivered_total",
                         destination='odd "name" \\ here') == 20


def test_histograms_are_cumulative_and_agree_with_the_counters(running):
    metrics = running.metrics()
    delivered = metrics.by("class", "sluice_class_messages_delivered_total")
    assert sum(delivered.values()) == 40
    for level, count in delivered.items():
        buckets = sorted(
            (float(dict(labels)["le"]), value) for (name, labels), value in metrics.samples.items()
            if name == "sluice_class_latency_seconds_bucket" and dict(labels)["class"] == level)
        counts = [value for _, value in buckets]
        assert len(counts) > 20 and counts == sorted(counts)
        assert buckets[-1] == (float("inf"), count)
        assert metrics.by("class", "sluice_class_latency_seconds_count")[level] == count
        assert metrics.by("class", "sluice_class_latency_seconds_sum")[level] > 0


def test_metrics_agree_with_the_generators_ledger_to_the_message():
    cables, port = MemifLab(), free_port()
    tables = [destination(f"table{n}", sink_backend(2 * n), sink_backend(2 * n + 1))
              for n in range(1, 9)]
    with cables, cables.appliance(cables.config(*tables, dedup={"window_ms": 60000,
                                                                "capacity": 1 << 17}),
                                  args=listen_args(port=port), stats_interval=60) as sluice:
        http = HttpClient(port=port)
        report = cables.generate("--destinations", 8, "--sources", 16, "--classes", "1:2,2:3,3:5",
                                 "--duplicates", 10, "--count", COUNT, "--rate", 50000,
                                 "--drain-ms", 3000)
        assert report.is_clean, report.said
        metrics = http.wait_metrics("sluice_messages_delivered_total", report["delivered"])
        received = metrics.value("sluice_messages_received_total")
        assert received == report["delivered"] + metrics.value("sluice_messages_duplicates_total")
        assert metrics.sum("sluice_messages_dropped_total") == 0
        assert metrics.value("sluice_messages_queued") == 0
        for level, counts in report["by_class"].items():
            assert metrics.by("class", "sluice_class_messages_delivered_total")[level] == \
                counts["delivered"], level
        for name in ("sluice_destination_messages_delivered_total",
                     "sluice_backend_messages_delivered_total", "sluice_lcore_messages_delivered_total"):
            assert metrics.sum(name) == report["delivered"], name
        assert metrics.sum("sluice_destination_messages_duplicates_total") == \
            metrics.value("sluice_messages_duplicates_total") > 0
        sluice.stop()


def test_destinations_beyond_the_bound_are_added_up(lab):
    tables = [table(n) for n in range(1, 6)]
    config = make_config(*tables, http={"metrics_destinations": 2})
    with lab.receiver(1), lab.receiver(4), lab.appliance(config, args=listen_args()) as sluice:
        for i in range(10):
            lab.send(message(i), message(i, destination="table4"), message(i, destination="table5"))
        sluice.wait_for(delivered=30)
        metrics = HttpClient(lab.inside).metrics()
        assert metrics.by("destination", "sluice_destination_messages_delivered_total") == \
            {"table1": 10, "table2": 0, "": 20}
        assert metrics.value("sluice_destinations") == 5
        queues = metrics.by("destination", "sluice_destination_queue_capacity")
        assert queues[""] == 3 * queues["table1"]


def test_every_metric_is_documented_and_every_documented_one_is_there(running):
    rows = re.findall(r"^\| `(sluice_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", DOCUMENT.read_text(), re.M)
    live = {family.name + ("_total" if family.type == "counter" else ""):
            (family.type, family.documentation)
            for family in running.metrics(is_openmetrics=True).families.values()}
    assert {name: (kind, text) for name, kind, _, text in rows} == live
    assert len(rows) == len(live), "a metric has two rows"


def test_who_asks_is_counted(lab):
    with lab.appliance(args=listen_args()) as sluice, sluice.control() as control:
        control.show("version")
        control.show("version")
        http = HttpClient(lab.inside)
        before = http.metrics()
        assert before.value("sluice_control_clients") == 1
        assert before.value("sluice_control_requests_total") == 2
        for _ in range(3):
            http.api("ports")
        sluice.wait_for(lambda _: http.metrics().value("sluice_http_requests_total") >=
                        before.value("sluice_http_requests_total") + 3)
        after = http.metrics()
        assert after.value("sluice_http_clients") >= 1
        assert after.value("sluice_control_turned_away_total") == 0


def test_clear_leaves_the_metrics_alone(lab):
    with lab.receiver(1), lab.appliance(args=listen_args()) as sluice:
        http = HttpClient(lab.inside)
        lab.send(message(1), message(2))
        http.wait_metrics("sluice_messages_delivered_total", 2)
        with sluice.control() as control:
            control.clear("ALL")
        assert http.api("live")["delivered"] == 0
        assert http.metrics().value("sluice_messages_delivered_total") == 2
