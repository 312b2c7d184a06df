/* SPDX-License-Identifier: Apache-2.0 */
/* Texts with facts and questions. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/minmax.h"
#include "src/cli/calibrate/texts.h"
#include "src/cli/measure.h"
#include "src/cli/message.h"

enum {
    CONTEXT = 8192,      /* tokens of a text, if there are as many */
    CONTEXT_LEAST = 256, /* below it nothing is far */
    FACT_EVERY = 320,    /* tokens between facts, at least */
    LOSS_PART = 64,      /* part of a text whose loss is measured */
    TRIES = 8,           /* to make a text of the right length */
    OF_TEXTS = 4,        /* that are made, if the text is long enough */
    HEADER_LINES = 6,    /* of the text that is built in: title, license */
};

static const char *const kinds[] = {"secret code",   "door code",
                                    "ticket number", "serial number",
                                    "lucky number",  "locker number"};
static const char *const names[] = {
    "Agnes",     "Bertram", "Cecily", "Dunstan",  "Edmund",  "Felicity",
    "Gilbert",   "Hester",  "Ivo",    "Judith",   "Kenelm",  "Lettice",
    "Miles",     "Nora",    "Oswald", "Philippa", "Quentin", "Rosamund",
    "Silvester", "Tabitha", "Ulric",  "Verity",   "Walter"};
static const char *const towns[] = {
    "Aberdeen", "Bristol", "Carlisle",  "Dover",    "Exeter", "Falmouth",
    "Glasgow",  "Hull",    "Inverness", "Jedburgh", "Kendal", "Lincoln",
    "Margate",  "Norwich", "Oban",      "Penzance", "Ripon"};

#define COUNT(list) (sizeof(list) / sizeof *(list))

struct fact {
    char subject[64]; /* "secret code of Agnes of Bristol" */
    char code[8];
};

/* Fact number n of all; no two have the same name and place. */
static struct fact fact_of(size_t n)
{
    struct fact fact;
    snprintf(fact.subject, sizeof fact.subject, "%s of %s of %s",
             kinds[(n + n / COUNT(kinds)) % COUNT(kinds)],
             names[n % COUNT(names)], towns[n % COUNT(towns)]);
    snprintf(fact.code, sizeof fact.code, "%" PRIu32,
             ((uint32_t)(n + 1) * 2654435761u >> 7) % 90000 + 10000);
    return fact;
}

static int add(struct cli_text *to, const char *text)
{
    return cli_text_add(to, text, strlen(text));
}

static int add_fact(struct cli_text *to, size_t n)
{
    const struct fact fact = fact_of(n);
    char text[120];
    snprintf(text, sizeof text, "The %s is %s. ", fact.subject, fact.code);
    return add(to, text);
}

/* Where a question, its answer and its end are in the bytes. */
static int add_question(struct cli_text *to, size_t n, struct cli_fact *at)
{
    const struct fact fact = fact_of(n);
    char text[200];
    snprintf(text, sizeof text,
             "\n\nQuestion: What is the %s?\nAnswer: The %s is", fact.subject,
             fact.subject);
    at->begin = to->size;
    CLI_TRY(add(to, text));
    at->answer = to->size;
    snprintf(text, sizeof text, " %s", fact.code);
    CLI_TRY(add(to, text));
    at->end = to->size;
    return CLI_DONE;
}

/* ---------------------------------------------------------------- one text */

/* A text that is made. */
struct making {
    const clsa_model *model;
    const struct cli_text *source;
    const clsa_token_place *places; /* of the source, [count] */
    size_t count;
    size_t first, tokens; /* of the source that it has */
    size_t facts, number; /* how many, and of the first one */
    size_t context;
};

static size_t byte_of(const struct making *m, size_t token)
{
    return token < m->count ? m->places[token].start : m->source->size;
}

