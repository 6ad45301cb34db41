"""HMTNet in PyTorch, to compare with: released wiring, average aggregator, parameters by their released names.

`python hmtnet_torch.py --check [FOLDER]` runs it against the golden files infer_released_w8.json and train_released_w8.json.
"""
import json
import os
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


def filled(config):
    from golden import fixed_fill
    net = HMTNet(config['width'])
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if value.dtype.is_floating_point: # not the counters of batch norm
                value.copy_(torch.from_numpy(fixed_fill(name, tuple(value.shape))))
    return net


def images_of(golden):
    from golden import fixed_fill
    return torch.from_numpy(fixed_fill(golden['input'], (golden['batch'], 3, 224, 224)))


def check_inference(path):
    from golden import report
    golden = json.load(open(path))
    with torch.no_grad():
        found = filled(golden['config']).eval()(images_of(golden))
    return all([report(key, value, golden[key], 1e-4)
                for key, value in zip(('gender_logits', 'race_logits', 'attractiveness'), found)])


def check_training(path):
    """The losses of all steps, then the parameters and statistics at the golden file's sample positions."""
    from golden import report
    golden = json.load(open(path))
    net = filled(golden['config']).train()
    optimiser = torch.optim.SGD(net.parameters(), golden['lr'], golden['momentum'], weight_decay=golden['weight_decay'])
    labels = [torch.tensor(golden[key]) for key in ('gender', 'race', 'score')]
    losses = [training_step(net, optimiser, images_of(golden), *labels) for _ in golden['steps']]
    good = report('loss of each step', losses, [step['loss'] for step in golden['steps']], 1e-4)
    state, found, wanted = net.state_dict(), [], []
    for name, digest in golden['state_after'].items():
        flat = state[name].flatten()
        for index, value in digest['at'].items():
            found.append(flat[int(index)].item() / digest['max_abs'])
            wanted.append(value / digest['max_abs'])
    return report(f'{len(golden["state_after"])} tensors after the steps', found, wanted, 2e-3) and good


if __name__ == '__main__':
    from golden import folder_from
    folder = folder_from(sys.argv)
    checks = [check_inference(os.path.join(folder, 'infer_released_w8.json')),
              check_training(os.path.join(folder, 'train_released_w8.json'))]
    sys.exit(0 if all(checks) else 1)
