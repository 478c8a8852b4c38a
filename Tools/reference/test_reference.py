"""Self-tests: every answer is defined a second way, or taken from an example in SPEC.

    python3 -m unittest discover -s Tools/reference -p 'test_*.py'
"""

import json
import os
import struct
import sys
import tempfile
import unittest
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import builder
import data as data_files
import journal
import loss as losses
import network
import operations
import random_bits
import ranges
import recipe as recipes
import scalar
import tables
import training
import vectors
import vectors_invalid
import vectors_kernels
import vectors_networks
import vectors_runs
import zeroth
import verify
from operations import Draws, Gradient
from scalar import Scale
from vector_text import Rule


def real(s):
    """The rational a Scale stands for."""
    return Fraction(s.m) * Fraction(2) ** (s.e - 31)


def half_up(v):
    return (v + Fraction(1, 2)).__floor__()


def some(count, low, high, seed=1):
    """Reproducible integers in low...high."""
    stream = random_bits.Stream(seed, 2, 0, 0, 0)
    return [low + (stream.word(2 * i) << 32 | stream.word(2 * i + 1)) % (high - low + 1)
            for i in range(count)]


class ScalarTests(unittest.TestCase):
    def test_examples_of_the_specification(self):
        self.assertEqual(scalar.requant(28, (1985309846, 33)), 6)
        self.assertEqual(scalar.requant(7984, (1583594044, 40)), 11)
        self.assertEqual(scalar.requant(-7984, (1583594044, 40)), -11)
        self.assertEqual(scalar.requant(-5, (1 << 30, 31)), -2)
        self.assertEqual(scalar.requant(5, (1 << 30, 31)), 3)
        self.assertEqual(scalar.requant(1, (1 << 30, 62)), 0)
        self.assertEqual([scalar.stochastic(-13, 3, r) for r in range(8)],
                         [-2, -2, -2, -2, -2, -1, -1, -1])
        self.assertEqual([scalar.exp2neg(t) for t in (1, 65535, 100000)],
                         [1073730529, 536876622, 372881040])
        self.assertEqual([scalar.log2(v) for v in (3, 1000, 10 << 30)], [103872, 653118, 2183786])
        self.assertEqual([scalar.E[j] for j in (0, 1, 32, 63, 64)],
                         [1073741824, 1062175491, 759250125, 542717053, 536870912])
        self.assertEqual([scalar.L[j] for j in (0, 1, 128, 255, 256)], [0, 369, 38336, 65351, 65536])
        self.assertEqual([scalar.C[j] for j in (0, 128, 256)], [1 << 30, 0, -(1 << 30)])

    def test_tables_agree_with_the_generator_of_the_swift_tables(self):
        self.assertEqual(scalar.E, list(tables.exponential_table()))
        self.assertEqual(scalar.L, list(tables.logarithm_table()))
        self.assertEqual(scalar.C, list(tables.cosine_table()))

    def test_requantize_is_one_half_up_rounding(self):
        for acc in list(range(-40, 41)) + some(300, -(1 << 31), (1 << 31) - 1):
            for m in [1 << 30, (1 << 31) - 1] + some(3, 1 << 30, (1 << 31) - 1, acc & 7):
                for sh in (-2, 0, 1, 30, 31, 33, 62):
                    exact = half_up(Fraction(acc * m) * Fraction(2) ** -sh)
                    self.assertEqual(scalar.requant(acc, (m, sh)), scalar.sat32(exact))
                    self.assertEqual(scalar.requant_wide(acc, (m, sh)), scalar.sat64(exact))

    def test_stochastic_rounding_is_floor_of_value_plus_lane(self):
        for v in list(range(-70, 70)):
            for s in range(7):
                expected = [(Fraction(v, 1 << s) + Fraction(r, 1 << s)).__floor__() for r in range(1 << s)]
                self.assertEqual([scalar.stochastic(v, s, r) for r in range(1 << s)], expected)
                self.assertEqual(sum(expected), v)  # the expectation is v / 2^s

    def test_scale_operations_are_normalised_and_precise(self):
        mantissas = some(60, 1 << 30, (1 << 31) - 1) + [1 << 30, (1 << 31) - 1]
        scales = [Scale(m, i % 40 - 20) for i, m in enumerate(mantissas)]
        tolerance = Fraction(1, 1 << 30)
        for a in scales:
            root = scalar.sqrt(a)
            self.assertTrue(scalar.is_scale(root))
            self.assertLessEqual(abs(real(root) ** 2 / real(a) - 1), 2 * tolerance)
            for b in scales:
                for got, exact in ((scalar.mul(a, b), real(a) * real(b)), (scalar.div(a, b), real(a) / real(b))):
                    self.assertTrue(scalar.is_scale(got))
                    self.assertLessEqual(abs(real(got) / exact - 1), tolerance)
                self.assertEqual(scalar.less(a, b), real(a) < real(b))

    def test_scale_of_integers_and_back(self):
        for v in list(range(1, 300)) + some(200, 1, 1 << 90):
            s = scalar.from_integer(v)
            self.assertTrue(scalar.is_scale(s))
            self.assertLessEqual(abs(real(s) / v - 1), Fraction(1, 1 << 31))
            self.assertEqual(scalar.integer(s, 0), scalar.sat64(half_up(real(s))))

    def test_exponents_stay_inside_their_bounds(self):
        top, bottom = Scale(1 << 30, 8192), Scale(1 << 30, -8192)
        self.assertEqual(scalar.mul(top, top).e, 8192)
        self.assertEqual(scalar.div(bottom, top).e, -8192)
        self.assertEqual(scalar.shifted(top, 1).e, 8192)

    def test_square_root_and_division(self):
        for v in list(range(2000)) + some(200, 0, (1 << 64) - 1):
            r = scalar.isqrt(v)
            self.assertTrue(r * r <= v < (r + 1) ** 2)
        for a in range(-30, 30):
            for n in range(1, 9):
                self.assertEqual(scalar.div_round(a, n), half_up(Fraction(a, n)))


