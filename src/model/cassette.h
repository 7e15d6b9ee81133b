/* model/cassette.h: model traffic that was recorded and can be played back in place of a model.
 *
 * A cassette is JSON lines: a head, then one line an exchange: who asked (role, task, attempt, turn), what was
 * new in the input since the model's last answer, and the answer's items and usage. It is played by the mock
 * server, so it works for every wire API. Secrets are removed when it is written, and the thread's working
 * directory is written {{cwd}}, so that a replay elsewhere gets its own. docs/mock.md describes the file. */
#ifndef CADRE_MODEL_CASSETTE_H
#define CADRE_MODEL_CASSETTE_H

#include "base/error.h"
#include "model/conversation.h"

#include <stddef.h>
#include <stdint.h>

struct cassette_recorder;
struct mock_script;
struct wire_answer;

/* What a replay needs to make the same commits: the first line of the file. All may be NULL or 0. */
struct cassette_head {
    char *run;          /* id of the recorded run; its commits name it */
    char *base;         /* commit that it started from */
    char *goal;
    int64_t started_s;  /* its commits carry this time (seconds since the epoch) */
};
void cassette_head_finish(struct cassette_head *head);

/* Starts the file anew (mode 0600). HEAD may be NULL. REDACT (may be NULL) returns TEXT without secrets in a fresh
 * string, or NULL for "unchanged"; what looks like a well-known credential is removed in any case. */
struct cassette_recorder *cassette_recorder_create(const char *path, const struct cassette_head *head,
                                                   char *(*redact)(const char *text), struct error *err);
/* Goes on with the file of an interrupted recording; ERROR_CONFIG when it is no cassette of run RUN. */
struct cassette_recorder *cassette_recorder_append(const char *path, const char *run,
                                                   char *(*redact)(const char *text), struct error *err);
/* NULL is fine. -1 when something could not be written (a full disk). */
int cassette_recorder_destroy(struct cassette_recorder *recorder, struct error *err);

struct cassette_exchange { /* all borrowed */
    enum wire_api wire;
    const char *role, *task; /* may be NULL */
    int attempt;
    const char *body; /* of the request */
    size_t body_len;
    const struct wire_answer *answer; /* NULL: it failed for good, with ERROR */
    const struct error *error;
};
void cassette_record(struct cassette_recorder *recorder, const struct cassette_exchange *exchange);

/* The cassette as a script for mock_server_create(). STRICT: a request that differs from the recorded one is
 * refused; else it is answered and a warning says where it differs. */
struct mock_script *cassette_load(const char *path, bool strict, struct error *err);

/* Reads the first line alone. */
int cassette_read_head(const char *path, struct cassette_head *head, struct error *err);

/* TEXT with credentials removed and everything that changes from run to run (CWD, folders of absolute paths, numbers,
 * hashes) made equal; for comparison. Caller frees. */
char *cassette_normalize(const char *text, const char *cwd);

#endif
