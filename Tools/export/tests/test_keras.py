"""Keras models: every layer of the list against Keras itself, and what is refused.

The export compares itself with the model on random inputs; the tests rely on that check, and
`test_the_check_can_fail` shows that it finds a wrong weight.
"""

import os
import unittest

import numpy as np
from support import ExportTest, model_file, needs


def keras():
    from tally_export.keras_model import _keras

    return _keras()


def shaken(model):
    """The model with random statistics and offsets: freshly made ones hide mistakes."""
    generator = np.random.default_rng(11)
    for weight in model.weights:
        if "seed" in weight.path:
            continue
        values = generator.uniform(0.2, 1.0, weight.shape).astype(np.float32)
        if "kernel" in weight.path:
            values = generator.standard_normal(weight.shape).astype(np.float32) * 0.3
        weight.assign(values)
    return model


@needs("keras", "h5py", "onnx", "onnxruntime")
class Layers(ExportTest):
    def save(self, model, name="model.keras") -> str:
        path = str(self.folder / name)
        model.save(path)
        return path

    def check(self, shape, *layers, name="model.keras", **wanted):
        """A sequence of layers on an input of this shape."""
        k = keras()
        model = shaken(k.Sequential([k.Input(shape), *layers]))
        result = self.exported("keras", self.save(model, name), "--force")
        for operator, count in wanted.items():
            self.assertEqual(self.operators().get(operator, 0), count, operator)
        return result

    def test_convolutions(self):
        L = keras().layers
        for padding in ("same", "valid"):
            for strides in (1, 2, (2, 1)):
                with self.subTest(padding=padding, strides=strides):
                    self.check(
                        (9, 8, 4), L.Conv2D(6, (3, 2), strides, padding, activation="relu"),
                        L.Conv2D(4, 3, padding=padding, groups=2, use_bias=False), Conv=2, Relu=1,
                    )  # fmt: skip
        self.check((9, 9, 3), L.Conv2D(5, 3, padding="same", dilation_rate=2))
        for multiplier in (1, 3):
            self.check(
                (10, 7, 4), L.DepthwiseConv2D((4, 3), 2, "same", depth_multiplier=multiplier),
                L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="tanh"),
                Conv=3,
            )  # fmt: skip

    def test_signals(self):
        L = keras().layers
        self.check(
            (33, 3), L.Conv1D(6, 5, 2, "same"), L.BatchNormalization(), L.ReLU(),
            L.MaxPooling1D(2), L.Conv1D(4, 3, padding="causal", dilation_rate=2),
            L.DepthwiseConv1D(3), L.SeparableConv1D(5, 3), L.AveragePooling1D(2),
            L.ZeroPadding1D((1, 2)), L.Cropping1D((0, 1)), L.GlobalAveragePooling1D(), L.Dense(3),
        )  # fmt: skip

    def test_pooling(self):
        L = keras().layers
        for layer in (
            L.MaxPooling2D(3, 2, "same"), L.AveragePooling2D(3, 1, "same"),
            L.AveragePooling2D((2, 4)), L.GlobalMaxPooling2D(),
            L.GlobalAveragePooling2D(keepdims=True),
        ):  # fmt: skip
            with self.subTest(layer.name):
                self.check((8, 9, 3), L.Conv2D(3, 3), layer, L.Flatten(), L.Dense(4))

    def test_a_mean_that_backends_disagree_on(self):
        k = keras()
        layers = [k.Input((8, 8, 2)), k.layers.AveragePooling2D(3, 2, "same"), k.layers.Flatten()]
        path = self.save(k.Sequential(layers))
        if k.backend.backend() == "torch":
            self.assertIn("KERAS_BACKEND", self.refused(4, "TLY0304", "keras", path))
        else:
            self.exported("keras", path)

    def test_activations(self):
        L = keras().layers
        for name in (
            "relu", "relu6", "sigmoid", "tanh", "silu", "gelu", "hard_sigmoid", "hard_silu",
            "softmax", "log_softmax", "linear",
        ):  # fmt: skip
            with self.subTest(name):
                self.check((6,), L.Dense(5), L.Activation(name))
        for layer in (
            L.ReLU(6.0), L.ReLU(negative_slope=0.25), L.ReLU(4.0, 0.125), L.LeakyReLU(0.125),
            L.PReLU(shared_axes=[1, 2]), L.Softmax(),
        ):  # fmt: skip
            with self.subTest(layer.name):
                self.check((4, 4, 3), L.Conv2D(4, 3), layer)

    def test_shapes_and_constants(self):
        L = keras().layers
        self.check(
            (6, 6, 2), L.Rescaling(1 / 127.5, offset=-1), L.ZeroPadding2D(((0, 1), (2, 1))),
            L.Conv2D(4, 3), L.Cropping2D(((1, 0), (0, 1))), L.UpSampling2D((2, 3)), L.Permute((2, 1, 3)),
            L.Reshape((-1, 8)), L.Dense(3), L.Flatten(), L.Dropout(0.5), L.Dense(2),
        )  # fmt: skip
        normalization = L.Normalization(mean=[1.0, -2.0], variance=[4.0, 0.25])
        self.check((5, 5, 2), normalization, L.Conv2D(3, 3))

    def test_branches_sharing_and_nesting(self):
        k = keras()
        L = k.layers
        x = k.Input((8, 8, 4))
        shared = L.Conv2D(4, 3, padding="same", activation="relu")
        a = shared(x)
        b = shared(L.BatchNormalization()(a))
        inner = k.Sequential([k.Input((8, 8, 4)), L.Conv2D(4, 1), L.ReLU()], name="inner")
        c = inner(b)
        gate = L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(c))
        y = L.Add()([a, b, c])
        y = L.Multiply()([y, L.Reshape((1, 1, 4))(gate)])
        y = L.Concatenate()([y, L.Average()([a, c]), L.Subtract()([a, b])])
        plain = shaken(k.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(y))))
        self.exported("keras", self.save(plain))
        self.assertEqual(self.operators()["Conv"], 3)
        self.exported("keras", self.save(plain, "model.h5"), "--force")
        # Operators in the code that builds the model are layers too (but .h5 cannot hold them).
        y = k.ops.relu6(y * 0.5 + 3.0) / 6 - y
        model = shaken(k.Model(x, L.Dense(3)(L.GlobalAveragePooling2D()(y))))
        self.exported("keras", self.save(model), "--force")

    def test_open_sizes_need_an_input(self):
        L = keras().layers
        k = keras()
        model = k.Sequential([k.Input((None, None, 3)), L.Conv2D(4, 3), L.GlobalMaxPooling2D()])
        path = self.save(shaken(model))
        self.assertIn("--input 1,96,96,3", self.refused(2, "TLY0308", "keras", path))
        result = self.exported("keras", path, "--input", "1,9,7,3")
        self.assertEqual(result["input"], [9, 7, 3])
        self.refused_shape(path, "1,9,7,4")

    def refused_shape(self, path, shape):
        os.unlink(self.output)
        self.refused(2, "TLY0802", "keras", path, "--input", shape)

    def test_every_layer_that_is_not_supported_is_listed(self):
        L = keras().layers
        k = keras()
        x = k.Input((8, 8, 2))
        y = L.Conv2DTranspose(4, 2, name="up")(x)
        y = L.LayerNormalization(name="norm")(y)
        y = L.Reshape((-1, 4))(y)
        y = L.LSTM(3, name="memory")(y)
        path = self.save(k.Model(x, L.Dense(2, activation="elu", name="head")(y)))
        text = self.refused(4, "TLY0304", "keras", path)
        for words in (
            "4 layers are not supported", "Conv2DTranspose 'up'", "LayerNormalization 'norm'",
            "LSTM 'memory'", "Dense 'head': activation 'elu'",
        ):  # fmt: skip
            self.assertIn(words, text)

    def test_models_with_code_are_not_run(self):
        k = keras()
        model = k.Sequential([k.Input((4,)), k.layers.Lambda(lambda x: x + 1)])
        text = self.refused(4, "TLY0501", "keras", self.save(model))
        self.assertIn("Lambda", text)

    def test_damaged_files(self):
        k = keras()
        path = self.save(k.Sequential([k.Input((4,)), k.layers.Dense(2)]))
        content = open(path, "rb").read()
        for name in ("cut.keras", "cut.h5"):
            (self.folder / name).write_bytes(content[:100])
            self.refused(3, "TLY0504", "keras", self.folder / name)
        (self.folder / "model.pb").write_bytes(content)
        self.refused(4, "TLY0504", "keras", self.folder / "model.pb")
        self.refused(5, "TLY0101", "keras", self.folder / "absent.keras")

    def test_the_check_can_fail(self):
        """With one weight of the export changed, the comparison says no."""
        from tally_export import keras_model
        from tally_export.errors import ExportError
        from tally_export.verification import verify

        k = keras()
        model = shaken(k.Sequential([k.Input((8, 8, 2)), k.layers.Conv2D(4, 3)]))
        exported = keras_model.export(self.save(model), None)
        verify(exported)
        constants = exported.model.graph.initializer
        weights = next(one for one in constants if one.name.endswith(".weight"))
        values = np.frombuffer(weights.raw_data, np.float32).copy()
        values[7] += 0.01
        weights.raw_data = values.tobytes()
        with self.assertRaises(ExportError) as caught:
            verify(exported)
        self.assertEqual((caught.exception.code, caught.exception.exit), ("TLY1006", 1))

    def test_resnet8_of_the_data_folder(self):
        """The .h5 gives what the folder's ONNX file, made from it, gives."""
        import onnx
        from tally_export.verification import run_onnx

        x = np.random.default_rng(1).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
        expected = run_onnx(onnx.load(model_file("resnet8-cifar10/resnet8-cifar10.onnx")), x)
        path = model_file("resnet8-cifar10/pretrainedResnet.h5")
        result = self.exported("keras", path)
        self.assertEqual(result["axes"], "height, width, channels")
        found = self.run_model(x)
        exponent = np.exp(expected - expected.max(1, keepdims=True))
        softmax = exponent / exponent.sum(1, keepdims=True)
        closer = softmax if abs(expected.sum(1) - 1).max() > 1e-3 else expected
        np.testing.assert_allclose(found, closer, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
