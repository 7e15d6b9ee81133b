/* .gitlab-ci.yml: what is in the pipeline, in which order, with what; errors with their place; real runs. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/ci.h"
#include "ci/gitlab.h"
#include "ci/gitlab_expression.h"
#include "io/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *dir, const char *name, const char *text)
{
    char *path = path_join(dir, name), *folder = path_dirname(path);
    struct error err = {0};

    assert_int_equal(file_make_directories(folder, 0755, &err), 0);
    assert_int_equal(file_write(path, text, strlen(text), 0644, &err), 0);
    free(folder);
    free(path);
}

static char *new_dir(void)
{
    struct error err = {0};
    char *dir = file_make_temporary_directory("cadre-gitlab", &err);

    assert_non_null(dir);
    return dir;
}

static void remove_dir(char *dir)
{
    struct error err = {0};

    file_remove_tree(dir, &err);
    free(dir);
}

/* The jobs as "key(needs)" or "key!reason", in order. */
static char *outline_of(const struct workflow *w)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < w->jobs.len; i++) {
        const struct workflow_job *job = w->jobs.items[i];
        char *needs = str_list_join(&job->needs, ",");
        buf_printf(&b, "%s%s", i > 0 ? " " : "", job->key);
        if (job->skip_reason != NULL)
            buf_printf(&b, "!%s", job->skip_reason);
        else if (job->needs.len > 0)
            buf_printf(&b, "(%s)", needs);
        free(needs);
    }
    return buf_take(&b);
}

static char *outline(const char *text, const struct ci_options *given)
{
    struct ci_options none = {0};
    struct error err = {0};
    struct workflow *w =
        gitlab_workflow(text, strlen(text), GITLAB_FILE, given != NULL ? given : &none, &err);
    char *result = w != NULL ? outline_of(w) : xstrdup(err.text);

    workflow_destroy(w);
    return result;
}

static void expect(const char *text, const struct ci_options *options, const char *expected)
{
    char *got = outline(text, options);

    if (strcmp(got, expected) != 0)
        print_message("# %s\n# -> %s\n# not %s\n", text, got, expected);
    assert_string_equal(got, expected);
    free(got);
}

static void stages_and_needs_order_the_jobs(void **state)
{
    (void)state;
    expect("t: {script: a}\nb: {stage: build, script: a}\n", NULL, "b t(b)");
    expect("stages: [two, one]\na: {stage: one, script: x}\nb: {stage: two, script: x}\nc: {stage: one, "
           "needs: [], script: x}\n",
           NULL, "b a(b) c");
    expect("z: {stage: .post, script: x}\na: {stage: .pre, script: x}\nm: {script: x}\n", NULL,
           "a m(a) z(a,m)");
    expect("a: {script: x}\nb: {script: x, needs: [{job: a, artifacts: false}]}\nc: {script: x, needs: "
           "[{job: gone, optional: true}]}\n",
           NULL, "a b(a) c");
}

static void rules_choose_for_the_event(void **state)
{
    const char *text =
        "main-only:\n  script: x\n  rules:\n    - if: $CI_COMMIT_BRANCH == \"main\"\n"
        "mr:\n  script: x\n  rules:\n    - if: $CI_PIPELINE_SOURCE == \"merge_request_event\"\n"
        "tagged:\n  script: x\n  rules:\n    - if: $CI_COMMIT_TAG =~ /^v\\d+\\.\\d+$/\n"
        "never:\n  script: x\n  rules:\n    - if: $CI_COMMIT_BRANCH\n      when: never\n    - when: "
        "on_success\n"
        "plain: {script: x}\n";
    struct ci_options options = {.branch = "main"};
    struct str_list paths = {0};

    (void)state;
    expect(text, &options, "main-only plain");
    options.branch = "topic";
    expect(text, &options, "plain");
    options.event = "pull_request";
    expect(text, &options, "mr never");
    options.event = "push";
    options.tag = "v1.20";
    expect(text, &options, "tagged never plain");
    options.tag = "v1.20-rc";
    expect(text, &options, "never plain");
    options.tag = NULL;

    str_list_add(&paths, "src/deep/a.c");
    options.changed_paths = &paths;
    expect("a:\n  script: x\n  rules: [{changes: ['docs/**/*']}]\nb:\n  script: x\n  rules: [{changes: "
           "{paths: ['src/**/*.{c,h}']}}]\n",
           &options, "b");
    options.changed_paths = NULL;
    expect("a:\n  script: x\n  rules: [{changes: ['docs/**/*']}]\n", &options, "a");
    str_list_finish(&paths);

    expect("workflow:\n  rules:\n    - if: $CI_COMMIT_TAG\na: {script: x}\n", &options, "");
    options.include_unmatched = true;
    expect("workflow:\n  rules:\n    - if: $CI_COMMIT_TAG\na: {script: x}\n", &options,
           "a!`workflow:rules` starts no pipeline for this event");
}

