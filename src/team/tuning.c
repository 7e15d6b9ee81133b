/* team/tuning.c: the run adapts its own limits to what it meets, and says so.
 *
 *   429 or overload      fewer threads (up again as the provider recovers)
 *   messy diffs          smaller batches
 *   drift                a stricter plan template, in steps (docs/loop.md)
 *
 * Switched off by `[loop] tuning = false`. */
#include "team/run_internal.h"

#include "agent/slots.h"
#include "base/alloc.h"
#include "base/log.h"

/* Drifts that it takes to reach each step of strictness. */
static const int drift_steps[] = {1, 3, 6};

static void tell(struct run *run, const char *setting, int from, int to, const char *reason)
{
    run_emit(run, json_pack("{s:s, s:s, s:i, s:i, s:s}", "type", "tuning.changed", "setting", setting, "from", from, "to",
                            to, "reason", reason));
    run_log_line(run, "%s: %d -> %d, because of %s", setting, from, to, reason);
}

int tuning_strictness(const struct run *run)
{
    int level = 0;

    if (!run->settings.has_tuning)
        return 0;
    for (size_t i = 0; i < sizeof drift_steps / sizeof drift_steps[0]; i++)
        level += run->drifts >= drift_steps[i];
    return level;
}

int tuning_max_task_files(const struct run *run)
{
    int files = run->settings.max_task_files;

    for (int level = tuning_strictness(run); level > 0; level--)
        files = (files + 1) / 2;
    return files;
}

int tuning_batch_size(const struct run *run)
{
    int size = run->settings.batch_size;

    if (!run->settings.has_tuning)
        return size;
    size -= run->messes;
    if (tuning_strictness(run) >= 3)
        size = 1;
    return size < 1 ? 1 : size;
}

void tuning_note_return(struct run *run, enum return_reason reason)
{
    int level = tuning_strictness(run);
    int size = tuning_batch_size(run);

    if (reason == RETURN_DRIFT)
        run->drifts++;
    else if (reason == RETURN_MESSY)
        run->messes++;
    if (tuning_strictness(run) != level)
        tell(run, "plan_strictness", level, tuning_strictness(run), "drift");
    if (tuning_batch_size(run) != size)
        tell(run, "batch_size", size, tuning_batch_size(run), reason == RETURN_DRIFT ? "drift" : "messy diffs");
}

void tuning_propose(struct run *run)
{
    unsigned proposed = run->office == NULL ? 0 : office_propose_max_threads(run->office);

    if (proposed == 0 || (int64_t)proposed >= run->settings.agents.max_threads)
        return;
    run_emit(run, json_pack("{s:s, s:s, s:i, s:i, s:s}", "type", "tuning.proposed", "setting", "max_threads", "configured",
                            (int)run->settings.agents.max_threads, "proposed", (int)proposed, "reason", "429 or overload"));
    log_info("the provider keeps %u threads busy: `[agents] max_threads = %u` would wait less", proposed, proposed);
}

void tuning_note_window(struct run *run, unsigned window)
{
    struct slots *slots = run->office == NULL ? NULL : office_slots(run->office);
    int wanted = (int)run->settings.agents.max_threads;
    int now;

    if (slots == NULL || !run->settings.has_tuning)
        return;
    now = slots_limit(slots);
    if (window > 0 && (int64_t)window < wanted)
        wanted = (int)window;
    if (wanted == now)
        return;
    slots_set_limit(slots, wanted);
    tell(run, "max_threads", now, wanted, wanted < now ? "429 or overload" : "recovery");
}
