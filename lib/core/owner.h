/*
 * The process that has an object's threads. fork() leaves a child the objects without the threads:
 * who owns some asks here before waiting for them.
 */
#ifndef HMT_CORE_OWNER_H
#define HMT_CORE_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct owner {
    pid_t process;
    unsigned char *mark; /* a page that is zero in a child; NULL where the kernel makes none */
} owner;

/* The calling process is the owner from here on. Takes no memory from an allocator. */
void owner_take(owner *o);
void owner_release(owner *o);
/* Whether the calling process is the one, and no child of it. */
bool owner_is_here(const owner *o);

#endif
