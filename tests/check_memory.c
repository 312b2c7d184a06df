/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of the library, and those of jansson for it, refused once:
 * the call ends with CLSA_ERR_MEMORY and one line, or has done without;
 * nothing leaks; and what was there before still works, with the same result.
 * The linker puts the functions below in place of malloc and the others
 * (--wrap).
 *
 * Where a job has many points, most of them in reading JSON, one in STRIDE of
 * these is taken, another one each time by the number SEED of the environment
 * (default 1).
 */

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include "clsa_bench.h"

#define STRIDE 7

static long left = -1;      /* allocations until one is refused; < 0: none is */
static long json_left = -1; /* the same for jansson */
static int json_refused;    /* jansson may take it for an error of the text, or
                               leave a byte of a text out */
static long live;           /* blocks that were not freed */
static long long mapped;    /* bytes that were not unmapped */

static int refused(long *counter)
{
    return *counter >= 0 && (*counter)-- == 0;
}

static void *counted(void *memory)
{
    live += memory != NULL;
    return memory;
}

/* ------------------------------------------------ in place of the functions */

#define REAL(result, name, ...)                                                \
    result __real_##name(__VA_ARGS__);                                         \
    result __wrap_##name(__VA_ARGS__);                                         \
    result __wrap_##name(__VA_ARGS__)

REAL(void *, malloc, size_t size)
{
    return refused(&left) ? NULL : counted(__real_malloc(size));
}

REAL(void *, calloc, size_t n, size_t size)
{
    return refused(&left) ? NULL : counted(__real_calloc(n, size));
}

REAL(void *, aligned_alloc, size_t align, size_t size)
{
    return refused(&left) ? NULL : counted(__real_aligned_alloc(align, size));
}

REAL(void *, realloc, void *old, size_t size)
{
    if (refused(&left))
        return NULL;
    return old ? __real_realloc(old, size) : counted(__real_realloc(old, size));
}

REAL(char *, realpath, const char *path, char *buffer)
{
    if (!refused(&left))
        return counted(__real_realpath(path, buffer));
    errno = ENOMEM;
    return NULL;
}

