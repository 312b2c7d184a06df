/* SPDX-License-Identifier: Apache-2.0 */
/*
 * params: the fields of a request, by a table of names and ranges. A field that
 * nobody knows is left alone; one that is known and cannot be done is refused
 * by name, and so is one that is out of its range.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

enum type { REAL, UINT32, SIZE, SEED, FLAG };

/* A number or truth value; `chat`, `completion`: where it is one. */
struct field {
    const char *name;
    enum type type;
    double low, high;
    size_t offset;
};

#define AT(member) offsetof(struct serve_params, member)

static const struct field fields[] = {
    {"temperature", REAL, 0, 100, AT(sampler.temperature)},
    {"top_k", UINT32, 0, 4294967295.0, AT(sampler.top_k)},
    {"top_p", REAL, 0, 1, AT(sampler.top_p)},
    {"min_p", REAL, 0, 1, AT(sampler.min_p)},
    {"repeat_penalty", REAL, 0.001, 1000, AT(sampler.repeat_penalty)},
    {"repetition_penalty", REAL, 0.001, 1000, AT(sampler.repeat_penalty)},
    {"repeat_last_n", UINT32, 0, 4294967295.0, AT(sampler.repeat_last)},
    {"seed", SEED, 0, 0, AT(sampler.seed)},
    {"presence_penalty", REAL, -100, 100, AT(filters.presence_penalty)},
    {"frequency_penalty", REAL, -100, 100, AT(filters.frequency_penalty)},
    {"typical_p", REAL, 0, 1, AT(filters.typical_p)},
    {"xtc_probability", REAL, 0, 1, AT(filters.xtc_probability)},
    {"xtc_threshold", REAL, 0, 1, AT(filters.xtc_threshold)},
    {"dry_multiplier", REAL, 0, 100, AT(filters.dry_multiplier)},
    {"dry_base", REAL, 1, 100, AT(filters.dry_base)},
    {"dry_allowed_length", UINT32, 0, 1000000, AT(filters.dry_allowed)},
    {"dry_penalty_last_n", UINT32, 0, 4294967295.0, AT(filters.dry_last)},
    {"max_tokens", SIZE, 1, 2147483647.0, AT(max_tokens)},
    {"max_completion_tokens", SIZE, 1, 2147483647.0, AT(max_tokens)},
    {"num_predict", SIZE, 1, 2147483647.0, AT(max_tokens)},
    {"n_predict", SIZE, 1, 2147483647.0, AT(max_tokens)},
    {"n", UINT32, 1, 128, AT(n)},
    {"stream", FLAG, 0, 0, AT(stream)},
    {"ignore_eos", FLAG, 0, 0, AT(ignore_eos)},
};

/* Known to clients, and not to us: null, false, 0 and empty ones do not ask for
   anything. */
static const char *const unknown[] = {
    "tools",           "functions",      "audio",       "web_search_options",
    "response_format", "guided_json",    "json_schema", "grammar",
    "suffix",          "mirostat",       "prediction",  "images",
    "best_of",         "use_beam_search"};

