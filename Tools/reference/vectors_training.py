"""Formats/vectors/loss and optimizer: SPEC 7, 8.6 and 8.7."""

from types import SimpleNamespace

import loss as losses
import recipe as recipes
import scalar
from network import FULLY_CONNECTED, InputMap, Network, Node
from operations import Accumulators, Draws
from scalar import ZERO, Scale
from training import Parameters, Update
from vector_text import Block, Rule, blocks, numbers

# ---------------------------------------------------------------------------- 7.1


def cross_entropies():
    extreme = [(1 << 31) - 1, -(1 << 31), 0]
    cases = [
        ("SPEC's example", [120, -40, 310, 0], 0, Scale(1374389535, -5)),
        ("SPEC's example, another label", [120, -40, 310, 0], 2, Scale(1374389535, -5)),
        ("two equal classes", [7, 7], 1, Scale(1374389535, -5)),
        ("one class", [5], 0, Scale(1374389535, -5)),
        ("ten equal classes", [0] * 10, 3, Scale(1 << 30, 1)),
        ("extreme logits", extreme, 1, Scale(1374389535, -35)),
        ("extreme logits, small scale", extreme, 0, Scale(1374389535, -44)),
        ("scale so small that t = 0 (sh > 62)", [100, -100, 3], 0, Scale(1 << 30, -60)),
        ("sh = 62", extreme, 2, Scale(1549082005, -48)),
        ("sh = 1", [3, 2, 3, -1], 1, Scale(1 << 30, 14)),
        ("sh = 0", [3, 2, 3, -1], 1, Scale(1 << 30, 15)),
        ("sh below 0", [3, 2, 3, -1], 2, Scale(1 << 30, 40)),
        ("far from the maximum", [90000, 0, 60000, 89999], 1, Scale(1374389535, -10)),
        ("t just below 31", [0, -938815, -938814, -900000], 3, Scale(1610612736, -15)),
    ]
    items = []
    for name, z, label, scale in cases:
        mult = losses.softmax_multiplier(scale)
        loss, p, g = losses.softmax_cross_entropy(z, label, scale)
        block = Block(name).numbers("logits", z).numbers("scale", scale).add("label", label)
        block.numbers("expect multiplier", mult)
        block.numbers("expect t", losses.exponents(z, mult)).numbers("expect p", p)
        items.append(block.numbers("expect gradient", g).add("expect loss", loss))
    for classes, scale, label in [(10, Scale(1374389535, -5), 3), (1000, Scale(1374389535, -7), 999),
                                  (1000, Scale(1 << 30, -25), 0)]:
        rule = Rule(7919, 5, 1009, -500)
        z = rule.values(classes)
        mult = losses.softmax_multiplier(scale)
        loss, p, g = losses.softmax_cross_entropy(z, label, scale)
        block = Block(f"{classes} classes, scale {scale.m} {scale.e}").add("logits", rule)
        block.add("classes", classes).numbers("scale", scale).add("label", label)
        block.numbers("expect multiplier", mult).expect("t", "i", losses.exponents(z, mult))
        block.expect("p", "i", p).expect("gradient", "i", g)
        items.append(block.add("expect loss", loss))
    for samples in (1, 2, 3, 7, 32, 100, 1000):
        items.append(Block(f"gradient scale of {samples} samples").add("samples", samples)
                     .numbers("expect gradient scale", losses.cross_entropy_scale(samples)))
    return blocks("SPEC 7.1 softmax cross-entropy of one sample. `expect multiplier` is m sh; t is Q16, p is Q15,\n"
                  "the loss is in nats, Q16. The last blocks give the Scale of the gradient for B samples.", items)