class RandomTests(unittest.TestCase):
    def test_known_answer(self):
        words = random_bits.philox((0, 0, 0, 0), (0, 0))
        self.assertEqual(" ".join(f"{w:08x}" for w in words), "6627e8d5 e169c58d bc57ac4c 9b00dbd8")

    def test_lanes_in_bulk_are_lanes_one_by_one(self):
        stream = random_bits.Stream(99, 1, 8, 5, 2)
        self.assertEqual(stream.lanes(29), [stream.lane(i) for i in range(29)])
        packed = b"".join(struct.pack("<4I", *stream.block(n)) for n in range(2))
        self.assertEqual(stream.lanes(16), list(struct.unpack("<16H", packed)))
        bits = int.from_bytes(packed[:16], "little")
        self.assertEqual([stream.sign(i) for i in range(128)], [-1 if bits >> i & 1 else 1 for i in range(128)])

    def test_sample_order_is_a_permutation(self):
        for n in list(range(1, 70)) + [255, 256, 257, 1025]:
            order = random_bits.SampleOrder(7, n % 3, n)
            self.assertEqual(sorted(order[i] for i in range(n)), list(range(n)))


class NetworkTests(unittest.TestCase):
    def test_models_come_back_as_the_same_bytes(self):
        for name, make in vectors_networks.MODELS.items():
            data = network.write(make())
            self.assertEqual(network.write(network.read(data)), data, name)
            self.assertEqual(len(data) % 64, 32, name)

    def test_every_changed_byte_is_refused(self):
        data = network.write(vectors_networks.MODELS["smallest"]())
        for i in range(len(data)):
            changed = data[:i] + bytes([data[i] ^ 0x10]) + data[i + 1:]
            with self.assertRaises(network.FormatError, msg=f"byte {i}"):
                network.read(changed)

    def test_every_truncation_is_refused(self):
        data = network.write(vectors_networks.MODELS["smallest"]())
        for size in range(len(data)):
            with self.assertRaises(network.FormatError):
                network.read(data[:size])

    def test_no_change_with_a_fitting_digest_raises_anything_but_a_format_error(self):
        data = network.write(vectors_invalid.base())
        for i in range(64 + 128 + 5 * 128):
            for bit in (0x01, 0x80):
                image = vectors_invalid.Image(data)
                image.data[i] ^= bit
                try:
                    network.read(image.finish())
                except network.FormatError:
                    pass

    def test_invalid_files_are_refused_and_their_bases_accepted(self):
        run = vectors_runs.run_files("mlp", vectors_runs.RUNS["mlp"]())
        readers = {"tally": network.read, "tlj": journal.read, "recipe.bin": recipes.read}
        for path, content in vectors_invalid.files(run["runs/mlp.tlj"]).items():
            name, _, kind = path.partition(".")
            if "valid-base" in name:
                readers[kind](content)
                continue
            with self.assertRaises(network.FormatError, msg=path):
                readers[kind](content)


