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
        self.bn_decode = nn.BatchNorm2d(4)
        self.up = (
            nn.ConvTranspose2d(4, 4, 2, stride=2)
            if transposed
            else nn.Upsample(scale_factor=2, mode="nearest")
        )
        self.conv = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.encode(x))
        x = torch.tanh(self.bn(self.bottleneck(x.flatten(1))))
        x = torch.relu(self.bn_decode(self.decode(x).reshape(-1, 4, 4, 4)))
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


def session_of(path):
    """onnxruntime without its optimiser, which for one folds zero padding into max pooling."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options)


def record(name, path, shape, samples=2, output=None, tolerance=1e-4):
    """What onnxruntime computes, per sample."""
    session = session_of(path)
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


def forms(opset):
    """Every form of an operator that this operator set knows, one output each: lists that were
    attributes and became inputs, defaults that changed, padding by name, rounding up."""
    w = Writer(100 + opset)
    i64 = lambda *values: w.constant(f"i{len(w.constants)}", np.array(values, np.int64))
    f32 = lambda *values: w.constant(f"f{len(w.constants)}", np.array(values, np.float32))
    scalar = lambda value: w.constant(f"s{len(w.constants)}", np.float32(value))
    outputs = []

    def out(name, value):
        outputs.append(w.node("Identity", [value], name))

    def listed(kind, inputs, name, values, output=None, since=13, **attributes):
        """A list of integers, as attribute before `since` and as input from there on."""
        if opset < since:
            return w.node(kind, inputs, output, **{name: values}, **attributes)
        return w.node(kind, [*inputs, i64(*values)], output, **attributes)

    x = "input"  # [N, 4, 7, 6]
    kernel = lambda name, *shape: w.weights(f"{name}.weight", *shape)

    # Convolutions: padding by name, strides, groups, dilation, one dimension.
    for mode in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        out(f"conv-{mode}", w.node("Conv", [x, kernel(f"c{mode}", 3, 4, 2, 3)], auto_pad=mode,
                                   strides=[2, 3]))
    out("conv-uneven", w.node("Conv", [x, kernel("cu", 2, 4, 3, 3), w.weights("cu.bias", 2)],
                              pads=[0, 2, 1, 0]))
    out("conv-dilated", w.node("Conv", [x, kernel("cd", 4, 2, 3, 2)], group=2, dilations=[2, 3],
                               pads=[1, 1, 1, 1]))
    out("conv-multiplier", w.node("Conv", [x, kernel("cm", 8, 1, 3, 3)], group=4))
    flat = w.node("Reshape", [x, i64(-1, 4, 42)])
    line = w.node("Conv", [flat, kernel("c1", 3, 4, 5)], strides=[3], pads=[2, 1])
    out("conv-1d", line)
    out("pool-1d", w.node("MaxPool", [line], kernel_shape=[3], strides=[2], pads=[1, 1]))
    ones = listed("Unsqueeze", [line], "axes", [2])
    out("conv-1d-as-2d", w.node("Conv", [ones, kernel("c2", 2, 3, 1, 3)]))

    # Pooling.
    out("max-same", w.node("MaxPool", [x], kernel_shape=[3, 2], strides=[2, 2],
                           auto_pad="SAME_UPPER"))
    out("max-pads", w.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2],
                           pads=[1, 0, 0, 1]))
    out("average", w.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2],
                          pads=[1, 1, 1, 1]))
    out("average-counted", w.node("AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2],
                                  pads=[1, 1, 1, 1], count_include_pad=1))
    if opset >= 10:
        out("max-ceil", w.node("MaxPool", [x], kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1))
        out("max-dilated", w.node("MaxPool", [x], kernel_shape=[2, 2], dilations=[3, 2]))
        out("average-ceil", w.node("AveragePool", [x], kernel_shape=[2, 3], strides=[2, 2],
                                   ceil_mode=1))
    out("global-average", w.node("GlobalAveragePool", [x]))
    out("global-max", w.node("GlobalMaxPool", [x]))
    out("mean-kept", listed("ReduceMean", [x], "axes", [2, 3], since=18))
    out("mean-dropped", listed("ReduceMean", [x], "axes", [-1, -2], since=18, keepdims=0))
    out("mean-rows", listed("ReduceMean", [x], "axes", [2], since=18, keepdims=0))
    out("sum", listed("ReduceSum", [x], "axes", [3], keepdims=1))
    out("max", listed("ReduceMax", [x], "axes", [2, 3], since=18, keepdims=0))

    # Bounds and activations.
    if opset < 11:
        out("clip", w.node("Clip", [x], min=-0.25, max=0.5))
        out("clip-low", w.node("Clip", [x], min=0.1))
    else:
        out("clip", w.node("Clip", [x, scalar(-0.25), scalar(0.5)]))
        out("clip-low", w.node("Clip", [x, scalar(0.1)]))
        out("clip-high", w.node("Clip", [x, "", scalar(0.1)]))
    if opset >= 8:
        out("relu-then-clip", w.node("Min", [w.node("Relu", [x]), scalar(0.3)]))
    out("leaky", w.node("LeakyRelu", [x]))
    out("prelu", w.node("PRelu", [x, w.constant("slopes", np.full((4, 1, 1), 0.3, np.float32))]))
    out("hard-sigmoid", w.node("HardSigmoid", [x]))
    out("silu", w.node("Mul", [w.node("Sigmoid", [x]), x]))
    if opset >= 14:
        out("hard-swish", w.node("HardSwish", [x]))
    out("square", w.node("Mul", [x, x]))
    out("cube", w.node("Pow", [x, scalar(3)]))

    # Arithmetic with constants, in either order.
    channel = lambda name: w.weights(name, 4, 1, 1, low=0.5, high=1.5)
    out("sub-from", w.node("Sub", [channel("k1"), x]))
    out("div", w.node("Div", [x, channel("k2")]))
    chain = w.node("Add", [w.node("Mul", [x, channel("k3")]), channel("k4")])
    out("affine-before-conv", w.node("Conv", [chain, kernel("ca", 2, 4, 3, 3)]))
    out("affine-before-padded", w.node("Conv", [chain, kernel("cp", 2, 4, 3, 3)],
                                       pads=[1, 1, 1, 1]))
    out("affine-before-groups", w.node("Conv", [chain, kernel("cg", 4, 2, 2, 2)], group=2))
    dense = w.node("Flatten", [chain])
    out("affine-before-dense", w.node("MatMul", [dense, w.weights("cdense", 168, 3)]))
    out("sub", w.node("Sub", [x, w.node("Relu", [chain])]))
    out("sum-of-three", w.node("Sum", [x, chain, w.node("Neg", [x])]))
    gate = w.node("Sigmoid", [w.node("GlobalAveragePool", [x])])
    out("gate-first", w.node("Mul", [gate, x]))
    out("gate-added", w.node("Add", [gate, x]))
    spot = w.node("Sigmoid", [w.node("Conv", [x, kernel("spot", 1, 4, 1, 1)])])
    out("gate-per-position", w.node("Mul", [spot, x]))
    out("added-per-position", w.node("Add", [x, spot]))
    row = listed("ReduceMean", [x], "axes", [3], since=18)
    out("gate-per-row", w.node("Mul", [x, row]))
    out("prelu-channels", w.node("PRelu", [x, w.constant(
        "four_slopes", np.array([0.1, -0.2, 0.3, 1.5], np.float32).reshape(4, 1, 1))]))
    out("gate-subtracted", w.node("Sub", [gate, x]))

    # Slices, padding, joins.
    if opset < 10:
        out("slice", w.node("Slice", [x], starts=[1, -4], ends=[3, 100], axes=[1, 3]))
    else:
        out("slice", w.node("Slice", [x, i64(1, -4), i64(3, 100), i64(1, 3), i64(1, 2)]))
    if opset < 11:
        out("pad", w.node("Pad", [x], pads=[0, 1, 0, 2, 0, 0, 1, -1]))
    elif opset < 18:
        out("pad", w.node("Pad", [x, i64(0, 1, 0, 2, 0, 0, 1, -1)]))
    else:
        out("pad", w.node("Pad", [x, i64(1, 0, 2, 0, 1, -1), "", i64(1, 2, -1)]))
    out("pad-then-slice", w.node(
        "Conv", [outputs[-1], kernel("cps", 2, 5, 2, 2)]))
    zero_pads = [0, 0, 1, 2, 0, 0, 2, 1]
    pad = lambda v: (w.node("Pad", [v], pads=zero_pads) if opset < 11
                     else w.node("Pad", [v, i64(*zero_pads)]))
    out("pad-into-conv", w.node("Conv", [pad(x), kernel("cpc", 2, 4, 3, 3)]))
    out("pad-into-max", w.node("MaxPool", [pad(w.node("Relu", [x]))], kernel_shape=[3, 3]))
    out("pad-before-max", w.node("MaxPool", [pad(x)], kernel_shape=[3, 3]))
    out("pad-into-average", w.node("AveragePool", [pad(x)], kernel_shape=[3, 3]))
    parts = [f"part{k}" for k in range(2)]
    if opset < 13:
        split = helper.make_node("Split", [x], parts, "split", axis=1, split=[1, 3])
    else:
        split = helper.make_node("Split", [x, i64(1, 3)], parts, "split", axis=1)
    w.nodes.append(split)
    out("split-joined", w.node("Concat", [parts[1], x, parts[0]], axis=1))
    if opset >= 18:
        w.nodes.append(helper.make_node("Split", [x], ["h0", "h1", "h2"], "uneven", axis=2,
                                        num_outputs=3))
        out("split-uneven", w.node("Neg", ["h2"]))
    out("gather", w.node("Gather", [x, w.constant("g1", np.int64(-2))], axis=1))
    out("gather-row", w.node("Gather", [x, i64(0, 2, 4)], axis=3))
    if opset in (7, 8):
        out("upsample", w.node("Upsample", [x], scales=[1.0, 1.0, 2.0, 3.0]))
    elif opset == 9:
        out("upsample", w.node("Upsample", [x, f32(1, 1, 2, 3)]))
    elif opset == 10:
        out("upsample", w.node("Resize", [x, f32(1, 1, 2, 3)]))
    else:
        empty = w.constant("no_roi", np.array([], np.float32))
        out("upsample", w.node("Resize", [x, empty, f32(1, 1, 2, 3)], mode="nearest"))
        out("upsample-floor", w.node(
            "Resize", [x, empty, f32(1, 1, 3, 2)], mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric"))
        none = empty if opset < 13 else ""
        out("upsample-sizes", w.node("Resize", [x, empty, none, i64(1, 4, 14, 6)]))
    if opset >= 18:
        out("upsample-axes", w.node("Resize", [x, "", f32(2, 2)], axes=[2, 3]))

    # Views.
    turned = w.node("Transpose", [x], perm=[0, 2, 3, 1])
    rows = w.node("Reshape", [turned, i64(0, 42, 4)])
    out("dense-on-positions", w.node("MatMul", [rows, w.weights("pos.weight", 4, 3)]))
    out("dense-from-left", w.node("MatMul", [
        w.weights("left.weight", 3, 4), w.node("Reshape", [x, i64(-1, 4, 42)])]))
    out("flatten-last", w.node("Gemm", [w.node("Flatten", [turned]), w.weights("fl", 168, 2),
                                        w.weights("flb", 2)]))
    out("flatten-first", w.node("Gemm", [w.node("Flatten", [x]), w.weights("ff", 2, 168),
                                         w.weights("ffb", 1, 2)], transB=1, alpha=0.5, beta=3.0))
    pooled = w.node("GlobalAveragePool", [x])
    squeezed = listed("Squeeze", [pooled], "axes", [2, 3])
    out("squeezed", w.node("MatMul", [squeezed, w.weights("sq", 4, 2)]))
    shuffled = w.node("Reshape", [x, i64(0, 2, 2, 7, 6)])
    shuffled = w.node("Transpose", [shuffled], perm=[0, 2, 1, 3, 4])
    shuffled = w.node("Reshape", [shuffled, i64(0, 4, 7, 6)])
    out("shuffle", w.node("Conv", [shuffled, kernel("csh", 2, 4, 2, 2)]))
    axis = 1 if opset < 13 else -1
    logits = w.node("MatMul", [squeezed, w.weights("lg", 4, 5, low=-4, high=4)])
    out("softmax", w.node("Softmax", [logits], axis=axis))
    out("log-softmax", w.node("LogSoftmax", [logits]))

    # Normalisation alone, after dense layers, with the attributes of its time.
    statistics = [w.weights("bn.g", 4), w.weights("bn.b", 4), w.weights("bn.m", 4),
                  w.weights("bn.v", 4, low=0.25, high=2)]
    extra = dict(spatial=1) if opset < 9 else dict(training_mode=0) if opset >= 14 else {}
    out("norm", w.node("BatchNormalization", [x, *statistics], epsilon=0.01, momentum=0.9,
                       **extra))
    out("norm-after-dense", w.node("BatchNormalization", [
        w.node("MatMul", [squeezed, w.weights("nd", 4, 4)]), *statistics]))
    if opset < 12:
        dropped = w.node("Dropout", [x], ratio=0.5)
    else:
        dropped = w.node("Dropout", [x, scalar(0.5)])
    out("dropout", w.node("Relu", [dropped]))

    # Shapes and constants that the file computes.
    shape = w.node("Shape", [x])
    if opset < 10:
        head = w.node("Slice", [shape], starts=[0], ends=[1])
    else:
        head = w.node("Slice", [shape, i64(0), i64(1)])
    target = w.node("Concat", [head, i64(2, -1)], axis=0)
    out("reshape-computed", w.node("MatMul", [
        w.node("Flatten", [w.node("Reshape", [x, target])]), w.weights("rc", 168, 2)]))
    half = w.node("Div", [w.node("Gather", [shape, w.constant("ax", np.int64(2))], axis=0),
                          w.constant("two", np.int64(2))])
    factor = w.node("Cast", [half], to=TensorProto.FLOAT)
    out("scaled-by-size", w.node("Mul", [x, factor]))
    weight = w.node("Transpose", [w.weights("tw", 3, 2, 4, 3)], perm=[1, 2, 0, 3])
    weight = w.node("Mul", [weight, w.node("Sqrt", [w.constant(
        "sq2", np.array([0.5, 2, 3], np.float32))])])
    out("weights-computed", w.node("Conv", [x, weight]))
    if opset >= 9:
        zeros = w.node("ConstantOfShape", [i64(2)])
        out("bias-computed", w.node("Conv", [x, kernel("cz", 2, 4, 3, 3), zeros]))

    graph = helper.make_graph(
        w.nodes, "forms",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 4, 7, 6])],
        [helper.make_empty_tensor_value_info(name) for name in outputs], w.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8 if opset < 21 else 10
    name = f"forms-{opset}"
    path = FOLDER / f"{name}.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    session = session_of(path)
    x = rule(4 * 7 * 6, 0).reshape(1, 4, 7, 6)
    results = session.run(outputs, {"input": x})
    save(name, stripped(model))
    # Of more than 32 elements every fifth is kept: five divides none of the sizes.
    values = {}
    for key, result in zip(outputs, results):
        flat = result.reshape(-1)
        values[key] = [float(f"{v:.6g}") for v in flat[:: 5 if flat.size > 32 else 1]]
    expected[name] = {"input": [4, 7, 6], "tolerance": 1e-5, "values": values}


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
    for opset in (7, 9, 10, 11, 13, 18, 23):
        forms(opset)
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
