/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sampler, from fixed logits: which tokens each filter leaves, alone and
 * after the ones before it, and which of them the seed draws. The expected
 * sets follow from the probabilities below by hand; the expected draws come
 * from another implementation of the generator (Python).
 */
#include <math.h>
#include <string.h>

#include "src/engine/session.h"
#include "tests/suite.h"

enum { VOCAB = 8, DRAWS = 2000 };

/* Probabilities of the tokens; the best first: 6, 1, 4, 3, 0, 7. Two tokens
   have none. */
static const double probability[VOCAB] = {.06, .25, 0, .10, .15, 0, .40, .04};

static float logits[VOCAB];
static int32_t tokens[6] = {6, 2, 6, 1, 6, 1};
static struct clsa_model model = {.net = {.vocab = VOCAB}};
static struct clsa_session session = {
    .model = &model, .logits = logits, .has_logits = true, .tokens = tokens};

static void set_logits(void)
{
    model.simd = clsa_simd_table(NULL);
    session.length = 0;
    session.has_logits = true;
    for (int i = 0; i < VOCAB; i++)
        logits[i] = (float)log(probability[i]);
}

/* Options that do nothing. */
static clsa_sampler_options plain(uint64_t seed)
{
    clsa_sampler_options o;
    clsa_sampler_options_init(&o);
    o.temperature = 1;
    o.top_k = 0;
    o.top_p = 1;
    o.min_p = 0;
    o.seed = seed;
    return o;
}

static clsa_sampler *open_sampler(clsa_sampler_options options)
{
    clsa_sampler *sampler;
    ck_assert_int_eq(clsa_sampler_open(&sampler, &options, NULL), CLSA_OK);
    return sampler;
}

static int32_t sample(clsa_sampler *sampler)
{
    int32_t id = -1;
    ck_assert_int_eq(clsa_sampler_sample(sampler, &session, &id, NULL),
                     CLSA_OK);
    ck_assert(id >= 0 && id < VOCAB);
    return id;
}

static int32_t first(clsa_sampler_options options)
{
    clsa_sampler *sampler = open_sampler(options);
    int32_t id = sample(sampler);
    clsa_sampler_close(sampler);
    return id;
}

/* Many draws give all tokens of a string of digits, and no others, each as
   often as `weight` says. */
static void check_drawn(clsa_sampler_options options, const char *ids,
                        const double weight[VOCAB])
{
    unsigned count[VOCAB] = {0};
    double sum = 0;
    clsa_sampler *sampler = open_sampler(options);
    for (int i = 0; i < DRAWS; i++)
        count[sample(sampler)]++;
    clsa_sampler_close(sampler);
    for (int i = 0; i < VOCAB; i++)
        sum += strchr(ids, '0' + i) ? weight[i] : 0;
    for (int i = 0; i < VOCAB; i++) {
        double p = strchr(ids, '0' + i) ? weight[i] / sum : 0;
        double deviation = sqrt(p * (1 - p) / DRAWS);
        ck_assert_msg((count[i] > 0) == (p > 0), "token %d, not of %s", i, ids);
        ck_assert_double_le(fabs(count[i] / (double)DRAWS - p), 4 * deviation);
    }
}

/* ---------------------------------------------------------- filters alone */

START_TEST(nothing_filters)
{
    check_drawn(plain(1), "614307", probability);
}
END_TEST

START_TEST(temperature)
{
    clsa_sampler_options o = plain(1);
    double root[VOCAB];
    for (int i = 0; i < VOCAB; i++)
        root[i] = sqrt(probability[i]);
    o.temperature = 2;
    check_drawn(o, "614307", root);
    o.temperature = 0;
    for (o.seed = 0; o.seed < 20; o.seed++)
        ck_assert_int_eq(first(o), 6);
    logits[4] = logits[6]; /* the lower id of two equal ones */
    ck_assert_int_eq(first(o), 4);
    o.temperature = 1e-30f; /* nearly 0 is no reason for NaN */
    logits[4] = -1;
    ck_assert_int_eq(first(o), 6);
}
END_TEST

