/* io/late_library.c: dlopen, and a table of pointers. A library is never unloaded: some leave handlers behind that the
 * process runs when it exits. */
#include "io/late_library.h"

#include "base/alloc.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

int late_library_load(struct late_library *library, struct error *err)
{
    void **found;
    void *handle;

    if (library->is_loaded)
        return 0;
    handle = dlopen(library->file, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return error_set(err, ERROR_CONFIG,
                         "%s needs the library %s: %s; install it (on Debian: apt install %s)",
                         library->purpose, library->file, dlerror(), library->package);
    found = xcalloc(library->count, sizeof(*found));
    for (size_t i = 0; i < library->count; i++) {
        found[i] = dlsym(handle, library->names[i]);
        if (found[i] == NULL) {
            error_set(err, ERROR_CONFIG,
                      "%s needs the library %s in a newer version: it has no %s; upgrade it (on Debian: apt "
                      "install %s)",
                      library->purpose, library->file, library->names[i], library->package);
            dlclose(handle);
            free(found);
            return -1;
        }
    }
    memcpy(library->table, found, library->count * sizeof(*found));
    free(found);
    library->is_loaded = true;
    return 0;
}
