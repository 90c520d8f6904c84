// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// The live page: what it shows of a reading.

import { Chart } from "./charts.js";
import { Durable, durableCounters } from "./durable.js";
import { gatewayCounters, Messaging } from "./messaging.js";
import { count, percent, short, span, time } from "./format.js";
import { Graph } from "./graph.js";
import { Points, quantiles, Rates, SPAN_S } from "./history.js";
import { Poll } from "./poll.js";
import { element, setAttribute, setText, Table } from "./table.js";
import { Tiles } from "./tiles.js";

const EVENTS_SHOWN = 50;
const $ = (id) => document.getElementById(id);

/* Which states come first when sorted by state: those that want somebody. */
const STATES = ["DOWN", "SUSPECT", "NEW", "WARMING", "DRAINING", "MAINTENANCE", "UP"];
const TAKES = new Set(["UP", "SUSPECT", "WARMING"]);

const rates = new Rates();
const classes = new Map();
let events = [];
let states = new Map();
let now = 0;

function say(text) {
	const line = $("say");
	line.append(element("span", {}, `${text}. `));
	while (line.childElementCount > 5)
		line.firstChild.remove();
}

/* Tiles */

const tiles = new Tiles($("tiles"));
const tile = (...figures) => tiles.set(...figures);

function showTiles(live, lcores) {
	const total = (name) => `${count(live[name])} in all`;
	tile("received", "Received", short(rates.of("received")), "/s", total("received"));
	tile("delivered", "Delivered", short(rates.of("delivered")), "/s", total("delivered"));
	tile("duplicates", "Duplicates", short(rates.of("duplicates")), "/s", total("duplicates"));
	tile("dropped", "Dropped", short(rates.of("dropped")), "/s", total("dropped"), rates.of("dropped") > 0 ? "bad" : null);
	tile("queued", "Waiting", short(live.queued), "", `${count(live.queued)} messages`);
	const busiest = Math.max(0, ...lcores.map((l) => busyOf(l) ?? 0));
	tile("busy", "Busiest lcore", percent(busiest), "", `${lcores.length} in use`, busiest > 0.9 ? "warn" : null);
	const d = live.dedup;
	tile("dedup", "Remembered ids", short(d.entries), "", rates.of("evicted") > 0 ? `${short(rates.of("evicted"))}/s too early` : `${percent(d.entries / d.capacity)} of ${short(d.capacity)}`, rates.of("evicted") > 0 ? "warn" : null);
}

/* Charts and their legends */

let rateAge = null, latencyAge = null;
const rateChart = new Chart($("rate-chart"), { format: short, spanMax: SPAN_S, onCursor: (age) => { rateAge = age; showLegends(); } });
const latencyChart = new Chart($("latency-chart"), { isLog: true, format: time, spanMax: SPAN_S, onCursor: (age) => { latencyAge = age; showLegends(); } });

function classOf(level, index) {
	if (!classes.has(level))
		classes.set(level, { index: index % 8 + 1, rate: new Points(), p50: new Points(), p99: new Points(), buckets: null });
	return classes.get(level);
}

function readClasses(live) {
	live.classes.forEach((c, i) => {
		const known = classOf(c.level, i);
		const [p50, p99] = known.buckets ? quantiles(known.buckets, c.latency_ns, [0.5, 0.99]) : [null, null];
		known.name = c.name;
		known.delivered = c.delivered;
		known.buckets = c.latency_ns;
		known.rate.add(now, rates.of(`class ${c.level}`));
		known.p50.add(now, p50 === null ? null : p50 / 1e3);
		known.p99.add(now, p99 === null ? null : p99 / 1e3);
	});
}

function legendRow(body, level, known, cells) {
	let row = body.querySelector(`[data-class="${level}"]`);
	if (!row) {
		row = element("tr", { "data-class": level }, element("th", { scope: "row" }, element("i", { class: `b${known.index}` }), element("span")),
			...cells.map(() => element("td")));
		body.append(row);
	}
	setText(row.querySelector("span"), `${level} ${known.name}`);
	cells.forEach((text, i) => setText(row.children[i + 1], text));
}

function showLegends() {
	setText($("rate-now"), rateAge === null ? "now" : `${span(rateAge)} ago`);
	setText($("latency-now"), latencyAge === null ? "p50" : `p50, ${span(latencyAge)} ago`);
	for (const [level, known] of classes) {
		legendRow($("rate-legend"), level, known, [short(known.rate.at(now, rateAge || 0)), short(known.rate.mean()), short(known.rate.max())]);
		legendRow($("latency-legend"), level, known, [time(known.p50.at(now, latencyAge || 0)), time(known.p99.at(now, latencyAge || 0)), time(known.p99.max())]);
	}
}

function showCharts() {
	const all = [...classes.entries()];
	rateChart.update(all.map(([, c]) => ({ name: `s${c.index}`, points: c.rate.points })), now,
		"Throughput over the last minutes, messages a second. Now: " + all.map(([, c]) => `${c.name} ${short(c.rate.at(now, 0))}`).join(", "));
	latencyChart.update(all.flatMap(([, c]) => [{ name: `s${c.index} p50`, points: c.p50.points }, { name: `s${c.index}`, points: c.p99.points }]), now,
		"Latency over the last minutes. p99 now: " + all.map(([, c]) => `${c.name} ${time(c.p99.at(now, 0))}`).join(", "));
	showLegends();
}

/* Tables */

const number = (title, value, text, className = "num") => ({ title, className, value: (row) => value(row) ?? -1, text: text || ((row) => count(value(row))) });
const name = (title, value) => ({ title, isName: true, value, text: value });
const rate = (title, counter, className) => number(title, (row) => rates.of(counter(row)), (row) => short(rates.of(counter(row))), className);

function fillState(cell, row) {
	if (!cell.firstChild)
		cell.append(element("span", { class: "state" }));
	setAttribute(cell.firstChild, "data-state", row.state);
	setText(cell.firstChild, row.state);
}

function fillQueue(cell, row) {
	if (!cell.firstChild)
		cell.append(element("span"), element("span", { class: "bar2", "aria-hidden": "true" }, element("i")));
	const share = row.queue_capacity ? row.queued / row.queue_capacity : 0;
	setText(cell.firstChild, count(row.queued));
	setAttribute(cell.lastChild, "data-tone", share > 0.8 ? "bad" : share > 0.5 ? "warn" : null);
	cell.lastChild.firstChild.style.width = `${Math.min(100, share * 100)}%`;
}

const keyOf = (b) => `${b.destination}/${b.name}`;

const backendTable = new Table($("backends-table"), [
	{ title: "State", value: (b) => STATES.indexOf(b.state), fill: fillState },
	{ title: "Destination", value: (b) => b.destination, text: (b) => b.destination },
	name("Backend", (b) => b.name),
	{ title: "Address", className: "wide", value: (b) => b.address, text: (b) => b.address.includes(":") ? `[${b.address}]:${b.port}` : `${b.address}:${b.port}` },
	rate("Messages/s", (b) => `backend ${keyOf(b)}`),
	number("Delivered", (b) => b.delivered),
	number("Share", (b) => b.share, (b) => percent(b.share)),
	number("Check", (b) => b.latency_us, (b) => b.latency_us === null ? "–" : time(b.latency_us), "num wide"),
	{ title: "Last result", className: "wide why", value: (b) => b.reason, text: (b) => b.reason },
], {
	caption: "Backends with their state", key: keyOf, find: $("backends-find"), more: $("backends-more"), none: "No backends: messages wait in their destinations' queues.",
	search: (b) => `${b.destination} ${b.name} ${b.address}:${b.port} ${b.state}`, tone: (b) => b.state === "DOWN" ? "bad" : null,
});

const destinationTable = new Table($("destinations-table"), [
	name("Destination", (d) => d.name),
	{ title: "Waiting", className: "num", value: (d) => d.queued, fill: fillQueue },
	rate("Messages/s", (d) => `destination ${d.name}`),
	number("Delivered", (d) => d.delivered),
	number("Duplicates", (d) => d.duplicates, null, "num wide"),
	number("Dropped", (d) => d.dropped),
	number("Backends up", (d) => d.up, (d) => d.up === null ? count(d.backends) : `${d.up} of ${d.backends}`),
], {
	caption: "Destinations with their queues", key: (d) => d.name, find: $("destinations-find"), more: $("destinations-more"), none: "No destinations are configured.",
	search: (d) => d.name, tone: (d) => d.backends && d.up === 0 ? "bad" : null,
});

const dropTable = new Table($("drops-table"), [
	name("Reason", (d) => d.reason),
	{ title: "Of", value: (d) => d.kind, text: (d) => d.kind === "frame" ? "frames" : "messages" },
	rate("A second", (d) => `drop ${d.kind} ${d.reason}`),
	number("In all", (d) => d.count),
	{ title: "What it means", className: "wide why", value: (d) => d.hint || "", text: (d) => d.hint || "" },
], { caption: "Drops by reason", key: (d) => `${d.kind} ${d.reason}`, more: $("drops-more"), none: "Nothing has been dropped.", sort: [3, true] });

