"""The float32 networks the integer runs are compared with, and how they are trained (PyTorch).

Images arrive as uint8 [count, height, width, channels]; networks take real NCHW in 0…1.
"""

import math

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import nn
from torch.nn import functional


def pixels(images: np.ndarray) -> torch.Tensor:
    """uint8 NHWC to real NCHW, pixel/255."""
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 255


def initialize(model: nn.Module, seed: int) -> nn.Module:
    """Kaiming-uniform: weights U(±sqrt(6 / fan-in)) in layer order, biases zero."""
    generator = torch.Generator().manual_seed(seed)
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            bound = math.sqrt(6 / layer.weight[0].numel())
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            nn.init.zeros_(layer.bias)
    return model


def build_mlp() -> nn.Module:
    """784-128-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


def build_cnn() -> nn.Module:
    """conv3×3×8 – pool – conv3×3×16 – pool – fc, "same" padding, 9,098 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 10),
    )  # fmt: skip


def onnx_tensors(path) -> dict:
    """The initializers of an ONNX file by name."""
    graph = onnx.load(path).graph
    return {
        tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
        for tensor in graph.initializer
    }


def load_mnist7(path) -> nn.Module:
    """mnist-7.onnx: its head holds [inputs, classes], PyTorch's linear layer the transpose."""
    tensors = onnx_tensors(path)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip
    for layer, weight, bias in (
        (model[0], tensors["Parameter5"], tensors["Parameter6"]),
        (model[3], tensors["Parameter87"], tensors["Parameter88"]),
        (model[7], tensors["Parameter193"].reshape(256, 10).T, tensors["Parameter194"]),
    ):
        layer.weight.data = weight.contiguous()
        layer.bias.data = bias.flatten()
    return model


class ResNet8(nn.Module):
    """MLPerf Tiny ResNet8 with every BatchNormalization folded and the input folded to 0…1.

    Nine convolutions in file order; convolutions 5 and 8 are the 1×1 shortcuts.
    """

    INPUTS = [3, 16, 16, 16, 32, 16, 32, 64, 32]
    OUTPUTS = [16, 16, 16, 32, 32, 32, 64, 64, 64]
    STRIDE = [1, 1, 1, 2, 1, 2, 2, 1, 2]
    NORMALIZATION = [0, 1, 2, 3, 4, None, 5, 6, None]  # which one follows each convolution

    def __init__(self, path):
        super().__init__()
        tensors = onnx_tensors(path)

        def member(kind: str, index: int) -> str:
            return f"{kind}_{index}" if index else kind

        self.convolutions = nn.ModuleList()
        for index, (inputs, outputs) in enumerate(zip(self.INPUTS, self.OUTPUTS)):
            weight = tensors[member("conv2d", index) + ".weight"]
            bias = tensors[member("conv2d", index) + ".bias"]
            if self.NORMALIZATION[index] is not None:
                name = member("batch_normalization", self.NORMALIZATION[index])
                gain = tensors[name + ".gamma"] / torch.sqrt(tensors[name + ".var"] + 1e-3)
                weight = weight * gain[:, None, None, None]
                bias = (bias - tensors[name + ".mean"]) * gain + tensors[name + ".beta"]
            layer = nn.Conv2d(inputs, outputs, weight.shape[-1], stride=self.STRIDE[index])
            # The published network takes raw 0…255 pixels; ×255 is the same function of pixel/255.
            layer.weight.data = (weight * 255 if index == 0 else weight).contiguous()
            layer.bias.data = bias
            self.convolutions.append(layer)
        self.head = nn.Linear(64, 10)
        self.head.weight.data = tensors["dense.weight"].T.contiguous()
        self.head.bias.data = tensors["dense.bias"]

    def convolve(self, index: int, x: torch.Tensor) -> torch.Tensor:
        """SAME padding as Keras has it: with stride 2, only below and to the right."""
        layer = self.convolutions[index]
        if layer.kernel_size[0] == 3:
            before = 1 if layer.stride[0] == 1 else 0
            x = functional.pad(x, (before, 1, before, 1))
        return layer(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convolve(0, x).relu()
        x = (x + self.convolve(2, self.convolve(1, x).relu())).relu()
        x = (self.convolve(5, x) + self.convolve(4, self.convolve(3, x).relu())).relu()
        x = (self.convolve(8, x) + self.convolve(7, self.convolve(6, x).relu())).relu()
        return self.head(x.mean((2, 3)))

    def biases_and_head(self) -> list:
        """The targets of "biases + last"."""
        return [layer.bias for layer in self.convolutions] + list(self.head.parameters())


def rate_factor(recipe: dict, step: int, steps: int) -> float:
    """What the learning rate is multiplied by in step 0…steps−1."""
    schedule = recipe["schedule"]
    if schedule["kind"] == "cosine":
        return 0.5 * (1 + math.cos(math.pi * step / steps))
    if schedule["kind"] == "step":
        return float(schedule["factors"][step * recipe["epochs"] // steps])
    if schedule["kind"] == "constant":
        return 1.0
    raise ValueError(f"unknown schedule {schedule['kind']}")


def train(model, x, y, recipe: dict, seed: int, parameters=None) -> None:
    """SGD as the recipe says. The order of the images follows from the seed; a last, smaller batch
    is used too.

    normClip bounds the norm of each gradient tensor on its own ("0": off). "weights" and
    "microBatch" say how integers are kept and summed and mean nothing here, and a "trustRatio" of
    "0" is off; any other key would change the run, so it is refused.
    """
    unknown = set(recipe) - {
        "epochs", "batch", "microBatch", "learningRate", "schedule", "momentum", "weightDecay",
        "normClip", "weights",
    }  # fmt: skip
    if float(recipe.get("trustRatio", 0)) == 0:
        unknown.discard("trustRatio")
    if unknown:
        raise ValueError(f"the float baseline has no {', '.join(sorted(unknown))}")
    parameters = list(model.parameters() if parameters is None else parameters)
    generator = torch.Generator().manual_seed(seed)
    rate = float(recipe["learningRate"])
    momentum, decay = float(recipe.get("momentum", 0)), float(recipe.get("weightDecay", 0))
    optimizer = torch.optim.SGD(parameters, rate, momentum, weight_decay=decay)
    steps = recipe["epochs"] * math.ceil(len(x) / recipe["batch"])
    step = 0
    for _ in range(recipe["epochs"]):
        for chosen in torch.randperm(len(x), generator=generator).split(recipe["batch"]):
            for group in optimizer.param_groups:
                group["lr"] = rate * rate_factor(recipe, step, steps)
            optimizer.zero_grad()
            functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            if float(recipe.get("normClip", 0)) > 0:
                for parameter in parameters:
                    nn.utils.clip_grad_norm_([parameter], float(recipe["normClip"]))
            optimizer.step()
            step += 1


@torch.no_grad()
def accuracy(model, x, y) -> float:
    """Percent of images whose largest logit is their label."""
    correct = sum(
        (model(images).argmax(1) == labels).sum().item()
        for images, labels in zip(x.split(500), y.split(500))
    )
    return round(100 * correct / len(x), 4)
