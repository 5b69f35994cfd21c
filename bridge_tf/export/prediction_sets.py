"""Prediction sets in exported files: the rule of `bridge_tf.evaluation.conformal` as a graph."""

import json
import pathlib

from bridge_tf.evaluation.conformal import PredictionSets, penalties

OUTPUT = "prediction_set"


def in_set(probabilities, sets: PredictionSets):
    """Which classes are in each set, N×classes, bool, as `PredictionSets.predict` has it.

    `probabilities` are N×classes, float32. A set is all classes at least as probable as its least
    probable one, so that nothing is sorted back; TFLite has all these operations.
    """
    import tensorflow as tf  # readers of metadata do without

    classes = probabilities.shape[-1]
    ranked = tf.math.top_k(probabilities, classes).values
    before = tf.cumsum(ranked, axis=-1, exclusive=True)
    scores = before + tf.constant(penalties(classes, sets.k_reg, sets.penalty))
    above = tf.fill(tf.shape(ranked), 2.0)  # every probability
    inside = tf.where(scores <= tf.constant(sets.quantile, tf.float32), ranked, above)
    return probabilities >= tf.reduce_min(inside, axis=-1, keepdims=True)


def sets_inside(path: pathlib.Path) -> PredictionSets | None:
    """The sets in an exported .tflite file, by the metadata beside it; None if it has none."""
    for metadata in path.parent.glob("*.metadata.json"):
        for item in json.loads(metadata.read_text(encoding="utf-8"))["files"]:
            if item["file"] == path.name and OUTPUT in item:
                return PredictionSets(**item[OUTPUT])
    return None
