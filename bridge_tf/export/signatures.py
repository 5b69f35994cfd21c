"""The exported signatures, as a SavedModel and as one TFLite file.

serving_default is the whole ensemble, base its base alone; the others are parts of it (`parts.py`).
All signatures share their weights.
"""

import pathlib

import keras
import tensorflow as tf

from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.parts import OUTPUTS, Signature, parts, softmax
from bridge_tf.layers import unrolled

SAVED_MODEL_ONLY = "serving_uint8"


def signatures(ensemble, tflite: bool = False, pixels: str = "float32") -> list[Signature]:
    """All signatures of an ensemble, or those of a .tflite file, which are all but serving_uint8.

    That one is there only where the ensemble takes images, whose type is `pixels` elsewhere.
    """
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4
    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.as_dtype(pixels if takes_images else ensemble.input.dtype)
    own = tf.float32 if takes_images else dtype
    spec = tf.TensorSpec(shape, dtype, name=name)

    def serving_default(inputs):
        outputs = ensemble(tf.cast(inputs, own), training=False)
        return {key: outputs[key] for key in OUTPUTS}

    def base(inputs):
        return {"probabilities": softmax(ensemble.base(tf.cast(inputs, own), training=False))}

    found = [Signature("serving_default", serving_default, [spec]), Signature("base", base, [spec])]
    if takes_images and not tflite:
        of_bytes = tf.TensorSpec(shape, tf.uint8, name=name)
        found.append(Signature(SAVED_MODEL_ONLY, serving_default, [of_bytes]))
    return [*found, *parts(ensemble, spec)]


def write_saved_model(ensemble, path: pathlib.Path, pixels: str = "float32") -> None:
    """Writes a SavedModel with all signatures; but serving_uint8's, images are of type `pixels`."""
    archive = keras.export.ExportArchive()
    archive.track(ensemble)
    with unrolled(ensemble):  # TFLite has no lists of tensors of any batch size
        for signature in signatures(ensemble, pixels=pixels):
            archive.add_endpoint(
                signature.name, signature.function, input_signature=signature.inputs
            )
        archive.write_out(str(path), verbose=False)


def write_tflite(ensemble, saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    path.write_bytes(with_main(converter_of(ensemble, saved_model).convert()))


def converter_of(ensemble, saved_model: pathlib.Path) -> tf.lite.TFLiteConverter:
    """A converter of a SavedModel's float signatures, which knows built-in ops only."""
    names = [item.name for item in signatures(ensemble, tflite=True)]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=names)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter
