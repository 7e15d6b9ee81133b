/* cli/exec_helper_main.c: the exec helper as a program of its own, `cadre-exec`. It runs for every command of an agent, so it
 * links only what it needs; `cadre __exec-helper` is the same code, for where this file is not installed. */
#include "sandbox/exec_helper.h"

int main(int argc, char **argv)
{
    return sandbox_exec_helper_main(argc, argv);
}
