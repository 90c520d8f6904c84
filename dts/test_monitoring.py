# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""tools/monitoring: rules that fire, and queries of metrics that there are."""

import json
import re
import subprocess

import pytest
import yaml

from harness import HttpClient, ROOT, listen_args
from harness.durable import DurableLab
from harness.patience import patience

HERE = ROOT / "tools" / "monitoring"
DOCUMENT = ROOT / "docs" / "monitoring.md"
# Of histograms, what a query asks for.
SUFFIXES = ("_bucket", "_sum", "_count")


def promtool(*args):
    done = subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=patience(60),
                          cwd=HERE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def live():
    """{family: its labels} of a running appliance."""
    with DurableLab() as lab, lab.receiver(1), \
            lab.appliance(lab.config_with_sink(), args=listen_args()):
        families = {}
        for (name, labels) in HttpClient(lab.inside).metrics().samples:
            families.setdefault(name, set()).update(dict(labels))
        return families


def rules():
    groups = yaml.safe_load((HERE / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    return json.loads((HERE / "grafana-dashboard.json").read_text())


def queries():
    yield from (rule["expr"] for rule in rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def test_the_files_are_valid():
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")


def test_every_alert_fires_and_is_silent_when_all_is_well():
    promtool("test", "rules", "alerts_test.yml")
    tested = (HERE / "alerts_test.yml").read_text()
    for rule in rules():
        assert f'alertname="{rule["alert"]}"' in tested, rule["alert"]


def test_every_query_is_of_metrics_that_there_are(live):
    asked = 0
    for query in queries():
        for name, matchers in re.findall(r"(sluice_\w+)(?:\{([^}]*)\})?", query):
            assert name in live, f"{name} in {query}"
            for label in re.findall(r"(\w+)\s*[=!]", matchers):
                assert label in live[name] | {"instance", "job"}, f"{label} of {name} in {query}"
            asked += 1
    assert asked > 50


def test_every_panel_of_the_dashboard_has_a_query_that_prometheus_parses():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    assert len(panels) > 15
    exprs = []
    for panel in panels:
        assert panel["title"] and panel["targets"], panel
        exprs += [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]
    wrapped = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(exprs)]}]}
    done = subprocess.run(["promtool", "check", "rules", "/dev/stdin"], input=yaml.safe_dump(wrapped),
                          capture_output=True, text=True, timeout=patience(60), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_documented():
    documented = dict(re.findall(r"^\| `(Sluice\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.M))
    assert documented == {rule["alert"]: rule["labels"]["severity"] for rule in rules()}
