/* tool/submission.c: see submission.h. Strict: the engine acts on what is let through here. */
#include "tool/submission.h"

#include "base/json.h"
#include "base/str.h"

#include <stdbool.h>
#include <string.h>

static int wrong(struct error *err, const char *tool, const char *what)
{
    return error_set(err, ERROR_PARSE, "%s: %s", tool, what);
}

static int need_strings(const char *tool, const json_t *args, const char *first, const char *second,
                        struct error *err)
{
    const char *const names[] = {first, second};

    if (!json_is_object(args))
        return wrong(err, tool, "a JSON object is expected");
    for (size_t i = 0; i < 2; i++)
        if (json_get_string(args, names[i], NULL) == NULL)
            return error_set(err, ERROR_PARSE, "%s: the argument `%s` (a string) is missing", tool, names[i]);
    return 0;
}

static int check_result(const json_t *args, struct error *err)
{
    const char *status;

    if (need_strings("submit_result", args, "status", "summary", err) < 0)
        return -1;
    status = json_get_string(args, "status", "");
    if (strcmp(status, "done") != 0 && strcmp(status, "blocked") != 0)
        return error_set(err, ERROR_PARSE,
                         "submit_result: `status` is \"done\" or \"blocked\", not \"%.50s\"", status);
    return 0;
}

static int check_finding(const json_t *finding, size_t index, struct error *err)
{
    static const char *const severities[] = {"blocker", "major", "minor", "nit"};
    const char *severity = json_get_string(finding, "severity", "");
    bool known = false;

    for (size_t i = 0; i < 4; i++)
        known = known || strcmp(severities[i], severity) == 0;
    if (!json_is_object(finding) || !known)
        return error_set(err, ERROR_PARSE,
                         "submit_review: findings[%zu].severity is blocker, major, minor or nit", index);
    if (json_get_string(finding, "title", NULL) == NULL)
        return error_set(err, ERROR_PARSE, "submit_review: findings[%zu].title is missing", index);
    return 0;
}

static int check_review(const json_t *args, struct error *err)
{
    const json_t *findings = json_object_get(args, "findings");
    const char *verdict;
    size_t i;
    json_t *finding;

    if (need_strings("submit_review", args, "verdict", "summary", err) < 0)
        return -1;
    verdict = json_get_string(args, "verdict", "");
    if (strcmp(verdict, "approve") != 0 && strcmp(verdict, "request_changes") != 0)
        return error_set(err, ERROR_PARSE,
                         "submit_review: `verdict` is \"approve\" or \"request_changes\", not \"%.50s\"",
                         verdict);
    if (findings != NULL && !json_is_array(findings))
        return wrong(err, "submit_review", "`findings` is an array");
    json_array_foreach (findings, i, finding)
        if (check_finding(finding, i, err) < 0)
            return -1;
    if (strcmp(verdict, "request_changes") == 0 && json_array_size(findings) == 0)
        return wrong(err, "submit_review", "request_changes needs at least one finding");
    return 0;
}

#define NULLABLE(type) "{\"type\":[\"" type "\",\"null\"]}"

static const struct {
    const char *tool;
    int (*check)(const json_t *args, struct error *err);
    const char *schema;
} kinds[] = {
    {"submit_result", check_result,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"status\":{\"type\":\"string\","
     "\"enum\":"
     "[\"done\",\"blocked\"]},\"summary\":{\"type\":\"string\"},\"notes\":" NULLABLE(
         "string") "},"
                   "\"required\":[\"status\",\"summary\",\"notes\"]}"},
    {"submit_review", check_review,
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"verdict\":{\"type\":\"string\","
     "\"enum\":"
     "[\"approve\",\"request_changes\"]},\"summary\":{\"type\":\"string\"},\"findings\":{\"type\":\"array\","
     "\"items\":{"
     "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"severity\":{\"type\":\"string\","
     "\"enum\":"
     "[\"blocker\",\"major\",\"minor\",\"nit\"]},\"file\":" NULLABLE("string") ",\"line\":" NULLABLE(
         "integer") ","
                    "\"title\":{\"type\":\"string\"},\"detail\":" NULLABLE("string") ",\"fix\":" NULLABLE(
                        "string") "},"
                                  "\"required\":[\"severity\",\"file\",\"line\",\"title\",\"detail\",\"fix\"]"
                                  "}}},"
                                  "\"required\":[\"verdict\",\"summary\",\"findings\"]}"},
};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

int submission_check(const char *tool, const json_t *args, struct error *err)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (str_eq(kinds[i].tool, tool))
            return kinds[i].check(args, err);
    return error_set(err, ERROR_PARSE, "there is no submit tool `%.60s`", tool);
}

const char *submission_schema(const char *tool)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (str_eq(kinds[i].tool, tool))
            return kinds[i].schema;
    return NULL;
}
