/* Updates: parameters by their gradients, running statistics by the batch's. */
#include "internal.h"

#include "objective/sgd.h"
#include "objective/statistics.h"

void reference_sgd(const reference_operands *o)
{
    hmt_sgd group = o->run->groups[o->step->group];

    for (int64_t i = 0; i < o->count; ++i)
        sgd_update(&o->weight[0][i], &o->momentum[i], o->in[0].at[i], group);
}

void reference_statistics(const reference_operands *o)
{
    for (int64_t c = 0; c < o->count; ++c)
        statistics_update(&o->weight[0][c], &o->weight[1][c], o->in[0].at[c], o->in[1].at[c],
                          o->step->samples, o->step->momentum);
}
