/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chat_templates: where folders have them: chat_template.jinja, with others in
 * additional_chat_templates; chat_template of tokenizer_config.json, a text or
 * a list of named ones; chat_template.json. The first of these counts. The one
 * named "default" is tokenizer.chat_template in the new file, the others are
 * tokenizer.chat_template.NAME.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/convert/convert.h"

#define NAME_LIMIT  60
#define NAMES_LIMIT 64
#define FOLDER      "additional_chat_templates"

struct templates {
    struct clsa_keys *keys;
    const struct clsa_folder *folder;
    const char *path;                        /* of what is read, or NULL */
    char names[NAMES_LIMIT][NAME_LIMIT + 1]; /* without default */
    size_t count;
    bool has_default;
};

static clsa_status put(struct templates *t, const char *name, const char *text,
                       size_t size)
{
    char key[NAME_LIMIT + 40];
    clsa_error *error = t->folder->error;
    if (strcmp(name, "default") == 0) {
        t->has_default = true;
        clsa_keys_text(t->keys, "tokenizer.chat_template", text, size);
        return CLSA_OK;
    }
    if (!*name || strlen(name) > NAME_LIMIT || t->count == NAMES_LIMIT)
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: chat template '%.80s': its name is empty or too "
                         "long, or there are more than %d",
                         t->path, name, NAMES_LIMIT);
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->names[i], name) == 0)
            return clsa_fail(error, CLSA_ERR_FORMAT,
                             "%s: chat template '%s' is there twice", t->path,
                             name);
    snprintf(t->names[t->count++], NAME_LIMIT + 1, "%s", name);
    snprintf(key, sizeof key, "tokenizer.chat_template.%s", name);
    clsa_keys_text(t->keys, key, text, size);
    return CLSA_OK;
}

/* Texts of JSON are UTF-8; files have to be checked. */
static clsa_status put_file(struct templates *t, const char *name,
                            const char *path)
{
    char *data;
    size_t size;
    clsa_error *error = t->folder->error;
    CLSA_TRY(clsa_file_load(path, CLSA_FOLDER_JSON, &data, &size, error));
    t->path = path;
    const size_t mark = strncmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    clsa_status status = CLSA_OK;
    if (!clsa_utf8_valid(data, size) || strlen(data) != size)
        status = clsa_fail(error, CLSA_ERR_FORMAT, "%s: is not a text in UTF-8",
                           path);
    if (!status)
        status = put(t, name, data + mark, size - mark);
    clsa_mem_free(data);
    return status;
}

static clsa_status put_list(struct templates *t, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *name = json_object_get(item, "name");
        const json_t *text = json_object_get(item, "template");
        if (!json_is_string(name) || !json_is_string(text))
            return clsa_fail(t->folder->error, CLSA_ERR_FORMAT,
                             "%s: chat_template[%zu] has no name or no "
                             "template",
                             t->path, i);
        CLSA_TRY(put(t, json_string_value(name), json_string_value(text),
                     json_string_length(text)));
    }
    return CLSA_OK;
}

/* chat_template of a JSON file, in any of its forms. */
static clsa_status put_value(struct templates *t,
                             const struct clsa_folder_file *file)
{
    const json_t *value = json_object_get(file->object, "chat_template");
    t->path = file->path;
    if (!value || json_is_null(value))
        return CLSA_OK;
    if (json_is_string(value))
        return put(t, "default", json_string_value(value),
                   json_string_length(value));
    if (json_is_array(value))
        return put_list(t, value);
    return clsa_fail(t->folder->error, CLSA_ERR_FORMAT,
                     "%s: key 'chat_template' is not a text or a list of named "
                     "ones",
                     file->path);
}

static clsa_status put_named(struct templates *t, const char *folder,
                             const char *entry)
{
    static const char end[] = ".jinja";
    char name[256];
    const size_t size = strlen(entry), stem = size - (sizeof end - 1);
    if (size <= sizeof end - 1 || size >= sizeof name ||
        strcmp(entry + stem, end) != 0)
        return CLSA_OK;
    memcpy(name, entry, stem);
    name[stem] = '\0';
    char *path = clsa_path_join(folder, entry);
    if (!path)
        return clsa_fail_memory(t->folder->error, "a path", size);
    const clsa_status status = put_file(t, name, path);
    clsa_mem_free(path);
    return status;
}

/* In the order of their names, so that the file is the same every time. */
static clsa_status put_folder(struct templates *t, const char *folder)
{
    struct dirent **entries;
    const int count = scandir(folder, &entries, NULL, alphasort);
    clsa_status status = CLSA_OK;
    for (int i = 0; i < count; i++) {
        if (!status)
            status = put_named(t, folder, entries[i]->d_name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return status;
}

static clsa_status put_jinja(struct templates *t)
{
    char *path = clsa_path_join(t->folder->path, "chat_template.jinja");
    char *folder = clsa_path_join(t->folder->path, FOLDER);
    clsa_status status = CLSA_OK;
    if (!path || !folder)
        status = clsa_fail_memory(t->folder->error, "a path", 1);
    if (!status && clsa_path_exists(path))
        status = put_file(t, "default", path);
    if (!status && clsa_path_exists(folder))
        status = put_folder(t, folder);
    t->path = t->folder->path;
    clsa_mem_free(path);
    clsa_mem_free(folder);
    return status;
}

static clsa_status put_json(struct templates *t)
{
    struct clsa_folder_file file = {.path = NULL};
    clsa_status status = clsa_folder_load(t->folder, "chat_template.json",
                                          CLSA_FOLDER_JSON, &file);
    if (!status && file.object)
        status = put_value(t, &file);
    t->path = t->folder->path;
    clsa_folder_free(&file);
    return status;
}

clsa_status clsa_chat_templates(struct clsa_keys *keys,
                                const struct clsa_folder *folder)
{
    struct templates t = {.keys = keys, .folder = folder, .path = folder->path};
    CLSA_TRY(put_jinja(&t));
    if (!t.has_default && t.count == 0)
        CLSA_TRY(put_value(&t, &folder->settings));
    if (!t.has_default && t.count == 0)
        CLSA_TRY(put_json(&t));
    if (t.count == 0)
        return CLSA_OK;
    clsa_keys_array(keys, "tokenizer.chat_templates", CLSA_GGUF_STRING,
                    t.count);
    for (size_t i = 0; i < t.count; i++)
        clsa_keys_string(keys, t.names[i], strlen(t.names[i]));
    if (!t.has_default)
        clsa_note(folder->options,
                  "no chat template is named default: none is used");
    return CLSA_OK;
}
