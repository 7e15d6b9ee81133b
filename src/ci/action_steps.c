/* ci/action_steps.c: setup-*, upload-artifact and download-artifact. The cache is in action_cache.c. */
#include "ci/action_steps.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/path.h"
#include "ci/scope.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_FILE_MAX_BYTES ((size_t)256 << 10)

/* --- setup-* ------------------------------------------------------------------------------------------ */

static char *input_text(const struct action_step *a, const char *name)
{
    struct expr_value v = expr_from_json(name != NULL ? expr_member(a->with, name) : NULL);
    char *text = expr_to_string(&v);

    expr_value_finish(&v);
    return text;
}

/* What a version file wants of TOOL: a line of .tool-versions, the "go" line of go.mod (older code runs with a newer
 * Go), else its first line. Caller frees; "" when it says nothing that can be compared. */
static char *version_in_file(const char *file, const char *text, const char *tool)
{
    const char *base = path_basename(file);
    struct str_list lines = {0};
    char *wanted = NULL;

    str_split(&lines, text, '\n');
    for (size_t i = 0; wanted == NULL && i < lines.len; i++) {
        char *line = str_trim(lines.items[i]);
        if (*line == '\0' || *line == '#')
            continue;
        if (strcmp(base, "go.mod") == 0 || strcmp(base, "go.work") == 0) {
            if (strncmp(line, "go ", 3) == 0)
                wanted = xasprintf(">=%s", line + 3);
        } else if (strcmp(base, ".tool-versions") == 0) {
            size_t n = strcspn(line, " \t");
            bool is_it = (n == strlen(tool) && strncmp(line, tool, n) == 0) ||
                         (strcmp(tool, "node") == 0 && strncmp(line, "nodejs", n) == 0) ||
                         (strcmp(tool, "python3") == 0 && strncmp(line, "python", n) == 0);
            if (is_it)
                wanted = xstrdup(line + n + strspn(line + n, " \t"));
        } else if (strchr("0123456789v^~>=<", *line) != NULL) {
            wanted = xstrdup(line);
        } else {
            break; /* package.json, pyproject.toml: not compared */
        }
    }
    str_list_finish(&lines);
    return wanted != NULL ? wanted : xstrdup("");
}

/* The version that the step asks for. Caller frees. */
static char *wanted_version(const struct action_step *a)
{
    const struct action_mapping *m = a->mapping;
    char *wanted = input_text(a, m->version_input), *input, *file, *path;
    struct buf text = BUF_INIT;
    struct error ignored = {0};

    if (*wanted != '\0' || m->version_input == NULL)
        return wanted;
    input = xasprintf("%s-file", m->version_input);
    file = input_text(a, input);
    path = path_join(a->runner->tree_dir, file);
    if (*file != '\0' && path_is_plain_relative(file) &&
        file_read(path, &text, VERSION_FILE_MAX_BYTES, &ignored) == 0) {
        free(wanted);
        wanted = version_in_file(file, buf_cstr(&text), m->tool);
    }
    buf_free(&text);
    free(path);
    free(file);
    free(input);
    return wanted;
}

/* "18 || 20", or one a line: any of them. */
static bool satisfies_any(const char *version, const char *wanted)
{
    struct str_list parts = {0};
    bool ok = false;

    str_split(&parts, wanted, '\n');
    for (size_t i = 0; !ok && i < parts.len; i++) {
        char *p = parts.items[i];
        if (*str_trim(p) == '\0' && parts.len > 1)
            continue;
        for (;;) {
            char *bars = strstr(p, "||");
            if (bars != NULL)
                *bars = '\0';
            ok = ok || action_version_satisfies(version, str_trim(p));
            if (bars == NULL)
                break;
            p = bars + 2;
        }
    }
    str_list_finish(&parts);
    return ok;
}

int action_step_setup(const struct action_step *a, struct error *err)
{
    struct job_runner *r = a->runner;
    const char *tool = a->mapping->tool;
    const char *flag = strcmp(tool, "go") == 0 ? "version" : strcmp(tool, "java") == 0 ? "-version" : "--version";
    char *wanted = wanted_version(a), *script = xasprintf("exec %s %s", tool, flag), *reason = NULL;
    json_t *env = json_object();
    struct step_command c = {.name = a->name, .script = script, .cwd = r->tree_dir, .env = env, .outputs = a->outputs};
    struct step_outcome o = {0};
    int rc = step_command_run(r, &c, &o, err);

    if (rc == 0) {
        const char *version = buf_cstr(&o.output);
        if (o.exit_code != 0)
            reason = xasprintf("%s is not installed%s%s", tool, *wanted != '\0' ? "; wanted: " : "", wanted);
        else if (!satisfies_any(version, wanted))
            reason = xasprintf("%s has version %.*s; wanted: %s", tool, (int)strcspn(version, "\n"), version, wanted);
        if (reason != NULL && !job_runner_forgives(r, a->step))
            job_runner_blame_environment(r, reason);
        else
            r->result->steps_satisfied++;
        rc = reason == NULL ? 1 : 0;
    }
    free(reason);
    step_outcome_finish(&o);
    json_decref(env);
    free(script);
    free(wanted);
    return rc;
}

