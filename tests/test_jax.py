"""The heart on the JAX backend, in a process of its own, without TensorFlow."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import bridge_tf
from bridge_tf import BridgeEnsemble, Curve, build_bridge
from tests.without_tensorflow import FORBIDDEN, imported

HEART = (
    "batch_norm bodies bridge bridge_training classifier curve curve_checks curve_path "
    "curve_shapes ensemble fusion graph layers modulation scaling training networks/frn "
    "networks/resnet"
).split()

# Reads what the test below wrote on TensorFlow, then trains each kind of model on JAX.
PROGRAM = (
    FORBIDDEN
    + """
import json, pathlib
import keras, numpy as np
import bridge_tf
from bridge_tf import (
    Curve, Recipe, build_bridge, build_network, BridgeEnsemble, fit_bridge, fit_curve, fit_mode
)
from bridge_tf.fusion import fuse_bridges

folder = pathlib.Path(sys.argv[1])
images, labels = np.load(folder / "images.npy"), np.load(folder / "labels.npy")
found = {"backend": keras.backend.backend()}
ensemble = keras.models.load_model(folder / "ensemble.keras")
curve = keras.models.load_model(folder / "curve.keras")
for key, value in ensemble.predict(images, verbose=0).items():
    found[key] = value.tolist()
found["curve"] = np.asarray(curve(images, r=0.3)).tolist()
features = np.random.default_rng(0).normal(0, 1, (4, *ensemble.bridges[0].input_shape[1:]))
loop = [np.asarray(bridge(features)) for bridge in ensemble.bridges]
fused = np.asarray(fuse_bridges(ensemble.bridges)(features))
found["fused"] = float(np.abs(fused - np.stack(loop, axis=1)).max())

recipe = Recipe(epochs=12, learning_rate=0.05, warmup_epochs=1)
for norm in ("frn", "batch"):
    keras.utils.set_random_seed(0)
    modes = [build_network("resnet8", (8, 8, 1), 5, width=0.5, norm=norm) for _ in range(2)]
    history = fit_mode(modes[0], (images, labels), recipe, batch_size=8).history["loss"]
    found[f"{norm} mode"] = history
    curve = Curve.between(*modes)
    history = fit_curve(curve, (images, labels), recipe, batch_size=8).history["loss"]
    found[f"{norm} curve"] = history
    found[f"{norm} ends"] = max(
        float(np.abs(np.asarray(curve(images, r=r)) - mode.predict(images, verbose=0)).max())
        for r, mode in zip((0.0, 1.0), modes)
    )
    member = curve.model_at(0.5, images)
    bridge = build_bridge(modes[0], "stage2_block1", 1.0)
    history = fit_bridge(bridge, modes[0], member, images, recipe, batch_size=8).history["loss"]
    found[f"{norm} bridge"] = history
    outputs = BridgeEnsemble(modes[0], [bridge]).predict(images, verbose=0)
    found[f"{norm} sums"] = outputs["probabilities"].sum(axis=1).tolist()
print(json.dumps(found))
"""
)


@pytest.mark.parametrize("module", HEART)
def test_the_heart_imports_no_tensorflow(module):
    path = pathlib.Path(bridge_tf.__file__).parent / f"{module}.py"
    names = imported(path)
    assert names and not [name for name in names if name.startswith("tensorflow")]


def test_jax_reads_what_tensorflow_wrote_and_trains(build, images, labels, tmp_path):
    base = build("batch")
    curve = Curve.between(base, build("batch"))
    bridges = [build_bridge(base, "stage2_block1", 0.5) for _ in range(2)]
    ensemble = BridgeEnsemble(base, bridges)
    curve.save(tmp_path / "curve.keras")
    ensemble.save(tmp_path / "ensemble.keras")
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "labels.npy", labels)

    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["backend"] == "jax"
    for key, value in ensemble.predict(images, verbose=0).items():
        np.testing.assert_allclose(found[key], value, atol=1e-5, err_msg=key)
    np.testing.assert_allclose(found["curve"], curve(images, r=0.3), atol=1e-4)
    assert found["fused"] < 1e-5
    for norm in ("frn", "batch"):
        assert found[f"{norm} ends"] < 1e-5
        np.testing.assert_allclose(found[f"{norm} sums"], 1, atol=1e-5)
        for kind in ("mode", "curve", "bridge"):
            losses = found[f"{norm} {kind}"]
            assert losses[-1] < 0.9 * losses[0], (norm, kind, losses)
