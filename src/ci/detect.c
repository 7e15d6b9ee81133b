/* ci/detect.c: build files to jobs. What installs is a step of its own, before what builds and tests, so that it can be
 * cached and everything after it can do without the network. */
#include "ci/detect.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

#define BUILD_FILE_MAX_BYTES ((size_t)1 << 20)

struct recipe_step {
    const char *name; /* NULL ends a recipe */
    const char *run;
    bool installs;
};

static bool has(const char *dir, const char *name)
{
    char *path = path_join(dir, name);
    bool found = file_is_regular(path);

    free(path);
    return found;
}

static void read_file(const char *dir, const char *name, struct buf *b)
{
    char *path = path_join(dir, name);
    struct error err = {0};

    buf_clear(b);
    if (file_read(path, b, BUILD_FILE_MAX_BYTES, &err) < 0)
        buf_clear(b);
    free(path);
}

static bool file_mentions(const char *dir, const char *name, const char *text)
{
    struct buf b = BUF_INIT;
    bool found;

    read_file(dir, name, &b);
    found = strstr(buf_cstr(&b), text) != NULL;
    buf_free(&b);
    return found;
}

/* Has the folder an entry that ends so? */
static bool folder_has(const char *dir, const char *folder, const char *prefix, const char *suffix)
{
    char *path = path_join(dir, folder);
    struct str_list names = {0};
    struct error err = {0};
    bool found = false;

    if (file_is_directory(path) && file_list_directory(path, &names, &err) == 0) {
        for (size_t i = 0; !found && i < names.len; i++)
            found = str_starts_with(names.items[i], prefix) && str_ends_with(names.items[i], suffix);
    }
    str_list_finish(&names);
    free(path);
    return found;
}

static void add_step(struct workflow *w, struct workflow_job *job, const char *name, const char *run,
                     bool installs)
{
    workflow_add_step(w, job, name, run)->installs = installs;
}

static void add_job(struct workflow *w, const char *key, const struct recipe_step *steps)
{
    struct workflow_job *job = workflow_add_job(w, key);

    for (; steps->name != NULL; steps++)
        add_step(w, job, steps->name, steps->run, steps->installs);
}

/* -------------------------------------------------------------------------------------------------- make */

/* Is WORD one of the targets of a rule in the makefile ("check test: all")? */
static bool has_target(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        const char *end, *colon;

        line += *line == '\n';
        end = line + strcspn(line, "\n");
        colon = memchr(line, ':', (size_t)(end - line));
        if (*line == '\t' || *line == '#' || colon == NULL || colon[1] == '=' ||
            memchr(line, '=', (size_t)(colon - line)) != NULL)
            continue;
        for (const char *p = line; p < colon; p += strcspn(p, " \t:") + 1) {
            p += strspn(p, " \t");
            if ((size_t)(colon - p) >= n && strncmp(p, word, n) == 0 && strchr(" \t:", p[n]) != NULL)
                return true;
        }
    }
    return false;
}

static void detect_make(struct workflow *w, const char *dir)
{
    static const char *const names[] = {"GNUmakefile", "makefile", "Makefile"};
    static const char *const wanted[] = {"check", "test", "tests"};
    static const struct recipe_step configured[] = {{"configure", "./configure", false},
                                                    {"make", "make", false},
                                                    {"make check", "make check", false},
                                                    {0}};
    static const struct recipe_step generated[] = {{"autoreconf", "autoreconf -fi", false},
                                                   {"configure", "./configure", false},
                                                   {"make", "make", false},
                                                   {"make check", "make check", false},
                                                   {0}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf text = BUF_INIT;
        struct workflow_job *job;
        const char *target = NULL;

        if (!has(dir, names[i]))
            continue;
        read_file(dir, names[i], &text);
        for (size_t k = 0; target == NULL && k < sizeof wanted / sizeof *wanted; k++)
            target = has_target(buf_cstr(&text), wanted[k]) ? wanted[k] : NULL;
        job = workflow_add_job(w, "make");
        if (target == NULL) {
            add_step(w, job, "make", "make", false);
        } else {
            char *command = xasprintf("make %s", target);
            add_step(w, job, command, command, false);
            free(command);
        }
        buf_free(&text);
        return;
    }
    if (has(dir, "configure"))
        add_job(w, "make", configured);
    else if (has(dir, "configure.ac"))
        add_job(w, "make", generated);
}

/* -------------------------------------------------------------------------------- compiled languages */