const nodeTable = new Table($("nodes-table"), [
	name("Node", (n) => n.name),
	number("Cycles a message", (n) => n.cycles, (n) => n.cycles === null ? "–" : n.cycles.toFixed(1)),
	number("Share", (n) => n.share, (n) => percent(n.share)),
	number("Messages/s", (n) => n.objects, (n) => short(n.objects)),
	number("In all", (n) => n.total),
], { caption: "Nodes of the graph", key: (n) => n.name, sort: [1, true] });

const portTable = new Table($("ports-table"), [
	name("Port", (p) => p.name),
	{ title: "Link", value: (p) => p.link, fill: (cell, p) => fillState(cell, { state: p.link === "up" ? "UP" : "DOWN" }) },
	rate("In/s", (p) => `rx ${p.name}`),
	rate("Out/s", (p) => `tx ${p.name}`),
	number("Missed", (p) => p.rx_missed),
	number("Errors", (p) => p.rx_errors + p.tx_errors, null, "num wide"),
], { caption: "Ports", key: (p) => p.name, tone: (p) => p.link === "up" ? null : "bad" });

const busyOf = (l) => {
	const busy = rates.of(`busy ${l.lcore}`), idle = rates.of(`idle ${l.lcore}`);
	return busy === null || idle === null || busy + idle === 0 ? null : busy / (busy + idle);
};
const lcoreTable = new Table($("lcores-table"), [
	name("Lcore", (l) => String(l.lcore)),
	{ title: "Roles", value: (l) => l.roles.join(" "), text: (l) => l.roles.join(", ") },
	number("Busy", busyOf, (l) => percent(busyOf(l))),
	rate("Frames/s", (l) => `frames ${l.lcore}`),
	number("Waiting", (l) => l.queued),
], { caption: "Lcores", key: (l) => String(l.lcore) });

/* What a reading says */

/** Backends as the page shows them: without checks, what the operator wants of them is their state. */
function asShown(b) {
	const wanted = { drain: "DRAINING", maintenance: "MAINTENANCE" }[b.admin_state];
	return { ...b, state: b.state || wanted || "UP", share: b.share_percent / 100, latency_us: b.check_latency_us ?? null, reason: b.reason || "" };
}

function counters({ live, ports, lcores, backends, destinations, ingress }) {
	const all = ["received", "delivered", "duplicates", "dropped"].map((key) => [key, live[key]]);
	all.push(["evicted", live.dedup.evicted_early]);
	live.classes.forEach((c) => all.push([`class ${c.level}`, c.delivered]));
	live.drops.forEach((d) => all.push([`drop ${d.kind} ${d.reason}`, d.count]));
	all.push(...durableCounters(live.journal));
	live.nodes.forEach((n) => all.push([`cycles ${n.name}`, n.cycles], [`objects ${n.name}`, n.objects]));
	ports.forEach((p) => all.push([`rx ${p.name}`, p.rx_packets], [`tx ${p.name}`, p.tx_packets]));
	lcores.forEach((l) => all.push([`busy ${l.lcore}`, l.busy_cycles], [`idle ${l.lcore}`, l.idle_cycles], [`frames ${l.lcore}`, l.frames]));
	return { all, rows: [...backends.map((b) => [`backend ${keyOf(b)}`, b.delivered]), ...destinations.map((d) => [`destination ${d.name}`, d.delivered]), ...gatewayCounters(ingress)] };
}

function tellStates(backends) {
	const next = new Map(backends.map((b) => [keyOf(b), b.state]));
	let told = 0;
	for (const [key, state] of next) {
		const before = states.get(key);
		if (before && before !== state && (state === "DOWN" || before === "DOWN" || state === "UP") && told++ < 5)
			say(`Backend ${key} is ${state}`);
	}
	states = next;
}

function showTables({ live, ports, lcores }, backends, destinations) {
	const up = new Map();
	for (const b of backends)
		up.set(b.destination, (up.get(b.destination) || 0) + (TAKES.has(b.state) ? 1 : 0));
	const isUp = backends.filter((b) => TAKES.has(b.state)).length, isDown = backends.filter((b) => b.state === "DOWN").length;
	tile("backends", "Backends up", backends.length ? `${count(isUp)}` : "–", backends.length ? `of ${count(backends.length)}` : "", isDown ? `${count(isDown)} down` : "none down", isDown ? "bad" : null);
	backendTable.update(backends);
	setText($("backends-count"), `${count(isUp)} of ${count(backends.length)} take messages`);
	destinationTable.update(destinations.map((d) => ({ ...d, up: backends.length || d.backends ? up.get(d.name) || 0 : null })));
	setText($("destinations-count"), count(destinations.length));
	dropTable.update(live.drops);
	setText($("drops-count"), `${count(live.dropped)} messages, ${count(live.frames_dropped)} frames`);
	portTable.update(ports);
	lcoreTable.update(lcores);
	tellStates(backends);
}

