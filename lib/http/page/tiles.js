// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// Figures that stand out.

import { element, setAttribute, setText } from "./table.js";

export class Tiles {
	constructor(list) {
		this.list = list;
		this.made = new Map();
	}

	make(name, title) {
		const made = element("div", { "data-tile": name }, element("dt", {}, title), element("dd", { class: "big" }, element("span"), element("small")),
			element("dd", { class: "small" }));
		this.made.set(name, made);
		this.list.append(made);
		return made;
	}

	/** @param tone "bad", "warn" or null */
	set(name, title, big, unit, small, tone) {
		const node = this.made.get(name) || this.make(name, title);
		setText(node.querySelector(".big span"), big);
		setText(node.querySelector(".big small"), unit);
		setText(node.querySelector(".small"), small);
		setAttribute(node, "data-tone", tone);
	}
}
