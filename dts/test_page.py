# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Sluice authors
"""The live page in a headless browser, against a running appliance."""

import contextlib
import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness import (HttpClient, Lab, Relay, backend, destination, listen_args, make_config, message,
                     table)
from harness.durable import DurableLab, HandBackend, HandPublisher
from harness.page import Page
from harness.patience import Deadline, wait_until
from harness.standstill import Standstill

DOWN_WITHIN_S = 3.0


def number(text):
    return int(text.replace(",", ""))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """(lab, HTTP client, URL, file without which kitchen2 fails its checks), with traffic behind."""
    alive = tmp_path_factory.mktemp("page") / "alive"
    alive.touch()
    # A machine that has much to do needs its time even for a command that does nothing.
    health = {"interval_ms": 200, "timeout_ms": 10000, "rise": 1, "fall": 2,
              "checks": [{"kind": "exec", "argv": ["/usr/bin/test", "-e", str(alive)]}]}
    config = make_config(
        table(1), destination("table2", backend("kitchen2", "10.77.0.12"), health=health),
        destination("table3", backend("kitchen1", "10.77.0.11", state="maintenance")))
    with Lab() as lab, lab.receiver(1), lab.receiver(2), \
            lab.appliance(config, args=listen_args()) as sluice:
        http = HttpClient(lab.inside)
        wait_until(lambda: http.api("destination/table2")["backends"][0]["state"] == "UP", 10,
                   "kitchen2 is up")
        for i in range(300):
            lab.send(message(i % 250, priority=1 + i % 3, destination=f"table{1 + i % 2}"))
        lab.send(message(1, destination="nowhere"))
        sluice.wait_for(received=301, queued=0)
        with Relay(http) as relay:
            yield lab, http, relay.url, alive


@pytest.fixture(scope="module")
def page(bench):
    with Page(bench[2]) as open_page:
        open_page.wait_live()
        yield open_page
        assert open_page.errors() == []


def test_the_figures_are_those_of_the_api(bench, page):
    http = bench[1]
    stats = http.api("stats")
    page.wait(lambda: page.total("received") == stats["received"], what="the page shows 301 received")
    for name in ("received", "delivered", "duplicates"):
        assert page.total(name) == stats[name], name
    assert page.total("dropped") == sum(stats["dropped"].values()) == 1
    assert page.total("queued") == stats["queued"]
    rows = page.rows("destinations")
    for found in http.api("destinations"):
        row = rows[found["name"]]
        for column, key in (("Delivered", "delivered"), ("Duplicates", "duplicates"),
                            ("Dropped", "dropped"), ("Waiting", "queued")):
            assert number(row[column]) == found[key], (found["name"], column)
    rows = page.rows("backends")
    found = http.api("backends")
    assert set(rows) == {f"{b['destination']}/{b['name']}" for b in found}
    for b in found:
        row = rows[f"{b['destination']}/{b['name']}"]
        assert number(row["Delivered"]) == b["delivered"]
        assert row["Share"] == f"{b['share_percent']:.0f} %" or b["share_percent"] < 10
        assert row["State"] == b.get("state", "UP")
    assert {r.split()[1]: number(row["In all"]) for r, row in page.rows("drops").items()} == \
        {d["reason"]: d["count"] for d in http.api("drops") if d["count"]}
    ports = {p["name"]: p for p in http.api("ports")}
    assert {name: row["Link"] for name, row in page.rows("ports").items()} == \
        {name: p["link"].upper() for name, p in ports.items()}


def test_without_a_journal_there_is_no_panel_of_durability(page):
    for name in ("durability", "durability-link"):
        assert page.run("return document.getElementById(arguments[0]).hidden", name)


