"""Rules for the order of channels (last axis) in each operation, from `networks.layer_kinds`."""

import dataclasses

import keras
import numpy as np

from bridge_tf.networks.layer_kinds import (
    AVERAGES,
    DEPTHWISE_BY_GROUPS,
    IN,
    OUT,
    LayerKind,
    Roles,
    kind_of,
)
from bridge_tf.utils.keras_utils import is_float

# keras.activations.glu and custom functions may mix or split channels.
_ACTIVATIONS = """
    celu elu exponential gelu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign swish tanh
""".split()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The segments of an operation's output, and whether a kernel reads its input."""

    segments: tuple
    reads: bool = False


def apply_rule(node, inputs: list, spaces) -> Outcome | None:
    """The output channels of one call of an operation; None if no rule applies.

    `inputs` has the segments of the input tensors; `spaces` records the axes of the weights.
    """
    operation, kind = node.operation, kind_of(node.operation)
    if (
        not _has_plain_arguments(node)
        or getattr(operation, "data_format", None) == "channels_first"
    ):
        return None
    shapes = [tensor.shape for tensor in node.input_tensors]
    if kind.channels == "concatenated" and _axes(operation, shapes[0]) == [len(shapes[0]) - 1]:
        return Outcome(sum(inputs, ()))
    if kind.channels in ("joined", "concatenated"):
        return Outcome(spaces.join(inputs))
    if len(inputs) != 1 or kind.channels == "mixed":
        return None
    if kind.channels == "reshaped":
        return _reshaped(inputs[0], shapes[0], node.outputs[0].shape)
    return _followed(operation, kind, inputs[0], node, spaces)


def _has_plain_arguments(node) -> bool:
    """Whether the other arguments of a call are the same for every channel."""
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    constants = [a for a in arguments if not isinstance(a, keras.KerasTensor)]
    return all(np.shape(constant)[-1:] in ((), (1,)) for constant in constants)


def _axes(operation, shape) -> list[int]:
    axis, rank = operation.axis, len(shape)
    axes = range(rank) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    return sorted(a % rank for a in axes)


def _reshaped(segments, before, after) -> Outcome | None:
    # An axis n times as long holds n positions, each with all channels.
    if None in (before[-1], after[-1]) or after[-1] % before[-1]:
        return None
    return Outcome(segments * (after[-1] // before[-1]))


def _followed(operation, kind: LayerKind, segments, node, spaces) -> Outcome | None:
    """The rule for operations that keep channels or make new ones."""
    shape, shape_after = node.input_tensors[0].shape, node.outputs[0].shape
    roles = _roles(operation, kind, shape)
    if roles is None or not _is_usual(operation, kind, shape, shape_after):
        return None
    weights = {name: getattr(operation, name, None) for name in roles}
    weights = {name: variable for name, variable in weights.items() if variable is not None}
    # Adapters and quantized kernels add weights that aren't in the table.
    variables = {id(v) for v in getattr(operation, "variables", ()) if is_float(v)}
    if variables != {id(variable) for variable in weights.values()}:
        return None
    used = {role for name in weights for role in roles[name].values()}
    made = spaces.new(shape_after[-1]) if OUT in used else segments
    noted = []
    for name, variable in weights.items():
        for axis, role in roles[name].items():
            counted = made if role == OUT else segments
            axis %= len(variable.shape)
            if variable.shape[axis] == sum(size or 0 for _, size in counted):
                noted.append((variable, axis, counted, name in AVERAGES))
            elif variable.shape[axis] != 1:  # a single number for all channels
                return None
    for arguments in noted:
        spaces.note(*arguments)
    if used == {OUT}:  # the inputs are not channels
        spaces.freeze(segments)
    return Outcome(made, reads={IN, OUT} <= used)


def _roles(operation, kind: LayerKind, shape) -> Roles | None:
    """The meaning of the axes of an operation's weights; None if its groups mix channels."""
    groups = getattr(operation, "groups", 1)
    if groups == 1:
        return kind.weights
    if kind.normalizes:
        return kind.weights if groups in (-1, shape[-1]) else None
    filters = getattr(operation, "filters", None)
    return DEPTHWISE_BY_GROUPS if groups == shape[-1] == filters else None


def _is_usual(operation, kind: LayerKind, shape, shape_after) -> bool:
    if kind.normalizes and hasattr(operation, "axis"):
        return _axes(operation, shape) == [len(shape) - 1]
    if kind.over_axes:
        widest = max(shape, shape_after, key=len)
        return len(widest) - 1 not in _axes(operation, widest)
    activation = getattr(operation, "activation", None)
    return (
        all(np.ndim(getattr(operation, name)) == 0 for name in kind.scalars)
        and getattr(operation, "depth_multiplier", 1) == 1
        and (activation is None or activation in _known_activations())
    )


def _known_activations() -> list:
    homes = (keras.activations, keras.ops)
    return [getattr(home, name) for home in homes for name in _ACTIVATIONS if hasattr(home, name)]
