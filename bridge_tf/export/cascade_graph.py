"""What a `CascadeEnsemble` executes in exported files.

Functions from tensors to the outputs of the Keras model. Images are of the model's own type.
"""

import tensorflow as tf

from bridge_tf.ensembles.cascade import CHOSEN, CascadeEnsemble
from bridge_tf.networks.classifier import TINY


def in_stages(cascade: CascadeEnsemble, images) -> dict:
    """The first stage for all images, then the further modes for the unsure ones alone.

    Batches may have any number of unsure rows; with none, no further mode is executed.
    """
    once = cascade.first(images, training=False)
    goes_on = cascade.unsure(once["probabilities"])

    def of_first():
        return {key: once[key] for key in CHOSEN}

    def of_both():
        places = tf.where(goes_on)
        rows = places[:, 0]
        members = [tf.gather(x, rows) for x in _reused(cascade, once["log_probabilities"])]
        then = cascade.second([tf.gather(images, rows), *members], training=False)
        return {
            key: tf.tensor_scatter_nd_update(first, places, then[key])
            for key, first in of_first().items()
        }

    chosen = tf.cond(tf.reduce_any(goes_on), of_both, of_first)
    return {**chosen, "goes_on": goes_on}


def first_stage(cascade: CascadeEnsemble, images) -> dict:
    """The first stage's outputs, and as "members" the probabilities, as they are, of those of its
    modes that the second stage averages too, N×modes×classes, if there are any.
    """
    once = cascade.first(images, training=False)
    members = [tf.exp(x) for x in _reused(cascade, once["log_probabilities"])]
    return {**{key: once[key] for key in CHOSEN}, **dict(zip(["members"], members, strict=False))}


def second_stage(cascade: CascadeEnsemble, images, *members) -> dict:
    """The second stage's outputs, with `members` from `first_stage`, if it has any."""
    log_probs = [tf.math.log(tf.maximum(x, TINY)) for x in members]
    return cascade.second([images, *log_probs], training=False)


def _reused(cascade: CascadeEnsemble, log_probs) -> list:
    """Of the first stage's members, those of the second stage too: one tensor, or none."""
    return [log_probs[:, : cascade.reused]] if cascade.reused else []
