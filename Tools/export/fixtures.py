#!/usr/bin/env python3
"""Writes the small ONNX files that Tests/ImportersTests reads, and what they compute.

    python3 Tools/export/fixtures.py

Needs torch, onnx, onnxscript and onnxruntime. Each network is exported the way people export
theirs: with both of PyTorch's exporters, several operator sets, one file or two, fixed or open
batch. A few files are written node by node in the style of other tools (Keras, TFLite
converters, CNTK). `expected.json` holds the output of onnxruntime for an input made by a rule,
so the tests need no Python.
"""

import json
import pathlib
import re
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests/ImportersTests/Fixtures/onnx"
LIMIT = 60_000
warnings.filterwarnings("ignore")
expected = {}


def rule(count, sample):
    """The input: element i of sample k is ((7 i + 13 k + 3) mod 251) / 125 - 1."""
    index = np.arange(count, dtype=np.int64)
    return (((index * 7 + 13 * sample + 3) % 251) / np.float32(125) - 1).astype(np.float32)


# ---- Networks -----------------------------------------------------------------------------


class MLP(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 10)
        )


class CNN(nn.Module):
    """Convolution + BatchNorm + pooling, the flattened map feeding the classifier."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 2 * 3, 5)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.log_softmax(self.fc(torch.flatten(x, 1)), dim=1)


class DepthwiseBlock(nn.Module):
    """The first block of DS-CNN, with its uneven padding."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((1, 1, 4, 5))
        self.conv = nn.Conv2d(1, 8, (10, 4), stride=2)
        self.bn = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.bn_depthwise = nn.BatchNorm2d(8)
        self.pointwise = nn.Conv2d(8, 12, 1)
        self.bn_pointwise = nn.BatchNorm2d(12)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(self.pad(x))))
        x = torch.relu(self.bn_depthwise(self.depthwise(x)))
        x = torch.relu(self.bn_pointwise(self.pointwise(x)))
        return self.fc(self.pool(x).flatten(1))


class InvertedResidual(nn.Module):
    """A MobileNetV2 block: expand, depthwise, project, add; ReLU6."""

    def __init__(self):
        super().__init__()

        def unit(inputs, outputs, kernel, stride=1, groups=1):
            return [
                nn.Conv2d(
                    inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False
                ),
                nn.BatchNorm2d(outputs),
            ]

        self.stem = nn.Sequential(*unit(3, 8, 3, 2), nn.ReLU6())
        self.block = nn.Sequential(
            *unit(8, 24, 1), nn.ReLU6(), *unit(24, 24, 3, groups=24), nn.ReLU6(), *unit(24, 8, 1)
        )
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(x)
        return self.head(x.mean([2, 3]))


class SqueezeExcite(nn.Module):
    """A MobileNetV3 block: hard-swish, and a gate made of hard-sigmoid."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.act = nn.Hardswish()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(8, 4, 1)
        self.expand = nn.Conv2d(4, 8, 1)
        self.gate = nn.Hardsigmoid()
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = self.act(self.bn(self.conv(x)))
        gate = self.gate(self.expand(torch.relu(self.reduce(self.pool(x)))))
        x = self.act(self.dilated(x * gate))
        return self.fc(x.mean((2, 3)))


class Signal(nn.Module):
    """One-dimensional convolutions, as for audio and motion."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(2, 6, 5, stride=2, padding=2)
        self.bn1 = nn.BatchNorm1d(6)
        self.pool = nn.MaxPool1d(2)
        self.conv2 = nn.Conv1d(6, 8, 3, padding=2, dilation=2)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = nn.functional.leaky_relu(self.conv2(x), 0.1)
        return self.fc(x.mean(-1))


class Autoencoder(nn.Module):
    """A dense code, unflattened, upsampled by nearest neighbour."""

    def __init__(self, transposed=False):
        super().__init__()
        self.encode = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.bottleneck = nn.Linear(4 * 4 * 4, 6)
        self.bn = nn.BatchNorm1d(6)
        self.decode = nn.Linear(6, 4 * 4 * 4)
        self.up = (
            nn.ConvTranspose2d(4, 4, 2, stride=2)
            if transposed
            else nn.Upsample(scale_factor=2, mode="nearest")
        )
        self.conv = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.encode(x))
        x = torch.tanh(self.bn(self.bottleneck(x.flatten(1))))
        x = torch.relu(self.decode(x)).reshape(-1, 4, 4, 4)
        return torch.sigmoid(self.conv(self.up(x)))


