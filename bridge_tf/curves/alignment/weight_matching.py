"""Weight matching: permutations that make the weights of two models similar."""

import dataclasses

import numpy as np
from keras import ops
from scipy.optimize import linear_sum_assignment

from bridge_tf.curves.alignment.permutations import Permutations, identities, order
from bridge_tf.curves.alignment.spaces import Axis, Structure, weights_of


def match_weights(start, end, structure: Structure, seed: int) -> Permutations:
    """Permutations of the end's neurons by coordinate descent.

    Ainsworth, Hayase, Srinivasa, "Git Re-Basin" (ICLR 2023), algorithm 1. Spaces are visited in
    random order until nothing changes. Each gets the permutation that maximizes the sum of the
    inner products of its weights; moving averages are ignored. If two axes of one weight are in the
    space, the sum isn't linear in the permutation; so a new one is accepted only if the sum grows.
    """
    problems = _problems(start, end, structure)
    permutations = identities(structure)
    generator = np.random.default_rng(seed)
    # Spaces with a neighbour that changed since their last visit. Others can't improve.
    waiting = set(range(len(permutations)))
    while waiting:
        for space in generator.permutation(sorted(waiting)):
            waiting.discard(space)
            problem = problems[space]
            new = list(permutations)
            new[space] = linear_sum_assignment(problem.table(permutations), maximize=True)[1]
            before, after = problem.similarity(permutations), problem.similarity(new)
            # By more than rounding, or the descent could cycle.
            if after > before + 1e-12 * abs(before):
                permutations = new
                waiting |= problem.neighbours()
    return permutations


@dataclasses.dataclass(frozen=True)
class _Weight:
    """One weight in both models, and its axes in free spaces."""

    start: np.ndarray
    end: np.ndarray
    axes: list[Axis]

    def similarity(self, permutations: Permutations) -> float:
        """Inner product of the start's weight and the end's permuted one."""
        products = self.start * _permuted(self.end, self.axes, permutations)
        return products.sum(dtype="float64")

    def table(self, space: int, permutations: Permutations) -> np.ndarray:
        """Inner products of each start neuron with each end neuron; other axes are permuted."""
        size = permutations[space].size
        found = np.zeros((size, size))
        for axis in self.axes:
            offset = 0
            for segment, length in axis.segments:
                if segment == space:
                    part = np.arange(offset, offset + length)
                    start, end = (np.take(w, part, axis.axis) for w in (self.start, self.end))
                    end = _permuted(end, self.beside(axis), permutations)
                    rows = [np.moveaxis(w, axis.axis, 0).reshape(size, -1) for w in (start, end)]
                    found += rows[0] @ rows[1].T
                offset += length
        return found

    def beside(self, axis: Axis) -> list[Axis]:
        return [other for other in self.axes if other is not axis]


class _Problem:
    """The assignment problem of one space: its weights."""

    def __init__(self, space: int, weights: list[_Weight], permutations: Permutations):
        self.space = space
        # Vectors depend on no other space, so their part of the table is constant.
        self.others = [weight for weight in weights if len(weight.axes) > 1]
        self.fixed = np.zeros((permutations[space].size,) * 2)
        for weight in weights:
            if len(weight.axes) == 1:
                self.fixed += weight.table(space, permutations)

    def table(self, permutations: Permutations) -> np.ndarray:
        """Inner products of each start neuron with each end neuron."""
        return self.fixed + sum(weight.table(self.space, permutations) for weight in self.others)

    def similarity(self, permutations: Permutations) -> float:
        chosen = permutations[self.space]
        fixed = self.fixed[np.arange(chosen.size), chosen].sum()
        return fixed + sum(weight.similarity(permutations) for weight in self.others)

    def neighbours(self) -> set[int]:
        """The spaces whose tables depend on this space's permutation."""
        beside = [
            other.segments
            for weight in self.others
            for axis in weight.axes
            if any(space == self.space for space, _ in axis.segments)
            for other in weight.beside(axis)
        ]
        return {space for segments in beside for space, _ in segments} - {None}


def _permuted(value: np.ndarray, axes: list[Axis], permutations: Permutations) -> np.ndarray:
    for axis in axes:
        value = np.take(value, order(axis, permutations), axis.axis)
    return value


def _problems(start, end, structure: Structure) -> list[_Problem]:
    values = [weights_of(model) for model in (start, end)]
    axes: dict[int, list[Axis]] = {}
    for axis in structure.axes:
        if not axis.is_state:
            axes.setdefault(axis.weight, []).append(axis)
    touching = [[] for _ in structure.sizes]
    for number, touched in axes.items():
        pair = [ops.convert_to_numpy(weights[number]).astype("float32") for weights in values]
        weight = _Weight(*pair, touched)
        for space in {space for axis in touched for space, _ in axis.segments} - {None}:
            touching[space].append(weight)
    permutations = identities(structure)
    return [_Problem(space, weights, permutations) for space, weights in enumerate(touching)]
