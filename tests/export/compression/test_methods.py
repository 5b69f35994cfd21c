"""Methods on a network unlike those of tests/cli/test_compress.py."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from keras import layers

from bridge_tf import BridgeEnsemble, InputError, TrainingError, build_bridge
from bridge_tf.export.compression import folder as files
from bridge_tf.export.compression.plan import write_plan
from bridge_tf.export.compression.process import run_method
from tests.extras import needs_compression

pytestmark = needs_compression


def of_norms_first():
    """Normalization before convolutions, which isn't folded into any, and other activations."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(1 / 127.5, -1)(image))
    for k in range(2):
        y = layers.Activation("relu")(layers.BatchNormalization()(x))
        y = layers.Conv2D(8, 3, padding="same")(y)
        x = layers.Add(name=f"tap{k}")([x, y])
    x = layers.Activation("elu")(layers.BatchNormalization()(x))
    x = layers.Dense(16)(layers.GlobalAveragePooling2D()(x))
    x = layers.ReLU()(layers.BatchNormalization()(x))
    base = keras.Model(image, layers.Dense(5)(x))
    return BridgeEnsemble(base, [build_bridge(base, "tap0", 0.5)])


@pytest.fixture
def planned(tmp_path):
    """An ensemble, images, its answers, and a function that writes a plan of them to a folder."""
    ensemble = of_norms_first()
    images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
    outputs = ensemble.predict(images.astype("float32"), verbose=0)

    def write(**settings):
        common = {"seed": 0, "batch_size": 16, "epochs": 1, "learning_rate": 1e-4, "io": "float32"}
        targets = np.exp(outputs["log_probabilities"])
        write_plan(ensemble, tmp_path, images, targets, common | settings)
        return tmp_path

    return ensemble, images, outputs, write


@pytest.mark.slow
def test_training_for_quantization_stays_near_the_ensemble(planned):
    _, images, outputs, write = planned
    folder = write(method="qat", epochs=5)
    run_method(folder)
    model = Interpreter(str(folder / files.TFLITE)).get_signature_runner("serving_default")
    found = model(image=images.astype("float32"))["probabilities"]
    spread = outputs["probabilities"].std()
    assert np.abs(found - outputs["probabilities"]).max() < spread


@pytest.mark.slow
def test_same_seed_same_weights(planned):
    _, _, _, write = planned
    folder, found = write(method="prune", sparsity=0.5), []
    for _ in range(2):
        run_method(folder)
        found.append(dict(np.load(folder / files.COMPRESSED)))
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])


@pytest.mark.slow
def test_what_goes_wrong_in_the_process_is_told(planned, capfd):
    _, _, _, write = planned
    folder = write(method="prune", sparsity=2.0)
    with pytest.raises(TrainingError, match=r"has failed \(status 1\)"):
        run_method(folder)
    assert "sparsity" in capfd.readouterr().err
    outputs = dict(np.load(folder / files.OUTPUTS))
    np.savez(folder / files.OUTPUTS, **{k: v + 1 for k, v in outputs.items()})
    with pytest.raises(InputError, match="answers otherwise"):
        run_method(folder)
