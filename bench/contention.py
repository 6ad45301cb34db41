"""What another busy process costs: libhmtnet and ONNX Runtime alone, and beside a loop that never sleeps.

Threads that wait for each other may spin or sleep. Whoever spins takes the processor from the thread that is waited for
once there is other work on the machine. The loop runs in a session of its own, so that the kernel shares the processors
between it and what is measured. Rounds alternate; medians. Run it with the Python that peers.sh prints.
"""
import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile

import compare

# Inference waits as the library does. For training: libgomp's default, and what the project's programs set
# (examples/common/waiting.c).
DEFAULT = '300000'
WAITING = {'infer': (('ours', DEFAULT),), 'train': (('ours, libgomp\'s default', DEFAULT), ('ours, as our programs wait', '1000'))}
PEER = 'ONNX Runtime'


@contextlib.contextmanager
def busy(count):
    loops = [subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def once(args, kind, batch, peer_file):
    """Milliseconds of each side."""
    times = {}
    if kind == 'infer':
        times[PEER] = compare.peer('infer', batch, args.repeat, args.threads, peer_file)[0]
    for name, spins in WAITING[kind]:
        os.environ['GOMP_SPINCOUNT'] = spins
        times[name] = compare.ours(args, kind, batch, args.repeat, ['--width', str(args.width)])['run_ms_median']
    os.environ.pop('GOMP_SPINCOUNT', None)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(compare.HERE, '..', 'build'), help='build tree with the programs')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--repeat', type=int, default=8, help='timed runs of a process (8)')
    parser.add_argument('--busy', type=int, default=1, help='processes that never sleep (1)')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--width', type=float, default=1.0)
    args = parser.parse_args()
    args.build = os.path.abspath(args.build)
    os.environ.pop('GOMP_SPINCOUNT', None)
    os.environ.pop('OMP_WAIT_POLICY', None)
    print(f'{compare.machine()}, {args.threads} threads, {args.busy} busy beside; medians of {args.rounds} rounds\n')
    print('| work | who | alone, ms | beside, ms | beside / alone |\n|---|---|---|---|---|')
    with tempfile.TemporaryDirectory(prefix='hmtnet-bench-') as place:
        for kind, batch in (('infer', 1), ('infer', 8), ('train', 32)):
            path = compare.peer_file(args, place, 'infer', batch) if kind == 'infer' else None
            alone, beside = [], []
            for _ in range(args.rounds):
                alone.append(once(args, kind, batch, path))
                with busy(args.busy):
                    beside.append(once(args, kind, batch, path))
            for who in alone[0]:
                quiet, loaded = (statistics.median(times[who] for times in side) for side in (alone, beside))
                print(f'| {"training step" if kind == "train" else "inference"}, batch {batch} | {who} | {quiet:.1f} | {loaded:.1f} | '
                      f'{loaded / quiet:.1f} |', flush=True)


if __name__ == '__main__':
    main()