/* A NaN is no candidate, wherever it stands; of NaN only, nothing is. */
START_TEST(not_a_number)
{
    clsa_sampler_options o = plain(1);
    clsa_sampler *sampler;
    clsa_error error = {CLSA_OK, ""};
    int32_t id;
    for (int i = 0; i < 2; i++) {
        o.temperature = (float)i;
        o.top_k = 1;
        for (int nan = 0; nan < VOCAB; nan++) {
            set_logits();
            logits[nan] = NAN;
            ck_assert_int_eq(first(o), nan == 6 ? 1 : 6);
        }
        for (int k = 0; k < VOCAB; k++)
            logits[k] = NAN;
        sampler = open_sampler(o);
        ck_assert_int_eq(clsa_sampler_sample(sampler, &session, &id, &error),
                         CLSA_ERR_FORMAT);
        ck_assert_ptr_nonnull(strstr(error.message, "NaN"));
        clsa_sampler_close(sampler);
    }
}
END_TEST

START_TEST(top_k)
{
    static const char *const left[] = {"614307", "6",     "61",    "614",
                                       "6143",   "61430", "614307"};
    clsa_sampler_options o = plain(2);
    for (o.top_k = 0; o.top_k < 7; o.top_k++)
        check_drawn(o, left[o.top_k], probability);
    o.top_k = UINT32_MAX;
    check_drawn(o, "614307", probability);
}
END_TEST

/* The fewest tokens that together have top_p. */
START_TEST(top_p)
{
    clsa_sampler_options o = plain(3);
    o.top_p = 0;
    check_drawn(o, "6", probability);
    o.top_p = 0.39f;
    check_drawn(o, "6", probability);
    o.top_p = 0.41f;
    check_drawn(o, "61", probability);
    o.top_p = 0.64f;
    check_drawn(o, "61", probability);
    o.top_p = 0.79f;
    check_drawn(o, "614", probability);
    o.top_p = 0.95f;
    check_drawn(o, "61430", probability);
}
END_TEST

/* Those that have at least min_p of what the best one has. */
START_TEST(min_p)
{
    clsa_sampler_options o = plain(4);
    o.min_p = 1;
    check_drawn(o, "6", probability);
    o.min_p = 0.62f; /* 0.248 */
    check_drawn(o, "61", probability);
    o.min_p = 0.3f; /* 0.12 */
    check_drawn(o, "614", probability);
    o.min_p = 0.11f; /* 0.044 */
    check_drawn(o, "61430", probability);
}
END_TEST

/* Divides logits above 0, multiplies the others; once however often the token
   came; of the last tokens only. */
START_TEST(repeat_penalty)
{
    static const float some[VOCAB] = {0, 4.1f, -9, 3, -1, -9, 8, 2.9f};
    clsa_sampler_options o = plain(5);
    memcpy(logits, some, sizeof logits);
    session.length = 6;
    o.temperature = 0;
    ck_assert_int_eq(first(o), 6);
    o.repeat_penalty = 1.9f; /* token 6: 4.21, token 1: 2.16 */
    ck_assert_int_eq(first(o), 6);
    o.repeat_penalty = 2.5f; /* 3.2 and 1.64 */
    ck_assert_int_eq(first(o), 6);
    o.repeat_penalty = 3; /* 2.67 and 1.37 */
    ck_assert_int_eq(first(o), 3);
    o.repeat_last = 1; /* token 1 alone */
    ck_assert_int_eq(first(o), 6);
    o.repeat_last = 0;
    ck_assert_int_eq(first(o), 6);
    for (int i = 0; i < VOCAB; i++)
        logits[i] = i == 6 ? -1 : i == 3 ? -1.5f : -9;
    o.repeat_last = 64;
    ck_assert_int_eq(first(o), 3); /* -3 is below -1.5 */
    o.repeat_penalty = 1.4f;
    ck_assert_int_eq(first(o), 6);
    o.repeat_penalty = 0.1f;
    ck_assert_int_eq(first(o), 6);
    ck_assert_float_eq(logits[6], -1); /* those of the session stay */
}
END_TEST