REAL(void, free, void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

static long long whole_pages(size_t size)
{
    const long long page = sysconf(_SC_PAGESIZE);
    return ((long long)size + page - 1) / page * page;
}

/* Files are mapped as well: only memory is refused. */
REAL(void *, mmap, void *at, size_t size, int access, int flags, int file,
     off_t from)
{
    if (file < 0 && refused(&left))
        return MAP_FAILED;
    void *memory = __real_mmap(at, size, access, flags, file, from);
    mapped += memory == MAP_FAILED ? 0 : whole_pages(size);
    return memory;
}

REAL(int, munmap, void *memory, size_t size)
{
    mapped -= whole_pages(size);
    return __real_munmap(memory, size);
}

/* Nothing has to outlive this test. */
REAL(int, fsync, int file)
{
    return file < 0;
}

REAL(XXH3_state_t *, XXH3_createState, void)
{
    return refused(&left) ? NULL : __real_XXH3_createState();
}

static void *json_malloc(size_t size)
{
    json_refused = json_refused || json_left == 0;
    return refused(&json_left) ? NULL : counted(__real_malloc(size));
}

static void json_free(void *memory)
{
    live -= memory != NULL;
    __real_free(memory);
}

/* --------------------------------------------------------------------- jobs */

/* Ends the test where something does not hold. */
#define MUST(held, ...)                                                        \
    do {                                                                       \
        if (!(held)) {                                                         \
            fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                    \
            fprintf(stderr, __VA_ARGS__);                                      \
            fprintf(stderr, "\n");                                             \
            abort();                                                           \
        }                                                                      \
    } while (0)

static const char *tests; /* the folder of the tests' data */
static char folder[] = "/tmp/clsa-memory-XXXXXX";

static const char *in_tests(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", tests, name);
    return path;
}

static const char *in_folder(const char *name)
{
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/*
 * TRY(call): a call of a job. Refused memory is told as such, only once, and
 * the call done again: it has to succeed then.
 */
static unsigned failures;

static void check_refusal(clsa_status status, const clsa_error *error,
                          const char *call)
{
    MUST(error->status == status &&
             (status == CLSA_ERR_MEMORY ||
              (json_refused &&
               (status == CLSA_ERR_FORMAT || status == CLSA_ERR_UNSUPPORTED))),
         "%s: status %d: %s", call, status, error->message);
    MUST(*error->message && !strchr(error->message, '\n'), "%s: %s", call,
         error->message);
    MUST(left < 0 && json_left < 0, "%s: too early", call);
    failures++;
}

#define TRY(call)                                                              \
    do {                                                                       \
        clsa_error error = {0};                                                \
        clsa_status status_ = (call);                                          \
        if (status_) {                                                         \
            check_refusal(status_, &error, #call);                             \
            status_ = (call);                                                  \
        }                                                                      \
        MUST(status_ == CLSA_OK, "%s, again: %s", #call, error.message);       \
    } while (0)

static clsa_model *open_model(const char *name)
{
    clsa_model *model;
    clsa_model_options options;
    clsa_model_options_init(&options);
    options.threads = 1;
    TRY(clsa_model_open(&model, in_tests(name), &options, &error));
    return model;
}

static void job_words(void)
{
    static const char text[] = "the inner ring, the thing";
    clsa_model *model = open_model("good-clsa.gguf");
    clsa_detokenizer state = {0};
    int32_t *ids;
    size_t count, size;
    char *piece;
    TRY(clsa_tokenize(model, text, strlen(text), 0, &ids, &count, &error));
    for (size_t i = 0; i < count; i++) {
        TRY(clsa_detokenize(model, &state, ids[i], &piece, &size, &error));
        clsa_free(piece);
    }
    clsa_free(ids);
    clsa_model_close(model);
}

static void job_random(void)
{
    const clsa_shape shape = {.width = 32,
                              .self_layers = 1,
                              .cross_layers = 1,
                              .heads = 2,
                              .kv_heads = 1,
                              .head_size = 16,
                              .ffn = 32,
                              .window = 4,
                              .index_size = 8,
                              .top_k = 4,
                              .vocab = 64};
    clsa_model *model;
    clsa_model_options options;
    clsa_session *session;
    clsa_model_options_init(&options);
    options.threads = 1;
    TRY(clsa_model_random(&model, &shape, CLSA_TYPE_Q8_0, &options, &error));
    TRY(clsa_session_open(&session, model, NULL, &error));
    TRY(clsa_session_fill_random(session, 40, 1, &error));
    clsa_session_close(session);
    clsa_model_close(model);
}

static const int32_t ids[40] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static float first_logits[512]; /* without a refusal; of the job's end */

/* The rest of the 40 ids: blocks that were read stay read. */
static clsa_status read_ids(clsa_session *session, clsa_error *error)
{
    const size_t from = (size_t)clsa_session_length(session);
    uint8_t mask[40];
    clsa_append_options how = {.want = CLSA_WANT_MASK, .mask = mask};
    memset(mask, 1, sizeof mask);
    return clsa_session_append(session, ids + from, 40 - from, &how, error);
}

static void use_sampler(const clsa_session *session)
{
    clsa_sampler *sampler;
    clsa_sampler_options options;
    int32_t id;
    clsa_sampler_options_init(&options);
    options.repeat_penalty = 1.1F;
    TRY(clsa_sampler_open(&sampler, &options, &error));
    TRY(clsa_sampler_sample(sampler, session, &id, &error));
    clsa_sampler_close(sampler);
}

/* A fork and a copy from a file, in one batch; then the fork by itself. */
static void use_session(clsa_model *model, clsa_session *session,
                        const clsa_session_options *options, float *logits)
{
    clsa_session *both[2];
    clsa_model_info info;
    TRY(read_ids(session, &error));
    use_sampler(session);
    TRY(clsa_session_fork(session, &both[0], &error));
    TRY(clsa_session_save(session, in_folder("s"), &error));
    TRY(clsa_session_load(&both[1], model, in_folder("s"), options, &error));
    TRY(clsa_batch_append(both, ids, 2, &error));
    clsa_model_get_info(model, &info, sizeof info);
    TRY(clsa_session_set_attention(
        both[0], info.caches > 0 ? "window:5" : "dense", &error));
    TRY(clsa_session_truncate(both[0], 10, &error));
    TRY(clsa_session_append(both[0], ids, 3, NULL, &error));
    MUST(info.vocab <= 512, "vocabulary of %u", info.vocab);
    memcpy(logits, clsa_session_logits(both[0]), info.vocab * sizeof *logits);
    clsa_session_close(both[0]);
    clsa_session_close(both[1]);
}

static void run_sessions(const char *name)
{
    float logits[512] = {0};
    clsa_session *session;
    clsa_session_options options;
    clsa_model *model = open_model(name);
    clsa_session_options_init(&options);
    options.context = 64;
    options.prefill_block = 16;
    options.prefill = "own"; /* the same bits, whatever stays to be read */
    TRY(clsa_session_open(&session, model, &options, &error));
    use_session(model, session, &options, logits);
    clsa_session_close(session);
    clsa_model_close(model);
    if (failures == 0)
        memcpy(first_logits, logits, sizeof logits);
    MUST(memcmp(first_logits, logits, sizeof logits) == 0,
         "%s: other logits after a refusal", name);
}

static void job_sessions(void)
{
    run_sessions("good-clsa.gguf");
}

/* Small models of the ordinary architectures. */
static const char *const archs[] = {"llama",  "mistral",     "qwen2",
                                    "qwen3",  "smollm3",     "phi3",
                                    "gemma2", "gemma3_text", "gemma4_text"};

#define ARCHS (sizeof archs / sizeof *archs)

static const char *seed_of(const char *arch)
{
    static char name[80];
    snprintf(name, sizeof name, "../fuzz/corpus/gguf/seed-%s", arch);
    return name;
}

static const char *arch; /* of the next job */

static void job_arch(void)
{
    run_sessions(seed_of(arch));
}

/* Keys and tensors of an ordinary model, in memory and in a file. */
static void job_like(void)
{
    static const char shape[] =
        "llama-3.2-1b,block_count=2,embedding_length=32,vocab=300"
        ",feed_forward_length=32,attention.head_count=2"
        ",attention.head_count_kv=1,attention.indexer.layers=1*1"
        ",attention.indexer.key_length=8,attention.indexer.top_k=4";
    clsa_model *model;
    clsa_model_options options;
    clsa_write_options how;
    clsa_model_options_init(&options);
    clsa_write_options_init(&how);
    options.threads = how.threads = 1;
    TRY(clsa_model_random_like(&model, shape, CLSA_MIX_Q4_K_M, &options,
                               &error));
    clsa_model_close(model);
    TRY(clsa_write_random(shape, in_folder("out"), &how, &error));
}

static void job_retention(void)
{
    run_sessions("good-retention-indexer.gguf");
}

/* A prompt through oneDNN, where it is there. */
static void job_prompt(void)
{
    clsa_model *model = open_model("good-q8_0.gguf");
    clsa_session *session;
    TRY(clsa_session_open(&session, model, NULL, &error));
    TRY(read_ids(session, &error));
    clsa_session_close(session);
    clsa_model_close(model);
}

static void check_folder(const char *only)
{
    DIR *dir = opendir(folder);
    MUST(dir, "%s is gone", folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        MUST(entry->d_name[0] == '.' || strcmp(entry->d_name, only) == 0,
             "left behind: %s", entry->d_name);
    closedir(dir);
}

static void convert(const char *name)
{
    clsa_write_options options;
    clsa_write_options_init(&options);
    options.threads = 1;
    unlink(in_folder("s"));
    unlink(in_folder("out"));
    TRY(clsa_convert(in_tests(name), in_folder("out"), &options, &error));
    check_folder("out");
}

static void job_convert(void)
{
    convert("../fuzz/folder");
}

/* Windows, two ropes, norms as 1 + w. */
static void job_convert_gemma(void)
{
    convert("../fuzz/gemma");
}

static void job_quantize(void)
{
    static const char *const keep[] = {"token_embd.weight=f16"};
    clsa_write_options options;
    clsa_write_options_init(&options);
    options.threads = 1;
    options.type = CLSA_TYPE_Q8_0;
    options.keep = keep;
    options.keep_count = 1;
    TRY(clsa_quantize(in_tests("good-mixed-types.gguf"), in_folder("out"),
                      &options, &error));
    check_folder("out");
}

/* ----------------------------------------------------------------- refusals */

/* Runs the job with allocation n refused; false when it has fewer. */
static int refuse(void (*job)(void), long *counter, long n)
{
    const long before = live;
    const long long mapped_before = mapped;
    failures = 0;
    json_refused = 0;
    *counter = n;
    job();
    const int all = *counter >= 0;
    *counter = -1;
    MUST(live == before && mapped == mapped_before,
         "allocation %ld: %ld blocks, %lld bytes of pages leaked", n,
         live - before, mapped - mapped_before);
    return !all;
}

static void refuse_each(void (*job)(void), const char *name)
{
    const char *seed = getenv("SEED");
    long n = 0, json = (seed ? atol(seed) : 1) % STRIDE;
    failures = 0;
    job(); /* without: what is made once is there then */
    while (refuse(job, &left, n))
        n++;
    for (; refuse(job, &json_left, json); json += STRIDE)
        continue;
    printf("%s: %ld allocations, about %ld of jansson\n", name, n, json);
    MUST(n > 10, "%s: too few", name);
}

/* ------------------------------------------------------------------- limits */

static const char *limited = "good-clsa.gguf"; /* the model below limits */
static int repeats = 20; /* so often: what is closed is given back */

/* What a limit leaves room for: 0 nothing, 1 a model, 2 a session of 40
   tokens, 3 a fork of it that goes on. Each refusal names the limit. */
static int reach(uint64_t limit)
{
    clsa_model *model;
    clsa_session *session = NULL, *fork = NULL;
    clsa_model_options options;
    clsa_session_options how;
    clsa_error error = {0};
    int steps = 0;
    clsa_model_options_init(&options);
    clsa_session_options_init(&how);
    options.threads = 1;
    options.memory_limit = limit;
    how.context = 64;
    clsa_status status =
        clsa_model_open(&model, in_tests(limited), &options, &error);
    MUST(!status || strstr(error.message, "memory limit"), "%s", error.message);
    if (status)
        return steps;
    for (int i = 0; i < repeats; i++) {
        steps = 1;
        status = clsa_session_open(&session, model, &how, &error);
        if (!status)
            status = clsa_session_append(session, ids, 40, NULL, &error);
        steps += !status;
        if (!status)
            status = clsa_session_fork(session, &fork, &error);
        if (!status)
            status = clsa_session_append(fork, ids, 10, NULL, &error);
        steps += !status;
        MUST(!status || (status == CLSA_ERR_MEMORY &&
                         strstr(error.message, "memory limit")),
             "limit %llu: %s", (unsigned long long)limit, error.message);
        clsa_session_close(session);
        clsa_session_close(fork);
        session = fork = NULL;
    }
    clsa_model_close(model);
    return steps;
}

/* The same for logits of 40 positions: 1 a model, 2 a session, 3 the logits. */
static int reach_logits(uint64_t limit)
{
    clsa_model *model;
    clsa_session *session = NULL;
    clsa_model_options options;
    clsa_error error = {0};
    int steps = 1;
    clsa_model_options_init(&options);
    options.threads = 1;
    options.memory_limit = limit;
    if (clsa_model_open(&model, in_tests("good-clsa.gguf"), &options, &error))
        return 0;
    for (int i = 0; i < 20; i++) {
        steps = 1;
        clsa_status status = clsa_session_open(&session, model, NULL, &error);
        steps += !status;
        if (!status)
            status = read_ids(session, &error);
        steps += !status;
        MUST(!status || (status == CLSA_ERR_MEMORY &&
                         strstr(error.message, "memory limit")),
             "limit %llu: %s", (unsigned long long)limit, error.message);
        clsa_session_close(session);
        session = NULL;
    }
    clsa_model_close(model);
    return steps;
}

/* More memory reaches as far or farther. */
static void check_reach(int (*how_far)(uint64_t limit))
{
    int before = 0, seen = 0;
    for (uint64_t limit = 1; limit < 1u << 30; limit += limit / 16 + 1) {
        const int now = how_far(limit);
        MUST(now >= before, "limit %llu: less than with less",
             (unsigned long long)limit);
        seen |= 1 << now;
        before = now;
    }
    MUST(seen == 15, "not each limit was met: %d", seen);
    MUST(how_far(0) == 3, "the memory of the machine is no limit here");
}

static void check_limits(void)
{
    check_reach(reach);
    check_reach(reach_logits);
    repeats = 2;
    for (size_t i = 0; i < ARCHS; i++) {
        limited = seed_of(archs[i]);
        check_reach(reach);
    }
}

static const struct {
    void (*run)(void);
    const char *name;
} jobs[] = {{job_words, "words"},       {job_random, "random"},
            {job_sessions, "sessions"}, {job_retention, "retention"},
            {job_like, "like"},         {job_prompt, "prompt"},
            {job_convert, "convert"},   {job_convert_gemma, "convert gemma"},
            {job_quantize, "quantize"}};

int main(void)
{
    const char *data = getenv("CLSA_TEST_DATA");
    tests = data ? data : "tests/data";
    setenv("HWLOC_SYNTHETIC", "pu:1", 1); /* not the machine: it takes long */
    json_set_alloc_funcs(json_malloc, json_free);
    MUST(mkdtemp(folder), "no folder %s", folder);
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        refuse_each(jobs[i].run, jobs[i].name);
    for (size_t i = 0; i < ARCHS; i++) {
        arch = archs[i];
        refuse_each(job_arch, arch);
    }
    check_limits();
    unlink(in_folder("s"));
    unlink(in_folder("out"));
    rmdir(folder);
    return 0;
}
