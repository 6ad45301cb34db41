/*
 * PyTorch checkpoints: what torch.save() writes, as a zip archive (PyTorch 1.6 and later) or as one
 * stream (before, or with _use_new_zipfile_serialization=False), with a state dict in it.
 *
 * The state dict is the pickled object itself or an entry of that dict, on request one of a name. A
 * beginning up to a dot that all its names share, such as DataParallel's "module.", is left out.
 * Nothing in the file is run: its pickle is read as data, and one that names anything but tensors
 * and a few plain types is refused with that name.
 */
#ifndef HMT_FORMAT_TORCH_H
#define HMT_FORMAT_TORCH_H

#include "format/tensors.h"

/* Do these bytes begin as a checkpoint does? */
bool torch_is(const unsigned char *data, size_t size);
/* tensors_open() of a checkpoint. Memory asked for beyond the index is that of the pickle
 * (pickle.h), and given back. HMT_ERROR_FORMAT; _UNSUPPORTED: no state dict or several, a whole
 * module or other objects, big endian, a tensor that is sparse, expanded or of an unknown type;
 * _LIMIT, _MEMORY. */
hmt_status torch_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                      const char *what, const char *state_dict, tensors_index *index);

#endif
