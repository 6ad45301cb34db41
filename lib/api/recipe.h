/*
 * A trainer's recipe: its options checked, which group of the optimiser each parameter belongs to,
 * and all of it as one line of text, by which a checkpoint is recognised.
 */
#ifndef HMT_API_RECIPE_H
#define HMT_API_RECIPE_H

#include "graph/graph.h"

typedef struct recipe {
    int32_t *group;      /* by parameter: index into rate and decay, -1: frozen */
    int32_t group_count; /* at least 1 */
    double *rate;        /* by group: factor of the learning rate */
    double *decay;       /* by group: weight decay */
    char *text;          /* canonical JSON of everything that decides what a step does */
} recipe;

extern const char *const recipe_task_names[HMT_TASK_COUNT];

/* HMT_ERROR_ARGUMENT if an option is out of its range. */
hmt_status recipe_check(const hmt_trainer_options *options);
/* HMT_ERROR_NOT_FOUND if a rule fits no parameter of the network. */
hmt_status recipe_check_rules(const hmt_trainer_options *options, const graph *g);
/* From checked options. On failure *recipe is zero. */
hmt_status recipe_make(const hmt_allocator *allocator, const hmt_trainer_options *options,
                       const graph *g, recipe *recipe);
void recipe_clear(const hmt_allocator *allocator, recipe *recipe);

/* What SGD is told for step `step` (from 0), one entry for each group. Gradients that are
 * accumulated are added to the momentum, which decays in the first of their steps and moves the
 * parameters in the last. */
void recipe_groups(const recipe *recipe, const hmt_trainer_options *options, uint64_t step,
                   hmt_sgd *groups);

#endif
