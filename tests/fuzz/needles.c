/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a needle file of clsa eval needles. Each answer is judged
 * against its question, and against itself.
 */
#include <string.h>

#include "src/cli/eval/needle_file.h"
#include "src/cli/message.h"
#include "tests/fuzz/fuzz.h"

static void judge(const struct cli_question *question)
{
    const char *answer = question->answer;
    cli_needle_verdict(question->question, answer, 1);
    fuzz_check(cli_needle_verdict(answer, answer, 1) == 1);
    fuzz_check(cli_needle_verdict(answer, answer, 0) == -1);
    fuzz_check(cli_needle_verdict("", answer, 0) == -1);
    fuzz_check(cli_needle_budget(answer) > strlen(answer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clsa_model *model;
    struct cli_needles needles = {0};
    if (!model)
        model = fuzz_model("good-clsa.gguf");
    int status =
        cli_needles_read(fuzz_write("needles", data, size), model, &needles);
    fuzz_check(status == CLI_DONE || status == CLI_FAILED);
    fuzz_check(status != CLI_DONE || needles.count > 0);
    for (size_t i = 0; i < needles.count && status == CLI_DONE; i++) {
        const struct cli_needle *line = &needles.lines[i];
        for (size_t j = 0; j < line->count; j++) {
            fuzz_check(line->common < line->questions[j].ids.count);
            judge(&line->questions[j]);
        }
    }
    cli_needles_free(&needles);
    return 0;
}
