#include "test.h"

#include "config/config.h"
#include "sandbox/exec_helper.h"
#include "sandbox/permissions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The policy of `default_permissions = "x"` with X as the profile's content. */
static int make(const char *name, const char *x, const char *further, struct sandbox_policy *policy,
                struct error *err)
{
    struct str_list overrides = {0};
    struct config_options options = {.cwd = "/", .codex_home = "/nonexistent", .overrides = &overrides};
    struct config *c;
    char text[2048];
    int rc;

    (void)snprintf(text, sizeof text, "default_permissions=\"%s\"", name);
    str_list_add(&overrides, text);
    (void)snprintf(text, sizeof text, "permissions.x={%s}", x);
    str_list_add(&overrides, text);
    if (further != NULL)
        str_list_add(&overrides, further);
    c = config_load(&options, err);
    if (c == NULL)
        fail_msg("%s: %s", x, err->text);
    assert_true(permissions_are_set(c));
    rc = permissions_make_policy(c, "/work/tree", policy, err);
    config_destroy(c);
    str_list_finish(&overrides);
    return rc;
}

static void built_in_profiles_are_the_modes(void **state)
{
    static const struct {
        const char *name;
        enum sandbox_mode mode;
    } cases[] = {{":read-only", SANDBOX_READ_ONLY},
                 {":workspace", SANDBOX_WORKSPACE_WRITE},
                 {":danger-full-access", SANDBOX_DANGER_FULL_ACCESS}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sandbox_policy policy;
        struct error err = {0};

        assert_int_equal(make(cases[i].name, "", NULL, &policy, &err), 0);
        assert_int_equal(policy.mode, cases[i].mode);
        assert_false(policy.network_access);
        sandbox_policy_finish(&policy);
    }
}

static void profile_gives_what_it_names(void **state)
{
    struct sandbox_policy policy;
    struct error err = {0};

    (void)state;
    assert_int_equal(make("x",
                          "extends=\":workspace\", workspace_roots={\"/srv/b\"=true, \"/srv/c\"=false}, "
                          "filesystem={\"/opt/cache/\"=\"write\", \":slash_tmp\"=\"read\"}, "
                          "network={enabled=true, domains={\"*\"=\"allow\"}}",
                          NULL, &policy, &err),
                     0);
    assert_int_equal(policy.mode, SANDBOX_WORKSPACE_WRITE);
    assert_int_equal(policy.writable_roots.len, 2);
    assert_string_equal(policy.writable_roots.items[0], "/opt/cache");
    assert_string_equal(policy.writable_roots.items[1], "/srv/b");
    assert_true(policy.exclude_slash_tmp);
    assert_false(policy.exclude_tmpdir_env_var);
    assert_true(policy.network_access);

    sandbox_policy_tightest(&policy, SANDBOX_DANGER_FULL_ACCESS);
    assert_int_equal(policy.mode, SANDBOX_WORKSPACE_WRITE);
    assert_true(policy.network_access);
    sandbox_policy_tightest(&policy, SANDBOX_READ_ONLY);
    assert_int_equal(policy.mode, SANDBOX_READ_ONLY);
    assert_int_equal(policy.writable_roots.len, 0);
    assert_false(policy.network_access);
    sandbox_policy_finish(&policy);
}

static void child_overrides_its_parent(void **state)
{
    struct sandbox_policy policy;
    struct error err = {0};

    (void)state;
    assert_int_equal(make("x",
                          "extends=\"base\", filesystem={\"/opt/cache\"=\"read\"}, network={enabled=false}",
                          "permissions.base={extends=\":workspace\", filesystem={\"/opt/cache\"=\"write\"}, "
                          "network={enabled=true, domains={\"a.test\"=\"allow\"}}}",
                          &policy, &err),
                     0);
    assert_int_equal(policy.writable_roots.len, 0);
    assert_false(policy.network_access);
    sandbox_policy_finish(&policy);
}

static void denied_paths_are_hidden_or_refused(void **state)
{
    struct sandbox_policy policy;
    struct error err = {0};
    int rc = make("x", "extends=\":workspace\", filesystem={\"/opt/secret\"=\"none\"}", NULL, &policy, &err);

    (void)state;
    assert_int_equal(rc, 0);
    assert_true(str_list_has(&policy.hidden_paths, "/opt/secret"));
    sandbox_policy_finish(&policy);
}

static void reading_is_confined_without_the_root(void **state)
{
    struct sandbox_policy policy;
    struct error err = {0};

    (void)state;
    assert_int_equal(make("x", "filesystem={\":minimal\"=\"read\", \"/opt/sdk\"=\"read\", \":workspace_roots\"=\"write\"}", NULL,
                          &policy, &err),
                     0);
    assert_int_equal(policy.mode, SANDBOX_WORKSPACE_WRITE);
    assert_true(str_list_has(&policy.readable_roots, "/opt/sdk"));
    sandbox_policy_finish(&policy);
}