/* ------------------------------------------------------------------- order */

/* top-p of what top-k has left: 0.40 of 0.65 is more than 0.6. */
START_TEST(top_k_comes_before_top_p)
{
    clsa_sampler_options o = plain(6);
    o.top_p = 0.6f;
    check_drawn(o, "61", probability);
    o.top_k = 2;
    check_drawn(o, "6", probability);
}
END_TEST

/* Roots are .632 .5 .387 .316 .245 .2, sum 2.281: 0.6 of it is 1.369, and 0.3
   of the best is .19. */
START_TEST(temperature_comes_before_top_p_and_min_p)
{
    clsa_sampler_options o = plain(7);
    double root[VOCAB];
    for (int i = 0; i < VOCAB; i++)
        root[i] = sqrt(probability[i]);
    o.temperature = 2;
    o.top_p = 0.6f;
    check_drawn(o, "614", root);
    o.top_p = 1;
    o.min_p = 0.3f;
    check_drawn(o, "614307", root);
    o.top_p = 0.6f; /* both: the stricter one */
    check_drawn(o, "614", root);
    o.min_p = 0.7f;
    check_drawn(o, "61", root);
}
END_TEST

/* 6 and 1 came and get, by square and as logits are below 0, .16 and .0625:
   after 4 (.15) there is 3 (.10), then 1. */
START_TEST(penalty_comes_before_top_k)
{
    static const double after[VOCAB] = {.06, .0625, 0, .10, .15, 0, .16, .04};
    clsa_sampler_options o = plain(8);
    session.length = 6;
    o.repeat_penalty = 2;
    check_drawn(o, "643107", after);
    o.top_k = 3;
    check_drawn(o, "643", after);
    o.top_p = 0.3f; /* of .41: 6 alone */
    check_drawn(o, "6", after);
}
END_TEST

/* ----------------------------------------------- filters of many sequences */

/* A sampler of options with filters; many draws as check_drawn. */
static clsa_sampler *filtered(clsa_sampler_options options,
                              clsa_sampler_filters filters)
{
    clsa_sampler *sampler = open_sampler(options);
    ck_assert_int_eq(clsa_sampler_set_filters(sampler, &filters, NULL),
                     CLSA_OK);
    return sampler;
}

static clsa_sampler_filters no_filters(void)
{
    clsa_sampler_filters f;
    clsa_sampler_filters_init(&f);
    return f;
}

/* The tokens that come in many draws, in digits, after some tokens. */
static const char *drawn(clsa_sampler *sampler, clsa_choice choice)
{
    static char ids[VOCAB + 1];
    unsigned count[VOCAB] = {0};
    size_t n = 0;
    int32_t id = -1;
    choice.logits = logits;
    for (int i = 0; i < DRAWS; i++) {
        ck_assert_int_eq(
            clsa_sampler_choose(sampler, &model, &choice, &id, NULL), CLSA_OK);
        count[id]++;
    }
    for (int i = 0; i < VOCAB; i++)
        if (count[i] > 0)
            ids[n++] = (char)('0' + i);
    ids[n] = '\0';
    clsa_sampler_close(sampler);
    return ids;
}

START_TEST(biases_and_masks)
{
    static const clsa_logit_bias biases[] = {{6, -100}, {1, -INFINITY}};
    static const clsa_logit_bias only[] = {{7, 100}}, none[] = {{8, 1}};
    const uint32_t allowed = 1u << 3 | 1u << 7 | 1u << 2, nothing = 0;
    clsa_sampler_filters f = no_filters();
    clsa_choice choice = {.logits = logits, .allowed = &allowed};
    clsa_sampler_options o = plain(11);
    int32_t id = 77;
    f.biases = biases;
    f.bias_count = 2;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "0347");
    f.biases = only;
    f.bias_count = 1;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "7");
    ck_assert_str_eq(drawn(filtered(o, no_filters()), choice), "37");
    o.top_k = 1; /* of the allowed ones */
    ck_assert_str_eq(drawn(filtered(o, no_filters()), choice), "3");
    o.temperature = 0;
    ck_assert_str_eq(drawn(filtered(o, no_filters()), choice), "3");
    choice.allowed = &nothing;
    clsa_sampler *sampler = filtered(o, f);
    ck_assert_int_eq(clsa_sampler_choose(sampler, &model, &choice, &id, NULL),
                     CLSA_ERR_ARGUMENT);
    clsa_sampler_close(sampler);
    f.biases = none;
    sampler = filtered(o, f);
    choice.allowed = NULL;
    ck_assert_int_eq(clsa_sampler_choose(sampler, &model, &choice, &id, NULL),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(id, 77);
    clsa_sampler_close(sampler);
}
END_TEST

