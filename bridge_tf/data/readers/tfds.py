"""Prepared TensorFlow Datasets.

TensorFlow Datasets imports the modules that features.json names, and downloads code for names with
a namespace. A data set or name from somebody else's run must not execute code. So only names
without a namespace and features of TensorFlow Datasets' own classes are accepted.
"""

import functools
import json
import logging
import math
import os
import pathlib
import re
from collections.abc import Callable, Iterator

import numpy as np

from bridge_tf.data.dataset import Source, Split
from bridge_tf.data.readers.records import read_records
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.memory import available_memory

_BATCH = 1000
_COPIES = 2  # of the memory that all images take: room to read and split them, and to train
_NAME = re.compile(r"([a-zA-Z]\w*)(?:/(?!\.{1,2}$)([\w+.-]+))?")  # NAME or NAME/CONFIG
_VERSION = re.compile(r"(\d+|\*)(\.(\d+|\*)){2}")
_OWN_CLASS = re.compile(r"tensorflow_datasets(\.\w+)+")
_WHERE = re.compile(r"^(\{\{\w+ [^{}]*\}\}\s*)+")  # {{function_node ...}}, by TensorFlow


def read_tfds(name: str, data_dir: str | None, image_size: int = 0) -> Source:
    """Reads NAME or NAME:VERSION, prepared in `data_dir`; downloads nothing.

    The splits are train, validation and test, as far as they are there; a validation split without
    a test split is the test split. Images stay in their files, as `RecordImages`, if they don't fit
    into memory or their sizes differ; these are brought to `image_size` squared.

    Raises:
        InputError: the data set isn't prepared there, is damaged or incomplete, has features of
            other classes than TensorFlow Datasets' own, or isn't an image classification.
    """
    import tensorflow_datasets as tfds

    logging.getLogger("absl").setLevel(logging.WARNING)
    name, _, version = name.partition(":")
    folder = pathlib.Path(data_dir).expanduser() if data_dir else None
    parts = _NAME.fullmatch(name)
    if not parts or (version and not _VERSION.fullmatch(version)):
        raise _not_prepared(name, version, folder)
    try:
        files = list(_features_files(*parts.groups(), version, folder))
        for path in files:
            _check_classes(name, path)
    except InputError:
        raise
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise _damaged(name, error) from error
    try:
        builder = tfds.builder(
            f"{name}:{version}" if version else name, data_dir=folder and str(folder), try_gcs=False
        )
    except (tfds.core.DatasetNotFoundError, AssertionError) as error:
        raise _not_prepared(name, version, folder) from error
    except Exception as error:  # a damaged dataset_info.json or features.json
        if isinstance(error, ValueError) and not files:
            raise _not_prepared(name, version, folder) from error
        raise _damaged(name, error) from error
    if not builder.info.splits:
        raise _not_prepared(name, version, folder)
    splits, features = builder.info.splits, builder.info.features
    if "train" not in splits or not {"image", "label"} <= set(features):
        raise InputError(
            f"`dataset=tfds:{name}`: needs a split train and the features image and label; it has "
            f"the splits {', '.join(splits)} and the features {', '.join(features)}"
        )
    if not isinstance(features["label"], tfds.features.ClassLabel):
        raise InputError(f"`dataset=tfds:{name}`: its labels are no classes: {features['label']}")
    shape = features["image"].shape
    if None in shape[:2] and not image_size:
        raise InputError(
            f"`dataset=tfds:{name}`: its images are of shape {shape}; all must be of one size, or "
            "`image_size` says which to bring them to"
        )
    if len(shape) != 3 or shape[2] is None:
        raise InputError(
            f"`dataset=tfds:{name}`: its images are of shape {shape}; they must be "
            "height×width×channels, with a fixed number of these"
        )
    dtype = features["image"].np_dtype
    if dtype != np.uint8:
        raise InputError(
            f"`dataset=tfds:{name}`: its images are {np.dtype(dtype)}; they must be uint8"
        )
    names = [split for split in ("train", "validation", "test") if split in splits]
    try:
        read_split = _reader(builder, names, shape, image_size)
        read = {split: read_split(split) for split in names}
    except InputError:
        raise
    except Exception as error:  # TensorFlow's errors for a missing or truncated file
        raise _damaged(name, error) from error
    if "test" not in read:
        read["test"] = read.pop("validation", None)
    classes = tuple(features["label"].names)
    return Source(name, classes, read["train"], read["test"], validation=read.get("validation"))


def _features_files(
    name: str, config: str | None, version: str, folder: pathlib.Path | None
) -> Iterator[pathlib.Path]:
    """The candidates for the features.json that TensorFlow Datasets uses."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import naming
    from tensorflow_datasets.core.utils import file_utils

    for data_dir in file_utils.list_data_dirs(folder):
        root = pathlib.Path(data_dir) / naming.camelcase_to_snakecase(name)
        if not root.is_dir():
            continue
        if config:
            parents = [root / config]
        else:
            _check_default_config(name, root / ".config" / "metadata.json")
            parents = [root, *root.iterdir()]
        for parent in parents:
            for path in parent.iterdir() if parent.is_dir() else ():
                if (
                    tfds.core.Version.is_valid(path.name)
                    and (not version or tfds.core.Version(path.name).match(version))
                    and (path / "features.json").exists()
                ):
                    yield path / "features.json"


def _check_default_config(name: str, path: pathlib.Path) -> None:
    """Raises an InputError if the named configuration is outside the data set's folder."""
    if not path.exists():
        return
    config = json.loads(path.read_text("utf-8")).get("default_config_name")
    if isinstance(config, str) and (config == ".." or config != pathlib.PurePath(config).name):
        raise InputError(
            f"`dataset=tfds:{name}`: {path} names the configuration {config[:100]!r}, which is no "
            "name of a folder beside it; prepare it anew"
        )


