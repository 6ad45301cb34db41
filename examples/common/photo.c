/* How photos are decoded (see photo.h). */
#include "photo.h"

hmt_decode_options photo_decoding = HMT_DECODE_OPTIONS_INIT;
