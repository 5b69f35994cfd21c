"""Augmentation of whole batches, as functions of a seed."""

import tensorflow as tf


def random_crop(images: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
    """Pads height and width with zeros on each side and crops each image back, at random.

    Args:
        images: B×H×W×C.
        padding: pixels on each side.
        seed: two integers.
    """
    batch, height, width = images.shape[:3]
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    offsets = tf.random.stateless_uniform([batch, 2], seed, 0, 2 * padding + 1, tf.int32)
    rows = offsets[:, :1] + tf.range(height)
    columns = offsets[:, 1:] + tf.range(width)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(cropped, columns, axis=2, batch_dims=1)


def random_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors each image left to right with probability ½."""
    flip = tf.random.stateless_uniform([images.shape[0], 1, 1, 1], seed) < 0.5
    return tf.where(flip, tf.reverse(images, axis=[2]), images)


def mixup(images: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Mixes each image with another of the batch (Zhang et al., ICLR 2018).

    Image i becomes λ x_i + (1 - λ) x_j with a λ ~ Beta(alpha, alpha) of its own.

    Args:
        images: B×H×W×C, float32.
        alpha: > 0.
        seed: two integers.
    """
    batch = images.shape[0]
    seeds = tf.random.split(seed, 2)
    gammas = tf.random.stateless_gamma([2, batch, 1, 1, 1], seeds[0], alpha, dtype=tf.float64)
    # In double precision a draw of Gamma(0.01) may still be 0; then any share will do.
    share = tf.cast(tf.math.divide_no_nan(gammas[0], gammas[0] + gammas[1]), images.dtype)
    shift = tf.random.stateless_uniform([], seeds[1], 1, max(batch, 2), tf.int32)
    return share * images + (1 - share) * tf.roll(images, shift, axis=0)
