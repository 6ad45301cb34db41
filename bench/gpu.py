#!/usr/bin/env python3
"""libhmtnet's GPU module beside PyTorch on one NVIDIA GPU: inference and training steps, in TF32 and bfloat16.

PyTorch runs channels last and compiled; in bfloat16 inference has its parameters in bfloat16 too, training is under autocast.
Both sides begin with float images in host memory and end with the results there. Each measurement is a process of its own;
rounds alternate between the two, and the table has medians. The ratio is PyTorch's time by ours. Memory is what nvidia-smi
shows for the process at its peak, CUDA's own part included. Needs PyTorch with CUDA; without a GPU it says so and ends with
status 77. --check runs everything small and on the CPU, uncompiled, to see that this program works: its figures mean nothing.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PRECISIONS = {'tf32': 'tf32', 'bf16': 'bfloat16'}  # ours for each of theirs
WARM_UP = 10


def gpu():
    """The GPU's name, or None and why there is none."""
    try:
        import torch
    except ImportError:
        return None, 'PyTorch is not installed'
    if not torch.cuda.is_available():
        return None, 'PyTorch finds no GPU'
    return torch.cuda.get_device_name(0), None


# ------------------------------------------------------------------------------ PyTorch's side

def peer_infer(torch, net, batch, precision, device):
    """A function that runs once."""
    net.eval()
    kind = torch.bfloat16 if precision == 'bf16' else torch.float32
    net.to(kind)
    host = torch.randn(batch, 3, 224, 224)
    host = host.pin_memory() if device == 'cuda' else host

    def run():
        with torch.inference_mode():
            images = host.to(device, non_blocking=True).to(kind, memory_format=torch.channels_last)
            return [output.float().cpu() for output in net(images)]
    return run


def peer_train(torch, net, batch, precision, device):
    from hmtnet_torch import training_step
    net.train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-5, momentum=0.9, weight_decay=0.05)
    host = torch.randn(batch, 3, 224, 224)
    host = host.pin_memory() if device == 'cuda' else host
    labels = [torch.randint(2, (batch,)), torch.randint(2, (batch,)), 1 + 4 * torch.rand(batch)]

    def run():
        images = host.to(device, non_blocking=True).to(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=precision == 'bf16'):
            return float(training_step(net, optimiser, images, *(label.to(device) for label in labels)))
    return run


def peer(kind, batch, precision, repeat, device, width):
    """Prints the median milliseconds of a run as JSON; the process's whole work."""
    import torch
    from hmtnet_torch import HMTNet
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    net = HMTNet(width).to(device).to(memory_format=torch.channels_last)
    run = {'infer': peer_infer, 'train': peer_train}[kind](torch, net, batch, precision, device)
    if device == 'cuda':
        net.compile(mode='max-autotune')
    times = []
    for i in range(WARM_UP + repeat):
        start = time.perf_counter()
        run()  # its results are on the host, so it has ended
        if i >= WARM_UP:
            times.append(1e3 * (time.perf_counter() - start))
    print(json.dumps({'run_ms_median': statistics.median(times)}))


# ------------------------------------------------------------------------------ both sides

def used_megabytes(text, pid):
    """What nvidia-smi's lines "pid, megabytes" say of a process; 0 if nothing."""
    rows = [line.split(',') for line in text.splitlines() if line.count(',') == 1]
    return sum(int(used) for number, used in rows if number.strip() == str(pid) and used.strip().isdigit())


def watch(process, peak):
    """Keeps the largest memory that a process has on the GPU."""
    command = ['nvidia-smi', '--query-compute-apps=pid,used_memory', '--format=csv,noheader,nounits']
    while process.poll() is None:
        shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        peak[0] = max(peak[0], used_megabytes(shown, process.pid))
        time.sleep(0.1)


def answer_of(text):
    """Median milliseconds from the JSON object that a side prints last."""
    answer = json.loads(text.strip().splitlines()[-1])
    return float(answer['run_ms_median'])


def measure(command, on_gpu):
    """(median milliseconds, peak megabytes on the GPU or None) of a process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process, peak)) if on_gpu else None
    if watcher:
        watcher.start()
    out, errors = process.communicate()
    if watcher:
        watcher.join()
    if process.returncode:
        sys.exit(f'gpu.py: {" ".join(command)} failed ({process.returncode}):\n{errors.strip()}')
    return answer_of(out), peak[0] or None


def commands(args, kind, batch, precision):
    """How each side is started: PyTorch's, ours."""
    theirs = [sys.executable, os.path.abspath(__file__), '--peer', kind, str(batch), precision]
    ours = [os.path.abspath(os.path.join(args.build, 'examples', 'hmtnet-bench')), kind, '--batch', str(batch), '--json']
    if args.check:
        return theirs + ['--check', '--repeat', '1'], ours + ['--repeat', '1', '--backend', 'onednn', '--width', '0.0625']
    return (theirs + ['--repeat', str(args.repeat)],
            ours + ['--repeat', str(args.repeat), '--backend', 'cudnn', '--precision', PRECISIONS[precision]])


def row(args, kind, batch, precision):
    theirs, mine = [], []
    for _ in range(args.rounds):
        for command, results in zip(commands(args, kind, batch, precision), (theirs, mine)):
            results.append(measure(command, not args.check))
    peer_ms, ours_ms = (statistics.median(ms for ms, _ in results) for results in (theirs, mine))
    peer_mb, ours_mb = (max((mb for _, mb in results if mb), default=None) for results in (theirs, mine))
    memory = ' | '.join('-' if mb is None else str(mb) for mb in (peer_mb, ours_mb))
    return f'| {kind} | {batch} | {precision} | {peer_ms:.3f} | {ours_ms:.3f} | {peer_ms / ours_ms:.2f} x | {memory} |'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(HERE, '..', 'build'))
    parser.add_argument('--batches', default='1,32,256', help='of inference; 0: none')
    parser.add_argument('--train-batches', default='32,128', help='of training steps; 0: none')
    parser.add_argument('--repeat', type=int, default=30, help='timed runs of a process')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--check', action='store_true', help='small, on the CPU, only to see that it works')
    parser.add_argument('--peer', nargs=3, metavar=('KIND', 'BATCH', 'PRECISION'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        peer(args.peer[0], int(args.peer[1]), args.peer[2], args.repeat, 'cpu' if args.check else 'cuda',
             0.0625 if args.check else 1.0)
        return 0
    name, why = ('no GPU, figures mean nothing', None) if args.check else gpu()
    if name is None:
        print(f'gpu.py: nothing measured: {why}', file=sys.stderr)
        return 77
    print(f'{name}\n\n| work | batch | precision | PyTorch ms | ours ms | ratio | PyTorch peak MB | ours peak MB |\n|---|---|---|---|---|---|---|---|')
    for kind, batches in (('infer', args.batches), ('train', args.train_batches)):
        for batch in (int(text) for text in batches.split(',') if int(text) > 0):
            for precision in PRECISIONS:
                print(row(args, kind, batch, precision), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