static void only_and_except_choose_too(void **state)
{
    const char *text =
        "a: {script: x, only: [main]}\nb: {script: x, except: [/^top/]}\nc: {script: x, only: [tags]}\n"
        "d: {script: x, only: {refs: [branches], variables: [$X == 'y']}}\ne: {script: x, only: "
        "[merge_requests]}\n";
    struct ci_options options = {.branch = "main"};

    (void)state;
    expect(text, &options, "a b");
    options.branch = "topic";
    expect(text, &options, "");
    options.tag = "v1";
    expect(text, &options, "b c");
    options.tag = NULL;
    options.event = "pull_request";
    expect(text, &options, "e");
}

static void what_cannot_run_here_says_why(void **state)
{
    (void)state;
    expect("a: {script: x, when: manual}\nb: {stage: deploy, script: x}\n", NULL,
           "a!manual: a person starts it b");
    expect("a: {script: x, when: manual, allow_failure: false}\nb: {stage: deploy, script: x}\n", NULL,
           "a!manual: a person starts it b!waits for the manual job 'a'");
    expect("a: {script: x, services: ['postgres:16']}\n", NULL,
           "a!needs the service postgres:16; no container engine is used");
    expect("a: {trigger: other/project}\nb: {script: x, environment: prod}\nc: {script: x, tags: "
           "[saas-windows]}\n",
           NULL,
           "a!starts another pipeline b!deploys to the environment prod c!needs a runner tagged "
           "'saas-windows'; this "
           "machine is Linux");
    expect(
        "include: [{template: Jobs/SAST.gitlab-ci.yml}]\nx: {script: y}\nz: {extends: .sast, stage: scan}\n",
        NULL,
        "z!extends a job from an include that is not in this repository x "
        "include: template 'Jobs/SAST.gitlab-ci.yml'!its jobs are not in this repository");
}

static const struct workflow_job *only_job(struct workflow *w, const char *key)
{
    const struct workflow_job *job = workflow_job(w, key);

    assert_non_null(job);
    return job;
}

