/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz: what the fuzz targets share. Each target is a file of this folder with
 * the entry point of libFuzzer; replay.c runs it over files. A target takes
 * any bytes, and what it must not do is crash, hang, leak or break a promise
 * that fuzz_check holds it to.
 *
 * Files are written into a folder of the process, in $TMPDIR. Models come from
 * $CLSA_TEST_DATA, by default tests/data.
 */
#ifndef CLSA_TESTS_FUZZ_H
#define CLSA_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "clsa.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process with a trap where `held` is 0. */
#define fuzz_check(held)                                                       \
    do {                                                                       \
        if (!(held))                                                           \
            __builtin_trap();                                                  \
    } while (0)

/* Name of a file in the folder; static storage until the eighth call. */
const char *fuzz_path(const char *name);

/* Writes such a file, or removes it where data is NULL. */
const char *fuzz_write(const char *name, const void *data, size_t size);

/* All of a file of the tests; to be released by free. */
uint8_t *fuzz_load(const char *name, size_t *size);

/* A model of the tests, one thread, open to the end of the process, which
   comes at once where it does not open. */
clsa_model *fuzz_model(const char *name);

/* One thread and little memory, so that claims of a file find their end. */
void fuzz_options(clsa_model_options *options);

/* Each failure has a status and one line of text. */
void fuzz_failed(clsa_status status, const clsa_error *error);

#endif /* CLSA_TESTS_FUZZ_H */
