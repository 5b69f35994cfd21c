"""Spaces: which axes of which weights count the same neurons.

Only the last axis of a tensor is ever permuted. It is described by segments, pairs (space, size)
one behind the other: one segment after a dense layer or a convolution, several after a
concatenation, one segment again and again where positions and channels were flattened into one
axis. Axes that have to be in one order, as those of two tensors that are added, share a space.
Where one of two such tensors is a concatenation and the other is not, the other's space is split.
A space is frozen, which means that its neurons stay in place, where it holds the model's inputs or
outputs or meets an operation that `rules` doesn't know.
"""

import dataclasses

from bridge_tf.curves.alignment.rules import apply_rule
from bridge_tf.curves.alignment.walk import replay
from bridge_tf.utils.keras_utils import is_float

Segments = tuple[tuple[int, int | None], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis of a weight, its segments, and whether the weight is state, as a moving average.

    A segment's space is None where it is frozen.
    """

    weight: int
    axis: int
    segments: Segments
    is_state: bool


@dataclasses.dataclass(frozen=True)
class Structure:
    """What can be permuted in a model.

    Attributes:
        sizes: number of neurons of each free space.
        axes: the axes of weights that free spaces touch; a weight's number is its place in
            `weights_of(model)`.
        readings: for each tensor that a kernel reads, the number of the call (in the order of
            `replay`) that reads it first, and the tensor's segments.
    """

    sizes: tuple[int, ...]
    axes: tuple[Axis, ...]
    readings: tuple[tuple[int, Segments], ...]


def weights_of(model) -> list:
    """All variables of a model, in an order that a copy of it shares."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def find_structure(model) -> Structure:
    """The spaces of a built Functional or Sequential model, which is only read."""
    spaces = _Spaces(model)
    inputs = [_Signal(spaces.frozen(tensor.shape)) for tensor in model.inputs]
    for signal in replay(model, inputs, spaces.visit):
        spaces.freeze(signal.segments)
    return spaces.structure()


@dataclasses.dataclass(eq=False)
class _Signal:
    """What is known of one tensor."""

    segments: Segments


class _Spaces:
    """Spaces while they are found: a union-find over their numbers."""

    def __init__(self, model):
        self._parents, self._sizes, self._is_frozen = [], [], []
        self._parts: dict[int, Segments] = {}
        self._weights = {id(variable): i for i, variable in enumerate(weights_of(model))}
        self._axes: dict[tuple[int, int], Axis] = {}
        self._pinned: set[int] = set()
        self._readings: dict[_Signal, int] = {}
        self._calls = 0

    def visit(self, node, values) -> list[_Signal]:
        """Follows the channels through one call of one operation."""
        signals = [values[id(tensor)] for tensor in node.input_tensors]
        outcome = apply_rule(node, [signal.segments for signal in signals], self)
        if outcome is None:
            for signal in signals:
                self.freeze(signal.segments)
            for variable in getattr(node.operation, "variables", ()):
                self._pin(variable)
            outputs = [_Signal(self.frozen(tensor.shape)) for tensor in node.outputs]
        else:
            outputs = [_Signal(outcome.segments)]
            if outcome.reads:
                self._readings.setdefault(signals[0], self._calls)
        self._calls += 1
        return outputs

    def new(self, size: int | None, is_frozen: bool = False) -> Segments:
        """A space of its own."""
        self._parents.append(len(self._parents))
        self._sizes.append(size)
        self._is_frozen.append(is_frozen)
        return ((self._parents[-1], size),)

    def frozen(self, shape) -> Segments:
        """The last axis of a tensor whose channels stay in place."""
        return self.new(shape[-1] if len(shape) else 1, is_frozen=True)

    def freeze(self, segments: Segments) -> None:
        """Keeps the neurons of these segments in place."""
        for space, _ in self._resolved(segments):
            self._is_frozen[space] = True

    def unite(self, one: Segments, other: Segments) -> None:
        """Keeps two axes in one order.

        Where the boundaries of their segments differ, spaces are split, so that neurons change
        places only within the smaller ones.
        """
        if None in (total(one), total(other)):
            self.freeze(one + other)
            return
        stacks = [list(reversed(segments)) for segments in (one, other)]
        while stacks[0]:
            a, b = (self._next(stack) for stack in stacks)
            if a[1] == b[1]:
                self._parents[b[0]] = a[0]
                self._is_frozen[a[0]] = self._is_frozen[a[0]] or self._is_frozen[b[0]]
            else:
                small, large = sorted((a, b), key=lambda segment: segment[1])
                sizes = small[1], large[1] - small[1]
                is_frozen = self._is_frozen[large[0]]
                self._parts[large[0]] = sum((self.new(size, is_frozen) for size in sizes), ())
                stacks[0].append(a)
                stacks[1].append(b)

    def join(self, parts: list[Segments]) -> Segments:
        """The last axis of tensors combined element by element, axes of size 1 broadcast."""
        wide = [segments for segments in parts if total(segments) != 1] or parts
        for segments in wide[1:]:
            self.unite(wide[0], segments)
        return wide[0]

    def note(self, variable, axis: int, segments: Segments, is_state: bool) -> None:
        """Says that an axis of a weight, counted from the front, has these segments."""
        weight = self._weights[id(variable)]
        axis = Axis(weight, axis, segments, is_state)
        known = self._axes.setdefault((weight, axis.axis), axis)
        if known is not axis:
            self.unite(known.segments, segments)
        if weight in self._pinned:
            self.freeze(segments)

    def _pin(self, variable) -> None:
        """Keeps a weight as it is, wherever else it is used."""
        if not is_float(variable) or id(variable) not in self._weights:
            return
        weight = self._weights[id(variable)]
        self._pinned.add(weight)
        for (other, _), axis in self._axes.items():
            if other == weight:
                self.freeze(axis.segments)

    def _next(self, stack: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        """Takes the next segment off a stack, in a space that others neither replace nor share."""
        while True:
            space, size = stack.pop()
            while self._parents[space] != space:
                self._parents[space] = self._parents[self._parents[space]]
                space = self._parents[space]
            if space not in self._parts:
                return space, size
            stack.extend(reversed(self._parts[space]))

    def _resolved(self, segments: Segments) -> list[tuple[int, int | None]]:
        """All the segments of an axis, as `_next` gives them."""
        stack, found = list(reversed(segments)), []
        while stack:
            found.append(self._next(stack))
        return found

    def structure(self) -> Structure:
        """What was found, with the free spaces numbered from 0."""
        numbers: dict[int, int] = {}

        def numbered(segments: Segments) -> Segments:
            return tuple(
                (None, size)
                if self._is_frozen[space] or size == 1
                else (numbers.setdefault(space, len(numbers)), size)
                for space, size in self._resolved(segments)
            )

        axes = [
            dataclasses.replace(axis, segments=numbered(axis.segments))
            for axis in self._axes.values()
        ]
        readings = [(call, numbered(s.segments)) for s, call in self._readings.items()]
        return Structure(
            sizes=tuple(self._sizes[space] for space in numbers),
            axes=tuple(axis for axis in axes if any(s is not None for s, _ in axis.segments)),
            readings=tuple(readings),
        )


def total(segments: Segments) -> int | None:
    """The size of an axis, None if a part of it is unknown."""
    sizes = [size for _, size in segments]
    return None if None in sizes else sum(sizes)
