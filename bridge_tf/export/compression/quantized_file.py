"""A quantization-aware trained model as a .tflite file with the project's signatures."""

import pathlib
import tempfile
from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

from bridge_tf.ensembles.bridge_ensemble import statistics
from bridge_tf.export.main_subgraph import with_main
from bridge_tf.export.signatures import exported, of_size
from bridge_tf.networks.classifier import TINY


def write_file(model, plan: dict, temperatures: Sequence[float], path: pathlib.Path) -> None:
    """Writes a file of 8 bits with the signatures serving_default, base and taps, and bridges where
    the base is the only mode and no bridge is conditioned; see `bridge_tf.export.signatures`.

    The trained model is from images to features and logits; the plan's "io" is the images' type;
    the temperatures are those of ensemble and base.
    """
    signatures = _signatures(model, plan, *temperatures)
    module = tf.Module()
    module.model = model
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=signatures)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[*signatures])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(with_main(converter.convert()))


def _signatures(model, plan: dict, temperature: float, base_temperature: float) -> dict:
    number, modes = plan["features"], plan["modes"]
    features, logits = model.outputs[:number], model.outputs[number:]
    name, shape = plan["input"]["name"], (None, *plan["input"]["shape"])
    dtype = model.input.dtype
    image = tf.TensorSpec(shape, tf.as_dtype(plan["io"] or dtype), name=name)
    of_features = [
        tf.TensorSpec(x.shape, x.dtype, name=f"feature_{k}") for k, x in enumerate(features)
    ]
    base = tf_keras.Model(model.input, logits[0])
    whole = tf_keras.Model(model.input, logits)
    tapped = tf_keras.Model(model.input, [*features, *logits[:modes]])

    def cast(inputs):
        return of_size(tf.cast(inputs, dtype), image)

    def serving_default(inputs):
        logits = tf.nest.flatten(whole(cast(inputs), training=False))
        return exported(statistics(logits, temperature))

    def of_base(inputs):
        return {"probabilities": _softmax(base(cast(inputs), training=False), base_temperature)}

    def taps(inputs):
        outputs = tf.nest.flatten(tapped(cast(inputs), training=False))
        named = {spec.name: x for spec, x in zip(of_features, outputs[:number], strict=True)}
        return {"probabilities": tf.stack([_softmax(x) for x in outputs[number:]], axis=1), **named}

    functions = {
        "serving_default": (serving_default, [image]),
        "base": (of_base, [image]),
        "taps": (taps, [image]),
    }
    if modes == 1 and number and not plan["positions"]:
        rest = tf_keras.Model(features, logits[1:])
        rounded = [_rounding(model, x) for x in features]
        of_modes = tf.TensorSpec((None, 1, logits[0].shape[-1]), tf.float32, name="probabilities")

        def bridges(*given):
            *tapped, answer = given
            tapped = [of_size(x, spec) for x, spec in zip(tapped, of_features, strict=True)]
            tapped = [round(x) for round, x in zip(rounded, tapped, strict=True)]
            log = tf.math.log(tf.maximum(answer[:, 0], TINY))
            predicted = [log, *tf.nest.flatten(rest(tapped, training=False))]
            return exported(statistics(predicted, temperature))

        functions["bridges"] = (bridges, [*of_features, of_modes])
    return {
        name: tf.function(function, input_signature=specs).get_concrete_function()
        for name, (function, specs) in functions.items()
    }


def _softmax(logits, temperature: float = 1.0):
    """As softmax, but of operations that aren't converted to 8 bits, see `bridge_ensemble.py`."""
    return statistics([logits], temperature)["probabilities"]


def _rounding(model, tensor) -> Callable:
    """Rounds features to 8 bits once more as their layer did, which tells the converter so."""
    layer = next(x for x in model.layers if x.output is tensor)
    named = {v.name.split("/")[-1]: v for v in layer.weights}
    if not {"output_min:0", "output_max:0"} <= named.keys():
        return lambda x: x
    low, high = named["output_min:0"], named["output_max:0"]
    return lambda x: tf.quantization.fake_quant_with_min_max_vars(x, low, high)
