/* team/check_files.c: the built-in checks that look at a file's name, mode and kind. */
#include "team/check_internal.h"

#include "base/path.h"

#include <stdlib.h>
#include <string.h>

static const char *const test_files[] = {
    "tests/**",        "test/**",       "**/tests/**",  "**/test/**",  "**/test_*",
    "**/*_test.*",     "spec/**",       "**/*.test.*",  "**/*.spec.*", "**/*_spec.rb",
    "**/__tests__/**", "**/*Test.java", "**/*Tests.cs", "**/*Tests.java", "**/*Test.kt", "**/*Test.cs",
    "**/*Test.php", "**/*Tests.swift", "**/*IT.java", "**/tests.py", "**/test.js", "**/test.ts", "**/*-test.*", "**/*.cy.*",
    "**/*.bats", "**/*_spec.*", "**/e2e/**", "**/conftest.py", NULL};
static const char *const ci_files[] = {".github/workflows/**",
                                       ".github/actions/**",
                                       ".gitlab-ci.yml",
                                       ".gitlab/ci/**",
                                       ".circleci/**",
                                       "azure-pipelines.yml",
                                       ".azure-pipelines/**",
                                       ".gitlab-ci.yaml",
                                       ".gitlab/**/*.yml",
                                       "azure-pipelines*.y*ml",
                                       ".gitea/workflows/**",
                                       ".forgejo/workflows/**",
                                       ".semaphore/**",
                                       ".teamcity/**",
                                       ".builds/*.yml",
                                       "buildspec.yml",
                                       "codemagic.yaml",
                                       ".ci/**",
                                       "**/Jenkinsfile",
                                       ".travis.yml",
                                       ".buildkite/**",
                                       "bitbucket-pipelines.yml",
                                       ".drone.yml",
                                       ".woodpecker.y*ml",
                                       ".woodpecker/**",
                                       "appveyor.yml",
                                       ".appveyor.yml",
                                       ".cirrus.yml",
                                       "cloudbuild.y*ml",
                                       "CODEOWNERS",
                                       ".github/CODEOWNERS",
                                       "docs/CODEOWNERS",
                                       NULL};
static const char *const lint_files[] = {"**/.clang-tidy",
                                         "**/.eslintrc*",
                                         "**/eslint.config.*",
                                         "**/.eslintignore",
                                         "**/.pylintrc",
                                         "**/.flake8",
                                         "**/ruff.toml",
                                         "**/.ruff.toml",
                                         "**/.golangci.*",
                                         "**/.rubocop*.yml",
                                         ".pre-commit-config.yaml",
                                         ".editorconfig",
                                         "**/.shellcheckrc",
                                         "codecov.yml",
                                         ".codecov.yml",
                                         "**/.coveragerc",
                                         "**/biome.json*",
                                         "**/tslint.json",
                                         "**/mypy.ini",
                                         "**/.mypy.ini",
                                         "**/pyrightconfig.json",
                                         "**/.stylelintrc*",
                                         "**/clippy.toml",
                                         "**/.clippy.toml",
                                         "**/phpstan.neon*",
                                         "**/psalm.xml",
                                         "**/.hadolint.y*ml",
                                         "**/.yamllint*",
                                         "**/jest.config.*",
                                         "**/vitest.config.*",
                                         "**/pytest.ini",
                                         "**/tox.ini",
                                         "**/.nycrc*",
                                         "sonar-project.properties",
                                         ".semgrepignore",
                                         ".gitleaks.toml",
                                         ".trivyignore",
                                         "**/detekt.yml",
                                         "**/checkstyle.xml",
                                         NULL};
static const char *const lock_files[] = {"**/package-lock.json",  "**/npm-shrinkwrap.json",
                                         "**/yarn.lock",          "**/pnpm-lock.yaml",
                                         "**/bun.lock*",          "**/Cargo.lock",
                                         "**/poetry.lock",        "**/uv.lock",
                                         "**/Pipfile.lock",       "**/go.sum",
                                         "**/Gemfile.lock",       "**/composer.lock",
                                         "**/packages.lock.json", "**/gradle.lockfile",
                                         "**/flake.lock",         NULL};
