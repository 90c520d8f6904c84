/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#ifndef TEST_CONFIG_H
#define TEST_CONFIG_H

/** @file Pieces of configuration files for the tests of lib/config. Include it behind cmocka.h. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sl_config.h>

#define ERROR_LEN 1024

/* Two lines each. */
#define PORTS "ports:\n  - {name: net0, device: d0, address: 10.77.0.1/24}\n"
#define DESTS                                                                                      \
	"destinations:\n"                                                                          \
	"  - {name: t1, backends: [{name: b1, address: 10.77.0.11, port: 9001}]}\n"
/* A port, then the destination's first line and the beginning of its second. */
#define DEST(keys)                                                                                 \
	PORTS "destinations:\n  - {name: t1, " keys                                                \
	      ", backends: [{name: b1, address: 10.77.0.11, port: 1}]}\n"

/** A text whose middle is @p n lines; @p format takes up to four times the line's number. */
static inline char *
repeat(const char *head, const char *format, unsigned int n, const char *tail)
{
	FILE *out;
	char *text = NULL;
	size_t len;
	unsigned int i;

	out = open_memstream(&text, &len);
	assert_non_null(out);
	fprintf(out, "%s", head);
	for (i = 0; i < n; i++)
		fprintf(out, format, i, i, i, i);
	fprintf(out, "%s", tail);
	fclose(out);
	return text;
}

