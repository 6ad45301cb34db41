/*
 * The CPU backend on oneDNN 3: layouts chosen by oneDNN, weights packed once, everything prepared
 * before the first run.
 */
#ifndef HMT_BACKENDS_ONEDNN_H
#define HMT_BACKENDS_ONEDNN_H

#include <hmtnet/backend.h>

extern const hmt_backend backend_onednn;

#endif
