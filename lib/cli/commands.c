/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include "commands.h"
#include "control.pb-c.h"
#include "sl_log.h"

#define EDIT(what, which)                                                                          \
	.action = SL_CLI_CHANGE, .operation = SLUICE__CONTROL__V1__EDIT__OPERATION__##what,        \
	.object = SLUICE__CONTROL__V1__EDIT__OBJECT__##which

#define MODULE(name) "|" #name

#define RATE_VALUE     ":uint(0..1000000000)=rate_msgs_per_s>"
#define POLICY_VALUE   ":round-robin|weighted-round-robin=policy>"
#define STATE_VALUE    ":ready|drain|maintenance=state>"
#define BOOST_VALUE    ":uint(0..7)=class_boost>"
#define CAPACITY_VALUE ":uint(1..16777216)=queue_capacity>"
#define BURST_VALUE    ":uint(1..16777216)=burst_msgs>"
#define WEIGHT_VALUE   ":uint(1..65535)=weight>"
#define ATTEMPTS_VALUE ":uint(0..65535)=max_attempts>"
#define REQUEUE_VALUE  ":uint(100..3600000)=requeue_after_ms>"
#define LETTER_VALUE   ":destination=dead_letter>"

#define JOURNAL_FILTER                                                                             \
	"destination <DESTINATION:destination>, source <SOURCE:name>, "                            \
	"only <WHICH:undelivered|all>, last <SECONDS:uint(1..3153600000)>, "                       \
	"limit <COUNT:uint(1..1000000000)>"

static const char show[] = "Show";
static const char change[] = "Change what runs";
static const char ask[] = "Follow messages";
static const char configuration[] = "Configuration file";
static const char run[] = "Run";
static const char session[] = "Session";

