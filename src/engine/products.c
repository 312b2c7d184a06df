/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles, the budget of converted weights, and the products themselves. */
#include <stdatomic.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/products.h"

#define ROWS CLSA_PRODUCT_ROWS

/* Columns multiplied at once: 64 << 0..SHAPES-1. More than 64 for int8 only. */
enum { LEAST = 64, SHAPES = 4, WIDTHS = 4, MOST = LEAST << (SHAPES - 1) };

/* A number of columns of W, with a product for each number of columns of x. */
struct width {
    size_t k, bytes; /* of a tile of W in oneDNN's form */
    struct clsa_gemm *gemm[SHAPES];
};

/* Scales and corrections of a tile, for int8. */
struct tile_rows {
    float scale[ROWS];
    int32_t minus[ROWS]; /* what 128 in place of 0 adds to the row */
};

/* A matrix and its tiles: NULL where the budget has no room. */
struct pack {
    const struct clsa_matrix *w;
    struct tile_rows *rows;
    unsigned char *tiles;
};

/* Memory of a thread. */
struct bench {
    float *row;           /* [most k] */
    unsigned char *plain; /* [ROWS][most k] values */
    unsigned char *tile;  /* one tile in oneDNN's form */
    struct tile_rows rows;
    void *out; /* [MOST][ROWS] floats or int32 */
};

struct clsa_products {
    enum clsa_gemm_type type;
    const struct clsa_simd *simd;
    unsigned threads;
    struct clsa_budget *room; /* of the model's memory */
    size_t n, budget, spent, bytes;
    size_t most_k, most_bytes; /* of any width */
    float limit;               /* largest |w| of int8 */
    struct width width[WIDTHS];
    struct pack *packs;
    size_t pack_count, packed; /* of them looked at */
    bool cross;
    struct bench *benches; /* [threads] */
    unsigned char *form;   /* [n][k] values, n filled up to LEAST */
    float *scale;          /* [n] of the columns */
    void *block;           /* form, scale and benches' memory */
    size_t block_bytes;
    atomic_bool failed;
};

/* ------------------------------------------------------------------- paths */

static const char *const names[] = {"f32", "bf16", "int8", "own"};

const char *clsa_path_name(enum clsa_path path)
{
    return names[path];
}

static bool is_fast(enum clsa_path path)
{
    return path == CLSA_PATH_OWN || clsa_gemm_fast((enum clsa_gemm_type)path);
}

/* Weights keep the precision that they are stored with, as far as the CPU is
   good at it. */
static enum clsa_path best_path(const struct clsa_model *model)
{
    enum clsa_path path = CLSA_PATH_INT8;
    if (strcmp(model->simd->name, "ref") == 0)
        return CLSA_PATH_OWN;
    switch (model->weights.layers[0].up.format) {
    case CLSA_F32:
        path = CLSA_PATH_F32;
        break;
    case CLSA_F16:
    case CLSA_BF16:
        if (is_fast(CLSA_PATH_BF16))
            path = CLSA_PATH_BF16;
        break;
    default:
        break;
    }
    return is_fast(path) ? path : CLSA_PATH_OWN;
}

clsa_status clsa_path_parse(enum clsa_path *path, const char *name,
                            const struct clsa_model *model, clsa_error *error)
{
    if (!name || strcmp(name, "auto") == 0) {
        *path = best_path(model);
        return CLSA_OK;
    }
    for (int i = 0; i <= CLSA_PATH_OWN; i++)
        if (strcmp(name, names[i]) == 0) {
            if (!is_fast((enum clsa_path)i))
                return clsa_fail(error, CLSA_ERR_UNSUPPORTED,
                                 "option prefill: %s needs oneDNN in this "
                                 "build and a CPU that is fast at it; use "
                                 "auto or own",
                                 name);
            *path = (enum clsa_path)i;
            return CLSA_OK;
        }
    return clsa_fail(error, CLSA_ERR_ARGUMENT,
                     "option prefill: '%s' is none of auto, own, f32, bf16, "
                     "int8",
                     name);
}

/* ------------------------------------------------------------------ widths */

