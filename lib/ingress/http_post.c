/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The Sluice authors
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"
#include "http_line.h"
#include "put.h"
#include "sl_json.h"

/*
 * POST of messages. A body is one message, or one a line; each line costs only itself. The answer
 * comes when all that was taken is durable. A message's token is the request's serial number and
 * its place among the results, so that what becomes durable too late finds nobody.
 */

#define DURABLE_MS 10000u /* Then the answer says that it is not known. */
#define ID_MAX	   32	  /* Digits of an id of ours. */
#define KEPT_MAX   65536u /* Of a message. */
#define RESULT_MAX 48	  /* Bytes of a result beside its texts, */
#define ERROR_MAX  48	  /* and of an error that is ours. */
#define ANSWER_MAX 160	  /* And of an answer beside its results. */

static struct http_post *
post_of(struct gw_client *client)
{
	return &((struct http_client *)gw_client_state(client))->post;
}

void
http_post_free(struct gw_client *client)
{
	struct http_post *post = post_of(client);

	gw_client_hold(client, 0);
	free(post->body);
	free(post->results);
	free(post->ids);
	memset(post, 0, sizeof(*post));
}

/* Room for `more` bytes. @return false: no memory */
static bool
grow(void **data, size_t *size, size_t used, size_t more, size_t item)
{
	size_t wanted = *size;
	void *grown;

	if (used + more <= *size)
		return true;
	while (wanted < used + more)
		wanted = wanted == 0 ? 512 / item : 2 * wanted;
	grown = realloc(*data, wanted * item);
	if (grown == NULL)
		return false;
	*data = grown;
	*size = wanted;
	return true;
}

/* The head. */

static bool
is_many(struct gw_text type)
{
	return http_type_is(type, "application/x-ndjson") ||
		http_type_is(type, "application/jsonl") ||
		http_type_is(type, "application/x-jsonlines") ||
		http_type_is(type, "application/ndjson");
}

static unsigned int
check_body(struct gw_client *client, const struct http_request *request, const char **why)
{
	struct gw_text coding = request->fields[HTTP_CONTENT_ENCODING];
	struct gw_text type = request->fields[HTTP_CONTENT_TYPE];

	*why = "Content-Length or Transfer-Encoding: chunked is needed";
	if (!request->has_length && !request->is_chunked)
		return 411;
	*why = "the body is longer than the gateway's input_max";
	if (request->length > gw_client_config(client)->input_max)
		return 413;
	*why = "a body is taken as it is: no Content-Encoding, no multipart";
	if ((coding.at != NULL && !http_type_is(coding, "identity")) ||
		(type.len > 10 && strncasecmp(type.at, "multipart/", 10) == 0))
		return 415;
	return 0;
}

static unsigned int
check_names(struct gw_client *client, const struct http_request *request, const char **why)
{
	struct gw_thread *thread = gw_client_thread(client);
	struct gw_text type = request->fields[HTTP_TYPE], id = request->fields[HTTP_ID];
	struct gw_text priority = request->fields[HTTP_PRIORITY];
	struct gw_text source = request->fields[HTTP_SOURCE];
	struct http_post *post = post_of(client);
	const char *name = gw_client_name(client);

	*why = "Sluice-Priority is a digit, 1 (best) to 8";
	if (priority.at != NULL && !http_priority_read(priority, &post->priority))
		return 400;
	*why = "Sluice-Type, Sluice-Source and Sluice-Id are 1 to 255 bytes of UTF-8";
	if ((type.at != NULL && !http_name_is_valid(type)) ||
		(source.at != NULL && !http_name_is_valid(source)) ||
		(id.at != NULL && !http_name_is_valid(id)))
		return 400;
	*why = "each line has a messageId of its own: no Sluice-Id";
	if (post->is_many && id.at != NULL)
		return 400;
	if (type.at != NULL)
		post->type = gw_name_key(thread, type.at, type.len);
	if (source.at != NULL)
		post->source = gw_name_key(thread, source.at, source.len);
	else if (name != NULL)
		post->source = gw_name_key(thread, name, strlen(name));
	else
		post->source = http_listener_of(client)->http_source;
	memcpy(post->id, id.at != NULL ? id.at : "", id.len);
	post->id_len = id.len;
	return 0;
}

