/* fuzz/fuzz_checks.c: any text as a diff for the built-in checks; findings are well-formed. */
#include "base/str.h"
#include "base/vec.h"
#include "team/builtin_checks.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str_list none = {0};
    struct vec findings = {0};

    if (builtin_checks_run((const char *)data, size, &none, &findings, NULL) < 0)
        abort();
    for (size_t i = 0; i < findings.len; i++) {
        struct check_finding *f = findings.items[i];

        if (!builtin_check_exists(f->check, NULL) || f->file == NULL || f->title == NULL)
            abort();
        check_finding_destroy(f);
    }
    vec_finish(&findings);
    return 0;
}
