/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gemm: primitives and memory objects of oneDNN. Everything that may allocate
 * is made when a product is opened, one set for each worker, scratchpads
 * included; only what oneDNN allocates inside of a call is its own affair.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "simd/gemm.h"

size_t clsa_gemm_size(enum clsa_gemm_type type)
{
    return type == CLSA_GEMM_F32 ? 4 : type == CLSA_GEMM_BF16 ? 2 : 1;
}

#ifdef HAVE_ONEDNN

#include <dnnl.h>
#include <omp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t desc;
#else
typedef const dnnl_memory_desc_t *desc;
#endif

enum { SRC, WEIGHTS, DST, SCRATCHPAD, OPERANDS };

/* What a thread calls with. */
struct call {
    dnnl_stream_t stream;
    dnnl_memory_t memory[OPERANDS];
    dnnl_memory_t plain; /* w, to be packed */
    void *scratchpad;
};

struct clsa_gemm {
    enum clsa_gemm_type type;
    size_t m, n, k, bytes;
    int limit;
    dnnl_format_tag_t order; /* of w [k][n] before packing */
    unsigned workers;
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t primitive;
    dnnl_primitive_t packing; /* NULL: w is read as it is */
    struct call *call;        /* [workers] */
};

static dnnl_engine_t engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

/* Stays until the process ends, as the tables of simd/ do. Other runtimes than
   OpenMP would bring threads of their own into ours. */
static void open_engine(void)
{
    const dnnl_version_t *version = dnnl_version();
    if (version->cpu_runtime != DNNL_RUNTIME_OMP &&
        version->cpu_runtime != DNNL_RUNTIME_SEQ)
        return;
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        engine = NULL;
}

static int has_engine(void)
{
    pthread_once(&engine_once, open_engine);
    return engine != NULL;
}

