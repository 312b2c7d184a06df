/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session_file: saving and loading of sessions, through functions of the caller
 * or to and from files, which are such functions. All numbers little-endian, as
 * on every CPU that this library runs on. The stores follow in the order of
 * their numbers.
 *
 *   header     struct header
 *   factors    u32, for a rope with factors of long contexts: 1 if they are
 * used tokens     [length] i32 logits     [vocab] f32, rows [last_count] u32
 * where there are logits layer rows per layer their number and rows, u32 where
 * layers choose window     struct window_header, [2][g][kept][e] f32 state [h]
 * states of retention.h cache      per page: K/V rows, index keys, scales of
 * the rows in use; not if the policy evicts rows policy     what it keeps in
 * addition to the caches, or in place of them (h2o) checksum   XXH3-64 of
 * everything before it
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
#include "src/base/minmax.h"
#include "src/base/out.h"
#include "src/engine/step.h"

#define VERSION 3

struct header {
    char magic[8]; /* "CLSASESS" */
    uint32_t version;
    uint32_t kv_type, index_type;
    uint32_t has_logits;
    uint64_t fingerprint;
    uint64_t length;
    uint64_t last_count; /* rows of the last token; UINT64_MAX: every row */
    char attention[CLSA_POLICY_TEXT];
};

struct window_header {
    uint64_t first; /* position that is kept */
    uint64_t exact; /* of struct clsa_window */
};

/* Where the bytes go to or come from, with a running checksum. */
struct clsa_stream {
    clsa_write_fn write; /* or */
    clsa_read_fn read;
    void *user;
    unsigned char *const *tails; /* of a snapshot: where the rows after the full
                                    pages of each cache are, or NULL */
    FILE *file; /* ends with the session; NULL: functions of the caller */
    const char *path;
    XXH3_state_t *hash;
    clsa_error *error;
};

static clsa_status failed(const struct clsa_stream *s)
{
    const char *verb = s->write ? "write" : "read";
    if (s->file)
        return clsa_fail_io(s->error, "%s: cannot %s the session", s->path,
                            verb);
    return clsa_fail(s->error, CLSA_ERR_IO,
                     "%s: cannot %s the session: the function of the caller "
                     "failed",
                     s->path, verb);
}

/* Less than `size` bytes at the end only. */
static clsa_status fetch(struct clsa_stream *s, void *data, size_t size,
                         size_t *got)
{
    ptrdiff_t n = 1;
    for (*got = 0; *got < size && n > 0; *got += (size_t)n) {
        n = s->read(s->user, (char *)data + *got, size - *got);
        if (n < 0 || (size_t)n > size - *got)
            return failed(s);
    }
    return CLSA_OK;
}

clsa_status clsa_stream_transfer(struct clsa_stream *s, void *data, size_t size)
{
    size_t n = size;
    if (!s->write)
        CLSA_TRY(fetch(s, data, size, &n));
    else if (size > 0 && s->write(s->user, data, size))
        return failed(s);
    if (n != size)
        return clsa_fail(s->error, CLSA_ERR_FORMAT,
                         "%s: the session file is cut short; remove it or use "
                         "another",
                         s->path);
    XXH3_64bits_update(s->hash, data, size);
    return CLSA_OK;
}

bool clsa_stream_writes(const struct clsa_stream *s)
{
    return s->write != NULL;
}

clsa_status clsa_stream_damaged(const struct clsa_stream *s)
{
    return clsa_fail(
        s->error, CLSA_ERR_FORMAT,
        "%s: the session file is damaged; remove it or use another", s->path);
}

static bool window_fits(const struct clsa_window *w,
                        const struct window_header *h, uint64_t length)
{
    const uint64_t most = length < w->size ? length : w->size - 1;
    return h->first <= length && length - h->first <= most &&
           h->exact <= length;
}

