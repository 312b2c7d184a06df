/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_file: saving and loading of sessions. All numbers little-endian, as
 * on every CPU that this library runs on.
 *
 *   header     struct header
 *   tokens     [length] i32
 *   logits     [vocab] f32, rows [last_count] u32   where there are logits
 *   layer rows per layer their number and rows, u32   where layers choose
 *   windows    [S][2][g][kept][e] f32
 *   retention  [S][h] states of retention.h   instead of windows
 *   policy     what it keeps besides the cache, or in place of it (h2o)
 *   cache      per page: K/V rows, index keys, scales of the rows in use
 *   checksum   XXH3-64 of everything before it
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/mem.h"
#include "src/base/out.h"
#include "src/engine/step.h"

#define VERSION 1

struct header {
    char magic[8]; /* "CLSASESS" */
    uint32_t version;
    uint32_t kv_type, index_type;
    uint32_t has_logits;
    uint64_t fingerprint;
    uint64_t length;
    uint64_t window_first; /* first position kept in the windows */
    uint64_t window_exact;
    uint64_t last_count; /* rows of the last token; UINT64_MAX: every row */
    char attention[32];
};

/* A file that is written or read with a running checksum. */
struct clsa_stream {
    FILE *file;
    XXH3_state_t *hash;
    const char *path;
    clsa_error *error;
    bool writing;
};

clsa_status clsa_stream_transfer(struct clsa_stream *s, void *data, size_t size)
{
    size_t n = s->writing ? fwrite(data, 1, size, s->file)
                          : fread(data, 1, size, s->file);
    if (n != size && (s->writing || ferror(s->file)))
        return clsa_fail_io(s->error, "%s: cannot %s the session", s->path,
                            s->writing ? "write" : "read");
    if (n != size)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: the session file is cut off; remove it or use "
                         "another",
                         s->path);
    XXH3_64bits_update(s->hash, data, size);
    return CLSA_OK;
}

bool clsa_stream_writes(const struct clsa_stream *s)
{
    return s->writing;
}

clsa_status clsa_stream_damaged(const struct clsa_stream *s)
{
    return clsa_fail(
        s->error, CLSA_ERR_FORMAT,
        "%s: the session file is damaged; remove it or use another", s->path);
}

/* The windows: what a continuation looks back at, in order. */
static clsa_status transfer_window(struct clsa_stream *s, struct clsa_window *w,
                                   uint64_t first)
{
    size_t bytes = (size_t)(w->end - first) * w->e * sizeof(float);
    for (uint32_t layer = 0; layer < w->layers; layer++)
        for (int v = 0; v < 2; v++)
            for (uint32_t head = 0; head < w->g; head++)
                CLSA_TRY(clsa_stream_transfer(
                    s, clsa_window_row(w, layer, v, head, first - w->base),
                    bytes));
    return CLSA_OK;
}

static clsa_status transfer_cache(struct clsa_stream *s,
                                  struct clsa_cache *cache, uint64_t length)
{
    const struct clsa_cache_layout *l = &cache->layout;
    for (uint64_t row = 0; row < length; row += CLSA_PAGE_ROWS) {
        unsigned char *page = clsa_cache_page(cache, row / CLSA_PAGE_ROWS);
        size_t n = length - row < CLSA_PAGE_ROWS ? (size_t)(length - row)
                                                 : CLSA_PAGE_ROWS;
        CLSA_TRY(clsa_stream_transfer(s, page, n * l->row_bytes));
        CLSA_TRY(clsa_stream_transfer(s, page + l->keys_at, n * l->key_bytes));
        if (l->page_bytes > l->scales_at)
            CLSA_TRY(clsa_stream_transfer(s, page + l->scales_at,
                                          n * sizeof(float)));
    }
    return CLSA_OK;
}

static clsa_status transfer_layer_rows(struct clsa_stream *s,
                                       struct clsa_session *ses)
{
    const size_t slots = clsa_session_slots(ses);
    const struct clsa_hparams *hp = &ses->model->hp;
    for (uint32_t i = 0; i < hp->layers - hp->self_layers; i++) {
        CLSA_TRY(clsa_stream_transfer(s, &ses->layer_count[i],
                                      sizeof *ses->layer_count));
        if (ses->layer_count[i] > slots)
            return clsa_stream_damaged(s);
        CLSA_TRY(clsa_stream_transfer(s, ses->layer_rows + i * slots,
                                      ses->layer_count[i] *
                                          sizeof *ses->layer_rows));
    }
    return CLSA_OK;
}

