"""Signatures of an ensemble's parts, for who runs them one after the other.

`taps` gives the modes' answers and the features that bridges read. `bridges` goes on from these to
the whole ensemble's answer: who is content with the base's where it is sure has paid for one
network. `bridge_0`, `bridge_1`… go on to a single bridge's.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bridge_tf.bridges.bridge import answers_at, is_conditioned
from bridge_tf.ensembles.bridge_ensemble import TINY, statistics
from bridge_tf.export.sizes import of_size
from bridge_tf.utils.graph import counterparts, extractor, feature_of

OUTPUTS = ("probabilities", "entropy", "disagreement")
BRIDGES = "bridges"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function to be exported.

    Attributes:
        name: of the signature.
        function: from tensors, in the order of `inputs`, to a dict of named tensors.
        inputs: names, shapes and types.
    """

    name: str
    function: Callable
    inputs: list[tf.TensorSpec]


def whole_answer(ensemble, fused=None) -> Callable:
    """A function from an ensemble's inputs to its answer, its bridges perhaps fused."""
    if fused is None:
        answer = ensemble
    else:
        taps = [tap for _, tap in ensemble.reads()[0]]
        cut = extractor(ensemble.base, taps, logits=True)

        def answer(inputs, training):
            *features, logits = cut(inputs, training=training)
            return statistics([logits, *_side_by_side(fused, features)])

    def whole(inputs):
        outputs = answer(inputs, training=False)
        return {key: outputs[key] for key in OUTPUTS}

    return whole


def _side_by_side(fused, features: list) -> list:
    """The logits of each bridge, of the model of all."""
    logits = fused(features if len(features) > 1 else features[0], training=False)
    return tf.unstack(logits, axis=1)


def parts(ensemble, spec: tf.TensorSpec, fused=None) -> list[Signature]:
    """The signatures taps, bridge_0, bridge_1… and, where the base is the only mode, bridges.

    Args:
        ensemble: a `BridgeEnsemble`.
        spec: of its input.
        fused: its bridges as one model; bridge_0, bridge_1… are left out then.
    """
    modes = [ensemble.base, *ensemble.other_modes]
    reads, features = ensemble.reads(), ensemble.features()
    cut_modes, specs = [], {}
    for k, mode in enumerate(modes):
        own = [tap for number, tap in features if number == k]
        names = counterparts(modes[0], mode, own)
        cut_modes.append(extractor(mode, names, logits=True))
        for tap, name in zip(own, names, strict=True):
            tensor = feature_of(mode, name)
            shape = (None, *tensor.shape[1:])
            specs[k, tap] = tf.TensorSpec(shape, tensor.dtype, name=f"feature_{len(specs)}")

    dtype = tf.float32 if spec.dtype == tf.uint8 else spec.dtype

    def taps(inputs):
        inputs = of_size(tf.cast(inputs, dtype), spec)
        tapped, answers = [], []
        for mode in cut_modes:
            *own, logits = keras.tree.flatten(mode(inputs, training=False))
            tapped += own
            answers.append(softmax(logits))
        named = {spec.name: x for spec, x in zip(specs.values(), tapped, strict=True)}
        return {"probabilities": tf.stack(answers, axis=1), **named}

    found = [Signature("taps", taps, [spec])]
    reads = [[specs[feature] for feature in read] for read in reads]
    for k, (bridge, read) in enumerate(zip(ensemble.bridges, reads, strict=True)):
        if fused is None:
            found.append(_bridge(f"bridge_{k}", bridge, read))
    if ensemble.bridges and not ensemble.other_modes:
        found.append(_bridges(ensemble, list(specs.values()), reads, fused))
    return found


def _bridge(name: str, bridge, reads: list[tf.TensorSpec]) -> Signature:
    inputs = list(dict.fromkeys(reads))  # both ends of a curve may be one mode
    positions = [tf.TensorSpec((None, 1), tf.float32, name="r")] if is_conditioned(bridge) else []

    def answer(*given):
        features = [of_size(given[inputs.index(spec)], spec) for spec in reads]
        (logits,) = answers_at(bridge, features, given[len(inputs) :], training=False)
        return {"probabilities": softmax(logits)}

    return Signature(name, answer, inputs + positions)


def _bridges(ensemble, features: list[tf.TensorSpec], reads: list, fused) -> Signature:
    """What is left of the whole ensemble once `taps` has answered."""
    classes = ensemble.base.output_shape[-1]
    of_base = tf.TensorSpec((None, 1, classes), tf.float32, name="probabilities")

    def whole(*given):
        *tapped, answer = given
        named = {spec.name: of_size(x, spec) for spec, x in zip(features, tapped, strict=True)}
        base = tf.math.log(tf.maximum(answer[:, 0], TINY))
        at = [tf.fill((tf.shape(base)[0], 1), r) for r in ensemble.positions]
        logits = [base]
        if fused is not None:
            logits += _side_by_side(fused, [named[spec.name] for spec in reads[0]])
        for bridge, read in zip(ensemble.bridges, reads, strict=True) if fused is None else ():
            logits += answers_at(bridge, [named[spec.name] for spec in read], at, training=False)
        outputs = statistics(logits)
        return {key: outputs[key] for key in OUTPUTS}

    return Signature(BRIDGES, whole, [*features, of_base])


def values_for(taps: Signature, images: np.ndarray, positions: list[float]) -> dict:
    """What signatures are given for images, by the names of inputs: features are those of `taps`.

    Args:
        taps: that signature.
        images: inputs of the ensemble.
        positions: a position r, if bridges take one.
    """
    (spec,) = taps.inputs
    values = {key: tensor.numpy() for key, tensor in taps.function(as_typed(images, spec)).items()}
    for r in positions[:1]:
        values["r"] = np.full((len(images), 1), r, "float32")
    return {**values, spec.name: images}


def as_typed(values: np.ndarray, spec: tf.TensorSpec) -> np.ndarray:
    """`values` as the type of a signature's input; pixels of a whole number are rounded."""
    rounded = np.round(values) if spec.dtype.is_integer else values
    return rounded.astype(spec.dtype.as_numpy_dtype)


def softmax(logits):
    return tf.nn.softmax(tf.cast(logits, tf.float32))
