#!/usr/bin/env python3
"""gpu.py [--build DIR] [--batches 1,32,256] - libhmtnet's GPU module beside PyTorch on one NVIDIA GPU.

PyTorch runs channels last and compiled, in TF32 and bfloat16 (hmtnet_torch.py has the network). Prints one line for each batch,
precision and side: median milliseconds of a run. Needs PyTorch with CUDA; without a GPU it says so and ends with status 77.
"""
import argparse
import statistics
import subprocess
import sys
import time


def gpu():
    try:
        import torch
    except ImportError:
        return None, "PyTorch is not installed"
    if not torch.cuda.is_available():
        return None, "PyTorch finds no GPU"
    return torch, torch.cuda.get_device_name(0)


def time_torch(torch, batch, precision, runs=30):
    """Median milliseconds of a compiled forward run."""
    import hmtnet_torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    model = hmtnet_torch.HMTNet().eval().cuda().to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, 224, 224, device="cuda").to(memory_format=torch.channels_last)
    if precision == "bf16":
        model, images = model.bfloat16(), images.bfloat16()
    run = torch.compile(model, mode="max-autotune")
    times = []
    with torch.inference_mode():
        for i in range(runs + 10):
            torch.cuda.synchronize()
            start = time.perf_counter()
            run(images)
            torch.cuda.synchronize()
            if i >= 10:
                times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--batches", default="1,32,256")
    arguments = parser.parse_args()
    torch, what = gpu()
    if torch is None:
        print(f"gpu.py: nothing measured: {what}", file=sys.stderr)
        return 77
    print(f"{what}, PyTorch {torch.__version__}, CUDA {torch.version.cuda}")
    for batch in map(int, arguments.batches.split(",")):
        for precision in ("tf32", "bf16"):
            print(f"torch   batch {batch:3d} {precision}: {time_torch(torch, batch, precision):.3f} ms")
            command = [f"{arguments.build}/examples/hmtnet-bench", "infer", "--backend", "cudnn", "--precision",
                       "bfloat16" if precision == "bf16" else precision,
                       "--batch", str(batch)]
            print(f"hmtnet  {' '.join(command)}")
            subprocess.run(command, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