/* The sentences with the facts between them, up to 7/8 of the text. */
static int add_sentences(const struct making *m, struct cli_text *to)
{
    const char *text = m->source->data;
    const size_t end = byte_of(m, m->first + m->tokens);
    size_t from = byte_of(m, m->first);
    for (size_t i = 0; i < m->facts; i++) {
        const size_t place = byte_of(m, m->first + m->tokens * 7 * (2 * i + 1) /
                                                       (16 * m->facts));
        const size_t at = clsa_max(cli_sentence_end(text, place, end), from);
        CLI_TRY(cli_text_add(to, text + from, at - from));
        CLI_TRY(add_fact(to, m->number + i));
        from = at;
    }
    return cli_text_add(to, text + from, end > from ? end - from : 0);
}

/* The first token that begins at a byte or after it. */
static size_t token_at(const clsa_token_place *place, size_t count, size_t byte)
{
    size_t i = 0;
    while (i < count && place[i].start < byte)
        i++;
    return i;
}

/* The ids, and questions by these in place of bytes. */
static int take_ids(const clsa_token_place *place, size_t count, size_t end,
                    struct cli_facts_text *text)
{
    text->ids.ids = malloc((count + 1) * sizeof *text->ids.ids);
    if (!text->ids.ids)
        return cli_fail_memory();
    text->ids.count = count;
    for (size_t i = 0; i < count; i++)
        text->ids.ids[i] = place[i].id;
    text->end = token_at(place, count, end);
    text->loss = text->end - clsa_max(text->end / LOSS_PART, (size_t)16);
    for (size_t i = 0; i < text->count; i++) {
        struct cli_fact *fact = &text->facts[i];
        fact->begin = token_at(place, count, fact->begin);
        fact->answer = token_at(place, count, fact->answer);
        fact->end = token_at(place, count, fact->end);
    }
    return CLI_DONE;
}

static int tokenize(const clsa_model *model, const struct cli_text *text,
                    clsa_token_place **places, size_t *count)
{
    clsa_error error;
    if (clsa_tokenize_places(model, text->data, text->size, CLSA_TOKENIZE_BOS,
                             places, count, &error) != CLSA_OK)
        return cli_fail_error(&error);
    return CLI_DONE;
}

/* Makes the text with so many tokens of the source, and tells how many tokens
   it has. */
static int make_once(const struct making *m, struct cli_facts_text *text,
                     size_t *tokens)
{
    struct cli_text bytes = {0};
    clsa_token_place *places = NULL;
    int status = add_sentences(m, &bytes);
    const size_t end = bytes.size;
    text->count = m->facts;
    for (size_t i = 0; !status && i < m->facts; i++)
        status = add_question(&bytes, m->number + i, &text->facts[i]);
    if (!status)
        status = tokenize(m->model, &bytes, &places, tokens);
    if (!status && *tokens <= m->context)
        status = take_ids(places, *tokens, end, text);
    clsa_free(places);
    cli_text_free(&bytes);
    return status;
}

/* The same with as many tokens of the source as fit. */
static int make_text(struct making *m, struct cli_facts_text *text)
{
    size_t tokens;
    for (unsigned i = 0; i < TRIES; i++) {
        CLI_TRY(make_once(m, text, &tokens));
        if (tokens <= m->context)
            return CLI_DONE;
        const size_t more = tokens - m->context + 2;
        m->tokens = m->tokens > more ? m->tokens - more : 1;
    }
    return cli_fail("a context of %zu tokens leaves no room beside the facts: "
                    "use a larger -c",
                    m->context);
}

/* --------------------------------------------------------------- the source */

static int read_source(const char *path, struct cli_text *source)
{
    if (path)
        return cli_file_read(path, source);
    bool open = false; /* a paragraph, whose lines become one */
    for (size_t i = HEADER_LINES; cli_chronicle[i]; i++) {
        const bool empty = *cli_chronicle[i] == '\0';
        if (open)
            CLI_TRY(add(source, empty ? "\n\n" : " "));
        CLI_TRY(add(source, cli_chronicle[i]));
        open = !empty;
    }
    return CLI_DONE;
}