/* A window: what a continuation looks back at, in order. */
static clsa_status transfer_window(struct clsa_stream *s, struct clsa_window *w,
                                   uint64_t length)
{
    struct window_header h = {clsa_window_first(w, w->end), w->exact};
    CLSA_TRY(clsa_stream_transfer(s, &h, sizeof h));
    if (!s->write) {
        if (!window_fits(w, &h, length))
            return clsa_stream_damaged(s);
        w->base = h.first;
        w->exact = clsa_max_u64(h.exact, h.first);
        w->end = length;
    }
    size_t bytes = (size_t)(w->end - h.first) * w->head_dim * sizeof(float);
    for (int v = 0; v < 2; v++)
        for (uint32_t head = 0; head < w->kv_heads; head++)
            CLSA_TRY(clsa_stream_transfer(
                s, clsa_window_row(w, v, head, h.first - w->base), bytes));
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

/* The same of a snapshot, whose last rows are packed in this order. */
static clsa_status write_shared(struct clsa_stream *s, struct clsa_cache *cache,
                                unsigned char *tail, uint64_t length)
{
    struct clsa_cache whole = *cache;
    whole.length = length;
    CLSA_TRY(transfer_cache(s, cache, cache->length));
    return clsa_stream_transfer(s, tail, clsa_cache_tail_bytes(&whole));
}

static clsa_status transfer_stores(struct clsa_stream *s,
                                   struct clsa_session *ses, uint64_t length)
{
    for (size_t i = 0; i < ses->stores.count; i++) {
        struct clsa_store *store = &ses->stores.store[i];
        if (store->kind == CLSA_STORE_WINDOW) {
            CLSA_TRY(transfer_window(s, &store->window, length));
        } else if (store->kind == CLSA_STORE_STATE) {
            CLSA_TRY(clsa_stream_transfer(s, store->state.memory,
                                          store->state.bytes));
            if (!s->write)
                store->state.end = length;
        } else if (s->tails) {
            CLSA_TRY(write_shared(s, &store->cache, s->tails[i], length));
        } else if (!clsa_session_evicts(ses)) {
            CLSA_TRY(transfer_cache(s, &store->cache, length));
            if (!s->write)
                store->cache.length = length;
        }
    }
    return CLSA_OK;
}

static clsa_status transfer_layer_rows(struct clsa_stream *s,
                                       struct clsa_session *ses)
{
    const size_t slots = clsa_session_slots(ses);
    for (uint32_t i = 0; i < ses->model->net.reader_count; i++) {
        CLSA_TRY(clsa_stream_transfer(s, &ses->layer_count[i],
                                      sizeof *ses->layer_count));
        if (ses->layer_count[i] == CLSA_ALL_ROWS)
            continue;
        if (ses->layer_count[i] > slots)
            return clsa_stream_damaged(s);
        CLSA_TRY(clsa_stream_transfer(s, ses->layer_rows + i * slots,
                                      ses->layer_count[i] *
                                          sizeof *ses->layer_rows));
    }
    return CLSA_OK;
}

/* Whether a session rotates by the factors of long contexts: rows that were
   rotated by others are of no use to it. */
static clsa_status transfer_factors(struct clsa_stream *s,
                                    const struct clsa_session *ses)
{
    const struct clsa_network *net = &ses->model->net;
    for (uint32_t i = 0; i < net->rope_count; i++) {
        const struct clsa_rope *rope = &net->ropes[i];
        uint32_t now = ses->context > rope->long_from, made = now;
        if (!rope->long_frequency)
            continue;
        CLSA_TRY(clsa_stream_transfer(s, &made, sizeof made));
        if (made != now)
            return clsa_fail(
                s->error, CLSA_ERR_MISMATCH,
                "%s: the session was made with a context %s %" PRIu64
                " tokens, where the model rotates otherwise; use such a "
                "context",
                s->path, made ? "above" : "of at most", rope->long_from);
    }
    return CLSA_OK;
}

/* Everything between header and checksum; the session has its lengths. */
static clsa_status transfer_state(struct clsa_stream *s,
                                  struct clsa_session *ses,
                                  const struct header *h)
{
    CLSA_TRY(transfer_factors(s, ses));
    CLSA_TRY(
        clsa_stream_transfer(s, ses->tokens, h->length * sizeof *ses->tokens));
    if (h->has_logits) {
        CLSA_TRY(clsa_stream_transfer(
            s, ses->logits, ses->model->net.vocab * sizeof *ses->logits));
        if (h->last_count != UINT64_MAX)
            CLSA_TRY(clsa_stream_transfer(
                s, ses->last_rows, h->last_count * sizeof *ses->last_rows));
        if (ses->layer_rows)
            CLSA_TRY(transfer_layer_rows(s, ses));
    }
    CLSA_TRY(transfer_stores(s, ses, h->length));
    return ses->policy.type->transfer ? ses->policy.type->transfer(ses, s)
                                      : CLSA_OK;
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
        .last_count = s->last_rows ? s->last_count : UINT64_MAX,
    };
    memcpy(h.attention, s->attention, sizeof h.attention);
    return h;
}

static clsa_status write_all(struct clsa_stream *s,
                             const struct clsa_session *session)
{
    struct header h = header_of(session);
    struct clsa_session state; /* transfer takes it writable */
    clsa_session_assign(&state, session);
    CLSA_TRY(clsa_stream_transfer(s, &h, sizeof h));
    CLSA_TRY(transfer_state(s, &state, &h));
    uint64_t sum = XXH3_64bits_digest(s->hash);
    return clsa_stream_transfer(s, &sum, sizeof sum);
}

static clsa_status open_hash(struct clsa_stream *s)
{
    s->hash = XXH3_createState();
    if (!s->hash)
        return clsa_fail_memory(s->error, "a checksum", 512);
    XXH3_64bits_reset(s->hash);
    return CLSA_OK;
}

static clsa_status write_stream(struct clsa_stream *s,
                                const clsa_session *session)
{
    CLSA_TRY(open_hash(s));
    clsa_status status = write_all(s, session);
    XXH3_freeState(s->hash);
    return status;
}

clsa_status clsa_session_write(const clsa_session *session, clsa_write_fn write,
                               void *user, clsa_error *error)
{
    struct clsa_stream s = {
        .write = write, .user = user, .path = "stream", .error = error};
    return write_stream(&s, session);
}

