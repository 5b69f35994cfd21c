"""What is wrong with a data set without making it useless."""

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from bridge_tf.data.readers.records import RecordImages

if TYPE_CHECKING:
    from bridge_tf.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Faults:
    """What a report must say of its data.

    Attributes:
        skipped: bad images that were left out, relative to the data set's folder.
        duplicates: test images whose very pixels are a training or validation image too.
        classes_without_test: names of the classes that no test image is of.
        test_left_out: test images of the data set that aren't in its test split.
    """

    skipped: tuple[str, ...] = ()
    duplicates: int = 0
    classes_without_test: tuple[str, ...] = ()
    test_left_out: int = 0


def find_faults(dataset: "Dataset", known: Faults) -> Faults:
    """The `known` faults, with duplicates and classes counted in the images of `dataset`."""
    present = set(np.unique(dataset.test.labels))
    return dataclasses.replace(
        known,
        duplicates=_count_duplicates(
            [dataset.train.images, dataset.validation.images], dataset.test.images
        ),
        classes_without_test=tuple(
            printable(name) for k, name in enumerate(dataset.class_names) if k not in present
        ),
    )


def digest(pixels: np.ndarray) -> bytes:
    """A hash of an image's values, which images of one shape and type share if they are equal."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def printable(name: str) -> str:
    """The name; line breaks and bytes that are no text are escaped."""
    return name if name.isprintable() else ascii(name)


def _count_duplicates(known: list, images) -> int:
    """How many of `images` (N×H×W×C) are among the `known` images too.

    Those that stay in files are compared as they are encoded there, among themselves.
    """
    dtype = np.result_type(*(array.dtype for array in (images, *known)))

    def digests(array) -> Iterable:
        if isinstance(array, RecordImages):
            return array.fingerprints.tolist()
        return (digest(image.astype(dtype, copy=False)) for image in array)

    seen = {found for array in known for found in digests(array)}
    return sum(found in seen for found in digests(images))
