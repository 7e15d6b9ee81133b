#include "test.h"

#include "base/buf.h"
#include "sandbox/approval.h"
#include "sandbox/shell_syntax.h"

#include <stdlib.h>
#include <string.h>

/* The commands of SCRIPT as "a b|c", or "?" when it is not plain. */
static char *commands(const char *script)
{
    struct shell_script parsed;
    struct buf b = BUF_INIT;
    const char *why = NULL;

    if (!shell_script_parse(&parsed, script, strlen(script), &why)) {
        assert_non_null(why);
        buf_puts(&b, "?");
        return buf_take(&b);
    }
    for (size_t i = 0; i < parsed.commands.len; i++) {
        char *words = str_list_join(parsed.commands.items[i], " ");

        buf_printf(&b, "%s%s", i > 0 ? "|" : "", words);
        free(words);
    }
    shell_script_finish(&parsed);
    return buf_take(&b);
}

static const struct {
    const char *script, *expected;
} cases[] = {
    {"ls", "ls"},
    {"  ls  -l   src ", "ls -l src"},
    {"ls -l && cat x", "ls -l|cat x"},
    {"ls || true; pwd", "ls|true|pwd"},
    {"cat a | wc -l", "cat a|wc -l"},
    {"ls\npwd\n", "ls|pwd"},
    {"ls # all of it", "ls"},
    {"# nothing\nls", "ls"},
    {"echo a#b", "echo a#b"},
    {"echo 'a b' \"c d\"", "echo a b c d"},
    {"echo 'it'\\''s'", "echo it's"},
    {"echo \"a \\\" b\"", "echo a \" b"},
    {"echo a\\ b", "echo a b"},
    {"echo \"\"", "echo "},
    {"ls \\\n-l", "ls -l"},
    {"'ls' -l", "ls -l"},
    {"l\"s\" -l", "ls -l"},
    {"ls 2>/dev/null", "ls"},
    {"ls >/dev/null 2>&1", "ls"},
    {"ls > /dev/null", "ls"},
    {"cat < /dev/null", "cat"},
    {"ls 2>&1 | wc", "ls|wc"},
    {"ls src/*.c", "ls src/*.c"},
    {"find \"\"*", "?"}, /* the files may be called like options */
    {"find ''*", "?"},
    {"''* x", "?"},
    {"/bin/l? x", "?"},
    {"a* x", "?"},
    {"grep 'a*b' x", "grep a*b x"},
    {"ls a~", "ls a~"},
    {"ls;", "ls"},
    {"echo if", "echo if"},
    {"'if' x", "if x"},
    {"echo a=b", "echo a=b"},
    /* not plain */
    {"", "?"},
    {"   ", "?"},
    {"# only", "?"},
    {"ls $HOME", "?"},
    {"ls ${HOME}", "?"},
    {"echo $(rm x)", "?"},
    {"echo `rm x`", "?"},
    {"echo \"$(rm x)\"", "?"},
    {"echo \"`rm x`\"", "?"},
    {"echo \"$x\"", "?"},
    {"ls > out", "?"},
    {"ls >> out", "?"},
    {"ls >/dev/nullx", "?"},
    {"ls >/dev/null/../../tmp/x", "?"},
    {"ls 2>err", "?"},
    {"cat <in", "?"},
    {"cat <<EOF\nx\nEOF", "?"},
    {"cat <<<x", "?"},
    {"ls >&2x", "?"},
    {"ls &", "?"},
    {"ls & rm x", "?"},
    {"ls |& rm", "?"},
    {"(ls)", "?"},
    {"ls $((1))", "?"},
    {"{ ls; }", "?"},
    {"ls {a,b}", "?"},
    {"X=1 ls", "?"},
    {"LD_PRELOAD=./x.so ls", "?"},
    {"a[0]=1 ls", "?"},
    {"X+=1 ls", "?"},
    {"if true; then ls; fi", "?"},
    {"for x in a; do ls; done", "?"},
    {"while true; do ls; done", "?"},
    {"! ls", "?"},
    {"time ls", "?"},
    {"[[ a ]]", "?"},
    {"function f", "?"},
    {"case x in esac", "?"},
    {"f() { ls; }", "?"},
    {"ls &&", "?"},
    {"&& ls", "?"},
    {"ls | ", "?"},
    {"| ls", "?"},
    {"; ls", "?"},
    {"ls ;; ls", "?"},
    {"ls && && ls", "?"},
    {"echo 'open", "?"},
    {"echo \"open", "?"},
    {"echo x\\", "?"},
    {"ls *", "?"},
    {"ls *.c", "?"},
    {"ls ?", "?"},
    {"ls [a]", "?"},
    {"find -na*", "?"},
    {"ls ~", "?"},
    {"ls ~root", "?"},
    {"echo \"hi!\"", "?"},
    {"ls\x01", "?"},
    {"ls \x1b[31m", "?"},
    {"echo $'a'", "?"},
    {"echo <(ls)", "?"},
};

