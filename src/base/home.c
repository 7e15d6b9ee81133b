/* base/home.c: the paths of path.h that depend on the user; apart, since the account database cannot be linked statically (the
 * exec helper). */
#include "base/path.h"

#include "base/alloc.h"
#include "base/str.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

static char *home_directory(void)
{
    const char *home = getenv("HOME");
    struct passwd *pw;

    if (!str_is_empty(home))
        return xstrdup(home);
    pw = getpwuid(getuid());
    return xstrdup(pw != NULL && pw->pw_dir != NULL ? pw->pw_dir : "/");
}

char *path_expand_home(const char *path)
{
    char *home;
    char *result;

    if (path[0] != '~' || (path[1] != '\0' && path[1] != '/'))
        return xstrdup(path);
    home = home_directory();
    result = path[1] == '\0' ? xstrdup(home) : path_join(home, path + 2);
    free(home);
    return result;
}

/* $NAME when it is an absolute path, else $HOME/FALLBACK. */
static char *home_or_variable(const char *name, const char *fallback)
{
    const char *value = getenv(name);
    char *home;
    char *result;

    if (!str_is_empty(value) && value[0] == '/')
        return xstrdup(value);
    home = home_directory();
    result = path_join(home, fallback);
    free(home);
    return result;
}

char *path_state_home(void)
{
    char *state = home_or_variable("XDG_STATE_HOME", ".local/state");
    char *result = path_join(state, "cadre");

    free(state);
    return result;
}

char *path_codex_home(void)
{
    return home_or_variable("CODEX_HOME", ".codex");
}
