"""Batches for training and evaluation."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bridge_tf.config.fields import AUGMENTATIONS
from bridge_tf.data.dataset import Split
from bridge_tf.data.readers.records import RecordImages
from bridge_tf.utils.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Number of full batches in an epoch; an InputError if there is none."""
    if batch_size < 1:
        raise InputError(f"`batch_size={batch_size}`: must be at least 1")
    steps = len(split) // batch_size
    if not steps:
        raise InputError(
            f"`batch_size={batch_size}`: more than the {len(split)} training images; "
            "use a smaller batch"
        )
    return steps


def training_batches(
    split: Split,
    batch_size: int,
    *,
    epochs: int,
    seed: int,
    first_step: int = 0,
    augment: str = "none",
    crop_padding: int = 0,
    mixup_alpha: float = 0.0,
    soft_labels: int = 0,
) -> "tf.data.Dataset":
    """A `tf.data.Dataset` of (images, labels) from step `first_step` to the end of the epochs.

    Images are float32, B×H×W×C, raw pixels. Labels are int32, B. The order of an epoch and every
    random draw depend only on (seed, epoch, step), so an interrupted training can resume. An epoch
    has `steps_per_epoch` full batches; the images left over differ between epochs.

    Args:
        split: a `Split`.
        batch_size: images of a batch, 1…N.
        epochs: number of passes over the images.
        seed: of all random draws.
        first_step: counted from the start of the first epoch.
        augment: "none", "crop", "crop_flip" or "resized_crop_flip"; see `bridge_tf.data.augment`.
        crop_padding: pixels on each side; 0: an eighth of the height.
        mixup_alpha: 0: no mixup. Integer labels remain those of the first image.
        soft_labels: number of classes. Labels are then float32, B×classes: probabilities, mixed as
            the images are. 0: integer labels.

    Raises:
        InputError: the batch is larger than the split, or an argument is invalid.

    Example::

        split = bridge_tf.Split(images, labels)
        mixed = bridge_tf.training_batches(split, 8, epochs=2, seed=0, mixup_alpha=0.4)
        steps = len(split) // 8
        bridge_tf.fit_bridge(bridge, modes[0], member, mixed, recipe, steps_per_epoch=steps)
    """
    if not isinstance(split, Split):
        raise InputError(
            f"`split` must be a Split, as Split(images, labels). Received: {type(split).__name__}"
        )
    if len(split.images) != len(split.labels):
        raise InputError(
            f"`split`: needs one label an image. Received: {len(split.images)} images, "
            f"{len(split.labels)} labels"
        )
    if augment not in AUGMENTATIONS:
        raise InputError(f"`augment={augment}`: must be one of {', '.join(AUGMENTATIONS)}")
    if crop_padding < 0:
        raise InputError(f"`crop_padding={crop_padding}`: must be at least 0")
    if not 0 <= mixup_alpha < math.inf:
        raise InputError(f"`mixup_alpha={mixup_alpha}`: must be 0 or a positive number")
    import tensorflow as tf

    from bridge_tf.data import augment as augmentation

    steps = steps_per_epoch(split, batch_size)
    images = _images(split.images)
    with tf.device("CPU"):
        labels = tf.constant(split.labels)
    height, width, channels = split.images.shape[1:]
    padding = crop_padding or max(1, height // 8)

    def epoch_order(epoch: "tf.Tensor") -> "tf.data.Dataset":
        order = tf.random.experimental.stateless_shuffle(
            tf.range(len(split)), tf.stack([seed, tf.cast(epoch, tf.int32)])
        )
        batches = tf.reshape(order[: steps * batch_size], [steps, batch_size])
        first = tf.cast(epoch, tf.int32) * steps
        return tf.data.Dataset.from_tensor_slices((batches, first + tf.range(steps)))

    def batch(indices: "tf.Tensor", step: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        seeds = tf.random.split(tf.stack([seed, step]), 3)
        if augment == "resized_crop_flip":
            x = images.each(
                indices,
                tf.random.split(seeds[0], batch_size),
                lambda image, s: augmentation.random_resized_crop(image, (height, width), s),
                tf.TensorSpec((height, width, channels), tf.float32),
            )
        else:
            x = images.shown(indices)
        if augment in ("crop", "crop_flip"):
            x = augmentation.random_crop(x, padding, seeds[0])
        if augment in ("crop_flip", "resized_crop_flip"):
            x = augmentation.random_flip(x, seeds[1])
        x = tf.cast(x, tf.float32)
        y = tf.gather(labels, indices)
        if soft_labels:
            y = tf.one_hot(y, soft_labels)
        if mixup_alpha > 0:
            x = augmentation.mixup(x, mixup_alpha, seeds[2])
            if soft_labels:  # with the same draws
                y = augmentation.mixup(y[:, tf.newaxis, tf.newaxis], mixup_alpha, seeds[2])[:, 0, 0]
        return x, y

    epoch, within = divmod(first_step, steps)
    batches = tf.data.Dataset.range(epoch, epochs).flat_map(epoch_order).skip(within)
    batches = batches.map(batch, **images.parallel).apply(
        tf.data.experimental.assert_cardinality(max(0, epochs * steps - first_step))
    )
    batches = batches.prefetch(2)
    return batches if images.parallel else untuned(batches)


def untuned(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """The batches without TensorFlow's tuner, for a pipeline in which there is nothing to tune.

    That delays the end of `fit`, which waits for it: it sleeps twice as long each time.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def _images(images: np.ndarray | RecordImages) -> "_Held | _Stored":
    return _Stored(images) if isinstance(images, RecordImages) else _Held(images)


class _Held:
    """Decoded images in memory."""

    parallel: ClassVar[dict] = {}

    def __init__(self, images: np.ndarray):
        self.images = images

    def shown(self, indices: "tf.Tensor") -> "tf.Tensor":
        """The images at these indices, B×H×W×C."""
        import tensorflow as tf

        # By NumPy, because a constant of TensorFlow would be a second copy of all images.
        images = tf.numpy_function(self._rows, [indices], self.images.dtype, stateful=False)
        return tf.ensure_shape(images, (*indices.shape, *self.images.shape[1:]))

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return self.images.take(indices, axis=0)

    def each(
        self,
        indices: "tf.Tensor",
        seeds: "tf.Tensor",
        function: Callable,
        spec: "tf.TensorSpec",
    ) -> "tf.Tensor":
        """Maps a function over the stored images, each with its own seed."""
        import tensorflow as tf

        arguments = self.shown(indices), seeds
        return tf.map_fn(lambda pair: function(*pair), arguments, fn_output_signature=spec)


class _Stored:
    """Like `_Held`, but images are read and decoded for each batch."""

    def __init__(self, images: RecordImages):
        import tensorflow as tf

        self.images = images
        self.parallel = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}

    def shown(self, indices: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        spec = tf.TensorSpec(self.images.shape[1:], tf.uint8)
        records = self.images.records(indices)
        return tf.map_fn(self.images.shown, records, fn_output_signature=spec)

    def each(
        self,
        indices: "tf.Tensor",
        seeds: "tf.Tensor",
        function: Callable,
        spec: "tf.TensorSpec",
    ) -> "tf.Tensor":
        import tensorflow as tf

        return tf.map_fn(
            lambda pair: function(self.images.decoded(pair[0]), pair[1]),
            (self.images.records(indices), seeds),
            fn_output_signature=spec,
        )
