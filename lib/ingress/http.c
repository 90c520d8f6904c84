/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <event2/buffer.h>
#include <event2/util.h>

#include "http.h"
#include "sl_json.h"

/*
 * HTTP: docs/gateways.md, "HTTP". The connection, and what a request is for. A request that cannot
 * be read ends the connection, because where the next one begins is not known; one that is read and
 * refused does not, when its body is short enough to be read over.
 */

#define HEAD_MS	    10000u /* A head has to be whole within. */
#define PATIENCE_MS 1000u  /* The path has to take a message within, or it is 429. */
#define TICK_MS	    250u
#define REPORT_MS   3000u
#define POLL_MS	    5u
#define PAUSE_BYTES 65536u
#define WHY_MAX	    256u

struct http_listener *
http_listener_of(struct gw_client *client)
{
	return gw_listener_state(gw_client_listener(client));
}

void
http_set_deadline(struct gw_client *client, uint32_t ms)
{
	struct http_client *state = gw_client_state(client);

	state->deadline_ms = gw_thread_now_ms(gw_client_thread(client)) + ms;
}

/* Answers. */

static void
next_request(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	state->phase = HTTP_READ_HEAD;
	state->deadline_ms = 0;
	state->scanned = 0;
	state->is_head_begun = false;
	if (state->is_paused)
		gw_client_resume(client);
	state->is_paused = false;
}

void
http_answer(struct gw_client *client, struct http_answer *answer, const char *body)
{
	struct http_client *state = gw_client_state(client);
	char head[HTTP_ANSWER_MAX];
	size_t len;
	bool is_sent;

	answer->is_closed |= !state->is_kept || answer->is_stream;
	answer->origin = state->origin;
	len = http_answer_write(answer, head);
	is_sent = gw_client_write(client, head, len);
	if (is_sent && !state->is_head && answer->body_len > 0)
		is_sent = gw_client_write(client, body, answer->body_len);
	HTTP_COUNT(http_listener_of(client)->nb_answers[answer->status / 100]);
	http_post_free(client);
	if (is_sent && !answer->is_closed) {
		next_request(client);
		return;
	}
	state->phase = HTTP_OVER;
	state->deadline_ms = 0;
	gw_client_close(client);
}

static void
refuse(struct gw_client *client, unsigned int status, const char *why, const char *allow)
{
	char body[SL_JSON_STRING_MAX(WHY_MAX) + 16], *p = body;
	size_t len = strlen(why);
	struct http_answer answer = {
		.status = status,
		.type = HTTP_JSON,
		.allow = allow,
		.retry_after_s = status == 429 || status == 503 ? HTTP_RETRY_S : 0,
	};

	memcpy(p, "{\"error\":", 9);
	p = sl_json_put_string(p + 9, why, len < WHY_MAX ? len : WHY_MAX);
	*p++ = '}';
	*p++ = '\n';
	answer.body_len = (size_t)(p - body);
	http_answer(client, &answer, body);
}

void
http_refuse(struct gw_client *client, unsigned int status, const char *why)
{
	refuse(client, status, why, NULL);
}

/* Where the next request begins is not known, or not worth reading up to. */
static void
refuse_and_close(struct gw_client *client, unsigned int status, const char *why)
{
	struct http_client *state = gw_client_state(client);

	state->is_kept = false;
	refuse(client, status, why, NULL);
}

/* What the control thread tells. */

static void
poll_report(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	struct http_answer answer = {.status = 200, .type = HTTP_JSON};
	const struct gw_report *report;

	if (state->phase != HTTP_REPORT)
		return;
	report = gw_thread_report(gw_client_thread(client));
	if (report == NULL) {
		if (gw_thread_now_ms(gw_client_thread(client)) >= state->deadline_ms)
			http_refuse(client, 503, "the appliance is too busy to tell");
		else
			gw_client_after(client, POLL_MS, poll_report);
		return;
	}
	if (state->is_health && !report->is_ready)
		answer.status = 503;
	answer.body_len = strlen(state->is_health ? report->health : report->metrics);
	http_answer(client, &answer, state->is_health ? report->health : report->metrics);
}

static void
begin_report(struct gw_client *client, bool is_health)
{
	struct http_client *state = gw_client_state(client);

	state->phase = HTTP_REPORT;
	state->is_health = is_health;
	http_set_deadline(client, REPORT_MS);
	/* It is not closed before it has its answer. */
	state->is_paused = true;
	gw_client_pause(client);
	poll_report(client);
}

/* What a request is for. */

enum resource { NONE, MESSAGES, STREAM, HEALTH, METRICS };

