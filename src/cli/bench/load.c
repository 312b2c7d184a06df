/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load: requests to a server by libcurl, all in one thread that waits for any
 * of them. Clients of a closed loop ask again as soon as they are answered; in
 * an open loop requests begin at times that do not depend on the answers.
 */
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/bench/load.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

/* One connection, and the request on it. */
struct load_call {
    struct load *load;
    CURL *curl;
    char *body;
    bool busy;
    struct load_answer answer;
    struct cli_text refusal; /* body of an answer that is no stream */
    struct load_call *next;  /* of those that were made */
};

struct load {
    const struct load_options *options;
    struct load_result *result;
    CURLM *multi;
    struct curl_slist *headers;
    char url[1024];
    struct load_call *calls;
    uint64_t started, running;
    uint64_t random; /* of the times */
};

/* ------------------------------------------------------------------ prompts */

/* SplitMix64. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Random words: no prompt begins like another one. */
static int make_prompt(uint64_t seed, uint64_t words, struct cli_text *text)
{
    static const char *const all[] = {
        "time",  "year",   "people", "way",   "day",   "man",   "thing",
        "world", "life",   "hand",   "part",  "child", "eye",   "place",
        "work",  "week",   "case",   "point", "house", "water", "room",
        "money", "story",  "fact",   "month", "night", "book",  "word",
        "side",  "kind",   "head",   "power", "hour",  "game",  "line",
        "end",   "law",    "car",    "city",  "name",  "team",  "minute",
        "idea",  "body",   "back",   "face",  "door",  "art",   "war",
        "party", "result", "change", "river", "town",  "mill",  "bridge",
        "road",  "field",  "tree",   "stone", "paper", "light", "music",
        "north"};
    uint64_t state = seed;
    for (uint64_t i = 0; i < words; i++) {
        const char *word =
            all[next_random(&state) % (sizeof all / sizeof *all)];
        CLI_TRY(cli_text_add(text, i > 0 ? " " : "", i > 0));
        CLI_TRY(cli_text_add(text, word, strlen(word)));
    }
    return CLI_DONE;
}

/* The body of request `i`; NULL: there is no memory. */
static json_t *body_of(const struct load_options *o, uint64_t i, uint64_t words)
{
    struct cli_text text = {0};
    json_t *json = NULL;
    if (!make_prompt(o->seed * 1000003 + i, words, &text))
        json =
            json_pack("{ss sI sb si}", "model", o->model, "max_tokens",
                      (json_int_t)o->tokens, "ignore_eos", 1, "temperature", 0);
    json_t *prompt = json_stringn(text.data ? text.data : "", text.size);
    cli_text_free(&text);
    if (o->completions)
        json_object_set_new(json, "prompt", prompt);
    else
        json_object_set_new(
            json, "messages",
            json_pack("[{ss so}]", "role", "user", "content", prompt));
    return json;
}

static char *stream_body(const struct load_options *o, uint64_t i)
{
    json_t *json = body_of(o, i, o->words);
    json_object_set_new(json, "stream", json_true());
    json_object_set_new(json, "stream_options",
                        json_pack("{sb}", "include_usage", 1));
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

/* -------------------------------------------------------------------- calls */

static size_t on_bytes(char *data, size_t one, size_t size, void *user)
{
    struct load_call *call = user;
    const double now = cli_seconds();
    long status = 0;
    (void)one;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200)
        return cli_text_add(&call->refusal, data, size) ? 0 : size;
    return load_answer_take(&call->answer, data, size, now,
                            &call->load->result->itl)
               ? size
               : 0;
}

static int fail_curl(const char *url, const char *why)
{
    return cli_fail("%s: %s", url, why);
}

/* What all requests have: no proxy stands between, no signal is taken. */
static CURL *open_curl(const char *url, const struct curl_slist *headers)
{
    CURL *curl = curl_easy_init();
    if (!curl)
        return NULL;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "clsa-bench");
    return curl;
}

static struct curl_slist *make_headers(const struct load_options *o)
{
    char line[600];
    struct curl_slist *list =
        curl_slist_append(NULL, "Content-Type: application/json");
    if (!list || !o->key)
        return list;
    snprintf(line, sizeof line, "Authorization: Bearer %s", o->key);
    return curl_slist_append(list, line);
}

