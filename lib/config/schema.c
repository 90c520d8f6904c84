/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * The configuration file's keys: the schema that libcyaml loads by and scan.c checks by, and the
 * bounds and defaults of every number. keys.c says what each key means.
 */

#include <sched.h>
#include <string.h>

#include <rte_common.h>
#include <rte_config.h>

#include "config_internal.h"

#define OPTIONAL CYAML_FLAG_OPTIONAL
#define REQUIRED CYAML_FLAG_DEFAULT
#define LIST	 (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)

#define TEXT(key, flags, type, member)                                                             \
	CYAML_FIELD_STRING_PTR(                                                                    \
		key, CYAML_FLAG_POINTER | (flags), struct type, member, 0, CYAML_UNLIMITED)
#define INTEGER(key, flags, type, member)                                                          \
	CYAML_FIELD_INT_PTR(key, CYAML_FLAG_POINTER | (flags), struct type, member)
#define SWITCH(key, type, member)                                                                  \
	CYAML_FIELD_BOOL_PTR(key, CYAML_FLAG_POINTER | OPTIONAL, struct type, member)
#define CHOICE_OF(key, flags, type, member, strings)                                               \
	CYAML_FIELD_ENUM_PTR(key, CYAML_FLAG_POINTER | CYAML_FLAG_STRICT | (flags), struct type,   \
		member, strings, RTE_DIM(strings))
#define CHOICE(key, type, member, strings) CHOICE_OF(key, OPTIONAL, type, member, strings)
#define COMMAND(flags, type)                                                                       \
	CYAML_FIELD_SEQUENCE("argv", CYAML_FLAG_POINTER | (flags), struct type, argv,              \
		&word_schema, 1, SL_CONFIG_ARGS_MAX)

static const cyaml_strval_t roles[] = {
	{"rx", SL_ROLE_RX},
	{"worker", SL_ROLE_WORKER},
};

static const cyaml_strval_t kinds[] = {
	{"queue", SL_CONFIG_QUEUE},
	{"topic", SL_CONFIG_TOPIC},
};

static const cyaml_strval_t policies[] = {
	{"round-robin", SL_CONFIG_ROUND_ROBIN},
	{"weighted-round-robin", SL_CONFIG_WEIGHTED_ROUND_ROBIN},
};

static const cyaml_strval_t naps[] = {
	{"auto", SL_CONFIG_AUTO},
	{"on", SL_CONFIG_ON},
	{"off", SL_CONFIG_OFF},
};

static const cyaml_strval_t states[] = {
	{"ready", SL_CONFIG_READY},
	{"drain", SL_CONFIG_DRAIN},
	{"maintenance", SL_CONFIG_MAINTENANCE},
};

static const cyaml_strval_t check_kinds[] = {
	{"probe", SL_CHECK_PROBE},
	{"icmp", SL_CHECK_ICMP},
	{"udp", SL_CHECK_UDP},
	{"tcp", SL_CHECK_TCP},
	{"http", SL_CHECK_HTTP},
	{"exec", SL_CHECK_EXEC},
};

static const cyaml_strval_t levels[] = {
	{"error", SL_LEVEL_ERROR},
	{"warn", SL_LEVEL_WARN},
	{"notify", SL_LEVEL_NOTIFY},
	{"info", SL_LEVEL_INFO},
	{"debug", SL_LEVEL_DEBUG},
};

static const cyaml_strval_t log_targets[] = {
	{"stderr", SL_LOG_STDERR},
	{"file", SL_LOG_FILE},
	{"journald", SL_LOG_JOURNALD},
};

static const cyaml_strval_t log_formats[] = {
	{"text", RAW_FORMAT_TEXT},
	{"json", RAW_FORMAT_JSON},
};

static const cyaml_strval_t guarantees[] = {
	{"at-most-once", SL_CONFIG_AT_MOST_ONCE},
	{"at-least-once", SL_CONFIG_AT_LEAST_ONCE},
};

static const cyaml_strval_t sink_kinds[] = {
	{"sqlite", SL_SINK_SQLITE},
	{"postgresql", SL_SINK_POSTGRESQL},
};

static const cyaml_strval_t protocols[] = {
	{"json", SL_GATEWAY_JSON},
	{"line", SL_GATEWAY_LINE},
	{"rooms", SL_GATEWAY_ROOMS},
	{"http", SL_GATEWAY_HTTP},
};

static const cyaml_schema_value_t word_schema = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t port_fields[] = {
	TEXT("name", REQUIRED, raw_port, name),
	TEXT("device", REQUIRED, raw_port, device),
	TEXT("address", OPTIONAL, raw_port, address),
	TEXT("gateway", OPTIONAL, raw_port, gateway),
	TEXT("address6", OPTIONAL, raw_port, address6),
	TEXT("gateway6", OPTIONAL, raw_port, gateway6),
	INTEGER("vlan", OPTIONAL, raw_port, vlan),
	INTEGER("mtu", OPTIONAL, raw_port, mtu),
	INTEGER("rx_descriptors", OPTIONAL, raw_port, rx_descriptors),
	INTEGER("tx_descriptors", OPTIONAL, raw_port, tx_descriptors),
	SWITCH("check_udp_checksum", raw_port, check_udp_checksum),
	SWITCH("send_udp_checksum", raw_port, send_udp_checksum),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t port_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_port, port_fields),
};

