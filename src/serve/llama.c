/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llama: completions in the words of llama-server: /completion. A body differs
 * from OpenAI's in a few fields; an answer tells of tokens, of why it ended,
 * and of times.
 */
#include <stdio.h>
#include <string.h>

#include "src/serve/dialect.h"
#include "src/serve/server.h"

/* -------------------------------------------------------------------- body */

/* The bias of all tokens of a text. */
static bool bias_text(struct serve_request *r, json_t *made, json_t *text,
                      json_t *bias)
{
    char name[16];
    int32_t *ids;
    size_t count;
    clsa_error error;
    if (clsa_tokenize(r->of->text, json_string_value(text),
                      json_string_length(text), CLSA_TOKENIZE_SPECIAL, &ids,
                      &count, &error))
        return serve_refuse(r, "logit_bias", "%s", error.message);
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d", (int)ids[i]);
        json_object_set(made, name, bias);
    }
    clsa_free(ids);
    return true;
}

/* [id or text, number or false] */
static bool add_bias(struct serve_request *r, json_t *made, json_t *pair)
{
    json_t *what = json_array_get(pair, 0);
    json_t *bias = json_array_get(pair, 1);
    char name[32];
    if (json_array_size(pair) != 2 ||
        (!json_is_integer(what) && !json_is_string(what)) ||
        (!json_is_number(bias) && !json_is_false(bias)))
        return serve_refuse(r, "logit_bias",
                            "use pairs of a token or text and a number or "
                            "false");
    json_t *value =
        json_is_false(bias) ? json_integer(-100) : json_incref(bias);
    bool done = true;
    if (json_is_string(what)) {
        done = bias_text(r, made, what, value);
    } else {
        snprintf(name, sizeof name, "%lld",
                 (long long)json_integer_value(what));
        json_object_set(made, name, value);
    }
    json_decref(value);
    return done;
}

/* A list of pairs becomes the object of OpenAI. */
static bool read_biases(struct serve_request *r, json_t *body)
{
    json_t *list = json_object_get(body, "logit_bias"), *pair;
    json_t *made;
    size_t i;
    if (!json_is_array(list))
        return true;
    made = json_object();
    json_array_foreach(list, i, pair) if (!add_bias(r, made, pair))
    {
        json_decref(made);
        return false;
    }
    json_object_set_new(body, "logit_bias", made);
    return true;
}

static bool read_probabilities(struct serve_request *r, json_t *body)
{
    json_t *value = json_object_get(body, "n_probs");
    json_object_del(body, "logprobs");
    if (!value || json_is_null(value))
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > SERVE_BEST)
        return serve_refuse(r, "n_probs", "use an integer from 0 to %d",
                            SERVE_BEST);
    if (json_integer_value(value) > 0)
        json_object_set(body, "logprobs", value);
    return true;
}

static json_t *read_body(struct serve_request *r, json_t *given)
{
    json_t *body = json_copy(given);
    json_t *seed = json_object_get(body, "seed");
    if (json_is_integer(seed) && json_integer_value(seed) == -1)
        json_object_del(body, "seed"); /* any */
    if (!serve_asks_nothing(json_object_get(body, "image_data"))) {
        serve_refuse(r, "image_data", "this server does not support it yet");
    } else if (read_biases(r, body) && read_probabilities(r, body)) {
        r->params.return_tokens =
            json_is_true(json_object_get(body, "return_tokens"));
        return body;
    }
    json_decref(body);
    return NULL;
}

/* ------------------------------------------------------------------ answers */

/* The tokens that were generated since `from`. */
static json_t *tokens_since(const struct serve_choice *c, size_t from)
{
    json_t *ids = json_array();
    for (size_t i = from; i < c->generated; i++)
        json_array_append_new(ids, json_integer(c->ids[c->prompt->count + i]));
    return ids;
}

static void add_probabilities(struct serve_choice *c, json_t *answer)
{
    json_t *places = serve_places_take(c);
    if (places && answer && c->request->params.logprobs >= 0)
        json_object_set_new(answer, "completion_probabilities", places);
    else
        json_decref(places);
}

static json_t *piece(struct serve_choice *c, json_t *text)
{
    json_t *event =
        json_pack("{si so so sb sI sI}", "index", (int)c->index, "content",
                  text, "tokens", tokens_since(c, c->sent), "stop", 0,
                  "tokens_predicted", (json_int_t)c->generated,
                  "tokens_evaluated", (json_int_t)c->prompt->count);
    c->sent = c->generated;
    add_probabilities(c, event);
    return event;
}

