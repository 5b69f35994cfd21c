"""Reading and cutting the graph of a Functional model."""

import difflib

import keras

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import clone, with_weights_of

# Names of the inputs of bridges: r, a mode's logits, and what stands before these and before taps
# of the modes at the two ends of a curve.
R_INPUT, LOGITS_INPUT, END_PREFIXES = "curve.r", "mode.logits", ("start.", "end.")


def as_list(taps: str | list[str] | tuple[str, ...]) -> list[str]:
    """One tap or several, as a list."""
    return [taps] if isinstance(taps, str) else list(taps)


def as_functional(model) -> keras.Model:
    """`model` as a plain Functional model, a graph of layers that can be tapped.

    That is itself, or for a Sequential model or a subclass of Functional the graph that it is
    made of.

    Raises:
        InputError: it is none of these.
    """
    if not is_graph(model):
        raise InputError(
            f"`taps`: {model.name} is a {type(model).__name__}; a bridge needs a Functional or a "
            "built Sequential model, whose layers can be tapped"
        )
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if type(model).get_config.__qualname__ != "Functional.get_config":
        return keras.Model(model.input, model.output, name=model.name)
    return model


def is_graph(model) -> bool:
    """Whether it is a built Functional or Sequential model that runs as its graph says."""
    return (
        isinstance(model, keras.Model)
        and type(model).call.__qualname__ in ("Functional.call", "Sequential.call")
        and model.built
        and bool(model.inputs)
    )


def operation(model, name: str):
    """The layer or `keras.ops` operation of that name in a Functional model."""
    return next(item for item in model.operations if item.name == name)


def feature_of(model, name: str):
    """What a bridge reads of a mode: the output of a tap, or the logits for `LOGITS_INPUT`."""
    return model.output if name == LOGITS_INPUT else operation(model, name).output


def predecessors(model) -> dict[str, list[str]]:
    """For each operation of a Functional model, in the model's order, those that feed it."""
    return {
        layer["name"]: _histories(layer["inbound_nodes"]) for layer in model.get_config()["layers"]
    }


def _histories(value) -> list[str]:
    if isinstance(value, dict):
        if "keras_history" in value:
            return [value["keras_history"][0]]
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [name for item in value for name in _histories(item)]
    return []


def check_taps(base, taps: list[str], argument: str = "taps") -> None:
    """Checks that every tap is a layer whose output a bridge can start from.

    Args:
        base: a Functional model.
        taps: names of its layers or operations.
        argument: the name of the argument that they were given by, for the messages.

    Raises:
        InputError: no taps, an unknown layer (the nearest names are given), one without a single
            output tensor, or a last tap where the base can't be cut (the nearest cuts are given):
            the input or output layer, one that a skip connection goes around, or one with no
            weights behind it.
    """
    names, given = list(predecessors(base)), f"`{argument}`"
    if not taps:
        raise InputError(f"{given}: name at least one layer of the base")
    if len(set(taps)) < len(taps):
        raise InputError(f"`{argument}={','.join(taps)}`: name each layer once")
    for tap in taps:
        if tap in (R_INPUT, LOGITS_INPUT) or tap.startswith(END_PREFIXES):
            raise InputError(
                f"{given}: a layer called '{tap}' can't be tapped, since inputs of bridges are "
                "called so; rename it"
            )
        if tap not in names:
            nearest = difflib.get_close_matches(tap, names, n=3, cutoff=0.0)
            raise InputError(f"{given}: no layer '{tap}' in {base.name}; nearest: {_join(nearest)}")
        if tap not in _with_one_output(base):
            raise InputError(
                f"{given}: layer '{tap}' of {base.name} is called more than once or has several "
                "outputs; name a layer with one output"
            )
    last = max(taps, key=names.index)
    if last not in (possible := cuts(base)):
        here = names.index(last)
        nearest = sorted(possible, key=lambda name: abs(names.index(name) - here))[:3]
        raise InputError(
            f"{given}: {base.name} can't be cut at '{last}', since {_obstacle(base, last)}; "
            f"nearest cuts: {_join(nearest) or 'none'}"
        )


def _obstacle(base, name: str) -> str:
    """Why a model can't be cut at an operation."""
    if not predecessors(base)[name]:
        return "it is an input"
    if name == base.output_names[0]:
        return "it is the output"
    if not _behind(base, predecessors(base), name):
        return "a connection goes around it"
    return "no weights lie behind it"


def cuts(model) -> list[str]:
    """Where a Functional model can be cut: the operations that every path passes through.

    Inputs are no cuts, nor is what has no weights behind it. In the model's order.
    """
    graph = predecessors(model)
    operations = {item.name: item for item in model.operations}
    return [
        name
        for name in _with_one_output(model)
        if any(getattr(operations[layer], "weights", ()) for layer in _behind(model, graph, name))
    ]


def counterparts(base, other, taps: list[str]) -> list[str]:
    """The names that `taps` of `base` have in another model of its architecture.

    `LOGITS_INPUT` stands for the output of either.

    Keras numbers what has no name of its own as it is made, so names may differ.

    Raises:
        InputError: the layers differ.
    """
    ours = [(type(item), item.name) for item in base.operations]
    theirs = [(type(item), item.name) for item in other.operations]
    if [kind for kind, _ in ours] != [kind for kind, _ in theirs]:
        raise InputError(f"the modes {base.name} and {other.name} must be of one architecture")
    names = {a: b for (_, a), (_, b) in zip(ours, theirs, strict=True)}
    return [names.get(tap, tap) for tap in taps]


def _with_one_output(model) -> list[str]:
    """The operations that are called once and give one tensor."""
    calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in model.get_config()["layers"]}
    return [
        item.name
        for item in model.operations
        if calls[item.name] < 2 and keras.utils.is_keras_tensor(item.output)
    ]


def _behind(model, graph: dict[str, list[str]], name: str) -> set[str]:
    """The operations between `name` and the output; none if a path leads around `name`."""
    pending, seen = list(model.output_names[:1]), set()
    while pending:
        layer = pending.pop()
        if not graph[layer]:
            return set()
        if layer == name or layer in seen:
            continue
        seen.add(layer)
        pending.extend(graph[layer])
    return seen


def _join(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def extractor(base, taps: list[str], logits: bool, name: str = "extractor") -> keras.Model:
    """A model from the inputs to the `feature_of` each tap and, if wanted, to the logits.

    The layers are the base's own, not copies: what is in both is computed once.

    Returns:
        A Functional model with a list of outputs, in the order of `taps`, the logits last.
    """
    outputs = [feature_of(base, tap) for tap in taps]
    return keras.Model(base.input, [*outputs, base.output] if logits else outputs, name=name)


def rename_operations(model, names: list[str]) -> None:
    """Gives the operations of a graph these names, in their order, in place."""
    for item, name in zip(as_functional(model).operations, names, strict=True):
        item.name = name


def with_input_shape(model, shape: tuple[int, ...]) -> keras.Model:
    """A graph's copy for inputs of this shape, where its own leaves sizes open; else itself."""
    if not is_graph(model) or None not in model.input_shape[1:]:
        return model
    model = clone(as_functional(model))
    name = model.inputs[0].name
    inputs = keras.Input(shape, dtype=model.inputs[0].dtype, name=name)
    return with_weights_of(model, keras.models.clone_model(model, input_tensors=inputs))
