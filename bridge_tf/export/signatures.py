"""The exported signatures, as a SavedModel and as one TFLite file.

Beside the whole ensemble and its base there are the parts between the taps, for who wants to run
bridges by themselves: `taps` gives the modes' answers and the features that bridges read, and
`bridge_0`, `bridge_1`… go on from these. All signatures share their weights.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable

import keras
import tensorflow as tf

from bridge_tf.bridge import answers_at, bridge_taps, is_conditioned
from bridge_tf.graph import counterparts, extractor, operation
from bridge_tf.layers import unrolled

OUTPUTS = ("probabilities", "entropy", "disagreement")
SAVED_MODEL_ONLY = "serving_uint8"


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


def signatures(ensemble) -> list[Signature]:
    """All signatures of an ensemble; serving_uint8 only where it takes images."""
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4
    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.float32 if takes_images else tf.as_dtype(ensemble.input.dtype)
    spec = tf.TensorSpec(shape, dtype, name=name)

    def serving_default(inputs):
        outputs = ensemble(inputs, training=False)
        return {key: outputs[key] for key in OUTPUTS}

    def serving_uint8(inputs):
        return serving_default(tf.cast(inputs, tf.float32))

    def base(inputs):
        return {"probabilities": _softmax(ensemble.base(inputs, training=False))}

    found = [Signature("serving_default", serving_default, [spec]), Signature("base", base, [spec])]
    if takes_images:
        pixels = tf.TensorSpec(shape, tf.uint8, name=name)
        found.append(Signature(SAVED_MODEL_ONLY, serving_uint8, [pixels]))
    return [*found, *_parts(ensemble, spec)]


def write_saved_model(ensemble, path: pathlib.Path) -> None:
    """Writes a SavedModel with all signatures."""
    archive = keras.export.ExportArchive()
    archive.track(ensemble)
    with unrolled(ensemble):  # TFLite has no lists of tensors of any batch size
        for signature in signatures(ensemble):
            archive.add_endpoint(
                signature.name, signature.function, input_signature=signature.inputs
            )
        archive.write_out(str(path), verbose=False)


def write_tflite(ensemble, saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    names = [item.name for item in signatures(ensemble) if item.name != SAVED_MODEL_ONLY]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def _parts(ensemble, spec: tf.TensorSpec) -> list[Signature]:
    """The signatures taps, bridge_0, bridge_1…"""
    modes = [ensemble.base, *ensemble.other_modes]
    reads = []  # for each bridge, its features as pairs of a mode's number and a tap
    for bridge, pair in zip(ensemble.bridges, ensemble.ends, strict=True):
        kind, taps = bridge_taps(bridge)
        reads.append([(k, tap) for k in pair[:kind] for tap in taps])
    # Each feature once, in the order of the modes, as they are cut.
    features = sorted(dict.fromkeys(itertools.chain(*reads)), key=lambda feature: feature[0])
    cut_modes, specs = [], {}
    for k, mode in enumerate(modes):
        own = [tap for number, tap in features if number == k]
        names = counterparts(modes[0], mode, own)
        cut_modes.append(extractor(mode, names, logits=True))
        for tap, name in zip(own, names, strict=True):
            tensor = operation(mode, name).output
            shape = (None, *tensor.shape[1:])
            specs[k, tap] = tf.TensorSpec(shape, tensor.dtype, name=f"feature_{len(specs)}")

    def taps(inputs):
        tapped, answers = [], []
        for mode in cut_modes:
            *own, logits = keras.tree.flatten(mode(inputs, training=False))
            tapped += own
            answers.append(_softmax(logits))
        named = {spec.name: x for spec, x in zip(specs.values(), tapped, strict=True)}
        return {"probabilities": tf.stack(answers, axis=1), **named}

    found = [Signature("taps", taps, [spec])]
    for k, (bridge, read) in enumerate(zip(ensemble.bridges, reads, strict=True)):
        found.append(_bridge(f"bridge_{k}", bridge, [specs[feature] for feature in read]))
    return found


def _bridge(name: str, bridge, reads: list[tf.TensorSpec]) -> Signature:
    inputs = list(dict.fromkeys(reads))  # both ends of a curve may be one mode
    positions = [tf.TensorSpec((None, 1), tf.float32, name="r")] if is_conditioned(bridge) else []

    def answer(*given):
        features = [given[inputs.index(spec)] for spec in reads]
        (logits,) = answers_at(bridge, features, given[len(inputs) :], training=False)
        return {"probabilities": _softmax(logits)}

    return Signature(name, answer, inputs + positions)


def _softmax(logits):
    return tf.nn.softmax(tf.cast(logits, tf.float32))
