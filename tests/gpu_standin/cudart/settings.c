/*
 * settings.c - what tests may change: read from the environment when the library is loaded, later
 * through standin_set(). README.md has the list.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct settings settings = {
    .seed = 1, .devices = 1, .memory = (size_t)4 << 30, .capability = 80, .deadlock_ms = 5000};

static int read_number(const char *text, uint64_t *value)
{
    char *end;
    *value = strtoull(text, &end, 0);
    switch (*end) {
    case 'k':
        *value <<= 10;
        ++end;
        break;
    case 'm':
        *value <<= 20;
        ++end;
        break;
    case 'g':
        *value <<= 30;
        ++end;
        break;
    }
    return end != text && *end == '\0';
}

static int read_order(const char *text)
{
    static const char *const names[] = {"random", "late", "reverse", "eager"};
    for (int i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            settings.order = (run_order)i;
            return 1;
        }
    return 0;
}

static int read_devices(const char *text)
{
    uint64_t count;
    if (strcmp(text, "nodriver") == 0) {
        settings.devices = -1;
        return 1;
    }
    if (!read_number(text, &count) || count > STANDIN_DEVICES_MAX)
        return 0;
    settings.devices = (int)count;
    return 1;
}

/* "8.0" as 80. */
static int read_capability(const char *text)
{
    int major, minor;
    char rest;
    if (sscanf(text, "%d.%d%c", &major, &minor, &rest) != 2 || major < 5 || minor < 0 || minor > 9)
        return 0;
    settings.capability = 10 * major + minor;
    return 1;
}

static int read_fusing(const char *text)
{
    static const char *const names[] = {"yes", "offered", "no"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            settings.fusing = (standin_fusing)i;
            return 1;
        }
    return 0;
}

standin_fusing standin_fuses(void)
{
    return settings.fusing;
}

static int set(const char *name, const char *value)
{
    uint64_t number = 0;
    int is_number = read_number(value, &number);

    if (strcmp(name, "STANDIN_ORDER") == 0)
        return read_order(value);
    if (strcmp(name, "STANDIN_FUSING") == 0)
        return read_fusing(value);
    if (strcmp(name, "STANDIN_DEVICES") == 0)
        return read_devices(value);
    if (strcmp(name, "STANDIN_CAPABILITY") == 0)
        return read_capability(value);
    if (strcmp(name, "STANDIN_LEAKS") == 0) {
        settings.leaks_fail = strcmp(value, "fail") == 0;
        settings.leaks_quiet = strcmp(value, "quiet") == 0;
        return settings.leaks_fail || settings.leaks_quiet || strcmp(value, "report") == 0;
    }
    if (!is_number)
        return 0;
    if (strcmp(name, "STANDIN_SEED") == 0)
        settings.seed = number;
    else if (strcmp(name, "STANDIN_MEMORY") == 0)
        settings.memory = (size_t)number;
    else if (strcmp(name, "STANDIN_DEADLOCK_MS") == 0)
        settings.deadlock_ms = (unsigned)number;
    else if (strcmp(name, "STANDIN_QUIET") == 0)
        settings.quiet = number != 0;
    else if (strcmp(name, "STANDIN_TRACE") == 0)
        settings.trace = number != 0;
    else if (strcmp(name, "STANDIN_FAIL_CALL") == 0)
        standin_fail_at((size_t)number);
    else if (strcmp(name, "STANDIN_LOSE_CALL") == 0)
        standin_lose_at((size_t)number);
    else
        return 0;
    return 1;
}

int standin_set(const char *name, const char *value)
{
    return set(name, value) ? 0 : -1;
}

void settings_load(void)
{
    static const char *const names[] = {
        "STANDIN_SEED",   "STANDIN_FUSING",     "STANDIN_ORDER",     "STANDIN_DEVICES",
        "STANDIN_MEMORY", "STANDIN_CAPABILITY", "STANDIN_LEAKS",     "STANDIN_DEADLOCK_MS",
        "STANDIN_QUIET",  "STANDIN_TRACE",      "STANDIN_FAIL_CALL", "STANDIN_LOSE_CALL"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && !set(names[i], value)) {
            fprintf(stderr, "standin: %s=%s makes no sense\n", names[i], value);
            exit(2); /* a test that does not run what it claims is worse */
        }
    }
}

/* xorshift64*: the order of streams and the made-up times follow from the seed alone. */
uint32_t standin_random(uint32_t limit)
{
    static uint64_t state, seeded_with;
    if (state == 0 || seeded_with != settings.seed) {
        seeded_with = settings.seed;
        state = settings.seed * 0x9E3779B97F4A7C15ull + 1;
    }
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return limit > 0 ? (uint32_t)((state * 0x2545F4914F6CDD1Dull >> 33) % limit) : 0;
}
