/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_kernels: every kernel of every level that this CPU has, against the
 * scalar version. A kernel is checked at the levels that bring a version of
 * their own. Prints a line per failure and per level, and a last line
 * "N passed, N failed".
 * Exit status: 0 all passed, 1 a failure, 2 usage, 77 no level to check.
 */
#include <getopt.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/kernels.h"

static const char usage[] =
    "Usage: check_kernels [OPTION]...\n"
    "Check every SIMD kernel that this CPU can run against the scalar one.\n"
    "\n"
    "  --level NAME   this level only\n"
    "  --filter TEXT  kernels whose name contains TEXT only\n"
    "  --seed N       seed of the values (default 1)\n"
    "  --quick        few and small sizes, for emulators\n"
    "  --no-guard     no inaccessible pages beside buffers, for emulators "
    "that\n"
    "                 fault on masked-out lanes; misses reads out of bounds\n"
    "  --no-f16-ties  no values half way between two f16 numbers, for "
    "emulators\n"
    "                 that round them up instead of to even\n"
    "  --json         results as JSON\n"
    "  --list         list levels and their kernels\n"
    "  --help         this text\n";

struct options {
    const char *level, *filter;
    uint64_t seed;
    bool quick, unguarded, tieless, json, list, help;
};

static const struct kernel *const families[] = {
    matmul_kernels,   rows_kernels,   elementwise_kernels,
    index_kernels,    tile_kernels,   topk_kernels,
    sampling_kernels, attend_kernels, prefill_attn_kernels,
};

/* The check that runs: its way out, its case, and what went wrong. */
static sigjmp_buf leave;
static volatile sig_atomic_t caught;
static void *volatile address;
static char parameters[200], message[300];

void test_case(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(parameters, sizeof parameters, format, args);
    va_end(args);
}

