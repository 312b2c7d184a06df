/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main function of a fuzz target without a fuzzer: runs it over each file
 * and each file of the folders that are named, and over no bytes at all.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned count;

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

static void run_file(const char *path, const struct stat *st)
{
    const size_t size = (size_t)st->st_size;
    uint8_t *data = malloc(size ? size : 1); /* no more: nothing to overread */
    FILE *file = fopen(path, "rb");
    if (!data || !file || fread(data, 1, size, file) != size)
        give_up(path);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

static void run(const char *path);

static void run_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0)
        give_up(path);
    for (int i = 0; i < n; i++) {
        char name[1000];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            run(name);
        free(entries[i]);
    }
    free(entries);
}

static void run(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        give_up(path);
    if (S_ISDIR(st.st_mode)) {
        run_folder(path);
        return;
    }
    printf("%s\n", path); /* the last one is that of a crash */
    fflush(stdout);
    run_file(path, &st);
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    printf("%u inputs\n", count);
    return count == 0;
}
