/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writing: one line for each tensor as it is written, and one for the file.
 * With --json nothing is printed before all is written.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cli/writing.h"

/* What the callbacks work on. */
struct report {
    json_t *tensors; /* with --json, else NULL */
    uint64_t values, size;
    bool failed, started;
};

static double bits(uint64_t size, uint64_t values)
{
    return 8.0 * (double)size / (double)values;
}

static void on_note(void *user, const char *text)
{
    (void)user;
    cli_progress_clear();
    cli_warning("%s", text);
}

static int on_progress(void *user, uint64_t done, uint64_t total)
{
    struct report *report = user;
    if (!report->started)
        cli_progress_start("writing", "weights", total);
    report->started = true;
    cli_progress_update(done);
    return cli_interrupt_seen();
}

static void on_tensor(void *user, const clsa_tensor_report *t)
{
    struct report *report = user;
    report->values += t->values;
    report->size += t->bytes;
    if (report->tensors) {
        if (json_array_append_new(
                report->tensors,
                json_pack(
                    "{so ss ss sI sI sf sf}", "name", cli_json_text(t->name),
                    "wanted", clsa_type_name(t->wanted), "type",
                    clsa_type_name(t->type), "values", (json_int_t)t->values,
                    "size", (json_int_t)t->bytes, "bits_per_weight",
                    bits(t->bytes, t->values), "error", t->error)) != 0)
            report->failed = true;
        return;
    }
    char name[128];
    clsa_utf8_escape(name, sizeof name, t->name, strlen(t->name));
    cli_progress_clear();
    printf("%-32s %-5s %12" PRIu64 " bytes %7.3f bits  error %.4g%%\n", name,
           clsa_type_name(t->type), t->bytes, bits(t->bytes, t->values),
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
    json_incref(report->tensors);
    json_t *object =
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
    if (report->failed)
        return cli_fail_memory();
    if (report->tensors)
        return finish_json(to, report, measures);
    printf("%s: %" PRIu64 " weights, %" PRIu64
           " bytes of tensors, %.3f bits per weight\n",
           to, report->values, report->size,
           bits(report->size, report->values));
    for (size_t i = 0; i < 2 && measures[i].asked != 0; i++)
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
    if (!writing->eval)
        return CLI_DONE;
    return cli_measure_text(common, model, writing->eval, result);
}

/* A mix or a type; a name of both means the mix. */
static int parse_type(const char *name, int *number)
{
    clsa_type type;
    if (cli_parse_mix(name, number))
        return CLI_DONE;
    if (!cli_parse_type(name, CLI_WEIGHT_TYPES, &type)) {
        cli_fail("type '%s' is not one of " CLI_WEIGHT_TYPES
                 ", nor the mix " CLI_MIXES,
                 name);
        return CLI_USAGE;
    }
    *number = (int)type;
    return CLI_DONE;
}

int cli_writing_run(const struct cli_writing *writing,
                    const struct cli_common *common,
                    clsa_status (*write)(const char *from, const char *to,
                                         const clsa_write_options *options,
                                         clsa_error *error),
                    const char *from, const char *to)
{
    CLI_TRY(cli_output_apart(to, from));
    CLI_TRY(cli_output_apart(to, writing->eval));
    CLI_TRY(cli_output_check(to));
    clsa_write_options options;
    clsa_write_options_init(&options);
    if (writing->type)
        CLI_TRY(parse_type(writing->type, &options.type));
    options.keep = writing->keep.values;
    options.keep_count = writing->keep.count;
    options.threads = (uint32_t)common->threads;
    options.on_tensor = on_tensor;
    options.on_note = on_note;
    options.on_progress = on_progress;
    struct report report = {.tensors = common->json ? json_array() : NULL};
    struct cli_measure measures[2] = {{0}};
    options.user = &report;
    clsa_error error;
    int status = measure(writing, common, from, &measures[0]);
    if (status)
        goto done;
    if (write(from, to, &options, &error) != CLSA_OK)
        status = cli_fail_option(&error);
    cli_progress_end();
    if (status)
        goto done;
    if ((status = measure(writing, common, to, &measures[1])))
        goto done;
    status = finish(to, &report, measures);
done:
    json_decref(report.tensors);
    return status;
}
