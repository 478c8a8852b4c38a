"""SPEC 8.9: the range tracker."""

import journal
import scalar
from network import (
    ADD, AVERAGE_POOLING, CONCATENATE, MAX_POOLING, MAXIMUM_BIAS, MULTIPLY, RESCALE, SLICE_AND_PAD,
    TABLE, UPSAMPLE, WEIGHTED, add_multipliers,
)
from scalar import bitlen, mul, shifted, trunc0

FOLLOWERS = (MAX_POOLING, AVERAGE_POOLING, SLICE_AND_PAD, UPSAMPLE)
PINNING = (TABLE, MULTIPLY, CONCATENATE, RESCALE)
CALIBRATION = 0xFFFFFFFF


def followers(net, t):
    """The tensors whose Scale moves with that of tensor t: t itself, its followers, theirs."""
    result = [t]
    for k, node in enumerate(net.nodes):
        if node.kind in FOLLOWERS and node.inputs[0] in result:
            result.append(k + 1)
    return result


def tracked_tensors(net):
    """8.9: outputs of weighted nodes (not a head with accumulators) and of add nodes, unless they
    feed a table, multiply, concatenate or rescale node."""
    result = []
    for k, node in enumerate(net.nodes):
        if node.kind not in WEIGHTED + (ADD,) or node.accumulators:
            continue
        group = followers(net, k + 1)
        pinned = any(other.kind in PINNING and any(i in group for i in other.inputs)
                     for other in net.nodes)
        if not pinned:
            result.append(k + 1)
    return result


