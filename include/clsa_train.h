/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libclsa for making what a model was not trained with: which layers choose
 * rows for the others, and indexes that they choose by. clsa calibrate and
 * clsa index are made of it.
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

/** The name of the side file beside a model file: x.clsa.gguf of x.gguf.
    @return a text for clsa_free; NULL: no memory */
CLSA_API char *clsa_index_beside(const char *path);

/* ------------------------------------------------------------- calibration */

/**
 * Where the layers of a model look: for some tokens of texts, the attention of
 * each layer on far rows. A row is far if it is older than K / 4 rows and not
 * one of the first 4; K is a 16th of the text. The best rows of a layer are the
 * 3 K / 4 far ones that have most of its attention.
 *
 * Shapes: L layers. Layers without a cache of their own see nothing and are not
 * chosen.
 */
typedef struct clsa_calibration clsa_calibration;

/** @param model  must outlive it
    @return CLSA_ERR_UNSUPPORTED if the layers of the model have no caches of
            their own, or fewer than two */
CLSA_API clsa_status clsa_calibration_open(clsa_calibration **calibration,
                                           clsa_model *model,
                                           clsa_error *error);
CLSA_API void clsa_calibration_close(clsa_calibration *calibration);

/** What a token of a text is for calibration. */
typedef enum clsa_query {
    CLSA_QUERY_NONE = 0,
    CLSA_QUERY_TEXT = 1,  /**< it stands for all tokens of texts */
    CLSA_QUERY_ANSWER = 2 /**< it finds something that was said before */
} clsa_query;

/** Read a text and look at the attention of some of its tokens.
    @param ids      `count` tokens
    @param queries  a clsa_query per token; tokens that have more far rows than
                    a layer has best ones
    @param options  as for a session; context and attention are not used; NULL
                    for the defaults
    @param how      on_progress, on_logits, want and mask are used; NULL: none
    @param session  receives a session that has read the text densely, for
                    clsa_session_close; NULL: it is not kept
    @return CLSA_ERR_ARGUMENT if a query has too few far rows, or as
            clsa_session_append */
CLSA_API clsa_status clsa_calibration_read(
    clsa_calibration *calibration, const int32_t *ids, size_t count,
    const uint8_t *queries, const clsa_session_options *options,
    const clsa_append_options *how, clsa_session **session, clsa_error *error);

/** What was seen: means over the texts and the answers, both counting as much.
    @param mass    [L] part of a layer's attention that is on far rows
    @param shared  [L][L] part of layer b's attention on far rows that is on the
                   best rows of layer a, at [a][b] */
CLSA_API void clsa_calibration_result(const clsa_calibration *calibration,
                                      float *mass, float *shared);

/** Lists of layers that could choose for the others, the first of each being
    the first layer from layer 2 on that can. They are best if all layers count
    by their mass over texts and answers, if all count alike on answers, or
    between these.
    @param sites  layers of a list, 1..16
    @param lists  [most][sites], each ascending
    @return the number of lists; 0: the model has fewer layers */
CLSA_API size_t clsa_calibration_candidates(const clsa_calibration *calibration,
                                            uint32_t sites, size_t most,
                                            uint32_t *lists);

/** Part of the far attention of all layers from the first one of a list on that
    is on the best rows of the layers in the list, each for those up to the
    next. */
CLSA_API double clsa_calibration_covered(const clsa_calibration *calibration,
                                         const uint32_t *list, size_t sites);

/** Change the policy of a session to `anchors` whose layers before the first
    anchor read 4 rows and the last `window` ones, for the tokens to come. Such
    a session is not to be saved, and has no forks.
    @param window     0: all rows, also for policies to come
    @param attention  "anchors:..."
    @return CLSA_ERR_UNSUPPORTED if no layer before the first anchor has a
            cache, or as clsa_session_set_attention */
CLSA_API clsa_status clsa_session_set_first_window(clsa_session *session,
                                                   uint32_t window,
                                                   const char *attention,
                                                   clsa_error *error);

/** What calibration has found, for the side file of a model. */
typedef struct clsa_anchors {
    const uint32_t *layers; /**< `count`, 1..16, ascending */
    uint32_t count;
    uint32_t rows;         /**< K, 6 or more */
    uint32_t first_window; /**< rows that layers before the first one need
                                beside 4; 0: all */
} clsa_anchors;

/** Write the side file of a model, or the anchors into the one that is there,
    whose other keys and tensors stay. With an index in it, the rows and the
    window of the index stay, too. The file is replaced as by clsa_session_save.
    @return CLSA_ERR_MISMATCH if a file of another model is there,
            CLSA_ERR_FORMAT if it is something else, CLSA_ERR_UNSUPPORTED if
            models of the architecture have none, or CLSA_ERR_IO,
            CLSA_ERR_MEMORY; the file is as it was before */
CLSA_API clsa_status clsa_anchors_write(const clsa_model *model,
                                        const char *path,
                                        const clsa_anchors *anchors,
                                        clsa_error *error);

/** Whether clsa_anchors_write would find a file that it refuses, before long
    work.
    @param indexed  receives 1 if the file has an index, else 0
    @return as clsa_anchors_write */
CLSA_API clsa_status clsa_anchors_check(const clsa_model *model,
                                        const char *path, int *indexed,
                                        clsa_error *error);

/* ---------------------------------------------------------------- training */

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
