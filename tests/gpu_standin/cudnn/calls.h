/*
 * calls.h - the frame of every cuDNN call: lock, planned fault, lost device, last error.
 */
#ifndef GPU_STANDIN_CUDNN_CALLS_H
#define GPU_STANDIN_CUDNN_CALLS_H

#include <cudnn.h>

cudnnStatus_t dnn_begin(const char *name);
cudnnStatus_t dnn_end(cudnnStatus_t status);

#endif