def test_what_is_durable_has_a_panel():
    with DurableLab() as lab, lab.appliance(lab.config_with_sink(), args=listen_args()) as sluice, \
            sluice.control() as control, HandPublisher(lab) as source, HandBackend(lab) as kitchen:
        source.send(1, 2, 3)
        source.wait_acked(1, 2, 3)
        kitchen.take(3)
        kitchen.ack(1)
        wait_until(lambda: control.show("journal")["undelivered"] == 2, what="one is delivered")
        wait_until(lambda: control.show("sinks")[0]["rows"] == 3, what="the rows are written")
        with Relay(HttpClient(lab.inside)) as relay, Page(relay.url) as page:
            page.wait_live()
            big = "return document.querySelector(`[data-tile='${arguments[0]}'] .big span`)?.textContent"
            page.wait(lambda: page.run(big, "journal") == "OK", what="the journal's tile")
            assert not page.run("return document.getElementById('durability').hidden")
            assert page.run(big, "undelivered") == "2"
            assert page.tile("undelivered") == "2 in flight"
            assert number(page.tile("durable").split()[0]) >= 4
            assert page.tile("sync").startswith("at most ")
            row = page.rows("sinks")["local"]
            assert (row["State"], row["Rows"], row["Failures"]) == ("running", "3", "0")
            assert page.errors() == []


def test_nodes_of_the_graph_are_drawn(bench, page):
    drawn = page.wait(lambda: page.run(
        "return [...document.querySelectorAll('#graph [data-node]')].map((n) => n.dataset.node)"))
    nodes = {n["name"] for n in bench[1].api("nodes") if not n["name"].startswith("drop_")}
    assert {"port_rx", "datagram_parse", "dedup", "dispatch", "port_tx"} <= set(drawn) <= nodes


def test_throughput_and_latency_are_drawn_while_messages_flow(bench, page):
    lab = bench[0]
    deadline = Deadline(15)
    number_sent = 10000

    def is_drawn():
        return all(page.run(f"return document.querySelectorAll('#{chart}-chart path[d]:not([d=\"\"])')"
                            ".length") for chart in ("rate", "latency"))
    while not is_drawn():
        assert not deadline.has_passed(), "nothing is drawn"
        for _ in range(50):
            number_sent += 1
            lab.send(message(number_sent, priority=1))
        time.sleep(0.1)
    for chart, word in (("rate", "Throughput"), ("latency", "Latency")):
        text = page.run(f"return document.querySelector('#{chart}-chart svg').ariaLabel")
        assert text.startswith(word) and "high" in text, text


def test_a_backend_that_goes_down_turns_red_in_time(bench, page):
    http, alive = bench[1], bench[3]
    chip = "#backends-table tr[data-key='table2/kitchen2'] .state"
    assert page.rows("backends")["table2/kitchen2"]["State"] == "UP"
    try:
        with Standstill() as still:
            begin = time.monotonic()
            alive.unlink()
            page.wait(lambda: page.rows("backends")["table2/kitchen2"]["State"] == "DOWN",
                      what="DOWN on the page")
            red, green, blue = page.color(chip)
            took = time.monotonic() - begin
        assert red > 150 and green < 90 and blue < 90, (red, green, blue)
        assert took < DOWN_WITHIN_S + still.seconds
        print(f"red after {took:.2f} s")
        assert http.api("destination/table2")["backends"][0]["state"] == "DOWN"
        said = page.run("return document.getElementById('say').textContent")
        assert "table2/kitchen2 is DOWN" in said
        # Those that want somebody come first.
        assert next(iter(page.rows("backends"))) == "table2/kitchen2"
    finally:
        alive.touch()
    page.wait(lambda: page.rows("backends")["table2/kitchen2"]["State"] == "UP", what="UP again")


def test_the_operators_maintenance_is_shown(page):
    assert page.rows("backends")["table3/kitchen1"]["State"] == "MAINTENANCE"


def test_search_and_sort(page):
    find = page.driver.find_element(By.ID, "backends-find")
    find.send_keys("TABLE2")
    assert list(page.rows("backends")) == ["table2/kitchen2"]
    find.send_keys(Keys.CONTROL, "a")
    find.send_keys(Keys.DELETE)
    assert len(page.rows("backends")) == 3
    head = page.driver.find_element(By.CSS_SELECTOR, "#destinations-table thead th:first-child")
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert list(page.rows("destinations")) == ["table3", "table2", "table1"]
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert list(page.rows("destinations")) == ["table1", "table2", "table3"]


