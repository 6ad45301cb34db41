/* Viridis by seventeen of its colours, interpolated (see colormap.h). */
#include "colormap.h"

static const uint8_t controls[][3] = {
    {68, 1, 84},    {72, 24, 106},  {71, 45, 123},  {66, 64, 134},  {59, 82, 139},  {51, 99, 141},
    {44, 114, 142}, {38, 130, 142}, {33, 145, 140}, {31, 160, 136}, {40, 174, 128}, {63, 188, 115},
    {94, 201, 98},  {132, 212, 75}, {173, 220, 48}, {216, 226, 25}, {253, 231, 37}};
enum { LAST = sizeof controls / sizeof controls[0] - 1 };

void colormap_viridis(double value, uint8_t rgb[3])
{
    double at = value > 0.0 ? (value < 1.0 ? value : 1.0) * LAST : 0.0;
    int from = at < LAST ? (int)at : LAST - 1;
    double share = at - from;
    for (int i = 0; i < 3; i++)
        rgb[i] = (uint8_t)(controls[from][i] * (1.0 - share) + controls[from + 1][i] * share + 0.5);
}
