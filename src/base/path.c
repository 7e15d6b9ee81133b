/* base/path.c: see path.h. */
#include "base/path.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *path_join(const char *a, const char *b)
{
    if (str_is_empty(a) || b[0] == '/')
        return xstrdup(b);
    if (b[0] == '\0')
        return xstrdup(a);
    return xasprintf("%s%s%s", a, str_ends_with(a, "/") ? "" : "/", b);
}

char *path_normalize(const char *path)
{
    bool absolute = path[0] == '/';
    struct str_list in = {0};
    struct str_list out = {0};
    char *joined;
    char *result;

    str_split(&in, path, '/');
    for (size_t i = 0; i < in.len; i++) {
        const char *part = in.items[i];

        if (part[0] == '\0' || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            if (out.len > 0 && strcmp(out.items[out.len - 1], "..") != 0)
                str_list_remove(&out, out.len - 1);
            else if (!absolute)
                str_list_add(&out, part);
            continue;
        }
        str_list_add(&out, part);
    }
    joined = str_list_join(&out, "/");
    if (absolute)
        result = xasprintf("/%s", joined);
    else
        result = xstrdup(joined[0] == '\0' ? "." : joined);
    free(joined);
    str_list_finish(&in);
    str_list_finish(&out);
    return result;
}

char *path_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return xstrdup(".");
    while (slash > path && slash[-1] == '/')
        slash--;
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

bool path_is_below(const char *inner, const char *outer)
{
    size_t n = strlen(outer);

    if (strcmp(outer, "/") == 0)
        return inner[0] == '/';
    if (strcmp(outer, ".") == 0)
        return inner[0] != '/' && strcmp(inner, "..") != 0 && !str_starts_with(inner, "../");
    return strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '/');
}

bool path_is_plain_relative(const char *path)
{
    struct str_list parts = {0};
    bool ok = path[0] != '\0' && path[0] != '/';

    if (!ok)
        return false;
    str_split(&parts, path, '/');
    for (size_t i = 0; i < parts.len; i++)
        if (parts.items[i][0] == '\0' || strcmp(parts.items[i], "..") == 0)
            ok = false;
    str_list_finish(&parts);
    return ok;
}

char *path_current_directory(void)
{
    char *cwd = getcwd(NULL, 0);

    if (cwd == NULL)
        return xstrdup("/");
    return cwd;
}

char *path_self_executable(void)
{
    char target[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", target, sizeof target - 1);

    if (n <= 0)
        return xstrdup("/proc/self/exe");
    target[n] = '\0';
    /* A binary replaced while it runs: the link text is no file any more, the link itself still is. */
    return xstrdup(access(target, X_OK) == 0 ? target : "/proc/self/exe");
}
