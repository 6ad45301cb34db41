/* The library that module_absent.c needs. */
#include "module_absent_library.h"

int module_absent_library(void)
{
    return 1;
}