static void *map(size_t size, int protection)
{
    void *memory = mmap(NULL, size, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* Asks for what oneDNN asks for, which ends the process if it gets no memory
   for some of its objects. Not remembered: a program may forbid code to itself
   at any time. */
enum clsa_gemm_refusal clsa_gemm_refusal(void)
{
    const size_t room = (size_t)16 << 20;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *memory = map(room, PROT_READ | PROT_WRITE);
    int denied;
    if (!memory)
        return CLSA_GEMM_NO_ROOM;
    denied = mprotect(memory, page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0;
    munmap(memory, room);
    return denied ? CLSA_GEMM_NO_CODE : CLSA_GEMM_ALLOWED;
}

static const struct {
    dnnl_data_type_t src, weights, dst;
} types[CLSA_GEMM_TYPES] = {
    [CLSA_GEMM_F32] = {dnnl_f32, dnnl_f32, dnnl_f32},
    [CLSA_GEMM_BF16] = {dnnl_bf16, dnnl_bf16, dnnl_f32},
    [CLSA_GEMM_INT8] = {dnnl_u8, dnnl_s8, dnnl_s32},
};

/* ------------------------------------------------- versions 2 and 3 differ */

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t owned_desc;

static int make_desc(owned_desc *md, size_t rows, size_t columns,
                     dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    return dnnl_memory_desc_create_with_tag(md, 2, dims, type, tag) ==
           dnnl_success;
}

static desc desc_of(const owned_desc *md)
{
    return *md;
}

static void free_desc(owned_desc *md)
{
    dnnl_memory_desc_destroy(*md);
}

/* Rows of w in another order than a matrix has. */
static int is_blocked(desc md)
{
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    int blocks = 0;
    dnnl_memory_desc_query(md, dnnl_query_format_kind, &kind);
    dnnl_memory_desc_query(md, dnnl_query_inner_nblks_s32, &blocks);
    return kind != dnnl_blocked || blocks > 0;
}

static int make_product(dnnl_primitive_desc_t *pd, const owned_desc md[3],
                        dnnl_primitive_attr_t attributes)
{
    return dnnl_matmul_primitive_desc_create(pd, engine, md[SRC], md[WEIGHTS],
                                             NULL, md[DST],
                                             attributes) == dnnl_success;
}

#else

typedef dnnl_memory_desc_t owned_desc;

static int make_desc(owned_desc *md, size_t rows, size_t columns,
                     dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    return dnnl_memory_desc_init_by_tag(md, 2, dims, type, tag) == dnnl_success;
}

static desc desc_of(const owned_desc *md)
{
    return md;
}

static void free_desc(owned_desc *md)
{
    (void)md;
}

static int is_blocked(desc md)
{
    return md->format_kind != dnnl_blocked ||
           md->format_desc.blocking.inner_nblks > 0;
}

static int make_product(dnnl_primitive_desc_t *pd, const owned_desc md[3],
                        dnnl_primitive_attr_t attributes)
{
    dnnl_matmul_desc_t product;
    return dnnl_matmul_desc_init(&product, &md[SRC], &md[WEIGHTS], NULL,
                                 &md[DST]) == dnnl_success &&
           dnnl_primitive_desc_create(pd, &product, attributes, engine, NULL) ==
               dnnl_success;
}

#endif

/* --------------------------------------------------------------- products */

static int make_attributed(dnnl_primitive_desc_t *pd, const owned_desc md[3])
{
    dnnl_primitive_attr_t attributes;
    int made;
    if (dnnl_primitive_attr_create(&attributes) != dnnl_success)
        return 0;
    made = dnnl_primitive_attr_set_scratchpad_mode(
               attributes, dnnl_scratchpad_mode_user) == dnnl_success &&
           make_product(pd, md, attributes);
    dnnl_primitive_attr_destroy(attributes);
    return made;
}

/* The product whose w is in a form of `tag`. */
static int describe(struct clsa_gemm *g, dnnl_format_tag_t tag)
{
    owned_desc md[3];
    size_t made = 0;
    int done = 0;
    if (make_desc(&md[made], g->m, g->k, types[g->type].src, dnnl_ab) &&
        ++made &&
        make_desc(&md[made], g->k, g->n, types[g->type].weights, tag) &&
        ++made &&
        make_desc(&md[made], g->m, g->n, types[g->type].dst, dnnl_ab) && ++made)
        done = make_attributed(&g->desc, md);
    while (made)
        free_desc(&md[--made]);
    return done;
}

static desc query(const struct clsa_gemm *g, dnnl_query_t what)
{
    return dnnl_primitive_desc_query_md(g->desc, what, 0);
}

static const char *code_name(const struct clsa_gemm *g)
{
    const char *name = "";
    dnnl_primitive_desc_query(g->desc, dnnl_query_impl_info_str, 0, &name);
    return name;
}

/* Slow ones are those without code for the CPU. */
static int is_slow(const struct clsa_gemm *g)
{
    return strncmp(code_name(g), "ref", 3) == 0;
}

static int make_packing(struct clsa_gemm *g)
{
    dnnl_primitive_desc_t pd;
    owned_desc plain;
    int made;
    if (!make_desc(&plain, g->k, g->n, types[g->type].weights, g->order))
        return 0;
    made = dnnl_reorder_primitive_desc_create(&pd, desc_of(&plain), engine,
                                              query(g, dnnl_query_weights_md),
                                              engine, NULL) == dnnl_success;
    free_desc(&plain);
    if (!made)
        return 0;
    made = dnnl_primitive_create(&g->packing, pd) == dnnl_success;
    dnnl_primitive_desc_destroy(pd);
    return made;
}

/* A form of its own where oneDNN has one for w; else w as it is. */
static int make_primitive(struct clsa_gemm *g)
{
    int blocked;
    if (!describe(g, dnnl_format_tag_any))
        return 0;
    blocked = is_blocked(query(g, dnnl_query_weights_md));
    if (!blocked) {
        dnnl_primitive_desc_destroy(g->desc);
        g->desc = NULL;
        if (!describe(g, g->order))
            return 0;
    }
    g->bytes = dnnl_memory_desc_get_size(query(g, dnnl_query_weights_md));
    return (!blocked || make_packing(g)) &&
           dnnl_primitive_create(&g->primitive, g->desc) == dnnl_success;
}

static int make_memory(dnnl_memory_t *memory, desc md, void *data)
{
    return dnnl_memory_create(memory, md, engine, data) == dnnl_success;
}

static int make_call(const struct clsa_gemm *g, struct call *c)
{
    static const dnnl_query_t queries[] = {
        dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    desc pad = query(g, dnnl_query_scratchpad_md);
    size_t size = dnnl_memory_desc_get_size(pad);
    owned_desc plain;
    int made;
    c->scratchpad = aligned_alloc(64, (size + 64) / 64 * 64);
    if (!c->scratchpad ||
        dnnl_stream_create(&c->stream, engine, dnnl_stream_default_flags) !=
            dnnl_success ||
        !make_memory(&c->memory[SCRATCHPAD], pad, c->scratchpad) ||
        !make_desc(&plain, g->k, g->n, types[g->type].weights, g->order))
        return 0;
    made = make_memory(&c->plain, desc_of(&plain), DNNL_MEMORY_NONE);
    free_desc(&plain);
    for (int i = SRC; i <= DST; i++)
        made = made && make_memory(&c->memory[i], query(g, queries[i]),
                                   DNNL_MEMORY_NONE);
    return made;
}

static void free_call(struct call *c)
{
    for (int i = 0; i < OPERANDS; i++)
        if (c->memory[i])
            dnnl_memory_destroy(c->memory[i]);
    if (c->plain)
        dnnl_memory_destroy(c->plain);
    if (c->stream)
        dnnl_stream_destroy(c->stream);
    free(c->scratchpad);
}

void clsa_gemm_close(struct clsa_gemm *g)
{
    if (!g)
        return;
    for (unsigned i = 0; g->call && i < g->workers; i++)
        free_call(&g->call[i]);
    free(g->call);
    if (g->packing)
        dnnl_primitive_destroy(g->packing);
    if (g->primitive)
        dnnl_primitive_destroy(g->primitive);
    if (g->desc)
        dnnl_primitive_desc_destroy(g->desc);
    free(g);
}

/* A product of equal bytes, y [m][n]. The first call makes more code for some
   types, and ends the process if it gets no memory: it is made here, where
   there has just been room for it. */
static int try_product(struct clsa_gemm *g, int x_byte, int w_byte, void *y)
{
    const size_t size = clsa_gemm_size(g->type);
    void *x = malloc(g->m * g->k * size), *w = malloc(g->n * g->k * size);
    void *packed = malloc(g->bytes);
    int done = x && w && packed;
    if (done) {
        memset(x, x_byte, g->m * g->k * size);
        memset(w, w_byte, g->n * g->k * size);
        done = clsa_gemm_pack(g, 0, packed, w) == 0 &&
               clsa_gemm_run(g, 0, y, x, packed) == 0;
    }
    free(x);
    free(w);
    free(packed);
    return done;
}

/* int8: 255 * 127 everywhere, sums of two of them need 17 bits; else zeros. */
static int find_limit(struct clsa_gemm *g)
{
    const int int8 = g->type == CLSA_GEMM_INT8;
    const int32_t want = (int32_t)g->k * 255 * 127;
    int32_t *y = malloc(g->m * g->n * sizeof *y); /* floats are as large */
    const int done = y && try_product(g, int8 ? 255 : 0, int8 ? 127 : 0, y);
    g->limit = 127;
    for (size_t i = 0; done && int8 && i < g->m * g->n; i++)
        if (y[i] != want)
            g->limit = 64;
    free(y);
    return done;
}

static int make_all(struct clsa_gemm *g)
{
    if (!make_primitive(g))
        return 0;
    g->call = calloc(g->workers, sizeof *g->call);
    if (!g->call)
        return 0;
    for (unsigned i = 0; i < g->workers; i++)
        if (!make_call(g, &g->call[i]))
            return 0;
    return find_limit(g);
}

struct clsa_gemm *clsa_gemm_open(enum clsa_gemm_type type, size_t m, size_t n,
                                 size_t k, enum clsa_gemm_order order,
                                 unsigned workers, unsigned threads)
{
    const int possible =
        clsa_gemm_refusal() == CLSA_GEMM_ALLOWED && has_engine();
    struct clsa_gemm *g = possible ? calloc(1, sizeof *g) : NULL;
    int made = 0;
    if (!g)
        return NULL;
    *g =
        (struct clsa_gemm){.type = type,
                           .m = m,
                           .n = n,
                           .k = k,
                           .order = order == CLSA_GEMM_ROWS ? dnnl_ba : dnnl_ab,
                           .workers = workers};
    /* oneDNN takes the number of threads from the region that makes it; a
       region of its own leaves the caller's number as it is. */
#pragma omp parallel num_threads(1)
    {
        omp_set_num_threads((int)threads);
        made = make_all(g);
    }
    if (made)
        return g;
    clsa_gemm_close(g);
    return NULL;
}

int clsa_gemm_limit(const struct clsa_gemm *gemm)
{
    return gemm->limit;
}

size_t clsa_gemm_bytes(const struct clsa_gemm *gemm)
{
    return gemm->bytes;
}

/* oneDNN takes pointers to what it only reads without const. */
static void *readable(const void *p)
{
    return (void *)(uintptr_t)p;
}

int clsa_gemm_pack(const struct clsa_gemm *g, unsigned worker, void *to,
                   const void *w)
{
    struct call *c = &g->call[worker];
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, c->plain},
                                         {DNNL_ARG_TO, c->memory[WEIGHTS]}};
    if (!g->packing) {
        memcpy(to, w, g->bytes);
        return 0;
    }
    dnnl_memory_set_data_handle(c->plain, readable(w));
    dnnl_memory_set_data_handle(c->memory[WEIGHTS], to);
    return dnnl_primitive_execute(g->packing, c->stream, 2, arguments) ==
                   dnnl_success
               ? 0
               : -1;
}

int clsa_gemm_run(const struct clsa_gemm *g, unsigned worker, void *y,
                  const void *x, const void *w)
{
    struct call *c = &g->call[worker];
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, c->memory[SRC]},
        {DNNL_ARG_WEIGHTS, c->memory[WEIGHTS]},
        {DNNL_ARG_DST, c->memory[DST]},
        {DNNL_ARG_SCRATCHPAD, c->memory[SCRATCHPAD]}};
    dnnl_memory_set_data_handle(c->memory[SRC], readable(x));
    dnnl_memory_set_data_handle(c->memory[WEIGHTS], readable(w));
    dnnl_memory_set_data_handle(c->memory[DST], y);
    return dnnl_primitive_execute(g->primitive, c->stream, OPERANDS,
                                  arguments) == dnnl_success
               ? 0
               : -1;
}