_Noreturn void test_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    siglongjmp(leave, 1);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught = number;
    address = info->si_addr;
    siglongjmp(leave, 1);
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO};
    for (size_t i = 0; i < TEST_COUNT(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

static void explain_signal(void)
{
    char place[120];
    if (caught != SIGILL && test_describe(address, place, sizeof place))
        snprintf(message, sizeof message, "access out of bounds: %s", place);
    else
        snprintf(message, sizeof message, "%s at %p", strsignal(caught),
                 address);
}

/* Runs a check; false: it failed, message tells why. */
static bool run(void (*body)(struct test *), struct test *t,
                const struct kernel *k, const struct options *o)
{
    caught = 0;
    parameters[0] = 0;
    test_seed(o->seed, k->name);
    const bool ok = !sigsetjmp(leave, 1);
    if (ok)
        body(t);
    else if (caught)
        explain_signal();
    test_reset(TEST_AT_END);
    return ok;
}

/* Versions of a kernel are told apart by their pointers. */
static const void *version(const struct clsa_simd *table,
                           const struct kernel *k)
{
    const void *p;
    memcpy(&p, (const char *)table + k->slot, sizeof p);
    return p;
}

/* Whether `table`, above `below` on the ladder, has its own version of k. */
static bool wanted(const struct kernel *k, const struct clsa_simd *table,
                   const struct clsa_simd *below, const struct options *o)
{
    if (!version(table, k) || (o->filter && !strstr(k->name, o->filter)))
        return false;
    return !below || version(table, k) != version(below, k);
}

static void print_json(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            putchar('\\');
        putchar((unsigned char)*s < ' ' ? ' ' : *s);
    }
    putchar('"');
}

static void report(const struct kernel *k, const struct test *t, bool ok,
                   const struct options *o)
{
    static bool later;
    if (!o->json) {
        if (!ok)
            printf("FAIL %s %s: seed %llu: %s: %s\n", t->simd->name, k->name,
                   (unsigned long long)o->seed, parameters, message);
        return;
    }
    printf("%s\n  {\"kernel\": \"%s\", \"level\": \"%s\", \"seed\": %llu, "
           "\"ok\": %s",
           later ? "," : "", k->name, t->simd->name,
           (unsigned long long)o->seed, ok ? "true" : "false");
    later = true;
    if (!ok) {
        printf(", \"case\": ");
        print_json(parameters);
        printf(", \"error\": ");
        print_json(message);
    }
    printf("}");
}

struct tally {
    unsigned passed, failed;
};

static void check_level(const struct clsa_simd *table,
                        const struct clsa_simd *below, const struct options *o,
                        struct tally *total)
{
    struct tally here = {0, 0};
    for (size_t f = 0; f < TEST_COUNT(families); f++)
        for (const struct kernel *k = families[f]; k->name; k++) {
            if (!wanted(k, table, below, o))
                continue;
            struct test t = {.ref = clsa_simd_table("ref"),
                             .simd = table,
                             .format = k->format,
                             .quick = o->quick,
                             .tieless = o->tieless};
            const bool ok = run(k->check, &t, k, o);
            report(k, &t, ok, o);
            *(ok ? &here.passed : &here.failed) += 1;
        }
    if (!o->json && here.failed)
        printf("%s: %u kernels ok, %u failed\n", table->name, here.passed,
               here.failed);
    else if (!o->json)
        printf("%s: %u kernels ok\n", table->name, here.passed);
    fflush(stdout);
    total->passed += here.passed;
    total->failed += here.failed;
}

static void list_level(const struct clsa_simd *table,
                       const struct clsa_simd *below, const struct options *o)
{
    printf("%s:", table->name);
    for (size_t f = 0; f < TEST_COUNT(families); f++)
        for (const struct kernel *k = families[f]; k->name; k++)
            if (wanted(k, table, below, o))
                printf(" %s", k->name);
    printf("\n");
}

static void print_left_out(const struct options *o)
{
    if (o->unguarded)
        printf("SKIP check_kernels accesses out of bounds: --no-guard\n");
    if (o->tieless)
        printf(
            "SKIP check_kernels halves between f16 numbers: --no-f16-ties\n");
}

static bool check_levels(const struct options *o)
{
    const char *const *names = clsa_simd_names();
    const struct clsa_simd *below = NULL;
    struct tally total = {0, 0};

    if (o->json)
        printf("[");
    else if (!o->list)
        print_left_out(o);
    for (; *names; names++) {
        const struct clsa_simd *table = clsa_simd_table(*names);
        if (!o->level || !strcmp(o->level, *names)) {
            if (o->list)
                list_level(table, below, o);
            else
                check_level(table, below, o, &total);
        }
        below = table;
    }
    if (o->json)
        printf("\n]\n");
    else if (!o->list)
        printf("%u passed, %u failed\n", total.passed, total.failed);
    return !total.failed;
}

static bool parse_seed(const char *text, uint64_t *seed)
{
    char *end;
    *seed = strtoull(text, &end, 0);
    return end != text && !*end;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
        {"level", required_argument, NULL, 'l'},
        {"filter", required_argument, NULL, 'f'},
        {"seed", required_argument, NULL, 's'},
        {"quick", no_argument, NULL, 'q'},
        {"no-guard", no_argument, NULL, 'n'},
        {"no-f16-ties", no_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"list", no_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", table, NULL)) != -1)
        switch (c) {
        case 'l':
            o->level = optarg;
            break;
        case 'f':
            o->filter = optarg;
            break;
        case 's':
            if (!parse_seed(optarg, &o->seed))
                return false;
            break;
        case 'q':
            o->quick = true;
            break;
        case 'n':
            o->unguarded = true;
            break;
        case 't':
            o->tieless = true;
            break;
        case 'j':
            o->json = true;
            break;
        case 'i':
            o->list = true;
            break;
        case 'h':
            o->help = true;
            break;
        default:
            return false;
        }
    return optind == argc;
}

static void list_valid_levels(const char *wrong)
{
    fprintf(stderr, "check_kernels: level '%s' is not one of:", wrong);
    for (const char *const *n = clsa_simd_names(); *n; n++)
        fprintf(stderr, " %s", *n);
    fprintf(stderr, "\n");
}

static bool known(const char *filter)
{
    for (size_t f = 0; f < TEST_COUNT(families); f++)
        for (const struct kernel *k = families[f]; k->name; k++)
            if (strstr(k->name, filter))
                return true;
    return false;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1};

    if (!parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.help) {
        fputs(usage, stdout);
        return 0;
    }
    if (!*clsa_simd_names()) {
        puts(
            "SKIP check_simde: no level that this build has and this CPU runs");
        return 77;
    }
    if (o.level && !clsa_simd_table(o.level)) {
        list_valid_levels(o.level);
        return 2;
    }
    if (o.filter && !known(o.filter)) {
        fprintf(stderr,
                "check_kernels: no kernel's name contains '%s'; see --list\n",
                o.filter);
        return 2;
    }
    if (o.unguarded)
        test_unguard();
    catch_signals();
    return check_levels(&o) ? 0 : 1;
}
