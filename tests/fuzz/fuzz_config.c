/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */

/*
 * Any bytes as a configuration file: either a configuration that holds what sl_config.h promises,
 * or one line that says why not.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sl_config.h>

#define PATH	"fuzz.yaml"
#define REFUSED PATH ": libcyaml refuses it"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
require(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static bool
is_configured(const struct sl_config *config, uint32_t level)
{
	uint32_t i;

	for (i = 0; i < config->nb_classes; i++) {
		if (config->classes[i].level == level)
			return true;
	}
	return false;
}

static void
check_name(const struct sl_config *config, uint64_t key, const char *name)
{
	const char *found = sl_config_name_of(config, key);

	require(found != NULL && strcmp(found, name) == 0, "a name is found by its key");
	require(name[0] != '\0' && strlen(name) <= SL_CONFIG_NAME_MAX, "names are of good length");
}

static void
check_health(const struct sl_config_health *health)
{
	const struct sl_config_check *check;
	uint32_t i;

	require(health->interval_ms >= 10 && health->fast_interval_ms >= 10 &&
			health->down_interval_ms >= 10 && health->timeout_ms >= 10,
		"checks take time");
	require(health->rise >= 1 && health->fall >= 1 && health->notify_after >= 1,
		"checks are counted");
	require(health->nb_checks <= SL_CONFIG_CHECKS_MAX, "checks have a bound");
	for (i = 0; i < health->nb_checks; i++) {
		check = &health->checks[i];
		require((check->kind == SL_CHECK_HTTP) == (check->path != NULL), "http's path");
		require((check->kind == SL_CHECK_EXEC) == (check->nb_argv > 0), "exec's command");
		require(check->nb_argv == 0 || check->argv[check->nb_argv] == NULL, "its end");
	}
}

/* What is written is read again, and is the same. */
static void
check_round_trip(const struct sl_config *config)
{
	struct sl_config *copy;
	char error[512], *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	require(file != NULL && sl_config_write(config, file) == 0, "it is written");
	fclose(file);
	if (sl_config_parse(PATH, text, len, &copy, error, sizeof(error)) != 0) {
		fprintf(stderr, "%s\n%s", error, text);
		abort();
	}
	require(sl_config_diff(config, copy, NULL, NULL) == 0, "it is the same again");
	sl_config_free(copy);
	free(text);
}

static void
check_guarantee(const struct sl_config *config, const struct sl_config_destination *destination)
{
	const struct sl_config_destination *other;

	require(destination->guarantee == SL_CONFIG_AT_MOST_ONCE ||
			config->journal.directory != NULL,
		"what is durable has a journal");
	require(destination->in_flight >= 16 && destination->requeue_after_ms >= 100,
		"what is in flight has bounds");
	require((destination->in_flight & (destination->in_flight - 1)) == 0, "in flight");
	require((destination->dead_letter != NULL) ==
			(destination->dead_letter_index != UINT32_MAX),
		"a dead letter is found");
	if (destination->dead_letter == NULL)
		return;
	require(destination->dead_letter_index < config->nb_destinations, "it is there");
	other = &config->destinations[destination->dead_letter_index];
	require(other != destination && other->dead_letter == NULL &&
			other->guarantee == SL_CONFIG_AT_LEAST_ONCE &&
			destination->guarantee == SL_CONFIG_AT_LEAST_ONCE,
		"nothing is given up twice");
}

static void
check_durability(const struct sl_config *config)
{
	const struct sl_config_journal *journal = &config->journal;
	uint32_t i;

	require(journal->directory == NULL || journal->directory[0] == '/', "the directory");
	require((journal->segment_bytes & (journal->segment_bytes - 1)) == 0 &&
			(journal->ring_bytes & (journal->ring_bytes - 1)) == 0,
		"the journal's powers of 2");
	require(journal->retention_bytes <= journal->max_bytes &&
			journal->max_bytes >= 4 * journal->segment_bytes,
		"the journal has room");
	require(journal->cpu >= -1, "its CPU");
	require((config->publishers.window & (config->publishers.window - 1)) == 0, "the window");
	require(config->nb_sinks <= SL_CONFIG_SINKS_MAX, "sinks have a bound");
	require(config->nb_sinks == 0 || journal->directory != NULL, "sinks trail the journal");
	for (i = 0; i < config->nb_sinks; i++)
		require((config->sinks[i].kind == SL_SINK_SQLITE) ==
					(config->sinks[i].path != NULL) &&
				(config->sinks[i].kind == SL_SINK_POSTGRESQL) ==
					(config->sinks[i].conninfo != NULL),
			"a sink knows where to");
}