void clsa_gemm_alone(void)
{
    omp_set_num_threads(1);
}

int clsa_gemm_fast(enum clsa_gemm_type type)
{
#if defined(__x86_64__)
    struct clsa_gemm *g;
    int fast;
    if (!has_engine() || !__builtin_cpu_supports("avx2"))
        return 0;
    g = clsa_gemm_open(type, 64, 64, 64, CLSA_GEMM_ROWS, 1, 1);
    fast = g && !is_slow(g);
    clsa_gemm_close(g);
    return fast;
#else
    (void)type; /* there the kernels of simd.h are faster */
    return 0;
#endif
}

int clsa_gemm_tiled_bf16(void)
{
    struct clsa_gemm *g =
        clsa_gemm_open(CLSA_GEMM_BF16, 64, 64, 64, CLSA_GEMM_ROWS, 1, 1);
    int tiled = g && strstr(code_name(g), "amx");
    clsa_gemm_close(g);
    return tiled;
}

#else /* without oneDNN */

enum clsa_gemm_refusal clsa_gemm_refusal(void)
{
    return CLSA_GEMM_ALLOWED;
}

int clsa_gemm_tiled_bf16(void)
{
    return 0;
}

int clsa_gemm_fast(enum clsa_gemm_type type)
{
    (void)type;
    return 0;
}

struct clsa_gemm *clsa_gemm_open(enum clsa_gemm_type type, size_t m, size_t n,
                                 size_t k, enum clsa_gemm_order order,
                                 unsigned workers, unsigned threads)
{
    (void)type, (void)m, (void)n, (void)k, (void)order;
    (void)workers, (void)threads;
    return NULL;
}

void clsa_gemm_close(struct clsa_gemm *gemm)
{
    (void)gemm;
}

int clsa_gemm_limit(const struct clsa_gemm *gemm)
{
    (void)gemm;
    return 0;
}

size_t clsa_gemm_bytes(const struct clsa_gemm *gemm)
{
    (void)gemm;
    return 0;
}

int clsa_gemm_pack(const struct clsa_gemm *gemm, unsigned worker, void *to,
                   const void *w)
{
    (void)gemm, (void)worker, (void)to, (void)w;
    return -1;
}

int clsa_gemm_run(const struct clsa_gemm *gemm, unsigned worker, void *y,
                  const void *x, const void *w)
{
    (void)gemm, (void)worker, (void)y, (void)x, (void)w;
    return -1;
}

void clsa_gemm_alone(void)
{
}

#endif