class Activations(nn.Module):
    """Every activation that some exporter spells out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(7))
        self.functions = nn.ModuleList(
            [
                nn.GELU(),
                nn.GELU(approximate="tanh"),
                nn.SiLU(),
                nn.Hardswish(),
                nn.LeakyReLU(0.2),
                nn.Hardsigmoid(),
                nn.Hardtanh(-0.5, 0.75),
            ]
        )

    def forward(self, x):
        for layer, function in zip(self.layers, self.functions):
            x = function(layer(x) * 2)
        return x


class Branches(nn.Module):
    """Concatenation, a channel shuffle, slices, average pooling with padding, ceil mode."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.a = nn.Conv2d(4, 4, 1)
        self.b = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, stride=1, padding=1)
        self.valid = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        left, right = x.chunk(2, dim=1)
        x = torch.cat([self.a(left), self.b(right)], dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(x.shape)
        x = self.pool(x)
        x = self.mean(x) - 0.5 * self.valid(x)
        return self.fc(x.amax((2, 3)))


class Shortcut(nn.Module):
    """Residual blocks: the shortcut of ResNet20 (slice and pad) and a projection."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=1)
        self.project = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        # The normalisation stands before the convolution: nothing to fold it into.
        x = torch.relu(self.bn(self.conv2(x) + short))
        x = torch.relu(self.conv3(self.bn(x)) + self.project(x))
        return torch.softmax(self.fc(x.mean((2, 3))), -1)


class Tokens(nn.Module):
    """Dense layers along a sequence: features last, no convolution anywhere."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(5, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(torch.relu(self.mix(x)).mean(1))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.layer(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


def seeded(network, seed):
    """Weights and normalisation statistics that are not the trivial ones."""
    torch.manual_seed(seed)
    model = network()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model.eval()


# ---- Writing ------------------------------------------------------------------------------


def stripped(model):
    """Without stack traces and documentation: they hold paths of the machine that exported."""

    def strip(message):
        message.ClearField("doc_string")
        kept = [p for p in message.metadata_props if p.key == "namespace"]
        message.ClearField("metadata_props")
        message.metadata_props.extend(kept)

    strip(model)
    strip(model.graph)
    for node in model.graph.node:
        strip(node)
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
    for value in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        strip(value)
    model.graph.ClearField("value_info")
    return model


def save(name, model, external=False):
    path = FOLDER / f"{name}.onnx"
    data = FOLDER / f"{name}.onnx.data"
    for old in (path, data):
        old.unlink(missing_ok=True)
    if external:
        onnx.save(model, path, save_as_external_data=True, location=data.name, size_threshold=64)
        data.chmod(0o644)
    else:
        onnx.save(model, path)
    size = sum(file.stat().st_size for file in (path, data) if file.exists())
    assert size < LIMIT, f"{name}: {size} bytes"
    blob = path.read_bytes()
    assert not re.search(rb"/(home|root|work|opt|usr)/", blob), f"{name} holds a path"
    return path


def record(name, path, shape, samples=2, output=None, tolerance=1e-4):
    """What onnxruntime computes, per sample."""
    session = onnxruntime.InferenceSession(str(path))
    source = session.get_inputs()[0]
    results = []
    for sample in range(samples):
        x = rule(int(np.prod(shape)), sample).reshape(1, *shape)
        y = session.run(output and [output], {source.name: x})[0]
        results.append([float(f"{value:.8g}") for value in y.reshape(-1)])
    expected[name] = {"input": list(shape), "outputs": results, "tolerance": tolerance}


def refuse(name, code, *mentions):
    expected[name] = {"code": code, "mentions": list(mentions)}


def export(name, network, shape, *, dynamo, opset, seed, external=False, batch=None, refused=None,
           **options):
    model = seeded(network, seed)
    path = FOLDER / f"{name}.onnx"
    x = torch.from_numpy(rule(int(np.prod(shape)), 0).reshape(1, *shape))
    if dynamo:
        if batch:
            options["dynamic_shapes"] = ({0: torch.export.Dim(batch)},)
            x = x.repeat(2, *[1] * len(shape))
        torch.onnx.export(model, (x,), path, dynamo=True, opset_version=opset,
                          external_data=False, verbose=False, **options)
    else:
        if batch:
            options["dynamic_axes"] = {"input": {0: batch}}
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=opset,
                          input_names=["input"], **options)
    path = save(name, stripped(onnx.load(path)), external)
    if refused:
        refuse(name, *refused)
    else:
        record(name, path, shape)


