/* SPDX-License-Identifier: Apache-2.0 */
/* signals: the handlers. They call only what signal-safety(7) allows. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "clsa.h"
#include "src/base/out.h"
#include "src/cli/message.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"

static volatile sig_atomic_t interrupted; /* by any of the three signals */
static volatile sig_atomic_t ended;       /* not by SIGINT alone */

/* A pipe that wakes cli_interrupt_wait: the handler may run in any thread. */
static int wake[2] = {-1, -1};
static volatile sig_atomic_t wakes;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* nobody to tell */
}

/* End at once, and leave no unfinished file. */
static void leave(int status)
{
    clsa_abandon_writes();
    clsa_out_abandon();
    _exit(status);
}

static void on_signal(int number)
{
    const bool second = interrupted != 0;
    const int kept = errno;
    interrupted = 1;
    if (wakes && write(wake[1], "", 1) < 0)
        errno = kept; /* it is full: somebody is woken */
    if (number != SIGINT)
        ended = 1;
    if (!second || number == SIGHUP)
        return;
    say("\nclsa: ended at once by a second signal\n");
    leave(CLI_INTERRUPTED);
}

/* ------------------------------------------------------------------ SIGBUS */

/* A file that others may change is mapped: what was cut off cannot be read. */

/* Reads "START-END": whether `address` is in it. */
static bool is_inside(const char *line, uintptr_t address)
{
    uintptr_t bounds[2] = {0, 0};
    for (int i = 0; i < 2; i++, line++)
        for (; *line != '\0' && *line != '-' && *line != ' '; line++)
            bounds[i] =
                16 * bounds[i] +
                (uintptr_t)(*line <= '9' ? *line - '0' : *line - 'a' + 10);
    return bounds[0] <= address && address < bounds[1];
}

/* A line of /proc/self/maps; false at its end. What is too long is cut. */
static bool next_map(int fd, char *line, size_t size)
{
    size_t used = 0;
    char c;
    while (read(fd, &c, 1) == 1) {
        if (c == '\n') {
            line[used] = '\0';
            return true;
        }
        if (used + 1 < size)
            line[used++] = c;
    }
    return false;
}

/* The name of the file that is mapped at an address, or NULL. */
static const char *mapped_file(uintptr_t address)
{
    static char line[4352];
    const char *name = NULL;
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && !name && next_map(fd, line, sizeof line))
        if (is_inside(line, address))
            name = strchr(line, '/');
    if (fd >= 0)
        close(fd);
    return name;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    const char *name = mapped_file((uintptr_t)info->si_addr);
    if (!name) /* not a file: come again, with the default action */
        return;
    say("\nclsa: ");
    say(name);
    say(": was cut or cannot be read any more while it was in use: restore it "
        "and start again\n");
    leave(CLI_FAILED);
}

/* ----------------------------------------------------------------- install */

/* No SA_RESTART: a read from the terminal has to come back. */
static void install(int number, void (*handler)(int))
{
    struct sigaction old, action;
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = handler;
    sigaction(number, &action, NULL);
}

void cli_signals_install(void)
{
    install(SIGINT, on_signal);
    install(SIGTERM, on_signal);
    install(SIGHUP, on_signal);
    install(SIGPIPE, SIG_IGN);
    install(SIGXFSZ, SIG_IGN);
    struct sigaction bus;
    memset(&bus, 0, sizeof bus);
    sigemptyset(&bus.sa_mask);
    bus.sa_flags = SA_SIGINFO | (int)SA_RESETHAND;
    bus.sa_sigaction = on_bus;
    sigaction(SIGBUS, &bus, NULL);
}

bool cli_interrupt_seen(void)
{
    return interrupted != 0;
}

bool cli_interrupt_forget(void)
{
    if (ended)
        return false;
    interrupted = 0;
    return true;
}

/* Without descriptors for it, the wait looks up ten times a second. */
static void open_wake(void)
{
    if (wake[0] >= 0 || pipe(wake) != 0)
        return;
    for (int i = 0; i < 2; i++) {
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(wake[i], F_SETFL, O_NONBLOCK);
    }
    wakes = 1;
}

bool cli_interrupt_wait(int fd)
{
    open_wake();
    struct pollfd both[] = {{.fd = fd, .events = POLLIN},
                            {.fd = wake[0], .events = POLLIN}};
    char byte;
    while (!interrupted && both[0].revents == 0)
        if (poll(both, 2, wakes ? -1 : 100) > 0 && both[1].revents)
            while (read(wake[0], &byte, 1) == 1)
                ;
    return !interrupted;
}

int cli_interrupt_check(void)
{
    return cli_interrupt_seen() ? cli_progress_interrupted() : CLI_DONE;
}
