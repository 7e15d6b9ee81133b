/* ci/detect.c: build files to jobs. */
#include "ci/detect.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"

#include <stdlib.h>
#include <string.h>

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

    if (file_read(path, b, 1 << 20, &err) < 0)
        buf_clear(b);
    free(path);
}

/* The first of the wanted targets that the makefile has: "check:" at the start of a line. */
static const char *make_target(const char *text)
{
    static const char *const wanted[] = {"check", "test", "tests"};

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        size_t n = strlen(wanted[i]);
        for (const char *p = text; p != NULL; p = strchr(p, '\n')) {
            if (*p == '\n')
                p++;
            if (strncmp(p, wanted[i], n) == 0) {
                const char *q = p + n + strspn(p + n, " \t");
                if (*q == ':' && q[1] != '=')
                    return wanted[i];
            }
            if (*p == '\0')
                break;
        }
    }
    return NULL;
}

static void detect_make(struct workflow *w, const char *dir)
{
    static const char *const names[] = {"GNUmakefile", "makefile", "Makefile"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf text = BUF_INIT;
        const char *target;

        if (!has(dir, names[i]))
            continue;
        read_file(dir, names[i], &text);
        target = make_target(buf_cstr(&text));
        struct workflow_job *job = workflow_add_job(w, "make");
        if (target == NULL) {
            workflow_add_step(w, job, "make", "make");
        } else {
            char command[64] = "make ";
            strncat(command, target, sizeof command - strlen(command) - 1);
            workflow_add_step(w, job, command, command);
        }
        buf_free(&text);
        return;
    }
}

static void add_job(struct workflow *w, const char *key, const char *const steps[][2])
{
    struct workflow_job *job = workflow_add_job(w, key);

    for (size_t i = 0; steps[i][0] != NULL; i++)
        workflow_add_step(w, job, steps[i][0], steps[i][1]);
}

static void detect_native(struct workflow *w, const char *dir)
{
    static const char *const cmake[][2] = {
        {"configure", "cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug"},
        {"build", "cmake --build build --parallel"},
        {"test", "ctest --test-dir build --output-on-failure"},
        {NULL, NULL}};
    static const char *const meson[][2] = {{"configure", "test -d build || meson setup build"},
                                           {"build", "meson compile -C build"},
                                           {"test", "meson test -C build --print-errorlogs"},
                                           {NULL, NULL}};
    static const char *const cargo[][2] = {
        {"build", "cargo build --all-targets"}, {"test", "cargo test"}, {NULL, NULL}};
    static const char *const go[][2] = {
        {"build", "go build ./..."}, {"vet", "go vet ./..."}, {"test", "go test ./..."}, {NULL, NULL}};
    static const char *const maven[][2] = {{"test", "mvn -B test"}, {NULL, NULL}};
    static const char *const mvnw[][2] = {{"test", "./mvnw -B test"}, {NULL, NULL}};
    static const char *const gradle[][2] = {{"check", "gradle --no-daemon check"}, {NULL, NULL}};
    static const char *const gradlew[][2] = {{"check", "./gradlew --no-daemon check"}, {NULL, NULL}};

    detect_make(w, dir);
    /* A makefile beside them usually wraps them. */
    if (w->jobs.len == 0 && has(dir, "CMakeLists.txt"))
        add_job(w, "cmake", cmake);
    if (w->jobs.len == 0 && has(dir, "meson.build"))
        add_job(w, "meson", meson);
    if (has(dir, "Cargo.toml"))
        add_job(w, "cargo", cargo);
    if (has(dir, "go.mod"))
        add_job(w, "go", go);
    if (has(dir, "pom.xml"))
        add_job(w, "maven", has(dir, "mvnw") ? mvnw : maven);
    else if (has(dir, "build.gradle") || has(dir, "build.gradle.kts"))
        add_job(w, "gradle", has(dir, "gradlew") ? gradlew : gradle);
}

static void detect_node(struct workflow *w, const char *dir)
{
    static const char *const scripts_wanted[] = {"lint", "typecheck", "build", "test"};
    const char *tool = has(dir, "pnpm-lock.yaml") ? "pnpm" : has(dir, "yarn.lock") ? "yarn" : "npm";
    struct buf text = BUF_INIT;
    struct error err = {0};
    struct workflow_job *job;
    json_t *package, *scripts;

    if (!has(dir, "package.json"))
        return;
    read_file(dir, "package.json", &text);
    package = json_parse(buf_cstr(&text), text.len, "package.json", &err);
    buf_free(&text);
    scripts = json_object_get(package, "scripts");
    job = workflow_add_job(w, "node");
    if (json_object_size(json_object_get(package, "dependencies")) +
            json_object_size(json_object_get(package, "devDependencies")) > 0) {
        const char *install = strcmp(tool, "pnpm") == 0   ? "pnpm install --frozen-lockfile"
                              : strcmp(tool, "yarn") == 0 ? "yarn install --frozen-lockfile"
                              : has(dir, "package-lock.json") ? "npm ci"
                                                              : "npm install";
        workflow_add_step(w, job, "install", install);
    }
    for (size_t i = 0; i < sizeof scripts_wanted / sizeof *scripts_wanted; i++) {
        const char *script = json_get_string(scripts, scripts_wanted[i], NULL);
        if (script != NULL && strstr(script, "no test specified") == NULL) {
            struct buf command = BUF_INIT;
            buf_printf(&command, "%s run %s", tool, scripts_wanted[i]);
            workflow_add_step(w, job, scripts_wanted[i], buf_cstr(&command));
            buf_free(&command);
        }
    }
    if (job->step_count == 0 || scripts == NULL)
        vec_remove_item(&w->jobs, job);
    json_decref(package);
}

static void detect_python(struct workflow *w, const char *dir)
{
    static const char *const tox[][2] = {{"tox", "tox"}, {NULL, NULL}};
    static const char *const pytest[][2] = {{"pytest", "python3 -m pytest"}, {NULL, NULL}};
    struct buf text = BUF_INIT;

    read_file(dir, "pyproject.toml", &text);
    if (has(dir, "tox.ini"))
        add_job(w, "python", tox);
    else if (has(dir, "pytest.ini") || has(dir, "conftest.py") || has(dir, "tests/conftest.py") ||
             strstr(buf_cstr(&text), "pytest") != NULL)
        add_job(w, "python", pytest);
    buf_free(&text);
}

struct workflow *detect_workflow(const char *dir)
{
    struct workflow *w = workflow_create_literal("detected", "detected");

    detect_native(w, dir);
    detect_node(w, dir);
    detect_python(w, dir);
    if (w->jobs.len == 0) {
        workflow_destroy(w);
        return NULL;
    }
    return w;
}
