"""Formats/vectors/arithmetic, random and order: SPEC 3, 4 and 8.2, 8.8."""

import random_bits
import recipe as recipes
import scalar
import training
from random_bits import SampleOrder, Stream
from scalar import Scale
from vector_text import Block, blocks, numbers, sha256, table

INT32_EDGES = [0, 1, -1, 2, -2, 3, -5, 5, 127, -127, 128, -128, 255, 28, 7984, -7984, 32767, -32768,
               65535, 65536, 1 << 20, -(1 << 20), (1 << 30) - 1, 1 << 30, -(1 << 30),
               (1 << 31) - 2, (1 << 31) - 1, -(1 << 31) + 1, -(1 << 31)]
INT64_EDGES = [0, 1, -1, (1 << 31) - 1, -(1 << 31), 1 << 31, (1 << 32) + 1, -(1 << 40) - 3,
               (1 << 62) - 1, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63)]
MANTISSAS = [1 << 30, (1 << 30) + 1, 1518500249, 1518500250, 1583594044, 1985309846, (1 << 31) - 2,
             (1 << 31) - 1]
SHIFTS = [-3, -1, 0, 1, 2, 15, 16, 17, 30, 31, 32, 33, 40, 47, 48, 61, 62, 63, 90]
EXPONENTS = [-300, -31, -5, -1, 0, 1, 2, 14, 31, 200]


def spread(count, modulus, seed):
    """Numbers all over 0 ..< modulus: element i = ((i + seed) * 2654435761^2) mod modulus."""
    return [((i + seed) * 2654435761 * 2654435761) % modulus for i in range(count)]


def some_int32(count, seed):
    return [v - (1 << 31) for v in spread(count, 1 << 32, seed)]


def some_mantissas(count, seed):
    return [(1 << 30) + v for v in spread(count, 1 << 30, seed)]


def ties():
    """Products that lie exactly on a tie of the rounding: odd multiples of half a unit."""
    return [(v, 1 << 30, 31 + k) for k in (0, 1, 7) for v in
            [odd << k for odd in (-7, -5, -3, -1, 1, 3, 5, 7)]]


def requantize_inputs(accumulators):
    rows = [(acc, m, sh) for acc in accumulators for m in (MANTISSAS[0], MANTISSAS[5], MANTISSAS[-1])
            for sh in SHIFTS]
    rows += ties() + [(acc, 0, 31) for acc in (0, 1, -1, 12345)]
    return rows


def requantize():
    rows = requantize_inputs(INT32_EDGES)
    rows += [(a, m, 24 + i % 24) for i, (a, m) in
             enumerate(zip(some_int32(300, 1), some_mantissas(300, 2)))]
    return table("SPEC 3.3 requant(acc, (m, sh)): one rounding, half up, saturated to int32.\n"
                 "Edges of int32 times edges of the multiplier, exact ties, and 300 spread values.\n"
                 "m = 0 or sh > 62 gives 0.",
                 "acc m sh expected",
                 [(a, m, sh, scalar.requant(a, (m, sh))) for a, m, sh in rows])


def requantize_wide():
    rows = requantize_inputs(INT64_EDGES)
    rows += [(a - (1 << 63), m, 40 + i % 60) for i, (a, m) in
             enumerate(zip(spread(200, 1 << 64, 3), some_mantissas(200, 4)))]
    return table("SPEC 3.3 requantWide(acc, (m, sh)): int64 acc, the product exact, saturated to int64.\n"
                 "No cut-off at sh > 62.",
                 "acc m sh expected",
                 [(a, m, sh, scalar.requant_wide(a, (m, sh))) for a, m, sh in rows])


def stochastic():
    rows = [(-13, 3, r) for r in range(8)]
    rows += [(v, s, r) for v in INT32_EDGES for s in (0, 1, 3, 8, 15, 16, 17, 20, 25)
             for r in (0, 1, 0x7FFF, 0x8000, 0xFFFF)]
    return table("SPEC 3.4 SR(v, s, r), r a 16-bit lane. The first eight rows are SPEC's example.",
                 "v s r expected", [(v, s, r, scalar.stochastic(v, s, r)) for v, s, r in rows])


def requantize_stochastic():
    rows = [(acc, m, sh, r) for acc in INT32_EDGES[::2] + [-7, 1000003] for m in MANTISSAS[5:8:2]
            for sh in SHIFTS for r in (0, 0x8001, 0xFFFF)]
    rows += [(a, m, 10 + i % 40, r) for i, (a, m, r) in enumerate(zip(
        some_int32(200, 5), some_mantissas(200, 6), spread(200, 1 << 16, 7)))]
    return table("SPEC 3.4 requantSR(acc, (m, sh), r).", "acc m sh r expected",
                 [(a, m, sh, r, scalar.requant_stochastic(a, (m, sh), r)) for a, m, sh, r in rows])


