/*
 * What the photos of a data set are: each decoded once, on several threads, and remembered by its
 * content, so that the same photo is found under two names.
 */
#ifndef EXAMPLES_SURVEY_H
#define EXAMPLES_SURVEY_H

#include <stdbool.h>

#include <hmtnet/data.h>

enum { SURVEY_LOOK = 4 }; /* words of 64 bits */

typedef struct survey_photo {
    bool good;
    char *message; /* why it is not; NULL if it is */
    int32_t width, height;
    uint64_t pixels;            /* a number for its pixels */
    uint64_t look[SURVEY_LOOK]; /* where it gets brighter from left to right, on a 16 x 16 grid */
} survey_photo;

typedef struct survey {
    const hmt_dataset *set;
    survey_photo *photos; /* (count) */
    size_t count, bad;
} survey;

/* false: interrupted, or a message has been printed. */
bool survey_run(survey *s, const hmt_dataset *set, int workers, bool quiet);
void survey_free(survey *s);

/* How two readable photos compare. */
typedef enum survey_match { SURVEY_OTHER, SURVEY_ALIKE, SURVEY_SAME } survey_match;
survey_match survey_compare(const survey *s, size_t a, size_t b);

#endif
