/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON files of a model folder, and which files are in it. */
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/mem.h"
#include "src/convert/folder.h"

clsa_status clsa_folder_load(const struct clsa_folder *folder, const char *name,
                             size_t limit, struct clsa_folder_file *file)
{
    file->path = clsa_path_join(folder->path, name);
    if (!file->path)
        return clsa_fail_memory(folder->error, "a path", strlen(folder->path));
    if (!clsa_path_exists(file->path))
        return CLSA_OK;
    return clsa_json_load(&file->object, file->path, limit, folder->error);
}

void clsa_folder_free(struct clsa_folder_file *file)
{
    json_decref(file->object);
    clsa_mem_free(file->path);
    *file = (struct clsa_folder_file){.path = NULL};
}

/* config.json, or the params.json of unilm if that is there alone. */
static clsa_status load_config(struct clsa_folder *f)
{
    CLSA_TRY(clsa_folder_load(f, "config.json", CLSA_FOLDER_JSON, &f->config));
    if (f->config.object)
        return CLSA_OK;
    struct clsa_folder_file params = {.path = NULL};
    const clsa_status status =
        clsa_folder_load(f, "params.json", CLSA_FOLDER_JSON, &params);
    if (status || params.object) {
        clsa_folder_free(&f->config);
        f->config = params;
        return status;
    }
    clsa_folder_free(&params);
    return clsa_json_load(&f->config.object, f->config.path, CLSA_FOLDER_JSON,
                          f->error);
}

clsa_status clsa_folder_open_text(struct clsa_folder *folder)
{
    if (!folder->config.path)
        CLSA_TRY(clsa_folder_load(folder, "config.json", CLSA_FOLDER_JSON,
                                  &folder->config));
    CLSA_TRY(clsa_folder_load(folder, "generation_config.json",
                              CLSA_FOLDER_JSON, &folder->generation));
    CLSA_TRY(clsa_folder_load(folder, "tokenizer_config.json", CLSA_FOLDER_JSON,
                              &folder->settings));
    return clsa_folder_load(folder, "special_tokens_map.json", CLSA_FOLDER_JSON,
                            &folder->words);
}

clsa_status clsa_folder_open(struct clsa_folder *folder)
{
    CLSA_TRY(load_config(folder));
    return clsa_folder_open_text(folder);
}

void clsa_folder_close(struct clsa_folder *folder)
{
    clsa_folder_free(&folder->config);
    clsa_folder_free(&folder->generation);
    clsa_folder_free(&folder->settings);
    clsa_folder_free(&folder->words);
}

struct clsa_json_source clsa_folder_source(const struct clsa_folder *folder,
                                           const struct clsa_folder_file *file)
{
    return (struct clsa_json_source){file->path, file->object, folder->error};
}

/* Whether an entry of the folder leads to the file of `to`. */
static clsa_status is_entry(const struct clsa_folder *folder, const char *name,
                            const struct stat *to, bool *same)
{
    struct stat entry;
    const char *end = strrchr(name, '.');
    if (end && strcmp(end, ".gguf") == 0)
        return CLSA_OK;
    char *path = clsa_path_join(folder->path, name);
    if (!path)
        return clsa_fail_memory(folder->error, "a path", strlen(name));
    *same = stat(path, &entry) == 0 && S_ISREG(entry.st_mode) &&
            entry.st_dev == to->st_dev && entry.st_ino == to->st_ino;
    clsa_mem_free(path);
    return CLSA_OK;
}

clsa_status clsa_folder_check_output(const struct clsa_folder *folder,
                                     const char *output)
{
    struct stat to;
    bool same = false;
    clsa_status status = CLSA_OK;
    if (stat(output, &to) != 0)
        return CLSA_OK;
    DIR *dir = opendir(folder->path);
    if (!dir)
        return clsa_fail_io(folder->error, "%s: cannot read the folder",
                            folder->path);
    for (struct dirent *entry; !status && !same && (entry = readdir(dir));)
        status = is_entry(folder, entry->d_name, &to, &same);
    closedir(dir);
    if (!status && same)
        status = clsa_source_refuse(output, folder->error);
    return status;
}
