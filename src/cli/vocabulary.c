/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vocabulary: which tokenizer it is for, its special ids, and a digest of the
 * bytes of all its tokens, by which two files can be compared.
 */
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdio.h>

#include "src/cli/library.h"
#include "src/cli/message.h"
#include "src/cli/vocabulary.h"

#define DIGEST_TEXT (2 * SHA256_DIGEST_SIZE + 1)

/* SHA-256 over the tokens in the order of ids: for each its number of bytes in
   four bytes, the lowest first, and its bytes. */
static void digest(const clsa_model *model, uint32_t tokens,
                   char text[DIGEST_TEXT])
{
    struct sha256_ctx state;
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_init(&state);
    for (uint32_t i = 0; i < tokens; i++) {
        size_t size;
        const char *token = clsa_token_bytes(model, (int32_t)i, &size);
        const uint8_t length[4] = {size & 255, size >> 8 & 255,
                                   size >> 16 & 255, size >> 24 & 255};
        sha256_update(&state, sizeof length, length);
        sha256_update(&state, size, (const uint8_t *)token);
    }
    sha256_digest(&state, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}

static int print_json(const clsa_model *model, const clsa_vocab_info *v,
                      const char *sha256)
{
    const int32_t *ends;
    size_t count;
    json_t *eog = json_array();
    clsa_model_eog(model, &ends, &count);
    for (size_t i = 0; i < count; i++)
        CLI_TRY(cli_json_append(eog, json_integer(ends[i])));
    return cli_json_print(json_pack(
        "{so so sI sI sI so sb sb sb sb sb ss}", "model",
        cli_json_text(v->model), "pre", cli_json_text(v->pre), "tokens",
        (json_int_t)v->tokens, "bos", (json_int_t)v->bos, "eos",
        (json_int_t)v->eos, "eog", eog, "add_bos", v->add_bos, "add_eos",
        v->add_eos, "add_space_prefix", v->add_space_prefix, "ignore_merges",
        v->ignore_merges, "nfc", v->nfc, "pieces_sha256", sha256));
}

static void print_flag(const char *name, int set, const char *about)
{
    printf("%-18s %-12s %s\n", name, set ? "yes" : "no", about);
}

static void print_text(const clsa_model *model, const clsa_vocab_info *v,
                       const char *sha256)
{
    const int32_t *ends;
    size_t count;
    clsa_model_eog(model, &ends, &count);
    printf("%-18s %-12s tokenizer\n", "model", v->model);
    printf("%-18s %-12s pre-tokenizer\n", "pre", v->pre[0] ? v->pre : "none");
    printf("%-18s %-12" PRIu32 " in the vocabulary\n", "tokens", v->tokens);
    printf("%-18s %-12" PRId32 " begins a text, -1: none\n", "bos", v->bos);
    printf("%-18s %-12" PRId32 " ends a text, -1: none\n", "eos", v->eos);
    printf("%-18s", "eog");
    for (size_t i = 0; i < count; i++)
        printf(" %" PRId32, ends[i]);
    printf("%s end a generation\n", count ? "" : " none");
    print_flag("add_bos", v->add_bos, "bos before a text");
    print_flag("add_eos", v->add_eos, "eos after a text");
    print_flag("add_space_prefix", v->add_space_prefix, "space before a text");
    print_flag("ignore_merges", v->ignore_merges, "words that are tokens");
    print_flag("nfc", v->nfc, "texts are normalized");
    printf("%-18s %s\n", "pieces_sha256", sha256);
}

int cli_vocabulary_print(const struct cli_common *common)
{
    clsa_model *model;
    clsa_vocab_info info;
    clsa_error error;
    char sha256[DIGEST_TEXT];
    int status = CLI_DONE;
    CLI_TRY(cli_vocab_open(common, &model));
    if (clsa_model_vocab_info(model, &info, sizeof info, &error) != CLSA_OK) {
        status = cli_fail_error(&error);
    } else {
        digest(model, info.tokens, sha256);
        if (common->json)
            status = print_json(model, &info, sha256);
        else
            print_text(model, &info, sha256);
    }
    clsa_model_close(model);
    return status;
}