clsa_status clsa_snapshot_write(const clsa_snapshot *snapshot,
                                const clsa_session *like, clsa_write_fn write,
                                void *user, clsa_error *error)
{
    struct clsa_session state;
    struct clsa_stream s = {
        .write = write, .user = user, .path = "stream", .error = error};
    clsa_session_assign(&state, like);
    CLSA_TRY(clsa_snapshot_show(snapshot, &state, &s.tails, error));
    return write_stream(&s, &state);
}

static int write_file(void *user, const void *data, size_t size)
{
    return fwrite(data, 1, size, user) != size;
}

clsa_status clsa_session_save(const clsa_session *session, const char *path,
                              clsa_error *error)
{
    struct clsa_out out;
    if (clsa_gguf_is_file(session->model->gguf, path) ||
        (session->model->side && clsa_gguf_is_file(session->model->side, path)))
        return clsa_fail(error, CLSA_ERR_ARGUMENT,
                         "%s: is a file of the model, which would be lost: "
                         "give another name for the session",
                         path);
    CLSA_TRY(clsa_out_open(&out, path, error));
    struct clsa_stream s = {.write = write_file,
                            .user = out.file,
                            .file = out.file,
                            .path = path,
                            .error = error};
    clsa_status status = write_stream(&s, session);
    if (!status)
        status = clsa_out_close(&out, error);
    if (!status)
        status = clsa_out_rename(&out, error);
    clsa_out_free(&out);
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
                         "%s: not a session file; use another name", s->path);
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
    bool dense = clsa_policy_is_dense(&s->policy);
    return h->has_logits <= 1 &&
           (dense ? h->last_count == UINT64_MAX
                  : h->last_count == UINT64_MAX ||
                        h->last_count <= clsa_session_slots(s)) &&
           (!h->has_logits || dense || h->last_count != UINT64_MAX ||
            clsa_policy_mixes(&s->policy, &s->model->net));
}

/* Rows have to be ascending and there; ids in the vocabulary. */
static bool state_is_sane(const struct clsa_session *s, const struct header *h)
{
    for (uint64_t i = 0; i < h->length; i++)
        if (s->tokens[i] < 0 || (uint32_t)s->tokens[i] >= s->model->net.vocab)
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
 * anything. A stream of the caller may have no end.
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
        return !s->file || is_whole(s) ? status : clsa_stream_damaged(s);
    if (!status && !header_fits(h, session))
        return clsa_stream_damaged(s);
    return status;
}

static clsa_status read_all(struct clsa_stream *s, struct clsa_session *session)
{
    struct header h;
    uint64_t sum, expected;
    CLSA_TRY(read_header(s, &h, session));
    if (clsa_session_evicts(session))
        clsa_stores_skip(&session->stores, h.length);
    else
        CLSA_TRY(clsa_stores_reserve(&session->stores, h.length, s->error));
    if (h.has_logits && h.last_count != UINT64_MAX)
        session->last_rows = session->set.next;
    CLSA_TRY(transfer_state(s, session, &h));
    expected = XXH3_64bits_digest(s->hash);
    CLSA_TRY(clsa_stream_transfer(s, &sum, sizeof sum));
    if (sum != expected || (s->file && fgetc(s->file) != EOF) ||
        !state_is_sane(session, &h))
        return clsa_stream_damaged(s);
    session->length = h.length;
    session->has_logits = h.has_logits;
    if (session->last_rows && clsa_session_evicts(session)) {
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
                  "%s: not a regular file; use another name", path);
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

static clsa_status read_stream(clsa_session **session, clsa_model *model,
                               const clsa_session_options *options,
                               struct clsa_stream *s)
{
    struct clsa_session *new;
    CLSA_TRY(clsa_session_open(&new, model, options, s->error));
    clsa_status status = open_hash(s);
    if (!status)
        status = read_all(s, new);
    XXH3_freeState(s->hash);
    if (status) {
        clsa_session_close(new);
        return status;
    }
    *session = new;
    return CLSA_OK;
}

clsa_status clsa_session_read(clsa_session **session, clsa_model *model,
                              clsa_read_fn read, void *user,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    struct clsa_stream s = {
        .read = read, .user = user, .path = "stream", .error = error};
    return read_stream(session, model, options, &s);
}

static ptrdiff_t read_file(void *user, void *data, size_t size)
{
    size_t n = fread(data, 1, size, user);
    return n == 0 && ferror((FILE *)user) ? -1 : (ptrdiff_t)n;
}

clsa_status clsa_session_load(clsa_session **session, clsa_model *model,
                              const char *path,
                              const clsa_session_options *options,
                              clsa_error *error)
{
    struct clsa_stream s = {.read = read_file, .path = path, .error = error};
    s.file = open_file(path, error);
    if (!s.file)
        return CLSA_ERR_IO;
    s.user = s.file;
    clsa_status status = read_stream(session, model, options, &s);
    fclose(s.file);
    return status;
}
