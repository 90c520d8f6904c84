// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// Figures as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 1,234,567: exactly what the API says. */
export const count = (n) => whole.format(n);

/** Three digits that count, and a unit. */
function scaled(n, units, step) {
	let i = 0;
	while (Math.abs(n) >= step * 0.9995 && i < units.length - 1) {
		n /= step;
		i++;
	}
	const digits = n === 0 || Math.abs(n) >= 99.95 || (i === 0 && Number.isInteger(n)) ? 0
		: Math.abs(n) >= 9.995 ? 1 : 2;
	return n.toFixed(digits) + units[i];
}

/** 1.23 M */
export const short = (n) => n === null ? "–" : scaled(n, ["", " k", " M", " G", " T"], 1000);

/** 1.23 µs; from microseconds */
export const time = (us) => us === null ? "–"
	: us < 1e3 ? scaled(us, [" µs"], 1e3)
	: us < 1e6 ? scaled(us / 1e3, [" ms"], 1e3) : scaled(us / 1e6, [" s"], 1e3);

/** 12.3 % */
export const percent = (share) => share === null ? "–" : (share * 100).toFixed(share < 0.0995 ? 1 : 0) + " %";

/** 3 d 4 h, 5 min 6 s */
export function span(s) {
	const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
	const first = Math.max(0, parts.findIndex(([size]) => s >= size));
	return parts.slice(s < 1 ? 3 : first, (s < 1 ? 3 : first) + 2).map(([size, unit], i, chosen) => {
		const n = Math.floor((i ? s % chosen[i - 1][0] : s) / size);
		return `${n} ${unit}`;
	}).join(" ");
}
