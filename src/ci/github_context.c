/* ci/github_context.c: what GitHub would tell a workflow about the event, the repository and the commit. */
#include "ci/github_context.h"

#include "base/alloc.h"
#include "base/json.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

static const char *option_or(const char *value, const char *fallback)
{
    return value != NULL && *value != '\0' ? value : fallback;
}

static void set(json_t *object, const char *key, const char *value)
{
    json_t *text = json_string(value);

    json_object_set_new(object, key, text != NULL ? text : json_string(""));
}

/* "NAME=value" entries as an object. */
static json_t *pairs(const struct str_list *list)
{
    json_t *object = json_object();

    for (size_t i = 0; list != NULL && i < list->len; i++) {
        const char *equals = strchr(list->items[i], '=');
        if (equals != NULL) {
            char *key = xstrndup(list->items[i], (size_t)(equals - list->items[i]));
            set(object, key, equals + 1);
            free(key);
        }
    }
    return object;
}

static json_t *repository_object(const char *full_name, const char *default_branch)
{
    const char *slash = strchr(full_name, '/');
    char *owner = xstrndup(full_name, slash != NULL ? (size_t)(slash - full_name) : 0);
    json_t *repository = json_object(), *login = json_object();

    set(repository, "full_name", full_name);
    set(repository, "name", slash != NULL ? slash + 1 : full_name);
    set(repository, "default_branch", default_branch);
    json_object_set_new(repository, "fork", json_false());
    json_object_set_new(repository, "private", json_true());
    set(login, "login", owner);
    json_object_set_new(repository, "owner", login);
    free(owner);
    return repository;
}

static json_t *pull_request_object(const struct ci_options *o, const char *full_name, const char *base,
                                   const char *head, const char *sha)
{
    json_t *pull = json_object(), *head_ref = json_object(), *base_ref = json_object(), *user = json_object();

    json_object_set_new(pull, "number", json_integer(1));
    json_object_set_new(pull, "draft", json_false());
    json_object_set_new(pull, "merged", json_false());
    json_object_set_new(pull, "labels", json_array());
    set(pull, "state", "open");
    set(pull, "title", "");
    set(pull, "body", "");
    set(head_ref, "ref", head);
    set(head_ref, "sha", sha);
    json_object_set_new(head_ref, "repo", repository_object(full_name, base));
    set(base_ref, "ref", base);
    json_object_set_new(base_ref, "repo", repository_object(full_name, base));
    json_object_set_new(pull, "head", head_ref);
    json_object_set_new(pull, "base", base_ref);
    set(user, "login", "cadre");
    json_object_set_new(pull, "user", user);
    (void)o;
    return pull;
}

static json_t *event_payload(const struct ci_options *o, const char *event, const char *full_name,
                             const char *base, const char *head, const char *ref, const char *sha)
{
    json_t *payload = NULL, *commit;
    struct error err = {0};

    if (o->event_json != NULL)
        payload = json_parse(o->event_json, strlen(o->event_json), "event", &err);
    if (!json_is_object(payload)) {
        json_decref(payload);
        payload = json_object();
    }
    if (json_object_get(payload, "repository") == NULL)
        json_object_set_new(payload, "repository", repository_object(full_name, base));
    if (strncmp(event, "pull_request", 12) == 0) {
        if (json_object_get(payload, "action") == NULL)
            set(payload, "action", "synchronize");
        if (json_object_get(payload, "number") == NULL)
            json_object_set_new(payload, "number", json_integer(1));
        if (json_object_get(payload, "pull_request") == NULL)
            json_object_set_new(payload, "pull_request", pull_request_object(o, full_name, base, head, sha));
    } else if (strcmp(event, "push") == 0 && json_object_get(payload, "ref") == NULL) {
        commit = json_object();
        set(payload, "ref", ref);
        set(payload, "after", sha);
        set(payload, "before", "0000000000000000000000000000000000000000");
        json_object_set_new(payload, "created", json_false());
        json_object_set_new(payload, "deleted", json_false());
        json_object_set_new(payload, "forced", json_false());
        set(commit, "id", sha);
        set(commit, "message", "");
        json_object_set_new(payload, "head_commit", commit);
        json_object_set_new(payload, "commits", json_array());
    }
    if ((strcmp(event, "workflow_dispatch") == 0 || strcmp(event, "workflow_call") == 0) && json_object_get(payload, "inputs") == NULL)
        json_object_set_new(payload, "inputs", pairs(o->inputs));
    return payload;
}

/* A given payload may name the branches of the pull request itself. */
static const char *payload_ref(const json_t *payload, const char *end, const char *fallback)
{
    const json_t *ref = json_object_get(json_object_get(json_object_get(payload, "pull_request"), end), "ref");

    return json_is_string(ref) ? json_string_value(ref) : fallback;
}

json_t *github_contexts(const struct ci_options *o)
{
    const char *event = option_or(o->event, "push");
    const char *base = option_or(o->base_branch, "main"), *head = option_or(o->branch, "main");
    const char *sha = option_or(o->sha, "0000000000000000000000000000000000000000");
    bool is_pull = strncmp(event, "pull_request", 12) == 0;
    char *root = path_normalize(option_or(o->definition_dir, "."));
    char *full_name = o->repository != NULL ? xstrdup(o->repository)
                                            : xasprintf("local/%s", path_basename(root));
    char *ref = is_pull         ? xstrdup("refs/pull/1/merge")
                : o->tag != NULL ? xasprintf("refs/tags/%s", o->tag)
                                 : xasprintf("refs/heads/%s", head);
    char *owner = xstrndup(full_name, strcspn(full_name, "/"));
    json_t *contexts = json_object(), *github = json_object(), *payload;

    set(github, "event_name", event);
    payload = event_payload(o, event, full_name, base, head, ref, sha);
    json_object_set_new(github, "event", payload);
    base = payload_ref(payload, "base", base);
    head = payload_ref(payload, "head", head);
    set(github, "ref", ref);
    set(github, "ref_name", is_pull ? "1/merge" : o->tag != NULL ? o->tag : head);
    set(github, "ref_type", !is_pull && o->tag != NULL ? "tag" : "branch");
    json_object_set_new(github, "ref_protected", json_false());
    set(github, "base_ref", is_pull ? base : "");
    set(github, "head_ref", is_pull ? head : "");
    set(github, "sha", sha);
    set(github, "repository", full_name);
    set(github, "repository_owner", owner);
    set(github, "repository_id", "1");
    set(github, "repository_owner_id", "1");
    set(github, "repositoryUrl", "");
    set(github, "actor", option_or(o->actor, "cadre"));
    set(github, "actor_id", "1");
    set(github, "triggering_actor", option_or(o->actor, "cadre"));
    set(github, "run_id", "1");
    set(github, "run_number", "1");
    set(github, "run_attempt", "1");
    set(github, "retention_days", "90");
    set(github, "server_url", "https://github.com");
    set(github, "api_url", "https://api.github.com");
    set(github, "graphql_url", "https://api.github.com/graphql");
    set(github, "secret_source", "None");
    set(github, "token", "");
    json_object_set_new(contexts, "github", github);
    json_object_set_new(contexts, "vars", pairs(o->vars));
    json_object_set_new(contexts, "secrets", pairs(o->secrets));
    json_object_set_new(contexts, "inputs", pairs(o->inputs));
    free(owner);
    free(ref);
    free(full_name);
    free(root);
    return contexts;
}
