"""What differs between the kinds of ensembles that are exported."""

import keras
import numpy as np

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.early_exit import going_on
from bridge_tf.export.signatures import FIRST, SECOND
from bridge_tf.networks.flops import count_flops
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import inner_layers


def check_layers(model) -> None:
    """Raises an InputError that names a layer which TFLite's built-in operations can't run."""
    layers = keras.layers
    tables = (layers.TextVectorization, layers.StringLookup, layers.IntegerLookup)
    hashes = (layers.Hashing, layers.HashedCrossing)
    for layer in inner_layers(model):
        if isinstance(layer, (*tables, *hashes)):
            raise InputError(
                f"export: the layer '{layer.name}' ({type(layer).__name__}) can't run in TFLite; "
                "apply it to the data instead, and train models of its output"
            )


def early_exit_of(ensemble, given: dict | None) -> dict | None:
    """The content of early_exit.json: that of a cascade, or `given` for a `BridgeEnsemble`.

    Raises:
        InputError: something is given for another kind.
    """
    if given and not isinstance(ensemble, BridgeEnsemble):
        kind = type(ensemble).__name__
        raise InputError(f"`early_exit`: is for a BridgeEnsemble, not for a {kind}; leave it out")
    if isinstance(ensemble, CascadeEnsemble):
        of_cascade = {"threshold": ensemble.threshold, "signatures": [FIRST, SECOND]}
        return {**of_cascade, "flops": list(costs_of(ensemble))}
    if not given:
        return None
    base_temperature = ensemble.base_temperature
    return {**given, "base_temperature": base_temperature, "flops": list(costs_of(ensemble))}


def costs_of(ensemble) -> tuple[float, float]:
    """FLOPs of an image that stops early, and of one that goes on, relative to the base's.

    `ensemble` is a `CascadeEnsemble` or a `BridgeEnsemble`.
    """
    base = count_flops(ensemble.base)
    if isinstance(ensemble, CascadeEnsemble):
        first = ensemble.first
        # Of one network there is nothing to average.
        several = first.bridges or first.other_modes
        once = count_flops(first.calibrated(1, 1)) / base if several else 1.0
        return once, once + sum(map(count_flops, ensemble.modes)) / base
    whole = count_flops(ensemble.calibrated(1, 1)) / base
    return 1.0, 1.0 + going_on(2 if ensemble.other_modes else 1, whole)


def temperatures_of(ensemble, temperature: float, early_exit: dict | None) -> dict[str, float]:
    """The temperatures of a file, in which the ensemble has this one, by what they belong to."""
    if isinstance(ensemble, CascadeEnsemble):
        stages = {FIRST: ensemble.first.temperature, SECOND: temperature}
        return {**stages, "base": ensemble.base_temperature}
    found = {"ensemble": temperature}
    if isinstance(ensemble, BridgeEnsemble):
        found["base"] = ensemble.base_temperature
    if early_exit:
        found["early_exit"] = early_exit.get("temperature", 1.0)
    return found


def unsure_first(ensemble, images: np.ndarray) -> np.ndarray:
    """Images in an order in which those that go on come first, so that a warm-up has some."""
    if not isinstance(ensemble, CascadeEnsemble):
        return images
    goes_on = ensemble.predict(np.asarray(images), verbose=0)["goes_on"]
    return images[np.argsort(~goes_on, kind="stable")]