static const struct width *width_of(const struct clsa_products *p, size_t k)
{
    const struct width *width = p->width;
    while (width->k != k)
        width++;
    return width;
}

static clsa_status add_width(struct clsa_products *p, size_t k,
                             clsa_error *error)
{
    struct width *w = p->width;
    int shapes = p->type == CLSA_GEMM_INT8 ? SHAPES : 1;
    while (w->k && w->k != k)
        w++;
    w->k = k;
    for (int i = 0; i < shapes; i++) {
        if (w->gemm[i])
            continue;
        w->gemm[i] =
            clsa_gemm_open(p->type, (size_t)LEAST << i, ROWS, k, p->threads, 1);
        if (!w->gemm[i])
            return clsa_fail(error, CLSA_ERR_MEMORY,
                             "oneDNN refuses a product of %zu values: use "
                             "the option prefill with own",
                             k);
        if (p->limit > (float)clsa_gemm_limit(w->gemm[i]))
            p->limit = (float)clsa_gemm_limit(w->gemm[i]);
    }
    w->bytes = clsa_round_up(clsa_gemm_bytes(w->gemm[0]), CLSA_CACHE_LINE);
    p->most_k = p->most_k > k ? p->most_k : k;
    p->most_bytes = p->most_bytes > w->bytes ? p->most_bytes : w->bytes;
    return CLSA_OK;
}

static clsa_status add_widths(struct clsa_products *p,
                              const struct clsa_hparams *hp, clsa_error *error)
{
    CLSA_TRY(add_width(p, hp->d, error));
    CLSA_TRY(add_width(p, hp->f, error));
    CLSA_TRY(add_width(p, (size_t)hp->self.h * hp->self.e, error));
    return add_width(p, (size_t)hp->cross.h * hp->cross.e, error);
}

/* ----------------------------------------------------------------- memory */

/* The next piece of the block; counts only while that is NULL. */
static void *take(const struct clsa_products *p, size_t *used, size_t size)
{
    size_t at = *used;
    *used += clsa_round_up(size, CLSA_CACHE_LINE);
    return p->block ? (char *)p->block + at : NULL;
}

/* Cuts the block, or counts its bytes. */
static size_t lay_out(struct clsa_products *p)
{
    size_t used = 0;
    size_t n = clsa_round_up(p->n, LEAST), size = clsa_gemm_size(p->type);
    p->form = take(p, &used, n * p->most_k * size);
    p->scale = take(p, &used, n * sizeof(float));
    for (unsigned i = 0; i < p->threads; i++) {
        struct bench *b = &p->benches[i];
        b->row = take(p, &used, p->most_k * sizeof(float));
        b->plain = take(p, &used, ROWS * p->most_k * size);
        b->tile = take(p, &used, p->most_bytes);
        b->out = take(p, &used, (size_t)MOST * ROWS * sizeof(float));
    }
    return used;
}

static void close_block(struct clsa_products *p)
{
    clsa_mem_unmap(p->block, p->block_bytes);
    clsa_budget_give(p->room, p->block_bytes);
    p->block = NULL;
    p->block_bytes = 0;
}

static clsa_status open_block(struct clsa_products *p, size_t n,
                              clsa_error *error)
{
    if (n <= p->n)
        return CLSA_OK;
    close_block(p);
    p->n = n;
    size_t bytes = lay_out(p);
    clsa_status status =
        clsa_budget_take(p->room, bytes, "products of a prompt", error);
    if (!status && !(p->block = clsa_mem_map(bytes))) {
        clsa_budget_give(p->room, bytes);
        status = clsa_fail_memory(error, "products of a prompt", bytes);
    }
    if (status) {
        p->n = 0;
        return status;
    }
    p->block_bytes = bytes;
    lay_out(p);
    return CLSA_OK;
}

static void add_matrix(struct clsa_products *p, const struct clsa_matrix *w)
{
    if (w->data)
        p->packs[p->pack_count++].w = w;
}

static void add_layer(struct clsa_products *p, const struct clsa_layer *l)
{
    const struct clsa_matrix *all[] = {&l->q,    &l->k,      &l->v,
                                       &l->out,  &l->gate_r, &l->decay,
                                       &l->gate, &l->up,     &l->down};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        add_matrix(p, all[i]);
}