static void extends_references_anchors_and_defaults_are_put_in_place(void **state)
{
    static const char text[] =
        "default:\n  before_script: [echo default]\n  image: alpine\n"
        "variables: {A: global, B: '$A-b'}\n"
        ".keys: &keys\n  variables: {C: anchored}\n"
        ".base:\n  before_script: [echo base]\n  variables: {A: base, D: d}\n  script: [never]\n"
        ".child: {extends: .base, variables: {D: child}}\n"
        ".list:\n  lines: [echo one, echo two]\n"
        "job:\n  extends: [.child]\n  variables: {E: e}\n  script:\n    - !reference [.list, lines]\n    - "
        "echo three\n"
        "other:\n  <<: *keys\n  inherit: {default: [image], variables: [A]}\n  script: echo $C\n";
    struct ci_options options = {0};
    struct error err = {0};
    struct workflow *w = gitlab_workflow(text, strlen(text), GITLAB_FILE, &options, &err);
    const struct workflow_job *job;

    (void)state;
    if (w == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(w);
    job = only_job(w, "job");
    assert_int_equal(job->step_count, 1);
    assert_string_equal(job->steps[0].run, "echo base\necho one\necho two\necho three\n");
    assert_string_equal(yaml_get_text(job->env, "A"), "base");
    assert_string_equal(yaml_get_text(job->env, "B"), "$A-b");
    assert_string_equal(yaml_get_text(job->env, "D"), "child");
    assert_string_equal(yaml_get_text(job->env, "E"), "e");
    assert_string_equal(job->image, "alpine");
    job = only_job(w, "other");
    assert_string_equal(job->steps[0].run, "echo $C\n");
    assert_string_equal(yaml_get_text(job->env, "C"), "anchored");
    assert_null(yaml_get_text(job->env, "B"));
    assert_string_equal(job->image, "alpine");
    workflow_destroy(w);
}

static void a_matrix_and_a_count_make_legs(void **state)
{
    static const char text[] =
        "m:\n  script: x\n  parallel:\n    matrix:\n      - OS: linux\n        V: ['1', '2']\n      - OS: "
        "[bsd]\n        V: '3'\n"
        "n: {script: x, parallel: 3}\n"
        "r:\n  script: x\n  parallel: {matrix: [{V: ['1', '2']}]}\n  rules: [{if: $V == '2'}]\n";
    struct ci_options options = {0};
    struct error err = {0};
    struct workflow *w = gitlab_workflow(text, strlen(text), GITLAB_FILE, &options, &err);

    (void)state;
    assert_non_null(w);
    assert_int_equal(only_job(w, "m")->legs->len, 3);
    assert_string_equal(yaml_get_text(only_job(w, "m")->legs->items[1], "V"), "2");
    assert_string_equal(yaml_get_text(only_job(w, "m")->env, "CI_NODE_TOTAL"), "3");
    assert_int_equal(only_job(w, "n")->legs->len, 3);
    assert_string_equal(yaml_get_text(only_job(w, "n")->legs->items[2], "CI_NODE_INDEX"), "3");
    assert_int_equal(only_job(w, "r")->legs->len, 1);
    workflow_destroy(w);
}

static void local_includes_are_read_and_merged(void **state)
{
    char *dir = new_dir();
    struct ci_options options = {.definition_dir = dir, .branch = "main"};

    (void)state;
    put(dir, "ci/a.yml", "stages: [lint, test]\n.base: {stage: lint}\na: {extends: .base, script: x}\n");
    put(dir, "ci/b.yml", "include: ci/deep.yml\nb: {script: original}\n");
    put(dir, "ci/deep.yml", "deep: {script: x}\n");
    put(dir, "skipped.yml", "never: {script: x}\n");
    expect("include:\n  - local: /ci/a.yml\n  - ci/b.yml\n  - local: skipped.yml\n    rules: [{if: "
           "$CI_COMMIT_BRANCH != 'main'}]\n"
           "b: {script: mine}\n",
           &options, "a deep(a) b(a)");
    expect("include: 'ci/*.yml'\n", &options, "a deep(a) b(a)");
    expect("include: {local: nowhere.yml}\na: {script: x}\n", &options,
           ".gitlab-ci.yml:1:18: Local file `nowhere.yml` does not exist!");
    expect("include: ../x.yml\na: {script: x}\n", &options,
           ".gitlab-ci.yml:1:10: Local file `../x.yml` does not exist!");
    put(dir, "bad.yml", "one: {script: x}\ntwo: {script: x, sript: y}\n");
    expect("include: bad.yml\n", &options, "bad.yml:2:18: jobs:two config contains unknown keys: sript");
    put(dir, "self.yml", "include: self.yml\n");
    expect("include: self.yml\n", &options, "self.yml: Maximum of 150 nested includes are allowed!");
    remove_dir(dir);
}

static void each_bad_file_gives_its_error(void **state)
{
    static const char *const cases[][2] = {
        {"", ".gitlab-ci.yml:1:1: Please provide content of .gitlab-ci.yml"},
        {"- a\n", ".gitlab-ci.yml:1:1: Invalid configuration format: a mapping was expected"},
        {".hidden: {script: x}\n", ".gitlab-ci.yml:1:1: jobs config should contain at least one visible job"},
        {"a: x\n", ".gitlab-ci.yml:1:4: jobs:a config should be a hash"},
        {"a: {stage: test}\n",
         ".gitlab-ci.yml:1:4: jobs:a config should implement the script:, run:, or trigger: keyword"},
        {"a:\n  script: x\n  foo: 1\n", ".gitlab-ci.yml:3:3: jobs:a config contains unknown keys: foo"},
        {"a:\n  script: {x: y}\n", ".gitlab-ci.yml:2:11: jobs:a:script config should be a string or a nested "
                                   "array of strings up to 10 levels deep"},
        {"a: {script: x, stage: nope}\n", ".gitlab-ci.yml:1:23: a job: chosen stage nope does not exist; "
                                          "available stages are .pre, build, test, deploy, .post"},
        {"a: {script: x, needs: [b]}\n", ".gitlab-ci.yml:1:24: a job: undefined need: b"},
        {"a: {stage: build, script: x, needs: [b]}\nb: {script: x}\n",
         ".gitlab-ci.yml:1:38: a job: need b is not defined in current or prior stages"},
        {"a: {script: x, needs: [b]}\nb: {script: x, needs: [a]}\n",
         ".gitlab-ci.yml:2:23: The pipeline has circular dependencies: b needs a"},
        {"spec: {inputs: {x: }}\n---\na: {script: x}\n", ".gitlab-ci.yml:1:17: `x` input: required value has not been provided"},
        {"spec: {inputs: {x: {default: y, type: number}}}\n---\na: {script: x}\n",
         ".gitlab-ci.yml:1:17: `x` input: provided value is not a number"},
        {"spec: {inputs: {x: {default: y, options: [z]}}}\n---\na: {script: x}\n",
         ".gitlab-ci.yml:1:17: `x` input: `y` cannot be used because it is not in the list of allowed options"},
        {"spec: {inputs: {x: {default: y}}}\n---\n\na: {script: '$[[ inputs.z ]]'}\n",
         ".gitlab-ci.yml:4:13: unknown interpolation provided: `inputs.z`"},
        {"spec: {inputs: {x: {default: y}}}\n---\na: {script: '$[[ inputs.x | upper ]]'}\n",
         ".gitlab-ci.yml:3:13: no function matching `upper`: check that the function name, arguments, and types are correct"},
        {"a: {script: x, dependencies: [b]}\n", ".gitlab-ci.yml:1:31: a job: undefined dependency: b"},
        {"a: {extends: .b, script: x}\n", ".gitlab-ci.yml:1:14: a: unknown keys in `extends` (.b)"},
        {".b: {extends: .c}\n.c: {extends: .b}\na: {extends: .b, script: x}\n",
         ".gitlab-ci.yml:2:15: .c: circular dependency detected in `extends`"},
        {"a: {script: [!reference [.x, script]]}\n",
         ".gitlab-ci.yml:1:26: !reference [\".x\", ...] could not be found"},
        {".x: {s: [!reference [.x, s]]}\na: {script: x}\n",
         ".gitlab-ci.yml:1:10: !reference is nested deeper than 10, or part of a circular chain"},
        {"a:\n  script: x\n  rules:\n    - if: $X = 1\n",
         ".gitlab-ci.yml:4:14: invalid expression syntax: an operator was expected"},
        {"a: {script: x, rules: [{if: '$X == '}]}\n",
         ".gitlab-ci.yml:1:36: invalid expression syntax: an operand is missing at the end"},
        {"a: {script: x, rules: [{if: '$X =~ /(/'}]}\n",
         ".gitlab-ci.yml:1:36: invalid expression syntax: '/(/' is no pattern: Unmatched ( or \\("},
        {"a: {script: x, rules: [{iff: $X}]}\n",
         ".gitlab-ci.yml:1:25: jobs:a:rules:rule config contains unknown keys: iff"},
        {"a: {script: x, rules: [], only: [main]}\n",
         ".gitlab-ci.yml:1:33: jobs:a config key may not be used with `rules`: only"},
        {"a: {script: x, when: sometimes}\n", ".gitlab-ci.yml:1:22: jobs:a:when config should be one of: "
                                              "on_success, on_failure, always, manual, delayed, never"},
        {"a: {script: x, parallel: 0}\n", ".gitlab-ci.yml:1:26: jobs:a:parallel must be between 1 and 200"},
        {"a: {script: x, parallel: {matrix: x}}\n",
         ".gitlab-ci.yml:1:35: jobs:a:parallel:matrix config should be an array of hashes"},
        {"a: {script: x, timeout: soon}\n",
         ".gitlab-ci.yml:1:25: jobs:a:timeout config should be a duration"},
        {"a: {script: x, artifacts: {path: [x]}}\n",
         ".gitlab-ci.yml:1:28: jobs:a:artifacts config contains unknown keys: path"},
        {"a: {script: x, tags: linux}\n",
         ".gitlab-ci.yml:1:22: jobs:a:tags config should be an array of strings"},
        {"workflow: {rule: []}\na: {script: x}\n",
         ".gitlab-ci.yml:1:12: workflow config contains unknown keys: rule"},
        {"a: {script: x}\nb: [\n",
         ".gitlab-ci.yml:3:1: did not find expected node content, while parsing a flow node"},
        {"a: {script: *x}\n", ".gitlab-ci.yml:1:13: unknown alias 'x'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i][0], NULL, cases[i][1]);
}

static void conditions_follow_gitlabs_rules(void **state)
{
    static const struct {
        const char *text;
        bool holds;
    } cases[] = {
        {"$SET", true},
        {"$EMPTY", false},
        {"$UNSET", false},
        {"$UNSET == null", true},
        {"$EMPTY == null", false},
        {"$EMPTY == \"\"", true},
        {"$SET == 'yes'", true},
        {"$SET != \"yes\"", false},
        {"'yes' == $SET", true},
        {"$SET == $ALSO", true},
        {"$SET =~ /^y.s$/", true},
        {"$SET =~ /^Y/", false},
        {"$SET =~ /^Y/i", true},
        {"$SET !~ /no/", true},
        {"$UNSET =~ /x/", false},
        {"$UNSET !~ /x/", true},
        {"$SET =~ $PATTERN", true},
        {"$SET =~ 'yes'", false},
        {"$SET && $UNSET", false},
        {"$SET || $UNSET", true},
        {"$UNSET && $SET || $SET", true},
        {"$SET && ($UNSET || $EMPTY)", false},
        {"($SET == 'no' || $SET == 'yes') && $ALSO", true},
        {"$REF =~ /^feature\\/\\w+-\\d{2}$/", true},
        {"$REF =~ /(?:bug|feature)\\//", true},
        {"${SET} == \"yes\"", true},
    };
    json_t *variables = json_pack("{s:s,s:s,s:s,s:s,s:s}", "SET", "yes", "ALSO", "yes", "EMPTY", "",
                                  "PATTERN", "/^ye/", "REF", "feature/abc-12");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yaml_node node = {.kind = YAML_SCALAR, .text = cases[i].text, .line = 1, .column = 1};
        struct error err = {0};
        bool holds = false;
        if (gitlab_condition(&node, variables, &holds, &err) < 0 || holds != cases[i].holds)
            print_message("# %s: %d %s\n", cases[i].text, holds, err.text);
        assert_false(error_is_set(&err));
        assert_int_equal(holds, cases[i].holds);
    }
    json_decref(variables);
}

static void variables_expand_one_another(void **state)
{
    json_t *raw = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "A", "a", "B", "${A}b", "C", "$B-c $$A", "LOOP",
                            "x$LOOP2", "LOOP2", "y$LOOP", "NONE", "[$UNKNOWN]");
    json_t *resolved = gitlab_resolve_variables(raw);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(resolved, "B")), "ab");
    assert_string_equal(json_string_value(json_object_get(resolved, "C")), "ab-c $A");
    assert_string_equal(json_string_value(json_object_get(resolved, "NONE")), "[]");
    assert_non_null(json_object_get(resolved, "LOOP"));
    json_decref(raw);
    json_decref(resolved);
}