def mean_squared_errors():
    cases = [
        ("two outputs", [10, -20], [65536, -65536], Scale(1374389535, -4)),
        ("targets that round half up", [0, 0, 0, 0], [1, -1, 3, -3], scalar.power_of_two(-15)),
        ("one output", [1000], [123456], Scale(1374389535, -9)),
        ("extreme", [(1 << 31) - 1, -(1 << 31), 5], [-(1 << 31), (1 << 31) - 1, 0], Scale(1374389535, -20)),
        ("differences beyond 2^24 are clamped in the loss only", [1 << 25, -(1 << 26)], [0, 0],
         Scale(1374389535, -30)),
        ("loss saturates", [1 << 24] * 3, [0, 0, 0], Scale(1 << 30, 12)),
        ("scale so large that every target is 0", [3, -3], [65536, 65536], Scale(1 << 30, 50)),
        ("a class label as targets", [40, -3, 7], losses.one_hot(1, 3), Scale(1374389535, -5)),
    ]
    items = []
    for name, z, targets, scale in cases:
        loss, g = losses.mean_squared_error(z, targets, scale)
        block = Block(name).numbers("logits", z).numbers("targets", targets).numbers("scale", scale)
        block.numbers("expect gradient", g).add("expect loss", loss)
        block.numbers("expect gradient scale of 7 samples",
                      losses.mean_squared_error_scale(scale, 7, len(z)))
        items.append(block)
    return blocks("SPEC 7.2 mean squared error of one sample. Targets are Q16; the loss is Q16.", items)


# ---------------------------------------------------------------------------- 8.6, 8.7

X_SCALE = Scale(1374389535, -5)
W_SCALE = Scale(1717986918, -6)
Y_SCALE = Scale(1717986918, -1)
G_SCALE = Scale(1518500250, -12)
WEIGHTS = Rule(29, 5, 255, -127)
BIASES = Rule(7919, 17, 4001, -2000)
DW = Rule(7919, 3, 200003, -100001)
DB = Rule(677, 3, 2003, -1001)


def channel_scales(count):
    return [Scale((1 << 30) + (c * 298261617) % (1 << 30), -6 - c % 4) for c in range(count)]