const struct sl_cli_command sl_cli_commands[] = {
	{show, "show stats", "The totals: frames, messages, duplicates, drops, latency by class",
		"received = delivered + duplicates + queued + the sum of dropped, at any moment.",
		"show stats", SL_CLI_SHOW, .view = "stats", .has_rates = true},
	{show, "show classes", "The priority classes: shares, what came through, latency", NULL,
		"show classes", SL_CLI_SHOW, .view = "classes", .has_rates = true},
	{show, "show destinations", "All destinations, one a line",
		"With rates this tells which destinations are busy now.",
		"show destinations rate 0.5", SL_CLI_SHOW, .view = "destinations",
		.has_rates = true},
	{show, "show destination <DESTINATION:destination>",
		"One destination: settings, counters, backends", NULL, "show destination table1",
		SL_CLI_SHOW, .view = "destination $DESTINATION", .has_rates = true},
	{show, "show backends [<DESTINATION:destination>]",
		"Backends of one destination or of all: state, share, what they got", NULL,
		"show backends table1", SL_CLI_SHOW, .view = "backends $DESTINATION",
		.has_rates = true},
	{show, "show health <DESTINATION:destination> <BACKEND:backend>",
		"A backend's state and the results of its last checks", NULL,
		"show health table1 kitchen1", SL_CLI_SHOW, .view = "health $DESTINATION $BACKEND"},
	{show, "show queues", "What waits, by destination and class: in memory, and on disk only",
		"parked: messages of at-least-once destinations that have left memory, and come "
		"back when it is their turn. in_flight: sent, and not acknowledged.",
		"show queues", SL_CLI_SHOW, .view = "queues"},
	{show, "show journal", "The journal: its state, what it holds, how fast it is",
		"undelivered: messages that no backend has acknowledged. holder: who needs the "
		"oldest file. sync_us: of the last minute.",
		"show journal", SL_CLI_SHOW, .view = "journal", .has_rates = true},
	{show, "show publishers", "Sessions of those who send, and what they may send still",
		"cumulative: all up to this sequence is durable. over_limit: messages that were "
		"not taken, because they were beyond the session's credit or rate.",
		"show publishers", SL_CLI_SHOW, .view = "publishers", .has_rates = true},
	{show, "show sessions [<DESTINATION:destination>]",
		"Sessions with backends, one for each worker: in flight, credit, round trips",
		"Only at-least-once destinations have them. is_stalled: the backend has "
		"acknowledged nothing for requeue_after_ms.",
		"show sessions table1", SL_CLI_SHOW, .view = "sessions $DESTINATION",
		.has_rates = true},
	{show, "show sinks", "Databases that trail the journal: state, how far behind, errors",
		NULL, "show sinks", SL_CLI_SHOW, .view = "sinks", .has_rates = true},
	{show, "show overview", "Rates, queues, databases, pools, rooms and users, in one reading",
		"Rates are of the time since the reading before, a second or more ago.",
		"show overview", SL_CLI_SHOW, .view = "overview"},
	{show, "show topics", "Topics: how many subscribe, what they got, what waits for them",
		"static: in the file; dynamic: joined by a datagram or by subscribe; gateway: "
		"threads whose clients subscribe. is_on_demand: made because a client asked.",
		"show topics", SL_CLI_SHOW, .view = "topics", .has_rates = true},
	{show, "show subscribers [<DESTINATION:destination>]",
		"Subscribers of one topic or of all, and who joined a queue",
		"Each has a queue of its own: queued, capacity, dropped. ttl_left_s: gone then, "
		"unless it renews.",
		"show subscribers table1", SL_CLI_SHOW, .view = "subscribers $DESTINATION",
		.has_rates = true},
	{show, "show ingress [<GATEWAY:name>]",
		"Gateways, connections to message servers, and the threads that serve them",
		"accepted: messages taken in. reasons: what was not taken, or who is gone.",
		"show ingress", SL_CLI_SHOW, .view = "ingress $GATEWAY", .has_rates = true},
	{show, "show ingress <GATEWAY:name> clients",
		"A gateway's clients, 256 at most: those who do not read what they are sent first",
		"dropped: messages for a client with more than output_max waiting. losing_s: it "
		"does not read now, for so long.",
		"show ingress chat clients", SL_CLI_SHOW, .view = "ingress $GATEWAY clients"},
	{show, "show drops", "What was dropped, by reason, and what is usually behind it",
		"Reasons that did not occur are left out.", "show drops", SL_CLI_SHOW,
		.view = "drops", .has_rates = true},
	{show, "show dedup", "The window of duplicates", NULL, "show dedup", SL_CLI_SHOW,
		.view = "dedup", .has_rates = true},
	{show, "show port info <PORT:port-or-all>", "A port's device, link, addresses and queues",
		NULL, "show port info all", SL_CLI_SHOW, .view = "port $PORT info"},
	{show, "show port stats <PORT:port-or-all>", "A port's packets, bytes and errors", NULL,
		"show port stats net0 rate 1 count 1", SL_CLI_SHOW, .view = "port $PORT stats",
		.has_rates = true},
	{show, "show port xstats <PORT:port-or-all>", "All that a port's driver counts", NULL,
		"show port xstats net0", SL_CLI_SHOW, .view = "port $PORT xstats",
		.has_rates = true},
	{show, "show neighbours", "Link-layer addresses of the neighbours, and how sure they are",
		NULL, "show neighbours", SL_CLI_SHOW, .view = "neighbours"},
	{show, "show lcores", "What each lcore does, and how busy it is", NULL, "show lcores",
		SL_CLI_SHOW, .view = "lcores", .has_rates = true},
	{show, "show nodes", "The graph's nodes: calls, messages, cycles a message", NULL,
		"show nodes", SL_CLI_SHOW, .view = "nodes", .has_rates = true},
	{show, "show graph [dot]", "The graph that runs, in words or for Graphviz",
		"sluicectl show graph dot | dot -Tsvg >graph.svg draws it.", "show graph dot",
		SL_CLI_SHOW, .view = "graph"},
	{show, "show events", "The last events: what an operator was told", NULL, "show events",
		SL_CLI_SHOW, .view = "events"},
	{show, "show version", "Versions of Sluice and DPDK, and since when it runs", NULL,
		"show version", SL_CLI_SHOW, .view = "version"},

	{ask,
		"explain {!source <SOURCE:name>, !destination <DESTINATION:destination>, "
		"type <TYPE:name>, priority <PRIORITY:uint(1..8)>}",
		"What would happen to such a message now, step by step, and why",
		"Nothing is sent. It tells the rule that matches, the class, the worker, the queue, "
		"and of each backend whether it may take the message, and why not.",
		"explain source till destination table1 type breakfast priority 2", SL_CLI_EXPLAIN},
	{ask,
		"trace (source <SOURCE:name>|destination <DESTINATION:destination>|id <ID:id>) "
		"{count <COUNT:uint(1..64)>, timeout <TIMEOUT:seconds>}",
		"Follow the next messages of a source, for a destination, or with an id",
		"Tells the nodes that each of the next COUNT (1) messages passes, with times, and "
		"its end. It waits TIMEOUT seconds (10, at most 60) for them.",
		"trace destination table1 count 2 timeout 0.2", SL_CLI_TRACE},
	{ask, "capture [<PORT:port>]", "How to capture a port's packets with dpdk-dumpcap",
		"Prints the command line; captures nothing itself.", "capture net0",
		SL_CLI_CAPTURE},

	{ask, "journal info", "What the journal holds: runs and streams, counts, sizes and times",
		"Read by sluicectl itself, which has to be allowed to. sluice-journal does the same "
		"for an appliance that is stopped.",
		"journal info", SL_CLI_JOURNAL_INFO},
	{ask, "journal list {" JOURNAL_FILTER "}",
		"Messages in the journal, a line each, with what became of them",
		"At most COUNT (100) of them, those received in the last SECONDS.",
		"journal list only undelivered limit 10", SL_CLI_JOURNAL_LIST},
	{ask,
		"journal dump {" JOURNAL_FILTER
		", stream <STREAM:uint(0..1023)>, payload <PAYLOAD:hex|none>}",
		"Records of the journal in full",
		"At most COUNT (100) of them. All kinds of records, unless destination, source or "
		"undelivered asks for messages.",
		"journal dump limit 3 payload none", SL_CLI_JOURNAL_DUMP},
	{ask, "journal verify", "Read all of the journal, and tell every place that is damaged",
		"Fails when there is one.", "journal verify", SL_CLI_JOURNAL_VERIFY},

	{change,
		"add destination <DESTINATION:name> {kind <KIND:queue|topic=kind>, policy <POLICY" POLICY_VALUE
		", "
		"rate <RATE" RATE_VALUE ", burst <BURST" BURST_VALUE ", "
		"class-boost <BOOST" BOOST_VALUE ", default-class <CLASS:class=default_class>, "
		"queue-capacity <CAPACITY" CAPACITY_VALUE ", "
		"partitions <PARTITIONS:uint(1..64)=partitions>, "
		"guarantee <GUARANTEE:at-most-once|at-least-once=guarantee>, "
		"in-flight <MESSAGES:uint(16..65536)=in_flight>, "
		"max-attempts <ATTEMPTS" ATTEMPTS_VALUE ", "
		"requeue-after <MILLISECONDS" REQUEUE_VALUE ", "
		"dead-letter <DEAD_LETTER" LETTER_VALUE "}",
		"Add a destination without backends; messages for it wait in its queue",
		"The settings are those of the configuration file. A rate of 0 is no limit. "
		"in-flight, max-attempts, requeue-after and dead-letter are those of guarantee "
		"at-least-once, which needs a journal.",
		"add destination table9 rate 1000 queue-capacity 500", EDIT(ADD, DESTINATION)},
	{change,
		"set destination <DESTINATION:destination> (policy <POLICY" POLICY_VALUE
		"|rate <RATE" RATE_VALUE "|burst <BURST" BURST_VALUE
		"|class-boost <BOOST" BOOST_VALUE
		"|default-class <CLASS:class=default_class>|queue-capacity <CAPACITY" CAPACITY_VALUE
		"|max-attempts <ATTEMPTS" ATTEMPTS_VALUE
		"|requeue-after <MILLISECONDS" REQUEUE_VALUE
		"|dead-letter <DEAD_LETTER" LETTER_VALUE ")",
		"Change a setting of a destination",
		"A rate of 0 is no limit. max-attempts (0: a message is never given up), "
		"requeue-after and dead-letter (none: there is none) are those of at-least-once "
		"destinations. Its guarantee and in-flight need a restart.",
		"set destination table9 policy weighted-round-robin", EDIT(SET, DESTINATION)},
	{change,
		"add backend <DESTINATION:destination> <BACKEND:name> <ADDRESS:address=address> "
		"<PORT:uint(1..65535)=port> {weight <WEIGHT" WEIGHT_VALUE ", rate <RATE" RATE_VALUE
		", state <STATE" STATE_VALUE "}",
		"Add a backend to a destination", NULL,
		"add backend table9 kitchen9 10.77.0.29 9009 weight 2", EDIT(ADD, BACKEND)},
	{change,
		"set backend <DESTINATION:destination> <BACKEND:backend> (weight <WEIGHT" WEIGHT_VALUE
		"|rate <RATE" RATE_VALUE "|state <STATE" STATE_VALUE ")",
		"Change a backend's weight, rate or state",
		"drain: it finishes what it has and takes nothing new, and its checks go on. "
		"maintenance: it takes nothing and is not checked. A rate of 0 is no limit.",
		"set backend table9 kitchen9 state drain", EDIT(SET, BACKEND)},
	{change,
		"subscribe <DESTINATION:destination> <BACKEND:name> <ADDRESS:address> "
		"<PORT:uint(1..65535)> [ttl <SECONDS:seconds>] [durable]",
		"Let a backend join a destination, beside those of the file",
		"A reload keeps it; save config does not write it. With ttl it is gone when it is "
		"not asked for again within SECONDS; with durable, at an at-least-once "
		"destination, it is only away then: what comes is kept for it, also over "
		"restarts, until it comes back or is unsubscribed.",
		"subscribe table9 screen9 10.77.0.30 9010 ttl 60", SL_CLI_SUBSCRIBE},
	{change, "unsubscribe <DESTINATION:destination> <BACKEND:backend>",
		"Let a backend that has joined leave, and forget what is kept for it", NULL,
		"unsubscribe table9 screen9", SL_CLI_UNSUBSCRIBE},
	{change, "del backend <DESTINATION:destination> <BACKEND:backend>",
		"Remove a backend; what waits goes to the others", NULL,
		"del backend table9 kitchen9", EDIT(DEL, BACKEND)},
	{change, "del destination <DESTINATION:destination>",
		"Remove a destination; what waits in its queue is dropped and counted", NULL,
		"del destination table9", EDIT(DEL, DESTINATION)},
	{change,
		"set class <LEVEL:level> (min-share <PERCENT:uint(0..100)=min_share_percent>|"
		"max-wait <MILLISECONDS:uint(0..3600000)=max_wait_ms>)",
		"Change what a class gets at least, or how long its messages may wait",
		"A max-wait of 0 is no maximum.", "set class 2 min-share 15", EDIT(SET, CLASS)},
	{change,
		"add rule {source <SOURCE:name=source>, "
		"destination <DESTINATION:destination=destination>, type <TYPE:name=type>, "
		"priority <PRIORITY:uint(1..8)=priority>, !class <CLASS:class=class>, "
		"place <PLACE:uint(1..256)>}",
		"Add a rule that sets the class of messages",
		"The first rule that matches counts; the new one is the last, or is put at PLACE.",
		"add rule type breakfast class high place 1", EDIT(ADD, RULE)},
	{change, "del rule <PLACE:uint(1..256)>", "Remove a rule by its place",
		"show config tells the rules in their order.", "del rule 1", EDIT(DEL, RULE)},

	{configuration, "show config", "The configuration that runs, as a file", NULL,
		"show config", SL_CLI_SHOW, .view = "config"},
	{configuration, "check <FILE:file>", "Say what a reload of a file would change",
		"Nothing is changed. Also tells what would need a restart.",
		"check /etc/sluice/sluice.yaml", SL_CLI_CHECK},
	{configuration, "reload [<FILE:file>]",
		"Take over a configuration file, all of it or nothing, without losing a message",
		"Without FILE the one that the appliance runs with is read again.", "reload",
		SL_CLI_LOAD},
	{configuration, "save config <FILE:file>", "Write the configuration that runs to a file",
		NULL, "save config /etc/sluice/saved.yaml", SL_CLI_SAVE},

	{run, "clear stats (all|port <PORT:port>|destination <DESTINATION:destination>)",
		"Let the counters that show tells begin at 0", "Metrics keep counting.",
		"clear stats destination table1", SL_CLI_CLEAR},
	{run, "log <MODULE:all" SL_LOG_MODULE_LIST(MODULE) "> <LEVEL:error|warn|notify|info|debug>",
		"Log from a level on, until the next reload", NULL, "log datapath debug",
		SL_CLI_LOG},
	{run, "stop", "Deliver what is queued, then stop lcores and ports",
		"Takes at most drain_timeout_ms; what is left then is dropped and counted.", "stop",
		SL_CLI_STOP},
	{run, "start", "Start ports and lcores again after stop", NULL, "start", SL_CLI_START},
	{run, "quit", "Stop, and end the appliance",
		"exit leaves sluicectl or the prompt and lets the appliance run.", "quit",
		SL_CLI_QUIT},

	{session, "help [<WORD:help> [<WORD:help> [<WORD:help>]]]",
		"The commands; with words, those that begin so, in detail", NULL,
		"help set backend", SL_CLI_SHOW_HELP},
	{session, "exit", "Leave sluicectl or the prompt; the appliance runs on", NULL, "exit",
		SL_CLI_EXIT},
	{0},
};