/* A call that has nothing to do, or a new one. */
static struct load_call *spare_call(struct load *l)
{
    struct load_call *call = l->calls;
    while (call && call->busy)
        call = call->next;
    if (call)
        return call;
    call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->curl = open_curl(l->url, l->headers);
    if (!call->curl) {
        free(call);
        return NULL;
    }
    call->load = l;
    curl_easy_setopt(call->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(call->curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->curl, CURLOPT_PRIVATE, call);
    call->next = l->calls;
    l->calls = call;
    return call;
}

static int start(struct load *l)
{
    struct load_call *call = spare_call(l);
    if (!call)
        return cli_fail_memory();
    free(call->body);
    call->body = stream_body(l->options, l->started);
    if (!call->body)
        return cli_fail_memory();
    struct cli_text line = call->answer.line;
    line.size = call->refusal.size = 0;
    call->answer = (struct load_answer){.asked = cli_seconds(), .line = line};
    curl_easy_setopt(call->curl, CURLOPT_POSTFIELDS, call->body);
    if (curl_multi_add_handle(l->multi, call->curl) != CURLM_OK)
        return cli_fail_memory();
    call->busy = true;
    l->started++;
    if (++l->running > l->result->most)
        l->result->most = l->running;
    return CLI_DONE;
}

static void note_error(struct load_result *r, const char *why)
{
    if (r->errors++ == 0)
        snprintf(r->why, sizeof r->why, "%s", why);
}

/* A whole answer. */
static void note_answer(struct load *l, const struct load_answer *a, double now)
{
    struct load_result *r = l->result;
    const uint64_t tokens = a->tokens ? a->tokens : a->pieces;
    const double ttft = (a->first - a->asked) * 1e3;
    const double tpot =
        tokens > 1 ? (a->last - a->first) * 1e3 / (double)(tokens - 1) : 0;
    load_samples_add(&r->ttft, ttft);
    load_samples_add(&r->e2e, (now - a->asked) * 1e3);
    if (tokens > 1)
        load_samples_add(&r->tpot, tpot);
    r->completed++;
    r->good += (l->options->slo_ttft <= 0 || ttft <= l->options->slo_ttft) &&
               (l->options->slo_tpot <= 0 || tpot <= l->options->slo_tpot);
    r->output_tokens += tokens;
    r->prompt_tokens += a->prompt_tokens;
    r->cached_tokens += a->cached_tokens;
}

static void finish(struct load *l, struct load_call *call, CURLcode code)
{
    struct load_answer *a = &call->answer;
    char why[LOAD_WHY];
    long status = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(l->multi, call->curl);
    call->busy = false;
    l->running--;
    if (status != 0 && status != 200) {
        char text[LOAD_WHY - 20] = "";
        load_error_text(call->refusal.data ? call->refusal.data : "",
                        call->refusal.size, why);
        memcpy(text, why, sizeof text - 1);
        snprintf(why, sizeof why, "status %ld: %s", status, text);
        note_error(l->result, why);
    } else if (a->failed) {
        note_error(l->result, a->why);
    } else if (code != CURLE_OK) {
        note_error(l->result, curl_easy_strerror(code));
    } else if (!a->done || a->pieces == 0) {
        note_error(l->result, "the stream ended before its answer did");
    } else {
        note_answer(l, a, cli_seconds());
    }
}

/* --------------------------------------------------------------------- loop */

/* Seconds to the next request of an open loop. */
static double next_gap(struct load *l)
{
    const double share =
        (double)((next_random(&l->random) >> 11) + 1) / 9007199254740992.0;
    return -log(share) / l->options->rate;
}

/* Start what is due; *wait receives the seconds to the next one. */
static int start_due(struct load *l, double *due, double *wait)
{
    const struct load_options *o = l->options;
    *wait = 0.2;
    while (l->started < o->requests) {
        if (o->clients > 0 ? l->running >= o->clients : cli_seconds() < *due)
            break;
        CLI_TRY(start(l));
        if (o->clients == 0)
            *due += next_gap(l);
    }
    if (o->clients == 0 && l->started < o->requests)
        *wait = fmin(fmax(*due - cli_seconds(), 0), *wait);
    return CLI_DONE;
}

static int take_finished(struct load *l)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(l->multi, &left))) {
        struct load_call *call;
        const CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish(l, call, code);
        cli_progress_update(l->result->completed + l->result->errors);
    }
    return cli_interrupt_check();
}