static const char *const secret_files[] = {"**/.env",
                                           "**/.env.*",
                                           "**/*.pem",
                                           "**/*.p12",
                                           "**/*.pfx",
                                           "**/*.jks",
                                           "**/*.keystore",
                                           "**/*.kdbx",
                                           "**/id_rsa",
                                           "**/id_dsa",
                                           "**/id_ecdsa",
                                           "**/id_ed25519",
                                           "**/.npmrc",
                                           "**/.netrc",
                                           "**/.pypirc",
                                           "**/.pgpass",
                                           "**/.git-credentials",
                                           "**/.aws/credentials",
                                           "**/.docker/config.json",
                                           "**/.htpasswd",
                                           "**/*.tfstate",
                                           "**/service-account*.json",
                                           NULL};
static const char *const sample_ends[] = {".example", ".sample", ".template", ".dist", ".defaults", NULL};
static const char *const build_scripts[] = {"**/binding.gyp", "**/build.rs", "**/extconf.rb", NULL};
static const char *const auto_run_files[] = {"**/.gitattributes",
                                             ".husky/**",
                                             ".githooks/**",
                                             "**/.envrc",
                                             ".vscode/tasks.json",
                                             ".vscode/launch.json",
                                             ".vscode/settings.json",
                                             ".devcontainer/**",
                                             ".devcontainer.json",
                                             ".idea/runConfigurations/**",
                                             "lefthook.y*ml",
                                             "**/.mise.toml",
                                             "**/.tool-versions",
                                             "**/sitecustomize.py",
                                             "**/*.pth",
                                             NULL};
static const char *const agent_files[] = {"**/AGENTS.md",
                                          "**/AGENTS.override.md",
                                          "**/CLAUDE.md",
                                          "**/GEMINI.md",
                                          ".cursorrules",
                                          ".cursor/**",
                                          ".windsurfrules",
                                          ".clinerules/**",
                                          ".github/copilot-instructions.md",
                                          ".github/instructions/**",
                                          ".codex/**",
                                          ".claude/**",
                                          ".agents/**",
                                          "**/SKILL.md",
                                          ".mcp.json",
                                          "cadre.toml",
                                          ".worktreeinclude",
                                          NULL};
static const char *const pictures[] = {"**/*.png", "**/*.jpg", "**/*.jpeg", "**/*.gif",  "**/*.webp",
                                       "**/*.ico", "**/*.bmp", "**/*.avif", "**/*.woff", "**/*.woff2",
                                       "**/*.ttf", "**/*.otf", NULL};

bool check_is_test_file(const char *path)
{
    return check_path_matches(path, test_files);
}

static bool is_sample(const char *path)
{
    for (size_t i = 0; sample_ends[i] != NULL; i++)
        if (str_ends_with(path, sample_ends[i]))
            return true;
    return false;
}

