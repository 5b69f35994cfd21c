import types

import keras
import numpy as np
import pytest
from keras import ops

from bridge_tf import Curve, Split, TrainingError
from bridge_tf.evaluation import accuracy, nll
from bridge_tf.evaluation.kept import KeptPredictions
from bridge_tf.evaluation.predictions import Predictions

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