static int loop(struct load *l)
{
    double wait, due = cli_seconds();
    const double begin = due;
    if (l->options->clients == 0)
        due += next_gap(l);
    while (l->started < l->options->requests || l->running > 0) {
        int running;
        CLI_TRY(start_due(l, &due, &wait));
        curl_multi_poll(l->multi, NULL, 0, (int)ceil(wait * 1e3), NULL);
        curl_multi_perform(l->multi, &running);
        CLI_TRY(take_finished(l));
    }
    l->result->seconds = cli_seconds() - begin;
    return CLI_DONE;
}

static void close_load(struct load *l)
{
    for (struct load_call *call = l->calls, *next; call; call = next) {
        next = call->next;
        if (call->busy)
            curl_multi_remove_handle(l->multi, call->curl);
        curl_easy_cleanup(call->curl);
        cli_text_free(&call->answer.line);
        cli_text_free(&call->refusal);
        free(call->body);
        free(call);
    }
    if (l->multi)
        curl_multi_cleanup(l->multi);
    curl_slist_free_all(l->headers);
}

int load_run(const struct load_options *options, struct load_result *result)
{
    struct load l = {
        .options = options, .result = result, .random = options->seed};
    snprintf(l.url, sizeof l.url, "%s/%s", options->url,
             options->completions ? "completions" : "chat/completions");
    l.multi = curl_multi_init();
    l.headers = make_headers(options);
    cli_progress_start("asking", "requests", options->requests);
    int status = l.multi && l.headers ? loop(&l) : cli_fail_memory();
    cli_progress_end();
    close_load(&l);
    if (!status && (result->ttft.failed || result->itl.failed ||
                    result->tpot.failed || result->e2e.failed))
        return cli_fail_memory();
    return status;
}

void load_result_free(struct load_result *result)
{
    free(result->ttft.values);
    free(result->tpot.values);
    free(result->itl.values);
    free(result->e2e.values);
}

/* ------------------------------------------------------------ before a run */

static size_t on_text(char *data, size_t one, size_t size, void *user)
{
    (void)one;
    return cli_text_add(user, data, size) ? 0 : size;
}

/* One request whose answer is JSON. */
static int ask(const struct load_options *o, const char *path, const char *body,
               json_t **answer)
{
    char url[1024], why[LOAD_WHY] = "";
    struct cli_text text = {0};
    struct curl_slist *headers = make_headers(o);
    long code = 0;
    snprintf(url, sizeof url, "%s/%s", o->url, path);
    CURL *curl = headers ? open_curl(url, headers) : NULL;
    CURLcode result = CURLE_OUT_OF_MEMORY;
    if (curl) {
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_text);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
        if (body)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        result = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    }
    *answer = json_loadb(text.data ? text.data : "", text.size, 0, NULL);
    if (code != 200)
        load_error_text(text.data ? text.data : "", text.size, why);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    cli_text_free(&text);
    if (result != CURLE_OK)
        return fail_curl(url, curl_easy_strerror(result));
    if (code != 200)
        return cli_fail("%s: status %ld: %s", url, code, why);
    return *answer ? CLI_DONE : fail_curl(url, "the answer is not JSON");
}

int load_model_name(const struct load_options *options, char **name)
{
    json_t *answer = NULL;
    int status = ask(options, "models", NULL, &answer);
    json_t *first = json_array_get(json_object_get(answer, "data"), 0);
    const char *id = json_string_value(json_object_get(first, "id"));
    if (!status && !id)
        status =
            cli_fail("%s/models: names no model: give --name", options->url);
    if (!status && !(*name = strdup(id)))
        status = cli_fail_memory();
    json_decref(answer);
    return status;
}

int load_count_prompt(const struct load_options *options, uint64_t words,
                      uint64_t *tokens)
{
    struct load_options one = *options;
    json_t *answer = NULL;
    one.tokens = 1;
    json_t *json = body_of(&one, UINT64_MAX, words);
    char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!body)
        return cli_fail_memory();
    const int status =
        ask(options, options->completions ? "completions" : "chat/completions",
            body, &answer);
    const json_t *usage = json_object_get(answer, "usage");
    *tokens =
        (uint64_t)json_integer_value(json_object_get(usage, "prompt_tokens"));
    json_decref(answer);
    free(body);
    return status;
}
