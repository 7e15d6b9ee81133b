/* team/check_manifests.c: what a manifest takes in, from which places, and what runs when the package is installed.
 *
 * A diff shows parts of a file, so the kind of a line is told by its form and, where there are such, by the section lines
 * that the diff happens to show. A name that the diff also removes is a change, not an addition. */
#include "team/check_internal.h"

#include "base/alloc.h"
#include "base/path.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum manifest {
    MANIFEST_NONE,
    NPM,
    COMPOSER,
    CARGO,
    GO,
    REQUIREMENTS,
    PYPROJECT,
    INI,
    MAVEN,
    GRADLE,
    GEMFILE,
    DOTNET
};

static enum manifest kind_of(const char *path)
{
    static const struct {
        const char *name;
        enum manifest kind;
    } names[] = {
        {"package.json", NPM},
        {"composer.json", COMPOSER},
        {"Cargo.toml", CARGO},
        {"go.mod", GO},
        {"pyproject.toml", PYPROJECT},
        {"Pipfile", PYPROJECT},
        {"setup.cfg", INI},
        {"pom.xml", MAVEN},
        {"build.gradle", GRADLE},
        {"build.gradle.kts", GRADLE},
        {"Gemfile", GEMFILE},
        {"packages.config", DOTNET},
    };
    const char *base = path_basename(path);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(base, names[i].name) == 0)
            return names[i].kind;
    if (str_ends_with(base, ".txt") && strstr(base, "requirements") != NULL)
        return REQUIREMENTS;
    if (str_ends_with(base, ".gemspec"))
        return GEMFILE;
    return str_ends_with(base, ".csproj") || str_ends_with(base, ".fsproj") ? DOTNET : MANIFEST_NONE;
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

/* The text between QUOTEs at P; NULL when there is none. *PAST gets the place behind it. */
static char *quoted(const char *p, const char **past)
{
    char quote = *p;
    const char *end = quote == '"' || quote == '\'' ? strchr(p + 1, quote) : NULL;

    if (end == NULL)
        return NULL;
    *past = end + 1;
    return xstrndup(p + 1, (size_t)(end - p - 1));
}

static bool is_version(const char *v)
{
    static const char *const sources[] = {"npm:",  "git",      "github:",    "file:", "link:",
                                          "http:", "https:",   "workspace:", "jsr:",  "latest",
                                          "next",  "catalog:", "dev-",       "@dev",  NULL};

    if (strspn(v, "^~<>=! v*") > 0 && (v[0] != 'v' || isdigit((unsigned char)v[1])))
        return v[0] == '*' || strpbrk(v, "0123456789*") != NULL;
    if (isdigit((unsigned char)v[0]))
        return true;
    for (size_t i = 0; sources[i] != NULL; i++)
        if (str_starts_with(v, sources[i]))
            return true;
    return false;
}

