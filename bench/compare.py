"""libhmtnet beside its peers, in one run, on one machine.

Each measurement is a process of its own, so that its peak memory is honest. Rounds alternate between peer and ours, so
that noise on the machine meets both. The table has medians of the rounds. Run it with the Python that peers.sh prints.
The exit status tells whether it could be measured, not who was faster.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# work, peer, what hmtnet-bench is asked for, batch, timed runs of a process, limits of the project: least ratio, most MB
WORKS = (('inference, batch 32', 'ONNX Runtime', 'infer', 32, 3, 1.0, None),
         ('inference, batch 1', 'ONNX Runtime', 'infer', 1, 15, None, 600),
         ('training step, batch 32', 'PyTorch', 'train', 32, 1, 2.0, 2300))
SCORE_SHARE = 0.85 # of the raw rate, what hmtnet-score should reach


def peak_megabytes():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) * 1024 / 1e6 for line in status if line.startswith('VmHWM'))


def timed(work, repeat):
    """Median milliseconds of `repeat` runs, after one that is not timed."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def peer_infer(batch, repeat, threads, path):
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    images = numpy.random.default_rng(1).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    return timed(lambda: session.run(None, {'input': images}), repeat)


def peer_train(batch, repeat, threads, width):
    import torch
    from hmtnet_torch import HMTNet, training_step
    torch.set_num_threads(threads)
    net = HMTNet(float(width)).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-5, momentum=0.9, weight_decay=0.05)
    images = torch.randn(batch, 3, 224, 224)
    gender, race, score = torch.randint(2, (batch,)), torch.randint(2, (batch,)), 1 + 4 * torch.rand(batch)
    return timed(lambda: training_step(net, optimiser, images, gender, race, score), repeat)


def output_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE)
    if done.returncode:
        sys.exit(f'compare: {" ".join(command)} failed ({done.returncode}):\n{done.stderr.strip()}')
    return done.stdout


def peer(kind, batch, repeat, threads, argument):
    """(median milliseconds, peak megabytes) of the peer, in a process of its own."""
    command = [sys.executable, os.path.abspath(__file__), '--peer', kind, str(batch), str(repeat), str(threads), argument]
    answer = json.loads(output_of(command))
    return answer['ms'], answer['mb']


def ours(args, kind, batch, repeat, source):
    """The JSON object of hmtnet-bench; source: options that say which network."""
    return json.loads(output_of([program(args, 'hmtnet-bench'), kind, '--batch', str(batch), '--repeat', str(repeat),
                                 '--threads', str(args.threads), '--json'] + source))


def program(args, name):
    return os.path.abspath(os.path.join(args.build, 'examples', name))


def limit(text, value):
    return f' ({text} {value})' if value is not None else ''


def compare_peers(args, place):
    """Prints the table; returns the last answer of hmtnet-bench, which knows the machine."""
    print('| work | peer | peer ms | ours ms | ratio | peer peak MB | ours peak MB |')
    print('|---|---|---|---|---|---|---|')
    for work, name, kind, batch, repeat, least, most in WORKS:
        argument = str(args.width)
        if kind == 'infer': # written by a process of its own: its memory is not the runtime's
            argument = os.path.join(place, f'hmtnet-{batch}.onnx')
            output_of([sys.executable, '-c', 'import sys, hmtnet_onnx; hmtnet_onnx.write(sys.argv[1], int(sys.argv[2]),'
                       ' float(sys.argv[3]))', argument, str(batch), str(args.width)])
        theirs, mine = [], []
        for _ in range(args.rounds):
            theirs.append(peer(kind, batch, repeat, args.threads, argument))
            mine.append(ours(args, kind, batch, repeat, ['--width', str(args.width)]))
        peer_ms = statistics.median(ms for ms, _ in theirs)
        ours_ms = statistics.median(answer['run_ms_median'] for answer in mine)
        print(f'| {work} | {name} | {peer_ms:.1f} | {ours_ms:.1f} | {peer_ms / ours_ms:.2f} x{limit("at least", least)} | '
              f'{max(mb for _, mb in theirs):.0f} | {max(a["peak_memory_bytes"] for a in mine) / 1e6:.0f}'
              f'{limit("at most", most)} |', flush=True)
        if kind == 'infer':
            os.remove(argument)
    return mine[-1]


def copies(faces, count, place):
    """A folder of `count` JPEGs, the given ones over and over; each is read and decoded anew."""
    sources = sorted(os.path.join(path, name) for path, _, names in os.walk(faces) for name in names
                     if name.lower().endswith(('.jpg', '.jpeg')))
    if not sources:
        sys.exit(f'compare: no JPEG under {faces}')
    folder = os.path.join(place, 'faces')
    os.mkdir(folder)
    for i in range(count):
        shutil.copyfile(sources[i % len(sources)], os.path.join(folder, f'{i:05}.jpg'))
    return folder


