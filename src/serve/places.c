/* SPDX-License-Identifier: Apache-2.0 */
/* places: log-probabilities of tokens, kept until they are sent. Engine
   thread. */
#include "src/serve/dialect.h"
#include "src/serve/server.h"

/* Bytes as text: what is no UTF-8 is replaced. */
static json_t *text_of(const char *bytes, size_t size)
{
    struct serve_text text = {.data = NULL};
    json_t *json = json_stringn(bytes, size);
    for (size_t i = 0; !json && i < size; i++)
        serve_text_add(
            &text, (unsigned char)bytes[i] < 0x80 ? bytes + i : "\xef\xbf\xbd",
            (unsigned char)bytes[i] < 0x80 ? 1 : 3);
    if (!json)
        json = json_stringn(text.data ? text.data : "", text.size);
    serve_text_free(&text);
    return json;
}

static json_t *token_json(const clsa_model *model, clsa_logprob one)
{
    size_t size = 0;
    const char *bytes = clsa_token_bytes(model, one.id, &size);
    json_t *list = json_array();
    for (size_t i = 0; i < size; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes[i]));
    const double logprob = one.logprob > -9999 ? (double)one.logprob : -9999;
    return json_pack("{so sf so}", "token", text_of(bytes ? bytes : "", size),
                     "logprob", logprob, "bytes", list);
}

void serve_places_add(struct serve_choice *choice, int32_t id,
                      const float *logits)
{
    struct serve_choice *c = choice;
    const clsa_model *model = c->request->server->loaded;
    const size_t count = (size_t)c->request->params.logprobs;
    clsa_logprob given = {.id = id}, best[SERVE_BEST];
    json_t *top = json_array();
    if (clsa_logprobs(model, logits, &given, 1, best, count, NULL)) {
        json_decref(top);
        return;
    }
    for (size_t i = 0; i < count; i++)
        json_array_append_new(top, token_json(model, best[i]));
    json_t *place = token_json(model, given);
    json_object_set_new(place, "top_logprobs", top);
    if (!c->places)
        c->places = json_array();
    json_array_append_new(c->places, place);
}

json_t *serve_places_take(struct serve_choice *choice)
{
    json_t *places = choice->places;
    choice->places = NULL;
    return places;
}
