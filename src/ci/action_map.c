/* ci/action_map.c: looks actions up. The data is in actions.h. */
#include "ci/action_map.h"

#include "ci/actions.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool name_matches(const char *known, const char *name, size_t n)
{
    size_t k = strlen(known);

    if (k > 0 && known[k - 1] == '/')
        return n > k && strncasecmp(known, name, k) == 0;
    return k == n && strncasecmp(known, name, n) == 0;
}

void action_map_find(const char *uses, const struct action_mapping *user, size_t user_count,
                     struct action_mapping *mapping)
{
    size_t n = strcspn(uses, "@");

    memset(mapping, 0, sizeof *mapping);
    for (size_t i = 0; i < user_count; i++) {
        if (name_matches(user[i].action, uses, n)) {
            *mapping = user[i];
            return;
        }
    }
    for (size_t i = 0; i < sizeof known_actions / sizeof *known_actions; i++) {
        if (name_matches(known_actions[i].action, uses, n)) {
            *mapping = known_actions[i];
            return;
        }
    }
    mapping->kind = ACTION_UNKNOWN;
    mapping->reason = "a remote action without a local equivalent";
}

/* Up to three numbers from the first digit on; the count. */
static int read_numbers(const char *text, long numbers[3])
{
    int n = 0;

    while (*text != '\0' && !isdigit((unsigned char)*text))
        text++;
    while (n < 3 && isdigit((unsigned char)*text)) {
        char *end;
        numbers[n++] = strtol(text, &end, 10);
        text = end;
        if (*text != '.')
            break;
        text++;
    }
    return n;
}

static int compare(const long *a, int n, const long *b, int m)
{
    for (int i = 0; i < n && i < m; i++) {
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    }
    return 0;
}

bool action_version_satisfies(const char *version, const char *wanted)
{
    long have[3] = {0}, want[3] = {0};
    int n = read_numbers(version, have), m;
    int order;

    while (*wanted == ' ' || *wanted == 'v')
        wanted++;
    m = read_numbers(wanted, want);
    if (m == 0 || n == 0 || (isalpha((unsigned char)*wanted) && strncmp(wanted, "jdk", 3) != 0))
        return true;
    /* java says "1.8" and "8" for the same. */
    if (have[0] == 1 && n > 1 && want[0] > 1 && strstr(version, "\"1.") != NULL) {
        have[0] = have[1];
        n = 1;
    }
    order = compare(have, n, want, m);
    if (strncmp(wanted, ">=", 2) == 0)
        return order >= 0;
    if (wanted[0] == '>')
        return order > 0;
    if (strncmp(wanted, "<=", 2) == 0)
        return order <= 0;
    if (wanted[0] == '<')
        return order < 0;
    if (wanted[0] == '^')
        return have[0] == want[0] && order >= 0;
    if (wanted[0] == '~')
        return have[0] == want[0] && (m < 2 || have[1] == want[1]) && order >= 0;
    return order == 0;
}
