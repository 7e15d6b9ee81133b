/* Build files to jobs: each build system, with what installs apart from what tests. */
#include "test.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/ci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "job: step | [installing step] | step; job: ..." */
static char *detected(const char *const files[][2])
{
    struct error err = {0};
    char *dir = file_make_temporary_directory("cadre-detect", &err);
    struct ci_options options = {.definition_dir = dir};
    struct buf b = BUF_INIT;
    struct ci_plan *plan;

    for (size_t i = 0; files[i][0] != NULL; i++) {
        char *path = path_join(dir, files[i][0]), *folder = path_dirname(path);
        assert_int_equal(file_make_directories(folder, 0755, &err), 0);
        assert_int_equal(file_write(path, files[i][1], strlen(files[i][1]), 0644, &err), 0);
        free(folder);
        free(path);
    }
    plan = ci_plan_create(&options, &err);
    assert_non_null(plan);
    for (size_t i = 0; i < ci_plan_job_count(plan); i++) {
        const struct ci_plan_job *job = ci_plan_job(plan, i);
        assert_int_equal(ci_plan_source(plan), CI_SOURCE_DETECTED);
        buf_printf(&b, "%s%s:", i > 0 ? "; " : "", job->id);
        for (size_t k = 0; k < job->step_count; k++)
            buf_printf(&b, job->steps[k].is_dependency ? "%s [%s]" : "%s %s", k > 0 ? " |" : "",
                       job->steps[k].command);
    }
    ci_plan_destroy(plan);
    file_remove_tree(dir, &err);
    free(dir);
    return buf_take(&b);
}

#define FILES(...) ((const char *const[][2]){__VA_ARGS__, {NULL, NULL}})

static void expect(const char *const files[][2], const char *expected)
{
    char *got = detected(files);

    if (strcmp(got, expected) != 0)
        print_message("# %s\n# expected %s\n", got, expected);
    assert_string_equal(got, expected);
    free(got);
}

static void make_runs_the_target_that_tests(void **state)
{
    (void)state;
    expect(FILES({"Makefile", "all:\n\ttrue\ncheck: all\n\ttrue\n"}), "make: make check");
    expect(FILES({"makefile", "lint test: all\n\ttrue\n"}), "make: make test");
    expect(FILES({"GNUmakefile", "all:\n\tcheck: x\ncheck := no\ntest=1\n"}), "make: make");
    expect(FILES({"configure", "#!/bin/sh\n"}), "make: ./configure | make | make check");
    expect(FILES({"configure.ac", ""}), "make: autoreconf -fi | ./configure | make | make check");
    expect(FILES({"README", "x"}), "");
}

static void compiled_languages_fetch_build_and_test(void **state)
{
    (void)state;
    expect(FILES({"CMakeLists.txt", ""}),
           "cmake: cmake -S . -B build -DCMAKE_BUILD_TYPE=Debug | cmake --build build --parallel 2 | "
           "ctest --test-dir build --output-on-failure");
    expect(
        FILES({"meson.build", ""}, {"subprojects/zlib.wrap", ""}),
        "meson: [meson subprojects download] | test -d build || meson setup build | meson compile -C build | "
        "meson test -C build --print-errorlogs");
    expect(FILES({"CMakeLists.txt", ""}, {"Makefile", "test:\n\tcmake\n"}), "make: make test");
    expect(FILES({"Cargo.toml", "[package]\n"}),
           "cargo: [cargo fetch] | cargo build --all-targets | cargo test");
    expect(FILES({"Cargo.toml", "[workspace]\n"}, {"Cargo.lock", ""}),
           "cargo: [cargo fetch --locked] | cargo build --workspace --all-targets | cargo test --workspace");
    expect(FILES({"go.mod", "module x\n"}), "go: go build ./... | go vet ./... | go test ./...");
    expect(FILES({"go.mod", "module x\n"}, {"go.sum", "x"}),
           "go: [go mod download] | go build ./... | go vet ./... | go test ./...");
    expect(FILES({"pom.xml", "<project/>"}), "maven: [mvn -B dependency:go-offline] | mvn -B test");
    expect(FILES({"pom.xml", "<project/>"}, {"mvnw", ""}),
           "maven: [./mvnw -B dependency:go-offline] | ./mvnw -B test");
    expect(FILES({"build.gradle.kts", ""}, {"gradlew", ""}),
           "gradle: [./gradlew --no-daemon testClasses] | ./gradlew --no-daemon check");
    expect(FILES({"build.gradle", ""}),
           "gradle: [gradle --no-daemon testClasses] | gradle --no-daemon check");
}

