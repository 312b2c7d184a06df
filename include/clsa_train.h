/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libclsa for indexes: training the indexes of an ordinary model, and measuring
 * how good an index is. clsa index is made of it.
 *
 * This header promises nothing: names, members and meanings follow the inside
 * of the library, and may change with any release. Programs that have another
 * use for a model need clsa.h alone. Its conventions hold here, too.
 */
#ifndef CLSA_TRAIN_H
#define CLSA_TRAIN_H

#include "clsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most sites that an index has here. */
#define CLSA_INDEX_SITES_MOST 64

/** How well rows are chosen at a site: shares of the far mass, the attention of
    the layers from the site up to the next one, on average over their heads,
    to rows that are not kept in any case. */
typedef struct clsa_index_score {
    uint32_t layer;  /**< the site */
    double coverage; /**< in the rows that the index chooses: 0 to 1 */
    double best;     /**< in as many rows that have the most of it */
} clsa_index_score;

/** The same of an index. */
typedef struct clsa_index_scores {
    double coverage, best; /**< means over the sites */
    uint32_t site_count;
    clsa_index_score sites[CLSA_INDEX_SITES_MOST]; /**< ascending */
    uint64_t texts, tokens; /**< that were read, tokens of each */
} clsa_index_scores;

/** Options of clsa_index_test; 0 means the default. */
typedef struct clsa_index_test_options {
    uint32_t rows;    /**< K, rows kept in any case included; 512 */
    uint32_t context; /**< tokens of a text; 4096, or what the model was trained
                           for, or all ids, if that is less */
    uint32_t texts;   /**< texts at most, spread over the ids; 8 */
    /** Called while texts are read, on the caller's thread, with tokens; not 0:
        stop. NULL: none. */
    int (*on_progress)(void *user, uint64_t done, uint64_t total);
    void *user;
    uint64_t reserved[4]; /**< 0 */
} clsa_index_test_options;

/** Measure the index of an ordinary model, from its file or a side file, on a
    text, which is read with dense attention. Queries are 256 tokens of each
    text from position `rows` on, evenly spread. Keys and queries of the index
    are in float32.
    @param ids      [count] tokens of the text, more than `rows`
    @param options  NULL for the defaults
    @param scores   receives the result
    @return CLSA_ERR_UNSUPPORTED if the model has no index, or is of an
            architecture with one cache for all layers; CLSA_ERR_ARGUMENT,
            CLSA_ERR_MEMORY, CLSA_ERR_STOPPED */
CLSA_API clsa_status clsa_index_test(clsa_model *model, const int32_t *ids,
                                     size_t count,
                                     const clsa_index_test_options *options,
                                     clsa_index_scores *scores,
                                     clsa_error *error);

/** How far a training is. */
typedef struct clsa_index_progress {
    uint64_t step;   /**< of the optimizer */
    double seconds;  /**< of training, those before an interruption included */
    double coverage; /**< of the held-out text, mean over the sites */
    double best;     /**< the most that an index could have */
    double loss;     /**< mean of the steps since the last call */
} clsa_index_progress;

/** Options of clsa_index_train; 0 means the default. */
typedef struct clsa_index_train_options {
    const uint32_t *sites; /**< [site_count] layers, ascending; NULL: those of
                                the index that the model has, or else its
                                anchors */
    uint32_t site_count;
    uint32_t heads;    /**< H of index queries, 1..64; 1 */
    uint32_t key_size; /**< e_i, a multiple of 8 up to 256; 64 */
    uint32_t rows;     /**< K of coverage; 512 */
    uint32_t context;  /**< tokens of a text, as in clsa_index_test */
    uint32_t queries;  /**< of a text that are learned from; 256 */
    uint64_t steps;    /**< after which it ends, in whole texts of 4 steps; no
                            limit */
    double hours;      /**< at most, of all runs together; no limit */
    uint64_t seed;     /**< of weights and texts; 0 is one, too */
    /** Called on the caller's thread after each measurement; not 0: stop. */
    int (*on_progress)(void *user, const clsa_index_progress *progress);
    /** Called often; not 0: stop. Both may be NULL. */
    int (*is_stopped)(void *user);
    void *user;
    uint64_t reserved[4]; /**< 0 */
} clsa_index_train_options;

/** Train an index for a model, from random values, and write it to a side file,
    which keeps what else is in it. The model stays as it is; it may have an
    index, which plays no part but for its sites. Training ends when the
    coverage of the last tenth of the ids, which is held out, no longer rises,
   or at `steps` or `hours`. The result is the same for any number of threads at
   a SIMD level. What a run has reached is in PATH.state, written with each
   measurement; the same call goes on from there, to the result that it would
   have had. The file is removed at the end.
    @param ids      [count] tokens of texts
    @param path     the side file; written when training ends or is stopped,
                    atomically
    @param options  NULL for the defaults
    @return CLSA_ERR_STOPPED when a callback said so: what was reached is in the
            file, if there is anything, and in PATH.state;
            CLSA_ERR_UNSUPPORTED if there are no sites, or the architecture has
            one cache for all layers; CLSA_ERR_MISMATCH if PATH.state is of
            another training; CLSA_ERR_ARGUMENT, CLSA_ERR_IO, CLSA_ERR_FORMAT,
            CLSA_ERR_MEMORY */
CLSA_API clsa_status clsa_index_train(clsa_model *model, const int32_t *ids,
                                      size_t count, const char *path,
                                      const clsa_index_train_options *options,
                                      clsa_error *error);

#ifdef __cplusplus
}
#endif

#endif /* CLSA_TRAIN_H */
