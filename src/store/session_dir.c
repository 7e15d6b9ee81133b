/* store/session_dir.c: see session_dir.h. */
#include "store/session_dir.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "base/str.h"
#include "store/file_lock.h"
#include "store/rollout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void session_head_finish(struct session_head *head)
{
    free(head->id);
    free(head->cwd);
    free(head->role);
    *head = (struct session_head){0};
}

static char *sessions_folder(void)
{
    char *home = path_state_home();
    char *folder = path_join(home, "sessions");

    free(home);
    return folder;
}

char *session_dir_path(const char *id)
{
    char *folder = sessions_folder();
    char *path = path_join(folder, id);

    free(folder);
    return path;
}

char *session_dir_record(const char *dir)
{
    return path_join(dir, "session.jsonl");
}

int session_dir_take(const char *dir, struct error *err)
{
    char *lock = path_join(dir, "lock");
    int fd = file_make_directories(dir, 0700, err) < 0 ? -1 : file_lock_take(lock, err);

    if (fd < 0)
        error_wrap(err, "the session in %s", dir);
    free(lock);
    return fd;
}

/* The first line says whose session it is. */
static bool on_head(void *data, const char *timestamp, const char *type, const json_t *payload)
{
    struct session_head *head = data;

    (void)timestamp;
    if (strcmp(type, "session") == 0) {
        head->cwd = xstrdup(json_get_string(payload, "cwd", ""));
        head->role = xstrdup(json_get_string(payload, "role", "default"));
        head->id = xstrdup(json_get_string(payload, "id", ""));
    }
    return false;
}

static bool read_head(const char *id, struct session_head *head, struct timespec *used)
{
    char *dir = session_dir_path(id);
    char *record = session_dir_record(dir);
    struct stat st;
    bool ok = stat(record, &st) == 0 && rollout_read(record, on_head, head, NULL) == 0 && str_eq(head->id, id);

    if (ok)
        *used = st.st_mtim;
    else
        session_head_finish(head);
    free(record);
    free(dir);
    return ok;
}

/* An id is a file name: nothing that leads elsewhere. */
static bool is_plain_id(const char *id)
{
    return id[0] != '\0' && id[strspn(id, "0123456789abcdef-")] == '\0';
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

int session_dir_list(struct str_list *ids, struct error *err)
{
    struct str_list names = {0};
    char *folder = sessions_folder();
    int rc = file_is_directory(folder) ? file_list_directory(folder, &names, err) : 0;

    for (size_t i = 0; rc == 0 && i < names.len; i++)
        if (is_plain_id(names.items[i]))
            str_list_add(ids, names.items[i]);
    str_list_finish(&names);
    free(folder);
    return rc;
}

int64_t session_dir_used_s(const char *id)
{
    char *dir = session_dir_path(id), *record = session_dir_record(dir);
    struct stat st;
    int64_t used = stat(record, &st) == 0 ? (int64_t)st.st_mtim.tv_sec : 0;

    free(record);
    free(dir);
    return used;
}

int session_dir_find(const char *id, const char *cwd, struct session_head *head, struct error *err)
{
    struct str_list names = {0};
    struct timespec newest = {0};
    struct timespec used;
    char *folder;

    if (id != NULL) {
        if (is_plain_id(id) && read_head(id, head, &used))
            return 0;
        error_set(err, ERROR_NOT_FOUND, "there is no session \"%.100s\"", id);
        return error_hint(err, "its id is the thread_id of `thread.started`; `--last` takes the latest of this folder");
    }
    folder = sessions_folder();
    if (file_is_directory(folder))
        (void)file_list_directory(folder, &names, NULL);
    for (size_t i = 0; i < names.len; i++) {
        struct session_head one = {0};

        if (!is_plain_id(names.items[i]) || !read_head(names.items[i], &one, &used))
            continue;
        if (str_eq(one.cwd, cwd) && (head->id == NULL || is_later(&used, &newest))) {
            session_head_finish(head);
            *head = one;
            newest = used;
        } else {
            session_head_finish(&one);
        }
    }
    str_list_finish(&names);
    free(folder);
    if (head->id != NULL)
        return 0;
    error_set(err, ERROR_NOT_FOUND, "no session was started in %s", cwd);
    return error_hint(err, "name one: cadre exec resume ID PROMPT");
}