/* 6 came three times and 1 twice: ln(.4) - 3f, ln(.25) - 2f; 4 has .15. */
START_TEST(presence_and_frequency)
{
    clsa_sampler_filters f = no_filters();
    const clsa_choice choice = {.logits = logits, .tokens = tokens, .count = 6};
    clsa_sampler_options o = plain(12);
    o.temperature = 0;
    f.frequency_penalty = 0.3f; /* .163, .137 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
    f.frequency_penalty = 0.4f; /* .120, .112 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "4");
    f.frequency_penalty = 0;
    f.presence_penalty = 0.9f; /* .163, .102 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
    f.presence_penalty = 1; /* .147, .092 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "4");
    o.repeat_last = 1; /* token 1 alone */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
}
END_TEST

/* Surprises: 6 .92, 1 1.39, 4 1.90, 3 2.30, 0 2.81, 7 3.22; the entropy is
   1.53: the nearest are 1, 4, 6, 3, 0, 7. */
START_TEST(typical)
{
    clsa_sampler_filters f = no_filters();
    clsa_sampler_options o = plain(13);
    f.typical_p = 0;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "1");
    f.typical_p = 0.3f;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "14");
    f.typical_p = 0.6f;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "146");
    o.top_p = 0.6f; /* 6 and 1 of .8 */
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "16");
}
END_TEST

/* Of those that have .15 the least likely stays; sometimes, all do. */
START_TEST(exclude_top_choices)
{
    clsa_sampler_filters f = no_filters();
    clsa_sampler_options o = plain(14);
    f.xtc_probability = 1;
    f.xtc_threshold = 0.149f;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "0347");
    f.xtc_threshold = 0.41f;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "013467");
    f.xtc_threshold = 0.3f; /* 6 alone stays */
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "013467");
    f.xtc_threshold = 0.149f;
    f.xtc_probability = 0.5f;
    ck_assert_str_eq(drawn(filtered(o, f), (clsa_choice){0}), "013467");
}
END_TEST

/* After 0 3 6 1 7 0 3 there was 6 (.40), a repeat of 2; 1 has .25. */
START_TEST(dry)
{
    static const int32_t text[] = {0, 3, 6, 1, 7, 0, 3}, breaker = 3;
    const clsa_choice choice = {.logits = logits, .tokens = text, .count = 7};
    clsa_sampler_filters f = no_filters();
    clsa_sampler_options o = plain(15);
    o.temperature = 0;
    f.dry_multiplier = 0.4f; /* .268 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
    f.dry_multiplier = 0.5f; /* .243 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "1");
    f.dry_allowed = 3; /* a repeat of 2 is free */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
    f.dry_allowed = 1; /* 1.75 * .3 is more than .47 */
    f.dry_multiplier = 0.3f;
    ck_assert_str_eq(drawn(filtered(o, f), choice), "1");
    f.dry_last = 6; /* 3 alone comes again there: .296 */
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
    f.dry_last = 0;
    f.dry_breakers = &breaker;
    f.dry_breaker_count = 1;
    ck_assert_str_eq(drawn(filtered(o, f), choice), "6");
}
END_TEST