/** Read a text that has to be right; free the configuration. */
static inline struct sl_config *
parse_text(const char *text)
{
	struct sl_config *config;
	char error[ERROR_LEN];

	if (sl_config_parse("f.yaml", text, strlen(text), &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	assert_string_equal(error, "");
	return config;
}

/** What sl_config_write() makes of it; free the text. */
static inline char *
write_text(const struct sl_config *config)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	assert_int_equal(sl_config_write(config, file), 0);
	fclose(file);
	return text;
}

/** Writing and reading give the same configuration. */
static inline void
check_round_trip(const struct sl_config *config)
{
	char *text = write_text(config), *again;
	struct sl_config *copy = parse_text(text);

	again = write_text(copy);
	assert_string_equal(text, again);
	assert_int_equal(sl_config_diff(config, copy, NULL, NULL), 0);
	assert_int_equal(sl_config_diff(copy, config, NULL, NULL), 0);
	sl_config_free(copy);
	free(again);
	free(text);
}

/** Every key, each with something that is not its default. */
#define EVERYTHING                                                                                 \
	"node: küche\n"                                                                           \
	"udp_port: 65535\n"                                                                        \
	"epoch: 4294967295\n"                                                                      \
	"ports:\n"                                                                                 \
	"  - {name: a, device: '0000:03:00.0', address: 10.1.0.1/16, gateway: 10.1.255.254,\n"     \
	"     address6: 'fd00:1::1/64', gateway6: 'fd00:1::fe',\n"                                 \
	"     vlan: 4094, mtu: 9000, rx_descriptors: 64, tx_descriptors: 32768,\n"                 \
	"     check_udp_checksum: false, send_udp_checksum: false}\n"                              \
	"lcores: [{lcore: 3, roles: [rx]}, {lcore: 0, roles: [worker, rx]}]\n"                     \
	"dedup: {window_ms: 1, capacity: 134217728}\n"                                             \
	"classes: [{level: 1, name: one, min_share_percent: 30, max_wait_ms: 9},\n"                \
	"          {level: 8, name: eight}]\n"                                                     \
	"destinations:\n"                                                                          \
	"  - name: t1\n"                                                                           \
	"    kind: queue\n"                                                                        \
	"    class_boost: 7\n"                                                                     \
	"    default_class: eight\n"                                                               \
	"    queue_capacity: 16777216\n"                                                           \
	"    rate_msgs_per_s: 1000000000\n"                                                        \
	"    burst_msgs: 1\n"                                                                      \
	"    policy: weighted-round-robin\n"                                                       \
	"    partitions: 64\n"                                                                     \
	"    guarantee: at-least-once\n"                                                           \
	"    in_flight: 65536\n"                                                                   \
	"    max_attempts: 65535\n"                                                                \
	"    requeue_after_ms: 100\n"                                                              \
	"    dead_letter: t3\n"                                                                    \
	"    backends:\n"                                                                          \
	"      - {name: b, address: 10.1.0.2, port: 65535, weight: 65535, rate_msgs_per_s: 9,\n"   \
	"         state: maintenance}\n"                                                           \
	"      - {name: c, address: 'fd00:1::2', port: 1, state: drain}\n"                         \
	"    health:\n"                                                                            \
	"      interval_ms: 3600000\n"                                                             \
	"      down_interval_ms: 10\n"                                                             \
	"      fall: 100\n"                                                                        \
	"      checks:\n"                                                                          \
	"        - {kind: tcp, address: 127.0.0.1, port: 65535, send: \"a\\r\\n\", expect: ' '}\n" \
	"        - {kind: udp, address: '::1', port: 1, send: x, expect: y}\n"                     \
	"        - {kind: probe}\n"                                                                \
	"  - {name: t2, health: {checks: []}}\n"                                                   \
	"  - {name: t3, guarantee: at-least-once}\n"                                               \
	"  - {name: all, kind: topic, backends: [{name: b, address: 10.1.0.2, port: 1}]}\n"        \
	"rules:\n"                                                                                 \
	"  - {source: s, destination: t1, type: t, priority: 8, class: 1}\n"                       \
	"  - {class: eight}\n"                                                                     \
	"neighbours: [{address: 10.1.0.2, mac: 02:0a:0B:0c:0d:0e},\n"                              \
	"             {address: 'fd00:1::2', mac: 02:0a:0B:0c:0d:0f}]\n"                           \
	"gateways:\n"                                                                              \
	"  threads: 8\n"                                                                           \
	"  topic_idle_ms: 90000\n"                                                                 \
	"  listeners:\n"                                                                           \
	"    - {name: in, protocol: line, address: 127.0.0.1, port: 1, tls_certificate: /c,\n"     \
	"       tls_key: /k, clients_max: 7, clients_per_address_max: 6, idle_ms: 0,\n"            \
	"       input_max: 64, output_max: 1G, rate_msgs_per_s: 5, keep_open: true,\n"             \
	"       prefix: 'l-', topics_max: 9, guarantee: at-least-once, primary: '[::1]:9'}\n"      \
	"    - {name: chat, protocol: rooms, rooms: 3, origins: ['https://a', 'null'],\n"          \
	"       tokens: /t}\n"                                                                     \
	"    - {name: web, protocol: http, replay: 65536, replay_ms: 0}\n"                         \
	"  connectors:\n"                                                                          \
	"    - {name: out, servers: ['a:1', '10.0.0.1:65535'], input_max: 16M,\n"                  \
	"       output_max: 4K, rate_msgs_per_s: 1,\n"                                             \
	"       tls: true, tls_ca: /ca, tls_name: k.example}\n"                                    \
	"subscriptions: {accept: true, subscribers_max: 0, ttl_max_ms: 1000}\n"                    \
	"mbufs: 67108864\n"                                                                        \
	"drain_timeout_ms: 0\n"                                                                    \
	"idle: {nap: off, nap_us: 1000}\n"                                                         \
	"rings: {size: 64}\n"                                                                      \
	"arp: {reachable_ms: 1000, retry_ms: 10, retry_max_ms: 10, max_tries: 100}\n"              \
	"health:\n"                                                                                \
	"  interval_ms: 10\n"                                                                      \
	"  fast_interval_ms: 11\n"                                                                 \
	"  down_interval_ms: 12\n"                                                                 \
	"  timeout_ms: 600000\n"                                                                   \
	"  rise: 100\n"                                                                            \
	"  fall: 1\n"                                                                              \
	"  notify_after: 1000\n"                                                                   \
	"  slow_start_ms: 3600000\n"                                                               \
	"  panic_threshold_percent: 100\n"                                                         \
	"  checks:\n"                                                                              \
	"    - {kind: icmp}\n"                                                                     \
	"    - {kind: http, address: 10.1.0.9, port: 80, path: /live, host: h.example,\n"          \
	"       status: 204, body: ok}\n"                                                          \
	"    - {kind: http, status: 200-299}\n"                                                    \
	"    - {kind: exec, argv: [/bin/check, '', \"two words\"]}\n"                              \
	"journal: {directory: /j, segment_bytes: 1M, ring_bytes: 4G, max_bytes: 8M,\n"             \
	"          retention_bytes: 1025, retention: 90m, commit_interval_us: 1000000,\n"          \
	"          direct: false, parked_capacity: 1024, cpu: 1023}\n"                             \
	"publishers: {sessions_max: 1, sessions_per_address_max: 1, window: 64,\n"                 \
	"             window_per_address: 0, rate_msgs_per_s: 9, idle_ms: 1000}\n"                 \
	"sinks:\n"                                                                                 \
	"  - {name: s, kind: sqlite, path: /s.db, batch_messages: 1, batch_ms: 1}\n"               \
	"  - {name: p, kind: postgresql, conninfo: 'dbname=x', batch_messages: 1000000,\n"         \
	"     batch_ms: 600000, writers: 64, keep_days: 36500}\n"                                  \
	"log: {target: file, file: /var/log/s.log, format: json, level: error, lines_per_s: 1,\n"  \
	"      levels: [{module: main, level: debug}]}\n"                                          \
	"events:\n"                                                                                \
	"  exec: [{argv: [/bin/mail, ops], timeout_ms: 100, level: warn}]\n"                       \
	"  webhooks: [{url: 'https://a.example/x?y=1', timeout_ms: 600000, tries: 1,\n"            \
	"              level: debug}]\n"                                                           \
	"  queue: 16\n"                                                                            \
	"control: {socket: /tmp/s.sock, group: ops, clients_max: 1}\n"                             \
	"http: {enabled: false, address: '::', port: 1, clients_max: 1, timeout_ms: 100,\n"        \
	"       metrics_destinations: 0}\n"                                                        \
	"limits: {shards: 100, backends: 3, copies: 1}\n"

#endif /* TEST_CONFIG_H */
