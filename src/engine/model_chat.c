/* SPDX-License-Identifier: Apache-2.0 */
/* The chat template of a model: parsed when the model is opened. One that
   cannot be parsed is kept as the failure, and the model is usable. */
#include <string.h>

#include "src/engine/model.h"
#include "src/jinja/chat_template.h"

static const char *token_text(const struct clsa_tokenizer *tokenizer,
                              int32_t id, size_t *size)
{
    *size = 0;
    return id >= 0 ? clsa_tokenizer_bytes(tokenizer, id, size) : NULL;
}

clsa_status clsa_model_parse_chat_template(struct clsa_model *m,
                                           clsa_error *error)
{
    size_t bos_size, eos_size;
    clsa_chat_template *t;
    if (!m->chat_template)
        return CLSA_OK;
    const clsa_status status = clsa_chat_template_open(
        &t, m->chat_template, strlen(m->chat_template), &m->chat_error);
    if (status == CLSA_ERR_MEMORY && error)
        *error = m->chat_error;
    if (status)
        return status == CLSA_ERR_MEMORY ? status : CLSA_OK;
    m->chat = t;
    CLSA_TRY(clsa_budget_take(&m->budget, t->pool.taken,
                              "chat template of the model", error));
    const char *bos =
        token_text(m->tokenizer, clsa_tokenizer_bos(m->tokenizer), &bos_size);
    const char *eos =
        token_text(m->tokenizer, clsa_tokenizer_eos(m->tokenizer), &eos_size);
    return clsa_chat_template_tokens(t, bos, bos_size, eos, eos_size, error);
}

clsa_status clsa_model_chat_template(const clsa_model *model,
                                     const clsa_chat_template **chat_template,
                                     clsa_error *error)
{
    if (!model->chat_template)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "the model has no chat template");
    if (!model->chat) {
        if (error)
            *error = model->chat_error;
        return model->chat_error.status;
    }
    *chat_template = model->chat;
    return CLSA_OK;
}