unsigned int
http_post_begin(struct gw_client *client, const struct http_request *request, struct gw_text name,
	const char **why)
{
	struct http_client *state = gw_client_state(client);
	struct http_post *post = &state->post;
	ssize_t len = http_unescape(name, post->destination, sizeof(post->destination));
	unsigned int status;

	status = check_body(client, request, why);
	if (status != 0)
		return status;
	*why = "there is no such destination";
	if (len < 0 ||
		gw_find_destination(gw_client_thread(client), post->destination, (size_t)len) ==
			NULL) {
		gw_client_refuse(client, GW_NO_DESTINATION, *why, name.at, name.len);
		gw_tell_unknown(client, len < 0 ? name.at : post->destination,
			len < 0 ? name.len : (size_t)len);
		return 404;
	}
	post->destination_len = (size_t)len;
	post->is_many = is_many(request->fields[HTTP_CONTENT_TYPE]);
	status = check_names(client, request, why);
	if (status != 0) {
		http_post_free(client);
		return status;
	}
	post->answer_len = ANSWER_MAX;
	state->phase = HTTP_READ_BODY;
	return 0;
}

bool
http_post_add(struct gw_client *client, const char *data, size_t len)
{
	struct http_post *post = post_of(client);

	/* Of what no datagram holds no more has to be kept. */
	if (!post->is_many && len > KEPT_MAX - post->body_len)
		len = KEPT_MAX - post->body_len;
	/* What has been published makes room for what comes. */
	if (post->body_at > 0) {
		post->body_len -= post->body_at;
		memmove(post->body, post->body + post->body_at, post->body_len);
		post->body_at = 0;
	}
	if (!grow((void **)&post->body, &post->body_size, post->body_len, len, 1))
		return false;
	memcpy(post->body + post->body_len, data, len);
	post->body_len += len;
	return gw_client_hold(client,
		post->body_size + post->ids_size + post->results_size * sizeof(*post->results));
}

/* Results. */

/* @return NULL: no memory */
static struct http_result *
add_result(struct http_post *post, const char *text, size_t len)
{
	size_t size = post->results_size;
	struct http_result *result;

	if (!grow((void **)&post->results, &size, post->nb_results, 1, sizeof(*post->results)) ||
		!grow((void **)&post->ids, &post->ids_size, post->ids_len, len + 1, 1))
		return NULL;
	post->results_size = (uint32_t)size;
	result = &post->results[post->nb_results++];
	memset(result, 0, sizeof(*result));
	result->text_at = post->ids_len;
	if (len > 0)
		memcpy(post->ids + post->ids_len, text, len);
	post->ids_len += len;
	return result;
}

/* A text of the input, and so not one that lasts. */
static bool
add_refusal(struct http_post *post, const char *why)
{
	size_t len = strlen(why);
	struct http_result *result = add_result(post, why, len);

	if (result == NULL)
		return false;
	result->status = 400;
	result->error_len = (uint8_t)len;
	return true;
}

static void
set_refused(struct http_result *result, unsigned int status, const char *error)
{
	result->status = (uint16_t)status;
	result->error = error;
}

static void
set_reason(struct http_result *result, enum gw_reason reason)
{
	switch (reason) {
	case GW_NO_DESTINATION:
		set_refused(result, 404, "there is no such destination any more");
		break;
	case GW_TOO_LONG:
		set_refused(result, 413, "it is longer than a datagram holds");
		break;
	case GW_OVER_RATE:
		set_refused(result, 429, "too many messages a second");
		break;
	case GW_NO_BUFFER:
		set_refused(result, 429, "there is no buffer for it now");
		break;
	default:
		set_refused(result, 400, "it was not taken");
	}
}

/* Publishing. */

enum taken { TAKEN, NOT_NOW, NO_MEMORY };

/* One more message, whose result is the last one. */
static enum taken
publish(struct gw_client *client, const struct gw_message *message)
{
	struct http_client *state = gw_client_state(client);
	struct http_post *post = &state->post;
	uint32_t place = post->nb_results - 1;
	struct http_result *result = &post->results[place];
	enum gw_reason reason = GW_BAD_INPUT;

	if (post->is_pressed) {
		set_refused(result, 429, "the path takes no more now");
		return TAKEN;
	}
	switch (gw_publish(client, message, (uint64_t)state->serial << 32 | place, &reason)) {
	case GW_ACCEPTED:
		break;
	case GW_PENDING:
		result->is_pending = true;
		post->nb_pending++;
		break;
	case GW_REFUSED:
		set_reason(result, reason);
		break;
	case GW_WAIT:
		/* It is offered again. */
		post->ids_len = result->text_at;
		post->nb_results--;
		return NOT_NOW;
	}
	return TAKEN;
}