/* Everything between header and checksum; the session has its lengths. */
static clsa_status transfer_state(struct clsa_stream *s,
                                  struct clsa_session *ses,
                                  const struct header *h)
{
    CLSA_TRY(
        clsa_stream_transfer(s, ses->tokens, h->length * sizeof *ses->tokens));
    if (h->has_logits) {
        CLSA_TRY(clsa_stream_transfer(
            s, ses->logits, ses->model->hp.vocab * sizeof *ses->logits));
        if (h->last_count != UINT64_MAX)
            CLSA_TRY(clsa_stream_transfer(
                s, ses->last_rows, h->last_count * sizeof *ses->last_rows));
        if (ses->layer_rows)
            CLSA_TRY(transfer_layer_rows(s, ses));
    }
    CLSA_TRY(transfer_window(s, &ses->window, h->window_first));
    if (ses->retention.layers)
        CLSA_TRY(clsa_stream_transfer(s, ses->retention.state,
                                      ses->retention.bytes));
    if (ses->policy.type->transfer)
        CLSA_TRY(ses->policy.type->transfer(ses, s));
    if (clsa_session_streams(ses))
        return CLSA_OK;
    return transfer_cache(s, &ses->cache, h->length);
}

static struct header header_of(const struct clsa_session *s)
{
    struct header h = {
        .magic = "CLSASESS",
        .version = VERSION,
        .kv_type = (uint32_t)s->kv_type,
        .index_type = (uint32_t)s->index_type,
        .has_logits = s->has_logits,
        .fingerprint = clsa_model_fingerprint(s->model),
        .length = s->length,
        .window_first = clsa_window_first(&s->window, s->window.end),
        .window_exact = s->window.exact,
        .last_count = s->last_rows ? s->last_count : UINT64_MAX,
    };
    memcpy(h.attention, s->attention, sizeof h.attention);
    return h;
}

static clsa_status write_all(struct clsa_stream *s,
                             const struct clsa_session *session)
{
    struct header h = header_of(session);
    struct clsa_session state = *session; /* transfer takes it writable */
    CLSA_TRY(clsa_stream_transfer(s, &h, sizeof h));
    CLSA_TRY(transfer_state(s, &state, &h));
    uint64_t sum = XXH3_64bits_digest(s->hash);
    return clsa_stream_transfer(s, &sum, sizeof sum);
}

static clsa_status stream_open(struct clsa_stream *s, FILE *file,
                               const char *path, bool writing,
                               clsa_error *error)
{
    *s = (struct clsa_stream){.file = file,
                              .hash = XXH3_createState(),
                              .path = path,
                              .error = error,
                              .writing = writing};
    if (!s->hash)
        return clsa_fail_memory(error, "a checksum", 512);
    XXH3_64bits_reset(s->hash);
    return CLSA_OK;
}

clsa_status clsa_session_save(const clsa_session *session, const char *path,
                              clsa_error *error)
{
    struct clsa_out out;
    struct clsa_stream s;
    CLSA_TRY(clsa_out_open(&out, path, error));
    clsa_status status = stream_open(&s, out.file, path, true, error);
    if (!status)
        status = write_all(&s, session);
    if (!status)
        status = clsa_out_close(&out, error);
    if (!status)
        status = clsa_out_rename(&out, error);
    clsa_out_free(&out);
    XXH3_freeState(s.hash);
    return status;
}

static clsa_status mismatch(const struct clsa_stream *s, const char *what,
                            const char *has, const char *wants)
{
    return clsa_fail(s->error, CLSA_ERR_MISMATCH,
                     "%s: the session was made with %s %s, not %s; use the "
                     "same or another session file",
                     s->path, what, has, wants);
}

static const char *type_text(uint32_t type)
{
    const char *name = clsa_type_name((clsa_type)type);
    return name ? name : "unknown";
}

/* Refuses what does not belong to this model and these options. */
static clsa_status check_header(const struct clsa_stream *s, struct header *h,
                                struct clsa_session *session)
{
    if (memcmp(h->magic, "CLSASESS", sizeof h->magic))
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: this is no session file; use another name",
                         s->path);
    if (h->version != VERSION)
        return clsa_fail(s->error, CLSA_ERR_UNSUPPORTED,
                         "%s: session file version %u, but this library reads "
                         "%d; use another session file",
                         s->path, h->version, VERSION);
    if (h->fingerprint != clsa_model_fingerprint(session->model))
        return mismatch(s, "another", "model", "this one");
    if (h->kv_type != (uint32_t)session->kv_type)
        return mismatch(s, "cache type", type_text(h->kv_type),
                        type_text((uint32_t)session->kv_type));
    if (h->index_type != (uint32_t)session->index_type)
        return mismatch(s, "index type", type_text(h->index_type),
                        type_text((uint32_t)session->index_type));
    h->attention[sizeof h->attention - 1] = 0;
    if (strcmp(h->attention, session->attention))
        return mismatch(s, "attention", h->attention, session->attention);
    if (h->length > session->context)
        return clsa_fail(s->error, CLSA_ERR_FULL,
                         "%s: the session has %" PRIu64
                         " tokens, the context holds %" PRIu64
                         "; open it with a larger context",
                         s->path, h->length, session->context);
    return CLSA_OK;
}