def scale_pairs():
    scales = [scalar.ZERO] + [Scale(m, e) for m in MANTISSAS[::2] for e in EXPONENTS[::3]]
    rows = [(a, b) for a in scales for b in scales[::2]]
    rows += [(Scale(a, i % 13 - 6), Scale(b, i % 7 - 3)) for i, (a, b) in
             enumerate(zip(some_mantissas(200, 8), some_mantissas(200, 9)))]
    limit = Scale(MANTISSAS[5], 8192)
    tiny = Scale(MANTISSAS[5], -8192)
    return rows + [(limit, limit), (limit, tiny), (tiny, tiny), (tiny, limit)]


def scale_multiply():
    return table("SPEC 3.2 mul(a, b). The last rows reach the exponent bounds -8192...8192.",
                 "a.m a.e b.m b.e m e", [(*a, *b, *scalar.mul(a, b)) for a, b in scale_pairs()])


def scale_divide():
    return table("SPEC 3.2 div(a, b), b not zero. The last rows reach the exponent bounds.",
                 "a.m a.e b.m b.e m e",
                 [(*a, *b, *scalar.div(a, b)) for a, b in scale_pairs() if b.m])


def scale_sqrt():
    rows = [scalar.ZERO] + [Scale(m, e) for m in MANTISSAS for e in EXPONENTS + [-7, 7]]
    rows += [Scale(m, i % 9 - 4) for i, m in enumerate(some_mantissas(100, 10))]
    return table("SPEC 3.2 sqrt(a), even and odd exponents, negative ones too.", "a.m a.e m e",
                 [(*a, *scalar.sqrt(a)) for a in rows])


def scale_integer():
    values = sorted(set([v for v in INT32_EDGES + INT64_EDGES if v >= 0]
                        + [(1 << k) + d for k in range(2, 64, 3) for d in (-1, 0, 1)]))
    rows = [(v, *scalar.from_integer(v)) for v in values]
    return table("SPEC 3.2 fromInteger(v), 0 <= v < 2^64.", "v m e", rows)


def scale_integer_wide():
    """The sums of squares of 8.6 reach 2^86."""
    values = [(1 << k) + d for k in range(62, 90, 3) for d in (-1, 0, 1, 1 << (k - 32), (1 << (k - 32)) - 1)]
    values += [v << 20 for v in spread(40, 1 << 66, 15)]
    return table("SPEC 3.2 fromInteger(v) of integers wider than 64 bits (8.6: norms).", "v m e",
                 [(v, *scalar.from_integer(v)) for v in sorted(values)])


def scale_round():
    rows = [(a, f) for a in [scalar.ZERO] + [Scale(m, e) for m in MANTISSAS for e in
                                             (-40, -16, -15, -1, 0, 1, 15, 31, 33, 62)]
            for f in (0, 15, 21, 32)]
    return table("SPEC 3.2 integer(a, f) = sat64(floor(a * 2^f + 1/2)).", "a.m a.e f expected",
                 [(*a, f, scalar.integer(a, f)) for a, f in rows])


def scale_order():
    scales = [scalar.ZERO] + [Scale(m, e) for m in (MANTISSAS[0], MANTISSAS[5], MANTISSAS[-1])
                              for e in (-9, 0, 5)]
    return table("SPEC 3.2 less(a, b): 1 if a < b, else 0. And 3.6 log2(Scale) of a (Q16; 0 stands for the\n"
                 "zero Scale, which has no logarithm).", "a.m a.e b.m b.e less log2",
                 [(*a, *b, int(scalar.less(a, b)), scalar.log2_scale(a) if a.m else 0)
                  for a in scales for b in scales])


def exp2():
    steps = [0, 1, 2, 511, 512, 1023, 1024, 1025, 65535, 65536, 65537, 100000, 131072]
    steps += [k << 16 for k in (5, 17, 29, 30, 31, 32)] + [(31 << 16) - 1, (30 << 16) + 1]
    steps += spread(100, 32 << 16, 11)
    bulk = [scalar.exp2neg(t) for t in range(0, 32 << 16, 7)]
    return table("SPEC 3.6 the table E (65 int32) and exp2neg(t), t in Q16, result Q30.\n"
                 "`every seventh sha256` is over int32 little-endian exp2neg(t), t = 0, 7, 14 ... < 32 * 2^16.",
                 "t expected", [(t, scalar.exp2neg(t)) for t in steps],
                 [("E sha256", sha256("i", scalar.E)), ("every seventh sha256", sha256("i", bulk))])


