/* SPDX-License-Identifier: Apache-2.0 */
/* Named shapes, the parser of KEY=VALUE pairs, and models of them. */
#include <string.h>

#include "src/cli/engine.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/shape.h"

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
} keys[] = {
    {"d", offsetof(clsa_shape, width)},
    {"self", offsetof(clsa_shape, self_layers)},
    {"cross", offsetof(clsa_shape, cross_layers)},
    {"h", offsetof(clsa_shape, heads)},
    {"g", offsetof(clsa_shape, kv_heads)},
    {"e", offsetof(clsa_shape, head_size)},
    {"f", offsetof(clsa_shape, ffn)},
    {"window", offsetof(clsa_shape, window)},
    {"index", offsetof(clsa_shape, index_size)},
    {"k", offsetof(clsa_shape, top_k)},
    {"vocab", offsetof(clsa_shape, vocab)},
    {"tied", offsetof(clsa_shape, tied)},
};

/* Sets KEY of the KEY=VALUE `pair`; 0 where it is none. */
static int set_pair(clsa_shape *shape, const char *pair)
{
    size_t i, length = strcspn(pair, "=");
    uint64_t value;

    if (pair[length] != '=' ||
        !cli_parse_size(pair + length + 1, 0, UINT32_MAX, &value))
        return 0;
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i].name) == length &&
            strncmp(keys[i].name, pair, length) == 0) {
            *(uint32_t *)(void *)((char *)shape + keys[i].offset) =
                (uint32_t)value;
            return 1;
        }
    return 0;
}

static int set_name(clsa_shape *shape, const char *name)
{
    size_t i;

    for (i = 0; i < SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0) {
            *shape = shapes[i].shape;
            return 1;
        }
    return 0;
}

int cli_shape_parse(const struct cli_command *command, const char *text,
                    clsa_shape *shape)
{
    const char *at = text;
    char word[64];

    *shape = shapes[0].shape;
    for (;;) {
        size_t length = strcspn(at, ",");
        size_t size = length < sizeof word ? length : sizeof word - 1;

        memcpy(word, at, size);
        word[size] = '\0';
        if (size < length ||
            !((at == text && set_name(shape, word)) || set_pair(shape, word)))
            return cli_usage(command,
                             "--shape: '%s' is none of tiny, 1b, 3b or KEY=V "
                             "with d, self, cross, h, g, e, f, window, index, "
                             "k, vocab, tied",
                             word);
        if (at[length] == '\0')
            return CLI_DONE;
        at += length + 1;
    }
}

/* Bits of 256 values, with their scales. */
static uint64_t type_bits(clsa_type type)
{
    switch (type) {
    case CLSA_TYPE_F32:
        return 256 * 32;
    case CLSA_TYPE_Q8_0:
        return 256 / 32 * 34 * 8;
    case CLSA_TYPE_Q4_0:
        return 256 / 32 * 18 * 8;
    case CLSA_TYPE_Q4_K:
        return 144 * 8;
    case CLSA_TYPE_Q6_K:
        return 210 * 8;
    default:
        return 256 * 16;
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
    double bytes = values * (double)type_bits(type) / (256 * 8);

    return bytes < 0x1p62 ? (uint64_t)bytes : (uint64_t)1 << 62;
}

int cli_shape_open(const struct cli_common *common, const clsa_shape *shape,
                   clsa_type type, clsa_model **model)
{
    clsa_model_options options;
    clsa_error error;

    CLI_TRY(cli_machine_fits("random weights", cli_shape_bytes(shape, type)));
    cli_model_options(common, &options);
    if (clsa_model_random(model, shape, type, &options, &error) != CLSA_OK)
        return cli_fail_option(&error);
    return CLI_DONE;
}
