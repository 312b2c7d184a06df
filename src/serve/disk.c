/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the prefix cache: SETTINGS-HASH-LENGTH.session, in hexadecimal and
   decimal numbers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/serve/disk.h"

#define LOCK    "lock"
#define WRITING "writing" /* a file that is not whole */

struct entry {
    uint64_t settings;
    struct serve_place place;
    uint64_t bytes;
    int64_t used; /* ns; the time of the file */
};

struct serve_disk {
    char *folder;
    int fd, lock;
    uint64_t limit, bytes, settings;
    clsa_model *model;
    clsa_session_options options;
    struct entry *entries; /* by length */
    size_t count, capacity;
    void (*say)(const char *line);
    bool complained; /* about a folder that cannot be written */
};

/* ------------------------------------------------------------------- names */

static void fail(clsa_error *error, const char *folder, const char *why)
{
    error->status = CLSA_ERR_IO;
    snprintf(error->message, sizeof error->message, "--cache-dir: %.300s: %s",
             folder, why);
}

static void say_file(const struct serve_disk *d, const char *name,
                     const char *why)
{
    char line[700];
    snprintf(line, sizeof line, "cache: %s: %s", name, why);
    d->say(line);
}

#define NAME_MAX_OF_OURS 80

static void print_name(char *name, uint64_t settings, struct serve_place place)
{
    snprintf(name, NAME_MAX_OF_OURS, "%016llx-%016llx-%zu.session",
             (unsigned long long)settings, (unsigned long long)place.hash,
             place.length);
}

/* Whether a name is one of ours, written just as we write it. */
static bool parse_name(const char *name, struct entry *e)
{
    unsigned long long settings, hash;
    char again[NAME_MAX_OF_OURS];
    if (sscanf(name, "%16llx-%16llx-%zu", &settings, &hash, &e->place.length) !=
        3)
        return false;
    e->settings = settings;
    e->place.hash = hash;
    print_name(again, e->settings, e->place);
    return strcmp(name, again) == 0;
}

/* FNV-1a. With another start the same numbers never give the same hash: a
   client finds no text of another key. */
#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint64_t add_bytes(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * FNV_PRIME;
    return hash;
}

static uint64_t add_text(uint64_t hash, const char *text)
{
    return text ? add_bytes(hash, text, strlen(text) + 1)
                : add_bytes(hash, "\377", 1);
}

static uint64_t start_of(uint64_t key)
{
    return add_bytes(FNV_START, &key, sizeof key);
}

struct serve_place serve_disk_place(uint64_t key, const int32_t *ids,
                                    size_t count)
{
    return (struct serve_place){
        add_bytes(start_of(key), ids, count * sizeof *ids), count};
}

/* Everything that the bits of a session depend on, beside its tokens. */
void serve_disk_set_model(struct serve_disk *disk, clsa_model *model,
                          const clsa_session_options *options)
{
    const uint64_t fingerprint = clsa_model_fingerprint(model);
    const uint32_t types[] = {(uint32_t)options->kv_type,
                              (uint32_t)options->index_type};
    clsa_model_info info;
    clsa_model_get_info(model, &info, sizeof info);
    uint64_t hash = add_bytes(FNV_START, &fingerprint, sizeof fingerprint);
    hash = add_bytes(hash, types, sizeof types);
    hash = add_text(hash, clsa_version());
    hash = add_text(hash, info.simd);
    hash = add_text(hash, options->attention);
    hash = add_text(hash, options->prefill);
    hash = add_text(hash, options->prompt_attention);
    disk->settings = hash;
    disk->model = model;
    disk->options = *options;
}

/* ------------------------------------------------------------------- index */

/* The first entry with as many tokens or more. */
static size_t first_of(const struct serve_disk *d, size_t length)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (d->entries[middle].place.length < length)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct serve_disk *d, struct serve_place place)
{
    for (size_t i = first_of(d, place.length);
         i < d->count && d->entries[i].place.length == place.length; i++)
        if (d->entries[i].place.hash == place.hash &&
            d->entries[i].settings == d->settings)
            return &d->entries[i];
    return NULL;
}