static const char *stop_type(const struct serve_choice *c)
{
    if (c->word)
        return "word";
    return strcmp(c->finish, "length") == 0 ? "limit" : "eos";
}

static double rate(double count, double seconds)
{
    return seconds > 0 ? count / seconds : 0;
}

static json_t *timings(const struct serve_choice *c)
{
    const double computed = (double)(c->prompt->count - c->cached);
    const double read = c->first - c->admitted, wrote = c->last - c->first;
    const double n = (double)c->generated;
    return json_pack(
        "{sI sI sf sf sf sI sf sf sf}", "cache_n", (json_int_t)c->cached,
        "prompt_n", (json_int_t)computed, "prompt_ms", read * 1e3,
        "prompt_per_token_ms", rate(read * 1e3, computed), "prompt_per_second",
        rate(computed, read), "predicted_n", (json_int_t)c->generated,
        "predicted_ms", wrote * 1e3, "predicted_per_token_ms",
        rate(wrote * 1e3, n), "predicted_per_second", rate(n, wrote));
}

/* What was understood of the body. */
static json_t *settings(const struct serve_request *r)
{
    const struct serve_params *p = &r->params;
    json_t *stops = json_array();
    for (size_t i = 0; i < p->stop_count; i++)
        json_array_append_new(stops, json_string(p->stops[i]));
    return json_pack(
        "{sI sI sf sI sf sf sf sI sf sf sf so sI sb sb}", "seed",
        (json_int_t)p->sampler.seed, "n_predict",
        p->max_given ? (json_int_t)p->max_tokens : (json_int_t)-1,
        "temperature", (double)p->sampler.temperature, "top_k",
        (json_int_t)p->sampler.top_k, "top_p", (double)p->sampler.top_p,
        "min_p", (double)p->sampler.min_p, "typical_p",
        (double)p->filters.typical_p, "repeat_last_n",
        (json_int_t)p->sampler.repeat_last, "repeat_penalty",
        (double)p->sampler.repeat_penalty, "presence_penalty",
        (double)p->filters.presence_penalty, "frequency_penalty",
        (double)p->filters.frequency_penalty, "stop", stops, "n_probs",
        (json_int_t)(p->logprobs > 0 ? p->logprobs : 0), "ignore_eos",
        (int)p->ignore_eos, "stream", (int)p->stream);
}

/* The prompt as text, also if ids were given. */
static json_t *prompt_text(const struct serve_choice *c)
{
    const struct serve_prompt *prompt = c->prompt;
    char *text;
    size_t size;
    if (prompt->text)
        return json_string(prompt->text);
    if (clsa_detokenize_all(c->request->of->text, prompt->ids, prompt->count,
                            &text, &size, NULL))
        return json_null();
    json_t *json = json_stringn(text, size);
    clsa_free(text);
    return json ? json : json_null();
}

/* `text` and `tokens` are taken. */
static json_t *whole(struct serve_choice *c, json_t *text, json_t *tokens)
{
    const struct serve_request *r = c->request;
    json_t *answer = json_pack(
        "{si so so sb ss sI sI so so sb ss ss sI so}", "index", (int)c->index,
        "content", text, "tokens", tokens, "stop", 1, "model", r->model,
        "tokens_predicted", (json_int_t)c->generated, "tokens_evaluated",
        (json_int_t)c->prompt->count, "generation_settings", settings(r),
        "prompt", prompt_text(c), "truncated", 0, "stop_type", stop_type(c),
        "stopping_word", c->word ? c->word : "", "tokens_cached",
        (json_int_t)c->cached, "timings", timings(c));
    add_probabilities(c, answer);
    return answer;
}

static json_t *last(struct serve_choice *c)
{
    return whole(c, json_string(""), tokens_since(c, c->sent));
}

static json_t *answer(struct serve_request *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->choice_count; i++) {
        struct serve_choice *c = &r->choices[i];
        json_t *tokens =
            r->params.return_tokens ? tokens_since(c, 0) : json_array();
        json_array_append_new(list, whole(c, serve_choice_text(c), tokens));
    }
    if (r->choice_count > 1)
        return list;
    json_t *one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

const struct serve_dialect serve_llama = {
    .type = "text/event-stream; charset=utf-8",
    .before = "data: ",
    .after = "\n\n",
    .read = read_body,
    .piece = piece,
    .last = last,
    .answer = answer,
};