static enum taken
publish_message(struct gw_client *client, struct gw_message *message)
{
	struct http_listener *listener = http_listener_of(client);
	struct http_post *post = post_of(client);
	struct http_result *result = add_result(post, message->id_text, message->id_text_len);
	enum taken taken;

	if (result == NULL)
		return NO_MEMORY;
	result->id_len = (uint8_t)message->id_text_len;
	if (result->id_len == 0) {
		result->id_low = listener->nb_ids;
		message->id_text = NULL;
		message->id_high = listener->id_high;
		message->id_low = listener->nb_ids;
	}
	taken = publish(client, message);
	if (taken == TAKEN && message->id_text == NULL)
		listener->nb_ids++;
	return taken;
}

static enum taken
publish_body(struct gw_client *client)
{
	struct http_post *post = post_of(client);
	struct gw_message message = {
		.destination = post->destination,
		.destination_len = post->destination_len,
		.source = post->source,
		.type = post->type,
		.priority = post->priority,
		.id_text = post->id,
		.id_text_len = post->id_len,
		.payload = post->body,
		.payload_len = post->body_len,
	};

	return publish_message(client, &message);
}

static bool
is_elsewhere(const struct http_post *post, struct gw_text destination)
{
	return destination.at != NULL &&
		(destination.len != post->destination_len ||
			memcmp(destination.at, post->destination, destination.len) != 0);
}

static enum taken
publish_line(struct gw_client *client, const char *text, size_t len)
{
	struct gw_thread *thread = gw_client_thread(client);
	struct http_post *post = post_of(client);
	struct gw_message message;
	struct http_line line;
	bool is_read = http_line_read(text, len, &line);

	if (is_read && is_elsewhere(post, line.destination)) {
		snprintf(line.reason, sizeof(line.reason), "destinationId is not the target's");
		is_read = false;
	}
	if (!is_read) {
		gw_client_refuse(client, GW_BAD_INPUT, line.reason, text, len);
		return add_refusal(post, line.reason) ? TAKEN : NO_MEMORY;
	}
	message = (struct gw_message){
		.destination = post->destination,
		.destination_len = post->destination_len,
		.source = line.source.at != NULL
			? gw_name_key(thread, line.source.at, line.source.len)
			: post->source,
		.type = line.type.at != NULL ? gw_name_key(thread, line.type.at, line.type.len)
					     : post->type,
		.timestamp_ns = line.timestamp_ns,
		.priority = line.priority != 0 ? line.priority : post->priority,
		.id_text = line.id.at,
		.id_text_len = line.id.len,
		.payload = line.payload.at,
		.payload_len = line.payload.len,
	};
	return publish_message(client, &message);
}

/* What the last result may take of the answer: its text is escaped in it. */
static size_t
result_max(const struct http_post *post)
{
	const struct http_result *result = &post->results[post->nb_results - 1];
	size_t len = result->id_len > 0 ? result->id_len : result->error_len;
	char text[SL_JSON_STRING_MAX(HTTP_NAME_MAX)];

	return RESULT_MAX + ERROR_MAX + ID_MAX +
		(size_t)(sl_json_put_string(text, post->ids + result->text_at, len) - text);
}

/* All whole lines of what has come. */
static enum taken
publish_lines(struct gw_client *client)
{
	size_t answer_max = gw_client_config(client)->output_max / 2;
	struct http_post *post = post_of(client);
	enum taken taken;

	while (post->body_at < post->body_len) {
		const char *at = post->body + post->body_at;
		size_t left = post->body_len - post->body_at;
		const char *newline = memchr(at, '\n', left);
		size_t len = newline != NULL ? (size_t)(newline - at) : left;
		size_t used = newline != NULL ? len + 1 : len;

		if (newline == NULL && !post->is_whole)
			break;
		if (len > 0 && at[len - 1] == '\r')
			len--;
		if (len > 0 && post->answer_len + RESULT_MAX + 6 * HTTP_NAME_MAX > answer_max) {
			post->nb_skipped++;
		} else if (len > 0) {
			taken = publish_line(client, at, len);
			if (taken != TAKEN)
				return taken;
			post->answer_len += result_max(post);
		}
		post->body_at += used;
	}
	return TAKEN;
}

