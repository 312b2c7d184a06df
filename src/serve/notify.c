/* SPDX-License-Identifier: Apache-2.0 */
/* The protocols of sd_notify(3) and sd_listen_fds(3), which need no library. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/serve/notify.h"

#define SOCKETS_MAX 7

void serve_notify(const char *line)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t size = path ? strlen(path) : 0;
    if (size < 2 || size >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, size);
    if (path[0] == '@') /* a name that is no file */
        address.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    sendto(fd, line, strlen(line), MSG_NOSIGNAL, (struct sockaddr *)&address,
           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
    close(fd);
}

/* A number of the environment, 0 to `most`; 0: there is none. */
static long number(const char *text, long most)
{
    char *end = NULL;
    const long value = text ? strtol(text, &end, 10) : 0;
    return end && *end == '\0' && value > 0 && value <= most ? value : 0;
}

int serve_notify_watchdog(void)
{
    return (int)(number(getenv("WATCHDOG_USEC"), 1000000000) / 2000);
}

int serve_notify_sockets(void)
{
    if (number(getenv("LISTEN_PID"), 1L << 30) != (long)getpid())
        return 0;
    return (int)number(getenv("LISTEN_FDS"), SOCKETS_MAX);
}