def torch_fixtures():
    image = (3, 8, 12)
    table = [
        # name, network, input, what differs between the files
        ("mlp", MLP, (1, 8, 8), dict(seed=1)),
        ("cnn", CNN, image, dict(seed=2)),
        ("depthwise", DepthwiseBlock, (1, 21, 10), dict(seed=3)),
        ("mobilenet-v2", InvertedResidual, image, dict(seed=4)),
        ("squeeze-excite", SqueezeExcite, (2, 7, 9), dict(seed=5)),
        ("signal", Signal, (2, 32), dict(seed=6)),
        ("autoencoder", Autoencoder, (1, 8, 8), dict(seed=7)),
        ("activations", Activations, (6,), dict(seed=8)),
        ("branches", Branches, (3, 8, 10), dict(seed=9)),
        ("shortcut", Shortcut, (3, 8, 8), dict(seed=10)),
        ("tokens", Tokens, (7, 5), dict(seed=11)),
    ]
    for name, network, shape, options in table:
        export(f"{name}-dynamo", network, shape, dynamo=True, opset=18, **options)
        export(f"{name}-legacy", network, shape, dynamo=False, opset=13, **options)
    for name, network, shape, options in (table[0], table[1], table[4]):
        export(f"{name}-dynamo-external", network, shape, dynamo=True, opset=20, external=True,
               batch="batch", **options)
        export(f"{name}-legacy-external", network, shape, dynamo=False, opset=17, external=True,
               batch="batch", **options)
    export("activations-dynamo-20", Activations, (6,), dynamo=True, opset=20, seed=8)
    export("activations-legacy-17", Activations, (6,), dynamo=False, opset=17, seed=8)
    export("cnn-dynamo-plain", CNN, image, dynamo=True, opset=18, seed=2, optimize=False)
    export("depthwise-dynamo-plain", DepthwiseBlock, (1, 21, 10), dynamo=True, opset=18, seed=3,
           optimize=False)
    export("cnn-legacy-unfolded", CNN, image, dynamo=False, opset=9, seed=2,
           do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    export("shortcut-legacy-11", Shortcut, (3, 8, 8), dynamo=False, opset=11, seed=10)
    # Networks that must be refused, and what the refusal has to name.
    for dynamo, opset in ((True, 18), (False, 17)):
        kind = "dynamo" if dynamo else "legacy"
        export(f"transposed-{kind}", lambda: Autoencoder(transposed=True), (1, 8, 8),
               dynamo=dynamo, opset=opset, seed=7, refused=(304, "ConvTranspose ×1", "Resize"))
        export(f"recurrent-{kind}", Recurrent, (5, 4), dynamo=dynamo, opset=opset, seed=12,
               refused=(304, "LSTM ×1"))
    export("attention-legacy", Attention, (4, 8), dynamo=False, opset=14, seed=13,
           refused=(304, "MatMul", "attention"))


def training_fixture():
    """Exported without eval(): BatchNormalization and Dropout say so."""
    torch.manual_seed(14)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5),
                          nn.Flatten(), nn.Linear(4 * 16, 3)).train()
    name = "training-mode"
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (torch.zeros(2, 1, 6, 6),), path, dynamo=False, opset_version=15,
                      training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
    loaded = stripped(onnx.load(path))
    save(name, loaded)
    # The network it is after eval(), by the same file with the two switches turned off.
    for node in loaded.graph.node:
        if node.op_type == "BatchNormalization":
            del node.output[1:]
            for attribute in node.attribute:
                if attribute.name == "training_mode":
                    attribute.i = 0
        if node.op_type == "Dropout":
            del node.input[1:]
    for value in (loaded.graph.input[0], loaded.graph.output[0]):
        value.type.tensor_type.shape.dim[0].ClearField("dim_value")
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    other = FOLDER / "off.onnx"
    onnx.save(loaded, other)
    record(name, other, (1, 6, 6))
    expected[name]["warning"] = 310
    other.unlink()


# ---- Files in the style of other tools ----------------------------------------------------


