/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * What each key of the configuration file means, and whether a change of it needs a restart. In
 * the schema's order, section by section; bounds and defaults of numbers are the tables' of
 * schema.c, those of choices the schema's own.
 */

#include <string.h>

#include "config_internal.h"

#define LIVE	false
#define RESTART true

#define NAME	 "name"
#define ADDRESS	 "address"
#define PREFIXED "address/prefix"
#define CLASS	 "class"

const struct sl_config_key sl_config_keys[] = {
	{"node", NAME, "`sluice`", "", RESTART, "This appliance's name."},
	{"udp_port", NULL, NULL, NULL, RESTART,
		"Messages come in at this UDP port, and go out from it."},
	{"epoch", NULL, NULL, NULL, RESTART,
		"Stamped on every datagram sent; grows with every change of the active appliance."},
	{"ports", NULL, NULL, NULL, RESTART, "The network ports."},
	{"lcores", NULL, "chosen", "at most `RTE_MAX_LCORE` entries", RESTART,
		"What each lcore does. Empty: the application chooses."},
	{"dedup", NULL, NULL, NULL, RESTART, "The window of duplicates."},
	{"classes", NULL, "three", NULL, RESTART,
		"The priority classes: `high` (1), `medium` (2) and `low` (3) unless given."},
	{"destinations", NULL, NULL, NULL, LIVE, "Where messages can go."},
	{"rules", NULL, NULL, NULL, LIVE,
		"What sets a message's class. The first rule that matches does."},
	{"neighbours", NULL, NULL, NULL, LIVE,
		"Link-layer addresses that are given instead of asked for."},
	{"mbufs", NULL, NULL, NULL, RESTART,
		"Packet buffers of the pool; 0: chosen from queues, rings and descriptors. "
		"Anything else is at least 512."},
	{"drain_timeout_ms", NULL, NULL, NULL, LIVE,
		"How long SIGTERM or SIGINT lets the queues drain."},
	{"idle", NULL, NULL, NULL, RESTART, "What an lcore with nothing to do does."},
	{"rings", NULL, NULL, NULL, RESTART, "The rings between lcores."},
	{"arp", NULL, NULL, NULL, RESTART,
		"How neighbours are asked for, with ARP or with neighbour discovery."},
	{"health", NULL, NULL, NULL, LIVE,
		"How backends are checked, unless their destination says something else."},
	{"journal", NULL, NULL, NULL, RESTART,
		"What makes messages durable. Without it no destination can be `at-least-once`."},
	{"publishers", NULL, NULL, NULL, RESTART, "Those who send in sessions."},
	{"sinks", NULL, NULL, NULL, RESTART, "Databases that trail the journal."},
	{"gateways", NULL, NULL, NULL, RESTART,
		"Where clients on sockets of the kernel come in: TCP, WebSocket, HTTP. docs/gateways.md has what they speak."},
	{"subscriptions", NULL, NULL, NULL, LIVE,
		"Subscribers that come and go while the packet path runs."},
	{"log", NULL, NULL, NULL, LIVE, "Where log lines go, and which."},
	{"events", NULL, NULL, NULL, LIVE, "Who is told of events."},
	{"control", NULL, NULL, NULL, LIVE, "The socket of sluicectl."},
	{"http", NULL, NULL, NULL, LIVE, "Metrics, the read-only API and the live page."},
	{"limits", NULL, NULL, NULL, RESTART, "Room for what is added while the packet path runs."},

	{"ports.name", NAME, NULL, "", RESTART, "The port's name in statistics and messages."},
	{"ports.device", NAME, NULL, "", RESTART,
		"The ethdev's name (`net_af_packet0`, `net_memif1`), or a NIC's PCI address. "
		"Each port has its own."},
	{"ports.address", PREFIXED, "none", "IPv4, prefix 0 to 32", RESTART,
		"The port's own IPv4 address with its subnet's prefix length: `10.77.0.1/24`. "
		"A port needs this or `address6`."},
	{"ports.gateway", ADDRESS, "none", "on the port's subnet", RESTART,
		"The router to IPv4 backends that are on no port's subnet."},
	{"ports.address6", PREFIXED, "none", "IPv6, prefix 0 to 128", RESTART,
		"The port's own IPv6 address likewise: `\"fd00:77::1/64\"`. Global or unique "
		"local; needs an `mtu` of 1280."},
	{"ports.gateway6", ADDRESS, "none", "on the port's subnet, or link-local", RESTART,
		"The router to IPv6 backends that are on no port's subnet. One that is link-local "
		"(`fe80::1`) is that of this port's link."},
	{"ports.vlan", NULL, NULL, NULL, RESTART, "802.1Q VLAN that the port is in; 0: untagged."},
	{"ports.mtu", NULL, NULL, NULL, RESTART, "Longest IP packet, in bytes."},
	{"ports.rx_descriptors", NULL, NULL, NULL, RESTART,
		"Of each receive queue; fitted to what the device can do."},
	{"ports.tx_descriptors", NULL, NULL, NULL, RESTART, "Of each send queue; fitted likewise."},
	{"ports.check_udp_checksum", NULL, "`true`", NULL, RESTART,
		"Drop datagrams whose UDP checksum is wrong. One of 0 (none) is always taken "
		"over IPv4."},
	{"ports.send_udp_checksum", NULL, "`true`", NULL, RESTART,
		"Send UDP checksums over IPv4; `false` sends 0 (none). IPv6 always has them."},

	{"lcores.lcore", NULL, NULL, "0 to `RTE_MAX_LCORE` - 1", RESTART,
		"One that EAL was started with, each at most once."},
	{"lcores.roles", NULL, NULL, NULL, RESTART,
		"`rx` receives and parses; `worker` owns a share of the destinations, and "
		"sends. One lcore can do both; each role is needed."},

	{"dedup.window_ms", NULL, NULL, NULL, RESTART,
		"A message seen again within this time is a duplicate."},
	{"dedup.capacity", NULL, NULL, NULL, RESTART,
		"Messages remembered, of all workers together; about 50 bytes each. When more "
		"come within the window, the oldest are forgotten early, and counted."},

	{"classes.level", NULL, NULL, NULL, RESTART, "1 is served first. Each level at most once."},
	{"classes.name", NAME, NULL, "", RESTART,
		"What rules and statistics call it; not a number."},
	{"classes.min_share_percent", NULL, NULL, NULL, LIVE,
		"What the class gets at least of what a congested destination sends. All "
		"classes together: at most 100."},
	{"classes.max_wait_ms", NULL, NULL, NULL, LIVE,
		"A message that has waited so long is dropped (`max_wait`), so that none is "
		"delivered later; 0: no maximum. What keeps a class moving is its share."},

	{"destinations.name", NAME, NULL, "", LIVE, "What sources put into a message, as its key."},
	{"destinations.kind", NULL, "`queue`", NULL, RESTART,
		"`queue`: each message goes to one backend. `topic`: to all of them, its "
		"subscribers. A destination that is added may have either."},
	{"destinations.class_boost", NULL, NULL, NULL, LIVE,
		"Its messages are served so many classes better than they ask for."},
	{"destinations.default_class", CLASS, "the middle one", "a configured one", LIVE,
		"Class of messages with priority 0. The middle of n classes is the ((n - 1) / "
		"2 + 1)-th, of four the second."},
	{"destinations.queue_capacity", NULL, NULL, NULL, LIVE,
		"Messages that may wait, for each subscriber of a topic; more are dropped, the "
		"lowest class first, and counted."},
	{"destinations.rate_msgs_per_s", NULL, NULL, NULL, LIVE,
		"The destination sends no more messages a second; 0: no limit."},
	{"destinations.burst_msgs", NULL, "chosen", NULL, LIVE,
		"Messages that a rate limit lets go at once, its backends' limits too. Chosen: "
		"a hundredth of the highest `rate_msgs_per_s` of the destination and its "
		"backends, at least 32."},
	{"destinations.policy", NULL, "`round-robin`", NULL, LIVE,
		"How a backend is chosen among those that have room. Not of a topic: there "
		"nobody is chosen."},
	{"destinations.partitions", NULL, NULL, NULL, RESTART,
		"Splits a hot destination by source, so that several workers share it. A "
		"destination that is added may have any number."},
	{"destinations.guarantee", NULL, "`at-most-once`", NULL, RESTART,
		"`at-least-once`: what is acknowledged is in the journal, and sent until its "
		"backend acknowledges it. Needs `journal`. A destination that is added may have "
		"either."},
	{"destinations.in_flight", NULL, NULL, NULL, RESTART,
		"At-least-once: messages that a backend has not acknowledged yet, for each "
		"worker; a power of 2. A destination that is added may have any number."},
	{"destinations.max_attempts", NULL, NULL, NULL, LIVE,
		"At-least-once: sent so often in all since the last start, a message is given up; "
		"0: never."},
	{"destinations.requeue_after_ms", NULL, NULL, NULL, LIVE,
		"At-least-once: what a backend has not acknowledged goes to another, when it has "
		"acknowledged nothing at all for so long, or got no more for so long."},
	{"destinations.dead_letter", NAME, "`none`", "an at-least-once destination", LIVE,
		"At-least-once: the destination that gets what is given up; with `max_attempts`. "
		"It is another, and has none itself."},
	{"destinations.backends", NULL, NULL, NULL, LIVE,
		"Where its messages go, at most 256 of a queue. With none they wait in the queue; "
		"a topic's go nowhere."},
	{"destinations.health", NULL, "the file's", NULL, LIVE,
		"How its backends are checked: the keys of `health`, each of them over the "
		"file's. A list of `checks` replaces the file's, an empty one, too."},

	{"destinations.backends.name", NAME, NULL, "", LIVE,
		"The backend's name, unique within the destination."},
	{"destinations.backends.address", ADDRESS, NULL, "", LIVE,
		"Of either family; not a port's own."},
	{"destinations.backends.port", NULL, NULL, NULL, LIVE,
		"UDP port that the backend listens at."},
	{"destinations.backends.weight", NULL, NULL, NULL, LIVE,
		"Its share with `weighted-round-robin`. Not of a topic's."},
	{"destinations.backends.rate_msgs_per_s", NULL, NULL, NULL, LIVE,
		"The backend gets no more messages a second; 0: no limit."},
	{"destinations.backends.state", NULL, "`ready`", NULL, LIVE,
		"`drain`: it finishes what it has and takes nothing new, checks go on; "
		"`maintenance`: it takes nothing and is not checked."},

	{"rules.source", NAME, "any", "", LIVE, "The message's source."},
	{"rules.destination", NAME, "any", "a configured one", LIVE, "Its destination."},
	{"rules.type", NAME, "any", "", LIVE, "Its type."},
	{"rules.priority", NULL, "any", NULL, LIVE, "The class that it asks for."},
	{"rules.class", CLASS, NULL, "a configured one", LIVE, "The class that it gets."},

	{"neighbours.address", ADDRESS, NULL, "on a port's subnet, or a gateway's", LIVE,
		"A neighbour that is not asked for; each at most once."},
	{"neighbours.mac", "MAC address", NULL, "unicast", LIVE,
		"Its link-layer address, `\"02:00:00:00:00:0b\"`."},

	{"idle.nap", NULL, "`auto`", NULL, RESTART,
		"`on`: an idle lcore naps; `off`: it polls on; `auto`: it naps unless a port "
		"is a physical NIC."},
	{"idle.nap_us", NULL, NULL, NULL, RESTART, "Length of one nap, in microseconds."},

	{"rings.size", NULL, NULL, NULL, RESTART,
		"Messages between one receiving lcore and one worker; a power of 2."},

	{"arp.reachable_ms", NULL, NULL, NULL, RESTART, "An answer is believed for so long."},
	{"arp.retry_ms", NULL, NULL, NULL, RESTART, "Between the first tries; doubles with each."},
	{"arp.retry_max_ms", NULL, NULL, NULL, RESTART,
		"Where the doubling ends; at least `retry_ms`."},
	{"arp.max_tries", NULL, NULL, NULL, RESTART,
		"Unanswered tries until the neighbour counts as gone. It is asked again from "
		"time to time."},

	{"health.interval_ms", NULL, NULL, NULL, LIVE, "Between two checks of a backend."},
	{"health.fast_interval_ms", NULL, "`interval_ms`", NULL, LIVE,
		"The same while its state is changing."},
	{"health.down_interval_ms", NULL, "`interval_ms`", NULL, LIVE,
		"The same while it is down."},
	{"health.timeout_ms", NULL, NULL, NULL, LIVE,
		"A check that has no answer after this time has failed."},
	{"health.rise", NULL, NULL, NULL, LIVE, "Successes in a row that bring a backend up."},
	{"health.fall", NULL, NULL, NULL, LIVE, "Failures in a row that bring it down."},
	{"health.notify_after", NULL, NULL, NULL, LIVE,
		"Failures in a row that are worth an event; the recovery is worth another."},
	{"health.slow_start_ms", NULL, NULL, NULL, LIVE, "From up to its full weight; 0: at once."},
	{"health.panic_threshold_percent", NULL, NULL, NULL, LIVE,
		"With fewer of a destination's backends up, all of them are used, up or not; "
		"0: never."},
	{"health.checks", NULL, NULL, NULL, LIVE,
		"All of them have to succeed. With none, the backends count as up."},

	{"health.checks.kind", NULL, NULL, NULL, LIVE,
		"`probe`: a Probe through the packet path; `icmp`: an echo request through it; "
		"`udp`, `tcp`, `http`: from a kernel socket; `exec`: a command, whose exit "
		"code 0 is success."},
	{"health.checks.address", ADDRESS, "the backend's", "", LIVE,
		"`udp`, `tcp`, `http`: whom to ask, for instance at an address of management."},
	{"health.checks.port", NULL, "the backend's", NULL, LIVE,
		"`udp`, `tcp`, `http`: at which port."},
	{"health.checks.path", "text", "`/`", "1 to 1024 bytes", LIVE,
		"`http`: the path that is got."},
	{"health.checks.host", "text", "the address", "1 to 255 bytes", LIVE,
		"`http`: the Host header."},
	{"health.checks.status", "number or range", "200-399", "100 to 599", LIVE,
		"`http`: the status that is expected, `200` or `200-299`."},
	{"health.checks.body", "text", "any", "1 to 1024 bytes", LIVE,
		"`http`: a text that the body has to contain."},
	{"health.checks.send", "text", "nothing", "1 to 1024 bytes", LIVE,
		"`udp`, `tcp`: what is sent; `\"\\r\\n\"` in double quotes is a line's end. "
		"`udp` sends an empty datagram without it."},
	{"health.checks.expect", "text", "any", "1 to 1024 bytes", LIVE,
		"`udp`, `tcp`: what the answer has to begin with. `tcp` is content with the "
		"connection without it."},
	{"health.checks.argv", "list of texts", "none", "1 to 64 entries", LIVE,
		"`exec`: the command and its arguments; no shell. It begins with an absolute "
		"path."},

	{"journal.directory", "path", NULL, "absolute", RESTART,
		"Where its files are. It is made when it is not there; one appliance uses it at a "
		"time."},
	{"journal.segment_bytes", "size", NULL, NULL, RESTART, "Of one file; a power of 2."},
	{"journal.ring_bytes", "size", NULL, NULL, RESTART,
		"Memory of each worker for what is not durable yet; a power of 2."},
	{"journal.max_bytes", "size", NULL, NULL, RESTART,
		"Of all files. When they need more, nothing new becomes durable or is "
		"acknowledged. At least 4 segments for each worker."},
	{"journal.retention_bytes", "size", "half of `max_bytes`", "0 to `max_bytes`", LIVE,
		"What nobody needs any more is deleted from the oldest on when there is more."},
	{"journal.retention", "time", NULL, NULL, LIVE,
		"The same when it is older; 0: as soon as nobody needs it. Less than the window of "
		"`dedup`, and duplicates of what was delivered before a restart pass."},
	{"journal.commit_interval_us", NULL, NULL, NULL, RESTART,
		"Between two syncs at least: fewer and larger ones, later acknowledgements; 0: at "
		"once."},
	{"journal.direct", NULL, "`true`", NULL, RESTART,
		"`false`: through the page cache. Synced either way."},
	{"journal.parked_capacity", NULL, NULL, NULL, RESTART,
		"Messages that may wait on disk only, of all workers; 10 bytes of memory each."},
	{"journal.cpu", NULL, "any", NULL, RESTART, "The CPU of its thread."},

	{"publishers.sessions_max", NULL, NULL, NULL, RESTART, "Sessions at a time."},
	{"publishers.sessions_per_address_max", NULL, NULL, NULL, RESTART,
		"The same from one address, at each lcore that receives."},
	{"publishers.window", NULL, NULL, NULL, RESTART,
		"Messages that a session may have on their way at most; a power of 2."},
	{"publishers.window_per_address", NULL, NULL, NULL, RESTART,
		"The same of all sessions of one address together, each of which has an equal part; "
		"0: no limit."},
	{"publishers.rate_msgs_per_s", NULL, NULL, NULL, RESTART,
		"Messages a second from one address, all its sessions together, at each lcore that "
		"receives; 0: no limit."},
	{"publishers.idle_ms", NULL, NULL, NULL, RESTART,
		"A session that is silent for so long is forgotten."},

	{"sinks.name", NAME, NULL, "", RESTART, "The sink's name in statistics and messages."},
	{"sinks.kind", NULL, NULL, NULL, RESTART, "What it is."},
	{"sinks.path", "path", "none", "absolute", RESTART,
		"`sqlite`: the file; required. Each sink has its own."},
	{"sinks.conninfo", "text", "none", "1 to 2048 bytes", RESTART,
		"`postgresql`: libpq's connection string, `host=db dbname=sluice user=sluice`; "
		"required. Without a password: name a `passfile`."},
	{"sinks.batch_messages", NULL, NULL, NULL, RESTART,
		"Rows of one transaction at most, while it keeps up."},
	{"sinks.batch_ms", NULL, NULL, NULL, RESTART,
		"A message waits so long for the others of its transaction at most."},
	{"sinks.writers", NULL, NULL, NULL, RESTART, "`postgresql`: connections."},
	{"sinks.keep_days", NULL, NULL, NULL, RESTART,
		"`postgresql`: partitions of older days are dropped; 0: none."},

	{"gateways.threads", NULL, NULL, NULL, RESTART,
		"That serve the clients. Each stands in the packet path as one more port."},
	{"gateways.topic_idle_ms", NULL, NULL, NULL, LIVE,
		"A topic that was made because a client asked goes when it has had no subscriber, "
		"nor a message, for so long; 0: never. Rooms that are there from the start stay."},
	{"gateways.listeners", NULL, NULL, NULL, RESTART, "Ports that clients connect to."},
	{"gateways.connectors", NULL, NULL, NULL, RESTART,
		"Servers of newline-delimited JSON that the appliance connects to."},

	{"gateways.listeners.name", NAME, NULL, "", RESTART,
		"Its name in statistics and messages; unique among listeners and connectors."},
	{"gateways.listeners.protocol", NULL, NULL, NULL, RESTART,
		"`json`: newline-delimited JSON; `line`: `PUBLISH|topic|payload` and the like; "
		"`rooms`: chat rooms over WebSocket; `http`: requests and server-sent events."},
	{"gateways.listeners.address", ADDRESS, "`\"::\"`", "", RESTART,
		"Where it listens; `0.0.0.0` or `\"::\"` is every address."},
	{"gateways.listeners.port", NULL, "9000, 8080, 8081, 8082", NULL, RESTART,
		"The TCP port; the defaults are those of `json`, `line`, `rooms` and `http`."},
	{"gateways.listeners.tls_certificate", "path", "none", "absolute", RESTART,
		"A certificate with its chain, in PEM, for TLS; with `tls_key`."},
	{"gateways.listeners.tls_key", "path", "none", "absolute", RESTART, "Its key, in PEM."},
	{"gateways.listeners.tokens", "path", "none", "absolute", RESTART,
		"`rooms`, `http`: a file of bearer tokens, one a line, each with a name behind "
		"it. Without it anybody is let in."},
	{"gateways.listeners.clients_max", NULL, NULL, NULL, LIVE, "Clients at a time."},
	{"gateways.listeners.clients_per_address_max", NULL, "`clients_max`", NULL, LIVE,
		"The same from one address."},
	{"gateways.listeners.idle_ms", NULL, NULL, NULL, LIVE,
		"A client that is silent for so long is closed; 0: none is."},
	{"gateways.listeners.input_max", "size", NULL, NULL, LIVE, "Of one line, frame or body."},
	{"gateways.listeners.output_max", "size", NULL, NULL, LIVE,
		"What may wait for one client; more is dropped, and counted."},
	{"gateways.listeners.rate_msgs_per_s", NULL, NULL, NULL, LIVE,
		"Messages a second of one client; 0: no limit."},
	{"gateways.listeners.keep_open", NULL, "`false`", NULL, RESTART,
		"`line`: a publisher's connection stays open behind its message."},
	{"gateways.listeners.prefix", "text", "none", "1 to 32 bytes", RESTART,
		"`line`, `rooms`: in front of the names of its topics."},
	{"gateways.listeners.topics_max", NULL, NULL, NULL, LIVE,
		"`line`, `rooms`: topics that are made because a client asks for them."},
	{"gateways.listeners.guarantee", NULL, "`at-most-once`", NULL, RESTART,
		"`line`, `rooms`: of the topics that are made."},
	{"gateways.listeners.rooms", NULL, NULL, NULL, RESTART,
		"`rooms`: those that are there from the start, `1` to this."},
	{"gateways.listeners.origins", "list of texts", "any", "0 to 64 entries", RESTART,
		"`rooms`, `http`: what browsers may have in the Origin header; where they are given, "
		"`http` tells browsers (CORS) that pages of these may read its answers."},
	{"gateways.listeners.replay", NULL, NULL, NULL, RESTART,
		"`http`: the latest events of a topic that are kept for streams that come back; 0: none."},
	{"gateways.listeners.replay_ms", NULL, NULL, NULL, RESTART,
		"`http`: how long they are kept when a topic has no stream."},
	{"gateways.listeners.primary", "HOST:PORT", "none", "", RESTART,
		"`line`: the broker that this appliance is the backup of."},

	{"gateways.connectors.name", NAME, NULL, "", RESTART,
		"Its name in statistics and messages; unique among listeners and connectors."},
	{"gateways.connectors.servers", "list of HOST:PORT", NULL, "1 to 64 entries", RESTART,
		"Whom to connect to."},
	{"gateways.connectors.tls", NULL, "`false`", NULL, RESTART,
		"`true`: TLS; a server without a good certificate is not spoken to."},
	{"gateways.connectors.tls_ca", "path", "the system's", "absolute", RESTART,
		"The certificates that are trusted, in PEM."},
	{"gateways.connectors.tls_name", "text", "the server's host", "1 to 253 bytes", RESTART,
		"The name or address that the certificates have to be for."},
	{"gateways.connectors.input_max", "size", NULL, NULL, LIVE, "Of one line."},
	{"gateways.connectors.output_max", "size", NULL, NULL, LIVE,
		"What may wait for one server."},
	{"gateways.connectors.rate_msgs_per_s", NULL, NULL, NULL, LIVE,
		"Messages a second of one server; 0: no limit."},

	{"subscriptions.accept", NULL, "`false`", NULL, LIVE,
		"`true`: who sends a Subscribe datagram becomes a subscriber."},
	{"subscriptions.subscribers_max", NULL, NULL, NULL, LIVE,
		"Beside those of the file, and clients of gateways that are not durable; of all "
		"destinations."},
	{"subscriptions.ttl_max_ms", NULL, NULL, NULL, LIVE,
		"Longest time that a datagram may subscribe for."},

	{"log.target", NULL, "`stderr`", NULL, LIVE, "Where the lines go."},
	{"log.file", "path", "none", "absolute", LIVE,
		"With target `file`: which. It may be moved away while it is written to."},
	{"log.format", NULL, "`text`", NULL, LIVE, "Lines for people, or one JSON object a line."},
	{"log.level", NULL, "`info`", NULL, LIVE, "This level and more serious ones."},
	{"log.levels", NULL, NULL, NULL, LIVE, "The same for single modules."},
	{"log.lines_per_s", NULL, NULL, NULL, LIVE,
		"Lines a second of one module, at most; what is left out is counted."},

	{"log.levels.module", NAME, NULL, "", LIVE,
		"The module's name as log lines have it: `main`, `config`, `datapath`, "
		"`neighbour`, `health`, `event`, `control`, `http` or `journal`; each at most once."},
	{"log.levels.level", NULL, NULL, NULL, LIVE, "Its level."},

	{"events.exec", NULL, NULL, NULL, LIVE,
		"Commands that get each event as JSON on their standard input."},
	{"events.webhooks", NULL, NULL, NULL, LIVE, "URLs that each event is posted to as JSON."},
	{"events.queue", NULL, NULL, NULL, LIVE,
		"Events that may wait for commands and URLs; more are dropped, and counted."},

	{"events.exec.argv", "list of texts", NULL, "1 to 64 entries", LIVE,
		"The command and its arguments; no shell. It begins with an absolute path."},
	{"events.exec.timeout_ms", NULL, NULL, NULL, LIVE, "Then its process group is killed."},
	{"events.exec.level", NULL, "`notify`", NULL, LIVE,
		"Events of this level and more serious ones."},

	{"events.webhooks.url", "URL", NULL, "http or https, 1 to 2048 bytes", LIVE, "Where to."},
	{"events.webhooks.timeout_ms", NULL, NULL, NULL, LIVE, "Of one try."},
	{"events.webhooks.tries", NULL, NULL, NULL, LIVE,
		"Until the event is given up, and counted."},
	{"events.webhooks.level", NULL, "`notify`", NULL, LIVE,
		"Events of this level and more serious ones."},

	{"control.socket", "path", "`/run/sluice/control.sock`", "absolute, 1 to 107 bytes",
		RESTART, "A Unix socket; `none`: there is none."},
	{"control.group", NAME, "the process's", "", RESTART, "The group that may use it."},
	{"control.clients_max", NULL, NULL, NULL, LIVE, "Clients at a time."},

	{"http.enabled", NULL, "`true`", NULL, RESTART, "`false`: there is no listener."},
	{"http.address", ADDRESS, "127.0.0.1", "", RESTART,
		"Where it listens; `0.0.0.0` or `\"::\"` is every address."},
	{"http.port", NULL, NULL, NULL, RESTART, "The TCP port."},
	{"http.clients_max", NULL, NULL, NULL, LIVE, "Clients at a time."},
	{"http.timeout_ms", NULL, NULL, NULL, LIVE, "For a request and its answer."},
	{"http.metrics_destinations", NULL, NULL, NULL, LIVE,
		"Destinations with series of their own in `/metrics`; the others are added up."},

	{"limits.shards", NULL, NULL, NULL, RESTART,
		"Partitions of all destinations together; 0: twice what the file has, and 1024."},
	{"limits.backends", NULL, NULL, NULL, RESTART,
		"Backends of all destinations together; 0: likewise."},
	{"limits.copies", NULL, NULL, NULL, RESTART,
		"Messages on their way to subscribers; 0: 65536 where there may be topics."},
	{NULL},
};

const struct sl_config_key *
sl_config_find_key(const char *path)
{
	static const char prefix[] = "destinations.health.";
	const struct sl_config_key *key = sl_config_keys;

	if (strncmp(path, prefix, strlen(prefix)) == 0)
		path += strlen("destinations.");
	while (key->path != NULL && strcmp(key->path, path) != 0)
		key++;
	return key->path != NULL ? key : NULL;
}
