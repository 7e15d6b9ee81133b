/* base/error.h: an error with its kind, its place in the input, and its context.
 *
 * Functions that can fail return int (0 or -1) or a pointer and take a `struct error *` last. An error is
 * set once where it happens, wrapped with context on the way up, and printed once at the top.
 * A `struct error` owns nothing: `struct error err = {0};` needs no clean-up. */
#ifndef CADRE_BASE_ERROR_H
#define CADRE_BASE_ERROR_H

#include <stdbool.h>

enum error_code {
    ERROR_NONE = 0,
    ERROR_USAGE,         /* wrong command line */
    ERROR_CONFIG,        /* a configuration, role or plan file is wrong */
    ERROR_PARSE,         /* other input does not parse */
    ERROR_IO,            /* a system call failed */
    ERROR_NOT_FOUND,     /* what was named does not exist */
    ERROR_LIMIT,         /* a bound of ours: size, depth, budget, time */
    ERROR_TIMEOUT,       /* took longer than allowed */
    ERROR_CANCELLED,     /* stopped on request */
    ERROR_NOT_CONVERGED, /* a run ended within its limits without being green */
    ERROR_GATE,          /* a gate refuses and attempts are used up */
    ERROR_MODEL,         /* the model's service failed */
    ERROR_AUTH,          /* the model's service refused the key */
    ERROR_REPOSITORY,    /* the repository is not in a usable state */
    ERROR_SANDBOX,       /* the sandbox cannot be set up, or refused */
    ERROR_DENIED,        /* policy or a person said no */
    ERROR_INTERNAL,
};

/* Exit codes of the program (docs: README). */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_NOT_CONVERGED = 1,
    EXIT_USAGE = 2,
    EXIT_GATE = 3,
    EXIT_MODEL = 4,
    EXIT_REPOSITORY = 5,
    EXIT_INTERRUPTED = 130,
};

struct error {
    enum error_code code;
    int os_errno; /* errno of the failed call, or 0 */
    char text[2048];
};

/* Sets ERR (NULL is allowed) and returns -1, so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Same, with ": strerror(errno)" appended. */
int error_set_errno(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Same, prefixed "FILE:LINE:COLUMN: ". LINE or COLUMN <= 0 is left out. */
int error_set_at(struct error *err, enum error_code code, const char *file, int line, int column,
                 const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* Prefixes the text: "CONTEXT: text". Returns -1. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends "\n  hint": what to do next. Returns -1. */
int error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void error_clear(struct error *err);
bool error_is_set(const struct error *err);

/* The exit code that the kind of error stands for. */
int error_exit_code(const struct error *err);

/* The code's name in events and logs: "config", "model", ... Static. */
const char *error_code_name(enum error_code code);

#endif
