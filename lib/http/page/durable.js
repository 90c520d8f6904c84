// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// The panel of what is durable; not there without a journal.

import { count, percent, short, span, time } from "./format.js";
import { element, setAttribute, setText, Table } from "./table.js";
import { Tiles } from "./tiles.js";

const $ = (id) => document.getElementById(id);
const STATES = ["refused", "broken", "retrying", "connecting", "stopped", "running"];
/* As the page colours backends. */
const COLOURS = { running: "UP", connecting: "WARMING", retrying: "SUSPECT", broken: "DOWN", refused: "DOWN", stopped: "MAINTENANCE" };
const bytes = (n) => short(n).includes(" ") ? `${short(n)}B` : `${short(n)} B`;

/* The counters of which the panel shows the change a second. */
export function durableCounters(journal) {
	if (!journal)
		return [];
	return [["durable records", journal.records], ["durable syncs", journal.syncs], ["durable sync_ns", journal.sync_ns_sum],
		...journal.sinks.map((s) => [`sink ${s.name}`, s.rows])];
}

export class Durable {
	/** @param rates of durableCounters() */
	constructor(rates) {
		this.rates = rates;
		this.tiles = new Tiles($("durable-tiles"));
		const number = (title, value, text, className = "num") => ({ title, className, value, text });
		this.sinks = new Table($("sinks-table"), [
			{ title: "State", value: (s) => STATES.indexOf(s.state), fill: (cell, s) => this.fillState(cell, s) },
			{ title: "Sink", isName: true, value: (s) => s.name, text: (s) => s.name },
			number("Behind", (s) => s.lag_s, (s) => s.lag_s ? time(s.lag_s * 1e6) : "–"),
			number("To write", (s) => s.lag_bytes, (s) => bytes(s.lag_bytes)),
			number("Rows/s", (s) => rates.of(`sink ${s.name}`) ?? -1, (s) => short(rates.of(`sink ${s.name}`))),
			number("Rows", (s) => s.rows, (s) => count(s.rows)),
			number("Failures", (s) => s.failures, (s) => count(s.failures), "num wide"),
			{ title: "Last failure", className: "wide why", value: (s) => s.failure || "", text: (s) => s.failure || "" },
		], { caption: "Sinks", key: (s) => s.name, more: $("sinks-more"), none: "No sinks are configured.", tone: (s) => COLOURS[s.state] === "DOWN" ? "bad" : null });
	}

	fillState(cell, sink) {
		if (!cell.firstChild)
			cell.append(element("span", { class: "state" }));
		setAttribute(cell.firstChild, "data-state", COLOURS[sink.state]);
		setText(cell.firstChild, sink.state);
	}

	update(journal, destinations) {
		for (const id of ["durability", "durability-link"])
			$(id).hidden = !journal;
		if (!journal)
			return;
		const of = (name) => this.rates.of(`durable ${name}`);
		const add = (key) => destinations.reduce((sum, d) => sum + (d[key] || 0), 0);
		const used = journal.segments_bytes / journal.max_bytes, parked = add("parked");
		const isOk = journal.state === "OK";
		this.tiles.set("journal", "Journal", journal.state, "", isOk ? `${count(journal.failures)} failures` : journal.failure || "", isOk ? null : "bad");
		this.tiles.set("durable", "Made durable", short(of("records")), "/s", `${count(journal.records)} in all`);
		this.tiles.set("sync", "A sync", of("syncs") ? time(of("sync_ns") / of("syncs") / 1e3) : "–", "", `at most ${time(journal.sync_us.max)}`, journal.sync_us.max > 1e6 ? "warn" : null);
		this.tiles.set("undelivered", "Undelivered", short(journal.undelivered), "", `${count(add("in_flight"))} in flight`);
		this.tiles.set("parked", "On disk only", short(parked), "", `${count(parked)} messages`);
		this.tiles.set("disk", "Journal in use", percent(used), "", `of ${bytes(journal.max_bytes)}`, used > 0.8 ? "bad" : null);
		this.tiles.set("free", "Disk free", journal.disk ? bytes(journal.disk.free_bytes) : "–", "", journal.disk ? `of ${bytes(journal.disk.size_bytes)}` : "", journal.disk && journal.disk.free_bytes < journal.disk.size_bytes / 10 ? "bad" : null);
		this.tiles.set("publishers", "Publishers", short(journal.publishers), "", "sessions now");
		this.sinks.update(journal.sinks);
		const oldest = journal.oldest_s === null ? "no file yet" : `the oldest file is ${span(journal.oldest_s)} old`;
		setText($("durability-count"), oldest + (journal.holder ? `, kept by ${journal.holder}` : ""));
	}
}
