/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ollama: chats and texts in the words of ollama: /api/chat and /api/generate,
 * a stream of lines unless it says otherwise; and the model as it is shown.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

/* --------------------------------------------------------------------- body */

/* Options that mean something here; others are about ollama's memory. */
static const char *const options[] = {"num_predict",
                                      "temperature",
                                      "top_k",
                                      "top_p",
                                      "min_p",
                                      "typical_p",
                                      "repeat_last_n",
                                      "presence_penalty",
                                      "frequency_penalty",
                                      "stop",
                                      "repeat_penalty",
                                      "seed",
                                      "mirostat"};

/* Fields of the body as they are. */
static const char *const copied[] = {"model", "messages", "logprobs",
                                     "top_logprobs"};

/* Known to its clients, and not to us. */
static const char *const unknown[] = {"format", "tools",    "images",
                                      "suffix", "template", "context"};

static void copy(json_t *made, json_t *from, const char *const *names,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *value = json_object_get(from, names[i]);
        if (value)
            json_object_set(made, names[i], value);
    }
}

static bool refuse_unknown(struct serve_request *r, json_t *body)
{
    json_t *think = json_object_get(body, "think");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (!serve_asks_nothing(json_object_get(body, unknown[i])))
            return serve_refuse(r, unknown[i],
                                "this server does not support it yet");
    if (!serve_asks_nothing(think))
        return serve_refuse(r, "think",
                            "this server does not tell thoughts from answers "
                            "yet");
    return true;
}

static bool read_options(struct serve_request *r, json_t *body, json_t *made)
{
    json_t *given = json_object_get(body, "options");
    if (given && !json_is_object(given) && !json_is_null(given))
        return serve_refuse(r, "options", "use an object");
    copy(made, given, options, sizeof options / sizeof *options);
    json_t *most = json_object_get(made, "num_predict");
    json_t *seed = json_object_get(made, "seed");
    if (json_is_integer(most) && json_integer_value(most) < 0)
        json_object_del(made, "num_predict"); /* -1, -2: as many as fit */
    if (json_is_integer(seed) && json_integer_value(seed) == -1)
        json_object_del(made, "seed");
    if (json_is_false(json_object_get(body, "think")))
        json_object_set_new(made, "chat_template_kwargs",
                            json_pack("{sb}", "enable_thinking", 0));
    json_t *stream = json_object_get(body, "stream");
    json_object_set_new(made, "stream",
                        stream && !json_is_null(stream) ? json_incref(stream)
                                                        : json_true());
    return true;
}

/* A text for a chat model is what its user says, unless it is `raw`. */
static bool read_text(struct serve_request *r, json_t *body, json_t *made)
{
    json_t *prompt = json_object_get(body, "prompt");
    json_t *system = json_object_get(body, "system");
    const bool has_system = !serve_asks_nothing(system);
    const bool raw = json_is_true(json_object_get(body, "raw"));
    if (!json_is_string(prompt))
        return serve_refuse(r, "prompt", "use a text");
    if (has_system && !json_is_string(system))
        return serve_refuse(r, "system", "use a text");
    r->is_chat = !raw && r->of->info.chat_template != NULL;
    if (!r->is_chat && has_system)
        return serve_refuse(r, "system",
                            raw ? "a raw prompt has none"
                                : "the model has no chat template for it");
    if (!r->is_chat)
        return json_object_set(made, "prompt", prompt) == 0;
    json_t *messages = json_array();
    if (has_system)
        json_array_append_new(messages, json_pack("{ss sO}", "role", "system",
                                                  "content", system));
    json_array_append_new(
        messages, json_pack("{ss sO}", "role", "user", "content", prompt));
    return json_object_set_new(made, "messages", messages) == 0;
}

static bool check_images(struct serve_request *r, json_t *messages)
{
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message)
    {
        if (!serve_asks_nothing(json_object_get(message, "images")))
            return serve_refuse(r, "images",
                                "this server does not support it yet");
    }
    return true;
}

