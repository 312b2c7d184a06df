/* SPDX-License-Identifier: Apache-2.0 */
/* line: through readline at a terminal, else through getline. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef HAVE_READLINE
#include <readline/history.h>
#include <readline/readline.h>
#endif

#include "src/cli/line.h"
#include "src/cli/message.h"
#include "src/cli/signals.h"

bool cli_line_is_edited(void)
{
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static int read_plain(struct cli_text *text, bool *more)
{
    char *line = NULL;
    size_t capacity = 0;
    errno = 0;
    const ssize_t size = getline(&line, &capacity, stdin);
    *more = size > 0;
    int status = CLI_DONE;
    if (size > 0)
        status = cli_text_add(text, line, (size_t)size);
    else if (errno == ENOMEM)
        status = cli_fail_memory();
    free(line);
    return status;
}

#ifdef HAVE_READLINE

/* A key; the end of input once the user wants to stop. */
static int next_key(FILE *stream)
{
    unsigned char key;
    ssize_t got = -1;
    while (got < 0 && cli_interrupt_wait(fileno(stream))) {
        got = read(fileno(stream), &key, 1);
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            break;
    }
    return got == 1 ? key : EOF;
}

static int new_line(int count, int key)
{
    (void)count;
    (void)key;
    return rl_insert_text("\n");
}

/* *line is to be released by free; NULL at the end. */
static int edit_line(const char *prompt, char **line)
{
    rl_catch_signals = 0;
    rl_bind_keyseq("\\e\\C-m", new_line);
    rl_getc_function = next_key;
    rl_readline_name = "clsa";
    cli_output_flush();
    *line = readline(prompt);
    return CLI_DONE;
}

/* A message goes to the history as a whole. */
static void remember(const struct cli_text *text)
{
    char *line = strndup(text->data, text->size - (text->size > 0));
    if (line && *line != '\0')
        add_history(line);
    free(line);
}

static int read_terminal(const char *prompt, struct cli_text *text, bool *more)
{
    char *line;
    CLI_TRY(edit_line(prompt, &line));
    *more = line && !cli_interrupt_seen();
    int status = CLI_DONE;
    if (*more)
        status = cli_text_add(text, line, strlen(line));
    if (*more && !status)
        status = cli_text_add(text, "\n", 1);
    if (!*more)
        putchar('\n');
    free(line);
    return status;
}

#else

static void remember(const struct cli_text *text)
{
    (void)text;
}

static int read_terminal(const char *prompt, struct cli_text *text, bool *more)
{
    enum { CUT = 4095 };
    const size_t before = text->size;
    fputs(prompt, stdout);
    cli_output_flush();
    CLI_TRY(read_plain(text, more));
    if (text->size - before >= CUT)
        cli_warning("the line may have been longer: a terminal passes on no "
                    "more than %d bytes; use -f FILE",
                    CUT);
    return CLI_DONE;
}

#endif

int cli_line_read(const char *prompt, struct cli_text *text, bool *more)
{
    return cli_line_is_edited() ? read_terminal(prompt, text, more)
                                : read_plain(text, more);
}

/* Whether the line that begins at `start` is not the last one. Its marks are
   taken off. */
static bool goes_on(struct cli_text *text, size_t start, bool *block)
{
    static const char mark[] = "\"\"\"";
    const size_t size = sizeof mark - 1;
    if (start == 0 && text->size >= size &&
        memcmp(text->data, mark, size) == 0) {
        text->size -= size;
        memmove(text->data, text->data + size, text->size + 1);
        *block = true;
    }
    size_t end = text->size;
    if (end > start && text->data[end - 1] == '\n')
        end--;
    if (*block) {
        if (end - start < size ||
            memcmp(text->data + end - size, mark, size) != 0)
            return true;
        text->data[end - size] = '\n';
        text->size = end - size + 1;
        return false;
    }
    if (end == start || text->data[end - 1] != '\\')
        return false;
    text->data[end - 1] = '\n';
    text->size = end;
    return true;
}

int cli_lines_read(const char *prompt, struct cli_text *text, bool *more)
{
    bool block = false;
    size_t start;
    text->size = 0;
    do {
        start = text->size;
        CLI_TRY(
            cli_line_read(start == 0 && !block ? prompt : ". ", text, more));
    } while (*more && goes_on(text, start, &block));
    *more |= text->size > 0 && !cli_interrupt_seen();
    if (*more && cli_line_is_edited())
        remember(text);
    return CLI_DONE;
}
