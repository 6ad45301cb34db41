/* The experiments (see experiments.h). */
#include "experiments.h"

#include <math.h>

#define NONE                                                                                       \
    {                                                                                              \
        NAN, NAN, NAN, NAN, NAN                                                                    \
    }

const char *const figure_names[FIGURE_COUNT] = {"MAE", "RMSE", "PC", "gender", "race"};

const training_plan experiment_joint = {
    "joint", {1, 1, 2}, HMT_LOSS_SMOOTH_HUBER, HMT_AGGREGATOR_AVERAGE};
static const training_plan mse = {"mse", {1, 1, 2}, HMT_LOSS_MSE, HMT_AGGREGATOR_AVERAGE};
static const training_plan l1 = {"l1", {1, 1, 2}, HMT_LOSS_L1, HMT_AGGREGATOR_AVERAGE};
static const training_plan smooth_l1 = {
    "smooth-l1", {1, 1, 2}, HMT_LOSS_SMOOTH_L1, HMT_AGGREGATOR_AVERAGE};
static const training_plan gender = {
    "gender", {1, 0, 0}, HMT_LOSS_SMOOTH_HUBER, HMT_AGGREGATOR_AVERAGE};
static const training_plan race = {
    "race", {0, 1, 0}, HMT_LOSS_SMOOTH_HUBER, HMT_AGGREGATOR_AVERAGE};
static const training_plan attractiveness = {
    "attractiveness", {0, 0, 2}, HMT_LOSS_SMOOTH_HUBER, HMT_AGGREGATOR_AVERAGE};
static const training_plan concatenate = {
    "concatenate", {1, 1, 2}, HMT_LOSS_SMOOTH_HUBER, HMT_AGGREGATOR_CONCATENATE};

static const experiment losses[] = {
    {"MSE", &mse, false, {0.2556, 0.3372, 0.8693, 0.9853, 0.9968}, NONE},
    {"L1", &l1, false, {0.2500, 0.3299, 0.8753, 0.9816, 0.9926}, NONE},
    {"Smooth L1", &smooth_l1, false, {0.2531, 0.3313, 0.8738, 0.9858, 0.9954}, NONE},
    {"Smooth Huber", &experiment_joint, false, {0.2501, 0.3263, 0.8783, 0.9816, 0.9926}, NONE}};

/* The same training as the last row above; what became of single tasks is not to be had. */
static const experiment single_tasks[] = {
    {"all tasks together",
     &experiment_joint,
     false,
     {0.2501, 0.3263, 0.8783, 0.9816, 0.9926},
     {0.2380, 0.3141, 0.8912, 0.9875, 0.9956}},
    {"attractiveness alone", &attractiveness, false, NONE, NONE},
    {"gender alone", &gender, false, NONE, NONE},
    {"race alone", &race, false, NONE, NONE}};

static const experiment methods[] = {
    {"AlexNet",
     NULL,
     false,
     {0.2938, 0.3819, 0.8298, NAN, NAN},
     {0.2651, 0.3481, 0.8634, NAN, NAN}},
    {"ResNet-18",
     NULL,
     false,
     {0.2818, 0.3703, 0.8513, NAN, NAN},
     {0.2419, 0.3166, 0.8900, NAN, NAN}},
    {"ResNeXt-50",
     NULL,
     false,
     {0.2518, 0.3325, 0.8777, NAN, NAN},
     {0.2291, 0.3017, 0.8997, NAN, NAN}},
    {"CRNet", NULL, false, {0.2816, 0.3669, 0.8450, NAN, NAN}, NONE},
    {"HMTNet, centre crop",
     &experiment_joint,
     false,
     {0.2501, 0.3263, 0.8783, 0.9816, 0.9926},
     {0.2380, 0.3141, 0.8912, 0.9875, 0.9956}},
    {"HMTNet, five crops",
     &experiment_joint,
     true,
     {0.2439, 0.3226, 0.8801, 0.9858, 0.9945},
     NONE}};

static const experiment aggregators[] = {{"average", &experiment_joint, false, NONE, NONE},
                                         {"concatenate", &concatenate, false, NONE, NONE}};

#define TABLE(id, title, rows)                                                                     \
    {                                                                                              \
        id, title, rows, sizeof rows / sizeof rows[0]                                              \
    }

const experiment_table experiment_tables[] = {
    TABLE("2", "Losses of the score", losses), TABLE("3", "Tasks together and alone", single_tasks),
    TABLE("4", "Networks", methods), TABLE("aggregator", "How inner maps are joined", aggregators)};
const size_t experiment_table_count = sizeof experiment_tables / sizeof experiment_tables[0];

const double experiment_transfer[5] = {0.8582, 0.8607, 0.8662, 0.8709, 0.8977};
