"""The exported signatures, as a SavedModel and as one TFLite file.

`serving_default` is the whole ensemble, `base` its base alone, if it has one. The others are parts
to run one after the other; all signatures share their weights.

Of a `BridgeEnsemble`, `taps` gives the modes' predictions and the features that bridges read. From
these `bridges` predicts as the whole ensemble, so that early exit costs only the base, and
`bridge_0`, `bridge_1`… predict as single bridges.

Of a `CascadeEnsemble`, `serving_default` of the SavedModel runs the second stage for unsure images
alone. TFLite's built-in operations can't, so that in its file every image runs through both; there
`first` is the first stage, and `second` continues from its outputs.

Probabilities of the ensemble, of `base` and of both stages are calibrated by the ensemble's
temperatures. Those of `taps` and of single bridges, and the `members` that `first` gives, are not,
since the ensemble is made of them.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bridge_tf.bridges.bridge import answers_at, is_conditioned
from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.bridge_ensemble import statistics
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.evaluation.conformal import PredictionSets
from bridge_tf.export.cascade_graph import first_stage, in_stages, second_stage
from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.prediction_sets import OUTPUT, in_set
from bridge_tf.networks.classifier import TINY
from bridge_tf.utils.graph import counterparts, extractor, feature_of
from bridge_tf.utils.keras_utils import unrolled

# The whole ensemble's outputs, and what `BridgeEnsemble` calls them.
OUTPUTS = {
    "probabilities": "probabilities",
    "entropy": "entropy",
    "disagreement": "mutual_information",
}
BRIDGES, SAVED_MODEL_ONLY = "bridges", "serving_uint8"
FIRST, SECOND = "first", "second"
# The float32 next to 1. Converters can't leave out a product with it as they do with 1.
_NEARLY_ONE = np.nextafter(np.float32(1), np.float32(2))


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function to export, from tensors in the order of `inputs` to a dict of named tensors."""

    name: str
    function: Callable
    inputs: list[tf.TensorSpec]


@dataclasses.dataclass(frozen=True)
class Signatures:
    """An ensemble and all signatures of its SavedModel.

    `whole` is serving_default of a .tflite file, where that is another function.
    """

    ensemble: keras.Model
    all: list[Signature]
    sets: PredictionSets | None = None
    whole: Signature | None = None

    def __getitem__(self, name: str) -> Signature:
        return next(signature for signature in self.all if signature.name == name)

    @property
    def in_tflite(self) -> list[Signature]:
        """Those of a .tflite file: all but serving_uint8."""
        found = [signature for signature in self.all if signature.name != SAVED_MODEL_ONLY]
        return found if self.whole is None else [self.whole, *found[1:]]

    @property
    def feeding(self) -> Signature | None:
        """The signature whose outputs are inputs of others, if there is one."""
        return next((x for x in self.all if x.name in ("taps", FIRST)), None)


def signatures(ensemble, pixels: str = "float32", sets: PredictionSets | None = None) -> Signatures:
    """All signatures of an ensemble as `export` takes it; serving_uint8 only if it takes images.

    `pixels` is the type of images in the other signatures, "float32" or "uint8". With `sets`, the
    whole ensemble has the output prediction_set too.
    """
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4
    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.as_dtype(pixels if takes_images else ensemble.input.dtype)
    own = tf.float32 if takes_images else dtype
    spec = tf.TensorSpec(shape, dtype, name=name)

    def given(inputs):
        return of_size(tf.cast(inputs, own), spec)

    def whole(inputs):
        return exported(ensemble(given(inputs), training=False), sets)

    def staged(inputs):
        return exported(in_stages(ensemble, given(inputs)), sets)

    def base(inputs):
        logits = ensemble.base(given(inputs), training=False)
        return {"probabilities": _softmax(logits, ensemble.base_temperature)}

    is_cascade = isinstance(ensemble, CascadeEnsemble)
    served = staged if is_cascade else whole
    found = [Signature("serving_default", served, [spec])]
    if not (of_members := isinstance(ensemble, MembersEnsemble)):
        found.append(Signature("base", base, [spec]))
    if takes_images:
        of_bytes = tf.TensorSpec(shape, tf.uint8, name=name)
        found.append(Signature(SAVED_MODEL_ONLY, served, [of_bytes]))
    if of_members:
        return Signatures(ensemble, found, sets)
    if is_cascade:
        in_full = Signature("serving_default", whole, [spec])
        return Signatures(ensemble, [*found, *_stages(ensemble, spec, given)], sets, in_full)
    return Signatures(ensemble, [*found, *_parts(ensemble, spec, sets)], sets)


def of_size(x, spec: tf.TensorSpec):
    """`x` as it is, to a relative 1e-7, or an error of the runtime if its size isn't the spec's.

    Runtimes resize inputs to what they are given, and a network that ends in a global pooling would
    predict for images and features of any size. So they are multiplied by a constant of this height
    and width, which no other size but 1×1 fits. The time that this takes is too short to measure.
    `x` is float; tensors that aren't N×height×width×channels are returned as they are.
    """
    size = tuple(spec.shape[1:3])
    if len(spec.shape) != 4 or None in size:
        return x
    return x * tf.constant(np.full((1, *size, 1), _NEARLY_ONE), x.dtype)


def exported(outputs: dict, sets: PredictionSets | None = None) -> dict:
    """The outputs of an ensemble that a signature has, under their exported names."""
    found = {name: outputs[key] for name, key in OUTPUTS.items()}
    if sets:
        found[OUTPUT] = in_set(found["probabilities"], sets)
    if "goes_on" in outputs:  # as a number, since few runtimes read booleans
        found["goes_on"] = tf.cast(outputs["goes_on"], tf.int32)
    return found


