/* The suite's run over all cases, and the counting of results. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conformance.h"
#include "core/memory.h"
#include "core/status.h"
#include "models/models.h"

/* ---------------------------------------------------------------------------- results -----------
 */

static void failed(conformance *c, const char *line)
{
    ++c->failed;
    c->case_failed = true;
    printf("FAILED %s: %s: %s\n", c->backend->name, c->name, line);
}

void conformance_result(conformance *c, const char *what, const char *of, double error,
                        double tolerance)
{
    char line[256];

    if (error <= tolerance) {
        ++c->passed;
        c->worst = fmax(c->worst, error / tolerance);
        return;
    }
    snprintf(line, sizeof line, "%s %s is off by %.3g, more than %.3g", what, of, error, tolerance);
    failed(c, line);
}

void conformance_status(conformance *c, const char *what, hmt_status status)
{
    char line[640];

    if (status == HMT_OK)
        return;
    snprintf(line, sizeof line, "%s: %s: %s", what, hmt_status_name(status), hmt_last_error());
    failed(c, line);
    status_clear();
}

/* ---------------------------------------------------------------------------- cases -------------
 */

static void run_case(conformance *c, const graph *g, const conformance_case *k, int index)
{
    if (c->options.filter && !strstr(k->name, c->options.filter))
        return;
    c->name = k->name;
    c->worst = 0.0;
    c->case_failed = false;
    conformance_status(c, "graph", graph_finish(g));
    if (graph_finish(g) == HMT_OK && c->options.mode == CONFORMANCE_COMPARE)
        conformance_network(c, g, k, index % 2);
    else if (graph_finish(g) == HMT_OK)
        conformance_differences(c, g, k);
    if (c->options.verbose)
        printf("%-9s %s, batch %d: worst error %.2g of its tolerance\n",
               c->case_failed ? "FAILED" : "ok", k->name, (int)k->batch, c->worst);
}

static int small_networks(conformance *c)
{
    conformance_case k;
    graph g;
    int index = 0;

    for (;; ++index) {
        bool more;

        graph_init(&g, &memory_default);
        more = conformance_build(index, &g, &k);
        if (more)
            run_case(c, &g, &k, index);
        graph_clear(&g);
        if (!more)
            return index;
    }
}

/* Every network that the library can build, at a small width, in each of its variants. */
static void library_networks(conformance *c, int index)
{
    hmt_model_config config;

    for (int network = 0;; ++network) {
        for (int variant = 0; variant < 4; ++variant, ++index) {
            conformance_case k = {.batch = 6,
                                  .delta = 0.6f,
                                  .trained_tasks = HMT_TASKS_ALL,
                                  .network = true,
                                  .tested = -1};
            graph g;

            models_config_defaults(&config);
            config.network = (hmt_network)network;
            config.wiring = variant % 2 ? HMT_WIRING_PAPER : HMT_WIRING_RELEASED;
            config.aggregator = variant / 2 ? HMT_AGGREGATOR_CONCATENATE : HMT_AGGREGATOR_AVERAGE;
            config.width = 1.0 / 8;
            config.race_classes = 2 + variant;
            if (models_config_check(&config) != HMT_OK) {
                status_clear();
                return;
            }
            graph_init(&g, &memory_default);
            models_build(&config, &g);
            snprintf(k.name, sizeof k.name, "network %d, %s wiring, %s", network,
                     variant % 2 ? "paper" : "released", variant / 2 ? "concatenate" : "average");
            run_case(c, &g, &k, index);
            graph_clear(&g);
        }
    }
}

/* A step kind that no plan contained has not been tested. */
static void check_kinds(conformance *c)
{
    static const int last = HMT_STEP_STATISTICS;

    c->name = "coverage";
    for (int kind = 0; kind <= last; ++kind)
        if (strcmp(lower_kind_name((hmt_step_kind)kind), "unknown") != 0)
            conformance_result(c, "step kind", lower_kind_name((hmt_step_kind)kind),
                               c->seen[kind] ? 0.0 : 1.0, 0.0);
}

void conformance_count(const hmt_backend *backend, const conformance_options *options,
                       conformance *c)
{
    int index;

    c->backend = backend;
    c->options = *options;
    memset(c->seen, 0, sizeof c->seen);
    if (options->mode == CONFORMANCE_SPEED) {
        conformance_speed(c);
        return;
    }
    index = small_networks(c);
    if (options->mode == CONFORMANCE_COMPARE) {
        library_networks(c, index);
        if (!options->filter)
            check_kinds(c);
    }
}

int conformance_run(const hmt_backend *backend, const conformance_options *options)
{
    conformance c = {.options = *options};

    conformance_count(backend, options, &c);
    return c.failed;
}
