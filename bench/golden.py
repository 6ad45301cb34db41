"""The golden files' tensors and comparisons, for checking that the peers compute the same network."""
import os
import sys

import numpy as np


def fixed_fill(name, shape):
    """Every tensor from its name alone: FNV-1a of the name seeds splitmix64 (float32 array)."""
    seed = 0xcbf29ce484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    z = np.uint64(seed) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(40)).astype(np.float64) / 2 ** 24
    v, leaf = 2 * u - 1, name.rsplit('.', 1)[-1]
    if leaf == 'running_mean':
        x = 0.1 * v
    elif leaf == 'running_var':
        x = 1 + 0.5 * u
    elif name.endswith(('gbn3.bias', 'rbn3.bias')):
        x = 4 + v
    elif leaf == 'bias':
        x = 0.1 * v
    elif leaf == 'weight':
        x = 1 + 0.25 * v if len(shape) == 1 else v * np.sqrt(6 / np.prod(shape[1:]))
    else:
        x = 2 * v
    return x.astype(np.float32).reshape(shape)


def report(name, found, wanted, tolerance):
    """Prints the largest error relative to the largest wanted value; true within tolerance."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    good = bool(error <= tolerance) # false for NaN
    print(f'{name}: relative error {error:.1e}, allowed {tolerance:.0e}{"" if good else "  FAILED"}')
    return good


def folder_from(arguments):
    """The folder of golden files from `--check [FOLDER]`."""
    if len(arguments) not in (2, 3) or arguments[1] != '--check':
        sys.exit(f'usage: {arguments[0]} --check [FOLDER]')
    if len(arguments) == 3:
        return arguments[2]
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..')
    return os.path.join(os.environ.get('HMTNET_SHARED', os.path.join(root, '..', 'shared')), 'golden')