class RangeTracker:
    def __init__(self, net, parameters, period, planned):
        self.net, self.parameters, self.period, self.planned = net, parameters, period, planned
        self.tracked = tracked_tensors(net)
        self.weights = [k for k, p in enumerate(parameters) if p is not None and p.updates_weights and p.selected is None]
        self.small_before = {t: False for t in self.tracked}  # tail(kappa - 1) * 1024 < total
        self.last_change = {}  # ("tensor", t) or ("weights", k) -> u
        self.calibrating = None
        self.clear()

    # ------------------------------------------------------------------------ counts

    def clear(self):
        self.histogram = {t: [0] * 33 for t in self.tracked}

    def is_rectified(self, t):
        x = self.net.tensor(t)
        return x.low == x.zero

    def capacity(self, t):
        x = self.net.tensor(t)
        return bitlen(x.high - x.zero) if self.is_rectified(t) else 7

    def tail(self, t, j):
        """The sum of H[i], i > j: everything for j < 0, nothing for j >= 32."""
        return sum(self.histogram[t][max(0, j + 1):])

    def total(self, t):
        return sum(self.histogram[t])

    def count(self, t, unplaced):
        counts = self.histogram[t]
        if self.is_rectified(t):
            for v in unplaced:
                counts[v.bit_length() if v > 0 else 0] += 1
        else:
            for v in unplaced:
                counts[abs(v).bit_length()] += 1

    def observe(self, k, result, again):
        """Counts the output of node k; in the calibration also decides on its Scale. Returns the
        output to go on with; `again()` computes it with the Scale of the moment."""
        t = k + 1
        if t in self.histogram:
            if self.calibrating is not None:
                return self.calibrate_tensor(t, result, again)
            self.count(t, result.unplaced)
        return result

    # ------------------------------------------------------------------------ calibration

    def calibrate(self, run_first_micro_batch):
        """Before step 0; returns the payloads of the records."""
        self.calibrating = []
        run_first_micro_batch()
        records, self.calibrating = self.calibrating, None
        self.clear()
        return records

    def calibrate_tensor(self, t, result, again):
        """k = the smallest integer >= -24 with tail(kappa + k) * 128 <= total, up to four times while
        k = -kappa; one record of the sum of the changes, with the counts of the last time."""
        capacity, change = self.capacity(t), 0
        for _ in range(4):
            self.histogram[t] = [0] * 33
            self.count(t, result.unplaced)
            total, k = self.total(t), -24
            while self.tail(t, capacity + k) * 128 > total:
                k += 1
            if k != 0:
                if not self.change_tensor(t, k):
                    break
                change += k
                result = again()
            if k > -capacity:
                break
        if change:
            self.calibrating.append(journal.pack_range(
                CALIBRATION, t, journal.TENSOR, change, self.tail(t, capacity), total))
        return result

    # ------------------------------------------------------------------------ decisions

    def decide(self, t):
        """After applying step t; the payloads of the records."""
        u = t + 1
        regular = u % self.period == 0
        start_up = u < self.period and u & (u - 1) == 0
        if not (regular or start_up) or u > self.planned - self.planned // 10:
            return []
        wishes = [self.wish_for_tensor(n, u, regular) for n in self.tracked]
        if regular:
            wishes += [self.wish_for_weights(k, u) for k in self.weights]
        records = []
        for wish in wishes:
            if wish is None:
                continue
            kind, number, k, tail, count = wish
            change = self.change_tensor if kind == journal.TENSOR else self.change_weights
            if change(number, k):
                self.last_change[kind, number] = u
                records.append(journal.pack_range(t, number, kind, k, tail, count))
        self.clear()
        return records

    def may_shrink(self, kind, number, u):
        return u - self.last_change.get((kind, number), 0) >= 2 * self.period

    def wish_for_tensor(self, n, u, regular):
        capacity, total = self.capacity(n), self.total(n)
        if regular:
            small = self.tail(n, capacity - 1) * 1024 < total
            small_before, self.small_before[n] = self.small_before[n], small
        if self.tail(n, capacity) * 128 > total:
            k = 1
            if not regular:
                while k < 8 and self.tail(n, capacity + k) * 128 > total:
                    k += 1
            return journal.TENSOR, n, k, self.tail(n, capacity), total
        if regular and small and small_before and self.may_shrink(journal.TENSOR, n, u):
            return journal.TENSOR, n, -1, self.tail(n, capacity - 1), total
        return None

    def wish_for_weights(self, k, u):
        weights = self.net.nodes[k].weights
        at_end = sum(1 for w in weights if abs(w) == 127)
        if at_end * 128 > len(weights):
            return journal.WEIGHTS, k, 1, at_end, len(weights)
        largest = max(abs(w) for w in weights)
        if largest < 32 and self.may_shrink(journal.WEIGHTS, k, u):
            return journal.WEIGHTS, k, -1, largest, len(weights)
        return None

    # ------------------------------------------------------------------------ changes

    def change_tensor(self, t, k):
        """S_t and its followers are shifted by k; consumers' biases keep their real value."""
        group = followers(self.net, t)
        consumers = [j for j, node in enumerate(self.net.nodes)
                     if node.kind in WEIGHTED and node.inputs[0] in group]
        scales = {i: shifted(self.net.tensor(i).scale, k) for i in group}
        if not self.is_allowed(scales, {}, consumers, k):
            return False
        for i, s in scales.items():
            self.net.nodes[i - 1].scale = s
        for j in consumers:
            self.change_biases(j, k)
        self.refresh_head()
        return True

    def change_weights(self, j, k):
        node, p = self.net.nodes[j], self.parameters[j]
        scales = [shifted(s, k) for s in node.weight_scales]
        if not self.is_allowed({}, {j: scales}, [j], k):
            return False
        node.weight_scales = scales
        self.change_biases(j, k)
        if p.velocity is not None:
            p.velocity = [trunc0(v, 2) if k > 0 else v * 2 for v in p.velocity]
        if p.masters is not None:
            p.masters = [(a + 1) >> 1 if k > 0 else a * 2 for a in p.masters]
            node.weights = [(a + (1 << 15)) >> 16 for a in p.masters]
        else:
            node.weights = [(w + 1) >> 1 if k > 0 else w * 2 for w in node.weights]
        self.refresh_head()
        return True

    def change_biases(self, j, k):
        node, p = self.net.nodes[j], self.parameters[j]
        has_velocity = p is not None and p.bias_velocity is not None
        if k < 0:
            node.biases = [b << -k for b in node.biases]
            if has_velocity:
                p.bias_velocity = [v << -k for v in p.bias_velocity]
            return
        for _ in range(k):
            node.biases = [(b + 1) >> 1 for b in node.biases]
            if has_velocity:
                p.bias_velocity = [trunc0(v, 2) for v in p.bias_velocity]

    def refresh_head(self):
        """A head with accumulators has S_t = mul(S_x, S_w) again after any change."""
        head = self.net.head
        if head.accumulators:
            head.scale = mul(self.net.tensor(head.inputs[0]).scale, head.weight_scales[0])

    def is_allowed(self, tensor_scales, weight_scales, bias_nodes, k):
        """8.9: no |b| above 25 000 000, no F of 6.5 below 1, no exponent outside +-512."""
        net = self.net
        every = list(tensor_scales.values()) + [s for part in weight_scales.values() for s in part]
        head = net.head
        if head.accumulators:
            x = head.inputs[0]
            s_x = tensor_scales.get(x, net.tensor(x).scale)
            s_w = weight_scales.get(len(net.nodes) - 1, head.weight_scales)[0]
            every.append(mul(s_x, s_w))
        if any(abs(s.e) > 512 for s in every):
            return False
        if k < 0 and any(abs(b) << -k > MAXIMUM_BIAS for j in bias_nodes for b in net.nodes[j].biases):
            return False
        for j, node in enumerate(net.nodes):
            if node.kind == ADD:
                inputs = [net.tensor(i) for i in node.inputs]
                for i, x in zip(node.inputs, inputs):
                    x.scale = tensor_scales.get(i, x.scale)
                try:
                    add_multipliers(inputs, tensor_scales.get(j + 1, node.scale))
                except scalar.ArithmeticFault:
                    return False
        return True