bool serve_refuse(struct serve_request *request, const char *param,
                  const char *format, ...)
{
    char why[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    serve_request_fail(request, 400, "invalid_request_error", param, NULL,
                       "%s: %s", param, why);
    return false;
}

static bool store(struct serve_request *r, const struct field *f, json_t *value)
{
    void *place = (char *)&r->params + f->offset;
    if (f->type == FLAG) {
        if (!json_is_boolean(value))
            return serve_refuse(r, f->name, "use true or false");
        *(bool *)place = json_is_true(value);
        return true;
    }
    if (f->type == SEED) {
        if (!json_is_integer(value))
            return serve_refuse(r, f->name, "use an integer of 64 bits");
        *(uint64_t *)place = (uint64_t)json_integer_value(value);
        r->params.seed_given = true;
        return true;
    }
    const double x = json_number_value(value);
    if (f->type == REAL ? !json_is_number(value) : !json_is_integer(value))
        return serve_refuse(r, f->name, "use %s from %.10g to %.10g",
                            f->type == REAL ? "a number" : "an integer", f->low,
                            f->high);
    if (!(x >= f->low && x <= f->high))
        return serve_refuse(r, f->name, "%.10g is not from %.10g to %.10g", x,
                            f->low, f->high);
    if (f->type == REAL)
        *(float *)place = (float)x;
    else if (f->type == UINT32)
        *(uint32_t *)place = (uint32_t)x;
    else
        *(uint64_t *)place = (uint64_t)x;
    return true;
}

static bool read_fields(struct serve_request *r, json_t *body)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get(body, fields[i].name);
        if (!value || json_is_null(value))
            continue;
        /* -1 is what other servers call "no limit" */
        const bool limit = fields[i].offset == AT(max_tokens) ||
                           fields[i].offset == AT(sampler.repeat_last) ||
                           fields[i].offset == AT(filters.dry_last);
        if (limit && json_is_integer(value) &&
            json_integer_value(value) == -1) {
            if (fields[i].offset == AT(sampler.repeat_last))
                r->params.sampler.repeat_last = UINT32_MAX;
            continue;
        }
        const uint64_t before = r->params.max_tokens;
        if (!store(r, &fields[i], value))
            return false;
        if (fields[i].offset != AT(max_tokens))
            continue;
        if (r->params.max_given && before != r->params.max_tokens)
            return serve_refuse(
                r, fields[i].name,
                "max_tokens and its newer name differ: give one");
        r->params.max_given = true;
    }
    return true;
}

/* -------------------------------------------------------------------- lists */

static bool add_stop(struct serve_request *r, json_t *value)
{
    struct serve_params *p = &r->params;
    if (!json_is_string(value) || json_string_length(value) > SERVE_STOP_MAX)
        return serve_refuse(r, "stop",
                            "use a text of at most %d bytes, or a list",
                            SERVE_STOP_MAX);
    if (json_string_length(value) == 0)
        return true;
    if (p->stop_count == SERVE_STOPS)
        return serve_refuse(r, "stop", "give at most %d texts", SERVE_STOPS);
    p->stops[p->stop_count] = strdup(json_string_value(value));
    return p->stops[p->stop_count++] != NULL;
}

static bool read_stops(struct serve_request *r, json_t *value)
{
    if (!value || json_is_null(value))
        return true;
    if (!json_is_array(value))
        return add_stop(r, value);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!add_stop(r, json_array_get(value, i)))
            return false;
    return true;
}

static bool add_bias(struct serve_request *r, const char *name, json_t *value)
{
    struct serve_params *p = &r->params;
    char *end;
    const unsigned long id = strtoul(name, &end, 10);
    const double bias = json_number_value(value);
    if (*name < '0' || *name > '9' || *end != '\0' || id >= r->of->info.vocab)
        return serve_refuse(r, "logit_bias",
                            "'%.40s' is not the id of a token (0 to "
                            "%u)",
                            name, r->of->info.vocab - 1);
    if (!json_is_number(value) || !(bias >= -100 && bias <= 100))
        return serve_refuse(r, "logit_bias",
                            "token %lu: use a number from -100 to "
                            "100",
                            id);
    if (p->filters.bias_count == SERVE_BIASES)
        return serve_refuse(r, "logit_bias", "give at most %d tokens",
                            SERVE_BIASES);
    p->biases[p->filters.bias_count++] =
        (clsa_logit_bias){(int32_t)id, bias <= -100 ? -INFINITY : (float)bias};
    return true;
}

static bool read_biases(struct serve_request *r, json_t *value)
{
    const char *name;
    json_t *bias;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_object(value))
        return serve_refuse(r, "logit_bias",
                            "use an object from ids to numbers");
    json_object_foreach(value, name,
                        bias) if (!add_bias(r, name, bias)) return false;
    return true;
}

/* ------------------------------------------------------------- what differs */

