/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model files, from the container up to the weights: the corpus of tests/data
 * (expected.txt says how each refused file has to end), good files cut short
 * or with damaged bytes, typed reads, and what is no file at all. Damage may
 * end in any error or in none, but never in a crash: the sanitizer builds
 * watch. Data is found through CLSA_TEST_DATA, default "tests/data".
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/model/gguf.h"
#include "src/arch/arch.h"
#include "tests/suite.h"

#define PATH_SIZE 600

static const char *data_folder(void)
{
    const char *folder = getenv("CLSA_TEST_DATA");
    return folder ? folder : "tests/data";
}

static void data_path(char path[PATH_SIZE], const char *name)
{
    ck_assert_int_lt(snprintf(path, PATH_SIZE, "%s/%s", data_folder(), name),
                     PATH_SIZE);
}

/* A whole file; to be released by free. */
static unsigned char *read_data(const char *name, size_t *size)
{
    char path[PATH_SIZE];
    data_path(path, name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s: cannot open it", path);
    struct stat st;
    ck_assert_int_eq(fstat(fileno(file), &st), 0);
    *size = (size_t)st.st_size;
    unsigned char *bytes = malloc(*size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

/* All that is done to a file before its tokenizer is looked at. */
static clsa_status open_all(const char *path, clsa_error *error)
{
    struct clsa_gguf *gguf = NULL;
    struct clsa_network net = {.layers = NULL};
    CLSA_TRY(clsa_gguf_open(&gguf, path, error));
    clsa_status status = clsa_arch_read(&net, gguf, NULL, error);
    if (status == CLSA_OK)
        status = clsa_arch_find_tensors(&net, gguf, NULL, error);
    clsa_network_close(&net);
    clsa_gguf_close(gguf);
    return status;
}

/* ----------------------------------------------------------------- scratch */

static char scratch_folder[] = "/tmp/check_gguf.XXXXXX";
static char scratch[64];

static void open_scratch(void)
{
    ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
    snprintf(scratch, sizeof scratch, "%s/model.gguf", scratch_folder);
}

static void close_scratch(void)
{
    unlink(scratch);
    rmdir(scratch_folder);
    memset(scratch_folder + strlen(scratch_folder) - 6, 'X', 6);
}

/* Writes the scratch file, and leaves it open for changes in place. */
static int write_scratch(const void *bytes, size_t size)
{
    int fd = open(scratch, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    return fd;
}

/* ------------------------------------------------------------------ corpus */

START_TEST(good_files_open)
{
    DIR *folder = opendir(data_folder());
    ck_assert_msg(folder != NULL, "%s: cannot open it", data_folder());
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[PATH_SIZE];
        clsa_error error = {.message = ""};
        const char *end = strrchr(entry->d_name, '.');
        if (strncmp(entry->d_name, "good-", 5) || strcmp(end, ".gguf"))
            continue;
        data_path(path, entry->d_name);
        ck_assert_msg(open_all(path, &error) == CLSA_OK, "%s", error.message);
        count++;
    }
    closedir(folder);
    ck_assert_uint_ge(count, 10);
}
END_TEST

/* One line of expected.txt: file, name of the status, part of the message. */
static void check_refused(char *line)
{
    char path[PATH_SIZE], *rest = line;
    const char *name = strsep(&rest, "\t"), *status_name = strsep(&rest, "\t");
    const char *part = strsep(&rest, "\n");
    ck_assert_ptr_nonnull(part);
    clsa_error error = {.message = ""};
    data_path(path, name);
    clsa_status status = open_all(path, &error);
    if (strstr(name, "-tokenizer-")) {
        ck_assert_msg(status == CLSA_OK, "%s", error.message);
        return;
    }
    ck_assert_msg(status != CLSA_OK, "%s: accepted", name);
    ck_assert_msg(strcmp(clsa_status_name(status), status_name) == 0,
                  "%s: is %s, not %s", name, clsa_status_name(status),
                  status_name);
    ck_assert_msg(strstr(error.message, part) != NULL,
                  "%s: '%s' does not say '%s'", name, error.message, part);
    ck_assert_msg(strstr(error.message, name) != NULL,
                  "%s: '%s' does not name the file", name, error.message);
    ck_assert_ptr_null(strchr(error.message, '\n'));
    ck_assert_int_eq(error.status, status);
}

START_TEST(refused_files_say_why)
{
    size_t size, count = 0;
    unsigned char *table = read_data("expected.txt", &size);
    table[size] = 0;
    for (char *rest = (char *)table; *rest; count++) {
        char *line = rest;
        rest = strchr(rest, '\n');
        ck_assert_ptr_nonnull(rest);
        *rest++ = 0;
        check_refused(line);
    }
    free(table);
    ck_assert_uint_ge(count, 100);
}
END_TEST

/* ------------------------------------------------------------------ damage */

/* Where the data of a good file begins. */
static size_t header_size(const char *name)
{
    char path[PATH_SIZE];
    struct clsa_gguf *gguf;
    data_path(path, name);
    ck_assert_int_eq(clsa_gguf_open(&gguf, path, NULL), CLSA_OK);
    size_t start = gguf->size;
    for (size_t i = 0; i < gguf->tensor_count; i++)
        if (gguf->tensors[i].offset < start)
            start = (size_t)gguf->tensors[i].offset;
    clsa_gguf_close(gguf);
    return start;
}

/*
 * Cuts a file to some lengths of its data and to every one of its header. The
 * last tensor is a norm of 24 floats, so that the end is no padding.
 */
START_TEST(cut_files_are_refused)
{
    static const char name[] = "good-clsa.gguf";
    size_t size, header = header_size(name);
    unsigned char *bytes = read_data(name, &size);
    int fd = write_scratch(bytes, size);
    ck_assert_int_eq(open_all(scratch, NULL), CLSA_OK);
    for (size_t n = size - 1; n > 0; n -= n < header + 997 ? 1 : 997) {
        clsa_error error = {.message = ""};
        ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
        ck_assert_msg(open_all(scratch, &error) == CLSA_ERR_FORMAT,
                      "%zu bytes: %s", n, error.message);
        ck_assert(error.message[0] != 0);
    }
    close(fd);
    free(bytes);
}
END_TEST

/* Puts each of some values at each byte of the header of a small file. */
START_TEST(damaged_headers_are_survived)
{
    static const char name[] = "bad-tokenizer-count.gguf";
    static const unsigned char values[] = {0x00, 0x01, 0x09, 0x7f, 0x80, 0xff};
    size_t size, refused = 0, header = header_size(name);
    unsigned char *bytes = read_data(name, &size);
    int fd = write_scratch(bytes, size);
    for (size_t at = 0; at < header; at++) {
        for (size_t i = 0; i < sizeof values; i++) {
            clsa_error error = {.message = ""};
            ck_assert_int_eq(pwrite(fd, &values[i], 1, (off_t)at), 1);
            clsa_status status = open_all(scratch, &error);
            ck_assert_int_ne(status, CLSA_ERR_MEMORY);
            ck_assert((status == CLSA_OK) == (error.message[0] == 0));
            refused += status != CLSA_OK;
        }
        ck_assert_int_eq(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
    }
    ck_assert_uint_gt(refused, header);
    close(fd);
    free(bytes);
}
END_TEST

/* A key of 65536 bytes is one too long; too large a file for the corpus. */
START_TEST(long_keys_are_refused)
{
    static unsigned char file[24 + 8 + 65536 + 5] = "GGUF\3";
    clsa_error error = {.message = ""};
    file[16] = 1;     /* keys */
    file[24 + 2] = 1; /* length of the name: 65536 */
    memset(file + 32, 'k', 65536);
    close(write_scratch(file, sizeof file));
    ck_assert_int_eq(open_all(scratch, &error), CLSA_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "a name of 65536 bytes"));
}
END_TEST

/* ---------------------------------------------------------- no file at all */

START_TEST(only_regular_files_open)
{
    struct clsa_gguf *gguf = NULL;
    clsa_error error;
    ck_assert_int_eq(clsa_gguf_open(&gguf, scratch, &error), CLSA_ERR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, scratch));
    ck_assert_int_eq(clsa_gguf_open(&gguf, scratch_folder, &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "is a directory"));
    ck_assert_int_eq(mkfifo(scratch, 0600), 0);
    ck_assert_int_eq(clsa_gguf_open(&gguf, scratch, &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(error.message, "not a regular file"));
    ck_assert_int_eq(clsa_gguf_open(&gguf, "/dev/null", &error),
                     CLSA_ERR_UNSUPPORTED);
    ck_assert_ptr_null(gguf);
}
END_TEST

START_TEST(long_paths_leave_room_for_the_reason)
{
    char path[2000] = "/";
    struct clsa_gguf *gguf;
    clsa_error error;
    memset(path + 1, 'x', sizeof path - 2);
    for (size_t i = 100; i < sizeof path - 1; i += 100)
        path[i] = '/';
    ck_assert_int_eq(clsa_gguf_open(&gguf, path, &error), CLSA_ERR_IO);
    ck_assert_ptr_nonnull(strstr(error.message, "cannot open it: "));
}
END_TEST

/* ------------------------------------------------------------- typed reads */

static struct clsa_gguf *gguf;

static void open_good(void)
{
    char path[PATH_SIZE];
    data_path(path, "good-clsa.gguf");
    ck_assert_int_eq(clsa_gguf_open(&gguf, path, NULL), CLSA_OK);
}

static void close_good(void)
{
    clsa_gguf_close(gguf);
}

START_TEST(names_are_found)
{
    for (size_t i = 0; i < gguf->key_count; i++)
        ck_assert_ptr_eq(clsa_gguf_key(gguf, gguf->keys[i].name),
                         &gguf->keys[i]);
    for (size_t i = 0; i < gguf->tensor_count; i++)
        ck_assert_ptr_eq(clsa_gguf_tensor(gguf, gguf->tensors[i].name),
                         &gguf->tensors[i]);
    ck_assert_ptr_null(clsa_gguf_key(gguf, ""));
    ck_assert_ptr_null(clsa_gguf_tensor(gguf, "zzz"));
}
END_TEST

START_TEST(integers_are_read)
{
    static const char key[] = "yoco.embedding_length";
    uint64_t value = 7;
    clsa_error error;
    ck_assert_int_eq(clsa_gguf_uint(gguf, key, true, 24, 24, &value, &error),
                     CLSA_OK);
    ck_assert_uint_eq(value, 24);
    ck_assert_int_eq(clsa_gguf_uint(gguf, key, true, 1, 23, &value, &error),
                     CLSA_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "is 24, not 1 to 23"));
    value = 7;
    ck_assert_int_eq(clsa_gguf_uint(gguf, "none", false, 1, 9, &value, &error),
                     CLSA_OK);
    ck_assert_uint_eq(value, 7);
    ck_assert_int_eq(clsa_gguf_uint(gguf, "none", true, 1, 9, &value, &error),
                     CLSA_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "key 'none' is missing"));
}
END_TEST

START_TEST(other_values_are_read)
{
    double number = 0;
    bool truth = true;
    struct clsa_gguf_string text;
    ck_assert_int_eq(clsa_gguf_float(gguf, "yoco.rope.freq_base_swa", true, 1,
                                     1e6, &number, NULL),
                     CLSA_OK);
    ck_assert_double_eq(number, 10000);
    ck_assert_int_eq(clsa_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", true,
                                    &truth, NULL),
                     CLSA_OK);
    ck_assert(!truth);
    ck_assert_int_eq(clsa_gguf_text(gguf, "general.name", true, &text, NULL),
                     CLSA_OK);
    ck_assert_uint_eq(text.size, 9);
    ck_assert_mem_eq(text.text, "good-clsa", 9);
    ck_assert_int_eq(clsa_gguf_bool(gguf, "general.name", true, &truth, NULL),
                     CLSA_ERR_FORMAT);
    ck_assert_int_eq(clsa_gguf_text(gguf, "yoco.vocab_size", true, &text, NULL),
                     CLSA_ERR_FORMAT);
}
END_TEST