static void scripts_are_read_as_a_shell_reads_them(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *found = commands(cases[i].script);

        if (strcmp(found, cases[i].expected) != 0)
            fail_msg("%s: got \"%s\", expected \"%s\"", cases[i].script, found, cases[i].expected);
        free(found);
    }
}

static void a_nul_byte_is_not_plain(void **state)
{
    struct shell_script script;

    (void)state;
    assert_false(shell_script_parse(&script, "ls\0rm", 5, NULL));
}

static void a_shell_gives_the_commands_of_its_script(void **state)
{
    const char *const argv[] = {"/bin/bash", "-lc", "ls && rm x", NULL};
    const char *const odd[] = {"bash", "-c", "ls $x", NULL};
    const char *const more[] = {"bash", "-c", "ls", "rm", NULL};
    struct shell_script script;

    (void)state;
    assert_true(shell_commands_of(&script, argv));
    assert_int_equal(script.commands.len, 2);
    shell_script_finish(&script);
    assert_false(shell_commands_of(&script, odd));
    assert_int_equal(script.commands.len, 1);
    shell_script_finish(&script);
    assert_true(shell_commands_of(&script, more)); /* no script: the command itself */
    assert_int_equal(script.commands.len, 1);
    shell_script_finish(&script);
}

static const struct {
    const char *command;
    bool is_safe;
} safe_cases[] = {
    {"ls -la", true},
    {"/bin/ls", true},
    {"/usr/bin/git status", true},
    {"./ls", false},
    {"/tmp/ls", false},
    {"/bin/../tmp/ls", false},
    {"/usr/bin/x/ls", false},
    {"/usr/local/bin/rg x", true},
    {"test -v a[$(id)]", false}, /* a shell runs what is in the brackets */
    {"test -v x", false},
    {"test a[`id`] -eq 1", false},
    {"test -f x", true},
    {"test 3 -lt 4", true},
    {"printf -v a[$(id)] x", false},
    {"printf %d a[$(id)]", false},
    {"printf %s\\n x", true},
    {"date --se=2020-01-01", false},
    {"date --set=2020-01-01", false},
    {"date --utc", true},
    {"git diff --outp=x", false},
    {"git diff --ext-d", false},
    {"git diff --stat -- src", true},
    {"tree -R -L 1 -H .", false},
    {"cat /etc/passwd", true},
    {"rm x", false},
    {"find . -name x", true},
    {"find . -delete", false},
    {"find . -exec rm x", false},
    {"find . -fprintf x y", false},
    {"rg pattern", true},
    {"rg --pre=./x pattern", false},
    {"rg -z pattern", false},
    {"rg -nz pattern", false},
    {"sed -n 1,5p file", true},
    {"sed -n 5p", true},
    {"sed -n 1w/x file", false},
    {"sed -i s/a/b/ file", false},
    {"sed -n 1e file", false},
    {"git status", true},
    {"git log --oneline", true},
    {"git diff --output=x", false},
    {"git diff --ext-diff", false},
    {"git -c core.pager=x log", false},
    {"git branch", true},
    {"git branch -D main", false},
    {"git branch new", false},
    {"git commit -m x", false},
    {"git push", false},
    {"base64 x", true},
    {"base64 -o y x", false},
    {"date", true},
    {"date -s tomorrow", false},
    {"sort x", false},
    {"xargs rm", false},
    {"env ls", false},
    {"bash x", false},
    {"awk x", false},
    {"tee x", false},
    {"make", false},
};

static void only_reading_commands_are_known_safe(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof safe_cases / sizeof safe_cases[0]; i++) {
        struct str_list words = {0};

        str_split(&words, safe_cases[i].command, ' ');
        if (command_is_known_safe(&words) != safe_cases[i].is_safe)
            fail_msg("%s: expected %s", safe_cases[i].command, safe_cases[i].is_safe ? "safe" : "not safe");
        str_list_finish(&words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_are_read_as_a_shell_reads_them),
        cmocka_unit_test(a_nul_byte_is_not_plain),
        cmocka_unit_test(a_shell_gives_the_commands_of_its_script),
        cmocka_unit_test(only_reading_commands_are_known_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
