/* base/error.c: see error.h. */
#include "base/error.h"

#include "base/buf.h"
#include "base/redact.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Writes into TEXT, without secrets; text that does not fit ends in "...". */
static void format_text(char *text, size_t size, const char *fmt, va_list ap)
{
    struct buf b = BUF_INIT;
    size_t n;

    buf_vprintf(&b, fmt, ap);
    redact_buf(&b, 0, REDACT_ALL); /* before the cut, which could leave half of one */
    n = b.len < size ? b.len : size - 1;
    memcpy(text, buf_cstr(&b), n);
    text[n] = '\0';
    if (b.len >= size)
        memcpy(text + size - 4, "...", 4);
    buf_free(&b);
}

int error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return -1;
    err->code = code;
    err->os_errno = 0;
    va_start(ap, fmt);
    format_text(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return -1;
}

int error_set_errno(struct error *err, const char *fmt, ...)
{
    int saved = errno;
    char reason[128];
    size_t used;
    va_list ap;

    if (err == NULL)
        return -1;
    err->code = saved == ENOENT ? ERROR_NOT_FOUND : ERROR_IO;
    err->os_errno = saved;
    va_start(ap, fmt);
    format_text(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, ": %s",
                   strerror_r(saved, reason, sizeof reason));
    errno = saved;
    return -1;
}

int error_set_at(struct error *err, enum error_code code, const char *file, int line, int column,
                 const char *fmt, ...)
{
    size_t used;
    va_list ap;

    if (err == NULL)
        return -1;
    err->code = code;
    err->os_errno = 0;
    if (line > 0 && column > 0)
        (void)snprintf(err->text, sizeof err->text / 2, "%s:%d:%d: ", file, line, column);
    else if (line > 0)
        (void)snprintf(err->text, sizeof err->text / 2, "%s:%d: ", file, line);
    else
        (void)snprintf(err->text, sizeof err->text / 2, "%s: ", file);
    used = strlen(err->text);
    va_start(ap, fmt);
    format_text(err->text + used, sizeof err->text - used, fmt, ap);
    va_end(ap);
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    char context[1024];
    char whole[sizeof err->text];
    va_list ap;

    if (err == NULL)
        return -1;
    va_start(ap, fmt);
    format_text(context, sizeof context, fmt, ap);
    va_end(ap);
    if (snprintf(whole, sizeof whole, "%s: %s", context, err->text) >= (int)sizeof whole)
        memcpy(whole + sizeof whole - 4, "...", 4);
    memcpy(err->text, whole, sizeof whole);
    return -1;
}

int error_hint(struct error *err, const char *fmt, ...)
{
    size_t used;
    va_list ap;

    if (err == NULL)
        return -1;
    used = strlen(err->text);
    if (used + 8 >= sizeof err->text)
        return -1;
    memcpy(err->text + used, "\n  ", 4);
    va_start(ap, fmt);
    format_text(err->text + used + 3, sizeof err->text - used - 3, fmt, ap);
    va_end(ap);
    return -1;
}

void error_clear(struct error *err)
{
    if (err == NULL)
        return;
    err->code = ERROR_NONE;
    err->os_errno = 0;
    err->text[0] = '\0';
}

bool error_is_set(const struct error *err)
{
    return err != NULL && err->code != ERROR_NONE;
}

int error_exit_code(const struct error *err)
{
    switch (err->code) {
    case ERROR_NONE:
        return EXIT_DONE;
    case ERROR_USAGE:
    case ERROR_CONFIG:
    case ERROR_PARSE:
    case ERROR_NOT_FOUND:
        return EXIT_USAGE;
    case ERROR_GATE:
        return EXIT_GATE;
    case ERROR_MODEL:
    case ERROR_AUTH:
        return EXIT_MODEL;
    case ERROR_REPOSITORY:
        return EXIT_REPOSITORY;
    case ERROR_CANCELLED:
        return EXIT_INTERRUPTED;
    case ERROR_IO:
    case ERROR_LIMIT:
    case ERROR_TIMEOUT:
    case ERROR_NOT_CONVERGED:
    case ERROR_SANDBOX:
    case ERROR_DENIED:
    case ERROR_INTERNAL:
        return EXIT_NOT_CONVERGED;
    }
    return EXIT_NOT_CONVERGED;
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",           [ERROR_USAGE] = "usage",
        [ERROR_CONFIG] = "config",       [ERROR_PARSE] = "parse",
        [ERROR_IO] = "io",               [ERROR_NOT_FOUND] = "not_found",
        [ERROR_LIMIT] = "limit",         [ERROR_TIMEOUT] = "timeout",
        [ERROR_CANCELLED] = "cancelled", [ERROR_NOT_CONVERGED] = "not_converged",
        [ERROR_GATE] = "gate",           [ERROR_MODEL] = "model",
        [ERROR_AUTH] = "auth",           [ERROR_REPOSITORY] = "repository",
        [ERROR_SANDBOX] = "sandbox",     [ERROR_DENIED] = "denied",
        [ERROR_INTERNAL] = "internal",
    };

    return names[code];
}
