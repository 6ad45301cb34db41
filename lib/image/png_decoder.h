/*
 * The parts of the PNG decoder: png.c decodes through libpng, png_metadata.c finds the orientation
 * in its chunks.
 */
#ifndef HMT_IMAGE_PNG_DECODER_H
#define HMT_IMAGE_PNG_DECODER_H

#include <png.h>

#include "image/image.h"

/* The largest chunk that is taken into memory, the pixels' aside, and what a text may unpack to. */
enum { PNG_CHUNK_BYTES = 8 << 20, PNG_TEXT_BYTES = 1 << 20 };

/* Everything that must survive a jump. */
typedef struct png_reader {
    png_structp png;
    png_infop info;
    decoding *d;
    const uint8_t *data; /* what is left of the file */
    size_t left;
    uint8_t *pixels; /* rows of 3 or 4 channels */
    size_t channels;
    uint64_t last_row_bytes; /* read of the pixels' chunks since the last row was asked for */
    bool in_rows;            /* the pixels' chunks are being read */
    bool in_last_row;
    bool rows_done;    /* every pixel is there */
    bool truncated;    /* the file ended before */
    bool bad_checksum; /* of the chunk that is being read */
    int exif;          /* orientations; 0: none */
    int profile;
    int xmp;
    int unpacked; /* texts that were unpacked: small ones can unpack to much */
    hmt_status status;
} png_reader;

/* libpng's memory, which is the allocator's, for a png struct whose memory pointer is the reader:
 * large blocks are refused, which libpng takes as a reason to pass over a chunk. */
void *png_reader_allocate(png_structp png, png_alloc_size_t size);
void png_reader_release(png_structp png, void *block);

/* libpng's callback for chunks: notes the orientation in eXIf, tEXt, zTXt, iTXt. */
int png_note_orientation(png_structp png, png_unknown_chunkp chunk);

#endif