/* ------------------------------------------------------------------------------------------------- runs */

static struct ci_result run(const char *dir, const char *logs)
{
    struct ci_options options = {.definition_dir = dir, .branch = "main"};
    struct loop *loop = loop_create();
    char *cache = path_join(logs, "cache");
    struct ci_run_options run_options = {.loop = loop, .work_dir = dir, .log_dir = logs, .cache_dir = cache};
    struct ci_result result = {0};
    struct error err = {0};
    struct ci_plan *plan = ci_plan_create(&options, &err);

    if (plan == NULL)
        print_message("# %s\n", err.text);
    assert_non_null(plan);
    assert_int_equal(ci_plan_source(plan), CI_SOURCE_GITLAB);
    assert_int_equal(ci_run(plan, &run_options, &result, &err), 0);
    for (size_t i = 0; i < result.job_count; i++)
        if (result.jobs[i].state == CI_FAILED || result.jobs[i].state == CI_ENVIRONMENT)
            print_message("# %s %s %s %s\n", result.jobs[i].id, ci_state_name(result.jobs[i].state),
                          result.jobs[i].reason != NULL ? result.jobs[i].reason : "",
                          result.jobs[i].excerpt != NULL ? result.jobs[i].excerpt : "");
    ci_plan_destroy(plan);
    loop_destroy(loop);
    free(cache);
    return result;
}

