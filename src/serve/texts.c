/* SPDX-License-Identifier: Apache-2.0 */
/* texts: requests about texts alone, as llama-server answers them: tokens of a
   text, the text of tokens, messages as the model reads them. Worker thread. */
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

/* A piece of text, or its bytes if it is no UTF-8. */
static json_t *piece_of(const clsa_model *model, int32_t id)
{
    size_t size = 0;
    const char *bytes = clsa_token_bytes(model, id, &size);
    json_t *piece = json_stringn(bytes ? bytes : "", size);
    if (piece)
        return piece;
    piece = json_array();
    for (size_t i = 0; i < size; i++)
        json_array_append_new(piece, json_integer((unsigned char)bytes[i]));
    return piece;
}

static bool tokenize(struct serve_request *r, json_t *body)
{
    const json_t *text = json_object_get(body, "content");
    const bool pieces = json_is_true(json_object_get(body, "with_pieces"));
    unsigned flags = CLSA_TOKENIZE_SPECIAL;
    clsa_error error;
    int32_t *ids;
    size_t count;
    if (!json_is_string(text))
        return fail(r, "content", "use a text");
    if (json_is_false(json_object_get(body, "parse_special")))
        flags = 0;
    if (json_is_true(json_object_get(body, "add_special")))
        flags |= CLSA_TOKENIZE_BOS | CLSA_TOKENIZE_EOS;
    if (clsa_tokenize(r->of->text, json_string_value(text),
                      json_string_length(text), flags, &ids, &count, &error))
        return fail(r, "content", error.message);
    json_t *tokens = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            tokens, pieces ? json_pack("{si so}", "id", (int)ids[i], "piece",
                                       piece_of(r->of->text, ids[i]))
                           : json_integer(ids[i]));
    clsa_free(ids);
    return serve_request_answer(r, json_pack("{so}", "tokens", tokens));
}

static bool detokenize(struct serve_request *r, json_t *body)
{
    const json_t *tokens = json_object_get(body, "tokens");
    const clsa_model *model = r->of->text;
    const size_t count = json_array_size(tokens);
    clsa_detokenizer state = {.count = 0};
    struct serve_text text = {.data = NULL};
    if (!json_is_array(tokens))
        return fail(r, "tokens", "use a list of ids");
    for (size_t i = 0; i <= count; i++) {
        const json_t *id = json_array_get(tokens, i);
        const json_int_t number = i < count ? json_integer_value(id) : -1;
        char *piece;
        size_t size;
        if (i < count && (!json_is_integer(id) || number < 0 ||
                          number >= (json_int_t)r->of->info.vocab)) {
            serve_text_free(&text);
            return fail(r, "tokens", "an id is not in the vocabulary");
        }
        if (clsa_detokenize(model, &state, (int32_t)number, &piece, &size,
                            NULL))
            continue;
        serve_text_add(&text, piece, size);
        clsa_free(piece);
    }
    json_t *content = json_stringn(text.data ? text.data : "", text.size);
    serve_text_free(&text);
    return serve_request_answer(r, json_pack("{so}", "content", content));
}

static bool apply_template(struct serve_request *r, json_t *body)
{
    char *text = serve_prompt_render(r, body);
    if (!text)
        return false;
    const bool done =
        serve_request_answer(r, json_pack("{ss}", "prompt", text));
    clsa_free(text);
    return done;
}

bool serve_texts_run(struct serve_request *request, json_t *body)
{
    switch (request->kind) {
    case SERVE_TOKENIZE:
        return tokenize(request, body);
    case SERVE_DETOKENIZE:
        return detokenize(request, body);
    case SERVE_SHOW:
        return serve_request_answer(request, serve_ollama_show(request->of));
    default:
        return apply_template(request, body);
    }
}
