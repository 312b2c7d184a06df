/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure: loss and recall of a model on a text. The loss is measured as
 * by eval perplexity, in windows of 8K tokens if the text is long enough. For
 * the recall (needle-in-a-haystack retrieval), door codes are put between the
 * sentences of the first 16 KiB.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/base/minmax.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"

enum {
    NEEDLES = 8,
    HAYSTACK_BYTES = 16384,
    WINDOW = 8192,
    WINDOW_BYTES = 8 * WINDOW /* text that surely fills a window */
};

static const struct {
    const char *who, *code;
} needles[NEEDLES] = {{"Anna of Rome", "48213"},  {"Boris of Oslo", "70956"},
                      {"Clara of Lyon", "31427"}, {"David of Bern", "86540"},
                      {"Edith of Cork", "19378"}, {"Frank of Kiel", "52604"},
                      {"Greta of Graz", "94781"}, {"Henry of York", "23065"}};

size_t cli_sentence_end(const char *text, size_t at, size_t size)
{
    for (size_t i = at; i + 1 < size && i < at + 512; i++)
        if (text[i] == '.' && (text[i + 1] == ' ' || text[i + 1] == '\n'))
            return i + 2;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static int hide_needles(const struct cli_text *text, struct cli_text *haystack)
{
    size_t size = clsa_min(text->size, HAYSTACK_BYTES);
    size_t from = 0;
    char needle[80];
    for (size_t i = 0; i < NEEDLES; i++) {
        size_t to = cli_sentence_end(text->data, size * i / NEEDLES, size);
        to = clsa_max(to, from);
        CLI_TRY(cli_text_add(haystack, text->data + from, to - from));
        snprintf(needle, sizeof needle, "The door code of %s is %s. ",
                 needles[i].who, needles[i].code);
        CLI_TRY(cli_text_add(haystack, needle, strlen(needle)));
        from = to;
    }
    size = cli_sentence_end(text->data, size - 1, size);
    return cli_text_add(haystack, text->data + from,
                        size > from ? size - from : 0);
}

/* The line of a needle file, NULL: no memory. */
static char *needle_line(const char *context)
{
    json_t *questions = json_array();
    char question[160], answer[16];
    for (size_t i = 0; i < NEEDLES; i++) {
        snprintf(question, sizeof question,
                 "\n\nQuestion: What is the door code of %s?\n"
                 "Answer: The door code of %s is",
                 needles[i].who, needles[i].who);
        snprintf(answer, sizeof answer, " %s", needles[i].code);
        json_array_append_new(questions, json_pack("{ss ss}", "question",
                                                   question, "answer", answer));
    }
    json_t *line = json_pack("{so so}", "context", cli_json_text(context),
                             "questions", questions);
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    json_decref(line);
    return text;
}

static int ask_file(const struct cli_common *common, int file, const char *name,
                    const char *line, struct cli_measure *measure)
{
    size_t size = strlen(line);
    if (write(file, line, size) != (ssize_t)size)
        return cli_fail("%s: cannot write the questions", name);
    json_t *list = json_array();
    int status = cli_eval_needles(common, name, list);
    json_t *first = json_array_get(list, 0);
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
    struct cli_text haystack = {0};
    char name[] = "/tmp/clsa-facts.XXXXXX";
    char *line = NULL;
    int status = hide_needles(text, &haystack);
    if (status)
        goto done;
    if (!(line = needle_line(haystack.data))) {
        status = cli_fail_memory();
        goto done;
    }
    const int file = mkstemp(name);
    if (file < 0) {
        status = cli_fail("%s: cannot create it", name);
        goto done;
    }
    status = ask_file(common, file, name, line, measure);
    close(file);
    unlink(name);
done:
    free(line);
    cli_text_free(&haystack);
    return status;
}

int cli_measure_text(const struct cli_common *common, const char *model,
                     const char *text, struct cli_measure *measure)
{
    struct cli_common how = *common;
    struct cli_text content = {0};
    json_t *list = json_array();
    how.model = model;
    int status = cli_file_read(text, &content);
    if (status)
        goto done;
    if (content.size < 1024) {
        status = cli_fail("%s: is too short: give at least 1 KiB", text);
        goto done;
    }
    if ((status = ask(&how, &content, measure)))
        goto done;
    how.context = content.size >= WINDOW_BYTES ? WINDOW : 0;
    if ((status = cli_eval_perplexity(&how, text, list)))
        goto done;
    measure->loss =
        json_real_value(json_object_get(json_array_get(list, 0), "loss"));
done:
    json_decref(list);
    cli_text_free(&content);
    return status;
}

int cli_measure_run(const struct cli_command *self, int argc, char **argv,
                    void *options, const char *const *file,
                    int (*measure)(const void *options, bool print,
                                   json_t *list))
{
    const struct cli_common *common = options; /* its first member */
    int first;
    CLI_TRY(cli_options_parse(self, argc, argv, options, &first));
    if (first == 0)
        return CLI_DONE;
    if (!*file)
        return cli_usage(self, "give --file FILE");
    json_t *list = json_array();
    int status = measure(options, !common->json, list);
    if (!status && common->json)
        return cli_json_print(list);
    json_decref(list);
    return status;
}
