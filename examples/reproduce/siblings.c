/* Other programs (see siblings.h). */
#include "siblings.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "files.h"

enum { MOST = 64, PATH_SIZE = 4096 };
extern char **environ;

int sibling_run(const char *name, const char *const *arguments)
{
    char self[PATH_SIZE];
    char *all[MOST + 2] = {NULL};
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    pid_t child;
    int status = 0;
    self[length > 0 ? length : 0] = '\0';
    char *folder = files_folder(self), *path = files_join(folder, name);
    all[0] = path;
    for (int i = 0; i < MOST && arguments[i]; i++)
        all[i + 1] = (char *)arguments[i];
    int error = posix_spawn(&child, path, NULL, NULL, all, environ);
    if (error)
        cli_error("cannot start %s: %s", path, strerror(error));
    while (!error && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            error = errno;
    free(folder);
    free(path);
    if (error)
        return CLI_USAGE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : CLI_INTERRUPTED;
}