static void
check_destination(const struct sl_config *config, const struct sl_config_destination *destination)
{
	const struct sl_config_backend *backend;
	const struct sl_config_subnet *subnet;
	uint32_t i;

	check_name(config, destination->key, destination->name);
	require(is_configured(config, destination->default_class), "the default class is there");
	require(destination->burst_msgs >= 1, "a burst is at least one message");
	require(destination->queue_capacity >= 1 && destination->queue_capacity <= 1 << 24,
		"a queue has bounds");
	require(destination->partitions >= 1 && destination->partitions <= SL_CONFIG_PARTITIONS_MAX,
		"partitions have bounds");
	require(destination->nb_backends <= SL_CONFIG_BACKENDS_MAX, "backends have a bound");
	for (i = 0; i < destination->nb_backends; i++) {
		backend = &destination->backends[i];
		require(backend->port_index < config->nb_ports, "a backend has a port");
		subnet = &config->ports[backend->port_index]
				  .subnets[sl_ip_is_v4(&backend->address) ? SL_IPV4 : SL_IPV6];
		require(!sl_ip_is_unset(&subnet->address), "its port speaks its family");
		require(sl_ip_equal(&backend->next_hop, &backend->address) ||
				sl_ip_equal(&backend->next_hop, &subnet->gateway),
			"a backend is reached");
		require(!sl_ip_is_unset(&backend->next_hop) && backend->weight >= 1 &&
				backend->port >= 1,
			"a backend is complete");
	}
	check_health(&destination->health);
	check_guarantee(config, destination);
}

static void
check_config(const struct sl_config *config)
{
	uint32_t share = 0, i;

	require(config->nb_ports >= 1 && config->nb_ports <= SL_CONFIG_PORTS_MAX, "ports");
	require(config->nb_classes >= 1 && config->nb_classes <= SL_CONFIG_CLASSES_MAX, "classes");
	for (i = 0; i < config->nb_classes; i++) {
		require(i == 0 || config->classes[i].level > config->classes[i - 1].level,
			"classes are sorted");
		share += config->classes[i].min_share_percent;
	}
	require(share <= 100, "shares fit");
	for (i = 0; i < config->nb_destinations; i++)
		check_destination(config, &config->destinations[i]);
	for (i = 0; i < config->nb_rules; i++)
		require(is_configured(config, config->rules[i].level), "a rule's class is there");
	for (i = 0; i < config->nb_lcores; i++)
		require(config->lcores[i].roles != 0, "an lcore has a role");
	require((config->ring_size & (config->ring_size - 1)) == 0, "ring size");
	check_health(&config->health);
	check_durability(config);
	require(config->control.socket != NULL && config->log.lines_per_s >= 1, "services");
	require(config->arp_retry_max_ms >= config->arp_retry_ms, "retries grow");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sl_config *config;
	char error[512];
	int ret;

	ret = sl_config_parse(PATH, (const char *)data, len, &config, error, sizeof(error));
	if (ret == 0) {
		require(error[0] == '\0', "no error, no text");
		check_config(config);
		check_round_trip(config);
	} else {
		require(config == NULL, "no configuration after an error");
		require(strncmp(error, PATH ":", strlen(PATH ":")) == 0, "the file is named");
		require(strchr(error, '\n') == NULL, "one line");
		require(strncmp(error, REFUSED, strlen(REFUSED)) != 0,
			"libcyaml takes what the scan takes");
	}
	sl_config_free(config);
	return 0;
}