static struct ci_result run_text(const char *text)
{
    char *dir = new_dir(), *logs = new_dir();
    struct ci_result result;

    put(dir, GITLAB_FILE, text);
    result = run(dir, logs);
    remove_dir(dir);
    remove_dir(logs);
    return result;
}

static enum ci_state state_of(const struct ci_result *r, const char *id)
{
    const struct ci_job_result *job = ci_result_job(r, id);

    if (job == NULL)
        print_message("# no job %s\n", id);
    assert_non_null(job);
    return job->state;
}

static void artifacts_and_dotenv_reach_later_jobs(void **state)
{
    struct ci_result r =
        run_text("variables: {NAME: world}\n"
                 "make:\n  stage: build\n  script:\n    - mkdir -p out/deep && echo \"hello $NAME\" > "
                 "out/deep/f.txt && echo no > out/x.log\n"
                 "    - echo VERSION=1.2 > build.env\n    - test \"$CI_PROJECT_DIR\" = \"$PWD\"\n    - test "
                 "$CI_JOB_STAGE = build\n"
                 "  artifacts: {paths: [out/], exclude: ['out/*.log'], reports: {dotenv: build.env}}\n"
                 "legs:\n  stage: build\n  parallel: {matrix: [{L: [a, b]}]}\n  script: echo $L > leg-$L\n  "
                 "artifacts: {paths: ['leg-*']}\n"
                 "use:\n  script:\n    - grep 'hello world' out/deep/f.txt\n    - test ! -e out/x.log\n    - "
                 "test $VERSION = 1.2\n    - test -e leg-a && test -e leg-b\n"
                 "alone:\n  needs: []\n  script: test ! -e out\n"
                 "chosen:\n  dependencies: []\n  script: test ! -e out\n");

    (void)state;
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.passed, 6);
    ci_result_finish(&r);
}

