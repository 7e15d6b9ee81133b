/* team/run_cassette.c: a run whose model traffic is recorded, or played back in place of every model.
 *
 * A replayed run makes the same commits with the same hashes when it starts from the same commit: git gets the
 * recorded time and the commits name the recorded run. A request that differs from the recorded one is refused, so
 * that the run stops where the code began to behave differently and says where. */
#include "team/run_internal.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "model/cassette.h"
#include "model/mock_script.h"
#include "model/mock_server.h"

#include <stdlib.h>
#include <string.h>

static int start_replay(struct run *run, const struct cassette_head *head, struct error *err)
{
    struct mock_script *script = cassette_load(run->options.replay_path, true, err);

    if (script == NULL)
        return -1;
    run->replay = mock_server_start(run->loop, script, 0, err);
    if (run->replay == NULL)
        return -1;
    if (head->started_s > 0)
        git_repo_set_date(run->repo, head->started_s);
    if (head->run != NULL) {
        free(run->label);
        run->label = xstrdup(head->run);
    }
    if (head->base != NULL && run->base != NULL && strcmp(head->base, run->base) != 0)
        log_warning("%s was recorded at commit %.12s, this run starts at %.12s: its commits have other hashes",
                    run->options.replay_path, head->base, run->base);
    return 0;
}

static int start(struct run *run, bool resumed, struct error *err)
{
    const char *record = run->options.record_path;
    struct cassette_head head = {0};
    int rc = 0;

    free(run->label);
    run->label = xstrdup(run->id);
    if (run->options.replay_path != NULL) {
        rc = cassette_read_head(run->options.replay_path, &head, err);
        if (rc == 0)
            rc = start_replay(run, &head, err);
    } else if (record != NULL && resumed && file_exists(record)) {
        rc = cassette_read_head(record, &head, err);
        run->recorder = rc < 0 ? NULL : cassette_recorder_append(record, run->id, NULL, err);
        rc = run->recorder == NULL ? -1 : 0;
        if (rc == 0)
            git_repo_set_date(run->repo, head.started_s);
    } else if (record != NULL) {
        head = (struct cassette_head){.run = xstrdup(run->id), .base = xstrdup(run->base),
                                      .goal = xstrdup(run->goal), .started_s = clock_wall_ms() / 1000};
        run->recorder = cassette_recorder_create(record, &head, NULL, err);
        rc = run->recorder == NULL ? -1 : 0;
        git_repo_set_date(run->repo, head.started_s);
    }
    cassette_head_finish(&head);
    return rc;
}

int run_open_cassette(struct run *run, struct error *err)
{
    return start(run, false, err);
}

int run_reopen_cassette(struct run *run, struct error *err)
{
    return start(run, true, err);
}

int run_close_cassette(struct run *run, struct error *err)
{
    int rc = cassette_recorder_destroy(run->recorder, err);

    run->recorder = NULL;
    mock_server_destroy(run->replay);
    run->replay = NULL;
    return rc;
}
