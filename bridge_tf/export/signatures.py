"""The exported signatures, as a SavedModel and as one TFLite file.

serving_default is the whole ensemble, base its base alone; the others are parts of it (`parts.py`).
All signatures share their weights.
"""

import dataclasses
import pathlib

import keras
import tensorflow as tf

from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.parts import Signature, parts, softmax, whole_answer
from bridge_tf.export.sizes import of_size
from bridge_tf.utils.keras_utils import unrolled

SAVED_MODEL_ONLY = "serving_uint8"


@dataclasses.dataclass(frozen=True)
class Signatures:
    """An ensemble's signatures, for all that writes, reads or compares them.

    Attributes:
        ensemble: the `BridgeEnsemble`.
        all: of a SavedModel.
        fused: its bridges as one model (`bridge_tf.fusion`), if the signatures run them so.
    """

    ensemble: keras.Model
    all: list[Signature]
    fused: keras.Model | None = None

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


def signatures(ensemble, pixels: str = "float32", fused=None) -> Signatures:
    """All signatures of an ensemble.

    serving_uint8 is there only where the ensemble takes images, whose type is `pixels` elsewhere.

    Args:
        ensemble: a `BridgeEnsemble`.
        pixels: "float32" or "uint8".
        fused: of `fuse_bridges` of its bridges; serving_default and bridges then run it, and there
            are no signatures of single bridges, which would hold the weights once more.
    """
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4
    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.as_dtype(pixels if takes_images else ensemble.input.dtype)
    own = tf.float32 if takes_images else dtype
    spec = tf.TensorSpec(shape, dtype, name=name)
    whole = whole_answer(ensemble, fused)

    def serving_default(inputs):
        return whole(of_size(tf.cast(inputs, own), spec))

    def base(inputs):
        inputs = of_size(tf.cast(inputs, own), spec)
        return {"probabilities": softmax(ensemble.base(inputs, training=False))}

    found = [Signature("serving_default", serving_default, [spec]), Signature("base", base, [spec])]
    if takes_images:
        of_bytes = tf.TensorSpec(shape, tf.uint8, name=name)
        found.append(Signature(SAVED_MODEL_ONLY, serving_default, [of_bytes]))
    return Signatures(ensemble, [*found, *parts(ensemble, spec, fused)], fused)


def write_saved_model(signatures: Signatures, path: pathlib.Path) -> None:
    """Writes a SavedModel with all signatures."""
    archive = keras.export.ExportArchive()
    archive.track(signatures.ensemble)
    if signatures.fused is not None:
        archive.track(signatures.fused)
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
