/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernels.h: the frame of the kernel check program. Each check_*.c owns a
 * family of kernels and lists them in a table; main.c runs them for every
 * level of this CPU against the scalar table.
 *
 * A check makes its case from guarded buffers, calls the kernel of the scalar
 * table and that of the level, and compares. The first failure of a kernel
 * leaves its check (test_fail does not return), and so does a signal, so that
 * checks have no error paths. All state is that of one kernel in one thread.
 */
#ifndef CLSA_TESTS_KERNELS_H
#define CLSA_TESTS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "simd/simd.h"

#define TEST_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct test {
    const struct clsa_simd *ref;  /* the specification */
    const struct clsa_simd *simd; /* the level under test */
    enum clsa_format format;      /* of the kernel, where it has one */
    bool quick;                   /* few and small sizes, for emulators */
    bool tieless;                 /* nothing half way between f16 numbers */
};

struct kernel {
    const char *name;
    size_t slot; /* offset of its pointer in struct clsa_simd */
    enum clsa_format format;
    void (*check)(struct test *t);
};

/* Formats in blocks of values. */
static inline bool test_blocks(enum clsa_format format)
{
    return clsa_format_block(format) > 1;
}

/* A number of values as whole blocks of a format. */
static inline size_t test_whole(enum clsa_format format, size_t n)
{
    const size_t block = clsa_format_block(format);
    return (n + block - 1) / block * block;
}

/* What buffers of a format are aligned to. */
static inline size_t test_alignment(enum clsa_format format)
{
    return format == CLSA_F32 ? 4 : 2;
}

/* Families, each ended by an entry without name. */
extern const struct kernel matmul_kernels[];
extern const struct kernel rows_kernels[];
extern const struct kernel elementwise_kernels[];
extern const struct kernel index_kernels[];
extern const struct kernel tile_kernels[];
extern const struct kernel topk_kernels[];
extern const struct kernel sampling_kernels[];
extern const struct kernel attend_kernels[];
extern const struct kernel prefill_attn_kernels[];

/* ------------------------------------------------------------ main.c */

/* Parameters of the case that follows, printed if it fails. */
void test_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reports a failure of this kernel and leaves its check. */
_Noreturn void test_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* --------------------------------------------------------- buffers.c */

/*
 * Where buffers lie between their two inaccessible pages: right before the
 * one behind, right behind the one in front, or between, one or more elements
 * off any alignment.
 */
enum test_placement { TEST_AT_END, TEST_BETWEEN, TEST_AT_START };

/* Placements to try: all, or but the first two. */
static inline int test_placements(const struct test *t)
{
    return t->quick ? TEST_BETWEEN + 1 : TEST_AT_START + 1;
}

/* Frees all buffers and sets the placement of those that follow. */
void test_reset(enum test_placement placement);

/* From now on all buffers lie between: some emulators fault on lanes of
   masked loads that are off. Reads out of bounds pass unseen then. */
void test_unguard(void);

/*
 * Buffers of count elements. Input is made read-only by test_seal; output is
 * poisoned, and test_intact looks at the canaries around it. Contents at
 * first: bytes of TEST_POISON, as floats huge. `name` is for reports.
 */
#define TEST_POISON 0xfd
void *test_input(const char *name, size_t count, size_t size);
void *test_output(const char *name, size_t count, size_t size);
void test_seal(void);
void test_intact(void);

/* Output that kernels use as their scratch. */
void *test_scratch(void);

/* Fails unless the count * size bytes from p on are still poison. */
void test_untouched(const char *what, const void *p, size_t count, size_t size);

/* If address lies in an inaccessible page: describes it, for reports. */
bool test_describe(const void *address, char *text, size_t size);

/* ---------------------------------------------------------- values.c */

/* Restarts the generator, from the seed and the kernel's name. */
void test_seed(uint64_t seed, const char *name);
uint32_t test_random(void);
uint32_t test_below(uint32_t limit); /* 0..limit-1 */
float test_uniform(float low, float high);

/* What to fill a vector of floats with. */
enum test_values {
    TEST_PLAIN,   /* -1..1 */
    TEST_WIDE,    /* either sign, 2^-20..2^20 */
    TEST_ONES,    /* all 1: every term of a sum the same */
    TEST_SIGNS,   /* +-1 in turns */
    TEST_ZEROS,   /* +0 and -0 */
    TEST_SPARSE,  /* mostly zero */
    TEST_INTEGERS /* -8..8: sums are exact */
};
#define TEST_VALUES (TEST_INTEGERS + 1)
void test_fill(float *x, size_t n, enum test_values values);

/* n values of a float format, from floats. Block formats: random blocks. */
void test_fill_format(void *w, enum clsa_format format, size_t n,
                      enum test_values values);

/* Fails unless the arrays are equal, bit for bit (floats: NaN is NaN). */
void test_same_floats(const char *what, const float *got, const float *want,
                      size_t n);
void test_same_bytes(const char *what, const void *got, const void *want,
                     size_t count, size_t size);

/*
 * Fails unless got[index] is within bound of the scalar result or of the
 * exact one: scalar sums have errors of their own, which other orders do not
 * repeat. The scalar level itself is held against the exact result.
 */
void test_near(const struct test *t, const char *what, size_t index, float got,
               float want, double exact, double bound);

#endif /* CLSA_TESTS_KERNELS_H */
