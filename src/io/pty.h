/* io/pty.h: a pseudo-terminal. */
#ifndef CADRE_IO_PTY_H
#define CADRE_IO_PTY_H

#include "base/error.h"

#include <stddef.h>

/* Opens a pair. MASTER is close-on-exec and non-blocking; SLAVE_PATH is what the child opens after setsid
 * to get it as its controlling terminal. */
int pty_open(int *master, char *slave_path, size_t slave_path_bytes, struct error *err);

int pty_resize(int master, unsigned short columns, unsigned short rows, struct error *err);

#endif
