/* The environment that libgomp reads at its start, and the program started anew with it. */
#include "waiting.h"

#include <stdlib.h>
#include <unistd.h>

void waiting_bound(char **argv)
{
    char path[4096]; /* the file itself: through /proc/self/exe the process would be named "exe" */
    ssize_t length;
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT"))
        return;
    length = readlink("/proc/self/exe", path, sizeof path - 1);
    /* Some 10 microseconds: longer than threads of a quiet machine wait for each other. */
    if (length <= 0 || setenv("GOMP_SPINCOUNT", "1000", 1) != 0)
        return;
    path[length] = '\0';
    execv(path, argv); /* if that fails, the program goes on as it is */
}