function showNodes(live) {
	const nodes = live.nodes.map((n) => {
		const cycles = rates.of(`cycles ${n.name}`), objects = rates.of(`objects ${n.name}`);
		return { name: n.name, total: n.objects, objects, spent: cycles || 0, cycles: objects ? cycles / objects : null };
	});
	const spent = nodes.reduce((sum, n) => sum + n.spent, 0);
	for (const n of nodes)
		n.share = spent ? n.spent / spent : 0;
	graph.update(nodes.map((n) => ({ name: n.name, share: n.share, isOff: !n.objects, text: n.cycles === null ? "–" : `${n.cycles.toFixed(n.cycles < 100 ? 1 : 0)} cycles` })));
	nodeTable.update(nodes.filter((n) => !n.name.startsWith("drop_")));
	const hz = live.tsc_hz;
	setText($("path-count"), spent ? `${short(spent)} cycles/s in nodes, TSC ${short(hz)}Hz` : "");
}

function showEvents(fresh, isNew) {
	if (isNew)
		events = [];
	if (!fresh.length && $("events-list").childElementCount)
		return;
	events = [...fresh.slice().reverse(), ...events].slice(0, EVENTS_SHOWN);
	setText($("events-count"), events.length ? `the latest ${events.length}` : "");
	$("events-list").replaceChildren(...(events.length ? events.map((e) => element("li", { "data-level": e.level, "data-id": e.id },
		element("time", { datetime: e.time, title: e.time }, new Date(e.time).toLocaleTimeString("en-GB")), element("b", {}, e.level), element("span", {}, e.text)))
		: [element("li", {}, element("span", {}, "None yet."))]));
}

/* The parts together */

const graph = new Graph($("graph"));
const durable = new Durable(rates);
const messaging = new Messaging(rates);
let rowsAt = null;
const rowRates = new Rates();
let shown = { backends: [], destinations: [], topics: [], ingress: { gateways: [], connectors: [] } };

function read(reading) {
	const { live, lcores } = reading;
	now = performance.now() / 1000;
	if (reading.backends)
		shown = { backends: reading.backends.map(asShown), destinations: reading.destinations, topics: reading.topics, ingress: reading.ingress };
	const { all, rows } = counters({ ...reading, ...shown });
	/* Rows that were not asked for keep the rates they had. */
	if (reading.backends) {
		rowRates.read(now, rows);
		rowsAt = rowRates.current;
	}
	rates.read(now, all);
	for (const [key, value] of rowsAt || [])
		rates.current.set(key, value);
	readClasses(live);
	setText($("node"), live.node);
	setText($("about"), `${live.version}, up ${span(live.uptime_s)}${live.running ? "" : ", the path is stopped"}`);
	setText(document.querySelector("title"), `${live.node} · Sluice`);
	showTiles(live, lcores);
	showTables(reading, shown.backends, shown.destinations);
	durable.update(live.journal, shown.destinations);
	messaging.update(shown.topics, shown.ingress);
	showCharts();
	if (reading.graph)
		graph.set(reading.graph.dot);
	showNodes(live);
	showEvents(reading.events, reading.isNew);
}

let link = "wait";
function showLink(state, text) {
	const isNew = state !== link;
	link = state;
	setAttribute($("link"), "data-state", state);
	/* Said aloud when it changes, not with every second that is counted down. */
	if (isNew || state !== "away")
		setText($("link").querySelector("b"), text);
	document.body.classList.toggle("away", state === "away");
}

const poll = new Poll({
	reading: read,
	live: () => showLink("live", "Live"),
	away: () => showLink("away", "No answer, trying"),
});

$("pause").addEventListener("click", () => {
	const isPaused = $("pause").getAttribute("aria-pressed") !== "true";
	setAttribute($("pause"), "aria-pressed", String(isPaused));
	setText($("pause"), isPaused ? "Go on" : "Pause");
	poll.pause(isPaused);
	if (isPaused)
		showLink("held", "Paused");
});

const theme = $("theme");
theme.value = document.documentElement.dataset.theme || "auto";
theme.addEventListener("change", () => {
	if (theme.value === "auto")
		delete document.documentElement.dataset.theme;
	else
		document.documentElement.dataset.theme = theme.value;
	try {
		localStorage.setItem("sluice-theme", theme.value);
	} catch (e) {
		/* Then it holds until the page is left. */
	}
});