static void failures_are_allowed_where_they_are(void **state)
{
    struct ci_result r = run_text("a: {stage: build, script: exit 3, allow_failure: {exit_codes: [3]}}\n"
                                  "b: {script: 'true'}\n"
                                  "c: {script: exit 1, allow_failure: true}\n"
                                  "d: {stage: deploy, script: 'true', when: on_failure}\n"
                                  "e: {stage: deploy, script: 'true', when: always}\n");

    (void)state;
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(state_of(&r, "a"), CI_FAILED);
    assert_int_equal(state_of(&r, "b"), CI_PASSED);
    assert_int_equal(state_of(&r, "c"), CI_FAILED);
    assert_int_equal(state_of(&r, "d"), CI_SKIPPED);
    assert_int_equal(state_of(&r, "e"), CI_PASSED);
    ci_result_finish(&r);
}

static void after_script_and_on_failure_see_the_failure(void **state)
{
    struct ci_result r =
        run_text("a:\n  stage: build\n  script: [export V=1, 'test $V = 1', exit 4]\n"
                 "  after_script: ['test \"$CI_JOB_STATUS\" = failed && touch seen', exit 9]\n"
                 "  artifacts: {paths: [seen], when: always}\n"
                 "b: {script: 'true'}\n"
                 "c: {stage: deploy, script: test -e seen, when: on_failure}\n");

    (void)state;
    assert_int_equal(r.verdict, CI_RED);
    assert_int_equal(ci_result_job(&r, "a")->exit_code, 4);
    assert_string_equal(ci_result_job(&r, "a")->failing_step, "script");
    assert_int_equal(state_of(&r, "b"), CI_SKIPPED);
    assert_int_equal(state_of(&r, "c"), CI_PASSED);
    ci_result_finish(&r);
}

static void a_tool_of_the_image_is_the_environments_fault(void **state)
{
    struct ci_result r = run_text("a: {image: 'some/image:1', script: no-such-program-anywhere}\n");

    (void)state;
    assert_int_equal(r.verdict, CI_ENVIRONMENT_ONLY);
    assert_non_null(strstr(r.jobs[0].reason, "some/image:1"));
    ci_result_finish(&r);
}

