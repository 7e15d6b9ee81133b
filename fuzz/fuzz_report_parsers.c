/* Output of test programs: the parsers name what failed within bounds, whatever the bytes. */
#include "ci/excerpt.h"
#include "ci/report_parsers.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report report = {0};
    struct excerpt excerpt = {0};

    report_read(&report, (const char *)data, size);
    assert(report.len <= REPORT_MAX_FAILURES);
    for (size_t i = 0; i < report.len; i++) {
        char *text = report_failure_text(&report.failures[i]), *identity = report_failure_identity(text);
        assert(report.failures[i].first <= report.failures[i].end && report.failures[i].end <= report.lines.len);
        assert(*text != '\0');
        free(text);
        free(identity);
    }
    report_finish(&report);
    excerpt_read(&excerpt, &(struct excerpt_source){.job = "j", .command = "c", .output = (const char *)data,
                                                    .output_len = size, .max_bytes = 500});
    assert(strlen(excerpt.text) <= 500);
    excerpt_finish(&excerpt);
    return 0;
}