/* The matrices in the order in which they get room in the budget. */
static clsa_status list_matrices(struct clsa_products *p,
                                 const struct clsa_model *model, bool cross,
                                 clsa_error *error)
{
    const struct clsa_weights *w = &model->weights;
    const struct clsa_hparams *hp = &model->hp;
    size_t most = 9 * (size_t)hp->layers + 5;
    if (!p->packs) {
        if (!(p->packs = clsa_mem_calloc(most, sizeof *p->packs)))
            return clsa_fail_memory(error, "products of a prompt",
                                    most * sizeof *p->packs);
        for (uint32_t i = 0; i < hp->self_layers; i++)
            add_layer(p, &w->layers[i]);
        add_matrix(p, &w->k);
        add_matrix(p, &w->v);
        add_matrix(p, &w->index_k);
    }
    if (!cross || p->cross)
        return CLSA_OK;
    p->cross = true;
    add_matrix(p, &w->index_q);
    for (uint32_t i = hp->self_layers; i < hp->layers; i++)
        add_layer(p, &w->layers[i]);
    add_matrix(p, &w->output);
    return CLSA_OK;
}

static size_t tiles_of(const struct clsa_matrix *w)
{
    return (w->rows + ROWS - 1) / ROWS;
}

static size_t pack_bytes(const struct clsa_products *p,
                         const struct clsa_matrix *w)
{
    return tiles_of(w) *
           (width_of(p, w->cols)->bytes + sizeof(struct tile_rows));
}

/* ------------------------------------------------------------- conversion */

/* Row `i` of W, or zeros behind the last one, in the type of the product. */
static void convert_row(const struct clsa_products *p, struct bench *b,
                        const struct clsa_matrix *w, size_t i, void *to,
                        float *scale, int32_t *minus)
{
    const char *from =
        (const char *)w->data + i * clsa_format_bytes(w->format, w->cols);
    if (i >= w->rows) {
        memset(to, 0, w->cols * clsa_gemm_size(p->type));
        *scale = 0;
        *minus = 0;
        return;
    }
    if (p->type == CLSA_GEMM_F32) {
        p->simd->load[w->format](to, from, w->cols);
        return;
    }
    p->simd->load[w->format](b->row, from, w->cols);
    if (p->type == CLSA_GEMM_BF16) {
        p->simd->store[CLSA_BF16](to, b->row, w->cols);
        return;
    }
    p->simd->quantize_row(to, scale, b->row, w->cols, p->limit);
    *minus = 0;
    for (size_t j = 0; j < w->cols; j++)
        *minus += 128 * ((const int8_t *)to)[j];
}

static bool convert_tile(const struct clsa_products *p, unsigned worker,
                         const struct clsa_matrix *w, size_t tile, void *to,
                         struct tile_rows *rows)
{
    struct bench *b = &p->benches[worker];
    const size_t bytes = w->cols * clsa_gemm_size(p->type);
    for (size_t i = 0; i < ROWS; i++)
        convert_row(p, b, w, tile * ROWS + i, b->plain + i * bytes,
                    &rows->scale[i], &rows->minus[i]);
    return clsa_gemm_pack(width_of(p, w->cols)->gemm[0], worker, to,
                          b->plain) == 0;
}

/* All tiles of the packs from p->packed on, shared out. */
static void convert_packs(void *context, struct clsa_worker *worker)
{
    struct clsa_products *p = context;
    size_t unit = 0;
    clsa_gemm_alone();
    for (size_t i = p->packed; i < p->pack_count; i++) {
        const struct pack *pack = &p->packs[i];
        size_t bytes = width_of(p, pack->w->cols)->bytes;
        for (size_t t = 0; pack->tiles && t < tiles_of(pack->w); t++, unit++)
            if (unit % worker->count == worker->id &&
                !convert_tile(p, worker->id, pack->w, t,
                              pack->tiles + t * bytes, &pack->rows[t]))
                p->failed = true;
    }
}

