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
from typing import NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))

class Work(NamedTuple):
    """One row: what the peer and hmtnet-bench are asked for, and the project's limits."""
    name: str
    peer: str
    kind: str      # of the peer, see PEERS
    batch: int
    repeat: int    # timed runs of a process
    least: float   # ratio of the times
    most: float    # our peak in MB, or None
    storage: str   # of our model file; None: a fresh network, trained


WORKS = (Work('inference, batch 32', 'ONNX Runtime', 'infer', 32, 3, 1.7, None, 'f32'),
         Work('inference, batch 1', 'ONNX Runtime', 'infer', 1, 15, 1.4, 500, 'f32'),
         Work('inference, batch 1, 16-bit weights (f16)', 'ncnn, bf16 storage', 'ncnn', 1, 15, 1.8, 280, 'f16'),
         Work('inference, batch 8, int8', 'ONNX Runtime, int8', 'int8', 8, 5, 1.1, None, 'i8'),
         Work('inference, batch 8, ours float32', 'ONNX Runtime, int8', 'int8', 8, 5, None, None, 'f32'),
         Work('training step, batch 32', 'PyTorch', 'train', 32, 1, 3.3, 1800, None))
FIRST_RATIO = 4     # first prediction of a fresh process, against ONNX Runtime's
CORES_RATIO = 1.85  # all threads against one
CORES_PAIRS = 5     # of runs in a round
SCORE_SHARE = 0.95  # of the raw rate, what hmtnet-score should reach


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
    session = onnx_session(path, threads)
    images = numpy.random.default_rng(1).standard_normal((batch, 3, 224, 224), dtype=numpy.float32)
    return timed(lambda: session.run(None, {'input': images}), repeat)


def onnx_session(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])


def peer_first(batch, repeat, threads, path):
    """Load and first run; the runtime is imported already, which is to the peer's advantage."""
    import numpy
    import onnxruntime
    images = numpy.zeros((batch, 3, 224, 224), dtype=numpy.float32)
    start = time.perf_counter()
    onnx_session(path, threads).run(None, {'input': images})
    return (time.perf_counter() - start) * 1000


def peer_ncnn(batch, repeat, threads, prefix):
    import numpy
    from hmtnet_ncnn import load, predict
    net = load(prefix, threads, True)
    image = numpy.random.default_rng(1).standard_normal((3, 224, 224), dtype=numpy.float32)
    return timed(lambda: predict(net, image), repeat)


def peer_train(batch, repeat, threads, width):
    import torch
    from hmtnet_torch import HMTNet, training_step
    torch.set_num_threads(threads)
    net = HMTNet(float(width)).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-5, momentum=0.9, weight_decay=0.05)
    images = torch.randn(batch, 3, 224, 224)
    gender, race, score = torch.randint(2, (batch,)), torch.randint(2, (batch,)), 1 + 4 * torch.rand(batch)
    return timed(lambda: training_step(net, optimiser, images, gender, race, score), repeat)


PEERS = {'infer': peer_infer, 'int8': peer_infer, 'first': peer_first, 'ncnn': peer_ncnn, 'train': peer_train}


def quantise(path, target, batch):
    """Static int8 quantisation, per channel, calibrated on noise like that which is timed."""
    import numpy
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Noise(CalibrationDataReader):
        left = 2

        def get_next(self):
            self.left -= 1
            shape = (batch, 3, 224, 224)
            return {'input': numpy.random.default_rng(self.left).standard_normal(shape, dtype=numpy.float32)} if self.left >= 0 else None

    quant_pre_process(path, target + '.prepared')
    quantize_static(target + '.prepared', target, Noise(), quant_format=QuantFormat.QDQ, per_channel=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)


def write_peer(kind, target, batch, width):
    """The file that a peer reads. In a process of its own: its memory is not the runtime's."""
    if kind == 'ncnn':
        import hmtnet_ncnn
        hmtnet_ncnn.write(target, width)
        return
    import hmtnet_onnx
    path = target + '.float' if kind == 'int8' else target
    hmtnet_onnx.write(path, batch, width)
    if kind == 'int8':
        quantise(path, target, batch)


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


def ours(args, kind, batch, repeat, source, threads=None):
    """The JSON object of hmtnet-bench; source: options that say which network; threads: None for those of `args`."""
    return json.loads(output_of([program(args, 'hmtnet-bench'), kind, '--batch', str(batch), '--repeat', str(repeat),
                                 '--threads', str(threads or args.threads), '--json'] + source))


def program(args, name):
    return os.path.abspath(os.path.join(args.build, 'examples', name))


def limit(text, value):
    return f' ({text} {value})' if value is not None else ''


def peer_file(args, place, kind, batch):
    path = os.path.join(place, f'{kind}-{batch}')
    output_of([sys.executable, os.path.abspath(__file__), '--write', kind, path, str(batch), str(args.width)])
    return path


def compare_peers(args, place, models):
    """Prints the table; returns the last answer of hmtnet-bench, which knows the machine."""
    print('| work | peer | peer ms | ours ms | ratio | peer peak MB | ours peak MB |')
    print('|---|---|---|---|---|---|---|')
    for work in WORKS:
        if args.only and not any(text in work.name for text in args.only):
            continue
        argument = peer_file(args, place, work.kind, work.batch) if work.storage else str(args.width)
        source = ['--model', models[work.storage]] if work.storage else ['--width', str(args.width)]
        theirs, mine = [], []
        for _ in range(args.rounds):
            theirs.append(peer(work.kind, work.batch, work.repeat, args.threads, argument))
            mine.append(ours(args, 'infer' if work.storage else 'train', work.batch, work.repeat, source))
        peer_ms = statistics.median(ms for ms, _ in theirs)
        ours_ms = statistics.median(answer['run_ms_median'] for answer in mine)
        print(f'| {work.name} | {work.peer} | {peer_ms:.1f} | {ours_ms:.1f} | {peer_ms / ours_ms:.2f} x{limit("at least", work.least)} | '
              f'{max(mb for _, mb in theirs):.0f} | {max(a["peak_memory_bytes"] for a in mine) / 1e6:.0f}'
              f'{limit("at most", work.most)} |', flush=True)
    return ours(args, 'infer', 1, 1, ['--model', models['f32']])