static const cyaml_schema_field_t lcore_fields[] = {
	INTEGER("lcore", REQUIRED, raw_lcore, lcore),
	CYAML_FIELD_FLAGS(
		"roles", CYAML_FLAG_STRICT, struct raw_lcore, roles, roles, RTE_DIM(roles)),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t lcore_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_lcore, lcore_fields),
};

static const cyaml_schema_field_t dedup_fields[] = {
	INTEGER("window_ms", OPTIONAL, raw_dedup, window_ms),
	INTEGER("capacity", OPTIONAL, raw_dedup, capacity),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t class_fields[] = {
	INTEGER("level", REQUIRED, raw_class, level),
	TEXT("name", REQUIRED, raw_class, name),
	INTEGER("min_share_percent", OPTIONAL, raw_class, min_share_percent),
	INTEGER("max_wait_ms", OPTIONAL, raw_class, max_wait_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t class_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_class, class_fields),
};

static const cyaml_schema_field_t check_fields[] = {
	CHOICE_OF("kind", REQUIRED, raw_check, kind, check_kinds),
	TEXT("address", OPTIONAL, raw_check, address),
	INTEGER("port", OPTIONAL, raw_check, port),
	TEXT("path", OPTIONAL, raw_check, path),
	TEXT("host", OPTIONAL, raw_check, host),
	TEXT("status", OPTIONAL, raw_check, status),
	TEXT("body", OPTIONAL, raw_check, body),
	TEXT("send", OPTIONAL, raw_check, send),
	TEXT("expect", OPTIONAL, raw_check, expect),
	COMMAND(OPTIONAL, raw_check),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t check_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_check, check_fields),
};

static const cyaml_schema_field_t health_fields[] = {
	INTEGER("interval_ms", OPTIONAL, raw_health, interval_ms),
	INTEGER("fast_interval_ms", OPTIONAL, raw_health, fast_interval_ms),
	INTEGER("down_interval_ms", OPTIONAL, raw_health, down_interval_ms),
	INTEGER("timeout_ms", OPTIONAL, raw_health, timeout_ms),
	INTEGER("rise", OPTIONAL, raw_health, rise),
	INTEGER("fall", OPTIONAL, raw_health, fall),
	INTEGER("notify_after", OPTIONAL, raw_health, notify_after),
	INTEGER("slow_start_ms", OPTIONAL, raw_health, slow_start_ms),
	INTEGER("panic_threshold_percent", OPTIONAL, raw_health, panic_threshold_percent),
	CYAML_FIELD_SEQUENCE(
		"checks", LIST, struct raw_health, checks, &check_schema, 0, SL_CONFIG_CHECKS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t backend_fields[] = {
	TEXT("name", REQUIRED, raw_backend, name),
	TEXT("address", REQUIRED, raw_backend, address),
	INTEGER("port", REQUIRED, raw_backend, port),
	INTEGER("weight", OPTIONAL, raw_backend, weight),
	INTEGER("rate_msgs_per_s", OPTIONAL, raw_backend, rate_msgs_per_s),
	CHOICE("state", raw_backend, state, states),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t backend_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_backend, backend_fields),
};

static const cyaml_schema_field_t destination_fields[] = {
	TEXT("name", REQUIRED, raw_destination, name),
	CHOICE("kind", raw_destination, kind, kinds),
	INTEGER("class_boost", OPTIONAL, raw_destination, class_boost),
	TEXT("default_class", OPTIONAL, raw_destination, default_class),
	INTEGER("queue_capacity", OPTIONAL, raw_destination, queue_capacity),
	INTEGER("rate_msgs_per_s", OPTIONAL, raw_destination, rate_msgs_per_s),
	INTEGER("burst_msgs", OPTIONAL, raw_destination, burst_msgs),
	CHOICE("policy", raw_destination, policy, policies),
	INTEGER("partitions", OPTIONAL, raw_destination, partitions),
	CHOICE("guarantee", raw_destination, guarantee, guarantees),
	INTEGER("in_flight", OPTIONAL, raw_destination, in_flight),
	INTEGER("max_attempts", OPTIONAL, raw_destination, max_attempts),
	INTEGER("requeue_after_ms", OPTIONAL, raw_destination, requeue_after_ms),
	TEXT("dead_letter", OPTIONAL, raw_destination, dead_letter),
	CYAML_FIELD_SEQUENCE("backends", LIST, struct raw_destination, backends, &backend_schema, 0,
		SL_CONFIG_SUBSCRIBERS_MAX),
	CYAML_FIELD_MAPPING_PTR("health", CYAML_FLAG_POINTER | OPTIONAL, struct raw_destination,
		health, health_fields),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t destination_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_destination, destination_fields),
};

