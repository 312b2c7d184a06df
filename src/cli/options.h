/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: the one description of every command. A command has a table of its
 * own options and names the shared groups it takes; parsing, --help and
 * whatever else lists options are generated from these tables. A parsed value
 * goes to its place in the command's options struct, whose first member is
 * the struct cli_common of the shared groups.
 */
#ifndef CLSA_CLI_OPTIONS_H
#define CLSA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clsa_bench.h"

/* What an option takes, and the type of the member at its offset. */
enum cli_kind {
    CLI_END = 0, /* of a table */
    CLI_FLAG,    /* nothing; bool */
    CLI_TEXT,    /* any text; const char * */
    CLI_FILE,    /* the same, not empty */
    CLI_TEXTS,   /* any text, may be repeated; struct cli_texts */
    CLI_FILES,   /* the same, not empty */
    CLI_CHOICE,  /* one of the words of `argument`; const char * */
    CLI_TYPE,    /* the same in any case, names of types; clsa_type */
    CLI_WEIGHTS, /* the same, and names of mixes; int: clsa_type or clsa_mix */
    CLI_SIZE,    /* min..max with K, M, G as powers of 1024; uint64_t */
    CLI_REAL,    /* low..high; double */
    CLI_HELP,    /* acts at once */
    CLI_VERSION  /* acts at once */
};

/* Types of matrices, in the form of `argument`. */
#define CLI_WEIGHT_TYPES                                                       \
    "f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q2_k|q3_k|q4_k|q5_k|q6_k|iq4_nl|"   \
    "iq4_xs"

/* Names of mixes, in the same form; some are names of types, too. */
#define CLI_MIXES                                                              \
    "q2_k|q3_k_s|q3_k_m|q3_k_l|q4_k_s|q4_k_m|q5_k_s|q5_k_m|iq4_nl|iq4_xs"

/* Types, and those mixes whose names are no types. */
#define CLI_TYPES_AND_MIXES                                                    \
    CLI_WEIGHT_TYPES "|q3_k_s|q3_k_m|q3_k_l|q4_k_s|q4_k_m|q5_k_s|q5_k_m"

struct cli_option {
    enum cli_kind kind;
    char letter; /* short name, or 0 */
    const char *name;
    const char *argument; /* its name in --help, choices as "a|b|c" */
    const char *help;     /* one line */
    size_t offset;
    uint64_t min, max; /* CLI_SIZE */
    bool minus_one;    /* CLI_SIZE: -1 is UINT64_MAX, "no limit" or "any" */
    double low, high;  /* CLI_REAL */
};

/* Values of a repeatable option; they point into argv. */
struct cli_texts {
    const char **values;
    size_t count;
};

/* Shared options. */
struct cli_common {
    const char *model;     /* NULL: the default */
    const char *index;     /* NULL: beside the model */
    uint64_t threads;      /* 0: physical cores */
    const char *simd;      /* NULL: the best */
    const char *numa;      /* NULL: auto */
    uint64_t memory_limit; /* bytes, 0: the memory of the machine */
    uint64_t context;      /* 0: what the command needs */
    const char *attention; /* NULL: the model's default */
    clsa_type kv_type, index_type;
    const char *prefill;          /* NULL: auto */
    const char *prompt_attention; /* NULL: dense */
    uint64_t prefill_memory;      /* bytes */
    bool json, quiet, verbose;
};

#define CLI_COMMON_INIT                                                        \
    {                                                                          \
        .kv_type = CLSA_TYPE_BF16, .index_type = CLSA_TYPE_I8,                 \
        .prefill_memory = CLSA_PREFILL_MEMORY                                  \
    }

/* Shared groups: -m --index --numa --memory-limit -t --simd; -c --attention
   --kv-type --index-type --prefill --prompt-attention --prefill-memory; of a
   command without a model -t
   --simd. --json -q -v --help --version belong to every command. */
#define CLI_GROUP_MODEL   1u
#define CLI_GROUP_SESSION 2u
#define CLI_GROUP_THREADS 4u

struct cli_command {
    const char *name;  /* "eval needles" */
    const char *usage; /* what follows the name and the options */
    const char *summary;
    const char *more; /* lines of --help after the options, or NULL */
    bool operands;    /* takes some, and looks at them */
    unsigned groups;  /* CLI_GROUP_* */
    const struct cli_option *options;  /* own table, or NULL */
    const struct cli_option *shared;   /* one of several commands, or NULL */
    int (*run)(int argc, char **argv); /* argv[0] is the last word of name */
    const struct cli_command *const *commands; /* instead of run, or NULL */
};

#define CLI_MAX_OPTIONS 64

/* All options of a command: its own, then the shared ones. */
struct cli_option_list {
    const struct cli_option *all[CLI_MAX_OPTIONS];
    size_t count;
    size_t own; /* of them the command's own */
};

void cli_options_collect(struct cli_option_list *list,
                         const struct cli_command *command);

/* The option of a name, of `size` bytes, or of a letter; NULL: none. */
const struct cli_option *cli_options_find(const struct cli_option_list *list,
                                          const char *name, size_t size);
const struct cli_option *cli_options_letter(const struct cli_option_list *list,
                                            int letter);

/* The option whose argument is the word after this one, or NULL. */
const struct cli_option *cli_options_pending(const struct cli_option_list *list,
                                             const char *word);

/*
 * Parse argv into `options`. On return argv[*first] is the first operand; a
 * command that takes none refuses one here. Returns CLI_DONE, or CLI_USAGE
 * with its message; after --help or --version,
 * which print to stdout, *first is 0 and the caller returns CLI_DONE.
 */
int cli_options_parse(const struct cli_command *command, int argc, char **argv,
                      void *options, int *first);
void cli_texts_free(struct cli_texts *texts);

/* Give an option of a command another value, as on the command line. */
int cli_options_set(const struct cli_command *command,
                    const struct cli_option *option, const char *text,
                    void *options);

/* Refuse operands that are empty where all of them name files. */
int cli_operands_check(const struct cli_command *command, int count,
                       char **operands);

/* Say that a command was used wrongly, and point to its --help. Returns
   CLI_USAGE. */
int cli_usage(const struct cli_command *command, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* --help of a command, and the line of --version. */
void cli_options_help(const struct cli_command *command);
void cli_options_version(void);

/* Strict parsers: all of the text, in range, or false is returned. */
bool cli_parse_size(const char *text, uint64_t min, uint64_t max,
                    uint64_t *value);
bool cli_parse_type(const char *text, const char *choices, clsa_type *type);
bool cli_parse_mix(const char *text, int *mix);
bool cli_parse_real(const char *text, double low, double high, double *value);

#endif /* CLSA_CLI_OPTIONS_H */
