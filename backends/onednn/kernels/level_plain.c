/* The kernels for any processor. */
#define TABLE kernels_plain
#define LEVEL "plain"
#define LANES 8
#define ROWS 3
#include "level_body.h"
