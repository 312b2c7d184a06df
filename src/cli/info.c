/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info: what a model file is, what memory a run of it takes, and what this
 * machine and program are. Opening a model checks all of the file, so that a
 * printed description is also the result of the check.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/commands.h"
#include "src/cli/engine.h"
#include "src/cli/machine.h"
#include "src/cli/message.h"
#include "src/cli/plan.h"

struct info_options {
    struct cli_common common;
    int plan;
    uint64_t batch;
};

static const struct cli_option info_table[] = {
    {.kind = CLI_FLAG,
     .name = "plan",
     .help = "the memory that a run with a full context takes",
     .offset = offsetof(struct info_options, plan)},
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

enum { FIELDS = 14 };

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
        {"top_k", "rows selected by default", info->top_k},
        {"context", "tokens the model was trained for", info->context}};

    memcpy(fields, all, sizeof all);
}

static void print_metadata(const clsa_model *model)
{
    size_t i;

    printf("\nmetadata\n");
    for (i = 0; i < clsa_model_metadata_count(model); i++) {
        char value[61];
        const char *key;

        clsa_model_metadata(model, i, &key, value, sizeof value);
        value[strcspn(value, "\n")] = '\0';
        printf("  %-44s %s\n", key, value);
    }
}

static void print_tensors(const clsa_model *model)
{
    size_t i;

    printf("\ntensors\n");
    for (i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_tensor_info tensor;
        char shape[48];

        clsa_model_tensor(model, i, &tensor);
        if (tensor.dims == 1)
            snprintf(shape, sizeof shape, "%" PRIu64, tensor.shape[0]);
        else
            snprintf(shape, sizeof shape, "%" PRIu64 " x %" PRIu64,
                     tensor.shape[0], tensor.shape[1]);
        printf("  %-32s %-5s %-14s %10" PRIu64 "\n", tensor.name,
               clsa_type_name(tensor.type), shape, tensor.size);
    }
}

static void print_text(const char *path, clsa_model *model)
{
    struct field fields[FIELDS];
    clsa_model_info info;
    size_t i;

    clsa_model_get_info(model, &info);
    fill_fields(&info, fields);
    printf("%-12s %s\n%-12s %s\n", "file", path, "name", info.name);
    for (i = 0; i < FIELDS; i++)
        printf("%-12s %-12" PRIu64 " %s\n", fields[i].name, fields[i].value,
               fields[i].about);
    printf("%-12s %016" PRIx64 "\n", "fingerprint",
           clsa_model_fingerprint(model));
    printf("%-12s complete and well-formed\n", "check");
    print_metadata(model);
    print_tensors(model);
}

static json_t *metadata_object(const clsa_model *model)
{
    json_t *object = json_object();
    size_t i;

    for (i = 0; i < clsa_model_metadata_count(model); i++) {
        char value[4096];
        const char *key;

        clsa_model_metadata(model, i, &key, value, sizeof value);
        json_object_set_new(object, key, cli_json_text(value));
    }
    return object;
}

static json_t *tensor_list(const clsa_model *model)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < clsa_model_tensor_count(model); i++) {
        clsa_tensor_info tensor;
        json_t *shape;

        clsa_model_tensor(model, i, &tensor);
        shape = json_pack("[I]", (json_int_t)tensor.shape[0]);
        if (tensor.dims == 2)
            json_array_append_new(shape,
                                  json_integer((json_int_t)tensor.shape[1]));
        json_array_append_new(list,
                              json_pack("{so ss so sI sI}", "name",
                                        cli_json_text(tensor.name), "type",
                                        clsa_type_name(tensor.type), "shape",
                                        shape, "size", (json_int_t)tensor.size,
                                        "offset", (json_int_t)tensor.offset));
    }
    return list;
}

static int print_json(const char *path, clsa_model *model)
{
    struct field fields[FIELDS];
    clsa_model_info info;
    char fingerprint[17];
    json_t *object;
    size_t i;

    clsa_model_get_info(model, &info);
    fill_fields(&info, fields);
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64,
             clsa_model_fingerprint(model));
    object = json_pack("{so so ss sI sI sb}", "file", cli_json_text(path),
                       "name", cli_json_text(info.name), "fingerprint",
                       fingerprint, "bos", (json_int_t)info.bos, "eos",
                       (json_int_t)info.eos, "add_bos", info.add_bos);
    for (i = 0; i < FIELDS; i++)
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
        status = cli_plan_print(&options->common, model, options->batch);
    else if (options->common.json)
        status = print_json(path, model);
    else
        print_text(path, model);
    clsa_model_close(model);
    return status;
}

static int info_run(int argc, char **argv)
{
    const struct cli_command *self = &cli_command_info;
    struct info_options options = {.common = CLI_COMMON_INIT, .batch = 1};
    int first, operands;

    CLI_TRY(cli_options_parse(self, argc, argv, &options, &first));
    if (first == 0)
        return CLI_DONE;
    operands = argc - first;
    if (operands > 1 || (operands == 1 && options.common.model != NULL))
        return cli_usage(self, "give one FILE at most");
    CLI_TRY(cli_operands_check(self, operands, argv + first));
    if (operands == 1)
        options.common.model = argv[first];
    if (options.common.model == NULL && !options.plan)
        return cli_machine_print(&options.common);
    return info_file(&options);
}

const struct cli_command cli_command_info = {
    .name = "info",
    .usage = "[FILE]",
    .operands = 1,
    .summary = "Describe a model file, or this machine.",
    .groups = CLI_GROUP_MODEL | CLI_GROUP_SESSION,
    .options = info_table,
    .run = info_run};
