// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Sluice authors
//
// The panel of topics and gateways; not there when there are none.

import { count, short } from "./format.js";
import { element, setAttribute, setText, Table } from "./table.js";

const $ = (id) => document.getElementById(id);
const number = (title, value, className = "num") => ({ title, className, value, text: (row) => short(value(row)) });

/* Gateways, connectors and each of the servers they connect to, as rows of one table. */
function gatewayRows({ gateways, connectors }) {
	const refused = (g) => Object.values(g.reasons || {}).reduce((sum, n) => sum + n, 0);
	const row = (g, where, isUp) => ({ ...g, where, isUp, refused: refused(g) });
	return [...gateways.map((g) => row(g, `port ${g.port}${g.is_tls ? ", TLS" : ""}`, true)),
		...connectors.flatMap((g) => {
			const up = g.servers.filter((s) => s.state === "connected").length;
			return [row(g, `${up} of ${g.servers.length} connected`, up === g.servers.length),
				...g.servers.map((s) => ({ ...s, name: `${g.name} ${s.server}`, protocol: g.protocol, where: s.state, isUp: s.state === "connected",
					clients: null, delivered: null, title: s.last_error || null }))];
		})];
}

/* What rates are of: "gateway NAME", a connector's server as "NAME HOST:PORT". */
export function gatewayCounters(ingress) {
	return gatewayRows(ingress).map((g) => [`gateway ${g.name}`, g.accepted]);
}

export class Messaging {
	/** @param rates of "destination NAME", which topics are, too, and of gatewayCounters() */
	constructor(rates) {
		this.topics = new Table($("topics-table"), [
			{ title: "Topic", isName: true, value: (t) => t.name, text: (t) => t.name },
			number("Subscribers", (t) => t.subscribers),
			number("Joined", (t) => t.dynamic + t.gateway),
			number("Copies/s", (t) => rates.of(`destination ${t.name}`) ?? 0),
			number("Queued", (t) => t.queued),
			number("Dropped", (t) => t.subscribers_dropped),
		], { caption: "Topics", key: (t) => t.name, more: $("topics-more"), none: "There are no topics.", search: (t) => t.name, find: $("topics-find") });
		this.gateways = new Table($("gateways-table"), [
			{ title: "Gateway", isName: true, value: (g) => g.name, text: (g) => g.name },
			{ title: "Protocol", value: (g) => g.protocol, text: (g) => g.protocol },
			{ title: "Where", value: (g) => g.where, fill: (cell, g) => this.fillWhere(cell, g) },
			number("Clients", (g) => g.clients),
			number("Taken in", (g) => g.accepted),
			number("In/s", (g) => rates.of(`gateway ${g.name}`)),
			number("Delivered", (g) => g.delivered),
			number("Refused", (g) => g.refused),
		], { caption: "Gateways", key: (g) => g.name, more: $("gateways-more"), none: "No gateways are configured.", tone: (g) => g.isUp ? null : "bad" });
	}

	fillWhere(cell, gateway) {
		if (!cell.firstChild)
			cell.append(element("span"));
		setAttribute(cell, "title", gateway.title || null);
		setText(cell.firstChild, gateway.where);
	}

	update(topics, ingress) {
		const rows = gatewayRows(ingress), isThere = topics.length + rows.length > 0;
		for (const id of ["messaging", "messaging-link"])
			$(id).hidden = !isThere;
		if (!isThere)
			return;
		this.topics.update(topics);
		this.gateways.update(rows);
		const subscribers = topics.reduce((sum, t) => sum + t.subscribers, 0), clients = rows.reduce((sum, g) => sum + (g.clients || 0), 0);
		setText($("messaging-count"), `${count(topics.length)} topics, ${count(subscribers)} subscribers, ${count(clients)} clients`);
	}
}