class OperationTests(unittest.TestCase):
    """Forward against the index equations of 6.1 written out; backward against differences."""

    def test_convolution_forward_as_seven_loops(self):
        for case in vectors_kernels.convolutions():
            node, net = case.node, case.net
            x = net.tensor(0)
            (height, width, channels), (rows, columns, outputs) = x.shape, node.shape
            values = case.inputs[0][5].values(case.batch * x.count)
            per_in, per_out = channels // node.groups, outputs // node.groups
            expected = []
            for b in range(case.batch):
                for r in range(rows):
                    for c in range(columns):
                        for o in range(outputs):
                            acc = node.biases[o]
                            for u in range(node.kernel[0]):
                                for v in range(node.kernel[1]):
                                    row = r * node.stride[0] - node.padding[0] + u * node.dilation[0]
                                    column = c * node.stride[1] - node.padding[1] + v * node.dilation[1]
                                    if not (0 <= row < height and 0 <= column < width):
                                        continue
                                    for i in range(per_in):
                                        at = ((b * height + row) * width + column) * channels
                                        at += o // per_out * per_in + i
                                        w = ((o * node.kernel[0] + u) * node.kernel[1] + v) * per_in + i
                                        acc += node.weights[w] * (values[at] - x.zero)
                            expected.append(acc)
            node.accumulators = True
            self.assertEqual(operations.forward(net, case.at, [values]).values, expected, case.name)

    def difference_checks(self, cases, tolerance=1e-5):
        for case in cases:
            with self.subTest(case.name):
                self.check_by_differences(case, tolerance)

    def check_by_differences(self, case, tolerance):
        """(L(x + 1) - L(x)) / S_x = dx * Scale, with L = sum of g * S_g * y and y hardly rounded.

        The output Scale is made so fine that rounding vanishes, and the bounds so wide that nothing
        is clamped (Python's integers do not mind); max pooling and copies are exact anyway.
        """
        node, net, at = case.node, case.net, case.at
        tensors = [net.tensor(t) for t in node.inputs]
        inputs = [list(rule.values(case.batch * x.count)) for x, (*_, rule) in zip(tensors, case.inputs)]
        exact = node.kind in network.REPEATS_INPUT or node.kind == network.TABLE
        if not exact and not node.accumulators:
            node.scale = scalar.shifted(node.scale, -20)
            node.low, node.high, node.zero = -(1 << 40), 1 << 40, 0
        outputs = case.batch * node.count
        g = Gradient(case.gradient.values(outputs), Scale(1 << 30, 1))

        def total():
            y = operations.forward(net, at, inputs).values
            return sum(a * (b - node.zero) for a, b in zip(g.values, y)) * float(real(node.scale))

        start = total()
        backward = operations.backward(net, at, inputs, g, Draws(1, 0, 0))
        size = sum(abs(v) for v in g.values) * float(real(node.scale))
        for j, dx in enumerate(backward):
            if node.per_channel or (j == 1 and node.inputs[0] == node.inputs[1]):
                continue
            unit, scale = float(real(tensors[j].scale)), float(real(dx.scale))
            largest = max(abs(v) for v in dx.values) * scale * unit
            for i in range(0, len(inputs[j]), max(1, len(inputs[j]) // 12)):
                inputs[j][i] += 1
                change = total() - start
                inputs[j][i] -= 1
                self.assertAlmostEqual(change, dx.values[i] * scale * unit, delta=tolerance * largest + 2 * size,
                                       msg=f"input {j} element {i}")
        if node.is_weighted:
            self.check_parameters(case, inputs, g, total, start, size)

    def check_parameters(self, case, inputs, g, total, start, size):
        node, net = case.node, case.net
        dw, db = operations.parameter_gradients(net, node, inputs, g)
        x_unit = float(real(net.tensor(0).scale))
        per_output = len(node.weights) // len(node.biases)
        for i in range(0, len(node.weights), max(1, len(node.weights) // 12)):
            node.weights[i] += 1
            change = total() - start
            node.weights[i] -= 1
            unit = float(real(node.weight_scale(i // per_output)))
            expected = dw.values[i] * float(real(dw.scale)) * unit
            self.assertAlmostEqual(change, expected, delta=1e-5 * abs(expected) + 2 * size)
        for o in range(len(node.biases)):
            node.biases[o] += 1
            change = total() - start
            node.biases[o] -= 1
            expected = db.values[o] * float(real(db.scale)) * x_unit * float(real(node.weight_scale(o)))
            self.assertAlmostEqual(change, expected, delta=1e-5 * abs(expected) + 2 * size)

    def test_weighted_gradients(self):
        self.difference_checks(vectors_kernels.convolutions() + vectors_kernels.fully_connecteds())

    def test_max_pooling_gradients(self):
        # Values without ties and gaps of 2, so that +1 never changes which one is the largest.
        for case in vectors_kernels.max_poolings():
            shape, scale, zero, low, high, rule = case.inputs[0]
            case.inputs[0] = (shape, scale, zero, low, high, Rule(2 * 61, 0, 2 * 499, -499))
            with self.subTest(case.name):
                self.check_by_differences(case, 1e-9)

    def test_average_pooling_gradients(self):
        # 6.4 rounds 64 * KH * KW / n to an integer where n differs: at most one part in 128.
        self.difference_checks(vectors_kernels.average_poolings(), tolerance=1e-2)

    def test_two_input_gradients(self):
        cases = vectors_kernels.adds() + vectors_kernels.multiplies() + vectors_kernels.concatenates()
        for case in cases:
            if case.node.kind == network.ADD:
                case.node.scale = scalar.shifted(case.node.scale, 6)  # keep F of 6.5 above 0
        # 6.5 has few fraction bits where the output is that fine.
        self.difference_checks([c for c in cases if c.node.kind != network.ADD])

    def test_add_gradient_is_the_ratio_of_scales(self):
        for case in vectors_kernels.adds():
            node, net = case.node, case.net
            tensors = [net.tensor(t) for t in node.inputs]
            (m1, m2), f = network.add_multipliers(tensors, node.scale)
            for m, x in ((m1, tensors[0]), (m2, tensors[1])):
                exact = real(x.scale) / real(node.scale)
                self.assertLessEqual(abs(Fraction(m, 1 << f) - exact), Fraction(1, 1 << f))

    def test_rescale_slice_and_upsample_gradients(self):
        self.difference_checks(vectors_kernels.rescales() + vectors_kernels.slices() + vectors_kernels.upsamples())

    def test_table_gradient_is_its_slopes(self):
        case = vectors_kernels.tables()[1]  # y = x, slope one
        self.check_by_differences(case, 1e-9)

    def test_mask_tells_what_was_clamped(self):
        for case in vectors_kernels.convolutions()[14:16]:
            node = case.node
            result = operations.forward(case.net, case.at, [case.inputs[0][5].values(2 * 75)])
            self.assertIn(0, result.mask)
            for value, mask, v in zip(result.values, result.mask, result.unplaced):
                self.assertEqual(mask == 1, value == v + node.zero)

    def test_fold_keeps_the_expectation(self):
        case = vectors_kernels.convolutions()[18]
        node, net = case.node, case.net
        g = Gradient([100] * node.count, Scale(1 << 30, 1))
        sums = [0] * node.shape[2]
        for step in range(200):
            folded, largest = operations.fold_channels(net, case.at, g, Draws(1, step, 0))
            for i, v in enumerate(folded):
                sums[i % node.shape[2]] += v
        for o, total in enumerate(sums):
            mean = total / (200 * node.count / node.shape[2])
            self.assertAlmostEqual(mean, float(100 * real(node.weight_scale(o)) / real(largest)), delta=0.06)

    def test_rounded_gradient_keeps_the_expectation_and_fits(self):
        values = some(64, -(1 << 22), 1 << 22)
        sums = [0] * 64
        for step in range(400):
            draws = Draws(3, step, 0)
            g = operations.round_gradient(values, Scale(1 << 30, 1), lambda: draws.lanes(0, 4, 64))
            self.assertTrue(all(-127 <= v <= 127 for v in g.values))
            sums = [a + b for a, b in zip(sums, g.values)]
        unit = 2.0 ** (g.scale.e - 1)
        for v, total in zip(values, sums):
            if abs(v) < 120 * unit:
                self.assertAlmostEqual(total / 400, v / unit, delta=0.12)


class LossTests(unittest.TestCase):
    def test_the_example(self):
        loss, p, g = losses.softmax_cross_entropy([120, -40, 310, 0], 0, Scale(1374389535, -5))
        self.assertEqual((loss, p, g), (250673, [715, 29, 31959, 65], [-32053, 29, 31959, 65]))

    def test_against_floating_point(self):
        import math
        scale = Scale(1374389535, -6)
        s = float(real(scale))
        for seed in range(40):
            z = some(7, -300, 300, seed)
            loss, p, g = losses.softmax_cross_entropy(z, seed % 7, scale)
            e = [math.exp(v * s) for v in z]
            exact = [v / sum(e) for v in e]
            self.assertAlmostEqual(loss / 65536, -math.log(exact[seed % 7]), delta=1e-3)
            for i in range(7):
                self.assertAlmostEqual(p[i] / 32768, exact[i], delta=2e-4)
                self.assertAlmostEqual(g[i] / 32768, exact[i] - (i == seed % 7), delta=4e-4)
            self.assertEqual(sum(g), 0)

    def test_squared_error_gradient_by_differences(self):
        scale = Scale(1374389535, -5)
        s = float(real(scale))
        z, targets = [100, -30, 7], [65536, -20000, 0]
        _, r = losses.mean_squared_error(z, targets, scale)
        grad = float(real(losses.mean_squared_error_scale(scale, 1, 3)))

        def exact(z):
            return sum((v * s - t / 65536) ** 2 for v, t in zip(z, targets)) / 3
        for i in range(3):
            up, down = list(z), list(z)
            up[i] += 1
            down[i] -= 1
            slope = (exact(up) - exact(down)) / (2 * s)
            self.assertAlmostEqual(r[i] * grad, slope, delta=grad)


class TrainingTests(unittest.TestCase):
    def run_of(self, name, **changes):
        run = vectors_runs.RUNS[name]()
        run.recipe.update(changes)
        return vectors_runs.run_files("x", run), run

    def test_losses_fall(self):
        for name in ("mlp", "mlp-int8", "mlp-momentum", "cnn-residual", "regression", "labels-squared-error"):
            files, _ = self.run_of(name)
            epochs = [journal.EPOCH_LAYOUT.unpack(r.payload) for r in journal.read(files["runs/x.tlj"])
                      if r.kind == journal.EPOCH]
            first, last = (e[2] / e[1] for e in (epochs[0], epochs[-1]))
            self.assertLess(last, 0.9 * first, name)

    def test_an_update_follows_the_gradient(self):
        """One step of plain descent changes the loss by about -eta * |gradient|^2."""
        run = vectors_runs.RUNS["mlp"]()
        run.recipe.update(batch=23, microBatch=23, steps=1, ranges="frozen", learningRate="0.001", clip=128,
                          schedule={"kind": "constant"})
        net = run.net
        for node in net.nodes[:1]:  # calibrated by hand: 8.10 leaves room of three bits
            node.scale = scalar.shifted(node.scale, -3)
            net.nodes[1].scale = scalar.mul(node.scale, net.nodes[1].weight_scales[0])
        data = vectors_runs.load(net, run.data)
        recipe = recipes.resolve(json.dumps(run.recipe), net, True)
        before, _ = training.evaluate(net, recipe, data)
        list(training.Training(net, recipe, data).records())
        after, _ = training.evaluate(net, recipe, data)
        self.assertLess(after, before)

    def test_a_run_is_the_same_twice_and_depends_on_the_seed(self):
        first, _ = self.run_of("mlp")
        second, _ = self.run_of("mlp")
        other, _ = self.run_of("mlp", seed=2)
        self.assertEqual(first["runs/x.tlj"], second["runs/x.tlj"])
        self.assertNotEqual(first["runs/x-trained.tally"], other["runs/x-trained.tally"])

    def test_decay_shrinks_weights(self):
        """With rate and gradient aside, D = lambda * eta * A."""
        run = vectors_runs.RUNS["mlp"]()
        recipe = recipes.Recipe(decay=recipes.decimal(1, 4), rate_weights=recipes.decimal(1, 2),
                                updates=[3, 0], rate_head=recipes.decimal(1, 2))
        data = vectors_runs.load(run.net, run.data)
        t = training.Training(run.net, recipe, data)
        before = list(t.parameters[0].masters)
        training.Update(t, 0, 1 << 30, 1).begin()
        for a, b in zip(before, t.parameters[0].masters):
            self.assertAlmostEqual(b, a * 7 / 8, delta=1)

    def test_trust_ratio_bounds_the_relative_change(self):
        run = vectors_runs.RUNS["mlp"]()
        run.recipe.update(learningRate="100", trustRatio="0.001", steps=1, clip=128, ranges="frozen",
                          microBatch=23, batch=23)
        net = run.net
        data = vectors_runs.load(net, run.data)
        recipe = recipes.resolve(json.dumps(run.recipe), net, True)
        t = training.Training(net, recipe, data)
        before = [list(p.masters) for p in t.parameters]
        list(t.records())
        for p, old in zip(t.parameters, before):
            change = sum((a - b) ** 2 for a, b in zip(p.masters, old)) ** 0.5
            size = sum(a * a for a in old) ** 0.5
            self.assertLess(change / size, 0.00101)
            self.assertGreater(change / size, 0.00099)

    def test_gradients_exist_only_between_updated_nodes_and_the_output(self):
        net = vectors_runs.two_heads_of_one_tensor()
        self.assertEqual(training.gradient_tensors(net, [1]), {2, 5, 6, 7, 8})
        self.assertEqual(training.gradient_tensors(net, [3]), set())  # the dead end
        self.assertEqual(training.gradient_tensors(net, [0]), {1, 2, 3, 5, 6, 7, 8})

    def test_bounds_are_refused(self):
        run = vectors_runs.RUNS["mlp"]()
        data = vectors_runs.load(run.net, run.data)
        for changes in (dict(batch=2000, micro_batch=1), dict(batch=66312, micro_batch=66312),
                        dict(batch=200, micro_batch=1, clip=100)):
            recipe = recipes.Recipe(rate_weights=recipes.decimal(1, 2), updates=[3, 3], **changes)
            with self.assertRaises(training.RecipeError):
                training.Training(run.net, recipe, data)
        frozen = vectors_runs.converted_channels()
        with self.assertRaises(training.RecipeError):
            training.Training(frozen, recipes.Recipe(track=True, updates=[3, 3, 3, 0, 3]),
                              vectors_runs.load(frozen, vectors_runs.RUNS["cnn-per-channel"]().data))


class RangeTests(unittest.TestCase):
    def tracker(self, period=4, planned=100):
        net = vectors_runs.residual()
        parameters = [training.initial_parameters(node, 3, recipes.Recipe()) if node.is_weighted else None
                      for node in net.nodes]
        return net, parameters, ranges.RangeTracker(net, parameters, period, planned)

    def test_tracked_tensors(self):
        self.assertEqual(ranges.tracked_tensors(vectors_runs.residual()), [1, 3, 4, 5])
        self.assertEqual(ranges.tracked_tensors(vectors_networks.single(vectors_networks.gate)), [])
        self.assertEqual(ranges.followers(vectors_runs.residual(), 1), [1, 2])

    def test_a_change_keeps_real_biases_and_weights(self):
        net, parameters, tracker = self.tracker()
        node = net.nodes[2]  # reads the pool that follows tensor 1
        node.biases = [1000, -1000, 333, -333]
        before = [b * real(net.tensor(2).scale) * real(node.weight_scales[0]) for b in node.biases]
        self.assertTrue(tracker.change_tensor(1, 2))
        after = [b * real(net.tensor(2).scale) * real(node.weight_scales[0]) for b in node.biases]
        for a, b in zip(before, after):
            self.assertLess(abs(a - b), real(net.tensor(2).scale) * real(node.weight_scales[0]))
        masters = [a * real(node.weight_scales[0]) for a in parameters[2].masters]
        self.assertTrue(tracker.change_weights(2, 1))
        self.assertEqual([a * real(node.weight_scales[0]) for a in parameters[2].masters], masters)

    def test_head_follows(self):
        net, _, tracker = self.tracker()
        tracker.change_tensor(5, -3)  # the sum; the average pool follows, the head reads it
        head = net.head
        self.assertEqual(head.scale, scalar.mul(net.tensor(head.inputs[0]).scale, head.weight_scales[0]))

    def test_refused_changes(self):
        net, _, tracker = self.tracker()
        net.nodes[2].biases[0] = 13_000_000
        before = network.write(net)
        self.assertFalse(tracker.change_tensor(1, -1))  # |b| above 25 000 000
        self.assertFalse(tracker.change_weights(2, -1))
        self.assertFalse(tracker.change_tensor(1, 500))  # F below 1
        self.assertFalse(tracker.change_tensor(5, 600))  # exponent
        self.assertEqual(network.write(net), before)
        self.assertTrue(tracker.change_tensor(1, 1))

    def test_decisions(self):
        net, _, tracker = self.tracker()

        def fill(bits, number):
            tracker.clear()
            for t in tracker.tracked:
                tracker.histogram[t][bits] = number
                tracker.histogram[t][0] = 1280 - number
        scale = net.tensor(3).scale
        fill(10, 11)  # 11 / 1280 above 1 / 128; the capacity is 8 bits, 7 of tensor 4 (not rectified)
        records = tracker.decide(1)  # u = 2: start-up
        self.assertEqual([journal.RANGE_LAYOUT.unpack(r)[3] for r in records], [2, 2, 3, 2])
        self.assertEqual(net.tensor(3).scale, scalar.shifted(scale, 2))
        fill(10, 10)
        self.assertEqual(tracker.decide(0), [])  # exactly 1 / 128 is no reason
        fill(10, 11)
        self.assertEqual([journal.RANGE_LAYOUT.unpack(r)[3] for r in tracker.decide(3)
                          if journal.RANGE_LAYOUT.unpack(r)[2] == journal.TENSOR], [1] * 4)
        for step in (7, 11):  # u = 8 and 12: small twice; 8 after the change at 4, allowed at 12
            fill(6, 1280)
            tensors = [r for r in map(journal.RANGE_LAYOUT.unpack, tracker.decide(step))
                       if r[2] == journal.TENSOR]
            self.assertEqual([r[3] for r in tensors], [] if step == 7 else [-1] * 4)
        fill(10, 1280)
        self.assertEqual(tracker.decide(4), [])  # u = 5: no decision
        self.assertEqual(tracker.decide(91), [])  # the last tenth


class JournalTests(unittest.TestCase):
    def verdict(self, files, journal_bytes=None, model=None, data=None):
        return verify.verify(
            journal_bytes or files["runs/x.tlj"], model or files["runs/x.tally"], data or files["runs/x.npz"],
            files.get("runs/x-validation.npz"), load=vectors_runs.load)

    def test_runs_are_reproduced(self):
        for name in ("mlp", "bias-and-last", "regression", "cnn-per-channel", "ranges", "no-steps"):
            run = vectors_runs.run_files("x", vectors_runs.RUNS[name]())
            status, sentence = self.verdict(run)
            self.assertEqual(status, 0, sentence)

    def test_tampering_is_found_where_it_is(self):
        files = vectors_runs.run_files("x", vectors_runs.RUNS["mlp"]())
        records = [(r.kind, r.payload) for r in journal.read(files["runs/x.tlj"])]
        steps = [i for i, (kind, _) in enumerate(records) if kind == journal.STEP]
        kind, payload = records[steps[6]]
        changed = payload[:8] + struct.pack("<q", 5) + payload[16:]
        forged = journal.write(records[:steps[6]] + [(kind, changed)] + records[steps[6] + 1:])
        status, sentence = self.verdict(files, forged)
        self.assertEqual(status, 1)
        self.assertIn("diverged at step 6", sentence)
        self.assertIn("loss is 5", sentence)
        raw = bytearray(files["runs/x.tlj"])
        raw[-1] ^= 1
        status, sentence = self.verdict(files, bytes(raw))
        self.assertEqual(status, 1)
        self.assertIn("chain tag", sentence)

    def test_cannot_check(self):
        files = vectors_runs.run_files("x", vectors_runs.RUNS["mlp"]())
        other = vectors_runs.run_files("x", vectors_runs.RUNS["mlp-momentum"]())
        good = files["runs/x.tlj"]
        for status, sentence in (
                self.verdict(files, model=other["runs/x.tally"]), self.verdict(files, data=other["runs/x.npz"]),
                self.verdict(files, good[:-30]), self.verdict(files, good[:10]),
                self.verdict(files, model=good)):
            self.assertEqual(status, 4, sentence)

    def test_every_prefix_is_readable_or_torn(self):
        data = vectors_runs.run_files("x", vectors_runs.RUNS["mlp"]())["runs/x.tlj"]
        whole = journal.read(data)
        for size in range(17, len(data)):
            try:
                records = journal.read(data[:size])
            except journal.TornError as error:
                records = error.records
            self.assertEqual(records, whole[:len(records)])

    def test_command_line(self):
        files = vectors_runs.run_files("x", vectors_runs.RUNS["bias-and-last"]())
        with tempfile.TemporaryDirectory() as folder:
            vectors.write(files, folder)
            path = os.path.join(folder, "runs", "x")
            arguments = [path + ".tlj", "--model", path + ".tally", "--data", path + ".npz"]
            saved, sys.stdout = sys.stdout, open(os.devnull, "w")
            try:
                self.assertEqual(verify.main(arguments + ["--validate", path + "-validation.npz"]), 0)
                self.assertEqual(verify.main(arguments), 4)
                self.assertEqual(verify.main([path + ".missing"] + arguments[1:]), 4)
            finally:
                sys.stdout.close()
                sys.stdout = saved


class DataTests(unittest.TestCase):
    def test_quantization_is_exact(self):
        third = network.InputMap(Scale(1431655765, -1), True, (7 << 32) + (1 << 31))
        for x in list(range(-300, 300)) + [0.1, -2.5, 1e-300, 1e300, 12345678901234567890]:
            exact = Fraction(-1431655765, 1 << 32) * Fraction(x) + Fraction(15, 2)
            self.assertEqual(data_files.quantize(data_files.exact_value(x), third),
                             scalar.clamp(half_up(exact), -128, 127))
        for x in (float("nan"), float("inf"), float("-inf")):
            with self.assertRaises(data_files.DataError):
                data_files.exact_value(x)

    def test_planar_data_are_turned(self):
        net = builder.Builder((2, 3, 2), maps=[network.InputMap(builder.fraction(1), False, 0)],
                              channels_first=True).net
        planar = list(range(12))
        self.assertEqual(data_files.quantize_sample(net, planar, {}), [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])

    def test_array_files(self):
        shape, values = (2, 3), [1, 2, 3, 4, 5, 6]
        for kind in ("|u1", "|i1", "<i4", "<f4", "<f8"):
            self.assertEqual(data_files.read_npy(vectors_runs.npy(kind, shape, values)), (shape, values))
        text = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }"
        raw = (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
               + struct.pack(">6h", 1, 4, 2, 5, 3, 6))
        self.assertEqual(data_files.read_npy(raw), (shape, values))
        idx = bytes([0, 0, 8, 2]) + struct.pack(">II", 2, 3) + bytes(values)
        self.assertEqual(data_files.read_idx(idx), (shape, values))
        for broken in (raw[:-1], idx[:-1], b"", b"\x93NUMPY\x01\x00\x02\x00{}"):
            for reader in (data_files.read_npy, data_files.read_idx):
                with self.assertRaises(data_files.DataError):
                    reader(broken)


class RecipeTests(unittest.TestCase):
    def test_decimals_round_once(self):
        for text, exact in (("0.05", Fraction(1, 20)), ("5e-2", Fraction(1, 20)), ("1/20", Fraction(1, 20)),
                            ("3", Fraction(3)), ("0.3333333333", Fraction(3333333333, 10**10)),
                            ("1e-40", Fraction(1, 10**40)), ("123456789012", Fraction(123456789012))):
            s = recipes.scale_of(text)
            self.assertTrue(scalar.is_scale(s))
            self.assertLessEqual(abs(real(s) - exact), real(s) / (1 << 31))
        self.assertEqual(recipes.scale_of("0"), scalar.ZERO)
        for text in ("", "-1", ".5", "1.", "1/0", "0x1", "1 ", "nan", 0.5, 1):
            with self.assertRaises(recipes.RecipeTextError):
                recipes.scale_of(text)

    def test_text_with_comments_and_trailing_commas(self):
        net = vectors_runs.mlp()
        text = '{ // a comment\n "epochs": 2, /* "seed": 3, */ "update": {"layers": {"head": ["biases",],}, }, }'
        r = recipes.resolve(text, net, True)
        self.assertEqual((r.epochs, r.seed, r.updates), (2, 1, [0, 2]))
        for broken in ('{"epoch": 1}', '{"epochs": 1, "epochs": 1}', '{"learningRate": 0.1}',
                       '{"update": {"layers": {"tail": ["biases"]}}}'):
            with self.assertRaises(recipes.RecipeTextError):
                recipes.resolve(broken, net, True)

    def test_bytes_come_back(self):
        for make in vectors_runs.RUNS.values():
            run = make()
            r = recipes.resolve(json.dumps(run.recipe), run.net, True)
            self.assertEqual(recipes.read(recipes.write(r)), r)


class ZerothOrderTests(unittest.TestCase):
    def replayed(self, name):
        """A run's records, and a Training of the same model that has made no step."""
        files = vectors_runs.run_files(name, vectors_runs.RUNS[name]())
        net = network.read(files[f"runs/{name}.tally"])
        data = vectors_runs.load(net, files[f"runs/{name}.npz"])
        records = journal.read(files[f"runs/{name}.tlj"])
        recipe = recipes.read(journal.parse_begin(records[0].payload).recipe)
        return files, records, training.Training(net, recipe, data), net

    def test_replay_needs_no_data(self):
        for name in ("zeroth-weights",):
            files, records, start, net = self.replayed(name)
            start.data = None
            roots = list(zeroth.replay(start, records))
            self.assertEqual(len(roots), 10)
            for mine, recorded in roots:
                self.assertEqual(mine, recorded)
            self.assertEqual(network.write(net), files[f"runs/{name}-trained.tally"])

    def test_what_does_not_replay(self):
        for name in ("zeroth-nodes", "zeroth-gains", "zeroth-hybrid"):
            _, records, start, _ = self.replayed(name)
            with self.assertRaises(network.FormatError):
                list(zeroth.replay(start, records))

    def test_perturbations_are_antithetic_and_masked(self):
        run = vectors_runs.RUNS["zeroth-sigma"]()
        recipe = recipes.resolve(json.dumps(run.recipe), run.net, True)
        start = training.Training(run.net, recipe, vectors_runs.load(run.net, run.data))
        step = zeroth.Step(start.zeroth, 0, 1 << 30, 6)
        sigma = step.state.weight_sigma
        self.assertEqual(step.group.kind, zeroth.WEIGHTS)
        k = step.group.node
        plus, minus = (step.perturbed(3, s).nodes[k] for s in (1, -1))
        moved = 0
        for w, a, b in zip(run.net.nodes[k].weights, plus.weights, minus.weights):
            self.assertEqual(a + b, 2 * w)
            self.assertEqual(abs(a - w), sigma if abs(w) + sigma <= 127 else 0)
            moved += a != w
        self.assertTrue(0 < moved < len(plus.weights))


class VectorTests(unittest.TestCase):
    def test_the_repository_holds_what_the_reference_writes(self):
        self.assertEqual(vectors.check(vectors.make(), vectors.FOLDER), [])


if __name__ == "__main__":
    unittest.main()
