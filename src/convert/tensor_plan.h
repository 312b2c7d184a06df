/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensor_plan: the tensors that a new model file will have, where their values
 * come from, and the one pass that writes them. Values are taken from mappings
 * of the source, a few rows at a time, so that memory does not grow with the
 * model.
 */
#ifndef CLSA_CONVERT_TENSOR_PLAN_H
#define CLSA_CONVERT_TENSOR_PLAN_H

#include "src/model/gguf_write.h"

#define CLSA_PLANNED_NAME 96

/* How the rows of heads that are rotated lie: pair i is (2i, 2i + 1), or
   (i, i + e/2). */
enum clsa_reorder {
    CLSA_REORDER_NONE,
    CLSA_REORDER_TO_HALVES, /* pairs are made halves */
    CLSA_REORDER_TO_PAIRS,  /* halves are made pairs */
};

struct clsa_planned_tensor {
    char name[CLSA_PLANNED_NAME];
    uint32_t dims;         /* 1 or 2 */
    uint64_t rows, cols;   /* [rows][cols]; one dimension: [1][n] */
    enum clsa_format from; /* of the source */
    const void *data;      /* the source's rows, contiguous */
    float *own;            /* `data` where it was computed, else NULL */
    enum clsa_reorder reorder;
    uint32_t head;          /* rows of a head, with a reorder */
    float add;              /* to each value */
    clsa_type wanted, type; /* asked for; what its rows allow */
};

struct clsa_tensor_plan {
    struct clsa_planned_tensor *tensors;
    size_t count, capacity;
};

/* A new tensor at the end, all zero; NULL when memory is refused. */
struct clsa_planned_tensor *clsa_tensor_plan_add(struct clsa_tensor_plan *plan);
void clsa_tensor_plan_free(struct clsa_tensor_plan *plan);

/* Checks the options; the types of all tensors by the rules of
   clsa_write_options. */
clsa_status clsa_tensor_plan_types(struct clsa_tensor_plan *plan,
                                   const clsa_write_options *options,
                                   clsa_error *error);

/* Writes keys and tensors to `path`, by way of a file beside it that is opened
   as a model before it takes the name. */
clsa_status clsa_tensor_plan_write(const struct clsa_tensor_plan *plan,
                                   struct clsa_keys *keys, const char *path,
                                   const clsa_write_options *options,
                                   clsa_error *error);

/* general.file_type: the mix, or what most of the weights are stored in. */
uint32_t clsa_tensor_plan_file_type(const struct clsa_tensor_plan *plan,
                                    const clsa_write_options *options);

/* The message for an output that is a file of the source. */
clsa_status clsa_source_refuse(const char *path, clsa_error *error);

/* One line for on_note. */
void clsa_note(const clsa_write_options *options, const char *format, ...)
    CLSA_PRINTF(2, 3);

#endif /* CLSA_CONVERT_TENSOR_PLAN_H */