/* Keys of package.json, Cargo.toml and their like that have a version as their value and are no package. */
static bool is_own_key(const char *key)
{
    static const char *const keys[] = {"version",
                                       "node",
                                       "npm",
                                       "yarn",
                                       "pnpm",
                                       "edition",
                                       "rust-version",
                                       "name",
                                       "resolver",
                                       "license",
                                       "engines",
                                       "vscode",
                                       "php",
                                       "python",
                                       "requires-python",
                                       "target",
                                       "homepage",
                                       "url",
                                       "bugs",
                                       "repository",
                                       "license-file",
                                       "license_file",
                                       "description",
                                       "documentation",
                                       "readme",
                                       "funding",
                                       "$schema",
                                       "type",
                                       "rev",
                                       "tag",
                                       "branch",
                                       "git",
                                       "path",
                                       "opt-level",
                                       "packageManager",
                                       "lto",
                                       "codegen-units",
                                       "debug",
                                       "target-version",
                                       "line-length",
                                       "python_version",
                                       NULL};

    for (size_t i = 0; keys[i] != NULL; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static bool is_package_name(const char *s)
{
    if (!isalnum((unsigned char)s[0]) && s[0] != '@' && s[0] != '_')
        return false;
    for (; *s != '\0'; s++)
        if (!isalnum((unsigned char)*s) && strchr("@/._-[],", *s) == NULL)
            return false;
    return true;
}

/* --- One line of each kind: the name of a dependency, or NULL; the caller frees -------------------------------------------- */

/* "name": "version" */
static char *json_dependency(const char *p)
{
    const char *past;
    char *name = quoted(p, &past), *value = NULL;
    bool fits = false;

    if (name != NULL) {
        past = skip_blanks(past);
        value = *past == ':' ? quoted(skip_blanks(past + 1), &past) : NULL;
        fits = value != NULL && is_package_name(name) && !is_own_key(name) && is_version(value) &&
               strchr(value, ' ') != value;
    }
    free(value);
    if (fits)
        return name;
    free(name);
    return NULL;
}

static bool section_has(const struct check_scan *s, const char *word)
{
    return s->section != NULL && strstr(s->section, word) != NULL;
}

/* name = "1.2", name = { version = "1" }, name.workspace = true */
static char *toml_dependency(const struct check_scan *s, const char *p)
{
    size_t n = strcspn(p, " \t=.");
    const char *value = strchr(p, '=');
    char *name;
    bool fits;

    if (value == NULL || n == 0 ||
        (s->section != NULL && !section_has(s, "dependencies") && !section_has(s, "packages")))
        return NULL;
    name = xstrndup(p[0] == '"' ? p + 1 : p, p[0] == '"' && n > 1 ? n - 2 : n);
    value = skip_blanks(value + 1);
    if (*value == '{')
        fits = strstr(value, "version") != NULL || strstr(value, "git") != NULL ||
               strstr(value, "path") != NULL || strstr(value, "workspace") != NULL;
    else if (*value == '"' || *value == '\'')
        fits = is_version(value + 1) || str_starts_with(value + 1, "*");
    else
        fits = str_starts_with(p + n, ".workspace");
    if (fits && is_package_name(name) && !is_own_key(name))
        return name;
    free(name);
    return NULL;
}

/* name, name==1, name[extra]>=2; marker, name @ url: up to what is no part of a name */
static char *python_requirement(const char *p, bool needs_version)
{
    size_t n = 0;
    const char *after;

    while (isalnum((unsigned char)p[n]) || (n > 0 && p[n] != '\0' && strchr("._-", p[n]) != NULL))
        n++;
    after = p + n;
    if (*after == '[')
        after += strcspn(after, "]") + (strchr(after, ']') != NULL);
    after = skip_blanks(after);
    if (n == 0 || (needs_version && strchr("<>=!~@;", *after == '\0' ? ' ' : *after) == NULL) ||
        (!needs_version && *after != '\0' && strchr("<>=!~@;#\"',", *after) == NULL))
        return NULL;
    return xstrndup(p, n);
}

static char *pyproject_dependency(const struct check_scan *s, const char *p)
{
    if (*p == '"' || *p == '\'') {
        if (section_has(s, "dependencies") || section_has(s, "requires") || section_has(s, "optional"))
            return python_requirement(p + 1, false);
        return s->section == NULL ? python_requirement(p + 1, true) : NULL;
    }
    return toml_dependency(s, p);
}

/* [require] host/path v1.2.3 */
static char *go_dependency(const char *p)
{
    size_t n;
    const char *version;

    if (str_starts_with(p, "require "))
        p = skip_blanks(p + 8);
    n = strcspn(p, " \t");
    version = skip_blanks(p + n);
    if (n == 0 || memchr(p, '.', n) == NULL || version[0] != 'v' || !isdigit((unsigned char)version[1]))
        return NULL;
    return xstrndup(p, n);
}

/* The text between BEFORE and END. */
static char *between(const char *p, const char *before, const char *end)
{
    const char *start = strstr(p, before), *stop;

    if (start == NULL)
        return NULL;
    start += strlen(before);
    stop = strpbrk(start, end);
    return stop == NULL || stop == start ? NULL : xstrndup(start, (size_t)(stop - start));
}

static char *gradle_dependency(const char *p)
{
    static const char *const words[] = {"implementation",
                                        "api",
                                        "compileOnly",
                                        "runtimeOnly",
                                        "testImplementation",
                                        "androidTestImplementation",
                                        "classpath",
                                        "kapt",
                                        "annotationProcessor",
                                        "compile",
                                        "id",
                                        NULL};
    size_t n = strcspn(p, " \t('\"");

    for (size_t i = 0; words[i] != NULL; i++)
        if (strlen(words[i]) == n && strncmp(p, words[i], n) == 0 && strpbrk(p, "'\"") != NULL) {
            const char *start = strpbrk(p, "'\"") + 1;

            return xstrndup(start, strcspn(start, "'\""));
        }
    return NULL;
}

static char *gem_dependency(const char *p)
{
    static const char *const words[] = {
        "gem ", "gem(", "add_dependency", "add_runtime_dependency", "add_development_dependency", NULL};

    for (size_t i = 0; words[i] != NULL; i++) {
        const char *at = strstr(p, words[i]);
        const char *start = at == NULL || (i < 2 && at != p) ? NULL : strpbrk(at, "'\"");

        if (start != NULL)
            return xstrndup(start + 1, strcspn(start + 1, "'\""));
    }
    return NULL;
}

static char *dependency_in(const struct check_scan *s, enum manifest kind, const char *line)
{
    const char *p = skip_blanks(line);

    switch (kind) {
    case NPM:
    case COMPOSER:
        return json_dependency(p);
    case CARGO:
        if (str_starts_with(p, "[") && strstr(p, "dependencies.") != NULL)
            return between(p, "dependencies.", "]");
        return toml_dependency(s, p);
    case GO:
        return go_dependency(p);
    case REQUIREMENTS:
        return python_requirement(p, false);
    case PYPROJECT:
        return pyproject_dependency(s, p);
    case INI:
        return section_has(s, "install_requires") || section_has(s, "extras_require")
                   ? python_requirement(p, false)
                   : python_requirement(p, true);
    case MAVEN:
        return between(p, "<artifactId>", "<");
    case GRADLE:
        return gradle_dependency(p);
    case GEMFILE:
        return gem_dependency(p);
    case DOTNET:
        return strstr(p, "<PackageReference") != NULL ? between(p, "Include=\"", "\"")
                                                      : between(p, "<package id=\"", "\"");
    case MANIFEST_NONE:
        break;
    }
    return NULL;
}

/* --- Sections, sources, scripts -------------------------------------------------------------------------------------------- */

/* "[tool.x]" or "key = [" become the section that the next lines are in. */
static void note_section(struct check_scan *s, enum manifest kind, const char *line)
{
    const char *p = skip_blanks(line);
    size_t n = strlen(p);

    if (kind != CARGO && kind != PYPROJECT && kind != INI)
        return;
    if (p[0] == '[' && n > 2 && strchr(p, ']') != NULL) {
        free(s->section);
        s->section = xstrndup(p, strcspn(p, "]") + 1);
    } else if (strchr(p, '=') != NULL && (p[n - 1] == '[' || (kind == INI && p[n - 1] == '='))) {
        char *key = xstrndup(p, strcspn(p, " \t="));
        char *whole = xasprintf("%s %s", s->section == NULL ? "" : s->section, key);

        free(key);
        free(s->section);
        s->section = whole;
    }
}

static void check_judges(struct check_scan *s, enum manifest kind)
{
    static const char *const tools[] = {
        "[tool.ruff",  "[tool.mypy",    "[tool.pylint", "[tool.coverage", "[tool.pytest",
        "[tool.black", "[tool.pyright", "[tool.bandit", "[lints",         "[workspace.lints",
        "[flake8",     "[mypy",         "[tool:pytest", "[coverage:",     NULL};

    if ((kind == PYPROJECT || kind == CARGO || kind == INI) && s->section != NULL &&
        check_has_word(s->section, tools))
        check_add_once(s, CHECK_LINT_CHANGED, s->line, "lint or test settings in a manifest are changed",
                       "They may only change with the plan's leave (allow: lint-changed).");
}

/* Another place to take packages from, or a way around the checked versions. */
static bool is_other_source(enum manifest kind, const char *p)
{
    static const char *const python[] = {"--index-url",  "--extra-index-url", "-i http",
                                         "--find-links", "-f http",           NULL};
    static const char *const cargo[] = {"[patch.", "[replace]", "[source.", NULL};
    static const char *const go[] = {"replace ", NULL};
    static const char *const maven[] = {"<repository>", "<pluginRepository>", NULL};
    static const char *const gem[] = {"source ", NULL};

    switch (kind) {
    case REQUIREMENTS:
        return check_has_word(p, python);
    case CARGO:
        return check_has_word(p, cargo);
    case GO:
        return str_starts_with(p, go[0]);
    case MAVEN:
        return check_has_word(p, maven);
    case GEMFILE:
        return str_starts_with(p, gem[0]) && strstr(p, "rubygems.org") == NULL;
    case GRADLE:
        return strstr(p, "maven {") != NULL || (str_starts_with(p, "url") && strstr(p, "http") != NULL);
    default:
        return false;
    }
}

static void check_scripts(struct check_scan *s, enum manifest kind, const char *line)
{
    static const char *const npm[] = {
        "\"preinstall\"",  "\"install\"",    "\"postinstall\"", "\"preprepare\"", "\"prepare\"",
        "\"postprepare\"", "\"prepublish\"", "\"prepack\"",     "\"postpack\"",   NULL};
    static const char *const composer[] = {"\"pre-install-cmd\"",
                                           "\"post-install-cmd\"",
                                           "\"pre-update-cmd\"",
                                           "\"post-update-cmd\"",
                                           "\"post-autoload-dump\"",
                                           "\"post-root-package-install\"",
                                           NULL};

    if ((kind == NPM && check_has_word(line, npm)) || (kind == COMPOSER && check_has_word(line, composer)))
        check_add(s, CHECK_LIFECYCLE_SCRIPT, s->line, "a script that runs at install is added or changed",
                  "It runs on every machine that installs the package (allow: lifecycle-script).");
}

void check_manifest_line(struct check_scan *s, char kind_of_line, const char *text)
{
    enum manifest kind = kind_of(s->file);
    const char *p = skip_blanks(text);
    char *name;

    if (kind == MANIFEST_NONE)
        return;
    if (kind_of_line != '-')
        note_section(s, kind, text);
    if (kind_of_line == '+') {
        check_judges(s, kind);
        check_scripts(s, kind, text);
        if (is_other_source(kind, p))
            check_add(s, CHECK_DEPENDENCY_ADDED, s->line, "dependencies are taken from another place",
                      "It needs the plan's leave (allow: dependency-added).");
    }
    name = kind_of_line == ' ' || *p == '#' || str_starts_with(p, "//") ? NULL : dependency_in(s, kind, text);
    if (name == NULL)
        return;
    if (kind_of_line == '-') {
        str_list_take(&s->removed, name);
        return;
    }
    s->added = xrealloc(s->added, (s->added_count + 1) * sizeof *s->added);
    s->added[s->added_count++] = (struct check_name){name, s->line};
}

void check_manifest_end(struct check_scan *s)
{
    for (size_t i = 0; i < s->added_count; i++) {
        if (!str_list_has(&s->removed, s->added[i].name)) {
            char *title = xasprintf("a dependency is added: %.100s", s->added[i].name);

            check_add(s, CHECK_DEPENDENCY_ADDED, s->added[i].line, title,
                      "New dependencies need the plan's leave (allow: dependency-added).");
            free(title);
        }
        free(s->added[i].name);
    }
    FREE_NULL(s->added);
    s->added_count = 0;
    str_list_finish(&s->removed);
}
