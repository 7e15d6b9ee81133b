/* bench/simulated_team.h: a repository with known mistakes, and a team of scripted models that make known mistakes of their
 * own, drawn from a seed. */
#ifndef CADRE_BENCH_SIMULATED_TEAM_H
#define CADRE_BENCH_SIMULATED_TEAM_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

#define TEAM_MAX_TASKS 8

/* The ways in which an attempt goes wrong. */
enum fault {
    FAULT_NONE,
    FAULT_WRONG,     /* a patch that fails its own test */
    FAULT_NEIGHBOUR, /* right by itself, breaks a neighbour's test */
    FAULT_FOREIGN,   /* touches a file that is not the task's */
    FAULT_CONFLICT,  /* right, but writes the same line of a shared file as others do */
    FAULT_EMPTY,     /* claims success without a change */
    FAULT_WEAKEN,    /* wrong, and switches its test off */
    FAULT_SECRET,    /* right, with a credential in it */
    FAULT_EARLY,     /* stops in the middle, without a result */
    FAULT_LOOP,      /* does the same thing for ever */
    FAULT_GARBAGE,   /* answers what no tool takes */
    FAULT_SUBTLE,    /* wrong in a way that only a reviewer sees */
    FAULT_COUNT
};
const char *fault_name(enum fault fault);

struct team_options {
    int tasks;
    double probability;    /* that an attempt goes wrong */
    enum fault only;       /* in this way; FAULT_NONE: in any */
    double flaky_rate;     /* of a CI job that fails by chance; 0: there is none */
    int turns;             /* requests of a good attempt, at least 1 */
    int latency_ms;        /* of each answer */
    uint64_t seed;
    bool one_agent;        /* one thread does all tasks, one after the other, without a team */
};

/* The least number of requests that such a run takes when nothing goes wrong. */
int team_least_calls(const struct team_options *options);

/* Makes the repository in DIR. */
int team_make_repository(struct loop *loop, const char *dir, const struct team_options *options,
                         const char *const *env, struct error *err);

/* The models' script for `cadre mock`. */
void team_write_script(const struct team_options *options, struct buf *out);

/* Looks at what is in DIR now, with tests that nobody of the team has seen. NULL when all is right, else what is not
 * (the caller frees). */
char *team_hidden_test(struct loop *loop, const char *dir, const struct team_options *options, const char *const *env);

#endif
