/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prompt: the tokens of a request. Messages are written by the chat template
 * of the model; special tokens that a message has in its text are plain text,
 * as the messages are tokenized apart from what the template writes then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

static bool fail(struct serve_request *r, const char *param, const char *why)
{
    serve_request_fail(r, 400, "invalid_request_error", param, NULL, "%s: %s",
                       param, why);
    return false;
}

/* The field of a prompt that is no chat. */
static const char *prompt_name(const struct serve_request *r)
{
    return serve_is_embed(r) ? "input" : "prompt";
}

static bool fail_memory(struct serve_request *r)
{
    serve_request_fail(r, 500, "server_error", NULL, NULL,
                       "out of memory while reading the request");
    return false;
}

/* What the library refuses. */
static bool fail_library(struct serve_request *r, const char *param,
                         const clsa_error *error)
{
    if (error->status == CLSA_ERR_MEMORY)
        return fail_memory(r);
    return fail(r, param, error->message);
}

static bool open_prompts(struct serve_request *r, size_t count)
{
    r->prompts = calloc(count, sizeof *r->prompts);
    r->prompt_count = r->prompts ? count : 0;
    return r->prompts ? true : fail_memory(r);
}

/* ids += the tokens of a text */
static bool add_tokens(struct serve_request *r, struct serve_prompt *prompt,
                       const char *text, size_t size, unsigned flags)
{
    int32_t *ids;
    size_t count;
    clsa_error error;
    if (clsa_tokenize(r->of->text, text, size, flags, &ids, &count, &error))
        return fail_library(r, prompt_name(r), &error);
    int32_t *all =
        realloc(prompt->ids, (prompt->count + count + 1) * sizeof *all);
    if (all && count > 0)
        memcpy(all + prompt->count, ids, count * sizeof *all);
    clsa_free(ids);
    if (!all)
        return fail_memory(r);
    prompt->ids = all;
    prompt->count += count;
    return true;
}

/* ------------------------------------------------------------- completions */

/* A text; one that is written with bos gets no second one. */
static bool take_text(struct serve_request *r, struct serve_prompt *prompt,
                      json_t *value)
{
    const int32_t bos = r->of->info.bos;
    prompt->text = strdup(json_string_value(value));
    if (!prompt->text)
        return fail_memory(r);
    if (!add_tokens(r, prompt, json_string_value(value),
                    json_string_length(value),
                    CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_BOS |
                        (serve_is_embed(r) ? CLSA_TOKENIZE_EOS : 0)))
        return false;
    if (prompt->count >= 2 && bos >= 0 && prompt->ids[0] == bos &&
        prompt->ids[1] == bos)
        memmove(prompt->ids, prompt->ids + 1,
                --prompt->count * sizeof *prompt->ids);
    return prompt->count > 0 || fail(r, prompt_name(r), "it has no token");
}

static bool add_id(struct serve_request *r, struct serve_prompt *prompt,
                   const json_t *id)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 ||
        json_integer_value(id) >= (json_int_t)r->of->info.vocab)
        return fail(r, prompt_name(r), "an id is not in the vocabulary");
    int32_t *all =
        realloc(prompt->ids, (prompt->count + 1) * sizeof *prompt->ids);
    if (!all)
        return fail_memory(r);
    prompt->ids = all;
    all[prompt->count++] = (int32_t)json_integer_value(id);
    return true;
}

/* Ids, with texts between them. */
static bool take_ids(struct serve_request *r, struct serve_prompt *prompt,
                     json_t *value)
{
    json_t *part;
    size_t i;
    json_array_foreach(value, i, part)
    {
        const unsigned flags =
            CLSA_TOKENIZE_SPECIAL | (i == 0 ? CLSA_TOKENIZE_BOS : 0);
        if (json_is_string(part)
                ? !add_tokens(r, prompt, json_string_value(part),
                              json_string_length(part), flags)
                : !add_id(r, prompt, part))
            return false;
    }
    if (prompt->count == 0)
        return fail(r, prompt_name(r), "it has no token");
    char *text;
    size_t size;
    clsa_error error;
    if (!r->params.echo)
        return true;
    if (clsa_detokenize_all(r->of->text, prompt->ids, prompt->count, &text,
                            &size, &error))
        return fail_library(r, prompt_name(r), &error);
    prompt->text = strdup(text);
    clsa_free(text);
    return prompt->text ? true : fail_memory(r);
}

/* Whether a list is one prompt: it has an id. */
static bool has_id(const json_t *list)
{
    size_t i;
    json_t *part;
    json_array_foreach(list, i, part)
    {
        if (json_is_integer(part))
            return true;
    }
    return false;
}

