/* base/copy_list.h: copies a list of files in a process of its own (the exec helper), so that a large tree holds up nobody and
 * a small one does not cost a shell, tar and cp.
 *
 * Standard input is a list of entries; each of their parts ends with a NUL:
 *
 *     f NAME          the file, symbolic link or folder (made empty) NAME of FROM, to the same NAME in TO
 *     w NAME TEXT     a file NAME in TO with that text
 *     c NAME PATH     the regular file PATH, or the folder with all that is below it, as NAME in TO
 *
 * with no blank after the letter. Names are relative, without ".."; neither side is ever reached through a symbolic link.
 * What is not there (any more) or cannot be read is left out. Files keep their permissions and times. */
#ifndef CADRE_BASE_COPY_LIST_H
#define CADRE_BASE_COPY_LIST_H

#define COPY_LIST_NAME "__copy-list"

/* argv: PROGRAM COPY_LIST_NAME FROM TO. Both are folders; TO is made. Returns the exit code; one line on standard error says
 * what could not be written. */
int copy_list_main(int argc, char **argv);

#endif
