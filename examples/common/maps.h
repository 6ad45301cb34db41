/*
 * Maps of what a network answers to in a photo, drawn over the face: activations of inner layers,
 * gradient saliency, Grad-CAM. A row of maps is described once and drawn for each photo.
 */
#ifndef EXAMPLES_MAPS_H
#define EXAMPLES_MAPS_H

#include "network.h"

enum { MAPS_MOST_TAPS = 16, MAPS_MOST_COLUMNS = 64, MAPS_NAME = 64 };

typedef enum map_method { MAP_ACTIVATION, MAP_SALIENCY, MAP_GRAD_CAM, MAP_METHODS } map_method;

/* One map of a row; tap and task -1 where the method has none. */
typedef struct map_column {
    map_method method;
    int tap, task;
} map_column;

typedef struct maps {
    /* Set by the caller. */
    size_t size;  /* side of a picture, pixels */
    size_t noise; /* saliency: the mean over so many noisy copies; 0: of the photo itself */
    double opacity, blur;
    bool strongest; /* activation: the channel that answers most, instead of their mean */

    /* Filled in by the functions below. */
    network net;
    char taps[MAPS_MOST_TAPS][MAPS_NAME];
    int tap_count;
    map_column columns[MAPS_MOST_COLUMNS];
    int column_count;

    /* Its own. */
    int64_t shapes[MAPS_MOST_TAPS][4];
    size_t batch;                /* the photo, and its noisy copies */
    float *images;               /* (batch,3,224,224) */
    float *values, *gradient;    /* of a tap or the images, whichever is largest */
    hmt_prediction *predictions; /* (batch) the first is the photo's */
    uint8_t *face, *picture;     /* (size,size,3) */
} maps;

/* The trunk's last map on the way to each head: the branches' own are too coarse to be looked at.
 */
extern const char *const maps_task_taps[HMT_TASK_COUNT];

/* The index of a tap, which is added if it is new; -1 if there is no room. */
int maps_add_tap(maps *m, const char *name);
/* Adds a map to the row. false: there is no room. */
bool maps_add(maps *m, map_method method, int tap, int task);
/* Loads the model and prepares it for the row. false: a message has been printed; free it all the
 * same. */
bool maps_prepare(maps *m, const char *model, const device_settings *device);
void maps_free(maps *m);

/* Looks at a photo: m->face and m->predictions. 1: done, 0: it cannot be read, and `message` says
 * why, -1: computing failed, and a message has been printed. */
int maps_photo(maps *m, const char *path, char *message, size_t capacity);
/* Draws map `column` of that photo into m->picture. false: a message has been printed. */
bool maps_draw(maps *m, int column);

#endif
