/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a model folder and typed values of JSON objects. */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/convert/json.h"

char *clsa_path_join(const char *folder, const char *name)
{
    const size_t a = strlen(folder), b = strlen(name);
    char *path = clsa_mem_calloc(a + b + 2, 1);
    if (!path)
        return NULL;
    memcpy(path, folder, a);
    path[a] = '/';
    memcpy(path + a + 1, name, b);
    return path;
}

const char *clsa_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool clsa_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static clsa_status read_all(int fd, const char *path, char *data, size_t size,
                            clsa_error *error)
{
    for (size_t at = 0; at < size;) {
        const ssize_t n = read(fd, data + at, size - at);
        if (n < 0)
            return clsa_fail_io(error, "%s: cannot read it", path);
        if (n == 0)
            return clsa_fail(error, CLSA_ERR_IO,
                             "%s: became shorter while it was read", path);
        at += (size_t)n;
    }
    return CLSA_OK;
}

static clsa_status load(int fd, const char *path, size_t limit, char **data,
                        size_t *size, clsa_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return clsa_fail_io(error, "%s: cannot read its size", path);
    if (!S_ISREG(st.st_mode))
        return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                         "%s: is not a regular file", path);
    if ((uintmax_t)st.st_size > limit)
        return clsa_fail(
            error, CLSA_ERR_UNSUPPORTED,
            "%s: has %jd bytes, more than the limit of %zu for such a file",
            path, (intmax_t)st.st_size, limit);
    *size = (size_t)st.st_size;
    *data = clsa_mem_calloc(*size + 1, 1);
    if (!*data)
        return clsa_fail_memory(error, path, *size);
    clsa_status status = read_all(fd, path, *data, *size, error);
    if (status) {
        clsa_mem_free(*data);
        *data = NULL;
    }
    return status;
}

clsa_status clsa_file_load(const char *path, size_t limit, char **data,
                           size_t *size, clsa_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return clsa_fail_io(error, "%s: cannot open it", path);
    clsa_status status = load(fd, path, limit, data, size, error);
    close(fd);
    return status;
}

clsa_status clsa_json_parse(json_t **object, const char *path, const char *text,
                            size_t size, clsa_error *error)
{
    json_error_t where;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    /* jansson has no words for some of the refusals of memory */
    if (!json && !*where.text)
        return clsa_fail_memory(error, path, size);
    if (!json)
        return clsa_fail(error, CLSA_ERR_FORMAT, "%s: line %d: %s", path,
                         where.line, where.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return clsa_fail(error, CLSA_ERR_FORMAT,
                         "%s: the JSON is not an object", path);
    }
    *object = json;
    return CLSA_OK;
}

clsa_status clsa_json_load(json_t **object, const char *path, size_t limit,
                           clsa_error *error)
{
    char *text;
    size_t size;
    CLSA_TRY(clsa_file_load(path, limit, &text, &size, error));
    clsa_status status = CLSA_OK;
    if (strlen(text) != size)
        status = clsa_fail(error, CLSA_ERR_FORMAT, "%s: has a NUL", path);
    char *plain = status ? NULL : clsa_json_plain(text, size);
    if (!status && !plain)
        status = clsa_fail_memory(error, path, size);
    if (!status)
        status = clsa_json_parse(object, path, plain, strlen(plain), error);
    clsa_mem_free(plain);
    clsa_mem_free(text);
    return status;
}

/* ------------------------------------------------------------------ values */

static const json_t *find(const struct clsa_json_source *s, const char *key)
{
    const json_t *value = json_object_get(s->object, key);
    return json_is_null(value) ? NULL : value;
}

static clsa_status wrong_kind(const struct clsa_json_source *s, const char *key,
                              const char *kind)
{
    return clsa_fail(s->error, CLSA_ERR_FORMAT, "%s: key '%s' is not %s",
                     s->path, key, kind);
}

clsa_status clsa_json_uint(const struct clsa_json_source *s, const char *key,
                           bool required, uint64_t min, uint64_t max,
                           uint64_t *value)
{
    const json_t *json = find(s, key);
    if (!json && !required)
        return CLSA_OK;
    if (!json)
        return clsa_fail(s->error, CLSA_ERR_FORMAT, "%s: key '%s' is missing",
                         s->path, key);
    if (!json_is_integer(json))
        return wrong_kind(s, key, "an integer");
    const json_int_t n = json_integer_value(json);
    if (n < 0 || (uint64_t)n < min || (uint64_t)n > max)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %" JSON_INTEGER_FORMAT
                         ", not from %" PRIu64 " to %" PRIu64,
                         s->path, key, n, min, max);
    *value = (uint64_t)n;
    return CLSA_OK;
}

clsa_status clsa_json_number(const struct clsa_json_source *s, const char *key,
                             double min, double max, double *value)
{
    const json_t *json = find(s, key);
    if (!json)
        return CLSA_OK;
    if (!json_is_number(json))
        return wrong_kind(s, key, "a number");
    const double n = json_number_value(json);
    if (!(n >= min && n <= max))
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: key '%s' is %g, not from %g to %g", s->path, key,
                         n, min, max);
    *value = n;
    return CLSA_OK;
}

clsa_status clsa_json_bool(const struct clsa_json_source *s, const char *key,
                           bool *value)
{
    const json_t *json = find(s, key);
    if (!json)
        return CLSA_OK;
    if (!json_is_boolean(json))
        return wrong_kind(s, key, "true or false");
    *value = json_is_true(json);
    return CLSA_OK;
}

clsa_status clsa_json_text(const struct clsa_json_source *s, const char *key,
                           const char **value)
{
    const json_t *json = find(s, key);
    if (!json)
        return CLSA_OK;
    if (!json_is_string(json))
        return wrong_kind(s, key, "a text");
    *value = json_string_value(json);
    return CLSA_OK;
}
