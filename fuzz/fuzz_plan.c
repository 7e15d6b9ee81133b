/* fuzz/fuzz_plan.c: plan.md as a model or a person may write it, and the edits that the engine makes in it. */
#include "base/buf.h"
#include "base/vec.h"
#include "team/plan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void free_strings(struct vec *v)
{
    for (size_t i = 0; i < v->len; i++)
        free(v->items[i]);
    vec_finish(v);
    *v = (struct vec){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vec strings = {0};
    struct vec ready = {0};
    struct buf text = BUF_INIT;
    struct buf joined = BUF_INIT;
    struct plan *plan = plan_load_text((const char *)data, size, "plan.md", 6, &strings);

    if ((plan == NULL) != (strings.len > 0))
        abort(); /* a bad plan says why, a good one has nothing to say */
    buf_append(&text, data, size);
    if (plan != NULL) {
        const struct plan_task *first = plan_task_at(plan, 0);

        plan_lint(plan, "plan.md", &strings);
        plan_ready_tasks(plan, 4, NULL, NULL, &ready);
        if (!plan_text_set_done(&text, first->id, true) || text.len != size)
            abort();
    }
    plan_text_append_log(&text, "one\nline");
    plan_text_merge((const char *)buf_cstr(&text), buf_cstr(&text), buf_cstr(&text), &joined, &strings);
    plan_destroy(plan);
    free_strings(&strings);
    vec_finish(&ready);
    buf_free(&text);
    buf_free(&joined);
    return 0;
}
