/* ci/detect.h: a CI for a tree that has none: what its build files suggest. */
#ifndef CADRE_CI_DETECT_H
#define CADRE_CI_DETECT_H

#include "ci/workflow.h"

/* A literal workflow with a job for each build system found at the root of DIR (Makefile, CMake, Meson,
 * npm/pnpm/yarn, Cargo, Go, pytest/tox, Maven, Gradle), or NULL when there is none. */
struct workflow *detect_workflow(const char *dir);

#endif
