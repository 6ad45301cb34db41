/*
 * The parts of the JPEG decoder: jpeg.c decodes through libjpeg, jpeg_messages.c says what its
 * messages mean, jpeg_scans.c walks over a file's markers before any of it is decoded.
 */
#ifndef HMT_IMAGE_JPEG_H
#define HMT_IMAGE_JPEG_H

#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */

#include <jpeglib.h>

#include "image/image.h"

/* What a file's markers say. */
typedef struct jpeg_scans {
    size_t size;         /* bytes up to the end marker, or to a segment that the file cuts off */
    uint64_t scans;      /* how often the image is passed over */
    uint64_t components; /* those of each scan, added up */
} jpeg_scans;

void jpeg_find_scans(const uint8_t *data, size_t size, jpeg_scans *found);

/* Everything that must survive a jump. */
typedef struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    decoding *d;
    jpeg_scans scans;
    uint64_t done, total; /* pixels of work */
    bool in_scans;        /* the header is read */
    bool ended;           /* libjpeg asked for bytes beyond the end */
    bool missing;         /* and needed them: pixels are grey that should not be */
    hmt_status status;
} jpeg_reader;

/* Sets up libjpeg's error handler: failures set the status and jump to `escape`. */
void jpeg_catch_messages(jpeg_reader *r);
/* Sets the status and jumps. */
_Noreturn void jpeg_give_up(jpeg_reader *r, hmt_status status);

#endif
