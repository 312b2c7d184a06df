/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States after the last norm (on_state of clsa_append_options): the logits are
 * products of them, they are the same bits with and without logits, in blocks
 * of any size, and alone. Models: CLSA_TEST_DATA, CLSA_TEST_MODEL.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

enum { TOKENS = 200, WIDTH = 4096 };

static clsa_model *model;
static clsa_model_info info;
static int32_t ids[TOKENS];
static char path[1200];

static void open_model(const char *name)
{
    clsa_model_options options;
    clsa_error error;
    snprintf(path, sizeof path, "%s", name);
    clsa_model_options_init(&options);
    options.threads = 2;
    ck_assert_msg(clsa_model_open(&model, path, &options, &error) == CLSA_OK,
                  "%s", error.message);
    clsa_model_get_info(model, &info, sizeof info);
    ck_assert_uint_le(info.width, WIDTH);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (int32_t)((unsigned)(i * i + 7 * i) % info.vocab);
}

static void setup_data(const char *name)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    char full[1200];
    snprintf(full, sizeof full, "%s/%s", folder ? folder : "tests/data", name);
    open_model(full);
}

static void setup_f32(void)
{
    setup_data("good-f32.gguf");
}

static void setup_retention(void)
{
    setup_data("good-gated-retention.gguf");
}

static void setup_tiny(void)
{
    const char *name = getenv("CLSA_TEST_MODEL");
    open_model(name ? name : "models/clsa-tiny-q8_0.gguf");
}

static void teardown(void)
{
    clsa_model_close(model);
}

/* What an append tells. */
struct told {
    float *states; /* [TOKENS][width] */
    float *logits; /* [TOKENS][vocab], or NULL */
    size_t count, logit_count;
};

static void take_state(void *user, uint64_t position, const float *state)
{
    struct told *told = user;
    ck_assert_uint_lt(position, TOKENS);
    memcpy(told->states + position * info.width, state,
           info.width * sizeof *state);
    told->count++;
}

static void take_logits(void *user, uint64_t position, const float *logits)
{
    struct told *told = user;
    ck_assert_uint_eq(told->logit_count + 1, told->count); /* after its state */
    memcpy(told->logits + position * info.vocab, logits,
           info.vocab * sizeof *logits);
    told->logit_count++;
}

static struct told open_told(bool logits)
{
    struct told told = {
        .states = calloc((size_t)TOKENS * info.width, sizeof(float)),
        .logits =
            logits ? calloc((size_t)TOKENS * info.vocab, sizeof(float)) : NULL};
    ck_assert_ptr_nonnull(told.states);
    return told;
}

static void close_told(struct told *told)
{
    free(told->states);
    free(told->logits);
}

static clsa_session *open_session(uint32_t block)
{
    clsa_session *session;
    clsa_session_options options;
    clsa_error error;
    clsa_session_options_init(&options);
    options.context = TOKENS;
    options.prefill = "own";
    options.prefill_block = block;
    ck_assert_msg(clsa_session_open(&session, model, &options, &error) ==
                      CLSA_OK,
                  "%s", error.message);
    return session;
}

/* Read all tokens in two appends, of which every `step`-th has a state. */
static void read_all(struct told *told, uint32_t block, size_t step)
{
    uint8_t mask[TOKENS];
    clsa_session *session = open_session(block);
    clsa_append_options how;
    clsa_error error;
    for (size_t i = 0; i < TOKENS; i++)
        mask[i] = i % step == 0;
    clsa_append_options_init(&how);
    how.want = CLSA_WANT_MASK;
    how.user = told;
    how.on_state = take_state;
    how.on_logits = told->logits ? take_logits : NULL;
    for (size_t at = 0; at < TOKENS; at += TOKENS / 2) {
        how.mask = mask + at;
        ck_assert_msg(clsa_session_append(session, ids + at, TOKENS / 2, &how,
                                          &error) == CLSA_OK,
                      "%s", error.message);
        ck_assert_int_eq(clsa_session_logits(session) != NULL,
                         told->logits != NULL);
    }
    ck_assert_uint_eq(told->count, (TOKENS + step - 1) / step);
    clsa_session_close(session);
}

static void check_same(const struct told *a, const struct told *b, size_t step)
{
    for (size_t i = 0; i < TOKENS; i += step)
        ck_assert_msg(memcmp(a->states + i * info.width,
                             b->states + i * info.width,
                             info.width * sizeof(float)) == 0,
                      "token %zu has another state", i);
}

START_TEST(same_bits)
{
    static const struct {
        uint32_t block;
        size_t step;
        bool logits;
    } ways[] = {{512, 1, false},
                {64, 1, false},
                {7, 1, false},
                {64, 3, false},
                {32, 5, true}};
    struct told first = open_told(true);
    read_all(&first, 512, 1);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct told told = open_told(ways[i].logits);
        read_all(&told, ways[i].block, ways[i].step);
        check_same(&first, &told, ways[i].step);
        close_told(&told);
    }
    close_told(&first);
}
END_TEST

/* The matrix of the output, of which the file has f32. */
static float *read_matrix(void)
{
    clsa_tensor_info tensor;
    const size_t size = (size_t)info.vocab * info.width * sizeof(float);
    float *matrix = malloc(size);
    FILE *file = fopen(path, "rb");
    bool found = false;
    ck_assert(matrix && file);
    for (size_t i = 0; !found && i < clsa_model_tensor_count(model); i++) {
        ck_assert(!clsa_model_tensor(model, i, &tensor, sizeof tensor));
        found = strcmp(tensor.name, "token_embd.weight") == 0;
    }
    ck_assert(found && tensor.type == CLSA_TYPE_F32 && tensor.size == size);
    ck_assert(fseek(file, (long)tensor.offset, SEEK_SET) == 0);
    ck_assert_uint_eq(fread(matrix, 1, size, file), size);
    fclose(file);
    return matrix;
}

START_TEST(products)
{
    struct told told = open_told(true);
    float *matrix = read_matrix();
    read_all(&told, 512, 1);
    for (size_t i = 0; i < TOKENS; i++)
        for (size_t row = 0; row < info.vocab; row++) {
            double sum = 0;
            for (size_t j = 0; j < info.width; j++)
                sum += (double)matrix[row * info.width + j] *
                       (double)told.states[i * info.width + j];
            ck_assert_msg(
                fabs(sum - (double)told.logits[i * info.vocab + row]) <
                    1e-4 * (1 + fabs(sum)),
                "token %zu, row %zu: %g is not %g", i, row,
                (double)told.logits[i * info.vocab + row], sum);
        }
    free(matrix);
    close_told(&told);
}
END_TEST

static void add_cases(Suite *suite, const char *name, void (*setup)(void),
                      bool f32)
{
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, same_bits);
    if (f32)
        tcase_add_test(tc, products);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("states");
    add_cases(suite, "f32", setup_f32, true);
    add_cases(suite, "retention", setup_retention, false);
    add_cases(suite, "tiny", setup_tiny, false);
    return suite_run(suite, CK_NOFORK);
}
