/* base/kill_point.h: for tests: places at which the program kills itself, as `kill -9` from outside would, so that a test
 * can go through every one of them (tests/e2e/kill_every.sh).
 *
 * Only in builds with the tests (-Dtests=true); in others these calls do nothing, whatever the environment says.
 *
 *     CADRE_TEST_KILL_AT=git-before:17    SIGKILL at the 17th passing of that place
 *     CADRE_TEST_POINTS=FILE              at a normal end, "PLACE COUNT" for each place that was passed
 */
#ifndef CADRE_BASE_KILL_POINT_H
#define CADRE_BASE_KILL_POINT_H

enum kill_point {
    KILL_POINT_JOURNAL_BEFORE, /* "journal-before": a commit to the journal is about to be made */
    KILL_POINT_JOURNAL_AFTER, /* "journal-after": it is on the disk, nothing that follows from it has happened */
    KILL_POINT_GIT_BEFORE,    /* "git-before": a git command is about to be started */
    KILL_POINT_GIT_AFTER,     /* "git-after": it has ended, its answer is not known to anybody yet */
    KILL_POINT_COUNT,
};

#ifdef CADRE_TEST_HOOKS
void kill_point_pass(enum kill_point point);
#else
static inline void kill_point_pass(enum kill_point point)
{
    (void)point;
}
#endif

#endif
