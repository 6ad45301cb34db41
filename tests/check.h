/*
 * The whole of our test framework: checks that count, go on after a failure, and say where it was.
 *
 * A test program is one main() that returns test_finish(). Exit status: 0 all passed, 1 some
 * failed, 77 nothing was run.
 */
#ifndef HMT_TESTS_CHECK_H
#define HMT_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hmtnet/hmtnet.h>

enum { TEST_SKIPPED = 77 };

static long test_checks, test_failures;

static inline void test_note(int passed, const char *file, int line, const char *what)
{
    ++test_checks;
    if (passed)
        return;
    ++test_failures;
    printf("%s:%d: failed: %s\n", file, line, what);
}

static inline void test_note_status(hmt_status got, hmt_status wanted, const char *file, int line,
                                    const char *what)
{
    ++test_checks;
    if (got == wanted)
        return;
    ++test_failures;
    printf("%s:%d: %s gave %s, expected %s: %s\n", file, line, what, hmt_status_name(got),
           hmt_status_name(wanted), hmt_last_error());
}

#define CHECK(condition) test_note((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_STATUS(call, wanted) test_note_status((call), (wanted), __FILE__, __LINE__, #call)

/* Ends a test: prints the counts, gives the exit status. */
static inline int test_finish(void)
{
    printf("%ld checks, %ld failed\n", test_checks, test_failures);
    return test_failures > 0 ? 1 : test_checks > 0 ? 0 : TEST_SKIPPED;
}

/* The folder with the large oracle files: $HMTNET_SHARED, or ../shared beside the sources; NULL if
 * it is not there. */
static inline const char *test_shared(void)
{
    const char *folder = getenv("HMTNET_SHARED");

#ifdef HMT_SOURCE_DIR
    if (folder == NULL)
        folder = HMT_SOURCE_DIR "/../shared";
#endif
    return folder != NULL && access(folder, R_OK) == 0 ? folder : NULL;
}

#endif
