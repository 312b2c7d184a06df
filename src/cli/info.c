/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: what a model file is, what memory a run of it takes, and what this
 * machine and program are. Opening a model checks all of the file, so that a
 * printed description is also the result of the check.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/commands.h"
#include "src/cli/library.h"
#include "src/cli/machine.h"
#include "src/cli/memory_plan.h"
#include "src/cli/message.h"
#include "src/cli/vocabulary.h"

struct info_options {
    struct cli_common common;
    bool plan, vocab;
    uint64_t batch;
};

static const struct cli_option info_table[] = {
    {.kind = CLI_FLAG,
     .name = "plan",
     .help = "print the memory of a run with a full context",
     .offset = offsetof(struct info_options, plan)},
    {.kind = CLI_FLAG,
     .name = "vocab",
     .help = "describe the vocabulary of a file, or of a model folder",
     .offset = offsetof(struct info_options, vocab)},
    {.kind = CLI_SIZE,
     .name = "batch",
     .argument = "N",
     .help = "sequences of the plan; default: 1",
     .offset = offsetof(struct info_options, batch),
     .min = 1,
     .max = CLI_BATCH_MAX},
    {0}};

/* The dimensions in the order they are printed. */
struct field {
    const char *name, *about;
    uint64_t value;
};

enum { FIELDS = 18 };

static void fill_fields(const clsa_model_info *info, struct field *fields)
{
    const struct field all[FIELDS] = {
        {"parameters", "weights", info->parameters},
        {"file_size", "bytes", info->file_size},
        {"layers", "all layers", info->layers},
        {"self_layers", "self-decoder layers", info->self_layers},
        {"width", "hidden size", info->width},
        {"ffn", "FFN size", info->ffn},
        {"vocab", "tokens in the vocabulary", info->vocab},
        {"heads", "query heads", info->heads},
        {"kv_heads", "KV heads of the shared cache", info->kv_heads},
        {"head_size", "head size", info->head_size},
        {"window", "rows of the self-decoder's windows", info->window},
        {"index_size", "size of an index key, 0: no indexer", info->index_size},
        {"index_sites", "layers with an index", info->index_sites},
        {"index_heads", "heads of an index query", info->index_heads},
        {"top_k", "rows selected by default", info->top_k},
        {"anchors", "layers of policy anchors by default", info->anchors},
        {"caches", "caches that policies select from", info->caches},
        {"context", "tokens the model was trained for", info->context}};
    memcpy(fields, all, sizeof all);
}

/* Bytes of a name that are printed, as one line. */
#define SHOWN 256

static const char *shown(const char *name, char line[SHOWN])
{
    clsa_utf8_escape(line, SHOWN, name, strlen(name));
    return line;
}

static void print_metadata(const clsa_model *model)
{
    char name[SHOWN];
    printf("\nmetadata\n");
    for (size_t i = 0; i < clsa_model_metadata_count(model); i++) {
        char value[61], line[2 * sizeof value];
        const char *key;
        clsa_model_metadata(model, i, &key, value, sizeof value);
        clsa_utf8_escape(line, sizeof line, value, strlen(value));
        printf("  %-44s %s\n", shown(key, name), line);
    }
}

static void print_tensors(const clsa_model *model)
{
    char name[SHOWN];
    printf("\ntensors\n");
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_tensor_info tensor;
        clsa_model_tensor(model, i, &tensor, sizeof tensor);
        char shape[48];
        if (tensor.dims == 1)
            snprintf(shape, sizeof shape, "%" PRIu64, tensor.shape[0]);
        else
            snprintf(shape, sizeof shape, "%" PRIu64 " x %" PRIu64,
                     tensor.shape[0], tensor.shape[1]);
        printf("  %-32s %-5s %-14s %10" PRIu64 "%s\n", shown(tensor.name, name),
               clsa_type_name(tensor.type), shape, tensor.size,
               clsa_model_tensor_is_zero(model, i) ? "  all zero" : "");
    }
}

static size_t count_zero(const clsa_model *model)
{
    size_t zero = 0;
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++)
        zero += clsa_model_tensor_is_zero(model, i) != 0;
    return zero;
}

static void print_check(const clsa_model *model)
{
    const size_t zero = count_zero(model);
    printf("%-12s complete and well-formed\n", "check");
    if (zero > 0)
        printf("%-12s %-12zu tensors have only zeros: is the download "
               "complete?\n",
               "zero", zero);
}

