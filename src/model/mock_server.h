/* model/mock_server.h: an HTTP server on loopback that speaks the three wire APIs from a script (`cadre
 * mock`, `cadre demo`, tests). docs/mock.md describes the script and the log. */
#ifndef CADRE_MODEL_MOCK_SERVER_H
#define CADRE_MODEL_MOCK_SERVER_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct mock_script;
struct mock_server;

struct mock_server_options {
    struct mock_script *script; /* taken */
    uint16_t port;              /* 0: any free one */
    const char *log_path;       /* a JSON line a request is appended; NULL: none */
    bool logs_bodies;           /* the line holds the request's body too */
};

/* NULL with ERR set (the script is freed then too). */
struct mock_server *mock_server_create(struct loop *loop, const struct mock_server_options *options,
                                       struct error *err);
/* The same with defaults, as tests want it: a script, any port or PORT. */
struct mock_server *mock_server_start(struct loop *loop, struct mock_script *script, uint16_t port,
                                      struct error *err);
uint16_t mock_server_port(const struct mock_server *server);
/* "http://127.0.0.1:PORT/v1"; owned by the server. */
const char *mock_server_base_url(const struct mock_server *server);
/* Requests answered so far with a status of STATUS; 0: all. */
int64_t mock_server_answered(const struct mock_server *server, int status);
/* Requests that differed from the cassette. */
int64_t mock_server_divergences(const struct mock_server *server);
void mock_server_destroy(struct mock_server *server); /* NULL is fine */

#endif
