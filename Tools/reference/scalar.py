"""SPEC 2 and 3: integers, rounding, Scales, requantization, tables.

Python's integers are unbounded, so every equation is written exactly as SPEC writes it and the only
limits are the ones SPEC names: `clamp`, `sat32`, `sat64`.
"""

from typing import NamedTuple


class ArithmeticFault(Exception):
    """A condition that SPEC says MUST hold does not."""


# ---------------------------------------------------------------------------- 1.2 notation

def clamp(v, lo, hi):
    """1.2: min(max(v, lo), hi)."""
    return lo if v < lo else hi if v > hi else v


def sat32(v):
    return clamp(v, -(1 << 31), (1 << 31) - 1)


def sat64(v):
    return clamp(v, -(1 << 63), (1 << 63) - 1)


def bitlen(v):
    """1.2: the number of binary digits of v >= 0; bitlen(0) = 0."""
    if v < 0:
        raise ArithmeticFault("bitlen of a negative number")
    return v.bit_length()


def trunc0(a, n):
    """1.2: a / n rounded towards zero, n > 0."""
    return a // n if a >= 0 else -(-a // n)


# ---------------------------------------------------------------------------- 3.2 Scale

class Scale(NamedTuple):
    """3.2: m * 2^(e - 31); either (0, 0) or 2^30 <= m < 2^31."""

    m: int
    e: int

    def __str__(self):
        return f"({self.m}, {self.e})"


ZERO = Scale(0, 0)


def bounded(m, e):
    """3.2: an exponent that would leave -8192...8192 takes the nearer end."""
    return Scale(m, clamp(e, -8192, 8192))


def is_scale(s):
    """Whether a pair is a Scale in the sense of 3.2 (normalised or zero)."""
    return (s.m == 0 and s.e == 0) or (1 << 30) <= s.m < (1 << 31)


def from_integer(v):
    if v < 0:
        raise ArithmeticFault("fromInteger of a negative number")
    if v == 0:
        return ZERO
    b = bitlen(v)
    if b <= 31:
        return bounded(v << (31 - b), b)
    m = (v + (1 << (b - 32))) >> (b - 31)
    if m == 1 << 31:
        m, b = 1 << 30, b + 1
    return bounded(m, b)


def power_of_two(k):
    return bounded(1 << 30, k + 1)


def mul(a, b):
    if a.m == 0 or b.m == 0:
        return ZERO
    p = (a.m * b.m + (1 << 30)) >> 31
    e = a.e + b.e
    if p < 1 << 30:
        p, e = p << 1, e - 1
    return bounded(p, e)


def product(*scales):
    """3.2: products of more than two Scales are computed from left to right."""
    result = scales[0]
    for s in scales[1:]:
        result = mul(result, s)
    return result


def div(a, b):
    if b.m == 0:
        raise ArithmeticFault("division by the zero Scale")
    if a.m == 0:
        return ZERO
    q = (a.m << 31) // b.m
    e = a.e - b.e
    if q >= 1 << 31:
        q, e = (q + 1) >> 1, e + 1
    return bounded(q, e)


