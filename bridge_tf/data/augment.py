"""Augmentation of batches and single images; all functions depend only on a seed."""

import math

import tensorflow as tf

# Random boxes: range of the share of the area, maximum aspect ratio, number of draws.
_AREA, _RATIO, _BOXES = (0.08, 1.0), 4 / 3, 10


def random_crop(images: tf.Tensor, padding: int, seed: tf.Tensor) -> tf.Tensor:
    """Pads B×H×W×C images by `padding` zeros on each side; crops each at random to its old size."""
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


def random_resized_crop(image: tf.Tensor, size: tuple[int, int], seed: tf.Tensor) -> tf.Tensor:
    """Crops a random box out of an image, H×W×C, and resizes it bilinearly to `size`, float32.

    As in Szegedy et al. (CVPR 2015, section 6), the box has 8 to 100 % of the image's area and an
    aspect ratio of 3:4 to 4:3, uniform in its logarithm. It is the first of ten draws that fits,
    else the largest central box with such a ratio. Downsizing averages pixels.
    """
    top, left, height, width = tf.unstack(_random_box(tf.shape(image), seed))
    box = tf.cast(image[top : top + height, left : left + width], tf.float32)
    resized = tf.image.resize(box, size, antialias=True)
    return tf.ensure_shape(resized, (*size, image.shape[-1]))


def _random_box(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A box in an image of this shape: top, left, height, width, int32."""
    full = tf.cast(shape[:2], tf.float32)
    draws = tf.random.stateless_uniform([4, _BOXES], seed)
    area = (_AREA[0] + (_AREA[1] - _AREA[0]) * draws[0]) * full[0] * full[1]
    ratio = tf.exp((2 * draws[1] - 1) * math.log(_RATIO))
    sides = tf.round(tf.stack([tf.sqrt(area / ratio), tf.sqrt(area * ratio)], axis=1))
    fits = tf.reduce_all((sides >= 1) & (sides <= full), axis=1)
    corners = tf.floor(tf.transpose(draws[2:]) * (full - sides + 1))
    widest = tf.maximum(1.0, tf.round(tf.minimum(full, _RATIO * tf.reverse(full, [0]))))
    middle = tf.floor((full - widest) / 2)
    boxes = tf.concat(
        [tf.concat([corners, sides], axis=1), tf.concat([middle, widest], axis=0)[None]], axis=0
    )
    box = tf.gather(boxes, tf.argmax(tf.concat([fits, [True]], axis=0)))
    # A draw just below 1 may be rounded up, beyond the last corner.
    corner = tf.minimum(box[:2], full - box[2:])
    return tf.cast(tf.concat([corner, box[2:]], axis=0), tf.int32)


def mixup(images: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Mixes each image with another of the batch (Zhang et al., ICLR 2018).

    Image i of `images`, B×H×W×C, float32, becomes λ x_i + (1 - λ) x_j. Each image has its own λ ~
    Beta(alpha, alpha), with alpha > 0.
    """
    batch = images.shape[0]
    seeds = tf.random.split(seed, 2)
    gammas = tf.random.stateless_gamma([2, batch, 1, 1, 1], seeds[0], alpha, dtype=tf.float64)
    # Even in double precision, draws of Gamma(0.01) may be 0; then any share is valid.
    share = tf.cast(tf.math.divide_no_nan(gammas[0], gammas[0] + gammas[1]), images.dtype)
    shift = tf.random.stateless_uniform([], seeds[1], 1, max(batch, 2), tf.int32)
    return share * images + (1 - share) * tf.roll(images, shift, axis=0)
