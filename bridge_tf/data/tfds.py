"""Prepared TensorFlow Datasets."""

import logging
import os
import pathlib

import numpy as np

from bridge_tf.data.types import Source, Split
from bridge_tf.errors import InputError, reason

_BATCH = 1000


def read_tfds(name: str, data_dir: str | None) -> Source:
    """Reads NAME or NAME:VERSION as it lies prepared in `data_dir`; nothing is downloaded.

    The splits are train and test, or train and validation where there is no test.

    Raises:
        InputError: it isn't prepared there, is damaged or incomplete, or isn't a classification of
            images of one size.
    """
    import tensorflow_datasets as tfds

    logging.getLogger("absl").setLevel(logging.WARNING)
    name, _, version = name.partition(":")
    folder = pathlib.Path(data_dir).expanduser() if data_dir else None
    try:
        builder = tfds.builder(
            f"{name}:{version}" if version else name, data_dir=folder and str(folder), try_gcs=False
        )
    except (tfds.core.registered.DatasetNotFoundError, ValueError, AssertionError) as error:
        raise _not_prepared(name, version, folder) from error
    except Exception as error:  # a damaged dataset_info.json
        raise _damaged(name, error) from error
    if not builder.info.splits:
        raise _not_prepared(name, version, folder)
    splits, features = builder.info.splits, builder.info.features
    test = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or not {"image", "label"} <= set(features):
        raise InputError(
            f"--dataset=tfds:{name}: needs a split train and the features image and label; it has "
            f"the splits {', '.join(splits)} and the features {', '.join(features)}"
        )
    if not isinstance(features["label"], tfds.features.ClassLabel):
        raise InputError(f"--dataset=tfds:{name}: its labels are no classes: {features['label']}")
    shape = features["image"].shape
    if None in shape:
        raise InputError(
            f"--dataset=tfds:{name}: its images are of shape {shape}; all must be of one size"
        )
    dtype = features["image"].np_dtype
    if dtype != np.uint8:
        raise InputError(
            f"--dataset=tfds:{name}: its images are {np.dtype(dtype)}; they must be uint8"
        )
    names = [split for split in ("train", test) if split]
    try:
        read = [_read_split(builder, split) for split in names]
    except InputError:
        raise
    except Exception as error:  # TensorFlow's errors of a missing or truncated file
        raise _damaged(name, error) from error
    return Source(name, tuple(features["label"].names), read[0], read[1] if test else None)


def _read_split(builder, split: str) -> Split:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # How many there are is checked below, in plainer words.
    reading = tfds.ReadConfig(assert_cardinality=False)
    examples = builder.as_dataset(split=split, shuffle_files=False, read_config=reading)
    pairs = examples.map(lambda e: (e["image"], e["label"]), num_parallel_calls=tf.data.AUTOTUNE)
    batches = list(pairs.batch(_BATCH).as_numpy_iterator())
    found = sum(len(labels) for _, labels in batches)
    wanted = builder.info.splits[split].num_examples
    if found < max(wanted, 1):
        raise InputError(
            f"--dataset=tfds:{builder.info.name}: its split {split} holds {found:,} of {wanted:,} "
            "images, so that its files are damaged; prepare it anew"
        )
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    if labels.min() < 0:
        raise InputError(
            f"--dataset=tfds:{builder.info.name}: images of its split {split} carry no label "
            f"({labels.min()}); every image needs one"
        )
    return Split(images, labels.astype("int32"))


def _damaged(name: str, error: Exception) -> InputError:
    return InputError(f"--dataset=tfds:{name}: can't be read ({reason(error)}); prepare it anew")


def _not_prepared(name: str, version: str, folder: pathlib.Path | None) -> InputError:
    wanted = f"{name}:{version}" if version else name
    if folder is None:
        return InputError(
            f"--dataset=tfds:{wanted}: not prepared in the default folder; name the folder of "
            "prepared data sets by --data_dir"
        )
    if not os.path.isdir(folder):
        return InputError(f"--data_dir={folder}: no such folder")
    infos = [*folder.glob("*/*/dataset_info.json"), *folder.glob("*/*/*/dataset_info.json")]
    versions = [info.parent.relative_to(folder) for info in infos]
    there = sorted(f"{version.parent.as_posix()}:{version.name}" for version in versions)
    return InputError(
        f"--dataset=tfds:{wanted}: not prepared in --data_dir={folder}, which holds "
        f"{', '.join(there) or 'nothing'}; prepare it there with tensorflow-datasets"
    )