/* Tokens of a fact with its question, about. */
static int fact_tokens(const clsa_model *model, size_t *count)
{
    struct cli_text text = {0};
    struct cli_fact at;
    struct cli_ids ids = {0};
    int status = add_fact(&text, 3);
    if (!status)
        status = add_question(&text, 3, &at);
    if (!status)
        status = cli_tokenize(model, text.data, text.size, 0, &ids);
    *count = ids.count;
    free(ids.ids);
    cli_text_free(&text);
    return status;
}

/* How many facts a text has, and how much of the source. */
static void set_sizes(struct making *m, size_t each)
{
    m->facts = clsa_min(clsa_max(m->context / FACT_EVERY, (size_t)2),
                        (size_t)CLI_FACTS_MOST);
    m->tokens = m->context > m->facts * each ? m->context - m->facts * each : 0;
}

/* As much of the context as is asked for, as the model has and as two texts
   leave. */
static int choose_context(struct making *m, uint64_t context, const char *path,
                          size_t each)
{
    clsa_model_info info;
    clsa_model_get_info(m->model, &info, sizeof info);
    m->context =
        (size_t)clsa_min_u64(context ? context : CONTEXT, info.context);
    if (context > info.context)
        return cli_fail("-c %" PRIu64 ": the model was trained for %" PRIu64
                        " tokens: use a smaller number",
                        context, info.context);
    if (m->context < CONTEXT_LEAST)
        return cli_fail("a context of %zu tokens has no far rows: use %d or "
                        "more",
                        m->context, CONTEXT_LEAST);
    set_sizes(m, each);
    while (!context && m->context > CONTEXT_LEAST && 2 * m->tokens > m->count) {
        m->context =
            clsa_max(m->context - m->context / 8, (size_t)CONTEXT_LEAST);
        set_sizes(m, each);
    }
    if (2 * clsa_max(m->tokens, m->context / 4) > m->count)
        return cli_fail("%s: %zu tokens are too few for two texts of %zu: give "
                        "a longer text%s",
                        path ? path : "the built-in text", m->count, m->context,
                        context ? " or a smaller -c" : "");
    if (m->tokens >= m->context / 4)
        return CLI_DONE;
    return cli_fail("a context of %zu tokens leaves no room beside the facts: "
                    "use a larger -c",
                    m->context);
}

static int make_texts(struct making *m, struct cli_facts_texts *texts)
{
    const size_t each = m->tokens;
    const size_t count =
        clsa_min(clsa_max(m->count / each, (size_t)2), (size_t)OF_TEXTS);
    texts->context = m->context;
    for (size_t i = 0; i < count; i++) {
        m->first = i * each;
        m->tokens = each;
        m->number = i * CLI_FACTS_MOST;
        CLI_TRY(make_text(m, &texts->text[i]));
        texts->count++;
    }
    return CLI_DONE;
}

int cli_facts_make(const clsa_model *model, const char *path, uint64_t context,
                   struct cli_facts_texts *texts)
{
    struct cli_text source = {0};
    struct making m = {.model = model, .source = &source};
    clsa_token_place *places = NULL;
    size_t each;
    int status = read_source(path, &source);
    if (!status)
        status = tokenize(model, &source, &places, &m.count);
    m.places = places;
    if (!status)
        status = fact_tokens(model, &each);
    if (!status)
        status = choose_context(&m, context, path, each);
    if (!status)
        status = make_texts(&m, texts);
    clsa_free(places);
    cli_text_free(&source);
    return status;
}

void cli_facts_free(struct cli_facts_texts *texts)
{
    for (size_t i = 0; i < CLI_TEXTS_MOST; i++)
        free(texts->text[i].ids.ids);
    *texts = (struct cli_facts_texts){.count = 0};
}
