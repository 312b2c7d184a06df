/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of the emulated machines: mounts what a program may look
 * for, runs /prog with the arguments in /args, one a line, prints its exit
 * status between marks that vm.sh looks for, and switches the machine off.
 * Linked statically; everything goes to the serial line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGS = 62, LONGEST = 1024 };

static void mount_all(void)
{
    static const char *const what[] = {"devtmpfs", "proc", "sysfs", "tmpfs"};
    static const char *const where[] = {"/dev", "/proc", "/sys", "/tmp"};
    for (size_t i = 0; i < 4; i++)
        mount(what[i], where[i], what[i], 0, NULL);
}

static void use_serial_line(void)
{
    int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);
    for (int i = 0; fd >= 0 && i < 3; i++)
        dup2(fd, i);
    setvbuf(stdout, NULL, _IONBF, 0);
}

static _Noreturn void run(void)
{
    static char line[MOST_ARGS][LONGEST];
    char *args[MOST_ARGS + 2] = {"/prog"};
    FILE *file = fopen("/args", "r");

    for (int i = 0; i < MOST_ARGS && file; i++) {
        if (!fgets(line[i], LONGEST, file))
            break;
        line[i][strcspn(line[i], "\n")] = 0;
        args[i + 1] = line[i];
    }
    setenv("HOME", "/tmp", 1);
    if (chdir("/tmp") == 0)
        execv(args[0], args);
    perror(args[0]);
    _exit(127);
}

static void switch_off(void)
{
    fsync(1);
    usleep(20000);             /* the line is slow */
    if (!ioperm(0x8900, 1, 1)) /* how Bochs is told */
        for (const char *s = "Shutdown"; *s; s++)
            outb((unsigned char)*s, 0x8900);
    reboot(RB_POWER_OFF);
    sleep(1);
    reboot(RB_AUTOBOOT);
}

int main(void)
{
    int status = 0;

    mount_all();
    use_serial_line();
    printf("\n<<<VM-BEGIN>>>\n");
    pid_t child = fork();
    if (child == 0)
        run();
    waitpid(child, &status, 0);
    printf("\n<<<VM-EXIT %d>>>\n",
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    switch_off();
    return 0;
}