static void node_projects_install_with_their_own_tool(void **state)
{
    static const char package[] =
        "{\"scripts\":{\"test\":\"x\",\"lint\":\"y\",\"start\":\"z\"},\"devDependencies\":{\"a\":\"1\"}}";

    (void)state;
    expect(FILES({"package.json", package}), "node: [npm install] | npm run lint | npm run test");
    expect(FILES({"package.json", package}, {"package-lock.json", "{}"}),
           "node: [npm ci] | npm run lint | npm run test");
    expect(FILES({"package.json", package}, {"pnpm-lock.yaml", ""}),
           "node: [pnpm install --frozen-lockfile] | pnpm run lint | pnpm run test");
    expect(FILES({"package.json", package}, {"yarn.lock", ""}),
           "node: [yarn install --frozen-lockfile] | yarn run lint | yarn run test");
    expect(FILES({"package.json", package}, {"yarn.lock", ""}, {".yarnrc.yml", ""}),
           "node: [yarn install --immutable] | yarn run lint | yarn run test");
    expect(FILES({"package.json", "{\"packageManager\":\"pnpm@9\",\"scripts\":{\"test\":\"x\"}}"}),
           "node: pnpm run test");
    expect(FILES({"package.json",
                  "{\"scripts\":{\"test\":\"echo \\\"Error: no test specified\\\" && exit 1\"}}"}),
           "");
    expect(FILES({"package.json", "{not json"}), "");
}

static void python_projects_install_what_they_list(void **state)
{
    (void)state;
    expect(FILES({"tox.ini", "[tox]\n"}), "python: [tox --notest] | tox --skip-pkg-install");
    expect(FILES({"pytest.ini", ""}), "python: python3 -m pytest");
    expect(FILES({"pyproject.toml", "[tool.pytest.ini_options]\n"}), "python: python3 -m pytest");
    expect(FILES({"requirements.txt", "x\n"}, {"requirements-dev.txt", "pytest\n"}),
           "python: [test -d .venv || python3 -m venv --system-site-packages .venv\n"
           ".venv/bin/python -m pip install -r requirements.txt -r requirements-dev.txt] | .venv/bin/python "
           "-m pytest");
    expect(FILES({"pyproject.toml", "pytest"}, {"uv.lock", ""}),
           "python: [uv sync --frozen] | uv run --frozen python -m pytest");
    expect(FILES({"pyproject.toml", "pytest"}, {"poetry.lock", ""}),
           "python: [poetry install --no-interaction] | poetry run python -m pytest");
    expect(FILES({"tests/test_a.py", ""}), "python: python3 -m unittest discover -s tests -t .");
    expect(FILES({"setup.py", ""}), "");
}

static void several_build_systems_are_several_jobs(void **state)
{
    (void)state;
    expect(FILES({"Makefile", "check:\n"}, {"go.mod", "module x\n"}, {"pytest.ini", ""}),
           "make: make check; go: go build ./... | go vet ./... | go test ./...; python: python3 -m pytest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(make_runs_the_target_that_tests),
        cmocka_unit_test(compiled_languages_fetch_build_and_test),
        cmocka_unit_test(node_projects_install_with_their_own_tool),
        cmocka_unit_test(python_projects_install_what_they_list),
        cmocka_unit_test(several_build_systems_are_several_jobs),
    };

    return cmocka_run_group_tests_name("ci/detect", tests, NULL, NULL);
}