/* Room for the packs that fit. Without memory, or where the limit of the model
   leaves none, there are fewer of them: these
   matrices are converted whenever they are multiplied. */
static void open_packs(struct clsa_products *p)
{
    for (size_t i = p->packed; i < p->pack_count; i++) {
        struct pack *pack = &p->packs[i];
        size_t bytes = pack_bytes(p, pack->w);
        if (bytes > p->budget - p->spent ||
            clsa_budget_take(p->room, bytes, "converted weights", NULL))
            continue;
        if (!(pack->tiles = clsa_mem_map(bytes))) {
            clsa_budget_give(p->room, bytes);
            continue;
        }
        pack->rows =
            (struct tile_rows *)(void *)(pack->tiles +
                                         tiles_of(pack->w) *
                                             width_of(p, pack->w->cols)->bytes);
        p->spent += bytes;
    }
}

void clsa_products_close(struct clsa_products *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->pack_count; i++)
        if (p->packs[i].tiles)
            clsa_mem_unmap(p->packs[i].tiles, pack_bytes(p, p->packs[i].w));
    for (int i = 0; i < WIDTHS; i++)
        for (int j = 0; j < SHAPES; j++)
            clsa_gemm_close(p->width[i].gemm[j]);
    clsa_budget_give(p->room, p->spent);
    close_block(p);
    clsa_mem_free(p->packs);
    clsa_mem_free(p->benches);
    clsa_mem_free(p);
}

static clsa_status open_products(struct clsa_model *model, enum clsa_path path,
                                 clsa_error *error)
{
    struct clsa_products *p = clsa_mem_calloc(1, sizeof *p);
    if (!p)
        return clsa_fail_memory(error, "products of a prompt", sizeof *p);
    p->type = (enum clsa_gemm_type)path;
    p->simd = model->simd;
    p->threads = clsa_team_size(model->team);
    p->budget = model->prefill_memory;
    p->room = &model->budget;
    p->limit = 127;
    p->benches = clsa_mem_calloc(p->threads, sizeof *p->benches);
    clsa_status status =
        p->benches ? add_widths(p, &model->hp, error)
                   : clsa_fail_memory(error, "products of a prompt",
                                      p->threads * sizeof *p->benches);
    if (status) {
        clsa_products_close(p);
        return status;
    }
    model->products = p;
    return CLSA_OK;
}

clsa_status clsa_products_reserve(struct clsa_model *model, enum clsa_path path,
                                  size_t n, bool cross, clsa_error *error)
{
    if (path == CLSA_PATH_OWN)
        return CLSA_OK;
    if (model->products && model->products->type != (enum clsa_gemm_type)path) {
        clsa_products_close(model->products);
        model->products = NULL;
    }
    if (!model->products)
        CLSA_TRY(open_products(model, path, error));
    struct clsa_products *p = model->products;
    CLSA_TRY(open_block(p, n, error));
    CLSA_TRY(list_matrices(p, model, cross, error));
    if (p->packed == p->pack_count)
        return CLSA_OK;
    open_packs(p);
    clsa_team_run(model->team, convert_packs, p);
    p->packed = p->pack_count;
    if (!clsa_products_failed(p))
        return CLSA_OK;
    clsa_products_close(p);
    model->products = NULL;
    return clsa_fail(error, CLSA_ERR_MEMORY,
                     "oneDNN has no memory to convert weights with");
}

size_t clsa_products_bytes(const struct clsa_products *p)
{
    return p ? p->spent + p->block_bytes : 0;
}

bool clsa_products_failed(struct clsa_products *p)
{
    return atomic_exchange(&p->failed, false);
}

/* ---------------------------------------------------------------- products */

void clsa_product_form(const struct clsa_act *x, size_t c)
{
    const struct clsa_products *p = x->form;
    unsigned char *to = p->form + c * x->len * clsa_gemm_size(p->type);
    const float *from = x->x + c * x->ldx;
    switch (p->type) {
    case CLSA_GEMM_F32:
        memcpy(to, from, x->len * sizeof *from);
        break;
    case CLSA_GEMM_BF16:
        p->simd->store[CLSA_BF16](to, from, x->len);
        break;
    default:
        p->simd->quantize_row((int8_t *)to, &p->scale[c], from, x->len, 127);
        for (size_t i = 0; i < x->len; i++)
            to[i] ^= 0x80; /* 128 is 0 */
    }
}