/* A text, ids, or a list of either. */
static bool read_completion(struct serve_request *r, json_t *value)
{
    if (json_is_string(value))
        return open_prompts(r, 1) && take_text(r, &r->prompts[0], value);
    if (has_id(value))
        return open_prompts(r, 1) && take_ids(r, &r->prompts[0], value);
    const size_t count = json_array_size(value);
    if (count == 0 ||
        count > (serve_is_embed(r) ? SERVE_INPUTS
                                   : r->server->options->max_choices))
        return fail(r, prompt_name(r),
                    "use a text, a list of ids, or a list of a few of them");
    if (!open_prompts(r, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_array_get(value, i);
        if (json_is_string(one) ? !take_text(r, &r->prompts[i], one)
            : json_array_size(one) > 0
                ? !take_ids(r, &r->prompts[i], one)
                : !fail(r, prompt_name(r), "use texts or lists of ids"))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------- chats */

/* Texts that stand for others in what the template writes. */
struct marks {
    struct serve_request *request;
    char nonce[40];
    char **texts;
    size_t count;
    bool failed;
    bool plain; /* nothing is marked */
};

static bool has_special(const clsa_model *model, const char *text, size_t size)
{
    int32_t *ids;
    size_t count;
    bool has = false;
    if (clsa_tokenize(model, text, size, CLSA_TOKENIZE_SPECIAL, &ids, &count,
                      NULL))
        return false;
    for (size_t i = 0; i < count; i++)
        has |= clsa_token_is_special(model, ids[i]) != 0;
    clsa_free(ids);
    return has;
}

/* The text with a mark in place of it, but for blanks at its ends, which
   templates cut. */
static json_t *mark(struct marks *m, const char *text, size_t size)
{
    static const char blanks[] = " \t\r\n";
    struct serve_text marked = {.data = NULL};
    const size_t before = strspn(text, blanks);
    size_t end = size;
    while (end > before && strchr(blanks, text[end - 1]))
        end--;
    char **texts = realloc(m->texts, (m->count + 1) * sizeof *texts);
    if (!texts)
        return NULL;
    m->texts = texts;
    texts[m->count] = strndup(text + before, end - before);
    if (!texts[m->count])
        return NULL;
    serve_text_add(&marked, text, before);
    serve_text_print(&marked, "%s%zu.", m->nonce, m->count);
    serve_text_add(&marked, text + end, size - end);
    m->count++;
    json_t *value =
        marked.failed ? NULL : json_stringn(marked.data, marked.size);
    serve_text_free(&marked);
    return value;
}

/* The same value, in which texts with special tokens are marked. */
static json_t *mark_all(struct marks *m, json_t *value)
{
    const clsa_model *model = m->request->of->text;
    const char *name;
    json_t *part, *made, *copy;
    size_t i;
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        const size_t size = json_string_length(value);
        made = !m->plain && has_special(model, text, size) ? mark(m, text, size)
                                                           : json_incref(value);
        m->failed |= !made;
        return made;
    }
    if (!json_is_array(value) && !json_is_object(value))
        return json_incref(value);
    copy = json_is_array(value) ? json_array() : json_object();
    json_array_foreach(value, i, part) m->failed |=
        json_array_append_new(copy, mark_all(m, part)) != 0;
    json_object_foreach(value, name, part) m->failed |=
        json_object_set_new(copy, name, mark_all(m, part)) != 0;
    return copy;
}

/* Tokens of what the template wrote, and of the texts at their marks. */
static bool tokenize_marked(struct marks *m, const char *text)
{
    struct serve_request *r = m->request;
    struct serve_prompt *prompt = &r->prompts[0];
    const char *at = text, *next;
    while ((next = strstr(at, m->nonce))) {
        char *end;
        const size_t i = strtoul(next + strlen(m->nonce), &end, 10);
        if (*end != '.' || i >= m->count)
            break;
        if (!add_tokens(r, prompt, at, (size_t)(next - at),
                        CLSA_TOKENIZE_SPECIAL) ||
            !add_tokens(r, prompt, m->texts[i], strlen(m->texts[i]), 0))
            return false;
        at = end + 1;
    }
    return add_tokens(r, prompt, at, strlen(at), CLSA_TOKENIZE_SPECIAL);
}

/* What the template needs of the body, as text. */
static char *template_request(struct marks *m, json_t *body)
{
    json_t *options = json_object_get(body, "chat_template_kwargs");
    json_t *add = json_object_get(body, "add_generation_prompt");
    json_t *messages = mark_all(m, json_object_get(body, "messages"));
    json_t *request = json_pack("{so s{sb}}", "messages", messages, "options",
                                "add_generation_prompt", !json_is_false(add));
    if (request && json_is_object(options))
        json_object_update_missing(json_object_get(request, "options"),
                                   options);
    if (request && m->plain && json_is_array(json_object_get(body, "tools")))
        json_object_set(request, "tools", json_object_get(body, "tools"));
    char *text =
        request && !m->failed ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    return text;
}

static bool check_messages(struct serve_request *r, json_t *messages)
{
    size_t i;
    json_t *message;
    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return fail(r, "messages", "give a list of at least one message");
    json_array_foreach(messages, i, message)
    {
        json_t *content = json_object_get(message, "content"), *part;
        size_t j;
        if (!json_is_string(json_object_get(message, "role")))
            return fail(r, "messages", "a message has no role");
        if (content && !json_is_string(content) && !json_is_array(content) &&
            !json_is_null(content))
            return fail(r, "messages", "content is a text or a list of parts");
        json_array_foreach(content, j, part)
        {
            const char *type = json_string_value(json_object_get(part, "type"));
            if (!type || strcmp(type, "text") != 0)
                return fail(r, "messages",
                            "this server takes parts of type text only");
        }
    }
    return true;
}

/* Parts of type text as one text, which every template can write. */
static bool join_parts(struct serve_request *r, json_t *messages)
{
    size_t i, j;
    json_t *message, *part;
    json_array_foreach(messages, i, message)
    {
        json_t *content = json_object_get(message, "content");
        struct serve_text text = {.data = NULL};
        if (!json_is_array(content))
            continue;
        json_array_foreach(content, j, part)
        {
            json_t *piece = json_object_get(part, "text");
            serve_text_add(&text, json_string_value(piece),
                           json_string_length(piece));
        }
        json_t *joined = json_stringn(text.data ? text.data : "", text.size);
        serve_text_free(&text);
        if (!joined || json_object_set_new(message, "content", joined))
            return fail_memory(r);
    }
    return true;
}

/* What the template writes, marks and all. */
static char *render(struct marks *m, json_t *body)
{
    struct serve_request *r = m->request;
    const clsa_chat_template *chat_template;
    clsa_error error;
    char *text = NULL;
    if (clsa_model_chat_template(r->of->text, &chat_template, &error)) {
        fail_library(r, "messages", &error);
        return NULL;
    }
    char *request = template_request(m, body);
    if (!request) {
        fail_memory(r);
        return NULL;
    }
    if (clsa_chat_template_render(chat_template, request, strlen(request),
                                  &text, NULL, &error))
        fail_library(r, "messages", &error);
    free(request);
    return text;
}

char *serve_prompt_render(struct serve_request *request, json_t *body)
{
    json_t *messages = json_object_get(body, "messages");
    struct marks m = {.request = request, .plain = true};
    if (!check_messages(request, messages) || !join_parts(request, messages))
        return NULL;
    return render(&m, body);
}

static bool read_chat(struct serve_request *r, json_t *body)
{
    json_t *messages = json_object_get(body, "messages");
    struct marks m = {.request = r};
    snprintf(m.nonce, sizeof m.nonce, "clsa-%.24s-", r->id);
    if (!check_messages(r, messages) || !join_parts(r, messages) ||
        !open_prompts(r, 1))
        return false;
    char *text = render(&m, body);
    const bool done = text && tokenize_marked(&m, text);
    clsa_free(text);
    for (size_t i = 0; i < m.count; i++)
        free(m.texts[i]);
    free(m.texts);
    if (done && r->prompts[0].count == 0)
        return fail(r, "messages", "they have no token");
    return done;
}

/* ------------------------------------------------------------------- limits */

/* Agents look for these words, and make their prompt shorter. */
static bool refuse_length(struct serve_request *r, size_t count, uint64_t more)
{
    const uint64_t context = r->of->context;
    char message[300];
    snprintf(message, sizeof message,
             "This model's maximum context length is %llu tokens. However, "
             "your request has %zu tokens in the prompt and %llu for the "
             "answer. Please shorten it.",
             (unsigned long long)context, count, (unsigned long long)more);
    char *json = serve_error_json(
        serve_dialect_of(r->kind)->plain_errors, message,
        "invalid_request_error", r->is_chat ? "messages" : prompt_name(r),
        "context_length_exceeded",
        json_pack("{sI sI}", "n_prompt_tokens", (json_int_t)count, "n_ctx",
                  (json_int_t)context));
    if (!json)
        return fail_memory(r);
    serve_request_settle(r, 400, json);
    free(json);
    return false;
}

static bool check_lengths(struct serve_request *r)
{
    const uint64_t context = r->of->context;
    for (size_t i = 0; i < r->prompt_count; i++) {
        const size_t count = r->prompts[i].count;
        const uint64_t more = r->params.max_given ? r->params.max_tokens : 1;
        if (count >= context || more > context - count)
            return refuse_length(r, count, more);
        r->prompt_tokens += count;
    }
    return true;
}

bool serve_prompts_read(struct serve_request *request, json_t *body)
{
    const bool done =
        request->is_chat
            ? read_chat(request, body)
            : read_completion(request, json_object_get(body, "prompt"));
    return done && check_lengths(request);
}
