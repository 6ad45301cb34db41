"""libhmtnet beside its peers, in one run: compare.py [--build DIR] [--rounds N] [--faces DIR] [--model FILE].

Each measurement is a process of its own, so that memory is honest; rounds alternate between peer and ours, so that noise
on the machine meets both; the table has medians. Run it with the Python that peers.sh prints.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def peak_megabytes():
    for line in open('/proc/self/status'):
        if line.startswith('VmHWM'):
            return int(line.split()[1]) / 1000
    return 0.0


def timed(work, repeat):
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def peer_onnxruntime(batch, repeat, threads):
    import numpy
    import onnxruntime
    path = os.path.join(tempfile.gettempdir(), f'hmtnet-bench-{batch}.onnx')
    if not os.path.exists(path): # made by a process of its own: its memory is not the runtime's
        subprocess.run([sys.executable, '-c', f'import hmtnet_onnx; hmtnet_onnx.write({path!r}, {batch})'], check=True, cwd=HERE)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    images = numpy.random.default_rng(1).standard_normal((batch, 3, 224, 224)).astype(numpy.float32)
    return timed(lambda: session.run(None, {'input': images}), repeat)


def peer_torch_train(batch, repeat, threads):
    import torch
    from hmtnet_torch import HMTNet, training_step
    torch.set_num_threads(threads)
    net = HMTNet().train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=0.05)
    images = torch.randn(batch, 3, 224, 224)
    gender, race, score = torch.randint(2, (batch,)), torch.randint(2, (batch,)), 1 + 4 * torch.rand(batch)
    return timed(lambda: training_step(net, optimiser, images, gender, race, score), repeat)


def child(kind, batch, repeat, threads):
    """Runs a peer in a process of its own: (median milliseconds, peak megabytes)."""
    command = [sys.executable, os.path.abspath(__file__), '--peer', kind, str(batch), str(repeat), str(threads)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE).stdout)
    return answer['ms'], answer['mb']


def ours(build, kind, batch, repeat, threads):
    command = [os.path.join(build, 'examples', 'hmtnet-bench'), kind, '--batch', str(batch), '--repeat', str(repeat),
               '--threads', str(threads), '--json']
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer['run_ms_median'], answer['peak_memory_bytes'] / 1e6


def score_rate(build, model, faces, threads):
    """Images a second of hmtnet-score over a folder, all included but the start, and of raw inference."""
    score = os.path.join(build, 'examples', 'hmtnet-score')
    start = time.perf_counter()
    subprocess.run([score, '--model', model, '--threads', str(threads), '--batch', '32', '--output', os.devnull, faces],
                   check=False, capture_output=True)
    seconds = time.perf_counter() - start
    count = sum(name.lower().endswith(('.jpg', '.jpeg', '.png')) for _, _, names in os.walk(faces) for name in names)
    command = [os.path.join(build, 'examples', 'hmtnet-bench'), 'infer', '--model', model, '--batch', '32',
               '--threads', str(threads), '--json']
    raw = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return count / seconds, 32000 / raw['run_ms_median']


def processor():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(HERE, '..', 'build'), help='build tree with the programs')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument('--faces', help='folder of JPEGs for the rate of hmtnet-score')
    parser.add_argument('--model', help='model for that; needed with --faces')
    parser.add_argument('--peer', nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        kind, batch, repeat, threads = args.peer[0], *map(int, args.peer[1:])
        work = {'onnxruntime': peer_onnxruntime, 'torch-train': peer_torch_train}[kind]
        print(json.dumps({'ms': work(batch, repeat, threads), 'mb': peak_megabytes()}))
        return

    import onnxruntime
    import torch
    print(f'{processor()}, {args.threads} threads, {time.strftime("%Y-%m-%d")}, load {os.getloadavg()[0]:.2f}; '
          f'ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}; medians of {args.rounds} rounds\n')
    print('| work | peer | peer ms | ours ms | ratio | peer peak MB | ours peak MB |')
    print('|---|---|---|---|---|---|---|')
    for work, peer, kind, batch, repeat in (('inference, batch 32', 'onnxruntime', 'infer', 32, 3),
                                            ('inference, batch 1', 'onnxruntime', 'infer', 1, 15),
                                            ('training step, batch 32', 'torch-train', 'train', 32, 1)):
        rounds = [(child(peer, batch, repeat, args.threads), ours(args.build, kind, batch, repeat, args.threads))
                  for _ in range(args.rounds if kind == 'infer' else max(1, args.rounds // 2))]
        theirs = statistics.median(r[0][0] for r in rounds)
        mine = statistics.median(r[1][0] for r in rounds)
        print(f'| {work} | {peer} | {theirs:.1f} | {mine:.1f} | {theirs / mine:.2f} x | '
              f'{max(r[0][1] for r in rounds):.0f} | {max(r[1][1] for r in rounds):.0f} |', flush=True)
    if args.faces:
        rates = [score_rate(args.build, args.model, args.faces, args.threads) for _ in range(args.rounds)]
        whole, raw = (statistics.median(r[i] for r in rates) for i in (0, 1))
        print(f'\nhmtnet-score: {whole:.1f} images/s over the folder, raw inference {raw:.1f}: {100 * whole / raw:.0f} %')


if __name__ == '__main__':
    main()
