// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// Lines over the last minutes, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 52, RIGHT = 6, TOP = 8, BOTTOM = 20;
const SPAN_MIN = 60;

export function svg(name, attributes, ...children) {
	const element = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes))
		element.setAttribute(key, value);
	element.append(...children);
	return element;
}

/** A round number that is not below `value`. */
function ceiling(value) {
	const base = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 2.5, 5, 10].map((m) => m * base).find((top) => top >= value * 0.999);
}

const linear = {
	range: (values) => [0, values.length ? ceiling(Math.max(1, ...values)) : 1],
	place: (value, [, max]) => value / max,
	ticks: ([, max]) => [0, 0.25, 0.5, 0.75, 1].map((share) => share * max),
};

const log = {
	range(values) {
		const known = values.filter((v) => v > 0);
		if (!known.length)
			return [1, 1000];
		const low = 10 ** Math.floor(Math.log10(Math.min(...known)));
		return [low, Math.max(10 * low, 10 ** Math.ceil(Math.log10(Math.max(...known))))];
	},
	place: (value, [min, max]) => Math.log(Math.max(value, min) / min) / Math.log(max / min),
	ticks([min, max]) {
		const ticks = [];
		for (let tick = min; tick <= max * 1.001; tick *= 10)
			ticks.push(tick);
		return ticks;
	},
};

/**
 * A chart in `root`. `format` makes the labels; `onCursor(age)` is told which second the pointer is
 * over, or null.
 */
export class Chart {
	constructor(root, { isLog, format, spanMax, onCursor }) {
		this.root = root;
		this.scale = isLog ? log : linear;
		this.format = format;
		this.spanMax = spanMax;
		this.span = SPAN_MIN;
		this.cursor = null;
		this.series = [];
		this.now = 0;
		this.svg = svg("svg", { role: "img" });
		root.append(this.svg);
		const point = (event) => {
			const box = root.getBoundingClientRect();
			const share = (box.right - RIGHT - event.clientX) / (box.width - LEFT - RIGHT);
			this.cursor = share >= 0 && share <= 1 ? Math.round(share * this.span) : null;
			onCursor(this.cursor);
			this.draw();
		};
		root.addEventListener("pointermove", point);
		root.addEventListener("pointerleave", () => {
			this.cursor = null;
			onCursor(null);
			this.draw();
		});
		new ResizeObserver(() => this.draw()).observe(root);
	}

	/** @param series [{name, points: [[time s, value or null]...]}], @param now s, @param text what a screen reader says */
	update(series, now, text) {
		const first = Math.min(now, ...series.map((s) => s.points.length ? s.points[0][0] : now));
		this.series = series;
		this.now = now;
		/* Whole minutes, as many as there is something to be seen of. */
		this.span = Math.min(this.spanMax, Math.max(SPAN_MIN, Math.ceil((now - first) / 60) * 60));
		this.svg.setAttribute("aria-label", text);
		this.draw();
	}

	draw() {
		const width = this.root.clientWidth, height = this.root.clientHeight;
		if (!width || !height)
			return;
		const values = this.series.flatMap((s) => s.points.map((p) => p[1])).filter((v) => v !== null);
		const range = this.scale.range(values);
		const inner = width - LEFT - RIGHT, tall = height - TOP - BOTTOM;
		const x = (t) => LEFT + inner * (1 - (this.now - t) / this.span);
		const y = (v) => TOP + tall * (1 - this.scale.place(v, range));
		const parts = [];

		for (const tick of this.scale.ticks(range)) {
			const at = Math.round(y(tick)) + 0.5;
			parts.push(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
				svg("text", { x: LEFT - 8, y: at + 3.5, "text-anchor": "end" }, this.format(tick)));
		}
		const step = this.span === SPAN_MIN ? 20 : this.span > 180 && width < 460 ? 120 : 60;
		for (let age = 0; age <= this.span; age += step) {
			const label = age === 0 ? "now" : age < 60 ? `−${age} s` : `−${age / 60} min`;
			const anchor = age === 0 ? "end" : age === this.span ? "start" : "middle";
			parts.push(svg("text", { x: x(this.now - age), y: height - 4, "text-anchor": anchor }, label));
		}
		for (const series of this.series)
			parts.push(svg("path", { class: series.name, d: this.line(series.points, x, y) }));
		if (!values.length)
			parts.push(svg("text", { class: "none", x: LEFT + inner / 2, y: TOP + tall / 2, "text-anchor": "middle" }, "nothing yet"));
		if (this.cursor !== null) {
			const at = x(this.now - this.cursor);
			parts.push(svg("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: TOP + tall }));
		}
		this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		this.svg.replaceChildren(...parts);
	}

	/** Breaks where nothing is known: no line is drawn over a gap. */
	line(points, x, y) {
		let d = "", isDown = false, last = 0;
		for (const [t, value] of points) {
			if (value === null || this.now - t > this.span) {
				isDown = false;
				continue;
			}
			const isNew = !isDown || t - last > 5;
			d += `${isNew ? "M" : "L"}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
			isDown = true;
			last = t;
		}
		return d;
	}
}