def sqrt(a):
    if a.m == 0:
        return ZERO
    if a.e % 2 == 0:
        return bounded(isqrt(a.m << 31), a.e // 2)
    return bounded(isqrt(a.m << 30), (a.e + 1) // 2)


def shifted(a, k):
    return ZERO if a.m == 0 else bounded(a.m, a.e + k)


def less(a, b):
    """Zero is less than every other Scale; else by e, then by m."""
    if a.m == 0 or b.m == 0:
        return a.m == 0 and b.m != 0
    return (a.e, a.m) < (b.e, b.m)


def larger(a, b):
    return b if less(a, b) else a


def integer(a, f):
    """sat64(floor(a * 2^f + 1/2))."""
    s = 31 - a.e - f  # a * 2^f = m / 2^s
    return sat64(a.m << -s if s <= 0 else (a.m + (1 << (s - 1))) >> s)


def ceil_log2(a):
    """6.5: ceil(log2 a) of a Scale that is not zero."""
    return a.e - 1 if a.m == 1 << 30 else a.e


# ---------------------------------------------------------------------------- 3.3 requantize

def multiplier(s):
    """3.3: the multiplier (m, sh) of a Scale, standing for m * 2^(-sh)."""
    return s.m, 31 - s.e


def requant(acc, mult):
    m, sh = mult
    if m == 0 or sh > 62:
        return 0
    if sh <= 0:
        return sat32((acc * m) << -sh)
    return sat32((acc * m + (1 << (sh - 1))) >> sh)


def requant_wide(acc, mult):
    m, sh = mult
    if m == 0:
        return 0
    if sh <= 0:
        return sat64((acc * m) << -sh)
    return sat64((acc * m + (1 << (sh - 1))) >> sh)


# ---------------------------------------------------------------------------- 3.4 stochastic

def stochastic(v, s, r):
    """SR(v, s, r): v / 2^s rounded down after adding the 16-bit lane r as a fraction."""
    if s == 0:
        return v
    if s <= 16:
        return (v + (r & ((1 << s) - 1))) >> s
    return ((v >> (s - 16)) + r) >> 16


def requant_stochastic(acc, mult, r):
    """requantSR."""
    m, sh = mult
    if m == 0 or sh > 62:
        return 0
    p = acc * m
    if sh <= 0:
        return sat32(p << -sh)
    return sat32(stochastic(p, sh, r))


# ---------------------------------------------------------------------------- 3.5 division, root

def div_round(a, n):
    """floor((2a + n) / (2n)), n > 0: half up."""
    return (2 * a + n) // (2 * n)


def isqrt(v):
    """floor(sqrt(v)) by Newton's method from above."""
    if v < 2:
        return v
    x = 1 << (bitlen(v) + 1) // 2
    while True:
        y = (x + v // x) >> 1
        if y >= x:
            return x
        x = y


# ---------------------------------------------------------------------------- 3.6 tables

def _make_exp2_table():
    """E[j] = floor(2^(-j/64) * 2^30 + 1/2).

    floor(2^31 * 2^(-j/64)) is the 64th root of 2^(31*64 - j): six nested floored square roots are
    exact. Half up is then one more bit of the same number: floor(x + 1/2) = (floor(2x) + 1) >> 1.
    """
    table = []
    for j in range(65):
        v = 1 << (31 * 64 - j)
        for _ in range(6):
            v = isqrt(v)
        table.append((v + 1) >> 1)
    return table


def _make_log2_table():
    """L[j] = floor(log2(1 + j/256) * 2^16 + 1/2).

    Binary digits of a logarithm by repeated squaring. The mantissa is kept between two bounds with
    160 bits after the point; a digit counts only when both bounds agree on it.
    """
    bits = 160
    table = []
    for j in range(257):
        if j == 256:
            table.append(1 << 16)  # log2(2) = 1, exact
            continue
        low = high = (256 + j) << (bits - 8)
        digits = 0
        for _ in range(17):
            low = (low * low) >> bits
            high = -((-high * high) >> bits)
            a, b = low >> (bits + 1), high >> (bits + 1)
            if a != b:
                raise ArithmeticFault("log2 table needs more digits")
            digits = digits * 2 + a
            if a:
                low, high = low >> 1, -(-high >> 1)
        table.append((digits + 1) >> 1)
    return table


def _make_cosine_table():
    """C[j] = floor(cos(pi * j / 256) * 2^30 + 1/2).

    cos(pi/2) = 0 halved seven times, cos(x/2) = sqrt((1 + cos x) / 2), with 400 bits; then
    cos(jx) = 2 cos x cos((j-1)x) - cos((j-2)x). The error stays below 2^-300; no entry lies so
    close to a tie that it could matter, which is checked.
    """
    bits, slack = 400, 300
    one = 1 << bits
    c = 0
    for _ in range(7):
        c = isqrt(((one + c) >> 1) << bits)
    exact = [one, c]
    for _ in range(2, 257):
        exact.append((2 * c * exact[-1] >> bits) - exact[-2])
    exact[128], exact[256] = 0, -one
    table = []
    for v in exact:
        low, high = v - (1 << (bits - slack)), v + (1 << (bits - slack))
        half, shift = 1 << (bits - 31), bits - 30
        if (low + half) >> shift != (high + half) >> shift:
            raise ArithmeticFault("cosine table needs more digits")
        table.append((v + half) >> shift)
    return table


E = _make_exp2_table()
L = _make_log2_table()
C = _make_cosine_table()


def exp2neg(t):
    """2^(-t), t >= 0 in Q16; the result is Q30."""
    n, i, r = t >> 16, (t >> 10) % 64, t % 1024
    if n > 30:
        return 0
    return (E[i] - ((E[i] - E[i + 1]) * r >> 10)) >> n


def log2(v):
    """log2 of an integer v >= 1; the result is Q16."""
    b = bitlen(v) - 1
    f = (v << 16 >> b) % (1 << 16)
    h = f >> 8
    return (b << 16) + L[h] + ((L[h + 1] - L[h]) * (f % 256) >> 8)


def log2_scale(s):
    return ((s.e - 31) << 16) + log2(s.m)


def half_cosine(x):
    """(1 + cos(pi * x / 2^24)) / 2 for 0 <= x <= 2^24; the result is Q30."""
    j, r = x >> 16, x % (1 << 16)
    c = C[j] + ((C[min(j + 1, 256)] - C[j]) * r >> 16)
    return ((1 << 30) + c) >> 1
