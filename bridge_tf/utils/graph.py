"""The graph of a Functional model: its operations, cuts and features."""

import difflib

import keras

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import clone, with_weights_of

# Inputs of a bridge: r, a mode's logits, and the prefixes for those and the taps of both modes.
R_INPUT, LOGITS_INPUT, END_PREFIXES = "curve.r", "mode.logits", ("start.", "end.")


def as_list(taps: str | list[str] | tuple[str, ...]) -> list[str]:
    """One tap or several, as a list; backbone/conv, in a nested model, is called backbone.conv."""
    return [tap.replace("/", ".") for tap in ([taps] if isinstance(taps, str) else taps)]


def as_functional(model) -> keras.Model:
    """`model` as a plain Functional model, whose layers can be tapped.

    A Sequential model or a subclass of Functional gives its graph, any other model an InputError.
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
    """Whether it is a built Functional or Sequential model with no `call` of its own."""
    return (
        isinstance(model, keras.Model)
        and type(model).call.__qualname__ in ("Functional.call", "Sequential.call")
        and model.built
        and bool(model.inputs)
    )


def operation(model, name: str):
    """The layer or `keras.ops` operation with this name in a Functional model."""
    return next(item for item in model.operations if item.name == name)


def operation_behind(tensor):
    """The operation that computes a symbolic tensor, for which Keras has no public way."""
    return tensor._keras_history.operation


def feature_of(model, name: str):
    """The feature that a bridge reads: the output of a tap, or the logits for `LOGITS_INPUT`."""
    return model.output if name == LOGITS_INPUT else operation(model, name).output


def predecessors(model) -> dict[str, list[str]]:
    """The inputs of each operation of a Functional model, in the model's order."""
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
    """Checks that a bridge can read every tap; `argument` is its setting, for the messages.

    Raises:
        InputError: there are no taps; a tap is unknown or doesn't have one output tensor; or the
            base can't be cut at the last tap, because it is the input or output, a skip connection
            bypasses it, or there are no weights behind it. The message gives the nearest names or
            cuts.
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
    """The reason why a model can't be cut at an operation."""
    if not predecessors(base)[name]:
        return "it is an input"
    if name == base.output_names[0]:
        return "it is the output"
    if not _behind(base, predecessors(base), name):
        return "a connection goes around it"
    return "no weights lie behind it"


def cuts(model) -> list[str]:
    """The operations that every path passes through, in order, with weights behind them."""
    graph = predecessors(model)
    operations = {item.name: item for item in model.operations}
    return [
        name
        for name in _with_one_output(model)
        if any(getattr(operations[layer], "weights", ()) for layer in _behind(model, graph, name))
    ]


def behind_weights(model, names: list[str]) -> list[str]:
    """Those of the operations that weights come before: not the pre-processing of inputs."""
    graph = predecessors(model)
    has_weights = {
        item.name: bool(getattr(item, "weights", ()))
        and not isinstance(item, keras.layers.Normalization)
        for item in model.operations
    }
    found: set[str] = set()
    for name, before in graph.items():  # each after those that it reads
        if has_weights[name] or found.intersection(before):
            found.add(name)
    return [name for name in names if name in found]


def counterparts(base, other, taps: list[str]) -> list[str]:
    """The names of the `taps` of `base` in another model with the same architecture.

    Keras numbers layers without a name, so names may differ. `LOGITS_INPUT` stays as it is.

    Raises:
        InputError: the architectures differ.
    """
    ours = [(type(item), item.name) for item in base.operations]
    theirs = [(type(item), item.name) for item in other.operations]
    if [kind for kind, _ in ours] != [kind for kind, _ in theirs]:
        raise InputError(f"the modes {base.name} and {other.name} must be of one architecture")
    names = {a: b for (_, a), (_, b) in zip(ours, theirs, strict=True)}
    return [names.get(tap, tap) for tap in taps]


def _with_one_output(model) -> list[str]:
    """The operations that are called once and return one tensor."""
    calls = {layer["name"]: len(layer["inbound_nodes"]) for layer in model.get_config()["layers"]}
    return [
        item.name
        for item in model.operations
        if calls[item.name] < 2 and keras.utils.is_keras_tensor(item.output)
    ]


def _behind(model, graph: dict[str, list[str]], name: str) -> set[str]:
    """The operations between `name` and the output; empty if a path bypasses `name`."""
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
    """A Functional model from the inputs to the features of the taps and, if requested, the logits.

    It shares the base's layers. Its outputs are a list in the order of `taps`, the logits last.
    """
    outputs = [feature_of(base, tap) for tap in taps]
    return keras.Model(base.input, [*outputs, base.output] if logits else outputs, name=name)


def rename_operations(model, names: list[str]) -> None:
    """Renames the operations of a graph in place, in its order."""
    for item, name in zip(as_functional(model).operations, names, strict=True):
        item.name = name


def with_input_shape(model, shape: tuple[int, ...]) -> keras.Model:
    """A copy of a graph for inputs of this shape, if its own has open sizes; else the graph."""
    if not is_graph(model) or None not in model.input_shape[1:]:
        return model
    model = clone(as_functional(model))
    name = model.inputs[0].name
    inputs = keras.Input(shape, dtype=model.inputs[0].dtype, name=name)
    return with_weights_of(model, keras.models.clone_model(model, input_tensors=inputs))
