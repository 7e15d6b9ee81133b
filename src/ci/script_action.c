/* ci/script_action.c: environment and commands of JavaScript actions. */
#include "ci/script_action.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "ci/expression.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

json_t *script_action_environment(const json_t *env, const json_t *inputs)
{
    json_t *result = json_copy((json_t *)(uintptr_t)env), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)inputs, key, value)
    {
        struct expr_value v = expr_from_json(value);
        char *text = expr_to_string(&v), *name = xasprintf("INPUT_%s", key);

        /* Only spaces change: "who-to-greet" is INPUT_WHO-TO-GREET. */
        for (char *p = name; *p != '\0'; p++)
            *p = *p == ' ' ? '_' : (char)toupper((unsigned char)*p);
        json_object_set_new(result, name, json_string(text));
        free(name);
        free(text);
        expr_value_finish(&v);
    }
    return result;
}

char *script_action_command(const char *action_path, const char *file)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "exec node '");
    for (const char *part = action_path; part != NULL; part = part == action_path ? file : NULL) {
        for (const char *p = part; *p != '\0'; p++)
            buf_puts(&b, *p == '\'' ? "'\\''" : (char[]){*p, '\0'});
        buf_puts(&b, part == action_path ? "/" : "'");
    }
    return buf_take(&b);
}

void script_action_add_post(struct job_runner *r, const struct action *action, const char *name,
                            const char *action_path, const json_t *env, const json_t *state)
{
    struct script_post *post;
    const char *key;
    json_t *value;

    if (action->post == NULL || *action->post == '\0')
        return;
    post = xcalloc(1, sizeof *post);
    post->name = xasprintf("Post %s", name);
    post->script = script_action_command(action_path, action->post);
    post->action_path = xstrdup(action_path);
    post->condition = action->post_if;
    post->env = json_copy((json_t *)(uintptr_t)env);
    json_object_foreach((json_t *)(uintptr_t)state, key, value)
    {
        char *variable = xasprintf("STATE_%s", key);
        json_object_set(post->env, variable, value);
        free(variable);
    }
    vec_push(&r->posts, post);
}

void script_post_destroy(struct script_post *post)
{
    if (post == NULL)
        return;
    free(post->name);
    free(post->script);
    free(post->action_path);
    json_decref(post->env);
    free(post);
}