/* Of a chat: true and top_logprobs; of a completion: a number. */
static bool read_logprobs(struct serve_request *r, json_t *body)
{
    const bool flag = r->kind != SERVE_COMPLETION && r->kind != SERVE_LLAMA;
    json_t *value = json_object_get(body, "logprobs");
    json_t *top = json_object_get(body, "top_logprobs");
    json_t *number = flag ? top : value;
    const char *name = flag ? "top_logprobs" : "logprobs";
    const bool wanted =
        flag ? json_is_true(value) : value && !json_is_null(value);
    r->params.logprobs = wanted ? 0 : -1;
    if (flag && value && !json_is_boolean(value) && !json_is_null(value))
        return serve_refuse(r, "logprobs", "use true or false");
    if (!number || json_is_null(number) || json_is_boolean(number))
        return true;
    if (!json_is_integer(number) || json_integer_value(number) < 0 ||
        json_integer_value(number) > SERVE_BEST)
        return serve_refuse(r, name, "use an integer from 0 to %d", SERVE_BEST);
    if (!wanted)
        return serve_refuse(r, name, "needs \"logprobs\": true");
    r->params.logprobs = (int)json_integer_value(number);
    return true;
}

bool serve_asks_nothing(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_integer(value) && json_integer_value(value) == 0);
}

/* {"type": "text"}, and best_of that says what n says. */
static bool is_plain(const struct serve_request *r, const char *name,
                     json_t *value)
{
    const char *type = json_string_value(json_object_get(value, "type"));
    if (strcmp(name, "response_format") == 0)
        return type && strcmp(type, "text") == 0;
    return strcmp(name, "best_of") == 0 && json_is_integer(value) &&
           json_integer_value(value) == (json_int_t)r->params.n;
}

static bool refuse_unknown(struct serve_request *r, json_t *body)
{
    const char *choice =
        json_string_value(json_object_get(body, "tool_choice"));
    const bool no_tools = choice && strcmp(choice, "none") == 0;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        json_t *value = json_object_get(body, unknown[i]);
        if (serve_asks_nothing(value) || is_plain(r, unknown[i], value) ||
            (no_tools && strcmp(unknown[i], "tools") == 0))
            continue;
        return serve_refuse(r, unknown[i],
                            "this server does not support it yet");
    }
    return true;
}

static bool read_stream(struct serve_request *r, json_t *body)
{
    json_t *options = json_object_get(body, "stream_options");
    json_t *usage = json_object_get(options, "include_usage");
    if (options && !json_is_object(options) && !json_is_null(options))
        return serve_refuse(r, "stream_options", "use an object");
    if (options && json_is_object(options) && !r->params.stream)
        return serve_refuse(r, "stream_options", "needs \"stream\": true");
    r->params.include_usage = json_is_true(usage);
    return true;
}

void serve_params_init(struct serve_params *p)
{
    clsa_sampler_options_init(&p->sampler);
    clsa_sampler_filters_init(&p->filters);
    p->n = 1;
    p->logprobs = -1;
}

bool serve_params_read(struct serve_request *request, json_t *body)
{
    struct serve_params *p = &request->params;
    const json_t *echo = json_object_get(body, "echo");
    p->max_tokens = serve_is_embed(request)             ? 1
                    : request->kind == SERVE_COMPLETION ? 16
                                                        : UINT64_MAX;
    if (!read_fields(request, body) ||
        !read_stops(request, json_object_get(body, "stop")) ||
        !read_biases(request, json_object_get(body, "logit_bias")) ||
        !read_logprobs(request, body) || !read_stream(request, body) ||
        !refuse_unknown(request, body))
        return false;
    if (p->n > request->server->options->max_choices)
        return serve_refuse(request, "n", "use 1 to %u",
                            request->server->options->max_choices);
    p->echo = request->kind == SERVE_COMPLETION && json_is_true(echo);
    if (p->echo && p->logprobs >= 0)
        return serve_refuse(
            request, "echo",
            "with logprobs this server does not support it yet");
    p->filters.biases = p->biases;
    if (!p->seed_given)
        p->sampler.seed = strtoull(request->id, NULL, 16);
    return true;
}
