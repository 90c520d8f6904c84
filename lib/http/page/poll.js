// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// Asks the API each second; ever less often while nobody answers.

const EACH_MS = 1000, TIMEOUT_MS = 5000, BACK_OFF_MAX_MS = 15000;

/* Beyond so many rows, tables are asked for less often: reading them costs the appliance, too. */
const ROWS_MANY = 2000, EACH_MANY = 10;

async function get(path, signal) {
	const answer = await fetch(`api/v1/${path}`, { signal, cache: "no-store" });
	if (!answer.ok)
		throw new Error(`${path}: ${answer.status}`);
	return answer.json();
}

/** @param on {reading(data), live(), away(seconds until the next try), wait()} */
export class Poll {
	constructor(on) {
		this.on = on;
		this.isPaused = false;
		this.turn = 0;
		this.failures = 0;
		this.lastEvent = 0;
		this.tables = {};
		this.timer = null;
		this.isAsking = false;
		document.addEventListener("visibilitychange", () => this.soon(0));
		this.soon(0);
	}

	pause(isPaused) {
		this.isPaused = isPaused;
		this.soon(0);
	}

	soon(ms) {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.step(), ms);
	}

	async step() {
		if (this.isPaused || this.isAsking || document.hidden)
			return;
		this.isAsking = true;
		const begun = performance.now(), abort = new AbortController();
		const timeout = setTimeout(() => abort.abort(), TIMEOUT_MS);
		let wait;
		try {
			const reading = await this.ask(abort.signal);
			this.failures = 0;
			this.on.live();
			this.on.reading(reading);
			wait = Math.max(100, EACH_MS - (performance.now() - begun));
		} catch (error) {
			if (!(error instanceof Error) && !(error instanceof DOMException))
				throw error;
			this.failures++;
			this.turn = 0;
			wait = Math.min(BACK_OFF_MAX_MS, EACH_MS * 2 ** (this.failures - 1));
			this.on.away(Math.round(wait / 1000), error);
		} finally {
			clearTimeout(timeout);
			this.isAsking = false;
		}
		this.soon(wait);
	}

	async ask(signal) {
		const rows = Math.max(...Object.values(this.tables).map((table) => table.length || 0), 0);
		const isTurn = rows <= ROWS_MANY || this.turn % EACH_MANY === 0;
		const isFirst = this.turn === 0;
		this.turn++;
		const [live, ports, lcores, events, backends, destinations, topics, ingress] = await Promise.all([
			get("live", signal), get("ports", signal), get("lcores", signal),
			get(`events?after=${this.lastEvent}`, signal),
			isTurn ? get("backends", signal) : null, isTurn ? get("destinations", signal) : null,
			isTurn ? get("topics", signal) : null, isTurn ? get("ingress", signal) : null]);
		if (isTurn)
			this.tables = { backends, destinations, topics, ingress };
		/* A smaller number than the last: the appliance has been started again. */
		const graph = isFirst ? await get("graph", signal) : null;
		const isNew = this.started !== undefined && live.started !== this.started;
		if (isNew)
			this.lastEvent = 0;
		this.started = live.started;
		for (const event of isNew ? [] : events)
			this.lastEvent = Math.max(this.lastEvent, event.id);
		return { live, ports, lcores, events: isNew ? [] : events, graph, isNew, ...(isTurn ? this.tables : {}) };
	}
}
