/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_pipeline: which tokenizer the steps of a tokenizer.json make:
 * normalizer, pre-tokenizer and kind of model. Steps that do not make a known
 * one are refused by name.
 */
#ifndef CLSA_CONVERT_JSON_PIPELINE_H
#define CLSA_CONVERT_JSON_PIPELINE_H

#include "src/convert/json.h"

/* The tokenizer.ggml.* keys of the same names. */
struct clsa_json_pipeline {
    const char *model, *pre; /* static; pre "": none */
    const char *metaspace;   /* static; NULL: no such step */
    bool ignore_merges, nfc, add_space, cut_each;
};

clsa_status clsa_json_pipeline_read(struct clsa_json_pipeline *pipeline,
                                    const json_t *root, const char *path,
                                    clsa_error *error);

#endif /* CLSA_CONVERT_JSON_PIPELINE_H */