static json_t *begin(const struct serve_request *r)
{
    struct timespec now;
    struct tm parts;
    char date[32], time[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(time, sizeof time, "%s.%06ldZ", date, now.tv_nsec / 1000);
    return json_pack("{ss ss}", "model", r->model, "created_at", time);
}

/* Text where the kind of request has it; it is taken. */
static void set_text(const struct serve_request *r, json_t *event, json_t *text)
{
    if (r->kind == SERVE_OLLAMA_CHAT)
        json_object_set_new(
            event, "message",
            json_pack("{ss so}", "role", "assistant", "content", text));
    else
        json_object_set_new(event, "response", text);
}

/* Without a prompt the model is loaded, which it is. */
static bool answer_load(struct serve_request *r)
{
    json_t *answer = begin(r);
    set_text(r, answer, json_string(""));
    json_object_set_new(answer, "done", json_true());
    json_object_set_new(answer, "done_reason", json_string("load"));
    return serve_request_answer(r, answer);
}

static json_t *read_body(struct serve_request *r, json_t *body)
{
    json_t *made = json_object();
    json_t *messages = json_object_get(body, "messages");
    const bool chat = r->kind == SERVE_OLLAMA_CHAT;
    copy(made, body, copied, sizeof copied / sizeof *copied);
    bool done = refuse_unknown(r, body) && read_options(r, body, made);
    if (done &&
        serve_asks_nothing(chat ? messages : json_object_get(body, "prompt"))) {
        answer_load(r);
        done = false;
    }
    if (done && chat)
        done = check_images(r, messages);
    else if (done)
        done = read_text(r, body, made);
    if (done)
        return made;
    json_decref(made);
    return NULL;
}

/* ------------------------------------------------------------------ answers */

static json_t *event_of(struct serve_choice *c, json_t *text)
{
    json_t *event = begin(c->request), *places = serve_places_take(c);
    set_text(c->request, event, text);
    json_object_set_new(event, "done", json_false());
    if (places && c->request->params.logprobs >= 0)
        json_object_set_new(event, "logprobs", places);
    else
        json_decref(places);
    return event;
}

static json_t *nanoseconds(double seconds)
{
    return json_integer((json_int_t)(seconds * 1e9));
}

/* `text` is taken. */
static json_t *done(struct serve_choice *c, json_t *text)
{
    const struct serve_request *r = c->request;
    json_t *event = event_of(c, text);
    json_t *more = json_pack(
        "{sb ss so si sI so sI so}", "done", 1, "done_reason", c->finish,
        "total_duration", nanoseconds(serve_seconds() - r->arrived),
        "load_duration", 0, "prompt_eval_count", (json_int_t)r->prompt_tokens,
        "prompt_eval_duration", nanoseconds(c->first - c->admitted),
        "eval_count", (json_int_t)c->generated, "eval_duration",
        nanoseconds(c->last - c->first));
    json_object_update(event, more);
    json_decref(more);
    return event;
}

static json_t *last(struct serve_choice *c)
{
    return done(c, json_string(""));
}

static json_t *answer(struct serve_request *r)
{
    return done(&r->choices[0], serve_choice_text(&r->choices[0]));
}

const struct serve_dialect serve_ollama = {
    .type = "application/x-ndjson",
    .before = "",
    .after = "\n",
    .plain_errors = true,
    .read = read_body,
    .piece = event_of,
    .last = last,
    .answer = answer,
};

/* ---------------------------------------------------------------- the model */

void serve_model_key(const clsa_model *model, const char *wanted, char *value,
                     size_t capacity)
{
    const char *key;
    value[0] = '\0';
    for (size_t i = 0; i < clsa_model_metadata_count(model); i++)
        if (!clsa_model_metadata(model, i, &key, value, capacity) &&
            strcmp(key, wanted) == 0)
            return;
    value[0] = '\0';
}

/* 1234567890 as 1.2B */
static void shorten(char *text, size_t size, double count)
{
    const bool billions = count >= 1e9;
    snprintf(text, size, "%.1f%c", count / (billions ? 1e9 : 1e6),
             billions ? 'B' : 'M');
}

/* The type that most bytes of the file have, as Q8_0. */
static void find_type(const struct serve_model *m, char *text, size_t size)
{
    uint64_t bytes[64] = {0}, most = 0;
    clsa_tensor_info tensor;
    snprintf(text, size, "unknown");
    for (size_t i = 0; i < clsa_model_tensor_count(m->text); i++) {
        if (clsa_model_tensor(m->text, i, &tensor, sizeof tensor) ||
            tensor.type < 0 || tensor.type >= 64)
            continue;
        bytes[tensor.type] += tensor.size;
        if (bytes[tensor.type] <= most)
            continue;
        most = bytes[tensor.type];
        snprintf(text, size, "%s", clsa_type_name(tensor.type));
    }
    for (; *text != '\0'; text++)
        *text = (char)toupper((unsigned char)*text);
}

static json_t *details(const struct serve_model *m)
{
    char family[64], size[32], type[32];
    serve_model_key(m->text, "general.architecture", family, sizeof family);
    shorten(size, sizeof size, (double)m->info.parameters);
    find_type(m, type, sizeof type);
    return json_pack("{ss ss ss s[s] ss ss}", "parent_model", "", "format",
                     "gguf", "family", family, "families", family,
                     "parameter_size", size, "quantization_level", type);
}

static void file_time(const struct serve_model *m, char *text, size_t size)
{
    struct stat file = {.st_mtime = 0};
    struct tm parts;
    if (stat(m->path, &file) != 0)
        file.st_mtime = 0;
    gmtime_r(&file.st_mtime, &parts);
    strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static json_t *tag(const struct serve_model *m)
{
    char modified[32];
    file_time(m, modified, sizeof modified);
    return json_pack("{ss ss ss sI sI so}", "name", m->name, "model", m->name,
                     "modified_at", modified, "size",
                     (json_int_t)m->info.file_size, "size_vram", (json_int_t)0,
                     "details", details(m));
}

json_t *serve_ollama_models(const struct serve *server)
{
    json_t *all = json_array();
    for (size_t i = 0; i < server->model_count; i++)
        json_array_append_new(all, tag(&server->models[i]));
    return json_pack("{so}", "models", all);
}

/* The value of a key, which is text here, as what it was. */
static json_t *typed(const char *value)
{
    char *end;
    const long long integer = strtoll(value, &end, 10);
    if (*value != '\0' && *end == '\0')
        return json_integer(integer);
    const double real = strtod(value, &end);
    if (*value != '\0' && *end == '\0')
        return json_real(real);
    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        return json_boolean(value[0] == 't');
    return json_string(value);
}

/* All keys except the vocabulary. */
static json_t *model_keys(const struct serve_model *m)
{
    json_t *all = json_object();
    const char *key;
    char value[256];
    for (size_t i = 0; i < clsa_model_metadata_count(m->text); i++)
        if (!clsa_model_metadata(m->text, i, &key, value, sizeof value) &&
            strncmp(key, "tokenizer.", 10) != 0)
            json_object_set_new(all, key, typed(value));
    json_object_set_new(all, "general.parameter_count",
                        json_integer((json_int_t)m->info.parameters));
    return all;
}

json_t *serve_ollama_show(const struct serve_model *m)
{
    const char *template = m->info.chat_template;
    char modified[32];
    file_time(m, modified, sizeof modified);
    return json_pack("{ss ss so so s[s] ss}", "parameters", "", "template",
                     template ? template : "", "details", details(m),
                     "model_info", model_keys(m), "capabilities",
                     m->pooling ? "embedding" : "completion", "modified_at",
                     modified);
}
