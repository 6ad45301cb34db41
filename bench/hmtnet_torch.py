"""HMTNet in PyTorch, to compare with: released wiring, average aggregator. `python hmtnet_torch.py GOLDEN.json` checks it."""
import sys

import torch
from torch import nn


class Branch(nn.Module):
    """GNet or RNet (paper, table 1)."""

    def __init__(self, letter, inputs, width, classes):
        super().__init__()
        sizes = [inputs, round(256 * width), round(128 * width), classes]
        for i in range(3):
            kernel, stride = ((3, 1), (3, 1), (1, 2))[i]
            self.add_module(f'{letter}conv{i + 1}', nn.Conv2d(sizes[i], sizes[i + 1], kernel, stride))
            self.add_module(f'{letter}bn{i + 1}', nn.BatchNorm2d(sizes[i + 1]))
        self.letter = letter

    def forward(self, x):
        for i in range(1, 4):
            x = torch.relu(getattr(self, f'{self.letter}bn{i}')(getattr(self, f'{self.letter}conv{i}')(x)))
            if i == 2:
                x = nn.functional.max_pool2d(x, 3, 3)
        return x.mean((2, 3))


class HMTNet(nn.Module):
    def __init__(self, width=1.0, genders=2, races=2):
        super().__init__()
        c = lambda n: max(1, round(n * width))
        self.conv1, self.bn49 = nn.Conv2d(3, c(96), 7, 2), nn.BatchNorm2d(c(96))
        self.conv2, self.bn50 = nn.Conv2d(c(96), c(256), 5, 2, 1), nn.BatchNorm2d(c(256))
        self.conv3, self.bn51 = nn.Conv2d(c(256), c(512), 3, 1, 1), nn.BatchNorm2d(c(512))
        self.conv4, self.bn52 = nn.Conv2d(c(512), c(512), 3, 1, 1), nn.BatchNorm2d(c(512))
        self.conv5, self.bn53 = nn.Conv2d(c(512), c(512), 3, 1, 1), nn.BatchNorm2d(c(512))
        self.fc6, self.bn54 = nn.Conv2d(c(512), c(4096), 6), nn.BatchNorm2d(c(4096), affine=False)
        self.fc7, self.bn55 = nn.Conv2d(c(4096), c(4096), 1), nn.BatchNorm2d(c(4096))
        self.fc8 = nn.Conv2d(c(4096), 1, 1)
        self.gbranch = Branch('g', c(512), width, genders)
        self.rbranch = Branch('r', c(512), width, races)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.bn49(self.conv1(x))), 3, 2)
        x = nn.functional.max_pool2d(torch.relu(self.bn50(self.conv2(x))), 3, 2, ceil_mode=True)
        conv3 = self.conv3(x)
        relu3 = torch.relu(self.bn51(conv3))
        relu5 = torch.relu(self.bn53(self.conv5(torch.relu(self.bn52(self.conv4(relu3))))))
        agg1 = (conv3 + relu3 + relu5) / 3
        fc6 = self.fc6(nn.functional.max_pool2d(agg1, 3, 2))
        fc7 = self.fc7(torch.relu(self.bn54(fc6)))
        score = self.fc8((fc6 + fc7 + torch.relu(self.bn55(fc7))) / 3)
        return self.gbranch(relu3), self.rbranch(agg1), score.flatten()


def smooth_huber(prediction, label, delta=0.6):
    e = (prediction - label).abs()
    log_cosh = e + nn.functional.softplus(-2 * e) - 0.6931471805599453
    return torch.where(e <= delta, log_cosh, e).mean()


def training_step(net, optimiser, images, gender, race, score):
    """One step with the paper's losses; returns the total loss."""
    optimiser.zero_grad(set_to_none=True)
    g, r, a = net(images)
    loss = (nn.functional.cross_entropy(g, gender) + nn.functional.cross_entropy(r, race) +
            2 * smooth_huber(a, score))
    loss.backward()
    optimiser.step()
    return loss.item()


def fixed_fill(name, shape):
    """The golden files' weights: every tensor from its name alone."""
    import numpy as np
    seed = 0xcbf29ce484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    n = int(np.prod(shape))
    with np.errstate(over='ignore'):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
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
    return torch.from_numpy(x.astype(np.float32).reshape(shape))


def check(path):
    import json
    golden = json.load(open(path))
    net = HMTNet(golden['config'].get('width', 1.0)).eval()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                value.copy_(fixed_fill(name, tuple(value.shape)))
        ours = net(fixed_fill(golden['input'], (golden['batch'], 3, 224, 224)))
    for value, key in zip(ours, ('gender_logits', 'race_logits', 'attractiveness')):
        wanted = torch.tensor(golden[key])
        error = ((value - wanted).abs().max() / wanted.abs().max()).item()
        print(f'{key}: relative error {error:.1e}')
        assert error < 1e-4


if __name__ == '__main__':
    check(sys.argv[1])
