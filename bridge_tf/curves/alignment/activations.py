"""Activation matching: permutations that maximize the correlation of activations."""

import itertools

import keras
import numpy as np
from keras import ops
from scipy.optimize import linear_sum_assignment

from bridge_tf.curves.alignment.permutations import Permutations
from bridge_tf.curves.alignment.spaces import Structure
from bridge_tf.utils.walk import replay


def match_activations(start, end, structure: Structure, data) -> Permutations:
    """Permutations of the end's neurons that maximize the correlation of activations on `data`.

    For each space, a linear assignment maximizes the sum of Pearson correlations (Li et al.,
    "Convergent Learning", 2016; Tatro et al., NeurIPS 2020). Activations are taken where kernels
    read a space. Correlations of several such tensors, as in a residual stream, are added. `data`
    is in a form that `keras.Model.predict` accepts.
    """
    probes = _Probes(start, end, structure)
    if keras.backend.backend() == "tensorflow":
        # XLA would compile for minutes what often runs in seconds.
        probes.compile(jit_compile=False)
    probes.predict(data, verbose=0)
    tables = [np.zeros((size, size)) for size in structure.sizes]
    for (_, space, _), moments in zip(probes.places, probes.moments, strict=True):
        tables[space] += moments.correlations()
    return [linear_sum_assignment(table, maximize=True)[1] for table in tables]


def probe_places(structure: Structure) -> list[tuple[int, int, list[int]]]:
    """Where spaces are observed: the call that reads the tensor, the space, its offsets in it.

    Of a tensor with several spaces (dense connections), only spaces not seen before are used.
    Otherwise the number of pairs would grow with the square of the depth.
    """
    places, seen = [], set()
    for call, segments in structure.readings:
        ends = itertools.accumulate(size for _, size in segments)
        offsets: dict[int, list[int]] = {}
        for (space, size), end in zip(segments, ends, strict=True):
            if space is not None:
                offsets.setdefault(space, []).append(end - size)
        for space, where in offsets.items():
            if len(offsets) == 1 or space not in seen:
                places.append((call, space, where))
        seen |= set(offsets)
    return places


class _Probes(keras.Model):
    """Accumulates moments of both models' neurons; `predict` keeps only one batch."""

    def __init__(self, start, end, structure: Structure):
        super().__init__(name="probes")
        self.start, self.end = start, end
        self.places = probe_places(structure)
        self.moments = [_JointMoments(structure.sizes[space]) for _, space, _ in self.places]
        self.built = True

    def call(self, inputs):
        calls = {call for call, _, _ in self.places}
        observed = [_read_inputs(model, inputs, calls) for model in (self.start, self.end)]
        for (call, _, offsets), moments in zip(self.places, self.moments, strict=True):
            moments(*(_columns(tensors[call], offsets, moments.size) for tensors in observed))
        return ops.zeros((1, 1))


def _read_inputs(model, inputs, calls: set[int]) -> dict:
    """The first input of each of these calls when the model runs on `inputs`."""
    counter, found = itertools.count(), {}

    def call(node, values):
        number = next(counter)
        if number in calls:
            found[number] = values[id(node.input_tensors[0])]
        arguments, options = node.arguments.fill_in(values)
        return keras.tree.flatten(node.operation(*arguments, **options))

    if isinstance(inputs, dict) and not isinstance(getattr(model, "input", None), dict):
        inputs = [inputs[tensor.name] for tensor in model.inputs]
    tensors = zip(keras.tree.flatten(inputs), model.inputs, strict=True)
    replay(model, [ops.cast(x, tensor.dtype) for x, tensor in tensors], call)
    return found


def _columns(tensor, offsets: list[int], size: int):
    """The values of `size` neurons, samples × neurons; each offset adds samples."""
    columns = ops.reshape(tensor, (-1, tensor.shape[-1]))
    parts = [columns[:, offset : offset + size] for offset in offsets]
    return ops.cast(ops.concatenate(parts) if len(parts) > 1 else parts[0], "float32")


class _JointMoments(keras.layers.Layer):
    """Means, squares and cross products of two sets of neurons over all batches.

    Batches are combined around their means (Chan, Golub, LeVeque, 1983), because sums of raw
    squares in float32 lose the variance of a neuron with a large mean.
    """

    def __init__(self, size: int):
        super().__init__(dtype="float32", trainable=False)
        self.size = size
        self.count = self._add(())
        self.means = self._add((2, size))
        self.squares = self._add((2, size))
        self.products = self._add((size, size))
        self.built = True

    def _add(self, shape):
        return self.add_weight(shape=shape, initializer="zeros", trainable=False)

    def call(self, start, end):
        count = ops.cast(ops.shape(start)[0], "float32")
        batch_means = ops.stack([ops.mean(start, 0), ops.mean(end, 0)])
        start, end = start - batch_means[0], end - batch_means[1]
        shift = batch_means - self.means
        together = self.count + count
        share = count / together
        weight = self.count * share
        squares = ops.stack([ops.sum(ops.square(start), 0), ops.sum(ops.square(end), 0)])
        products = ops.matmul(ops.transpose(start), end) + weight * ops.outer(shift[0], shift[1])
        self.squares.assign(self.squares + squares + weight * ops.square(shift))
        self.products.assign(self.products + products)
        self.means.assign(self.means + share * shift)
        self.count.assign(together)

    def correlations(self) -> np.ndarray:
        """Pearson correlations, start × end; 0 for a constant neuron."""
        start, end = np.sqrt(ops.convert_to_numpy(self.squares).astype("float64"))
        scale = np.outer(start, end)
        products = ops.convert_to_numpy(self.products)
        return np.divide(products, scale, out=np.zeros_like(scale), where=scale > 0)
