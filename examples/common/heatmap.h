/*
 * Where a network looks: one map (height,width) of a photo, out of its activations and gradients.
 *
 * References: Grad-CAM is Selvaraju et al. 2017, saliency Simonyan et al. 2014, its mean over noisy
 * copies Smilkov et al. 2017.
 */
#ifndef EXAMPLES_HEATMAP_H
#define EXAMPLES_HEATMAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct heatmap {
    float *values; /* (height,width) */
    size_t height, width;
} heatmap;

heatmap heatmap_create(size_t height, size_t width);
void heatmap_free(heatmap *map);

/* Of activations (channels,height,width): their mean, or the channel with the largest sum. */
void heatmap_mean(heatmap *map, const float *values, size_t channels);
void heatmap_strongest(heatmap *map, const float *values, size_t channels);
/* Grad-CAM: channels weighed by the mean of their gradient; what speaks against the class is 0. */
void heatmap_grad_cam(heatmap *map, const float *values, const float *gradient, size_t channels);
/* Adds the largest |gradient| over `channels` colours of one image. */
void heatmap_add_saliency(heatmap *map, const float *gradient, size_t channels);

/* Gaussian blur, deviation in pixels; cells beyond the edge do not count. */
void heatmap_blur(heatmap *map, double deviation);
/* Makes the lowest value 0 (or leaves it, if keep_zero is set) and the value that `share` of the
 * cells do not exceed 1; a map without any spread becomes 0. */
void heatmap_scale(heatmap *map, double share, int keep_zero);
/* The same map, bilinear, at another size. Its cells tile the picture. */
heatmap heatmap_resize(const heatmap *map, size_t height, size_t width);
/* The same for a layer's map: its cells lie `stride` pixels of a photo of `side` pixels apart,
 * around its middle, and what lies beyond the outer ones has their values. stride 0: the largest
 * power of two with which they fit, as in networks whose layers halve their maps. */
heatmap heatmap_spread(const heatmap *map, size_t stride, size_t side, size_t size);

/* Lays the map over an RGB photo of its size: grey below, coloured the more the higher the value.
 * opacity in [0,1] is that of the highest; the lowest has half of it. */
void heatmap_overlay(const heatmap *map, const uint8_t *photo, double opacity, uint8_t *rgb);

#endif
