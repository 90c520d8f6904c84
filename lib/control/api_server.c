/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>

#include "api_internal.h"
#include "control_internal.h"
#include "sl_log.h"

/* Connections taken in one turn. */
#define ACCEPT_BURST 16
#define BACKLOG	     128
#define SWEEP_S	     1

/* Groups of a peer that are looked at. */
#define GROUPS_MAX 1024

void
api_complain(struct sl_api_server *server, const struct request_peer *peer, const char *what)
{
	uint64_t now_ms = control_now_ms();

	if (server->complained_ms != 0 && now_ms - server->complained_ms < 1000) {
		server->nb_complaints++;
		return;
	}
	sl_log(SL_LOG_control, SL_LEVEL_WARN, "client with uid %u, pid %d: %s (and %u like it)",
		peer->uid, peer->pid, what, server->nb_complaints);
	server->complained_ms = now_ms;
	server->nb_complaints = 0;
}

void
api_relieve(struct sl_api_server *server)
{
	struct api_client *client, *worst = NULL;
	size_t most = 0, len;

	if (server->unread <= API_UNREAD_TOTAL)
		return;
	TAILQ_FOREACH (client, &server->clients, next) {
		len = evbuffer_get_length(bufferevent_get_output(client->bev));
		if (!client->is_doomed && len > most) {
			most = len;
			worst = client;
		}
	}
	if (worst == NULL)
		return;
	api_complain(server, &worst->peer,
		"the clients together leave too much unread, this one most: closing its "
		"connection");
	worst->is_doomed = true;
	event_active(worst->more, EV_READ, 0);
}

/* Root, the appliance's own user, and who is in the socket's group. */
static bool
may_connect(const struct sl_api_server *server, int fd, const struct ucred *peer)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (peer->uid == 0 || peer->uid == geteuid() || peer->gid == server->identity.st_gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == server->identity.st_gid)
			return true;
	}
	return false;
}

