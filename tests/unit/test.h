/* tests/unit/test.h: cmocka with its required includes in the required order. */
#ifndef CADRE_TEST_H
#define CADRE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
