/* Counting processors; see processors.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "core/processors.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 2048, PLACE = LINE + 512, MOST = 1 << 20 };

/* The numbers of a file's first line, at most two; how many there are. */
static int read_numbers(const char *folder, const char *name, long long *numbers)
{
    char path[PLACE + 64], line[64] = "", *at = line, *end;
    FILE *file;
    int count = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) != NULL)
        for (; count < 2; ++count, at = end) {
            numbers[count] = strtoll(at, &end, 10);
            if (end == at)
                break;
        }
    fclose(file);
    return count;
}

/* A group's own quota; 0: none ("max", or -1 in version 1). */
static int32_t quota_of(const char *folder, int version)
{
    long long pair[3] = {0}, whole;

    if (version == 2 ? read_numbers(folder, "cpu.max", pair) != 2
                     : read_numbers(folder, "cpu.cfs_quota_us", pair) != 1 ||
                           read_numbers(folder, "cpu.cfs_period_us", pair + 1) != 1)
        return 0;
    if (pair[0] <= 0 || pair[1] <= 0)
        return 0;
    whole = (pair[0] - 1) / pair[1] + 1;
    return whole < MOST ? (int32_t)whole : MOST;
}

/* The least quota of a group and of those above it. */
static int32_t least_quota(const char *hierarchy, const char *group, int version)
{
    const size_t root = strlen(hierarchy);
    char folder[PLACE];
    int32_t least = 0;

    if (strstr(group, "..") != NULL) /* outside what this process sees */
        group = "";
    if ((size_t)snprintf(folder, sizeof folder, "%s%s", hierarchy, group) >= sizeof folder)
        return 0;
    for (;;) {
        const int32_t quota = quota_of(folder, version);
        char *last;

        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
        last = strrchr(folder, '/');
        if (last == NULL || (size_t)(last - folder) < root)
            return least;
        *last = '\0';
    }
}

/* Whether a list "a,b,c" has "cpu". */
static int has_cpu(const char *list)
{
    for (;; list += strspn(list, ",")) {
        const size_t length = strcspn(list, ",");

        if (length == 0)
            return 0;
        if (length == 3 && strncmp(list, "cpu", 3) == 0)
            return 1;
        list += length;
    }
}

/* The quota that a line "number:controllers:group" leads to. */
static int32_t quota_of_line(char *line, const char *mount)
{
    char *controllers = strchr(line, ':'), *group, hierarchy[512];
    int version;

    if (controllers == NULL || (group = strchr(controllers + 1, ':')) == NULL)
        return 0;
    *controllers++ = *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    version = *controllers == '\0' ? 2 : 1;
    if (version == 1 && !has_cpu(controllers))
        return 0;
    snprintf(hierarchy, sizeof hierarchy, "%s%s", mount, version == 2 ? "" : "/cpu");
    return least_quota(hierarchy, group, version);
}

int32_t processors_quota(const char *self, const char *mount)
{
    FILE *file = fopen(self, "re");
    char line[LINE];
    int32_t least = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const int32_t quota = quota_of_line(line, mount);

        if (quota > 0 && (least == 0 || quota < least))
            least = quota;
    }
    if (file != NULL)
        fclose(file);
    return least;
}

static int32_t allowed(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* of a machine with more than a set has room for */
    return online > 0 ? (int32_t)online : 1;
}

int32_t processors_available(void)
{
    const int32_t processors = allowed(),
                  quota = processors_quota("/proc/self/cgroup", "/sys/fs/cgroup");

    return quota > 0 && quota < processors ? quota : processors;
}
