"""Data sets and their splits."""

import dataclasses
import functools
import hashlib

import numpy as np

from bridge_tf.data.issues import Faults, find_faults
from bridge_tf.data.readers.records import RecordImages
from bridge_tf.utils.memory import check_memory

_ROWS = 1000  # images that are moved at once


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and their labels; lists of them become arrays.

    Args:
        images: N×H×W×C, uint8 or float32, raw pixels 0…255. `RecordImages` are read on access.
        labels: N, int32, 0…classes-1.

    Example::

        split = bridge_tf.Split(images, labels)
        print(len(split), split.take(np.array([0, 2])).labels)
    """

    images: np.ndarray | RecordImages
    labels: np.ndarray

    def __post_init__(self) -> None:
        for name in ("images", "labels"):
            value = getattr(self, name)
            if not isinstance(value, np.ndarray | RecordImages):
                object.__setattr__(self, name, np.asarray(value))

    def __len__(self) -> int:
        return len(self.labels)

    def limited(self, max_images: int) -> "Split":
        """At most `max_images` of the split, the same in each call.

        Args:
            max_images: the largest number of images, ≥ 0.
        """
        # A random choice, because sources may be sorted by class.
        order = np.random.default_rng(0).permutation(len(self))
        return self.take(np.sort(order[:max_images]))

    def in_memory(self, name: str) -> "Split":
        """The split, decoded in memory.

        Args:
            name: what an error calls the split.

        Raises:
            InputError: it doesn't fit; the message begins with `name`.
        """
        if isinstance(self.images, np.ndarray):
            return self
        height, width = self.images.shape[1:3]
        what = f"{len(self):,} images of {height}×{width} pixels"
        check_memory(name, what, 2 * self.images.nbytes, "use fewer by `max_images`")
        return Split(np.asarray(self.images), self.labels)

    def take(self, indices: np.ndarray) -> "Split":
        """The images and labels at these indices, in this order.

        Args:
            indices: an array of whole numbers, 0…N-1.
        """
        return Split(self.images.take(indices, axis=0), self.labels[indices])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set with three disjoint splits; classes without names are numbered.

    `validation_from` tells where the validation split comes from: the source's "own" one, or a
    share of "train" or "test".
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    faults: Faults = Faults()
    validation_from: str = "train"

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.train.images.shape[1:]

    @functools.cached_property
    def digest(self) -> str:
        """Digest of all images (in their encoded form, if they stay in files) and labels."""
        total = hashlib.blake2b()
        for split in (self.train, self.validation, self.test):
            images = split.images
            pixels = images.fingerprints if isinstance(images, RecordImages) else images
            for array in (pixels, split.labels):
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def limited(self, max_images: int) -> "Dataset":
        """The data set with at most `max_images` in each split, the same in each call."""
        splits = {}
        for name in ("train", "validation", "test"):
            splits[name] = getattr(self, name).limited(max_images)
        limited = dataclasses.replace(self, **splits)
        left_out = self.faults.test_left_out + len(self.test) - len(limited.test)
        known = dataclasses.replace(self.faults, test_left_out=left_out)
        return dataclasses.replace(limited, faults=find_faults(limited, known))


@dataclasses.dataclass(frozen=True)
class Source:
    """The result of a reader; `skipped` are bad images, left out.

    `test` and `validation` are None if the source has no such split.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split | None
    skipped: tuple[str, ...] = ()
    validation: Split | None = None


def moved_to_front(images: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The images at these sorted places, as the first ones of the same array.

    They overwrite others, so that none is held twice.
    """
    # Every image moves towards the front, so it overwrites none that is still to move.
    for start in range(0, len(places), _ROWS):
        moved = places[start : start + _ROWS]
        images[start : start + len(moved)] = images[moved]
    return images[: len(places)]
