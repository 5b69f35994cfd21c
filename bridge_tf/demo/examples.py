"""The example pictures of the demo's page."""

import dataclasses
import itertools
import pathlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bridge_tf.data.image_files import image_files
from bridge_tf.data.image_io import KINDS, BadImageError, read_image, to_png
from bridge_tf.utils.errors import InputError

COUNT = 40
# What is looked through for disagreements: so many pictures at a time, and for so long.
_BATCH, _SECONDS = 32, 5.0
# From N×H×W×C pixels, N: whether base and ensemble name different classes.
Disagree = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Example:
    """A PNG file of the model's size, and its true class, empty if unknown."""

    png: bytes
    label: str


def examples_of_split(
    split, class_names: Sequence[str], disagree: Disagree | None = None, count: int = COUNT
) -> list[Example]:
    """Pictures of a `bridge_tf.Split`, evenly over its classes; first those that are told apart.

    Args:
        disagree: from images, those on which base and ensemble name different classes. As many
            images are looked through as five seconds allow.
    """
    labels = [int(label) for label in split.labels]
    chosen = _chosen(labels, lambda k: split.images[k], disagree, count)
    return [Example(to_png(split.images[k]), class_names[labels[k]]) for k in chosen]


def examples_of_folder(
    folder: pathlib.Path,
    image_shape: tuple[int, int, int],
    disagree: Disagree | None = None,
    count: int = COUNT,
) -> list[Example]:
    """Pictures of a folder, evenly over its subfolders, whose names are the classes; first those on
    which base and ensemble disagree, see `examples_of_split`.

    Which files are pictures is as in training, see `image_files`, folders in subfolders included.
    They are turned upright as their EXIF data says.

    Raises:
        InputError: there are none, or one can't be read.
    """
    if not folder.is_dir():
        raise InputError(f"`images`: {folder} is no folder; name one of {KINDS} pictures")
    try:
        paths = [path for path in image_files(folder)[0] if not path.is_dir()]
    except OSError as error:
        raise InputError(
            f"`images`: {error.filename} can't be read ({error.strerror}); make it readable"
        ) from error
    if not paths:
        raise InputError(f"`images`: no {KINDS} picture in {folder} or its subfolders")
    height, width, channels = image_shape
    classes = [path.relative_to(folder).parts[:-1][:1] for path in paths]

    def pixels(k: int) -> np.ndarray:
        try:
            return read_image(paths[k], channels=channels, size=(height, width))
        except BadImageError as error:
            raise InputError(f"`images`: {error}") from error

    chosen = _chosen(classes, pixels, disagree, count)
    return [Example(to_png(pixels(k)), "".join(classes[k])) for k in chosen]


def _chosen(classes: list, pixels: Callable, disagree: Disagree | None, count: int) -> list[int]:
    """Indices of `count` items: those that are told apart, then others, evenly over the classes;
    both in the order of the classes.
    """
    turns = list(_in_turns(classes))
    apart = list(_told_apart(turns, pixels, disagree))[:count] if disagree else []
    others = [k for k in turns if k not in {*apart}][: count - len(apart)]
    return [k for part in (apart, others) for k in sorted(part, key=lambda k: (classes[k], k))]


def _told_apart(turns: list[int], pixels: Callable, disagree: Disagree) -> Iterator[int]:
    end = time.monotonic() + _SECONDS
    for start in range(0, len(turns), _BATCH):
        if time.monotonic() > end:
            return
        batch = turns[start : start + _BATCH]
        found = disagree(np.stack([pixels(k) for k in batch]))
        yield from itertools.compress(batch, found)


def _in_turns(classes: list) -> Iterator[int]:
    """Indices of the first item of each class, then of the second of each, and so on."""
    members = defaultdict(list)
    for index, name in enumerate(classes):
        members[name].append(index)
    turns = itertools.zip_longest(*(members[name] for name in sorted(members)))
    return (index for index in itertools.chain(*turns) if index is not None)
