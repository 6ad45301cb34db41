"""Cost of one photo against batch size and width, as Markdown tables: scaling.py [BUILD] [--model FILE]

Each figure is the median of hmtnet-bench's runs, ms for one photo.
"""
import argparse
import json
import os
import subprocess
import sys

BATCHES = (1, 2, 4, 8, 16, 32, 64)
WIDTHS = (0.125, 0.25, 0.5, 1)


def photo_ms(program, options):
    done = subprocess.run([program, 'infer', '--json'] + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f'scaling: {program} failed ({done.returncode}): {done.stderr.strip()}')
    return json.loads(done.stdout)['image_ms_median']


def table(head, cells):
    print('| ' + ' | '.join([head] + [f'{key:g}' for key, _ in cells]) + ' |')
    print('|' + '---|' * (len(cells) + 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'build')
    parser.add_argument('build', nargs='?', default=default, help='build tree with the programs')
    parser.add_argument('--model', help='model file for the batches (a fresh network of width 1)')
    args = parser.parse_args()
    program = os.path.join(args.build, 'examples', 'hmtnet-bench')
    source = ['--model', args.model] if args.model else []
    cells = [(batch, photo_ms(program, ['--batch', str(batch), '--repeat', '7'] + source)) for batch in BATCHES]
    table('batch', cells)
    print('| ms for a photo | ' + ' | '.join(f'{ms:.1f}' for _, ms in cells) + ' |\n')
    for batch in (1, 32):
        cells = [(width, photo_ms(program, ['--width', str(width), '--batch', str(batch), '--repeat', '7'])) for width in WIDTHS]
        if batch == 1:
            table('width', cells)
        print(f'| ms for a photo, batch {batch} | ' + ' | '.join(f'{ms:.2f}' for _, ms in cells) + ' |')


if __name__ == '__main__':
    main()
