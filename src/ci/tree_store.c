/* ci/tree_store.c: a header, then for each file its name, its text and its tree (tree_codec.h).
 *
 * The file is renamed into place but not synced, which would take longer than all else: a checksum tells what a crash left
 * half written. */
#include "ci/tree_store.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/map.h"
#include "base/path.h"
#include "base/str.h"
#include "ci/tree_codec.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char magic[8] = "cadretr1";

struct header {
    char magic[8];
    uint64_t program;  /* whose checks the trees passed */
    uint64_t checksum; /* of what follows */
};

struct lengths {
    uint32_t name, text, tree;
};

struct entry {
    const char *text, *tree; /* in `bytes` or `fresh` */
    size_t text_len, tree_len;
    struct buf fresh; /* text, then tree, of what was read now */
};

struct tree_store {
    char *path;
    struct buf bytes;   /* the file */
    struct map entries; /* name -> struct entry */
    bool has_new;
};

static void free_entry(void *value)
{
    struct entry *entry = value;

    buf_free(&entry->fresh);
    free(entry);
}

/* Eight bytes at a time: this runs over all of the file at every start. */
static uint64_t checksum_of(const char *bytes, size_t n)
{
    uint64_t sum = n, word;

    for (; n >= sizeof word; bytes += sizeof word, n -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15U;
        sum ^= sum >> 32;
    }
    word = 0;
    memcpy(&word, bytes, n);
    return (sum ^ word) * 0x9e3779b97f4a7c15U;
}

/* A program that was built anew has another file. */
static uint64_t program_id(void)
{
    struct stat st;
    struct {
        off_t size;
        struct timespec time;
        ino_t inode;
    } id;

    memset(&id, 0, sizeof id);
    if (stat("/proc/self/exe", &st) == 0) {
        id.size = st.st_size;
        id.time = st.st_mtim;
        id.inode = st.st_ino;
    }
    return str_hash(&id, sizeof id) ^ str_hash(CADRE_VERSION, strlen(CADRE_VERSION));
}

/* Entries of the file, as far as they are whole. */
static void read_entries(struct tree_store *store, const char *at, const char *end)
{
    struct lengths lengths;

    while ((size_t)(end - at) >= sizeof lengths) {
        struct entry *entry;
        const char *name;

        memcpy(&lengths, at, sizeof lengths);
        at += sizeof lengths;
        if ((uint64_t)lengths.name + lengths.text + lengths.tree > (uint64_t)(end - at) ||
            lengths.name == 0 || at[lengths.name - 1] != '\0')
            return;
        name = at;
        entry = xcalloc(1, sizeof *entry);
        entry->text = at + lengths.name;
        entry->text_len = lengths.text;
        entry->tree = entry->text + lengths.text;
        entry->tree_len = lengths.tree;
        map_set(&store->entries, name, entry);
        at = entry->tree + lengths.tree;
    }
}

struct tree_store *tree_store_open(const char *dir, const char *root)
{
    struct tree_store *store = xcalloc(1, sizeof *store);
    struct error ignored = {0};
    struct header header;

    store->path =
        xasprintf("%s/" TREE_STORE_FOLDER "/%016llx", dir, (unsigned long long)str_hash(root, strlen(root)));
    store->entries.free_value = free_entry;
    if (file_read(store->path, &store->bytes, TREE_STORE_MAX_BYTES, &ignored) < 0 ||
        store->bytes.len < sizeof header)
        return store;
    memcpy(&header, store->bytes.data, sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) == 0 && header.program == program_id() &&
        header.checksum == checksum_of(store->bytes.data + sizeof header, store->bytes.len - sizeof header)) {
        read_entries(store, store->bytes.data + sizeof header, store->bytes.data + store->bytes.len);
        (void)utimensat(AT_FDCWD, store->path, NULL, 0); /* used now: tree_store_trim() */
    }
    return store;
}

struct yaml_node *tree_store_find(struct tree_store *store, struct arena *arena, const char *file,
                                  const char *text, size_t n)
{
    const struct entry *entry = map_get(&store->entries, file);

    if (entry == NULL || entry->text_len != n || memcmp(entry->text, text, n) != 0)
        return NULL;
    return tree_decode(arena, entry->tree, entry->tree_len, file);
}

void tree_store_keep(struct tree_store *store, const char *file, const char *text, size_t n,
                     const struct yaml_node *root)
{
    struct entry *entry = xcalloc(1, sizeof *entry);

    buf_append(&entry->fresh, text, n);
    tree_encode(&entry->fresh, root);
    entry->text = entry->fresh.data;
    entry->text_len = n;
    entry->tree = entry->fresh.data + n;
    entry->tree_len = entry->fresh.len - n;
    map_set(&store->entries, file, entry);
    store->has_new = true;
}

void tree_store_save(struct tree_store *store)
{
    struct buf out = BUF_INIT;
    struct header header = {.program = program_id()};
    struct error ignored = {0};
    const struct map_entry *e;
    size_t texts = 0;
    char *folder, *fresh;

    if (!store->has_new)
        return;
    store->has_new = false;
    memcpy(header.magic, magic, sizeof magic);
    buf_append(&out, &header, sizeof header);
    for (size_t i = 0; (e = map_next(&store->entries, &i)) != NULL;) {
        const struct entry *entry = e->value;
        struct lengths lengths = {(uint32_t)strlen(e->key) + 1, (uint32_t)entry->text_len,
                                  (uint32_t)entry->tree_len};

        texts += entry->text_len;
        buf_append(&out, &lengths, sizeof lengths);
        buf_append(&out, e->key, lengths.name);
        buf_append(&out, entry->text, entry->text_len);
        buf_append(&out, entry->tree, entry->tree_len);
    }
    header.checksum = checksum_of(out.data + sizeof header, out.len - sizeof header);
    memcpy(out.data, &header, sizeof header);
    folder = path_dirname(store->path);
    fresh = xasprintf("%s.%ld", store->path, (long)getpid());
    if (texts >= TREE_STORE_MIN_BYTES && out.len <= TREE_STORE_MAX_BYTES &&
        file_make_directories(folder, 0700, &ignored) == 0 &&
        (file_write(fresh, out.data, out.len, 0600, &ignored) < 0 || rename(fresh, store->path) < 0))
        (void)unlink(fresh);
    free(fresh);
    free(folder);
    buf_free(&out);
}

void tree_store_close(struct tree_store *store)
{
    if (store == NULL)
        return;
    map_finish(&store->entries);
    buf_free(&store->bytes);
    free(store->path);
    free(store);
}

void tree_store_trim(const char *dir, int64_t max_age_s)
{
    char *folder = path_join(dir, TREE_STORE_FOLDER);
    struct str_list names = {0};
    struct error ignored = {0};
    time_t now = time(NULL);

    if (file_is_directory(folder))
        (void)file_list_directory(folder, &names, &ignored);
    for (size_t i = 0; i < names.len; i++) {
        char *path = path_join(folder, names.items[i]);
        struct stat st;

        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && now - st.st_mtime > max_age_s)
            (void)unlink(path);
        free(path);
    }
    str_list_finish(&names);
    free(folder);
}
