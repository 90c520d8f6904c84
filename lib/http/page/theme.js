// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// Before the first paint: the colour scheme chosen last time.
"use strict";
(function () {
	let chosen = null;
	try {
		chosen = localStorage.getItem("sluice-theme");
	} catch (e) {
		// Storage may be forbidden; then the system's scheme it is.
	}
	if (chosen === "dark" || chosen === "light")
		document.documentElement.dataset.theme = chosen;
})();