static const cyaml_schema_field_t rule_fields[] = {
	TEXT("source", OPTIONAL, raw_rule, source),
	TEXT("destination", OPTIONAL, raw_rule, destination),
	TEXT("type", OPTIONAL, raw_rule, type),
	INTEGER("priority", OPTIONAL, raw_rule, priority),
	TEXT("class", REQUIRED, raw_rule, class_ref),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t rule_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_rule, rule_fields),
};

static const cyaml_schema_field_t neighbour_fields[] = {
	TEXT("address", REQUIRED, raw_neighbour, address),
	TEXT("mac", REQUIRED, raw_neighbour, mac),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t neighbour_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_neighbour, neighbour_fields),
};

static const cyaml_schema_field_t idle_fields[] = {
	CHOICE("nap", raw_idle, nap, naps),
	INTEGER("nap_us", OPTIONAL, raw_idle, nap_us),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t ring_fields[] = {
	INTEGER("size", OPTIONAL, raw_rings, size),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t arp_fields[] = {
	INTEGER("reachable_ms", OPTIONAL, raw_arp, reachable_ms),
	INTEGER("retry_ms", OPTIONAL, raw_arp, retry_ms),
	INTEGER("retry_max_ms", OPTIONAL, raw_arp, retry_max_ms),
	INTEGER("max_tries", OPTIONAL, raw_arp, max_tries),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t journal_fields[] = {
	TEXT("directory", REQUIRED, raw_journal, directory),
	TEXT("segment_bytes", OPTIONAL, raw_journal, segment_bytes),
	TEXT("ring_bytes", OPTIONAL, raw_journal, ring_bytes),
	TEXT("max_bytes", OPTIONAL, raw_journal, max_bytes),
	TEXT("retention_bytes", OPTIONAL, raw_journal, retention_bytes),
	TEXT("retention", OPTIONAL, raw_journal, retention),
	INTEGER("commit_interval_us", OPTIONAL, raw_journal, commit_interval_us),
	SWITCH("direct", raw_journal, direct),
	INTEGER("parked_capacity", OPTIONAL, raw_journal, parked_capacity),
	INTEGER("cpu", OPTIONAL, raw_journal, cpu),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t publisher_fields[] = {
	INTEGER("sessions_max", OPTIONAL, raw_publishers, sessions_max),
	INTEGER("sessions_per_address_max", OPTIONAL, raw_publishers, sessions_per_address_max),
	INTEGER("window", OPTIONAL, raw_publishers, window),
	INTEGER("window_per_address", OPTIONAL, raw_publishers, window_per_address),
	INTEGER("rate_msgs_per_s", OPTIONAL, raw_publishers, rate_msgs_per_s),
	INTEGER("idle_ms", OPTIONAL, raw_publishers, idle_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t sink_fields[] = {
	TEXT("name", REQUIRED, raw_sink, name),
	CHOICE_OF("kind", REQUIRED, raw_sink, kind, sink_kinds),
	TEXT("path", OPTIONAL, raw_sink, path),
	TEXT("conninfo", OPTIONAL, raw_sink, conninfo),
	INTEGER("batch_messages", OPTIONAL, raw_sink, batch_messages),
	INTEGER("batch_ms", OPTIONAL, raw_sink, batch_ms),
	INTEGER("writers", OPTIONAL, raw_sink, writers),
	INTEGER("keep_days", OPTIONAL, raw_sink, keep_days),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t sink_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_sink, sink_fields),
};

static const cyaml_schema_field_t listener_fields[] = {
	TEXT("name", REQUIRED, raw_gateway, name),
	CHOICE_OF("protocol", REQUIRED, raw_gateway, protocol, protocols),
	TEXT("address", OPTIONAL, raw_gateway, address),
	INTEGER("port", OPTIONAL, raw_gateway, port),
	TEXT("tls_certificate", OPTIONAL, raw_gateway, tls_certificate),
	TEXT("tls_key", OPTIONAL, raw_gateway, tls_key),
	TEXT("tokens", OPTIONAL, raw_gateway, tokens),
	INTEGER("clients_max", OPTIONAL, raw_gateway, clients_max),
	INTEGER("clients_per_address_max", OPTIONAL, raw_gateway, clients_per_address_max),
	INTEGER("idle_ms", OPTIONAL, raw_gateway, idle_ms),
	TEXT("input_max", OPTIONAL, raw_gateway, input_max),
	TEXT("output_max", OPTIONAL, raw_gateway, output_max),
	INTEGER("rate_msgs_per_s", OPTIONAL, raw_gateway, rate_msgs_per_s),
	SWITCH("keep_open", raw_gateway, keep_open),
	TEXT("prefix", OPTIONAL, raw_gateway, prefix),
	INTEGER("topics_max", OPTIONAL, raw_gateway, topics_max),
	CHOICE("guarantee", raw_gateway, guarantee, guarantees),
	INTEGER("rooms", OPTIONAL, raw_gateway, rooms),
	CYAML_FIELD_SEQUENCE(
		"origins", LIST, struct raw_gateway, origins, &word_schema, 0, SL_CONFIG_ARGS_MAX),
	INTEGER("replay", OPTIONAL, raw_gateway, replay),
	INTEGER("replay_ms", OPTIONAL, raw_gateway, replay_ms),
	TEXT("primary", OPTIONAL, raw_gateway, primary),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t listener_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_gateway, listener_fields),
};

static const cyaml_schema_field_t connector_fields[] = {
	TEXT("name", REQUIRED, raw_gateway, name),
	CYAML_FIELD_SEQUENCE("servers", CYAML_FLAG_POINTER, struct raw_gateway, servers,
		&word_schema, 1, SL_CONFIG_ARGS_MAX),
	SWITCH("tls", raw_gateway, tls),
	TEXT("tls_ca", OPTIONAL, raw_gateway, tls_ca),
	TEXT("tls_name", OPTIONAL, raw_gateway, tls_name),
	TEXT("input_max", OPTIONAL, raw_gateway, input_max),
	TEXT("output_max", OPTIONAL, raw_gateway, output_max),
	INTEGER("rate_msgs_per_s", OPTIONAL, raw_gateway, rate_msgs_per_s),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t connector_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_gateway, connector_fields),
};

static const cyaml_schema_field_t gateways_fields[] = {
	INTEGER("threads", OPTIONAL, raw_gateways, threads),
	INTEGER("topic_idle_ms", OPTIONAL, raw_gateways, topic_idle_ms),
	CYAML_FIELD_SEQUENCE("listeners", LIST, struct raw_gateways, listeners, &listener_schema, 0,
		SL_CONFIG_GATEWAYS_MAX),
	CYAML_FIELD_SEQUENCE("connectors", LIST, struct raw_gateways, connectors, &connector_schema,
		0, SL_CONFIG_GATEWAYS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t subscription_fields[] = {
	SWITCH("accept", raw_subscriptions, accept),
	INTEGER("subscribers_max", OPTIONAL, raw_subscriptions, subscribers_max),
	INTEGER("ttl_max_ms", OPTIONAL, raw_subscriptions, ttl_max_ms),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t log_level_fields[] = {
	TEXT("module", REQUIRED, raw_log_level, module),
	CHOICE_OF("level", REQUIRED, raw_log_level, level, levels),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t log_level_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_log_level, log_level_fields),
};

static const cyaml_schema_field_t log_fields[] = {
	CHOICE("target", raw_log, target, log_targets),
	TEXT("file", OPTIONAL, raw_log, file),
	CHOICE("format", raw_log, format, log_formats),
	CHOICE("level", raw_log, level, levels),
	CYAML_FIELD_SEQUENCE("levels", LIST, struct raw_log, levels, &log_level_schema, 0,
		SL_CONFIG_LOG_LEVELS_MAX),
	INTEGER("lines_per_s", OPTIONAL, raw_log, lines_per_s),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t exec_fields[] = {
	COMMAND(REQUIRED, raw_exec_hook),
	INTEGER("timeout_ms", OPTIONAL, raw_exec_hook, timeout_ms),
	CHOICE("level", raw_exec_hook, level, levels),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t exec_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_exec_hook, exec_fields),
};

static const cyaml_schema_field_t webhook_fields[] = {
	TEXT("url", REQUIRED, raw_webhook, url),
	INTEGER("timeout_ms", OPTIONAL, raw_webhook, timeout_ms),
	INTEGER("tries", OPTIONAL, raw_webhook, tries),
	CHOICE("level", raw_webhook, level, levels),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t webhook_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_webhook, webhook_fields),
};

static const cyaml_schema_field_t event_fields[] = {
	CYAML_FIELD_SEQUENCE(
		"exec", LIST, struct raw_events, exec, &exec_schema, 0, SL_CONFIG_HOOKS_MAX),
	CYAML_FIELD_SEQUENCE("webhooks", LIST, struct raw_events, webhooks, &webhook_schema, 0,
		SL_CONFIG_HOOKS_MAX),
	INTEGER("queue", OPTIONAL, raw_events, queue),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t control_fields[] = {
	TEXT("socket", OPTIONAL, raw_control, socket),
	TEXT("group", OPTIONAL, raw_control, group),
	INTEGER("clients_max", OPTIONAL, raw_control, clients_max),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t http_fields[] = {
	SWITCH("enabled", raw_http, enabled),
	TEXT("address", OPTIONAL, raw_http, address),
	INTEGER("port", OPTIONAL, raw_http, port),
	INTEGER("clients_max", OPTIONAL, raw_http, clients_max),
	INTEGER("timeout_ms", OPTIONAL, raw_http, timeout_ms),
	INTEGER("metrics_destinations", OPTIONAL, raw_http, metrics_destinations),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t limit_fields[] = {
	INTEGER("shards", OPTIONAL, raw_limits, shards),
	INTEGER("backends", OPTIONAL, raw_limits, backends),
	INTEGER("copies", OPTIONAL, raw_limits, copies),
	CYAML_FIELD_END,
};

static const cyaml_schema_field_t top_fields[] = {
	TEXT("node", OPTIONAL, raw_config, node),
	INTEGER("udp_port", OPTIONAL, raw_config, udp_port),
	INTEGER("epoch", OPTIONAL, raw_config, epoch),
	CYAML_FIELD_SEQUENCE("ports", CYAML_FLAG_POINTER, struct raw_config, ports, &port_schema, 1,
		SL_CONFIG_PORTS_MAX),
	CYAML_FIELD_SEQUENCE(
		"lcores", LIST, struct raw_config, lcores, &lcore_schema, 0, RTE_MAX_LCORE),
	CYAML_FIELD_MAPPING("dedup", OPTIONAL, struct raw_config, dedup, dedup_fields),
	CYAML_FIELD_SEQUENCE("classes", LIST, struct raw_config, classes, &class_schema, 1,
		SL_CONFIG_CLASSES_MAX),
	CYAML_FIELD_SEQUENCE("destinations", CYAML_FLAG_POINTER, struct raw_config, destinations,
		&destination_schema, 1, SL_CONFIG_DESTINATIONS_MAX),
	CYAML_FIELD_SEQUENCE(
		"rules", LIST, struct raw_config, rules, &rule_schema, 0, SL_CONFIG_RULES_MAX),
	CYAML_FIELD_SEQUENCE("neighbours", LIST, struct raw_config, neighbours, &neighbour_schema,
		0, SL_CONFIG_NEIGHBOURS_MAX),
	INTEGER("mbufs", OPTIONAL, raw_config, mbufs),
	INTEGER("drain_timeout_ms", OPTIONAL, raw_config, drain_timeout_ms),
	CYAML_FIELD_MAPPING("idle", OPTIONAL, struct raw_config, idle, idle_fields),
	CYAML_FIELD_MAPPING("rings", OPTIONAL, struct raw_config, rings, ring_fields),
	CYAML_FIELD_MAPPING("arp", OPTIONAL, struct raw_config, arp, arp_fields),
	CYAML_FIELD_MAPPING("health", OPTIONAL, struct raw_config, health, health_fields),
	CYAML_FIELD_MAPPING("journal", OPTIONAL, struct raw_config, journal, journal_fields),
	CYAML_FIELD_MAPPING(
		"publishers", OPTIONAL, struct raw_config, publishers, publisher_fields),
	CYAML_FIELD_SEQUENCE(
		"sinks", LIST, struct raw_config, sinks, &sink_schema, 0, SL_CONFIG_SINKS_MAX),
	CYAML_FIELD_MAPPING("gateways", OPTIONAL, struct raw_config, gateways, gateways_fields),
	CYAML_FIELD_MAPPING(
		"subscriptions", OPTIONAL, struct raw_config, subscriptions, subscription_fields),
	CYAML_FIELD_MAPPING("log", OPTIONAL, struct raw_config, log, log_fields),
	CYAML_FIELD_MAPPING("events", OPTIONAL, struct raw_config, events, event_fields),
	CYAML_FIELD_MAPPING("control", OPTIONAL, struct raw_config, control, control_fields),
	CYAML_FIELD_MAPPING("http", OPTIONAL, struct raw_config, http, http_fields),
	CYAML_FIELD_MAPPING("limits", OPTIONAL, struct raw_config, limits, limit_fields),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t sl_config_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_config, top_fields),
};

#define NUMBER_OF(raw_type, raw_member, type, member, min, max, def, unit)                         \
	{                                                                                          \
#raw_member, offsetof(struct raw_type, raw_member), offsetof(struct type, member), \
			sizeof(((struct type *)0)->member), min, max, def, unit                    \
	}
#define NUMBER(raw_type, raw_member, type, member, min, max, def)                                  \
	NUMBER_OF(raw_type, raw_member, type, member, min, max, def, SL_CONFIG_PLAIN)
#define SIZE(raw_type, member, type, min, max, def)                                                \
	NUMBER_OF(raw_type, member, type, member, min, max, def, SL_CONFIG_BYTES)
#define MIB	      (INT64_C(1) << 20)
#define GIB	      (INT64_C(1) << 30)
#define TIB	      (INT64_C(1) << 40)
#define DAYS_MS(days) (INT64_C(86400000) * (days))

const struct sl_config_number sl_config_top_numbers[] = {
	NUMBER(raw_config, udp_port, sl_config, udp_port, 1, UINT16_MAX, 7500),
	NUMBER(raw_config, epoch, sl_config, epoch, 1, UINT32_MAX, 1),
	NUMBER(raw_config, mbufs, sl_config, nb_mbufs, 0, 1 << 26, 0),
	NUMBER(raw_config, drain_timeout_ms, sl_config, drain_timeout_ms, 0, 600000, 2000),
	{NULL},
};

const struct sl_config_number sl_config_dedup_numbers[] = {
	NUMBER(raw_dedup, window_ms, sl_config, dedup_window_ms, 1, 3600000, 60000),
	NUMBER(raw_dedup, capacity, sl_config, dedup_capacity, 1024, 1 << 27, 1 << 20),
	{NULL},
};

const struct sl_config_number sl_config_idle_numbers[] = {
	NUMBER(raw_idle, nap_us, sl_config, nap_us, 1, 1000, 50),
	{NULL},
};

const struct sl_config_number sl_config_ring_numbers[] = {
	NUMBER(raw_rings, size, sl_config, ring_size, 64, 1 << 20, 4096),
	{NULL},
};

const struct sl_config_number sl_config_arp_numbers[] = {
	NUMBER(raw_arp, reachable_ms, sl_config, arp_reachable_ms, 1000, 86400000, 30000),
	NUMBER(raw_arp, retry_ms, sl_config, arp_retry_ms, 10, 60000, 1000),
	NUMBER(raw_arp, retry_max_ms, sl_config, arp_retry_max_ms, 10, 3600000, 60000),
	NUMBER(raw_arp, max_tries, sl_config, arp_max_tries, 1, 100, 3),
	{NULL},
};

const struct sl_config_number sl_config_port_numbers[] = {
	NUMBER(raw_port, vlan, sl_config_port, vlan, 0, 4094, 0),
	NUMBER(raw_port, mtu, sl_config_port, mtu, 576, 9000, 1500),
	NUMBER(raw_port, rx_descriptors, sl_config_port, rx_descriptors, 64, 32768, 1024),
	NUMBER(raw_port, tx_descriptors, sl_config_port, tx_descriptors, 64, 32768, 1024),
	{NULL},
};

const struct sl_config_number sl_config_lcore_numbers[] = {
	NUMBER(raw_lcore, lcore, sl_config_lcore, lcore, 0, RTE_MAX_LCORE - 1, -1),
	{NULL},
};

const struct sl_config_number sl_config_class_numbers[] = {
	NUMBER(raw_class, level, sl_config_class, level, 1, SL_CONFIG_CLASSES_MAX, 0),
	NUMBER(raw_class, min_share_percent, sl_config_class, min_share_percent, 0, 100, 0),
	NUMBER(raw_class, max_wait_ms, sl_config_class, max_wait_ms, 0, 3600000, 0),
	{NULL},
};

/* A burst of 0 is replaced once all rates are known. */
const struct sl_config_number sl_config_destination_numbers[] = {
	NUMBER(raw_destination, class_boost, sl_config_destination, class_boost, 0, 7, 0),
	NUMBER(raw_destination, queue_capacity, sl_config_destination, queue_capacity, 1, 1 << 24,
		65536),
	NUMBER(raw_destination, rate_msgs_per_s, sl_config_destination, rate_msgs_per_s, 0,
		1000000000, 0),
	NUMBER(raw_destination, burst_msgs, sl_config_destination, burst_msgs, 1, 1 << 24, 0),
	NUMBER(raw_destination, partitions, sl_config_destination, partitions, 1,
		SL_CONFIG_PARTITIONS_MAX, 1),
	NUMBER(raw_destination, in_flight, sl_config_destination, in_flight, 16, 65536, 1024),
	NUMBER(raw_destination, max_attempts, sl_config_destination, max_attempts, 0, 65535, 0),
	NUMBER(raw_destination, requeue_after_ms, sl_config_destination, requeue_after_ms, 100,
		3600000, 5000),
	{NULL},
};

const struct sl_config_number sl_config_backend_numbers[] = {
	NUMBER(raw_backend, port, sl_config_backend, port, 1, UINT16_MAX, 0),
	NUMBER(raw_backend, weight, sl_config_backend, weight, 1, 65535, 1),
	NUMBER(raw_backend, rate_msgs_per_s, sl_config_backend, rate_msgs_per_s, 0, 1000000000, 0),
	{NULL},
};

const struct sl_config_number sl_config_rule_numbers[] = {
	NUMBER(raw_rule, priority, sl_config_rule, priority, 1, SL_CONFIG_CLASSES_MAX, 0),
	{NULL},
};

/* Intervals of 0 are replaced once interval_ms is known. */
const struct sl_config_number sl_config_health_numbers[] = {
	NUMBER(raw_health, interval_ms, sl_config_health, interval_ms, 10, 3600000, 2000),
	NUMBER(raw_health, fast_interval_ms, sl_config_health, fast_interval_ms, 10, 3600000, 0),
	NUMBER(raw_health, down_interval_ms, sl_config_health, down_interval_ms, 10, 3600000, 0),
	NUMBER(raw_health, timeout_ms, sl_config_health, timeout_ms, 10, 600000, 3000),
	NUMBER(raw_health, rise, sl_config_health, rise, 1, 100, 2),
	NUMBER(raw_health, fall, sl_config_health, fall, 1, 100, 3),
	NUMBER(raw_health, notify_after, sl_config_health, notify_after, 1, 1000, 5),
	NUMBER(raw_health, slow_start_ms, sl_config_health, slow_start_ms, 0, 3600000, 0),
	NUMBER(raw_health, panic_threshold_percent, sl_config_health, panic_threshold_percent, 0,
		100, 0),
	{NULL},
};

const struct sl_config_number sl_config_check_numbers[] = {
	NUMBER(raw_check, port, sl_config_check, port, 1, UINT16_MAX, 0),
	{NULL},
};

const struct sl_config_number sl_config_log_numbers[] = {
	NUMBER(raw_log, lines_per_s, sl_config_log, lines_per_s, 1, 1000000, 200),
	{NULL},
};

const struct sl_config_number sl_config_exec_numbers[] = {
	NUMBER(raw_exec_hook, timeout_ms, sl_config_exec_hook, timeout_ms, 100, 600000, 10000),
	{NULL},
};

const struct sl_config_number sl_config_webhook_numbers[] = {
	NUMBER(raw_webhook, timeout_ms, sl_config_webhook, timeout_ms, 100, 600000, 5000),
	NUMBER(raw_webhook, tries, sl_config_webhook, tries, 1, 100, 5),
	{NULL},
};

const struct sl_config_number sl_config_event_numbers[] = {
	NUMBER(raw_events, queue, sl_config_events, queue, 16, 65536, 1024),
	{NULL},
};

const struct sl_config_number sl_config_control_numbers[] = {
	NUMBER(raw_control, clients_max, sl_config_control, clients_max, 1, 65536, 1024),
	{NULL},
};

const struct sl_config_number sl_config_http_numbers[] = {
	NUMBER(raw_http, port, sl_config_http, port, 1, UINT16_MAX, 8090),
	NUMBER(raw_http, clients_max, sl_config_http, clients_max, 1, 65536, 256),
	NUMBER(raw_http, timeout_ms, sl_config_http, timeout_ms, 100, 600000, 10000),
	NUMBER(raw_http, metrics_destinations, sl_config_http, metrics_destinations, 0,
		SL_CONFIG_DESTINATIONS_MAX, 1000),
	{NULL},
};

const struct sl_config_number sl_config_limit_numbers[] = {
	NUMBER(raw_limits, shards, sl_config_limits, shards, 0, 1 << 26, 0),
	NUMBER(raw_limits, backends, sl_config_limits, backends, 0, 1 << 28, 0),
	NUMBER(raw_limits, copies, sl_config_limits, copies, 0, 1 << 26, 0),
	{NULL},
};

/* Half of max_bytes is put in where retention_bytes is absent. */
const struct sl_config_number sl_config_journal_numbers[] = {
	SIZE(raw_journal, segment_bytes, sl_config_journal, MIB, GIB, 64 * MIB),
	SIZE(raw_journal, ring_bytes, sl_config_journal, MIB, 4 * GIB, 32 * MIB),
	SIZE(raw_journal, max_bytes, sl_config_journal, 4 * MIB, 1024 * TIB, 16 * GIB),
	SIZE(raw_journal, retention_bytes, sl_config_journal, 0, 1024 * TIB, -1),
	NUMBER_OF(raw_journal, retention, sl_config_journal, retention_ms, 0, DAYS_MS(3650),
		DAYS_MS(1), SL_CONFIG_TIME_MS),
	NUMBER(raw_journal, commit_interval_us, sl_config_journal, commit_interval_us, 0, 1000000,
		0),
	NUMBER(raw_journal, parked_capacity, sl_config_journal, parked_capacity, 1024, 1 << 30,
		1 << 24),
	NUMBER(raw_journal, cpu, sl_config_journal, cpu, 0, CPU_SETSIZE - 1, -1),
	{NULL},
};

const struct sl_config_number sl_config_publisher_numbers[] = {
	NUMBER(raw_publishers, sessions_max, sl_config_publishers, sessions_max, 1, 1 << 20, 4096),
	NUMBER(raw_publishers, sessions_per_address_max, sl_config_publishers,
		sessions_per_address_max, 1, 1 << 20, 256),
	NUMBER(raw_publishers, window, sl_config_publishers, window, 64, 65536, 4096),
	NUMBER(raw_publishers, window_per_address, sl_config_publishers, window_per_address, 0,
		1 << 24, 65536),
	NUMBER(raw_publishers, rate_msgs_per_s, sl_config_publishers, rate_msgs_per_s, 0,
		1000000000, 0),
	NUMBER(raw_publishers, idle_ms, sl_config_publishers, idle_ms, 1000, 86400000, 60000),
	{NULL},
};

const struct sl_config_number sl_config_sink_numbers[] = {
	NUMBER(raw_sink, batch_messages, sl_config_sink, batch_messages, 1, 1000000, 1000),
	NUMBER(raw_sink, batch_ms, sl_config_sink, batch_ms, 1, 600000, 500),
	NUMBER(raw_sink, writers, sl_config_sink, writers, 1, 64, 1),
	NUMBER(raw_sink, keep_days, sl_config_sink, keep_days, 0, 36500, 0),
	{NULL},
};

const struct sl_config_number sl_config_gateways_numbers[] = {
	NUMBER(raw_gateways, threads, sl_config_gateways, threads, 1, SL_CONFIG_GATEWAY_THREADS, 1),
	NUMBER(raw_gateways, topic_idle_ms, sl_config_gateways, topic_idle_ms, 0, 86400000, 60000),
	{NULL},
};

/* A port and clients_per_address_max of 0 are replaced once the other keys are known. */
const struct sl_config_number sl_config_listener_numbers[] = {
	NUMBER(raw_gateway, port, sl_config_gateway, port, 1, UINT16_MAX, 0),
	NUMBER(raw_gateway, clients_max, sl_config_gateway, clients_max, 1, 1000000, 16384),
	NUMBER(raw_gateway, clients_per_address_max, sl_config_gateway, clients_per_address_max, 1,
		1000000, 0),
	NUMBER(raw_gateway, idle_ms, sl_config_gateway, idle_ms, 0, 86400000, 300000),
	SIZE(raw_gateway, input_max, sl_config_gateway, 64, 16 * MIB, MIB),
	SIZE(raw_gateway, output_max, sl_config_gateway, 4096, GIB, 4 * MIB),
	NUMBER(raw_gateway, rate_msgs_per_s, sl_config_gateway, rate_msgs_per_s, 0, 1000000000, 0),
	NUMBER(raw_gateway, topics_max, sl_config_gateway, topics_max, 0, 1000000, 1024),
	NUMBER_OF(raw_gateway, rooms, sl_config_gateway, nb_rooms, 0, 100000, 20, SL_CONFIG_PLAIN),
	NUMBER(raw_gateway, replay, sl_config_gateway, replay, 0, 65536, 1024),
	NUMBER(raw_gateway, replay_ms, sl_config_gateway, replay_ms, 0, 3600000, 60000),
	{NULL},
};

const struct sl_config_number sl_config_connector_numbers[] = {
	SIZE(raw_gateway, input_max, sl_config_gateway, 64, 16 * MIB, MIB),
	SIZE(raw_gateway, output_max, sl_config_gateway, 4096, GIB, 4 * MIB),
	NUMBER(raw_gateway, rate_msgs_per_s, sl_config_gateway, rate_msgs_per_s, 0, 1000000000, 0),
	{NULL},
};

const struct sl_config_number sl_config_subscription_numbers[] = {
	NUMBER(raw_subscriptions, subscribers_max, sl_config_subscriptions, subscribers_max, 0,
		1000000, 4096),
	NUMBER(raw_subscriptions, ttl_max_ms, sl_config_subscriptions, ttl_max_ms, 1000, 86400000,
		3600000),
	{NULL},
};

const struct sl_config_section sl_config_sections[] = {
	{"", top_fields, sl_config_top_numbers},
	{"ports", port_fields, sl_config_port_numbers},
	{"lcores", lcore_fields, sl_config_lcore_numbers},
	{"dedup", dedup_fields, sl_config_dedup_numbers},
	{"classes", class_fields, sl_config_class_numbers},
	{"destinations", destination_fields, sl_config_destination_numbers},
	{"destinations.backends", backend_fields, sl_config_backend_numbers},
	{"rules", rule_fields, sl_config_rule_numbers},
	{"neighbours", neighbour_fields, NULL},
	{"idle", idle_fields, sl_config_idle_numbers},
	{"rings", ring_fields, sl_config_ring_numbers},
	{"arp", arp_fields, sl_config_arp_numbers},
	{"health", health_fields, sl_config_health_numbers},
	{"health.checks", check_fields, sl_config_check_numbers},
	{"journal", journal_fields, sl_config_journal_numbers},
	{"publishers", publisher_fields, sl_config_publisher_numbers},
	{"sinks", sink_fields, sl_config_sink_numbers},
	{"gateways", gateways_fields, sl_config_gateways_numbers},
	{"gateways.listeners", listener_fields, sl_config_listener_numbers},
	{"gateways.connectors", connector_fields, sl_config_connector_numbers},
	{"subscriptions", subscription_fields, sl_config_subscription_numbers},
	{"log", log_fields, sl_config_log_numbers},
	{"log.levels", log_level_fields, NULL},
	{"events", event_fields, sl_config_event_numbers},
	{"events.exec", exec_fields, sl_config_exec_numbers},
	{"events.webhooks", webhook_fields, sl_config_webhook_numbers},
	{"control", control_fields, sl_config_control_numbers},
	{"http", http_fields, sl_config_http_numbers},
	{"limits", limit_fields, sl_config_limit_numbers},
	{NULL},
};

const struct sl_config_section *
sl_config_section_of(const char *path)
{
	const struct sl_config_section *section = sl_config_sections;

	while (strcmp(section->path, path) != 0)
		section++;
	return section;
}