def full_model(args, place):
    """A model file of the asked width: hmtnet-train's first step is enough, as values do not change the time."""
    table, path = os.path.join(place, 'one.csv'), os.path.join(place, 'model.safetensors')
    face = os.path.join(place, 'faces', '00000.jpg')
    with open(table, 'w') as rows:
        rows.write('path,gender,race,score\n' + f'{face},0,0,3\n{face},1,1,2\n')
    output_of([program(args, 'hmtnet-train'), '--data', table, '--output', path, '--width', str(args.width), '--epochs', '1',
               '--batch', '2', '--threads', str(args.threads), '--quiet'])
    return path


def compare_score(args, place):
    """hmtnet-score over a folder, from start to exit, beside hmtnet-bench on the same model."""
    folder = copies(args.faces, args.photos, place)
    model = args.model or full_model(args, place)
    whole, raw = [], []
    for _ in range(args.rounds):
        start = time.perf_counter()
        output_of([program(args, 'hmtnet-score'), '--model', model, '--threads', str(args.threads), '--batch', '32',
                   '--output', os.path.join(place, 'scores.csv'), folder])
        whole.append(args.photos / (time.perf_counter() - start))
        raw.append(ours(args, 'infer', 32, 3, ['--model', model])['images_per_second'])
    rate, best = statistics.median(whole), statistics.median(raw)
    print(f'\n`hmtnet-score`, {args.photos} JPEGs, start and end included: {rate:.1f} photos/s; raw inference {best:.1f}: '
          f'{100 * rate / best:.0f} % (at least {100 * SCORE_SHARE:.0f} %)', flush=True)


def machine():
    with open('/proc/cpuinfo') as lines:
        facts = dict(line.split(':', 1) for line in lines if ':' in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    level = next((name for name in ('avx512f', 'avx2') if name in facts.get('flags', '').split()), 'neither AVX2 nor AVX-512')
    return f'{facts.get("model name", platform.machine())} ({level.upper() if level.startswith("avx") else level})'


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.join(HERE, '..')
    parser.add_argument('--build', default=os.path.join(root, 'build'), help='build tree with the programs')
    parser.add_argument('--rounds', type=int, default=5, help='rounds of peer and ours (5)')
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)), help='threads of each (all processors)')
    parser.add_argument('--width', type=float, default=1.0, help='times the channel counts (1)')
    parser.add_argument('--faces', default=os.path.join(root, 'examples', 'faces'), help='JPEGs to score (examples/faces)')
    parser.add_argument('--photos', type=int, default=960, help='how many files to score, copies of those (960)')
    parser.add_argument('--model', help='model to score with (a fresh one of --width)')
    parser.add_argument('--quick', action='store_true', help='one round, 96 photos: to see that it runs')
    parser.add_argument('--peer', nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.build, args.faces = os.path.abspath(args.build), os.path.abspath(args.faces)
    args.model = args.model and os.path.abspath(args.model)
    if args.quick:
        args.rounds, args.photos = 1, 96
    if min(args.rounds, args.threads, args.photos) < 1:
        parser.error('rounds, threads and photos start at 1')
    return args


def main():
    args = options()
    if args.peer:
        kind, batch, repeat, threads, argument = args.peer
        work = {'infer': peer_infer, 'train': peer_train}[kind]
        print(json.dumps({'ms': work(int(batch), int(repeat), int(threads), argument), 'mb': peak_megabytes()}))
        return
    versions = output_of([sys.executable, '-c', 'import onnxruntime, torch; print("ONNX Runtime", onnxruntime.__version__ + ",",'
                          ' "PyTorch", torch.__version__)']).strip()
    print(f'{time.strftime("%Y-%m-%d")}, {machine()}, {args.threads} threads; {versions}; medians of {args.rounds} '
          f'round{"s" if args.rounds > 1 else ""}, width {args.width:g}; load average at the start {os.getloadavg()[0]:.2f}\n')
    with tempfile.TemporaryDirectory(prefix='hmtnet-bench-') as place:
        answer = compare_peers(args, place)
        compare_score(args, place)
    print(f'\nlibhmtnet {answer["version"]} on {answer["backend"]}; this machine\'s measured peak {answer["peak_gflops"]:.0f} '
          f'GFLOP/s, {answer["bandwidth_gbs"]:.1f} GB/s')


if __name__ == '__main__':
    main()
