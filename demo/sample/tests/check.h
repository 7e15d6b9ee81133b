/* A line a check: `ok NAME` or `not ok NAME`; the program fails when one does. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

static int failures;

static void check(const char *name, int is_right)
{
    printf("%s %s\n", is_right ? "ok" : "not ok", name);
    failures += !is_right;
}

#endif
