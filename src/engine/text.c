/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer's entry points of the interface. */
#include "clsa.h"
#include "src/base/mem.h"
#include "src/base/structs.h"
#include "src/engine/model.h"

static clsa_status check_tokenizer(const clsa_model *model, clsa_error *error)
{
    if (model->tokenizer)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                     "a model of random weights has no tokenizer: give it "
                     "token ids");
}

clsa_status clsa_tokenize(const clsa_model *model, const char *text,
                          size_t size, unsigned flags, int32_t **ids,
                          size_t *count, clsa_error *error)
{
    struct clsa_tokens tokens;
    CLSA_TRY(check_tokenizer(model, error));
    CLSA_TRY(clsa_tokenizer_encode(model->tokenizer, text, size,
                                   flags & ~CLSA_TOKENIZE_PLACES, &tokens,
                                   error));
    *ids = tokens.ids;
    *count = tokens.count;
    return CLSA_OK;
}

clsa_status clsa_tokenize_places(const clsa_model *model, const char *text,
                                 size_t size, unsigned flags,
                                 clsa_token_place **places, size_t *count,
                                 clsa_error *error)
{
    struct clsa_tokens tokens;
    CLSA_TRY(check_tokenizer(model, error));
    CLSA_TRY(clsa_tokenizer_encode(model->tokenizer, text, size,
                                   flags | CLSA_TOKENIZE_PLACES, &tokens,
                                   error));
    clsa_token_place *list = clsa_mem_calloc(tokens.count + 1, sizeof *list);
    for (size_t i = 0; list && i < tokens.count; i++)
        list[i] = (clsa_token_place){tokens.ids[i], tokens.starts[i]};
    clsa_mem_free(tokens.ids);
    clsa_mem_free(tokens.starts);
    if (!list)
        return clsa_fail_memory(error, "places of tokens",
                                (tokens.count + 1) * sizeof *list);
    *places = list;
    *count = tokens.count;
    return CLSA_OK;
}

clsa_status clsa_model_vocab_info(const clsa_model *model,
                                  clsa_vocab_info *info, size_t size,
                                  clsa_error *error)
{
    CLSA_TRY(check_tokenizer(model, error));
    const struct clsa_vocab *vocab = clsa_tokenizer_vocab(model->tokenizer);
    const clsa_vocab_info all = {
        .model = vocab->model,
        .pre = vocab->pre,
        .tokens = (uint32_t)vocab->count,
        .bos = vocab->bos,
        .eos = vocab->eos,
        .unknown = vocab->unknown,
        .add_bos = vocab->add_bos,
        .add_eos = vocab->add_eos,
        .add_space_prefix = vocab->add_space,
        .ignore_merges = vocab->ignore_merges,
        .nfc = vocab->nfc,
    };
    if (clsa_struct_give(info, size, &all, sizeof all,
                         CLSA_SIZE_THROUGH(clsa_vocab_info, nfc)))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "a clsa_vocab_info of %zu bytes is too small", size);
    return CLSA_OK;
}

const char *clsa_token_bytes(const clsa_model *model, int32_t id, size_t *size)
{
    return model->tokenizer ? clsa_tokenizer_bytes(model->tokenizer, id, size)
                            : NULL;
}

int clsa_token_is_special(const clsa_model *model, int32_t id)
{
    return model->tokenizer ? clsa_tokenizer_special(model->tokenizer, id) : 0;
}

clsa_status clsa_token_id(const clsa_model *model, const char *text,
                          int32_t *id)
{
    if (!model->tokenizer)
        return CLSA_ERR_UNSUPPORTED;
    const int32_t found = clsa_tokenizer_id(model->tokenizer, text);
    if (found < 0)
        return CLSA_ERR_ARGUMENT;
    *id = found;
    return CLSA_OK;
}

void clsa_model_eog(const clsa_model *model, const int32_t **ids, size_t *count)
{
    *count = 0;
    *ids =
        model->tokenizer ? clsa_tokenizer_ends(model->tokenizer, count) : NULL;
}

clsa_status clsa_detokenize(const clsa_model *model, clsa_detokenizer *state,
                            int32_t id, char **text, size_t *size,
                            clsa_error *error)
{
    CLSA_TRY(check_tokenizer(model, error));
    return clsa_tokenizer_decode(model->tokenizer, state, id, text, size,
                                 error);
}

clsa_status clsa_detokenize_all(const clsa_model *model, const int32_t *ids,
                                size_t count, char **bytes, size_t *size,
                                clsa_error *error)
{
    CLSA_TRY(check_tokenizer(model, error));
    return clsa_tokenizer_join(model->tokenizer, ids, count, bytes, size,
                               error);
}
