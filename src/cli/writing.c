/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writing: one line for each tensor as it is written, and one for the file.
 * With --json nothing is printed before all is written.
 */
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/measure.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/writing.h"

/* What the callbacks work on. */
struct report {
    json_t *tensors; /* with --json, else NULL */
    uint64_t values, size;
    int failed, started;
};

static double bits(uint64_t size, uint64_t values)
{
    return 8.0 * (double)size / (double)values;
}

static void on_note(void *user, const char *text)
{
    (void)user;
    cli_progress_clear();
    cli_note("%s", text);
}

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    struct report *report = user;

    if (!report->started)
        cli_progress_start("writing", "weights", total);
    report->started = 1;
    cli_progress_update(done);
    return cli_interrupt_seen();
}

static void on_tensor(void *user, const clsa_written *t)
{
    struct report *report = user;

    report->values += t->values;
    report->size += t->size;
    if (report->tensors != NULL) {
        if (json_array_append_new(
                report->tensors,
                json_pack(
                    "{so ss ss sI sI sf sf}", "name", cli_json_text(t->name),
                    "wanted", clsa_type_name(t->wanted), "type",
                    clsa_type_name(t->type), "values", (json_int_t)t->values,
                    "size", (json_int_t)t->size, "bits_per_weight",
                    bits(t->size, t->values), "error", t->error)) != 0)
            report->failed = 1;
        return;
    }
    cli_progress_clear();
    printf("%-32s %-5s %12" PRIu64 " bytes %7.3f bits  error %.4g%%\n", t->name,
           clsa_type_name(t->type), t->size, bits(t->size, t->values),
           100 * t->error);
}

static json_t *measure_object(const struct cli_measure *m)
{
    return json_pack("{sf sI sI}", "loss", m->loss, "asked",
                     (json_int_t)m->asked, "recalled", (json_int_t)m->recalled);
}

static int finish_json(const char *to, const struct report *report,
                       const struct cli_measure measures[2])
{
    json_t *object;

    json_incref(report->tensors);
    object =
        json_pack("{so sI sI sf so}", "file", cli_json_text(to), "values",
                  (json_int_t)report->values, "size", (json_int_t)report->size,
                  "bits_per_weight", bits(report->size, report->values),
                  "tensors", report->tensors);
    if (measures[0].asked != 0) {
        json_object_set_new(object, "before", measure_object(&measures[0]));
        json_object_set_new(object, "after", measure_object(&measures[1]));
    }
    return cli_json_print(json_pack("[o]", object));
}

static int finish(const char *to, const struct report *report,
                  const struct cli_measure measures[2])
{
    static const char *const names[] = {"before", "after"};
    size_t i;

    if (report->failed)
        return cli_fail_memory();
    if (report->tensors != NULL)
        return finish_json(to, report, measures);
    printf("%s: %" PRIu64 " weights, %" PRIu64
           " bytes of tensors, %.3f bits per weight\n",
           to, report->values, report->size,
           bits(report->size, report->values));
    for (i = 0; i < 2 && measures[i].asked != 0; i++)
        printf("%-7s loss %.4f, %" PRIu64 " of %" PRIu64 " facts recalled\n",
               names[i], measures[i].loss, measures[i].recalled,
               measures[i].asked);
    return CLI_DONE;
}

/* A file with the text of --eval, where it is given. */
static int measure(const struct cli_writing *writing,
                   const struct cli_common *common, const char *model,
                   struct cli_measure *result)
{
    if (writing->eval == NULL)
        return CLI_DONE;
    return cli_measure_text(common, model, writing->eval, result);
}

int cli_writing_run(const struct cli_writing *writing,
                    const struct cli_common *common,
                    clsa_status (*write)(const char *from, const char *to,
                                         const clsa_write_options *options,
                                         clsa_error *error),
                    const char *from, const char *to)
{
    struct report report = {.tensors = common->json ? json_array() : NULL};
    struct cli_measure measures[2] = {{0}};
    clsa_write_options options;
    clsa_error error;
    clsa_type type;
    int status;

    CLI_TRY(cli_output_check(to));
    clsa_write_options_init(&options);
    if (writing->type != NULL) {
        if (!cli_parse_type(writing->type, CLI_WEIGHT_TYPES, &type)) {
            cli_fail("type '%s' is none of " CLI_WEIGHT_TYPES, writing->type);
            return CLI_USAGE;
        }
        options.type = (int)type;
    }
    options.keep = writing->keep.values;
    options.keep_count = writing->keep.count;
    options.threads = (uint32_t)common->threads;
    options.on_tensor = on_tensor;
    options.on_note = on_note;
    options.on_progress = on_progress;
    options.user = &report;
    status = measure(writing, common, from, &measures[0]);
    if (status == CLI_DONE && write(from, to, &options, &error) != CLSA_OK)
        status = cli_fail_option(&error);
    cli_progress_end();
    if (status == CLI_DONE)
        status = measure(writing, common, to, &measures[1]);
    if (status == CLI_DONE)
        status = finish(to, &report, measures);
    json_decref(report.tensors);
    return status;
}
