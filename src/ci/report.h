/* ci/report.h: a plan or a result for others to read: JSON (docs/ci.md), JUnit XML, Markdown, GitHub's
 * annotations. All text from the tree is escaped for its format. */
#ifndef CADRE_CI_REPORT_H
#define CADRE_CI_REPORT_H

#include "base/buf.h"
#include "ci/ci.h"

void report_plan_json(struct buf *out, const struct ci_plan *plan);   /* one object */
void report_job_json(struct buf *out, const struct ci_job_result *job); /* one object, "type": "job" */
void report_result_json(struct buf *out, const struct ci_result *result); /* one object, "type": "summary" */
void report_junit(struct buf *out, const struct ci_result *result);
void report_markdown(struct buf *out, const struct ci_result *result);
void report_annotations(struct buf *out, const struct ci_result *result);

/* "3 passed, 1 failed, 2 skipped; 14 of 17 steps of the real CI are mirrored (82 %)" */
void report_summary_line(struct buf *out, const struct ci_result *result);

#endif