def log2():
    values = list(range(1, 40)) + [255, 256, 257, 511, 513, 1000, 65535, 65536, 65537, 1 << 30,
                                   (1 << 30) + 1, 10 << 30, (1 << 31) - 1, (1 << 40) - 1, (1 << 62) + 12345]
    values += [v + 1 for v in spread(100, 1 << 34, 12)]
    bulk = [scalar.log2(v) for v in range(1, 1 << 17)]
    return table("SPEC 3.6 the table L (257 int32) and log2(v), result Q16.\n"
                 "`first sha256` is over int32 little-endian log2(v), v = 1 ..< 2^17.",
                 "v expected", [(v, scalar.log2(v)) for v in values],
                 [("L sha256", sha256("i", scalar.L)), ("first sha256", sha256("i", bulk))])


def half_cosine():
    values = [0, 1, 65535, 65536, 65537, 1 << 23, (1 << 23) - 1, (1 << 23) + 1, (1 << 24) - 1, 1 << 24]
    values += spread(100, (1 << 24) + 1, 13)
    bulk = [scalar.half_cosine(x) for x in range(0, (1 << 24) + 1, 128)]
    return table("SPEC 3.6 the table C (257 int32) and halfCos(x), 0 <= x <= 2^24, result Q30.\n"
                 "`every 128th sha256` is over int32 little-endian halfCos(x), x = 0, 128 ... 2^24.",
                 "x expected", [(x, scalar.half_cosine(x)) for x in values],
                 [("C sha256", sha256("i", scalar.C)), ("every 128th sha256", sha256("i", bulk))])


def divide_round():
    rows = [(a, n) for a in range(-9, 10) for n in (1, 2, 3, 4, 5)]
    rows += [(a, n) for a in INT32_EDGES for n in (1, 2, 7, 255, 65536, (1 << 31) - 1)]
    return table("SPEC 3.5 divRound(a, n) = floor((2a + n) / (2n)).", "a n expected",
                 [(a, n, scalar.div_round(a, n)) for a, n in rows])


def isqrt():
    values = list(range(70)) + [r * r + d for r in (255, 256, 65535, 65536, 46341, (1 << 31) - 1, 1 << 31)
                                for d in (-1, 0, 1)] + [(1 << 62) - 1, (1 << 63) - 1, (1 << 64) - 1]
    values += spread(60, 1 << 62, 14)
    return table("SPEC 3.5 isqrt(v) = floor(sqrt(v)), v < 2^64.", "v expected",
                 [(v, scalar.isqrt(v)) for v in values])


# ---------------------------------------------------------------------------- random

def philox():
    cases = [((0, 0, 0, 0), (0, 0)), ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2),
             ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0))]
    cases += [((i, i << 24 | 5, 3 * i, 7), (i * 2654435761 % (1 << 32), 1)) for i in range(1, 14)]
    rows = []
    for counter, key in cases:
        words = (*counter, *key, *random_bits.philox(counter, key))
        rows.append([f"{w:08x}" for w in words])
    return table("SPEC 4.1 Philox4x32-10. All numbers are 32-bit words in hexadecimal.\n"
                 "The first three rows are the known answers of the Random123 distribution: zeros, ones, digits of pi.",
                 "c0 c1 c2 c3 k0 k1 w0 w1 w2 w3", rows)


STREAMS = [(1, 0, 4, 0, 0), (1, 0, 5, 0, 0), (1, 1, 4, 9, 2), (0xFEDCBA9876543210, 6, 16383 * 4 + 3, 1000, 31),
           (2, 2, 8, 1, 4294967295)]


def stream_table(title, columns, value):
    indices = [0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 31, 32, 63, 64, 127, 128, 129, 255, 1000, 65535, 1000001]
    rows = [(*s, i, value(Stream(*s), i)) for s in STREAMS for i in indices]
    return table(title, f"seed purpose tensor step query index {columns}", rows)


def lanes():
    return stream_table("SPEC 4.2, 4.3: 16-bit lane `index` of a stream.", "lane", Stream.lane)


def signs():
    return stream_table("SPEC 4.3: sign `index` of a stream, +1 or -1.", "sign", Stream.sign)


def words():
    return stream_table("SPEC 4.3: word `index` of a stream.", "word", Stream.word)


def uniform():
    rows = [(*s, i, n, Stream(*s).uniform(i, n)) for s in STREAMS[:3] for i in (0, 1, 5, 1000)
            for n in (1, 2, 127, 1000, (1 << 32) - 1)]
    return table("SPEC 4.4 uniform(index, n).", "seed purpose tensor step query index n expected", rows)


