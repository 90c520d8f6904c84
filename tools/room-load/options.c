/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "room_load.h"

static const char usage[] =
	"Usage: room-load [OPTION...]\n"
	"Fill chat rooms with users who talk, and check that each hears all of it, once, in order.\n"
	"\n"
	"      --url URL          the rooms (ws://127.0.0.1:8081/chat)\n"
	"      --token TEXT       a token to come in with\n"
	"      --rooms N          how many (20)\n"
	"      --room-prefix TEXT their ids: this and a number (none)\n"
	"      --first-room N     the first number (1)\n"
	"      --users N          in each room (5)\n"
	"      --first-user N     the userId of the first (1)\n"
	"      --deaf N           more users in each room, who never read (0)\n"
	"      --messages N       of all together (1000000)\n"
	"      --warmup N         more before them, which are not measured (10000)\n"
	"      --rate N           messages a second of all together; 0: as they come back (0)\n"
	"      --window N         of a user that have not come back to it, at most (16)\n"
	"      --size N           characters of a message, 44 to 500 (64)\n"
	"      --check N          look at each N-th frame with a JSON library; 0: none (100)\n"
	"      --timeout SECONDS  give up when nothing comes for so long (10)\n"
	"      --json FILE        write the result as JSON; - is standard output\n"
	"      --csv FILE         a line for each second\n"
	"      --plot FILE        the same as a picture, SVG\n"
	"  -q, --quiet            nothing but the result\n"
	"  -h, --help             this text\n"
	"\n"
	"Exit code: 0 all was heard; 1 not all, or not as it was said; 2 it could not run.\n";

enum {
	URL = 256,
	TOKEN,
	ROOMS,
	ROOM_PREFIX,
	FIRST_ROOM,
	USERS,
	FIRST_USER,
	DEAF,
	MESSAGES,
	WARMUP,
	RATE,
	WINDOW,
	SIZE,
	CHECK,
	TIMEOUT,
	JSON,
	CSV,
	PLOT
};

static const struct option names[] = {
	{"url", required_argument, NULL, URL},
	{"token", required_argument, NULL, TOKEN},
	{"rooms", required_argument, NULL, ROOMS},
	{"room-prefix", required_argument, NULL, ROOM_PREFIX},
	{"first-room", required_argument, NULL, FIRST_ROOM},
	{"users", required_argument, NULL, USERS},
	{"first-user", required_argument, NULL, FIRST_USER},
	{"deaf", required_argument, NULL, DEAF},
	{"messages", required_argument, NULL, MESSAGES},
	{"warmup", required_argument, NULL, WARMUP},
	{"rate", required_argument, NULL, RATE},
	{"window", required_argument, NULL, WINDOW},
	{"size", required_argument, NULL, SIZE},
	{"check", required_argument, NULL, CHECK},
	{"timeout", required_argument, NULL, TIMEOUT},
	{"json", required_argument, NULL, JSON},
	{"csv", required_argument, NULL, CSV},
	{"plot", required_argument, NULL, PLOT},
	{"quiet", no_argument, NULL, 'q'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static bool
number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *to)
{
	char *end;

	*to = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *to >= min && *to <= max)
		return true;
	fprintf(stderr, "room-load: --%s: \"%s\" is not %llu to %llu\n", name, text,
		(unsigned long long)min, (unsigned long long)max);
	return false;
}

static bool
number32(const char *name, const char *text, uint32_t min, uint32_t max, uint32_t *to)
{
	uint64_t wide;
	bool is_good = number(name, text, min, max, &wide);

	*to = (uint32_t)wide;
	return is_good;
}