static bool add_entry(struct serve_disk *d, const struct entry *e)
{
    if (d->count == d->capacity) {
        const size_t more = d->capacity ? 2 * d->capacity : 64;
        struct entry *grown = realloc(d->entries, more * sizeof *grown);
        if (!grown)
            return false;
        d->entries = grown;
        d->capacity = more;
    }
    const size_t at = first_of(d, e->place.length);
    memmove(&d->entries[at + 1], &d->entries[at],
            (d->count - at) * sizeof *d->entries);
    d->entries[at] = *e;
    d->count++;
    d->bytes += e->bytes;
    return true;
}

/* The file and its entry go. */
static void drop(struct serve_disk *d, size_t i)
{
    char name[NAME_MAX_OF_OURS];
    print_name(name, d->entries[i].settings, d->entries[i].place);
    unlinkat(d->fd, name, 0);
    d->bytes -= d->entries[i].bytes;
    d->count--;
    memmove(&d->entries[i], &d->entries[i + 1],
            (d->count - i) * sizeof *d->entries);
}

/* Drop the file that nobody asked for longest; false: there is none. */
static bool drop_oldest(struct serve_disk *d)
{
    size_t oldest = 0;
    for (size_t i = 1; i < d->count; i++)
        if (d->entries[i].used < d->entries[oldest].used)
            oldest = i;
    if (d->count == 0)
        return false;
    drop(d, oldest);
    return true;
}