static const struct {
	const char *before, *behind; /* The name; or the whole path. */
	const char *allow;
	bool is_post;
} resources[] = {
	[MESSAGES] = {"/v1/destinations/", "/messages", "POST, OPTIONS", true},
	[STREAM] = {"/v1/topics/", "/stream", "GET, HEAD, OPTIONS", false},
	[HEALTH] = {"/health", NULL, "GET, HEAD, OPTIONS", false},
	[METRICS] = {"/api/metrics", NULL, "GET, HEAD, OPTIONS", false},
};

static enum resource
find_resource(struct gw_text path, struct gw_text *name)
{
	for (unsigned int i = MESSAGES; i <= METRICS; i++) {
		size_t before = strlen(resources[i].before);
		size_t behind = resources[i].behind != NULL ? strlen(resources[i].behind) : 0;

		if (path.len < before + behind || memcmp(path.at, resources[i].before, before) != 0)
			continue;
		*name = (struct gw_text){path.at + before, path.len - before - behind};
		if (behind == 0 ? name->len == 0
				: name->len > 0 && memchr(name->at, '/', name->len) == NULL &&
					memcmp(name->at + name->len, resources[i].behind, behind) ==
						0)
			return (enum resource)i;
	}
	return NONE;
}

/* Where no origins are named, a browser is told nothing, and asked nothing. */
static bool
check_origin(struct gw_client *client, const struct http_request *request)
{
	const struct sl_config_gateway *config = gw_client_config(client);
	struct http_client *state = gw_client_state(client);
	struct gw_text origin = request->fields[HTTP_ORIGIN];

	state->origin.at = NULL;
	if (config->nb_origins == 0 || origin.at == NULL)
		return true;
	if (!http_origin_is_one_of(origin, config->origins, config->nb_origins) ||
		origin.len >= sizeof(state->origin_buf)) {
		gw_client_refuse(
			client, GW_NOT_ALLOWED, "its origin is not allowed", origin.at, origin.len);
		return false;
	}
	memcpy(state->origin_buf, origin.at, origin.len);
	state->origin = (struct gw_text){state->origin_buf, origin.len};
	return true;
}

static void
answer_options(struct gw_client *client, const struct http_request *request, const char *allow)
{
	struct http_answer answer = {
		.status = 204,
		.allow = allow,
		.is_preflight = request->fields[HTTP_PREFLIGHT_METHOD].at != NULL,
	};

	http_answer(client, &answer, NULL);
}

static unsigned int
serve_resource(struct gw_client *client, const struct http_request *request, enum resource resource,
	struct gw_text name, const char **why)
{
	switch (resource) {
	case MESSAGES:
		return http_post_begin(client, request, name, why);
	case STREAM:
		return http_stream_begin(client, request, name, why);
	default:
		begin_report(client, resource == HEALTH);
		return 0;
	}
}

/* @return 0: it is being served; or the status it is refused with */
static unsigned int
serve(struct gw_client *client, const struct http_request *request, const char **why,
	const char **allow)
{
	char buf[HTTP_TOKEN_MAX];
	struct gw_text name, token = http_request_token(request, buf);
	enum resource resource = find_resource(request->path, &name);
	bool is_get = request->method == HTTP_GET || request->method == HTTP_HEAD;

	*why = "this origin is not allowed";
	if (!check_origin(client, request))
		return 403;
	if (request->method == HTTP_OPTIONS) {
		answer_options(client, request,
			resource != NONE ? resources[resource].allow : "GET, HEAD, POST, OPTIONS");
		return 0;
	}
	*why = "a token is needed: Authorization: Bearer TOKEN";
	if (resource != HEALTH && !gw_client_authorize(client, token.at, token.len))
		return 401;
	*why = "not here; there are POST /v1/destinations/NAME/messages, "
	       "GET /v1/topics/NAME/stream, /health and /api/metrics";
	if (resource == NONE)
		return 404;
	*why = "this method is none of this resource's";
	if (resources[resource].is_post ? request->method != HTTP_POST : !is_get) {
		*allow = resources[resource].allow;
		return 405;
	}
	return serve_resource(client, request, resource, name, why);
}

/* One that is refused for what its head says: its body is read over, when that is short. */
static void
refuse_request(struct gw_client *client, const struct http_request *request, unsigned int status,
	const char *why, const char *allow)
{
	struct http_client *state = gw_client_state(client);

	if (status == 400 || status == 411 || status == 413 || status == 415)
		gw_client_refuse(client, status == 413 ? GW_TOO_LONG : GW_BAD_INPUT, why,
			request->path.at, request->path.len);
	if (!request->is_chunked && request->length == 0) {
		refuse(client, status, why, allow);
	} else if (request->expects_continue ||
		request->length > gw_client_config(client)->input_max) {
		state->is_kept = false;
		refuse(client, status, why, allow);
	} else {
		state->refusal = (uint16_t)status;
		state->refusal_why = why;
		state->refusal_allow = allow;
		state->phase = HTTP_READ_BODY;
	}
}

