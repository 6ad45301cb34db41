/*
 * The threads that run a plan. Every member runs the same code, operation after operation: loops
 * are shared out among them, and barriers keep them together. Whoever waits spins for some
 * microseconds and then sleeps, so that a busy machine loses nothing to threads that wait.
 * With a host's executor its tasks are the members: those that have begun within a millisecond.
 */
#ifndef HMT_ONEDNN_TEAM_H
#define HMT_ONEDNN_TEAM_H

#include <hmtnet/backend.h>

typedef struct team team;

typedef struct member {
    team *team;
    int32_t index; /* 0: the thread that called team_run() */
} member;

typedef void team_job(void *user, const member *m);

typedef struct span {
    int64_t from, to;
} span;

/* host->threads of them. All but the caller's are started here, with all signals blocked;
 * HMT_ERROR_MEMORY if one does not start. */
hmt_status team_create(const hmt_host *host, team **out);
void team_free(team *t); /* NULL is allowed */

/* Calls job on every member at once, and returns when all have returned. For one caller at a time.
 * After a fork() the child has none of the threads: there the caller is the only member. */
void team_run(team *t, team_job *job, void *user);
/* Calls job as the only member of a team. */
void team_run_alone(team_job *job, void *user);

/* This member's part of `count` equal pieces of work. */
span team_share(const member *m, int64_t count);
/* The next `grain` of `count` pieces that no member has taken yet; 0 if there are none. One such
 * loop between two barriers. */
int team_take(const member *m, int64_t count, int64_t grain, span *next);
/* The same with ever smaller grains, multiples of `least` up to `most`, so that members that work
 * through neighbouring pieces still finish together. */
int team_take_less(const member *m, int64_t count, int64_t least, int64_t most, span *next);
/* Non-zero for the first member to ask between two barriers. */
int team_first(const member *m);
/* Waits until all members are here. */
void team_barrier(const member *m);

#endif