static void detect_meson(struct workflow *w, const char *dir)
{
    struct workflow_job *job = workflow_add_job(w, "meson");

    if (folder_has(dir, "subprojects", "", ".wrap"))
        add_step(w, job, "subprojects", "meson subprojects download", true);
    add_step(w, job, "configure", "test -d build || meson setup build", false);
    add_step(w, job, "build", "meson compile -C build", false);
    add_step(w, job, "test", "meson test -C build --print-errorlogs", false);
}

static void detect_cargo(struct workflow *w, const char *dir)
{
    bool is_workspace = file_mentions(dir, "Cargo.toml", "[workspace]"), is_locked = has(dir, "Cargo.lock");
    struct workflow_job *job = workflow_add_job(w, "cargo");

    add_step(w, job, "fetch", is_locked ? "cargo fetch --locked" : "cargo fetch", true);
    add_step(w, job, "build",
             is_workspace ? "cargo build --workspace --all-targets" : "cargo build --all-targets", false);
    add_step(w, job, "test", is_workspace ? "cargo test --workspace" : "cargo test", false);
}

static void detect_go(struct workflow *w, const char *dir)
{
    struct workflow_job *job = workflow_add_job(w, "go");

    if (has(dir, "go.sum") && !has(dir, "vendor/modules.txt"))
        add_step(w, job, "download", "go mod download", true);
    add_step(w, job, "build", "go build ./...", false);
    add_step(w, job, "vet", "go vet ./...", false);
    add_step(w, job, "test", "go test ./...", false);
}

static void detect_jvm(struct workflow *w, const char *dir)
{
    static const struct recipe_step maven[] = {
        {"dependencies", "mvn -B dependency:go-offline", true}, {"test", "mvn -B test", false}, {0}};
    static const struct recipe_step mvnw[] = {
        {"dependencies", "./mvnw -B dependency:go-offline", true}, {"test", "./mvnw -B test", false}, {0}};
    static const struct recipe_step gradle[] = {{"compile", "gradle --no-daemon testClasses", true},
                                                {"check", "gradle --no-daemon check", false},
                                                {0}};
    static const struct recipe_step gradlew[] = {{"compile", "./gradlew --no-daemon testClasses", true},
                                                 {"check", "./gradlew --no-daemon check", false},
                                                 {0}};

    if (has(dir, "pom.xml"))
        add_job(w, "maven", has(dir, "mvnw") ? mvnw : maven);
    else if (has(dir, "build.gradle") || has(dir, "build.gradle.kts"))
        add_job(w, "gradle", has(dir, "gradlew") ? gradlew : gradle);
}

static void detect_compiled(struct workflow *w, const char *dir)
{
    static const struct recipe_step cmake[] = {
        {"configure", "cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug", false},
        {"build", "cmake --build build --parallel 2", false},
        {"test", "ctest --test-dir build --output-on-failure", false},
        {0}};

    detect_make(w, dir);
    /* A makefile beside them usually wraps them. */
    if (w->jobs.len == 0 && has(dir, "CMakeLists.txt"))
        add_job(w, "cmake", cmake);
    if (w->jobs.len == 0 && has(dir, "meson.build"))
        detect_meson(w, dir);
    if (has(dir, "Cargo.toml"))
        detect_cargo(w, dir);
    if (has(dir, "go.mod"))
        detect_go(w, dir);
    detect_jvm(w, dir);
}

/* -------------------------------------------------------------------------------------------------- node */

/* By the lock file, else by `packageManager` of package.json. */
static const char *package_tool(const char *dir, const json_t *package)
{
    const char *declared = json_get_string(package, "packageManager", "");

    if (has(dir, "pnpm-lock.yaml") || str_starts_with(declared, "pnpm@"))
        return "pnpm";
    return has(dir, "yarn.lock") || str_starts_with(declared, "yarn@") ? "yarn" : "npm";
}

static const char *install_command(const char *dir, const char *tool)
{
    if (strcmp(tool, "pnpm") == 0)
        return has(dir, "pnpm-lock.yaml") ? "pnpm install --frozen-lockfile" : "pnpm install";
    if (strcmp(tool, "yarn") == 0)
        return has(dir, ".yarnrc.yml") ? "yarn install --immutable"
               : has(dir, "yarn.lock") ? "yarn install --frozen-lockfile"
                                       : "yarn install";
    return has(dir, "package-lock.json") || has(dir, "npm-shrinkwrap.json") ? "npm ci" : "npm install";
}