static void
begin_request(struct gw_client *client, const struct http_request *request, bool is_all)
{
	struct http_client *state = gw_client_state(client);
	const char *why = NULL, *allow = NULL;
	unsigned int status;

	HTTP_COUNT(http_listener_of(client)->nb_requests);
	state->serial++;
	state->is_kept = request->is_kept;
	state->is_head = request->method == HTTP_HEAD;
	state->refusal = 0;
	state->body_read = 0;
	http_body_begin(&state->body, request);
	status = serve(client, request, &why, &allow);
	if (status != 0)
		refuse_request(client, request, status, why, allow);
	if (state->phase != HTTP_READ_BODY)
		return;
	http_set_deadline(client, HTTP_BODY_MS);
	if (request->expects_continue && is_all && !http_body_is_done(&state->body))
		gw_client_write(client, HTTP_CONTINUE, strlen(HTTP_CONTINUE));
}

/* Input. */

/* @return false: there is no more of it, or no use for it */
static bool
take_head(struct gw_client *client, struct evbuffer *input)
{
	struct http_client *state = gw_client_state(client);
	size_t len = evbuffer_get_length(input);
	struct http_request request;
	const char *data;
	ssize_t used;

	if (len == 0)
		return false;
	if (!state->is_head_begun)
		http_set_deadline(client, HEAD_MS);
	state->is_head_begun = true;
	if (len > HTTP_HEAD_MAX)
		len = HTTP_HEAD_MAX;
	data = (const char *)evbuffer_pullup(input, (ssize_t)len);
	if (data == NULL) {
		gw_client_close(client);
		return false;
	}
	used = 0;
	if (len >= HTTP_LINE_MAX ||
		memchr(data + state->scanned, '\n', len - state->scanned) != NULL)
		used = http_request_parse(data, len, &request);
	state->scanned = len;
	if (used == 0)
		return false;
	if (used < 0) {
		gw_client_refuse(client, GW_BAD_INPUT, request.why, data, len);
		refuse_and_close(client, request.status, request.why);
		return false;
	}
	begin_request(client, &request, evbuffer_get_length(input) == (size_t)used);
	evbuffer_drain(input, (size_t)used);
	return true;
}

/* @return false: no more of it is read */
static bool
take_content(struct gw_client *client, struct gw_text content)
{
	struct http_client *state = gw_client_state(client);

	state->body_read += content.len;
	if (state->body_read > gw_client_config(client)->input_max) {
		gw_client_refuse(client, GW_TOO_LONG, "a body longer than input_max", NULL, 0);
		refuse_and_close(client, 413, "the body is longer than the gateway's input_max");
		return false;
	}
	if (state->refusal != 0 || content.len == 0)
		return true;
	if (http_post_add(client, content.at, content.len))
		return true;
	refuse_and_close(client, 503, "there is no memory for the body now");
	return false;
}

/* @return false: as above */
static bool
take_body(struct gw_client *client, struct evbuffer *input)
{
	struct http_client *state = gw_client_state(client);
	struct gw_text content;
	const char *data;
	ssize_t used;
	size_t len;

	if (state->post.is_waiting)
		http_post_go_on(client);
	while (state->phase == HTTP_READ_BODY && !state->post.is_waiting &&
		!http_body_is_done(&state->body) &&
		(len = evbuffer_get_contiguous_space(input)) > 0) {
		data = (const char *)evbuffer_pullup(input, (ssize_t)len);
		used = http_body_read(&state->body, data, len, &content);
		if (used < 0) {
			gw_client_refuse(client, GW_BAD_INPUT, state->body.why, data, len);
			refuse_and_close(client, 400, state->body.why);
			return false;
		}
		if (!take_content(client, content))
			return false;
		evbuffer_drain(input, (size_t)used);
		if (state->refusal == 0 && !http_body_is_done(&state->body))
			http_post_go_on(client);
	}
	if (state->phase != HTTP_READ_BODY)
		return true;
	if (!http_body_is_done(&state->body) || state->post.is_waiting)
		return false;
	if (state->refusal != 0) {
		refuse(client, state->refusal, state->refusal_why, state->refusal_allow);
		return true;
	}
	state->post.is_whole = true;
	http_post_go_on(client);
	return state->phase != HTTP_READ_BODY;
}

