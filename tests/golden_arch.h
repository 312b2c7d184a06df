/* SPDX-License-Identifier: Apache-2.0 */
/*
 * golden_arch: tiny models of each architecture, as llama.cpp writes them, and
 * their logits, for the tests that read golden-arch.
 *
 * Environment: CLSA_SHARED, the folder of golden-arch (default ../shared).
 */
#ifndef CLSA_TESTS_GOLDEN_ARCH_H
#define CLSA_TESTS_GOLDEN_ARCH_H

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clsa_bench.h"
#include "tests/suite.h"

static const char *const names[] = {
    "llama-mha",    "llama-gqa-rope3", "llama-bias",
    "llama-linear", "mistral",         "smollm3",
    "qwen2",        "qwen3",           "qwen3-yarn",
    "phi3",         "phi3-longrope",   "gemma2",
    "gemma3",       "gemma3-62",       "gemma4-e",
};

#define NAMES ((int)(sizeof names / sizeof *names))

static inline bool is_emulated(void)
{
    const char *emulator = getenv("CLSA_EMULATOR");
    return emulator && *emulator;
}

/* A variant, its model and its logits. */
struct golden {
    const char *name;
    json_t *index, *cases;
    clsa_model *model;
    float *logits; /* [rows][vocab] */
    size_t vocab;
    double largest;
};

/* A list of ids and the logits after each of them. */
struct text {
    size_t n;
    int32_t *ids;
    const float *want; /* [n][vocab] */
};

static inline const char *path_of(const char *name, const char *suffix)
{
    static char path[1200];
    const char *shared = getenv("CLSA_SHARED");
    snprintf(path, sizeof path, "%s/golden-arch/%s%s",
             shared ? shared : "../shared", name, suffix);
    return path;
}

static inline float *read_floats(const char *path)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    const size_t size = (size_t)ftell(file);
    float *values = malloc(size);
    rewind(file);
    ck_assert_uint_eq(fread(values, 1, size, file), size);
    fclose(file);
    return values;
}

static inline json_t *find_variant(const json_t *index, const char *name)
{
    const json_t *variants = json_object_get(index, "variants");
    for (size_t i = 0; i < json_array_size(variants); i++) {
        json_t *v = json_array_get(variants, i);
        if (strcmp(json_string_value(json_object_get(v, "name")), name) == 0)
            return v;
    }
    ck_abort_msg("no variant %s", name);
    return NULL;
}

static inline void close_golden(struct golden *g)
{
    clsa_model_close(g->model);
    json_decref(g->index);
    free(g->logits);
}

/* False, told as a skip: there is no golden data. */
static inline bool open_golden_of(struct golden *g, const char *name,
                                  const char *simd, unsigned threads)
{
    clsa_model_options options;
    clsa_error error;
    json_error_t where;
    *g = (struct golden){.name = name};
    g->index = json_load_file(path_of("index", ".json"), 0, &where);
    if (!g->index) {
        SUITE_SKIP("golden_arch", "there is no %s", path_of("index", ".json"));
        return false;
    }
    const json_t *variant = find_variant(g->index, name);
    g->cases = json_object_get(variant, "cases");
    g->vocab = (size_t)json_integer_value(json_object_get(variant, "vocab"));
    g->largest = json_number_value(json_object_get(variant, "max_abs_logit"));
    g->logits = read_floats(path_of(name, ".f32"));
    clsa_model_options_init(&options);
    options.simd = simd;
    options.threads = threads;
    clsa_status status =
        clsa_model_open(&g->model, path_of(name, ".gguf"), &options, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    return true;
}

static inline bool open_golden(struct golden *g, const char *name,
                               const char *simd)
{
    return open_golden_of(g, name, simd, 2);
}

static inline struct text text_of(const struct golden *g, size_t i)
{
    const json_t *entry = json_array_get(g->cases, i);
    const json_t *tokens = json_object_get(entry, "tokens");
    struct text t = {.n = json_array_size(tokens)};
    const size_t row =
        (size_t)json_integer_value(json_object_get(entry, "row"));
    t.ids = malloc(t.n * sizeof *t.ids);
    for (size_t j = 0; j < t.n; j++)
        t.ids[j] = (int32_t)json_integer_value(json_array_get(tokens, j));
    t.want = g->logits + row * g->vocab;
    return t;
}

static inline clsa_session_options
session_options(const struct text *t, const char *prefill, uint32_t block)
{
    clsa_session_options options;
    clsa_session_options_init(&options);
    options.kv_type = CLSA_TYPE_F32;
    options.context = t->n;
    options.prefill = prefill;
    options.prefill_block = block;
    return options;
}

static inline clsa_session *open_session(const struct golden *g,
                                         const struct text *t,
                                         const char *prefill, uint32_t block)
{
    const clsa_session_options options = session_options(t, prefill, block);
    clsa_session *session;
    clsa_error error;
    ck_assert_msg(clsa_session_open(&session, g->model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* Texts of a model; one under an emulator. */
static inline size_t case_count(const struct golden *g)
{
    return is_emulated() ? 1 : json_array_size(g->cases);
}

/* A level that multiplies bf16 weights by floats. */
static inline const char *exact_level(void)
{
    const char *best = "ref";
    for (const char *const *n = clsa_simd_levels(); *n; n++)
        if (strcmp(*n, "avx2") == 0 || strcmp(*n, "neon") == 0)
            best = *n;
    return best;
}

#endif /* CLSA_TESTS_GOLDEN_ARCH_H */
