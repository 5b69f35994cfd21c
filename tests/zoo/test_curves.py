"""Curves between networks that nobody wrote for curves."""

import keras
import numpy as np
import pytest

from bridge_tf import Curve, Recipe, fit_curve
from tests.zoo import models

STEP = Recipe(epochs=1, learning_rate=0.01, warmup_epochs=0, jit_compile=False)
QUICK = ("vision_transformer", "lstm", "sequential_mlp", "subclassed")


def arrays(variables):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


@pytest.mark.parametrize("name", models.marked(QUICK))
def test_ends_step_and_file(name, tmp_path):
    start, end = models.build(name), models.build(name)
    x = models.inputs(start, 4)
    curve = Curve.between(start, end)

    expected = [keras.ops.convert_to_numpy(mode(x, training=False)) for mode in (start, end)]
    for r, wanted in zip((0.0, 1.0), expected, strict=True):
        found = keras.ops.convert_to_numpy(curve(x, r=r))
        np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    assert np.abs(expected[0] - expected[1]).max() > 1e-3 * np.abs(expected[0]).max()

    trained = {id(point) for point in curve.control_points[1]}
    before = dict(zip(map(id, curve.weights), arrays(curve.weights), strict=True))
    fit_curve(curve, (x, np.arange(4) % models.CLASSES), STEP, batch_size=4)
    for weight, after in zip(curve.weights, arrays(curve.weights), strict=True):
        if "seed_generator" in weight.path or not np.issubdtype(after.dtype, np.floating):
            continue  # draws move on
        same = np.array_equal(before[id(weight)], after)
        assert same or id(weight) in trained, weight.path
    moved = [
        not np.array_equal(before[id(p)], keras.ops.convert_to_numpy(p))
        for p in curve.control_points[1]
    ]
    # Biases in front of a normalization have no gradient.
    assert np.mean(moved) > 0.5

    curve.save(tmp_path / "curve.keras")
    loaded = keras.models.load_model(tmp_path / "curve.keras", safe_mode=True)
    for r in (0.0, 0.4):
        np.testing.assert_array_equal(loaded(x, r=r), curve(x, r=r))
    member = curve.model_at(0.4)
    found = keras.ops.convert_to_numpy(member(x, training=False))
    np.testing.assert_allclose(found, curve(x, r=0.4), atol=1e-5 * np.abs(found).max())