static void on_tick(struct gw_client *client);

/* One timer a client, and only while something has to be done in time. */
static void
tick(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	if (state->is_ticking || state->deadline_ms == 0)
		return;
	state->is_ticking = true;
	gw_client_after(client, TICK_MS, on_tick);
}

static void
on_input(struct gw_client *client, struct evbuffer *input)
{
	struct http_client *state = gw_client_state(client);
	bool goes_on = true;

	while (goes_on) {
		switch (state->phase) {
		case HTTP_READ_HEAD:
			goes_on = take_head(client, input);
			break;
		case HTTP_READ_BODY:
			goes_on = take_body(client, input);
			break;
		case HTTP_SETTLE:
		case HTTP_REPORT:
			/* It goes on with what is left, and reads no more before. */
			if (evbuffer_get_length(input) > 0 && !state->is_paused) {
				state->is_paused = true;
				gw_client_pause(client);
			}
			goes_on = false;
			break;
		default:
			evbuffer_drain(input, evbuffer_get_length(input));
			goes_on = false;
		}
	}
	tick(client);
}

static void
on_deadline(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	switch (state->phase) {
	case HTTP_READ_HEAD:
	case HTTP_READ_BODY:
		gw_client_refuse(client, GW_IDLE, "its request did not come in time", NULL, 0);
		refuse_and_close(client, 408, "the request did not come in time");
		break;
	case HTTP_SETTLE:
		http_post_answer(client);
		break;
	case HTTP_SUBSCRIBE:
		refuse_and_close(client, 503, "the topic is not to be had now");
		break;
	default:
		break;
	}
}

static void
on_tick(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	uint64_t now = gw_thread_now_ms(gw_client_thread(client));

	state->is_ticking = false;
	if (state->phase == HTTP_READ_BODY && state->post.is_waiting) {
		if (now - state->post.wait_ms >= PATIENCE_MS)
			http_post_give_up(client);
	} else if (state->deadline_ms != 0 && now >= state->deadline_ms) {
		on_deadline(client);
	}
	tick(client);
}

static void
on_published(struct gw_client *client, uint64_t token, bool is_durable)
{
	http_post_published(client, token, is_durable);
}

static void
on_subscribed(struct gw_client *client, struct gw_subscription *subscription)
{
	struct http_client *state = gw_client_state(client);

	if (state->phase == HTTP_SUBSCRIBE && subscription == state->subscription)
		http_stream_subscribed(client);
}

static void
farewell(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);

	state->is_kept = false;
	switch (state->phase) {
	case HTTP_READ_BODY:
	case HTTP_SETTLE:
		if (state->refusal == 0) {
			http_post_answer(client);
			break;
		}
		/* FALLTHROUGH */
	case HTTP_REPORT:
	case HTTP_SUBSCRIBE:
		http_refuse(client, 503, "the appliance ends");
		break;
	default:
		break;
	}
}

static void
on_closed(struct gw_client *client)
{
	http_post_free(client);
	http_stream_end(client);
}

static bool
wants(struct gw_client *client, const struct gw_delivery *delivery)
{
	(void)delivery;
	return http_stream_wants(client);
}

/* The listener. */

static int
open_listener(struct gw_listener *listener)
{
	struct http_listener *state = gw_listener_state(listener);

	evutil_secure_rng_get_bytes(&state->id_high, sizeof(state->id_high));
	state->http_source = gw_name_key(gw_listener_thread(listener), "http", 4);
	return 0;
}

static void
show(const struct gw_listener *listener, json_t *object)
{
	const struct http_listener *state = gw_listener_state(
		(struct gw_listener *)(uintptr_t)listener);

	gw_show_add(object, "requests", &state->nb_requests);
	gw_show_add(object, "answers_2xx", &state->nb_answers[2]);
	gw_show_add(object, "answers_4xx", &state->nb_answers[4]);
	gw_show_add(object, "answers_5xx", &state->nb_answers[5]);
	gw_show_add(object, "streams", &state->nb_streams);
	gw_show_add(object, "events", &state->nb_events);
	gw_show_add(object, "resumed", &state->nb_resumed);
	gw_show_add(object, "gaps", &state->nb_gaps);
}

const struct gw_protocol gw_http = {
	.name = "http",
	.client_size = sizeof(struct http_client),
	.listener_size = sizeof(struct http_listener),
	.open = open_listener,
	.close = http_streams_close,
	.input = on_input,
	.published = on_published,
	.subscribed = on_subscribed,
	.farewell = farewell,
	.closed = on_closed,
	.render = http_stream_render,
	.wants = wants,
	.sent = http_stream_sent,
	.show = show,
};
