// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// What two readings of a counter say about the time between them.

export const SPAN_S = 300;

/** Counters by name; a counter that went back was cleared, and says nothing until the next. */
export class Rates {
	constructor() {
		this.last = new Map();
		this.current = new Map();
	}

	/** Take a reading at `now` s. */
	read(now, counters) {
		this.current = new Map();
		const seen = new Map();
		for (const [name, value] of counters) {
			const before = this.last.get(name);
			const isKnown = before && value >= before[1] && now > before[0];
			this.current.set(name, isKnown ? (value - before[1]) / (now - before[0]) : null);
			seen.set(name, [now, value]);
		}
		this.last = seen;
	}

	/** A second, or null when it is not known. */
	of(name) {
		return this.current.get(name) ?? null;
	}
}

/** The values that shares of those counted between two histograms [[bound, count]...] do not exceed. */
export function quantiles(before, after, shares) {
	const known = new Map(before);
	const counts = after.map(([bound, count]) => [bound, count - (known.get(bound) || 0)]);
	if (counts.some(([, count]) => count < 0))
		return shares.map(() => null);
	const total = counts.reduce((sum, [, count]) => sum + count, 0);
	return shares.map((share) => {
		let seen = 0;
		for (const [bound, count] of counts) {
			seen += count;
			if (count && seen >= share * total)
				return bound;
		}
		return null;
	});
}

/** Points of the last five minutes. */
export class Points {
	constructor() {
		this.points = [];
	}

	add(now, value) {
		this.points.push([now, value]);
		while (this.points.length && this.points[0][0] < now - SPAN_S)
			this.points.shift();
	}

	/** The value `age` s before `now`. */
	at(now, age) {
		const found = this.points.findLast(([t]) => t <= now - age + 0.5);
		return found && now - age - found[0] < 3 ? found[1] : null;
	}

	values() {
		return this.points.map(([, value]) => value).filter((value) => value !== null);
	}

	max() {
		const values = this.values();
		return values.length ? Math.max(...values) : null;
	}

	mean() {
		const values = this.values();
		return values.length ? values.reduce((a, b) => a + b, 0) / values.length : null;
	}
}
