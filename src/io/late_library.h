/* io/late_library.h: shared libraries that are loaded when they are first needed.
 *
 * libcurl brings 30 other libraries and libmicrohttpd 10: mapping and relocating them costs several times what all the
 * rest of a short command does, and most commands make no request and serve none. Such a library is not
 * linked; the one module that uses it calls it through a table of pointers that is filled here. A table is a struct
 * that consists of function pointers alone, one for each name of the list, in the same order. */
#ifndef CADRE_IO_LATE_LIBRARY_H
#define CADRE_IO_LATE_LIBRARY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct late_library {
    const char *file;         /* "libcurl.so.4": looked for where the linker looks */
    const char *package;      /* Debian package that has it, for the message */
    const char *purpose;      /* "requests by HTTP" */
    const char *const *names; /* functions */
    size_t count;
    void *table; /* filled: COUNT pointers */
    bool is_loaded;
};

/* Loads it once and for the whole life of the process. Takes some milliseconds, the first time only.
 * Returns 0, or -1 with ERR set (ERROR_CONFIG: trying again does not help) and the table untouched. */
int late_library_load(struct late_library *library, struct error *err);

#endif
