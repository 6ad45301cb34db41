"""HMTNet in ncnn's text format: released wiring, average aggregator, batch norms folded into convolutions where they can be.

write(prefix, width) makes prefix.param and prefix.bin with random parameters.
`python hmtnet_ncnn.py --check [FOLDER]` runs one in float32 against the golden file infer_released_w8.json.
"""
import sys

import numpy as np

from hmtnet_onnx import random_parameter

EPSILON = 1e-5


def write(prefix, width=1.0, parameter=None):
    """parameter(name, shape) gives each tensor by its released name; random ones where it is left out."""
    parameter = parameter or random_parameter(np.random.default_rng(1))
    layers, weights = [], []

    def channels(count):
        return max(1, round(count * width))

    def add(kind, inputs, name, *options):
        layers.append((kind, name, list(inputs), [name], ' '.join(options)))
        return name

    def norm_parts(name, count, affine=True):
        return [parameter(f'{name}.{part}', (count,)) if affine or 'running' in part else np.full(count, float(part == 'weight'))
                for part in ('weight', 'bias', 'running_mean', 'running_var')]

    def keep(array, flag=False):
        weights.append((b'\0\0\0\0' if flag else b'') + np.ascontiguousarray(array, dtype=np.float32).tobytes())

    def conv(x, name, inputs, outputs, kernel, stride=1, pad=0, norm=None, product=False):
        """A convolution, or the inner product that it is on its whole input; with `norm` folded in and a relu."""
        weight = parameter(name + '.weight', (outputs, inputs, kernel, kernel))
        bias = parameter(name + '.bias', (outputs,))
        if norm:
            gamma, beta, mean, variance = norm_parts(norm, outputs)
            slope = gamma / np.sqrt(variance + EPSILON)
            weight, bias = weight * slope[:, None, None, None], bias * slope + beta - mean * slope
        keep(weight, flag=True)
        keep(bias)
        relu = f'9={int(norm is not None)}'
        if product:
            return add('InnerProduct', [x], name, f'0={outputs}', '1=1', f'2={weight.size}', relu)
        return add('Convolution', [x], name, f'0={outputs}', f'1={kernel}', f'3={stride}', f'4={pad}', '5=1', f'6={weight.size}', relu)

    def norm_relu(x, name, count, affine=True):
        gamma, beta, mean, variance = norm_parts(name, count, affine)
        for part in (gamma, mean, variance, beta):
            keep(part)
        return add('ReLU', [add('BatchNorm', [x], name, f'0={count}', f'1={EPSILON}')], name + '.relu')

    def pool(x, name, kernel, stride, ceil=0):
        return add('Pooling', [x], name, '0=0', f'1={kernel}', f'2={stride}', f'5={0 if ceil else 1}')

    def mean(inputs, name):
        return add('Eltwise', inputs, name, '0=1', '-23301=3,' + ','.join(['0.33333334'] * 3))

    def branch(x, letter, classes):
        sizes = [channels(512), channels(256), channels(128), classes]
        for i, (kernel, stride) in enumerate(((3, 1), (3, 1), (1, 2))):
            name = f'{letter}branch.{letter}'
            x = conv(x, f'{name}conv{i + 1}', sizes[i], sizes[i + 1], kernel, stride, norm=f'{name}bn{i + 1}')
            if i == 1:
                x = pool(x, letter + 'pool', 3, 3)
        return add('Pooling', [x], letter + 'logits', '0=1', '4=1')

    c96, c256, c512, c4096 = map(channels, (96, 256, 512, 4096))
    layers.append(('Input', 'input', [], ['input'], ''))
    x = pool(conv('input', 'conv1', 3, c96, 7, 2, norm='bn49'), 'pool1', 3, 2)
    x = pool(conv(x, 'conv2', c96, c256, 5, 2, 1, norm='bn50'), 'pool2', 3, 2, ceil=1)
    conv3 = conv(x, 'conv3', c256, c512, 3, 1, 1)
    relu3 = norm_relu(conv3, 'bn51', c512)
    x = conv(relu3, 'conv4', c512, c512, 3, 1, 1, norm='bn52')
    relu5 = conv(x, 'conv5', c512, c512, 3, 1, 1, norm='bn53')
    agg1 = mean([conv3, relu3, relu5], 'agg1')
    fc6 = conv(pool(agg1, 'pool5', 3, 2), 'fc6', c512, c4096, 6, product=True)
    fc7 = conv(norm_relu(fc6, 'bn54', c4096, affine=False), 'fc7', c4096, c4096, 1, product=True)
    conv(mean([fc6, fc7, norm_relu(fc7, 'bn55', c4096)], 'agg2'), 'fc8', c4096, 1, 1, product=True)
    branch(relu3, 'g', 2)
    branch(agg1, 'r', 2)
    write_layers(prefix + '.param', split(layers))
    with open(prefix + '.bin', 'wb') as file:
        file.write(b''.join(weights))


def split(layers):
    """ncnn wants a layer of its own where a blob has several readers."""
    readers = {}
    for _, _, inputs, _, _ in layers:
        for blob in inputs:
            readers[blob] = readers.get(blob, 0) + 1
    used, result = {}, []
    for kind, name, inputs, outputs, options in layers:
        for i, blob in enumerate(inputs):
            if readers[blob] > 1:
                used[blob] = used.get(blob, 0) + 1
                inputs[i] = f'{blob}.{used[blob]}'
        result.append((kind, name, inputs, outputs, options))
        count = readers.get(outputs[0], 0)
        if count > 1:
            result.append(('Split', outputs[0] + '.split', [outputs[0]], [f'{outputs[0]}.{i + 1}' for i in range(count)], ''))
    return result


def write_layers(path, layers):
    blobs = sum(len(outputs) for _, _, _, outputs, _ in layers)
    with open(path, 'w') as file:
        file.write(f'7767517\n{len(layers)} {blobs}\n')
        for kind, name, inputs, outputs, options in layers:
            file.write(' '.join([kind, name, str(len(inputs)), str(len(outputs))] + inputs + outputs + [options]) + '\n')


def load(prefix, threads, halves):
    """The network, with bf16 storage if `halves`."""
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_bf16_storage = halves
    net.opt.use_fp16_storage = net.opt.use_fp16_packed = halves
    if net.load_param(prefix + '.param') or net.load_model(prefix + '.bin'):
        sys.exit(f'hmtnet_ncnn: ncnn cannot load {prefix}')
    return net


def predict(net, image, outputs=('glogits', 'rlogits', 'fc8')):
    import ncnn
    run = net.create_extractor()
    run.input('input', ncnn.Mat(image))
    return [np.array(run.extract(name)[1]) for name in outputs]


def check(folder):
    import json
    import os
    import tempfile

    from golden import fixed_fill, report
    golden = json.load(open(os.path.join(folder, 'infer_released_w8.json')))
    images = fixed_fill(golden['input'], (golden['batch'], 3, 224, 224)).astype(np.float32)
    with tempfile.TemporaryDirectory() as place:
        prefix = os.path.join(place, 'hmtnet')
        write(prefix, golden['config']['width'], fixed_fill)
        net = load(prefix, 1, False)
        found = [np.stack(values) for values in zip(*(predict(net, np.ascontiguousarray(image)) for image in images))]
    return all([report(key, value.reshape(np.shape(golden[key])), golden[key], 1e-4)
                for key, value in zip(('gender_logits', 'race_logits', 'attractiveness'), found)])


if __name__ == '__main__':
    from golden import folder_from
    sys.exit(0 if check(folder_from(sys.argv)) else 1)