def _check_classes(name: str, path: pathlib.Path) -> None:
    """Raises an InputError if a features.json names a class that isn't TensorFlow Datasets' own."""
    for found in _classes(json.loads(path.read_text("utf-8"))):
        if not _OWN_CLASS.fullmatch(found):
            raise InputError(
                f"`dataset=tfds:{name}`: {path} names the class {found[:100]!r}, which isn't one "
                "of tensorflow_datasets; prepare it anew with features of tensorflow_datasets alone"
            )


def _classes(value) -> Iterator[str]:
    """The class names in a features.json, in the current form and in earlier ones."""
    if isinstance(value, str):
        try:  # JSON in JSON
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, dict):
        keys = ["pythonClassName", "python_class_name", *(["type"] if "content" in value else [])]
        yield from (value[key] for key in keys if isinstance(value.get(key), str))
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _classes(inner)


def _reader(builder, names: list[str], shape: tuple, image_size: int) -> Callable[[str], Split]:
    """A function that reads the split with a given name."""
    import tensorflow_datasets as tfds

    resized = None in shape[:2]
    size = (image_size, image_size) if resized else shape[:2]
    total = sum(builder.info.splits[name].num_examples for name in names)
    needed, available = _COPIES * total * math.prod((*size, shape[2])), available_memory()
    fits = available is None or needed <= available
    if fits and not resized:
        return functools.partial(_read_split, builder)
    if builder.info.file_format != tfds.core.FileFormat.TFRECORD:
        raise InputError(
            f"`dataset=tfds:{builder.info.name}`: images of different sizes, or more than fit in "
            "memory, are read from files of the format tfrecord; prepare it anew in that"
        )
    return functools.partial(_find_split, builder, size=size, channels=shape[2], resized=resized)


def _find_split(builder, split: str, **options) -> Split:
    """A split whose images stay in their files."""
    paths = [os.fspath(path) for path in builder.info.splits[split].filepaths]
    images, labels = read_records(paths, **options)
    _check_split(builder, split, labels)
    return Split(images, labels.astype("int32"))


def _read_split(builder, split: str) -> Split:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # `_check_split` has a clearer message.
    reading = tfds.ReadConfig(assert_cardinality=False)
    examples = builder.as_dataset(split=split, shuffle_files=False, read_config=reading)
    pairs = examples.map(lambda e: (e["image"], e["label"]), num_parallel_calls=tf.data.AUTOTUNE)
    wanted, shape = builder.info.splits[split].num_examples, pairs.element_spec[0].shape
    images = np.empty((wanted, *shape), "uint8")  # filled batch by batch, to hold no image twice
    labels, count = [np.empty(0, "int64")], 0
    for some, of_some in pairs.batch(_BATCH).as_numpy_iterator():
        end = count + len(some)
        if end > len(images):  # more than the data set says
            images = np.resize(images, (end, *shape))
        images[count:end], count = some, end
        labels.append(of_some)
    labels = np.concatenate(labels)
    _check_split(builder, split, labels)
    return Split(images, labels.astype("int32"))


def _check_split(builder, split: str, labels: np.ndarray) -> None:
    """Raises an InputError if images or labels are missing."""
    found = len(labels)
    wanted = builder.info.splits[split].num_examples
    if found < max(wanted, 1):
        raise InputError(
            f"`dataset=tfds:{builder.info.name}`: its split {split} holds {found:,} of {wanted:,} "
            "images, so that its files are damaged; prepare it anew"
        )
    if labels.min() < 0:
        raise InputError(
            f"`dataset=tfds:{builder.info.name}`: images of its split {split} carry no label "
            f"({labels.min()}); every image needs one"
        )


def _damaged(name: str, error: Exception) -> InputError:
    said = reason(Exception(_WHERE.sub("", str(error)) or type(error).__name__))
    return InputError(f"`dataset=tfds:{name}`: can't be read ({said}); prepare it anew")


def _not_prepared(name: str, version: str, folder: pathlib.Path | None) -> InputError:
    wanted = f"{name}:{version}" if version else name
    if folder is None:
        return InputError(
            f"`dataset=tfds:{wanted}`: not prepared in the default folder; name the folder of "
            "prepared data sets by `data_dir`"
        )
    if not os.path.isdir(folder):
        return InputError(f"`data_dir={folder}`: no such folder")
    infos = [*folder.glob("*/*/dataset_info.json"), *folder.glob("*/*/*/dataset_info.json")]
    versions = [info.parent.relative_to(folder) for info in infos]
    there = sorted(f"{version.parent.as_posix()}:{version.name}" for version in versions)
    return InputError(
        f"`dataset=tfds:{wanted}`: not prepared in `data_dir={folder}`, which holds "
        f"{', '.join(there) or 'nothing'}; prepare it there with tensorflow-datasets"
    )
