"""HMTNet as an ONNX file, made node by node: released wiring, average aggregator, inference form.

write(path, batch, width) makes one with random parameters; batch norms stay nodes, the runtime folds them itself.
`python hmtnet_onnx.py --check [FOLDER]` runs one in ONNX Runtime against the golden file infer_released_w8.json.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def random_parameter(rng):
    """He initialisation for convolutions, the identity for batch norms."""
    def make(name, shape):
        if len(shape) == 4:
            return rng.standard_normal(shape, dtype=np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        return np.full(shape, float(name.endswith(('weight', 'running_var'))))
    return make


def write(path, batch, width=1.0, parameter=None):
    """parameter(name, shape) gives each tensor by its released name; random ones where it is left out."""
    parameter = parameter or random_parameter(np.random.default_rng(1))
    nodes, constants = [], []

    def channels(count):
        return max(1, round(count * width))

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def add(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(x, name, inputs, outputs, kernel, stride=1, pad=0):
        weight = constant(name + '.weight', parameter(name + '.weight', (outputs, inputs, kernel, kernel)))
        bias = constant(name + '.bias', parameter(name + '.bias', (outputs,)))
        return add('Conv', [x, weight, bias], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def norm_relu(x, name, count, affine=True):
        parts = [constant(f'{name}.{part}', parameter(f'{name}.{part}', (count,)) if affine or 'running' in part
                          else np.full(count, float(part == 'weight')))
                 for part in ('weight', 'bias', 'running_mean', 'running_var')]
        return add('Relu', [add('BatchNormalization', [x] + parts, name, epsilon=1e-5)], name + '.relu')

    def pool(x, name, kernel, stride, ceil=0):
        return add('MaxPool', [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, ceil_mode=ceil)

    def mean(inputs, name):
        return add('Mul', [add('Sum', inputs, name + '.sum'), constant(name + '.third', np.array(1 / 3))], name)

    def branch(x, letter, classes):
        sizes = [channels(512), channels(256), channels(128), classes]
        for i, (kernel, stride) in enumerate(((3, 1), (3, 1), (1, 2))):
            name = f'{letter}branch.{letter}'
            x = conv(x, f'{name}conv{i + 1}', sizes[i], sizes[i + 1], kernel, stride)
            x = norm_relu(x, f'{name}bn{i + 1}', sizes[i + 1])
            if i == 1:
                x = pool(x, letter + 'pool', 3, 3)
        return add('GlobalAveragePool', [x], letter + 'logits')

    c96, c256, c512, c4096 = map(channels, (96, 256, 512, 4096))
    x = pool(norm_relu(conv('input', 'conv1', 3, c96, 7, 2), 'bn49', c96), 'pool1', 3, 2)
    x = pool(norm_relu(conv(x, 'conv2', c96, c256, 5, 2, 1), 'bn50', c256), 'pool2', 3, 2, ceil=1)
    conv3 = conv(x, 'conv3', c256, c512, 3, 1, 1)
    relu3 = norm_relu(conv3, 'bn51', c512)
    x = norm_relu(conv(relu3, 'conv4', c512, c512, 3, 1, 1), 'bn52', c512)
    relu5 = norm_relu(conv(x, 'conv5', c512, c512, 3, 1, 1), 'bn53', c512)
    agg1 = mean([conv3, relu3, relu5], 'agg1')
    fc6 = conv(pool(agg1, 'pool5', 3, 2), 'fc6', c512, c4096, 6)
    fc7 = conv(norm_relu(fc6, 'bn54', c4096, affine=False), 'fc7', c4096, c4096, 1)
    score = conv(mean([fc6, fc7, norm_relu(fc7, 'bn55', c4096)], 'agg2'), 'fc8', c4096, 1, 1)
    outputs = [branch(relu3, 'g', 2), branch(agg1, 'r', 2), score]

    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(nodes, 'hmtnet', [value('input', [batch, 3, 224, 224])],
                              [value(name, None) for name in outputs], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9), path)


def check(folder):
    import json
    import os
    import tempfile

    import onnxruntime
    from golden import fixed_fill, report
    golden = json.load(open(os.path.join(folder, 'infer_released_w8.json')))
    images = fixed_fill(golden['input'], (golden['batch'], 3, 224, 224))
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, 'hmtnet.onnx')
        write(path, golden['batch'], golden['config']['width'], fixed_fill)
        session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
        found = session.run(None, {'input': images})
    return all([report(key, value.reshape(np.shape(golden[key])), golden[key], 1e-4)
                for key, value in zip(('gender_logits', 'race_logits', 'attractiveness'), found)])


if __name__ == '__main__':
    from golden import folder_from
    sys.exit(0 if check(folder_from(sys.argv)) else 1)
