/* store/file_lock.h: an exclusive lock on a file that says who holds it. It ends with its process, however
 * that ends. Only for store/. */
#ifndef CADRE_STORE_FILE_LOCK_H
#define CADRE_STORE_FILE_LOCK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct file_lock_holder {
    int64_t pid; /* 0 when unknown */
    int64_t since_ms;
    char host[65];
};

/* Locks PATH (made when missing) and writes down who we are. A descriptor, or -1; ERROR_LIMIT when another
 * holds it, with its pid and since when. Close the descriptor to unlock. */
int file_lock_take(const char *path, struct error *err);

/* Is PATH locked, and by whom? */
bool file_lock_is_held(const char *path, struct file_lock_holder *holder);

#endif
