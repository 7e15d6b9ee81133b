/* cli/doctor.h: the parts of `cadre doctor`, each a function that prints its findings. */
#ifndef CADRE_CLI_DOCTOR_H
#define CADRE_CLI_DOCTOR_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

struct config;
struct loop;
struct role_registry;

struct doctor {
    const struct config *config; /* NULL when it does not load */
    struct role_registry *roles;
    struct str_list models; /* every model that is configured, each once */
    unsigned warnings;
    unsigned failures;
    int exit_code; /* of the first failure */
};

/* One line; the second and third count. NEXT (may be NULL) is what to do. CODE: the exit code of a failure. */
void doctor_ok(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void doctor_warn(struct doctor *d, const char *next, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void doctor_fail(struct doctor *d, int code, const char *next, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* doctor_config.c */
void doctor_check_config(struct doctor *d);
void doctor_check_roles(struct doctor *d);
void doctor_check_programs(struct doctor *d); /* MCP servers: are the commands there? */
/* Is NAME a program, by its path or in PATH? */
bool doctor_has_program(const char *name);

/* doctor_runners.c: the programs that carry roles: are they there, which version, in which box? Waits. */
void doctor_check_runners(struct doctor *d, struct loop *loop);

#endif
