/* io/spawn_protocol.h: what a spawn server is told and answers; see spawn_server.h. Both ends are one build: no versions.
 *
 * The server's descriptors when it starts: 3 a SOCK_SEQPACKET socket, 4 the board, an array of SPAWN_SLOTS slots in shared
 * memory. It says {0, 0} when it is ready, or {0, errno} when it cannot serve here and ends.
 *
 * A request is one message: the header, then the strings (each with its NUL): working directory, terminal, the arguments, the
 * environment; with it come the descriptors whose bit is set in `descriptors`, in order. The answer is the number of the
 * process, a child of the asking program, or an error. The request names a slot of the board, which is zero then: the kernel
 * writes the process's number there as it makes it, so that a server that ends without an answer leaves no doubt; and with
 * SPAWN_HAS_STATUS its wait status, when that is not what a wait for it gives (a command that a signal ended). */
#ifndef CADRE_IO_SPAWN_PROTOCOL_H
#define CADRE_IO_SPAWN_PROTOCOL_H

#include <stdint.h>

#define SPAWN_SOCKET     3
#define SPAWN_BOARD      4
#define SPAWN_SLOTS      4096
#define SPAWN_MAX_BYTES  (120 * 1024)
#define SPAWN_HAS_STATUS (1 << 30)

struct spawn_slot {
    _Atomic int32_t pid;
    _Atomic int32_t status;
};

struct spawn_header {
    uint32_t argc;
    uint32_t envc;
    uint32_t slot;
    uint8_t descriptors;  /* bit 0, 1, 2: that one comes with the message; else it is /dev/null */
    uint8_t merge_stderr; /* 2 is as 1 */
    uint8_t has_terminal; /* 0, 1 and 2 are the terminal, which becomes the controlling one */
    uint8_t unused;
};

struct spawn_answer {
    int32_t pid;
    int32_t error;
};

#endif