def compare_first(args, place, models):
    """From the start of hmtnet-score to its end, with one photo, beside the peer's load and first run."""
    face, path = os.path.join(place, 'faces', '00000.jpg'), peer_file(args, place, 'first', 1)
    theirs, mine = [], []
    for _ in range(args.rounds):
        theirs.append(peer('first', 1, 1, args.threads, path)[0])
        start = time.perf_counter()
        output_of([program(args, 'hmtnet-score'), '--quiet', '--model', models['f32'], '--threads', str(args.threads), face])
        mine.append((time.perf_counter() - start) * 1000)
    peer_ms, ours_ms = statistics.median(theirs), statistics.median(mine)
    print(f'\nFirst prediction of a fresh process from its model file: ONNX Runtime {peer_ms:.0f} ms (without its import), '
          f'`hmtnet-score` from start to exit {ours_ms:.0f} ms: {peer_ms / ours_ms:.1f} x (at least {FIRST_RATIO})', flush=True)


def compare_cores(args, models):
    """Pairs of runs one behind the other: on a shared machine a core's speed changes from one minute to the next."""
    def milliseconds(threads):
        return ours(args, 'infer', 32, 3, ['--model', models['f32']], threads)['run_ms_median']

    pairs = []
    for pair in range(CORES_PAIRS * args.rounds):
        order = (1, args.threads) if pair % 2 == 0 else (args.threads, 1)
        times = {threads: milliseconds(threads) for threads in order}
        pairs.append((times[1], times[args.threads]))
    one, many = (statistics.median(times) for times in zip(*pairs))
    ratio = statistics.median(alone / together for alone, together in pairs)
    print(f'\nInference, batch 32: one thread {one:.0f} ms, {args.threads} threads {many:.0f} ms; median of {len(pairs)} pairs '
          f'{ratio:.2f} x (at least {CORES_RATIO} for two)', flush=True)


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


def full_models(args, place):
    """Model files of the asked width, by storage: hmtnet-train's first step is enough, as values do not change the time."""
    table, models = os.path.join(place, 'one.csv'), {}
    face = os.path.join(place, 'faces', '00000.jpg')
    with open(table, 'w') as rows:
        rows.write('path,gender,race,score\n' + f'{face},0,0,3\n{face},1,1,2\n')
    for storage in ('f32', 'f16', 'i8'):
        models[storage] = os.path.join(place, storage + '.safetensors')
        output_of([program(args, 'hmtnet-train'), '--data', table, '--output', models[storage], '--width', str(args.width),
                   '--storage', storage, '--epochs', '1', '--batch', '2', '--threads', str(args.threads), '--quiet'])
    return models


def compare_score(args, place, model):
    """hmtnet-score over a folder, from start to exit, beside hmtnet-bench on the same model."""
    folder = os.path.join(place, 'faces')
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
    parser.add_argument('--photos', type=int, default=2000, help='how many files to score, copies of those (2000)')
    parser.add_argument('--only', nargs='+', help='only the rows whose name has one of these; also: first, cores, score')
    parser.add_argument('--write', nargs=4, help=argparse.SUPPRESS)
    parser.add_argument('--quick', action='store_true', help='one round, 96 photos: to see that it runs')
    parser.add_argument('--peer', nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.build, args.faces = os.path.abspath(args.build), os.path.abspath(args.faces)
    if args.quick:
        args.rounds, args.photos = 1, 96
    if min(args.rounds, args.threads, args.photos) < 1:
        parser.error('rounds, threads and photos start at 1')
    return args


def main():
    args = options()
    if args.write:
        kind, path, batch, width = args.write
        write_peer(kind, path, int(batch), float(width))
        return
    if args.peer:
        kind, batch, repeat, threads, argument = args.peer
        print(json.dumps({'ms': PEERS[kind](int(batch), int(repeat), int(threads), argument), 'mb': peak_megabytes()}))
        return
    versions = output_of([sys.executable, '-c', 'import ncnn, onnxruntime, torch; print("ONNX Runtime", onnxruntime.__version__ + ",",'
                          ' "PyTorch", torch.__version__ + ",", "ncnn", ncnn.__version__)']).strip()
    print(f'{time.strftime("%Y-%m-%d")}, {machine()}, {args.threads} threads; {versions}; medians of {args.rounds} '
          f'round{"s" if args.rounds > 1 else ""}, width {args.width:g}; load average at the start {os.getloadavg()[0]:.2f}\n')

    def wanted(name):
        return not args.only or name in args.only

    with tempfile.TemporaryDirectory(prefix='hmtnet-bench-') as place:
        copies(args.faces, args.photos, place)
        models = full_models(args, place)
        answer = compare_peers(args, place, models)
        if wanted('first'):
            compare_first(args, place, models)
        if wanted('cores'):
            compare_cores(args, models)
        if wanted('score'):
            compare_score(args, place, models['f32'])
    print(f'\nlibhmtnet {answer["version"]} on {answer["backend"]}; this machine\'s measured peak {answer["peak_gflops"]:.0f} '
          f'GFLOP/s, {answer["bandwidth_gbs"]:.1f} GB/s')


if __name__ == '__main__':
    main()
