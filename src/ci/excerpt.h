/* ci/excerpt.h: from a step's output to what an implementer needs: the failing part, the failing tests by
 * file and line, and a fingerprint by which the same failure is known again. */
#ifndef CADRE_CI_EXCERPT_H
#define CADRE_CI_EXCERPT_H

#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* At most MAX bytes: COMMAND to repeat the step, then the lines that speak of failure with those around
 * them, then the end of the output. Caller frees. */
char *excerpt_make(const char *command, int exit_code, const char *output, size_t n, size_t max);

/* Failing tests and diagnostics as "file:line: text" or "text", without repeats, 50 at most: compilers,
 * TAP, pytest, go test, cargo, node, jest, ctest, gtest, cmocka, JUnit XML. */
void excerpt_failing_tests(const char *output, size_t n, struct str_list *tests);

/* Over what names the failure, with numbers, addresses, times and folders taken out. */
uint64_t excerpt_fingerprint(const char *job, const char *step, const char *output, size_t n);

#endif
