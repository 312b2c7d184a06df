/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk: snapshots of the prefix cache as session files in a folder, which
 * outlive the server. A file is found by its name alone, which has the settings
 * of the server, a hash of the client's key and the tokens, and their number;
 * it is read when somebody asks for its text. The engine thread calls it.
 *
 * Files are written under another name and renamed: at any moment those with
 * names of ours are whole. Together they have at most `limit` bytes, the one
 * that is written included; those that nobody asked for longest go first. Files
 * with other names are left alone. One server uses a folder, by a lock that
 * ends with it.
 */
#ifndef CLSA_SERVE_DISK_H
#define CLSA_SERVE_DISK_H

#include "clsa.h"

/* Shorter texts are computed sooner than they are read. */
#define SERVE_DISK_MIN 64

struct serve_disk;

/* What names a text, beside the settings. */
struct serve_place {
    uint64_t hash;
    size_t length; /* tokens */
};

/* The folder is made if it is missing. `say` gets a line about each file that
   is removed because nobody can use it. NULL: `error` says why. */
struct serve_disk *serve_disk_open(const char *folder, uint64_t limit,
                                   void (*say)(const char *line),
                                   clsa_error *error);
void serve_disk_close(struct serve_disk *disk);

/* Texts belong to this model and these options from now on. Reads all of the
   model file, once. */
void serve_disk_set_model(struct serve_disk *disk, clsa_model *model,
                          const clsa_session_options *options);

struct serve_place serve_disk_place(uint64_t key, const int32_t *ids,
                                    size_t count);

/* The longest beginning of ids[0..count) that is there: of at most `most`
   tokens, or all of them. Length 0: none. */
struct serve_place serve_disk_find(const struct serve_disk *disk, uint64_t key,
                                   const int32_t *ids, size_t count,
                                   size_t most);

/* Keep a snapshot; `like` is as in clsa_snapshot_write. A failure is said. */
void serve_disk_put(struct serve_disk *disk, struct serve_place place,
                    const clsa_snapshot *snapshot, const clsa_session *like);

/* Read one that was found; ids[0..place.length) are its tokens. A file that is
   damaged or of another model or text is removed. */
clsa_status serve_disk_load(struct serve_disk *disk, struct serve_place place,
                            const int32_t *ids, clsa_session **session);

/* All files, of other settings too. */
uint64_t serve_disk_bytes(const struct serve_disk *disk);
size_t serve_disk_count(const struct serve_disk *disk);
uint64_t serve_disk_limit(const struct serve_disk *disk);

#endif /* CLSA_SERVE_DISK_H */
