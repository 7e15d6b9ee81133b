/* base/glob.c: see glob.h. Linear-ish matching with a bounded number of steps: hostile patterns cost a
 * false "no match", never time. */
#include "base/glob.h"

#include "base/alloc.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define GLOB_MAX_STEPS 100000

/* Matches one character against the class at P (after '['); returns the place after ']' or NULL. */
static const char *match_class(const char *p, char c, bool *matched)
{
    bool negated = *p == '!' || *p == '^';
    bool hit = false;
    bool first = true;

    if (negated)
        p++;
    for (; *p != '\0' && (*p != ']' || first); first = false) {
        char low = *p++;
        char high = low;

        if (low == '\\' && *p != '\0')
            low = high = *p++;
        if (*p == '-' && p[1] != ']' && p[1] != '\0') {
            high = p[1];
            p += 2;
        }
        if ((unsigned char)c >= (unsigned char)low && (unsigned char)c <= (unsigned char)high)
            hit = true;
    }
    if (*p != ']')
        return NULL;
    *matched = hit != negated && c != '/';
    return p + 1;
}

static bool match(const char *p, const char *s, int *steps)
{
    for (;;) {
        if (--*steps <= 0)
            return false;
        if (p[0] == '*' && p[1] == '*') {
            const char *rest = p + 2;

            while (*rest == '*')
                rest++;
            if (*rest == '/' && match(rest + 1, s, steps))
                return true; /* "**" + "/x" also matches x itself */
            for (; *s != '\0'; s++)
                if (match(rest, s, steps) || *steps <= 0)
                    return *steps > 0;
            return *rest == '\0';
        }
        if (*p == '*') {
            p++;
            for (;; s++) {
                if (match(p, s, steps))
                    return true;
                if (*s == '\0' || *s == '/' || *steps <= 0)
                    return false;
            }
        }
        if (*p == '\0')
            return *s == '\0';
        if (*s == '\0')
            return strcmp(p, "/**") == 0;
        if (*p == '?') {
            if (*s == '/')
                return false;
            p++;
        } else if (*p == '[') {
            bool matched = false;
            const char *after = match_class(p + 1, *s, &matched);

            if (after == NULL)
                matched = *s == '[';
            if (!matched)
                return false;
            p = after == NULL ? p + 1 : after;
        } else {
            if (*p == '\\' && p[1] != '\0')
                p++;
            if (*p != *s)
                return false;
            p++;
        }
        s++;
    }
}

bool glob_match(const char *pattern, const char *path)
{
    int steps = GLOB_MAX_STEPS;

    return match(pattern, path, &steps);
}

bool glob_is_pattern(const char *pattern)
{
    return strpbrk(pattern, "*?[\\") != NULL;
}

/* Can PATTERN match something below the folder PATH? Its first parts, as many as PATH has, decide. */
static bool matches_below(const char *pattern, const char *path)
{
    size_t n = 0;
    size_t literal = strcspn(pattern, "*?[\\");
    char *head;
    bool matches;

    if (strstr(pattern, "**") != NULL) /* any number of parts */
        return strncmp(pattern, path, literal < strlen(path) ? literal : strlen(path)) == 0;
    for (const char *p = path; p != NULL; p = strchr(p, '/'), p = p ? p + 1 : NULL) {
        n += n > 0;
        n += strcspn(pattern + n, "/");
        if (pattern[n] == '\0')
            return false; /* no deeper than PATH */
    }
    head = xstrndup(pattern, n);
    matches = glob_match(head, path);
    free(head);
    return matches;
}

bool glob_may_overlap(const char *a, const char *b)
{
    size_t na = strcspn(a, "*?[\\");
    size_t nb = strcspn(b, "*?[\\");
    size_t common = na < nb ? na : nb;

    if (a[na] == '\0' && b[nb] == '\0') {
        /* Two plain paths: the same, or one a folder that holds the other. */
        return str_eq(a, b) || (strncmp(a, b, common) == 0 && (a[common] == '/' || b[common] == '/'));
    }
    if (a[na] == '\0' && b[nb] != '\0')
        return glob_match(b, a) || matches_below(b, a);
    if (b[nb] == '\0')
        return glob_may_overlap(b, a);
    return strncmp(a, b, common) == 0;
}
