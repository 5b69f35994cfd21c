"""Encoded images in TFRecord files, read one by one and in any order."""

import concurrent.futures
import dataclasses
from collections.abc import Sequence

import numpy as np

# Share of the shorter side in the central crop of ImageNet's usual evaluation: 224 of 256 pixels.
CENTRAL = 224 / 256
_HEADER, _FOOTER = 12, 4  # bytes around a record's content (length and checksums)
_THREADS = 8
_BATCH = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class RecordImages:
    """Images in records of `tf.train.Example`; indexing decodes them, as from an array.

    If the images have different sizes, they are preprocessed as in the usual evaluation on
    ImageNet: a central crop of 224/256 of the shorter side, resized bilinearly.

    Attributes:
        places: N×3, int64: file of a record (index in `paths`), offset and length in bytes.
        fingerprints: N, uint64, of the encoded images.
        size: (height, width) after preprocessing.
        channels: 1 or 3.
        resized: whether the images have different sizes.
    """

    paths: tuple[str, ...]
    places: np.ndarray
    fingerprints: np.ndarray
    size: tuple[int, int]
    channels: int
    resized: bool

    dtype = np.dtype("uint8")
    ndim = 4

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """N, height, width, channels of the preprocessed images."""
        return (len(self), *self.size, self.channels)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded, preprocessed images."""
        return int(np.prod(self.shape, dtype="int64"))

    def __len__(self) -> int:
        return len(self.places)

    def take(self, indices, axis: int = 0) -> "RecordImages":
        """The images at these indices, in this order; reads nothing."""
        places, fingerprints = self.places[indices], self.fingerprints[indices]
        return dataclasses.replace(self, places=places, fingerprints=fingerprints)

    def __getitem__(self, key) -> np.ndarray:
        numbers = np.arange(len(self))[key]
        images = self._decoded(np.atleast_1d(numbers))
        return images[0] if np.ndim(numbers) == 0 else images

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def _decoded(self, numbers: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        images = np.empty((len(numbers), *self.shape[1:]), self.dtype)
        batches = tf.data.Dataset.from_tensor_slices(numbers.astype("int64")).batch(1)
        batches = batches.map(
            lambda some: self.shown(self.records(some)[0]), num_parallel_calls=tf.data.AUTOTUNE
        )
        for k, image in enumerate(batches.as_numpy_iterator()):
            images[k] = image
        return images

    def records(self, numbers):
        """A tensor of strings with the records at these indices, read when it is computed."""
        import tensorflow as tf

        records = tf.numpy_function(self._read, [numbers], tf.string)
        return tf.ensure_shape(records, numbers.shape)

    def _read(self, numbers: np.ndarray) -> np.ndarray:
        records = []
        for file, offset, length in self.places[numbers]:
            with open(self.paths[file], "rb") as opened:
                opened.seek(offset)
                records.append(opened.read(length))
        return np.array(records, object)

    def decoded(self, record):
        """The stored image of a record, a tensor H×W×channels, uint8."""
        import tensorflow as tf

        encoded = _features(record)["image"]
        image = tf.io.decode_image(encoded, self.channels, expand_animations=False)
        return tf.ensure_shape(image, (None, None, self.channels))

    def shown(self, record):
        """The preprocessed image of a record, a tensor of `shape[1:]`, uint8."""
        import tensorflow as tf

        image = self.decoded(record)
        if self.resized:
            image = _central(image, self.size)
        return tf.ensure_shape(image, self.shape[1:])


def read_records(
    paths: Sequence[str], size: tuple[int, int], channels: int, *, resized: bool
) -> tuple[RecordImages, np.ndarray]:
    """Indexes the images in TFRecord files, whose records have an encoded `image` and a `label`.

    Returns the images and their labels, N, int64. `size`, `channels` and `resized` are as in
    `RecordImages`.
    """
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(_contents, paths))
    labels, lengths, fingerprints = (np.concatenate(x) for x in zip(*found, strict=True))
    files = np.repeat(np.arange(len(paths)), [len(x[0]) for x in found])
    offsets = [np.cumsum(np.append(0, x[1][:-1] + _HEADER + _FOOTER)) for x in found if len(x[1])]
    offsets = np.concatenate([np.empty(0, "int64"), *offsets]) + _HEADER
    places = np.stack([files, offsets, lengths], axis=1).astype("int64")
    return RecordImages(tuple(paths), places, fingerprints, size, channels, resized), labels


def _contents(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label of each record in a file, with length and fingerprint of its image."""
    import tensorflow as tf

    def content(record):
        features = _features(record)
        letters = tf.io.decode_raw(features["image"], tf.uint8)[None]
        fingerprint = tf.bitcast(tf.fingerprint(letters), tf.uint64)[0]
        return features["label"], tf.strings.length(record, "BYTE"), fingerprint

    records = tf.data.TFRecordDataset(path)
    batches = records.map(content, num_parallel_calls=tf.data.AUTOTUNE).batch(_BATCH)
    found = list(batches.as_numpy_iterator())
    empty = np.empty(0, "int64"), np.empty(0, "int64"), np.empty(0, "uint64")
    columns = zip(empty, *found, strict=True)
    labels, lengths, fingerprints = (np.concatenate(column) for column in columns)
    return labels, lengths.astype("int64"), fingerprints.astype("uint64")


def _features(record) -> dict:
    import tensorflow as tf

    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    return tf.io.parse_single_example(record, features)


def _central(image, size: tuple[int, int]):
    """A resized central crop. Cropping first is cheaper and changes only rounding."""
    import tensorflow as tf

    full = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = CENTRAL * tf.reduce_min(full / size)
    sides = tf.cast(tf.maximum(1.0, tf.round(scale * size)), tf.int32)
    top, left = tf.unstack((tf.shape(image)[:2] - sides) // 2)
    box = image[top : top + sides[0], left : left + sides[1]]
    resized = tf.image.resize(tf.cast(box, tf.float32), size, antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
