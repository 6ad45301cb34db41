/*
 * Who owns threads; see owner.h. Process numbers alone do not tell: a child that is the first of a
 * new PID namespace has the number of a parent that is the first of its own.
 */
#define _GNU_SOURCE /* MADV_WIPEONFORK */
#include "core/owner.h"

#include <sys/mman.h>
#include <unistd.h>

void owner_take(owner *o)
{
    void *page = MAP_FAILED;

    *o = (owner){.process = getpid()};
#ifdef MADV_WIPEONFORK
    page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED && madvise(page, 1, MADV_WIPEONFORK) != 0) {
        munmap(page, 1);
        page = MAP_FAILED;
    }
#endif
    if (page == MAP_FAILED)
        return;
    o->mark = page;
    *o->mark = 1;
}

void owner_release(owner *o)
{
    if (o->mark != NULL)
        munmap(o->mark, 1);
    o->mark = NULL;
}

bool owner_is_here(const owner *o)
{
    return o->process == getpid() && (o->mark == NULL || *o->mark != 0);
}