static void parts_of_the_workspace_are_shut_off(void **state)
{
    struct sandbox_policy policy;
    struct error err = {0};

    (void)state;
    assert_int_equal(make("x",
                          "extends=\":workspace\", filesystem={\":workspace_roots\"={\".env\"=\"deny\", "
                          "\"docs\"=\"read\"}}",
                          NULL, &policy, &err),
                     0);
    assert_true(str_list_has(&policy.hidden_paths, "/work/tree/.env"));
    assert_true(str_list_has(&policy.read_only_paths, "/work/tree/docs"));
    sandbox_policy_finish(&policy);
}

static void what_the_box_cannot_keep_is_an_error(void **state)
{
    static const struct {
        const char *name, *profile, *expected;
    } cases[] = {
        {"y", "", "is no profile"},
        {":other", "", "cannot be used here"},
        {"x", "", "says nothing of the workspace"},
        {"x", "filesystem={\":minimal\"=\"read\"}", "says nothing of the workspace"},
        {"x", "extends=\":danger-full-access\"", "cannot be used here"},
        {"x", "extends=\"x\"", "extends others too deeply"},
        {"x", "extends=\":workspace\", surprise=1", "is unknown"},
        {"x", "extends=\":workspace\", filesystem={\"/a\"=\"exec\"}", "is \"read\", \"write\" or \"deny\""},
        {"x", "extends=\":workspace\", filesystem={\"/a\"=3}", "is \"read\", \"write\" or \"deny\""},
        {"x", "extends=\":workspace\", filesystem={\"a/b\"=\"write\"}", "is not an absolute path"},
        {"x", "extends=\":workspace\", filesystem={\":moon\"=\"write\"}", "a name that cadre does not know"},
        {"x", "extends=\":workspace\", filesystem={\":root\"=\"write\"}", "is not possible in the box"},
        {"x", "extends=\":workspace\", filesystem={\"/a/**\"=\"deny\"}", "is a pattern"},
        {"x", "extends=\":workspace\", filesystem={\":workspace_roots\"={\"**/*.env\"=\"none\"}}",
         "is a pattern"},
        {"x", "extends=\":workspace\", filesystem={\"/work/tree/a\"=\"deny\", \"/work/tree/a/b\"=\"write\"}",
         "cannot open it again"},
        {"x", "extends=\":workspace\", filesystem={\":workspace_roots\"={\"../up\"=\"read\"}}",
         "not a path inside"},
        {"x", "extends=\":workspace\", filesystem={\":workspace_roots\"={\".git\"=\"write\"}}",
         "never writable"},
        {"x", "extends=\":workspace\", filesystem={\"/work\"=\"deny\"}", "overlap"},
        {"x", "extends=\":read-only\", filesystem={\"/work/tree/../tree\"=\"deny\"}", "overlap"},
        {"x", "extends=\":read-only\", filesystem={\"/opt/a\"=\"write\"}", "but not the workspace"},
        {"x", "extends=\":workspace\", network={enabled=true, domains={\"a.test\"=\"allow\"}}",
         "limits the network"},
        {"x", "extends=\":workspace\", network={enabled=true, domains={\"*\"=\"allow\",\"b.test\"=\"deny\"}}",
         "limits the network"},
        {"x", "extends=\":workspace\", network={enabled=true, mode=\"limited\"}", "limits the network"},
        {"x", "extends=\":workspace\", network={enabled=\"yes\"}", "is true or false"},
        {"x", "extends=\":workspace\", workspace_roots={\"b\"=true}", "is an absolute folder"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sandbox_policy policy;
        struct error err = {0};

        if (make(cases[i].name, cases[i].profile, NULL, &policy, &err) == 0)
            fail_msg("%s: taken", cases[i].profile);
        if (strstr(err.text, cases[i].expected) == NULL)
            fail_msg("%s: got \"%s\"", cases[i].profile, err.text);
    }
}

static void sandbox_mode_goes_before_a_profile(void **state)
{
    struct str_list overrides = {0};
    struct config_options options = {.cwd = "/", .codex_home = "/nonexistent", .overrides = &overrides};
    struct error err = {0};
    struct config *c;

    (void)state;
    str_list_add(&overrides, "default_permissions=\":workspace\"");
    str_list_add(&overrides, "sandbox_mode=\"read-only\"");
    c = config_load(&options, &err);
    assert_non_null(c);
    assert_false(permissions_are_set(c));
    config_destroy(c);
    str_list_finish(&overrides);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_profiles_are_the_modes),
        cmocka_unit_test(profile_gives_what_it_names),
        cmocka_unit_test(child_overrides_its_parent),
        cmocka_unit_test(denied_paths_are_hidden_or_refused),
        cmocka_unit_test(reading_is_confined_without_the_root),
        cmocka_unit_test(parts_of_the_workspace_are_shut_off),
        cmocka_unit_test(what_the_box_cannot_keep_is_an_error),
        cmocka_unit_test(sandbox_mode_goes_before_a_profile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