/* Say why, and close. Nothing is kept for a client that is not taken. */
static void
turn_away(struct sl_api_server *server, int fd, int status, const char *error)
{
	size_t len = 0;
	uint8_t *frame = response_make(0, status, error, NULL, &len);

	server->nb_turned_away++;
	if (frame != NULL)
		(void)!send(fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	free(frame);
	close(fd);
}

static void
take_connection(struct sl_api_server *server, int fd)
{
	struct request_peer peer;
	socklen_t len = sizeof(struct ucred);
	struct ucred cred;
	char error[128];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		close(fd);
		return;
	}
	peer = (struct request_peer){.uid = cred.uid, .pid = cred.pid};
	if (!may_connect(server, fd, &cred)) {
		api_complain(server, &peer, "is neither root nor in the socket's group: refused");
		turn_away(server, fd, EPERM,
			"you may not: the control API is for root and the group of its socket "
			"(control.group)");
	} else if (server->nb_clients >= sl_control_config(server->control)->control.clients_max) {
		snprintf(error, sizeof(error),
			"%u clients are connected, more are not taken (control.clients_max)",
			server->nb_clients);
		api_complain(server, &peer, error);
		turn_away(server, fd, EUSERS, error);
	} else if (api_client_create(server, fd, &peer) != 0) {
		turn_away(server, fd, ENOMEM, "no memory for another client");
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct sl_api_server *server = arg;
	int client;

	RTE_SET_USED(what);
	for (unsigned int i = 0; i < ACCEPT_BURST; i++) {
		client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client >= 0) {
			take_connection(server, client);
			continue;
		}
		/* Without descriptors the socket stays readable: look again with the next sweep. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			sl_log(SL_LOG_control, SL_LEVEL_WARN,
				"a client of the control API cannot be taken: %s", strerror(errno));
			event_del(server->accept);
		}
		return;
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct sl_api_server *server = arg;
	struct api_client *client, *next;
	uint64_t now_ms = control_now_ms();

	RTE_SET_USED(fd);
	RTE_SET_USED(what);
	for (client = TAILQ_FIRST(&server->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, next);
		api_client_sweep(client, now_ms);
	}
	event_add(server->accept, NULL);
}

static int
make_directory(const char *path, char *error, size_t error_len)
{
	char *copy = strdup(path), *directory;
	int rc = 0;

	if (copy == NULL)
		return control_fail(-ENOMEM, error, error_len, "no memory for the control socket");
	directory = dirname(copy);
	if (mkdir(directory, 0755) == 0)
		/* Whatever the umask says: the socket's own mode decides who may connect. */
		(void)!chmod(directory, 0755);
	else if (errno != EEXIST)
		rc = control_fail(-errno, error, error_len,
			"control.socket: directory %s cannot be made: %s", directory,
			strerror(errno));
	free(copy);
	return rc;
}

/* Remove what a dead process has left. */
static int
remove_stale(const struct sockaddr_un *address, char *error, size_t error_len)
{
	struct stat status;
	int fd, rc;

	if (lstat(address->sun_path, &status) != 0)
		return 0;
	if (!S_ISSOCK(status.st_mode))
		return control_fail(-EEXIST, error, error_len,
			"control.socket: %s is there and no socket: remove it, or give another "
			"(--control-socket)",
			address->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return control_fail(
			-errno, error, error_len, "control.socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
	close(fd);
	/* EAGAIN: somebody listens, and has more to do than it can. */
	if (rc == 0 || rc == EAGAIN)
		return control_fail(-EADDRINUSE, error, error_len,
			"control.socket: another process listens on %s: stop it, or give this one "
			"another socket (--control-socket)",
			address->sun_path);
	unlink(address->sun_path);
	return 0;
}

static int
give_to_group(const char *path, const char *name, char *error, size_t error_len)
{
	struct group *group;

	if (name == NULL)
		return 0;
	group = getgrnam(name);
	if (group == NULL)
		return control_fail(-EINVAL, error, error_len,
			"control.group: there is no group %s: groupadd --system %s", name, name);
	if (chown(path, (uid_t)-1, group->gr_gid) != 0)
		return control_fail(-errno, error, error_len,
			"control.group: %s cannot be given to %s: %s", path, name, strerror(errno));
	return 0;
}

static int
open_socket(struct sl_api_server *server, const char *group, char *error, size_t error_len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (strlen(server->path) >= sizeof(address.sun_path))
		return control_fail(-ENAMETOOLONG, error, error_len,
			"control.socket: %s: at most %zu bytes", server->path,
			sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, server->path);
	rc = make_directory(server->path, error, error_len);
	if (rc == 0)
		rc = remove_stale(&address, error, error_len);
	if (rc != 0)
		return rc;
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0)
		return control_fail(
			-errno, error, error_len, "control.socket: %s", strerror(errno));
	/* For nobody else before it has its group. */
	mask = umask(0177);
	rc = bind(server->fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
	umask(mask);
	if (rc != 0)
		return control_fail(rc, error, error_len, "control.socket: %s: %s", server->path,
			strerror(-rc));
	rc = give_to_group(server->path, group, error, error_len);
	if (rc != 0) {
		unlink(server->path);
		return rc;
	}
	if (chmod(server->path, 0660) == 0 && lstat(server->path, &server->identity) == 0 &&
		listen(server->fd, BACKLOG) == 0)
		return 0;
	rc = control_fail(
		-errno, error, error_len, "control.socket: %s: %s", server->path, strerror(errno));
	unlink(server->path);
	return rc;
}

static int
add_events(struct sl_api_server *server)
{
	const struct timeval interval = {.tv_sec = SWEEP_S};

	server->accept = event_new(
		server->base, server->fd, EV_READ | EV_PERSIST, on_accept, server);
	server->sweep = event_new(server->base, -1, EV_PERSIST, on_sweep, server);
	if (server->accept == NULL || server->sweep == NULL)
		return -ENOMEM;
	event_priority_set(server->accept, server->priority);
	event_priority_set(server->sweep, server->priority);
	return event_add(server->accept, NULL) == 0 && event_add(server->sweep, &interval) == 0
		? 0
		: -ENOMEM;
}

int
sl_api_server_create(struct sl_control *control, struct event_base *base,
	const struct sl_config_control *config, struct sl_api_server **server, char *error,
	size_t error_len)
{
	struct sl_api_server *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	s->control = control;
	s->base = base;
	s->fd = -1;
	s->priority = event_base_get_npriorities(base) - 1;
	TAILQ_INIT(&s->clients);
	s->path = strdup(config->socket);
	rc = s->path == NULL ? -ENOMEM : open_socket(s, config->group, error, error_len);
	if (rc == 0 && add_events(s) != 0)
		rc = control_fail(-ENOMEM, error, error_len, "no memory for the control API");
	if (rc != 0) {
		sl_api_server_destroy(s);
		return rc;
	}
	*server = s;
	return 0;
}

void
sl_api_server_get_stats(const struct sl_api_server *server, struct sl_api_stats *stats)
{
	stats->clients = server->nb_clients;
	stats->requests = server->nb_requests;
	stats->turned_away = server->nb_turned_away;
}

void
sl_api_server_destroy(struct sl_api_server *server)
{
	struct api_client *client;
	struct evbuffer *output;
	struct stat status;

	if (server == NULL)
		return;
	while ((client = TAILQ_FIRST(&server->clients)) != NULL) {
		output = bufferevent_get_output(client->bev);
		/* Otherwise only the bufferevent may take from it. */
		evbuffer_unfreeze(output, 1);
		evbuffer_write(output, bufferevent_getfd(client->bev));
		api_client_free(client);
	}
	if (server->accept != NULL)
		event_free(server->accept);
	if (server->sweep != NULL)
		event_free(server->sweep);
	if (server->fd >= 0)
		close(server->fd);
	/* Somebody else may have put his there since. */
	if (server->path != NULL && lstat(server->path, &status) == 0 &&
		status.st_ino == server->identity.st_ino &&
		status.st_dev == server->identity.st_dev)
		unlink(server->path);
	free(server->path);
	free(server);
}