def _stages(cascade: CascadeEnsemble, spec: tf.TensorSpec, given: Callable) -> list[Signature]:
    """The signatures first and second; `given` makes the cascade's inputs of images.

    The second takes the members of the first that are its own too, if there are any.
    """
    shape = (None, cascade.reused, cascade.base.output_shape[-1])
    members = [tf.TensorSpec(shape, tf.float32, name="members")] * (cascade.reused > 0)

    def first(images):
        outputs = first_stage(cascade, given(images))
        return {**exported(outputs), **{spec.name: outputs[spec.name] for spec in members}}

    def second(images, *of_first):
        return exported(second_stage(cascade, given(images), *of_first))

    return [Signature(FIRST, first, [spec]), Signature(SECOND, second, [spec, *members])]


def _parts(ensemble, spec: tf.TensorSpec, sets: PredictionSets | None) -> list[Signature]:
    """The signatures taps, bridge_0, bridge_1… and, where the base is the only mode, bridges."""
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
        tapped, predicted = [], []
        for mode in cut_modes:
            *own, logits = keras.tree.flatten(mode(inputs, training=False))
            tapped += own
            predicted.append(_softmax(logits))
        named = {spec.name: x for spec, x in zip(specs.values(), tapped, strict=True)}
        return {"probabilities": tf.stack(predicted, axis=1), **named}

    found = [Signature("taps", taps, [spec])]
    reads = [[specs[feature] for feature in read] for read in reads]
    for k, (bridge, read) in enumerate(zip(ensemble.bridges, reads, strict=True)):
        found.append(_bridge(f"bridge_{k}", bridge, read))
    if ensemble.bridges and not ensemble.other_modes:
        found.append(_bridges(ensemble, list(specs.values()), reads, sets))
    return found


def _bridge(name: str, bridge, reads: list[tf.TensorSpec]) -> Signature:
    inputs = list(dict.fromkeys(reads))  # both ends of a curve may be one mode
    positions = [tf.TensorSpec((None, 1), tf.float32, name="r")] if is_conditioned(bridge) else []

    def predict(*given):
        features = [of_size(given[inputs.index(spec)], spec) for spec in reads]
        (logits,) = answers_at(bridge, features, given[len(inputs) :], training=False)
        return {"probabilities": _softmax(logits)}

    return Signature(name, predict, inputs + positions)


def _bridges(
    ensemble, features: list[tf.TensorSpec], reads: list, sets: PredictionSets | None
) -> Signature:
    """The rest of the whole ensemble after `taps`."""
    classes = ensemble.base.output_shape[-1]
    of_base = tf.TensorSpec((None, 1, classes), tf.float32, name="probabilities")

    def whole(*given):
        *tapped, probabilities = given
        named = {spec.name: of_size(x, spec) for spec, x in zip(features, tapped, strict=True)}
        logits = [tf.math.log(tf.maximum(probabilities[:, 0], TINY))]
        at = [tf.fill((tf.shape(probabilities)[0], 1), r) for r in ensemble.positions]
        for bridge, read in zip(ensemble.bridges, reads, strict=True):
            logits += answers_at(bridge, [named[spec.name] for spec in read], at, training=False)
        return exported(statistics(logits, ensemble.temperature), sets)

    return Signature(BRIDGES, whole, [*features, of_base])


def write_saved_model(signatures: Signatures, path: pathlib.Path, for_tflite: bool = False) -> None:
    """Writes a SavedModel with all signatures, or with those that a .tflite file is made from."""
    archive = keras.export.ExportArchive()
    archive.track(signatures.ensemble)
    # Keras lists its own variables, which TensorFlow takes for others than those of the functions
    # and saves once more.
    for name in ("variables", "trainable_variables", "non_trainable_variables"):
        listed = [variable.value for variable in getattr(signatures.ensemble, name)]
        archive.add_variable_collection(name, listed)
    with unrolled(signatures.ensemble):  # TFLite has no lists of tensors of any batch size
        for signature in signatures.in_tflite if for_tflite else signatures.all:
            archive.add_endpoint(signature.name, signature.function, signature.inputs)
        archive.write_out(str(path), verbose=False)


def write_tflite(signatures: Signatures, saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    path.write_bytes(with_main(converter_of(signatures, saved_model).convert()))


def converter_of(signatures: Signatures, saved_model: pathlib.Path) -> tf.lite.TFLiteConverter:
    """A converter of a SavedModel's float signatures to built-in ops."""
    names = [signature.name for signature in signatures.in_tflite]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def values_for(
    signatures: Signatures,
    images: np.ndarray,
    positions: list[float],
    feeding: Callable | None = None,
) -> dict:
    """Inputs of all signatures by name: images, what `signatures.feeding` gives the others, and r
    if there are positions. `feeding` is its function, compiled.
    """
    (spec,) = signatures["serving_default"].inputs
    feeding = feeding or getattr(signatures.feeding, "function", lambda _: {})
    values = {key: tensor.numpy() for key, tensor in feeding(as_typed(images, spec)).items()}
    for r in positions[:1]:
        values["r"] = np.full((len(images), 1), r, "float32")
    return {**values, spec.name: images}


def positions_of(ensemble) -> list[float]:
    """The positions of an ensemble's conditioned bridges, for the signatures of single ones."""
    return getattr(ensemble, "positions", [])


def as_typed(values: np.ndarray, spec: tf.TensorSpec) -> np.ndarray:
    """`values` in the type of a signature's input, rounded for integer types."""
    rounded = np.round(values) if spec.dtype.is_integer else values
    return rounded.astype(spec.dtype.as_numpy_dtype)


def _softmax(logits, temperature: float = 1.0):
    logits = tf.cast(logits, tf.float32)
    return tf.nn.softmax(logits if temperature == 1 else logits / temperature)