/* `hash`: the fingerprint as well, for which all of the file is read. */
static void print_text(const char *path, clsa_model *model, bool hash)
{
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    struct field fields[FIELDS];
    fill_fields(&info, fields);
    char line[SHOWN];
    printf("%-12s %s\n", "file", shown(path, line));
    printf("%-12s %s\n", "name", shown(info.name, line));
    for (size_t i = 0; i < FIELDS; i++)
        printf("%-12s %-12" PRIu64 " %s\n", fields[i].name, fields[i].value,
               fields[i].about);
    printf("%-12s %-12s policy by default\n", "attention", info.attention);
    if (info.index_file[0] != '\0')
        printf("%-12s %s\n", "index_file", shown(info.index_file, line));
    if (hash)
        printf("%-12s %016" PRIx64 "\n", "fingerprint",
               clsa_model_fingerprint(model));
    print_check(model);
    print_metadata(model);
    print_tensors(model);
}

static json_t *metadata_object(const clsa_model *model)
{
    json_t *object = json_object();
    for (size_t i = 0; i < clsa_model_metadata_count(model); i++) {
        char value[4096];
        const char *key;
        clsa_model_metadata(model, i, &key, value, sizeof value);
        json_object_set_new(object, key, cli_json_text(value));
    }
    return object;
}

static json_t *tensor_object(const clsa_tensor_info *t, json_t *shape, int zero)
{
    return json_pack("{so ss so sI sI sI sb}", "name", cli_json_text(t->name),
                     "type", clsa_type_name(t->type), "shape", shape, "size",
                     (json_int_t)t->size, "offset", (json_int_t)t->offset,
                     "part", (json_int_t)t->part, "zero", zero);
}

static json_t *tensor_list(const clsa_model *model)
{
    json_t *list = json_array();
    for (size_t i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_tensor_info tensor;
        clsa_model_tensor(model, i, &tensor, sizeof tensor);
        json_t *shape = json_pack("[I]", (json_int_t)tensor.shape[0]);
        if (tensor.dims == 2)
            json_array_append_new(shape,
                                  json_integer((json_int_t)tensor.shape[1]));
        json_array_append_new(
            list,
            tensor_object(&tensor, shape, clsa_model_tensor_is_zero(model, i)));
    }
    return list;
}

static json_t *end_list(const clsa_model *model)
{
    json_t *list = json_array();
    const int32_t *ids;
    size_t count;
    clsa_model_eog(model, &ids, &count);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static void add_fingerprint(json_t *object, clsa_model *model)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, clsa_model_fingerprint(model));
    json_object_set_new(object, "fingerprint", json_string(text));
}

static int print_json(const char *path, clsa_model *model, bool hash)
{
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    struct field fields[FIELDS];
    fill_fields(&info, fields);
    json_t *object = json_pack(
        "{so so ss so sI sI sb}", "file", cli_json_text(path), "name",
        cli_json_text(info.name), "attention", info.attention, "index_file",
        cli_json_text(info.index_file), "bos", (json_int_t)info.bos, "eos",
        (json_int_t)info.eos, "add_bos", info.add_bos);
    if (hash)
        add_fingerprint(object, model);
    json_object_set_new(object, "eog", end_list(model));
    for (size_t i = 0; i < FIELDS; i++)
        json_object_set_new(object, fields[i].name,
                            json_integer((json_int_t)fields[i].value));
    json_object_set_new(object, "metadata", metadata_object(model));
    json_object_set_new(object, "tensors", tensor_list(model));
    return cli_json_print(json_pack("[o]", object));
}

static int info_file(const struct info_options *options)
{
    const char *path = cli_model_path(&options->common);
    clsa_model *model;
    int status = CLI_DONE;
    CLI_TRY(cli_model_open(&options->common, &model));
    if (options->plan)
        status = cli_memory_plan_print(&options->common, model, options->batch);
    else if (options->common.json)
        status = print_json(path, model, options->common.verbose);
    else
        print_text(path, model, options->common.verbose);
    clsa_model_close(model);
    return status;
}

static int info_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_info;
    struct info_options options = {.common = CLI_COMMON_INIT, .batch = 1};
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    int operands = argc - first;
    if (operands > 1 || (operands == 1 && options.common.model))
        return cli_usage(self, "give one FILE at most");
    CLI_TRY(cli_operands_check(self, operands, argv + first));
    if (operands == 1)
        options.common.model = argv[first];
    if (options.vocab)
        return cli_vocabulary_print(&options.common);
    if (!options.common.model && !options.plan)
        return cli_machine_print(&options.common);
    return info_file(&options);
}

const struct cli_command cli_command_info = {
    .name = "info",
    .usage = "[FILE]",
    .operands = true,
    .summary = "Describe a model file, or this machine.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = info_table,
    .run = info_run};
