// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// The graph of nodes as a picture: layers from the sources on, one part of it after the other.

import { svg } from "./charts.js";

const BOX_W = 112, BOX_H = 46, GAP_X = 22, GAP_Y = 12;

/** The edges of a graph in Graphviz's language, without the drops: [[from, to]...]. */
export function parse(dot) {
	const edges = [], names = new Set();
	for (const [, from, to] of dot.matchAll(/"([^"]+)"\s*->\s*"([^"]+)"/g)) {
		if (from.startsWith("drop_") || to.startsWith("drop_"))
			continue;
		edges.push([from, to]);
		names.add(from).add(to);
	}
	return { names: [...names], edges };
}

/** Nodes that belong together, the sources' order kept. */
function components({ names, edges }) {
	const group = new Map(names.map((name) => [name, name]));
	const root = (name) => group.get(name) === name ? name : root(group.get(name));
	for (const [from, to] of edges)
		group.set(root(to), root(from));
	const found = new Map();
	for (const name of names)
		found.set(root(name), [...(found.get(root(name)) || []), name]);
	return [...found.values()];
}

/** The longest way from a source to each node; an edge that leads back is not followed. */
function layersOf(names, edges) {
	const next = new Map(names.map((name) => [name, []]));
	const targets = new Set();
	for (const [from, to] of edges) {
		if (next.has(from)) {
			next.get(from).push(to);
			targets.add(to);
		}
	}
	const depth = new Map(names.map((name) => [name, 0]));
	const visit = (name, way) => {
		for (const to of next.get(name)) {
			if (way.has(to) || depth.get(to) > way.size)
				continue;
			depth.set(to, Math.max(depth.get(to), way.size));
			visit(to, new Set([...way, to]));
		}
	};
	const sources = names.filter((name) => !targets.has(name));
	for (const source of sources.length ? sources : names.slice(0, 1))
		visit(source, new Set([source]));
	/* A source stands before what it feeds, however far that is. */
	for (const source of sources) {
		if (next.get(source).length)
			depth.set(source, Math.max(0, Math.min(...next.get(source).map((to) => depth.get(to))) - 1));
	}
	const layers = [];
	for (const name of names)
		(layers[depth.get(name)] ||= []).push(name);
	return layers.filter(Boolean);
}

export class Graph {
	constructor(root) {
		this.root = root;
		this.graph = { names: [], edges: [] };
		this.width = 0;
		this.boxes = new Map();
		new ResizeObserver(() => {
			if (root.parentElement.clientWidth !== this.width)
				this.layout();
		}).observe(root.parentElement);
	}

	set(dot) {
		if (dot === this.dot)
			return;
		this.dot = dot;
		this.graph = parse(dot);
		this.layout();
	}

	/** Left to right where there is room for it, top to bottom where there is not. */
	layout() {
		this.width = this.root.parentElement.clientWidth;
		if (!this.width)
			return;
		const isWide = this.width > 760;
		const parts = components(this.graph).map((names) => layersOf(names, this.graph.edges));
		const places = new Map();
		let at = 0, extent = 0;

		for (const layers of parts) {
			const breadth = Math.max(...layers.map((layer) => layer.length));
			const perRow = isWide ? Math.max(3, Math.floor((this.width + GAP_X) / (BOX_W + GAP_X))) : layers.length;
			for (let start = 0; start < layers.length; start += perRow) {
				const row = layers.slice(start, start + perRow);
				row.forEach((layer, i) => layer.forEach((name, j) => {
					const across = j + (breadth - layer.length) / 2;
					places.set(name, isWide
						? [i * (BOX_W + GAP_X), at + across * (BOX_H + GAP_Y)]
						: [across * (BOX_W + GAP_Y), at + i * (BOX_H + GAP_X)]);
				}));
				extent = Math.max(extent, isWide ? row.length * (BOX_W + GAP_X) - GAP_X : breadth * (BOX_W + GAP_Y) - GAP_Y);
				at += isWide ? breadth * (BOX_H + GAP_Y) + 10 : row.length * (BOX_H + GAP_X) + 10;
			}
		}
		this.paint(places, extent, at, isWide);
	}

	paint(places, width, height, isWide) {
		const marker = svg("marker", { id: "tip", viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 6, markerHeight: 6, orient: "auto" },
			svg("path", { d: "M0 0L6 3L0 6z" }));
		const lines = this.graph.edges.map(([from, to]) => {
			const [fx, fy] = places.get(from), [tx, ty] = places.get(to);
			const isAhead = isWide ? tx > fx : ty > fy;
			const a = isWide && isAhead ? [fx + BOX_W, fy + BOX_H / 2] : [fx + BOX_W / 2, fy + BOX_H];
			const b = isWide && isAhead ? [tx, ty + BOX_H / 2] : [tx + BOX_W / 2, ty];
			const bend = isWide && isAhead ? [(b[0] - a[0]) / 2, 0] : [0, (b[1] - a[1]) / 2];
			return svg("path", { d: `M${a}C${a[0] + bend[0]} ${a[1] + bend[1]} ${b[0] - bend[0]} ${b[1] - bend[1]} ${b}`, "marker-end": "url(#tip)" });
		});
		this.boxes.clear();
		for (const [name, [x, y]] of places) {
			const rect = svg("rect", { width: BOX_W, height: BOX_H, rx: 7 });
			const label = svg("text", { x: 9, y: 19 }, name.length > 16 ? name.slice(0, 15) + "…" : name);
			const value = svg("text", { x: 9, y: 36, class: "sub" }, "–");
			this.boxes.set(name, { rect, value, box: svg("g", { transform: `translate(${x} ${y})`, "data-node": name }, svg("title", {}, name), rect, label, value) });
		}
		this.root.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Nodes of the graph and where each hands on to; the table below has the figures" },
			svg("defs", {}, marker), ...lines, ...[...this.boxes.values()].map((b) => b.box)));
		if (this.last)
			this.update(this.last);
	}

	/** @param nodes [{name, text, share}] */
	update(nodes) {
		this.last = nodes;
		for (const { name, text, share, isOff } of nodes) {
			const box = this.boxes.get(name);
			if (!box)
				continue;
			box.value.textContent = text;
			box.box.setAttribute("class", isOff ? "off" : "");
			box.rect.style.fill = `color-mix(in srgb, var(--c1) ${Math.round(Math.min(0.75, share * 1.6) * 100)}%, var(--soft))`;
		}
	}
}
