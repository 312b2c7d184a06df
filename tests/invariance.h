/* SPDX-License-Identifier: Apache-2.0 */
/*
 * invariance: what the files of check_invariance share. The state is that of
 * the suite that runs.
 */
#ifndef CLSA_TESTS_INVARIANCE_H
#define CLSA_TESTS_INVARIANCE_H

#include <check.h>

#include "clsa_bench.h"

#define TOKENS 2600

/* One of each policy, h2o the last. */
#define POLICIES 11
extern const char *const policies[POLICIES];

extern clsa_model *model;
extern clsa_model_info info;
extern int32_t ids[TOKENS];

/* A number of tokens; less under an emulator, except the smallest. */
size_t length(size_t tokens);

clsa_session_options make_options(const char *attention, uint32_t block,
                                  clsa_type kv);
clsa_session *open_session(clsa_model *m, const char *attention, uint32_t block,
                           clsa_type kv);
void append(clsa_session *s, size_t from, size_t count);

/* Same logits, bit for bit, and the same rows read by every layer. */
void check_same(const clsa_session *a, const clsa_session *b);

/* invariance_sessions.c: those that all policies pass, and that of h2o. */
void add_session_tests(TCase *tc);
void add_h2o_tests(TCase *tc);

#endif /* CLSA_TESTS_INVARIANCE_H */
