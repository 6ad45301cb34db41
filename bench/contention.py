"""What another busy process costs: libhmtnet, ONNX Runtime and PyTorch alone, and beside a loop that never sleeps.

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

# Kind, batch, timed runs of a process, and the peer.
WORK = (('infer', 1, 8, 'ONNX Runtime'), ('infer', 8, 8, 'ONNX Runtime'), ('train', 32, 4, 'PyTorch'))


@contextlib.contextmanager
def busy(count):
    loops = [subprocess.Popen([sys.executable, '-c', 'while True: pass'], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def once(args, kind, batch, repeat, peer, argument):
    """Milliseconds of each side."""
    width = ['--width', str(args.width)]
    return {peer: compare.peer(kind, batch, repeat, args.threads, argument)[0],
            'ours': compare.ours(args, kind, batch, repeat, width)['run_ms_median']}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(compare.HERE, '..', 'build'), help='build tree with the programs')
    parser.add_argument('--rounds', type=int, default=3)
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
        for work in WORK:
            kind, batch = work[:2]
            argument = compare.peer_file(args, place, kind, batch) if kind == 'infer' else str(args.width)
            alone, beside = [], []
            for _ in range(args.rounds):
                alone.append(once(args, *work, argument))
                with busy(args.busy):
                    beside.append(once(args, *work, argument))
            for who in alone[0]:
                quiet, loaded = (statistics.median(times[who] for times in side) for side in (alone, beside))
                print(f'| {"training step" if kind == "train" else "inference"}, batch {batch} | {who} | {quiet:.1f} | {loaded:.1f} | '
                      f'{loaded / quiet:.1f} |', flush=True)


if __name__ == '__main__':
    main()
