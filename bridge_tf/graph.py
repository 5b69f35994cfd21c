"""Reading and cutting the graph of a Functional model."""

import difflib

import keras

from bridge_tf.errors import InputError
from bridge_tf.layers import clone, from_plain_config, to_config, with_weights_of


def as_list(taps: str | list[str] | tuple[str, ...]) -> list[str]:
    """One tap or several, as a list."""
    return [taps] if isinstance(taps, str) else list(taps)


def is_functional(model) -> bool:
    """Whether the model is a graph of layers that can be tapped."""
    return isinstance(model, keras.Model) and hasattr(model, "operations")


def predecessors(model) -> dict[str, list[str]]:
    """For each layer of a Functional model, in the model's order, the layers that feed it."""
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


def check_taps(base, taps: list[str]) -> None:
    """Checks that every tap is a layer whose output a bridge can start from.

    Raises:
        InputError: no taps, an unknown layer (the nearest names are given), the input or output
            layer, or a tap that a skip connection goes around (the nearest cuts are given).
    """
    if not is_functional(base):
        raise InputError(
            f"taps need a Functional model, whose layers can be tapped. Received: base={base.name}"
        )
    graph = predecessors(base)
    names = list(graph)
    if not taps:
        raise InputError("--taps: name at least one layer of the base")
    if len(set(taps)) < len(taps):
        raise InputError(f"--taps={','.join(taps)}: name each layer once")
    for tap in taps:
        if tap not in graph:
            nearest = difflib.get_close_matches(tap, names, n=3, cutoff=0.0)
            raise InputError(f"--taps: no layer '{tap}' in {base.name}; nearest: {_join(nearest)}")
    last = max(taps, key=names.index)
    cuts = [name for name in names if is_cut(base, graph, name)]
    if last not in cuts:
        here = names.index(last)
        nearest = sorted(cuts, key=lambda name: abs(names.index(name) - here))[:3]
        raise InputError(
            f"--taps: {base.name} can't be cut at '{last}', since it is the input or the output "
            f"or a connection goes around it; nearest cuts: {_join(nearest)}"
        )


def is_cut(model, graph: dict[str, list[str]], name: str) -> bool:
    """Whether every path from the inputs to the output passes through layer `name`.

    Inputs and the output layer itself are no cuts: nothing lies before or behind them.
    """
    sources = {layer for layer, feeds in graph.items() if not feeds}
    output = model.output_names[0]
    if name in sources or name == output:
        return False
    pending, seen = [output], set()
    while pending:
        layer = pending.pop()
        if layer in sources:
            return False
        if layer != name and layer not in seen:
            seen.add(layer)
            pending.extend(graph[layer])
    return True


def _join(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def extractor(base, taps: list[str], logits: bool, name: str = "extractor") -> keras.Model:
    """A model from the images to the outputs of the taps and, if wanted, to the logits.

    The layers are the base's own, not copies: what is in both is computed once.

    Returns:
        A Functional model with a list of outputs, in the order of `taps`, the logits last.
    """
    outputs = [base.get_layer(tap).output for tap in taps]
    return keras.Model(base.input, [*outputs, base.output] if logits else outputs, name=name)


def ends_in_softmax(model) -> bool:
    """Whether the model's output is probabilities by a softmax, not logits."""
    last = model
    while inner := getattr(last, "operations", None) or getattr(last, "layers", None):
        last = inner[-1]
    # The layer Softmax and the operation keras.ops.softmax are classes of one name.
    return type(last).__name__ == "Softmax" or (
        getattr(last, "activation", None) is keras.activations.softmax
    )


def logits_copy(model) -> keras.Model:
    """A copy of a Functional classifier that ends in logits, whether `model` does or not."""
    if not is_functional(model) or not ends_in_softmax(model):
        return clone(model)
    config = to_config(model)
    last = config
    while "layers" in last["config"]:
        last = last["config"]["layers"][-1]
    if last["class_name"] == "Softmax":
        last.update(module="keras.layers", class_name="Activation", registered_name=None)
        last["config"] = {"name": last["config"]["name"]}
        for node in last.get("inbound_nodes", ()):
            node["kwargs"] = {}  # Softmax takes a mask or an axis
    last["config"]["activation"] = "linear"
    return with_weights_of(model, from_plain_config(config, model))
