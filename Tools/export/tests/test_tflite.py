"""TensorFlow Lite files: operators against LiteRT, integers kept, and what is refused.

The export compares itself with LiteRT on random inputs; a quantised comparison allows for kernels
that round ties differently, so integers and scales are compared one by one as well.
"""

import unittest

import numpy as np
from support import ExportTest, model_file, needs


@needs("tflite", "flatbuffers", "ai_edge_litert", "onnx", "onnxruntime")
class Operators(ExportTest):
    def setUp(self):
        super().setUp()
        from tflite_builder import Builder

        self.builder = Builder()
        self.generator = np.random.default_rng(7)

    def random(self, *shape, scale=0.3):
        return (self.generator.standard_normal(shape) * scale).astype(np.float32)

    def save(self, content=None, name="model.tflite") -> str:
        path = self.folder / name
        path.write_bytes(self.builder.build() if content is None else content)
        return str(path)

    def check(self, **wanted):
        result = self.exported("tflite", self.save(), "--force")
        for operator, count in wanted.items():
            self.assertEqual(self.operators().get(operator, 0), count, operator)
        return result

    # Layers of float models

    def convolution(self, x, shape, weights, *, kind="CONV_2D", **fields):
        b = self.builder
        depthwise = kind == "DEPTHWISE_CONV_2D"
        outputs = weights.shape[-1] if depthwise else weights.shape[0]
        inputs = [x, b.constant(weights), b.constant(self.random(outputs))]
        options = {
            "Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1,
            "FusedActivationFunction": 0, **fields,
        }  # fmt: skip
        table = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        return b.operator(kind, inputs, b.tensor((*shape, outputs)), table, **options)

    def test_convolutions(self):
        x = self.builder.tensor((1, 9, 8, 3))
        y = self.convolution(
            x, (1, 5, 4), self.random(6, 3, 4, 3), StrideH=2, StrideW=2, FusedActivationFunction=1
        )
        y = self.convolution(
            y, (1, 5, 4), self.random(1, 3, 3, 12), kind="DEPTHWISE_CONV_2D", DepthMultiplier=2,
            FusedActivationFunction=3,
        )  # fmt: skip
        y = self.convolution(
            y, (1, 3, 2), self.random(4, 3, 3, 12), Padding=1, FusedActivationFunction=2
        )
        self.convolution(
            y, (1, 3, 2), self.random(5, 2, 2, 4), DilationHFactor=2, DilationWFactor=1
        )
        self.check(Conv=4, Relu=1, Clip=2)

    def test_a_classifier(self):
        """PAD, pools, FULLY_CONNECTED behind 4-D values, RESHAPE, SOFTMAX."""
        b = self.builder
        x = b.tensor((1, 8, 8, 2))
        pads = b.constant(np.array([[0, 0], [0, 1], [0, 1], [0, 0]], np.int32))
        y = b.operator("PAD", [x, pads], b.tensor((1, 9, 9, 2)), "PadOptions")
        y = self.convolution(y, (1, 4, 4), self.random(4, 3, 3, 2), Padding=1, StrideH=2, StrideW=2)
        window = {
            "StrideH": 1, "StrideW": 1, "FilterHeight": 3, "FilterWidth": 2, "Padding": 0,
            "FusedActivationFunction": 0,
        }  # fmt: skip
        y = b.operator("AVERAGE_POOL_2D", [y], b.tensor((1, 4, 4, 4)), "Pool2DOptions", **window)
        y = b.operator("MAX_POOL_2D", [y], b.tensor((1, 4, 4, 4)), "Pool2DOptions", **window)
        y = b.operator(
            "FULLY_CONNECTED", [y, b.constant(self.random(6, 64)), b.constant(self.random(6))],
            b.tensor((1, 6)), "FullyConnectedOptions", FusedActivationFunction=1,
        )  # fmt: skip
        shape = b.constant(np.array([-1, 1, 2, 3], np.int32))
        y = b.operator("RESHAPE", [y, shape], b.tensor((1, 1, 2, 3)))
        y = self.convolution(y, (1, 1, 2), self.random(3, 1, 1, 3))
        y = b.operator(
            "FULLY_CONNECTED", [y, b.constant(self.random(4, 6)), -1], b.tensor((1, 4)),
            "FullyConnectedOptions",
        )  # fmt: skip
        b.operator("SOFTMAX", [y], b.tensor((1, 4)), "SoftmaxOptions", Beta=1.0)
        result = self.check(Conv=2, Gemm=2, Softmax=1, Pad=1)
        # Before the softmax, where differences show.
        self.assertGreater(result["check"]["largestOutput"], 1)

    def test_branches(self):
        b = self.builder
        shape = (1, 6, 4, 3)
        x = b.tensor(shape)
        y = b.operator("HARD_SWISH", [x], b.tensor(shape))
        z = b.operator("LEAKY_RELU", [x], b.tensor(shape), "LeakyReluOptions", Alpha=0.125)
        y = b.operator("ADD", [y, z], b.tensor(shape), "AddOptions", FusedActivationFunction=1)
        y = b.operator("MUL", [y, b.constant(self.random(3))], b.tensor(shape), "MulOptions")
        y = b.operator("SUB", [b.constant(self.random(1)), y], b.tensor(shape), "SubOptions")
        axes = b.constant(np.array([1, 2], np.int32))
        mean = b.operator("MEAN", [y, axes], b.tensor((1, 1, 1, 3)), "ReducerOptions", KeepDims=True)
        gate = b.operator("LOGISTIC", [mean], b.tensor((1, 1, 1, 3)))
        y = b.operator("MUL", [y, gate], b.tensor(shape), "MulOptions")
        slope = b.constant(self.random(1, 1, 3))
        z = b.operator("PRELU", [z, slope], b.tensor(shape))
        y = b.operator(
            "CONCATENATION", [y, z], b.tensor((1, 6, 4, 6)), "ConcatenationOptions", Axis=3
        )
        sizes = b.constant(np.array([12, 8], np.int32))
        y = b.operator(
            "RESIZE_NEAREST_NEIGHBOR", [y, sizes], b.tensor((1, 12, 8, 6)),
            "ResizeNearestNeighborOptions",
        )  # fmt: skip
        order = b.constant(np.array([0, 2, 1, 3], np.int32))
        y = b.operator("TRANSPOSE", [y, order], b.tensor((1, 8, 12, 6)), "TransposeOptions")
        y = b.operator("REDUCE_MAX", [y, axes], b.tensor((1, 6)), "ReducerOptions", KeepDims=False)
        b.operator("TANH", [y], b.tensor((1, 6)))
        self.check(Resize=1, Concat=1, HardSwish=1, PRelu=1, GlobalMaxPool=1)

    def test_half_precision_weights(self):
        b = self.builder
        x = b.tensor((1, 5))
        weights = b.constant(self.random(3, 5).astype(np.float16))
        wide = b.operator("DEQUANTIZE", [weights], b.tensor((3, 5)))
        b.operator("FULLY_CONNECTED", [x, wide, -1], b.tensor((1, 3)), "FullyConnectedOptions")
        self.check(Gemm=1, DequantizeLinear=0)

    # Quantised models

    def quantized_model(self, *, kind="int8", zero=5):
        """A convolution and a depthwise one per channel, an addition and a fully connected layer
        per tensor, with the weights and biases that were put in."""
        b, g = self.builder, self.generator
        kept = {}

        def weights(name, shape, axis, input_scale, per_channel=True):
            count = shape[axis] if per_channel else 1
            scale = g.uniform(0.002, 0.01, count).astype(np.float32)
            data = g.integers(-127, 128, shape).astype(np.int8)
            bias = g.integers(-2000, 2000, shape[axis]).astype(np.int32)
            kept[name] = (data, scale, bias)
            return [
                b.constant(data, scale=scale, axis=axis, name=f"net/{name}/Conv2D"),
                b.constant(bias, scale=scale * np.float32(input_scale)),
            ]  # fmt: skip

        window = {
            "Padding": 0, "StrideH": 2, "StrideW": 2, "DilationHFactor": 1, "DilationWFactor": 1
        }  # fmt: skip
        x = b.tensor((1, 8, 8, 3), kind, scale=0.05, zero=zero)
        first = weights("first", (4, 3, 3, 3), 0, 0.05)
        y = b.operator(
            "CONV_2D", [x, *first], b.tensor((1, 4, 4, 4), kind, scale=0.04, zero=-128),
            "Conv2DOptions", FusedActivationFunction=1, **window,
        )  # fmt: skip
        second = weights("second", (1, 3, 3, 4), 3, 0.04)
        z = b.operator(
            "DEPTHWISE_CONV_2D", [y, *second], b.tensor((1, 4, 4, 4), kind, scale=0.06, zero=-3),
            "DepthwiseConv2DOptions", DepthMultiplier=1, **{**window, "StrideH": 1, "StrideW": 1},
        )  # fmt: skip
        y = b.operator(
            "ADD", [y, z], b.tensor((1, 4, 4, 4), kind, scale=0.07, zero=-20), "AddOptions"
        )
        shape = b.constant(np.array([1, 64], np.int32))
        y = b.operator("RESHAPE", [y, shape], b.tensor((1, 64), kind, scale=0.07, zero=-20))
        last = weights("last", (5, 64), 0, 0.07, per_channel=False)
        b.operator(
            "FULLY_CONNECTED", [y, *last], b.tensor((1, 5), kind, scale=0.1, zero=1),
            "FullyConnectedOptions",
        )  # fmt: skip
        return kept

    def test_integers_scales_and_zero_points_are_the_file_s(self):
        import onnx
        from onnx import numpy_helper

        kept = self.quantized_model()
        self.check(Conv=2, Gemm=1, QuantizeLinear=5)
        graph = onnx.load(self.output).graph
        constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        permutations = {"first": (0, 3, 1, 2), "second": (3, 0, 1, 2), "last": (0, 1)}
        axes = {}
        for node in graph.node:
            if node.op_type == "DequantizeLinear":
                axes[node.input[0]] = {a.name: a.i for a in node.attribute}.get("axis")
        for name, (data, scale, bias) in kept.items():
            with self.subTest(name):
                found = constants[f"{name}.weight"]
                self.assertEqual(found.dtype, np.int8)
                np.testing.assert_array_equal(found, data.transpose(permutations[name]))
                np.testing.assert_array_equal(np.ravel(constants[f"{name}.weight_scale"]), scale)
                self.assertFalse(constants[f"{name}.weight_zero_point"].any())
                self.assertEqual(constants[f"{name}.bias"].dtype, np.int32)
                np.testing.assert_array_equal(constants[f"{name}.bias"], bias)
                self.assertEqual(axes[f"{name}.weight"], 0 if scale.size > 1 else None)
        steps = [
            (float(constants[node.input[1]]), int(constants[node.input[2]]))
            for node in graph.node if node.op_type == "QuantizeLinear"
        ]  # fmt: skip
        wanted = [(0.05, 5), (0.04, -128), (0.06, -3), (0.07, -20), (0.1, 1)]
        for (scale, zero), (wanted_scale, wanted_zero) in zip(steps, wanted, strict=True):
            self.assertEqual((np.float32(scale), zero), (np.float32(wanted_scale), wanted_zero))

    def test_the_check_of_integers_can_fail(self):
        """A convolution whose padding is shifted by one is found out."""
        from tally_export import tflite_model
        from tally_export.errors import ExportError
        from tally_export.verification import verify

        self.quantized_model()
        exported = tflite_model.export(self.save())
        self.assertLess(verify(exported).relative, 0.05)
        convolution = next(n for n in exported.model.graph.node if n.op_type == "Conv")
        pads = next(a for a in convolution.attribute if a.name == "pads")
        self.assertEqual(list(pads.ints), [0, 0, 1, 1])
        pads.ints[:] = [1, 1, 0, 0]
        with self.assertRaises(ExportError) as caught:
            verify(exported)
        self.assertEqual(caught.exception.code, "TLY1006")

    def test_float_at_both_ends(self):
        """QUANTIZE and DEQUANTIZE around an integer model."""
        b = self.builder
        x = b.tensor((1, 6))
        q = b.operator("QUANTIZE", [x], b.tensor((1, 6), "int8", scale=0.02, zero=4))
        data = self.generator.integers(-127, 128, (3, 6)).astype(np.int8)
        weights = b.constant(data, scale=0.01)
        bias = b.constant(np.array([5, -7, 900], np.int32), scale=0.02 * 0.01)
        y = b.operator(
            "FULLY_CONNECTED", [q, weights, bias], b.tensor((1, 3), "int8", scale=0.05, zero=-9),
            "FullyConnectedOptions",
        )  # fmt: skip
        b.operator("DEQUANTIZE", [y], b.tensor((1, 3)))
        self.check(QuantizeLinear=2, Gemm=1)

    # Refusals

    def test_every_operator_that_is_not_supported_is_listed(self):
        b = self.builder
        x = b.tensor((1, 4, 4, 2))
        y = b.operator("COS", [x], b.tensor((1, 4, 4, 2), name="waves"))
        y = b.operator("ELU", [y], b.tensor((1, 4, 4, 2), name="bent"))
        b.operator("RELU", [y], b.tensor((1, 4, 4, 2)))
        text = self.refused(4, "TLY0304", "tflite", self.save())
        for words in ("2 layers are not supported", "COS 'waves'", "ELU 'bent'"):
            self.assertIn(words, text)

    def test_16_bit_activations(self):
        b = self.builder
        x = b.tensor((1, 4), "int16", scale=0.01)
        b.operator("RELU", [x], b.tensor((1, 4), "int16", scale=0.01))
        self.assertIn("16-bit", self.refused(4, "TLY0304", "tflite", self.save()))

    def test_damaged_files(self):
        self.quantized_model()
        content = self.builder.build()
        self.refused(3, "TLY0102", "tflite", self.save(b"", "a.tflite"))
        self.refused(3, "TLY0504", "tflite", self.save(b"\0" * 64, "b.tflite"))
        self.refused(5, "TLY0101", "tflite", self.folder / "absent.tflite")
        statuses = set()
        for cut in range(8, len(content), len(content) // 23):
            status, _, err = self.export(
                "tflite", self.save(content[:cut], "c.tflite"), "-o", self.output, "--no-check",
                "--force",
            )  # fmt: skip
            statuses.add(status)
            self.assertNotEqual(status, 101, err)
        self.assertIn(3, statuses)

    # The data folder's files

    def test_the_folder_s_files(self):
        for name, layers in (
            ("resnet8-cifar10/pretrainedResnet.tflite", {"Conv": 9, "QuantizeLinear": 0}),
            ("resnet8-cifar10/pretrainedResnet_quant.tflite", {"Conv": 9, "QuantizeLinear": 16}),
            ("dscnn-kws/kws_ref_model.tflite", {"Conv": 9, "Gemm": 1, "QuantizeLinear": 13}),
            ("dscnn-kws/kws_ref_model_float32__hybrid_int8_weights.tflite", {"Conv": 9}),
        ):
            with self.subTest(name):
                result = self.exported("tflite", model_file(name), "--force")
                for operator, count in layers.items():
                    self.assertEqual(self.operators().get(operator, 0), count)
                self.assertLess(result["check"]["relativeDifference"], 0.05)

    def test_float_resnet8_gives_what_the_folder_s_onnx_gives(self):
        import onnx
        from tally_export.verification import run_onnx

        x = np.random.default_rng(1).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
        expected = run_onnx(onnx.load(model_file("resnet8-cifar10/resnet8-cifar10.onnx")), x)
        self.exported("tflite", model_file("resnet8-cifar10/pretrainedResnet.tflite"))
        np.testing.assert_allclose(self.run_model(x), expected, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