class Writer:
    """A graph written node by node."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def weights(self, name, *shape, low=-0.5, high=0.5):
        return self.constant(name, self.random.uniform(low, high, shape).astype(np.float32))

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind, inputs, output=None, **attributes):
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def model(self, shape, result, size, opset=13, batch="N", ir=8):
        graph = helper.make_graph(
            self.nodes, "graph",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *shape])],
            [helper.make_tensor_value_info(result, TensorProto.FLOAT, [batch, *size])],
            self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = ir
        if ir < 4:  # every initialiser is an input as well
            model.graph.input.extend(
                helper.make_tensor_value_info(t.name, t.data_type, t.dims)
                for t in self.constants)
        onnx.checker.check_model(model)
        return model


def keras_style():
    """Channels last outside, channels first inside; normalisation left as Sub, Mul, Add; padding
    computed at run time; every Transpose where tf2onnx and Keras put it."""
    w = Writer(20)
    x = w.node("Sub", ["input", w.constant("mean", np.array([0.1, -0.2, 0.3], np.float32))])
    x = w.node("Mul", [x, w.constant("std", np.array([2, 1.5, 0.5], np.float32))])
    x = w.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = w.node("Conv", [x, w.weights("conv/kernel", 4, 3, 3, 3)], auto_pad="SAME_UPPER",
               strides=[2, 2])
    x = w.node("Transpose", [x], perm=[0, 2, 3, 1])
    x = w.node("Add", [x, w.weights("conv/bias", 4)])
    x = w.node("Sub", [x, w.weights("bn/mean", 4)])
    x = w.node("Mul", [x, w.weights("bn/scale", 1, 1, 1, 4, low=0.5, high=1.5)])
    x = w.node("Add", [x, w.weights("bn/beta", 4)])
    x = w.node("Relu", [x])
    # Height and width read back from the tensor, padding put together from them.
    shape = w.node("Shape", [x])
    height = w.node("Gather", [shape, w.constant("one", np.int64(1))], axis=0)
    odd = w.node("Mod", [height, w.constant("two", np.int64(2))])
    odd = w.node("Unsqueeze", [odd, w.constant("zero_axis", np.array([0], np.int64))])
    pads = w.node("Concat", [w.constant("pad_head", np.array([0, 1, 1, 0, 0], np.int64)), odd,
                             w.constant("pad_tail", np.array([1, 0], np.int64))], axis=0)
    x = w.node("Pad", [x, pads])
    x = w.node("Transpose", [x], perm=[0, 3, 1, 2])
    x = w.node("Conv", [x, w.weights("separable/kernel", 4, 1, 3, 3)], group=4)
    x = w.node("Transpose", [x], perm=[0, 2, 3, 1])
    x = w.node("ReduceMean", [x], axes=[1, 2], keepdims=0)
    shape = w.node("Shape", [x])
    batch = w.node("Slice", [shape, w.constant("s0", np.array([0], np.int64)),
                             w.constant("s1", np.array([1], np.int64))])
    target = w.node("Concat", [batch, w.constant("rest", np.array([-1], np.int64))], axis=0)
    x = w.node("Reshape", [x, target])
    x = w.node("MatMul", [x, w.weights("dense/kernel", 4, 5)])
    x = w.node("Add", [x, w.weights("dense/bias", 5)])
    x = w.node("Softmax", [x], "scores", axis=-1)
    model = w.model((9, 8, 3), x, (5,))
    record("keras-style", save("keras-style", model), (9, 8, 3))


def flatten_style():
    """Channels-last flattening before the classifier, biases as [C, 1, 1], identities in front
    of weights, alpha and beta, a transposed Gemm: opset 7, fixed batch."""
    w = Writer(21)
    shared = w.weights("shared", 4)
    copy = w.node("Identity", [shared])
    x = w.node("Conv", ["input", w.weights("w1", 4, 2, 3, 3), copy], pads=[1, 1, 1, 1],
               auto_pad="NOTSET", kernel_shape=[3, 3])
    x = w.node("Mul", [x, w.weights("gain", 4, 1, 1)])
    x = w.node("Add", [x, w.weights("plus", 1, 4, 1, 1)])
    x = w.node("Clip", [x], min=0.0, max=0.6)
    x = w.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
    x = w.node("Transpose", [x], perm=[0, 2, 3, 1])
    x = w.node("Reshape", [x, w.constant("flat", np.array([1, 36], np.int64))])
    kernel = w.node("Reshape", [w.weights("w2", 3, 3, 4, 5),
                                w.constant("square", np.array([36, 5], np.int64))])
    x = w.node("Gemm", [x, kernel, w.weights("b2", 5)], alpha=0.5, beta=2.0)
    x = w.node("BatchNormalization", [x, w.weights("g", 5, low=0.5, high=1), w.weights("b", 5),
                                      w.weights("m", 5), w.weights("v", 5, low=0.5, high=2)])
    x = w.node("Tanh", [x])
    x = w.node("Gemm", [x, w.weights("w3", 3, 5), w.weights("b3", 1, 3)], "result", transB=1)
    model = w.model((2, 5, 6), x, (3,), opset=7, batch=1, ir=3)
    record("flatten-style", save("flatten-style", model), (2, 5, 6))


def spelled_out():
    """Hard-swish, SiLU, leaky ReLU and sigmoid as exporters without those operators write them."""
    w = Writer(22)
    c = lambda name, value: w.constant(name, np.float32(value))
    x = w.node("MatMul", ["input", w.weights("w1", 6, 6, low=-2, high=2)])
    y = w.node("Add", [x, c("three", 3)])
    y = w.node("Clip", [y, c("low", 0), c("six", 6)])
    y = w.node("Mul", [x, y])
    x = w.node("Div", [y, c("six_", 6)])
    x = w.node("MatMul", [x, w.weights("w2", 6, 6, low=-2, high=2)])
    y = w.node("Neg", [x])
    y = w.node("Exp", [y])
    y = w.node("Add", [y, c("unit", 1)])
    x = w.node("Div", [x, y])
    x = w.node("MatMul", [x, w.weights("w3", 6, 6, low=-2, high=2)])
    y = w.node("Mul", [x, c("slope", 0.3)])
    x = w.node("Max", [x, y])
    x = w.node("Relu", [w.node("MatMul", [x, w.weights("w4", 6, 6, low=-2, high=2)])])
    x = w.node("Min", [x, c("bound", 0.8)])
    x = w.node("MatMul", [x, w.weights("w5", 6, 4)], "result")
    model = w.model((6,), x, (4,))
    record("spelled-out", save("spelled-out", model), (6,))


def quantized():
    """QDQ files of onnxruntime's own quantiser: int8 and uint8 activations, per tensor and per
    channel. The float result is compared loosely: it does not round the activations."""
    from onnxruntime.quantization import (
        CalibrationDataReader, QuantFormat, QuantType, quantize_static)

    class Reader(CalibrationDataReader):
        def __init__(self, name, shape):
            self.batches = iter({name: rule(int(np.prod(shape)), k).reshape(1, *shape)}
                                for k in range(8))

        def get_next(self):
            return next(self.batches, None)

    cases = [
        ("qdq-cnn-int8", "cnn-legacy", (3, 8, 12), QuantType.QInt8, QuantType.QInt8, True),
        ("qdq-cnn-uint8", "cnn-legacy", (3, 8, 12), QuantType.QUInt8, QuantType.QInt8, False),
        ("qdq-mobilenet-v2", "mobilenet-v2-dynamo", (3, 8, 12), QuantType.QInt8, QuantType.QInt8,
         True),
        ("qdq-mlp", "mlp-dynamo", (1, 8, 8), QuantType.QInt8, QuantType.QInt8, False),
        ("qdq-uint8-weights", "mlp-dynamo", (1, 8, 8), QuantType.QUInt8, QuantType.QUInt8, False),
    ]
    for name, source, shape, activation, weight, per_channel in cases:
        origin = FOLDER / f"{source}.onnx"
        path = FOLDER / f"{name}.onnx"
        first = onnx.load(origin).graph.input[0].name
        options = dict(ActivationSymmetric=False, WeightSymmetric=weight == QuantType.QInt8)
        quantize_static(origin, path, Reader(first, shape), quant_format=QuantFormat.QDQ,
                        activation_type=activation, weight_type=weight, per_channel=per_channel,
                        extra_options=options)
        save(name, stripped(onnx.load(path)))
        record(name, path, shape, tolerance=0.01)
        expected[name]["quantized"] = True


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    torch_fixtures()
    training_fixture()
    keras_style()
    flatten_style()
    spelled_out()
    quantized()
    known = {f"{name}.onnx" for name in expected} | {f"{name}.onnx.data" for name in expected}
    for file in FOLDER.iterdir():
        if file.name not in known | {"expected.json"}:
            file.unlink()
    lines = [f"{json.dumps(name)}: {json.dumps(expected[name])}" for name in sorted(expected)]
    (FOLDER / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(expected)} fixtures, {sum(f.stat().st_size for f in FOLDER.iterdir())} bytes")


if __name__ == "__main__":
    main()
