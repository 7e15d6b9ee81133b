/* tests/tools/check_diff.c: the built-in checks over a diff on standard input: "CHECK<TAB>SEVERITY<TAB>FILE:LINE<TAB>TITLE" a
 * finding. For tests/e2e/checks_npm.sh. */
#include "base/buf.h"
#include "base/str.h"
#include "base/vec.h"
#include "team/builtin_checks.h"

#include <stdio.h>

int main(void)
{
    struct str_list none = {0};
    struct vec findings = {0};
    struct buf diff = BUF_INIT;
    char piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
        buf_append(&diff, piece, n);
    if (builtin_checks_run(buf_cstr(&diff), diff.len, &none, &findings, NULL) < 0)
        return 1;
    for (size_t i = 0; i < findings.len; i++) {
        struct check_finding *f = findings.items[i];

        printf("%s\t%s\t%s:%d\t%s\n", f->check, f->severity, f->file, f->line, f->title);
        check_finding_destroy(f);
    }
    vec_finish(&findings);
    buf_free(&diff);
    return 0;
}
