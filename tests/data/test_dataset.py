"""Data sets in memory."""

import numpy as np

from bridge_tf.data import Dataset, Split


def test_the_digest_is_of_every_pixel_and_label():
    def dataset(pixel=0, label=0):
        images, labels = np.zeros((3, 2, 2, 1), "uint8"), np.zeros(3, "int32")
        changed = Split(images.copy(), labels.copy())
        changed.images[2, 1, 1, 0], changed.labels[2] = pixel, label
        return Dataset("d", ("a", "b"), Split(images, labels), Split(images, labels), changed)

    assert dataset().digest == dataset().digest
    assert len({dataset().digest, dataset(pixel=1).digest, dataset(label=1).digest}) == 3
