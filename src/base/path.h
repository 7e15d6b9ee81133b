/* base/path.h: path text, without looking at the file system unless said. Returned strings are the
 * caller's to free. */
#ifndef CADRE_BASE_PATH_H
#define CADRE_BASE_PATH_H

#include <stdbool.h>

/* "a/b"; an absolute B wins; a NULL or empty A gives B. */
char *path_join(const char *a, const char *b);

/* "." and ".." and double slashes resolved as text; "/.." is "/". A relative path that climbs above its
 * start keeps its leading "..". */
char *path_normalize(const char *path);

/* The part before the last '/', "." without one, "/" for the root. */
char *path_dirname(const char *path);

/* Points into PATH, after the last '/'. */
const char *path_basename(const char *path);

/* Is normalized INNER equal to or below normalized OUTER? Both absolute or both relative. */
bool path_is_below(const char *inner, const char *outer);

/* Is it a plain relative path: not empty, not absolute, no ".." part, no NUL, no empty part? */
bool path_is_plain_relative(const char *path);

/* "~" and "~/x" with $HOME; anything else is copied. */
char *path_expand_home(const char *path);

char *path_current_directory(void);

/* $XDG_STATE_HOME/cadre (default ~/.local/state/cadre). */
char *path_state_home(void);

/* $CODEX_HOME (default ~/.codex). */
char *path_codex_home(void);

/* The program's own file, for re-executing it as a helper. */
char *path_self_executable(void);

#endif
