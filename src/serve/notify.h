/* SPDX-License-Identifier: Apache-2.0 */
/* notify: what a service manager is told, and the sockets that it gives. */
#ifndef CLSA_SERVE_NOTIFY_H
#define CLSA_SERVE_NOTIFY_H

/* Tell the service manager a line such as READY=1, if there is one. */
void serve_notify(const char *line);

/* Milliseconds between signs of life; 0: nobody waits for them. */
int serve_notify_watchdog(void);

/* Sockets that were opened for this process, from descriptor 3 on. */
int serve_notify_sockets(void);

#endif /* CLSA_SERVE_NOTIFY_H */