/* A piece of a product: columns and rows of y. */
struct piece {
    size_t column, columns, row, rows;
    const unsigned char *tile;
    const struct tile_rows *by;
};

/* The floats or integers of a piece to where they belong. */
static void deliver(const struct clsa_products *p, const void *out,
                    const struct piece *t, float *y, size_t ldy, bool add)
{
    const float *from = out;
    y += t->column * ldy + t->row;
    if (p->type == CLSA_GEMM_INT8) {
        p->simd->rescale(y, ldy, out, ROWS, t->columns, t->rows,
                         p->scale + t->column, t->by->scale, t->by->minus, add);
        return;
    }
    for (size_t c = 0; c < t->columns; c++, y += ldy, from += ROWS)
        if (add)
            p->simd->add(y, from, t->rows);
        else
            memcpy(y, from, t->rows * sizeof *y);
}

/* A tile of W times columns of x, as many at once as there is a product for. */
static void multiply(struct clsa_products *p, unsigned worker,
                     const struct clsa_act *x, struct piece t, float *y,
                     size_t ldy, bool add)
{
    const struct width *width = width_of(p, x->len);
    void *out = p->benches[worker].out;
    size_t end = t.column + t.columns;
    for (; t.column < end; t.column += t.columns) {
        size_t left = end - t.column;
        int shape = SHAPES - 1;
        while (shape && (!width->gemm[shape] || (size_t)LEAST << shape > left))
            shape--;
        t.columns =
            (size_t)LEAST << shape < left ? (size_t)LEAST << shape : left;
        if (clsa_gemm_run(width->gemm[shape], worker, out,
                          p->form + t.column * x->len * clsa_gemm_size(p->type),
                          t.tile))
            p->failed = true;
        deliver(p, out, &t, y, ldy, add);
    }
}

static const struct pack *find_pack(const struct clsa_products *p,
                                    const struct clsa_matrix *w)
{
    for (size_t i = 0; i < p->packed; i++)
        if (p->packs[i].w == w)
            return p->packs[i].tiles ? &p->packs[i] : NULL;
    return NULL;
}

/* Columns of a unit of work: all of them, or fewer where W has few tiles. */
static size_t unit_columns(const struct clsa_worker *worker, size_t tiles,
                           size_t n)
{
    size_t parts = (4 * (size_t)worker->count + tiles - 1) / tiles;
    if (worker->count == 1 || tiles % worker->count == 0)
        parts = 1;
    return clsa_round_up((n + parts - 1) / parts, LEAST);
}

void clsa_product(const struct clsa_worker *worker, const struct clsa_matrix *w,
                  const struct clsa_act *x, float *y, size_t ldy, bool add)
{
    struct clsa_products *p = x->form;
    struct bench *b = &p->benches[worker->id];
    const struct pack *pack = find_pack(p, w);
    const size_t tiles = tiles_of(w), bytes = width_of(p, w->cols)->bytes;
    const size_t each = unit_columns(worker, tiles, x->n);
    const size_t parts = (x->n + each - 1) / each;
    size_t begin, end, there = SIZE_MAX; /* the tile converted last */
    clsa_share(worker, tiles * parts, &begin, &end);
    for (size_t i = begin; i < end; i++) {
        size_t tile = i / parts, column = i % parts * each;
        struct piece t = {
            .column = column,
            .columns = x->n - column < each ? x->n - column : each,
            .row = tile * ROWS,
            .rows = w->rows - tile * ROWS < ROWS ? w->rows - tile * ROWS : ROWS,
            .tile = pack ? pack->tiles + tile * bytes : b->tile,
            .by = pack ? &pack->rows[tile] : &b->rows,
        };
        if (!pack && tile != there &&
            !convert_tile(p, worker->id, w, tile, b->tile, &b->rows))
            p->failed = true;
        there = tile;
        multiply(p, worker->id, x, t, y, ldy, add);
    }
}
