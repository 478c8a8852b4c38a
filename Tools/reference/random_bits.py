"""SPEC 4: random bits. Philox4x32-10, counter layout, lanes, words, signs, draws, sample order."""

from scalar import bitlen

MASK32 = 0xFFFFFFFF

# 4.2 purposes
GRADIENT = 0
UPDATE = 1
PERTURBATION = 2
ORDER = 3
INITIAL = 5
MERGE = 6
SEARCH = 7
CHANNELS = 8


def philox(counter, key):
    """4.1: ten rounds of Philox4x32; counter is four words, key two; returns four words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for number in range(10):
        if number > 0:
            k0 = (k0 + 0x9E3779B9) & MASK32
            k1 = (k1 + 0xBB67AE85) & MASK32
        p0 = 0xD2511F53 * c0
        p1 = 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK32, (p0 >> 32) ^ c3 ^ k1, p0 & MASK32
    return c0, c1, c2, c3


def key_of(seed):
    """4.2: key = (seed mod 2^32, seed >> 32)."""
    return seed & MASK32, seed >> 32


class Stream:
    """4.2, 4.3: a fixed (purpose, tensor, step, query) under one seed."""

    def __init__(self, seed, purpose, tensor, step, query):
        self.key = key_of(seed)
        self.c1 = tensor | purpose << 24
        self.step = step
        self.query = query

    def block(self, number):
        return philox((number, self.c1, self.step, self.query), self.key)

    def lane(self, i):
        """Lane i: word (i mod 8) div 2 of block i div 8; low half if i is even, else high half."""
        word = self.block(i // 8)[(i % 8) // 2]
        return word >> 16 if i % 2 else word & 0xFFFF

    def lanes(self, count):
        """Lanes 0 ..< count, block by block."""
        result = []
        for number in range((count + 7) // 8):
            for word in self.block(number):
                result.append(word & 0xFFFF)
                result.append(word >> 16)
        return result[:count]

    def word(self, i):
        return self.block(i // 4)[i % 4]

    def sign(self, i):
        word = self.block(i // 128)[i // 32 % 4]
        return -1 if word >> (i % 32) & 1 else 1

    def uniform(self, i, n):
        """4.4: (word(i) * n) >> 32, in 0 ..< n."""
        return self.word(i) * n >> 32


class SampleOrder:
    """4.5: the order of n samples in an epoch; order[position] is a sample number."""

    def __init__(self, seed, epoch, n):
        self.n = n
        self.h = max(1, (bitlen(n - 1) + 1) // 2)
        # One stream per Feistel round: the round stands in the tensor field.
        self.rounds = [Stream(seed, ORDER, number, epoch, 0) for number in range(8)]

    def __getitem__(self, position):
        h = self.h
        mask = (1 << h) - 1
        x = position
        while True:
            left, right = x >> h, x & mask
            for stream in self.rounds:
                left, right = right, left ^ (stream.block(right)[0] & mask)
            x = left << h | right
            if x < self.n:
                return x
