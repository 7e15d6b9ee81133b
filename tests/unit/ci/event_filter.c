/* `on` filters: every pattern that GitHub documents, and the rules of branches, tags, paths and activities.
 * (docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet) */
#include "test.h"

#include "base/arena.h"
#include "ci/event_filter.h"

#include <stdio.h>
#include <string.h>

static void every_documented_pattern_matches_as_documented(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        /* branches and tags */
        {"feature/*", "feature/my-branch", true},
        {"feature/*", "feature/your-branch", true},
        {"feature/*", "feature/a/b", false},
        {"feature/**", "feature/beta-a/my-branch", true},
        {"feature/**", "feature/your-branch", true},
        {"feature/**", "feature/mona/the/octocat", true},
        {"feature/**", "feature", false},
        {"main", "main", true},
        {"main", "main2", false},
        {"releases/mona-the-octocat", "releases/mona-the-octocat", true},
        {"*", "main", true},
        {"*", "releases", true},
        {"*", "a/b", false},
        {"**", "all/the/branches", true},
        {"**", "every/tag", true},
        {"**", "main", true},
        {"*feature", "mona-feature", true},
        {"*feature", "feature", true},
        {"*feature", "ver-10-feature", true},
        {"*feature", "feature-1", false},
        {"v2*", "v2", true},
        {"v2*", "v2.0", true},
        {"v2*", "v2.9", true},
        {"v2*", "v1", false},
        {"v[12].[0-9]+.[0-9]+", "v1.10.1", true},
        {"v[12].[0-9]+.[0-9]+", "v2.0.0", true},
        {"v[12].[0-9]+.[0-9]+", "v3.0.0", false},
        {"v[12].[0-9]+.[0-9]+", "v1.a.0", false},
        {"v[12].[0-9]+.[0-9]+", "v1..0", false},
        /* paths */
        {"*", "README.md", true},
        {"*", "server.rb", true},
        {"*", "docs/README.md", false},
        {"*.jsx?", "page.js", true},
        {"*.jsx?", "page.jsx", true},
        {"*.jsx?", "page.jsxx", false},
        {"**", "all/the/files.md", true},
        {"*.js", "app.js", true},
        {"*.js", "js/app.js", false},
        {"**.js", "index.js", true},
        {"**.js", "js/index.js", true},
        {"**.js", "src/js/app.js", true},
        {"docs/*", "docs/README.md", true},
        {"docs/*", "docs/file.txt", true},
        {"docs/*", "docs/a/b.txt", false},
        {"docs/**", "docs/README.md", true},
        {"docs/**", "docs/mona/octocat.txt", true},
        {"docs/**/*.md", "docs/README.md", true},
        {"docs/**/*.md", "docs/mona/hello-world.md", true},
        {"docs/**/*.md", "docs/a/markdown/file.md", true},
        {"docs/**/*.md", "docs/a/file.txt", false},
        {"**/docs/**", "docs/hello.md", true},
        {"**/docs/**", "dir/docs/my-file.txt", true},
        {"**/docs/**", "space/docs/plan/space.doc", true},
        {"**/docs/**", "mydocs/x", false},
        {"**/README.md", "README.md", true},
        {"**/README.md", "js/README.md", true},
        {"**/README.md", "OLD-README.md", false},
        {"**/*src/**", "a/src/app.js", true},
        {"**/*src/**", "my-src/code/js/app.js", true},
        {"**/*-post.md", "my-post.md", true},
        {"**/*-post.md", "path/their-post.md", true},
        {"**/migrate-*.sql", "migrate-10909.sql", true},
        {"**/migrate-*.sql", "db/migrate-v1.0.sql", true},
        {"**/migrate-*.sql", "db/sept/migrate-v1.sql", true},
        /* the special characters one by one */
        {"ab?", "a", true},
        {"ab?", "ab", true},
        {"ab?c", "abbc", false},
        {"ab+", "abbb", true},
        {"ab+", "a", false},
        {"[CB]at", "Cat", true},
        {"[CB]at", "Bat", true},
        {"[CB]at", "cat", false},
        {"[1-2]00", "100", true},
        {"[1-2]00", "300", false},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
        {"c\\+\\+", "c++", true},
        {"Main", "main", false},
        {"a.c", "abc", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (event_glob_match(cases[i].pattern, cases[i].text) != cases[i].matches)
            print_message("# '%s' and '%s'\n", cases[i].pattern, cases[i].text);
        assert_int_equal(event_glob_match(cases[i].pattern, cases[i].text), cases[i].matches);
    }
}

static void a_pattern_cannot_take_forever(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(event_glob_match("**a**a**a**a**a**a**a**a**a**a**b", text));
}

/* Does the workflow with this `on` run? */
static bool runs(const char *on, const struct event *event, const char *paths)
{
    struct arena arena = {0};
    struct str_list list = {0};
    struct event own = *event;
    struct yaml_node *root;
    struct error err = {0};
    char reason[512];
    bool matches;

    if (paths != NULL) {
        str_split(&list, paths, ' ');
        own.changed_paths = &list;
    }
    assert_int_equal(yaml_tree_read(&arena, on, strlen(on), "w.yml", false, &root, &err), 0);
    assert_int_equal(event_filter_check(root, "w.yml", &err), 0);
    matches = event_filter_matches(root, &own, reason, sizeof reason);
    assert_int_equal(*reason == '\0', matches);
    str_list_finish(&list);
    arena_finish(&arena);
    return matches;
}

