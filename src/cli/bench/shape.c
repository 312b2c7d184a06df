/* SPDX-License-Identifier: Apache-2.0 */
/* Named shapes, the parser of KEY=VALUE pairs, and models of them. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "src/cli/bench/shape.h"
#include "src/cli/library.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"

static const struct {
    const char *name;
    clsa_shape shape;
} shapes[] = {
    {"tiny", /* the model that comes with clsa */
     {.width = 256,
      .self_layers = 6,
      .cross_layers = 6,
      .heads = 4,
      .kv_heads = 2,
      .head_size = 64,
      .ffn = 768,
      .window = 256,
      .index_size = 64,
      .top_k = 512,
      .vocab = 8192,
      .tied = 1}},
    {"1b",
     {.width = 2048,
      .self_layers = 8,
      .cross_layers = 8,
      .heads = 32,
      .kv_heads = 8,
      .head_size = 64,
      .ffn = 8192,
      .window = 512,
      .index_size = 64,
      .top_k = 2048,
      .vocab = 32000}},
    {"3b",
     {.width = 2560,
      .self_layers = 16,
      .cross_layers = 16,
      .heads = 20,
      .kv_heads = 4,
      .head_size = 128,
      .ffn = 7680,
      .window = 512,
      .index_size = 128,
      .top_k = 2048,
      .vocab = 100288}},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

static const struct {
    const char *name;
    size_t offset;
    uint64_t max;
} keys[] = {
    {"d", offsetof(clsa_shape, width), UINT32_MAX},
    {"self", offsetof(clsa_shape, self_layers), UINT32_MAX},
    {"cross", offsetof(clsa_shape, cross_layers), UINT32_MAX},
    {"h", offsetof(clsa_shape, heads), UINT32_MAX},
    {"g", offsetof(clsa_shape, kv_heads), UINT32_MAX},
    {"e", offsetof(clsa_shape, head_size), UINT32_MAX},
    {"f", offsetof(clsa_shape, ffn), UINT32_MAX},
    {"window", offsetof(clsa_shape, window), UINT32_MAX},
    {"index", offsetof(clsa_shape, index_size), UINT32_MAX},
    {"k", offsetof(clsa_shape, top_k), UINT32_MAX},
    {"vocab", offsetof(clsa_shape, vocab), UINT32_MAX},
    {"tied", offsetof(clsa_shape, tied), 1},
};

#define KEYS (sizeof keys / sizeof *keys)

/* The key of a KEY=VALUE pair, KEYS where there is none of it. */
static size_t find_key(const char *pair)
{
    const size_t length = strcspn(pair, "=");
    for (size_t i = 0; i < KEYS; i++)
        if (pair[length] == '=' && strlen(keys[i].name) == length &&
            strncmp(keys[i].name, pair, length) == 0)
            return i;
    return KEYS;
}

static bool set_name(clsa_shape *shape, const char *name)
{
    for (size_t i = 0; i < SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0) {
            *shape = shapes[i].shape;
            return true;
        }
    return false;
}

/* Sets KEY of the KEY=VALUE `pair`; `seen` has a bit for each key. */
static int set_pair(const struct cli_command *command, clsa_shape *shape,
                    const char *pair, unsigned *seen)
{
    const size_t key = find_key(pair);
    if (key == KEYS)
        return cli_usage(command,
                         "--shape: '%s': give tiny, 1b, 3b or an ordinary "
                         "model of clsa-bench(1) first, then "
                         "KEY=V with KEY d, self, cross, h, g, e, f, window, "
                         "index, k, vocab, tied",
                         pair);
    uint64_t value;
    if (!cli_parse_size(strchr(pair, '=') + 1, 0, keys[key].max, &value))
        return cli_usage(
            command, "--shape: '%s': %s must be a number from 0 to %" PRIu64,
            pair, keys[key].name, keys[key].max);
    if (*seen >> key & 1)
        return cli_usage(command, "--shape: %s is given twice", keys[key].name);
    *seen |= 1u << key;
    *(uint32_t *)(void *)((char *)shape + keys[key].offset) = (uint32_t)value;
    return CLI_DONE;
}

int cli_shape_parse(const struct cli_command *command, const char *text,
                    clsa_shape *shape)
{
    const char *at = text;
    unsigned seen = 0;
    *shape = shapes[0].shape;
    char word[64];
    for (;;) {
        size_t length = strcspn(at, ",");
        size_t size = length < sizeof word ? length : sizeof word - 1;
        memcpy(word, at, size);
        word[size] = '\0';
        if (at != text || !set_name(shape, word))
            CLI_TRY(set_pair(command, shape, word, &seen));
        if (at[length] == '\0')
            return CLI_DONE;
        at += length + 1;
    }
}

uint64_t cli_shape_bytes(const clsa_shape *s, clsa_type type)
{
    /* in double: sizes that do not fit anything are refused, not wrapped */
    double d = s->width, he = (double)s->heads * s->head_size;
    double ge = (double)s->kv_heads * s->head_size;
    double layers = (double)s->self_layers + s->cross_layers;
    double values = layers * (2 * d * he + 3 * d * s->ffn) +
                    ((double)s->self_layers + 1) * 2 * d * ge +
                    2 * d * s->index_size + (s->tied ? 1 : 2) * d * s->vocab;
    double bytes = values * (double)clsa_type_row_bytes(type, 256) / 256;
    return bytes < 0x1p62 ? (uint64_t)bytes : (uint64_t)1 << 62;
}

bool cli_shape_is_like(const char *text)
{
    const size_t size = strcspn(text, ",");
    const char *name;
    for (size_t i = 0; (name = clsa_shape_name(i)); i++)
        if (strlen(name) == size && memcmp(name, text, size) == 0)
            return true;
    return false;
}

/* Of a mix, more than it takes. */
static int check_memory(const clsa_shape *shape, int type)
{
    const bool mix = !clsa_type_name((clsa_type)type);
    return cli_machine_fits(
        "random weights",
        cli_shape_bytes(shape, mix ? CLSA_TYPE_Q6_K : (clsa_type)type));
}

int cli_shape_open(const struct cli_command *command,
                   const struct cli_common *common, const char *text, int type,
                   clsa_model **model)
{
    const bool like = cli_shape_is_like(text);
    clsa_model_options options;
    clsa_shape shape;
    clsa_error error;
    if (!like) {
        CLI_TRY(cli_shape_parse(command, text, &shape));
        CLI_TRY(check_memory(&shape, type));
    }
    cli_model_options(common, &options);
    const clsa_status status =
        like ? clsa_model_random_like(model, text, type, &options, &error)
             : clsa_model_random(model, &shape, type, &options, &error);
    return status == CLSA_OK ? CLI_DONE : cli_fail_option(&error);
}
