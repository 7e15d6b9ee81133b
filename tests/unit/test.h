/* tests/unit/test.h: cmocka with its required includes in the required order. A test program stands for `cadre` where that starts
 * itself again as its helper. */
#ifndef CADRE_TEST_H
#define CADRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/copy_list.h"
#include "sandbox/exec_helper.h"

#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void become_the_helper(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], COPY_LIST_NAME) == 0)
        exit(copy_list_main(argc, argv));
    if (argc > 1 && strcmp(argv[1], SANDBOX_HELPER_NAME) == 0)
        exit(sandbox_exec_helper_main(argc, argv));
}

#endif