class UpdateCase:
    """One node, one step: velocities and decay, the updates of its micro-batches, and their end."""

    def __init__(self, name, outputs=4, fan=9, micro_batches=1, planned=None, last_weighted=False,
                 update=3, accumulators=False, per_channel=False, weights=WEIGHTS, masters_offset=None,
                 velocity=None, bias_velocity=None, dw=DW, db=DB, gradient_scale=G_SCALE,
                 factor=1 << 30, k=2, step=11, **recipe):
        recipe.setdefault("rate_weights", recipes.decimal(1, 20))
        recipe.setdefault("rate_biases", recipes.decimal(1, 10))
        recipe.setdefault("rate_head", recipes.decimal(1, 40))
        self.recipe = recipes.Recipe(seed=42, **recipe)
        self.name, self.k, self.step, self.factor = name, k, step, factor
        self.micro_batches, self.dw, self.db = micro_batches, dw, db
        self.planned = planned or micro_batches
        self.gradient_scale, self.head = gradient_scale, last_weighted
        self.weights_rule, self.update = weights, update
        self.rules = masters_offset, velocity, bias_velocity
        scales = channel_scales(outputs) if per_channel else [W_SCALE]
        y_scale = scalar.mul(X_SCALE, W_SCALE) if accumulators else Y_SCALE
        self.node = Node(FULLY_CONNECTED, [0], (1, 1, outputs), y_scale, accumulators=accumulators,
                         per_channel=per_channel, weights=weights.values(outputs * fan),
                         biases=BIASES.values(outputs), weight_scales=scales)
        fillers = [Node(FULLY_CONNECTED, [0], (1, 1, outputs), Y_SCALE)] * k
        self.net = Network((1, 1, fan), X_SCALE, 0, fillers + [self.node], [InputMap(X_SCALE, False, 0)])

    def parameters(self):
        offset, velocity, bias_velocity = self.rules
        node, recipe = self.node, self.recipe
        count, outputs = len(node.weights), len(node.biases)
        p = Parameters(bool(self.update & 1), bool(self.update & 2))
        if p.updates_weights and recipe.mode == recipes.MASTERS:
            extra = offset.values(count) if offset else [0] * count
            p.masters = [(w << 16) + d for w, d in zip(node.weights, extra)]
        if p.updates_weights and (recipe.mode == recipes.INT8 or recipe.momentum):
            p.velocity = velocity.values(count) if velocity else [0] * count
        if p.updates_biases:
            p.bias_velocity = bias_velocity.values(outputs) if bias_velocity else [0] * outputs
        return p

    def block(self):
        node, recipe, block = self.node, self.recipe, Block(self.name)
        offset, velocity, bias_velocity = self.rules
        block.add("node", self.k).add("step", self.step).add("seed", recipe.seed)
        block.add("outputs", node.shape[2]).add("fan-in", len(node.weights) // node.shape[2])
        block.add("mode", "masters" if recipe.mode == recipes.MASTERS else "int8")
        block.add("update", self.update).add("last weighted", int(self.head))
        block.add("accumulators", int(node.accumulators)).add("per channel", int(node.per_channel))
        block.numbers("input scale", X_SCALE).numbers("output scale", node.scale)
        block.numbers("weight scales", [v for s in node.weight_scales for v in s])
        block.add("weights", self.weights_rule).add("biases", BIASES)
        nothing = Rule(0, 0, 1, 0)
        block.add("masters offset", offset or nothing).add("velocity", velocity or nothing)
        block.add("bias velocity", bias_velocity or nothing)
        block.numbers("rate weights", recipe.rate_weights).numbers("rate biases", recipe.rate_biases)
        block.numbers("rate head", recipe.rate_head).add("factor", self.factor)
        block.numbers("decay", recipe.decay).numbers("trust ratio", recipe.trust_ratio)
        block.numbers("norm clip", recipe.norm_clip).add("clip", recipe.clip)
        block.add("momentum", recipe.momentum).add("micro-batches", self.micro_batches)
        block.add("planned micro-batches", self.planned)
        block.add("weight gradient", self.dw).add("bias gradient", self.db)
        block.numbers("gradient scale", self.gradient_scale)
        p = self.parameters()
        training = SimpleNamespace(
            recipe=recipe, net=self.net, parameters=[None] * self.k + [p],
            last_weighted=self.k if self.head else self.k + 1, largest_micro_batches=self.planned)
        update = Update(training, self.k, self.factor, self.micro_batches)
        update.begin()
        count, outputs = len(node.weights), len(node.biases)
        for m in range(self.micro_batches):
            # Micro-batch m takes the elements from m * count on, so that each has its own values.
            dw = self.dw.values((m + 1) * count)[m * count:]
            db = self.db.values((m + 1) * outputs)[m * outputs:]
            clipped = update.contribute(
                Accumulators(dw, scalar.mul(X_SCALE, self.gradient_scale)),
                Accumulators(db, self.gradient_scale), Draws(recipe.seed, self.step, m))
            block.add(f"expect micro-batch {m} clipped", clipped)
            for key, words in (("masters", p.masters), ("velocity", p.velocity),
                               ("bias velocity", p.bias_velocity)):
                if words is not None:
                    block.expect(f"micro-batch {m} {key}", "q", words, first=4)
        update.finish(self.step)
        block.expect("weights", "b", node.weights)
        if p.masters is not None:
            block.expect("masters", "i", p.masters)
        if p.velocity is not None:
            block.expect("velocity", "i", p.velocity)
        block.expect("biases", "i", node.biases)
        if p.bias_velocity is not None:
            block.expect("bias velocity", "i", p.bias_velocity)
        return block


def cases(mode):
    C = UpdateCase
    offset = Rule(4099, 7, 65536, -32768)
    velocity = Rule(99991, 5, 2000003, -1000001)
    bias_velocity = Rule(31, 1, 301, -150)
    nine_tenths = 29491
    trust, clip_norm = recipes.decimal(3, 1000), recipes.decimal(1)
    common = [
        C("plain", masters_offset=offset, mode=mode),
        C("three micro-batches", micro_batches=3, mode=mode),
        C("a short step: fewer micro-batches than planned", micro_batches=2, planned=3, mode=mode),
        C("weight decay", decay=recipes.decimal(1, 100), masters_offset=offset, mode=mode),
        C("momentum", momentum=nine_tenths, velocity=velocity, bias_velocity=bias_velocity, mode=mode,
          micro_batches=2),
        C("momentum with negative velocities and decay", momentum=32440, velocity=Rule(-99991, 5, 2000003, -2000002),
          bias_velocity=Rule(-31, 1, 301, -300), decay=recipes.decimal(1, 10), mode=mode),
        C("norm clip", norm_clip=recipes.decimal(1, 1000), mode=mode),
        C("norm clip that does not bind", norm_clip=recipes.decimal(10**6), mode=mode),
        C("trust ratio", trust_ratio=recipes.decimal(1, 10000), mode=mode, micro_batches=2),
        C("trust ratio that does not bind", trust_ratio=recipes.decimal(100), mode=mode),
        C("norm clip and trust ratio", trust_ratio=recipes.decimal(1, 10000), norm_clip=clip_norm, mode=mode),
        C("norm clip binds, trust ratio binds after it", trust_ratio=recipes.decimal(1, 10**6),
          norm_clip=recipes.decimal(1, 1000), mode=mode),
        C("trust ratio of zero weights is skipped", trust_ratio=trust, weights=Rule(0, 0, 1, 0), mode=mode),
        C("clip of one", clip=1, mode=mode, micro_batches=2),
        C("clip of 128 and weights at their bounds", clip=128, gradient_scale=scalar.shifted(G_SCALE, 7),
          mode=mode),
        C("scale per channel", per_channel=True, outputs=5, mode=mode),
        C("scale per channel, norm clip and trust ratio", per_channel=True, outputs=5, micro_batches=2,
          trust_ratio=recipes.decimal(1, 10000), norm_clip=clip_norm, mode=mode),
        C("head with accumulators takes the head's rate", last_weighted=True, accumulators=True, mode=mode),
        C("warm-up factor", factor=(3 << 30) // 7, mode=mode),
        C("factor zero", factor=0, decay=recipes.decimal(1, 100), mode=mode),
        C("gradient of zero", dw=Rule(0, 0, 1, 0), db=Rule(0, 0, 1, 0), mode=mode),
        C("zero gradient scale", gradient_scale=ZERO, momentum=nine_tenths, velocity=velocity,
          bias_velocity=bias_velocity, mode=mode),
        C("weights only", update=1, mode=mode),
        C("tiny gradients round stochastically", gradient_scale=scalar.shifted(G_SCALE, -20), fan=40, mode=mode),
        C("gradients below the cut-off", gradient_scale=scalar.shifted(G_SCALE, -60), mode=mode),
    ]
    return common


def bias_cases():
    C = UpdateCase
    return [
        C("biases only", update=2),
        C("bias clip binds", update=2, gradient_scale=scalar.shifted(G_SCALE, 11)),
        C("bias clip of a head with accumulators", update=2, accumulators=True, last_weighted=True,
          gradient_scale=scalar.shifted(G_SCALE, 30)),
        C("bias clip of a head with many micro-batches", update=2, accumulators=True, last_weighted=True,
          gradient_scale=scalar.shifted(G_SCALE, 30), planned=200, micro_batches=2),
        C("bias norm clip", update=2, norm_clip=recipes.decimal(1, 1000)),
        C("bias momentum", update=2, momentum=29491, bias_velocity=Rule(31, 1, 301, -150), micro_batches=2),
        C("biases per channel", update=2, per_channel=True, outputs=7),
    ]


HEADER = """SPEC 8.2 item 1, 8.6 and 8.7 for one fully connected node and one step.
Rules: masters A = w * 2^16 + masters offset; micro-batch m takes elements m * count ..< (m + 1) * count of
the rules `weight gradient` and `bias gradient`. `factor` is f of 8.8; eta_t is rate * f. `micro-batches` is M of the
step, `planned micro-batches` is ceil(B / beta). What stands after `expect micro-batch m` is the state after its
contribution, as int64, before the clamps of 8.7; the last lines are the state after them."""


def files():
    return {
        "loss/cross_entropy.txt": cross_entropies(),
        "loss/mean_squared_error.txt": mean_squared_errors(),
        "optimizer/masters.txt": blocks(HEADER, [c.block() for c in cases(recipes.MASTERS)]),
        "optimizer/int8.txt": blocks(HEADER, [c.block() for c in cases(recipes.INT8)]),
        "optimizer/biases.txt": blocks(HEADER, [c.block() for c in bias_cases()]),
    }
