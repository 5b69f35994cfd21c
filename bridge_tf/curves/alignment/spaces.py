"""Spaces: sets of weight axes that index the same neurons and need the same order.

Only the last axis of a tensor is permuted. Segments (space, size) describe it: one after a dense
layer or a convolution, several after a concatenation, one repeated if positions and channels were
flattened into one axis. Two added tensors share a space; if only one of them is a concatenation,
the space of the other is split. The neurons of a frozen space stay in place: those of inputs and
outputs of the model, and of operations unknown to `rules`.
"""

import dataclasses

from bridge_tf.curves.alignment.rules import apply_rule
from bridge_tf.utils.keras_utils import is_float
from bridge_tf.utils.walk import replay

Segments = tuple[tuple[int, int | None], ...]


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis of a weight or of state (a moving average); the space of a frozen segment is None."""

    weight: int
    axis: int
    segments: Segments
    is_state: bool


@dataclasses.dataclass(frozen=True)
class Structure:
    """The permutable parts of a model.

    Attributes:
        sizes: number of neurons in each free space.
        axes: the axes in free spaces; a weight is given by its index in `weights_of(model)`.
        readings: for each tensor that a kernel reads, the index of the first call that reads it (in
            the order of `replay`), and the tensor's segments.
    """

    sizes: tuple[int, ...]
    axes: tuple[Axis, ...]
    readings: tuple[tuple[int, Segments], ...]


def weights_of(model) -> list:
    """All variables of a model, in an order that is the same for its copies."""
    return [*model.trainable_variables, *model.non_trainable_variables]


def find_structure(model) -> Structure:
    """The spaces of a built Functional or Sequential model."""
    spaces = _Spaces(model)
    inputs = [_Signal(spaces.frozen(tensor.shape)) for tensor in model.inputs]
    for signal in replay(model, inputs, spaces.visit):
        spaces.freeze(signal.segments)
    return spaces.structure()


@dataclasses.dataclass(eq=False)
class _Signal:
    """The known properties of one tensor."""

    segments: Segments


class _Spaces:
    """The search for spaces: a union-find over their numbers."""

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
        """A new space."""
        self._parents.append(len(self._parents))
        self._sizes.append(size)
        self._is_frozen.append(is_frozen)
        return ((self._parents[-1], size),)

    def frozen(self, shape) -> Segments:
        """The last axis of a tensor with frozen channels."""
        return self.new(shape[-1] if len(shape) else 1, is_frozen=True)

    def freeze(self, segments: Segments) -> None:
        """Freezes the neurons of these segments."""
        for space, _ in self._resolved(segments):
            self._is_frozen[space] = True

    def unite(self, one: Segments, other: Segments) -> None:
        """Gives two axes the same order; splits spaces where the boundaries of segments differ."""
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
        """The last axis after an element-wise operation; axes of size 1 are broadcast."""
        wide = [segments for segments in parts if total(segments) != 1] or parts
        for segments in wide[1:]:
            self.unite(wide[0], segments)
        return wide[0]

    def note(self, variable, axis: int, segments: Segments, is_state: bool) -> None:
        """Records the segments of an axis of a weight; the axis is counted from the front."""
        weight = self._weights[id(variable)]
        axis = Axis(weight, axis, segments, is_state)
        known = self._axes.setdefault((weight, axis.axis), axis)
        if known is not axis:
            self.unite(known.segments, segments)
        if weight in self._pinned:
            self.freeze(segments)

    def _pin(self, variable) -> None:
        """Freezes a weight in all its uses."""
        if not is_float(variable) or id(variable) not in self._weights:
            return
        weight = self._weights[id(variable)]
        self._pinned.add(weight)
        for (other, _), axis in self._axes.items():
            if other == weight:
                self.freeze(axis.segments)

    def _next(self, stack: list[tuple[int, int | None]]) -> tuple[int, int | None]:
        """Takes the next segment off a stack and resolves its space to the current one."""
        while True:
            space, size = stack.pop()
            while self._parents[space] != space:
                self._parents[space] = self._parents[self._parents[space]]
                space = self._parents[space]
            if space not in self._parts:
                return space, size
            stack.extend(reversed(self._parts[space]))

    def _resolved(self, segments: Segments) -> list[tuple[int, int | None]]:
        """All resolved segments of an axis."""
        stack, found = list(reversed(segments)), []
        while stack:
            found.append(self._next(stack))
        return found

    def structure(self) -> Structure:
        """The result, with the free spaces numbered from 0."""
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
    """The size of an axis; None if the size of a segment is unknown."""
    sizes = [size for _, size in segments]
    return None if None in sizes else sum(sizes)