void
http_post_go_on(struct gw_client *client)
{
	struct http_client *state = gw_client_state(client);
	struct http_post *post = &state->post;
	uint64_t now = gw_thread_now_ms(gw_client_thread(client));
	enum taken taken = TAKEN;

	if (post->is_many)
		taken = publish_lines(client);
	else if (post->is_whole)
		taken = publish_body(client);
	if (taken == NO_MEMORY) {
		state->is_kept = false;
		http_refuse(client, 503, "out of memory");
		return;
	}
	if (taken == NOT_NOW && !post->is_waiting)
		post->wait_ms = now;
	else if (taken == TAKEN && post->is_waiting)
		http_set_deadline(client, HTTP_BODY_MS);
	post->is_waiting = taken == NOT_NOW;
	if (post->is_waiting || !post->is_whole)
		return;
	post->is_spent = true;
	gw_client_hold_whole(client);
	state->phase = HTTP_SETTLE;
	if (post->nb_pending == 0)
		http_post_answer(client);
	else
		http_set_deadline(client, DURABLE_MS);
}

void
http_post_give_up(struct gw_client *client)
{
	post_of(client)->is_pressed = true;
	gw_client_stop_waiting(client);
}

void
http_post_published(struct gw_client *client, uint64_t token, bool is_durable)
{
	struct http_client *state = gw_client_state(client);
	struct http_post *post = &state->post;
	uint32_t place = (uint32_t)token;

	if (token >> 32 != state->serial || place >= post->nb_results ||
		!post->results[place].is_pending)
		return;
	post->results[place].is_pending = false;
	post->nb_pending--;
	if (!is_durable)
		set_refused(&post->results[place], 503, "it was not made durable; send it again");
	if (post->is_spent && post->nb_pending == 0)
		http_post_answer(client);
}

/* The answer. */

/* The members of a result, without braces. */
static char *
put_result(struct gw_client *client, const struct http_result *result, char *p)
{
	const struct http_post *post = post_of(client);
	const char *text = post->ids + result->text_at;

	if (result->error_len > 0) {
		p = PUT(p, "\"status\":400,\"error\":");
		return sl_json_put_string(p, text, result->error_len);
	}
	p = PUT(p, "\"id\":");
	if (result->id_len > 0)
		p = sl_json_put_string(p, text, result->id_len);
	else
		p = put_id(p, http_listener_of(client)->id_high, result->id_low);
	if (result->status != 0)
		p += sprintf(p, ",\"status\":%u,\"error\":\"%s\"", result->status, result->error);
	return p;
}

static char *
put_results(struct gw_client *client, uint32_t nb_taken, char *p)
{
	const struct http_post *post = post_of(client);

	p += sprintf(p, "{\"accepted\":%u,\"refused\":%u,", nb_taken, post->nb_results - nb_taken);
	if (post->nb_skipped > 0)
		p += sprintf(p, "\"skipped\":%llu,", (unsigned long long)post->nb_skipped);
	p = PUT(p, "\"results\":[");
	for (uint32_t i = 0; i < post->nb_results; i++) {
		p = i == 0 ? PUT(p, "{") : PUT(p, ",{");
		p = put_result(client, &post->results[i], p);
		*p++ = '}';
	}
	return PUT(p, "]}\n");
}

/* What is not known by now has to be sent again. */
static uint32_t
end_results(struct http_post *post, struct http_answer *answer)
{
	uint32_t nb_taken = 0;

	for (uint32_t i = 0; i < post->nb_results; i++) {
		struct http_result *result = &post->results[i];

		if (result->is_pending)
			set_refused(result, 503, "it is not durable yet; send it again");
		result->is_pending = false;
		nb_taken += result->status == 0;
		if (result->status != 0 && answer->status == 202)
			answer->status = result->status;
		if (result->status == 429 || result->status == 503)
			answer->retry_after_s = HTTP_RETRY_S;
	}
	/* Of many, what becomes of each is in the results. */
	if (nb_taken > 0)
		answer->status = 202;
	post->nb_pending = 0;
	return nb_taken;
}

void
http_post_answer(struct gw_client *client)
{
	struct http_post *post = post_of(client);
	struct http_answer answer = {.status = 202, .type = HTTP_JSON};
	uint32_t nb_taken = end_results(post, &answer);
	char *body, *p;

	if (post->nb_results == 0) {
		if (post->is_spent)
			http_refuse(client, 400, "there is no message in the body");
		else
			http_refuse(client, 503, "the appliance ends");
		return;
	}
	body = malloc(post->answer_len + result_max(post));
	if (body == NULL) {
		http_refuse(client, 503, "out of memory");
		return;
	}
	if (post->is_many) {
		p = put_results(client, nb_taken, body);
	} else {
		p = PUT(body, "{");
		p = put_result(client, &post->results[0], p);
		p = PUT(p, "}\n");
	}
	answer.body_len = (size_t)(p - body);
	http_answer(client, &answer, body);
	free(body);
}
