/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat: recognises templates by the markup they contain, and writes ChatML
 * turns. Markup and user text are tokenised apart from each other.
 */
#include <stdlib.h>
#include <string.h>

#include "src/cli/chat.h"
#include "src/cli/message.h"

#define TURN_START "<|im_start|>"
#define TURN_END   "<|im_end|>"

static const struct {
    const char *mark, *name;
} templates[] = {{TURN_START, "ChatML"},
                 {"<|start_header_id|>", "Llama 3"},
                 {"[INST]", "Llama 2 or Mistral"},
                 {"<start_of_turn>", "Gemma"},
                 {"<|start_of_role|>", "Granite"},
                 {"<|assistant|>", "Zephyr or Phi"},
                 {"<|START_OF_TURN_TOKEN|>", "Command R"}};

static const char *template_name(const char *text)
{
    size_t i;

    for (i = 0; i < sizeof templates / sizeof templates[0]; i++)
        if (strstr(text, templates[i].mark) != NULL)
            return templates[i].name;
    return "an unknown one";
}

/* The one token of a piece of markup, or -1. */
static int markup_id(const clsa_model *model, const char *markup, int32_t *id)
{
    struct cli_ids ids = {0};

    CLI_TRY(cli_tokenize(model, markup, strlen(markup), CLSA_TOKENIZE_SPECIAL,
                         &ids));
    *id = ids.count == 1 ? ids.ids[0] : -1;
    free(ids.ids);
    return CLI_DONE;
}

int cli_chat_open(const clsa_model *model, const char *path, int32_t *end)
{
    clsa_model_info info;
    const char *name;
    int32_t start;

    clsa_model_get_info(model, &info);
    if (info.chat_template == NULL)
        return cli_fail("%s: the model has no chat template: use -i without "
                        "--chat",
                        path);
    name = template_name(info.chat_template);
    if (strcmp(name, "ChatML") != 0)
        return cli_fail("%s: the chat template is %s and not ChatML: use -i "
                        "without --chat",
                        path, name);
    CLI_TRY(markup_id(model, TURN_START, &start));
    CLI_TRY(markup_id(model, TURN_END, end));
    if (start < 0 || *end < 0)
        return cli_fail("%s: the tokens of ChatML are not in the vocabulary: "
                        "use -i without --chat",
                        path);
    return CLI_DONE;
}

int cli_chat_turn(const clsa_model *model, const clsa_session *session,
                  const struct cli_text *text, struct cli_ids *ids)
{
    static const char first[] = TURN_START "user\n";
    static const char later[] = TURN_END "\n" TURN_START "user\n";
    static const char answer[] = TURN_END "\n" TURN_START "assistant\n";
    int is_first = clsa_session_length(session) == 0;
    unsigned flags = CLSA_TOKENIZE_SPECIAL;

    if (is_first)
        flags |= CLSA_TOKENIZE_BOS;
    CLI_TRY(cli_tokenize(model, is_first ? first : later,
                         strlen(is_first ? first : later), flags, ids));
    CLI_TRY(cli_tokenize(model, text->data, text->size, 0, ids));
    return cli_tokenize(model, answer, sizeof answer - 1, CLSA_TOKENIZE_SPECIAL,
                        ids);
}