START_TEST(arrays_are_read)
{
    struct clsa_gguf_string *tokens;
    int32_t *types;
    size_t token_count, type_count;
    clsa_error error;
    ck_assert_int_eq(clsa_gguf_strings(gguf, "tokenizer.ggml.tokens", &tokens,
                                       &token_count, &error),
                     CLSA_OK);
    ck_assert_uint_eq(token_count, 268);
    ck_assert_mem_eq(tokens[0].text, "<|endoftext|>", tokens[0].size);
    clsa_mem_free(tokens);
    ck_assert_int_eq(clsa_gguf_ints(gguf, "tokenizer.ggml.token_type", true,
                                    &types, &type_count, &error),
                     CLSA_OK);
    ck_assert_uint_eq(type_count, token_count);
    ck_assert_int_eq(types[3], 3);
    ck_assert_int_eq(types[4], 1);
    clsa_mem_free(types);
    ck_assert_int_eq(
        clsa_gguf_ints(gguf, "none", false, &types, &type_count, &error),
        CLSA_OK);
    ck_assert_ptr_null(types);
    ck_assert_uint_eq(type_count, 0);
    ck_assert_int_eq(clsa_gguf_ints(gguf, "tokenizer.ggml.tokens", true, &types,
                                    &type_count, &error),
                     CLSA_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(error.message, "array with elements of"));
}
END_TEST