static void negation_goes_in_order_and_the_last_match_wins(void **state)
{
    const struct event push = {.name = "push", .branch = "main"};

    (void)state;
    assert_true(runs("push: {paths: ['*.md', '!README.md']}", &push, "hello.md"));
    assert_false(runs("push: {paths: ['*.md', '!README.md']}", &push, "README.md"));
    assert_false(runs("push: {paths: ['*.md', '!README.md']}", &push, "docs/hello.md"));
    assert_true(runs("push: {paths: ['*.md', '!README.md', 'README*']}", &push, "hello.md"));
    assert_true(runs("push: {paths: ['*.md', '!README.md', 'README*']}", &push, "README.md"));
    assert_true(runs("push: {paths: ['*.md', '!README.md', 'README*']}", &push, "README.doc"));
    assert_true(runs("push: {paths: ['sub/**', '!sub/docs/**']}", &push, "sub/x.c sub/docs/y.md"));
    assert_false(runs("push: {paths: ['sub/**', '!sub/docs/**']}", &push, "sub/docs/y.md"));
    assert_false(runs("push: {paths: ['!docs/**']}", &push, "src/a.c"));
    assert_true(runs("push: {branches: ['releases/**', '!releases/**-alpha']}",
                     &(struct event){.name = "push", .branch = "releases/10"}, NULL));
    assert_false(runs("push: {branches: ['releases/**', '!releases/**-alpha']}",
                      &(struct event){.name = "push", .branch = "releases/beta/3-alpha"}, NULL));
    assert_true(runs("push: {branches: ['!releases/**-alpha', 'releases/**']}",
                     &(struct event){.name = "push", .branch = "releases/3-alpha"}, NULL));
}

static void branches_tags_and_paths_work_together(void **state)
{
    const struct event push = {.name = "push", .branch = "main"},
                       tag = {.name = "push", .tag = "v1.0", .branch = "main"};

    (void)state;
    assert_true(runs("push", &push, NULL));
    assert_true(runs("[pull_request, push]", &push, NULL));
    assert_false(runs("pull_request", &push, NULL));
    assert_true(runs("push:", &tag, NULL));
    /* Only tags, or only branches: the other kind of ref does not run it. */
    assert_false(runs("push: {tags: ['v*']}", &push, NULL));
    assert_true(runs("push: {tags: ['v*']}", &tag, NULL));
    assert_false(runs("push: {branches: [main]}", &tag, NULL));
    assert_false(runs("push: {branches-ignore: [dev]}", &tag, NULL));
    assert_false(runs("push: {tags-ignore: [v2]}", &push, NULL));
    assert_true(runs("push: {tags-ignore: [v2]}", &tag, NULL));
    assert_true(runs("push: {branches: [main], tags: [v1*]}", &tag, NULL));
    assert_false(runs("push: {branches-ignore: ['ma*']}", &push, NULL));
    assert_true(runs("push: {branches-ignore: ['ma*', '!main']}", &push, NULL));
    /* Both the branch and a path must match. */
    assert_true(runs("push: {branches: [main], paths: ['src/**']}", &push, "src/a.c"));
    assert_false(runs("push: {branches: [dev], paths: ['src/**']}", &push, "src/a.c"));
    assert_false(runs("push: {branches: [main], paths: ['src/**']}", &push, "doc/a.md"));
    /* paths-ignore: runs as soon as one path is not ignored. */
    assert_false(runs("push: {paths-ignore: ['docs/**']}", &push, "docs/a docs/b"));
    assert_true(runs("push: {paths-ignore: ['docs/**']}", &push, "docs/a src/b"));
    /* Path filters do not count for tags, nor without a known diff. */
    assert_true(runs("push: {tags: ['v*'], paths: ['src/**']}", &tag, "doc/a"));
    assert_true(runs("push: {paths: ['src/**']}", &push, NULL));
    /* One pattern may stand without a list. */
    assert_true(runs("push: {branches: main}", &push, NULL));
}

static void pull_requests_go_by_their_base_and_activity(void **state)
{
    const struct event pull = {.name = "pull_request", .branch = "main"};

    (void)state;
    assert_true(runs("pull_request: {branches: [main]}", &pull, NULL));
    assert_false(runs("pull_request: {branches: ['releases/**']}", &pull, NULL));
    assert_true(runs("pull_request: {paths: ['**.js']}", &pull, "a/b.js"));
    assert_false(runs("pull_request: {paths: ['**.js']}", &pull, "a/b.ts"));
    assert_true(runs("pull_request: {types: [opened, labeled]}", &pull, NULL));
    assert_false(runs("pull_request: {types: [labeled]}", &pull, NULL));
    assert_true(runs("pull_request: {types: [labeled]}",
                     &(struct event){.name = "pull_request", .branch = "main", .activity = "labeled"}, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_pattern_matches_as_documented),
        cmocka_unit_test(a_pattern_cannot_take_forever),
        cmocka_unit_test(negation_goes_in_order_and_the_last_match_wins),
        cmocka_unit_test(branches_tags_and_paths_work_together),
        cmocka_unit_test(pull_requests_go_by_their_base_and_activity),
    };

    return cmocka_run_group_tests_name("ci/event_filter", tests, NULL, NULL);
}