/* --- artifacts ---------------------------------------------------------------------------------------- */

/* As actions/upload-artifact: patterns and "!patterns", the nearest common folder of the search paths is the root,
 * hidden files only when asked for. */
static const char upload_script[] =
    "shopt -s globstar nullglob dotglob\n"
    "cd \"$GITHUB_WORKSPACE\" || exit 1\n"
    "abs() { case $1 in '~'*) realpath -ms -- \"$HOME${1#\\~}\" ;; *) realpath -ms -- \"$1\" ;; esac; }\n"
    "base_of() { local p=$1; while [[ $p == *[*?[]* ]]; do p=${p%/*}; done; printf %s \"${p:-/}\"; }\n"
    "bases=() files=() excludes=() includes=()\n"
    "while IFS= read -r line; do\n"
    "  line=${line#\"${line%%[![:space:]]*}\"}; line=${line%\"${line##*[![:space:]]}\"}\n"
    "  case $line in '' | '#'*) continue ;; '!'*) excludes+=(\"$(abs \"${line#!}\")\") ;; *) includes+=(\"$(abs \"$line\")\") ;; esac\n"
    "done <<<\"$INPUT_PATH\"\n"
    "for p in \"${includes[@]}\"; do\n"
    "  base=$(base_of \"$p\"); bases+=(\"$base\")\n"
    "  while IFS= read -r -d '' f; do\n"
    "    for e in \"${excludes[@]}\"; do [[ $f == $e || $f == $e/* ]] && continue 2; done\n"
    "    if [ \"${INPUT_INCLUDE_HIDDEN_FILES:-false}\" != true ] && [ -z \"$CADRE_KEEPS_HIDDEN\" ]; then\n"
    "      case \"/${base##*/}${f#\"$base\"}\" in */.*) continue ;; esac\n"
    "    fi\n"
    "    files+=(\"$f\")\n"
    "  done < <(IFS=; for f in $p; do [ -e \"$f\" ] || [ -L \"$f\" ] || continue\n"
    "    if [ -d \"$f\" ] && [ ! -L \"$f\" ]; then find \"$f\" \\( -type f -o -type l \\) -print0; else printf '%s\\0' \"$f\"; fi; done)\n"
    "done\n"
    "if [ ${#files[@]} -eq 0 ]; then\n"
    "  text=\"No files were found with the provided path: ${INPUT_PATH//$'\\n'/, }. No artifacts will be uploaded.\"\n"
    "  case ${INPUT_IF_NO_FILES_FOUND:-warn} in error) echo \"::error::$text\"; exit 1 ;; ignore) echo \"$text\" ;; *) echo \"::warning::$text\" ;; esac\n"
    "  exit 0\n"
    "fi\n"
    "root=${bases[0]}\n"
    "for b in \"${bases[@]}\"; do while [[ $b/ != \"${root%/}\"/* ]]; do root=${root%/*}; root=${root:-/}; done; done\n"
    "[ -d \"$root\" ] || root=${root%/*}\n"
    "if [ -e \"$CADRE_STORE\" ]; then\n"
    "  if [ \"${INPUT_OVERWRITE:-false}\" = true ]; then rm -rf -- \"$CADRE_STORE\"\n"
    "  elif [ -n \"$CADRE_NAMES_ONCE\" ]; then echo \"::error::an artifact with the name $CADRE_NAME already exists in this workflow run\"; exit 1; fi\n"
    "fi\n"
    "mkdir -p \"$CADRE_STORE\"\n"
    "set -o pipefail\n"
    "for f in \"${files[@]}\"; do f=${f#\"$root\"}; printf '%s\\0' \"${f#/}\"; done |\n"
    "  tar -C \"$root\" --null --no-recursion -T - -cf - | tar -C \"$CADRE_STORE\" -xf - || exit 1\n"
    "echo \"${#files[@]} files uploaded as $CADRE_NAME\"\n"
    "digest=$(cd \"$CADRE_STORE\" && find . -type f -print0 | sort -z | xargs -0r sha256sum | sha256sum | cut -d' ' -f1)\n"
    "{ echo \"artifact-id=$((16#${digest:0:8} + 1))\"; echo \"artifact-digest=$digest\"; echo 'artifact-url='; } >>\"$GITHUB_OUTPUT\"\n";

