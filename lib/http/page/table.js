// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// A table that is sorted by its headers, searched, and changed in place.

const LIMIT = 200;

export function element(name, attributes = {}, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(attributes))
		made.setAttribute(key, value);
	made.append(...children);
	return made;
}

/** Set only what has changed: selections and focus stay. */
export function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

export function setAttribute(node, name, value) {
	if (value === null || value === undefined)
		node.removeAttribute(name);
	else if (node.getAttribute(name) !== String(value))
		node.setAttribute(name, value);
}

const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b
	: String(a).localeCompare(String(b), "en", { numeric: true });

/**
 * @param columns [{title, value(row) to sort by, text(row), fill(cell, row), className, isName}]
 * @param options {caption, key(row), tone(row), search(row), find: input, more: p, sort: [column, is descending]}
 */
export class Table {
	constructor(table, columns, options) {
		this.columns = columns;
		this.options = options;
		this.sort = options.sort || [0, false];
		this.rows = [];
		this.shown = new Map();
		this.heads = columns.map((column, i) => this.head(column, i));
		this.body = element("tbody");
		table.append(element("caption", { class: "sr" }, options.caption),
			element("thead", {}, element("tr", {}, ...this.heads)), this.body);
		if (options.find)
			options.find.addEventListener("input", () => this.draw());
		this.mark();
	}

	head(column, i) {
		const button = element("button", { type: "button" }, column.title);
		button.addEventListener("click", () => {
			const isSame = this.sort[0] === i;
			this.sort = [i, isSame ? !this.sort[1] : column.className === "num"];
			this.mark();
			this.draw();
		});
		return element("th", { scope: "col", class: column.className || "" }, button);
	}

	mark() {
		this.heads.forEach((head, i) => setAttribute(head, "aria-sort",
			i !== this.sort[0] ? "none" : this.sort[1] ? "descending" : "ascending"));
	}

	update(rows) {
		this.rows = rows;
		this.draw();
	}

	chosen() {
		const wanted = this.options.find ? this.options.find.value.trim().toLowerCase() : "";
		const rows = wanted ? this.rows.filter((row) => this.options.search(row).toLowerCase().includes(wanted))
			: this.rows.slice();
		const { value } = this.columns[this.sort[0]], sign = this.sort[1] ? -1 : 1;
		const key = this.options.key;
		return rows.sort((a, b) => sign * compare(value(a), value(b)) || compare(key(a), key(b)));
	}

	draw() {
		const rows = this.chosen(), { key, tone, more } = this.options;
		const shown = new Map();
		let before = this.body.firstChild;

		for (const row of rows.slice(0, LIMIT)) {
			const tr = this.shown.get(key(row)) || this.make();
			this.columns.forEach((column, i) => {
				if (column.fill)
					column.fill(tr.children[i], row);
				else
					setText(tr.children[i], column.text(row));
			});
			setAttribute(tr, "data-key", key(row));
			setAttribute(tr, "data-tone", tone ? tone(row) : null);
			if (tr === before)
				before = before.nextSibling;
			else
				this.body.insertBefore(tr, before);
			shown.set(key(row), tr);
		}
		for (const [id, tr] of this.shown) {
			if (!shown.has(id))
				tr.remove();
		}
		this.shown = shown;
		if (more)
			setText(more, rows.length > LIMIT ? `The first ${LIMIT} of ${rows.length}; search for others.`
				: this.rows.length && !rows.length ? "None of that kind." : this.options.none && !rows.length ? this.options.none : "");
	}

	make() {
		return element("tr", {}, ...this.columns.map((column) =>
			column.isName ? element("th", { scope: "row", class: column.className || "" })
				: element("td", { class: column.className || "" })));
	}
}
