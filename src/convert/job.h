/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job: what clsa_convert works on, and how the formats of folders bring tensors
 * into the plan of the new file.
 */
#ifndef CLSA_CONVERT_JOB_H
#define CLSA_CONVERT_JOB_H

#include "src/convert/checkpoint.h"
#include "src/convert/folder.h"
#include "src/convert/ordinary.h"
#include "src/convert/safetensors.h"
#include "src/convert/tensor_plan.h"

struct clsa_job {
    struct clsa_folder folder;
    const struct clsa_checkpoint *checkpoint; /* of a YOCO network, or NULL: */
    struct clsa_ordinary ordinary;
    struct clsa_config config;
    struct clsa_st st;
    struct clsa_tensor_plan plan;
    struct clsa_keys keys;
    uint32_t ffn; /* rows of the gates */
    size_t missing, unknown;
};

/* A tensor that is wanted. */
struct clsa_wanted {
    const char *theirs, *ours;
    bool required;
    enum clsa_reorder reorder;
    uint32_t head; /* rows of a head, with a reorder */
    float add;     /* to each value */
};

/* Takes a tensor into the plan; one that is missing is told and counted, if it
   is required. */
clsa_status clsa_job_take(struct clsa_job *j, const struct clsa_wanted *w);

/* Tells that an output matrix is there, though the embedding is said to be
   it. */
void clsa_job_tell_output(const struct clsa_job *j, const char *name);

/* A vector of the new file that is computed: its n values, for the caller to
   set. */
clsa_status clsa_job_vector(struct clsa_job *j, const char *name, size_t n,
                            float **values);

/* Tells tensors that nobody has taken, and fails if there are any, or if some
   are missing; `format` is for the message. */
clsa_status clsa_job_check(struct clsa_job *j, const char *format);

#endif /* CLSA_CONVERT_JOB_H */
