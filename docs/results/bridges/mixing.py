"""Ways to mix training images, with the labels mixed alike, as functions of seed and step."""

import tensorflow as tf

# What an image x and another of the batch, y, become.
SCHEMES = {
    "mixup": "s x + (1 - s) y, s ~ Beta(0.4, 0.4)",
    "none": "x",
    "half": "mixup for one image in two, else x",
    "cutmix": "x with a box of y over a share of its area that is uniform in [0, 1]",
    "extrapolate": "s x + (1 - s) y, s uniform in [1, 1.5]; the label stays that of x",
    "noise": "x + normal noise of 25 levels of 255",
}


def mixer(scheme: str, seed: int, classes: int):
    """A function for `Dataset.enumerate().map` from step and batch to images and labels.

    Labels come as integers, N, and leave as shares of classes, N×classes.
    """

    def mix(step, batch):
        x, labels = batch
        y = tf.one_hot(labels, classes)
        seeds = tf.random.split(tf.stack([seed + 7919, tf.cast(step, tf.int32)]), 4)
        count, height, width = x.shape[:3]
        shift = tf.random.stateless_uniform([], seeds[0], 1, count, tf.int32)
        other = tf.roll(x, shift, axis=0), tf.roll(y, shift, axis=0)
        uniform = tf.random.stateless_uniform([3, count], seeds[1])
        if scheme in ("mixup", "half"):
            draws = tf.random.stateless_gamma([2, count], seeds[2], 0.4, dtype=tf.float64)
            share = tf.cast(tf.math.divide_no_nan(draws[0], draws[0] + draws[1]), x.dtype)
            if scheme == "half":
                share = tf.where(uniform[0] < 0.5, share, 1.0)
            s = share[:, None, None, None]
            return s * x + (1 - s) * other[0], _mixed(y, other[1], share)
        if scheme == "cutmix":
            inside = _inside(height, uniform)[:, :, None] & _inside(width, uniform[::2])[:, None]
            share = 1 - tf.reduce_mean(tf.cast(inside, x.dtype), [1, 2])
            return tf.where(inside[..., None], other[0], x), _mixed(y, other[1], share)
        if scheme == "extrapolate":
            s = 1 + 0.5 * uniform[0][:, None, None, None]
            return s * x + (1 - s) * other[0], y
        if scheme == "noise":
            return x + 25.0 * tf.random.stateless_normal(x.shape, seeds[3]), y
        return x, y

    return mix


def _mixed(y, other, share):
    return share[:, None] * y + (1 - share[:, None]) * other


def _inside(size: int, uniform):
    """Which of `size` places lie in an interval of √area around a place, N×size.

    Args:
        uniform: area and place, each in [0, 1], 2 or more × N.
    """
    half = tf.sqrt(uniform[0]) * size / 2
    place = uniform[1] * size
    at = tf.range(size, dtype=tf.float32)[None] + 0.5
    return tf.abs(at - place[:, None]) < half[:, None]