/* MARKS in the text stands for a folder that outlives a job. */
static struct ci_result run_with_marks(const char *text)
{
    char *marks = new_dir();
    struct ci_result result;
    struct buf b = BUF_INIT;

    for (const char *p = text; *p != '\0'; p++) {
        if (strncmp(p, "MARKS", 5) == 0) {
            buf_puts(&b, marks);
            p += 4;
        } else {
            buf_putc(&b, *p);
        }
    }
    result = run_text(buf_cstr(&b));
    buf_free(&b);
    remove_dir(marks);
    return result;
}

static void a_failed_job_is_retried_as_it_says(void **state)
{
    struct ci_result r =
        run_with_marks("a: {retry: 2, script: 'touch x-$RANDOM; test $(ls x-* | wc -l) = 1; mkdir MARKS/1 2>/dev/null && exit 1; mkdir MARKS/2 2>/dev/null && exit 1; true'}\n"
                       "b: {retry: {max: 1}, script: 'echo x >>MARKS/b; test $(wc -l <MARKS/b) = 3'}\n"
                       "c: {retry: {max: 2, when: runner_system_failure}, script: 'mkdir MARKS/c && exit 1'}\n"
                       "d: {retry: {max: 2, exit_codes: [7]}, script: 'mkdir MARKS/d 2>/dev/null && exit 7; exit 8'}\n");
    const struct ci_job_result *a = ci_result_job(&r, "a"), *b = ci_result_job(&r, "b"), *c = ci_result_job(&r, "c"),
                               *d = ci_result_job(&r, "d");

    (void)state;
    assert_int_equal(a->state, CI_PASSED);
    assert_int_equal(a->fault, CI_FAULT_FLAKY);
    assert_string_equal(a->reason, "flaky: 2 of 3 runs failed");
    assert_int_equal(a->runs, 3);
    assert_int_equal(a->failures, 2);
    assert_null(a->excerpt);
    assert_int_equal(b->state, CI_FAILED);
    assert_int_equal(b->runs, 2);
    assert_int_equal(b->failures, 2);
    assert_int_equal(c->state, CI_FAILED);
    assert_int_equal(c->runs, 0);
    assert_int_equal(d->state, CI_FAILED);
    assert_int_equal(d->exit_code, 8);
    assert_int_equal(d->runs, 2);
    ci_result_finish(&r);
}

static void caches_are_kept_from_job_to_job(void **state)
{
    struct ci_result r = run_text(
        "default: {cache: {key: \"k-$CI_COMMIT_BRANCH\", paths: [deps/]}}\n"
        "fill: {stage: .pre, script: 'mkdir deps && echo one >deps/f'}\n"
        "use: {stage: build, script: 'grep one deps/f && echo two >deps/f'}\n"
        "only_pull: {stage: test, cache: {key: k-main, paths: [deps/], policy: pull}, script: 'grep two deps/f && echo three >deps/f'}\n"
        "other: {stage: test, cache: {key: other, paths: [deps/], fallback_keys: [k-main]}, script: 'grep two deps/f'}\n"
        "files: {stage: test, cache: {key: {files: [.gitlab-ci.yml]}, paths: [deps/]}, script: 'test ! -e deps && mkdir deps'}\n"
        "none: {stage: test, cache: [], script: test ! -e deps}\n"
        "last: {stage: deploy, script: grep two deps/f}\n");

    (void)state;
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.passed, 7);
    ci_result_finish(&r);
}

