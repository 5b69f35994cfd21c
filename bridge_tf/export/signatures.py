"""The exported signatures, as a SavedModel and as one TFLite file."""

import pathlib

import keras
import tensorflow as tf

from bridge_tf.layers import unrolled

OUTPUTS = ("probabilities", "entropy", "disagreement")
TFLITE_SIGNATURES = ("serving_default", "base")


def write_saved_model(ensemble, path: pathlib.Path) -> None:
    """Writes a SavedModel with the signatures serving_default and base.

    Where the ensemble takes images there is serving_uint8 as well.
    """
    name, takes_images = ensemble.input.name, len(ensemble.input_shape) == 4

    def serving_default(inputs):
        outputs = ensemble(inputs, training=False)
        return {key: outputs[key] for key in OUTPUTS}

    def serving_uint8(inputs):
        return serving_default(tf.cast(inputs, tf.float32))

    def base(inputs):
        logits = ensemble.base(inputs, training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    shape = (None, *ensemble.input_shape[1:])
    dtype = tf.float32 if takes_images else tf.as_dtype(ensemble.input.dtype)
    endpoints = [(serving_default, dtype), (base, dtype)]
    if takes_images:
        endpoints.append((serving_uint8, tf.uint8))
    archive = keras.export.ExportArchive()
    archive.track(ensemble)
    with unrolled(ensemble):  # TFLite has no lists of tensors of any batch size
        for function, dtype in endpoints:
            spec = tf.TensorSpec(shape, dtype, name=name)
            archive.add_endpoint(function.__name__, function, input_signature=[spec])
        archive.write_out(str(path), verbose=False)


def write_tflite(saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=list(TFLITE_SIGNATURES)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())