void check_file(struct check_scan *s)
{
    size_t n = strlen(s->file);

    if (check_is_deceptive(s->file, n))
        check_add(s, CHECK_BIDI, 0, "a file name has invisible or direction-changing characters",
                  "Rename the file.");
    if (check_has_homoglyph(s->file, n))
        check_add(s, CHECK_HOMOGLYPH, 0, "a file name mixes letters of several scripts that look alike",
                  "Rename the file.");
    if (s->is_deleted && s->is_test)
        check_add(s, CHECK_TESTS_REMOVED, 0, "a test file is deleted",
                  "Tests may only go with the plan's leave.");
    if (check_path_matches(s->file, ci_files))
        check_add(s, CHECK_CI_CHANGED, 0, "the CI definition is changed",
                  "What judges the work may only change with the plan's leave (allow: ci-changed).");
    if (check_path_matches(s->file, lint_files))
        check_add_once(s, CHECK_LINT_CHANGED, 0, "lint or coverage configuration is changed",
                       "It may only change with the plan's leave (allow: lint-changed).");
    if (check_path_matches(s->file, lock_files))
        check_add(s, CHECK_LOCK_CHANGED, 0, "a dependency lock file is changed",
                  "New dependencies need the plan's leave (allow: lock-changed).");
    if (check_path_matches(s->file, auto_run_files) && !s->is_deleted)
        check_add(s, CHECK_AUTO_RUN, 0, "a file that tools act on by themselves is changed",
                  "It takes effect on every machine that opens the repository (allow: auto-run).");
    if (check_path_matches(s->file, agent_files))
        check_add(s, CHECK_AGENT_INSTRUCTIONS, 0, "instructions for agents are changed",
                  "Later agents follow them; they may only change with the plan's leave (allow: "
                  "agent-instructions).");
    if (strcmp(s->file, ".gitmodules") == 0)
        check_add(s, CHECK_SUBMODULE, 0, "the list of submodules is changed",
                  "Submodules may only change by hand.");
    if (s->is_new_file && check_path_matches(s->file, build_scripts))
        check_add(s, CHECK_LIFECYCLE_SCRIPT, 0,
                  "a file is added that runs when the package is installed or built",
                  "It runs on every machine that builds the package (allow: lifecycle-script).");
    if (s->is_new_file && check_path_matches(s->file, secret_files) && !is_sample(s->file))
        check_add(s, CHECK_SECRET_FILE, 0, "a file that usually holds secrets is added",
                  "Keep it out of the repository and name it in .gitignore.");
}

void check_file_mode(struct check_scan *s, const char *before, const char *mode)
{
    unsigned long bits = strtoul(mode, NULL, 8);

    if (bits == 0160000) {
        check_add(s, CHECK_SUBMODULE, 0, "a submodule is added or moved",
                  "Submodules may only change by hand.");
    } else if (bits == 0120000) {
        s->is_symlink = true;
        check_add(s, CHECK_SYMLINK, 0, "a symlink is added", "Look at where it leads.");
    } else if ((bits & 07000) != 0) {
        check_add(s, CHECK_SETUID, 0, "a file gets a setuid, setgid or sticky bit",
                  "Such a file runs with another's rights.");
    } else if (before != NULL && (strtoul(before, NULL, 8) & 0111) != (bits & 0111)) {
        check_add(s, CHECK_MODE_CHANGED, 0,
                  (bits & 0111) != 0 ? "a file becomes executable" : "a file is no longer executable",
                  "Is that a part of the task?");
    }
}

void check_file_binary(struct check_scan *s)
{
    if (s->is_deleted)
        return;
    check_add_severity(s, CHECK_BINARY, check_path_matches(s->file, pictures) ? "minor" : "major", 0,
                       s->is_new_file ? "a binary file is added"
                                      : "a file is changed that git shows as binary",
                       "What it holds cannot be reviewed (allow: binary).");
}

void check_symlink_target(struct check_scan *s, const char *target)
{
    char *folder = path_dirname(s->file);
    char *joined = path_join(strcmp(folder, ".") == 0 ? "" : folder, target);
    char *normal = path_normalize(joined);
    bool leaves = target[0] == '/' || strcmp(normal, "..") == 0 || str_starts_with(normal, "../") ||
                  strcmp(normal, ".git") == 0 || str_starts_with(normal, ".git/");

    if (leaves)
        check_add(s, CHECK_SYMLINK_ESCAPES, s->line, "a symlink leads out of the tree",
                  "Link within the repository.");
    free(folder);
    free(joined);
    free(normal);
}

/* A file's end: assertions that went without any that came. */
void check_file_end(struct check_scan *s)
{
    if (!s->is_deleted && s->is_test && s->assertions_removed > s->assertions_added)
        check_add_severity(
            s, CHECK_TESTS_REMOVED, "major", 0, "test cases or assertions are removed",
            "More assertions go than come. Tests may only be weakened with the plan's leave (allow: "
            "tests-removed).");
}