static void detect_node(struct workflow *w, const char *dir)
{
    static const char *const scripts_wanted[] = {"lint", "typecheck", "build", "test"};
    static const char *const dependency_keys[] = {"dependencies", "devDependencies", "optionalDependencies",
                                                  "workspaces"};
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct workflow_job *job = NULL;
    json_t *package, *scripts;
    const char *tool;
    size_t dependencies = 0;

    if (!has(dir, "package.json"))
        return;
    read_file(dir, "package.json", &text);
    package = json_parse(buf_cstr(&text), text.len, "package.json", &err);
    buf_free(&text);
    scripts = json_object_get(package, "scripts");
    tool = package_tool(dir, package);
    for (size_t i = 0; i < sizeof dependency_keys / sizeof *dependency_keys; i++) {
        const json_t *value = json_object_get(package, dependency_keys[i]);
        dependencies += json_object_size(value) + json_array_size(value);
    }
    for (size_t i = 0; i < sizeof scripts_wanted / sizeof *scripts_wanted; i++) {
        const char *script = json_get_string(scripts, scripts_wanted[i], NULL);
        char *command;

        if (script == NULL || strstr(script, "no test specified") != NULL)
            continue;
        if (job == NULL) {
            job = workflow_add_job(w, "node");
            if (dependencies > 0)
                add_step(w, job, "install", install_command(dir, tool), true);
        }
        command = xasprintf("%s run %s", tool, scripts_wanted[i]);
        add_step(w, job, scripts_wanted[i], command, false);
        free(command);
    }
    json_decref(package);
}

/* ------------------------------------------------------------------------------------------------ python */

static bool uses_pytest(const char *dir)
{
    return has(dir, "pytest.ini") || has(dir, "conftest.py") || has(dir, "tests/conftest.py") ||
           file_mentions(dir, "pyproject.toml", "pytest") ||
           file_mentions(dir, "setup.cfg", "[tool:pytest]") ||
           file_mentions(dir, "requirements.txt", "pytest") ||
           file_mentions(dir, "requirements-dev.txt", "pytest") ||
           file_mentions(dir, "dev-requirements.txt", "pytest") ||
           file_mentions(dir, "requirements-test.txt", "pytest");
}

/* In an environment of its own when the project lists what it needs; else with the machine's python. */
static void add_python(struct workflow *w, const char *dir, const char *test)
{
    static const char *const lists[] = {"requirements.txt", "requirements-dev.txt", "dev-requirements.txt",
                                        "requirements-test.txt", "test-requirements.txt"};
    struct workflow_job *job = workflow_add_job(w, "python");
    struct buf install = BUF_INIT, run = BUF_INIT;

    if (has(dir, "uv.lock")) {
        add_step(w, job, "install", "uv sync --frozen", true);
        buf_printf(&run, "uv run --frozen python -m %s", test);
    } else if (has(dir, "poetry.lock")) {
        add_step(w, job, "install", "poetry install --no-interaction", true);
        buf_printf(&run, "poetry run python -m %s", test);
    } else {
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            if (has(dir, lists[i]))
                buf_printf(&install, " -r %s", lists[i]);
        }
        if (install.len > 0) {
            char *command = xasprintf("test -d .venv || python3 -m venv --system-site-packages .venv\n"
                                      ".venv/bin/python -m pip install%s",
                                      buf_cstr(&install));
            add_step(w, job, "install", command, true);
            free(command);
        }
        buf_printf(&run, "%s -m %s", install.len > 0 ? ".venv/bin/python" : "python3", test);
    }
    add_step(w, job, strncmp(test, "unittest", 8) == 0 ? "unittest" : test, buf_cstr(&run), false);
    buf_free(&install);
    buf_free(&run);
}

static void detect_python(struct workflow *w, const char *dir)
{
    static const struct recipe_step tox[] = {
        {"environments", "tox --notest", true}, {"tox", "tox --skip-pkg-install", false}, {0}};

    if (has(dir, "tox.ini") || file_mentions(dir, "pyproject.toml", "[tool.tox"))
        add_job(w, "python", tox);
    else if (uses_pytest(dir))
        add_python(w, dir, "pytest");
    else if (folder_has(dir, "tests", "test_", ".py"))
        add_python(w, dir, "unittest discover -s tests -t .");
}

struct workflow *detect_workflow(const char *dir)
{
    struct workflow *w = workflow_create_literal("detected", "detected");

    detect_compiled(w, dir);
    detect_node(w, dir);
    detect_python(w, dir);
    if (w->jobs.len == 0) {
        workflow_destroy(w);
        return NULL;
    }
    return w;
}
