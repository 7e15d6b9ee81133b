/* agent/role_match.c: see role_match.h. Words are compared by their stems; a word that several roles share counts less. */
#include "agent/role_match.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "base/utf8.h"
#include "config/role.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MIN_WORD_BYTES        4
#define MAX_WORDS             4000
#define MAX_CHOICES           60
#define DESCRIPTION_MAX_BYTES 300

/* "reviews", "reviewing" and "reviewed" are one word. */
static void cut_ending(char *word)
{
    static const char *const endings[] = {"ings", "ing", "ers", "er", "ors", "or", "ed", "es", "e", "s"};
    size_t n = strlen(word);

    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t k = strlen(endings[i]);

        if (n >= k + MIN_WORD_BYTES && strcmp(word + n - k, endings[i]) == 0) {
            word[n - k] = '\0';
            return;
        }
    }
}

static bool says_nothing(const char *word)
{
    static const char *const words[] = {"that", "this", "with", "from", "have", "into", "your", "them", "they", "when",
                                        "where", "what", "which", "their", "there", "then", "than", "agent", "task", "file",
                                        "each", "every", "other", "about", "does", "must", "should", "use", "own", "any"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* The stems of TEXT, each once. */
static void collect_words(const char *text, struct str_list *words)
{
    const char *p = text;

    while (*p != '\0' && words->len < MAX_WORDS) {
        const char *start = p;
        char *word;

        while (isalnum((unsigned char)*p))
            p++;
        if (p == start) {
            p++;
            continue;
        }
        word = xstrndup(start, (size_t)(p - start));
        for (char *c = word; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        cut_ending(word);
        if (strlen(word) >= MIN_WORD_BYTES - 1 && !says_nothing(word) && !str_list_has(words, word))
            str_list_take(words, word);
        else
            free(word);
    }
}

const char *role_match(const struct role_registry *roles, const char *message)
{
    size_t n = role_registry_count(roles);
    struct str_list *of_role = xcalloc(n + 1, sizeof *of_role);
    struct str_list asked = {0};
    const char *best = "default";
    unsigned best_score = 0;
    bool is_tie = false;

    collect_words(message, &asked);
    for (size_t i = 0; i < n; i++) {
        struct role_summary role = role_registry_at(roles, i);

        collect_words(role.name, &of_role[i]);
        collect_words(role.description, &of_role[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct role_summary role = role_registry_at(roles, i);
        struct str_list name = {0};
        unsigned score = 0;
        unsigned shared = 0;

        if (strcmp(role.name, "default") == 0)
            continue;
        collect_words(role.name, &name);
        for (size_t k = 0; k < of_role[i].len; k++) {
            const char *word = of_role[i].items[k];
            unsigned owners = 0;

            if (!str_list_has(&asked, word))
                continue;
            for (size_t r = 0; r < n; r++)
                owners += str_list_has(&of_role[r], word);
            shared += str_list_has(&name, word) ? 2 : 1;
            score += 12 / owners * (str_list_has(&name, word) ? 2 : 1);
        }
        str_list_finish(&name);
        if (shared < 2 || score < best_score)
            continue;
        is_tie = score == best_score;
        best_score = score;
        best = role.name;
    }
    for (size_t i = 0; i < n; i++)
        str_list_finish(&of_role[i]);
    free(of_role);
    str_list_finish(&asked);
    return is_tie ? "default" : best;
}

char *role_choices(const struct role_registry *roles)
{
    struct buf b = BUF_INIT;
    size_t n = role_registry_count(roles);

    buf_puts(&b, "Left out: the role whose description fits the message. Roles:");
    for (size_t i = 0; i < n && i < MAX_CHOICES; i++) {
        struct role_summary role = role_registry_at(roles, i);
        size_t all = strlen(role.description);

        buf_printf(&b, "\n- %s", role.name);
        if (all > 0) {
            buf_puts(&b, ": ");
            utf8_append_repaired(&b, role.description, utf8_floor(role.description, all,
                                                                  all < DESCRIPTION_MAX_BYTES ? all : DESCRIPTION_MAX_BYTES));
        }
    }
    return buf_take(&b);
}