/* ws://HOST[:PORT][/PATH]; an IPv6 address stands in brackets. */
static bool
parse_url(const char *text, struct options *o)
{
	const char *at = text, *host, *end;
	size_t len;

	if (strncmp(at, "ws://", 5) != 0)
		goto bad;
	host = at += 5;
	if (*host == '[') {
		end = strchr(++host, ']');
		if (end == NULL)
			goto bad;
		at = end + 1;
	} else {
		at = end = host + strcspn(host, ":/");
	}
	len = (size_t)(end - host);
	if (len == 0 || len >= sizeof(o->host))
		goto bad;
	memcpy(o->host, host, len);
	o->host[len] = '\0';
	strcpy(o->port, "80");
	if (*at == ':') {
		len = strcspn(++at, "/");
		if (len == 0 || len >= sizeof(o->port))
			goto bad;
		memcpy(o->port, at, len);
		o->port[len] = '\0';
		at += len;
	}
	len = strlen(at);
	if (len + 2 > sizeof(o->path))
		goto bad;
	memcpy(o->path, at, len + 1);
	if (len == 0 || o->path[len - 1] != '/')
		strcat(o->path, "/");
	return true;
bad:
	fprintf(stderr, "room-load: --url: \"%s\" is not ws://HOST[:PORT]/PATH\n", text);
	return false;
}

static bool
take(int option, const char *text, struct options *o)
{
	switch (option) {
	case URL:
		return parse_url(text, o);
	case ROOMS:
		return number32("rooms", text, 1, USERS_ALL, &o->rooms);
	case FIRST_ROOM:
		return number32("first-room", text, 0, 1000000000, &o->first_room);
	case USERS:
		return number32("users", text, 1, USERS_ALL, &o->users);
	case FIRST_USER:
		return number32("first-user", text, 1, USERS_ALL, &o->first_user);
	case DEAF:
		return number32("deaf", text, 0, USERS_ALL, &o->deaf);
	case MESSAGES:
		return number("messages", text, 1, UINT64_C(10000000000), &o->messages);
	case WARMUP:
		return number("warmup", text, 0, UINT64_C(10000000000), &o->warmup);
	case RATE:
		return number("rate", text, 0, 1000000000, &o->rate);
	case WINDOW:
		return number32("window", text, 1, 1000000, &o->window);
	case SIZE:
		return number32("size", text, TEXT_MIN, TEXT_MAX, &o->size);
	case CHECK:
		return number32("check", text, 0, UINT32_MAX, &o->check);
	case TIMEOUT:
		return number32("timeout", text, 1, 86400, &o->timeout_s);
	case TOKEN:
		o->token = text;
		return true;
	case ROOM_PREFIX:
		o->room_prefix = text;
		return true;
	case JSON:
		o->json = text;
		return true;
	case CSV:
		o->csv = text;
		return true;
	case PLOT:
		o->plot = text;
		return true;
	case 'q':
		o->is_quiet = true;
		return true;
	}
	return false;
}

bool
options_parse(int argc, char **argv, struct options *o, int *status)
{
	int option;

	*o = (struct options){.room_prefix = "",
		.first_room = 1,
		.first_user = 1,
		.rooms = 20,
		.users = 5,
		.messages = 1000000,
		.warmup = 10000,
		.window = 16,
		.size = 64,
		.check = 100,
		.timeout_s = 10};
	parse_url("ws://127.0.0.1:8081/chat", o);
	while ((option = getopt_long(argc, argv, "qh", names, NULL)) != -1) {
		if (option == 'h') {
			fputs(usage, stdout);
			*status = 0;
			return false;
		}
		if (!take(option, optarg, o)) {
			if (option == '?')
				fputs("room-load: try --help\n", stderr);
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "room-load: what is \"%s\"? try --help\n", argv[optind]);
		return false;
	}
	if ((uint64_t)o->rooms * (o->users + o->deaf) + o->first_user - 1 > USERS_ALL) {
		fprintf(stderr, "room-load: there are userIds up to %d only\n", USERS_ALL);
		return false;
	}
	if (strlen(o->room_prefix) > ROOM_ID_MAX - 16) {
		fprintf(stderr, "room-load: --room-prefix is too long\n");
		return false;
	}
	return true;
}
