"""Loading a data set and its three splits."""

import dataclasses
import difflib
import os

import numpy as np

from bridge_tf.data.dataset import Dataset, Source, Split, moved_to_front
from bridge_tf.data.image_io import EXIF
from bridge_tf.data.issues import Faults, find_faults
from bridge_tf.data.readers.digits import read_digits
from bridge_tf.data.readers.folder import read_folder
from bridge_tf.data.readers.npz import read_npz
from bridge_tf.data.readers.records import RecordImages
from bridge_tf.data.readers.tfds import read_tfds
from bridge_tf.utils.errors import InputError, reason

_HELD_OUT = 0.2
_KINDS = "digits, tfds:NAME[:VERSION], folder:PATH, npz:PATH"


def load_dataset(
    spec: str,
    data_dir: str | None = None,
    *,
    seed: int = 0,
    validation_fraction: float = 0.1,
    image_size: int = 0,
    skip_bad_images: int = 0,
    max_images: int = 0,
    exif: str = "apply",
    validate_on: str = "train",
) -> Dataset:
    """Reads, decodes and splits a data set.

    Training images of TensorFlow Datasets stay in their files if their sizes differ, or if they
    don't fit into memory. The validation split is the folder's or file's own; if it has none, it is
    a stratified share of the training images, fixed by `seed`. The test split is the same for every
    seed; if the source has none, a stratified fifth of the training images is held out.

    Args:
        spec: `digits`, `tfds:NAME[:VERSION]`, `folder:PATH` or `npz:PATH`.
        data_dir: folder of prepared TensorFlow Datasets.
        seed: of the choice of validation images.
        validation_fraction: share of the training images, in (0, 1), if the source has no
            validation images.
        image_size: height and width to which images of folders are resized, and images of
            TensorFlow Datasets with several sizes. 0: the size of a folder's first image.
        skip_bad_images: maximum number of unreadable or mislabelled folder images to leave out.
        max_images: maximum number of images in each split; 0: all.
        exif: "apply": images of folders are turned upright as their EXIF data says; "ignore": they
            are taken as they are stored.
        validate_on: where the validation split comes from if the source has none: "train", or
            "test", whose stratified half it then is, the same for every seed.

    Returns:
        A `Dataset`: the splits `train`, `validation` and `test`, `class_names`, `num_classes`,
            `image_shape` (height, width, channels).

    Raises:
        InputError: the data can't be used; the message says why, and what would be right.

    Example::

        dataset = bridge_tf.load_dataset("digits")
        print(dataset.train.images.shape, dataset.class_names)
    """
    if not 0 < validation_fraction < 1:
        raise InputError(f"`validation_fraction={validation_fraction}`: must lie in (0, 1)")
    if image_size < 0:
        raise InputError(f"`image_size={image_size}`: must be at least 0")
    if skip_bad_images < 0:
        raise InputError(f"`skip_bad_images={skip_bad_images}`: must be at least 0")
    if exif not in EXIF:
        raise InputError(f"`exif={exif}`: must be one of {', '.join(EXIF)}")
    source = _read(spec, data_dir, image_size, skip_bad_images, exif)
    if len(source.class_names) < 2:
        raise InputError(f"`dataset={spec}`: has one class only; two or more are needed")
    train, validation, test = source.train, source.validation, source.test
    if test is None:
        train, test = _split(spec, train, _HELD_OUT, seed=0)
    validated = "own" if validation is not None else validate_on
    if validation is None and validate_on == "test":
        test, validation = _split(spec, test, 0.5, seed=0)
    elif validation is None:
        train, validation = _split(spec, train, validation_fraction, seed)
    known = Faults(source.skipped)
    splits = train, validation, test
    dataset = Dataset(source.name, source.class_names, *splits, known, validated)
    if max_images:
        dataset = dataset.limited(max_images)
    else:
        dataset = dataclasses.replace(dataset, faults=find_faults(dataset, known))
    held = {
        part: getattr(dataset, part).in_memory(f"`dataset={spec}`, {part}")
        for part in ("validation", "test")
    }
    return dataclasses.replace(dataset, **held)


def read_test_split(
    spec: str,
    data_dir: str | None,
    image_size: int = 0,
    skip_bad_images: int = 0,
    exif: str = "apply",
) -> tuple[str, Split]:
    """The name and the test split of a data set, as `load_dataset`; one class is enough."""
    source = _read(spec, data_dir, image_size, skip_bad_images, exif)
    if source.test is not None:
        return source.name, source.test
    return source.name, _split(spec, source.train, _HELD_OUT, seed=0)[1]


def _read(
    spec: str, data_dir: str | None, image_size: int, skip_bad_images: int, exif: str
) -> Source:
    kind, _, rest = spec.partition(":")
    if spec == "digits":
        return read_digits()
    if kind in ("tfds", "folder", "npz") and not rest:
        raise InputError(f"`dataset={spec}`: nothing after the colon; known are {_KINDS}")
    if kind == "tfds":
        return read_tfds(rest, data_dir, image_size)
    if kind == "folder":
        return read_folder(rest, image_size, skip_bad_images, exif)
    if kind == "npz":
        return read_npz(rest)
    if os.path.isdir(spec):
        raise InputError(f"`dataset={spec}`: is a folder; name it as folder:{spec}")
    close = difflib.get_close_matches(kind, ("digits", "tfds", "folder", "npz"), n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"`dataset={spec}`: no such kind of data set; known are {_KINDS}{hint}")


def _split(spec: str, split: Split, fraction: float, seed: int) -> tuple[Split, Split]:
    """The rest of a split, and a stratified `fraction` of it."""
    from sklearn.model_selection import train_test_split

    try:
        rest, held_out = train_test_split(
            np.arange(len(split)),
            test_size=fraction,
            random_state=seed,
            stratify=split.labels,
        )
    except ValueError as error:
        raise InputError(
            f"`dataset={spec}`: too few images to hold out {fraction:g} of {len(split)} with "
            f"every class on both sides ({reason(error).rstrip('.')}); add images to the classes"
        ) from error
    # Rounding may leave a rare class on one side only.
    rest, held_out = _lend(split.labels, rest, held_out)
    held_out, rest = _lend(split.labels, held_out, rest)
    return _parted(split, np.sort(rest), np.sort(held_out))


def _parted(split: Split, rest: np.ndarray, held_out: np.ndarray) -> tuple[Split, Split]:
    """The two parts of a split at sorted indices, in its own memory if it is an array.

    Images move within the array, so that they aren't held twice; `split` can't be used afterwards.
    """
    taken, images = split.take(held_out), split.images
    if isinstance(images, RecordImages):
        return split.take(rest), taken
    front = moved_to_front(images, rest)
    back = images[len(rest) :]
    back[:] = taken.images
    return Split(front, split.labels[rest]), Split(back, taken.labels)


def _lend(
    labels: np.ndarray, giver: np.ndarray, taker: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of indices, after moving one image of each class that `taker` lacks to it."""
    for k in np.setdiff1d(labels, labels[taker]):
        moved = giver[labels[giver] == k][0]
        giver, taker = giver[giver != moved], np.append(taker, moved)
    return giver, taker
