"""Training batches out of rows that are stored in several passes."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from bridge_tf.data.batches import untuned

if TYPE_CHECKING:
    import tensorflow as tf


def stored_batches(
    read: Callable[[int, np.ndarray], Any],
    rows: int,
    passes: int,
    batch_size: int,
    *,
    epochs: int,
    seed: int,
    first_step: int = 0,
) -> "tf.data.Dataset":
    """A `tf.data.Dataset` of what `read` gives, from step `first_step` to the end of the epochs.

    Epoch e reads each row of pass e modulo `passes` once, in an order of its own, which depends
    only on (seed, e), so an interrupted training can resume.

    Args:
        read: from the number of a pass and some rows to arrays of these rows, in any structure.
        rows: of each pass; a multiple of `batch_size`.
        passes: number of passes, ≥ 1.
    """
    import tensorflow as tf

    steps = rows // batch_size

    def batches() -> Iterator[Any]:
        order, of_epoch = np.arange(0), -1
        for step in range(first_step, epochs * steps):
            epoch, within = divmod(step, steps)
            if epoch != of_epoch:
                order, of_epoch = np.random.default_rng([seed, epoch]).permutation(rows), epoch
            yield read(epoch % passes, order[within * batch_size : (within + 1) * batch_size])

    example = read(0, np.arange(batch_size))
    signature = keras.tree.map_structure(tf.TensorSpec.from_tensor, _tensors(example))
    found = tf.data.Dataset.from_generator(batches, output_signature=signature)
    count = max(0, epochs * steps - first_step)
    return untuned(found.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2))


def answered_batches(
    batches: Callable[[int], "tf.data.Dataset"],
    answers: Callable[[int], np.ndarray],
    cycle: int,
    *,
    steps: int,
    first_step: int = 0,
) -> "tf.data.Dataset":
    """A `tf.data.Dataset` of ({"images", "answers"}, labels) from step `first_step` to `steps`.

    Args:
        batches: from a step of the cycle to (images, labels) of the rest of the cycle.
        answers: from a step of the cycle to what is stored of its images.
        cycle: number of steps after which both begin again.
    """
    import tensorflow as tf

    example = answers(0)

    def stored(step: "tf.Tensor") -> "tf.Tensor":
        found = tf.numpy_function(answers, [step % cycle], example.dtype, stateful=False)
        return tf.ensure_shape(found, example.shape)

    shown = batches(first_step % cycle).concatenate(batches(0).repeat())
    kept = tf.data.Dataset.range(first_step, max(first_step, steps)).map(stored)
    return tf.data.Dataset.zip(shown, kept).map(
        lambda batch, found: ({"images": batch[0], "answers": found}, batch[1])
    )


def _tensors(example: Any) -> Any:
    import tensorflow as tf

    return keras.tree.map_structure(tf.constant, example)
