"""The same network as an ONNX file, made node by node: hmtnet_onnx.write(path, batch, width)."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write(path, batch, width=1.0, seed=1):
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    c = lambda n: max(1, round(n * width))

    def constant(name, value):
        weights.append(numpy_helper.from_array(value.astype(np.float32), name))
        return name

    def add(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(x, name, inputs, outputs, kernel, stride=1, pad=0):
        weight = rng.standard_normal((outputs, inputs, kernel, kernel)) * np.sqrt(2 / (inputs * kernel * kernel))
        return add('Conv', [x, constant(name + '.weight', weight), constant(name + '.bias', np.zeros(outputs))], name,
                   kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)

    def norm_relu(x, name, channels):
        parts = [constant(f'{name}.{part}', np.full(channels, value))
                 for part, value in (('weight', 1.0), ('bias', 0.0), ('mean', 0.0), ('var', 1.0))]
        return add('Relu', [add('BatchNormalization', [x] + parts, name, epsilon=1e-5)], name + '.relu')

    def pool(x, name, kernel, stride, ceil=0):
        return add('MaxPool', [x], name, kernel_shape=[kernel] * 2, strides=[stride] * 2, ceil_mode=ceil)

    def mean(xs, name):
        total = add('Sum', xs, name + '.sum')
        return add('Mul', [total, constant(name + '.third', np.array(1 / 3))], name)

    def branch(x, letter, inputs, classes):
        sizes = [inputs, c(256), c(128), classes]
        for i in range(3):
            name = f'{letter}conv{i + 1}'
            x = norm_relu(conv(x, name, sizes[i], sizes[i + 1], (3, 3, 1)[i], (1, 1, 2)[i]), name + '.bn', sizes[i + 1])
            if i == 1:
                x = pool(x, letter + 'pool', 3, 3)
        return add('GlobalAveragePool', [x], letter + 'logits')

    x = pool(norm_relu(conv('input', 'conv1', 3, c(96), 7, 2), 'bn49', c(96)), 'pool1', 3, 2)
    x = pool(norm_relu(conv(x, 'conv2', c(96), c(256), 5, 2, 1), 'bn50', c(256)), 'pool2', 3, 2, ceil=1)
    conv3 = conv(x, 'conv3', c(256), c(512), 3, 1, 1)
    relu3 = norm_relu(conv3, 'bn51', c(512))
    x = norm_relu(conv(relu3, 'conv4', c(512), c(512), 3, 1, 1), 'bn52', c(512))
    relu5 = norm_relu(conv(x, 'conv5', c(512), c(512), 3, 1, 1), 'bn53', c(512))
    agg1 = mean([conv3, relu3, relu5], 'agg1')
    fc6 = conv(pool(agg1, 'pool5', 3, 2), 'fc6', c(512), c(4096), 6)
    fc7 = conv(norm_relu(fc6, 'bn54', c(4096)), 'fc7', c(4096), c(4096), 1)
    score = conv(mean([fc6, fc7, norm_relu(fc7, 'bn55', c(4096))], 'agg2'), 'fc8', c(4096), 1, 1)
    outputs = [branch(relu3, 'g', c(512), 2), branch(agg1, 'r', c(512), 2), score]
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, 'hmtnet', [value('input', [batch, 3, 224, 224])],
                              [value(name, None) for name in outputs], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9), path)
