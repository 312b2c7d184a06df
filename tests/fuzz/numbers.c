/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the arguments of a command, a line each: the options of all
 * commands with a model and one of each kind besides. Values that are taken
 * lie in their range; policies, nodes and shapes go to their parsers.
 */
#include <string.h>

#include "src/base/numa.h"
#include "src/cli/bench/shape.h"
#include "src/cli/library.h"
#include "src/cli/message.h"
#include "tests/fuzz/fuzz.h"

#define MAX_ARGUMENTS 24

struct numbers {
    struct cli_common common;
    uint64_t size, small;
    double real;
    const char *shape, *choice, *file;
    struct cli_texts texts;
    clsa_type type;
};

#define AT(member) offsetof(struct numbers, member)

static const struct cli_option table[] = {
    {.kind = CLI_SIZE,
     .letter = 'n',
     .name = "size",
     .argument = "N",
     .offset = AT(size),
     .max = UINT64_MAX},
    {.kind = CLI_SIZE,
     .name = "small",
     .argument = "N",
     .offset = AT(small),
     .min = 3,
     .max = 5000},
    {.kind = CLI_REAL,
     .name = "real",
     .argument = "R",
     .offset = AT(real),
     .low = 0,
     .high = 2},
    {.kind = CLI_TEXT, .name = "shape", .argument = "S", .offset = AT(shape)},
    {.kind = CLI_CHOICE,
     .name = "one",
     .argument = "a|b",
     .offset = AT(choice)},
    {.kind = CLI_FILE, .name = "file", .argument = "F", .offset = AT(file)},
    {.kind = CLI_TEXTS, .name = "keep", .argument = "K", .offset = AT(texts)},
    {.kind = CLI_TYPE,
     .name = "type",
     .argument = CLI_WEIGHT_TYPES,
     .offset = AT(type)},
    {0}};

static const struct cli_command command = {.name = "fuzz",
                                           .usage = "",
                                           .summary = "",
                                           .groups = CLI_GROUP_MODEL |
                                                     CLI_GROUP_SESSION,
                                           .options = table};

static void check_policies(const struct numbers *n)
{
    static clsa_model *model;
    struct cli_policies policies = {0};
    clsa_session *session;
    if (!model)
        model = fuzz_model("good-clsa.gguf");
    fuzz_check(clsa_session_open(&session, model, NULL, NULL) == CLSA_OK);
    if (cli_policies_parse(&n->common, model, &policies) == CLI_DONE)
        cli_policies_check(&policies, session, NULL);
    cli_policies_free(&policies);
    clsa_session_close(session);
}

static void check_values(const struct numbers *n)
{
    struct clsa_numa *numa;
    clsa_shape shape;
    clsa_error error;
    fuzz_check(n->small >= 3 && n->small <= 5000);
    fuzz_check(n->real >= 0 && n->real <= 2);
    fuzz_check(n->common.threads <= 1024);
    fuzz_check(clsa_type_name(n->type));
    if (n->shape && cli_shape_parse(&command, n->shape, &shape) == CLI_DONE)
        fuzz_check(cli_shape_bytes(&shape, n->type) <= (uint64_t)1 << 62);
    if (!n->common.numa)
        return;
    clsa_status status = clsa_numa_open(&numa, n->common.numa, &error);
    if (status)
        fuzz_failed(status, &error);
    else
        clsa_numa_close(numa);
}

/* Cuts the text at newlines, in place. */
static int split(char *text, char **arguments)
{
    static char name[] = "fuzz";
    int count = 0;
    arguments[count++] = name;
    while (text && count < MAX_ARGUMENTS)
        arguments[count++] = strsep(&text, "\n");
    arguments[count] = NULL;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct numbers numbers = {
        .common = CLI_COMMON_INIT, .small = 3, .type = CLSA_TYPE_F32};
    char text[2000], *arguments[MAX_ARGUMENTS + 1];
    int first;
    if (size >= sizeof text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int count = split(text, arguments);
    int status =
        cli_options_parse(&command, count, arguments, &numbers, &first);
    fuzz_check(status == CLI_DONE || status == CLI_USAGE);
    if (status == CLI_DONE) {
        fuzz_check(first >= 0 && first <= count);
        check_values(&numbers);
        if (numbers.common.attention)
            check_policies(&numbers);
    }
    cli_texts_free(&numbers.texts);
    return 0;
}