static int64_t time_of(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

static void touch(const struct serve_disk *d, const char *name, struct entry *e)
{
    struct stat info;
    utimensat(d->fd, name, NULL, AT_SYMLINK_NOFOLLOW);
    if (fstatat(d->fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        e->used = time_of(&info);
}

struct serve_place serve_disk_find(const struct serve_disk *disk, uint64_t key,
                                   const int32_t *ids, size_t count,
                                   size_t most)
{
    struct serve_place found = {0, 0}, at = {start_of(key), 0};
    for (size_t i = first_of(disk, 1); i < disk->count; i++) {
        const struct entry *e = &disk->entries[i];
        if (e->place.length > count)
            break;
        while (at.length < e->place.length)
            at.hash = add_bytes(at.hash, &ids[at.length++], sizeof *ids);
        if (e->place.hash == at.hash && e->settings == disk->settings &&
            (at.length <= most || at.length == count))
            found = at;
    }
    return found;
}

uint64_t serve_disk_bytes(const struct serve_disk *disk)
{
    return disk->bytes;
}

size_t serve_disk_count(const struct serve_disk *disk)
{
    return disk->count;
}

uint64_t serve_disk_limit(const struct serve_disk *disk)
{
    return disk->limit;
}

/* ------------------------------------------------------------------- folder */

static void scan(struct serve_disk *d)
{
    const int fd = dup(d->fd);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *file;
    while (folder && (file = readdir(folder))) {
        struct entry e;
        struct stat info;
        if (!parse_name(file->d_name, &e) ||
            fstatat(d->fd, file->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(info.st_mode))
            continue;
        e.bytes = (uint64_t)info.st_size;
        e.used = time_of(&info);
        if (!add_entry(d, &e))
            break;
    }
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
    while (d->bytes > d->limit && drop_oldest(d))
        ;
}

static bool open_folder(struct serve_disk *d, clsa_error *error)
{
    if (mkdir(d->folder, 0700) != 0 && errno != EEXIST) {
        fail(error, d->folder, strerror(errno));
        return false;
    }
    d->fd = open(d->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd >= 0)
        d->lock = openat(d->fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                         0600);
    if (d->lock < 0) {
        fail(error, d->folder, strerror(errno));
        return false;
    }
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0) {
        fail(error, d->folder,
             errno == EWOULDBLOCK ? "another server uses it: give each its own"
                                  : strerror(errno));
        return false;
    }
    unlinkat(d->fd, WRITING, 0); /* of a server that was killed */
    scan(d);
    return true;
}

struct serve_disk *serve_disk_open(const char *folder, uint64_t limit,
                                   void (*say)(const char *line),
                                   clsa_error *error)
{
    struct serve_disk *d = calloc(1, sizeof *d);
    char *copy = strdup(folder);
    if (!d || !copy) {
        *error = (clsa_error){CLSA_ERR_MEMORY, "out of memory"};
        free(copy);
        free(d);
        return NULL;
    }
    *d = (struct serve_disk){
        .folder = copy, .fd = -1, .lock = -1, .limit = limit, .say = say};
    if (open_folder(d, error))
        return d;
    serve_disk_close(d);
    return NULL;
}

void serve_disk_close(struct serve_disk *disk)
{
    if (!disk)
        return;
    if (disk->lock >= 0)
        close(disk->lock);
    if (disk->fd >= 0)
        close(disk->fd);
    free(disk->entries);
    free(disk->folder);
    free(disk);
}

/* ------------------------------------------------------------------ writing */

struct writer {
    struct serve_disk *disk;
    FILE *file;
    uint64_t bytes;
};

/* Room is made as the file grows. */
static int write_some(void *user, const void *data, size_t size)
{
    struct writer *w = user;
    w->bytes += size;
    if (w->bytes > w->disk->limit) {
        errno = EFBIG;
        return 1;
    }
    while (w->disk->bytes + w->bytes > w->disk->limit && drop_oldest(w->disk))
        ;
    return fwrite(data, 1, size, w->file) != size;
}

static FILE *create(const struct serve_disk *d)
{
    const int fd =
        openat(d->fd, WRITING,
               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

/* Written, but under the other name. */
static bool write_file(struct writer *w, const clsa_snapshot *snapshot,
                       const clsa_session *like)
{
    w->file = create(w->disk);
    if (!w->file)
        return false;
    bool done = !clsa_snapshot_write(snapshot, like, write_some, w, NULL);
    const int why = errno;
    done = fclose(w->file) == 0 && done;
    if (!done && why)
        errno = why;
    return done;
}

/* One line until it works again; a snapshot that is too large is no reason. */
static void complain(struct serve_disk *d)
{
    const int why = errno;
    unlinkat(d->fd, WRITING, 0);
    if (!d->complained && why != EFBIG)
        say_file(d, d->folder, strerror(why));
    d->complained = d->complained || why != EFBIG;
}

void serve_disk_put(struct serve_disk *disk, struct serve_place place,
                    const clsa_snapshot *snapshot, const clsa_session *like)
{
    struct entry *there = find(disk, place);
    struct entry fresh = {.settings = disk->settings, .place = place};
    struct writer w = {.disk = disk};
    char name[NAME_MAX_OF_OURS];
    print_name(name, disk->settings, place);
    if (there) {
        touch(disk, name, there);
        return;
    }
    errno = 0;
    if (!write_file(&w, snapshot, like) ||
        renameat(disk->fd, WRITING, disk->fd, name) != 0) {
        complain(disk);
        return;
    }
    disk->complained = false;
    fresh.bytes = w.bytes;
    touch(disk, name, &fresh);
    if (!add_entry(disk, &fresh))
        unlinkat(disk->fd, name, 0);
}

/* ------------------------------------------------------------------ reading */

static clsa_status load(const struct serve_disk *d, const char *name,
                        clsa_session **session, clsa_error *error)
{
    const size_t size = strlen(d->folder) + NAME_MAX_OF_OURS + 1;
    char *path = malloc(size);
    if (!path)
        return CLSA_ERR_MEMORY;
    snprintf(path, size, "%s/%s", d->folder, name);
    const clsa_status status =
        clsa_session_load(session, d->model, path, &d->options, error);
    free(path);
    return status;
}

static void drop_place(struct serve_disk *d, struct serve_place place)
{
    const struct entry *e = find(d, place);
    if (e)
        drop(d, (size_t)(e - d->entries));
}

clsa_status serve_disk_load(struct serve_disk *disk, struct serve_place place,
                            const int32_t *ids, clsa_session **session)
{
    struct entry *e = find(disk, place);
    char name[NAME_MAX_OF_OURS];
    clsa_error error;
    print_name(name, disk->settings, place);
    if (e)
        touch(disk, name, e);
    clsa_status status = load(disk, name, session, &error);
    if (!status && (clsa_session_length(*session) != place.length ||
                    memcmp(clsa_session_tokens(*session), ids,
                           place.length * sizeof *ids) != 0)) {
        clsa_session_close(*session);
        status = CLSA_ERR_MISMATCH;
        snprintf(error.message, sizeof error.message, "%s: is of another text",
                 name);
    }
    if (status && status != CLSA_ERR_MEMORY) {
        say_file(disk, "a file is removed", error.message);
        drop_place(disk, place);
    }
    return status;
}
