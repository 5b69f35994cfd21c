"""The heart on the JAX backend, in a process of its own, without TensorFlow."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, Curve, build_bridge
from tests.extras import needs_jax
from tests.without_tensorflow import FORBIDDEN, heart, imported, modules

ROOMS = ("networks", "curves", "bridges", "ensembles", "training")
# They look TensorFlow up when it is needed.
LEFT_OUT = (
    "bridge_tf.networks.flops",
    "bridge_tf.training.cpu_kernels",
    "bridge_tf.training.distribution",
)

# Reads what the test below wrote on TensorFlow, then trains each kind of model on JAX.
PROGRAM = (
    FORBIDDEN
    + """
import json, pathlib
import keras, numpy as np
from keras import layers
import bridge_tf
from bridge_tf import (
    BridgeEnsemble, Curve, Recipe, build_bridge, build_network, evaluate, fit_bridge, fit_curve,
    fit_mode, fit_modes,
)

folder = pathlib.Path(sys.argv[1])
images, labels = np.load(folder / "images.npy"), np.load(folder / "labels.npy")
found = {"backend": keras.backend.backend()}
ensemble = keras.models.load_model(folder / "ensemble.keras")
curve = keras.models.load_model(folder / "curve.keras")
for key, value in ensemble.predict(images, verbose=0).items():
    found[key] = value.tolist()
found["curve"] = np.asarray(curve(images, r=0.3)).tolist()

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
    made = BridgeEnsemble(modes[0], [bridge])
    outputs = made.predict(images, verbose=0)
    found[f"{norm} sums"] = outputs["probabilities"].sum(axis=1).tolist()

made.save(folder / "made.keras")
again = keras.models.load_model(folder / "made.keras").predict(images, verbose=0)
found["saved"] = max(float(np.abs(again[name] - value).max()) for name, value in outputs.items())
found["nll"] = evaluate(made, (images, labels), (images, labels))["nll"]
found["expected nll"] = float(-np.log(outputs["probabilities"][np.arange(24), labels]).mean())
small = lambda: keras.Sequential(
    [keras.Input((8, 8, 1)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(5)]
)
pair = fit_modes(small, (images, labels), 2, Recipe(epochs=1), batch_size=8)
one, two = (mode.predict(images, verbose=0) for mode in pair)
found["modes apart"] = float(np.abs(one - two).max())
print(json.dumps(found))
"""
)

BASELINES = (
    FORBIDDEN
    + """
import json
import keras, numpy as np
from bridge_tf import Recipe, build_bridge, build_network, fit_mode
from bridge_tf.ensembles import baselines

generator = np.random.default_rng(0)
images = generator.uniform(0, 255, (24, 8, 8, 1)).astype("float32")
labels = generator.integers(0, 5, 24)
plain = {"epochs": 8, "learning_rate": 0.05, "warmup_epochs": 1}
recipe, small = Recipe(**plain), {"width": 0.25, "norm": "batch"}
keras.utils.set_random_seed(0)
base = build_network("resnet8", (8, 8, 1), 5, **small)
losses, members = {}, {}
for make in (baselines.batch_ensemble, baselines.mc_dropout):
    network = make(base, 2)
    fit = baselines.fit_members if make is baselines.batch_ensemble else None
    size = (2,) if fit else ()
    history = (fit or fit_mode)(network, *size, (images, labels), recipe, batch_size=8)
    losses[make.__name__] = history.history["loss"]
    members[make.__name__] = baselines.with_members(network, 2)
wide = build_network("resnet8", (8, 8, 2), 10, **small)
losses["mimo"] = baselines.fit_mimo(wide, 2, (images, labels), recipe, batch_size=8).history["loss"]
members["mimo"] = baselines.mimo_members(wide, 2)
swa = baselines.SwaRecipe(**plain)
losses["swa"] = baselines.fit_swa(base, (images, labels), swa, images, batch_size=8).history["loss"]
cycle = baselines.CyclicRecipe(**plain)
losses["fge"] = fit_mode(base, (images, labels), cycle, batch_size=8).history["loss"]
student = build_network("resnet8", (8, 8, 1), 5, **small)
history = baselines.fit_student(student, [base, base], images, recipe, batch_size=8)
losses["distillation"] = history.history["loss"]
student = build_network("resnet8", (8, 8, 1), 5, **small)
student = baselines.with_bridges(student, [build_bridge(student, "stage2_block1", 0.5)])
history = baselines.fit_student(student, [base, base], images, recipe, batch_size=8)
losses["student with bridges"] = history.history["loss"]
answers = {}
for name, model in members.items():
    found = [model.predict(images, batch_size=size, verbose=0)["probabilities"] for size in (24, 7)]
    answers[name] = float(np.abs(found[0] - found[1]).max())
print(json.dumps([losses, answers]))
"""
)


def test_the_contract_names_every_module_of_the_heart():
    found = [name for name in modules() if name.startswith(tuple(f"bridge_tf.{r}" for r in ROOMS))]
    wanted = {name for name in found if not name.startswith(LEFT_OUT)}
    assert {name for name in heart() if not name.startswith("bridge_tf.utils.")} == wanted
    assert len(wanted) < len(found)


@pytest.mark.parametrize("module", heart())
def test_the_heart_imports_no_tensorflow(module):
    names = imported(modules()[module])
    assert not [name for name in names if name.startswith("tensorflow")]


@needs_jax
@pytest.mark.integration
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
    assert found["saved"] == 0 and found["modes apart"] > 1e-3
    assert abs(found["nll"] - found["expected nll"]) < 1e-5
    for norm in ("frn", "batch"):
        assert found[f"{norm} ends"] < 1e-5
        np.testing.assert_allclose(found[f"{norm} sums"], 1, atol=1e-5)
        for kind in ("mode", "curve", "bridge"):
            losses = found[f"{norm} {kind}"]
            assert losses[-1] < 0.9 * losses[0], (norm, kind, losses)


@needs_jax
@pytest.mark.slow
def test_baselines_train_on_jax():
    result = subprocess.run(
        [sys.executable, "-c", BASELINES],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    assert result.returncode == 0, result.stderr
    losses, answers = json.loads(result.stdout)
    assert set(losses) == {
        "batch_ensemble",
        "mc_dropout",
        "mimo",
        "swa",
        "fge",
        "distillation",
        "student with bridges",
    }
    for name, values in losses.items():
        assert values[-1] < 0.9 * values[0], (name, values)
    assert len(answers) == 3 and max(answers.values()) < 1e-5
