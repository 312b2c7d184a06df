/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: loss and recall of a model on a text. The loss is that of eval
 * perplexity, in windows of 8K tokens where the text is long enough. For the
 * recall, door codes are planted between the sentences of the first 16 KiB.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/measure.h"
#include "src/cli/message.h"

enum {
    FACTS = 8,
    PLANTED_BYTES = 16384,
    WINDOW = 8192,
    WINDOW_BYTES = 8 * WINDOW /* text that surely fills a window */
};

static const struct {
    const char *who, *code;
} facts[FACTS] = {{"Anna of Rome", "48213"},  {"Boris of Oslo", "70956"},
                  {"Clara of Lyon", "31427"}, {"David of Bern", "86540"},
                  {"Edith of Cork", "19378"}, {"Frank of Kiel", "52604"},
                  {"Greta of Graz", "94781"}, {"Henry of York", "23065"}};

/* Where the sentence around a place ends: behind ". "; or the place. */
static size_t sentence_end(const char *text, size_t at, size_t size)
{
    size_t i;

    for (i = at; i + 1 < size && i < at + 512; i++)
        if (text[i] == '.' && (text[i + 1] == ' ' || text[i + 1] == '\n'))
            return i + 2;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static int plant(const struct cli_text *text, struct cli_text *planted)
{
    size_t size = text->size < PLANTED_BYTES ? text->size : PLANTED_BYTES;
    size_t from = 0, i;
    char fact[80];

    for (i = 0; i < FACTS; i++) {
        size_t to = sentence_end(text->data, size * i / FACTS, size);

        to = to < from ? from : to;
        CLI_TRY(cli_text_add(planted, text->data + from, to - from));
        snprintf(fact, sizeof fact, "The door code of %s is %s. ", facts[i].who,
                 facts[i].code);
        CLI_TRY(cli_text_add(planted, fact, strlen(fact)));
        from = to;
    }
    size = sentence_end(text->data, size - 1, size);
    return cli_text_add(planted, text->data + from,
                        size > from ? size - from : 0);
}

/* The line of a needle file, NULL: no memory. */
static char *needle_line(const char *context)
{
    json_t *questions = json_array();
    json_t *line;
    char question[160], answer[16], *text;
    size_t i;

    for (i = 0; i < FACTS; i++) {
        snprintf(question, sizeof question,
                 "\n\nQuestion: What is the door code of %s?\n"
                 "Answer: The door code of %s is",
                 facts[i].who, facts[i].who);
        snprintf(answer, sizeof answer, " %s", facts[i].code);
        json_array_append_new(questions, json_pack("{ss ss}", "question",
                                                   question, "answer", answer));
    }
    line = json_pack("{so so}", "context", cli_json_text(context), "questions",
                     questions);
    text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    return text;
}

static int ask_file(const struct cli_common *common, int file, const char *name,
                    const char *line, struct cli_measure *measure)
{
    size_t size = strlen(line);
    json_t *list, *first;
    int status;

    if (write(file, line, size) != (ssize_t)size)
        return cli_fail("%s: cannot write the questions", name);
    list = json_array();
    status = cli_eval_needles(common, name, list);
    first = json_array_get(list, 0);
    measure->asked =
        (uint64_t)json_integer_value(json_object_get(first, "asked"));
    measure->recalled =
        (uint64_t)json_integer_value(json_object_get(first, "recalled"));
    json_decref(list);
    return status;
}

static int ask(const struct cli_common *common, const struct cli_text *text,
               struct cli_measure *measure)
{
    struct cli_text planted = {0};
    char name[] = "/tmp/clsa-facts.XXXXXX";
    int status = plant(text, &planted), file = -1;
    char *line = status == CLI_DONE ? needle_line(planted.data) : NULL;

    if (status == CLI_DONE && line == NULL)
        status = cli_fail_memory();
    if (status == CLI_DONE && (file = mkstemp(name)) < 0)
        status = cli_fail("%s: cannot create it", name);
    if (status == CLI_DONE)
        status = ask_file(common, file, name, line, measure);
    if (file >= 0) {
        close(file);
        unlink(name);
    }
    free(line);
    cli_text_free(&planted);
    return status;
}

int cli_measure_text(const struct cli_common *common, const char *model,
                     const char *text, struct cli_measure *measure)
{
    struct cli_common how = *common;
    struct cli_text content = {0};
    json_t *list = json_array();
    int status = cli_file_read(text, &content);

    how.model = model;
    if (status == CLI_DONE && content.size < 1024)
        status = cli_fail("%s: is too short, 1 KiB is the least", text);
    if (status == CLI_DONE)
        status = ask(&how, &content, measure);
    how.context = content.size >= WINDOW_BYTES ? WINDOW : 0;
    if (status == CLI_DONE)
        status = cli_eval_perplexity(&how, text, list);
    measure->loss =
        json_real_value(json_object_get(json_array_get(list, 0), "loss"));
    json_decref(list);
    cli_text_free(&content);
    return status;
}
