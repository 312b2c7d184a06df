/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams: O_NONBLOCK belongs to what is open, not to a descriptor, so that it
 * would change for all programs that share it. A pipe or a terminal is opened
 * anew instead. A socket cannot be; its flag is put back at the end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/cli/streams.h"

static int borrowed[3]; /* flags to put back, 0: none */

static void give_back(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (borrowed[fd] != 0)
            fcntl(fd, F_SETFL, borrowed[fd]);
}

/* O_NONBLOCK while it is opened: a pipe whose other end is closed would wait
   for somebody to open it. */
static bool open_anew(int fd, int flags)
{
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const int own =
        open(name, (flags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK | O_NOCTTY);
    if (own < 0)
        return false;
    const bool done =
        fcntl(own, F_SETFL, flags & ~O_NONBLOCK) == 0 && dup2(own, fd) == fd;
    close(own);
    return done;
}

static void make_blocking(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || !(flags & O_NONBLOCK) || open_anew(fd, flags))
        return;
    if (fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0)
        borrowed[fd] = flags;
}

bool cli_streams_prepare(void)
{
    /* Opened the wrong way round, reading and writing fail as before. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return false;
    for (int fd = 0; fd <= 2; fd++)
        make_blocking(fd);
    return atexit(give_back) == 0;
}
