"""The exported signatures, as a SavedModel and as one TFLite file.

`serving_default` is the whole ensemble, `base` its base alone. The others are parts of it, for who
runs them one after the other: `taps` gives the modes' answers and the features that bridges read.
`bridges` goes on from these to the whole ensemble's answer: who is content with the base's where it
is sure has paid for one network. `bridge_0`, `bridge_1`… go on to a single bridge's. All signatures
share their weights.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bridge_tf.bridges.bridge import answers_at, is_conditioned
from bridge_tf.ensembles.bridge_ensemble import TINY, statistics
from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.sizes import of_size
from bridge_tf.utils.graph import counterparts, extractor, feature_of
from bridge_tf.utils.keras_utils import unrolled

OUTPUTS = ("probabilities", "entropy", "disagreement")
BRIDGES, SAVED_MODEL_ONLY = "bridges", "serving_uint8"


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


@dataclasses.dataclass(frozen=True)
class Signatures:
    """An ensemble's signatures, for all that writes, reads or compares them.

    Attributes:
        ensemble: the `BridgeEnsemble`.
        all: of a SavedModel.
    """

    ensemble: keras.Model
    all: list[Signature]

    def __getitem__(self, name: str) -> Signature:
        return next(signature for signature in self.all if signature.name == name)

    @property
    def in_tflite(self) -> list[Signature]:
        """Those of a .tflite file, which are all but serving_uint8."""
        return [signature for signature in self.all if signature.name != SAVED_MODEL_ONLY]

    @property
    def specs(self) -> dict[str, list[tf.TensorSpec]]:
        """The inputs of each, by its name."""
        return {signature.name: signature.inputs for signature in self.all}


def signatures(ensemble, pixels: str = "float32") -> Signatures:
    """All signatures of an ensemble.

    serving_uint8 is there only where the ensemble takes images, whose type is `pixels` elsewhere.

    Args:
        ensemble: a `BridgeEnsemble`.
        pixels: "float32" or "uint8".
    """
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4
    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.as_dtype(pixels if takes_images else ensemble.input.dtype)
    own = tf.float32 if takes_images else dtype
    spec = tf.TensorSpec(shape, dtype, name=name)

    def serving_default(inputs):
        inputs = of_size(tf.cast(inputs, own), spec)
        return _outputs_of(ensemble(inputs, training=False))

    def base(inputs):
        inputs = of_size(tf.cast(inputs, own), spec)
        return {"probabilities": _softmax(ensemble.base(inputs, training=False))}

    found = [Signature("serving_default", serving_default, [spec]), Signature("base", base, [spec])]
    if takes_images:
        of_bytes = tf.TensorSpec(shape, tf.uint8, name=name)
        found.append(Signature(SAVED_MODEL_ONLY, serving_default, [of_bytes]))
    return Signatures(ensemble, [*found, *_parts(ensemble, spec)])


def _outputs_of(answer: dict) -> dict:
    """What a signature of the whole ensemble gives of its answer."""
    return {key: answer[key] for key in OUTPUTS}


def _parts(ensemble, spec: tf.TensorSpec) -> list[Signature]:
    """The signatures taps, bridge_0, bridge_1… and, where the base is the only mode, bridges.

    Args:
        ensemble: a `BridgeEnsemble`.
        spec: of its input.
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
            answers.append(_softmax(logits))
        named = {spec.name: x for spec, x in zip(specs.values(), tapped, strict=True)}
        return {"probabilities": tf.stack(answers, axis=1), **named}

    found = [Signature("taps", taps, [spec])]
    reads = [[specs[feature] for feature in read] for read in reads]
    for k, (bridge, read) in enumerate(zip(ensemble.bridges, reads, strict=True)):
        found.append(_bridge(f"bridge_{k}", bridge, read))
    if ensemble.bridges and not ensemble.other_modes:
        found.append(_bridges(ensemble, list(specs.values()), reads))
    return found


def _bridge(name: str, bridge, reads: list[tf.TensorSpec]) -> Signature:
    inputs = list(dict.fromkeys(reads))  # both ends of a curve may be one mode
    positions = [tf.TensorSpec((None, 1), tf.float32, name="r")] if is_conditioned(bridge) else []

    def answer(*given):
        features = [of_size(given[inputs.index(spec)], spec) for spec in reads]
        (logits,) = answers_at(bridge, features, given[len(inputs) :], training=False)
        return {"probabilities": _softmax(logits)}

    return Signature(name, answer, inputs + positions)


def _bridges(ensemble, features: list[tf.TensorSpec], reads: list) -> Signature:
    """What is left of the whole ensemble once `taps` has answered."""
    classes = ensemble.base.output_shape[-1]
    of_base = tf.TensorSpec((None, 1, classes), tf.float32, name="probabilities")

    def whole(*given):
        *tapped, answer = given
        named = {spec.name: of_size(x, spec) for spec, x in zip(features, tapped, strict=True)}
        base = tf.math.log(tf.maximum(answer[:, 0], TINY))
        at = [tf.fill((tf.shape(base)[0], 1), r) for r in ensemble.positions]
        logits = [base]
        for bridge, read in zip(ensemble.bridges, reads, strict=True):
            logits += answers_at(bridge, [named[spec.name] for spec in read], at, training=False)
        return _outputs_of(statistics(logits))

    return Signature(BRIDGES, whole, [*features, of_base])


def write_saved_model(signatures: Signatures, path: pathlib.Path) -> None:
    """Writes a SavedModel with all signatures."""
    archive = keras.export.ExportArchive()
    archive.track(signatures.ensemble)
    with unrolled(signatures.ensemble):  # TFLite has no lists of tensors of any batch size
        for signature in signatures.all:
            archive.add_endpoint(
                signature.name, signature.function, input_signature=signature.inputs
            )
        archive.write_out(str(path), verbose=False)


def write_tflite(signatures: Signatures, saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    path.write_bytes(with_main(converter_of(signatures, saved_model).convert()))


def converter_of(signatures: Signatures, saved_model: pathlib.Path) -> tf.lite.TFLiteConverter:
    """A converter of a SavedModel's float signatures, which knows built-in ops only."""
    names = [signature.name for signature in signatures.in_tflite]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


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


def _softmax(logits):
    return tf.nn.softmax(tf.cast(logits, tf.float32))
