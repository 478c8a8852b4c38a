"""SPEC 7: losses of one sample, and their gradients."""

import scalar
from scalar import Scale, exp2neg, log2, multiplier, requant, sat32, sat64

LOG2_E = Scale(1549082005, 1)
CROSS_ENTROPY = 1
MEAN_SQUARED_ERROR = 2


def softmax_multiplier(logit_scale):
    """7.1: S_z * log2e * 2^16 as (m, sh)."""
    return multiplier(scalar.shifted(scalar.mul(logit_scale, LOG2_E), 16))


def exponents(z, mult):
    """7.1: t_c of every logit, Q16, at most 31 * 2^16."""
    m, sh = mult
    top, limit = max(z), 31 << 16
    if sh > 62 or m == 0:
        return [0] * len(z)
    if sh <= 0:
        return [0 if v == top else limit for v in z]
    half = 1 << (sh - 1)
    return [min(((top - v) * m + half) >> sh, limit) for v in z]


def softmax_cross_entropy(z, label, logit_scale):
    """7.1: (loss in nats, Q16; p in Q15; gradient g, whose Scale is 2^-15 / B)."""
    t = exponents(z, softmax_multiplier(logit_scale))
    e = [exp2neg(v) for v in t]
    total = sum(e)
    p = [((v << 15) + total // 2) // total for v in e]
    g = list(p)
    g[label] = p[label] - sum(p)
    loss = ((log2(total) - (30 << 16) + t[label]) * 45426 + (1 << 15)) >> 16
    return loss, p, g


def cross_entropy_scale(samples):
    """7.1: 2^-15 / B with B the samples of the step."""
    return scalar.div(Scale(1 << 30, -14), scalar.from_integer(samples))


def mean_squared_error(z, targets, logit_scale):
    """7.2: (loss, mean over the outputs of squared real units, Q16; gradient r)."""
    mult = multiplier(scalar.div(Scale(1 << 30, -15), logit_scale))
    r = [sat32(v - requant(target, mult)) for v, target in zip(z, targets)]
    squares = sat64(sum(scalar.clamp(v, -(1 << 24), 1 << 24) ** 2 for v in r))
    unit = scalar.shifted(scalar.mul(logit_scale, logit_scale), 16)
    return scalar.requant_wide(squares // len(z), multiplier(unit)), r


def mean_squared_error_scale(logit_scale, samples, outputs):
    """7.2: 2 * S_z / (B * D)."""
    return scalar.div(scalar.shifted(logit_scale, 1), scalar.from_integer(samples * outputs))


def one_hot(label, outputs):
    """7.2: a class label y is the target 2^16 at y and 0 elsewhere."""
    return [1 << 16 if i == label else 0 for i in range(outputs)]