def test_the_keyboard_reaches_everything_and_shows_where_it_is(bench):
    with Page(bench[2]) as page:
        page.wait_live()
        seen = []
        for _ in range(70):
            page.driver.switch_to.active_element.send_keys(Keys.TAB)
            where = page.run("""
                const e = document.activeElement, s = getComputedStyle(e);
                return [e.id || e.textContent.slice(0, 20) || e.tagName, e.tagName,
                    s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1];""")
            if where[1] == "BODY":
                break
            assert where[2], f"no outline at {where}"
            seen.append(where[0])
        assert seen[0].startswith("Skip")
        for wanted in ("pause", "theme", "backends-find", "destinations-find", "State", "Reason",
                       "metrics"):
            assert any(name.startswith(wanted) for name in seen), (wanted, seen)
        page.run("document.querySelector('.skip').focus()")
        page.driver.switch_to.active_element.send_keys(Keys.ENTER)
        assert page.run("return document.activeElement.id") == "main"
        assert page.errors() == []


def luminance(color):
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a, b):
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_can_be_read(bench, scheme):
    with Page(bench[2], scheme=scheme) as page:
        page.wait_live()
        back = page.color("body")
        assert (luminance(back) > 0.5) == (scheme == "light")
        card = page.color(".card")
        for selector in ("h1", ".hint", ".about", "tbody td", "nav a"):
            assert contrast(page.color(selector, "color"), card) >= 4.5, selector
        for chip in (".state[data-state='UP']", ".state[data-state='MAINTENANCE']"):
            assert contrast(page.color(chip, "color"), page.color(chip)) >= 4.4, chip
        other = "dark" if scheme == "light" else "light"
        page.run("""const s = document.getElementById("theme"); s.value = arguments[0];
                    s.dispatchEvent(new Event("change"));""", other)
        assert (luminance(page.color("body")) > 0.5) == (other == "light")
        page.driver.refresh()
        page.wait_live()
        assert (luminance(page.color("body")) > 0.5) == (other == "light"), "the choice is kept"
        assert page.errors() == []


@pytest.mark.parametrize("width", [360, 768])
def test_narrow_windows_do_not_scroll_sideways(bench, width):
    with Page(bench[2], width=width, height=740) as page:
        page.wait_live()
        assert page.run("return document.documentElement.scrollWidth") <= width
        wide = page.run("""
            return [...document.querySelectorAll("main *")].filter((e) => !e.closest(".scroll")
                && !e.closest(".sr") && e.getBoundingClientRect().right > innerWidth + 1)
                .map((e) => e.outerHTML.slice(0, 80));""")
        assert wide == []
        assert page.errors() == []


def test_nothing_moves_from_one_reading_to_the_next(bench):
    with Page(bench[2]) as page:
        page.wait_live()
        time.sleep(2.5)
        page.run("""window.shift = 0;
            new PerformanceObserver((list) => list.getEntries().forEach((e) => window.shift += e.value))
                .observe({type: "layout-shift", buffered: false});""")
        time.sleep(3)
        assert page.run("return window.shift") < 0.01


def test_it_says_that_the_appliance_is_away_and_finds_it_again(lab):
    with lab.receiver(1), contextlib.ExitStack() as stack:
        sluice = stack.enter_context(lab.appliance(args=listen_args()))
        relay = stack.enter_context(Relay(HttpClient(lab.inside)))
        page = stack.enter_context(Page(relay.url))
        page.wait_live()
        sluice.stop()
        page.wait(lambda: page.run("return document.querySelector('#link').dataset.state") == "away",
                  what="away")
        assert page.driver.find_element(By.ID, "link").get_attribute("role") == "status"
        sluice.start()
        sluice.wait_ready()
        page.wait(lambda: page.run("return document.querySelector('#link').dataset.state") == "live",
                  20, "live again")
