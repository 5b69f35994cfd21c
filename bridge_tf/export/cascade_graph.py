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
        members = tf.gather(once["log_probabilities"][:, : cascade.num_reused], rows)
        then = cascade.second([tf.gather(images, rows), members], training=False)
        return {
            key: tf.tensor_scatter_nd_update(first, places, then[key])
            for key, first in of_first().items()
        }

    chosen = tf.cond(tf.reduce_any(goes_on), of_both, of_first)
    return {**chosen, "goes_on": goes_on}


def first_stage(cascade: CascadeEnsemble, images) -> dict:
    """The first stage's outputs, and its modes' probabilities as they are, N×modes×classes."""
    once = cascade.first(images, training=False)
    members = tf.exp(once["log_probabilities"][:, : cascade.num_reused])
    return {**{key: once[key] for key in CHOSEN}, "members": members}


def second_stage(cascade: CascadeEnsemble, images, members) -> dict:
    """The second stage's outputs, with `members` from `first_stage`."""
    log_probs = tf.math.log(tf.maximum(members, TINY))
    return cascade.second([images, log_probs], training=False)
