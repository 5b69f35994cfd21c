"""Problems of a usable data set."""

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
    """Problems of the data that a report lists.

    Attributes:
        skipped: bad images that were left out, as paths relative to the data set's folder.
        duplicates: number of test images with the same pixels as a training or validation image.
        test_left_out: number of test images of the source that aren't in the test split.
    """

    skipped: tuple[str, ...] = ()
    duplicates: int = 0
    classes_without_test: tuple[str, ...] = ()
    test_left_out: int = 0


def find_faults(dataset: "Dataset", known: Faults) -> Faults:
    """The `known` faults, completed by the duplicates and classes found in `dataset`."""
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
    """A hash of an image's values; equal images of one shape and type have the same hash."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16).digest()


def printable(name: str) -> str:
    """The name with escaped line breaks and undecodable bytes."""
    return name if name.isprintable() else ascii(name)


def _count_duplicates(known: list, images) -> int:
    """The number of `images` among the `known`; images in files are compared as encoded."""
    dtype = np.result_type(*(array.dtype for array in (images, *known)))

    def digests(array) -> Iterable:
        if isinstance(array, RecordImages):
            return array.fingerprints.tolist()
        return (digest(image.astype(dtype, copy=False)) for image in array)

    seen = {found for array in known for found in digests(array)}
    return sum(found in seen for found in digests(images))
