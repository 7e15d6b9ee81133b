/* ci/gitlab_tree.h: a .gitlab-ci.yml as one tree: local includes read and merged, "!reference" put in place,
 * `extends` resolved. What comes from elsewhere (project, remote, template, component) is named, never fetched.
 * (docs.gitlab.com/ci/yaml/includes, .../yaml_optimization) */
#ifndef CADRE_CI_GITLAB_TREE_H
#define CADRE_CI_GITLAB_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "ci/yaml_tree.h"

#define GITLAB_MAX_FILES   150 /* as on gitlab.com */
#define GITLAB_MAX_EXTENDS 11
#define GITLAB_MAX_NESTING 10 /* of references and of lists within lists */

struct gitlab_tree {
    struct arena *arena;  /* borrowed; holds all nodes */
    const char *root_dir; /* where local files are read from; NULL: there are none */
    /* Asked for the `rules` of an include; NULL: they hold. -1 with ERR, 0 no, 1 yes. */
    int (*include_holds)(void *data, const struct yaml_node *rules, struct error *err);
    void *data;
    const struct yaml_node *inputs; /* given to the file itself; or NULL */

    struct yaml_node *config; /* out: the merged mapping */
    struct str_list foreign;  /* out: includes from elsewhere, "template 'x'" */
    struct vec foreign_nodes; /* out: their places, struct yaml_node * */
    size_t files, nodes;      /* own: bounds */
};

/* Reads TEXT (the file FILE) with what it includes. 0, or -1 with ERR ("FILE:LINE:COLUMN: ..."). */
int gitlab_tree_load(struct gitlab_tree *tree, const char *text, size_t n, const char *file,
                     struct error *err);
void gitlab_tree_finish(struct gitlab_tree *tree);

/* The job KEY of the merged configuration with its `extends` resolved. *IS_FOREIGN: it extends what only an
 * include from elsewhere can define (the rest is resolved). NULL with ERR on failure. */
struct yaml_node *gitlab_tree_job(struct gitlab_tree *tree, const char *key, bool *is_foreign,
                                  struct error *err);

/* A over B: mappings member by member, anything else A's. */
struct yaml_node *gitlab_merge(struct arena *arena, struct yaml_node *below, struct yaml_node *above);

/* ERR at the node's place in its file. Returns -1. */
int gitlab_fail(const struct yaml_node *at, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