static void inputs_of_included_files_are_put_in_place(void **state)
{
    char *dir = new_dir(), *logs = new_dir();
    struct ci_options options = {.definition_dir = dir};
    struct error err = {0};
    struct ci_result r;

    (void)state;
    put(dir, "ci/job.yml",
        "# a header\nspec:\n  inputs:\n    name: {description: which}\n    words: {type: array, default: [one, two]}\n"
        "    count: {type: number, default: 2}\n    level: {default: low, options: [low, high]}\n---\n"
        "\"$[[ inputs.name ]]-job\":\n  retry: $[[ inputs.count ]]\n  variables: {W: 'x $[[ inputs.words ]]', L: 'at $[[ inputs.level | truncate(0,2) ]]'}\n"
        "  script:\n    - test \"$W\" = 'x [\"one\",\"two\"]'\n    - test \"$L\" = \"at $EXPECTED\"\n    - test $LEG = one -o $LEG = two\n"
        "  parallel: {matrix: [{LEG: '$[[ inputs.words ]]'}]}\n");
    put(dir, GITLAB_FILE,
        "include:\n  - local: ci/job.yml\n    inputs: {name: first}\n  - {local: ci/job.yml, inputs: {name: second, level: high, count: 0}}\n"
        "first-job: {variables: {EXPECTED: lo}}\nsecond-job: {variables: {EXPECTED: hi}}\n");
    r = run(dir, logs);
    assert_int_equal(r.verdict, CI_GREEN);
    assert_int_equal(r.passed, 4);
    ci_result_finish(&r);
    put(dir, GITLAB_FILE, "include: {local: ci/job.yml, inputs: {name: a, nope: b}}\n");
    assert_null(ci_plan_create(&options, &err));
    assert_string_equal(err.text, ".gitlab-ci.yml:1:48: unknown input arguments: nope");
    error_clear(&err);
    put(dir, GITLAB_FILE, "include: {local: ci/job.yml}\n");
    assert_null(ci_plan_create(&options, &err));
    assert_string_equal(err.text, ".gitlab-ci.yml:1:18: `name` input: required value has not been provided");
    remove_dir(dir);
    remove_dir(logs);
}

static void an_image_that_is_not_used_is_named_as_skipped(void **state)
{
    struct ci_result r = run_text("a: {image: 'some/image:1', script: 'true'}\n");

    (void)state;
    assert_int_equal(r.jobs[0].state, CI_PASSED);
    assert_int_equal(r.jobs[0].skipped_steps.len, 1);
    assert_string_equal(r.jobs[0].skipped_steps.items[0],
                        "image some/image:1: no container engine is used for it; the commands run on this machine");
    assert_int_equal(r.share.run, 1);
    assert_int_equal(r.share.skipped, 1);
    ci_result_finish(&r);
}

static void installs_are_steps_of_their_own(void **state)
{
    static const char text[] = "a: {before_script: [npm ci], script: npm test}\n"
                               "b: {before_script: ['export X=1', npm ci], script: npm test}\n";
    char *dir = new_dir();
    struct ci_options options = {.definition_dir = dir};
    struct error err = {0};
    struct ci_plan *plan;

    (void)state;
    put(dir, GITLAB_FILE, text);
    plan = ci_plan_create(&options, &err);
    assert_non_null(plan);
    assert_int_equal(ci_plan_job(plan, 0)->step_count, 2);
    assert_true(ci_plan_job(plan, 0)->steps[0].is_dependency);
    assert_false(ci_plan_job(plan, 0)->steps[1].is_dependency);
    assert_string_equal(ci_plan_job(plan, 0)->file, GITLAB_FILE);
    assert_int_equal(ci_plan_job(plan, 1)->step_count, 1);
    ci_plan_destroy(plan);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_and_needs_order_the_jobs),
        cmocka_unit_test(rules_choose_for_the_event),
        cmocka_unit_test(only_and_except_choose_too),
        cmocka_unit_test(what_cannot_run_here_says_why),
        cmocka_unit_test(extends_references_anchors_and_defaults_are_put_in_place),
        cmocka_unit_test(a_matrix_and_a_count_make_legs),
        cmocka_unit_test(local_includes_are_read_and_merged),
        cmocka_unit_test(each_bad_file_gives_its_error),
        cmocka_unit_test(conditions_follow_gitlabs_rules),
        cmocka_unit_test(variables_expand_one_another),
        cmocka_unit_test(artifacts_and_dotenv_reach_later_jobs),
        cmocka_unit_test(failures_are_allowed_where_they_are),
        cmocka_unit_test(after_script_and_on_failure_see_the_failure),
        cmocka_unit_test(a_tool_of_the_image_is_the_environments_fault),
        cmocka_unit_test(a_failed_job_is_retried_as_it_says),
        cmocka_unit_test(caches_are_kept_from_job_to_job),
        cmocka_unit_test(inputs_of_included_files_are_put_in_place),
        cmocka_unit_test(an_image_that_is_not_used_is_named_as_skipped),
        cmocka_unit_test(installs_are_steps_of_their_own),
    };

    return cmocka_run_group_tests_name("ci/gitlab", tests, NULL, NULL);
}
