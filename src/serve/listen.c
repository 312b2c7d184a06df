/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets to listen on: an address, a file. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/serve/http.h"
#include "src/serve/notify.h"

static void fail(clsa_error *error, const char *where, const char *why)
{
    error->status = CLSA_ERR_IO;
    snprintf(error->message, sizeof error->message, "%.300s: %.100s", where,
             why);
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const void *)address;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static void add(struct serve_http *http, int fd, bool is_local)
{
    http->listeners[http->listener_count++] =
        (struct serve_listener){.socket = fd, .is_local = is_local};
}

static int open_socket(const struct addrinfo *info)
{
    const int one = 1;
    const int fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    close(fd);
    return -1;
}

static void tell_address(const struct serve_http *http, int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char host[64], port[16], line[128];
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0 ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    snprintf(line, sizeof line,
             address.ss_family == AF_INET6 ? "listening on http://[%s]:%s"
                                           : "listening on http://%s:%s",
             host, port);
    http->server->options->say(line);
}

/* Others can reach the address, and would need no key. */
static bool is_open(const struct serve_http *http,
                    const struct sockaddr *address)
{
    return address->sa_family != AF_UNIX && !is_loopback(address) &&
           http->keys.count == 0 && !http->server->options->allow_no_key;
}

static enum serve_result refuse_open(const char *host, clsa_error *error)
{
    fail(error, host,
         "others can reach this address: give --api-key-file FILE, or "
         "--allow-no-key");
    return SERVE_USAGE;
}

static enum serve_result listen_address(struct serve_http *http,
                                        clsa_error *error)
{
    const struct serve_options *o = http->server->options;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info;
    char port[16];
    snprintf(port, sizeof port, "%u", o->port);
    const int found = getaddrinfo(o->host, port, &hints, &info);
    if (found != 0) {
        fail(error, o->host, gai_strerror(found));
        return SERVE_FAILED;
    }
    if (is_open(http, info->ai_addr)) {
        freeaddrinfo(info);
        return refuse_open(o->host, error);
    }
    const int fd = open_socket(info);
    freeaddrinfo(info);
    if (fd < 0) {
        char where[300];
        snprintf(where, sizeof where, "%.200s, port %u", o->host, o->port);
        fail(error, where, strerror(errno));
        return SERVE_FAILED;
    }
    add(http, fd, false);
    tell_address(http, fd);
    return SERVE_DONE;
}

/* A socket that nobody listens on any more is replaced. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool refused =
        connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static enum serve_result listen_file(struct serve_http *http, clsa_error *error)
{
    const char *path = http->server->options->unix_path;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[160];
    if (strlen(path) >= sizeof address.sun_path) {
        fail(error, path, "too long for a socket");
        return SERVE_FAILED;
    }
    strcpy(address.sun_path, path);
    if (is_stale(&address))
        unlink(path);
    const int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t mask = umask(0117);
    const bool bound =
        fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, SOMAXCONN) == 0;
    const int why = errno;
    umask(mask);
    if (!bound) {
        if (fd >= 0)
            close(fd);
        fail(error, path, strerror(why));
        return SERVE_FAILED;
    }
    add(http, fd, true);
    snprintf(line, sizeof line, "listening on %s", path);
    http->server->options->say(line);
    return SERVE_DONE;
}

/* Sockets of a service manager take the place of the address. */
static enum serve_result take_sockets(struct serve_http *http, int count,
                                      clsa_error *error)
{
    for (int fd = 3; fd < 3 + count; fd++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
            fail(error, "a socket of LISTEN_FDS", strerror(errno));
            return SERVE_FAILED;
        }
        if (is_open(http, (struct sockaddr *)&address))
            return refuse_open("a socket of LISTEN_FDS", error);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        add(http, fd, false);
        if (address.ss_family != AF_UNIX)
            tell_address(http, fd);
    }
    return SERVE_DONE;
}

enum serve_result serve_listen(struct serve_http *http, clsa_error *error)
{
    const int given = serve_notify_sockets();
    enum serve_result result =
        given ? take_sockets(http, given, error) : listen_address(http, error);
    if (result == SERVE_DONE && http->server->options->unix_path)
        result = listen_file(http, error);
    return result;
}

void serve_listen_close(struct serve_http *http)
{
    for (size_t i = 0; i < http->listener_count; i++)
        if (http->listeners[i].socket >= 0) {
            close(http->listeners[i].socket);
            if (http->listeners[i].is_local)
                unlink(http->server->options->unix_path);
            http->listeners[i].socket = -1;
        }
}