def sample_order():
    items = []
    for seed, epoch, n in [(1, 0, 1), (1, 0, 2), (1, 0, 3), (1, 0, 4), (1, 0, 5), (1, 1, 5), (2, 0, 5),
                           (7, 3, 16), (7, 3, 17), (0xFEDCBA9876543210, 2, 100), (1, 0, 1437),
                           (5, 999, 4097)]:
        order = SampleOrder(seed, epoch, n)
        everything = [order[i] for i in range(n)]
        assert sorted(everything) == list(range(n))
        items.append(Block(f"seed {seed} epoch {epoch} of {n}").add("seed", seed).add("epoch", epoch)
                     .add("samples", n).expect("order", "i", everything))
    return blocks("SPEC 4.5: the sample order of an epoch. `order` is pi(0), pi(1) ... as int32 little-endian.", items)


# ---------------------------------------------------------------------------- order

def steps():
    """8.2: which samples each step takes, and the learning-rate factor of 8.8."""
    items = []
    cases = [
        ("one batch", 5, 8, 8, 2, 0, recipes.CONSTANT, 0, []),
        ("micro-batch does not divide", 23, 10, 4, 2, 0, recipes.COSINE, 0, []),
        ("warm-up and cosine", 20, 4, 4, 3, 0, recipes.COSINE, 4, []),
        ("steps cut short", 20, 4, 3, 3, 7, recipes.COSINE, 2, []),
        ("step schedule, the last factor stays", 9, 4, 1, 4, 0, recipes.STEP, 1,
         [1 << 30, 322122547, 1]),
        ("warm-up longer than the run", 9, 9, 9, 3, 0, recipes.COSINE, 10, []),
    ]
    for name, n, batch, micro, epochs, largest, schedule, warm_up, factors in cases:
        r = recipes.Recipe(seed=42, epochs=epochs, batch=batch, micro_batch=micro, schedule=schedule,
                           warm_up=warm_up, factors=factors, largest_steps=largest)
        planned = r.planned_steps(n)
        block = Block(name).add("seed", 42).add("samples", n).add("batch", batch)
        block.add("micro-batch", micro).add("epochs", epochs).add("largest steps", largest)
        block.add("schedule", {1: "constant", 2: "cosine", 3: "step"}[schedule]).add("warm-up", warm_up)
        block.numbers("factors", factors).add("expect planned steps", planned)
        per_epoch = -(-n // batch)
        for t in range(planned):
            epoch, s = divmod(t, per_epoch)
            order = SampleOrder(42, epoch, n)
            chosen = [order[i] for i in range(s * batch, min((s + 1) * batch, n))]
            cut = [chosen[i:i + micro] for i in range(0, len(chosen), micro)]
            factor = training.rate_factor(r, t, epoch, planned)
            eta = training.rate(recipes.decimal(1, 20), factor)
            block.add(f"expect step {t} samples", " | ".join(numbers(c) for c in cut))
            block.add(f"expect step {t} factor", factor)
            block.add(f"expect step {t} rate", numbers(eta))
        items.append(block)
    return blocks("SPEC 8.2 and 8.8: the samples of every step, cut into micro-batches by `|`, the factor f (Q30),\n"
                  "and eta * f as a Scale (m e) for eta = 1/20.", items)


def files():
    return {
        "arithmetic/requantize.txt": requantize(),
        "arithmetic/requantize_wide.txt": requantize_wide(),
        "arithmetic/stochastic.txt": stochastic(),
        "arithmetic/requantize_stochastic.txt": requantize_stochastic(),
        "arithmetic/scale_multiply.txt": scale_multiply(),
        "arithmetic/scale_divide.txt": scale_divide(),
        "arithmetic/scale_sqrt.txt": scale_sqrt(),
        "arithmetic/scale_integer.txt": scale_integer(),
        "arithmetic/scale_integer_wide.txt": scale_integer_wide(),
        "arithmetic/scale_round.txt": scale_round(),
        "arithmetic/scale_order.txt": scale_order(),
        "arithmetic/exp2.txt": exp2(),
        "arithmetic/log2.txt": log2(),
        "arithmetic/half_cosine.txt": half_cosine(),
        "arithmetic/divide_round.txt": divide_round(),
        "arithmetic/isqrt.txt": isqrt(),
        "random/philox.txt": philox(),
        "random/lanes.txt": lanes(),
        "random/words.txt": words(),
        "random/signs.txt": signs(),
        "random/uniform.txt": uniform(),
        "random/sample_order.txt": sample_order(),
        "order/steps.txt": steps(),
    }
