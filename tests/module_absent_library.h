/* The function of a library that module_absent.c needs, and that is built where nobody finds it. */
#ifndef HMT_TESTS_MODULE_ABSENT_LIBRARY_H
#define HMT_TESTS_MODULE_ABSENT_LIBRARY_H

__attribute__((visibility("default"))) int module_absent_library(void);

#endif