/* As actions/download-artifact: one by its name; else all, or those of a pattern, each in a folder of its name
 * unless they are merged. */
static const char download_script[] =
    "cd \"$GITHUB_WORKSPACE\" || exit 1\n"
    "shopt -s nullglob extglob\n"
    "to=${INPUT_PATH:-.}; case $to in '~'*) to=$HOME${to#\\~} ;; esac\n"
    "to=$(realpath -ms -- \"$to\")\n"
    "mkdir -p \"$to\"\n"
    "if [ -n \"$INPUT_NAME\" ]; then\n"
    "  [ -d \"$CADRE_STORE\" ] || { echo \"::error::Unable to find an artifact with the name: $INPUT_NAME\"; exit 1; }\n"
    "  cp -a \"$CADRE_STORE/.\" \"$to/\" || exit 1\n"
    "else\n"
    "  n=0\n"
    "  for dir in \"$CADRE_ROOT\"/*/; do\n"
    "    dir=${dir%/}; name=${dir##*/}\n"
    "    if [ -n \"$INPUT_PATTERN\" ]; then [[ $name == $INPUT_PATTERN ]] || continue; fi\n"
    "    n=$((n + 1)); into=$to\n"
    "    [ \"${INPUT_MERGE_MULTIPLE:-false}\" = true ] || into=$to/$name\n"
    "    mkdir -p \"$into\" && cp -a \"$dir/.\" \"$into/\" || exit 1\n"
    "  done\n"
    "  echo \"$n artifacts downloaded\"\n"
    "fi\n"
    "echo \"download-path=$to\" >>\"$GITHUB_OUTPUT\"\n";

/* v4 refuses a second artifact of one name and leaves hidden files out (from 4.4); before, both were merged in. A
 * commit stands for a new one. */
static bool is_before_version_4(const char *uses)
{
    const char *at = strchr(uses, '@');

    return at != NULL && (at[1] == 'v' || isdigit((unsigned char)at[1])) && strlen(at + 1) < 20 &&
           strtol(at + 1 + (at[1] == 'v'), NULL, 10) < 4;
}

/* The folder of the artifacts that this job sees. Caller frees. */
static char *artifact_root(const struct job_runner *r)
{
    const char *file = r->job->root != NULL ? r->job->root->file : r->job->workflow->file;
    char *name = xasprintf("github-%016llx", (unsigned long long)str_hash(file, strlen(file)));
    char *root = path_join(r->artifact_dir, name);

    free(name);
    return root;
}

int action_step_artifact(const struct action_step *a, bool is_upload, struct error *err)
{
    struct job_runner *r = a->runner;
    char *name = input_text(a, "name"), *root = artifact_root(r), *store;
    bool is_old = is_before_version_4(a->step->uses);
    struct step_command c = {.script = is_upload ? upload_script : download_script, .shell = "bash", .cwd = r->tree_dir,
                             .env = a->env, .outputs = a->outputs, .writable = r->artifact_dir, .is_on_machine = true};
    int rc;

    if (*name == '\0' && is_upload) {
        free(name);
        name = xstrdup("artifact");
    }
    for (char *p = name; *p != '\0'; p++)
        *p = *p == '/' || (*p == '.' && p == name) ? '_' : *p;
    store = path_join(root, name);
    job_runner_inputs(a->env, a->with);
    json_object_set_new(a->env, "CADRE_STORE", json_string(store));
    json_object_set_new(a->env, "CADRE_ROOT", json_string(root));
    json_object_set_new(a->env, "CADRE_NAME", json_string(name));
    json_object_set_new(a->env, "CADRE_NAMES_ONCE", json_string(is_old ? "" : "1"));
    json_object_set_new(a->env, "CADRE_KEEPS_HIDDEN", json_string(is_old ? "1" : ""));
    rc = job_runner_command(r, a->step, a->name, &c, err);
    r->result->steps_run--; /* not a command of the project */
    r->result->steps_satisfied++;
    if (rc == 1 && is_upload && !str_list_has(&r->uploaded, store) && file_is_directory(store))
        str_list_add(&r->uploaded, store);
    free(store);
    free(root);
    free(name);
    return rc;
}
