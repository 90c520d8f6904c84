/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_pdump.h>
#include <rte_version.h>

#include "loop.h"
#include "options.h"
#include "sl_config.h"
#include "sl_log.h"

/* What would mend it when EAL does not start, by words in what it said itself. */
static const struct {
	const char *said;
	const char *hint;
} eal_hints[] = {
	/* The first that fits counts. */
	{"no mounted hugetlbfs",
		"mount it (mount -t hugetlbfs none /dev/hugepages) or run with "
		"--no-huge -m 1024"},
	{"hugepage",
		"reserve huge pages (sysctl -w vm.nr_hugepages=1024) or run with --no-huge -m "
		"1024"},
	{"memory",
		"reserve more huge pages (sysctl -w vm.nr_hugepages=1024), or give --no-huge a "
		"larger -m"},
	{"lock", "another DPDK process runs with this --file-prefix: give each its own"},
	{"lcore", "name CPUs this machine has in -l (see lscpu)"},
	{"core list", "name CPUs this machine has in -l (see lscpu)"},
	{"ermission", "run as root, or see tools/doctor"},
	{"probe", "check the arguments of --vdev and -a, and that the interface exists (ip link)"},
	{"vdev", "check the arguments of --vdev, and that the interface exists (ip link)"},
};

/* The line that says most: the first that is an error, or the last. */
static const char *
significant_line(char *text)
{
	char *line, *save = NULL, *last = NULL, *error = NULL;

	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (error == NULL &&
			(strstr(line, "annot") || strstr(line, "FATAL") || strstr(line, "nvalid") ||
				strstr(line, "ailed")))
			error = line;
		last = line;
	}
	return error != NULL ? error : last;
}

static const char *
hint_for(const char *said)
{
	for (unsigned int i = 0; i < RTE_DIM(eal_hints); i++) {
		if (strstr(said, eal_hints[i].said) != NULL)
			return eal_hints[i].hint;
	}
	return NULL;
}

static void
explain_eal_failure(int error, const char *text)
{
	char *copy = strdup(text);
	const char *line = copy == NULL ? NULL : significant_line(copy), *hint;

	if (line == NULL || line[0] == '\0')
		line = rte_strerror(error);
	/* What counts is said in that line; the others tell of the weather, too. */
	hint = hint_for(line);
	if (hint == NULL && strstr(text, "no mounted hugetlbfs") != NULL)
		hint = hint_for("no mounted hugetlbfs");
	sl_log(SL_LOG_main, SL_LEVEL_ERROR, "EAL does not start: %s; %s", line,
		hint != NULL ? hint : "check the EAL arguments, and see tools/doctor");
	free(copy);
}

/*
 * EAL answers a wrong argument with its whole manual on standard output, under which our line would
 * not be seen. Returns what to hand to restore_stdout(), -1 when somebody asked for the manual.
 */
static int
silence_stdout(int argc, char **argv)
{
	int saved, null;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return -1;
	}
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDOUT_FILENO);
		close(null);
	}
	return saved;
}

static void
restore_stdout(int saved)
{
	if (saved < 0)
		return;
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

/*
 * EAL's own lines are kept back: they are shown when it starts, and when it does not, the one that
 * counts goes into ours.
 */
static int
init_eal(int argc, char **argv)
{
	char *text = NULL;
	size_t len = 0;
	FILE *log = open_memstream(&text, &len);
	int rc, saved;

	if (log == NULL)
		return -ENOMEM;
	rte_openlog_stream(log);
	saved = silence_stdout(argc, argv);
	rc = rte_eal_init(argc, argv) < 0 ? -(rte_errno != 0 ? rte_errno : EIO) : 0;
	restore_stdout(saved);
	fflush(log);
	if (rc != 0)
		explain_eal_failure(-rc, text);
	else
		fputs(text, stderr);
	rte_openlog_stream(NULL);
	fclose(log);
	free(text);
	return rc;
}

/* Each client is a descriptor. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int
on_no_message(const struct rte_mp_msg *message, const void *peer)
{
	RTE_SET_USED(message);
	RTE_SET_USED(peer);
	return 0;
}

/* Can another process attach to this one's memory? Nobody tells, but messages need the same. */
static bool
is_memory_shared(void)
{
	static const char name[] = "sluice_is_shared";

	if (!rte_eal_has_hugepages() || rte_mp_action_register(name, on_no_message) != 0)
		return false;
	rte_mp_action_unregister(name);
	return true;
}

static bool
has_memif(void)
{
	struct rte_eth_dev_info info;
	uint16_t id;

	RTE_ETH_FOREACH_DEV (id) {
		if (rte_eth_dev_info_get(id, &info) == 0 && info.driver_name != NULL &&
			strcmp(info.driver_name, "net_memif") == 0)
			return true;
	}
	return false;
}

/* Takes `config`. */
static int
run(const struct options *options, struct sl_config *config, char **argv)
{
	bool has_capture;
	int rc;

	rc = init_eal(options->nb_eal_args, argv);
	if (rc != 0) {
		sl_config_free(config);
		return rc;
	}
	raise_descriptor_limit();
	has_capture = is_memory_shared() && rte_pdump_init() == 0;
	if (!has_capture)
		sl_log(SL_LOG_main, SL_LEVEL_INFO,
			"dpdk-dumpcap cannot capture here: it needs huge pages, and no --in-memory");
	rc = loop_run(options, config);
	if (has_capture)
		rte_pdump_uninit();
	/* A memif's listening socket stays with the interrupt thread, in memory that this unmaps.
	 */
	if (!has_memif())
		rte_eal_cleanup();
	return rc;
}

/* One that is closed would be a device's or a socket's next, and log lines would go there. */
static void
hold_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* As the arguments say; `eal_argv` is a copy of them for EAL. Returns the exit code. */
static int
obey(int argc, char **argv, char **eal_argv)
{
	struct options options;
	struct sl_config *config;
	char error[512];

	if (options_parse(argc, argv, &options) != 0)
		return EXIT_FAILURE;
	if (options.help) {
		options_usage();
		return EXIT_SUCCESS;
	}
	if (options.version) {
		printf("sluice %s (%s)\n", SLUICE_VERSION, rte_version());
		return EXIT_SUCCESS;
	}
	if (options.config_reference)
		return sl_config_write_reference(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	if (sl_config_load(options.config, &config, error, sizeof(error)) != 0) {
		sl_log(SL_LOG_config, SL_LEVEL_ERROR, "%s", error);
		return EXIT_FAILURE;
	}
	if (!options.check_config)
		return run(&options, config, eal_argv) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	printf("%s: ok: %u ports, %u classes, %u destinations, %u rules\n", options.config,
		config->nb_ports, config->nb_classes, config->nb_destinations, config->nb_rules);
	sl_config_free(config);
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	char **eal_argv = calloc((size_t)argc + 1, sizeof(*eal_argv));
	int code;

	/* A log or statistics reader that goes away does not take the appliance along. */
	signal(SIGPIPE, SIG_IGN);
	/* Or the exit codes of commands would be lost. */
	signal(SIGCHLD, SIG_DFL);
	/* A reload that is asked for while it starts is done when it has. */
	loop_heed_reloads(false);
	hold_standard_descriptors();
	/* EAL and getopt may reorder what they are given. */
	if (eal_argv == NULL)
		return EXIT_FAILURE;
	memcpy(eal_argv, argv, (size_t)argc * sizeof(argv[0]));
	code = obey(argc, argv, eal_argv);
	free(eal_argv);
	return code;
}