/* ------------------------------------------------------- plan and weights */

/* Opens a good file as far as its weights. */
struct opened {
    struct clsa_gguf *gguf;
    struct clsa_network net;
};

static struct opened open_model(const char *name)
{
    struct opened o = {.net = {.layers = NULL}};
    char path[PATH_SIZE];
    clsa_error error = {.message = ""};
    data_path(path, name);
    clsa_status status = clsa_gguf_open(&o.gguf, path, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    status = clsa_arch_read(&o.net, o.gguf, NULL, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    status = clsa_arch_find_tensors(&o.net, o.gguf, NULL, &error);
    ck_assert_msg(status == CLSA_OK, "%s", error.message);
    return o;
}

static void close_model(struct opened *o)
{
    clsa_network_close(&o->net);
    clsa_gguf_close(o->gguf);
}

START_TEST(plan_follows_from_the_keys)
{
    struct opened o = open_model("good-clsa.gguf");
    const struct clsa_network *net = &o.net;
    ck_assert_uint_eq(net->layer_count, 4);
    ck_assert_uint_eq(net->store_count, 3);
    ck_assert_uint_eq(net->first_reader, 2);
    ck_assert_uint_eq(net->reader_count, 2);
    ck_assert_uint_eq(net->last_writer, 2);
    ck_assert_uint_eq(net->refill_end, 2);
    ck_assert_uint_eq(net->site_count, 1);
    ck_assert(net->layers[2].site && net->layers[2].writes);
    ck_assert(!net->layers[3].site && !net->layers[3].writes);
    ck_assert_uint_eq(net->layers[3].store, 2);
    ck_assert_uint_eq(net->layers[3].heads.group, 2);
    ck_assert_int_eq(net->stores[0].kind, CLSA_STORE_WINDOW);
    ck_assert_uint_eq(net->stores[0].window, 8);
    ck_assert_int_eq(net->stores[2].kind, CLSA_STORE_CACHE);
    ck_assert_uint_eq(net->stores[2].index_dim, 8);
    ck_assert_uint_eq(net->top_k, 6);
    ck_assert_int_eq(net->layers[2].rope, CLSA_NO_ROPE);
    ck_assert_float_eq(net->ropes[net->layers[0].rope].base, 10000);
    ck_assert_float_eq(net->embedding_scale, 1);
    close_model(&o);
}
END_TEST

START_TEST(clsa_model_has_all_parts)
{
    struct opened o = open_model("good-clsa.gguf");
    const struct clsa_network *net = &o.net;
    ck_assert_ptr_eq(net->output.data, net->embedding.data);
    ck_assert_uint_eq(net->layers[2].index_q.rows, 8);
    ck_assert_ptr_nonnull(net->layers[2].k_norm);
    ck_assert_ptr_nonnull(net->layers[2].kv_norm);
    ck_assert_ptr_nonnull(net->layers[1].k_norm);
    ck_assert_ptr_null(net->layers[1].kv_norm);
    ck_assert_ptr_nonnull(net->layers[3].q_norm);
    ck_assert_ptr_null(net->layers[3].k.data);
    ck_assert_ptr_null(net->layers[3].k_norm);
    ck_assert_double_eq(net->ropes[0].frequency[0], 1);
    ck_assert_ptr_null(net->ropes[1].frequency);
    ck_assert_int_eq(net->layers[0].q.format, CLSA_BF16);
    close_model(&o);
}
END_TEST

START_TEST(variants_have_their_parts)
{
    struct opened o = open_model("good-no-qk-norm.gguf");
    ck_assert_ptr_null(o.net.layers[2].k_norm);
    ck_assert_ptr_null(o.net.layers[0].q_norm);
    close_model(&o);
    o = open_model("good-no-indexer.gguf");
    ck_assert_uint_eq(o.net.largest.index_dim, 0);
    ck_assert_uint_eq(o.net.top_k, 0);
    ck_assert_ptr_null(o.net.layers[2].index_k.data);
    close_model(&o);
    o = open_model("good-untied.gguf");
    ck_assert_ptr_ne(o.net.output.data, o.net.embedding.data);
    close_model(&o);
    o = open_model("good-rope-freqs.gguf");
    ck_assert_float_eq(o.net.ropes[o.net.layers[2].rope].base, 5000);
    ck_assert_double_eq(o.net.ropes[0].frequency[0], 1);
    ck_assert_ptr_nonnull(o.net.ropes[1].frequency);
    close_model(&o);
}
END_TEST

START_TEST(self_decoders_have_their_parts)
{
    struct opened o = open_model("good-self-heads.gguf");
    ck_assert_uint_eq(o.net.layers[0].heads.heads, 6);
    ck_assert_uint_eq(o.net.layers[0].heads.kv_heads, 3);
    ck_assert_uint_eq(o.net.layers[0].heads.head_dim, 16);
    ck_assert_uint_eq(o.net.layers[2].heads.heads, 4);
    ck_assert_uint_eq(o.net.layers[0].q.rows, 96);
    ck_assert_uint_eq(o.net.layers[2].q.rows, 32);
    close_model(&o);
    o = open_model("good-gated-retention.gguf");
    ck_assert_int_eq(o.net.layers[0].mixer, CLSA_MIXER_RETENTION);
    ck_assert_int_eq(o.net.stores[0].kind, CLSA_STORE_STATE);
    ck_assert_uint_eq(o.net.layers[0].heads.kv_heads, 4);
    ck_assert_uint_eq(o.net.layers[2].heads.kv_heads, 2);
    ck_assert_uint_eq(o.net.layers[0].ret_decay.rows, 4);
    ck_assert_uint_eq(o.net.layers[0].ret_gate.rows, 32);
    close_model(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gguf");
    TCase *corpus = tcase_create("corpus"), *damage = tcase_create("damage");
    TCase *values = tcase_create("values"), *model = tcase_create("model");
    tcase_add_test(corpus, good_files_open);
    tcase_add_test(corpus, refused_files_say_why);
    tcase_add_checked_fixture(damage, open_scratch, close_scratch);
    tcase_set_timeout(damage, 120);
    tcase_add_test(damage, cut_files_are_refused);
    tcase_add_test(damage, damaged_headers_are_survived);
    tcase_add_test(damage, long_keys_are_refused);
    tcase_add_test(damage, only_regular_files_open);
    tcase_add_test(damage, long_paths_leave_room_for_the_reason);
    tcase_add_checked_fixture(values, open_good, close_good);
    tcase_add_test(values, names_are_found);
    tcase_add_test(values, integers_are_read);
    tcase_add_test(values, other_values_are_read);
    tcase_add_test(values, arrays_are_read);
    tcase_add_test(model, plan_follows_from_the_keys);
    tcase_add_test(model, clsa_model_has_all_parts);
    tcase_add_test(model, variants_have_their_parts);
    tcase_add_test(model, self_decoders_have_their_parts);
    suite_add_tcase(suite, corpus);
    suite_add_tcase(suite, damage);
    suite_add_tcase(suite, values);
    suite_add_tcase(suite, model);
    return suite_run(suite, CK_FORK_GETENV);
}
