/* tier: quick
 * The processors that a process may use: its affinity mask, and the CPU quota of its control groups
 * of both versions, rounded up; files that are absent or hostile are no quota.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "core/processors.h"

static char root[] = "/tmp/hmtnet-cgroup-XXXXXX";

/* A file below root, and the folders above it. */
static void put(const char *name, const char *text)
{
    char path[512];
    FILE *file;

    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%s/%.*s", root, (int)(slash - name), name);
        (void)mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s/%s", root, name);
    file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int32_t quota(const char *self)
{
    char path[512];

    put("self", self);
    snprintf(path, sizeof path, "%s/self", root);
    return processors_quota(path, root);
}

static void of_version_2(void)
{
    put("a/b/cpu.max", "150000 100000\n");
    CHECK(quota("0::/a/b\n") == 2);
    put("a/b/cpu.max", "max 100000\n");
    CHECK(quota("0::/a/b\n") == 0);
    put("a/cpu.max", "50000 100000\n"); /* of the group above */
    CHECK(quota("0::/a/b\n") == 1);
    put("a/b/cpu.max", "9000000000000000 1\n");
    CHECK(quota("0::/a/b\n") == 1);
    put("cpu.max", "400000 100000\n"); /* where a container sees its own */
    CHECK(quota("0::/\n") == 4 && quota("0::/../..\n") == 4 && quota("0::/absent\n") == 4);
    put("cpu.max", "");
}

static void of_version_1(void)
{
    put("cpu/docker/x/cpu.cfs_quota_us", "250000\n");
    put("cpu/docker/x/cpu.cfs_period_us", "100000\n");
    CHECK(quota("5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n") == 3);
    CHECK(quota("4:cpuset:/docker/x\n") == 0);
    put("cpu/docker/x/cpu.cfs_quota_us", "-1\n");
    CHECK(quota("4:cpuacct,cpu:/docker/x\n") == 0);
}

static void of_nonsense(void)
{
    static char longest[9000];

    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "0::/", 4);
    CHECK(quota(longest) == 0 && quota("") == 0 && quota(":::::\n0\n::\n") == 0);
    for (size_t i = 0; i < 6; ++i) {
        put("n/cpu.max", ((const char *const[]){"", "1", "-5 100000", "100000 0", "0 100000",
                                                "99999999999999999999999999 x"})[i]);
        CHECK(quota("0::/n\n") == 0);
    }
    CHECK(processors_quota("/nowhere/self", root) == 0);
}

int main(void)
{
    cpu_set_t one, all;
    char command[64];

    CHECK(mkdtemp(root) != NULL);
    of_version_2();
    of_version_1();
    of_nonsense();
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    CHECK(processors_available() >= 1 && processors_available() <= CPU_COUNT(&all));
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        CHECK(processors_available() == 1);
    snprintf(command, sizeof command, "rm -r %s", root);
    CHECK(system(command) == 0);
    return test_finish();
}
