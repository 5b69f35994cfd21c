"""Inputs of a wrong size or type are refused by the runtimes, never answered."""

import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, build_bridge, export
from bridge_tf.export.signatures import of_size


@pytest.mark.integration
def test_inputs_of_another_size_or_type_are_refused(tiny, images, tmp_path):
    """The network ends in a global pooling, which takes any size."""
    base = tiny()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 0.5)])
    options = {"tflite": ["int8", "int8_dynamic"], "calibration": images}
    made = export(ensemble, tmp_path, "tiny", images, **options)
    for path in (made.tflite, *tmp_path.glob("tiny.int8*.tflite")):
        names = Interpreter(str(path)).get_signature_list()
        right = {"image": images[:2]}
        right.update(Interpreter(str(path)).get_signature_runner("taps")(**right))
        for name, tensors in names.items():
            given = {key: right[key] for key in tensors["inputs"]}
            Interpreter(str(path)).get_signature_runner(name)(**given)
            for key, value in given.items():
                if value.ndim != 4:
                    continue
                for wrong in (value[:, 1:], value[:, :, 1:], value.repeat(2, 1), value[..., :0]):
                    runner = Interpreter(str(path)).get_signature_runner(name)
                    with pytest.raises((RuntimeError, ValueError)):
                        runner(**{**given, key: wrong})
                runner = Interpreter(str(path)).get_signature_runner(name)
                with pytest.raises(ValueError, match="Got value of type"):
                    runner(**{**given, key: value.astype("float64")})
    served = tf.saved_model.load(str(made.saved_model)).signatures["serving_default"]
    for wrong in (images[:, 1:], images.astype("float64")):
        with pytest.raises((TypeError, ValueError, tf.errors.InvalidArgumentError)):
            served(image=tf.constant(wrong))


def test_what_has_no_size_stays(images):
    for value, shape in ((images, (None, None, 8, 1)), (images[:, 0, 0], (None, 1))):
        assert of_size(value, tf.TensorSpec(shape, tf.float32)) is value
