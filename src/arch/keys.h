/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys: typed reads of the keys of an architecture, "ARCH.NAME" in the file.
 * Functions take NAME. A key that is absent leaves *value as it is, and is an
 * error only if it is required; a key of another type or out of its range is
 * always an error, which names file and key.
 */
#ifndef CLSA_ARCH_KEYS_H
#define CLSA_ARCH_KEYS_H

#include "src/arch/arch.h"

struct clsa_arch_keys {
    const struct clsa_gguf *gguf;
    const char *arch;
    bool *read; /* [gguf->key_count] that somebody has asked for */
    clsa_error *error;
};

bool clsa_keys_has(const struct clsa_arch_keys *keys, const char *name);

/* A size of 1..max. */
clsa_status clsa_keys_size(const struct clsa_arch_keys *keys, const char *name,
                           bool required, uint32_t max, uint32_t *value);

/* An integer of min..max. */
clsa_status clsa_keys_uint(const struct clsa_arch_keys *keys, const char *name,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value);

/* A finite number of min..max. */
clsa_status clsa_keys_float(const struct clsa_arch_keys *keys, const char *name,
                            bool required, double min, double max,
                            float *value);

/* A key that may say just one thing, which is assumed if it is absent; `why`
   completes the message. */
clsa_status clsa_keys_fixed(const struct clsa_arch_keys *keys, const char *name,
                            uint64_t only, const char *why);

/* A boolean that may only be true, which is assumed if it is absent. */
clsa_status clsa_keys_true(const struct clsa_arch_keys *keys, const char *name,
                           const char *why);

/* A text that is one of `choices` (NULL at the end): *choice is its number. */
clsa_status clsa_keys_choice(const struct clsa_arch_keys *keys,
                             const char *name, const char *const *choices,
                             unsigned *choice);

/*
 * Checks heads, kv_heads and head_dim, which have been read, and sets group.
 * `suffix` completes the names of the keys: "" or "_self", ...
 */
clsa_status clsa_keys_heads(const struct clsa_arch_keys *keys,
                            struct clsa_heads *heads, const char *suffix);

/*
 * A kind of layers, pattern[layers]: a list of booleans, or a number n (`every`
 * if the key is absent): all layers but every n-th.
 */
clsa_status clsa_keys_pattern(const struct clsa_arch_keys *keys,
                              const char *name, uint32_t layers, uint32_t every,
                              bool *pattern);

/* A required size of each layer, sizes[layers]: a list, or one for all. */
clsa_status clsa_keys_sizes(const struct clsa_arch_keys *keys, const char *name,
                            uint32_t layers, uint32_t max, uint32_t *sizes);

/* Ascending numbers of layers, at most `most`; *count stays 0 if the key is
   absent. */
clsa_status clsa_keys_layers(const struct clsa_arch_keys *keys,
                             const char *name, uint32_t layers, uint32_t most,
                             uint32_t *list, uint32_t *count);

/* A key whose value does not matter for this file. */
void clsa_keys_ignore(const struct clsa_arch_keys *keys, const char *name);

/* The last call of an architecture: refuses a key of its own that was not read,
   unless it says 0 or nothing about what the network computes. */
clsa_status clsa_keys_finish(const struct clsa_arch_keys *keys);

#endif /* CLSA_ARCH_KEYS_H */
