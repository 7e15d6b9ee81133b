/* config/config.h: the effective configuration: layers merged, checked, each value with its origin.
 *
 * Layers, later wins:
 *   built-in < user ($CODEX_HOME/config.toml) < profile ($CODEX_HOME/NAME.config.toml) < project
 *   (.codex/config.toml from the repository's root down to the working directory, only when trusted)
 *   < command line. (Codex 0.169 lets a project beat a profile too.)
 * Beside each config.toml stands an optional cadre.toml, which is read right after it; both share one name
 * space here. Keys are dotted paths with quoted parts: projects."/src/x".trust_level. */
#ifndef CADRE_CONFIG_CONFIG_H
#define CADRE_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/str.h"
#include "config/toml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;

struct config_options {
    const char *cwd;                  /* NULL: the process's */
    const char *codex_home;           /* NULL: $CODEX_HOME or ~/.codex */
    const char *profile;              /* -p; NULL: the `profile` key of the user's file, if any */
    const struct str_list *overrides; /* -c key=value, in order; NULL for none */
    const char *model;                /* -m, or NULL */
    bool strict;                      /* --strict-config: an unknown key is an error */
    bool oss;                         /* --oss: a model on this machine, whatever the files say */
    const char *local_provider;       /* --local-provider; NULL: the key `oss_provider` */
};

enum config_note_kind {
    CONFIG_NOTE_UNKNOWN,   /* a key nobody knows */
    CONFIG_NOTE_IGNORED,   /* a project's file that is not trusted, a key a project may not set */
    CONFIG_NOTE_RENAMED,   /* an old name: said once */
    CONFIG_NOTE_REFUSED,   /* taken here, refused by the Codex of today: for doctor */
    CONFIG_NOTE_MISPLACED, /* a key of cadre.toml in config.toml */
    CONFIG_NOTE_UNUSED,    /* a key of Codex that changes nothing here: for doctor */
};

struct config_note {
    enum config_note_kind kind;
    char *text; /* "file:line:column: ..." */
    char *key;  /* the dotted path, or "" */
};

struct config_origin {
    const char *layer; /* "built-in", "user", "profile", "project", "command line" */
    const char *file;  /* NULL for built-in and command line */
    int line, column;
};

/* Reads all layers. NULL with ERR (ERROR_CONFIG) set on the first file that does not parse, value of a wrong
 * type, or, when strict, unknown key. The caller destroys it. */
struct config *config_load(const struct config_options *options, struct error *err);
void config_destroy(struct config *c);

/* The merged value, defaults included; NULL when nothing sets it and there is no default. Old names give the
 * value of the new one. Borrowed. */
const struct toml_value *config_value(const struct config *c, const char *path);

/* A copy of the value for people to read: keys, tokens, headers and variables of servers are hidden. NULL when
 * not set; the caller frees it. */
struct toml_value *config_printable_value(const struct config *c, const char *path);

/* By type; NULL, 0 or false when not set or of another type. Strings are borrowed. */
const char *config_string(const struct config *c, const char *path);
int64_t config_int(const struct config *c, const char *path);
double config_number(const struct config *c, const char *path);
bool config_bool(const struct config *c, const char *path);
void config_list(const struct config *c, const char *path, struct str_list *list);

/* A table to walk over (`for i < t->as.table.len`), or NULL. */
const struct toml_value *config_table(const struct config *c, const char *path);

/* Does a layer above the built-in one set it? */
bool config_is_set(const struct config *c, const char *path);

/* Where the value comes from; false when there is none. */
bool config_origin(const struct config *c, const char *path, struct config_origin *origin);
/* The same for a value of the tree. */
struct config_origin config_value_origin(const struct config *c, const struct toml_value *value);

/* Appends one line for each layer that sets PATH, weakest first ("layer  file:line  value"). */
void config_explain(const struct config *c, const char *path, struct buf *out);

/* What the reader has to say, in the order found. */
size_t config_note_count(const struct config *c);
const struct config_note *config_note_at(const struct config *c, size_t index);

/* Appends the lines that every command prints to standard error: unknown, ignored, misplaced, and old names
 * that were not said before on this machine (remembered in the state folder). */
void config_warnings(const struct config *c, struct str_list *lines);

const char *config_cwd(const struct config *c);
const char *config_codex_home(const struct config *c);
/* The folder with a project root marker (.git), else the working directory. */
const char *config_project_root(const struct config *c);
bool config_is_project_trusted(const struct config *c);
bool config_is_strict(const struct config *c);
/* Was it loaded with --oss? Then no role may name another model or provider. */
bool config_is_oss(const struct config *c);

/* Folders that hold agents/ and skills/, weakest first: $CODEX_HOME, then .codex of each trusted level. */
const struct str_list *config_folders(const struct config *c);

#endif
