"""Draws where each step of an inference stands under this machine's roof: docs/roofline.svg.

    roofline.py OUTPUT.svg ONE.json [MORE.json]     from `hmtnet-bench infer --steps --json`, e.g. of batch 1 and 32

Across: operations for each byte of operands, read or written once. Up: operations a second. The roof is the measured
bandwidth, then the measured peak. Winograd's steps are counted as the operations of the direct form, so they may stand above it.
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 520, 70, 50, 30, 20
ACROSS, UP = (0.1, 2000), (1, 1000)  # FLOP/byte, GFLOP/s
COLOURS = ('#1f6fb4', '#d1622b')


def x_of(intensity):
    share = math.log(intensity / ACROSS[0]) / math.log(ACROSS[1] / ACROSS[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_of(rate):
    share = math.log(rate / UP[0]) / math.log(UP[1] / UP[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def text(x, y, words, anchor='start', size=12, colour='#333'):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{words}</text>'


def line(x1, y1, x2, y2, colour, width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def grid():
    for power in range(-1, 4):
        at = 10.0 ** power
        if ACROSS[0] <= at <= ACROSS[1]:
            yield line(x_of(at), TOP, x_of(at), HEIGHT - BOTTOM, '#ddd')
            yield text(x_of(at), HEIGHT - BOTTOM + 18, f'{at:g}', 'middle')
        if UP[0] <= at <= UP[1]:
            yield line(LEFT, y_of(at), WIDTH - RIGHT, y_of(at), '#ddd')
            yield text(LEFT - 8, y_of(at) + 4, f'{at:g}', 'end')
    yield text((LEFT + WIDTH) / 2, HEIGHT - 12, 'operations per byte', 'middle', 13)
    yield text(LEFT, TOP - 12, 'GFLOP/s', 'middle', 13)


def roof(run):
    peak, bandwidth = run['peak_gflops'], run['bandwidth_gbs']
    ridge = peak / bandwidth
    yield line(x_of(ACROSS[0]), y_of(max(UP[0], bandwidth * ACROSS[0])), x_of(ridge), y_of(peak), '#333', 2)
    yield line(x_of(ridge), y_of(peak), x_of(ACROSS[1]), y_of(peak), '#333', 2)
    yield text(x_of(ACROSS[1]), y_of(peak) + 16, f'{peak:.0f} GFLOP/s', 'end')
    yield text(x_of(0.25), y_of(bandwidth * 0.25) - 10, f'{bandwidth:.0f} GB/s')


def dots(run, colour):
    taken = []
    for step in run['steps']:
        rate = 1e-6 * step['flops'] / step['ms'] if step['ms'] > 0 else 0
        if rate < UP[0] or step['ms'] < 0.004 * run['run_ms_median']:
            continue
        x, y = x_of(step['flops'] / step['bytes']), y_of(min(rate, UP[1]))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}" fill-opacity="0.8"/>'
        label = y + 4
        while any(abs(label - other) < 11 and abs(x - at) < 75 for at, other in taken):
            label += 11
        taken.append((x, label))
        yield text(x + 8, label, step['name'].split('.')[-1], size=10, colour=colour)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.strip())
    try:
        runs = [json.load(open(path)) for path in sys.argv[2:]]
        parts = list(grid()) + list(roof(runs[0]))
        for run, colour, row in zip(runs, COLOURS, range(2)):
            parts += dots(run, colour)
            parts.append(text(WIDTH - RIGHT - 8, HEIGHT - BOTTOM - 30 + 16 * row, f'batch {run["batch"]}', 'end', 13, colour))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f'roofline: not the output of hmtnet-bench --steps --json: {error}')
    with open(sys.argv[1], 'w') as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n'
                   f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n' + '\n'.join(parts) + '\n</svg>\n')


if __name__ == '__main__':
    main()
