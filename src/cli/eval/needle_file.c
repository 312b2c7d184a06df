/* SPDX-License-Identifier: Apache-2.0 */
/*
 * needle_file: reads needle files and judges answers.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/eval/needle_file.h"
#include "src/cli/message.h"

/* Tokens beyond one per byte of the answer. */
enum { EXTRA_TOKENS = 4 };

uint64_t cli_needle_budget(const char *answer)
{
    return strlen(answer) + EXTRA_TOKENS;
}

/* First character of valid UTF-8 that is not empty. */
static uint32_t first_character(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return p[0];
    if (p[0] < 0xe0)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0)
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return 0x10000;
}

/* Beyond ASCII, all that is not in the blocks of punctuation and symbols is
   taken for a letter. */
static bool is_letter_or_digit(uint32_t character)
{
    if (character < 0x80)
        return (character >= '0' && character <= '9') ||
               ((character | 0x20) >= 'a' && (character | 0x20) <= 'z');
    return character >= 0xc0 && character != 0xd7 && character != 0xf7 &&
           (character < 0x2000 || character > 0x2bff) &&
           (character < 0x3000 || character > 0x303f) && character != 0xfffd;
}

int cli_needle_verdict(const char *output, const char *answer, bool over)
{
    size_t size = strlen(answer), have = strlen(output);
    if (strncmp(output, answer, clsa_min(have, size)) != 0)
        return 0;
    if (have > size)
        return !is_letter_or_digit(first_character(output + size));
    return over ? have == size : -1;
}

/* Ids that all questions of a line begin with, leaving one for each. */
static size_t common_ids(const struct cli_needle *line)
{
    const struct cli_ids *first = &line->questions[0].ids;
    size_t common = first->count - 1;
    for (size_t i = 1; i < line->count; i++) {
        const struct cli_ids *other = &line->questions[i].ids;
        common = clsa_min(common, other->count - 1);
        size_t at = 0;
        while (at < common && first->ids[at] == other->ids[at])
            at++;
        common = at;
    }
    return common;
}

static int read_question(const json_t *json, const char *context,
                         const char *where, const clsa_model *model,
                         struct cli_question *question)
{
    const char *text = json_string_value(json_object_get(json, "question"));
    const char *answer = json_string_value(json_object_get(json, "answer"));
    struct cli_text whole = {0};
    if (!text || !answer || answer[0] == '\0')
        return cli_fail("%s: a question needs the texts \"question\" and "
                        "\"answer\"",
                        where);
    question->question = strdup(text);
    question->answer = strdup(answer);
    if (!question->question || !question->answer)
        return cli_fail_memory();
    CLI_TRY(cli_text_add(&whole, context, strlen(context)));
    int status = cli_text_add(&whole, text, strlen(text));
    if (status)
        goto done;
    status =
        cli_tokenize(model, whole.data, whole.size,
                     CLSA_TOKENIZE_SPECIAL | CLSA_TOKENIZE_BOS, &question->ids);
done:
    cli_text_free(&whole);
    CLI_TRY(status);
    if (question->ids.count == 0)
        return cli_fail("%s: context and question are empty", where);
    return CLI_DONE;
}

static int read_line(const json_t *json, const char *where,
                     const clsa_model *model, struct cli_needle *line)
{
    const char *context = json_string_value(json_object_get(json, "context"));
    const json_t *questions = json_object_get(json, "questions");
    if (!context || json_array_size(questions) == 0)
        return cli_fail("%s: a line needs the text \"context\" and the list "
                        "\"questions\"",
                        where);
    line->questions =
        calloc(json_array_size(questions), sizeof *line->questions);
    if (!line->questions)
        return cli_fail_memory();
    for (size_t i = 0; i < json_array_size(questions); i++) {
        line->count = i + 1;
        CLI_TRY(read_question(json_array_get(questions, i), context, where,
                              model, &line->questions[i]));
    }
    line->common = common_ids(line);
    return CLI_DONE;
}

static void add_counts(struct cli_needles *needles,
                       const struct cli_needle *line)
{
    for (size_t i = 0; i < line->count; i++) {
        const struct cli_question *question = &line->questions[i];
        uint64_t need =
            question->ids.count + cli_needle_budget(question->answer);
        needles->asked++;
        needles->tokens += question->ids.count;
        needles->longest = clsa_max_u64(needles->longest, need);
    }
}

static int add_line(const char *path, size_t number, const char *text,
                    size_t size, const clsa_model *model,
                    struct cli_needles *needles)
{
    char where[512];
    snprintf(where, sizeof where, "%s: line %zu", path, number);
    json_t *json;
    CLI_TRY(cli_json_parse(path, number, text, size, &json));
    struct cli_needle *grown =
        realloc(needles->lines, (needles->count + 1) * sizeof *grown);
    if (!grown) {
        json_decref(json);
        return cli_fail_memory();
    }
    needles->lines = grown;
    memset(&grown[needles->count], 0, sizeof *grown);
    int status = read_line(json, where, model, &grown[needles->count++]);
    if (!status)
        add_counts(needles, &grown[needles->count - 1]);
    json_decref(json);
    return status;
}

/* All lines of a file; the text is cut up. */
static int add_lines(const char *path, char *text, const clsa_model *model,
                     struct cli_needles *needles)
{
    size_t number = 0;
    char *line;
    while ((line = strsep(&text, "\n"))) {
        number++;
        if (line[strspn(line, " \t\r")] != '\0')
            CLI_TRY(add_line(path, number, line, strlen(line), model, needles));
    }
    if (needles->count == 0)
        return cli_fail("%s: no line with a context and questions", path);
    return CLI_DONE;
}

int cli_needles_read(const char *path, const clsa_model *model,
                     struct cli_needles *needles)
{
    struct cli_text text = {0};
    int status = cli_file_read(path, &text);
    if (status)
        goto done;
    status = add_lines(path, text.data, model, needles);
done:
    cli_text_free(&text);
    return status;
}

void cli_needles_free(struct cli_needles *needles)
{
    for (size_t i = 0; i < needles->count; i++) {
        for (size_t j = 0; j < needles->lines[i].count; j++) {
            free(needles->lines[i].questions[j].question);
            free(needles->lines[i].questions[j].answer);
            free(needles->lines[i].questions[j].ids.ids);
        }
        free(needles->lines[i].questions);
    }
    free(needles->lines);
}