START_TEST(filters_out_of_range)
{
    static const clsa_logit_bias nan[] = {{1, NAN}};
    clsa_sampler *sampler = open_sampler(plain(1));
    clsa_sampler_filters f = no_filters();
    clsa_error error;
    f.dry_base = 0.5f;
    ck_assert_int_eq(clsa_sampler_set_filters(sampler, &f, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "DRY base 0.5"));
    f = no_filters();
    f.typical_p = NAN;
    ck_assert_int_eq(clsa_sampler_set_filters(sampler, &f, &error),
                     CLSA_ERR_ARGUMENT);
    f = no_filters();
    f.biases = nan;
    f.bias_count = 1;
    ck_assert_int_eq(clsa_sampler_set_filters(sampler, &f, &error),
                     CLSA_ERR_ARGUMENT);
    f = no_filters();
    f.reserved[2] = 1;
    ck_assert_int_eq(clsa_sampler_set_filters(sampler, &f, &error),
                     CLSA_ERR_UNSUPPORTED);
    clsa_sampler_close(sampler);
}
END_TEST

/* ------------------------------------------------------------------- draws */

/* xoshiro256** from splitmix64 of seed 42; no draw is nearer than 0.001 to the
   bound of two tokens. */
START_TEST(seed_gives_the_golden_sequence)
{
    static const int32_t golden[] = {6, 6, 4, 0, 7, 4, 4, 3, 4, 1, 4, 6,
                                     3, 6, 4, 3, 1, 3, 4, 4, 6, 6, 1, 1};
    for (const char *const *level = clsa_simd_names(); *level; level++) {
        clsa_sampler *sampler = open_sampler(plain(42));
        model.simd = clsa_simd_table(*level);
        for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
            ck_assert_int_eq(sample(sampler), golden[i]);
        clsa_sampler_close(sampler);
    }
}
END_TEST

START_TEST(errors)
{
    clsa_sampler_options o = plain(1);
    clsa_sampler *sampler = open_sampler(o), *none = NULL;
    clsa_error error;
    int32_t id = 77;
    for (int i = 0; i < VOCAB; i++)
        logits[i] = NAN;
    ck_assert_int_eq(clsa_sampler_sample(sampler, &session, &id, &error),
                     CLSA_ERR_FORMAT);
    logits[5] = -3; /* the only one that is a number */
    ck_assert_int_eq(sample(sampler), 5);
    session.has_logits = false;
    ck_assert_int_eq(clsa_sampler_sample(sampler, &session, &id, &error),
                     CLSA_ERR_ARGUMENT);
    ck_assert_int_eq(id, 77);
    clsa_sampler_close(sampler);
    o.temperature = NAN;
    ck_assert_int_eq(clsa_sampler_open(&none, &o, &error), CLSA_ERR_ARGUMENT);
    o = plain(1);
    o.top_p = 1.01f;
    ck_assert_int_eq(clsa_sampler_open(&none, &o, &error), CLSA_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(error.message, "top-p 1.01"));
    o = plain(1);
    o.repeat_penalty = 0;
    ck_assert_int_eq(clsa_sampler_open(&none, &o, &error), CLSA_ERR_ARGUMENT);
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sampler");
    TCase *tc = tcase_create("sampler");
    tcase_add_checked_fixture(tc, set_logits, NULL);
    tcase_add_test(tc, nothing_filters);
    tcase_add_test(tc, temperature);
    tcase_add_test(tc, not_a_number);
    tcase_add_test(tc, top_k);
    tcase_add_test(tc, top_p);
    tcase_add_test(tc, min_p);
    tcase_add_test(tc, repeat_penalty);
    tcase_add_test(tc, top_k_comes_before_top_p);
    tcase_add_test(tc, temperature_comes_before_top_p_and_min_p);
    tcase_add_test(tc, penalty_comes_before_top_k);
    tcase_add_test(tc, biases_and_masks);
    tcase_add_test(tc, presence_and_frequency);
    tcase_add_test(tc, typical);
    tcase_add_test(tc, exclude_top_choices);
    tcase_add_test(tc, dry);
    tcase_add_test(tc, filters_out_of_range);
    tcase_add_test(tc, seed_gives_the_golden_sequence);
    tcase_add_test(tc, errors);
    suite_add_tcase(suite, tc);
    return suite_run(suite, CK_FORK_GETENV);
}
