/* cli/demo_files.h: the files of demo/, embedded at build time (scripts/embed). */
#ifndef CADRE_CLI_DEMO_FILES_H
#define CADRE_CLI_DEMO_FILES_H

#include <stddef.h>

struct demo_file {
    const char *path; /* below demo/ */
    const char *data;
    size_t size;
};

extern const struct demo_file demo_files[];
extern const size_t demo_file_count;

#endif
