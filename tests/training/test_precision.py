"""Trainings in mixed precision."""

import dataclasses

import keras
import numpy as np
import pytest

from bridge_tf import Curve, InputError, Recipe, build_bridge, fit_bridge, fit_curve, fit_mode
from bridge_tf.ensembles.baselines import fit_student
from bridge_tf.training.precision import computing_in
from bridge_tf.utils.keras_utils import inner_layers

RECIPE = Recipe(epochs=2, learning_rate=0.05, warmup_epochs=0, precision="mixed_bfloat16")


@pytest.fixture
def labels(images):
    return np.arange(len(images)) % 5


def policies(model) -> set[str]:
    return {layer.dtype_policy.name for layer in inner_layers(model)}


def test_layers_compute_in_bfloat16_but_for_pixels_and_outputs(build, images):
    model = build("batch")
    with computing_in("mixed_bfloat16", model):
        kinds = {layer.name: layer.compute_dtype for layer in model.layers}
        outputs = model(images)
    assert kinds["pixels"] == kinds["logits"] == "float32"
    assert kinds["stage1_block1_conv1"] == kinds["stage3_block1_norm1"] == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert policies(model) == {"float32"}
    # bfloat16 has 8 bits.
    difference = np.abs(model(images) - outputs).max()
    assert 1e-5 < difference < 0.1


def test_a_policy_of_ones_own_stays(build):
    model = build()
    own = model.get_layer("stage1_block1_conv1")
    own.dtype_policy = keras.DTypePolicy("mixed_float16")
    with computing_in("mixed_bfloat16", model):
        assert own.compute_dtype == "float16"
    assert own.compute_dtype == "float16"


@pytest.mark.integration
def test_trainings_differ_by_rounding_and_repeat(tiny, images, labels):
    start = tiny()
    found = {}
    for name, precision in (("a", "mixed_bfloat16"), ("b", "mixed_bfloat16"), ("c", "float32")):
        model = keras.models.clone_model(start)
        model.set_weights(start.get_weights())
        # At higher rates, rounding decides where a training goes.
        recipe = dataclasses.replace(RECIPE, precision=precision, epochs=1, learning_rate=1e-3)
        keras.utils.set_random_seed(0)
        fit_mode(model, (images, labels), recipe, batch_size=8)
        assert policies(model) == {"float32"}
        found[name] = np.concatenate([w.ravel() for w in model.get_weights()])
    np.testing.assert_array_equal(found["a"], found["b"])
    moved = np.linalg.norm(found["c"] - np.concatenate([w.ravel() for w in start.get_weights()]))
    assert 0 < np.linalg.norm(found["a"] - found["c"]) < 0.1 * moved


@pytest.mark.integration
def test_the_ends_of_a_curve_stay_exact_and_its_network_computes_in_bfloat16(build, images, labels):
    ends = build("batch"), build("batch")
    curve = Curve.between(*ends)
    seen = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(curve.network.get_layer("stage2_block1_conv1").compute_dtype)

    fit_curve(curve, (images, labels), RECIPE, batch_size=8, callbacks=[See()])
    assert {*seen} == {"bfloat16"}
    for r, end in zip((0, 1), ends, strict=True):
        for found, wanted in zip(
            curve.model_at(r, images).trainable_variables, end.trainable_variables, strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.integration
def test_a_bridge_learns(build, images):
    base, member = build(), build()
    bridge = build_bridge(base, "stage2_block1", 0.5)
    recipe = dataclasses.replace(RECIPE, epochs=12)
    losses = fit_bridge(bridge, base, member, images, recipe, batch_size=8).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert policies(bridge) == policies(base) == {"float32"}


@pytest.mark.integration
def test_a_student_learns(build, images):
    student, teachers = build(), [build(), build()]
    recipe = dataclasses.replace(RECIPE, epochs=8)
    losses = fit_student(student, teachers, images, recipe, batch_size=8).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    assert policies(student) == policies(teachers[0]) == {"float32"}


def test_other_precisions_are_refused():
    with pytest.raises(InputError, match=r"`precision` must be one of float32, mixed_bfloat16"):
        Recipe(precision="float16")
