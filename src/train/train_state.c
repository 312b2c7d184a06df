/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a state:
 *
 *   [magic][of: 32 bytes][struct clsa_train_counts][arrays][shrink]
 *   [SHA-256 of all before it]
 */
#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/out.h"
#include "src/train/train_state.h"

static const char magic[16] = "CLSA training 1";

clsa_status clsa_train_state_open(struct clsa_train_state *s, size_t size,
                                  size_t shrinks, clsa_error *error)
{
    const size_t all = CLSA_TRAIN_ARRAYS * size + shrinks;
    *s = (struct clsa_train_state){.size = size, .shrinks = shrinks};
    s->block = clsa_mem_calloc(all, sizeof *s->block);
    if (!s->block)
        return clsa_fail_memory(error, "training", all * sizeof *s->block);
    for (int i = 0; i < CLSA_TRAIN_ARRAYS; i++)
        s->array[i] = s->block + (size_t)i * size;
    s->shrink = s->block + CLSA_TRAIN_ARRAYS * size;
    return CLSA_OK;
}

void clsa_train_state_close(struct clsa_train_state *s)
{
    clsa_mem_free(s->block);
    *s = (struct clsa_train_state){0};
}

static size_t block_bytes(const struct clsa_train_state *s)
{
    return (CLSA_TRAIN_ARRAYS * s->size + s->shrinks) * sizeof *s->block;
}

/* Bytes that are summed. */
static clsa_status put(struct clsa_out *out, struct sha256_ctx *sum,
                       const void *data, size_t size, clsa_error *error)
{
    sha256_update(sum, size, data);
    return clsa_out_write(out, data, size, error);
}

static clsa_status write_all(const struct clsa_train_state *s,
                             struct clsa_out *out, const uint8_t *of,
                             clsa_error *error)
{
    struct sha256_ctx sum;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&sum);
    CLSA_TRY(put(out, &sum, magic, sizeof magic, error));
    CLSA_TRY(put(out, &sum, of, SHA256_DIGEST_SIZE, error));
    CLSA_TRY(put(out, &sum, &s->counts, sizeof s->counts, error));
    CLSA_TRY(put(out, &sum, s->block, block_bytes(s), error));
    sha256_digest(&sum, sizeof digest, digest);
    CLSA_TRY(clsa_out_write(out, digest, sizeof digest, error));
    return clsa_out_close(out, error);
}

clsa_status clsa_train_state_save(const struct clsa_train_state *s,
                                  const char *path, const uint8_t *of,
                                  clsa_error *error)
{
    struct clsa_out out = {.file = NULL};
    CLSA_TRY(clsa_out_open(&out, path, error));
    clsa_status status = write_all(s, &out, of, error);
    if (!status)
        status = clsa_out_rename(&out, error);
    clsa_out_free(&out);
    return status;
}

/* False at the end of the file. */
static bool get(FILE *file, struct sha256_ctx *sum, void *data, size_t size)
{
    if (fread(data, 1, size, file) != size)
        return false;
    sha256_update(sum, size, data);
    return true;
}

static clsa_status read_all(struct clsa_train_state *s, FILE *file,
                            const char *path, const uint8_t *of,
                            clsa_error *error)
{
    struct sha256_ctx sum;
    char start[sizeof magic];
    uint8_t its[SHA256_DIGEST_SIZE], digest[SHA256_DIGEST_SIZE];
    sha256_init(&sum);
    const bool whole = get(file, &sum, start, sizeof start) &&
                       memcmp(start, magic, sizeof magic) == 0 &&
                       get(file, &sum, its, sizeof its);
    if (whole && memcmp(its, of, sizeof its) != 0)
        return clsa_fail(error, CLSA_ERR_MISMATCH,
                         "%s: is the state of another training: of another "
                         "model, text, sites or options; go on with those, or "
                         "remove the file",
                         path);
    const bool read = whole && get(file, &sum, &s->counts, sizeof s->counts) &&
                      get(file, &sum, s->block, block_bytes(s)) &&
                      fread(its, 1, sizeof its, file) == sizeof its;
    sha256_digest(&sum, sizeof digest, digest);
    if (read && memcmp(its, digest, sizeof digest) == 0)
        return CLSA_OK;
    return clsa_fail(error, CLSA_ERR_FORMAT,
                     "%s: is no state of a training, or is damaged; remove "
                     "the file to begin anew",
                     path);
}

clsa_status clsa_train_state_load(struct clsa_train_state *s, const char *path,
                                  const uint8_t *of, bool *found,
                                  clsa_error *error)
{
    FILE *file = fopen(path, "rb");
    *found = file != NULL;
    if (!file)
        return errno == ENOENT ? CLSA_OK
                               : clsa_fail_io(error, "cannot open %s", path);
    clsa_status status = read_all(s, file, path, of, error);
    fclose(file);
    return status;
}