/* Bounds of what the header says about sizes inside of the session. */
static bool header_fits(const struct header *h, const struct clsa_session *s)
{
    uint64_t most = h->length < s->window.size ? h->length : s->window.size - 1;
    bool dense = s->policy.rows == 0;
    return h->has_logits <= 1 && h->window_first <= h->length &&
           h->length - h->window_first <= most &&
           h->window_exact <= h->length &&
           (dense ? h->last_count == UINT64_MAX
                  : h->last_count == UINT64_MAX ||
                        h->last_count <= clsa_session_slots(s)) &&
           (!h->has_logits || dense || h->last_count != UINT64_MAX);
}

/* Rows have to be ascending and there; ids in the vocabulary. */
static bool state_is_sane(const struct clsa_session *s, const struct header *h)
{
    for (uint64_t i = 0; i < h->length; i++)
        if (s->tokens[i] < 0 || (uint32_t)s->tokens[i] >= s->model->hp.vocab)
            return false;
    for (uint64_t i = 0; s->last_rows && i < h->last_count; i++)
        if (s->last_rows[i] >= h->length ||
            (i && s->last_rows[i] <= s->last_rows[i - 1]))
            return false;
    return true;
}

/*
 * Whether the checksum holds, of a file whose header has been read. What the
 * header says is a reason to refuse a whole file only: a damaged one says
 * anything.
 */
static bool is_whole(struct clsa_stream *s)
{
    unsigned char block[4096 + sizeof(uint64_t)];
    size_t kept = 0, n;
    uint64_t sum;
    while ((n = fread(block + kept, 1, sizeof block - kept, s->file)) > 0) {
        kept += n;
        n = kept > sizeof sum ? kept - sizeof sum : 0;
        XXH3_64bits_update(s->hash, block, n);
        kept -= n;
        memmove(block, block + n, kept);
    }
    memcpy(&sum, block, sizeof sum);
    return kept == sizeof sum && sum == XXH3_64bits_digest(s->hash);
}

static clsa_status read_header(struct clsa_stream *s, struct header *h,
                               struct clsa_session *session)
{
    CLSA_TRY(clsa_stream_transfer(s, h, sizeof *h));
    clsa_status status = check_header(s, h, session);
    if (status == CLSA_ERR_MISMATCH || status == CLSA_ERR_FULL)
        return is_whole(s) ? status : clsa_stream_damaged(s);
    if (!status && !header_fits(h, session))
        return clsa_stream_damaged(s);
    return status;
}

static clsa_status read_all(struct clsa_stream *s, struct clsa_session *session)
{
    struct header h;
    uint64_t sum, expected;
    CLSA_TRY(read_header(s, &h, session));
    if (clsa_session_streams(session))
        clsa_cache_skip(&session->cache, h.length);
    else
        CLSA_TRY(clsa_cache_reserve(&session->cache, h.length, s->error));
    session->window.base = session->window.exact = h.window_first;
    session->window.end = h.length;
    if (h.has_logits && h.last_count != UINT64_MAX)
        session->last_rows = session->set.next;
    CLSA_TRY(transfer_state(s, session, &h));
    expected = XXH3_64bits_digest(s->hash);
    CLSA_TRY(clsa_stream_transfer(s, &sum, sizeof sum));
    if (sum != expected || fgetc(s->file) != EOF || !state_is_sane(session, &h))
        return clsa_stream_damaged(s);
    if (h.window_exact > h.window_first)
        session->window.exact = h.window_exact;
    session->length = session->cache.length = h.length;
    session->has_logits = h.has_logits;
    if (session->last_rows && clsa_session_streams(session)) {
        session->last_rows = session->set.rows;
        session->last_count = (size_t)h.last_count;
    } else if (session->last_rows)
        clsa_session_restore_set(session, (size_t)h.last_count);
    return CLSA_OK;
}

/* Files only: a pipe or a device would hang or never end. */
static FILE *open_file(const char *path, clsa_error *error)
{
    struct stat info;
    FILE *file = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
        clsa_fail(error, CLSA_ERR_IO,
                  "%s: this is no regular file; use another name", path);
        close(fd);
        return NULL;
    }
    if (fd >= 0)
        file = fdopen(fd, "rb");
    if (!file)
        clsa_fail_io(error, "%s: cannot open the session", path);
    if (!file && fd >= 0)
        close(fd);
    return file;
}

clsa_status clsa_session_load(clsa_session **session, clsa_model *model,
                              const char *path,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    struct clsa_session *new;
    struct clsa_stream s;
    FILE *file = open_file(path, error);
    if (!file)
        return CLSA_ERR_IO;
    clsa_status status = clsa_session_open(&new, model, options, error);
    if (status) {
        fclose(file);
        return status;
    }
    status = stream_open(&s, file, path, false, error);
    if (!status)
        status = read_all(&s, new);
    XXH3_freeState(s.hash);
    fclose(file);
    if (status) {
        clsa_session_close(new);
        return status;
    }
    *session = new;
    return CLSA_OK;
}
