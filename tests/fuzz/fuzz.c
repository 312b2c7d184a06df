/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a fuzz target, and what it reads of the tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static char folder[200];

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

/* Folders of targets are flat. */
static void remove_folder(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        perror(folder);
}

static void make_folder(void)
{
    const char *top = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/clsa-fuzz-XXXXXX",
             top && *top ? top : "/tmp");
    if (!mkdtemp(folder))
        give_up(folder);
    atexit(remove_folder);
}

const char *fuzz_path(const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];
    if (!*folder)
        make_folder();
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_write(const char *name, const void *data, size_t size)
{
    const char *path = fuzz_path(name);
    if (!data) {
        unlink(path);
        return path;
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        give_up(path);
    return path;
}

static const char *data_path(const char *name)
{
    static char path[500];
    const char *top = getenv("CLSA_TEST_DATA");
    snprintf(path, sizeof path, "%s/%s", top ? top : "tests/data", name);
    return path;
}

uint8_t *fuzz_load(const char *name, size_t *size)
{
    const char *path = data_path(name);
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &st) != 0)
        give_up(path);
    *size = (size_t)st.st_size;
    uint8_t *data = malloc(*size + 1);
    if (!data || fread(data, 1, *size, file) != *size)
        give_up(path);
    fclose(file);
    return data;
}

void fuzz_options(clsa_model_options *options)
{
    clsa_model_options_init(options);
    options->threads = 1;
    options->numa = "off";
    options->memory_limit = 64 << 20;
}

static clsa_model *models[8];

static void close_models(void)
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        clsa_model_close(models[i]);
}

clsa_model *fuzz_model(const char *name)
{
    static size_t count;
    clsa_model *model;
    clsa_model_options options;
    clsa_error error;
    fuzz_options(&options);
    if (clsa_model_open(&model, data_path(name), &options, &error) != CLSA_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    if (count == 0)
        atexit(close_models);
    fuzz_check(count < sizeof models / sizeof *models);
    models[count++] = model;
    return model;
}

void fuzz_failed(clsa_status status, const clsa_error *error)
{
    fuzz_check(status > CLSA_OK && status <= CLSA_ERR_STOPPED);
    fuzz_check(error->status == status);
    fuzz_check(*error->message && !strchr(error->message, '\n'));
}
