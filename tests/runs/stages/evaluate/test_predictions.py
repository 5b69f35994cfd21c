import types

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from bridge_tf import BridgeEnsemble, Curve, Split, TrainingError, build_bridge
from bridge_tf.evaluation import accuracy, nll
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.runs.stages.evaluate.predictions import Predictions
from bridge_tf.runs.stages.evaluate.sources import Source
from bridge_tf.utils.npz_cache import KeptPredictions

PAIR = (0, 1)


class Root(keras.layers.Layer):
    """Answers with numbers only where its weight is far enough from 0."""

    def build(self, shape):
        self.w = self.add_weight(shape=(3,))

    def call(self, x):
        return x * ops.sqrt(self.w**2 - 0.5)


@pytest.fixture
def walk(tmp_path):
    """Measures along a curve from w = 1 to w = -1 over a control point."""
    generator = np.random.default_rng(0)
    images = generator.random((6, 3)).astype("float32")
    split = Split(images, generator.integers(0, 3, 6))

    def walk(control: float) -> Predictions:
        ends = [keras.Sequential([keras.Input((3,)), Root()]) for _ in range(2)]
        for end, w in zip(ends, (1.0, -1.0), strict=True):
            end.set_weights([np.full(3, w)])
        curve = Curve.between(*ends)
        curve.control_points[1][0].assign(np.full(3, control))
        found = Predictions.__new__(Predictions)
        found.splits, found.positions, found.walks = [split, split], [0.5], {}
        found.sources, found._predictor = [], network_predictor()
        found.kept = KeptPredictions(tmp_path / str(control), "a")
        found.log_probs = {
            ("mode", k): [ops.convert_to_numpy(ops.log_softmax(end(images)))] * 2
            for k, end in enumerate(ends)
        }
        run = types.SimpleNamespace(
            config=types.SimpleNamespace(curve_points=3), member=lambda path, r: path.model_at(r)
        )
        found._walk(run, PAIR, curve)
        return found

    return walk


def test_points_of_the_line_without_a_number_are_left_out(walk):
    found = walk(control=3.0)
    points, line = found.walks[PAIR]
    member, labels = found.log_probs["member", PAIR, 0.5][0], found.splits[0].labels
    measured = {"r": 0.5, "accuracy": accuracy(member, labels), "nll": nll(member, labels)}
    assert points[1] == measured and np.isfinite(measured["nll"])
    assert line == [points[0], {"r": 0.5, "accuracy": None, "nll": None}, points[2]]


def test_members_of_the_curve_must_answer_with_numbers(walk):
    with pytest.raises(TrainingError, match=r"member-0-1-0.5.* not a number; train with a lower"):
        walk(control=0.0)


@pytest.mark.integration
def test_all_sources_answer_for_their_members_on_other_images(tmp_path, build, images):
    base = build()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "stage2_block1", 0.5)])
    split, others = Split(images[:9], np.zeros(9, int)), images[9:]

    def made(*models) -> Predictions:
        found = Predictions.__new__(Predictions)
        found.splits, found.kept = [split, split], KeptPredictions(tmp_path, "a")
        found.sources, found.log_probs, found._opened = [], {}, {}
        names = {"mode-0": [("mode", 0)], "ensemble": [None, ("bridge", PAIR, 0.5)]}
        for (name, members), model in zip(names.items(), models, strict=True):
            found.add(Source(name, members, model))
        return found

    first = made(lambda: base, lambda: ensemble)
    found = first.on("others", others)
    assert list(found) == list(first.log_probs) == [("mode", 0), ("bridge", PAIR, 0.5)]
    expected = log_softmax(base(others).numpy().astype("float64"), axis=1)
    np.testing.assert_allclose(found["mode", 0], expected, atol=1e-5)
    bridge = ensemble(others)["log_probabilities"][:, 1]
    np.testing.assert_allclose(found["bridge", PAIR, 0.5], bridge, atol=1e-5)
    # What is kept needs no model; other images under the same name do.
    again = made(*[lambda: pytest.fail("predicted again")] * 2)
    for name, log_probs in again.on("others", others).items():
        np.testing.assert_array_equal(log_probs, found[name])
    with pytest.raises(pytest.fail.Exception, match="predicted again"):
        again.on("others", others + 1)


def test_a_source_without_a_number_is_refused(tmp_path, images):
    found = Predictions.__new__(Predictions)
    found.splits = [Split(images, np.zeros(24, int))] * 2
    found.kept = KeptPredictions(tmp_path, "a")
    flat = keras.layers.Flatten()(inputs := keras.Input((8, 8, 1)))
    broken = keras.Model(inputs, keras.layers.Dense(5, bias_initializer="zeros")(flat) * np.nan)
    with pytest.raises(TrainingError, match=r"swa answers with what is not a number"):
        found.add(Source("swa", [("swa", 0)], lambda: broken))
