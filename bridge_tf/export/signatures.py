"""The exported signatures, as a SavedModel and as one TFLite file."""

import pathlib

import keras
import tensorflow as tf

OUTPUTS = ("probabilities", "entropy", "disagreement")
TFLITE_SIGNATURES = ("serving_default", "base")


def write_saved_model(ensemble, path: pathlib.Path) -> None:
    """Writes a SavedModel with the signatures serving_default, serving_uint8 and base."""

    def serving_default(image):
        outputs = ensemble(image, training=False)
        return {key: outputs[key] for key in OUTPUTS}

    def serving_uint8(image):
        return serving_default(tf.cast(image, tf.float32))

    def base(image):
        logits = ensemble.base(image, training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    archive = keras.export.ExportArchive()
    archive.track(ensemble)
    shape = (None, *ensemble.input_shape[1:])
    for function, dtype in (
        (serving_default, tf.float32),
        (serving_uint8, tf.uint8),
        (base, tf.float32),
    ):
        spec = tf.TensorSpec(shape, dtype, name="image")
        archive.add_endpoint(function.__name__, function, input_signature=[spec])
    archive.write_out(str(path), verbose=False)


def write_tflite(saved_model: pathlib.Path, path: pathlib.Path) -> None:
    """Converts a SavedModel's float signatures to one TFLite file of built-in ops."""
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(saved_model), signature_keys=list(TFLITE_SIGNATURES)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())
