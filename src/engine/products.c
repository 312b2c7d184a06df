/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles, the budget of converted weights, and the products themselves. */
#include <stdatomic.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/engine/products.h"
#include "src/engine/tiles.h"

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
    void *out;        /* [MOST][ROWS] floats or int32 */
    float *gate, *up; /* [MOST][ROWS] */
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
    struct clsa_tiles *tiles;
    unsigned char *form; /* [n][k] values, n filled up to LEAST */
    float *scale;        /* [n] of the columns */
    void *block;         /* form, scale and benches' memory */
    size_t block_bytes;
    atomic_bool failed;
};

/* ------------------------------------------------------------------ widths */

static const struct width *width_of(const struct clsa_products *p, size_t k)
{
    const struct width *width = p->width;
    while (width->k != k)
        width++;
    return width;
}

struct clsa_gemm *clsa_product_open(enum clsa_gemm_type type, size_t m,
                                    size_t n, size_t k,
                                    enum clsa_gemm_order order,
                                    unsigned threads, clsa_error *error)
{
    struct clsa_gemm *gemm = clsa_gemm_open(type, m, n, k, order, threads, 1);
    if (!gemm)
        clsa_fail(error, CLSA_ERR_MEMORY,
                  "oneDNN refuses a product of %zu values: use the option "
                  "prefill with own",
                  k);
    return gemm;
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
        w->gemm[i] = clsa_product_open(p->type, (size_t)LEAST << i, ROWS, k,
                                       CLSA_GEMM_ROWS, p->threads, error);
        if (!w->gemm[i])
            return CLSA_ERR_MEMORY;
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

/* Cuts the block, or counts its bytes. */
static size_t lay_out(struct clsa_products *p)
{
    struct clsa_carver c = {p->block, 0};
    const size_t n = clsa_round_up(p->n, LEAST), f4 = sizeof(float);
    const size_t size = clsa_gemm_size(p->type);
    p->form = clsa_carve(&c, n * p->most_k, size);
    p->scale = clsa_carve(&c, n, f4);
    for (unsigned i = 0; i < p->threads; i++) {
        struct bench *b = &p->benches[i];
        b->row = clsa_carve(&c, p->most_k, f4);
        b->plain = clsa_carve(&c, ROWS * p->most_k, size);
        b->tile = clsa_carve(&c, p->most_bytes, 1);
        b->out = clsa_carve(&c, (size_t)MOST * ROWS, f4);
        b->gate = clsa_carve(&c, (size_t)MOST * ROWS, f4);
        b->up = clsa_carve(&c, (size_t)MOST * ROWS, f4);
    }
    return c.used;
}

static void close_block(struct clsa_products *p)
{
    clsa_budget_unmap(p->room, p->block, p->block_bytes);
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
    p->block = clsa_budget_map(p->room, bytes, "products of a prompt", error);
    if (!p->block) {
        p->n = 0;
        return CLSA_ERR_MEMORY;
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
   leaves none, there are fewer of them: the other matrices are converted
   whenever they are multiplied. */
static void open_packs(struct clsa_products *p)
{
    for (size_t i = p->packed; i < p->pack_count; i++) {
        struct pack *pack = &p->packs[i];
        size_t bytes = pack_bytes(p, pack->w);
        if (bytes > p->budget - p->spent)
            continue;
        pack->tiles =
            clsa_budget_map(p->room, bytes, "converted weights", NULL);
        if (!pack->tiles)
            continue;
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
        clsa_budget_unmap(p->room, p->packs[i].tiles,
                          pack_bytes(p, p->packs[i].w));
    for (int i = 0; i < WIDTHS; i++)
        for (int j = 0; j < SHAPES; j++)
            clsa_gemm_close(p->width[i].gemm[j]);
    clsa_tiles_close(p->tiles);
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
    if (!status)
        status = clsa_tiles_open(&p->tiles, model, p->type, error);
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
    return p ? p->spent + p->block_bytes + clsa_tiles_bytes(p->tiles) : 0;
}

struct clsa_tiles *clsa_products_tiles(const struct clsa_products *p)
{
    return p->tiles;
}

void clsa_products_fail(struct clsa_products *p)
{
    p->failed = true;
}

bool clsa_products_failed(struct clsa_products *p)
{
    return atomic_exchange(&p->failed, false);
}

/* ---------------------------------------------------------------- products */

/* 128 in place of 0, eight bytes at a time. */
static void make_unsigned(unsigned char *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight;
        memcpy(&eight, x + i, sizeof eight);
        eight ^= UINT64_C(0x8080808080808080);
        memcpy(x + i, &eight, sizeof eight);
    }
    for (; i < n; i++)
        x[i] ^= 0x80;
}

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
        make_unsigned(to, x->len);
    }
}

/* A piece of a product: columns of x, rows of W. */
struct piece {
    size_t column, columns, row, rows;
    const unsigned char *tile;
    const struct tile_rows *by;
};

/* The floats or integers of a piece to where its y begins. */
static void deliver(const struct clsa_products *p, const void *out,
                    const struct piece *t, float *y, size_t ldy, bool add)
{
    const float *from = out;
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

/* Brings the lines of y nearer that a piece will be written to, while it is
   multiplied: they lie far apart. 5 % of a prompt; behind one product, where
   y is written soon, it costs 3 %. */
static void ask_for(const struct piece *t, const float *y, size_t ldy)
{
    const size_t line = CLSA_CACHE_LINE / sizeof *y;
    for (size_t c = 0; c < t->columns; c++)
        for (size_t i = 0; i < t->rows; i += line)
            __builtin_prefetch(y + c * ldy + i, 1);
}

/* y of a piece, with as many columns at once as there is a product for. */
static void multiply(struct clsa_products *p, unsigned worker,
                     const struct clsa_act *x, struct piece t, float *y,
                     size_t ldy, bool add)
{
    const struct width *width = width_of(p, x->len);
    void *out = p->benches[worker].out;
    size_t end = t.column + t.columns;
    for (; t.column < end; t.column += t.columns, y += t.columns * ldy) {
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

/* The tile of W for a piece: a kept one, or the thread's own, which is made
   anew unless it is `there`, the one made last. */
static void place_tile(struct clsa_products *p, unsigned worker,
                       const struct clsa_matrix *w, struct piece *t,
                       size_t there)
{
    const struct pack *pack = find_pack(p, w);
    const size_t tile = t->row / ROWS;
    struct bench *b = &p->benches[worker];
    t->tile = pack ? pack->tiles + tile * width_of(p, w->cols)->bytes : b->tile;
    t->by = pack ? &pack->rows[tile] : &b->rows;
    if (!pack && tile != there &&
        !convert_tile(p, worker, w, tile, b->tile, &b->rows))
        p->failed = true;
}

/* Units of work: tiles of W by columns of x. */
struct units {
    size_t each, parts; /* columns of a unit, units of a tile */
    size_t begin, end;  /* this worker's */
};

/* All columns, or fewer where W has few tiles; at most `most`. */
static struct units share_units(const struct clsa_worker *worker,
                                const struct clsa_matrix *w, size_t n,
                                size_t most)
{
    const size_t tiles = tiles_of(w);
    struct units u;
    u.parts = (4 * (size_t)worker->count + tiles - 1) / tiles;
    if (worker->count == 1 || tiles % worker->count == 0)
        u.parts = 1;
    u.each = clsa_round_up((n + u.parts - 1) / u.parts, LEAST);
    u.each = u.each < most ? u.each : most;
    u.parts = (n + u.each - 1) / u.each;
    clsa_share(worker, tiles * u.parts, &u.begin, &u.end);
    return u;
}

static struct piece unit_piece(const struct units *u, size_t i,
                               const struct clsa_matrix *w, size_t n)
{
    const size_t row = i / u->parts * ROWS, column = i % u->parts * u->each;
    return (struct piece){.column = column,
                          .columns =
                              n - column < u->each ? n - column : u->each,
                          .row = row,
                          .rows = w->rows - row < ROWS ? w->rows - row : ROWS};
}

void clsa_product(const struct clsa_worker *worker, const struct clsa_matrix *w,
                  const struct clsa_act *x, float *y, size_t ldy, bool add)
{
    struct clsa_products *p = x->form;
    const struct units u = share_units(worker, w, x->n, SIZE_MAX);
    size_t there = SIZE_MAX;
    for (size_t i = u.begin; i < u.end; i++) {
        struct piece t = unit_piece(&u, i, w, x->n);
        place_tile(p, worker->id, w, &t, there);
        there = t.row / ROWS;
        multiply(p, worker->id, x, t, y + t.column * ldy + t.row, ldy, add);
    }
}

void clsa_product_gated(const struct clsa_worker *worker,
                        const struct clsa_matrix *gate,
                        const struct clsa_matrix *up, const struct clsa_act *x,
                        float *y, size_t ldy)
{
    struct clsa_products *p = x->form;
    const struct bench *b = &p->benches[worker->id];
    const struct units u = share_units(worker, gate, x->n, MOST);
    for (size_t i = u.begin; i < u.end; i++) {
        struct piece t = unit_piece(&u, i, gate, x->n);
        float *to = y + t.column * ldy + t.row;
        place_tile(p, worker->id, gate, &t, SIZE_MAX);
        multiply(p, worker->id, x, t, b->gate, ROWS, false);
        ask_for(&t, to, ldy);
        place_tile(p, worker->id, up, &t, SIZE_MAX);
        multiply(p, worker->id, x, t, b->up, ROWS, false);
        for (size_t c = 0; c < t.columns; c++, to += ldy)
            p->simd->silu_mul(to, b->gate + c * ROWS, b->up + c * ROWS, t.rows);
    }
}
