/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folder: the model folder that is converted: its small JSON files, read once,
 * and what its parts say to the caller.
 */
#ifndef CLSA_CONVERT_FOLDER_H
#define CLSA_CONVERT_FOLDER_H

#include "src/convert/json.h"
#include "src/convert/tensor_plan.h"

#define CLSA_FOLDER_JSON ((size_t)16 << 20) /* bytes of such a file */

/* A file of the folder; object NULL: it is not there. */
struct clsa_folder_file {
    char *path;
    json_t *object;
};

struct clsa_folder {
    const char *path;
    const clsa_write_options *options;
    clsa_error *error;
    struct clsa_folder_file config;     /* config.json or params.json */
    struct clsa_folder_file generation; /* generation_config.json */
    struct clsa_folder_file settings;   /* tokenizer_config.json */
    struct clsa_folder_file words;      /* special_tokens_map.json */
};

/* Reads the files of folder->path. clsa_folder_close is due in any case. */
clsa_status clsa_folder_open(struct clsa_folder *folder);

/* The same of a folder that has a tokenizer alone: nothing has to be there. */
clsa_status clsa_folder_open_text(struct clsa_folder *folder);
void clsa_folder_close(struct clsa_folder *folder);

/* A file's values, with its name for messages. */
struct clsa_json_source clsa_folder_source(const struct clsa_folder *folder,
                                           const struct clsa_folder_file *file);

/* One more file by name; not there: object NULL. */
clsa_status clsa_folder_load(const struct clsa_folder *folder, const char *name,
                             size_t limit, struct clsa_folder_file *file);
void clsa_folder_free(struct clsa_folder_file *file);

/* Refuses an output that is a file of the folder, by device and inode. Model
   files, *.gguf, are not read and may be replaced. */
clsa_status clsa_folder_check_output(const struct clsa_folder *folder,
                                     const char *output);

#endif /* CLSA_CONVERT_FOLDER_H */
