/* cli/exec_helper_main.c: the exec helper as a program of its own, `cadre-exec`. It runs for every command of an agent and every
 * copy of a tree, so it links only what it needs; `cadre` does the same under these names, for where this file is not installed. */
#include "base/copy_list.h"
#include "sandbox/exec_helper.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], COPY_LIST_NAME) == 0)
        return copy_list_main(argc, argv);
    return sandbox_exec_helper_main(argc, argv);
}
